"""python -m evaluation_api keys: lets systems and people in, lists whom, and ends it.

A secret alone goes to standard output, once; what is to be known of it goes to standard error.
"""

import argparse
import sys
from datetime import timedelta
from functools import partial
from typing import Final

from evaluation_api.access.credentials import Credential, CredentialKind, issue
from evaluation_api.access.identity import Role
from evaluation_api.decision import names
from evaluation_api.decision.limits import LONGEST_NAME, is_readable
from evaluation_api.operations.terminal import Commands, read_days, record_of
from evaluation_api.record.credentials import CredentialLog
from evaluation_api.runtime.identity import now
from evaluation_api.settings import Settings

_NOTHING: Final = 1
_MOST_DAYS: Final = 3650
_LINK_LIFETIME: Final = timedelta(hours=1)
_HEADS: Final = ("id", "kind", "name", "begins", "until", "last use", "ended", "roles")
_COLUMNS: Final = "{:<36}  {:<6}  {:<24}  {:<12}  {:<10}  {:<16}  {:<8}  {}"


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("keys", help="let systems and people in, list whom, and end it")
    which = parser.add_subparsers(metavar="WHAT", required=True)

    creating = which.add_parser("create", help="make a system's key, and print it once")
    _add_whom(creating, default=None)
    creating.add_argument(
        "--days", type=partial(read_days, _MOST_DAYS), default="365", help="it holds (365)"
    )
    creating.set_defaults(run=_create)

    linking = which.add_parser("link", help="print an address that signs a person in, once")
    _add_whom(linking, default=[Role.ANALYST])
    linking.add_argument("--if-first", action="store_true", help="only where nobody has come in")
    linking.set_defaults(run=_link)

    which.add_parser("list", help="list what has not run out").set_defaults(run=_list)

    revoking = which.add_parser("revoke", help="end what has this name or id, within 5 s")
    revoking.add_argument("which", metavar="NAME_OR_ID", type=_in_one_form)
    revoking.set_defaults(run=_revoke)


def _add_whom(parser: argparse.ArgumentParser, default: list[Role] | None) -> None:
    parser.add_argument("name", metavar="NAME", type=_name)
    parser.add_argument(
        "--role",
        dest="roles",
        metavar="ROLE",
        choices=[role.value for role in Role],
        nargs="+",
        required=default is None,
        default=default,
        help=f"one or more of {', '.join(Role)}" + (f" ({' '.join(default)})" if default else ""),
    )


def _in_one_form(text: str) -> str:
    return names.in_one_form(text).strip()


def _name(text: str) -> str:
    name = _in_one_form(text)
    if not is_readable(name, LONGEST_NAME) or names.fault(name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name of 1 to {LONGEST_NAME} readable characters"
        )
    return name


def _create(chosen: argparse.Namespace, settings: Settings) -> int:
    roles = frozenset(map(Role, chosen.roles))
    made, secret = issue(CredentialKind.KEY, chosen.name, roles, chosen.days)
    with record_of(settings, may_begin=True) as engine:
        CredentialLog(engine).add(made)
    print(secret)
    _tell(f"{made.name} comes in with it within 5 s, until {made.expires_at:%Y-%m-%d}.")
    return 0


def _link(chosen: argparse.Namespace, settings: Settings) -> int:
    roles = frozenset(map(Role, chosen.roles))
    made, secret = issue(CredentialKind.LINK, chosen.name, roles, _LINK_LIFETIME)
    with record_of(settings, may_begin=True) as engine:
        log = CredentialLog(engine)
        kinds = {one.kind for one in log.everything()}
        if chosen.if_first and CredentialKind.SESSION in kinds:
            return 0
        log.add(made)
    # What follows the # is sent to nobody, and stands in no log.
    print(f"{settings.public_url.rstrip('/')}/entrar.html#{secret}")
    _tell(f"It signs {made.name} in once, until {made.expires_at:%H:%M} UTC.")
    return 0


def _list(_chosen: argparse.Namespace, settings: Settings) -> int:
    with record_of(settings) as engine:
        found = [one for one in CredentialLog(engine).everything() if one.expires_at > now()]
    print(_COLUMNS.format(*_HEADS))
    for one in found:
        print(_COLUMNS.format(*_cells(one)).rstrip())
    return 0


def _cells(one: Credential) -> tuple[str, ...]:
    used = f"{one.used_at:%Y-%m-%d %H:%M}" if one.used_at else "never"
    ended = "revoked" if one.revoked_at else ""
    until = f"{one.expires_at:%Y-%m-%d}"
    return one.id, one.kind, one.name, one.hint, until, used, ended, ",".join(sorted(one.roles))


def _revoke(chosen: argparse.Namespace, settings: Settings) -> int:
    with record_of(settings) as engine:
        ended = CredentialLog(engine).revoke(chosen.which)
    _tell(f"{ended} ended; replicas that run know it within 5 s.")
    return 0 if ended else _NOTHING


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr)
