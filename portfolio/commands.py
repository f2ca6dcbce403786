"""The commands on many clients at once.

Prints to people. Exit codes: 0 every line is decided, and all is well; 1 some lines are not, and
the result says why, or a promise does not hold; 2 nothing was done, for the one reason printed, or
for a fault of this program.
"""

import argparse
import gc
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd
from pydantic import ValidationError

from evaluation_api.decision import policy_file, sentences
from evaluation_api.decision.earlier_policy import ProfilePolicy
from evaluation_api.decision.errors import EvaluationError, PolicyError, RecordUnavailableError
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.decision.sentences import COLUMNS
from evaluation_api.settings import Settings, wrong_settings
from model_store import publications, reference, registry
from model_store.errors import ModelStoreError
from model_store.geometry import Labels
from portfolio import comparison, drift, report, score, trials
from portfolio.files import room, writing
from portfolio.files.amounts import Grammar, Mark
from portfolio.files.errors import AmbiguousMarkError, MissingColumnsError, UnreadableFileError
from portfolio.files.header import FIELDS, Choices
from portfolio.frames import Floats, InvalidAmountError
from portfolio.profiler import StoredProfiler

if TYPE_CHECKING:
    from portfolio.in_record import Record
    from portfolio.recording import Recording

DECIDED: Final = 0
FAULTY_LINES: Final = 1
UNPROMISED: Final = 1
DRIFTED: Final = 1
REFUSED: Final = 2

_BAR: Final = 30
_LOOK_SECONDS: Final = 0.2


class Refusal(Exception):  # noqa: N818 - a command's word for it
    """Why a command does nothing; one sentence."""


_REASONS: Final = (
    Refusal,
    UnreadableFileError,
    PolicyError,
    ModelStoreError,
    EvaluationError,
    InvalidAmountError,
)
#: What a table is written as, and what a plot is.
_TABLES: Final = (".csv", ".tsv", ".txt", ".parquet")
_PLOTS: Final = (".svg", ".png", ".pdf")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        _require_order(chosen)
        return int(chosen.run(chosen))
    except RecordUnavailableError as exc:
        sentence = f"The database cannot be used: {exc}"
    except _REASONS as exc:
        sentence = str(exc) + _way_out(exc)
    except ValidationError as exc:
        sentence = wrong_settings(exc, Settings)
    except OSError as exc:
        sentence = ": ".join(str(part) for part in (exc.filename, exc.strerror or exc) if part)
    except KeyboardInterrupt:
        sentence = "Interrupted."
    except Exception:  # noqa: BLE001 - Python's own exit code would say that lines are faulty
        sentence = traceback.format_exc()
    sys.stderr.write(f"{report.readable(sentence)}\n")
    return REFUSED


def _way_out(exc: Exception) -> str:
    """Return by which options a file's question is answered, if it has asked one."""
    if isinstance(exc, AmbiguousMarkError):
        return f" Aqui se diz com --decimals {' ou --decimals '.join(Mark)}."
    if isinstance(exc, MissingColumnsError) and len({*exc.columns}) == len(exc.columns):
        others = ", e assim cada uma" if len(exc.fields) > 1 else ""
        return f' Aqui se diz com --map "{COLUMNS[exc.fields[0]]}=COLUNA"{others}.'
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m portfolio", description="Many clients at once.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    scoring = commands.add_parser("score", help="decide every client of a file")
    _add_file(scoring)
    scoring.add_argument("-o", "--output", type=Path, required=True, help="CSV or .parquet")
    scoring.add_argument("--overwrite", action="store_true", help="even if there is a file already")
    scoring.add_argument(
        "--record", action="store_true", help="in EVALUATION_DATABASE_URL; a file once, not twice"
    )
    scoring.add_argument("--again", action="store_true", help="record what was recorded once more")
    scoring.set_defaults(run=_score)

    exporting = commands.add_parser("export", help="what the record holds, by columns")
    exporting.add_argument("view", nargs="?", choices=["decisoes", "revisoes"], default="decisoes")
    _add_times(exporting, required=True)
    exporting.add_argument("-o", "--output", type=Path, required=True, help="CSV or .parquet")
    exporting.add_argument("--overwrite", action="store_true", help="a file that is there already")
    exporting.set_defaults(run=_export)

    comparing = commands.add_parser(
        "compare", help="two versions of the model, on the same clients"
    )
    comparing.add_argument("a", metavar="A", help="a version in BentoML's store")
    comparing.add_argument("b", metavar="B", help="another one")
    _add_population(comparing, "--data")
    comparing.add_argument("--changes", type=Path, metavar="OUT.csv", help="who changes")
    comparing.set_defaults(run=_compare)

    drifting = commands.add_parser("drift", help="are clients still like those of the training")
    _add_population(drifting, "--file")
    drifting.add_argument(
        "--reference", type=Path, metavar="CSV", help="the training's, where the version lacks it"
    )
    drifting.add_argument(
        "--reference-name", metavar="COLUMN", help="the column that names them; else --name's"
    )
    drifting.set_defaults(run=_drift)

    commands.add_parser("worker", help="decide the files that the page sends, until told to stop")

    policy = commands.add_parser("policy", help="look at a policy before it decides")
    steps = policy.add_subparsers(required=True, metavar="STEP")
    checking = steps.add_parser("check", help="read a policy, try its cases and its promise")
    checking.add_argument("policy", type=Path)
    checking.set_defaults(run=_check)
    trying = steps.add_parser("try", help="say what it would decide otherwise, and of whom")
    trying.add_argument("policy", type=Path)
    _add_file(trying, "--file")
    trying.add_argument("--record", action="store_true", help="what is recorded, and not a file")
    _add_times(trying)
    trying.add_argument("--divide", type=_positive, default=1, help="amounts by this, into reais")
    trying.add_argument("--outcome", metavar="COLUMN", help="1 where a client did not pay")
    trying.add_argument("--group", metavar="COLUMN", help="compares approval rates; never stored")
    trying.add_argument("--reach", type=_positive, default=0.5, help="how much worse twins are")
    trying.add_argument("--json", type=Path, metavar="OUT", help="all that was found")
    trying.add_argument("--plot", type=Path, metavar="OUT.svg", help="before and after, drawn")
    trying.add_argument("--changes", type=Path, metavar="OUT.csv", help="whose decision changes")
    trying.set_defaults(run=_try)
    return parser


def _add_file(parser: argparse.ArgumentParser, name: str = "file", **options: Any) -> None:  # noqa: ANN401 - argparse's own
    parser.add_argument(name, type=Path, help="CSV, .xlsx or .parquet", **options)
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        type=_mapping,
        metavar="saldo_devedor=BALANCE",
        help="which column holds what, where its name does not say it",
    )
    parser.add_argument("--name", metavar="COLUMN", help="the column that names the clients")
    parser.add_argument(
        "--decimals", type=_mark, metavar="{virgula,ponto}", help="what stands before them"
    )


def _add_population(parser: argparse.ArgumentParser, name: str) -> None:
    _add_file(parser, name, dest="file")
    parser.add_argument("--record", action="store_true", help="what is recorded, and not a file")
    _add_times(parser)
    parser.add_argument("--json", type=Path, metavar="OUT", help="all that was found")


def _add_times(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    days = "2026-11-01, a time of it, or 90d: days ago"
    parser.add_argument("--since", required=required, type=_time, metavar="DATE", help=days)
    parser.add_argument(
        "--until", default="0d", type=_time, metavar="DATE", help="before it, or now"
    )


def _require_order(chosen: argparse.Namespace) -> None:
    """Raise Refusal for a stretch of time that ends before it begins."""
    since, until = getattr(chosen, "since", None), getattr(chosen, "until", None)
    if since and until and since > until:
        raise Refusal(f"--since is after --until: {since:%Y-%m-%d %H:%M} UTC.")


def _time(text: str) -> datetime:
    """Read a time, as this machine's clock has it where no zone is told."""
    days, _, rest = text.partition("d")
    try:
        if days.isdecimal() and not rest:
            return datetime.now(UTC) - timedelta(days=int(days))
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 2026-11-01 or 90d") from exc


def _mark(text: str) -> Mark:
    try:
        return Mark(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is neither virgula nor ponto") from exc


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if 0 < number < math.inf:
        return number
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def _mapping(text: str) -> tuple[str, str]:
    field_of = {column: field for field, column in COLUMNS.items()} | {f: f for f in FIELDS}
    field, equals, column = text.partition("=")
    if not equals or field not in field_of:
        fields = ", ".join(COLUMNS.values())
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like saldo_devedor=BALANCE; before = stands one of {fields}"
        )
    return field_of[field], column


def _choices(chosen: argparse.Namespace, name: str | None = None) -> Choices:
    columns = dict(chosen.map)
    if name := name or chosen.name:
        columns["name"] = name
    return Choices(columns)


def _score(chosen: argparse.Namespace) -> int:
    if chosen.again and not chosen.record:
        raise Refusal("--again goes with --record.")
    _require_target(chosen.output, _TABLES, read=[chosen.file], may_replace=chosen.overwrite)
    if chosen.record and not chosen.file.is_file():
        raise Refusal(f"{chosen.file}: what is recorded is read twice; save it as a file first.")
    policy, source = policy_file.read(Settings().policy_path)
    profiler = _profiler()
    with ExitStack() as stack:
        recorded = None
        if chosen.record:
            record = stack.enter_context(_record(may_begin=True))
            criteria = _criteria(chosen, policy, profiler)
            begun = record.recording(
                chosen.file, criteria, (policy, source), profiler, again=chosen.again
            )
            recorded = stack.enter_context(begun)
        gc.freeze()  # what is loaded by now stays
        bar = stack.enter_context(_Bar())
        scoring = score.Scoring(policy, profiler, bar, recorded)
        totals = scoring.run(chosen.file, chosen.output, _choices(chosen), chosen.decimals)
    print(_told(totals, recorded))
    return FAULTY_LINES if totals.faulty else DECIDED


def _criteria(
    chosen: argparse.Namespace, policy: AnyPolicy, profiler: StoredProfiler
) -> dict[str, Any]:
    """Return by what a file is read and decided."""
    return {
        "policy": policy.version,
        "model": profiler.model.sha256,
        "columns": dict(_choices(chosen).columns),
        "decimals": chosen.decimals,
    }


def _told(totals: score.Totals, recorded: "Recording | None") -> str:
    counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(totals.decided.items()))
    told = f"{totals.lines} lines: {counted or 'none decided'}, {totals.faulty} faulty"
    if recorded is not None:
        told += f"; {recorded.now - recorded.before} recorded"
        if recorded.before:
            told += f", {recorded.before} were on {recorded.received_at:%Y-%m-%d %H:%M} UTC"
    if totals.is_cut_short:
        told += "\nThe file does not end with a line break and may be cut: look at its last line."
    return told


def _export(chosen: argparse.Namespace) -> int:
    _require_target(chosen.output, _TABLES, read=[], may_replace=chosen.overwrite)
    is_csv = chosen.output.suffix.lower() != ".parquet"
    count = 0
    grammar = Grammar(Mark.COMMA, three_decimals=True)
    with _record() as record, writing.result(chosen.output, ";", grammar) as sink:
        for table in record.exported(chosen.view, chosen.since, chosen.until):
            sink.write(writing.harmless_table(table) if is_csv else table)
            count += len(table)
    print(f"{count} rows of {chosen.view}")
    return DECIDED


def _record(*, may_begin: bool = False) -> AbstractContextManager["Record"]:
    """Open the record that the settings name, or begin it."""
    from portfolio import in_record  # noqa: PLC0415 - says why itself

    return in_record.opened(Settings().database_url.get_secret_value(), may_begin=may_begin)


def _require_reports(chosen: argparse.Namespace, *read: Path | None) -> None:
    """Find out the same of what is written beside the answer; reports of before are replaced."""
    kinds: dict[str, Sequence[str]] = {"json": (), "plot": _PLOTS, "changes": (".csv",)}
    for name, suffixes in kinds.items():
        if target := getattr(chosen, name, None):
            _require_target(target, suffixes, read=list(filter(None, read)), may_replace=True)
            if name == "plot" and find_spec("matplotlib") is None:
                raise Refusal("--plot needs matplotlib: make .venv/dev.stamp installs it.")


def _require_target(
    target: Path, suffixes: Sequence[str], *, read: Sequence[Path], may_replace: bool
) -> None:
    """Find out before the work, and not after it, what cannot be read or written.

    suffixes: one of which the target has, if any are named. read: what must stay as it is. Raises
    Refusal or OSError.
    """
    for source in read:
        if not source.is_fifo():  # whoever writes to a pipe sees that it was closed
            source.open("rb").close()
        if target.exists() and not target.is_dir() and target.samefile(source):
            raise Refusal(f"{target}: this is the file to read.")
    if target.is_dir():
        raise Refusal(f"{target}: this is a folder.")
    if suffixes and target.suffix.lower() not in suffixes:
        raise Refusal(f"{target}: its name ends in none of {', '.join(suffixes)}.")
    if target.exists() and not may_replace:
        raise Refusal(f"{target}: there is a file already; --overwrite replaces it.")
    if not os.access(target.parent, os.W_OK):
        raise Refusal(f"{target.parent}: no folder that can be written to.")


def _profiler() -> StoredProfiler:
    """Open the published model. Raises ModelStoreError."""
    return StoredProfiler(publications.load(publications.choose()))


class _Bar:
    """Draws how far a file is, over itself; where nobody watches, nothing."""

    def __init__(self) -> None:
        self._begun, self._drawn = time.monotonic(), 0.0
        self._shown = sys.stderr.isatty()

    def __call__(self, lines: int, done: float) -> None:
        now = time.monotonic()
        if not self._shown or now - self._drawn < _LOOK_SECONDS:
            return
        self._drawn = now
        bar = "#" * round(done * _BAR)
        rate = lines / (now - self._begun)
        sys.stderr.write(f"\r[{bar:.<{_BAR}}] {done:4.0%}  {lines:,} lines  {rate:,.0f}/s\x1b[K")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Leave the line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")


def _check(chosen: argparse.Namespace) -> int:
    """Read a policy and try its cases, which reading does; compare its promise with the model's."""
    policy, _ = policy_file.read(chosen.policy)
    print(f"{policy.name}, version {policy.version}: its cases come out as it says.")
    if isinstance(policy, ProfilePolicy):
        print("It knows no facts, so that it promises nothing.")
        return DECIDED
    model = _profiler().model
    if policy.is_promised(model):
        print(f"Its promise holds for {model.tag}.")
        return DECIDED
    broken = policy.broken_borders(model)
    borders = [sentences.border(border, policy.profiles) for border in broken or ()]
    reasons = " ".join(borders) or "The model has no geometry."
    print(f"Its promise does not hold for {model.tag}: refusals become a person's. {reasons}")
    return UNPROMISED


def _try(chosen: argparse.Namespace) -> int:
    if (chosen.file is None) is not chosen.record:
        raise Refusal("Of --file and --record, one says of whom.")
    _require_reports(chosen, chosen.policy, chosen.file)
    found, changes = _tried_on_record(chosen) if chosen.record else _tried_on_file(chosen)
    sys.stdout.write(report.text(found))
    _write_json(chosen, found)
    if chosen.plot:
        report.draw(found, chosen.plot)
    if chosen.changes:
        writing.write_frame(changes, chosen.changes)
    return DECIDED


def _tried_on_file(chosen: argparse.Namespace) -> tuple[dict[str, Any], pd.DataFrame]:
    present, _ = policy_file.read(Settings().policy_path)
    proposed, _ = policy_file.read(chosen.policy)
    clients = _read(chosen.file, chosen, trials.Extra(chosen.outcome, chosen.group, chosen.divide))
    return trials.run(clients, present, proposed, _profiler(), chosen.reach)


def _tried_on_record(chosen: argparse.Namespace) -> tuple[dict[str, Any], pd.DataFrame]:
    if chosen.since is None or chosen.outcome or chosen.group:
        raise Refusal("--record goes with --since; --outcome and --group are columns of a file.")
    proposed, _ = policy_file.read(chosen.policy)
    with _record() as record:
        return trials.run_recorded(_decided(chosen, record), proposed, record.as_met)


def _compare(chosen: argparse.Namespace) -> int:
    _require_population(chosen)
    a, b = (StoredProfiler(registry.load(_tag(name))) for name in (chosen.a, chosen.b))
    policy, _ = policy_file.read(Settings().policy_path)
    clients = _population(chosen)
    found, changes = comparison.run(clients.who, clients.amounts, policy, a, b)
    sys.stdout.write(comparison.text(found))
    _write_json(chosen, found)
    if chosen.changes:
        writing.write_frame(changes, chosen.changes)
    return DECIDED


def _tag(name: str) -> str:
    return name if ":" in name else f"{registry.NAME}:{name}"


def _drift(chosen: argparse.Namespace) -> int:
    _require_population(chosen, chosen.reference)
    profiler = _profiler()
    clients = _population(chosen)
    found = drift.measure(_spread(chosen, profiler), *_placed(clients, profiler))
    sys.stdout.write(drift.text(found))
    _write_json(chosen, found)
    return DRIFTED if found["drifted"] else DECIDED


def _spread(chosen: argparse.Namespace, profiler: StoredProfiler) -> dict[str, reference.Spread]:
    """Return how the clients of the training are spread: as a file has them, or the version."""
    if chosen.reference is not None:
        clients = _read(chosen.reference, chosen, trials.Extra(), chosen.reference_name)
        return reference.of(*_placed(clients, profiler))
    told: dict[str, reference.Spread] | None = profiler.metadata.get("reference")
    if not reference.is_one(told) or told is None:
        raise Refusal(
            f"{profiler.model.tag} does not say whom it was trained on: name the training's file,"
            " --reference CSV."
        )
    return told


def _placed(clients: trials.Population, profiler: StoredProfiler) -> tuple[Floats, Labels]:
    amounts = clients.amounts.to_numpy(np.float64)
    return amounts, profiler.profiles(amounts).cluster


def _require_population(chosen: argparse.Namespace, *read: Path | None) -> None:
    """Find out before a model is loaded whether it is said of whom, and what is written fits."""
    if (chosen.file is None) is not chosen.record:
        raise Refusal("A file or --record says of whom, and not both.")
    if chosen.record and chosen.since is None:
        raise Refusal("--record goes with --since.")
    _require_reports(chosen, chosen.file, *read)


def _population(chosen: argparse.Namespace) -> trials.Population:
    """Read the clients of a file, or those who are recorded."""
    if chosen.file is not None:
        return _read(chosen.file, chosen, trials.Extra())
    with _record() as record:
        return trials.of_record(_decided(chosen, record))


def _read(
    path: Path, chosen: argparse.Namespace, extra: trials.Extra, name: str | None = None
) -> trials.Population:
    """Read the clients of a file, and tell how many of its lines are none of them."""
    clients = trials.read(path, _choices(chosen, name), chosen.decimals, extra)
    if clients.faulty:
        sys.stderr.write(f"{path}: {clients.faulty:,} faulty, left out; score says why.\n")
    return clients


def _decided(chosen: argparse.Namespace, record: "Record") -> pd.DataFrame:
    decided = record.decided(chosen.since, chosen.until)
    if decided.empty:
        raise Refusal("Nothing was decided in that time.")
    return decided


def _write_json(chosen: argparse.Namespace, found: dict[str, Any]) -> None:
    if chosen.json:
        with room.naming(chosen.json):
            chosen.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
