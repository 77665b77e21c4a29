"""The decisions of one group of commands, made before any of them is recorded.

Each command is decided on what the ones before it left, on a fork of the state. A stage may stand
on another that is still being appended; once that is settled it stands on the state itself. Only
`settle` changes the state, and only the log's acknowledgement allows it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import structlog
from goal_contracts import codec
from goal_contracts.codec import Recorded
from goal_contracts.commands import Command, CorrectReadings, RecordCheckIns, RecordReadings
from goal_contracts.events import Event
from goal_contracts.replies import Accepted, Reason, Refusal, Refused, Reply
from msgspec import Struct
from msgspec.structs import replace

from services.ledger.domain import Answer, Organisation, advise, evolve, judge, take_over
from services.ledger.request import Request, Waiting
from services.ledger.store.log import PAYLOAD_BYTES_MAX

EVENTS_MAX: Final = 1_000
COMMANDS_MAX: Final = 1_000
BYTES_MAX: Final = 16 * 1024 * 1024

log = structlog.get_logger()


class Decided(NamedTuple):
    """A command and its reply, which is true once the stage is settled; None for a fault."""

    waiting: Waiting
    reply: Reply | None


class Staged(Struct, frozen=True, gc=False):
    """An event as it will stand, and its bytes."""

    recorded: Recorded
    payload: bytes


class _Answered(Struct, frozen=True):
    """A reply, without advice yet, and what follows: `then` is what it leads to, if known."""

    reply: Reply | None
    events: Sequence[Event] = ()
    staged: Sequence[Staged] = ()
    then: Organisation | None = None


class _Followed(Struct, frozen=True):
    """What followed from the command in that place of the stage."""

    place: int
    events: Sequence[Event]
    staged: Sequence[Staged]


class Stage:
    """What is decided and not yet recorded: the events from `position` + 1 on.

    What follows from a command happens to a fork, and only when somebody asks what comes of it:
    that takes time, and it can be had while the disk is at work. Where the decision itself was made
    on such a fork, that one is kept.
    """

    def __init__(
        self,
        organisations: dict[str, Organisation],
        position: int,
        new_event_ids: Callable[[datetime, int], Sequence[str]],
        after: "Stage | None" = None,
    ) -> None:
        self._organisations = organisations
        self._new_event_ids = new_event_ids
        self._after = after
        self._forks: dict[str, Organisation] = {}
        self._to_happen: dict[str, list[_Followed]] = {}
        self._bytes = 0
        self.position = position
        self.decided: list[Decided] = []
        self.staged: list[Staged] = []
        self.is_full = False
        self.holds_together = False
        """Whether some of the events must be recorded together or not at all."""

    @property
    def last(self) -> int:
        """The position of its last event."""
        return self.position + len(self.staged)

    def decide(self, waiting: Waiting) -> bool:
        """Decide one more command; False if there is no room for it or for what follows."""
        if len(self.decided) >= COMMANDS_MAX or self._is_surely_too_much(waiting.request.command):
            self.is_full = True
            return False
        answered = self._reply(waiting.request)
        staged, then = answered.staged, answered.then
        size = sum([len(each.payload) for each in staged])
        if self.decided and (
            len(self.staged) + len(staged) > EVENTS_MAX or self._bytes + size > BYTES_MAX
        ):
            self.is_full = True
            return False
        if then is not None and staged:
            self._keep(waiting.request.organisation_id, then)
        elif staged:
            followed = _Followed(len(self.decided), answered.events, staged)
            self._to_happen.setdefault(waiting.request.organisation_id, []).append(followed)
        self.decided.append(Decided(waiting, answered.reply))
        self.staged.extend(staged)
        self._bytes += size
        self.holds_together = self.holds_together or len(staged) > 1
        return True

    def foresee(self) -> None:
        """Let all of it happen to forks, while it is on its way to the log."""
        for organisation_id in [*self._to_happen]:
            self._organisation(organisation_id)

    def settle(self) -> None:
        """The log has acknowledged all of it: it has happened."""
        self.foresee()
        for organisation_id, fork in self._forks.items():
            organisation = self._organisations.setdefault(organisation_id, fork)
            if organisation is not fork:
                take_over(organisation, fork)

    def stand_on_state(self) -> None:
        """The stage before it is settled."""
        self._after = None
        for organisation_id, fork in self._forks.items():
            if (below := self._organisations.get(organisation_id)) is not None:
                fork.stand_on(below)

    def _is_surely_too_much(self, command: Command) -> bool:
        """Many items are not decided in vain: most of them will have an event."""
        return bool(self.staged) and len(self.staged) + _items(command) > EVENTS_MAX

    def _keep(self, organisation_id: str, then: Organisation) -> None:
        """What the decision has let happen to a fork of its own."""
        fork = self._forks.setdefault(organisation_id, then)
        if fork is not then:
            take_over(fork, then)

    def _reply(self, request: Request) -> _Answered:
        try:
            return self._answer(request)
        except Refusal as refusal:
            return _Answered(refused(request.command_id, refusal))
        except Exception:
            # A fault of ours: nothing was changed, nothing is invented, and the others go on.
            log.exception("decision_failed", command_id=request.command_id)
            return _Answered(None)

    def _answer(self, request: Request) -> _Answered:
        organisation = self._organisation(request.organisation_id)
        last = self.last
        first = self._first_answer(request)
        if first is not None:
            return _Answered(_with_items_left_out(first, organisation, request, last))
        decided = judge(organisation, request.command, request.asked(last))
        _require_one_commit(decided.events)
        staged = self._stage(decided.events, request, last)
        reply = Accepted(
            request.command_id, last + len(staged), len(staged), refused=decided.refused
        )
        return _Answered(reply, decided.events, staged, decided.then)

    def _first_answer(self, request: Request) -> Accepted | None:
        """The answer this command id got before: from the log, or from what is on its way there."""
        first = self._answer_to(request.command_id, request.organisation_id)
        return None if first is None else Accepted(request.command_id, *first)

    def _answer_to(self, command_id: str, organisation_id: str) -> Answer | None:
        """Each fork remembers its own answers: the latest is asked first."""
        fork = self._forks.get(organisation_id)
        if fork is not None and (first := fork.answers.get(command_id)) is not None:
            return first
        if self._after is not None:
            return self._after._answer_to(command_id, organisation_id)  # noqa: SLF001 - its own kind
        organisation = self._organisations.get(organisation_id)
        return None if organisation is None else organisation.answers.get(command_id)

    def _organisation(self, organisation_id: str) -> Organisation | None:
        """As it will stand after all that is decided so far."""
        fork = self._forks.get(organisation_id)
        if organisation_id in self._to_happen:
            if fork is None and (below := self._below(organisation_id)) is not None:
                fork = below.fork()
            fork = self._forks[organisation_id] = self._happen(organisation_id, fork)
        return self._below(organisation_id) if fork is None else fork

    def _below(self, organisation_id: str) -> Organisation | None:
        """What a fork of this stage is a fork of."""
        if self._after is not None:
            return self._after._organisation(organisation_id)  # noqa: SLF001 - its own kind
        return self._organisations.get(organisation_id)

    def _happen(self, organisation_id: str, organisation: Organisation | None) -> Organisation:
        """Let happen what has not yet; advice comes of what it is then.

        An organisation that is new is the one that its first event makes.
        """
        for followed in self._to_happen.pop(organisation_id):
            now = _evolved(organisation, followed.staged)
            waiting, reply = self.decided[followed.place]
            if isinstance(reply, Accepted) and (advice := advise(now, followed.events)):
                self.decided[followed.place] = Decided(waiting, replace(reply, warnings=advice))
            organisation = now
        return now

    def _stage(self, events: Sequence[Event], request: Request, last: int) -> list[Staged]:
        """The events as they will stand after the position `last`."""
        staged = []
        event_ids = self._new_event_ids(request.recorded_at, len(events))
        for position, (event, event_id) in enumerate(zip(events, event_ids, strict=True), last + 1):
            recorded = request.recorded(event, event_id, position)
            payload = codec.encode_event(recorded)
            if len(payload) > PAYLOAD_BYTES_MAX:
                raise _too_large(recorded, len(payload))
            staged.append(Staged(recorded, payload))
        return staged


def _too_large(recorded: Recorded, size: int) -> Refusal:
    return Refusal(
        Reason.TOO_LARGE,
        f"{recorded.type} would be {size} bytes",
        seen=f"{size} bytes",
        accepted=f"at most {PAYLOAD_BYTES_MAX} bytes in one event",
    )


def _evolved(organisation: Organisation | None, staged: Sequence[Staged]) -> Organisation:
    first, *others = staged
    organisation = evolve(organisation, first.recorded)
    for each in others:
        organisation = evolve(organisation, each.recorded)
    return organisation


def refused(command_id: str, refusal: Refusal) -> Refused:
    """A refusal as it goes to whoever asked."""
    return Refused(
        command_id=command_id,
        reason=refusal.reason,
        message=refusal.message,
        rule=refusal.rule,
        seen=refusal.seen,
        accepted=refusal.accepted,
    )


def _items(command: Command) -> int:
    match command:
        case RecordCheckIns(check_ins=items):
            return len(items)
        case RecordReadings(readings=items):
            return len(items)
        case CorrectReadings(corrections=items):
            return len(items)
        case _:
            return 0


def _with_items_left_out(
    first: Accepted, organisation: Organisation | None, request: Request, last: int
) -> Accepted:
    """The first answer with the items it had to leave out: they are not in the log, so ask again.

    What was recorded then is recorded no second time: to those items there is nothing to do.
    """
    if not isinstance(request.command, RecordCheckIns | RecordReadings | CorrectReadings):
        return first
    # It was up to date then; its own events are what has changed since.
    asked = replace(request.asked(last), decided_on=None)
    try:
        return replace(first, refused=judge(organisation, request.command, asked).refused)
    except Refusal:
        return first


def _require_one_commit(events: Sequence[Event]) -> None:
    if len(events) > EVENTS_MAX:
        raise Refusal(
            Reason.TOO_LARGE,
            f"the command would be {len(events)} events",
            seen=f"{len(events)} events",
            accepted=f"at most {EVENTS_MAX} events, which one commit holds",
        )
