"""Answers over HTTP: a past one that was given before, one that was not, and HTTP itself."""

import asyncio
import contextlib
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tests.benchmarks import results
from tests.benchmarks.http_door import PATH, Serving
from tests.benchmarks.passes import Pace, Pass, Step, closed_loops, in_turn, per_s, ratio
from tests.benchmarks.results import Check, Part
from tests.benchmarks.workplace import Workplace

NAME: Final = "http"
CONSTANT, KEPT, ANEW = "constant response", "past answer, given before", "past answer, anew"
CLIENTS_MAX: Final = 64


def run(workplace: Workplace) -> Part:
    """How much of HTTP's own speed is left."""
    some = min(workplace.sizes.some, CLIENTS_MAX)
    with serving(workplace.place) as where:
        anew = itertools.count(1)
        contenders = [
            Asking(CONSTANT, where.constant, where.token, lambda: PATH),
            Asking(KEPT, where.door, where.token, lambda: PATH),
            # Another spelling of the same question is not known yet.
            Asking(ANEW, where.door, where.token, lambda: f"{PATH}&at_least=-{next(anew)}"),
        ]
        measured = in_turn(contenders, [1, some], workplace.sizes.pace, workplace.say)
    checks = [
        Check(f"{KEPT} / {CONSTANT}, {clients} clients", ratio(above, below, per_s))
        for clients in (1, some)
        for above, below in [(measured[KEPT, clients], measured[CONSTANT, clients])]
    ]
    return Part(
        NAME,
        "twenty goals of the sample company as they stood, 8 kB of JSON, with a bearer token",
        "answers",
        results.rows(measured),
        checks,
        ["each client has a connection of its own, kept open; the server is one process"],
    )


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[Serving]:
    """A door in a process of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    program = [sys.executable, "-m", "tests.benchmarks.http_door", str(directory)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield msgspec.json.decode(process.stdout.readline(), type=Serving)
        finally:
            process.communicate()


class Asking:
    """Clients that ask one door, each on a connection of its own."""

    def __init__(self, name: str, address: str, token: str, path: Callable[[], str]) -> None:
        self.name = name
        self._place = urlsplit(address)
        self._token = token
        self._path = path

    def measure(self, clients: int, pace: Pace) -> Pass:
        return asyncio.run(self._measure(clients, pace))

    async def _measure(self, clients: int, pace: Pace) -> Pass:
        async with contextlib.AsyncExitStack() as held:
            steps = [await held.enter_async_context(self._client()) for _ in range(clients)]
            return await closed_loops(steps, pace)

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[Step]:
        reader, writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        headers = f"Host: bench\r\nAuthorization: Bearer {self._token}\r\n\r\n"

        async def step() -> int:
            writer.write(f"GET {self._path()} HTTP/1.1\r\n{headers}".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            _, _, rest = head.partition(b"content-length: ")
            await reader.readexactly(int(rest[: rest.index(b"\r")]))
            return 1

        try:
            yield step
        finally:
            writer.close()
            await writer.wait_closed()
