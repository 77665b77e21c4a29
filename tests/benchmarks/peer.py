"""The same job on somebody else's store: the same door, the same rules, another place for events.

A peer answers `goals.command.>` like our ledger, with our own `judge` and `evolve` on a state held
in memory, and replies once its store has the events on disk and has checked that nobody was faster.
It may do the job in two ways, and each store is measured in both:

- `grouped`: what arrives while an append is under way is appended together, as our ledger does;
- `single`: each check-in is an append of its own, many at once from a pool of threads, in order
  within a key result. Everything else, which no measurement counts, is grouped.

It is spared what a ledger owes: nothing is logged, and a refused append ends it, so it decides
straight on its state, without a fork to drop.
"""

import asyncio
import importlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, NamedTuple, Protocol, cast

import click
import nats
from goal_contracts import codec, subjects
from goal_contracts.codec import Recorded
from goal_contracts.commands import CheckIn
from goal_contracts.replies import Accepted, Refusal, Refused, Reply
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.embedded.readiness import announce_ready
from services.ledger.domain import Asked, Organisation, evolve, judge
from services.ledger.handlers import clock, new_event_id, read_request
from services.ledger.request import Request

STORES: Final = ("umadb", "postgresql", "sqlite")
GROUP_EVENTS_MAX: Final = 1_000

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


class Peer:
    """One organisation's state, and the store it comes from."""

    def __init__(self, store: Store, way: Way) -> None:
        self._store = store
        self._way = way
        self._threads = ThreadPoolExecutor(store.THREADS)
        self._organisation: Organisation | None = None
        self._events = 0
        self._versions: Counter[str] = Counter()
        self._goals: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: asyncio.Queue[tuple[Request, Answer]] = asyncio.Queue()
        self._single: set[asyncio.Task[None]] = set()

    def take(self, request: Request, answer: "Answer", tasks: asyncio.TaskGroup) -> None:
        """A request, to be answered when its events are on disk; what fails ends the tasks."""
        if self._way == "single" and isinstance(request.command, CheckIn):
            task = tasks.create_task(self._alone(request, request.command.key_result_id, answer))
            self._single.add(task)
            task.add_done_callback(self._single.discard)
        else:
            self._waiting.put_nowait((request, answer))

    async def run(self) -> None:
        """Group after group, for ever."""
        while True:
            request, answer = await self._waiting.get()
            decided, events = self._decide(request)
            group = [(decided, len(events), answer)]
            while not self._waiting.empty() and len(events) < GROUP_EVENTS_MAX:
                request, answer = self._waiting.get_nowait()
                decided, some = self._decide(request)
                group.append((decided, len(some), answer))
                events += some
            last = await self._appended(self._store.append, events) if events else self._events
            position = last - len(events)
            for reply, count, answer in group:
                position += count
                await answer(_placed(reply, position))

    async def _alone(self, request: Request, goal: str, answer: "Answer") -> None:
        async with self._goals[goal]:
            reply, events = self._decide(request)
            position = self._events
            if events:
                position = await self._appended(self._store.append_to_goal, events)
        await answer(_placed(reply, position))

    async def _appended(
        self, append: Callable[[Sequence[NewEvent]], int], events: Sequence[NewEvent]
    ) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._threads, append, events)

    def _decide(self, request: Request) -> tuple[Reply, list[NewEvent]]:
        organisation = self._organisation
        if organisation and (first := organisation.answers.get(request.command_id)):
            return Accepted(request.command_id, *first), []
        asked = Asked(
            request.organisation_id,
            request.actor,
            request.now,
            request.import_id,
            request.role,
            request.units,
            request.decided_on,
            self._events,
        )
        try:
            decided = judge(organisation, request.command, asked)
        except Refusal as refusal:
            return Refused(request.command_id, refusal.reason, refusal.message), []
        events = []
        for event in decided.events:
            self._events += 1
            recorded = Recorded(
                position=self._events,
                event_id=new_event_id(request.recorded_at),
                organisation_id=request.organisation_id,
                kind=event.kind,
                goal_id=event.goal_id,
                recorded_at=request.recorded_at,
                known_at=request.now,
                effective_at=codec.effective_at_of(event, request.now),
                actor=request.actor,
                command_id=request.command_id,
                event=event,
                reason=getattr(event, "reason", None),
                provenance=getattr(event, "provenance", None),
            )
            goal = f"{event.kind}/{event.goal_id}"
            self._versions[goal] += 1
            events.append(
                NewEvent(goal, self._versions[goal], recorded.type, codec.encode_event(recorded))
            )
            self._organisation = evolve(self._organisation, recorded)
        return Accepted(request.command_id, self._events, len(events)), events


Answer = Callable[[Reply], Awaitable[None]]


def _placed(reply: Reply, position: int) -> Reply:
    if isinstance(reply, Refused):
        return reply
    return Accepted(reply.command_id, position, reply.events)


async def serve(server: str, store: Store, way: Way) -> None:
    """Answer commands until killed, or until an append fails."""
    peer = Peer(store, way)
    async with await nats.connect(server) as client, asyncio.TaskGroup() as tasks:

        async def take(message: Msg) -> None:
            async def answer(reply: Reply) -> None:
                await _answer(client, message, reply)

            request = read_request(message.subject, message.data, clock())
            if isinstance(request, Refused):
                await answer(request)
            else:
                peer.take(request, answer, tasks)

        await client.subscribe(subjects.COMMANDS, queue="ledger", cb=take)
        await client.flush()
        tasks.create_task(peer.run())
        announce_ready()


async def _answer(client: Client, message: Msg, reply: Reply) -> None:
    await client.publish(message.reply, codec.encode(reply))


@click.command()
@click.option("--server", required=True)
@click.option("--store", "name", required=True, type=click.Choice(STORES))
@click.option("--at", required=True, help="The store's address: a URL, a port or a file.")
@click.option("--way", required=True, type=click.Choice(["grouped", "single"]))
def main(server: str, name: str, at: str, way: Way) -> None:
    """Serve commands with the events in another store."""
    # A store's libraries are there only where the benchmarks are run.
    module = importlib.import_module(f"tests.benchmarks.store_{name}")
    asyncio.run(serve(server, cast("Store", module.open_store(at)), way))


if __name__ == "__main__":
    main()
