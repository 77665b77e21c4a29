"""The same job on somebody else's store: the same door, the same rules, another place for events.

A peer answers `goals.command.>` like our ledger, by our rules on a state held in memory, and
replies once its store has the events on disk and has checked that nobody was faster. It writes the
same line for each command and counts the same. It may do the job in two ways, and each store is
measured in both:

- `grouped`: our own writer, with the store for its log: what arrives while an append is under way
  is appended together;
- `single`: each command is an append of its own, check-ins many at once from a pool of threads, in
  order within a key result. It is how such a store is used without that writer.

It is spared what a ledger owes when an append fails: that ends it. So the single way decides
straight on its state, without a fork to drop.
"""

import asyncio
import importlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple, Protocol, cast

import click
import nats
import uvloop
from goal_contracts import codec, subjects
from goal_contracts.client.flushing import flushed
from goal_contracts.commands import CheckIn
from goal_contracts.replies import Accepted, Refusal, Refused, Reply
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.cli import logs
from services.embedded.readiness import announce_ready
from services.ledger import outcomes
from services.ledger.domain import Organisation, evolve, judge
from services.ledger.handlers import clock, new_event_ids, read_request
from services.ledger.metrics import Metrics
from services.ledger.request import Request, SendReply
from services.ledger.stage import refused
from services.ledger.standby import collect_garbage_seldom
from services.ledger.store.log import Ahead, GoalLog, Outgoing
from services.ledger.writer import Writer

STORES: Final = ("umadb", "postgresql", "sqlite")

Way = Literal["grouped", "single"]


class NewEvent(NamedTuple):
    """An event for a store: `version` counts the goal's events from 1."""

    goal: str
    version: int
    type: str
    payload: bytes


class Store(Protocol):
    """Where a peer keeps its events. It blocks, and raises unless all are on disk and in place."""

    THREADS: int
    """How many appends at once do it most good."""

    def append(self, events: Sequence[NewEvent]) -> int:
        """Nobody else may have appended anything, as far as this store can tell; the position."""
        ...

    def append_to_goal(self, events: Sequence[NewEvent]) -> int:
        """Nobody else may have appended to their one goal, or changed what it is a part of."""
        ...


class StoreLog(GoalLog):
    """A store as the log that the writer appends to, one group at a time."""

    def __init__(self, client: Client, store: Store) -> None:
        super().__init__(client, "no stream")
        self._store = store
        self._thread = ThreadPoolExecutor(1)
        self._last = 0

    def send(
        self,
        events: Sequence[Outgoing],
        expected_last: int,
        answered: Callable[[], None],
        *,
        together: bool = True,
        ahead: Ahead | None = None,
    ) -> Any:
        """In one append, however many they are."""
        loop = asyncio.get_running_loop()
        self._last = expected_last + len(events)
        new = [_new_event(event) for event in events]
        return _Appending(loop.run_in_executor(self._thread, self._store.append, new), answered)

    def ahead(self, expected_last: int) -> Ahead:
        return _NothingAhead(self.outbox, "", expected_last)

    async def last_position(self) -> int:
        return self._last


class _NothingAhead(Ahead):
    """A store takes a group at once."""

    def send(self, events: Sequence[Outgoing]) -> None:
        self.count = len(events)


class _Appending:
    """An append that is under way in a thread."""

    def __init__(self, appended: asyncio.Future[int], answered: Callable[[], None]) -> None:
        self._appended = appended
        self._answered = answered
        self.is_done = False
        self.is_stored = False
        appended.add_done_callback(self._end)

    def result(self) -> int:
        return self._appended.result()

    def _end(self, appended: asyncio.Future[int]) -> None:
        # Both in the same turn: what is done has been told.
        self.is_done = True
        self.is_stored = appended.exception() is None
        self._answered()


def _new_event(event: Outgoing) -> NewEvent:
    _, kind, goal_id, name = subjects.parse_ledger(event.subject)
    return NewEvent(f"{kind}/{goal_id}", event.version, name, event.payload)


class Single:
    """One organisation's state, and an append for each command."""

    def __init__(self, store: Store, tasks: asyncio.TaskGroup) -> None:
        self._store = store
        self._tasks = tasks
        self._threads = ThreadPoolExecutor(store.THREADS)
        self._metrics = Metrics()
        self._organisation: Organisation | None = None
        self._events = 0
        self._versions: Counter[str] = Counter()
        self._in_order: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def submit(self, request: Request, reply: SendReply) -> None:
        """A request, to be answered when its events are on disk; what fails ends the tasks."""
        command = request.command
        if isinstance(command, CheckIn):
            doing = self._do(request, command.key_result_id, self._store.append_to_goal, reply)
        else:
            doing = self._do(request, "", self._store.append, reply)
        self._tasks.create_task(doing)

    async def _do(
        self,
        request: Request,
        order: str,
        append: Callable[[Sequence[NewEvent]], int],
        send_reply: SendReply,
    ) -> None:
        taken_at = perf_counter()
        async with self._in_order[order]:
            reply, events = self._decide(request)
            begun = perf_counter()
            if events:
                loop = asyncio.get_running_loop()
                position = await loop.run_in_executor(self._threads, append, events)
                reply = Accepted(request.command_id, position, len(events))
        send_reply(reply)
        took_s = perf_counter() - begun
        self._metrics.committed(1, len(events), queued_s=begun - taken_at, took_s=took_s)
        self._metrics.answered([(request, reply)])
        outcomes.tell([(request, reply)])

    def _decide(self, request: Request) -> tuple[Reply, list[NewEvent]]:
        organisation = self._organisation
        if organisation and (first := organisation.answers.get(request.command_id)):
            return Accepted(request.command_id, *first), []
        try:
            decided = judge(organisation, request.command, request.asked(self._events))
        except Refusal as refusal:
            return refused(request.command_id, refusal), []
        events = []
        event_ids = new_event_ids(request.recorded_at, len(decided.events))
        for event, event_id in zip(decided.events, event_ids, strict=True):
            self._events += 1
            recorded = request.recorded(event, event_id, self._events)
            goal = f"{recorded.kind}/{recorded.goal_id}"
            self._versions[goal] += 1
            events.append(
                NewEvent(goal, self._versions[goal], recorded.type, codec.encode_event(recorded))
            )
            self._organisation = evolve(self._organisation, recorded)
        return Accepted(request.command_id, self._events, 0), events


async def serve(server: str, store: Store, way: Way) -> None:
    """Answer commands until killed, or until an append fails."""
    collect_garbage_seldom()
    async with await nats.connect(server) as client, asyncio.TaskGroup() as tasks:
        log = StoreLog(client, store)
        writer = Writer(log, new_event_ids)
        submit = writer.submit if way == "grouped" else Single(store, tasks).submit

        async def take(message: Msg) -> None:
            def reply(answer: Reply) -> None:
                log.outbox.put(message.reply, codec.encode(answer))

            request = read_request(message.subject, message.data, clock())
            if isinstance(request, Refused):
                reply(request)
            else:
                submit(request, reply)

        await client.subscribe(subjects.COMMANDS, cb=take)
        await flushed(client)
        tasks.create_task(writer.run())
        announce_ready()


@click.command()
@click.option("--server", required=True)
@click.option("--store", "name", required=True, type=click.Choice(STORES))
@click.option("--at", required=True, help="The store's address: a URL, a port or a file.")
@click.option("--way", required=True, type=click.Choice(["grouped", "single"]))
def main(server: str, name: str, at: str, way: Way) -> None:
    """Serve commands with the events in another store."""
    logs.configure()
    # A store's libraries are there only where the benchmarks are run.
    module = importlib.import_module(f"tests.benchmarks.store_{name}")
    uvloop.run(serve(server, cast("Store", module.open_store(at)), way))


if __name__ == "__main__":
    main()
