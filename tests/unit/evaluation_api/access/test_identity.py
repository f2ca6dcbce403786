"""Who is asking, as a request carries it and as a record calls it."""

from evaluation_api.access import identity
from evaluation_api.access.identity import Identity, Kind, Role

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
