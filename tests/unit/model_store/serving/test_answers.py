"""The JSON that /predict answers: predictions as they were asked for, or a problem."""

import json
from http import HTTPStatus

import jsonschema_rs
import msgspec
import numpy as np
import pytest

from model_store import geometry
from model_store.geometry import Matrix
from model_store.serving import answers
from model_store.serving.answers import Counterfactual, Prediction, Predictions
from tests.unit.model_store import amounts

HEADERS = {"X-Model-Tag": "a:b", "X-Model-Sha256": "0" * 64}


def explained(clients: Matrix, centroids: Matrix) -> list[Prediction]:
    """Predict, with a counterfactual for the first client."""
    predictions = answers.explained(geometry.explain(clients, centroids))
    predictions[0].counterfactuals = [Counterfactual("payments", 12.34, 1, 0.0625)]
    return predictions


def body_of(predictions: list[Prediction], *, single: bool = False) -> bytes:
    return bytes(answers.written(predictions, HEADERS, single=single).body)


@pytest.mark.parametrize("single", [True, False])
def test_an_answer_reads_as_it_was_written(centroids: Matrix, *, single: bool) -> None:
    predictions = explained(amounts.spread(1 if single else 3), centroids)

    body = body_of(predictions, single=single)

    shape = Prediction if single else list[Prediction]
    assert msgspec.json.decode(body, type=shape) == (predictions[0] if single else predictions)


def test_an_explanation_is_written_field_by_field() -> None:
    (prediction,) = explained(np.array([[300.0, 0, 0, 400, 0]]), np.eye(5))

    read = json.loads(body_of([prediction], single=True))

    assert (read["cluster"], read["runner_up"]) == (3, 0)
    assert read["confidence"] == pytest.approx((2**0.5 - 1) / (2**0.5 + 1))
    assert read["contributions"] == pytest.approx(
        {"balance": -0.2, "purchases": 0, "cash_advance": 0, "credit_limit": 0.6, "payments": 0}
    )
    assert read["alternatives"] == [
        {"feature": "payments", "amount": 12.34, "cluster": 1, "confidence": 0.0625}
    ]


def test_labels_alone_are_written_as_nothing_else() -> None:
    written = body_of(answers.labels_only(np.array([3, 0])))

    assert json.loads(written) == [{"cluster": 3}, {"cluster": 0}]


def test_a_problem_says_what_and_why() -> None:
    answer = answers.problem(HTTPStatus.UNPROCESSABLE_ENTITY, "In the query: a number")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(answer.body)) == {
        "type": "about:blank",
        "title": HTTPStatus.UNPROCESSABLE_ENTITY.phrase,
        "status": 422,
        "detail": "In the query: a number",
    }


def test_the_schema_describes_every_answer(centroids: Matrix) -> None:
    schema = jsonschema_rs.validator_for(Predictions.model_json_schema())
    predictions = explained(amounts.spread(3), centroids)

    assert schema.is_valid(json.loads(body_of(predictions)))
    assert schema.is_valid(json.loads(body_of(predictions, single=True)))
    assert schema.is_valid(json.loads(body_of(answers.labels_only(np.array([3])), single=True)))
    assert not schema.is_valid({"runner_up": 1})
