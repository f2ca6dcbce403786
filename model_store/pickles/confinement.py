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

STARTING_SECONDS: Final = 30
"""Of the processor's time, for Python and scikit-learn, which take 2."""
OPENING_SECONDS: Final = 4
"""Of the processor's time for one file, once scikit-learn is there; the shipped model takes 0.2.
By the clock a busy machine would refuse honest files."""
WAITING_SECONDS: Final = 20
"""By the clock, for one that waits; no file has a way to, since what it may name does not."""
OPENING_BYTES: Final = 96 << 20
"""Of memory on top of what the libraries take (200 MB)."""
OUTPUT_BYTES: Final = 1 << 20

_NO_NEW_PRIVILEGES: Final = 38
_SECCOMP, _FILTER = 22, 2
_ALLOWED, _REFUSED, _KILLED = 0x7FFF0000, 0x00050001, 0x80000000  # refused: EPERM
_LOAD, _IS_EQUAL, _IS_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
#: What reaches other machines and processes, and what Landlock leaves of changing files and the
#: system: the kernel's numbers for it on x86_64 and aarch64.
_REACHING: Final = """
socket 41 198, connect 42 203, sendto 44 206, io_uring_setup 425 425, bpf 321 280,
fork 57 -, vfork 58 -, clone 56 220, clone3 435 435, execve 59 221, execveat 322 281,
kill 62 129, tkill 200 130, tgkill 234 131, pidfd_send_signal 424 424, ptrace 101 117,
process_vm_readv 310 270, process_vm_writev 311 271, perf_event_open 298 241,
chmod 90 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452,
chown 92 -, fchown 93 55, lchown 94 -, fchownat 260 54,
setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, setxattrat 463 463,
removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16,
utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88,
mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, unshare 272 97, setns 308 268,
init_module 175 105, finit_module 313 273, kexec_load 246 104, kexec_file_load 320 294,
reboot 169 142, sethostname 170 161, settimeofday 164 170, clock_settime 227 112, acct 163 89,
mq_open 240 180
"""
#: By machine: the kernel's name for it, and its column in the table.
_MACHINES: Final = {"x86_64": (0xC000003E, 1), "aarch64": (0xC00000B7, 2)}
#: Numbers from here on are x86_64's other set of the same calls.
_OTHER_SET: Final = 0x40000000
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION: Final = 1
_READ_FILE: Final = 1 << 2
_READ: Final = _READ_FILE | 1 << 3  # folders too
#: How many kinds of access to files each version of Landlock knows.
_KINDS: Final = (13, 14, 15, 15, 16)
_WITH_NETWORK, _WITH_SCOPES = 4, 6


def limit() -> None:
    """Bound files and the start, before anything is imported; libraries then start no threads."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    _bound(resource.RLIMIT_CPU, STARTING_SECONDS)
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_FSIZE, OUTPUT_BYTES)
    _bound(resource.RLIMIT_NOFILE, 64)


def confine(readable: list[Path]) -> list[str]:
    """Give up what is not needed from here on; return what this platform could not take away.

    readable: folders that libraries may still be read from.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    # A second behind the timer, which a process may set otherwise.
    _bound(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + OPENING_SECONDS + 1)
    _bound(resource.RLIMIT_NPROC, 0)
    signal.setitimer(signal.ITIMER_PROF, OPENING_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITING_SECONDS)
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
    if platform.machine() not in _MACHINES:
        raise OSError("no list for this machine")
    machine, column = _MACHINES[platform.machine()]
    rows = [row.split() for row in _REACHING.split(",")]
    numbers = [int(row[column]) for row in rows if row[column] != "-"]
    steps = [(_LOAD, 0, 0, 4), (_IS_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILLED)]
    steps += [(_LOAD, 0, 0, 0), (_IS_AT_LEAST, len(numbers) + 1, 0, _OTHER_SET)]
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
