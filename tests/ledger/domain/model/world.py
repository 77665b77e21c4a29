"""What the model remembers of an organisation: plain entries, told forward by the events alone.

Written from the rules and the published contracts, not from the ledger: it knows what an event
says, and nothing of how one comes about.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from goal_contracts import events as e
from goal_contracts.events import Event, KpiDefinition
from goal_contracts.fields import KpiHealth, ObjectiveKind, Status
from goal_contracts.measures import Measure
from goal_contracts.policy import Policy

ONE_DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


HEARD_OF = (
    e.CommentAdded,
    e.CheckedIn,
    e.CheckInCorrected,
    e.CheckInRetracted,
    e.KpiReadingRecorded,
    e.KpiReadingCorrected,
    e.KpiReadingRetracted,
    e.KpiReadingMissed,
    e.KpiHealthChanged,
    e.KpiReviewOpened,
    e.KpiReviewClosed,
)
"""What is said about a goal; whether that changes it, R29 leaves open."""


@dataclass
class Unit:
    made: e.UnitDefined
    name: str
    parent: str | None
    retired: bool = False


@dataclass
class Cycle:
    made: e.CyclePlanned
    start: date
    end: date
    state: str = "planned"
    policy: Policy | None = None
    closed_at: datetime | None = None
    looked_back: list[e.RetrospectiveRecorded] = field(default_factory=list)


@dataclass
class Objective:
    made: e.ObjectiveDrafted
    drafted_on: date
    unit: str
    title: str
    description: str
    owner: str
    contributors: tuple[str, ...]
    kind: ObjectiveKind
    aligned: tuple[str, ...]
    state: str = "draft"
    outcome: str | None = None
    score: Decimal | None = None
    computed: Decimal | None = None
    carried: e.ObjectiveCarriedOver | None = None


@dataclass
class Said:
    """A check-in as it counts now."""

    made: e.CheckedIn
    author: str
    made_at: datetime
    place: int
    value: Decimal | None
    confidence: int | None
    status: Status | None
    note: str
    retracted: bool = False


@dataclass
class KeyResult:
    made: e.KeyResultAdded
    title: str
    owner: str
    measure: Measure
    weight: Decimal
    dropped: bool = False
    score: Decimal | None = None
    computed: Decimal | None = None
    waived: bool = False
    said: dict[str, Said] = field(default_factory=dict)


@dataclass
class Reading:
    period: str
    source: str
    effective_at: datetime
    place: int
    value: Decimal
    version: int
    numerator: Decimal | None = None
    denominator: Decimal | None = None
    retracted: bool = False


@dataclass
class Review:
    made: e.KpiReviewOpened
    closed: e.KpiReviewClosed | None = None


@dataclass
class Kpi:
    made: e.KpiDefined
    defined_at: datetime
    unit: str
    owner: str
    versions: list[tuple[date, KpiDefinition]]
    retired: bool = False
    readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    missed: dict[tuple[str, str], e.KpiReadingMissed] = field(default_factory=dict)
    health: KpiHealth | None = None
    reviews: dict[str, Review] = field(default_factory=dict)

    @property
    def definition(self) -> KpiDefinition:
        """The newest version, whatever day it holds from."""
        return self.versions[-1][1]

    def version_on(self, day: date) -> int:
        """Counted from 1: the last that holds from that day or an earlier one."""
        holding = [n for n, (from_, _) in enumerate(self.versions, 1) if from_ <= day]
        return max(holding, default=1)

    def counting(self) -> list[Reading]:
        """Readings that were not taken back, the one that counts last."""
        kept = [each for each in self.readings.values() if not each.retracted]
        return sorted(kept, key=lambda each: (each.effective_at, each.place))


class World:
    """Everything that was recorded, as the model sees it."""

    def __init__(self) -> None:
        self.opened: e.OrganisationOpened | None = None
        self.policy = Policy()
        self.zone = ZoneInfo("UTC")
        self.running: str | None = None
        self.imports: dict[str, e.HistoryImportStarted] = {}
        self.known_at_max: datetime | None = None
        self.awaited_from = date.min
        """From when on readings are waited for anew: after an import, or after a pause."""
        self.units: dict[str, Unit] = {}
        self.cycles: dict[str, Cycle] = {}
        self.objectives: dict[str, Objective] = {}
        self.key_results: dict[str, KeyResult] = {}
        self.kpis: dict[str, Kpi] = {}
        self.comments: dict[tuple[str, str], e.CommentAdded] = {}
        self.position = 0
        self.changed: dict[str, int] = {}
        """When a goal was last heard of, comments and all."""
        self.decided: dict[str, int] = {}
        """When it was last decided anew: by what the goal itself says of itself."""

    # -------------------------------------------------------------------------------- questions

    def today(self, now: datetime) -> date:
        return now.astimezone(self.zone).date()

    def begin_of(self, day: date) -> datetime:
        """The first instant of a day of the organisation."""
        return datetime.combine(day, time(), self.zone)

    def end_of(self, day: date) -> datetime:
        """The last instant of a day."""
        return datetime.combine(day + ONE_DAY, time(), self.zone).astimezone(ZoneInfo("UTC")) - TICK

    def policy_of(self, cycle: Cycle) -> Policy:
        """What a cycle is judged by: pinned once it runs (R20)."""
        return cycle.policy or self.policy

    def cycle_of(self, objective: Objective) -> Cycle:
        return self.cycles[objective.made.cycle_id]

    def objective_of(self, key_result: KeyResult) -> Objective:
        return self.objectives[key_result.made.objective_id]

    def measured_by(self, objective_id: str) -> dict[str, KeyResult]:
        """The key results of an objective that were not dropped."""
        return {
            key_result_id: each
            for key_result_id, each in self.key_results.items()
            if each.made.objective_id == objective_id and not each.dropped
        }

    def units_above(self, unit_id: str) -> list[str]:
        """A unit and all above it."""
        line, at = list[str](), self.units.get(unit_id)
        name: str | None = unit_id
        while at is not None and name is not None:
            line.append(name)
            name = at.parent
            at = self.units.get(name) if name is not None else None
        return line

    def cycles_around(self, cycle_id: str) -> list[str]:
        """A cycle and all that enclose it."""
        line, at = list[str](), cycle_id
        while True:
            line.append(at)
            above = self.cycles[at].made.parent_id
            if above is None:
                return line
            at = above

    # ---------------------------------------------------------------------------- what happened

    def tell(self, happened: Event, place: int, at: datetime, actor: str) -> None:
        """One event more."""
        self.position = place
        self.known_at_max = max(at, self.known_at_max or at)
        self.changed[f"{happened.kind}/{happened.goal_id}"] = place
        if not isinstance(happened, HEARD_OF):
            self.decided[f"{happened.kind}/{happened.goal_id}"] = place
        told: Any = happened
        match happened:
            case e.OrganisationEvent():
                self._organisation(told, at)
            case e.UnitEvent():
                self._unit(told)
            case e.CycleEvent():
                self._cycle(told, at)
            case e.ObjectiveEvent():
                self._objective(told, at)
            case e.KeyResultEvent():
                self._key_result(told, place, at, actor)
            case e.KpiEvent():
                self._kpi(told, place, at)
            case e.CommentAdded():
                self.comments[happened.goal, happened.comment_id] = happened

    def _organisation(self, told: Any, at: datetime) -> None:
        match told:
            case e.OrganisationOpened():
                self.opened, self.policy, self.zone = told, told.policy, ZoneInfo(told.zone)
            case e.PolicyChanged():
                if self.policy.missed_readings != told.policy.missed_readings:
                    self.awaited_from = self.today(at)
                self.policy = told.policy
            case e.HistoryImportStarted():
                self.running = told.import_id
                self.imports[told.import_id] = told
            case e.HistoryImportFinished():
                self.running = None
                self.awaited_from = self.today(at)

    def _unit(self, told: Any) -> None:
        if isinstance(told, e.UnitDefined):
            self.units[told.unit_id] = Unit(told, told.name, told.parent_id)
            return
        unit = self.units[told.unit_id]
        match told:
            case e.UnitRenamed():
                unit.name = told.name
            case e.UnitMoved():
                unit.parent = told.parent_id
            case e.UnitRetired():
                unit.retired = True

    def _cycle(self, told: Any, at: datetime) -> None:
        if isinstance(told, e.CyclePlanned):
            self.cycles[told.cycle_id] = Cycle(told, told.start_on, told.end_on)
            return
        cycle = self.cycles[told.cycle_id]
        match told:
            case e.CycleRescheduled():
                cycle.start, cycle.end = told.start_on, told.end_on
            case e.CycleActivated():
                cycle.state, cycle.policy = "active", told.policy
            case e.CycleGradingStarted():
                cycle.state = "grading"
            case e.CycleClosed():
                cycle.state, cycle.closed_at, cycle.policy = "closed", at, told.policy
            case e.CycleReopened():
                cycle.state = "reopened"
            case e.CycleCancelled():
                cycle.state = "cancelled"
            case e.RetrospectiveRecorded():
                cycle.looked_back.append(told)

    def _objective(self, told: Any, at: datetime) -> None:
        if isinstance(told, e.ObjectiveDrafted):
            self.objectives[told.objective_id] = Objective(
                told,
                self.today(at),
                told.unit_id,
                told.title,
                told.description,
                told.owner,
                told.contributors,
                told.objective_kind,
                told.aligned_to,
            )
            return
        goal = self.objectives[told.objective_id]
        match told:
            case e.ObjectivePublished():
                goal.state = "published"
            case e.ObjectiveReworded():
                goal.title, goal.description = told.title, told.description
            case e.ObjectiveReassigned():
                goal.owner, goal.unit = told.owner, told.unit_id
            case e.ObjectiveContributorsChanged():
                goal.contributors = told.contributors
            case e.ObjectiveRealigned():
                goal.aligned = told.aligned_to
            case e.ObjectiveKindChanged():
                goal.kind = told.objective_kind
            case e.ObjectiveDropped():
                goal.state, goal.outcome = "dropped", "dropped"
            case e.ObjectiveCarriedOver():
                goal.state, goal.outcome, goal.carried = "carried", "carried", told
            case e.ObjectiveGraded():
                goal.outcome, goal.score, goal.computed = (
                    told.outcome,
                    told.score,
                    told.score_computed,
                )

    def _key_result(self, told: Any, place: int, at: datetime, actor: str) -> None:
        if isinstance(told, e.KeyResultAdded):
            self.key_results[told.key_result_id] = KeyResult(
                told, told.title, told.owner, told.measure, told.weight
            )
            return
        goal = self.key_results[told.key_result_id]
        match told:
            case e.KeyResultReworded():
                goal.title = told.title
            case e.KeyResultReassigned():
                goal.owner = told.owner
            case e.KeyResultReweighted():
                goal.weight = told.weight
            case e.KeyResultRetargeted() | e.KeyResultLinkedToKpi() | e.KeyResultUnlinkedFromKpi():
                goal.measure = told.measure
            case e.KeyResultDropped():
                goal.dropped = True
            case e.KeyResultGraded():
                goal.score, goal.computed, goal.waived = told.score, told.score_computed, False
            case e.KeyResultWaived():
                goal.waived, goal.score = True, None
            case e.CheckedIn():
                goal.said[told.check_in_id] = Said(
                    told,
                    actor,
                    at,
                    place,
                    told.value,
                    told.confidence,
                    told.status,
                    told.note,
                )
            case e.CheckInCorrected():
                said = goal.said[told.check_in_id]
                said.value, said.confidence = told.value, told.confidence
                said.status, said.note = told.status, told.note
            case e.CheckInRetracted():
                goal.said[told.check_in_id].retracted = True

    def _kpi(self, told: Any, place: int, at: datetime) -> None:
        if isinstance(told, e.KpiDefined):
            self.kpis[told.kpi_id] = Kpi(
                told, at, told.unit_id, told.owner, [(date.min, told.definition)]
            )
            return
        kpi = self.kpis[told.kpi_id]
        match told:
            case e.KpiRedefined():
                kpi.versions.append((told.effective_on, told.definition))
            case e.KpiRetargeted():
                kpi.versions.append((told.effective_on, _judged_by(kpi.definition, told)))
            case e.KpiReassigned():
                kpi.owner, kpi.unit = told.owner, told.unit_id
            case e.KpiRetired():
                kpi.retired = True
            case e.KpiReadingRecorded():
                kpi.readings[told.period, told.source] = Reading(
                    told.period,
                    told.source,
                    told.effective_at,
                    place,
                    told.value,
                    told.definition_version,
                    told.numerator,
                    told.denominator,
                )
            case e.KpiReadingCorrected():
                reading = kpi.readings[told.period, told.source]
                reading.value, reading.version = told.value, told.definition_version
                reading.numerator, reading.denominator = told.numerator, told.denominator
            case e.KpiReadingRetracted():
                kpi.readings[told.period, told.source].retracted = True
            case e.KpiReadingMissed():
                kpi.missed[told.period, told.source] = told
            case e.KpiHealthChanged():
                kpi.health = told.health
            case e.KpiReviewOpened():
                kpi.reviews[told.review_id] = Review(told)
            case e.KpiReviewClosed():
                kpi.reviews[told.review_id].closed = told


def _judged_by(definition: KpiDefinition, told: e.KpiRetargeted) -> KpiDefinition:
    return KpiDefinition(
        definition.name,
        definition.unit,
        definition.direction,
        definition.frequency,
        definition.source,
        told.target,
        told.bands,
        definition.aggregation,
        definition.timing,
        definition.formula,
        definition.places,
        definition.description,
    )
