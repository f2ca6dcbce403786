"""A small server in a process of its own, whose answers are known."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.processes import Program, Running

# Arguments: the statuses to answer in turn, the delay in seconds, a body instead of the echo.
SERVER = """
import asyncio, itertools, sys

statuses = itertools.cycle(sys.argv[1].split(","))
seconds, fixed = float(sys.argv[2]), sys.argv[3].encode()

class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        body = fixed or data.partition(b"\\r\\n\\r\\n")[2]
        head = f"HTTP/1.1 {next(statuses)} -\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self.transport.write, head.encode() + body)

async def main():
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def server(*statuses: int, seconds: float = 0, fixed: str = "") -> Iterator[int]:
    """Answer each request with the next status and its own body; yield the port."""
    arguments = [",".join(map(str, statuses)), str(seconds), fixed]
    with Running(Program([sys.executable, "-c", SERVER, *arguments])) as running:
        yield int(next(running.lines()))
