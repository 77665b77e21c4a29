"""What a ledger is at a time: it follows the log while another writes, and writes in its turn.

Any number of ledgers run on one stream. Each loads the log and then folds in what the writing one
appends, so its memory is warm; the lease says whose turn it is. A turn begins with the rest of the
log. Told to stop, a ledger answers each command it took, then gives the lease back. One that has
lost the lease answers what it can before another may begin and drops the rest: would it decide
those later, a client that was told "refused" by the next one could find its command in the log.
A writer's `run` and its `load` or `follow` are never under way together.
"""

import asyncio
import contextlib
import functools
import gc
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

import nats.errors
import structlog
from goal_contracts import subjects
from goal_contracts.client.flushing import flushed
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from services.ledger.metrics import LedgerRole
from services.ledger.request import Request, SendReply
from services.ledger.store.inbox import listen
from services.ledger.store.lease import Lease
from services.ledger.writer import Writer

DRAIN_S: Final = 10.0
"""So long may the commands that were taken keep a turn from ending."""
CANCEL_AGAIN_S: Final = 0.01
GARBAGE_THRESHOLDS: Final = (20_000, 50, 1_000)

log = structlog.get_logger()

Take = Callable[[Writer, Msg], None]
Work = Callable[[Writer], Sequence[Coroutine[object, object, None]]]
"""What a ledger does in its turn, beside taking commands."""


class Turns:
    """Follows and writes by turns; `is_ready` is set once the log is loaded and a role is found."""

    def __init__(
        self,
        client: Client,
        lease: Lease,
        new_writer: Callable[[], Writer],
        take: Take,
        work: Work,
    ) -> None:
        self._client = client
        self._lease = lease
        self._new_writer = new_writer
        self._take = take
        self._work = work
        self.writer = new_writer()
        self.role: LedgerRole = "loading"
        self.is_ready = asyncio.Event()
        self.may_append = True
        """Unset it when the commands that were taken must no longer be appended either."""

    @property
    def position(self) -> int:
        """How far this ledger has read or written the log."""
        return self.writer.position

    async def submit(self, request: Request, reply: SendReply) -> bool:
        """Hand a request to the writer; False if another ledger writes, or will in a moment."""
        if not self._lease.is_current:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lease.left_s):
                    await self._lease.until_current()
        if self.role != "writer" or not self._lease.is_current:
            return False
        self.writer.submit(request, reply)
        return True

    async def run(self) -> None:
        """Until cancelled; raises what makes going on wrong, such as a gap in the log."""
        collect_garbage_seldom()
        await load_for_good(self.writer)
        log.info("ledger_loaded", position=self.position)
        try:
            while True:
                if not await self._lease.try_to_take():
                    await self._follow()
                await self._hold()
        finally:
            await self._lease.release()

    async def _follow(self) -> None:
        """Keep the memory warm until the lease is ours."""
        self.role = "standby"
        log.info("ledger_follows", position=self.position)
        self.is_ready.set()
        try:
            await _until_one_ends(self.writer.follow(), self._lease.take())
        finally:
            self.role = "loading"

    async def _hold(self) -> None:
        """Write for as long as the lease is ours, then give it back."""
        keeping = asyncio.create_task(self._lease.keep(), name="lease")
        try:
            await self.writer.load()
            await self._write_until(keeping)
        finally:
            # Only now: while the last answers are on their way nobody else need begin.
            await _end(keeping)
            await self._lease.release()

    async def _write_until(self, over: asyncio.Task[str]) -> None:
        """Take commands and answer them until `over` is done, then finish what was taken."""
        writer = self.writer
        hearing = Hearing(self._lease, functools.partial(self._take, writer))
        # In no queue group: the server would go on giving a frozen ledger its share.
        commands = await listen(self._client, subjects.COMMANDS, hearing.hear)
        working = [asyncio.create_task(each) for each in self._work(writer)]
        told_to_stop = True
        try:
            # The server knows of the subscription before anyone is told that commands are taken.
            await flushed(self._client)
            self.role = "writer"
            writer.metrics.turn_begun()
            log.info("ledger_writes", position=self.position, subject=subjects.COMMANDS)
            self.is_ready.set()
            await asyncio.wait([over, *working], return_when=asyncio.FIRST_COMPLETED)
            told_to_stop = False
        except nats.errors.Error as error:
            log.warning("turn_not_begun", why=str(error))
            told_to_stop = False
        finally:
            self.role = "loading"
            is_sound = self.may_append and not any(task.done() for task in working)
            await _take_no_more(commands, hearing, in_order=told_to_stop and is_sound)
            # Told to stop, it keeps the lease meanwhile; else it must be done before another is.
            within_s = DRAIN_S if told_to_stop else self._lease.left_s
            if not await _all_answered(writer, within_s if is_sound else 0):
                # They are dropped, and the memory that decided them is, too: the clients ask
                # again, and the log alone says what became of it.
                self.writer = self._new_writer()
            await _end(*working)
        for task in working:
            if not task.cancelled():
                task.result()


async def load_for_good(writer: Writer) -> None:
    """Nothing of what is loaded is garbage, and nobody looks for any there, then or later."""
    gc.disable()
    try:
        await writer.load()
    finally:
        gc.enable()
    gc.freeze()


def collect_garbage_seldom() -> None:
    """Most of what comes stays, too.

    Looking through it again and again for garbage that refers to itself was a third of what a
    command cost.
    """
    gc.set_threshold(*GARBAGE_THRESHOLDS)


class Hearing:
    """Takes commands as they come, in their order.

    Thawed or starved, a ledger holds back what it hears until it knows whose turn it is.
    """

    def __init__(self, lease: Lease, take: Callable[[Msg], None]) -> None:
        self._lease = lease
        self._take = take
        self._held: deque[Msg] = deque()
        self._taking: asyncio.Task[None] | None = None

    def hear(self, message: Msg) -> None:
        if self._lease.is_current and not self._held:
            self._take(message)
            return
        self._held.append(message)
        if self._taking is None or self._taking.done():
            self._taking = asyncio.create_task(self._take_held(), name="held commands")

    async def all_taken(self) -> None:
        if self._taking is not None:
            await asyncio.wait([self._taking])

    async def end(self) -> None:
        """What is still held is another's to take."""
        if self._taking is not None:
            await _end(self._taking)

    async def _take_held(self) -> None:
        while self._held:
            await self._lease.until_current()
            self._take(self._held.popleft())


async def _take_no_more(commands: Subscription, hearing: Hearing, *, in_order: bool) -> None:
    """In order, what the server has sent already is still taken."""
    try:
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            if in_order:
                async with asyncio.timeout(DRAIN_S):
                    await commands.drain()
                    await hearing.all_taken()
            else:
                await commands.unsubscribe()
    finally:
        await hearing.end()


async def _all_answered(writer: Writer, within_s: float) -> bool:
    try:
        await writer.drain(within_s)
    except TimeoutError:
        log.warning("turn_over", position=writer.position, all_answered=False)
        return False
    log.info("turn_over", position=writer.position, all_answered=True)
    return True


async def _until_one_ends(*work: Coroutine[object, object, None]) -> None:
    """All beside each other until one ends, then the end of the others; raises what it raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(*tasks)
    for task in ended:
        task.result()


async def _end(*tasks: asyncio.Task[None] | asyncio.Task[str]) -> None:
    """Cancel until all have ended.

    `asyncio.wait_for` of Python 3.11, with which nats-py awaits an answer, swallows a cancellation
    that comes together with the answer: a thawed writer would go on for ever.
    """
    running: set[asyncio.Task[None] | asyncio.Task[str]] = {*tasks}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
