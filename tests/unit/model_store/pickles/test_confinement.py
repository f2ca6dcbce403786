"""A process that is about to open somebody's file reaches nothing outside, and not for long."""

import json
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from model_store.errors import NotAModel
from model_store.pickles import confinement, foreign

PROJECT = Path(foreign.__file__).parents[2]
CONFINED = """
import json, os, resource, socket, subprocess, sys, threading
sys.path.append({project!r})
from pathlib import Path
from model_store.pickles import confinement
confinement.limit()
left = confinement.confine([Path(sys.base_prefix), Path({readable!r})])

def tried(*what):
    try:
        what[0](*what[1:])
    except OSError as exc:
        return exc.strerror
    return "done"

def called(*what):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*what) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def forked():
    if os.fork() == 0:
        os._exit(0)

print(json.dumps({{"left": left, "tried": [
    tried(Path({secret!r}).read_text),
    tried(os.listdir, "/tmp"),
    tried(Path({written!r}).write_text, "x"),
    tried(os.truncate, {secret!r}, 0),
    tried(os.unlink, {secret!r}),
    tried(os.mkdir, {written!r}),
    tried(socket.socket),
    tried(forked),
    tried(os.execv, sys.executable, [sys.executable, "-c", ""]),
    tried(os.kill, os.getppid(), 0),
    tried(os.chmod, {secret!r}, 0o777),
    tried(os.utime, {secret!r}),
    tried(os.setxattr, {secret!r}, "user.a", b""),
    tried(os.chroot, "/"),
    tried(called, 0x40000000 + 41, 2, 1, 0),
    tried(called, 425, 8, None),
    tried(Path({readable!r}, "here").read_text),
]}}))
"""
on_linux = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in {"x86_64", "aarch64"},
    reason="only there the kernel can",
)


@on_linux
def test_a_confined_process_reads_libraries_and_reaches_nothing_else(tmp_path: Path) -> None:
    readable, secret = tmp_path / "libraries", tmp_path / "secret"
    readable.mkdir()
    (readable / "here").touch()
    secret.write_text("kept")
    program = CONFINED.format(
        project=str(PROJECT),
        readable=str(readable),
        secret=str(secret),
        written=str(tmp_path / "new"),
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, env={}
    )

    told = json.loads(done.stdout)
    assert told["left"] == []
    denied, not_permitted = "Permission denied", "Operation not permitted"
    assert told["tried"] == [denied] * 6 + [not_permitted] * 10 + ["done"]
    assert secret.read_text() == "kept"
    assert not (tmp_path / "new").exists()


LIMITED = f"""
import sys
sys.path.append({str(PROJECT)!r})
from model_store.pickles import confinement
confinement.limit()
confinement.OPENING_SECONDS = 1
confinement.confine([])
"""
#: Sleeps longer than what is left by the clock, of which all but a second is taken.
WAITS = """
import signal, time
left_seconds, _ = signal.getitimer(signal.ITIMER_REAL)
signal.setitimer(signal.ITIMER_REAL, min(left_seconds, 1))
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("then", "says"),
    [
        (WAITS, "was not opened within 20 seconds"),
        ("while True: pass", "takes longer to open than any model"),
        ("x = bytearray(1 << 30)", r"broke the process that opened it \(exit code 1\)"),
        ("sys.stdout.write('x' * (1 << 19))", "broke the process that opened it"),
        ("sys.stdout.write('x' * (1 << 22)); sys.stdout.flush()", "broke the process"),
    ],
    ids=["waits", "turns", "takes memory", "says much", "says more than that"],
)
def test_a_file_that_takes_too_much_is_refused(then: str, says: str) -> None:
    command = (sys.executable, "-I", "-c", LIMITED + then)

    with pytest.raises(NotAModel, match=says):
        foreign.inspect_apart(b"", command, timeout_seconds=30)


STARTS_FOR_EVER = f"""
import sys
sys.path.append({str(PROJECT)!r})
from model_store.pickles import confinement
confinement.STARTING_SECONDS = 1
confinement.limit()
while True: pass
"""


def test_a_start_is_bounded_by_the_processors_time_and_no_clock_is_shorter() -> None:
    assert foreign.TIMEOUT_SECONDS > 2 * confinement.STARTING_SECONDS
    command = (sys.executable, "-I", "-c", STARTS_FOR_EVER)

    with pytest.raises(NotAModel, match="exit code -9"):
        foreign.inspect_apart(b"", command)


def test_whatever_is_left_of_the_process_is_ended(tmp_path: Path) -> None:
    """A grandchild would hold the lock that it is given for ten minutes."""
    program = textwrap.dedent(f"""
        import os, subprocess, sys
        pipe = os.open({str(tmp_path / "alive")!r}, os.O_WRONLY)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=[pipe])
        sys.stdout.write("enough")
        sys.exit(2)
    """)
    alive = tmp_path / "alive"
    subprocess.run(["mkfifo", str(alive)], check=True)  # noqa: S607 - coreutils'
    reader = subprocess.Popen(["cat", str(alive)], stdout=subprocess.DEVNULL)  # noqa: S607

    with pytest.raises(NotAModel, match="enough"):
        foreign.inspect_apart(b"", (sys.executable, "-c", program), timeout_seconds=30)

    assert reader.wait(10) == 0, "cat ends when nobody can write any more"


def test_nothing_of_the_callers_environment_reaches_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "42")
    program = "import os; print(repr('SECRET' in os.environ), os.getcwd()); raise SystemExit(2)"

    with pytest.raises(NotAModel, match=r"False /\\n"):
        foreign.inspect_apart(b"", (sys.executable, "-c", program), timeout_seconds=30)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("one\ntwo", r"one\ntwo"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\u202egnihton", r"\u202egnihton"),
        ("Olá, São Paulo.", "Olá, São Paulo."),
        ("x" * 301, "x" * 299 + "…"),
        ("x" * 300, "x" * 300),
    ],
)
def test_what_a_file_says_is_one_line_that_a_terminal_shows(said: str, shown: str) -> None:
    assert foreign.printable(said) == shown
