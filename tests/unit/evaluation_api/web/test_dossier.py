"""The dossier's page where the record is not complete."""

from dataclasses import replace

from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import Outcome, Recorded, Review
from evaluation_api.web import dossier
from tests.evaluations import NOON, POLICY, POLICY_TEXT, pending_entry


def test_the_criteria_are_written_as_the_policy_sets_them() -> None:
    rules, _, _ = POLICY_TEXT.partition("[[casos]]")  # which are decided by the bounds of the file
    text = rules.replace("uso_alto = 0.60", "uso_alto = 0.625")
    assert text != rules
    entry = pending_entry()
    pending = Recorded(entry.id, NOON, entry.applicant, True, None, None, None)  # noqa: FBT003

    page = dossier.render(pending, policy_file.parse(text))

    assert "Uso alto: a partir de 62,5% do limite. Pouco pago: abaixo de 50% do saldo" in page


def test_a_review_before_the_models_answer_is_the_decision_so_far() -> None:
    entry = pending_entry()
    pending = Recorded(entry.id, NOON, entry.applicant, True, None, None, None)  # noqa: FBT003
    review = Review(entry.id, entry.id, Outcome.REFUSED, "Não apresentou renda.", "Ana", NOON)

    page = dossier.render(replace(pending, reviews=(review,)), POLICY)

    assert 'Decisão final, por <bdi translate="no">Ana</bdi>. O sistema ainda não decidiu.' in page


def test_a_confidence_is_not_rounded_to_the_border_that_it_is_below() -> None:
    entry = pending_entry()
    pending = Recorded(entry.id, NOON, entry.applicant, True, None, None, None)  # noqa: FBT003
    near = replace(
        pending, evaluated_at=NOON, outcome=Outcome.REFUSED, cluster=0, confidence=0.04999
    )

    assert "<dd>0,04999<p>Numa escala de 0" in dossier.render(near, POLICY)
    assert "<dd>0,51<p>" in dossier.render(replace(near, confidence=0.512), POLICY)
