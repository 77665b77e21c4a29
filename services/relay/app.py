"""The relay as a service: for each endpoint one task that reads the log, and one that tells of it.

A task that reads waits while too much is untold; one that tells has several goals under way, each
with one event at a time.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import structlog
from goal_contracts.client import Client, Heard, Select, follow
from msgspec import Struct

from services.relay import sending
from services.relay.endpoints import Known
from services.relay.queue import Delivery, Queue
from services.relay.sending import NotTaken, Taken

UNTOLD_MAX: Final = 10_000
AT_ONCE_MAX: Final = 8
LOOK_EVERY_S: Final = 1.0
"""For what an operator has revived, and what has become due."""

log = structlog.get_logger()


class Settings(Struct, frozen=True):
    """Where the server is and the queue, and who is told."""

    server_url: str
    queue: Path
    endpoints: list[Known]
    nkey: Path | None = None


async def run(settings: Settings, on_ready: Callable[[], None] = lambda: None) -> None:
    """Tell all endpoints until told to stop, or something breaks that cannot be waited for."""
    queue = Queue(settings.queue)
    try:
        async with (
            await Client.connect(settings.server_url, nkey=settings.nkey) as client,
            httpx.AsyncClient(timeout=sending.TIMEOUT_S, follow_redirects=False) as http,
            asyncio.TaskGroup() as tasks,
        ):
            running = []
            for endpoint in settings.endpoints:
                relay = Relay(client, http, queue, endpoint, lambda: datetime.now(UTC))
                running += [tasks.create_task(relay.read()), tasks.create_task(relay.tell())]
            log.info("relay_ready", endpoints=[each.name for each in settings.endpoints])
            on_ready()
            await _told_to_stop()
            for task in running:
                task.cancel()
    finally:
        queue.close()


async def _told_to_stop() -> None:
    stop = asyncio.Event()
    for signal_ in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_, stop.set)
    await stop.wait()


class Relay:
    """One endpoint. Its queue is small, local and looked at in the event loop."""

    def __init__(
        self,
        client: Client,
        http: httpx.AsyncClient,
        queue: Queue,
        endpoint: Known,
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._http = http
        self._queue = queue
        self._name = endpoint.name
        self._to = endpoint.to
        self._secret = endpoint.secret
        self._clock = clock
        self._more = asyncio.Event()
        self._room = asyncio.Event()

    async def read(self) -> None:
        """Queue what the log holds and what comes, as far as there is room."""
        following = follow(
            self._client,
            self._to.organisation,
            after=self._queue.read_up_to(self._name),
            select=Select(kind=self._to.kind, event=self._to.event),
            consumer=self._to.consumer or self._name,
            on_trouble=self._note,
        )
        async with contextlib.aclosing(following) as batches:
            async for batch in batches:
                self._queue.add(self._name, [_delivery(each) for each in batch])
                self._more.set()
                while self._queue.backlog(self._name).waiting >= UNTOLD_MAX:
                    self._room.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._room.wait(), LOOK_EVERY_S)

    async def tell(self) -> None:
        """Send what is due, each goal's events one after the other."""
        under_way: dict[asyncio.Task[None], str] = {}
        while True:
            self._more.clear()
            busy = set(under_way.values())
            for delivery in self._queue.due(self._name, self._clock(), 2 * AT_ONCE_MAX):
                if len(under_way) < AT_ONCE_MAX and delivery.goal not in busy:
                    under_way[asyncio.create_task(self._send(delivery))] = delivery.goal
            waiting = asyncio.create_task(self._more.wait())
            try:
                done, _ = await asyncio.wait(
                    [*under_way, waiting],
                    timeout=LOOK_EVERY_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            except asyncio.CancelledError:
                # What is under way is told; whether it was heard is worth knowing.
                await asyncio.gather(*under_way, return_exceptions=True)
                raise
            finally:
                waiting.cancel()
            for task in [each for each in under_way if each in done]:
                del under_way[task]
                task.result()

    async def _send(self, delivery: Delivery) -> None:
        now = self._clock()
        outcome = await sending.send(self._http, self._to.url, self._secret, delivery, now)
        facts = {
            "endpoint": self._name,
            "goal": delivery.goal,
            "position": delivery.position,
            "attempt": delivery.attempts + 1,
        }
        match outcome:
            case Taken():
                self._queue.told(self._name, delivery)
                log.info("told", **facts)
            case NotTaken(why, None):
                self._queue.died(self._name, delivery, why)
                log.error("dead_letter", why=why, **facts)
            case NotTaken(why, again_at) if again_at is not None:
                self._queue.failed(self._name, delivery, why, again_at)
                log.warning("not_taken", why=why, again_at=again_at.isoformat(), **facts)
        self._room.set()

    def _note(self, error: Exception, again_in_s: float) -> None:
        log.warning("log_unreachable", endpoint=self._name, why=str(error), again_in_s=again_in_s)


def _delivery(heard: Heard) -> Delivery:
    recorded = heard.decode()
    goal = f"{recorded.kind}/{recorded.goal_id}"
    return Delivery(goal, heard.position, recorded.event_id, heard.payload, attempts=0)
