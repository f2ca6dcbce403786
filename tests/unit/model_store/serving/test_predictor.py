"""Batches of clients who want different things: each is answered as if alone."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from model_store import geometry, golden, registry
from model_store.errors import GoldenMismatch, NotAModel
from model_store.features import FEATURES
from model_store.geometry import Matrix
from model_store.golden import GoldenClients
from model_store.numbers import on_sphere
from model_store.pickles.pickle_file import sha256_of
from model_store.serving import answers, batches, predictor, requests
from model_store.serving.batches import ExplanationOptions
from model_store.serving.requests import PredictRequest
from model_store.version import StoredModel
from tests.clients import FIVE_CLIENTS
from tests.unit.model_store import amounts

DEBTOR = np.array([FIVE_CLIENTS[0][0]], dtype=np.float64)
#: Who pays well, which is where anybody would want to be.
APPROVED = (1, 3, 4)


@pytest.fixture(scope="session")
def stored(committed: Pipeline, centroids: Matrix) -> StoredModel:
    """Return the carried model as the store would hand it over."""
    path = registry.DEFAULT_PICKLE
    sha256 = sha256_of(path.read_bytes())
    tag = f"{registry.NAME}:{sha256[:12]}"
    return StoredModel(
        tag=tag,
        sha256=sha256,
        digest="d" * 64,
        is_sealed=True,
        pickle_path=path,
        numbers=on_sphere(centroids),
        golden=golden.make(committed),
        metadata={},
    )


Predict = Callable[[Matrix], list[answers.Prediction]]


@pytest.fixture(scope="session")
def predict(stored: StoredModel) -> Predict:
    return predictions_by(predictor.serve(stored))


def predictions_by(model: predictor.ServedModel) -> Predict:
    """Predict as whoever reads JSON sees it."""
    return lambda batch: answers.as_predictions(model.predict(batch), batch[:, : len(FEATURES)])


def asked(clients: Matrix, targets: Iterable[int], margin: float) -> Matrix:
    """Return clients (n x 5) as a batch in which all want the same: n x 7."""
    return batches.with_options(clients, ExplanationOptions(tuple(targets), margin))


def changes(prediction: answers.Prediction, client: Matrix) -> list[float]:
    """Return how much each counterfactual changes."""
    return [
        abs(one.amount - client[FEATURES.index(one.feature)])
        for one in prediction.counterfactuals or []
    ]


def read_back(predictions: Iterable[answers.Prediction]) -> list[dict[str, Any]]:
    """Read predictions as a caller does, to 12 decimals: a batch may add up in any order."""
    read: list[dict[str, Any]] = json.loads(
        msgspec.json.encode(list(predictions)),
        parse_float=lambda text: round(float(text), 12),
    )
    return read


def test_who_asks_for_nothing_is_told_why_and_no_counterfactual(predict: Predict) -> None:
    (told,) = predict(asked(DEBTOR, (), 0.0))

    assert told.cluster == FIVE_CLIENTS[0][1]
    assert told.confidence is not None
    assert told.contributions is not None
    assert told.counterfactuals is None
    assert "alternatives" not in read_back([told])[0]


@settings(deadline=None, max_examples=50)
@given(
    several=st.lists(
        st.tuples(st.sets(st.integers(0, 4)), st.sampled_from([0.0, 0.05, 0.3])),
        min_size=2,
        max_size=6,
    )
)
def test_each_of_a_batch_is_answered_as_if_alone(
    predict: Predict, several: list[tuple[set[int], float]]
) -> None:
    clients = amounts.spread(3 * len(several))
    alone = [
        asked(client[None], *several[place % len(several)]) for place, client in enumerate(clients)
    ]

    together = predict(np.vstack(alone))

    assert read_back(together) == read_back(predict(one)[0] for one in alone)


def test_a_counterfactual_comes_out_as_promised_least_change_first(
    predict: Predict,
) -> None:
    clients = amounts.spread(500)

    told = predict(asked(clients, APPROVED, 0.05))

    promised = 0
    for client, prediction in zip(clients, told, strict=True):
        assert changes(prediction, client) == sorted(changes(prediction, client))
        features = [one.feature for one in prediction.counterfactuals or []]
        assert len(set(features)) == len(features)
        for one in prediction.counterfactuals or []:
            changed = client[None].copy()
            changed[0, FEATURES.index(one.feature)] = one.amount
            (then,) = predict(asked(changed, APPROVED, 0.05))
            assert then.cluster == one.cluster
            assert then.confidence == pytest.approx(one.confidence)
            assert one.cluster in APPROVED
            assert one.confidence >= 0.05
            assert then.counterfactuals is None
            promised += 1
    assert promised > 500


def test_who_is_there_is_told_no_counterfactual_and_who_is_nearly_there_is(
    predict: Predict,
) -> None:
    (now,) = predict(asked(DEBTOR, (), 0.0))
    assert now.confidence is not None
    more = float(np.nextafter(now.confidence, 1))

    (there,) = predict(asked(DEBTOR, (now.cluster,), now.confidence))
    (nearly,) = predict(asked(DEBTOR, (now.cluster,), more))
    (elsewhere,) = predict(asked(DEBTOR, APPROVED, 0.0))

    assert there.counterfactuals is None
    assert nearly.counterfactuals
    assert min(changes(nearly, DEBTOR[0])) < 0.02
    assert {one.cluster for one in nearly.counterfactuals} == {now.cluster}
    assert elsewhere.counterfactuals
    assert elsewhere.confidence == now.confidence


def test_who_has_no_way_is_told_so(predict: Predict) -> None:
    (told,) = predict(asked(DEBTOR, (3,), 0.5))

    assert told.counterfactuals == []
    assert read_back([told])[0]["alternatives"] == []


def test_nobody_is_predicted_nothing(predict: Predict) -> None:
    assert predict(asked(requests.NO_CLIENTS, APPROVED, 0.05)) == []


def test_a_counterfactual_is_an_amount_that_a_client_may_have(predict: Predict) -> None:
    rich = np.array([[9e6, 1e6, 1e6, 9e6, 1e6]])

    told = [predict(asked(rich, (target,), 0.05))[0] for target in range(5)]

    offered = [one.amount for prediction in told for one in prediction.counterfactuals or []]
    assert offered
    assert max(offered) <= 1e7


def test_a_counterfactual_has_the_margin_even_beside_an_amount_that_dwarfs_it(
    predict: Predict,
) -> None:
    client = np.array([[8636806.39, 0.49, 0.52, 0.98, 0.45]])

    (told,) = predict(asked(client, (4,), 0.05))

    assert told.counterfactuals is not None
    assert all(one.confidence >= 0.05 for one in told.counterfactuals)


@pytest.mark.parametrize(
    "options",
    [
        (APPROVED, 0.05),
        ((FIVE_CLIENTS[0][1],), 0.4),
    ],
    ids=["to another profile", "to more margin"],
)
def test_a_way_that_does_not_lead_there_is_not_offered(
    predict: Predict,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[tuple[int, ...], float],
) -> None:
    """Every way is tried, so let all be wrong: they stop half way."""
    find = geometry.counterfactuals
    (before,) = predict(asked(DEBTOR, *options))

    def stop_half_way(clients: Matrix, *asked: Any) -> geometry.Counterfactuals:  # noqa: ANN401
        found = find(clients, *asked)
        return replace(found, amount=(found.amount + clients[:, geometry.CHANGEABLE]) / 2)

    monkeypatch.setattr(geometry, "counterfactuals", stop_half_way)
    (told,) = predict(asked(DEBTOR, *options))

    assert before.counterfactuals
    assert told.counterfactuals == []


@pytest.mark.parametrize("known", ["its centroids", "its predict alone"])
def test_a_model_that_fails_a_golden_client_does_not_predict(
    stored: StoredModel, known: str
) -> None:
    wrong = stored.golden.labels.copy()
    wrong[-1] = (wrong[-1] + 1) % 5
    altered = replace(stored, golden=GoldenClients(stored.golden.rows, wrong))
    if known == "its predict alone":
        altered = replace(altered, numbers=None)

    with pytest.raises(GoldenMismatch, match=f"recorded as {wrong[-1]}"):
        predictor.serve(altered)


@pytest.mark.parametrize("label", range(5))
def test_a_model_that_answers_one_label_wrong_does_not_keep_its_labels(
    stored: StoredModel, label: int
) -> None:
    right = predictor.serve(stored)

    def forget(batch: Matrix) -> Matrix:
        labels = right.predict(batch)[:, 0].astype(np.int64)
        return batches.labels_only((labels + (labels == label)) % 5)

    assert right.keeps_its_labels()
    assert not replace(right, predict=forget).keeps_its_labels()


def test_a_model_without_centroids_answers_labels_alone(
    stored: StoredModel, committed: Pipeline
) -> None:
    clients = amounts.spread(50)
    predict = predictions_by(predictor.serve(replace(stored, numbers=None)))

    told = predict(asked(clients, APPROVED, 0.05))

    labels = geometry.predict(clients, np.asarray(stored.centroids)).tolist()
    assert labels == committed.predict(clients).tolist()
    assert read_back(told) == [{"cluster": label} for label in labels]


class Odd:
    """A model that fails with amounts of a million, and has a sixth label for half of that."""

    def predict(self, rows: Matrix, /) -> Matrix:
        """Answer 2 to everybody else."""
        if (rows == 1e6).any():
            raise NotAModel("too much")
        return np.where((rows == 5e5).any(axis=1), 5, 2)


def test_a_client_without_a_label_is_refused_alone(
    stored: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoredModel, "open_estimator", lambda _: Odd())
    clients = np.array([[1.0] * 5, [1e6] * 5, [2.0] * 5, [5e5] * 5])
    no_golden = GoldenClients(np.ones((1, 5)), np.array([2]))
    predict = predictor.serve(replace(stored, numbers=None, golden=no_golden)).predict

    batch = batches.with_options(clients, ExplanationOptions())
    told = predict(batch)

    assert np.nan_to_num(told[:, 0], nan=-1).tolist() == [2, -1, 2, -1]
    one_by_one: dict[str, bool] = {"single": False}
    for how in (one_by_one, one_by_one | {"by_columns": True}):
        refused = answers.written(told, PredictRequest(batch, **how), {})
        assert refused.status_code == 422
        assert b"The model has no label from 0 to 4 for this client - at `$[1]`" in refused.body
        given = answers.written(told[[0, 2]], PredictRequest(batch[[0, 2]], **how), {})
        assert given.status_code == 200


@pytest.mark.parametrize(
    ("altered", "says"),
    [
        ({"numbers": None}, "has no closed form: its pickle is opened"),
        ({"is_sealed": False}, "was imported by an earlier release"),
    ],
)
def test_what_is_served_as_it_used_to_be_says_so(
    stored: StoredModel, altered: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    predictor.serve(stored)
    assert not caplog.messages

    predictor.serve(replace(stored, **altered))

    assert says in caplog.text
