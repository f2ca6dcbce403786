"""The stack of docker-compose.yml, beyond what `docker compose` does: the Makefile calls this.

Writes .env where there is none, names a taken port before anything starts, remembers how far the
services are scaled, and replaces one service's replicas without a gap. Knows Docker's command line
and nothing of the services.
"""

import argparse
import errno
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from deploy import ports

ROOT = Path(__file__).resolve().parent.parent

#: It alone may have no replica: files then wait.
_WORKER = "client_portfolio_worker"
#: How a service's settings in .env begin, its replicas and its image's tag; in small letters,
#: its image's name behind the prefix.
SETTINGS = {
    "ml_model_service": "MODEL",
    "client_evaluation_service": "EVALUATION",
    _WORKER: "PORTFOLIO",
}
#: What make up writes to .env where it is not there: a release may need one that the last did not.
SECRETS = ("POSTGRES_PASSWORD", "ACCESS_SECRET", "MODEL_SERVICE_TOKEN")
#: Who sets the service up may do everything that a person may.
FIRST_LINK = (
    *("python", "-m", "evaluation_api", "keys", "link", "primeira pessoa", "--if-first"),
    *("--role", "revisor", "gestor", "auditor", "operador"),
)
#: A line of .env, as Compose reads it: quoted or not, with a comment behind it or none.
SETTING = re.compile(
    r"""\s*(?:export\s+)?(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)'|((?!["'#]).*?))\s*(?:(?<=\s)#.*)?"""
)
WAIT_SECONDS = 180
#: Until everybody who calls a service has found its new replicas: the gateway looks every 2 s, the
#: evaluation service keeps a connection to a replica for 1 s.
SETTLE_SECONDS = 4


class StackError(Exception):
    """Something that the person at the terminal has to change, in one sentence."""


class Stack:
    """One Compose project and its file of settings."""

    def __init__(
        self, env_file: Path, environment: Mapping[str, str], settle_seconds: float
    ) -> None:
        """Take the file, which need not exist yet, and what the environment sets before it."""
        self._env_file = env_file
        self._environment = environment
        self._settle_seconds = settle_seconds

    def up(self) -> None:
        """Start everything and wait until it is healthy."""
        self._require_settings()
        self._require_numbers()
        self._require_images(self._compose("config", "--images", captured=True).split())
        self._require_free_ports()
        try:
            self._compose(
                "up", "--detach", "--remove-orphans", "--wait", f"--wait-timeout={WAIT_SECONDS}"
            )
        except subprocess.CalledProcessError:
            self._show_why()
            raise
        here = f"http://localhost:{self._setting('WEB_PORT', '80')}"
        sys.stdout.write(f"Ready: {self._setting('PUBLIC_URL', here)}\n")
        self._show_what_is_not_kept()
        self._show_first_link()

    def _show_why(self, *services: str) -> None:
        """Print the last lines of the containers that are not healthy."""
        form = "{{.Health}} {{.ID}} {{.Name}}"
        told = self._compose("ps", "--all", f"--format={form}", *services, captured=True)
        for health, container, name in (line.split(" ") for line in told.splitlines()):
            if health != "healthy":
                sys.stderr.write(f"The last lines of {name}:\n")
                sys.stderr.flush()
                run("docker", "logs", "--tail=3", container)

    def _show_what_is_not_kept(self) -> None:
        """Say which settings the environment has for this start alone, and which nothing reads."""
        kept = dict(self._settings())
        example = (ROOT / ".env.example").read_text(encoding="utf-8")
        known = re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)
        unread = [name for name in kept if name not in known and not name.startswith("COMPOSE_")]
        if unread:
            sys.stdout.write(
                f"Nothing here reads {', '.join(unread)} of {self._env_file.name}:"
                " .env.example names every setting.\n"
            )
        passing = [
            name
            for name in known
            if name in self._environment and self._environment[name] != kept.get(name)
        ]
        if passing:
            sys.stdout.write(
                f"From the environment, and for this start alone: {', '.join(passing)}. Write them"
                f" to {self._env_file.name} for make scale, make roll-... and the next make up.\n"
            )

    def _show_first_link(self) -> None:
        """Print an address that signs the first person in, until somebody has come in."""
        link = self._compose(
            "exec", "-T", "client_evaluation_service", *FIRST_LINK, captured=True
        ).strip()
        if link:
            sys.stdout.write(f"Sign in, once and within an hour: {link}\n")

    def scale(self, wanted: Mapping[str, int | None]) -> None:
        """Have so many replicas of each, now and after the next start; None leaves them alone.

        Raises StackError when new ones do not become healthy; the old ones then still serve.
        """
        self._require_settings()
        for service, replicas in wanted.items():
            if replicas is not None:
                self._start_beside(service, replicas)
                self._remember(f"{SETTINGS[service]}_REPLICAS", str(replicas))

    def roll(self, service: str, version: str) -> None:
        """Replace a service's replicas by another version's, one gapless step after the other.

        Raises StackError when the new ones do not become healthy; the old ones then still serve.
        """
        self._require_settings()
        before = self._replicas(service)
        variable = f"{SETTINGS[service]}_VERSION"
        self._require_images([self._image(f"{SETTINGS[service].lower()}:{version}")])
        self._start_beside(service, 2 * len(before), {variable: version})
        time.sleep(self._settle_seconds)
        self._remove(before)
        self._remember(variable, version)

    def _require_settings(self) -> None:
        """Write a .env where there is none, and into one the secrets that it lacks."""
        if not self._env_file.exists():
            example = (ROOT / ".env.example").read_text(encoding="utf-8")
            self._env_file.touch(mode=0o600, exist_ok=False)
            self._env_file.write_text(example, encoding="utf-8")
        for name in SECRETS:
            if not self._setting(name, ""):
                self._remember(name, secrets.token_hex(16))

    def _require_numbers(self) -> None:
        """Raise StackError for what is no number, or none that could be ready.

        Compose would not name the setting.
        """
        list(self._ports())
        for service, prefix in SETTINGS.items():
            name, least = f"{prefix}_REPLICAS", 0 if service == _WORKER else 1
            if not (told := self._setting(name, "1")).isdecimal() or int(told) < least:
                raise StackError(f"{name} must be a number from {least}, and is {told!r}.")
        if not re.fullmatch(r"\d+(-\d+)?", told := self._setting("MODEL_PORTS", "8001")):
            raise StackError(f"MODEL_PORTS must be ports such as 8001-8016, and is {told!r}.")

    def _require_images(self, wanted: Iterable[str]) -> None:
        """Raise StackError for an image of ours that is not here, where no registry has it."""
        prefix = self._image("")
        here = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", captured=True)
        missing = sorted(set(wanted) - set(here.split()))
        ours = [image for image in missing if image.startswith(prefix)]
        if ours and "/" not in prefix:
            message = (
                f"Nothing was changed, since there is no image {', '.join(ours)}:"
                f" make images VERSION={ours[0].rpartition(':')[2]}"
            )
            raise StackError(message)

    def _image(self, name: str) -> str:
        return self._setting("IMAGE_PREFIX", "credit-card-") + name

    def _require_free_ports(self) -> None:
        """Raise StackError when a port of the gateway is taken, unless by this very stack."""
        if self._replicas("web"):
            return
        address = self._setting("WEB_ADDRESS", "0.0.0.0")  # noqa: S104 - as in the file
        for variable, port in self._ports():
            if is_taken(address, port):
                message = (
                    f"Port {port} is taken, and nothing was started: free it, or choose another:"
                    f" make up {variable}={ports.another(port)}"
                )
                raise StackError(message)

    def _ports(self) -> Iterator[tuple[str, int]]:
        """Yield the gateway's ports, each with its setting; HTTPS has its own file."""
        yield "WEB_PORT", self._port("WEB_PORT", "80")
        if "compose.tls.yml" in self._setting("COMPOSE_FILE", ""):
            yield "WEB_TLS_PORT", self._port("WEB_TLS_PORT", "443")

    def _port(self, name: str, default: str) -> int:
        try:
            return ports.number(self._setting(name, default))
        except ValueError as error:
            raise StackError(f"{name} {error}.") from error

    def _start_beside(
        self, service: str, replicas: int, environment: Mapping[str, str] | None = None
    ) -> None:
        """Have so many replicas, those that run left as they are; after an error, those alone.

        Containers that do not run go first: Compose would start them, of whatever version they are.
        """
        running = self._replicas(service)
        self._remove(self._replicas(service, "--all") - running)
        arguments = ("up", "--detach", "--no-deps", "--no-recreate", "--wait")
        scale = (f"--wait-timeout={WAIT_SECONDS}", "--scale", f"{service}={replicas}", service)
        try:
            self._compose(*arguments, *scale, environment=environment)
        except KeyboardInterrupt:
            self._remove(self._replicas(service, "--all") - running)
            raise
        except subprocess.CalledProcessError as error:
            self._show_why(service)
            self._remove(self._replicas(service, "--all") - running)
            message = f"New replicas of {service} did not become healthy: nothing was changed."
            raise StackError(message) from error

    def _replicas(self, service: str, *which: str) -> set[str]:
        """Return the ids of a service's running containers; with --all, of the others too."""
        return set(self._compose("ps", "--quiet", *which, service, captured=True).split())

    def _remove(self, containers: set[str]) -> None:
        """Stop containers, each with its grace period, and remove them."""
        if containers:
            run("docker", "stop", *containers, captured=True)
            run("docker", "rm", *containers, captured=True)

    def _setting(self, name: str, default: str) -> str:
        return self._environment.get(name) or dict(self._settings()).get(name) or default

    def _settings(self) -> Iterator[tuple[str, str]]:
        for line in self._env_file.read_text(encoding="utf-8").splitlines():
            if setting := SETTING.fullmatch(line):
                name, *values = setting.groups()
                yield name, next(filter(None, values), "")

    def _remember(self, name: str, value: str) -> None:
        """Set one line of the file of settings, in its place or at the end."""
        lines = self._env_file.read_text(encoding="utf-8").splitlines()
        places = (n for n, line in enumerate(lines) if line.startswith(f"{name}="))
        at = next(places, len(lines))
        lines[at : at + 1] = [f"{name}={value}"]
        self._env_file.write_text("\n".join([*lines, ""]), encoding="utf-8")

    def _compose(
        self, *arguments: str, environment: Mapping[str, str] | None = None, captured: bool = False
    ) -> str:
        command = ("docker", "compose", "--env-file", str(self._env_file), *arguments)
        return run(*command, environment=environment, captured=captured)


def run(*command: str, environment: Mapping[str, str] | None = None, captured: bool = False) -> str:
    """Run a command in the project's folder; return what it printed when captured."""
    done = subprocess.run(  # noqa: S603 - our own commands, no shell
        command,
        check=True,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE if captured else None,
        text=True,
    )
    return done.stdout or ""


def is_taken(address: str, port: int) -> bool:
    """Tell whether something listens there. Any other reason not to is Docker's to tell."""
    try:
        ports.listen_briefly(port, address.strip("[]"))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def replica_count(text: str) -> int:
    """Read a number of replicas. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of replicas, from 1")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    commands = argparse.ArgumentParser("deploy.stack", description=__doc__)
    commands.add_argument("--env-file", type=Path, default=ROOT / ".env")
    chosen = commands.add_subparsers(dest="command", required=True)
    chosen.add_parser("up", help="start everything")
    scale = chosen.add_parser("scale", help="change how many replicas there are")
    for service, name in SETTINGS.items():
        scale.add_argument(
            f"--{name.lower()}", dest=service, type=replica_count, metavar="REPLICAS"
        )
    roll = chosen.add_parser("roll", help="replace a service's replicas by another version's")
    roll.add_argument("service", choices=SETTINGS)
    roll.add_argument("version")
    return commands


def main(arguments: Sequence[str] | None = None, settle_seconds: float = SETTLE_SECONDS) -> int:
    """Run one command; return 0, or 2 after one sentence on standard error."""
    chosen = parser().parse_args(arguments)
    stack = Stack(chosen.env_file.absolute(), os.environ, settle_seconds)
    try:
        if chosen.command == "up":
            stack.up()
        elif chosen.command == "scale":
            stack.scale({service: getattr(chosen, service) for service in SETTINGS})
        else:
            stack.roll(chosen.service, chosen.version)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"`{' '.join(error.cmd[:4])} ...` failed; its own words are above.\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 2
    except OSError as error:  # no docker, or no file of settings that can be written
        sys.stderr.write(f"{error.filename}: {error.strerror}.\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
