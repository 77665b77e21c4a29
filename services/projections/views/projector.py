"""One event after another becomes rows of every view.

What a row needs to know of the past is asked for once and remembered, so that most batches are
projected without a look at the store. The memory may be dropped at any moment between batches.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from goal_contracts import events
from goal_contracts.codec import Recorded
from goal_contracts.measures import KpiLinked
from goal_contracts.queries import KeyResultCard, ObjectiveCard

from services.projections.views import current
from services.projections.views.current import CycleState, KpiState, OrganisationState, State
from services.projections.views.history import TELLING, changes
from services.projections.views.indicators import CheckInEvent, check_in_row, reading_row
from services.projections.views.rows import (
    AlignmentRow,
    CheckInRow,
    EventRow,
    GoalRow,
    LinkRow,
    ReadingRow,
    Rows,
    VersionRow,
)

REMEMBERED_MAX: Final = 100_000
"""Entries of each kind; beyond that the store is asked again."""

StateKey = tuple[str, str, str]
ToldKey = tuple[str, str, str, type]
CheckInKey = tuple[str, str, str]
ReadingKey = tuple[str, str, datetime, str, str]
Key = TypeVar("Key", CheckInKey, ReadingKey)
Fact = TypeVar("Fact", CheckInRow, ReadingRow)


class Past(Protocol):
    """What is stored already: the last row of each, or None."""

    def last_state(self, organisation_id: str, kind: str, goal_id: str) -> State | None: ...

    def last_check_in(
        self, organisation_id: str, key_result_id: str, check_in_id: str
    ) -> CheckInRow | None: ...

    def last_reading(
        self, organisation_id: str, kpi_id: str, effective_at: datetime, period: str, source: str
    ) -> ReadingRow | None: ...

    def last_known_at_max(self, organisation_id: str) -> datetime | None: ...


class Said(Generic[Key, Fact]):
    """What was last said of each check-in, or of each period of a KPI from one source.

    By its key it is found only once somebody asks for any: few are ever corrected.
    """

    def __init__(self, key_of: Callable[[Fact], Key], ask: Callable[..., Fact | None]) -> None:
        self._key_of: Callable[[Fact], Key] = key_of
        self._ask: Callable[..., Fact | None] = ask
        self._known: dict[Key, Fact | None] = {}
        self._new: list[Fact] = []
        self.add: Callable[[Fact], None] = self._new.append

    def last(self, key: Key) -> Fact | None:
        """What was added last under a key, else what is stored."""
        self._known.update((self._key_of(fact), fact) for fact in self._new)
        self._new.clear()
        if key not in self._known:
            self._known[key] = self._ask(*key)
        return self._known[key]

    def __len__(self) -> int:
        return len(self._known) + len(self._new)

    def clear(self) -> None:
        """Ask for all of it again."""
        self._known.clear()
        self._new.clear()


class Projector:
    """Collects the rows of a batch; what it remembers runs ahead of the store until they are in."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self.forget()

    def forget(self) -> None:
        """Drop the memory, and the rows not taken: only the store counts."""
        self._rows = Rows()
        self._states: dict[StateKey, State | None] = {}
        self._told_of: dict[ToldKey, str | None] = {}
        self._check_ins = Said(_check_in_key, self._past.last_check_in)
        self._readings = Said(_reading_key, self._past.last_reading)
        self._known_at_max: dict[str, datetime] = {}

    def take(self) -> Rows:
        """The rows since the last time; to be stored before anything else is added."""
        taken, self._rows = self._rows, Rows()
        return taken

    @property
    def remembers_much(self) -> bool:
        """Whether there is something to trim."""
        return any(len(memory) > REMEMBERED_MAX for memory in self._memories)

    def trim(self) -> None:
        """Hold the memory to its limit; only while everything taken is stored."""
        for memory in self._memories:
            if len(memory) > REMEMBERED_MAX:
                memory.clear()

    @property
    def _memories(self) -> tuple[dict[Any, Any] | Said[Any, Any], ...]:
        return (
            self._states,
            self._told_of,
            self._check_ins,
            self._readings,
            self._known_at_max,
        )

    def add(self, recorded: Recorded, payload: bytes) -> None:
        """One event; raises UnknownEvent or BrokenHistory, and then has added nothing."""
        organisation_id, kind, goal_id = recorded.organisation_id, recorded.kind, recorded.goal_id
        if isinstance(recorded.event, TELLING):
            cycle_id = self._cycle_told_of(recorded)
            self._add_fact(recorded)
            self._add_event(recorded, cycle_id, payload)
            return
        # What comes to be has no past: to look for one would be most of the work.
        is_new = isinstance(recorded.event, current.CREATING)
        before = None if is_new else self._state(organisation_id, kind, goal_id)
        after = current.after(before, recorded)
        if kind != "organisation":
            self._require_organisation(recorded)
        cycle_id = self._cycle_id(after, recorded)

        check_in = self._add_fact(recorded)
        self._rows.change.append(changes(recorded, before, after, check_in))
        self._add_event(recorded, cycle_id, payload)
        if after is before or after is None:
            return
        if before is None:
            self._rows.goal.append(
                GoalRow(
                    organisation_id=organisation_id,
                    kind=kind,
                    cycle_id=(cycle_id or "") if kind != "cycle" else "",
                    objective_id=after.objective_id if isinstance(after, KeyResultCard) else "",
                    goal_id=goal_id,
                    position=recorded.position,
                )
            )
        self._rows.goal_version.append(
            VersionRow(
                organisation_id=organisation_id,
                kind=kind,
                goal_id=goal_id,
                position=recorded.position,
                unit_id=_unit_id(after),
                state=current.encode(after),
            )
        )
        self._rows.alignment += [
            AlignmentRow(organisation_id, parent, recorded.position, goal_id)
            for parent in _serves(after)
            if parent not in _serves(before)
        ]
        if (kpi_id := _follows(after)) is not None and kpi_id != _follows(before):
            self._rows.link.append(
                LinkRow(organisation_id, cycle_id or "", kpi_id, recorded.position, goal_id)
            )
        self._states[organisation_id, kind, goal_id] = after

    def _cycle_told_of(self, recorded: Recorded) -> str | None:
        """Of what a check-in or a reading is about; what it is it stays, and where it belongs."""
        thing = recorded.organisation_id, recorded.kind, recorded.goal_id
        key = *thing, type(recorded.event)
        try:
            return self._told_of[key]
        except KeyError:
            state = current.after(self._state(*thing), recorded)
            self._require_organisation(recorded)
            self._told_of[key] = cycle_id = self._cycle_id(state, recorded)
            return cycle_id

    def _require_organisation(self, recorded: Recorded) -> None:
        organisation_id = recorded.organisation_id
        organisation = self._state(organisation_id, "organisation", organisation_id)
        current.expect(OrganisationState, organisation, recorded)

    def _add_event(self, recorded: Recorded, cycle_id: str | None, payload: bytes) -> None:
        organisation_id, known_at = recorded.organisation_id, recorded.known_at
        known_at_max = self._known_at_max.get(organisation_id)
        if known_at_max is None:
            known_at_max = self._past.last_known_at_max(organisation_id) or known_at
        known_at_max = max(known_at_max, known_at)
        self._known_at_max[organisation_id] = known_at_max
        # By place: every event has one, and by name it takes twice as long.
        self._rows.event.append(
            EventRow(
                recorded.organisation_id,
                recorded.position,
                recorded.kind,
                recorded.goal_id,
                cycle_id,
                recorded.effective_at,
                known_at_max,
                payload,
            )
        )

    def _add_fact(self, recorded: Recorded) -> CheckInRow | None:
        """The row of a check-in or a reading; what was last said of the same check-in."""
        organisation_id, event = recorded.organisation_id, recorded.event
        latest: CheckInRow | None = None
        last: ReadingRow | None = None
        match event:  # the most frequent first
            case events.CheckedIn() | events.KpiReadingRecorded() | events.KpiReadingMissed():
                pass
            case events.CheckInCorrected() | events.CheckInRetracted():
                said = organisation_id, event.key_result_id, event.check_in_id
                latest = self._check_ins.last(said)
            case events.KpiReadingCorrected() | events.KpiReadingRetracted():
                last = self._readings.last(
                    (organisation_id, event.kpi_id, event.effective_at, event.period, event.source)
                )
            case _:
                return None
        if isinstance(event, CheckInEvent):
            check_in = check_in_row(recorded, event, latest)
            self._check_ins.add(check_in)
            self._rows.check_in.append(check_in)
        else:
            reading = reading_row(recorded, event, last)
            self._readings.add(reading)
            self._rows.reading.append(reading)
        return latest

    def _state(self, organisation_id: str, kind: str, goal_id: str) -> State | None:
        key = organisation_id, kind, goal_id
        if key not in self._states:
            self._states[key] = self._past.last_state(*key)
        return self._states[key]

    def _cycle_id(self, after: State | None, recorded: Recorded) -> str | None:
        match after:
            case CycleState(card=card):
                return card.cycle_id
            case ObjectiveCard():
                return after.cycle_id
            case KeyResultCard():
                objective = self._state(recorded.organisation_id, "objective", after.objective_id)
                return current.expect(ObjectiveCard, objective, recorded).cycle_id
            case _:
                return None


def _check_in_key(row: CheckInRow) -> CheckInKey:
    return row.organisation_id, row.key_result_id, row.check_in_id


def _reading_key(row: ReadingRow) -> ReadingKey:
    return row.organisation_id, row.kpi_id, row.effective_at, row.period, row.source


def _unit_id(state: State) -> str | None:
    match state:
        case ObjectiveCard():
            return state.unit_id
        case KpiState(card=card):
            return card.unit_id
        case _:
            return None


def _serves(state: State | None) -> tuple[str, ...]:
    return state.aligned_to if isinstance(state, ObjectiveCard) else ()


def _follows(state: State | None) -> str | None:
    if isinstance(state, KeyResultCard) and isinstance(state.measure, KpiLinked):
        return state.measure.kpi_id
    return None
