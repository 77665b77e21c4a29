"""The single writer: decides commands against exact state and appends what follows.

Commands that arrive while an append is under way are decided together and appended together, with
the expected last sequence of the stream. What is in memory is only ever what the log has said:
decisions of a group are made on a fork, and the fork is dropped when the log refuses the append.
A successful append, or for a group without events one look at the log's last position, proves that
every decision of the group was made on exact state. Only then are the replies sent.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import nats.errors
import structlog
from goal_contracts import codec, subjects
from goal_contracts.codec import Recorded
from goal_contracts.commands import Command, CorrectReadings, RecordCheckIns, RecordReadings
from goal_contracts.events import Event
from goal_contracts.fields import Role
from goal_contracts.replies import Accepted, Reason, Refusal, Refused, Reply
from msgspec import Struct
from msgspec.structs import replace

from services.ledger.domain import Asked, Organisation, advise, evolve, facts_due, judge
from services.ledger.store.log import (
    PAYLOAD_BYTES_MAX,
    AppendFailed,
    Conflict,
    GoalLog,
    OutcomeUnknown,
    Outgoing,
)
from services.stream_reader import JetStreamError

CONFLICT_RETRIES_MAX: Final = 50
WAITING_MAX: Final = 10_000
GROUP_EVENTS_MAX: Final = 1_000
GROUP_COMMANDS_MAX: Final = 1_000
FAULT_PAUSE_FIRST_S: Final = 0.05
FAULT_PAUSE_MAX_S: Final = 2.0

log = structlog.get_logger()

Originator = tuple[str, str, str]


class Request(Struct, frozen=True):
    """A command with everything that is not in it: who asks, when, under which id."""

    organisation_id: str
    actor: str
    command: Command
    command_id: str
    now: datetime
    recorded_at: datetime
    import_id: str | None = None
    provenance: str | None = None
    on_behalf_of: str | None = None
    correlation_id: str | None = None
    role: Role = "admin"
    units: tuple[str, ...] = ()
    decided_on: int | None = None


class Waiting(Struct, frozen=True, eq=False):
    """A request and where its reply goes; no reply is sent if the outcome stays unknown."""

    request: Request
    reply: Callable[[Reply], Awaitable[None]]


class Writer:
    """Holds the state of every organisation of one stream and alone appends to it."""

    def __init__(self, goal_log: GoalLog, new_event_id: Callable[[datetime], str]) -> None:
        self._log = goal_log
        self._new_event_id = new_event_id
        self._organisations: dict[str, Organisation] = {}
        self._versions: dict[Originator, int] = {}
        self._waiting: asyncio.Queue[Waiting] = asyncio.Queue(WAITING_MAX)
        self.position = 0
        self.conflicts = 0

    async def load(self) -> None:
        """Read what the log holds beyond what is in memory; raises on a gap or an unknown event."""
        await self._read(follow=False)

    async def follow(self) -> None:
        """The same, and then what others append, until cancelled. Never while it runs."""
        await self._read(follow=True)

    async def submit(self, waiting: Waiting) -> None:
        """Take a request; past the bound it is refused at once."""
        try:
            self._waiting.put_nowait(waiting)
        except asyncio.QueueFull:
            await waiting.reply(
                Refused(
                    command_id=waiting.request.command_id,
                    reason=Reason.OVERLOADED,
                    message=f"{WAITING_MAX} commands are waiting already",
                    accepted="the same command id again, a little later",
                )
            )

    async def run(self) -> None:
        """Decide and append, group after group, until cancelled."""
        carried: list[Waiting] = []
        while True:
            group = carried or [await self._waiting.get()]
            while len(group) < GROUP_COMMANDS_MAX and not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            carried = await self._serve(group)

    def facts_due(self, now: datetime) -> Iterator[tuple[str, str, Command]]:
        """What time alone has made true: organisation, command id and command of each fact."""
        for organisation_id, organisation in [*self._organisations.items()]:
            for command_id, command in facts_due(organisation, now):
                yield organisation_id, command_id, command

    async def drain(self, timeout_s: float) -> None:
        """Wait, bounded, until nothing waits any more."""
        async with asyncio.timeout(timeout_s):
            await self._waiting.join()

    async def _serve(self, group: list[Waiting]) -> list[Waiting]:
        """Decide and append a group and answer it; what did not fit into it goes on in the next."""
        decided = await self._commit(group)
        if decided is None:
            decided = [(waiting, None) for waiting in group]
        for waiting, reply in decided:
            self._waiting.task_done()
            if reply is not None:
                await waiting.reply(reply)
            _log_outcome(waiting.request, reply)
        return group[len(decided) :]

    async def _commit(
        self, group: Sequence[Waiting]
    ) -> Sequence[tuple[Waiting, Reply | None]] | None:
        """The replies to the first commands of a group, once they are true; None, a fault."""
        pause_s = FAULT_PAUSE_FIRST_S
        for attempt in range(CONFLICT_RETRIES_MAX):
            stage = _Stage(self._organisations, self.position, self._new_event_id)
            replies = stage.decide(group)
            try:
                await self._append(stage.staged)
            except Conflict as conflict:
                # Another writer has appended: its events first, then the same commands again.
                self.conflicts += 1
                log.warning(
                    "writer_fenced",
                    why="another writer appended first; reading its events and deciding again",
                    expected_position=self.position,
                    found_position=conflict.actual,
                    commands=len(replies),
                    attempt=attempt + 1,
                )
                await self._reload()
            except AppendFailed as error:
                # It may be in the log or not, or be on its way: once the log can be read again
                # the command ids there tell, and the expectation lets only one of both in.
                log.warning(
                    "append_failed",
                    why=str(error),
                    outcome_unknown=isinstance(error, OutcomeUnknown),
                    expected_position=self.position,
                    events=len(stage.staged),
                    attempt=attempt + 1,
                )
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, FAULT_PAUSE_MAX_S)
                await self._reload()
            else:
                return [*zip(group, replies, strict=False)]
        log.error("writer_gave_up", commands=len(group), attempts=CONFLICT_RETRIES_MAX)
        return None

    async def _append(self, staged: Sequence[Recorded]) -> None:
        """Append and remember; without events, make sure that nobody else has appended."""
        if not staged:
            try:
                last = await self._log.last_position()
            except (nats.errors.Error, JetStreamError) as error:
                raise OutcomeUnknown(f"the log is out of reach: {error}") from error
            if last != self.position:
                raise Conflict(self.position, last)
            return
        await self._log.append(self._outgoing(staged), self.position)
        for recorded in staged:
            self._remember(recorded)

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

    def _outgoing(self, staged: Sequence[Recorded]) -> list[Outgoing]:
        versions: dict[Originator, int] = {}
        outgoing = []
        for recorded in staged:
            originator = (recorded.organisation_id, recorded.kind, recorded.goal_id)
            version = versions.get(originator, self._versions.get(originator, 0)) + 1
            versions[originator] = version
            outgoing.append(
                Outgoing(
                    subjects.ledger(*originator, recorded.type),
                    codec.encode_event(recorded),
                    version,
                )
            )
        return outgoing


class _Stage:
    """The decisions of one group, each on what the ones before it left, none of it in memory."""

    def __init__(
        self,
        organisations: dict[str, Organisation],
        position: int,
        new_event_id: Callable[[datetime], str],
    ) -> None:
        self._committed = organisations
        self._forks: dict[str, Organisation] = {}
        self._position = position
        self._new_event_id = new_event_id
        self.staged: list[Recorded] = []

    def decide(self, group: Sequence[Waiting]) -> list[Reply | None]:
        """Replies for as many commands as fit into one commit, in their order; None for a fault."""
        replies: list[Reply | None] = []
        for waiting in group:
            request = waiting.request
            try:
                reply, events, followed = self._answer(request)
            except Refusal as refusal:
                replies.append(_refused(request.command_id, refusal))
                continue
            except Exception:
                # A fault of ours: nothing was changed, nothing is invented, and the others go on.
                log.exception("decision_failed", command_id=request.command_id)
                replies.append(None)
                continue
            if len(self.staged) + len(followed) > GROUP_EVENTS_MAX:
                break
            for recorded in followed:
                self._stage(recorded)
            if followed:
                advice = advise(self._forks[request.organisation_id], events)
                reply = replace(reply, warnings=advice)
            replies.append(reply)
        return replies

    def _answer(self, request: Request) -> tuple[Accepted, tuple[Event, ...], list[Recorded]]:
        """The reply, without advice yet, and the events that follow, also as they will stand."""
        organisation = self._organisation(request.organisation_id)
        last = self._position + len(self.staged)
        first = self._first_answer(request)
        if first is not None:
            return _with_items_left_out(first, organisation, request, last), (), []
        decided = judge(organisation, request.command, _asked(request, last))
        _require_one_commit(decided.events)
        recorded = [
            self._record(event, request, position)
            for position, event in enumerate(decided.events, start=last + 1)
        ]
        reply = Accepted(
            request.command_id, last + len(recorded), len(recorded), refused=decided.refused
        )
        return reply, decided.events, recorded

    def _first_answer(self, request: Request) -> Accepted | None:
        """The answer this command id got before, from the log or from this very group."""
        for states in (self._committed, self._forks):
            organisation = states.get(request.organisation_id)
            if organisation and (first := organisation.answers.get(request.command_id)):
                position, count = first
                return Accepted(request.command_id, position, count)
        return None

    def _organisation(self, organisation_id: str) -> Organisation | None:
        return self._forks.get(organisation_id) or self._committed.get(organisation_id)

    def _stage(self, recorded: Recorded) -> None:
        organisation_id = recorded.organisation_id
        fork = self._forks.get(organisation_id)
        if fork is None and (committed := self._committed.get(organisation_id)) is not None:
            fork = committed.fork()
        self._forks[organisation_id] = evolve(fork, recorded)
        self.staged.append(recorded)

    def _record(self, event: Event, request: Request, position: int) -> Recorded:
        recorded = Recorded(
            position=position,
            event_id=self._new_event_id(request.recorded_at),
            organisation_id=request.organisation_id,
            kind=event.kind,
            goal_id=event.goal_id,
            recorded_at=request.recorded_at,
            known_at=request.now,
            effective_at=codec.effective_at_of(event, request.now),
            actor=request.actor,
            command_id=request.command_id,
            event=event,
            on_behalf_of=request.on_behalf_of,
            correlation_id=request.correlation_id,
            reason=getattr(event, "reason", None),
            provenance=getattr(event, "provenance", None) or request.provenance,
        )
        size = len(codec.encode_event(recorded))
        if size > PAYLOAD_BYTES_MAX:
            raise Refusal(
                Reason.TOO_LARGE,
                f"{recorded.type} would be {size} bytes",
                seen=f"{size} bytes",
                accepted=f"at most {PAYLOAD_BYTES_MAX} bytes in one event",
            )
        return recorded


def _asked(request: Request, log_position: int) -> Asked:
    return Asked(
        organisation_id=request.organisation_id,
        actor=request.actor,
        now=request.now,
        import_id=request.import_id,
        role=request.role,
        units=request.units,
        decided_on=request.decided_on,
        log_position=log_position,
    )


def _with_items_left_out(
    first: Accepted, organisation: Organisation | None, request: Request, last: int
) -> Accepted:
    """The first answer with the items it had to leave out: they are not in the log, so ask again.

    What was recorded then is recorded no second time: to those items there is nothing to do.
    """
    if not isinstance(request.command, RecordCheckIns | RecordReadings | CorrectReadings):
        return first
    # It was up to date then; its own events are what has changed since.
    asked = replace(_asked(request, last), decided_on=None)
    try:
        return replace(first, refused=judge(organisation, request.command, asked).refused)
    except Refusal:
        return first


def _require_one_commit(events: Sequence[Event]) -> None:
    if len(events) > GROUP_EVENTS_MAX:
        raise Refusal(
            Reason.TOO_LARGE,
            f"the command would be {len(events)} events",
            seen=f"{len(events)} events",
            accepted=f"at most {GROUP_EVENTS_MAX} events, which one commit holds",
        )


def _refused(command_id: str, refusal: Refusal) -> Refused:
    return Refused(
        command_id=command_id,
        reason=refusal.reason,
        message=refusal.message,
        rule=refusal.rule,
        seen=refusal.seen,
        accepted=refusal.accepted,
    )


def _log_trouble(error: Exception, again_in_s: float) -> None:
    log.warning("log_unreachable", why=str(error), again_in_s=again_in_s)


def _log_outcome(request: Request, reply: Reply | None) -> None:
    """The one canonical line of a command."""
    facts = {
        "organisation": request.organisation_id,
        "actor": request.actor,
        "command": type(request.command).__name__,
        "command_id": request.command_id,
    }
    match reply:
        case Accepted(position=position, events=events):
            log.info("accepted", position=position, events=events, **facts)
        case Refused(reason=reason, rule=rule, message=message):
            log.info("refused", reason=str(reason), rule=rule, message=message, **facts)
        case None:
            log.error("not_answered", why="a fault; asking again with the same id is safe", **facts)
