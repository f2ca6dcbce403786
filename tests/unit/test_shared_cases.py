"""Every process takes the same applicants and refuses the same, but where the table says so."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from pydantic_core import from_json

from evaluation_api.decision import sentences
from evaluation_api.decision.domain import FEATURES, Applicant
from evaluation_api.decision.errors import InvalidRequestError
from evaluation_api.web import requests
from model_store import features
from model_store.serving import requests as model_requests
from portfolio.files import reading
from portfolio.files.amounts import Grammar, Mark
from portfolio.files.header import FIELDS, Header
from portfolio.files.records import Records
from tests.clients import AMOUNTS, MARIA
from tests.shared_cases import TABLE, Case, in_bodies, in_texts

#: What each fault is called in the sentences of the evaluation service, and of the model service.
PORTUGUESE = {
    "missing": "preencha este campo",
    "empty": "preencha este campo",
    "no_number": "informe um número, sem aspas",
    "not_finite": "informe um número finito",
    "no_text": "informe um texto",
    "negative": "não pode ser negativo",
    "zero": "maior que zero",
    "too_large": "o maior valor aceito é 10.000.000",
    "too_short": "pelo menos 10 caracteres",
    "too_long": "use até ",
    "unreadable": "caracteres legíveis",
    "no_letter": "pelo menos uma letra",
    "cpf": "sem CPF",
    "unknown": "não é aceito",
    "unknown_decision": "informe um destes valores: aprovado, analise_manual, recusado",
}
PORTUGUESE_OF_FILES = {
    **PORTUGUESE,
    "no_number": "escreva um número como ",
    "too_many_decimals": "com três casas",
}
ENGLISH = {
    "missing": "missing required field `{field}`",
    "no_number": "`$.{field}`",
    "not_finite": "out of range - at `$.{field}`",
    "negative": "0.0 - at `$.{field}`",
    "zero": "`float` > 0.0 - at `$.{field}`",
    "too_large": "<= 10000000.0 - at `$.{field}`",
    "unknown": "unknown field `{field}`",
}
REVIEW = {"decisao": "aprovado", "justificativa": "Renda comprovada", "revisor": "Ana"}


def each(cases: list[Case]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize("case", cases, ids=[f"{c.field}: {c.what}" for c in cases])


def assert_refused(case: Case, fields: list[Any]) -> None:
    assert [field.pointer for field in fields] == [f"#/{case.field}"]
    assert PORTUGUESE[str(case.fault)] in fields[0].detail


def assert_taken(case: Case, read: Applicant) -> None:
    taken = read.name if case.field == "name" else getattr(read.usage, case.field)
    assert taken == case.value
    assert not str(taken).startswith("-")


@each(in_bodies("request", "amounts", "names", "fields"))
def test_a_request_for_an_evaluation(case: Case) -> None:
    if case.fault is None:
        read = requests.applicant_of(requests.read_applicant_body(case.body(MARIA)))
        assert_taken(case, read)
    else:
        with pytest.raises(InvalidRequestError) as refused:
            requests.read_applicant_body(case.body(MARIA))
        assert_refused(case, refused.value.fields)


@each(in_bodies("request", "reviews"))
def test_a_review(case: Case) -> None:
    if case.fault is None:
        read = requests.ReviewBody.model_validate(from_json(case.body(REVIEW)))
        assert case.value in {read.decisao, read.justificativa, read.revisor}
    else:
        with pytest.raises(ValidationError) as refused:
            requests.ReviewBody.model_validate(from_json(case.body(REVIEW)))
        refusal = requests.refusal(refused.value.errors())
        assert isinstance(refusal, InvalidRequestError)
        assert_refused(case, refusal.fields)


@each(in_bodies("predict", "amounts", "fields"))
def test_a_request_for_a_prediction(case: Case) -> None:
    if case.fault is None:
        assert (
            model_requests.read_clients(case.body(AMOUNTS))[0][0, FEATURES.index(case.field)]
            == case.value
        )
    else:
        with pytest.raises(model_requests.UnreadableRequestError) as refused:
            model_requests.read_clients(case.body(AMOUNTS))
        assert ENGLISH[case.fault].format(field=case.field) in str(refused.value)


def assert_line(case: Case, grammar: Grammar) -> None:
    good = {"name": "Ana", **dict.fromkeys(FEATURES, "1")}
    cells = [pa.array([text]) for text in {**good, case.field: case.sent}.values()]
    header = Header(FIELDS, {field: place for place, field in enumerate(FIELDS)}, 1)

    read = reading.read(Records(np.array([2]), cells, []), header, grammar)

    if case.fault is None:
        assert read.faults == []
        if case.field != "name":
            assert read.frame[case.field].tolist() == [case.value]
    else:
        assert [fault.column for fault in read.faults] == [case.field]
        assert PORTUGUESE_OF_FILES[str(case.fault)] in read.faults[0].reason


@each(in_texts("file", "amounts", "names"))
def test_a_line_of_a_file_with_decimal_commas(case: Case) -> None:
    assert_line(case, Grammar(Mark.COMMA, three_decimals=False))


@each(in_texts("file_point", "amounts"))
def test_a_line_of_a_file_with_decimal_points(case: Case) -> None:
    assert_line(case, Grammar(Mark.POINT, three_decimals=True))


@pytest.mark.parametrize(("amount", "shown"), TABLE["shown"])
def test_a_sentence_shows_an_amount_to_the_nearest_cent(amount: float, shown: str) -> None:
    assert sentences.money(amount) == shown


def test_the_features_have_one_order_and_one_name_each() -> None:
    assert FEATURES == features.FEATURES == tuple(TABLE["features"])
    assert {k: label.capitalize() for k, label in sentences.LABELS.items()} == TABLE["features"]


def test_every_row_is_of_columns_that_somebody_reads() -> None:
    columns = {"what", "fields", "json", "text", "times", "value", "fault"}
    sides = {"request", "predict", "form", "file", "file_point"}
    for section in ("amounts", "names", "fields", "reviews"):
        for row in TABLE[section]:
            assert row.keys() <= columns | sides
            assert row.keys() & {"value", "fault"} or row.keys() & {"file", "form"}
