"""PgBouncer in front of a PostgreSQL server, where it is installed. The tests use it, too."""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.subjects import postgres
from bench.subjects.postgres import MissingError
from deploy import ports
from deploy.ports import HOST
from deploy.processes import NotReadyError, Program, Running

_POLL_SECONDS = 0.02
_SETTINGS = """\
[databases]
* = host={host} user=evaluation
[pgbouncer]
listen_addr = {listen}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
server_login_retry = 1
"""


def program() -> Path | None:
    """Find the program; Debian puts it where only root's PATH looks."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    return Path(found) if found else None


@contextmanager
def in_front_of(url: str) -> Iterator[str]:
    """Yield the URL of a server, as postgres.py gives it, by way of a pooler.

    It shares connections between transactions, so that the next one may run on another. Raises
    MissingError.
    """
    pgbouncer = program()
    if pgbouncer is None:
        raise MissingError("PgBouncer is needed: apt-get install pgbouncer.")
    account, _, rest = url.partition("@/")
    database, _, host = rest.partition("?host=")
    (port,) = ports.free(1)
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        settings = Path(name) / "pgbouncer.ini"
        settings.write_text(_SETTINGS.format(host=host, listen=HOST, port=port))
        command = [str(pgbouncer), "-q", str(settings)]
        if owner := postgres.owner():
            shutil.chown(name, owner)
            command += ["-u", owner]
        running = Running(Program(command), Path(name) / "log")
        try:
            _wait_until_it_listens(running, port)
            yield f"{account}@{HOST}:{port}/{database}"
        finally:
            running.kill()


def _wait_until_it_listens(running: Running, port: int) -> None:
    while not running.has_ended:
        with suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(_POLL_SECONDS)
    raise NotReadyError("PgBouncer ended")
