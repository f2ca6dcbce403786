"""The Portuguese sentences."""

import pytest

from evaluation_api.decision import sentences
from evaluation_api.decision.domain import FEATURES, Counterfactual
from evaluation_api.decision.reasons import Reason
from tests.evaluations import POLICY


@pytest.mark.parametrize(
    ("amount", "formatted"),
    [
        (0, "R$ 0,00"),
        (0.005, "R$ 0,01"),
        (12.5, "R$ 12,50"),
        (1234.56, "R$ 1.234,56"),
        (10_000_000, "R$ 10.000.000,00"),
    ],
)
def test_money_is_formatted_as_in_brazil(amount: float, formatted: str) -> None:
    assert sentences.money(amount) == formatted


def test_every_amount_has_a_name() -> None:
    assert set(sentences.LABELS) == set(FEATURES)
    assert sentences.LABELS["balance"] == "saldo devedor"


@pytest.mark.parametrize(
    ("fits", "sentence"),
    [
        (
            True,
            (
                "O valor de compras de R$ 3.345,00 combina mais com o perfil"
                " “Compra muito e paga bem” do que com “Usa pouco”."
            ),
        ),
        (
            False,
            (
                "O valor de compras de R$ 3.345,00 combina mais com o perfil “Usa pouco”"
                " do que com “Compra muito e paga bem”."
            ),
        ),
    ],
)
def test_a_reason_says_which_profile_an_amount_speaks_for(*, fits: bool, sentence: str) -> None:
    why = Reason("purchases", 3345.0, 0.1 if fits else -0.1)

    assert sentences.reason(why, POLICY.profiles[4], POLICY.profiles[3]) == sentence


@pytest.mark.parametrize(("amount", "bound"), [(406.0, "no máximo"), (2000.0, "pelo menos")])
def test_a_counterfactual_says_in_which_direction(amount: float, bound: str) -> None:
    change = Counterfactual("balance", amount, 3, 0.1)
    said = sentences.counterfactual(1126.0, change, POLICY.profiles[3])

    assert f"Com saldo devedor de {bound} {sentences.money(amount)} (hoje R$ 1.126,00)" in said
    assert "“Usa pouco”, que é aprovado." in said


def test_the_criteria_are_sentences() -> None:
    assert (
        sentences.times_the_limit("cash_advance", 2.5)
        == "Saques de até 2,5 vezes o limite de crédito."
    )
    assert sentences.at_most("credit_limit", 30000) == "Limite de crédito de até R$ 30.000,00."


def test_an_unforeseen_mistake_in_a_field_still_names_it() -> None:
    said = sentences.field_error("a_kind_of_tomorrow", "payments", {})

    assert said == "Pagamentos: valor não aceito."
