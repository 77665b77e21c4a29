"""The way there: how goals stood at the end of each week, and the series of KPIs.

A point of a course is what AsOf answers for that moment, by what is known at the vantage; a point
of a series is what Readings answers for its period.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

from goal_contracts import cadence
from goal_contracts.queries import (
    CoursePoint,
    CycleCard,
    KeyResultCard,
    KpiCard,
    KpiSeries,
    ObjectiveCard,
    Report,
    ReportedObjective,
    SeriesPoint,
    WeekEnd,
)
from msgspec.structs import replace

from services.projections.as_of import Picture, Vantage
from services.projections.view_store.goals import Goal
from services.projections.view_store.reader import Reader
from services.projections.views import standing
from services.projections.views.course import Course
from services.projections.views.current import DefinitionVersion, KpiState
from services.projections.views.days import end_of_day, local_day
from services.projections.views.rows import ReadingRow

WEEKS_MAX: Final = 60
POINTS_MAX: Final = 60
LOOKED_BACK: Final = timedelta(days=366)
"""A quarter has three monthly readings: what they mean is seen beside those before."""

PictureFrom = Callable[[Vantage], Picture]


def added(
    reader: Reader,
    organisation_id: str,
    report: Report,
    goals: Iterable[object],
    course: Course,
    seen: Vantage,
    picture_from: PictureFrom,
) -> Report:
    """A page of a report with its weeks; `goals` are what the page was made of, KPIs among them."""
    weeks = weeks_of(report.cycle, course, seen)
    kpis = [each for each in goals if isinstance(each, Goal) and isinstance(each.state, KpiState)]
    return replace(
        report,
        weeks=weeks,
        objectives=with_courses(
            reader, organisation_id, report.objectives, weeks, seen, picture_from
        ),
        series=tuple(
            series_of(reader, organisation_id, card, goal.state.versions, seen)
            for card, goal in zip(picture_from(seen).kpis(kpis), kpis, strict=True)
            if isinstance(goal.state, KpiState)
        ),
    )


def weeks_of(cycle: CycleCard, course: Course, seen: Vantage) -> tuple[WeekEnd, ...]:
    """The ends of a cycle's weeks that have come, or the moment itself in the one that runs."""
    ends: list[WeekEnd] = []
    for first, last in cadence.periods(cycle.start_on, cycle.end_on, "weekly"):
        if end_of_day(first - timedelta(days=1), course.zone) >= seen.as_of:
            break
        at = min(end_of_day(last, course.zone), seen.as_of)
        day = local_day(at, course.zone)
        ends.append(WeekEnd(day=day, at=at, expected_pace=standing.pace(course, at)))
    step = -(-len(ends) // WEEKS_MAX) or 1
    return tuple(ends[::-step][::-1])


def with_courses(
    reader: Reader,
    organisation_id: str,
    told: Sequence[ReportedObjective],
    weeks: Sequence[WeekEnd],
    seen: Vantage,
    picture_from: PictureFrom,
) -> tuple[ReportedObjective, ...]:
    """Objectives and their key results with a point for each week."""
    objective_ids = [each.objective.objective_id for each in told]
    points: dict[tuple[str, str], list[CoursePoint]] = {}
    absent = CoursePoint()
    for place, week in enumerate(weeks):
        structure = min(seen.structure, reader.position_known_at(organisation_id, week.at))
        then = replace(seen, structure=structure, as_of=week.at)
        goals = reader.goals_by_id(organisation_id, "objective", structure, objective_ids)
        for objective, key_results in picture_from(then).objectives_with_key_results(goals):
            cards: list[ObjectiveCard | KeyResultCard] = [objective, *key_results]
            for card in cards:
                course = points.setdefault(_named(card), [absent] * len(weeks))
                course[place] = _point(card)
    nowhere = [absent] * len(weeks)
    return tuple(
        replace(
            each,
            course=tuple(points.get(_named(each.objective), nowhere)),
            key_result_courses=tuple(
                tuple(points.get(_named(card), nowhere)) for card in each.key_results
            ),
        )
        for each in told
    )


def series_of(
    reader: Reader,
    organisation_id: str,
    card: KpiCard,
    versions: Sequence[DefinitionVersion],
    seen: Vantage,
) -> KpiSeries:
    """A KPI with what counts of each of its latest periods, those missed too."""
    rows = [
        row
        for row in reader.readings(organisation_id, card.kpi_id, seen.known, seen.as_of)
        if row.effective_at > seen.as_of - LOOKED_BACK
    ]
    # Several sources may speak of a period; what counts is what would count at its end.
    counting = {row.period: row for row in standing.standing(rows)}
    missed = {row.period: row for row in rows if row.event == "missed"}
    points = sorted(
        (_series_point(row, versions) for row in (missed | counting).values()),
        key=lambda point: (point.effective_at, point.period),
    )
    return KpiSeries(kpi=card, points=tuple(points[-POINTS_MAX:]))


def _named(card: ObjectiveCard | KeyResultCard) -> tuple[str, str]:
    key_result_id = card.key_result_id if isinstance(card, KeyResultCard) else ""
    return card.objective_id, key_result_id


def _point(card: ObjectiveCard | KeyResultCard) -> CoursePoint:
    value = card.value if isinstance(card, KeyResultCard) else None
    return CoursePoint(progress=card.progress, value=value, health=card.health)


def _series_point(row: ReadingRow, versions: Sequence[DefinitionVersion]) -> SeriesPoint:
    judged_by = next((each for each in versions if each.version == row.definition_version), None)
    definition = None if judged_by is None else judged_by.definition
    return SeriesPoint(
        period=row.period,
        effective_at=row.effective_at,
        value=row.value,
        value_was=row.value_was,
        health=standing.kpi_health(row, None, versions),
        target=None if definition is None else definition.target,
        bands=None if definition is None else definition.bands,
    )
