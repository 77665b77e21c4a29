"""Dates become positions: what a question about the past may see.

Two times. What counts must have been known by one moment, and true by another:

    as_of D                 known then and effective by then
    as_of D, known_at K     as was known at K, effective by D
    known_at K              the same as as_of K
    neither                 now

A moment is a day (its end in the organisation's zone), an instant (in that zone without an offset),
or a position @N: then it is the time by which everything up to @N was known. Check-ins and readings
count up to the position `known` if they are effective by `as_of`; units, cycles, objectives and key
results stand as they had come to be by both, which is the position `structure`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from goal_contracts.measures import KpiLinked
from goal_contracts.queries import (
    CycleCard,
    KeyResultCard,
    KpiCard,
    Moment,
    ObjectiveCard,
    Reflects,
)
from msgspec import Struct
from msgspec.structs import replace

from services.projections.view_store.reader import Goal, Reader
from services.projections.views import standing
from services.projections.views.current import (
    CycleState,
    KpiState,
    OrganisationState,
    definition_on,
)
from services.projections.views.days import end_of_day, local_day, start_of_day
from services.projections.views.rows import CheckInRow, ReadingRow
from services.projections.views.standing import Span

POSITION_MAX: Final = 2**63 - 1
DAY_LENGTH: Final = len("2022-01-31")
BEFORE_EVERYTHING: Final = datetime(1, 1, 2, tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)


class NoSuchMoment(ValueError):
    """What was written is no day, instant or position."""


class Vantage(Struct, frozen=True):
    """What a question may see: see the module. Positions are the organisation's own."""

    known: int
    structure: int
    as_of: datetime
    known_at: datetime

    @property
    def reflects(self) -> Reflects:
        """The same, as an answer says it."""
        return Reflects(position=self.known, as_of=self.as_of, known_at=self.known_at)


def vantage(
    reader: Reader,
    organisation_id: str,
    zone: str,
    as_of: Moment | None,
    known_at: Moment | None,
    now: datetime,
) -> Vantage:
    """Where a question stands; NoSuchMoment if its moments cannot be read."""
    if as_of is None and known_at is None:
        return present(reader, organisation_id, now)
    by_position, by = _place(reader, organisation_id, zone, as_of or known_at or "")
    known, at = _place(reader, organisation_id, zone, known_at or as_of or "")
    return Vantage(known=known, structure=min(known, by_position), as_of=by, known_at=at)


def present(reader: Reader, organisation_id: str, now: datetime) -> Vantage:
    """Everything that is known; the clock of the ledger may be a little ahead of ours."""
    last, known_at_max = reader.last_position(organisation_id, POSITION_MAX) or (0, now)
    at = max(now, known_at_max)
    return Vantage(known=last, structure=last, as_of=at, known_at=at)


def position_before(reader: Reader, organisation_id: str, zone: str, start: Moment) -> int:
    """The position right before a range; a day as a start is its beginning."""
    moment = read_moment(start, zone, is_start=True)
    if isinstance(moment, int):
        return max(moment - 1, 0)
    return reader.position_known_at(organisation_id, moment - TICK)


def read_moment(text: Moment, zone: str, *, is_start: bool = False) -> datetime | int:
    """An instant in UTC, or a position; NoSuchMoment if it is neither."""
    try:
        if text.startswith("@"):
            return int(text[1:])
        if len(text) == DAY_LENGTH:
            day = date.fromisoformat(text)
            return start_of_day(day, zone) if is_start else end_of_day(day, zone)
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(zone))
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise NoSuchMoment(
            f"{text} is no moment ({error}): give a day 2022-01-31, an instant "
            "2022-01-31T12:00:00Z, or a position @17"
        ) from error


def _place(reader: Reader, organisation_id: str, zone: str, text: Moment) -> tuple[int, datetime]:
    """The position a moment stands for, and its time."""
    moment = read_moment(text, zone)
    if isinstance(moment, int):
        return reader.last_position(organisation_id, moment) or (0, BEFORE_EVERYTHING)
    return reader.position_known_at(organisation_id, moment), moment


class Picture:
    """An organisation's goals as they stood from one vantage."""

    def __init__(
        self,
        reader: Reader,
        organisation_id: str,
        organisation: OrganisationState,
        seen_from: Vantage,
    ) -> None:
        self._reader = reader
        self._organisation_id = organisation_id
        self._organisation = organisation
        self._seen = seen_from
        self._cycles: dict[str, CycleState] = {}
        self._readings: dict[tuple[str, str], ReadingRow | None] = {}

    def cycles(self, goals: Iterable[Goal]) -> list[CycleCard]:
        """Cycles with their pace."""
        cards = [goal.state.card for goal in goals if isinstance(goal.state, CycleState)]
        return [
            replace(card, expected_pace=standing.pace(self._span(card), self._seen.as_of))
            for card in cards
        ]

    def objectives(self, goals: Sequence[Goal]) -> list[ObjectiveCard]:
        """Objectives with the progress of their key results."""
        self._load_cycles(goals)
        parts: dict[str, list[KeyResultCard]] = defaultdict(list)
        names = [(goal.cycle_id, goal.goal_id) for goal in goals]
        for card in self.key_results(
            self._reader.key_results_of(self._organisation_id, names, self._seen.structure)
        ):
            parts[card.objective_id].append(card)
        return [
            standing.objective_as_it_stood(
                goal.state,
                parts[goal.goal_id],
                self._span(self._cycles[goal.cycle_id].card),
                self._seen.as_of,
            )
            for goal in goals
            if isinstance(goal.state, ObjectiveCard)
        ]

    def key_results(self, goals: Sequence[Goal]) -> list[KeyResultCard]:
        """Key results with the check-in or reading that counted, and their progress."""
        self._load_cycles(goals)
        check_ins = self._reader.check_ins(
            self._organisation_id,
            [goal.goal_id for goal in goals],
            self._seen.known,
            self._seen.as_of,
        )
        return [
            self._key_result(goal.state, check_ins.get(goal.goal_id, ()), goal.cycle_id)
            for goal in goals
            if isinstance(goal.state, KeyResultCard)
        ]

    def kpis(self, goals: Iterable[Goal]) -> list[KpiCard]:
        """KPIs with the definition in force and the reading that counted."""
        return [self._kpi(goal.state) for goal in goals if isinstance(goal.state, KpiState)]

    def _kpi(self, kpi: KpiState) -> KpiCard:
        in_force = definition_on(kpi.versions, local_day(self._seen.as_of, self._organisation.zone))
        row = self._reader.counting_reading(
            self._organisation_id, kpi.card.kpi_id, self._seen.known, self._seen.as_of
        )
        return replace(
            kpi.card,
            definition=in_force.definition,
            definition_version=in_force.version,
            reading=None if row is None else standing.reading_card(row, counts=True),
        )

    def _key_result(
        self, card: KeyResultCard, check_ins: Sequence[CheckInRow], cycle_id: str
    ) -> KeyResultCard:
        cycle = self._cycles[cycle_id]
        return standing.key_result_as_it_stood(
            card,
            standing.standing(check_ins),
            self._followed(card, cycle),
            self._span(cycle.card),
            self._seen.as_of,
            self._ceiling_of(cycle),
        )

    def _load_cycles(self, goals: Iterable[Goal]) -> None:
        missing = {goal.cycle_id for goal in goals} - self._cycles.keys()
        states = self._reader.states(self._organisation_id, "cycle", missing, self._seen.structure)
        for cycle_id, state in states.items():
            if isinstance(state, CycleState):
                self._cycles[cycle_id] = state

    def _span(self, cycle: CycleCard) -> Span:
        return standing.span_of(cycle, self._organisation.zone)

    def _followed(self, card: KeyResultCard, cycle: CycleState) -> ReadingRow | None:
        """The reading that counts for a key result linked to a KPI: one inside the cycle (R25)."""
        if not isinstance(card.measure, KpiLinked):
            return None
        key = card.measure.kpi_id, cycle.card.cycle_id
        if key not in self._readings:
            span = self._span(cycle.card)
            self._readings[key] = self._reader.counting_reading(
                self._organisation_id,
                card.measure.kpi_id,
                self._seen.known,
                min(self._seen.as_of, span.last),
                since=span.start,
            )
        return self._readings[key]

    def _ceiling_of(self, cycle: CycleState) -> Decimal:
        """What progress is held to: as the cycle pinned it, before that as it stood (R20)."""
        return (cycle.policy or self._organisation.policy).progress_ceiling
