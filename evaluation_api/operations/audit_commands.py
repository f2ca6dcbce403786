"""The auditor's commands: audit verify, export, head. Knows no SQL.

What was found is said on standard output, a sentence each; with any, the exit code is 1.
"""

import argparse
import sys

from evaluation_api.operations import audit
from evaluation_api.operations.terminal import Commands, record_of
from evaluation_api.record import chain
from evaluation_api.record.chain import Head
from evaluation_api.record.sealer import Seals
from evaluation_api.settings import Settings

_TAMPERED = 1


def add_to(commands: Commands) -> None:
    """Add the commands to a parser's."""
    auditing = commands.add_parser("audit", help="show whether the record was changed by hand")
    what = auditing.add_subparsers(metavar="WHAT", required=True)
    verifying = what.add_parser("verify", help="compare every row with the chain")
    verifying.add_argument("--head", type=_head, metavar="N:HASH", help="a head kept elsewhere")
    verifying.set_defaults(run=_verify)
    exporting = what.add_parser("export", help="print the chain, an entry a line")
    exporting.set_defaults(run=_export)
    heading = what.add_parser("head", help="seal what is recorded; print the head, to be kept")
    heading.set_defaults(run=_print_head)


def _head(text: str) -> Head:
    try:
        return chain.read_head(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is no head, as audit head prints it") from exc


def _verify(chosen: argparse.Namespace, settings: Settings) -> int:
    with record_of(settings) as engine:
        found = audit.verify(engine, chosen.head)
    for sentence in found.faults:
        print(sentence if sentence.isprintable() else ascii(sentence))
    counted = (
        f"{found.evaluations} evaluations, {found.erased} of them erased,"
        f" {found.reviews} reviews, {found.purged} purged"
    )
    print(
        f"{counted}; {found.unsealed} not sealed yet; {len(found.faults)} faults."
        f" Head: {found.head}",
        file=sys.stderr,
    )
    return _TAMPERED if found.faults else 0


def _export(_chosen: argparse.Namespace, settings: Settings) -> int:
    with record_of(settings) as engine:
        for body in chain.ChainLog(engine).bodies():
            print(body)
    return 0


def _print_head(_chosen: argparse.Namespace, settings: Settings) -> int:
    with record_of(settings) as engine:
        Seals(engine).seal_all()
        print(chain.ChainLog(engine).head())
    return 0
