"""deploy/stack.py, with a stand-in for Docker that writes down what it is told."""

import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import ports, stack

DOCKER = """#!/bin/sh
echo "${MODEL_VERSION:-} $*" >> "$CALLS"
case "$*" in
  *" ps --quiet web") cat "$FOLDER/web" 2>/dev/null ;;
  *" ps --quiet ml_model_service") cat "$FOLDER/model" 2>/dev/null ;;
  *" ps --quiet --all ml_model_service") cat "$FOLDER/model" "$FOLDER/ended" 2>/dev/null ;;
  *" config --images") echo postgres:15 "$IMAGE_PREFIX"web:local "$IMAGE_PREFIX"model:local ;;
  *" keys link "*--if-first*) cat "$FOLDER/link" 2>/dev/null ;;
  *" ps --all --format="*) cat "$FOLDER/states" 2>/dev/null ;;
  "logs "*) echo "words of $3" ;;
  *" up "*--remove-orphans*) [ ! -e "$FOLDER/unwell" ] || exit 1 ;;
  "images "*) cat "$FOLDER/images" ;;
  *" up "*--no-recreate*) echo new >> "$FOLDER/model"
    [ ! -e "$FOLDER/interrupted" ] || kill -INT $PPID
    [ ! -e "$FOLDER/unwell" ] || { echo created >> "$FOLDER/ended"; exit 1; } ;;
esac
exit 0
"""


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    code: int
    stdout: str
    stderr: str


class Shell:
    """A folder with settings and a `docker` of its own."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.env_file = folder / "settings.env"
        self._capfd = capfd
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        images = ("web:local", "model:local", "model:2")
        (folder / "images").write_text("\n".join(f"credit-card-{image}" for image in images))

    def run(self, *arguments: str, **environment: str) -> Done:
        """Run a command of deploy.stack, which need not wait for anybody to settle."""
        path = f"{self.folder}:{os.environ['PATH']}"
        here = {
            "CALLS": str(self.folder / "calls"),
            "FOLDER": str(self.folder),
            "IMAGE_PREFIX": "credit-card-",
            "PATH": path,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (here | environment).items():
                patch.setenv(name, value)
            chosen = ["--env-file", str(self.env_file), *arguments]
            code = stack.main(chosen, settle_seconds=0.1)
        return Done(code, *self._capfd.readouterr())

    @property
    def calls(self) -> list[str]:
        """Return what Docker was told, in order."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Shell:
    for name in ("WEB_PORT", "WEB_ADDRESS", "MODEL_VERSION", "NGINX_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    return Shell(tmp_path, capfd)


@pytest.fixture
def quick(shell: Shell) -> Shell:
    """Let two replicas of the model run, which need not settle."""
    (shell.folder / "model").write_text("old-1\nold-2\n")
    shell.env_file.write_text("POSTGRES_PASSWORD=x\nMODEL_VERSION=1\n")
    return shell


def test_the_first_start_writes_settings_with_a_password_for_the_owner_only(shell: Shell) -> None:
    shell.run("up", WEB_PORT=str(ports.free(1)[0]))
    first = shell.env_file.read_text()
    shell.run("up", WEB_PORT=str(ports.free(1)[0]))

    password = first.split("POSTGRES_PASSWORD=")[1].splitlines()[0]
    assert len(password) == 32
    assert shell.env_file.read_text() == first
    assert stat.S_IMODE(shell.env_file.stat().st_mode) == 0o600


def test_settings_of_an_earlier_release_are_given_the_secrets_that_they_lack(shell: Shell) -> None:
    shell.env_file.write_text("POSTGRES_PASSWORD=kept\nWEB_PORT=8090\n")

    shell.run("up", WEB_PORT=str(ports.free(1)[0]))

    kept, port, *added = shell.env_file.read_text().splitlines()
    assert (kept, port) == ("POSTGRES_PASSWORD=kept", "WEB_PORT=8090")
    secrets = dict(line.split("=") for line in added)
    assert set(secrets) == {"ACCESS_SECRET", "MODEL_SERVICE_TOKEN"}
    assert len(set(secrets.values())) == 2
    assert all(len(secret) >= 32 for secret in secrets.values())


def test_a_start_shows_how_the_first_person_signs_in_until_somebody_has(shell: Shell) -> None:
    (port,) = ports.free(1)
    later = shell.run("up", WEB_PORT=str(port))
    (shell.folder / "link").write_text("http://localhost/entrar.html#once\n")
    first = shell.run("up", WEB_PORT=str(port))

    assert "Sign in" not in later.stdout
    assert "Sign in, once and within an hour: http://localhost/entrar.html#once\n" in first.stdout


def test_a_start_says_which_settings_are_for_it_alone(shell: Shell) -> None:
    shell.env_file.write_text("IMAGE_PREFIX=credit-card-\n")
    (port,) = ports.free(1)
    passing = shell.run("up", WEB_PORT=str(port))
    shell.env_file.write_text(f"IMAGE_PREFIX=credit-card-\nWEB_PORT={port}\n")
    kept = shell.run("up", WEB_PORT=str(port))

    assert "for this start alone: WEB_PORT. Write them to settings.env" in passing.stdout
    assert kept.stdout == f"Ready: http://localhost:{port}\n"


def test_settings_are_read_as_compose_reads_them(shell: Shell) -> None:
    (port,) = ports.free(1)
    shell.env_file.write_text(
        "ACCESS_SECRET='kept' # since May\nexport POSTGRES_PASSWORD = kept\n"
        f"WEB_PORT=\"{port}\" # the form\nMODEL_SERVICE_TOKEN=''\n"
    )

    done = shell.run("up", WEB_ADDRESS="127.0.0.1")

    *kept, token = shell.env_file.read_text().splitlines()
    assert done.stdout.startswith(f"Ready: http://localhost:{port}\n")
    assert kept[0] == "ACCESS_SECRET='kept' # since May"
    assert len(kept) == 3
    assert len(token) == len("MODEL_SERVICE_TOKEN=") + 32


def test_a_start_says_which_settings_nothing_reads(shell: Shell) -> None:
    shell.env_file.write_text("COMPOSE_PROJECT_NAME=mine\nMODEL_REPLICA=3\nEVALUATION_PORT=1\n")

    done = shell.run("up", WEB_PORT=str(ports.free(1)[0]))

    assert "Nothing here reads MODEL_REPLICA, EVALUATION_PORT of settings.env: " in done.stdout


def test_a_start_says_where_people_reach_the_pages(shell: Shell) -> None:
    shell.env_file.write_text("PUBLIC_URL=https://clientes.example\n")

    done = shell.run("up", WEB_PORT=str(ports.free(1)[0]))

    assert done.stdout.startswith("Ready: https://clientes.example\n")


def test_a_start_that_fails_shows_why_and_nothing_of_who_is_well(shell: Shell) -> None:
    (shell.folder / "unwell").touch()
    (shell.folder / "states").write_text("healthy a web-1\nunhealthy b evaluation-1\n c db-1\n")

    done = shell.run("up", WEB_PORT=str(ports.free(1)[0]))

    assert done.code == 2
    assert "The last lines of evaluation-1:\n" in done.stderr
    assert done.stdout == "words of b\nwords of c\n"


def test_images_that_nobody_built_are_one_sentence_and_nothing_is_started(shell: Shell) -> None:
    (shell.folder / "images").write_text("credit-card-model:local\nnginx:1.30\n")
    (port,) = ports.free(1)

    first = shell.run("up", WEB_PORT=str(port))
    rolled = shell.run("roll", "ml_model_service", "1.2.3")

    assert (first.code, rolled.code) == (2, 2)
    say = "Nothing was changed, since there is no image credit-card-{}: make images VERSION={}\n"
    assert first.stderr == say.format("web:local", "local")
    assert rolled.stderr == say.format("model:1.2.3", "1.2.3")
    assert not [call for call in shell.calls if " up " in call]


def test_images_of_a_registry_are_not_looked_for_here(shell: Shell) -> None:
    (port,) = ports.free(1)

    done = shell.run("up", WEB_PORT=str(port), IMAGE_PREFIX="registry.example/cards-")

    assert (done.code, done.stderr) == (0, "")


def test_a_taken_port_is_one_sentence_and_nothing_is_started(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        done = shell.run("up", WEB_PORT=str(taken), WEB_ADDRESS="127.0.0.1")

    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert f"Port {taken} is taken" in done.stderr
    assert f"make up WEB_PORT={ports.another(taken)}" in done.stderr
    assert not [call for call in shell.calls if " up " in call]


@pytest.mark.parametrize("address", ["::1", "[::1]"])
def test_a_port_of_ipv6_is_taken_only_when_it_is(shell: Shell, address: str) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        taken = server.getsockname()[1]
        refused = shell.run("up", WEB_PORT=str(taken), WEB_ADDRESS=address)
    started = shell.run("up", WEB_PORT=str(taken), WEB_ADDRESS=address)

    assert f"Port {taken} is taken" in refused.stderr
    assert (started.code, started.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("WEB_PORT", "http", "must be a number from 1 to 65535, and is 'http'."),
        ("MODEL_PORTS", "80x", "must be ports such as 8001-8016, and is '80x'."),
        ("EVALUATION_REPLICAS", "two", "must be a number from 1, and is 'two'."),
        ("EVALUATION_REPLICAS", "0", "must be a number from 1, and is '0'."),
        ("PORTFOLIO_REPLICAS", "-1", "must be a number from 0, and is '-1'."),
    ],
)
def test_what_is_no_number_is_one_sentence_before_compose_is_asked(
    shell: Shell, name: str, text: str, told: str
) -> None:
    done = shell.run("up", **{name: text})

    assert (done.code, done.stderr, shell.calls) == (2, f"{name} {told}\n", [])


def test_a_machine_without_docker_is_told_so_in_one_sentence(shell: Shell) -> None:
    (shell.folder / "docker").unlink()

    done = shell.run("up", PATH=str(shell.folder))

    assert (done.code, done.stderr) == (2, "docker: No such file or directory.\n")


def test_the_port_of_https_is_looked_at_where_https_is_on(shell: Shell) -> None:
    files = "docker-compose.yml:deploy/compose.tls.yml"
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        chosen = {"WEB_PORT": str(ports.free(1)[0]), "WEB_TLS_PORT": str(taken)}
        plain = shell.run("up", **chosen, WEB_ADDRESS="127.0.0.1")
        encrypted = shell.run("up", **chosen, WEB_ADDRESS="127.0.0.1", COMPOSE_FILE=files)

    assert plain.code == 0
    assert encrypted.code == 2
    assert f"make up WEB_TLS_PORT={ports.another(taken)}" in encrypted.stderr


def test_the_port_of_the_running_stack_itself_is_not_taken(shell: Shell) -> None:
    (shell.folder / "web").write_text("gateway\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        done = shell.run("up", WEB_PORT=str(taken), WEB_ADDRESS="127.0.0.1")

    assert done.code == 0
    assert done.stdout.startswith(f"Ready: http://localhost:{taken}\n")


def test_numbers_of_replicas_are_remembered(quick: Shell) -> None:
    quick.run("scale", "--model", "3")
    quick.run("scale", "--model", "2")

    assert quick.env_file.read_text().splitlines().count("MODEL_REPLICAS=2") == 1
    assert "MODEL_REPLICAS=3" not in quick.env_file.read_text()


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5"])
def test_a_number_of_replicas_that_is_none_reaches_nobody(quick: Shell, number: str) -> None:
    with pytest.raises(SystemExit):
        quick.run("scale", f"--model={number}")

    assert quick.calls == []


def test_replicas_that_were_never_started_are_not_taken_for_the_new_ones(quick: Shell) -> None:
    (quick.folder / "ended").write_text("of-another-version\n")

    quick.run("roll", "ml_model_service", "2")

    calls = [call.split() for call in quick.calls]
    started = next(i for i, call in enumerate(calls) if "--scale" in call)
    assert calls.index(["rm", "of-another-version"]) < started


def test_an_update_starts_as_many_again_before_it_removes_the_old(quick: Shell) -> None:
    quick.run("roll", "ml_model_service", "2")
    calls = quick.calls

    started = next(i for i, call in enumerate(calls) if "--scale ml_model_service=4" in call)
    stopped = next(i for i, call in enumerate(calls) if " stop " in call)
    assert calls[started].startswith("2 ")
    assert started < stopped
    assert sorted(calls[stopped].split()[1:]) == ["old-1", "old-2"]
    assert "MODEL_VERSION=2" in quick.env_file.read_text().splitlines()


@pytest.mark.parametrize("command", ["roll ml_model_service 2", "scale --model 4"])
def test_new_replicas_that_do_not_get_well_are_removed_and_the_old_kept(
    quick: Shell, command: str
) -> None:
    (quick.folder / "unwell").touch()
    (quick.folder / "states").write_text("unhealthy new model-3\n")

    done = quick.run(*command.split())

    stopped = [call.split()[1:] for call in quick.calls if " stop " in call]
    assert done.code == 2
    assert "New replicas of ml_model_service did not become healthy: nothing was" in done.stderr
    assert done.stdout == "words of new\n"
    assert [sorted(containers) for containers in stopped] == [["created", "new"]]
    assert "MODEL_VERSION=1" in quick.env_file.read_text().splitlines()


def test_an_update_that_is_interrupted_removes_the_new_and_keeps_the_old(quick: Shell) -> None:
    (quick.folder / "interrupted").touch()

    done = quick.run("roll", "ml_model_service", "2")

    stopped = [call.split()[1:] for call in quick.calls if " stop " in call]
    assert (done.code, done.stderr) == (2, "Interrupted.\n")
    assert stopped == [["new"]]
    assert "MODEL_VERSION=1" in quick.env_file.read_text().splitlines()


def test_the_chart_has_the_first_person_come_in_with_the_roles_that_make_up_gives() -> None:
    notes = (stack.ROOT / "deploy/helm/templates/NOTES.txt").read_text("utf-8")
    told, given = (
        text.partition("--role ")[2].split() for text in (notes, " ".join(stack.FIRST_LINK))
    )

    assert told == given
