"""Takes from this process what the reader of a file never needs: time, memory, network, writing.

For a process that is about to open a file that nobody vouches for, once everything is imported.
On Linux the kernel holds it (Landlock for files, seccomp for what reaches outside); elsewhere the
limits alone do. A leaf: standard library only.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

OPENING_SECONDS: Final = 4
"""For one file, once scikit-learn is there; the shipped model takes 0.2."""
OPENING_BYTES: Final = 96 << 20
"""Of memory on top of what the libraries take (200 MB)."""
OUTPUT_BYTES: Final = 1 << 20

_NO_NEW_PRIVILEGES: Final = 38
_SECCOMP, _FILTER = 22, 2
_ALLOWED, _REFUSED, _KILLED = 0x7FFF0000, 0x00050001, 0x80000000  # refused: EPERM
_LOAD, _IS_EQUAL, _RETURN = 0x20, 0x15, 0x06
#: By machine: the kernel's name for it, and its numbers for socket, connect, sendto, ptrace, clone,
#: clone3, fork, vfork, execve, execveat, kill, tgkill, process_vm_readv and _writev.
_CALLS: Final[dict[str, tuple[int, tuple[int, ...]]]] = {
    "x86_64": (0xC000003E, (41, 42, 44, 101, 56, 435, 57, 58, 59, 322, 62, 234, 310, 311)),
    "aarch64": (0xC00000B7, (198, 203, 206, 117, 220, 435, 221, 281, 129, 131, 270, 271)),
}
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION: Final = 1
_READ_FILE: Final = 1 << 2
_READ: Final = _READ_FILE | 1 << 3  # folders too
#: How many kinds of access to files each version of Landlock knows.
_KINDS: Final = (13, 14, 15, 15, 16)
_WITH_NETWORK, _WITH_SCOPES = 4, 6


def limit() -> None:
    """Bound files, before anything is imported; libraries then start no threads."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_FSIZE, OUTPUT_BYTES)
    _bound(resource.RLIMIT_NOFILE, 64)


def confine(readable: list[Path]) -> list[str]:
    """Give up what is not needed from here on; return what this platform could not take away.

    readable: folders that libraries may still be read from.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _bound(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + OPENING_SECONDS)
    _bound(resource.RLIMIT_NPROC, 0)
    signal.setitimer(signal.ITIMER_REAL, OPENING_SECONDS)
    left = []
    if not _bound_memory():
        left.append("memory")
    if not _took(lambda: _forbid_files(readable)):
        left.append("writing files")
    if not _took(_forbid_calls):
        left.append("the network")
    return left


def _bound(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (most, most))


def _bound_memory() -> bool:
    """Bound address space to what is used and a little; macOS refuses every bound on it.

    https://github.com/python/cpython/issues/84698
    """
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _bound(resource.RLIMIT_AS, pages * resource.getpagesize() + OPENING_BYTES)
    except (OSError, ValueError):
        return False
    return True


def _took(forbid: Callable[[], None]) -> bool:
    if sys.platform != "linux":
        return False
    try:
        forbid()
    except OSError:
        return False
    return True


def _forbid_files(readable: list[Path]) -> None:
    """Leave of the file system some folders to read, by Landlock (Linux 5.13). Raises OSError."""
    version = _kernel(_CREATE, None, 0, _ASK_VERSION)
    kinds = (1 << _KINDS[min(version, len(_KINDS)) - 1]) - 1
    handled = struct.pack("Q", kinds)
    if version >= _WITH_NETWORK:
        handled += struct.pack("Q", 3)
    if version >= _WITH_SCOPES:
        handled += struct.pack("Q", 3)
    rules = _kernel(_CREATE, handled, len(handled), 0)
    for place in filter(Path.exists, readable):
        found = os.open(place, os.O_PATH | os.O_CLOEXEC)
        _kernel(
            _ADD, rules, 1, struct.pack("<Qi", _READ if place.is_dir() else _READ_FILE, found), 0
        )
        os.close(found)
    _forbid_new_privileges()
    _kernel(_RESTRICT, rules, 0)
    os.close(rules)


def _forbid_calls() -> None:
    """Refuse what reaches other processes and machines, by seccomp. Raises OSError."""
    if platform.machine() not in _CALLS:
        raise OSError("no list for this machine")
    machine, numbers = _CALLS[platform.machine()]
    steps = [(_LOAD, 0, 0, 4), (_IS_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILLED)]
    steps += [(_LOAD, 0, 0, 0)]
    steps += [(_IS_EQUAL, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ALLOWED), (_RETURN, 0, 0, _REFUSED)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    told = struct.pack("HP", len(steps), ctypes.addressof(program))
    _forbid_new_privileges()
    _checked(_libc().prctl(_SECCOMP, _FILTER, ctypes.c_char_p(told), 0, 0))


def _forbid_new_privileges() -> None:
    _checked(_libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def _kernel(number: int, *arguments: object) -> int:
    return _checked(_libc().syscall(ctypes.c_long(number), *arguments))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(answer: int) -> int:
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
