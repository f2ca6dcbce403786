"""The Portuguese sentences."""

import pytest

from evaluation_api.decision import sentences
from evaluation_api.decision.domain import FEATURES, AdverseFact, Counterfactual
from tests.evaluations import EARLIER_POLICY, POLICY, POOR, USAGE, prediction, usage


@pytest.mark.parametrize(
    ("amount", "formatted"),
    [
        (-0.0, "R$ 0,00"),
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
                " “Compras altas” do que com “Uso baixo”."
            ),
        ),
        (
            False,
            (
                "O valor de compras de R$ 3.345,00 combina mais com o perfil “Uso baixo”"
                " do que com “Compras altas”."
            ),
        ),
    ],
)
def test_a_reason_says_which_profile_an_amount_speaks_for(*, fits: bool, sentence: str) -> None:
    part = 0.1 if fits else -0.1
    said = sentences.reason("purchases", 3345.0, part, POLICY.profiles[4], POLICY.profiles[3])

    assert said == sentence


@pytest.mark.parametrize(("amount", "bound"), [(406.0, "no máximo"), (2000.0, "pelo menos")])
def test_a_counterfactual_says_in_which_direction(amount: float, bound: str) -> None:
    change = Counterfactual("balance", amount, 3, 0.1)
    said = sentences.counterfactual(1126.0, change, POLICY.profiles[3], by_facts=True)

    assert (
        f"Com saldo devedor de {bound} {sentences.money(amount)}, em vez de R$ 1.126,00, e" in said
    )
    assert said.endswith(" iguais, o pedido seria aprovado.")


def test_an_earlier_policys_change_is_said_as_it_was() -> None:
    change = Counterfactual("balance", 406.0, 3, 0.1)
    said = sentences.counterfactual(1126.0, change, EARLIER_POLICY.profiles[3], by_facts=False)

    assert said.endswith("o perfil passaria a ser “Usa pouco”, que é aprovado.")


@pytest.mark.parametrize(
    ("amount", "until", "said"),
    [
        (2000.0, None, "de pelo menos R$ 2.000,00"),
        (2000.0, 2500.0, "entre R$ 2.000,00 e R$ 2.500,00"),
        (900.0, 800.0, "entre R$ 800,00 e R$ 900,00"),
        (2000.0, 2000.0, "de R$ 2.000,00"),
    ],
)
def test_a_change_is_said_as_far_as_it_holds(amount: float, until: float | None, said: str) -> None:
    change = Counterfactual("payments", amount, 3, 0.1, until)

    assert f"pagamentos {said}, em vez de" in sentences.counterfactual(
        1126.0, change, POLICY.profiles[3], by_facts=True
    )


@pytest.mark.parametrize(
    ("share", "reference", "shown"),
    [
        (0.83214, 0.3, "83,2%"),
        (0.3, 0.3, "30,0%"),
        (0.30004, 0.3, "30,004%"),
        (0.29996, 0.3, "29,996%"),
        (0.4996, 0.5, "49,96%"),
        (0.3005, 0.3, "30,05%"),  # halfway, where computers round to the even digit
        (9.99 / 20, 0.5, "49,95%"),
        (4_999_999.99 / 10_000_000, 0.5, "49,9999999%"),
        (5_999_999.99 / 9_999_999.99, 0.6, "59,99999996%"),
        (4_433_989.15 / 9_999_975.53, 0.4434, "44,33999999998%"),
        (0.1 + 0.2, 0.3, "30,0%"),  # computed
        (103_500.0, 0.3, "10.350.000,0%"),
        (0.0004, 0.5, "menos de 0,1%"),
        (0.0005, 0.5, "0,1%"),
        (0.0, 0.5, "0,0%"),
    ],
)
def test_a_share_is_told_from_its_reference(share: float, reference: float, shown: str) -> None:
    assert sentences.percent(share, reference) == shown


def test_facts_are_said_in_the_clients_own_amounts() -> None:
    client = usage(balance=999.0, credit_limit=1000.0, payments=0.0, cash_advance=220.1)
    facts = POLICY.thresholds.of(client)

    assert sentences.use(client, facts, 0.6) == "Deve R$ 999,00, 99,9% do limite de R$ 1.000,00."
    assert (
        sentences.paid(client, facts, 0.5, 0.1)
        == "Não fez pagamentos no período, e deve R$ 999,00."
    )
    assert (
        sentences.withdrawn(client, facts, 0.22)
        == "Sacou R$ 220,10, 22,01% do limite de R$ 1.000,00."
    )


def test_who_owes_and_withdraws_nothing_is_told_so() -> None:
    client = usage(balance=0.0, cash_advance=0.0)
    facts = POLICY.thresholds.of(client)

    assert sentences.use(client, facts, 0.6) == "Não tem saldo devedor; o limite é de R$ 3.854,00."
    assert sentences.paid(client, facts, 0.5) == "Não há saldo devedor a pagar."
    assert sentences.withdrawn(client, facts, 0.22) == "Não fez saques no período."


def test_a_debt_too_small_to_count_is_not_said_to_be_none() -> None:
    client = usage(balance=1.0, credit_limit=1.0)
    decision = POLICY.decide(client, prediction(4))
    assert decision.facts is not None

    assert (
        sentences.paid(client, decision.facts, 0.5) == "O saldo devedor de R$ 1,00 conta como pago."
    )
    assert "usa 100,0% do limite de crédito, saldo que conta como pago." in sentences.answer(
        POLICY.profiles[4], decision, POLICY.bounds
    )


@pytest.mark.parametrize("code", sentences.ADVERSE)
def test_an_adverse_fact_is_said_with_its_reference(code: str) -> None:
    said = sentences.adverse(AdverseFact(code, "payments", 0.123, 0.5))

    assert "12,3%" in said
    assert "50%" in said


def test_nothing_paid_is_said_without_a_share() -> None:
    said = sentences.adverse(AdverseFact("quase_nada_pago", "payments", 0.0, 0.1))

    assert said == "Não houve pagamentos; a referência é de pelo menos 10% do saldo devedor."


def test_an_answer_says_the_decision_then_the_facts_then_the_profile() -> None:
    owing = POLICY.decide(usage(balance=999.0, credit_limit=1000.0, payments=0.0), prediction(0))
    settled = POLICY.decide(usage(balance=0.0), prediction(3))

    assert sentences.answer(POLICY.profiles[0], owing, POLICY.bounds) == (
        "Pedido não aprovado pela política de crédito. O cliente usa 99,9% do limite de crédito e"
        " não pagou nada do saldo devedor. Perfil “Saldo alto”. Neste perfil o saldo devedor pesa"
        " mais do que nos outros."
    )
    assert sentences.answer(POLICY.profiles[3], settled, POLICY.bounds).startswith(
        "Pedido aprovado. O cliente não usa o limite e não tem saldo devedor a pagar. Perfil"
    )


def test_an_answer_tells_shares_from_the_bounds_that_decided() -> None:
    close = POLICY.decide(usage(balance=600.0, credit_limit=1000.0, payments=299.97), prediction(0))

    said = sentences.answer(POLICY.profiles[0], close, POLICY.bounds)

    assert "usa 60,0% do limite de crédito e pagou 49,995% do saldo devedor." in said


def test_no_answer_accuses_anybody() -> None:
    decisions = [
        POLICY.decide(client, prediction(cluster))
        for client in (USAGE, POOR, usage(balance=0.0))
        for cluster in range(5)
    ]
    said = " ".join(
        [
            *(
                sentences.answer(POLICY.profiles[0], decision, POLICY.bounds)
                for decision in decisions
            ),
            *(profile.name + profile.sentence for profile in POLICY.profiles),
            *sentences.ADVERSE.values(),
        ]
    )

    assert len({decision.outcome for decision in decisions}) == 3
    assert not [word for word in ("mau", "pagador", "endividad", "devolve") if word in said.lower()]


def test_the_criteria_are_sentences() -> None:
    assert (
        sentences.times_the_limit("cash_advance", 2.5)
        == "Saques acima de 2,5 vezes o limite de crédito."
    )
    assert sentences.above("credit_limit", 30000) == "Limite de crédito acima de R$ 30.000,00."


def test_an_unforeseen_mistake_in_a_field_still_names_it() -> None:
    said = sentences.field_error("a_kind_of_tomorrow", "payments", {})

    assert said == "Pagamentos: valor não aceito."


@pytest.mark.parametrize(
    ("field", "label"), [("depois_de", "Depois de"), ("revisoes_vistas", "Revisões vistas")]
)
def test_a_field_is_named_in_words(field: str, label: str) -> None:
    assert sentences.field_error("missing", field, {}) == f"{label}: preencha este campo."


def test_every_sentence_of_a_client_tells_a_share_from_all_that_it_is_judged_by() -> None:
    client = usage(balance=300.4, credit_limit=1000.0, payments=30.0, cash_advance=0.0)
    decision = POLICY.decide(client, prediction(0))
    bounds = POLICY.bounds
    assert decision.facts is not None

    assert "30,04% do limite" in sentences.use(client, decision.facts, *bounds["balance"])
    assert "usa 30,04% do" in sentences.answer(POLICY.profiles[0], decision, bounds)
    near = AdverseFact("uso_alto", "balance", 0.5999997, 0.3)
    assert "é 59,99997% do limite" in sentences.adverse(near, *bounds["balance"])
