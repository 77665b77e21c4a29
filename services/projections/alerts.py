"""What needs somebody's attention: everything that is pursued, looked at from one vantage.

Only cycles that run are read, so the answer costs what they hold, not what the log holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, TypeVar

from goal_contracts.measures import KpiLinked
from goal_contracts.queries import Alert, KeyResultCard, ObjectiveCard
from msgspec import Struct

from services.projections.as_of import MISSED_MAX, Vantage
from services.projections.rests import Rest, no_rest
from services.projections.view_store import schema
from services.projections.view_store.reader import Reader
from services.projections.views import alerts, standing
from services.projections.views.alerts import WatchedKeyResult, WatchedKpi
from services.projections.views.course import Course, course_of
from services.projections.views.current import CycleState, KpiState, OrganisationState
from services.projections.views.rows import ReadingRow

KEY_RESULTS_AT_ONCE: Final = 32
"""So many have their check-ins read together. To take in, or to let go of, those of a thousand is
one step of Python, in which no event becomes a row."""
KPIS_AT_ONCE: Final = 500

T = TypeVar("T")


class Scope(Struct, frozen=True):
    """What is looked at; None, everything."""

    unit_ids: frozenset[str] | None = None
    cycle_id: str | None = None

    def holds(self, unit_id: str) -> bool:
        """Whether what a unit carries is looked at."""
        return self.unit_ids is None or unit_id in self.unit_ids


class Pursued(Struct, frozen=True):
    """A cycle that runs, its objectives that are published, and their key results."""

    course: Course
    objectives: dict[str, ObjectiveCard]
    key_results: list[KeyResultCard]


def pursued(
    reader: Reader,
    organisation_id: str,
    organisation: OrganisationState,
    seen: Vantage,
    scope: Scope,
) -> Iterator[Pursued]:
    """What is pursued in the cycles that run, in the order of their ids."""
    for cycle in reader.goals(organisation_id, "cycle", seen.structure):
        state = cycle.state
        if (
            not isinstance(state, CycleState)
            or state.card.state not in alerts.PURSUED
            or scope.cycle_id not in {None, cycle.goal_id}
        ):
            continue
        own = schema.goal.c.cycle_id == cycle.goal_id
        objectives = {
            goal.goal_id: goal.state
            for goal in reader.goals(organisation_id, "objective", seen.structure, own)
            if isinstance(goal.state, ObjectiveCard)
            and goal.state.state == "published"
            and scope.holds(goal.state.unit_id)
        }
        yield Pursued(
            course=course_of(state, organisation.policy, organisation.zone),
            objectives=objectives,
            key_results=[
                goal.state
                for goal in reader.goals(organisation_id, "key_result", seen.structure, own)
                if isinstance(goal.state, KeyResultCard) and goal.objective_id in objectives
            ],
        )


def alerts_of(
    reader: Reader,
    organisation_id: str,
    organisation: OrganisationState,
    seen: Vantage,
    scope: Scope,
    rest: Rest = no_rest,
) -> list[Alert]:
    """All alerts in their order."""
    found: list[Alert] = []
    for of_cycle in pursued(reader, organisation_id, organisation, seen, scope):
        rest()
        for some in _watched(reader, organisation_id, of_cycle, seen):
            found += chain.from_iterable(alerts.on_key_result(each, seen.as_of) for each in some)
            rest()
    if scope.cycle_id is None:
        for some_kpis in _watched_kpis(reader, organisation_id, organisation.zone, seen, scope):
            found += chain.from_iterable(alerts.on_kpi(each, seen.as_of) for each in some_kpis)
            rest()
    return alerts.in_order(found)


def readings_of(
    reader: Reader, organisation_id: str, kpi_id: str, course: Course, seen: Vantage
) -> list[ReadingRow]:
    """The readings of a KPI that stand inside a cycle (R25)."""
    rows = reader.readings(organisation_id, kpi_id, seen.known, min(seen.as_of, course.last))
    return standing.standing(row for row in rows if row.effective_at >= course.start)


def _watched(
    reader: Reader, organisation_id: str, of_cycle: Pursued, seen: Vantage
) -> Iterator[list[WatchedKeyResult]]:
    """Some at a time."""
    readings: dict[str, list[ReadingRow]] = {}

    def followed(card: KeyResultCard) -> list[ReadingRow]:
        if not isinstance(card.measure, KpiLinked):
            return []
        kpi_id = card.measure.kpi_id
        if kpi_id not in readings:
            readings[kpi_id] = readings_of(reader, organisation_id, kpi_id, of_cycle.course, seen)
        return readings[kpi_id]

    for some in _cut(of_cycle.key_results, KEY_RESULTS_AT_ONCE):
        check_ins = reader.check_ins(
            organisation_id, [card.key_result_id for card in some], seen.known, seen.as_of
        )
        yield [
            WatchedKeyResult(
                card=card,
                objective=of_cycle.objectives[card.objective_id],
                course=of_cycle.course,
                check_ins=standing.standing(check_ins.get(card.key_result_id, ())),
                readings=followed(card),
            )
            for card in some
        ]


def _watched_kpis(
    reader: Reader, organisation_id: str, zone: str, seen: Vantage, scope: Scope
) -> Iterator[list[WatchedKpi]]:
    """All KPIs, some at a time."""
    kpis = [
        goal.state
        for goal in reader.kpis(
            organisation_id, seen.known, seen.structure, unit_ids=scope.unit_ids
        )
        if isinstance(goal.state, KpiState) and not goal.state.card.retired
    ]
    for some in _cut(kpis, KPIS_AT_ONCE):
        by_id = {kpi.card.kpi_id: kpi for kpi in some}
        readings = _readings_of_kpis(reader, organisation_id, by_id, seen)
        missed = reader.missed_of(organisation_id, by_id, seen.known, seen.as_of)
        yield [
            WatchedKpi(
                kpi=kpi,
                zone=zone,
                readings=readings.get(kpi_id, ()),
                missed=standing.still_missed(missed.get(kpi_id, ()))[-MISSED_MAX:],
            )
            for kpi_id, kpi in by_id.items()
        ]


def _readings_of_kpis(
    reader: Reader, organisation_id: str, kpis: Mapping[str, KpiState], seen: Vantage
) -> dict[str, list[ReadingRow]]:
    """The last readings; a series is read as a whole only where its last reading is in breach."""
    bounds = seen.known, seen.as_of
    found = {
        kpi_id: standing.standing(rows)
        for kpi_id, rows in reader.last_readings(organisation_id, kpis, *bounds).items()
    }
    # Where the last period was taken back, one before it counts: which, only the series tells.
    whole = [
        kpi_id
        for kpi_id, readings in found.items()
        if not readings or alerts.is_breach(readings[-1], kpis[kpi_id].versions)
    ]
    for kpi_id, rows in reader.series(organisation_id, whole, *bounds).items():
        found[kpi_id] = standing.standing(rows)
    return found


def _cut(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
