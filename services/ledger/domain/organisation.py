"""What the ledger knows of one organisation, folded from its events.

The things in it are frozen and replaced in place, entry by entry: nothing copies the whole. Each
keeps the event that created it, or all that it said, which is how creating twice is recognised and
how the original stays visible. What grows with history is kept packed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, MutableMapping
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar, assert_never

from goal_contracts import events
from goal_contracts.events import Formula, KpiDefinition, Ratio, Sum
from goal_contracts.fields import (
    CycleKind,
    CycleState,
    Kind,
    KpiHealth,
    ObjectiveKind,
    ObjectiveState,
    Outcome,
    Status,
    UnitKind,
)
from goal_contracts.measures import KpiLinked, Measure
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal
from msgspec import NODEFAULT, Struct, field
from msgspec.structs import fields, replace

from services.ledger.domain.answers import Answers
from services.ledger.domain.listed import Listed
from services.ledger.domain.overlay import Overlay
from services.ledger.domain.packed import Packed
from services.ledger.domain.times import days_of_period, end_of_day, start_of_day

ANSWERS_MAX = 100_000
"""How many commands' answers are remembered; while an import runs, all of them are."""

ReadingKey = tuple[str, str, str]
"""KPI, period and source: there is one reading of each (R23)."""

Thing = TypeVar("Thing")


class HistoryImport(Struct, frozen=True, gc=False):
    """An import of facts from before the ledger."""

    started: events.HistoryImportStarted
    finished: events.HistoryImportFinished | None = None


class Unit(Struct, frozen=True, gc=False):
    """A company, department, team or person in the tree."""

    unit_id: str
    name: str
    unit_kind: UnitKind
    parent_id: str | None
    defined: events.UnitDefined
    retired: bool = False


class Closing(Struct, frozen=True, gc=False):
    """One closing of a cycle: its facts stay when the cycle is reopened (R19)."""

    position: int
    known_at: datetime
    actor: str
    closed: events.CycleClosed


class Cycle(Struct, frozen=True, gc=False):
    """A period for goals. `policy` is the one pinned at activation (R20)."""

    cycle_id: str
    name: str
    cycle_kind: CycleKind
    start_on: date
    end_on: date
    parent_id: str | None
    planned: events.CyclePlanned
    state: CycleState = "planned"
    policy: Policy | None = None
    retrospectives: tuple[events.RetrospectiveRecorded, ...] = ()
    closings: tuple[Closing, ...] = ()


class Objective(Struct, frozen=True, gc=False):
    """What a unit wants to reach in a cycle."""

    objective_id: str
    cycle_id: str
    unit_id: str
    title: str
    description: str
    owner: str
    objective_kind: ObjectiveKind
    contributors: tuple[str, ...]
    aligned_to: tuple[str, ...]
    drafted: events.ObjectiveDrafted
    state: ObjectiveState = "draft"
    carried_to: str | None = None
    outcome: Outcome | None = None
    score: Decimal | None = None
    score_computed: Decimal | None = None


class KeyResult(Struct, frozen=True, gc=False):
    """A measurable outcome of an objective. `linked_from` is its measure before the last link."""

    key_result_id: str
    objective_id: str
    title: str
    owner: str
    measure: Measure
    weight: Decimal
    added: events.KeyResultAdded
    linked_from: Measure | None = None
    dropped: bool = False
    waived: bool = False
    score: Decimal | None = None
    score_computed: Decimal | None = None


class Said(Struct, frozen=True, array_like=True, gc=False):
    """What a check-in says."""

    value: Decimal | None
    confidence: int | None
    status: Status | None
    note: str


class CheckIn(Struct, frozen=True, array_like=True, gc=False):
    """What a check-in says after its corrections; `position`, `known_at`, `actor` are its first.

    `first` is what it said at first, once it was corrected.
    """

    effective_at: datetime
    position: int
    known_at: datetime
    actor: str
    value: Decimal | None
    confidence: int | None
    status: Status | None
    note: str
    provenance: str | None
    retracted: bool = False
    first: Said | None = None

    @property
    def said(self) -> Said:
        """What it said when it was made."""
        return self.first or Said(self.value, self.confidence, self.status, self.note)

    def made(self, key_result_id: str, check_in_id: str) -> events.CheckedIn:
        """The event that made it, under its ids."""
        said = self.said
        return events.CheckedIn(
            key_result_id=key_result_id,
            check_in_id=check_in_id,
            effective_at=self.effective_at,
            value=said.value,
            confidence=said.confidence,
            status=said.status,
            note=said.note,
            provenance=self.provenance,
        )


class KpiVersion(Struct, frozen=True, gc=False):
    """A KPI's definition from a day on; the first holds from always (R22)."""

    version: int
    definition: KpiDefinition
    effective_on: date = date.min


class Kpi(Struct, frozen=True, gc=False):
    """An indicator without an end date. `reviewed`: its present breach had its review (R24)."""

    kpi_id: str
    unit_id: str
    owner: str
    versions: tuple[KpiVersion, ...]
    defined: events.KpiDefined
    defined_at: datetime
    retired: bool = False
    health: KpiHealth = "no_data"
    reviewed: bool = False

    @property
    def definition(self) -> KpiDefinition:
        """The latest one, though it may take effect only later."""
        return self.versions[-1].definition

    @property
    def is_judged(self) -> bool:
        """Whether any version of its definition has bands (R24)."""
        for each in self.versions:  # noqa: SIM110 - asked of every reading, and this is faster
            if each.definition.bands is not None:
                return True
        return False

    def version_on(self, day: date) -> KpiVersion:
        """The version in force on a day: the last that holds from that day or an earlier one."""
        latest = self.versions[-1]
        if latest.effective_on <= day:
            return latest
        return next(each for each in reversed(self.versions) if each.effective_on <= day)

    def version(self, number: int) -> KpiVersion:
        """The version of that number; the first is 1."""
        return self.versions[number - 1]


class Reading(Struct, frozen=True, array_like=True, gc=False):
    """A KPI's value for a period from a source, as it says after its corrections."""

    effective_at: datetime
    position: int
    definition_version: int
    value: Decimal
    numerator: Decimal | None
    denominator: Decimal | None
    retracted: bool = False


class Missed(Struct, frozen=True, array_like=True, gc=False):
    """A period that passed without a reading."""

    effective_at: datetime


class Review(Struct, frozen=True, gc=False):
    """Somebody's look at a KPI, and what they decided."""

    opened: events.KpiReviewOpened
    closed: events.KpiReviewClosed | None = None


class Span(Struct, frozen=True):
    """A period by its first and last day."""

    first: date
    last: date

    @property
    def period(self) -> str:
        """As readings name it: 2022-01-01/2022-01-31."""
        return f"{self.first}/{self.last}"


class Watch(Struct, frozen=True):
    """The oldest period of a KPI that is not settled, and the first day on which it is missed."""

    awaited: Span
    missed_on: date


class Organisation(Struct):
    """One ledger of goals: everything a decision may look at.

    The mappings called `…_ids` and `…_keys` are indexes: what belongs to an id, in order;
    readings and missed ones in the order in which they are effective. `dependent_ids` says which
    KPIs are computed from a KPI (R27).
    `pursued` counts by cycle and unit the objectives that were neither dropped nor carried over.
    `watches` says per KPI which reading is awaited, and `watched_days` how many are missed from a
    day on, written as 2025-03-11; what was over on the day `watched_from` is not awaited (R26).
    `changed` maps a goal's kind and id to the position of its last change (R29).
    """

    organisation_id: str
    name: str
    zone: str
    policy: Policy
    opened: events.OrganisationOpened
    known_at_max: datetime
    position: int = 0
    running_import: str | None = None
    watched_from: date = date.min
    imports: MutableMapping[str, HistoryImport] = field(default_factory=dict)
    units: MutableMapping[str, Unit] = field(default_factory=dict)
    cycles: MutableMapping[str, Cycle] = field(default_factory=dict)
    objectives: MutableMapping[str, Objective] = field(default_factory=dict)
    key_results: MutableMapping[str, KeyResult] = field(default_factory=dict)
    check_ins: MutableMapping[tuple[str, str], CheckIn] = field(
        default_factory=lambda: Packed(CheckIn)
    )
    kpis: MutableMapping[str, Kpi] = field(default_factory=dict)
    readings: MutableMapping[ReadingKey, Reading] = field(default_factory=lambda: Packed(Reading))
    missed: MutableMapping[ReadingKey, Missed] = field(default_factory=lambda: Packed(Missed))
    reviews: MutableMapping[tuple[str, str], Review] = field(default_factory=lambda: Packed(Review))
    comments: MutableMapping[tuple[str, str], events.CommentAdded] = field(
        default_factory=lambda: Packed(events.CommentAdded)
    )
    objective_ids: MutableMapping[str, Listed[str]] = field(default_factory=dict)
    key_result_ids: MutableMapping[str, tuple[str, ...]] = field(default_factory=dict)
    check_in_ids: MutableMapping[str, Listed[str]] = field(default_factory=dict)
    linked_ids: MutableMapping[str, tuple[str, ...]] = field(default_factory=dict)
    pursued: MutableMapping[tuple[str, str], int] = field(default_factory=dict)
    dependent_ids: MutableMapping[str, tuple[str, ...]] = field(default_factory=dict)
    review_ids: MutableMapping[str, tuple[str, ...]] = field(default_factory=dict)
    reading_keys: MutableMapping[str, Listed[ReadingKey]] = field(default_factory=dict)
    missed_keys: MutableMapping[str, Listed[ReadingKey]] = field(default_factory=dict)
    watches: MutableMapping[str, Watch] = field(default_factory=dict)
    watched_days: MutableMapping[str, int] = field(default_factory=dict)
    changed: MutableMapping[tuple[str, str], int] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)

    def fork(self) -> "Organisation":
        """The same state to try events on: what is written to it stays in it.

        It remembers no answers but its own. `take_over` lets what happened to it happen here.
        """
        tried = {name: Overlay(getattr(self, name)) for name in _MAPPINGS}
        return replace(self, answers=Answers(), **tried)

    def stand_on(self, organisation: "Organisation") -> None:
        """A fork of a fork that was taken over is from now on a fork of what took it over."""
        for name in _MAPPINGS:
            getattr(self, name).below = getattr(organisation, name)

    def take_over(self, fork: "Organisation") -> None:
        """What happened to a fork of this has happened; `evolve` remembers the answers."""
        for name in _MAPPINGS:
            getattr(fork, name).settle()
        for name in _FACTS:
            setattr(self, name, getattr(fork, name))

    @property
    def watches_readings(self) -> bool:
        """Whether a reading that does not come is missed (R26)."""
        return self.policy.missed_readings == "record" and self.running_import is None

    def unit(self, unit_id: str) -> Unit:
        return _found(self.units, "unit", unit_id)

    def cycle(self, cycle_id: str) -> Cycle:
        return _found(self.cycles, "cycle", cycle_id)

    def objective(self, objective_id: str) -> Objective:
        return _found(self.objectives, "objective", objective_id)

    def key_result(self, key_result_id: str) -> KeyResult:
        return _found(self.key_results, "key_result", key_result_id)

    def kpi(self, kpi_id: str) -> Kpi:
        return _found(self.kpis, "kpi", kpi_id)

    def cycle_of(self, goal: Objective | KeyResult) -> Cycle:
        """The cycle an objective, or a key result's objective, belongs to."""
        objective = goal if isinstance(goal, Objective) else self.objectives[goal.objective_id]
        return self.cycles[objective.cycle_id]

    def policy_of(self, cycle: Cycle) -> Policy:
        """The policy a cycle's goals live under: the pinned one, before that the current (R20)."""
        return cycle.policy or self.policy

    def begin_of(self, cycle: Cycle) -> datetime:
        """The first instant of a cycle."""
        return start_of_day(cycle.start_on, self.zone)

    def end_of(self, cycle: Cycle) -> datetime:
        """The last instant of a cycle."""
        return end_of_day(cycle.end_on, self.zone)

    def objectives_in(self, cycle_id: str) -> list[Objective]:
        return [self.objectives[each] for each in self.objective_ids.get(cycle_id, ())]

    def objectives_pursued(self, cycle_id: str, unit_id: str) -> int:
        """How many objectives a unit has in a cycle, without those dropped or carried over."""
        return self.pursued.get((cycle_id, unit_id), 0)

    def live_key_results(self, objective_id: str) -> list[KeyResult]:
        """Those of an objective that were not dropped."""
        ids = self.key_result_ids.get(objective_id, ())
        return [each for key in ids if not (each := self.key_results[key]).dropped]

    def live_check_ins(self, key_result_id: str) -> list[CheckIn]:
        """Those on a key result that were not retracted."""
        ids = self.check_in_ids.get(key_result_id, ())
        return [each for key in ids if not (each := self.check_ins[key_result_id, key]).retracted]

    def readings_inside(self, kpi_id: str, cycle: Cycle) -> list[Reading]:
        """A KPI's readings, not retracted, that are effective within a cycle, from every source."""
        begin, end = self.begin_of(cycle), self.end_of(cycle)
        return [
            each
            for key in self.reading_keys.get(kpi_id, ())
            if not (each := self.readings[key]).retracted and begin <= each.effective_at <= end
        ]

    def readings_of(self, kpi_id: str, period: str) -> list[Reading]:
        """A KPI's readings of exactly this period, not retracted, from every source."""
        _, last_day = days_of_period(period)
        effective_at = end_of_day(last_day, self.zone)
        keys = self.reading_keys.get(kpi_id, ())

        def when(key: ReadingKey) -> datetime:
            return self.readings[key].effective_at

        ending = keys[
            bisect_left(keys, effective_at, key=when) : bisect_right(keys, effective_at, key=when)
        ]
        return [
            each
            for key in ending
            if key[1] == period and not (each := self.readings[key]).retracted
        ]

    def counted_value(self, key_result: KeyResult) -> Decimal | None:
        """The value that counts at the end of the key result's cycle.

        Greatest `effective_at` wins, ties by position; a correction has replaced what it corrects,
        a retraction has removed it. One linked to a KPI follows its readings (R25).
        """
        said: list[CheckIn] | list[Reading]
        if isinstance(key_result.measure, KpiLinked):
            said = self.readings_inside(key_result.measure.kpi_id, self.cycle_of(key_result))
        else:
            said = self.live_check_ins(key_result.key_result_id)
        valued = [each for each in said if each.value is not None]
        last = max(valued, key=lambda each: (each.effective_at, each.position), default=None)
        return None if last is None else last.value


_MAPPINGS = tuple(
    each.name
    for each in fields(Organisation)
    if each.default_factory is not NODEFAULT and each.name != "answers"
)
_FACTS = tuple(each.name for each in fields(Organisation) if each.default_factory is NODEFAULT)


def inputs_of(formula: Formula | None) -> tuple[str, ...]:
    """The KPIs that a formula names (R27)."""
    match formula:
        case Ratio(numerator=numerator, denominator=denominator):
            return numerator, denominator
        case Sum(of=of):
            return of
        case None:
            return ()
        case _:
            assert_never(formula)


def _found(things: Mapping[str, Thing], kind: Kind, thing_id: str) -> Thing:
    thing = things.get(thing_id)
    if thing is None:
        raise Refusal(
            Reason.NOT_FOUND,
            f"there is no {kind} {thing_id}",
            seen=thing_id,
            accepted=f"the id of an existing {kind}",
        )
    return thing
