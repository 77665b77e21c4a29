"""Reading a whole log into the ledger's memory, beside reading it and doing nothing with it.

Both read with `read_stream`, each in a process of its own, as a ledger that starts does. So does a
subscriber that catches up. Then the service itself: how long from its start until it takes
commands.
"""

import contextlib
import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from time import perf_counter
from typing import Final

import structlog
import uvloop
from goal_contracts import subjects
from goal_contracts.client import Client, follow
from goal_contracts.client.stream import read_stream
from goal_contracts.heard import Heard

from services.ledger.handlers import new_event_ids
from services.ledger.standby import load_for_good
from services.ledger.store import log
from services.ledger.store.log import GoalLog
from services.ledger.writer import Writer
from services.reading_apart import ReadingApart
from tests.benchmarks import processes
from tests.benchmarks.company import ORGANISATION
from tests.benchmarks.passes import Pace, Pass, in_turn, per_s, ratio
from tests.benchmarks.results import Check, Part, at_least, rows
from tests.benchmarks.workplace import Workplace

NAME: Final = "loading"
SNAPSHOTS: Final = "services.ledger.store.snapshots"
START_S_MAX: Final = 5.0


def run(work: Workplace) -> Part:
    """Bare reading, loading, and the service's start, all on the long log."""
    home = work.many_events()
    with processes.nats_server(home) as server:
        bare = InItsOwnProcess("bare reading", read_all, server.url)
        loading = InItsOwnProcess("loading, no snapshot", load_all, server.url)
        following = InItsOwnProcess("a subscriber catches up", follow_all, server.url)
        decoding = InItsOwnProcess("the same, each event decoded", decode_all, server.url)
        everybody = [bare, loading, following, decoding]
        measured = in_turn(everybody, [1], work.sizes.pace, work.say)
        work.say("starting the service")
        started = perf_counter()
        with processes.ledger(home, server):
            start_s = perf_counter() - started
    events = work.sizes.many_events
    checks = [
        at_least(
            "loading / bare reading",
            ratio(measured[loading.name, 1], measured[bare.name, 1], per_s),
            0.5,
        ),
        at_least(
            "a subscriber / bare reading",
            ratio(measured[following.name, 1], measured[bare.name, 1], per_s),
            0.8,
        ),
    ]
    notes = [f"{events:,} events"]
    # Here snapshots are measured. The ledger that filled the log was stopped in order before, so
    # what it leaves for the next start is there.
    if find_spec(SNAPSHOTS) is None:
        notes.append(
            f"the service took commands {start_s:.1f} s after its start, without a snapshot; "
            "with a snapshot: not built yet"
        )
    else:
        checks.append(
            Check(
                "seconds from the service's start until it takes commands, with a snapshot",
                start_s,
                f"less than {START_S_MAX:g}",
                start_s < START_S_MAX,
            )
        )
    return Part(NAME, "a whole log into memory", "events", rows(measured), checks, notes)


class InItsOwnProcess:
    """One reading of the log from its begin to its end, by a process that does nothing else."""

    def __init__(self, name: str, read: Callable[[str], tuple[int, float]], url: str) -> None:
        self.name = name
        self._read = read
        self._url = url

    def measure(self, clients: int, pace: Pace) -> Pass:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(clients, mp_context=context, initializer=_quietly) as reader:
            events, took_s = reader.submit(self._read, self._url).result()
        return Pass(events / took_s)


def _quietly() -> None:
    """The figures are shown, not how they came about."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def read_all(url: str) -> tuple[int, float]:
    """How many events, and in how many seconds, with nothing done with them."""

    async def read() -> tuple[int, float]:
        events = 0
        async with await log.connect(url) as client:
            started = perf_counter()
            reading = read_stream(client, subjects.STREAM, after=0)
            async with contextlib.aclosing(reading) as batches:
                async for batch in batches:
                    events += len(batch)
            return events, perf_counter() - started

    return uvloop.run(read())


def load_all(url: str) -> tuple[int, float]:
    """The same, folded into the ledger's memory."""

    async def load() -> tuple[int, float]:
        async with await log.connect(url) as client:
            goal_log = GoalLog(client, subjects.STREAM, apart=ReadingApart(url))
            writer = Writer(goal_log, new_event_ids)
            started = perf_counter()
            await load_for_good(writer)  # as the service does
            return writer.position, perf_counter() - started

    return uvloop.run(load())


def follow_all(url: str) -> tuple[int, float]:
    """The same by the contracts' client, filtered to the one organisation by the server."""
    return _followed(url, lambda _: None)


def decode_all(url: str) -> tuple[int, float]:
    """The same, with each event looked at."""
    return _followed(url, Heard.decode)


def _followed(url: str, look: Callable[[Heard], object]) -> tuple[int, float]:
    async def read() -> tuple[int, float]:
        events = 0
        async with await Client.connect(url) as client:
            started = perf_counter()
            following = follow(client, ORGANISATION, until_now=True)
            async with contextlib.aclosing(following) as batches:
                async for batch in batches:
                    for each in batch:
                        look(each)
                    events += len(batch)
            return events, perf_counter() - started

    return uvloop.run(read())
