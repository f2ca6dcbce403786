"""Who is asking, as a request carries it and as a record calls it."""

from dataclasses import replace

import pytest

from evaluation_api.access import identity, oidc
from evaluation_api.access.identity import Identity, Kind, Role
from evaluation_api.decision.errors import UnidentifiedError
from evaluation_api.decision.limits import LONGEST_LABEL, LONGEST_NAME

ADDRESS = ("203.0.113.7", 4711)


def test_where_access_is_open_anybody_may_do_everything_and_has_no_name() -> None:
    asking = identity.identity_of({"client": ADDRESS})

    assert asking == Identity(Kind.OPEN, "", frozenset(Role), "203.0.113.7")
    assert asking.label is None


def test_a_request_carries_who_asks_and_from_where() -> None:
    scope = {"client": ADDRESS}
    identity.keep(scope, Identity(Kind.KEY, "vendas", frozenset({Role.INTEGRATION})))

    asking = identity.identity_of(scope)

    assert (asking.label, asking.address) == ("chave:vendas", "203.0.113.7")


def test_a_connection_without_an_address_has_an_empty_one() -> None:
    assert identity.identity_of({"client": None}).address == ""


def test_a_command_is_of_the_account_that_runs_it() -> None:
    asking = identity.of_terminal()

    assert asking.kind is Kind.COMMAND
    assert asking.name
    assert asking.address


ANA = Identity(Kind.ACCOUNT, "ana@example.com", frozenset(), subject="Jx8f2KqLm")


def test_the_ways_in_are_told_apart_in_what_a_record_calls_people() -> None:
    """Whoever makes a link named like an account is another in the record."""
    linked = Identity(Kind.LINK, ANA.name, frozenset())
    other = replace(ANA, subject="another.1")

    assert [ANA.label, linked.label, other.label] == [
        "conta:ana@example.com#Jx8f2KqLm",
        "link:ana@example.com",
        "conta:ana@example.com#another.1",
    ]


@pytest.mark.parametrize(
    ("label", "is_hers"),
    [
        ("conta:ana@example.com#Jx8f2KqLm", True),
        ("conta:ana.souza@example.com#Jx8f2KqLm", True),
        ("conta:ana@example.com#another.1", True),
        ("conta:bia@example.com#another.1", False),
        ("link:ana@example.com", True),
        ("link:Ana@Example.com", True),
        ("link:ana\u200b@example.com ", True),
        ("link:ana@example.com#Jx8f2KqLm", False),
        ("link:bia@example.com", False),
        ("chave:ana@example.com", False),
        ("comando:ana@example.com", False),
    ],
)
def test_what_a_person_may_have_made_by_another_way_in_or_under_another_name_is_their_own(
    label: str,
    is_hers: bool,  # noqa: FBT001 - a case
) -> None:
    assert ANA.may_be(label) is is_hers


def test_who_has_a_link_or_a_key_is_no_account_of_another_name() -> None:
    for kind in (Kind.LINK, Kind.KEY):
        assert not Identity(kind, "Bia", frozenset()).may_be("conta:ana@example.com#Bia")
    assert not Identity(Kind.LINK, "", frozenset()).may_be("conta:Ana#")


@pytest.mark.parametrize(
    "written",
    ["ana élia", "ANA ÉLIA", "Ana E\u0301lia", "Ana  Élia", "Ana\u00a0É\u00adlia", "Ana Elia"],
)
def test_who_is_written_otherwise_may_be_the_same_person(written: str) -> None:
    """Whoever makes the second link writes the name as they like."""
    assert Identity(Kind.LINK, "Ana Élia", frozenset()).may_be(f"link:{written}")


def test_an_account_is_known_by_issuer_and_subject_whatever_its_name() -> None:
    claims = {"iss": "https://one.example", "sub": "7", "email": "ana@example.com"}
    others = [{**claims, "iss": "https://other.example"}, {**claims, "sub": "8"}]

    assert oidc.subject_of({**claims, "email": "bia@example.com"}) == oidc.subject_of(claims)
    assert len({oidc.subject_of(one) for one in (claims, *others)}) == 3
    longest = Identity(Kind.ACCOUNT, "a" * LONGEST_NAME, frozenset(), "", oidc.subject_of(claims))
    assert len(longest.label or "") == LONGEST_LABEL


def test_what_a_provider_tells_of_another_account_is_not_taken() -> None:
    claims = {"iss": "https://one.example", "sub": "7"}

    assert oidc.joined(claims, {"sub": "7", "groups": ["ti"]}) == {**claims, "groups": ["ti"]}
    for of_another in ({"sub": "8", "groups": ["ti"]}, {"groups": ["ti"]}):
        with pytest.raises(UnidentifiedError):
            oidc.joined(claims, of_another)
