"""What /predict answers: predictions as they were asked for, or a problem."""

import io
import json
from http import HTTPStatus

import jsonschema_rs
import msgspec
import numpy as np
import pytest

from model_store import geometry
from model_store.geometry import Matrix
from model_store.serving import answers, batches, columns
from model_store.serving.answers import Prediction, Predictions
from model_store.serving.batches import ExplanationOptions
from model_store.serving.requests import PredictRequest
from tests.unit.model_store import amounts

HEADERS = {"X-Model-Tag": "a:b", "X-Model-Sha256": "0" * 64}


def explained(clients: Matrix, centroids: Matrix) -> Matrix:
    """Predict, with counterfactuals for the first client and none that would do for the last."""
    told = batches.explained(geometry.explain(clients, centroids))
    changes = np.full((4, 4), np.nan)
    changes[:, 1] = -1
    told[-1, columns.CHANGES] = changes.ravel()
    changes[3] = 12.34, 1, 0.0625, np.nan
    told[0, columns.CHANGES] = changes.ravel()
    return told


def asked(clients: Matrix, **how: bool) -> PredictRequest:
    options = ExplanationOptions(targets=(1,))
    return PredictRequest(batches.with_options(clients, options), **{"single": False, **how})


def body_of(told: Matrix, clients: Matrix, **how: bool) -> bytes:
    return bytes(answers.written(told, asked(clients, **how), HEADERS).body)


@pytest.mark.parametrize("single", [True, False])
def test_an_answer_reads_as_it_was_written(centroids: Matrix, *, single: bool) -> None:
    clients = amounts.spread(1 if single else 3)
    told = explained(clients, centroids)

    body = body_of(told, clients, single=single)

    predictions = answers.as_predictions(told, clients)
    shape = Prediction if single else list[Prediction]
    assert msgspec.json.decode(body, type=shape) == (predictions[0] if single else predictions)


def test_columns_read_as_they_were_written_to_the_last_bit(centroids: Matrix) -> None:
    clients = amounts.spread(300)
    told = explained(clients, centroids)

    by_name = np.load(io.BytesIO(body_of(told, clients, by_columns=True)), allow_pickle=False)

    assert by_name.shape == (300, len(columns.COLUMNS)) == (300, 24)
    assert by_name.tobytes() == told[:, : batches.MODEL].tobytes()
    from_columns = msgspec.json.encode(answers.as_predictions(by_name, clients))
    assert from_columns == body_of(told, clients)


def test_columns_without_targets_are_the_eight_of_why(centroids: Matrix) -> None:
    clients = amounts.spread(3)
    told = batches.explained(geometry.explain(clients, centroids))
    plain = PredictRequest(
        batches.with_options(clients, ExplanationOptions()), single=False, by_columns=True
    )

    read = np.load(io.BytesIO(bytes(answers.written(told, plain, HEADERS).body)))

    assert read.tolist() == told[:, :8].tolist()
    assert columns.COLUMNS[:3] == ("cluster", "runner_up", "confidence")


def test_counterfactuals_are_told_least_change_first_and_none_is_not_nothing(
    centroids: Matrix,
) -> None:
    clients = np.array([[300.0, 0, 10, 400, 20]] * 3)
    told = explained(clients, centroids)
    told[0, columns.COLUMNS.index("balance_change_amount")] = 250.0
    told[0, columns.COLUMNS.index("balance_change_cluster")] = 3
    told[0, columns.COLUMNS.index("balance_change_until")] = 240.0

    first, other, last = answers.as_predictions(told, clients)

    assert first.counterfactuals is not None
    assert [(one.feature, one.until) for one in first.counterfactuals] == [
        ("payments", None),
        ("balance", 240.0),
    ]
    assert other.counterfactuals is None
    assert last.counterfactuals == []


def test_an_explanation_is_written_field_by_field() -> None:
    client = np.array([[300.0, 0, 0, 400, 0]])

    read = json.loads(body_of(explained(client, np.eye(5)), client, single=True))

    assert (read["cluster"], read["runner_up"]) == (3, 0)
    assert read["confidence"] == pytest.approx((2**0.5 - 1) / (2**0.5 + 1))
    assert read["contributions"] == pytest.approx(
        {"balance": -0.2, "purchases": 0, "cash_advance": 0, "credit_limit": 0.6, "payments": 0}
    )
    assert read["alternatives"] == [
        {"feature": "payments", "amount": 12.34, "cluster": 1, "confidence": 0.0625}
    ]


def test_labels_alone_are_written_as_nothing_else() -> None:
    written = body_of(batches.labels_only(np.array([3, 0])), amounts.spread(2))

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
    clients = amounts.spread(3)
    told = explained(clients, centroids)

    assert schema.is_valid(json.loads(body_of(told, clients)))
    assert schema.is_valid(json.loads(body_of(told, clients, single=True)))
    alone = body_of(batches.labels_only(np.array([3])), clients[:1], single=True)
    assert schema.is_valid(json.loads(alone))
    assert not schema.is_valid({"runner_up": 1})
