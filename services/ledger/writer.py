"""The single writer: decides commands against exact state and appends what follows.

While one group is being appended, the commands that arrive are decided on top of it; they are the
next group, and most of a large one is sent. Each append expects the last sequence of the stream, so
a successful one, or for a group without events one look at the log's last position, proves that
every decision of the group was made on exact state. Only then does it become the state, and only
then are the replies sent. What is in memory is only ever what the log has said: when an append
fails, all that is decided and not settled is dropped, the log is read, and the same commands are
decided again.
"""

import asyncio
import contextlib
import functools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

import nats.errors
import structlog
from goal_contracts import codec, subjects
from goal_contracts.client.stream import JetStreamError
from goal_contracts.codec import Recorded
from goal_contracts.commands import Command
from goal_contracts.replies import Reason, Refused
from msgspec import Struct

from services.ledger import outcomes
from services.ledger.awake import Awake
from services.ledger.domain import Organisation, evolve, facts_due
from services.ledger.domain.frozen_state import Held, Originator, Thawed, hold
from services.ledger.metrics import Metrics
from services.ledger.request import Request, SendReply, Waiting
from services.ledger.stage import Decided, Stage
from services.ledger.store.log import (
    Ahead,
    AppendFailed,
    Conflict,
    GoalLog,
    OutcomeUnknown,
    Outgoing,
    Sent,
)
from services.ledger.store.snapshots import SnapshotStore

WAITING_MAX: Final = 10_000
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
DECIDED_AT_ONCE_MAX: Final = 16
"""So many commands, and then the event loop has its turn."""
IN_TURN_MAX: Final = 5
"""So many events, each a command of its own, are appended one after the other: that is one fsync
each, where a batch of any size is five on a single server."""
AHEAD_MIN: Final = 200
"""So many events of a group are worth a write of their own before it may be committed."""
CONFLICT_RETRIES_MAX: Final = 50
FAULT_RETRIES_MAX: Final = 50
FAULT_PAUSE_FIRST_S: Final = 0.05
FAULT_PAUSE_MAX_S: Final = 2.0
FORGOTTEN_AFTER_S: Final = 60.0
"""Whoever asked has given up by then: what was not recorded is not recorded behind their back."""
KEPT: Final = (
    "units",
    "cycles",
    "objectives",
    "key_results",
    "check_ins",
    "kpis",
    "readings",
    "missed",
    "reviews",
    "comments",
    "answers",
)
"""What of an organisation is counted as the size of the state."""

log = structlog.get_logger()


class Writer:
    """Holds the state of every organisation of one stream and alone appends to it."""

    def __init__(
        self,
        goal_log: GoalLog,
        new_event_ids: Callable[[datetime, int], Sequence[str]],
        snapshots: SnapshotStore | None = None,
        *,
        in_turn_max: int = IN_TURN_MAX,
        metrics: Metrics | None = None,
    ) -> None:
        self._log = goal_log
        self._snapshots = snapshots
        self._new_event_ids = new_event_ids
        self._in_turn_max = in_turn_max
        self.metrics = metrics or Metrics()
        self._organisations: dict[str, Organisation] = {}
        self._versions: dict[Originator, int] = {}
        self._waiting: deque[Waiting] = deque()
        self._wake = asyncio.Event()
        self._open = 0
        self._open_bytes = 0
        self._nothing_open = asyncio.Event()
        self._nothing_open.set()
        self._resting: _Group | None = None
        """Empty, with nothing before it under way: what comes may be decided at once."""
        self._awake = Awake()
        self._retries = 0
        self.position = 0

    @property
    def waiting(self) -> int:
        """How many commands are not decided yet."""
        return len(self._waiting)

    @property
    def unanswered(self) -> int:
        """How many commands have no reply yet."""
        return self._open

    def entries(self) -> dict[str, int]:
        """How much is in memory, by its kind."""
        organisations = self._organisations.values()
        counted = {name: sum(len(getattr(each, name)) for each in organisations) for name in KEPT}
        return {"organisations": len(organisations), **counted}

    async def load(self) -> None:
        """Read what the log holds beyond what is in memory; raises on a gap or an unknown event.

        Where nothing is in memory yet, the newest good snapshot is taken first.
        """
        if self.position == 0 and self._snapshots is not None:
            thawed = await self._snapshots.newest_good()
            if thawed is not None:
                self.restore(thawed)
        await self._read(follow=False)

    async def follow(self) -> None:
        """The same, and then what others append, until cancelled. Never while it runs."""
        await self._read(follow=True)

    def restore(self, thawed: Thawed) -> None:
        """Know what a snapshot knew, and nothing else."""
        self._organisations = thawed.organisations
        self._versions = thawed.versions
        self.position = thawed.position

    def hold(self) -> Held:
        """What is in memory now, to be written down while the writer goes on; release it."""
        return hold(self.position, self._organisations, self._versions)

    def submit(self, request: Request, reply: SendReply) -> None:
        """Take a request and where its reply goes; past the bound it is refused at once.

        No reply is sent if the outcome stays unknown.
        """
        if self._open >= WAITING_MAX or self._open_bytes + request.size > WAITING_BYTES_MAX:
            self.metrics.refused(Reason.OVERLOADED)
            reply(_overloaded(request, self._open))
            return
        self._open += 1
        self._open_bytes += request.size
        self._nothing_open.clear()
        self._waiting.append(Waiting(request, reply, asyncio.get_running_loop().time()))
        self._wake.set()
        if self._resting is not None and len(self._waiting) == 1:
            self._begin(self._resting)

    async def run(self) -> None:
        """Decide and append, group after group, until cancelled."""
        await self._log.open()
        group, before = self._group(), None
        try:
            while True:
                while not group.stage.decided:
                    self._resting = group
                    await self._decide_some(group.stage)
                self._resting = None
                group, before = await self._commit(group, before)
        finally:
            self._resting = None

    def facts_due(self, now: datetime) -> Iterator[tuple[str, str, Command]]:
        """What time alone has made true: organisation, command id and command of each fact."""
        for organisation_id, organisation in [*self._organisations.items()]:
            for command_id, command in facts_due(organisation, now):
                yield organisation_id, command_id, command

    async def drain(self, timeout_s: float) -> None:
        """Wait, bounded, until nothing waits any more."""
        async with asyncio.timeout(timeout_s):
            await self._nothing_open.wait()

    def _begin(self, group: "_Group") -> None:
        """Nothing is under way: a command is decided and sent in the turn in which it came."""
        self._resting = None
        if group.stage.decide(self._waiting[0]):
            self._waiting.popleft()
        if group.stage.staged:
            self._send(group)
            self._awake.for_a_moment()

    def _group(self, after: "_Group | None" = None) -> "_Group":
        last = self.position if after is None else after.stage.last
        below = None if after is None else after.stage
        stage = Stage(self._organisations, last, self._new_event_ids, below)
        return _Group(stage, self._versions, {} if after is None else after.versions)

    async def _commit(
        self, group: "_Group", before: "_Group | None"
    ) -> "tuple[_Group, _Group | None]":
        """Append a group; meanwhile answer and settle the one before, and decide the next.

        That next one is returned, and this one if it is to be settled once the next is on its way.
        """
        stage = group.stage
        appending = await self._append(group)
        if before is not None:
            self._finish(before)
            stage.stand_on_state()
        stage.foresee()
        group.following = following = self._group(after=group)
        while not appending.is_done:
            self._send_ahead(following)
            await self._decide_some(following.stage)
        try:
            appending.result()
        except AppendFailed as error:
            await self._start_over([*stage.decided, *following.stage.decided], error)
            return self._group(), None
        self._retries = 0
        if following.stage.decided:
            return following, group
        self._finish(group)
        return self._group(), None

    def _finish(self, group: "_Group") -> None:
        """The log has it: answer it, and let it have happened, once."""
        if group.is_finished:
            return
        stage = group.stage
        self._answer(stage.decided)
        stage.settle()
        self._versions.update(group.versions)
        self.position = stage.last
        self.metrics.committed(
            len(stage.decided), len(stage.staged), queued_s=group.queued_s, took_s=group.took_s
        )
        group.is_finished = True

    async def _decide_some(self, stage: Stage) -> None:
        """Decide what waits, a little at a time; without anything to decide, wait for it."""
        self._wake.clear()
        if stage.is_full or not self._waiting:
            await self._wake.wait()
            return
        for _ in range(DECIDED_AT_ONCE_MAX):
            if not self._waiting or not stage.decide(self._waiting[0]):
                break
            self._waiting.popleft()
        else:
            await asyncio.sleep(0)

    async def _append(self, group: "_Group") -> "Sent | Looked":
        """Send it, unless it is sent; without events, make sure that nobody else has appended."""
        if group.sent is not None:
            return group.sent
        stage = group.stage
        group.queued_s = asyncio.get_running_loop().time() - stage.decided[0].waiting.taken_at
        return self._send(group) if stage.staged else await self._look(stage.position)

    def _send(self, group: "_Group") -> Sent:
        stage = group.stage
        group.sent_at = time.perf_counter()
        group.sent = self._log.send(
            group.outgoing(),
            stage.position,
            functools.partial(self._heed, group),
            together=self._is_batch(stage),
            ahead=group.ahead,
        )
        return group.sent

    def _heed(self, group: "_Group") -> None:
        """What became of a group is known; with nothing decided on top, it is answered at once."""
        group.took_s = time.perf_counter() - group.sent_at
        sent, following = group.sent, group.following
        if sent is not None and sent.is_stored and following and not following.stage.decided:
            self._finish(group)
        self._wake.set()

    def _send_ahead(self, group: "_Group") -> None:
        """Send most of a large group while the one before is being stored; its end waits for that.

        If that fails its end is never sent, and so nothing of it is stored.
        """
        sent = 0 if group.ahead is None else group.ahead.count
        if len(group.stage.staged) - sent < AHEAD_MIN or not self._is_batch(group.stage):
            return
        ahead, group.ahead = group.ahead, None
        with contextlib.suppress(nats.errors.Error):  # then all of it is sent in its turn
            ahead = ahead or self._log.ahead(group.stage.position)
            ahead.send(group.outgoing())
            group.ahead = ahead

    def _is_batch(self, stage: Stage) -> bool:
        return stage.holds_together or len(stage.staged) > self._in_turn_max

    async def _look(self, expected: int) -> "Looked":
        try:
            last = await self._log.last_position()
        except (nats.errors.Error, JetStreamError) as error:
            return Looked(OutcomeUnknown(f"the log is out of reach: {error}"))
        return Looked(None if last == expected else Conflict(expected, last))

    def _answer(self, decided: Sequence[Decided]) -> None:
        for waiting, reply in decided:
            self._close(waiting.request)
            if reply is not None:
                waiting.reply(reply)
        self._log.outbox.send()  # the replies leave before anything is written about them
        self.metrics.answered(decided)
        outcomes.tell((waiting.request, reply) for waiting, reply in decided)

    def _close(self, request: Request) -> None:
        self._open -= 1
        self._open_bytes -= request.size
        if self._open == 0:
            self._nothing_open.set()

    async def _start_over(self, decided: Sequence[Decided], error: AppendFailed) -> None:
        """Nothing of it was settled: read what the log says, and let the same commands wait again.

        They may be in the log or not, or be on their way: once the log can be read again the
        command ids there tell, and the expectation lets only one of both in.
        """
        self._retries += 1
        if isinstance(error, Conflict):
            self.metrics.fenced()
            log.warning(
                "writer_fenced",
                why="another writer appended first; reading its events and deciding again",
                expected_position=self.position,
                found_position=error.actual,
                commands=len(decided),
                attempt=self._retries,
            )
            retries_max = CONFLICT_RETRIES_MAX
        else:
            self.metrics.append_failed()
            log.warning(
                "append_failed",
                why=str(error),
                outcome_unknown=isinstance(error, OutcomeUnknown),
                expected_position=self.position,
                commands=len(decided),
                attempt=self._retries,
            )
            retries_max = FAULT_RETRIES_MAX
            pause_s = FAULT_PAUSE_FIRST_S * 2 ** min(self._retries - 1, 10)
            await asyncio.sleep(min(pause_s, FAULT_PAUSE_MAX_S))
        await self._reload()
        again = [each.waiting for each in decided]
        self._waiting.extendleft(reversed(again))
        if self._retries >= retries_max:
            log.error("writer_gave_up", commands=len(again), attempts=self._retries)
            self._give_up(len(again))
            self._retries = 0
        else:
            self._give_up_what_is_old()

    def _give_up_what_is_old(self) -> None:
        before = asyncio.get_running_loop().time() - FORGOTTEN_AFTER_S
        old = 0
        for waiting in self._waiting:
            if waiting.taken_at >= before:
                break
            old += 1
        self._give_up(old)

    def _give_up(self, count: int) -> None:
        """The first that wait get no answer: their outcome is not known, or nobody listens."""
        self._answer([Decided(self._waiting.popleft(), None) for _ in range(count)])

    async def _reload(self) -> None:
        """Catch up with the log, waiting through an outage for as long as it lasts."""
        was = self.position
        await self.load()
        log.info("writer_reloaded", from_position=was, position=self.position)

    async def _read(self, *, follow: bool) -> None:
        reading = self._log.read(after=self.position, follow=follow, on_trouble=_log_trouble)
        async with contextlib.aclosing(reading) as batches:
            async for batch in batches:
                for message in batch:
                    self._remember(codec.decode_event(message.position, message.payload))

    def _remember(self, recorded: Recorded) -> None:
        """Fold one event of the log into memory."""
        organisation_id = recorded.organisation_id
        self._organisations[organisation_id] = evolve(
            self._organisations.get(organisation_id), recorded
        )
        originator = (organisation_id, recorded.kind, recorded.goal_id)
        self._versions[originator] = self._versions.get(originator, 0) + 1
        self.position = recorded.position


class _Group:
    """A stage on its way to the log.

    Versions count on from those of the state, and from those of the group before it.
    """

    def __init__(
        self,
        stage: Stage,
        versions: Mapping[Originator, int],
        versions_before: Mapping[Originator, int],
    ) -> None:
        self.stage = stage
        self.ahead: Ahead | None = None
        self.versions: dict[Originator, int] = {}
        """Those of the goals that it is about, once its events are there."""
        self.sent: Sent | None = None
        self.following: _Group | None = None
        """What is decided on top of it."""
        self.queued_s = 0.0
        self.sent_at = 0.0
        self.took_s = 0.0
        self.is_finished = False
        self._known = versions
        self._before = versions_before
        self._outgoing: list[Outgoing] = []

    def outgoing(self) -> Sequence[Outgoing]:
        """Its events so far, as they are sent."""
        versions = self.versions
        for staged in self.stage.staged[len(self._outgoing) :]:
            recorded = staged.recorded
            originator = (recorded.organisation_id, recorded.kind, recorded.goal_id)
            last = versions.get(originator) or self._before.get(originator)
            versions[originator] = version = (last or self._known.get(originator, 0)) + 1
            subject = subjects.ledger(*originator, recorded.type)
            self._outgoing.append(Outgoing(subject, staged.payload, version))
        return self._outgoing


class Looked(Struct, frozen=True):
    """What became of a group that has nothing to append: it is true if nobody else appended."""

    error: AppendFailed | None
    is_done: ClassVar[bool] = True

    def result(self) -> None:
        if self.error is not None:
            raise self.error


def _overloaded(request: Request, waiting: int) -> Refused:
    return Refused(
        command_id=request.command_id,
        reason=Reason.OVERLOADED,
        message=f"{waiting} commands are waiting already",
        accepted="the same command id again, a little later",
    )


def _log_trouble(error: Exception, again_in_s: float) -> None:
    log.warning("log_unreachable", why=str(error), again_in_s=again_in_s)
