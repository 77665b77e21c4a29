"""What needs somebody's attention: everything that is pursued, looked at from one vantage.

Only cycles that run are read, so the answer costs what they hold, not what the log holds.
"""

from collections.abc import Iterator
from typing import Final

from goal_contracts.measures import KpiLinked
from goal_contracts.queries import Alert, KeyResultCard, ObjectiveCard
from msgspec import Struct

from services.projections.as_of import MISSED_MAX, Vantage
from services.projections.view_store import schema
from services.projections.view_store.reader import Reader
from services.projections.views import alerts, standing
from services.projections.views.alerts import WatchedKeyResult, WatchedKpi
from services.projections.views.course import Course, course_of
from services.projections.views.current import CycleState, KpiState, OrganisationState
from services.projections.views.rows import ReadingRow

AT_ONCE: Final = 32
"""Key results whose check-ins are read together. To take in, or to let go of, those of a thousand
is one step of Python, in which no event becomes a row."""


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
) -> list[Alert]:
    """All alerts in their order."""
    found: list[Alert] = []
    for of_cycle in pursued(reader, organisation_id, organisation, seen, scope):
        for watched in _watched(reader, organisation_id, of_cycle, seen):
            found += alerts.on_key_result(watched, seen.as_of)
    if scope.cycle_id is None:
        for watched_kpi in _watched_kpis(reader, organisation_id, organisation.zone, seen, scope):
            found += alerts.on_kpi(watched_kpi, seen.as_of)
    return alerts.in_order(found)


def readings_of(
    reader: Reader, organisation_id: str, kpi_id: str, course: Course, seen: Vantage
) -> list[ReadingRow]:
    """The readings of a KPI that stand inside a cycle (R25)."""
    rows = reader.readings(organisation_id, kpi_id, seen.known, min(seen.as_of, course.last))
    return standing.standing(row for row in rows if row.effective_at >= course.start)


def _watched(
    reader: Reader, organisation_id: str, of_cycle: Pursued, seen: Vantage
) -> Iterator[WatchedKeyResult]:
    readings: dict[str, list[ReadingRow]] = {}
    cards = of_cycle.key_results
    for start in range(0, len(cards), AT_ONCE):
        some = cards[start : start + AT_ONCE]
        check_ins = reader.check_ins(
            organisation_id, [card.key_result_id for card in some], seen.known, seen.as_of
        )
        for card in some:
            followed: list[ReadingRow] = []
            if isinstance(card.measure, KpiLinked):
                kpi_id = card.measure.kpi_id
                if kpi_id not in readings:
                    readings[kpi_id] = readings_of(
                        reader, organisation_id, kpi_id, of_cycle.course, seen
                    )
                followed = readings[kpi_id]
            yield WatchedKeyResult(
                card=card,
                objective=of_cycle.objectives[card.objective_id],
                course=of_cycle.course,
                check_ins=standing.standing(check_ins.get(card.key_result_id, ())),
                readings=followed,
            )


def _watched_kpis(
    reader: Reader, organisation_id: str, zone: str, seen: Vantage, scope: Scope
) -> Iterator[WatchedKpi]:
    """All KPIs; a series is read as a whole only where its last reading is in breach."""
    kpis = {
        goal.goal_id: goal.state
        for goal in reader.kpis(
            organisation_id, seen.known, seen.structure, unit_ids=scope.unit_ids
        )
        if isinstance(goal.state, KpiState) and not goal.state.card.retired
    }
    bounds = seen.known, seen.as_of
    last = {
        kpi_id: standing.standing(rows)
        for kpi_id, rows in reader.last_readings(organisation_id, kpis, *bounds).items()
    }
    # Where the last period was taken back, one before it counts: which, only the series tells.
    whole = [
        kpi_id
        for kpi_id, readings in last.items()
        if not readings or alerts.is_breach(readings[-1], kpis[kpi_id].versions)
    ]
    for kpi_id, rows in reader.series(organisation_id, whole, *bounds).items():
        last[kpi_id] = standing.standing(rows)
    missed = reader.missed_of(organisation_id, kpis, *bounds)
    for kpi_id, kpi in kpis.items():
        yield WatchedKpi(
            kpi=kpi,
            zone=zone,
            readings=last.get(kpi_id, ()),
            missed=standing.still_missed(missed.get(kpi_id, ()))[-MISSED_MAX:],
        )
