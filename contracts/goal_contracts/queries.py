"""What may be asked of the projections, and what they answer.

A moment is written as people write it: a day (its end in the organisation's zone), an instant with
offset, or a position `@N`. Every answer says which position and which two times it reflects.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from goal_contracts.events import KpiDefinition
from goal_contracts.fields import (
    CycleKind,
    CycleState,
    GoalRef,
    Id,
    ObjectiveKind,
    ObjectiveState,
    Outcome,
    Status,
    UnitKind,
)
from goal_contracts.measures import Measure

Moment = Annotated[
    str,
    Meta(
        pattern=r"^(@\d{1,18}|"
        r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?)$",
        description="A day, an instant, or a position @N.",
    ),
]
Limit = Annotated[int, Meta(ge=1, le=1_000)]
Cursor = Annotated[str, Meta(max_length=300)]


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
    """Who changed which field of one thing, when, why, from and to."""

    kind: Literal["organisation", "unit", "cycle", "objective", "key_result", "kpi"]
    id: Id
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
    """The events of a cycle or a range, in order."""

    cycle: Id | None = None
    start: Moment | None = None
    end: Moment | None = None
    cursor: Cursor | None = None
    limit: Limit = 300


class ExportView(Question, frozen=True):
    """One page of a view's rows, in the order of their keys, as they stand in the database."""

    view: str
    cursor: Cursor | None = None
    limit: Limit = 500


class Position(Question, frozen=True):
    """How far the views have read the log, and what there is to export."""


Query = AsOf | History | Readings | Replay | ExportView | Position
QUERIES: dict[str, type[Query]] = {query.__name__: query for query in Query.__args__}


class Reflects(Struct, frozen=True):
    """What an answer reflects: the log up to `position`, known then, effective by `as_of`."""

    position: int
    as_of: datetime
    known_at: datetime


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


class CycleCard(Struct, frozen=True, omit_defaults=True):
    """A cycle as it stood."""

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
    retrospectives: tuple[RetrospectiveCard, ...] = ()


class ObjectiveCard(Struct, frozen=True, omit_defaults=True):
    """An objective as it stood; `position` is its last change at that moment."""

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
    progress: Decimal | None = None
    expected_pace: Decimal | None = None
    outcome: Outcome | None = None
    score: Decimal | None = None
    score_computed: Decimal | None = None


class KeyResultCard(Struct, frozen=True, omit_defaults=True):
    """A key result as it stood, with the check-in or reading that counted then."""

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
    original_measure: Measure | None = None
    value: Decimal | None = None
    value_at: datetime | None = None
    progress: Decimal | None = None
    confidence: int | None = None
    status: Status | None = None
    note: str = ""
    score: Decimal | None = None
    score_computed: Decimal | None = None
    waived: bool = False


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
    value_was: Decimal | None = None
    corrects: int | None = None
    counts: bool = False
    definition_version: int | None = None
    numerator: Decimal | None = None
    denominator: Decimal | None = None
    reason: str | None = None
    provenance: str | None = None


class KpiCard(Struct, frozen=True, omit_defaults=True):
    """A KPI as it stood, with the reading that counted then."""

    kpi_id: str
    unit_id: str
    owner: str
    definition: KpiDefinition
    definition_version: int
    position: int
    retired: bool = False
    reading: ReadingCard | None = None


class Goals(Struct, frozen=True, tag_field="reply", tag="goals", omit_defaults=True):
    """The answer to AsOf; `cursor` asks for the rest."""

    reflects: Reflects
    units: tuple[UnitCard, ...] = ()
    cycles: tuple[CycleCard, ...] = ()
    objectives: tuple[ObjectiveCard, ...] = ()
    key_results: tuple[KeyResultCard, ...] = ()
    kpis: tuple[KpiCard, ...] = ()
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
    """The answer to History."""

    reflects: Reflects
    changes: tuple[Change, ...]
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


class ViewPage(Struct, frozen=True, tag_field="reply", tag="view", omit_defaults=True):
    """The answer to ExportView: rows as JSON objects."""

    position: int
    rows: tuple[Raw, ...]
    cursor: str | None = None


class ViewPosition(Struct, frozen=True, tag_field="reply", tag="position"):
    """The answer to Position."""

    position: int
    views: tuple[str, ...]


class QueryRefused(Struct, frozen=True, tag_field="reply", tag="refused"):
    """The question cannot be answered: a code, what happened, how to mend it."""

    reason: Literal["malformed", "unknown_query", "not_found", "not_yet", "unreadable_log"]
    message: str


Answer = Goals | Changes | ReadingSeries | Events | ViewPage | ViewPosition | QueryRefused
