"""What travels with a request for the facts' sake, and what comes back about the model."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation_api.decision.domain import CLUSTERS, FEATURES, Prediction
from evaluation_api.decision.errors import ModelAnswerError
from evaluation_api.decision.promise import Border
from tests.evaluations import POLICY, POOR, USAGE
from tests.unit.evaluation_api.model.test_client import DESCRIBED, HEADERS, ONE, Wire

PROMISE = {
    "paid_at_most": 0.5,
    "use_from": {"1": 0.001, "3": 0.4434},
    "wrong_way": {"balance": [], "cash_advance": [[0, 1]], "payments": [[0, 3], [2, 3]]},
}
PROMISING = {**HEADERS, "X-Model-Promise": json.dumps(PROMISE)}


def of_now(request: httpx.Request) -> httpx.Response:
    """Answer as a model service that takes limits."""
    if request.method == "GET":
        return httpx.Response(200, json={**DESCRIBED, "promise": PROMISE})
    return httpx.Response(200, json=[ONE] * len(json.loads(request.content)), headers=PROMISING)


def of_before(request: httpx.Request) -> httpx.Response:
    """Answer as the last release's, which refuses what it does not know."""
    if request.method == "GET":
        return httpx.Response(200, json=DESCRIBED)
    if b"limits" in request.content:
        return httpx.Response(422, json={"detail": "unknown field `limits`"})
    return httpx.Response(200, json=[ONE] * len(json.loads(request.content)), headers=HEADERS)


def bodies(wire: Wire) -> list[Any]:
    return [json.loads(request.content) for request in wire.asked if request.method == "POST"]


def test_where_amounts_may_go_travels_with_the_client() -> None:
    wire = Wire(of_now, spans=POLICY.spans)

    wire.run(lambda client: client.predict(POOR))

    ((row,),) = bodies(wire)
    assert row["limits"] == {"balance": [0, 2312.39], "payments": [1727, 50721.48]}
    assert [row[feature] for feature in FEATURES] == [3454, 0, 0, 3854, 700]


def test_an_evaluation_is_one_call_from_the_first_on() -> None:
    wire = Wire(of_now, spans=POLICY.spans)

    async def thrice(client: Any) -> None:  # noqa: ANN401
        for _ in range(3):
            await client.predict(USAGE)

    wire.run(thrice)

    assert [request.method for request in wire.asked] == ["POST", "POST", "POST"]


def test_a_model_service_of_the_last_release_is_asked_as_it_knows_once_it_is_met() -> None:
    wire = Wire(of_before, spans=POLICY.spans)

    async def twice(client: Any) -> list[Prediction]:  # noqa: ANN401
        return [await client.predict(POOR) for _ in range(2)]

    for prediction in wire.run(twice):
        assert prediction.model.promise is None
    assert ["limits" in row for (row,) in bodies(wire)] == [True, False, False]


def test_an_earlier_version_is_asked_about_limits_like_the_one_in_service() -> None:
    for answer, asked in ((of_now, [True]), (of_before, [True, False])):
        wire = Wire(answer, spans=POLICY.spans)

        wire.run(lambda client: client.predict_as("credit_card_clusters:1", [POOR]))

        assert ["limits" in row for (row,) in bodies(wire)] == asked


def test_a_replica_of_the_last_release_is_asked_again_without_limits() -> None:
    answers = [of_now, of_before, of_before]
    wire = Wire(*answers, spans=POLICY.spans)

    async def twice(client: Any) -> list[Prediction]:  # noqa: ANN401
        return [await client.predict(POOR) for _ in range(2)]

    before, after = wire.run(twice)

    assert before.model.promise is not None
    assert after.model.promise is None
    assert ["limits" in row for (row,) in bodies(wire)] == [True, True, False]


def test_a_promise_is_read_with_the_model_that_makes_it() -> None:
    promise = Wire(of_now, spans=POLICY.spans).predict().model.promise

    assert promise is not None
    assert promise.use_from == (None, 0.001, None, 0.4434, None)
    assert Border(0, 1, "cash_advance") in promise.wrong_way


@pytest.mark.parametrize(
    "promise",
    [
        "",
        "{",
        "[]",
        '{"paid_at_most": 2}',
        json.dumps({**PROMISE, "wrong_way": {"balance": [[0, 9]]}}),
    ],
)
def test_a_promise_that_is_none_is_an_answer_that_is_none(promise: str) -> None:
    headers = {**HEADERS, "X-Model-Promise": promise}
    wire = Wire(lambda _: httpx.Response(200, json=[ONE], headers=headers))

    with pytest.raises(ModelAnswerError):
        wire.predict()


REAL = {**ONE, "alternatives": [{**ONE["alternatives"][0], "until": 0.5}]}  # type: ignore[index]
PLACES = [
    ("cluster",),
    ("runner_up",),
    ("confidence",),
    ("contributions",),
    ("contributions", "balance"),
    ("alternatives",),
    ("alternatives", 0),
    ("alternatives", 0, "feature"),
    ("alternatives", 0, "amount"),
    ("alternatives", 0, "cluster"),
    ("alternatives", 0, "confidence"),
    ("alternatives", 0, "until"),
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([*FEATURES, "foo", 1e308, -0.01, [], {}, [1] * 6]),
)


@given(st.sampled_from(PLACES), VALUES)
def test_a_mutated_answer_is_a_prediction_or_our_error(place: tuple[Any, ...], value: Any) -> None:  # noqa: ANN401
    answer = json.loads(json.dumps(REAL))
    inner = answer
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    wire = Wire(lambda _: httpx.Response(200, text=json.dumps([answer]), headers=HEADERS))

    try:
        prediction = wire.predict()
    except ModelAnswerError:
        return

    assert prediction.cluster in CLUSTERS
    assert prediction.confidence is None or 0 <= prediction.confidence <= 1
    assert all(abs(part) <= 4 for part in (prediction.contributions or {}).values())
    for change in prediction.counterfactuals:
        assert change.feature in {"balance", "purchases", "cash_advance", "payments"}
        assert change.cluster in CLUSTERS
        assert all(0 <= amount <= 1e7 for amount in (change.amount, change.until or 0))
