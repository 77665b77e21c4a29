"""Lives of an organisation, drawn out of every command: few ids, so that commands meet things.

Days and instants lie around the ends of cycles in Europe/Berlin, where the clock changes on
30 March and 26 October 2025. Most of what is drawn makes sense, some of it does not.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from goal_contracts import commands, events, measures
from goal_contracts.commands import COMMANDS, BulkMode, Command
from goal_contracts.fields import (
    Aggregation,
    CycleKind,
    Direction,
    Frequency,
    ObjectiveKind,
    ReviewDecision,
    Role,
    Status,
    UnitKind,
)
from goal_contracts.policy import Policy, ReadingGrace
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

Value = TypeVar("Value")

ZONE = "Europe/Berlin"
SPANS: tuple[tuple[CycleKind, date, date, str | None], ...] = (
    ("annual", date(2025, 1, 1), date(2025, 12, 31), None),
    ("quarterly", date(2025, 1, 1), date(2025, 3, 31), "y"),
    ("quarterly", date(2025, 4, 1), date(2025, 6, 30), "y"),
    ("monthly", date(2025, 3, 1), date(2025, 3, 31), "q1"),
    ("custom", date(2025, 3, 10), date(2025, 3, 30), "q1"),
    ("custom", date(2025, 10, 26), date(2025, 11, 9), "y"),
    ("custom", date(2025, 3, 12), date(2025, 3, 20), "x"),
)
"""Kind, days and parent of cycles that may stand beside each other, but for the last."""

_JANUARY = "2025-01-01/2025-01-31"
_FEBRUARY = "2025-02-01/2025-02-28"
_BREACHES = ("breach-2025-01-31", "breach-2025-02-28", "breach-2025-03-31")

ODD_ONE_IN = 16
TICK = timedelta(microseconds=1)

Draw = Callable[[Random], Value]


def one_of(*values: Value) -> Draw[Value]:
    return lambda random: random.choice(values)


def either(*draws: Draw[Value]) -> Draw[Value]:
    return lambda random: random.choice(draws)(random)


def usually(usual: Draw[Any], *odd: Any) -> Draw[Any]:
    """Now and then something odd."""
    return lambda random: usual(random) if random.randrange(ODD_ONE_IN) else random.choice(odd)


def maybe(draw: Draw[Value]) -> Draw[Value | None]:
    return lambda random: draw(random) if random.randrange(2) else None


def built(kind: Callable[..., Value], **fields: Draw[Any]) -> Draw[Value]:
    return lambda random: kind(**{name: draw(random) for name, draw in fields.items()})


def several(draw: Draw[Value], least: int, most: int) -> Draw[tuple[Value, ...]]:
    return lambda random: tuple(draw(random) for _ in range(random.randint(least, most)))


def _decimals(*texts: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(text) for text in texts)


def _words(literal: Any) -> Draw[Any]:
    """The words of a Literal."""
    return one_of(*literal.__args__)


# -------------------------------------------------------------------------------------- the parts

actors = one_of("ann", "bob", "pat")
units = usually(one_of("co", "sales", "ops", "pat"), "lab", "nowhere")
owners = usually(actors, "sales", "lab")
cycles = one_of("q1", "q1", "x", "x", "y", "q2", "m")
objectives = one_of("o1", "o1", "o2", "o2", "o3", "o3", "o4", "o5")
key_results = one_of("k1", "k1", "k2", "k2", "k3", "k3", "k4", "k5", "k7")
measured = one_of("k1", "k1", "k2", "k2", "k3", "k4", "k5")
check_in_ids = one_of("c1", "c1", "c1", "c2", "c3")
kpis = usually(one_of("i1", "i1", "i2", "i2"), "i3", "i4")
import_ids = one_of("h1", "h2")
reasons = usually(one_of("it had to be", "we learned"), None, " ")
texts = one_of("", "more", "better")
titles = one_of("Win", "Win more", "Grow")
goals = either(
    lambda random: f"objective/{objectives(random)}",
    lambda random: f"key_result/{key_results(random)}",
    lambda random: f"kpi/{kpis(random)}",
)
numbers = usually(
    one_of(*_decimals("0", "1", "1", "2", "3", "1.00", "0.5", "1E+1", "50", "100", "-5")),
    *_decimals("NaN", "sNaN", "-Infinity", "1E+30", "1E-19", "123456789012345678901234567890"),
)
maybe_numbers = usually(numbers, None)
scores = usually(
    one_of(None, Decimal("0.7"), Decimal("0.70"), Decimal(1)),
    *_decimals("2", "-0.01", "0.705", "sNaN"),
)
days = usually(one_of(*{day for span in SPANS for day in span[1:3]}), date(1, 1, 1), date.max)
moments = usually(
    one_of(
        # Begin of the custom cycle, the night in which an hour is missing, end of the quarter.
        datetime(2025, 3, 9, 23, tzinfo=UTC),
        datetime(2025, 3, 20, 12, tzinfo=UTC),
        datetime(2025, 3, 29, 23, tzinfo=UTC) - TICK,
        datetime(2025, 3, 30, 1, tzinfo=UTC),
        datetime.fromisoformat("2025-03-30T23:59:59.999999+02:00"),
        datetime.fromisoformat("2025-03-31T00:00:00+02:00"),
        datetime.fromisoformat("2025-03-31T23:59:59.999999+02:00"),
        datetime.fromisoformat("2025-04-01T00:00:00+02:00"),
        datetime.fromisoformat("2024-12-31T23:59:59.999999+01:00"),
    ),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))),
)
durations = one_of(
    TICK,
    timedelta(hours=1),
    timedelta(hours=11, minutes=30),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=8),
    timedelta(days=91),
)
periods = usually(
    one_of(
        _JANUARY,
        _JANUARY,
        _FEBRUARY,
        "2025-03-01/2025-03-31",
        "2025-03-10/2025-03-10",
        "2025-03-30/2025-03-30",
    ),
    "2025-02-28/2025-02-01",
    "2025-02-30/2025-03-01",
    "0001-01-01/9999-12-31",
)
sources = usually(one_of(None, None, "billing"), "by hand")
provenances = usually(one_of(None), "kpis.csv:7")
modes = _words(BulkMode)

sound_measures: Draw[measures.Measure] = one_of(
    measures.Metric(unit="deals", baseline=Decimal(0), target=Decimal(100)),
    measures.Metric(unit="deals", baseline=Decimal(0), target=Decimal(50)),
    measures.Metric(unit="%", baseline=Decimal(10), target=Decimal(2)),
    measures.FourPointMetric("%", *_decimals("0", "3", "7", "10")),
    measures.FourPointMetric("deals", *_decimals("100", "50", "50", "10")),
    measures.Maintain(unit="%", lower=Decimal(2)),
    measures.Maintain(unit="%", lower=Decimal(1), upper=Decimal(3), counted_by="time"),
    measures.Count(unit="deals", of=10),
    measures.Milestone(),
    measures.Baseline(unit="%"),
    measures.KpiLinked(kpi_id="i1", baseline=Decimal(0), target=Decimal(100)),
)
_drawn_measures: Draw[measures.Measure] = either(
    built(measures.Metric, unit=one_of("deals", "%"), baseline=numbers, target=numbers),
    built(
        measures.FourPointMetric,
        unit=one_of("deals", "%"),
        baseline=numbers,
        commit=numbers,
        target=numbers,
        stretch=numbers,
    ),
    built(measures.Maintain, unit=one_of("%"), lower=maybe_numbers, upper=maybe_numbers),
    built(measures.Count, unit=one_of("deals"), of=one_of(0, 1, 10, 10**40)),
    built(measures.KpiLinked, kpi_id=kpis, baseline=numbers, target=numbers),
)
any_measures = either(*[sound_measures] * 9, _drawn_measures)
weights = usually(one_of(*_decimals("0", "1", "1", "2", "50", "100")), *_decimals("-1", "sNaN"))

bands = maybe(
    built(
        events.KpiBands,
        healthy=built(events.Band, low=maybe_numbers),
        warning=built(events.Band, low=maybe_numbers, high=maybe_numbers),
    )
)
definitions = built(
    events.KpiDefinition,
    name=titles,
    unit=one_of("deals", "%"),
    direction=_words(Direction),
    frequency=_words(Frequency),
    source=one_of("billing", "survey"),
    target=maybe_numbers,
    bands=bands,
    aggregation=_words(Aggregation),
    formula=usually(
        one_of(None, None, None),
        events.Ratio("i1", "i2", Decimal(100)),
        events.Ratio("i2", "i1"),
        events.Sum(("i1", "i2")),
        events.Sum(("i3",)),
        events.Sum(("i4",)),
        events.Ratio("i1", "i2", Decimal(0)),
    ),
    places=one_of(None, 0, 2),
)

policies = either(
    one_of(Policy()),
    built(
        Policy,
        skip_planning=one_of(False, True),
        allow_cycle_overlap=one_of(False, True),
        fiscal_year_start_month=one_of(1, 1, 4),
        owner_may_be_team=one_of(False, True),
        counts=one_of("off", "warn", "block"),
        key_results_min=one_of(1, 1, 2),
        key_results_max=one_of(2, 3, 5),
        company_objectives_max=one_of(1, 2, 5),
        unit_objectives_max=one_of(1, 2, 3),
        structure_lock_days=one_of(None, 0, 71, 79, 89),
        update_lock_days=one_of(None, 0, 1, 10),
        mid_cycle_reason=one_of("off", "optional", "required"),
        parents=one_of("one", "many"),
        weights=one_of("free", "free", "equal", "sum_to_100"),
        note_required=one_of(False, True),
        confidence_required=one_of(False, True),
        cadence=one_of("weekly", "biweekly", "monthly"),
        backdating_days_max=one_of(0, 1, 14, 3_660),
        correction_by=one_of("anyone", "author"),
        correction_window_days=one_of(None, 0, 7),
        grace_days_after_end=one_of(0, 7),
        grade_adjustable=one_of(False, True),
        grade_by_owner=one_of(False, True),
        retrospective_required=one_of(False, True),
        reopen_within_days=one_of(0, 90),
        carry_over_baseline=one_of("last_value", "original"),
        restatement_window_days=one_of(None, 0, 40),
        breach_runs=one_of(1, 2, 2),
        review_due_days=one_of(0, 14),
        missed_readings=one_of("record", "record", "record", "off"),
        reading_grace=one_of(ReadingGrace(), ReadingGrace(0, 0, 0, 0, 0), ReadingGrace(monthly=40)),
        decided_on=one_of("optional", "optional", "optional", "required"),
        waived_by=one_of("viewer", "owner", "unit_lead"),
        reopened_by=one_of("viewer", "owner", "admin"),
        progress_ceiling=one_of(Decimal(1), Decimal(2)),
    ),
)
any_policies = either(
    *[policies] * 5,
    built(
        Policy,
        key_results_max=one_of(1, 5, 5),
        progress_ceiling=one_of(*_decimals("1", "0", "2.1", "NaN", "sNaN")),
        bands=one_of(_decimals("0.4", "0.7"), _decimals("0.7", "0.4"), _decimals("sNaN", "1")),
    ),
)

# ----------------------------------------------------------------------------------- the commands

_check_ins = built(
    commands.CheckIn,
    key_result_id=measured,
    check_in_id=one_of(*(f"c{each}" for each in range(9))),
    value=usually(numbers, None),
    confidence=one_of(None, 0, 5, 10),
    status=maybe(_words(Status)),
    note=texts,
    effective_at=either(one_of(None, None), moments),
    provenance=provenances,
)
_readings = built(
    commands.RecordReading,
    kpi_id=kpis,
    period=periods,
    value=numbers,
    source=sources,
    numerator=usually(one_of(None), Decimal(1), Decimal("sNaN")),
    denominator=usually(one_of(None), Decimal(2), Decimal("Infinity")),
    provenance=provenances,
)
_corrections = built(
    commands.CorrectReading,
    kpi_id=kpis,
    period=periods,
    value=numbers,
    source=sources,
    numerator=usually(one_of(None), Decimal(1)),
    reason=reasons,
    provenance=provenances,
)


def _planned(random: Random) -> commands.PlanCycle:
    """One of the spans, mostly as it is."""
    kind, start_on, end_on, parent_id = random.choice(SPANS)
    return commands.PlanCycle(
        cycle_id=random.choice(("y", "q1", "q2", "m", "x", "w")),
        name=titles(random),
        cycle_kind=usually(one_of(kind), "custom")(random),
        start_on=either(*[one_of(start_on)] * 9, days)(random),
        end_on=either(*[one_of(end_on)] * 9, days)(random),
        parent_id=usually(one_of(parent_id, None), "m")(random),
        activate=usually(one_of(False), True)(random),
    )


_FIELDS: Mapping[str, Mapping[str, Draw[Any]]] = {
    "OpenOrganisation": {
        "name": titles,
        "zone": usually(one_of(ZONE), "Nowhere/None", "../zone"),
        "policy": any_policies,
    },
    "ChangePolicy": {"policy": any_policies, "reason": reasons},
    "StartHistoryImport": {
        "import_id": import_ids,
        "source": usually(one_of("okrs"), "other"),
        "digest": one_of("d1"),
    },
    "FinishHistoryImport": {"import_id": import_ids, "outcome": one_of("completed", "stopped")},
    "DefineUnit": {
        "unit_id": one_of("co", "sales", "ops", "pat", "lab", "ann"),
        "name": titles,
        "unit_kind": _words(UnitKind),
        "parent_id": maybe(units),
    },
    "RenameUnit": {"unit_id": units, "name": titles},
    "MoveUnit": {"unit_id": units, "parent_id": maybe(units)},
    "RetireUnit": {"unit_id": usually(one_of("ops", "lab"), "sales", "pat"), "reason": reasons},
    "RescheduleCycle": {
        "cycle_id": usually(one_of("x"), "y", "q1", "w"),
        "start_on": usually(
            one_of(date(2025, 3, 8), date(2025, 3, 10), date(2025, 3, 22)), date.max
        ),
        "end_on": usually(one_of(date(2025, 3, 30), date(2025, 3, 31)), date(2025, 3, 29)),
        "reason": reasons,
    },
    "ActivateCycle": {"cycle_id": cycles},
    "StartCycleGrading": {"cycle_id": cycles},
    "CloseCycle": {"cycle_id": cycles},
    "ReopenCycle": {"cycle_id": one_of("q1", "q1", "q1", "x"), "reason": reasons},
    "CancelCycle": {"cycle_id": one_of("y", "q1", "q2", "m", "x", "w"), "reason": reasons},
    "RecordRetrospective": {
        "cycle_id": cycles,
        "went_well": texts,
        "did_not_go_well": texts,
        "learned": texts,
        "celebrate": texts,
    },
    "DraftObjective": {
        "objective_id": one_of("o1", "o4", "o5"),
        "cycle_id": cycles,
        "unit_id": units,
        "title": titles,
        "owner": owners,
        "objective_kind": _words(ObjectiveKind),
        "description": texts,
        "contributors": several(actors, 0, 2),
        "aligned_to": either(one_of(()), several(goals, 1, 2)),
        "reason": reasons,
    },
    "PublishObjective": {"objective_id": objectives},
    "RewordObjective": {
        "objective_id": objectives,
        "title": maybe(titles),
        "description": maybe(texts),
        "reason": reasons,
    },
    "ReassignObjective": {
        "objective_id": objectives,
        "owner": maybe(owners),
        "unit_id": maybe(units),
        "reason": reasons,
    },
    "ChangeObjectiveContributors": {
        "objective_id": objectives,
        "contributors": several(actors, 0, 3),
    },
    "RealignObjective": {
        "objective_id": objectives,
        "aligned_to": either(several(goals, 0, 1), several(goals, 1, 3)),
        "reason": reasons,
    },
    "ChangeObjectiveKind": {
        "objective_id": objectives,
        "objective_kind": _words(ObjectiveKind),
        "reason": reasons,
    },
    "DropObjective": {"objective_id": objectives, "reason": reasons},
    "GradeObjective": {
        "objective_id": objectives,
        "outcome": usually(one_of("achieved", "partial", "missed"), "dropped", "carried"),
        "score": scores,
        "reason": either(reasons, one_of(None)),
    },
    "CarryOverObjective": {
        "objective_id": objectives,
        "carried_to": usually(one_of("o5", "o6"), "o1"),
        "cycle_id": usually(one_of("q2"), "q1", "y", "m"),
        "key_results": several(
            built(
                commands.CarriedKeyResult,
                key_result_id=key_results,
                carried_to=one_of("k5", "k7", "k8"),
            ),
            0,
            2,
        ),
        "reason": reasons,
    },
    "AddKeyResult": {
        "key_result_id": one_of("k1", "k5", "k6"),
        "objective_id": objectives,
        "title": titles,
        "owner": owners,
        "measure": any_measures,
        "weight": weights,
        "reason": reasons,
    },
    "RewordKeyResult": {"key_result_id": key_results, "title": titles, "reason": reasons},
    "ReassignKeyResult": {"key_result_id": key_results, "owner": owners, "reason": reasons},
    "ReweightKeyResult": {"key_result_id": key_results, "weight": weights, "reason": reasons},
    "RetargetKeyResult": {
        "key_result_id": key_results,
        "measure": any_measures,
        "reason": reasons,
    },
    "DropKeyResult": {"key_result_id": key_results, "reason": reasons},
    "LinkKeyResultToKpi": {
        "key_result_id": key_results,
        "kpi_id": kpis,
        "baseline": usually(one_of(Decimal(0)), Decimal(100), Decimal("sNaN")),
        "target": usually(one_of(Decimal(100)), Decimal(50), Decimal(0)),
        "reason": reasons,
    },
    "UnlinkKeyResultFromKpi": {
        "key_result_id": key_results,
        "measure": any_measures,
        "reason": reasons,
    },
    "CorrectCheckIn": {
        "key_result_id": measured,
        "check_in_id": check_in_ids,
        "value": usually(numbers, None),
        "confidence": one_of(None, 0, 5),
        "status": maybe(_words(Status)),
        "note": texts,
        "reason": reasons,
    },
    "RetractCheckIn": {
        "key_result_id": measured,
        "check_in_id": check_in_ids,
        "reason": reasons,
    },
    "RecordCheckIns": {"check_ins": several(_check_ins, 1, 3), "mode": modes},
    "GradeKeyResult": {"key_result_id": key_results, "score": scores, "reason": reasons},
    "WaiveKeyResult": {"key_result_id": key_results, "reason": reasons},
    "DefineKpi": {
        "kpi_id": one_of("i1", "i3"),
        "unit_id": units,
        "owner": owners,
        "definition": definitions,
    },
    "RedefineKpi": {
        "kpi_id": kpis,
        "definition": definitions,
        "effective_on": days,
        "reason": reasons,
    },
    "RetargetKpi": {
        "kpi_id": kpis,
        "effective_on": days,
        "target": maybe_numbers,
        "bands": bands,
        "reason": reasons,
    },
    "ReassignKpi": {
        "kpi_id": kpis,
        "owner": maybe(owners),
        "unit_id": maybe(units),
        "reason": reasons,
    },
    "RetireKpi": {"kpi_id": usually(one_of("i2"), "i1"), "reason": reasons},
    "RecordReadings": {"readings": several(_readings, 1, 3), "mode": modes},
    "CorrectReadings": {"corrections": several(_corrections, 1, 2), "mode": modes},
    "RetractReading": {"kpi_id": kpis, "period": periods, "source": sources, "reason": reasons},
    "RecordMissedReading": {"kpi_id": kpis, "period": periods, "source": sources},
    "OpenKpiReview": {
        "kpi_id": kpis,
        "review_id": one_of("r1", "r2"),
        "owner": owners,
        "due_on": usually(one_of(date(2025, 6, 30)), date(2025, 1, 1), date.max),
        "reason": reasons,
    },
    "CloseKpiReview": {
        "kpi_id": kpis,
        "review_id": one_of("r1", *_BREACHES[:1] * 3, *_BREACHES),
        "decision": _words(ReviewDecision),
        "objective_id": maybe(objectives),
        "reason": either(reasons, one_of(None)),
    },
    "AddComment": {"goal": goals, "comment_id": one_of("n1", "n2"), "text": titles},
}

OF_KIND: dict[str, Draw[Command]] = {
    "PlanCycle": _planned,
    "CheckIn": _check_ins,
    "RecordReading": _readings,
    "CorrectReading": _corrections,
    **{name: built(COMMANDS[name], **fields) for name, fields in _FIELDS.items()},
}
"""A strategy for each kind of command, by its name."""


# ------------------------------------------------------------------------------- who asks and when

RUNNING = "the running import"


class Circumstances(Struct, frozen=True):
    """Who asks, how far behind the clock, and for which import: usually the one that runs.

    `behind` says how many positions ago it was decided, `ahead` how far the log goes on.
    """

    actor: str = "ann"
    late: timedelta = timedelta()
    import_id: str | None = RUNNING
    role: Role = "admin"
    units: tuple[str, ...] = ()
    behind: int | None = 0
    ahead: int | None = None


circumstances: Draw[Circumstances] = built(
    Circumstances,
    actor=actors,
    late=usually(one_of(timedelta()), timedelta(hours=1), timedelta(days=40)),
    import_id=usually(one_of(RUNNING), None, "h1", "h2"),
    role=either(*[one_of("admin")] * 3, one_of("unit_lead", "owner"), _words(Role)),
    units=one_of((), (), ("co",), ("sales",), ("ops",), ("pat",), ("ops", "pat")),
    behind=usually(one_of(None, None, None, 0, 0, 0, 1, 2, 6), -1),
    ahead=usually(one_of(None), 0, 1),
)

# ------------------------------------------------------------------------------- where to go from

_YEAR, _FIRST, _SECOND, _, _SPRINT, _, _ = SPANS


def _plan(cycle_id: str, span: tuple[CycleKind, date, date, str | None]) -> commands.PlanCycle:
    kind, start_on, end_on, parent_id = span
    return commands.PlanCycle(cycle_id, "Plan", kind, start_on, end_on, parent_id)


def _draft(objective_id: str, cycle_id: str, *aligned_to: str) -> commands.DraftObjective:
    return commands.DraftObjective(
        objective_id, cycle_id, "sales", "Win", "pat", aligned_to=aligned_to
    )


def _add(key_result_id: str, objective_id: str, measure: measures.Measure) -> commands.AddKeyResult:
    return commands.AddKeyResult(key_result_id, objective_id, "Win", "bob", measure)


def _say(
    key_result_id: str, check_in_id: str, value: int, on: datetime | None = None
) -> commands.CheckIn:
    return commands.CheckIn(key_result_id, check_in_id, Decimal(value), 5, "on_track", "so far", on)


_DEALS = measures.Metric(unit="deals", baseline=Decimal(0), target=Decimal(100))
_KPI = events.KpiDefinition(
    "Deals won",
    "deals",
    "higher",
    "monthly",
    "billing",
    bands=events.KpiBands(events.Band(low=Decimal(20)), events.Band(low=Decimal(2))),
)
_SHARE = events.KpiDefinition(
    "Share won",
    "%",
    "higher",
    "monthly",
    "billing",
    bands=events.KpiBands(events.Band(low=Decimal(5)), events.Band(low=Decimal(1))),
    formula=events.Ratio("i1", "i2", Decimal(100)),
    places=2,
)
_BOTH = events.KpiDefinition(
    "Both", "%", "higher", "monthly", "billing", formula=events.Sum(("i4", "i2"))
)
STORY: tuple[tuple[str, Command], ...] = (
    ("2025-01-02T12:00Z", commands.OpenOrganisation("Acme", ZONE)),
    ("2025-01-02T12:00Z", commands.DefineUnit("co", "Acme", "company")),
    ("2025-01-02T12:00Z", commands.DefineUnit("sales", "Sales", "team", "co")),
    ("2025-01-02T12:00Z", commands.DefineUnit("ops", "Operations", "team", "co")),
    ("2025-01-02T12:00Z", commands.DefineUnit("pat", "Pat", "person", "sales")),
    ("2025-01-02T12:00Z", _plan("y", _YEAR)),
    ("2025-01-02T12:00Z", _plan("q1", _FIRST)),
    ("2025-01-02T12:00Z", _plan("q2", _SECOND)),
    ("2025-01-02T12:00Z", _plan("x", _SPRINT)),
    ("2025-01-02T12:00Z", commands.DefineKpi("i1", "sales", "pat", _KPI)),
    ("2025-01-02T12:00Z", _draft("o1", "q1")),
    (
        "2025-01-02T12:00Z",
        replace(_draft("o2", "q1", "objective/o1"), objective_kind="committed"),
    ),
    ("2025-01-02T12:00Z", _add("k1", "o1", _DEALS)),
    ("2025-01-02T12:00Z", _add("k2", "o1", measures.Milestone())),
    ("2025-01-02T12:00Z", _add("k3", "o2", _DEALS)),
    ("2025-01-02T12:00Z", _draft("o3", "x", "key_result/k1")),
    ("2025-01-02T12:00Z", _add("k4", "o3", measures.Count(unit="deals", of=10))),
    ("2025-01-02T12:00Z", commands.DefineKpi("i2", "ops", "ann", replace(_KPI, unit="%"))),
    ("2025-01-02T12:00Z", commands.DefineKpi("i4", "ops", "ann", _SHARE)),
    ("2025-01-02T12:00Z", commands.DefineKpi("i5", "ops", "ann", _BOTH)),
    ("2025-01-02T12:00Z", _draft("o4", "q1")),
    ("2025-01-02T12:00Z", commands.PublishObjective("o1")),
    ("2025-01-02T12:00Z", commands.PublishObjective("o2")),
    ("2025-01-02T12:00Z", commands.PublishObjective("o3")),
    ("2025-01-02T12:00Z", commands.ActivateCycle("q1")),
    ("2025-01-02T12:00Z", commands.ActivateCycle("x")),
    ("2025-03-12T12:00Z", _say("k1", "c1", 10)),
    (
        "2025-03-12T12:00Z",
        commands.LinkKeyResultToKpi("k3", "i1", Decimal(0), Decimal(100), reason="the same"),
    ),
    ("2025-03-12T12:00Z", commands.RecordReading("i1", _JANUARY, Decimal(30))),
    ("2025-03-12T12:00Z", commands.RecordReading("i1", _FEBRUARY, Decimal(40))),
    ("2025-03-12T12:00Z", commands.RecordReading("i2", _JANUARY, Decimal(1))),
    ("2025-03-12T12:00Z", commands.RecordReading("i2", _FEBRUARY, Decimal(1))),
    ("2025-03-20T12:00Z", _say("k2", "c1", 1)),
    ("2025-03-20T12:00Z", _say("k1", "c2", 50, datetime(2025, 3, 11, tzinfo=UTC))),
    ("2025-03-20T12:00Z", _say("k4", "c1", 3)),
    ("2025-03-29T23:30Z", commands.OpenKpiReview("i1", "r1", "ann", date(2025, 6, 30))),
    ("2025-03-31T21:30Z", commands.StartCycleGrading("q1")),
    ("2025-04-01T12:00Z", commands.DropObjective("o4", reason="never begun")),
    ("2025-04-01T12:00Z", commands.RecordRetrospective("q1", learned="to begin earlier")),
    ("2025-04-01T12:00Z", commands.GradeKeyResult("k1")),
    ("2025-04-01T12:00Z", commands.GradeKeyResult("k2")),
    ("2025-04-01T12:00Z", commands.WaiveKeyResult("k3", reason="it measures the same")),
    ("2025-04-01T12:00Z", commands.GradeObjective("o1", "missed")),
    ("2025-04-01T12:00Z", commands.GradeObjective("o2", "partial", Decimal(1), reason="it is")),
    ("2025-04-02T12:00Z", commands.CloseCycle("q1")),
    ("2025-04-02T12:00Z", commands.ReopenCycle("q1", reason="a deal came late")),
)
"""A quarter of a company that goes well under the default policy: lives begin with part of it."""


_CLOSED = len(STORY) - 1
LENGTHS = (
    0,
    9,
    20,
    23,
    25,
    *range(28, 37),
    *range(28, 37),
    *range(37, _CLOSED),
    *[_CLOSED, _CLOSED + 1] * 2,
)
"""How much of the story has happened: mostly the cycle runs, or is judged, closed or reopened."""


# ------------------------------------------------------------------------------------ what goes on


class Ask(Struct, frozen=True):
    command: Command
    circumstances: Circumstances


class TimePasses(Struct, frozen=True):
    by: timedelta


class UntilMidnight(Struct, frozen=True):
    """The next one of the organisation, or a little before or after it."""

    then: timedelta


class TheCycleEnds(Struct, frozen=True):
    """All it takes to close a cycle, in order, but for what comes at one of the places."""

    cycle_id: str
    without: int


class TheLedgerLooks(Struct, frozen=True):
    """What time alone made true is recorded, but not more than so much of it."""

    at_most: int


class CreateAgain(Struct, frozen=True):
    """The one of this place, of all that were created."""

    place: int
    circumstances: Circumstances


class StartAgain(Struct, frozen=True):
    """A restart that reads the history in two parts."""

    cut: int


Step = Ask | TimePasses | UntilMidnight | TheCycleEnds | TheLedgerLooks | CreateAgain | StartAgain

OFTEN = (
    "CheckIn",
    "CheckIn",
    "CheckIn",
    "RecordCheckIns",
    "CorrectCheckIn",
    "RecordReading",
    "RecordReadings",
    "CorrectReading",
    "CorrectReadings",
    "RetractReading",
    "CloseKpiReview",
    "ReassignObjective",
    "WaiveKeyResult",
    "ChangeObjectiveKind",
    "RedefineKpi",
    "PublishObjective",
    "AddKeyResult",
    "RetargetKeyResult",
    "LinkKeyResultToKpi",
    "UnlinkKeyResultFromKpi",
    "RescheduleCycle",
    "ReopenCycle",
    "DraftObjective",
)
_commands = either(*OF_KIND.values(), *(OF_KIND[name] for name in OFTEN))
_ask: Draw[Step] = built(Ask, command=_commands, circumstances=circumstances)
_something_else: Draw[Step] = either(
    built(TimePasses, by=durations),
    built(TimePasses, by=durations),
    built(UntilMidnight, then=one_of(-TICK, timedelta(), TICK)),
    built(TheCycleEnds, cycle_id=one_of("q1", "q1", "x"), without=one_of(*range(12))),
    built(TheLedgerLooks, at_most=one_of(1, 2, 8)),
    built(CreateAgain, place=one_of(*range(100)), circumstances=circumstances),
    built(StartAgain, cut=one_of(*range(100))),
)
any_step: Draw[Step] = either(_ask, _ask, _ask, _ask, _ask, _ask, _something_else)

# ---------------------------------------------------------------------------------- a whole life

STEPS_MAX = 40
SEED_BYTES = 4


class Life(Struct, frozen=True):
    """What an organisation is asked: the opening, each command at its moment, and what goes on."""

    opening: tuple[tuple[datetime, Command], ...]
    steps: tuple[Step, ...]


def _under(policy: Policy, command: Command) -> Command:
    """A command of the story as it goes well under another policy."""
    match command:
        case commands.OpenOrganisation():
            return replace(command, policy=policy)
        case commands.AddKeyResult() if policy.weights == "sum_to_100":
            beside = command.objective_id == "o1"
            return replace(command, weight=Decimal(50 if beside else 100))
        case _:
            return command


def _life(length: int, seeds: bytes) -> Life:
    first, *others = (seeds[at : at + SEED_BYTES] for at in range(0, len(seeds), SEED_BYTES))
    policy = replace(policies(Random(first)), fiscal_year_start_month=1)
    return Life(
        opening=tuple(
            (datetime.fromisoformat(at), _under(policy, command)) for at, command in STORY[:length]
        ),
        steps=tuple(any_step(Random(seed)) for seed in others if any(seed)),
    )


_SEEDS_BYTES = SEED_BYTES * (1 + STEPS_MAX)
lives = st.builds(
    _life, st.sampled_from(LENGTHS), st.binary(min_size=_SEEDS_BYTES, max_size=_SEEDS_BYTES)
)
"""Hypothesis chooses one seed for each step, and finds which steps a failure does not need.

Were each word its own choice, most of its lives would be copies of few, each changed a little.
"""
