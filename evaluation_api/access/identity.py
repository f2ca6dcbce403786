"""Who is asking: the value that a request carries once it has been let in, and where it is kept."""

import getpass
import os
import socket
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from starlette.types import Scope

from evaluation_api.decision.names import fold


class Role(StrEnum):
    """What somebody is here for; the values are those of commands, claims and documents."""

    INTEGRATION = "integracao"
    ANALYST = "analista"
    REVIEWER = "revisor"
    MANAGER = "gestor"
    AUDITOR = "auditor"
    OPERATOR = "operador"


class Kind(StrEnum):
    """How somebody came in."""

    KEY = "chave"
    #: By a one-time link: a name that whoever made the link chose.
    LINK = "link"
    #: With a provider's account.
    ACCOUNT = "conta"
    #: From a terminal of the machine that the service runs on.
    COMMAND = "comando"
    #: Where nobody has to say who they are: a laptop's loopback.
    OPEN = "aberto"
    #: Where one has to, and did not.
    UNKNOWN = "desconhecido"


_PEOPLE: Final = frozenset({Kind.LINK, Kind.ACCOUNT})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking. name: the key's or the person's; empty where nobody said. address: whence.

    subject: of an account, what tells it from all others of that name (oidc.subject_of).
    """

    kind: Kind
    name: str
    roles: frozenset[Role]
    address: str = ""
    subject: str = ""
    #: What records call them, as "chave:vendas" or "conta:ana@example.com#Jx8f2KqLm"; None where
    #: nobody said who they are.
    label: str | None = field(init=False)

    def __post_init__(self) -> None:
        """Make the label once, since it is asked for with each request."""
        known = f"{self.name}#{self.subject}" if self.subject else self.name
        object.__setattr__(self, "label", f"{self.kind}:{known}" if self.name else None)

    def may_be(self, label: str) -> bool:
        """Tell whether what a record calls somebody is, or may be, who is asking.

        A person may have come in by another way, have another name at the provider since then, or
        one that somebody wrote a little otherwise.
        """
        kind, _, named = label.partition(":")
        if label == self.label or not {kind, self.kind} <= _PEOPLE:
            return label == self.label
        name, _, subject = named.rpartition("#") if kind == Kind.ACCOUNT else (named, "", "")
        return fold(name) == fold(self.name) or (subject != "" and subject == self.subject)


_KEPT: Final = "evaluation_api.identity"
_ANYBODY: Final = Identity(Kind.OPEN, "", frozenset(Role))
UNKNOWN: Final = Identity(Kind.UNKNOWN, "", frozenset())


def keep(scope: Scope, identity: Identity) -> None:
    """Have a request carry who asks; its address is the connection's, so that this costs little."""
    scope[_KEPT] = identity


def identity_of(scope: Scope) -> Identity:
    """Return who asks, with the address; somebody who may do everything where access is open."""
    client = scope.get("client")
    return replace(_kept(scope), address=client[0] if client else "")


def label_of(scope: Scope) -> str | None:
    """Return what records call who asks: identity_of(scope).label, for who is in a hurry."""
    return _kept(scope).label


def _kept(scope: Scope) -> Identity:
    asking: Identity = scope.get(_KEPT, _ANYBODY)
    return asking


def of_terminal() -> Identity:
    """Return who runs a command: the account's name, or its number where it has none."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's account stands in no list
        name = f"uid {os.getuid()}"
    return Identity(Kind.COMMAND, name, frozenset(Role), socket.gethostname())
