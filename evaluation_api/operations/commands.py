"""The operator's commands, python -m evaluation_api --help: serve, migrate, and all *_commands.py.

Prints to people, in English; what cannot be done is one sentence on standard error and exit
code 2.
"""

import argparse
import os
import signal
import sys
from ipaddress import ip_address
from typing import Final, NoReturn

from pydantic import ValidationError

from evaluation_api import app
from evaluation_api.decision import errors
from evaluation_api.operations import (
    audit_commands,
    key_commands,
    person_commands,
    purge_commands,
    replay_commands,
)
from evaluation_api.operations.terminal import Refusal
from evaluation_api.record import schema
from evaluation_api.runtime import logs, server
from evaluation_api.runtime.load_shedding import ConcurrencyLimit
from evaluation_api.settings import Settings, name_unknown, wrong_settings
from evaluation_api.web import problems

REFUSED: Final = 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        settings = Settings()
        logs.configure(settings.log_level, settings.log_format)
        code: int = chosen.run(chosen, settings)
        sys.stdout.flush()
    except BrokenPipeError:
        _end_as_a_program_whose_reader_left()
    except KeyboardInterrupt:
        return _refuse("Interrupted.")
    except (errors.EvaluationError, OSError, ValidationError) as exc:
        return _refuse(_sentence(exc))
    return code


def _end_as_a_program_whose_reader_left() -> NoReturn:
    """Die of SIGPIPE, as others do before `| head`; Python ignores it until then, for sockets."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    raise AssertionError("still alive")


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return REFUSED


def _sentence(exc: Exception) -> str:
    first_line = str(exc).partition("\n")[0]
    match exc:
        case ValidationError():
            return wrong_settings(exc, Settings)
        case errors.RecordUnavailableError():
            return f"The database cannot be used: {first_line}"
        case errors.ModelError():
            return f"The model service at EVALUATION_MODEL_URL gives no predictions: {first_line}"
        case errors.InvalidRequestError():
            return "; ".join(f"{field.pointer}: {field.detail}" for field in exc.fields)
        case OSError():
            return ": ".join(filter(None, (exc.filename, exc.strerror)))
        case _:
            return str(exc)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m evaluation_api", description="Client evaluation.")
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(metavar="COMMAND")

    commands.add_parser("serve", help="serve until told to stop (the default)")

    migrating = commands.add_parser("migrate", help="bring the database's tables up to date")
    migrating.set_defaults(run=_migrate)

    moved = commands.add_parser(
        "batch", help="is python -m portfolio score --record now", prefix_chars="+", add_help=False
    )
    moved.add_argument("ignored", nargs="*", help=argparse.SUPPRESS)
    moved.set_defaults(run=_moved)

    for one in (replay_commands, purge_commands, key_commands, audit_commands, person_commands):
        one.add_to(commands)
    return parser


def _serve(_chosen: argparse.Namespace, settings: Settings) -> int:
    _require_served(settings)
    name_unknown(Settings)
    limit = ConcurrencyLimit(settings.max_in_flight)
    server.serve(
        app.create_app(settings, limit),
        settings.host,
        settings.port,
        limit=limit,
        refusal=problems.refusal,
        gateways=settings.gateways,
    )
    return 0


def _require_served(settings: Settings) -> None:
    """Raise Refusal where a setting stands in the way of serving, or it would be open to others."""
    if not settings.frontend_path.is_dir():
        raise Refusal(f"EVALUATION_FRONTEND_PATH: {settings.frontend_path} is no folder")
    if settings.access_secret is not None:
        return
    if not _is_loopback(settings.host):
        raise Refusal(
            f"EVALUATION_HOST: at {settings.host} anybody who reaches it could do everything; set"
            " EVALUATION_ACCESS_SECRET to 32 random characters or more, and sign in by the address"
            ' that "python -m evaluation_api keys link NAME" prints, or listen on 127.0.0.1.'
        )
    if settings.oidc_discovery_url is not None:
        raise Refusal(
            "EVALUATION_OIDC_DISCOVERY_URL: without EVALUATION_ACCESS_SECRET everybody comes in,"
            " and nobody by a provider"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _migrate(_chosen: argparse.Namespace, settings: Settings) -> int:
    with schema.opened(settings.database_url.get_secret_value()) as (_, version):
        print(f"The tables are at {version}.")
    return 0


def _moved(_chosen: argparse.Namespace, _settings: Settings) -> int:
    raise Refusal("Files are evaluated by: python -m portfolio score FILE -o OUT --record")
