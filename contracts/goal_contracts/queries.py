"""What may be asked of the projections, and what they answer.

A moment is written as people write it: a day (its end in the organisation's zone), an instant with
offset, or a position `@N`. Every answer says which position and which two times it reflects.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from goal_contracts.events import KpiBands, KpiDefinition
from goal_contracts.fields import (
    CheckInTiming,
    CycleKind,
    CycleState,
    Frequency,
    GoalHealth,
    GoalRef,
    Id,
    Kind,
    KpiHealth,
    ObjectiveKind,
    ObjectiveState,
    Origin,
    Outcome,
    ReviewDecision,
    Status,
    UnitKind,
)
from goal_contracts.measures import FourPointBand, Measure
from goal_contracts.policy import Policy
from goal_contracts.replies import Warned

Moment = Annotated[
    str,
    Meta(
        pattern=r"^(@[1-9][0-9]{0,17}|[0-9]{4}-[0-9]{2}-[0-9]{2}"
        r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?)$(?!\n)",
        description="A day, an instant, or a position @N.",
    ),
]
Week = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-W(0[1-9]|[1-4][0-9]|5[0-3])$(?!\n)",
        description="An ISO week, Monday to Sunday: 2025-W27.",
    ),
]
Limit = Annotated[int, Meta(ge=1, le=1_000)]
Cursor = Annotated[str, Meta(max_length=500)]
FieldPath = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="A field, or what is below it: definition, check_ins.c-7.value.",
    ),
]
ScoreBand = Literal["low", "middle", "high"]
LateKind = Literal["added", "lowered", "dropped"]
Happened = Literal[
    "added",
    "entered",
    "removed",
    "left",
    "dropped",
    "reworded",
    "retargeted",
    "reassigned",
    "regraded",
    "changed",
    "progressed",
]
"""What may have happened to a thing between two moments.

    added, removed      it was not there yet at the first moment, or at the second
    entered, left       it was there all along, but not among what is asked for: a goal of a unit
    dropped             given up; a unit or a KPI, retired
    reworded            its title, name or description
    retargeted          its measure; a KPI's target or bands
    reassigned          its owner or unit
    regraded            its score or outcome
    changed             anything else that somebody decided
    progressed          what was measured, and what follows from that
"""
AlertKind = Literal[
    "check_in_late",
    "check_in_overdue",
    "behind_pace",
    "low_confidence",
    "at_risk",
    "off_track",
    "reading_missed",
    "kpi_in_breach",
    "review_open",
    "review_overdue",
]
Severity = Literal["critical", "warning", "notice"]
Chance = Literal["lands", "may_miss", "will_miss", "too_early"]


class Question(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What every question may carry: wait, bounded, until the views reflect this position."""

    at_least: int = 0


class AsOf(Question, frozen=True):
    """Goals and indicators as they stood: true by `as_of`, of what was known at `known_at`.

    Without `known_at` it is the same moment as `as_of`; without either it is now.
    """

    as_of: Moment | None = None
    known_at: Moment | None = None
    unit: Id | None = None
    cycle: Id | None = None
    goal: GoalRef | None = None
    kpi: Id | None = None
    cursor: Cursor | None = None
    limit: Limit = 300


class History(Question, frozen=True):
    """Who changed which field of one thing, when, why, from and to; in order.

    Told is what `AsOf` of the same two times sees: check-ins and readings of what was known, true
    by `as_of`; everything else as it had come to be by both. With `whole`, a cycle's history is
    that of everything in it, and of the KPIs that its key results follow while it runs.
    """

    kind: Kind
    id: Id
    as_of: Moment | None = None
    known_at: Moment | None = None
    field: FieldPath | None = None
    whole: bool = False
    cursor: Cursor | None = None
    limit: Limit = 500


class Readings(Question, frozen=True):
    """One KPI's series with its corrections, of what was known at `known_at`."""

    kpi: Id
    as_of: Moment | None = None
    known_at: Moment | None = None
    cursor: Cursor | None = None
    limit: Limit = 500


class Replay(Question, frozen=True):
    """The events of a cycle or a range, in the order of the log.

    A range is one of the log: what the ledger came to know from `start` to `end`. Of it, `as_of`
    and `known_at` leave what `AsOf` of the same two times sees; without them, both are `end`.
    """

    cycle: Id | None = None
    start: Moment | None = None
    end: Moment | None = None
    as_of: Moment | None = None
    known_at: Moment | None = None
    cursor: Cursor | None = None
    limit: Limit = 300


class CycleReport(Question, frozen=True):
    """What a cycle came to, for people to read.

    Without a moment a closed cycle is told as it stood when it was closed, and so never otherwise;
    any other one as it stands. Asked for it `by_week`, the way there comes with it: how far each
    goal was at the end of each week, and the series of the KPIs of its units.
    """

    cycle: Id
    as_of: Moment | None = None
    known_at: Moment | None = None
    by_week: bool = False
    cursor: Cursor | None = None
    limit: Limit = 300


class Alerts(Question, frozen=True):
    """What needs somebody's attention: of what was true by `as_of` and known at `known_at`.

    The gravest come first, then those that have stood longest. With a cycle only its goals are
    looked at, as KPIs belong to none.
    """

    as_of: Moment | None = None
    known_at: Moment | None = None
    unit: Id | None = None
    cycle: Id | None = None
    owner: Id | None = None
    cursor: Cursor | None = None
    limit: Limit = 300


class Insights(Question, frozen=True):
    """What the numbers say beyond themselves: where goals are heading, and what nobody looks at.

    With a cycle only its goals are looked at, as KPIs belong to none.
    """

    as_of: Moment | None = None
    known_at: Moment | None = None
    unit: Id | None = None
    cycle: Id | None = None
    cursor: Cursor | None = None
    limit: Limit = 300


class RollUps(Question, frozen=True):
    """How the goals of each unit stand in each cycle, counted and averaged, in a line.

    As they were true by `as_of`, of what was known at `known_at`. With a unit only it and those
    below it.
    """

    as_of: Moment | None = None
    known_at: Moment | None = None
    unit: Id | None = None
    cycle: Id | None = None
    cursor: Cursor | None = None
    limit: Limit = 300


class ExportView(Question, frozen=True):
    """One page of a view's rows, in the order of their keys, as they stand in the database."""

    view: str
    cursor: Cursor | None = None
    limit: Limit = 500


class Position(Question, frozen=True):
    """How far the views have read the log, and what there is to export."""


class WeeklyDigest(Question, frozen=True):
    """What a week brought, Monday to Sunday in the organisation's zone, for people to read.

    A `week` that is over is told as it stood at its end, by what was known then unless `known_at`
    says otherwise, and so never otherwise. With `as_of` it is the week of that moment up to it,
    without either the week that runs. `unit` has it told of that unit and those below it.
    """

    week: Week | None = None
    as_of: Moment | None = None
    known_at: Moment | None = None
    unit: Id | None = None
    cursor: Cursor | None = None
    limit: Limit = 300


class Diff(Question, frozen=True):
    """What is different at a second moment, `after`, from how it was at a first, `before`.

    Each has two times, as in `AsOf`; without either of its own, the second moment is now. Of two
    answers to `AsOf` at those moments, with the same filters, the one becomes the other by it.
    """

    before: Moment
    before_known_at: Moment | None = None
    after: Moment | None = None
    after_known_at: Moment | None = None
    unit: Id | None = None
    cycle: Id | None = None
    goal: GoalRef | None = None
    kpi: Id | None = None
    cursor: Cursor | None = None
    limit: Limit = 200


class Blame(Question, frozen=True):
    """Who set each field of one thing, as it stands at a moment, last, when and why.

    Of check-ins and readings only those count whose word stands: for the value, the confidence,
    the status and the note. What has no value has nobody behind it.
    """

    kind: Kind
    id: Id
    as_of: Moment | None = None
    known_at: Moment | None = None
    field: FieldPath | None = None
    cursor: Cursor | None = None
    limit: Limit = 500


Query = (
    AsOf
    | History
    | Readings
    | Replay
    | CycleReport
    | ExportView
    | Position
    | WeeklyDigest
    | Diff
    | Blame
    | Alerts
    | Insights
    | RollUps
)
QUERIES: dict[str, type[Query]] = {query.__name__: query for query in Query.__args__}


class Reflects(Struct, frozen=True):
    """What an answer reflects: the log up to `position`, known then, effective by `as_of`."""

    position: int
    as_of: datetime
    known_at: datetime


class OrganisationCard(Struct, frozen=True):
    """An organisation as it stood, with the settings of that moment."""

    organisation_id: str
    name: str
    zone: str
    policy: Policy


class UnitCard(Struct, frozen=True, omit_defaults=True):
    """A unit as it stood."""

    unit_id: str
    name: str
    unit_kind: UnitKind
    position: int
    parent_id: str | None = None
    retired: bool = False


class RetrospectiveCard(Struct, frozen=True, omit_defaults=True):
    """What people took from a cycle."""

    actor: str
    at: datetime
    went_well: str = ""
    did_not_go_well: str = ""
    learned: str = ""
    celebrate: str = ""


class ClosingCard(Struct, frozen=True, omit_defaults=True):
    """One closing of a cycle, and what it came to then; reopening leaves it in the record."""

    position: int
    at: datetime
    actor: str
    aspirational_score: Decimal | None = None
    committed_met: Decimal | None = None


class CycleCard(Struct, frozen=True, omit_defaults=True):
    """A cycle as it stood. `bands` are those its scores are read by, `score_origin` is of both.

    `policy` is what it pinned when it was activated and again when it was closed (R20).
    """

    cycle_id: str
    name: str
    cycle_kind: CycleKind
    start_on: date
    end_on: date
    state: CycleState
    position: int
    parent_id: str | None = None
    expected_pace: Decimal | None = None
    aspirational_score: Decimal | None = None
    committed_met: Decimal | None = None
    score_origin: Origin | None = None
    bands: tuple[Decimal, Decimal] | None = None
    retrospectives: tuple[RetrospectiveCard, ...] = ()
    closings: tuple[ClosingCard, ...] = ()
    policy: Policy | None = None


class ObjectiveCard(Struct, frozen=True, omit_defaults=True):
    """An objective as it stood; `position` is its last change at that moment.

    Its health is its outcome or the worst of its key results'. An origin says where the number of
    that name comes from, `score_reason` why it was judged like that, if somebody said so.
    """

    objective_id: str
    cycle_id: str
    unit_id: str
    title: str
    owner: str
    objective_kind: ObjectiveKind
    state: ObjectiveState
    position: int
    description: str = ""
    contributors: tuple[str, ...] = ()
    aligned_to: tuple[str, ...] = ()
    carried_from: str | None = None
    carried_to: str | None = None
    mid_cycle: bool = False
    published_at: datetime | None = None
    progress: Decimal | None = None
    progress_origin: Origin | None = None
    expected_pace: Decimal | None = None
    health: GoalHealth = "pending"
    outcome: Outcome | None = None
    score: Decimal | None = None
    score_computed: Decimal | None = None
    score_origin: Origin | None = None
    score_band: ScoreBand | None = None
    score_reason: str | None = None
    advice: tuple[Warned, ...] = ()


class KeyResultCard(Struct, frozen=True, omit_defaults=True):
    """A key result as it stood, with the check-in or reading that counted then.

    An origin says where the number of that name comes from. `reached` is the expectation that a
    four-point metric has come up to, `score_reason` why it was scored or waived like that.
    """

    key_result_id: str
    objective_id: str
    title: str
    owner: str
    measure: Measure
    weight: Decimal
    position: int
    dropped: bool = False
    carried_from: str | None = None
    mid_cycle: bool = False
    added_at: datetime | None = None
    original_measure: Measure | None = None
    value: Decimal | None = None
    value_at: datetime | None = None
    value_origin: Origin | None = None
    reached: FourPointBand | None = None
    progress: Decimal | None = None
    progress_origin: Origin | None = None
    confidence: int | None = None
    confidence_origin: Origin | None = None
    status: Status | None = None
    note: str = ""
    check_in_timing: CheckInTiming = "pending"
    health: GoalHealth = "pending"
    score: Decimal | None = None
    score_computed: Decimal | None = None
    score_origin: Origin | None = None
    score_band: ScoreBand | None = None
    score_reason: str | None = None
    waived: bool = False
    advice: tuple[Warned, ...] = ()


class ReadingCard(Struct, frozen=True, omit_defaults=True):
    """One value of a period: as first recorded, or as corrected; retracted has no value."""

    period: str
    source: str
    effective_at: datetime
    position: int
    known_at: datetime
    recorded_at: datetime
    actor: str
    event: Literal["recorded", "corrected", "retracted", "missed"]
    value: Decimal | None = None
    origin: Origin | None = None
    value_was: Decimal | None = None
    corrects: int | None = None
    counts: bool = False
    definition_version: int | None = None
    numerator: Decimal | None = None
    denominator: Decimal | None = None
    reason: str | None = None
    provenance: str | None = None


class ReviewCard(Struct, frozen=True, omit_defaults=True):
    """Somebody's look at a KPI: open until it ends with a decision; overdue at the moment asked."""

    review_id: str
    owner: str
    due_on: date
    opened_at: datetime
    reason: str | None = None
    overdue: bool = False
    closed_at: datetime | None = None
    decision: ReviewDecision | None = None
    objective_id: str | None = None
    decision_reason: str | None = None


class KpiCard(Struct, frozen=True, omit_defaults=True):
    """A KPI as it stood, with the reading that counted then, and the periods without one.

    Of periods that were missed the latest 100 are named, in order. Reviews are in the order in
    which they were opened.
    """

    kpi_id: str
    unit_id: str
    owner: str
    definition: KpiDefinition
    definition_version: int
    position: int
    retired: bool = False
    reading: ReadingCard | None = None
    health: KpiHealth = "no_data"
    missed: tuple[str, ...] = ()
    reviews: tuple[ReviewCard, ...] = ()


class CommentCard(Struct, frozen=True):
    """What somebody said about a goal or an indicator."""

    actor: str
    at: datetime
    text: str


class Goals(Struct, frozen=True, tag_field="reply", tag="goals", omit_defaults=True):
    """The answer to AsOf; `cursor` asks for the rest.

    Asked for everything, the organisation itself comes with it. Asked for one goal, the latest
    comments on it come first, in order, and not with the rest.
    """

    reflects: Reflects
    organisation: OrganisationCard | None = None
    units: tuple[UnitCard, ...] = ()
    cycles: tuple[CycleCard, ...] = ()
    objectives: tuple[ObjectiveCard, ...] = ()
    key_results: tuple[KeyResultCard, ...] = ()
    kpis: tuple[KpiCard, ...] = ()
    comments: tuple[CommentCard, ...] = ()
    cursor: str | None = None


class Change(Struct, frozen=True, omit_defaults=True):
    """One field of one thing, from and to (JSON values), by whom, when and why."""

    position: int
    kind: str
    id: str
    event: str
    field: str
    actor: str
    recorded_at: datetime
    known_at: datetime
    effective_at: datetime
    was: Raw = Raw(b"null")
    now: Raw = Raw(b"null")
    reason: str | None = None
    provenance: str | None = None
    on_behalf_of: str | None = None


class Changes(Struct, frozen=True, tag_field="reply", tag="changes", omit_defaults=True):
    """The answer to History, in order."""

    reflects: Reflects
    changes: tuple[Change, ...]
    cursor: str | None = None


class Blamed(Struct, frozen=True, tag_field="reply", tag="blame", omit_defaults=True):
    """The answer to Blame: of each field the change that set it, in the order of the fields."""

    reflects: Reflects
    fields: tuple[Change, ...] = ()
    cursor: str | None = None


class ReadingSeries(Struct, frozen=True, tag_field="reply", tag="readings", omit_defaults=True):
    """The answer to Readings: periods in order, each with its corrections behind it."""

    reflects: Reflects
    kpi: KpiCard
    readings: tuple[ReadingCard, ...]
    cursor: str | None = None


class ReplayedEvent(Struct, frozen=True, omit_defaults=True):
    """One event as it is stored, with its position."""

    position: int
    event: Raw


class Events(Struct, frozen=True, tag_field="reply", tag="events", omit_defaults=True):
    """The answer to Replay."""

    reflects: Reflects
    events: tuple[ReplayedEvent, ...]
    cursor: str | None = None


class LateChange(Struct, frozen=True, omit_defaults=True):
    """What was asked for in addition, or no longer, after a cycle had begun (R7)."""

    position: int
    at: datetime
    actor: str
    change: LateKind
    goal: GoalRef
    objective_id: str
    title: str
    reason: str | None = None
    measure_was: Measure | None = None
    measure: Measure | None = None


class CoursePoint(Struct, frozen=True, omit_defaults=True):
    """How far a goal was at the end of a week; before it was there, nothing but pending."""

    progress: Decimal | None = None
    value: Decimal | None = None
    health: GoalHealth = "pending"


class WeekEnd(Struct, frozen=True):
    """The end of a week of a cycle: its last day and instant, and how far the cycle itself was.

    Weeks are counted from the cycle's first day; the last one may be shorter.
    """

    day: date
    at: datetime
    expected_pace: Decimal


class ReportedObjective(Struct, frozen=True, omit_defaults=True):
    """An objective with its key results, those dropped too.

    A course has a point for each of the report's weeks; those of the key results are in their
    order.
    """

    objective: ObjectiveCard
    key_results: tuple[KeyResultCard, ...] = ()
    course: tuple[CoursePoint, ...] = ()
    key_result_courses: tuple[tuple[CoursePoint, ...], ...] = ()


class SeriesPoint(Struct, frozen=True, omit_defaults=True):
    """The reading that counts of a period, and the target and bands it was judged by.

    Without a value the period was missed. `value_was` is what it was corrected from.
    """

    period: str
    effective_at: datetime
    value: Decimal | None = None
    value_was: Decimal | None = None
    health: KpiHealth = "no_data"
    target: Decimal | None = None
    bands: KpiBands | None = None


class KpiSeries(Struct, frozen=True, omit_defaults=True):
    """A KPI with the latest of its readings, at most 60, in order."""

    kpi: KpiCard
    points: tuple[SeriesPoint, ...] = ()


class Report(Struct, frozen=True, tag_field="reply", tag="report", omit_defaults=True):
    """The answer to CycleReport; `cursor` asks for the rest, which has the same cycle again.

    Late changes come first, in order. Units are those with objectives in the cycle and those above
    them, each before those below it; objectives are in the order of their units. KPIs are those of
    the units with objectives that have an open review. What people look back on and celebrate is
    in the cycle's retrospectives. By week: `weeks` are those of the cycle up to the moment, at most
    60, thinned out evenly if it has more; `series` are all KPIs of the units with objectives, from
    a year before the moment.
    """

    reflects: Reflects
    cycle: CycleCard
    late: tuple[LateChange, ...] = ()
    units: tuple[UnitCard, ...] = ()
    objectives: tuple[ReportedObjective, ...] = ()
    kpis: tuple[KpiCard, ...] = ()
    cursor: str | None = None
    organisation: str = ""
    zone: str = "UTC"
    weeks: tuple[WeekEnd, ...] = ()
    series: tuple[KpiSeries, ...] = ()


class FieldDifference(Struct, frozen=True, omit_defaults=True):
    """One field of a card at the first moment and at the second (JSON values)."""

    field: str
    was: Raw = Raw(b"null")
    now: Raw = Raw(b"null")


class Difference(Struct, frozen=True, omit_defaults=True):
    """A thing that is not the same at the second moment as it was at the first.

    `fields` are those of its card that differ; of a card that is there at one moment only, all of
    them. `happened` puts them into words, and is empty where nothing but time passed. `changes`
    are behind it: what the second moment sees and the first does not, in order; of check-ins and
    readings what counts in the end, and what was corrected or retracted. `undone` is what the first
    moment sees and the second does not, as it is the earlier one.
    """

    kind: Kind
    id: str
    title: str
    happened: tuple[Happened, ...] = ()
    fields: tuple[FieldDifference, ...] = ()
    changes: tuple[Change, ...] = ()
    undone: tuple[Change, ...] = ()
    cycle_id: str | None = None
    objective_id: str | None = None


class Differences(Struct, frozen=True, tag_field="reply", tag="differences", omit_defaults=True):
    """The answer to Diff; `cursor` asks for the rest.

    What came late, after a cycle had begun (R7), comes first, in order. Then the things that
    differ, in the order of AsOf: the organisation, units, cycles, objectives, key results, KPIs.
    Comments are no part of it: History tells them.
    """

    reflects_before: Reflects
    reflects: Reflects
    late: tuple[LateChange, ...] = ()
    things: tuple[Difference, ...] = ()
    cursor: str | None = None


class ViewPage(Struct, frozen=True, tag_field="reply", tag="view", omit_defaults=True):
    """The answer to ExportView: rows as JSON objects."""

    position: int
    rows: tuple[Raw, ...]
    cursor: str | None = None


class ViewPosition(Struct, frozen=True, tag_field="reply", tag="position"):
    """The answer to Position."""

    position: int
    views: tuple[str, ...]


class Alert(Struct, frozen=True, omit_defaults=True):
    """One thing that its owner should look at: what, since when, and why, with the values seen.

    `alert_id` is made of the fact alone (the period that was missed, the check-in that said so), so
    that the same fact is told once however often it is looked at. It is unique in its organisation.
    """

    alert_id: str
    kind: AlertKind
    severity: Severity
    goal: GoalRef
    title: str
    owner: str
    unit_id: str
    since: datetime
    why: str
    cycle_id: str | None = None
    objective_id: str | None = None


class AlertList(Struct, frozen=True, tag_field="reply", tag="alerts", omit_defaults=True):
    """The answer to Alerts."""

    reflects: Reflects
    alerts: tuple[Alert, ...] = ()
    cursor: str | None = None


class Forecast(Struct, frozen=True, omit_defaults=True):
    """Where a key result is heading: its value and progress at the end of its cycle.

    A Theil-Sen line through the last value of each day, with Sen's (1968) interval of the slope at
    90 %, widened by the spread of the values around the line. `chance` compares the progress with
    what is `expected` of the key result; while it is too early to say, `why` tells what is missing.
    """

    key_result_id: str
    objective_id: str
    cycle_id: str
    unit_id: str
    owner: str
    title: str
    chance: Chance
    points: int
    expected: Decimal
    ends_on: date
    why: str = ""
    value: Decimal | None = None
    progress: Decimal | None = None
    per_day: Decimal | None = None
    forecast: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    progress_forecast: Decimal | None = None
    progress_low: Decimal | None = None
    progress_high: Decimal | None = None


class Untouched(Struct, frozen=True, omit_defaults=True):
    """A goal for which no person has done anything for more than `limit_days`."""

    goal: GoalRef
    title: str
    owner: str
    unit_id: str
    cycle_id: str
    days: int
    limit_days: int
    touched_at: datetime | None = None


class Unaligned(Struct, frozen=True, omit_defaults=True):
    """An objective that serves no other, or only such as have `ended`; not one of the company's."""

    objective_id: str
    title: str
    owner: str
    unit_id: str
    cycle_id: str
    ended: tuple[GoalRef, ...] = ()


class Leads(Struct, frozen=True, omit_defaults=True):
    """A leading KPI that moved `periods` periods before a lagging one did.

    `correlation` is Spearman's, of their changes from period to period; `pairs` are the periods it
    was computed from, `effective_pairs` what they are worth once each series' own memory is taken
    off (Bartlett 1935). It says that they moved like that, not that one moves the other.
    """

    leading: str
    lagging: str
    unit_id: str
    relation: Literal["unit", "formula"]
    periods: int
    frequency: Frequency
    correlation: Decimal
    pairs: int
    effective_pairs: Decimal
    chance_alone: Decimal


class InsightList(Struct, frozen=True, tag_field="reply", tag="insights", omit_defaults=True):
    """The answer to Insights.

    `pairs_compared` and `pairs_too_short` say of how many pairs of a leading and a lagging KPI this
    page knows: most of them show nothing, and then nothing is said of them.
    """

    reflects: Reflects
    forecasts: tuple[Forecast, ...] = ()
    untouched: tuple[Untouched, ...] = ()
    unaligned: tuple[Unaligned, ...] = ()
    leads: tuple[Leads, ...] = ()
    pairs_compared: int = 0
    pairs_too_short: int = 0
    cursor: str | None = None


class HealthCount(Struct, frozen=True):
    """How many goals are of one health."""

    health: GoalHealth
    objectives: int
    key_results: int


class Tally(Struct, frozen=True, omit_defaults=True):
    """Objectives and their key results, counted and averaged; drafts are left out.

    Every objective counts the same, and one without a number is left out of a mean, never taken for
    0. Progress is that of the objectives that were not dropped; the scores are those a closing of
    their cycle would record (CycleClosed). `healths` are those that occur, in the order of
    GoalHealth.
    """

    objectives: int = 0
    key_results: int = 0
    healths: tuple[HealthCount, ...] = ()
    progress: Decimal | None = None
    aspirational_score: Decimal | None = None
    committed_met: Decimal | None = None


class RollUp(Struct, frozen=True, omit_defaults=True):
    """A unit in a cycle: what it carries itself, and all of it with the units below.

    Without a unit it is the whole cycle.
    """

    cycle_id: str
    with_below: Tally
    unit_id: str | None = None
    own: Tally | None = None


class RolledUp(Struct, frozen=True, tag_field="reply", tag="rolled_up", omit_defaults=True):
    """The answer to RollUps; `cursor` asks for the rest.

    Cycle by cycle, in the order of their ids: the whole cycle, unless a unit was asked for, then
    the units that carry something in it and all above them, each before those below it. `cycles`
    and `units` are those that a page speaks of.
    """

    reflects: Reflects
    cycles: tuple[CycleCard, ...] = ()
    units: tuple[UnitCard, ...] = ()
    roll_ups: tuple[RollUp, ...] = ()
    cursor: str | None = None


class QueryRefused(Struct, frozen=True, tag_field="reply", tag="refused"):
    """The question cannot be answered: a code, what happened, how to mend it."""

    reason: Literal["malformed", "unknown_query", "not_found", "not_yet", "unreadable_log"]
    message: str


class ChangedField(Struct, frozen=True):
    """A field from and to, as JSON values."""

    field: str
    was: Raw
    now: Raw


class WeekChange(Struct, frozen=True, omit_defaults=True):
    """Something other than a late change that was done in a week, with the fields it replaced.

    `goal` is kind and id, also of what is no goal: unit/platform.
    """

    position: int
    at: datetime
    actor: str
    event: str
    goal: str
    title: str
    reason: str | None = None
    fields: tuple[ChangedField, ...] = ()


class WeekCheckIn(Struct, frozen=True, omit_defaults=True):
    """A check-in as it was made, corrected or retracted in a week."""

    position: int
    at: datetime
    effective_at: datetime
    actor: str
    key_result_id: str
    objective_id: str
    title: str
    measure: Measure
    event: Literal["recorded", "corrected", "retracted"]
    value: Decimal | None = None
    confidence: int | None = None
    status: Status | None = None
    note: str = ""


class KeyResultMoved(Struct, frozen=True, omit_defaults=True):
    """A key result, and how it stood a week before; nothing if it was not there."""

    key_result: KeyResultCard
    progress_was: Decimal | None = None
    health_was: GoalHealth | None = None


class ObjectiveMoved(Struct, frozen=True, omit_defaults=True):
    """An objective with its key results, and how it stood a week before."""

    objective: ObjectiveCard
    progress_was: Decimal | None = None
    health_was: GoalHealth | None = None
    key_results: tuple[KeyResultMoved, ...] = ()


class KpiMoved(Struct, frozen=True, omit_defaults=True):
    """A KPI, its health a week before, and what was said of its readings since, in order."""

    kpi: KpiCard
    health_was: KpiHealth | None = None
    readings: tuple[ReadingCard, ...] = ()


class Said(Struct, frozen=True):
    """What people took from a cycle, said in a week."""

    cycle_id: str
    cycle: str
    retrospective: RetrospectiveCard


class Digest(Struct, frozen=True, tag_field="reply", tag="digest", omit_defaults=True):
    """The answer to WeeklyDigest; `cursor` asks for the rest, which has the same cycles again.

    Late changes come first, then everything else that was done, then check-ins, each in order; they
    are those that were known in the week. Cycles are those that ran in it, the shortest first.
    Objectives are those that count in them, in the order of their units, with how they stood at the
    week's end; before it they stood as the digest of the week before told it. KPIs are those that
    something was said of, and those with an open review.
    """

    reflects: Reflects
    week: str
    start_on: date
    end_on: date
    organisation: str
    zone: str
    unit: UnitCard | None = None
    cycles: tuple[CycleCard, ...] = ()
    late: tuple[LateChange, ...] = ()
    changes: tuple[WeekChange, ...] = ()
    check_ins: tuple[WeekCheckIn, ...] = ()
    units: tuple[UnitCard, ...] = ()
    objectives: tuple[ObjectiveMoved, ...] = ()
    kpis: tuple[KpiMoved, ...] = ()
    said: tuple[Said, ...] = ()
    cursor: str | None = None


Answer = (
    Goals
    | Changes
    | ReadingSeries
    | Events
    | Report
    | ViewPage
    | ViewPosition
    | QueryRefused
    | Digest
    | Differences
    | Blamed
    | AlertList
    | InsightList
    | RolledUp
)
