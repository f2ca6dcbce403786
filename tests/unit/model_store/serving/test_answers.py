"""The JSON of /predict: what is read, what is refused and by which words, what is written."""

import json
from typing import Any

import jsonschema_rs
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store import geometry
from model_store.features import FEATURES
from model_store.geometry import Matrix
from model_store.serving import answers
from tests.clients import AMOUNTS
from tests.unit.model_store import amounts

#: What a caller may send for payments, and what is then said of it.
BAD_AMOUNTS = {
    "NaN": ">= 0",
    "Infinity": "<= 10000000",
    "-Infinity": ">= 0",
    "1e999": "out of range",
    "-1e999": "out of range",
    "1" * 400: "out of range",
    "-0.01": ">= 0",
    "-1": ">= 0",
    "10000000.01": "<= 10000000",
    '"12"': "got `str`",
    "true": "got `bool`",
    "null": "got `null`",
    "{}": "got `object`",
    "[1]": "got `array`",
}

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


def spelled(literal: str, field: str = "payments") -> str:
    """Spell the client with a JSON literal in the place of one amount."""
    return json.dumps({**AMOUNTS, field: "here"}).replace('"here"', literal)


def said_of(body: str | bytes) -> str:
    """Return what is said of a body that is refused."""
    with pytest.raises(answers.UnreadableRowsError) as refused:
        answers.read(body.encode() if isinstance(body, str) else body)
    return str(refused.value)


def explained(clients: Matrix, centroids: Matrix) -> list[answers.Prediction]:
    return answers.explained(geometry.explain(clients, centroids))


@settings(deadline=None)
@given(clients=amounts.batches())
def test_amounts_are_read_as_they_were_sent_in_the_order_of_the_features(clients: Matrix) -> None:
    sent = [dict(zip(FEATURES, client, strict=True)) for client in clients.tolist()]
    backwards = [dict(reversed(client.items())) for client in sent]

    many = answers.read(json.dumps(backwards).encode())
    one = answers.read(json.dumps(sent[0], indent=1).encode())

    assert many.matrix.tolist() == clients.tolist()
    assert one.matrix.tolist() == clients[:1].tolist()
    assert (many.single, one.single) == (False, True)


def test_whole_numbers_exponents_and_both_ends_are_amounts() -> None:
    sent = spelled("1E3", "purchases").replace("147.0", "0").replace("3854.0", "10000000")

    read = answers.read(sent.encode())

    assert read.matrix.tolist() == [[1055.0, 1000.0, 0.0, 1e7, 3233.0]]
    assert read.matrix.dtype == np.float64


def test_no_clients_are_a_list_of_clients() -> None:
    read = answers.read(b"[]")

    assert (read.matrix.shape, read.single) == ((0, 5), False)


def test_1024_clients_are_read_and_one_more_is_refused() -> None:
    assert answers.read(json.dumps([AMOUNTS] * 1024).encode()).matrix.shape == (1024, 5)

    assert "1024" in said_of(json.dumps([AMOUNTS] * 1025))


@pytest.mark.parametrize(("literal", "says"), BAD_AMOUNTS.items(), ids=lambda text: text[:20])
def test_a_bad_amount_is_named_by_row_and_field(literal: str, says: str) -> None:
    alone = said_of(spelled(literal))
    third = said_of(f"[{json.dumps(AMOUNTS)}, {json.dumps(AMOUNTS)}, {spelled(literal)}]")

    assert says in alone
    assert says in third
    assert "`$.payments`" in alone
    assert "`$[2].payments`" in third


@pytest.mark.parametrize("field", FEATURES)
def test_every_amount_is_checked(field: str) -> None:
    for literal in BAD_AMOUNTS:
        assert f"`$.{field}`" in said_of(spelled(literal, field))
    missing = {name: amount for name, amount in AMOUNTS.items() if name != field}
    assert f"missing required field `{field}` - at `$[1]`" in said_of(
        json.dumps([AMOUNTS, missing])
    )


def test_a_limit_of_zero_is_refused_and_any_other_zero_is_not() -> None:
    assert "> 0.0 - at `$.credit_limit`" in said_of(spelled("0", "credit_limit"))
    for field in set(FEATURES) - {"credit_limit"}:
        assert answers.read(spelled("0", field).encode()).matrix.min() == 0


def test_a_field_that_nobody_asked_for_is_refused_by_name() -> None:
    said = said_of(json.dumps([AMOUNTS, {**AMOUNTS, "sexo": "F"}]))

    assert said == "Object contains unknown field `sexo` - at `$[1]`"


@pytest.mark.parametrize(("body", "says"), NO_CLIENTS.items(), ids=lambda text: text[:20])
def test_what_is_no_client_and_no_list_of_clients_is_refused(body: str, says: str) -> None:
    assert says in said_of(body)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_body_in_another_encoding_is_refused(encoding: str) -> None:
    assert "not valid JSON" in said_of(json.dumps(AMOUNTS).encode(encoding))


def test_a_body_that_is_no_text_is_refused() -> None:
    assert "not valid JSON" in said_of(b"\xff\xfe\x00")
    assert "not valid JSON" in said_of(b'{"\xff": 1}')


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
        matrix = answers.read(body).matrix
    except answers.UnreadableRowsError as refused:
        msgspec.json.encode(str(refused))  # it can be sent
    else:
        assert ((matrix >= 0) & (matrix <= 1e7)).all()
        assert (matrix[:, amounts.LIMIT] > 0).all()


@pytest.mark.parametrize("single", [True, False])
def test_an_answer_reads_as_it_was_written(centroids: Matrix, *, single: bool) -> None:
    predictions = explained(amounts.spread(1 if single else 3), centroids)
    predictions[0].alternatives = [answers.Alternative("payments", 12.34, 1, 0.0625)]

    body = answers.write(predictions, single=single)

    shape = answers.Prediction if single else list[answers.Prediction]
    assert msgspec.json.decode(body, type=shape) == (predictions[0] if single else predictions)


def test_an_explanation_is_written_field_by_field() -> None:
    (prediction,) = explained(np.array([[300.0, 0, 0, 400, 0]]), np.eye(5))

    read = json.loads(answers.write([prediction], single=True))

    assert (read["cluster"], read["runner_up"]) == (3, 0)
    assert read["confidence"] == pytest.approx((2**0.5 - 1) / (2**0.5 + 1))
    assert read["contributions"] == pytest.approx(
        {"balance": -0.2, "purchases": 0, "cash_advance": 0, "credit_limit": 0.6, "payments": 0}
    )
    assert "alternatives" not in read


def test_labels_alone_are_written_as_nothing_else() -> None:
    written = answers.write(answers.bare(np.array([3, 0])), single=False)

    assert json.loads(written) == [{"cluster": 3}, {"cluster": 0}]


@pytest.mark.parametrize(
    ("toward", "margin", "wish"),
    [
        ("", "0", ((), 0.0)),
        ("1,3,4", "0.05", ((1, 3, 4), 0.05)),
        ("0", "0.5", ((0,), 0.5)),
        ("4,4,", "1e-3", ((4, 4), 0.001)),
    ],
)
def test_a_wish_is_read(toward: str, margin: str, wish: Any) -> None:  # noqa: ANN401 - a pair
    assert answers.read_wish(toward, margin) == wish


@pytest.mark.parametrize(
    ("toward", "margin", "says"),
    [
        *((toward, "0", "toward") for toward in ("5", "-1", "1,5", "a", "1;3", "1.0", "9" * 5000)),
        *(("1", margin, "margin") for margin in ("-0.01", "0.51", "nan", "inf", "x", "", "1e999")),
        ("7", "7", "toward"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_by_name(toward: str, margin: str, says: str) -> None:
    with pytest.raises(answers.UnreadableRowsError, match=f"^{says}: "):
        answers.read_wish(toward, margin)


def test_the_schema_takes_what_is_read_and_nothing_else() -> None:
    schema = jsonschema_rs.validator_for(answers.schema_of_input())

    for body in (AMOUNTS, [AMOUNTS] * 1024, [], json.loads(spelled("10000000"))):
        assert schema.is_valid(body)
        answers.read(json.dumps(body).encode())
    for literal in set(BAD_AMOUNTS) - {"NaN", "Infinity", "-Infinity", "1e999", "-1e999"}:
        assert not schema.is_valid(json.loads(spelled(literal)))
    for bad in ([AMOUNTS] * 1025, {}, {**AMOUNTS, "sexo": "F"}, {**AMOUNTS, "credit_limit": 0}):
        assert not schema.is_valid(bad)


def test_the_schema_of_answers_describes_them(centroids: Matrix) -> None:
    schema = jsonschema_rs.validator_for(answers.schema_of_output())
    predictions = explained(amounts.spread(3), centroids)
    predictions[0].alternatives = [answers.Alternative("payments", 12.34, 1, 0.0625)]

    assert schema.is_valid(json.loads(answers.write(predictions, single=False)))
    assert schema.is_valid(json.loads(answers.write(predictions, single=True)))
    assert schema.is_valid(json.loads(answers.write(answers.bare(np.array([3])), single=True)))
    assert not schema.is_valid({"runner_up": 1})
