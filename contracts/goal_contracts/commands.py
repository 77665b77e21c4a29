"""What may be asked of the ledger: one frozen struct per command, in the imperative."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from goal_contracts.events import KpiBands, KpiDefinition
from goal_contracts.fields import (
    Confidence,
    CycleKind,
    GoalRef,
    Id,
    Instant,
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
    Title,
    UnitKind,
    Zone,
)
from goal_contracts.measures import Measure
from goal_contracts.policy import Policy

ITEMS_MAX = 1_000
"""How many items a bulk command may carry: as many events go into one commit."""


BulkMode = Literal["all_or_nothing", "per_item"]
"""Refuse the whole command for one item, or leave out and name what is refused."""


class Request(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What every command has in common: a field nobody knows is refused, not overlooked."""


class OpenOrganisation(Request, frozen=True):
    """Open the ledger of the organisation named in the subject."""

    name: Name
    zone: Zone = "UTC"
    policy: Policy = Policy()


class ChangePolicy(Request, frozen=True):
    """Replace the organisation's settings; running cycles keep what they pinned (R20)."""

    policy: Policy
    reason: Reasoning | None = None


class StartHistoryImport(Request, frozen=True):
    """Begin, or take up again, an import under its own id."""

    import_id: Id
    source: Source
    digest: Name


class FinishHistoryImport(Request, frozen=True):
    """End a running import: everything is in, or it is finished as it stands."""

    import_id: Id
    outcome: Literal["completed", "stopped"] = "completed"


class DefineUnit(Request, frozen=True):
    """Add a company, department, team or person to the tree."""

    unit_id: Id
    name: Name
    unit_kind: UnitKind
    parent_id: Id | None = None


class RenameUnit(Request, frozen=True):
    """Give a unit another name."""

    unit_id: Id
    name: Name


class MoveUnit(Request, frozen=True):
    """Put a unit below another parent."""

    unit_id: Id
    parent_id: Id | None = None


class RetireUnit(Request, frozen=True):
    """End a unit."""

    unit_id: Id
    reason: Reasoning | None = None


class PlanCycle(Request, frozen=True):
    """Lay down a period for goals; `activate` begins it at once where the policy allows (R1)."""

    cycle_id: Id
    name: Name
    cycle_kind: CycleKind
    start_on: date
    end_on: date
    parent_id: Id | None = None
    activate: bool = False


class RescheduleCycle(Request, frozen=True):
    """Move a cycle's first or last day."""

    cycle_id: Id
    start_on: date
    end_on: date
    reason: Reasoning | None = None


class ActivateCycle(Request, frozen=True):
    """Begin work on a planned cycle and pin the policy it runs under."""

    cycle_id: Id


class StartCycleGrading(Request, frozen=True):
    """Begin to judge an active or reopened cycle."""

    cycle_id: Id


class CloseCycle(Request, frozen=True):
    """Seal a cycle once everything in it is judged (R18)."""

    cycle_id: Id


class ReopenCycle(Request, frozen=True):
    """Open a closed cycle again (R19)."""

    cycle_id: Id
    reason: Reasoning | None = None


class CancelCycle(Request, frozen=True):
    """Give a cycle up."""

    cycle_id: Id
    reason: Reasoning | None = None


class RecordRetrospective(Request, frozen=True):
    """Write down what people take from a cycle; at least one of the four must say something."""

    cycle_id: Id
    went_well: Text = ""
    did_not_go_well: Text = ""
    learned: Text = ""
    celebrate: Text = ""


class DraftObjective(Request, frozen=True):
    """Write an objective down."""

    objective_id: Id
    cycle_id: Id
    unit_id: Id
    title: Title
    owner: Id
    objective_kind: ObjectiveKind = "aspirational"
    description: Text = ""
    contributors: tuple[Id, ...] = ()
    aligned_to: tuple[GoalRef, ...] = ()
    reason: Reasoning | None = None


class PublishObjective(Request, frozen=True):
    """Make an objective count (R4)."""

    objective_id: Id


class RewordObjective(Request, frozen=True):
    """Say an objective differently; None leaves a text as it is."""

    objective_id: Id
    title: Title | None = None
    description: Text | None = None
    reason: Reasoning | None = None


class ReassignObjective(Request, frozen=True):
    """Give an objective another owner or unit; None leaves it as it is."""

    objective_id: Id
    owner: Id | None = None
    unit_id: Id | None = None
    reason: Reasoning | None = None


class ChangeObjectiveContributors(Request, frozen=True):
    """Say who helps with an objective."""

    objective_id: Id
    contributors: tuple[Id, ...]


class RealignObjective(Request, frozen=True):
    """Say which objectives or key results an objective serves (R9)."""

    objective_id: Id
    aligned_to: tuple[GoalRef, ...]
    reason: Reasoning | None = None


class ChangeObjectiveKind(Request, frozen=True):
    """Make an objective committed or aspirational."""

    objective_id: Id
    objective_kind: ObjectiveKind
    reason: Reasoning | None = None


class DropObjective(Request, frozen=True):
    """Stop pursuing an objective."""

    objective_id: Id
    reason: Reasoning | None = None


class GradeObjective(Request, frozen=True):
    """Judge an objective; without a score the computed one is taken (R16)."""

    objective_id: Id
    outcome: Outcome
    score: Decimal | None = None
    reason: Reasoning | None = None


class CarriedKeyResult(Struct, frozen=True):
    """Which key result goes on under which new id."""

    key_result_id: Id
    carried_to: Id


class CarryOverObjective(Request, frozen=True):
    """Go on with an objective in another cycle, as a new one (R21)."""

    objective_id: Id
    carried_to: Id
    cycle_id: Id
    key_results: tuple[CarriedKeyResult, ...] = ()
    reason: Reasoning | None = None


class AddKeyResult(Request, frozen=True):
    """Add a measurable outcome to an objective."""

    key_result_id: Id
    objective_id: Id
    title: Title
    owner: Id
    measure: Measure
    weight: Decimal = Decimal(1)
    reason: Reasoning | None = None


class RewordKeyResult(Request, frozen=True):
    """Say a key result differently."""

    key_result_id: Id
    title: Title
    reason: Reasoning | None = None


class ReassignKeyResult(Request, frozen=True):
    """Give a key result another owner."""

    key_result_id: Id
    owner: Id
    reason: Reasoning | None = None


class ReweightKeyResult(Request, frozen=True):
    """Let a key result count for more or less."""

    key_result_id: Id
    weight: Decimal
    reason: Reasoning | None = None


class RetargetKeyResult(Request, frozen=True):
    """Measure a key result against something else (R7, R8)."""

    key_result_id: Id
    measure: Measure
    reason: Reasoning | None = None


class DropKeyResult(Request, frozen=True):
    """Stop pursuing a key result."""

    key_result_id: Id
    reason: Reasoning | None = None


class LinkKeyResultToKpi(Request, frozen=True):
    """Let a key result follow a KPI's readings (R25)."""

    key_result_id: Id
    kpi_id: Id
    baseline: Decimal
    target: Decimal
    reason: Reasoning | None = None


class UnlinkKeyResultFromKpi(Request, frozen=True):
    """Measure a key result by check-ins again (R25)."""

    key_result_id: Id
    measure: Measure
    reason: Reasoning | None = None


class CheckIn(Request, frozen=True):
    """Say how a key result stands; without `effective_at` it is now.

    A milestone's value is 1 (done) or 0; a count's is the number reached.
    """

    key_result_id: Id
    check_in_id: Id
    value: Decimal | None = None
    confidence: Confidence | None = None
    status: Status | None = None
    note: Text = ""
    effective_at: Instant | None = None
    provenance: Provenance | None = None


class CorrectCheckIn(Request, frozen=True):
    """Say what a check-in should have said (R14); what is given replaces all of it."""

    key_result_id: Id
    check_in_id: Id
    value: Decimal | None = None
    confidence: Confidence | None = None
    status: Status | None = None
    note: Text = ""
    reason: Reasoning | None = None


class RetractCheckIn(Request, frozen=True):
    """Take a check-in back (R14)."""

    key_result_id: Id
    check_in_id: Id
    reason: Reasoning | None = None


class RecordCheckIns(Request, frozen=True):
    """Check in on many key results at once."""

    check_ins: Annotated[tuple[CheckIn, ...], Meta(min_length=1, max_length=ITEMS_MAX)]
    mode: BulkMode = "all_or_nothing"


class GradeKeyResult(Request, frozen=True):
    """Judge a key result; without a score the computed one is taken (R16)."""

    key_result_id: Id
    score: Decimal | None = None
    reason: Reasoning | None = None


class WaiveKeyResult(Request, frozen=True):
    """Leave a key result out of the judging (R18)."""

    key_result_id: Id
    reason: Reasoning | None = None


class DefineKpi(Request, frozen=True):
    """Begin to watch an indicator."""

    kpi_id: Id
    unit_id: Id
    owner: Id
    definition: KpiDefinition


class RedefineKpi(Request, frozen=True):
    """Measure or judge a KPI differently from a day on (R22)."""

    kpi_id: Id
    definition: KpiDefinition
    effective_on: date
    reason: Reasoning | None = None


class RetargetKpi(Request, frozen=True):
    """Give a KPI another target or other bands from a day on (R22)."""

    kpi_id: Id
    effective_on: date
    target: Decimal | None = None
    bands: KpiBands | None = None
    reason: Reasoning | None = None


class ReassignKpi(Request, frozen=True):
    """Give a KPI another owner or unit; None leaves it as it is."""

    kpi_id: Id
    owner: Id | None = None
    unit_id: Id | None = None
    reason: Reasoning | None = None


class RetireKpi(Request, frozen=True):
    """Stop watching a KPI."""

    kpi_id: Id
    reason: Reasoning | None = None


class RecordReading(Request, frozen=True):
    """Record one value of a KPI for one period (R23); without a source it is the KPI's own."""

    kpi_id: Id
    period: Period
    value: Decimal
    source: Source | None = None
    numerator: Decimal | None = None
    denominator: Decimal | None = None
    provenance: Provenance | None = None


class RecordReadings(Request, frozen=True):
    """Record many readings at once."""

    readings: Annotated[tuple[RecordReading, ...], Meta(min_length=1, max_length=ITEMS_MAX)]
    mode: BulkMode = "all_or_nothing"


class CorrectReading(Request, frozen=True):
    """Say what a reading should have been (R14, R23)."""

    kpi_id: Id
    period: Period
    value: Decimal
    source: Source | None = None
    numerator: Decimal | None = None
    denominator: Decimal | None = None
    reason: Reasoning | None = None
    provenance: Provenance | None = None


class CorrectReadings(Request, frozen=True):
    """Correct many readings at once."""

    corrections: Annotated[tuple[CorrectReading, ...], Meta(min_length=1, max_length=ITEMS_MAX)]
    mode: BulkMode = "all_or_nothing"


class RetractReading(Request, frozen=True):
    """Take a reading back (R14)."""

    kpi_id: Id
    period: Period
    source: Source | None = None
    reason: Reasoning | None = None


class RecordMissedReading(Request, frozen=True):
    """Record that a period and the grace after it passed without a reading (R26)."""

    kpi_id: Id
    period: Period
    source: Source | None = None


class OpenKpiReview(Request, frozen=True):
    """Ask somebody to look at a KPI by a day."""

    kpi_id: Id
    review_id: Id
    owner: Id
    due_on: date
    reason: Reasoning | None = None


class CloseKpiReview(Request, frozen=True):
    """Decide a review: fix, recovery objective (name it), or accept (say why)."""

    kpi_id: Id
    review_id: Id
    decision: ReviewDecision
    objective_id: Id | None = None
    reason: Reasoning | None = None


class AddComment(Request, frozen=True):
    """Say something about an objective, a key result or a KPI."""

    goal: GoalRef
    comment_id: Id
    text: Reasoning


Command = (
    OpenOrganisation
    | ChangePolicy
    | StartHistoryImport
    | FinishHistoryImport
    | DefineUnit
    | RenameUnit
    | MoveUnit
    | RetireUnit
    | PlanCycle
    | RescheduleCycle
    | ActivateCycle
    | StartCycleGrading
    | CloseCycle
    | ReopenCycle
    | CancelCycle
    | RecordRetrospective
    | DraftObjective
    | PublishObjective
    | RewordObjective
    | ReassignObjective
    | ChangeObjectiveContributors
    | RealignObjective
    | ChangeObjectiveKind
    | DropObjective
    | GradeObjective
    | CarryOverObjective
    | AddKeyResult
    | RewordKeyResult
    | ReassignKeyResult
    | ReweightKeyResult
    | RetargetKeyResult
    | DropKeyResult
    | LinkKeyResultToKpi
    | UnlinkKeyResultFromKpi
    | CheckIn
    | CorrectCheckIn
    | RetractCheckIn
    | RecordCheckIns
    | GradeKeyResult
    | WaiveKeyResult
    | DefineKpi
    | RedefineKpi
    | RetargetKpi
    | ReassignKpi
    | RetireKpi
    | RecordReading
    | RecordReadings
    | CorrectReading
    | CorrectReadings
    | RetractReading
    | RecordMissedReading
    | OpenKpiReview
    | CloseKpiReview
    | AddComment
)

COMMANDS: dict[str, type[Command]] = {command.__name__: command for command in Command.__args__}
"""Every command by its name."""
