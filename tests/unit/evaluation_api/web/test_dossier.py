"""The dossier's page where the record is not complete."""

from dataclasses import replace

from evaluation_api.decision.domain import Outcome, Recorded, Review
from evaluation_api.web import dossier
from tests.evaluations import NOON, POLICY, pending_entry


def test_a_review_before_the_models_answer_is_the_decision_so_far() -> None:
    entry = pending_entry()
    pending = Recorded(entry.id, NOON, entry.applicant, True, None, None, None)  # noqa: FBT003
    review = Review(entry.id, entry.id, Outcome.REFUSED, "Não apresentou renda.", "Ana", NOON)

    page = dossier.render(replace(pending, reviews=(review,)), POLICY)

    assert 'Decisão final, por <bdi translate="no">Ana</bdi>. O sistema ainda não decidiu.' in page
