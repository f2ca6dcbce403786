"""What callers may send: each refusal names its fields in Portuguese."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from evaluation_api.client_files.requests import RespostasBody
from evaluation_api.decision.domain import Applicant, CardUsage, sent_key
from evaluation_api.decision.errors import InvalidRequestError, MalformedJsonError
from evaluation_api.web import requests
from tests.clients import BAD_AMOUNTS, BAD_NAMES, MALFORMED, MARIA, Bad

MARIAS = Applicant("Maria", CardUsage(1055.0, 3345.0, 147.0, 3854.0, 3233.0))


def applicant(body: bytes) -> Applicant:
    return requests.applicant_of(requests.read_applicant_body(body))


def test_a_good_request_is_read() -> None:
    assert applicant(json.dumps(MARIA).encode()) == MARIAS


def test_whole_numbers_are_numbers_and_a_name_is_trimmed() -> None:
    body = json.dumps({**MARIA, "name": "  José  ", "balance": 7}).encode()

    read = applicant(body)

    assert (read.name, read.usage.balance) == ("José", 7.0)


@pytest.mark.parametrize(
    "bad", [*BAD_AMOUNTS.values(), *BAD_NAMES.values()], ids=[*BAD_AMOUNTS, *BAD_NAMES]
)
def test_every_wrong_field_is_named(bad: Bad) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        applicant(bad.body)

    assert {field.pointer for field in refused.value.fields} == set(bad.pointers)


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_refused_as_such(bad: Bad) -> None:
    with pytest.raises(MalformedJsonError):
        applicant(bad.body)


@pytest.mark.parametrize(
    ("body", "sent", "said"),
    [
        (
            requests.ReviewBody,
            {"decisao": "aprovado", "justificativa": "Sem renda.", "revisor": "A", "motivo": "x"},
            (
                "Motivo: informe um destes valores: renda, documentos, relacionamento,"
                " dados_incorretos, outro_risco, outro."
            ),
        ),
        (
            RespostasBody,
            {"decimais": "x"},
            "Decimais: informe um destes valores: virgula, ponto.",
        ),
        (
            RespostasBody,
            {"repetidas": "x"},
            "Repetidas: informe um destes valores: so_novas, todas.",
        ),
        (
            requests.SearchBody,
            {"decisao": "x"},
            "Decisão: informe um destes valores: aprovado, analise_manual, recusado.",
        ),
    ],
)
def test_a_code_that_is_none_is_answered_with_those_of_its_field(
    body: type[BaseModel], sent: dict[str, str], said: str
) -> None:
    with pytest.raises(ValidationError) as invalid:
        body.model_validate_json(json.dumps(sent))

    refused = requests.refusal(invalid.value.errors())
    assert isinstance(refused, InvalidRequestError)
    assert [field.detail for field in refused.fields] == [said]


@pytest.mark.parametrize("first", ['"payments": 9000', '"p\\u0061yments": 9000', '"name": ""'])
def test_a_field_that_stands_twice_is_refused_since_nobody_knows_which_is_meant(first: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        requests.read_applicant_body(f"{{{first}, {json.dumps(MARIA)[1:]}".encode())
    assert [field.detail.partition(": ")[2] for field in refused.value.fields] == [
        "informe uma só vez."
    ]


def test_quotes_in_a_name_are_no_further_fields() -> None:
    sent = requests.read_applicant_body(json.dumps(MARIA | {"name": 'Ana "Nina" Sá'}).encode())
    assert sent.name == 'Ana "Nina" Sá'


def test_a_pointer_escapes_what_pointers_are_made_of() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        applicant(json.dumps({**MARIA, "a/b~c": 1}).encode())

    assert refused.value.fields[0].pointer == "#/a~1b~0c"


@pytest.mark.parametrize("name", ["f{number}", "f{number}".ljust(60, "~")])
def test_of_very_many_wrong_fields_the_first_are_named_and_all_are_counted(name: str) -> None:
    strangers = {name.format(number=number): 1 for number in range(7_500)}
    with pytest.raises(InvalidRequestError) as refused:
        applicant(json.dumps({**MARIA, **strangers}).encode())

    assert [field.pointer for field in refused.value.fields[:1]] == [
        "#/" + name.format(number=0).replace("~", "~0")
    ]
    assert (len(refused.value.fields), refused.value.count) == (20, 7_500)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*MARIA, "x"]), inner, max_size=6)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_anything_else_is_refused_and_never_breaks(body: bytes) -> None:
    with pytest.raises((InvalidRequestError, MalformedJsonError)):
        applicant(body)


@pytest.mark.parametrize("key", ["", "a" * 256, "with space", "tab\t", "ação", "\x7f"])
def test_a_key_that_is_not_visible_ascii_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        requests.read_key([key], MARIAS)

    assert refused.value.fields[0].pointer == "Idempotency-Key"


@pytest.mark.parametrize("key", ["a", "!~", "a" * 255])
def test_a_key_is_taken_with_what_it_was_used_for(key: str) -> None:
    read = requests.read_key([key], MARIAS)

    other = requests.read_key([key], Applicant("José", MARIAS.usage))
    assert read is not None
    assert other is not None
    assert read.key == other.key == key
    assert read.fingerprint != other.fingerprint
    assert read == requests.read_key([key], MARIAS)


def test_a_key_is_kept_with_who_sent_it_where_they_had_to_say() -> None:
    read = requests.read_key(["k"], MARIAS, "conta:Ana P#x")

    assert read is not None
    assert read.key == "conta:Ana P#x k"
    assert sent_key(read.key) == ("k", "conta:Ana P#x")
    assert sent_key("k") == ("k", None)


def test_a_request_needs_no_key() -> None:
    assert requests.read_key([], MARIAS) is None


def test_days_are_days_of_sao_paulo_and_inclusive() -> None:
    search = requests.search_of(
        requests.SearchQuery.model_validate({"de": "2026-11-01", "ate": "2026-11-01"})
    )

    assert search.since == datetime(2026, 11, 1, 3, tzinfo=UTC)
    assert search.until == datetime(2026, 11, 2, 3, tzinfo=UTC)


def test_a_search_is_for_anything_by_default() -> None:
    search = requests.search_of(requests.SearchQuery())

    assert search.limit == 20
    assert {search.outcome, search.cluster, search.since, search.name, search.before_id} == {None}


def test_a_key_of_an_earlier_release_still_stands_for_the_same_request() -> None:
    read = requests.read_key("k", MARIAS)

    assert read is not None
    assert read.fingerprint == ("1c60ed4e86876a1c3277286ad4c3d3f581571460335cf66e7f98e8a8ebcf6f10")


def test_two_keys_are_refused_though_they_are_the_same() -> None:
    with pytest.raises(InvalidRequestError):
        requests.read_key(["a", "a"], MARIAS)


@pytest.mark.parametrize(
    "sent",
    [
        ["respond-async"],
        ["Respond-Async"],
        ["wait=10", "respond-async"],
        ["return=minimal, respond-async;x=1"],
        ['foo="a, b", respond-async'],
    ],
)
def test_a_caller_prefers_to_wait_who_says_so_in_any_way_of_rfc_7240(sent: list[str]) -> None:
    assert requests.prefers_async(sent)


@pytest.mark.parametrize(
    "sent",
    [
        [""],
        ["not-respond-async"],
        ["respond-async=no"],
        ['foo="respond-async"'],
        ['foo="a, respond-async, b"'],
        [r'foo="\", respond-async'],
        ["wait=10; respond-async"],
    ],
)
def test_no_other_caller_does(sent: list[str]) -> None:
    assert not requests.prefers_async(sent)
