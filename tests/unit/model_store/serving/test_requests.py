"""What is read of a request for predictions, and by which words the rest is refused."""

import asyncio
import json
from collections.abc import Iterable
from http import HTTPStatus

import jsonschema_rs
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from model_store.features import FEATURES
from model_store.geometry import Matrix
from model_store.serving import batches, requests
from model_store.serving.batches import ExplanationOptions
from model_store.serving.requests import (
    MAX_BODY_BYTES,
    Clients,
    PredictRequest,
    UnreadableRequestError,
)
from tests.clients import AMOUNTS
from tests.shared_cases import Case, in_bodies
from tests.unit.model_store import amounts

CLIENT = json.dumps(AMOUNTS).encode()
BAD_AMOUNTS = [case for case in in_bodies("predict", "amounts") if case.fault]

NO_CLIENTS = {
    "": "not valid JSON",
    "[": "not valid JSON",
    '{"balance": 01}': "not valid JSON",
    json.dumps(AMOUNTS) + "x": "not valid JSON",
    json.dumps(AMOUNTS)[:-1]: "not valid JSON",
    "null": "got `null`",
    "12": "got `int`",
    '"Maria"': "got `str`",
    "[null]": "`$[0]`",
    "[[]]": "`$[0]`",
    "[NaN]": "`$[0]`",
    "[" * 100_000: "`$[0]`",
    '{"balance": NaN, "x": ' + "[" * 100_000: "not valid JSON",
}


class Sender:
    """A caller who sends a body piece by piece, and counts how many were taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = list(pieces)
        self.taken = 0

    async def receive(self) -> Message:
        """Hand over the next piece, as a server does."""
        piece = self._pieces[self.taken]
        self.taken += 1
        more = self.taken < len(self._pieces)
        return {"type": "http.request", "body": piece, "more_body": more}


def request_from(sender: Sender, query: bytes = b"", announced: bytes | None = None) -> Request:
    headers = [] if announced is None else [(b"content-length", announced)]
    scope = {"type": "http", "method": "POST", "query_string": query, "headers": headers}
    return Request(scope, sender.receive)


def read(*pieces: bytes, query: bytes = b"", announced: bytes | None = None) -> PredictRequest:
    return asyncio.run(requests.read(request_from(Sender(pieces), query, announced)))


def said_of(body: str | bytes) -> str:
    """Return what is said of a body that is refused."""
    with pytest.raises(UnreadableRequestError) as refused:
        requests.read_clients(body.encode() if isinstance(body, str) else body)
    assert refused.value.status == HTTPStatus.UNPROCESSABLE_ENTITY
    return str(refused.value)


@settings(deadline=None)
@given(clients=amounts.several())
def test_amounts_are_read_as_they_were_sent_in_the_order_of_the_features(clients: Matrix) -> None:
    sent = [dict(zip(FEATURES, client, strict=True)) for client in clients.tolist()]
    backwards = [dict(reversed(client.items())) for client in sent]

    many, _, is_one = requests.read_clients(json.dumps(backwards).encode())
    one, _, is_alone = requests.read_clients(json.dumps(sent[0], indent=1).encode())

    assert many.tolist() == clients.tolist()
    assert one.tolist() == clients[:1].tolist()
    assert many.dtype == one.dtype == np.float64
    assert (is_one, is_alone) == (False, True)


def test_no_clients_are_a_list_of_clients() -> None:
    matrix, _, single = requests.read_clients(b"[]")

    assert (matrix.shape, single) == ((0, 5), False)


def test_1024_clients_are_read_and_one_more_is_refused() -> None:
    assert requests.read_clients(json.dumps([AMOUNTS] * 1024).encode())[0].shape == (1024, 5)

    assert "1024" in said_of(json.dumps([AMOUNTS] * 1025))


@pytest.mark.parametrize("case", BAD_AMOUNTS, ids=lambda case: f"{case.field}: {case.what}")
def test_a_bad_amount_in_a_list_is_named_by_its_place(case: Case) -> None:
    body = case.body(AMOUNTS).decode()

    said = said_of(f"[{json.dumps(AMOUNTS)}, {json.dumps(AMOUNTS)}, {body}]")

    assert f"`{case.field}` - at `$[2]`" in said or f"- at `$[2].{case.field}`" in said


def test_a_field_that_nobody_asked_for_is_refused_by_name() -> None:
    said = said_of(json.dumps([AMOUNTS, {**AMOUNTS, "sexo": "F"}]))

    assert said == "Object contains unknown field `sexo` - at `$[1]`"


@pytest.mark.parametrize(("body", "says"), NO_CLIENTS.items(), ids=lambda text: text[:20])
def test_what_is_no_client_and_no_list_of_clients_is_refused(body: str, says: str) -> None:
    assert says in said_of(body)


@pytest.mark.parametrize(
    "body",
    [CLIENT.decode().encode("utf-16"), b"\xef\xbb\xbf" + CLIENT, b"\xff\xfe\x00", b'{"\xff": 1}'],
)
def test_a_body_in_another_encoding_is_refused(body: bytes) -> None:
    assert "not valid JSON" in said_of(body)


@settings(deadline=None)
@given(
    st.binary(max_size=100)
    | (
        st.fixed_dictionaries(dict.fromkeys(FEATURES, st.floats(0.0) | st.integers(0, 10**8)))
        | st.dictionaries(st.sampled_from([*FEATURES, "x"]), st.floats() | st.text(max_size=9))
    ).map(lambda client: json.dumps([client]).encode())
)
def test_whatever_comes_is_read_as_amounts_or_refused_in_a_sentence(body: bytes) -> None:
    try:
        matrix, _, _ = requests.read_clients(body)
    except UnreadableRequestError as refused:
        msgspec.json.encode(str(refused))  # it can be sent
    else:
        assert ((matrix >= 0) & (matrix <= 1e7)).all()
        assert (matrix[:, amounts.LIMIT] > 0).all()


def test_a_client_is_read_and_nothing_is_to_be_explained() -> None:
    assert read(CLIENT).matrix[:, :7].tolist() == [[*AMOUNTS.values(), 0.0, 0.0]]
    assert read(CLIENT).single


def test_a_list_is_read_however_it_is_cut() -> None:
    body = json.dumps([AMOUNTS, {**AMOUNTS, "payments": 1}]).encode()

    whole = read(body)
    cut = read(*(body[start : start + 7] for start in range(0, len(body), 7)), b"")

    assert cut.matrix.tolist() == whole.matrix.tolist()
    assert whole.matrix.shape == (2, 15)
    assert not whole.single


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (b"targets=1,3,4&margin=0.05", [0b11010, 0.05]),
        (b"targets=1%2C3&margin=5e-2", [0b01010, 0.05]),
        (b"targets=4,4,", [0b10000, 0.0]),
        (b"targets=0&targets=2", [0b00100, 0.0]),
        (b"targets=&margin=", [0, 0.0]),
        (b"margin=0.5", [0, 0.5]),
        (b"toward=1%2C3%2C4&margin=0.05", [0b11010, 0.05]),
        (b"toward=&margin=0.05", [0, 0.05]),
        (b"toward=0&targets=3", [0b01000, 0.0]),
    ],
)
def test_the_options_of_a_query_go_with_every_client(query: bytes, options: list[float]) -> None:
    asked = read(json.dumps([AMOUNTS] * 3).encode(), query=query)

    assert asked.matrix[:, 5:7].tolist() == [options] * 3


@pytest.mark.parametrize(
    ("query", "names"),
    [
        *((f"targets={text}", "targets") for text in ("5", "-1", "1,5", "a", "1;3", "9" * 5000)),
        *((f"margin={text}", "margin") for text in ("-0.01", "0.51", "nan", "inf", "x", "1e999")),
        ("toward=5", "targets"),
        ("targets=%ff", "targets"),
        ("targets=\xff", "targets"),
        ("target=1", "target"),
        ("margin=0.05&other=x", "other"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name_every_time(query: str, names: str) -> None:
    for _ in range(2):
        with pytest.raises(
            UnreadableRequestError, match=rf"^In the query: .*\b{names}\b"
        ) as refused:
            read(CLIENT, query=query.encode("latin-1"))
        assert refused.value.status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_options_are_carried_as_a_mask_and_a_margin() -> None:
    options = ExplanationOptions(targets=(1, 3, 3), margin=0.25)

    assert batches.with_options(np.ones((2, 5)), options)[:, 5:7].tolist() == [[0b01010, 0.25]] * 2


@pytest.mark.parametrize("announced", [None, b"1"])
@pytest.mark.parametrize(
    "pieces",
    [
        [CLIENT.ljust(MAX_BODY_BYTES + 1)],
        [CLIENT.ljust(MAX_BODY_BYTES), b" "],
        [CLIENT, *[b" " * 1000] * 1000],
    ],
    ids=["in one piece", "in two", "in a thousand"],
)
def test_a_body_over_the_limit_is_refused_whatever_was_announced(
    pieces: list[bytes], announced: bytes | None
) -> None:
    with pytest.raises(UnreadableRequestError, match="larger than 524288 bytes") as refused:
        read(*pieces, announced=announced)

    assert refused.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_a_body_of_exactly_the_limit_is_read_and_no_more_than_that_is_taken_in() -> None:
    sender = Sender([b" " * 65536] * 100)

    with pytest.raises(UnreadableRequestError):
        asyncio.run(requests.read(request_from(sender)))

    assert sender.taken == MAX_BODY_BYTES // 65536 + 1
    assert len(read(CLIENT.ljust(MAX_BODY_BYTES)).matrix) == 1


def test_the_largest_list_of_ordinary_clients_fits() -> None:
    client = dict.fromkeys(AMOUNTS, 1234567.89)

    assert len(read(json.dumps([client] * 1024, indent=2).encode()).matrix) == 1024


def test_the_schema_takes_what_is_read_and_nothing_else() -> None:
    schema = jsonschema_rs.Draft4Validator(Clients.model_json_schema())

    for body in (AMOUNTS, [AMOUNTS] * 1024, []):
        assert schema.is_valid(body)
    for bad in ([AMOUNTS] * 1025, {}, {**AMOUNTS, "sexo": "F"}):
        assert not schema.is_valid(bad)
    for case in in_bodies("predict", "amounts"):
        if case.sent not in {"NaN", "Infinity", "1e999"}:
            assert schema.is_valid(json.loads(case.body(AMOUNTS))) == (case.fault is None)


def test_limits_go_with_the_client_who_has_them() -> None:
    limits = {"balance": [0, 599.99], "payments": [450, 20000]}
    asked = read(json.dumps([{**AMOUNTS, "limits": limits}, AMOUNTS]).encode())

    one, other = asked.matrix[:, 7:]

    nan = float("nan")
    assert one.tolist() == pytest.approx([0, nan, nan, 450, 599.99, nan, nan, 20000], nan_ok=True)
    assert other.tolist() == [0.0] * 4 + [1e7] * 4


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"balance": [0]}, "length 2"),
        ({"balance": [0, 1e8]}, "<= 10000000"),
        ({"payments": [-1, 5]}, ">= 0"),
        ({"credit_limit": [0, 1]}, "unknown field `credit_limit`"),
        ([0, 1], "Expected `object"),
    ],
)
def test_limits_that_are_none_are_refused_by_name(limits: object, reason: str) -> None:
    with pytest.raises(UnreadableRequestError, match=reason):
        read(json.dumps({**AMOUNTS, "limits": limits}).encode())


def test_clients_are_described_in_the_words_of_openapi_3_0() -> None:
    described = json.dumps(requests.Clients.model_json_schema())

    for word in ('"null"', "prefixItems"):
        assert word not in described
    limits = json.loads(described)["$defs"]["Client"]["properties"]["limits"]
    assert limits["nullable"]
    assert limits["allOf"] == [{"$ref": "#/$defs/ChangeLimits"}]
