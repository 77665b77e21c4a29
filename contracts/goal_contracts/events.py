"""What happened: one frozen struct per event, in the words of the business.

An event carries the old and the new value where something was replaced. A published event is
frozen: an optional field may be added, anything else is a new version.

`gc=False`: they hold no cycles, and the ledger holds many of them, so the garbage collector need
not look through them.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from goal_contracts.fields import (
    Aggregation,
    Confidence,
    CycleKind,
    Direction,
    Frequency,
    GoalRef,
    Id,
    Instant,
    Kind,
    KpiHealth,
    Name,
    ObjectiveKind,
    Outcome,
    Period,
    Provenance,
    Reasoning,
    ReviewDecision,
    Source,
    Status,
    Text,
    Timing,
    Title,
    UnitKind,
    UnitOfMeasure,
    Zone,
)
from goal_contracts.measures import Measure
from goal_contracts.policy import Policy


class Band(Struct, frozen=True, omit_defaults=True, gc=False):
    """A stretch of values in the KPI's own unit, ends included; None, open on that side."""

    low: Decimal | None = None
    high: Decimal | None = None

    def holds(self, value: Decimal) -> bool:
        """Whether a value lies inside."""
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)


class KpiBands(Struct, frozen=True, gc=False):
    """Values inside `healthy` are healthy, else inside `warning` a warning, else a breach."""

    healthy: Band
    warning: Band

    def health(self, value: Decimal) -> KpiHealth:
        """How healthy a value is (R24)."""
        if self.healthy.holds(value):
            return "healthy"
        return "warning" if self.warning.holds(value) else "breach"


class Ratio(Struct, frozen=True, tag_field="kind", tag="ratio", omit_defaults=True, gc=False):
    """One KPI's reading over another's of the same period, times a factor (100 for percent)."""

    numerator: Id
    denominator: Id
    factor: Decimal = Decimal(1)


class Sum(Struct, frozen=True, tag_field="kind", tag="sum", gc=False):
    """The sum of several KPIs' readings of the same period."""

    of: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=100)]


Formula = Ratio | Sum


class KpiDefinition(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a KPI measures and how it is judged; one version of it.

    A KPI with a formula takes no readings of its own: they are computed from other KPIs', rounded
    to `places` decimals, half to even (six where it is None).
    """

    name: Title
    unit: UnitOfMeasure
    direction: Direction
    frequency: Frequency
    source: Source
    target: Decimal | None = None
    bands: KpiBands | None = None
    aggregation: Aggregation = "last"
    timing: Timing = "lagging"
    formula: Formula | None = None
    places: Annotated[int, Meta(ge=0, le=12)] | None = None
    description: Text = ""


class OrganisationEvent(Struct, frozen=True, omit_defaults=True, gc=False):
    """An event of the organisation itself."""

    kind: ClassVar[Kind] = "organisation"
    organisation_id: Id

    @property
    def goal_id(self) -> str:
        """The id behind the kind in the event's subject."""
        return self.organisation_id


class OrganisationOpened(OrganisationEvent, frozen=True, omit_defaults=True):
    """A ledger of goals was opened for an organisation, with its zone and first policy."""

    name: Name
    zone: Zone
    policy: Policy


class PolicyChanged(OrganisationEvent, frozen=True, omit_defaults=True):
    """The organisation's settings were changed; running cycles keep what they pinned."""

    policy_was: Policy
    policy: Policy
    reason: Reasoning | None = None


class HistoryImportStarted(OrganisationEvent, frozen=True, omit_defaults=True):
    """Facts from before the ledger began to be imported, in order of their own dates."""

    import_id: Id
    source: Source
    digest: Name


class HistoryImportFinished(OrganisationEvent, frozen=True, omit_defaults=True):
    """The import came to its end, or was stopped as it stood."""

    import_id: Id
    outcome: Literal["completed", "stopped"]


class UnitEvent(Struct, frozen=True, omit_defaults=True, gc=False):
    """An event of a unit in the organisation's tree."""

    kind: ClassVar[Kind] = "unit"
    unit_id: Id

    @property
    def goal_id(self) -> str:
        """The id behind the kind in the event's subject."""
        return self.unit_id


class UnitDefined(UnitEvent, frozen=True, omit_defaults=True):
    """A company, department, team or person took its place in the tree."""

    name: Name
    unit_kind: UnitKind
    parent_id: Id | None = None


class UnitRenamed(UnitEvent, frozen=True, omit_defaults=True):
    """A unit got another name."""

    name_was: Name
    name: Name


class UnitMoved(UnitEvent, frozen=True, omit_defaults=True):
    """A unit got another parent."""

    parent_id_was: Id | None = None
    parent_id: Id | None = None


class UnitRetired(UnitEvent, frozen=True, omit_defaults=True):
    """A unit ended; its goals stay as they were."""

    reason: Reasoning | None = None


class CycleEvent(Struct, frozen=True, omit_defaults=True, gc=False):
    """An event of a cycle."""

    kind: ClassVar[Kind] = "cycle"
    cycle_id: Id

    @property
    def goal_id(self) -> str:
        """The id behind the kind in the event's subject."""
        return self.cycle_id


class CyclePlanned(CycleEvent, frozen=True, omit_defaults=True):
    """A period for goals was laid down; both days belong to it."""

    name: Name
    cycle_kind: CycleKind
    start_on: date
    end_on: date
    parent_id: Id | None = None


class CycleRescheduled(CycleEvent, frozen=True, omit_defaults=True):
    """A cycle got another first or last day."""

    start_on_was: date
    end_on_was: date
    start_on: date
    end_on: date
    reason: Reasoning | None = None


class CycleActivated(CycleEvent, frozen=True, omit_defaults=True):
    """Work on the cycle's goals began, under the policy pinned here."""

    policy: Policy


class CycleGradingStarted(CycleEvent, frozen=True, omit_defaults=True):
    """The cycle's goals are being judged."""


class CycleClosed(CycleEvent, frozen=True, omit_defaults=True):
    """The cycle was sealed, with the policy it is judged by and what it came to."""

    policy: Policy
    aspirational_score: Decimal | None = None
    committed_met: Decimal | None = None


class CycleReopened(CycleEvent, frozen=True, omit_defaults=True):
    """A closed cycle was opened again; the facts of its closing stay in the record."""

    reason: Reasoning


class CycleCancelled(CycleEvent, frozen=True, omit_defaults=True):
    """The cycle will not be carried through."""

    reason: Reasoning


class RetrospectiveRecorded(CycleEvent, frozen=True, omit_defaults=True):
    """What people took from the cycle; a later one stands beside the earlier."""

    went_well: Text = ""
    did_not_go_well: Text = ""
    learned: Text = ""
    celebrate: Text = ""


class ObjectiveEvent(Struct, frozen=True, omit_defaults=True, gc=False):
    """An event of an objective."""

    kind: ClassVar[Kind] = "objective"
    objective_id: Id

    @property
    def goal_id(self) -> str:
        """The id behind the kind in the event's subject."""
        return self.objective_id


class ObjectiveDrafted(ObjectiveEvent, frozen=True, omit_defaults=True):
    """An objective was written down for a cycle, a unit and one accountable owner."""

    cycle_id: Id
    unit_id: Id
    title: Title
    owner: Id
    objective_kind: ObjectiveKind = "aspirational"
    description: Text = ""
    contributors: tuple[Id, ...] = ()
    aligned_to: tuple[GoalRef, ...] = ()
    carried_from: Id | None = None
    mid_cycle: bool = False
    reason: Reasoning | None = None


class ObjectivePublished(ObjectiveEvent, frozen=True, omit_defaults=True):
    """The objective counts from here on."""


class ObjectiveReworded(ObjectiveEvent, frozen=True, omit_defaults=True):
    """The objective says it differently."""

    title_was: Title
    title: Title
    description_was: Text = ""
    description: Text = ""
    reason: Reasoning | None = None


class ObjectiveReassigned(ObjectiveEvent, frozen=True, omit_defaults=True):
    """Another owner is accountable, or another unit carries the objective."""

    owner_was: Id
    owner: Id
    unit_id_was: Id
    unit_id: Id
    reason: Reasoning | None = None


class ObjectiveContributorsChanged(ObjectiveEvent, frozen=True, omit_defaults=True):
    """Other people help with the objective."""

    contributors_was: tuple[Id, ...] = ()
    contributors: tuple[Id, ...] = ()


class ObjectiveRealigned(ObjectiveEvent, frozen=True, omit_defaults=True):
    """The objective serves other parents."""

    aligned_to_was: tuple[GoalRef, ...] = ()
    aligned_to: tuple[GoalRef, ...] = ()
    reason: Reasoning | None = None


class ObjectiveKindChanged(ObjectiveEvent, frozen=True, omit_defaults=True):
    """Committed became aspirational, or the other way round."""

    objective_kind_was: ObjectiveKind
    objective_kind: ObjectiveKind
    reason: Reasoning | None = None


class ObjectiveDropped(ObjectiveEvent, frozen=True, omit_defaults=True):
    """The objective is no longer pursued; it stays visible."""

    reason: Reasoning | None = None


class ObjectiveGraded(ObjectiveEvent, frozen=True, omit_defaults=True):
    """The objective was judged: the computed score, the score given, and the outcome."""

    outcome: Outcome
    score_computed: Decimal | None = None
    score: Decimal | None = None
    reason: Reasoning | None = None


class ObjectiveCarriedOver(ObjectiveEvent, frozen=True, omit_defaults=True):
    """The objective goes on as a new one in another cycle."""

    carried_to: Id
    cycle_id: Id
    reason: Reasoning | None = None


class KeyResultEvent(Struct, frozen=True, omit_defaults=True, gc=False):
    """An event of a key result."""

    kind: ClassVar[Kind] = "key_result"
    key_result_id: Id

    @property
    def goal_id(self) -> str:
        """The id behind the kind in the event's subject."""
        return self.key_result_id


class KeyResultAdded(KeyResultEvent, frozen=True, omit_defaults=True):
    """A measurable outcome was added to an objective."""

    objective_id: Id
    title: Title
    owner: Id
    measure: Measure
    weight: Decimal = Decimal(1)
    carried_from: Id | None = None
    mid_cycle: bool = False
    reason: Reasoning | None = None


class KeyResultReworded(KeyResultEvent, frozen=True, omit_defaults=True):
    """The key result says it differently."""

    title_was: Title
    title: Title
    reason: Reasoning | None = None


class KeyResultReassigned(KeyResultEvent, frozen=True, omit_defaults=True):
    """Another owner is accountable."""

    owner_was: Id
    owner: Id
    reason: Reasoning | None = None


class KeyResultReweighted(KeyResultEvent, frozen=True, omit_defaults=True):
    """The key result counts for more or less within its objective."""

    weight_was: Decimal
    weight: Decimal
    reason: Reasoning | None = None


class KeyResultRetargeted(KeyResultEvent, frozen=True, omit_defaults=True):
    """The key result is measured against something else; `lowered` when it asks for less."""

    measure_was: Measure
    measure: Measure
    lowered: bool = False
    mid_cycle: bool = False
    reason: Reasoning | None = None


class KeyResultDropped(KeyResultEvent, frozen=True, omit_defaults=True):
    """The key result is no longer pursued; it stays visible and no longer counts."""

    mid_cycle: bool = False
    reason: Reasoning | None = None


class KeyResultLinkedToKpi(KeyResultEvent, frozen=True, omit_defaults=True):
    """The key result follows a KPI's readings from here on."""

    measure_was: Measure
    measure: Measure
    reason: Reasoning | None = None


class KeyResultUnlinkedFromKpi(KeyResultEvent, frozen=True, omit_defaults=True):
    """The key result is measured by check-ins again."""

    measure_was: Measure
    measure: Measure
    reason: Reasoning


class CheckedIn(KeyResultEvent, frozen=True, omit_defaults=True):
    """How a key result stood on a day: value, confidence, status and note, each if given."""

    check_in_id: Id
    effective_at: Instant
    value: Decimal | None = None
    confidence: Confidence | None = None
    status: Status | None = None
    note: Text = ""
    provenance: Provenance | None = None


class CheckInCorrected(KeyResultEvent, frozen=True, omit_defaults=True):
    """A check-in said something wrong; what it said and what it should have said."""

    check_in_id: Id
    effective_at: Instant
    reason: Reasoning
    value_was: Decimal | None = None
    value: Decimal | None = None
    confidence_was: Confidence | None = None
    confidence: Confidence | None = None
    status_was: Status | None = None
    status: Status | None = None
    note_was: Text = ""
    note: Text = ""


class CheckInRetracted(KeyResultEvent, frozen=True, omit_defaults=True):
    """A check-in should not have been made; the one before it counts again."""

    check_in_id: Id
    effective_at: Instant
    reason: Reasoning


class KeyResultGraded(KeyResultEvent, frozen=True, omit_defaults=True):
    """The key result was judged: the score as computed and the score given."""

    score: Decimal
    score_computed: Decimal | None = None
    reason: Reasoning | None = None


class KeyResultWaived(KeyResultEvent, frozen=True, omit_defaults=True):
    """The key result will not be scored."""

    reason: Reasoning


class KpiEvent(Struct, frozen=True, omit_defaults=True, gc=False):
    """An event of a KPI."""

    kind: ClassVar[Kind] = "kpi"
    kpi_id: Id

    @property
    def goal_id(self) -> str:
        """The id behind the kind in the event's subject."""
        return self.kpi_id


class KpiDefined(KpiEvent, frozen=True, omit_defaults=True):
    """An indicator came to be watched; this is version 1 of its definition."""

    unit_id: Id
    owner: Id
    definition: KpiDefinition


class KpiRedefined(KpiEvent, frozen=True, omit_defaults=True):
    """From a day on the KPI is measured or judged differently."""

    version: int
    effective_on: date
    definition_was: KpiDefinition
    definition: KpiDefinition
    reason: Reasoning | None = None


class KpiRetargeted(KpiEvent, frozen=True, omit_defaults=True):
    """From a day on the KPI has another target or other bands."""

    version: int
    effective_on: date
    target_was: Decimal | None = None
    target: Decimal | None = None
    bands_was: KpiBands | None = None
    bands: KpiBands | None = None
    reason: Reasoning | None = None


class KpiReassigned(KpiEvent, frozen=True, omit_defaults=True):
    """Another owner is accountable, or another unit watches the KPI."""

    owner_was: Id
    owner: Id
    unit_id_was: Id
    unit_id: Id
    reason: Reasoning | None = None


class KpiRetired(KpiEvent, frozen=True, omit_defaults=True):
    """The KPI is no longer watched; its readings stay."""

    reason: Reasoning | None = None


class KpiReadingRecorded(KpiEvent, frozen=True, omit_defaults=True):
    """One value for one period from one source, judged by one version of the definition."""

    period: Period
    effective_at: Instant
    value: Decimal
    source: Source
    definition_version: int
    numerator: Decimal | None = None
    denominator: Decimal | None = None
    provenance: Provenance | None = None


class KpiReadingCorrected(KpiEvent, frozen=True, omit_defaults=True):
    """A reading was wrong, or was revised by its source: the value before and the value now."""

    period: Period
    effective_at: Instant
    value_was: Decimal
    value: Decimal
    source: Source
    definition_version: int
    reason: Reasoning
    numerator_was: Decimal | None = None
    numerator: Decimal | None = None
    denominator_was: Decimal | None = None
    denominator: Decimal | None = None
    provenance: Provenance | None = None


class KpiReadingRetracted(KpiEvent, frozen=True, omit_defaults=True):
    """A reading should not have been recorded."""

    period: Period
    effective_at: Instant
    value_was: Decimal
    source: Source
    reason: Reasoning


class KpiReadingMissed(KpiEvent, frozen=True, omit_defaults=True):
    """A period and its grace passed without a reading."""

    period: Period
    effective_at: Instant
    source: Source


class KpiHealthChanged(KpiEvent, frozen=True, omit_defaults=True):
    """A reading crossed a band."""

    effective_at: Instant
    health_was: KpiHealth
    health: KpiHealth
    period: Period | None = None


class KpiReviewOpened(KpiEvent, frozen=True, omit_defaults=True):
    """Somebody has to look at the KPI by a day and decide."""

    review_id: Id
    owner: Id
    due_on: date
    reason: Reasoning | None = None


class KpiReviewClosed(KpiEvent, frozen=True, omit_defaults=True):
    """The review ended with a decision: fix, start a recovery objective, or accept."""

    review_id: Id
    decision: ReviewDecision
    objective_id: Id | None = None
    reason: Reasoning | None = None


class CommentAdded(Struct, frozen=True, omit_defaults=True, gc=False):
    """Somebody said something about an objective, a key result or a KPI."""

    goal: GoalRef
    comment_id: Id
    text: Text

    @property
    def kind(self) -> Kind:
        """The kind of what is commented on."""
        return self.goal.partition("/")[0]  # type: ignore[return-value]  # the pattern allows only kinds

    @property
    def goal_id(self) -> str:
        """The id of what is commented on."""
        return self.goal.partition("/")[2]


Event = (
    OrganisationOpened
    | PolicyChanged
    | HistoryImportStarted
    | HistoryImportFinished
    | UnitDefined
    | UnitRenamed
    | UnitMoved
    | UnitRetired
    | CyclePlanned
    | CycleRescheduled
    | CycleActivated
    | CycleGradingStarted
    | CycleClosed
    | CycleReopened
    | CycleCancelled
    | RetrospectiveRecorded
    | ObjectiveDrafted
    | ObjectivePublished
    | ObjectiveReworded
    | ObjectiveReassigned
    | ObjectiveContributorsChanged
    | ObjectiveRealigned
    | ObjectiveKindChanged
    | ObjectiveDropped
    | ObjectiveGraded
    | ObjectiveCarriedOver
    | KeyResultAdded
    | KeyResultReworded
    | KeyResultReassigned
    | KeyResultReweighted
    | KeyResultRetargeted
    | KeyResultDropped
    | KeyResultLinkedToKpi
    | KeyResultUnlinkedFromKpi
    | CheckedIn
    | CheckInCorrected
    | CheckInRetracted
    | KeyResultGraded
    | KeyResultWaived
    | KpiDefined
    | KpiRedefined
    | KpiRetargeted
    | KpiReassigned
    | KpiRetired
    | KpiReadingRecorded
    | KpiReadingCorrected
    | KpiReadingRetracted
    | KpiReadingMissed
    | KpiHealthChanged
    | KpiReviewOpened
    | KpiReviewClosed
    | CommentAdded
)

EVENTS: dict[str, type[Event]] = {event.__name__: event for event in Event.__args__}
"""Every event by its name, in the order of the catalogue."""
