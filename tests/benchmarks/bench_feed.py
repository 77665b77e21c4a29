"""How fast the log becomes views, and how soon an event is seen there.

First the long log, read and decoded and nothing done with it, beside the feed into a new SQLite
file, each in a process of its own. Then both services, with commands at a steady pace: from a
command's acceptance until a question that asks for its position `at_least` is answered.
"""

import asyncio
import contextlib
import itertools
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final

import uvloop
from goal_contracts import codec, subjects
from goal_contracts.client.stream import read_stream
from goal_contracts.codec import command_message
from goal_contracts.queries import Position
from nats.aio.client import Client

from services.ledger.store import log
from services.projections.app import collect_garbage_seldom
from services.projections.feed import Feed
from services.projections.view_store.engines import open_sqlite
from services.projections.view_store.migrating import migrate
from services.projections.view_store.store import ViewStore
from services.reading_apart import ReadingApart
from tests.benchmarks import clients, processes
from tests.benchmarks.bench_loading import InItsOwnProcess
from tests.benchmarks.company import ACTOR, ORGANISATION, Company, check_in
from tests.benchmarks.passes import MILLISECONDS, Pace, Pass, in_turn, per_s, quantile, ratio
from tests.benchmarks.results import Part, Row, at_least, at_most, rows
from tests.benchmarks.workplace import Workplace

NAME: Final = "feed"
RATIO_MIN: Final = 0.6
COMMANDS_PER_S: Final = 1_000
SEEN_MS_MAX: Final = 150
LOOKED_AT_EACH: Final = 10
"""One of so many commands is waited for: the questions are no load of their own."""
CONNECTIONS: Final = 64
ANSWER_S: Final = 30.0


def run(work: Workplace) -> Part:
    """The log into views, then events on their way."""
    home, sizes = work.many_events(), work.sizes
    with processes.nats_server(home) as server:
        where = f"{server.url} {sizes.fed_events} {work.place}"
        bare = InItsOwnProcess("bare reading and decoding", decode_all, where)
        feed = InItsOwnProcess("the feed into SQLite", feed_all, where)
        measured = in_turn([bare, feed], [1], sizes.pace, work.say)
    work.say("events on their way")
    home = work.few_events()
    with (
        processes.nats_server(home) as server,
        processes.ledger(home, server),
        projections(home, server.url),
    ):
        seen = uvloop.run(Steady(work.company).measure(server.url, sizes.pace))
    return Part(
        NAME,
        "the log into views",
        "events",
        [*rows(measured), Row(f"seen after, {COMMANDS_PER_S:,} commands/s", None, [seen])],
        [
            at_least(
                "the feed / bare reading and decoding",
                ratio(measured[feed.name, 1], measured[bare.name, 1], per_s),
                RATIO_MIN,
            ),
            at_most("ms until 99 % of the events are seen", seen.p99_ms or 0, SEEN_MS_MAX),
        ],
        [f"{sizes.fed_events:,} events of {sizes.many_events:,}"],
    )


@contextlib.contextmanager
def projections(home: Path, url: str) -> Iterator[int]:
    """The projections service as it is run in production, with views of its own."""
    program = [sys.executable, "-m", "services.cli", "projections"]
    with tempfile.TemporaryDirectory(prefix="views-", dir=home) as views:
        argv = [*program, "--server", url, "--data", views]
        with processes.service(home, "projections", argv) as process_id:
            yield process_id


def decode_all(where: str) -> tuple[int, float]:
    """How many events, and in how many seconds, decoded and dropped."""
    url, events, _ = where.split(" ", 2)

    async def read() -> tuple[int, float]:
        async with await log.connect(url) as client:
            started = perf_counter()
            reading = read_stream(client, subjects.STREAM, after=0, until=int(events))
            async with contextlib.aclosing(reading) as batches:
                async for batch in batches:
                    for message in batch:
                        codec.decode_event(message.position, message.payload)
            return int(events), perf_counter() - started

    collect_garbage_seldom()
    return uvloop.run(read())


def feed_all(where: str) -> tuple[int, float]:
    """The same, until the views reflect as many."""
    url, events, place = where.split(" ", 2)

    async def read(directory: str) -> tuple[int, float]:
        async with await log.connect(url) as client:
            engine = open_sqlite(Path(directory) / "views.sqlite")
            migrate(engine, "views")
            store = ViewStore(engine, subjects.STREAM)
            feed = Feed(client, subjects.STREAM, store, apart=ReadingApart(url))
            started = perf_counter()
            following = asyncio.create_task(feed.run())
            is_there = await feed.reaches(int(events), processes.START_S)
            found = feed.position, perf_counter() - started
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            store.close()
            assert is_there, feed.health
            return found

    collect_garbage_seldom()
    Path(place).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as directory:
        return uvloop.run(read(directory))


class Steady:
    """Commands at a steady pace, whatever becomes of them, and how soon their events are seen."""

    def __init__(self, company: Company) -> None:
        self._key_results = itertools.cycle(company.key_results)
        self._run = secrets.token_hex(4)
        self._seen_s: list[float] = []
        """From a command's acceptance until its event is seen."""

    async def measure(self, url: str, pace: Pace) -> Pass:
        """For the warm-up and a window of the pace; what comes in the warm-up is not counted."""
        async with clients.connections(url, CONNECTIONS) as held:
            await self._one(held[0], 0, look=True)  # the views have caught up with the log
            self._seen_s.clear()
            count = round((pace.warm_up_s + pace.window_s) * COMMANDS_PER_S)
            begin = perf_counter()
            async with asyncio.TaskGroup() as under_way:
                for number, connection in zip(range(count), itertools.cycle(held), strict=False):
                    due = begin + number / COMMANDS_PER_S
                    await asyncio.sleep(max(due - perf_counter(), 0))
                    is_warm = number >= pace.warm_up_s * COMMANDS_PER_S
                    look = is_warm and number % LOOKED_AT_EACH == 0
                    under_way.create_task(self._one(connection, number, look=look))
            took_s = perf_counter() - begin
        return Pass(
            count / took_s,
            quantile(self._seen_s, 0.5) * MILLISECONDS,
            quantile(self._seen_s, 0.99) * MILLISECONDS,
        )

    async def _one(self, connection: Client, number: int, *, look: bool) -> None:
        said = f"{self._run}-{number}"
        message = command_message(check_in(next(self._key_results), said), command_id=said)
        subject = subjects.command(ORGANISATION, ACTOR, message.type)
        accepted = await clients.accepted(connection, subject, message)
        if not look:
            return
        started = perf_counter()
        question = codec.encode(Position(at_least=accepted.position))
        where = subjects.query(ORGANISATION, Position.__name__)
        answer = await connection.request(where, question, timeout=ANSWER_S)
        self._seen_s.append(perf_counter() - started)
        assert b'"reply":"position"' in answer.data, answer.data
