"""The model owner's commands, from training to rolling back: python -m model_store --help.

Prints to people; every refusal is one sentence on standard error and exit code 2.
"""

import argparse
import json
import logging
import os
import signal
import sys
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from model_store import publications, registry, workers
from model_store.errors import ModelStoreError, TrainingRefused
from model_store.features import FEATURES
from model_store.ledger import Ledger
from model_store.pickles.foreign import printable

REFUSED: Final = 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, or 2 after one sentence on standard error."""
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        chosen.run(chosen)
        sys.stdout.flush()
    except ModelStoreError as refusal:
        return _refuse(str(refusal))
    except BrokenPipeError:  # as other programs before `| head`; Python ignores the signal
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    except KeyboardInterrupt:
        return _refuse("Interrupted.")
    except OSError as exc:
        # Of a copy that finds no room the second is the one.
        return _refuse(f"{exc.filename2 or exc.filename}: {exc.strerror}.")
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{printable(sentence)}\n")
    return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m model_store", description="The clustering model.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train on the data set's CSV and write the pickle")
    train.add_argument("--data", type=Path, required=True, help="the CSV (see docs/model.md)")
    train.add_argument("--output", type=Path, required=True, help="where to write the pickle")
    train.add_argument("--replace", action="store_true", help="also over a file that is there")
    train.add_argument("--report", type=Path, metavar="FOLDER", help="write the plot there")
    train.set_defaults(run=_train)

    importing = commands.add_parser("import", help="bring a pickle into the store")
    importing.add_argument("path", type=Path, nargs="?", help="default: what is published")
    importing.add_argument(
        "--columns",
        type=_columns,
        metavar="A,B,C,D,E",
        help=f"the order in which the model takes {', '.join(FEATURES)}, if the file does not say",
    )
    importing.set_defaults(run=_import)

    listing = commands.add_parser("list", help="what is published and served, and the rest")
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="what is recorded of a version, as JSON")
    show.add_argument("tag", nargs="?", help="default: the published one")
    show.set_defaults(run=_show)

    promote = commands.add_parser("promote", help="publish a version, unless its labels moved")
    promote.add_argument("tag")
    promote.add_argument("--dry-run", action="store_true", help="print the line, and write nothing")
    promote.set_defaults(run=_promote)

    rollback = commands.add_parser("rollback", help="publish again what was published before")
    rollback.set_defaults(run=_rollback)

    baseline = commands.add_parser(
        "baseline", help="what versions are measured against from now on"
    )
    baseline.add_argument("tag")
    baseline.set_defaults(run=_set_baseline)
    for signed in (promote, rollback, baseline):
        signed.add_argument("--why", required=True, help="the reason, kept in the history")
        signed.add_argument("--by", help="who decides; default: this account")
    return parser


def _columns(text: str) -> list[str]:
    """Read --columns. Raises ArgumentTypeError."""
    names = [name.strip().lower() for name in text.split(",")]
    if sorted(names) != sorted(FEATURES):
        raise argparse.ArgumentTypeError(f"name each of {', '.join(FEATURES)} once, in order")
    return names


def _train(chosen: argparse.Namespace) -> None:
    from model_store import report, stability, training  # noqa: PLC0415 - scikit-learn: a second

    if chosen.output.exists() and not chosen.replace:
        raise TrainingRefused(f"{chosen.output} is there: name another --output, or say --replace.")
    if not chosen.output.parent.is_dir():
        raise TrainingRefused(f"There is no folder {chosen.output.parent} to write to.")
    if chosen.report and find_spec("matplotlib") is None:
        raise TrainingRefused("--report needs matplotlib: make .venv/dev.stamp installs it.")
    model = training.train(chosen.data)
    judged = {"scores": report.scores(model), "stability": stability.of(model)}
    print(report.text(model, judged["scores"]))
    training.save(model, chosen.output, judged)
    if chosen.report:
        print(f"plot: {report.draw(model, chosen.report)}")


def _import(chosen: argparse.Namespace) -> None:
    if chosen.path:
        tag, created = publications.import_pickle(chosen.path, chosen.columns)
    else:
        tag, created = publications.bring_published()
    print(f"{tag} imported" if created else f"{tag} is already there, the same model")


def _list(_chosen: argparse.Namespace) -> None:
    """Print the published version first, then the others, each with the processes it serves in."""
    pin, history = Ledger().published()
    serving = [*workers.notes()]
    if pin and history.since:
        print(
            f"{pin.tag}  published since {history.since.told_in_words}{_served(pin.tag, serving)}"
        )
    for tag in registry.list_versions():
        if pin is None or tag != pin.tag:
            print(f"{tag}{_served(tag, serving)}")
    for reason in sorted({note["refused"] for note in serving if note["refused"]}):
        print(f"{pin and pin.tag} is refused by processes that serve: {reason}")


def _served(tag: str, serving: list[workers.Note]) -> str:
    """Say in how many processes a version serves, and since when the first of them."""
    since = sorted(note["since"] for note in serving if note["serves"].split(" ")[0] == tag)
    if not since:
        return ""
    return (
        f"  serves in {len(since)} {'process' if len(since) == 1 else 'processes'} since {since[0]}"
    )


def _show(chosen: argparse.Namespace) -> None:
    stored = registry.load(chosen.tag) if chosen.tag else publications.load(publications.choose())
    told = {
        "tag": stored.tag,
        "digest": stored.digest,
        **stored.metadata,
        "numbers": None if stored.numbers is None else stored.numbers.as_json(),
        "golden_clients": len(stored.golden.labels),
    }
    print(json.dumps(told, indent=2))


def _promote(chosen: argparse.Namespace) -> None:
    from model_store import promotion  # noqa: PLC0415 - brings scipy

    entry = promotion.promote(chosen.tag, chosen.why, by=chosen.by, dry=chosen.dry_run)
    if entry and chosen.dry_run:
        print(json.dumps(entry.as_json()))
    elif entry:
        print(f"{chosen.tag} is published; services that run serve it within seconds")
    else:
        print(f"{chosen.tag} is already published")


def _rollback(chosen: argparse.Namespace) -> None:
    from model_store import promotion  # noqa: PLC0415 - brings scipy

    entry = promotion.rollback(chosen.why, by=chosen.by)
    print(f"{entry.version.tag} is published again; services that run serve it within seconds")


def _set_baseline(chosen: argparse.Namespace) -> None:
    from model_store import promotion  # noqa: PLC0415 - brings scipy

    promotion.set_baseline(chosen.tag, chosen.why, by=chosen.by)
    print(f"versions are measured against {chosen.tag} from now on")


if __name__ == "__main__":
    os.umask(0o077)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters
    sys.exit(main())
