"""What a cycle came to, as a document: late changes first, then goals, indicators and lessons."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from goal_contracts.queries import (
    CoursePoint,
    CycleCard,
    KeyResultCard,
    KpiSeries,
    Report,
    ReportedObjective,
    SeriesPoint,
    WeekEnd,
)

from services.reports import told, wording
from services.reports.document import (
    Cell,
    Chart,
    Column,
    Document,
    Figure,
    Goal,
    Goals,
    Indicator,
    Indicators,
    Mark,
    Note,
    PlottedReading,
    ProgressPlot,
    Result,
    Section,
    SeriesPlot,
    Table,
)

CHARTS_MAX: Final = 150
"""A report of more is told in numbers alone: nobody looks through so many pictures."""
COURSE_LEGEND: Final = (
    "The line is progress at the end of each week, the dashed one the expected pace."
)
SERIES_LEGEND: Final = (
    "Behind the readings are the bands in force: healthy, warning, breach. The dashed line is the "
    "target, a ring marks a reading that was corrected, a gap one that was missed, the bar below "
    "the time of the cycle."
)


def document(of: Report) -> Document:
    """The whole report; `of` is all pages of the answer as one."""
    cycle = of.cycle
    said = [("", each) for each in cycle.retrospectives]
    charts = sum(len(each.key_results) for each in of.objectives) + len(of.series)
    weeks = of.weeks if charts <= CHARTS_MAX else ()
    return Document(
        kicker=" · ".join(filter(None, (of.organisation, "Cycle report"))),
        title=cycle.name,
        subtitle=_subtitle(of),
        day=wording.local_day(of.reflects.as_of, of.zone),
        figures=tuple(_figures(of)),
        sections=(
            told.late(of.late, of.zone),
            Section(
                "goals",
                "Goals",
                tuple(_goals(of, weeks)) or (Note("It has no objectives."),),
                legend=COURSE_LEGEND if weeks and of.objectives else "",
            ),
            Section(
                "indicators",
                "Indicators",
                _indicators(of, is_drawn=bool(weeks)),
                legend=SERIES_LEGEND if weeks and of.series else "",
            ),
            told.open_reviews(of.kpis),
            Section(
                "looking-back",
                "Looking back",
                tuple(told.lessons(said, "Nobody has written a retrospective.")),
            ),
            Section(
                "celebrations",
                "To celebrate",
                (told.celebrations(said, "Nobody has named anything to celebrate."),),
            ),
        ),
        foot=told.foot(of.reflects, of.zone),
    )


def _subtitle(of: Report) -> str:
    cycle = of.cycle
    when = wording.span(cycle.start_on, cycle.end_on)
    if cycle.state == "closed" and cycle.closings:
        closing = cycle.closings[-1]
        on = wording.long_day(wording.local_day(closing.at, of.zone))
        again = ", reopened before" if len(cycle.closings) > 1 else ""
        return f"{when}. Closed on {on} by {closing.actor}{again}."
    return f"{when}. {wording.sentence(cycle.state)}."


def _figures(of: Report) -> Iterator[Figure]:
    cycle = of.cycle
    objectives = [each.objective for each in of.objectives]
    if cycle.aspirational_score is not None:
        yield Figure(
            "Aspirational score",
            f"{cycle.aspirational_score:.2f}",
            f"average of the aspirational objectives{_band(cycle)}",
        )
    if cycle.committed_met is not None:
        yield Figure(
            "Committed met", wording.percent(cycle.committed_met), "of the committed objectives"
        )
    if cycle.state in {"active", "planned"} and cycle.expected_pace is not None:
        yield Figure("Time elapsed", wording.percent(cycle.expected_pace), "the expected pace")
    counts = Counter(told.objective_health(each).word for each in objectives)
    yield Figure(
        "Objectives",
        str(len(objectives)),
        ", ".join(f"{count} {word}" for word, count in counts.most_common()),
    )
    changes = Counter(each.change for each in of.late)
    yield Figure(
        "Late changes",
        str(len(of.late)),
        ", ".join(f"{count} {change}" for change, count in changes.items()),
    )
    open_now = sum(each.closed_at is None for kpi in of.kpis for each in kpi.reviews)
    yield Figure("Open reviews", str(open_now), "of indicators")


def _band(cycle: CycleCard) -> str:
    """`: high, from 0.7`: where the score lies among the bands of the cycle."""
    if cycle.bands is None or cycle.aspirational_score is None:
        return ""
    low, high = cycle.bands
    if cycle.aspirational_score < low:
        return f": low, below {wording.number(low)}"
    if cycle.aspirational_score < high:
        return f": middle, {wording.number(low)} to {wording.number(high)}"
    return f": high, from {wording.number(high)}"


def _goals(of: Report, weeks: Sequence[WeekEnd]) -> Iterator[Goals]:
    """The objectives of each unit, a unit below the one above it."""
    by_unit: dict[str, list[ReportedObjective]] = defaultdict(list)
    for each in of.objectives:
        by_unit[each.objective.unit_id].append(each)
    span = of.cycle.start_on, of.cycle.end_on
    for unit in of.units:
        if unit.unit_id in by_unit:
            yield Goals(
                unit.name, tuple(_goal(each, weeks, span) for each in by_unit[unit.unit_id])
            )


def _goal(of: ReportedObjective, weeks: Sequence[WeekEnd], span: tuple[date, date]) -> Goal:
    card = of.objective
    facts = [card.objective_kind, told.owners(card)]
    if card.mid_cycle:
        facts.append("added mid-cycle")
    if card.carried_from:
        facts.append(f"carried from {card.carried_from}")
    if card.carried_to:
        facts.append(f"carried to {card.carried_to}")
    courses = of.key_result_courses or ((),) * len(of.key_results)
    return Goal(
        title=card.title,
        mark=told.objective_health(card),
        facts=tuple(facts),
        score=told.score(card),
        quote=card.score_reason or "",
        progress=card.progress,
        pace=None if card.outcome else card.expected_pace,
        results=tuple(
            _result(each, course, weeks, span)
            for each, course in zip(of.key_results, courses, strict=True)
        ),
    )


def _result(
    card: KeyResultCard,
    course: Sequence[CoursePoint],
    weeks: Sequence[WeekEnd],
    span: tuple[date, date],
) -> Result:
    facts = [wording.measure_with_original(card.measure, card.original_measure)]
    if card.owner:
        facts.append(card.owner)
    if card.mid_cycle:
        facts.append("added mid-cycle")
    if card.weight != 1:
        facts.append(f"weight {wording.number(card.weight)}")
    reached = wording.value(card.measure, card.value)
    if card.value_origin is not None and card.value_origin in told.TOLD_ORIGINS:
        reached += f" ({wording.spaced(card.value_origin)})"
    mark = told.health(card.health)
    if card.dropped or card.waived:
        mark = Mark("dropped" if card.dropped else "waived")
    return Result(
        title=card.title,
        facts=tuple(facts),
        reached=reached,
        done=wording.percent(card.progress),
        mark=mark,
        score=told.score(card),
        note=card.score_reason or "",
        chart=_course(card, course, weeks, span) if weeks and course else None,
    )


def _course(
    card: KeyResultCard,
    course: Sequence[CoursePoint],
    weeks: Sequence[WeekEnd],
    span: tuple[date, date],
) -> Chart:
    progress = tuple(each.progress for each in course)
    reached = [each for each in progress if each is not None]
    shown = (
        f"from {wording.percent(reached[0])} to {wording.percent(reached[-1])}" if reached else ""
    )
    return Chart(
        title=card.title,
        description=f"Progress at the end of each week, {shown or 'none yet'}; "
        "the dashed line is the expected pace.",
        plot=ProgressPlot(
            days=tuple(each.day for each in weeks),
            progress=progress,
            span=span,
        ),
        table=Table(
            columns=(
                Column("Week to"),
                Column("Value", is_number=True),
                Column("Done", is_number=True),
                Column("Pace", is_number=True),
                Column("Health"),
            ),
            rows=tuple(
                (
                    Cell(week.day.isoformat()),
                    Cell(wording.value(card.measure, point.value)),
                    Cell(wording.percent(point.progress)),
                    Cell(wording.percent(week.expected_pace)),
                    Cell(mark=told.health(point.health)),
                )
                for week, point in zip(weeks, course, strict=True)
            ),
        ),
    )


def _indicators(of: Report, *, is_drawn: bool) -> tuple[Indicators | Note, ...]:
    if not of.series:
        return (Note("No indicator belongs to these units."),)
    span = of.cycle.start_on, of.cycle.end_on
    units = {unit.unit_id: unit.name for unit in of.units}
    return (
        Indicators(
            tuple(
                indicator(each, span, of.zone, units.get(each.kpi.unit_id, ""), is_drawn=is_drawn)
                for each in of.series
            )
        ),
    )


def indicator(
    of: KpiSeries, span: tuple[date, date], zone: str, unit: str, *, is_drawn: bool
) -> Indicator:
    """A KPI with its series; `span` is the time the report is about, `unit` whose it is."""
    kpi, definition = of.kpi, of.kpi.definition
    facts = [unit] if unit else []
    if definition.target is not None:
        facts.append(f"target {wording.amount(definition.target, definition.unit)}")
    facts.append(f"owner {kpi.owner}")
    value = wording.NOTHING
    if kpi.reading is not None and kpi.reading.value is not None:
        value = wording.amount(kpi.reading.value, definition.unit)
        facts.append(f"read for {wording.period(kpi.reading.period)}")
    return Indicator(
        title=definition.name,
        mark=told.kpi_health(kpi.health),
        value=value,
        facts=tuple(facts),
        chart=_series(of, span, zone) if is_drawn and of.points else None,
    )


def _series(of: KpiSeries, span: tuple[date, date], zone: str) -> Chart:
    definition = of.kpi.definition
    count = sum(each.value is not None for each in of.points)
    first, last = of.points[0], of.points[-1]
    return Chart(
        title=definition.name,
        description=f"{wording.counted(count, 'reading')} in {definition.unit}, "
        f"{wording.period(first.period)} to {wording.period(last.period)}, "
        "over the bands they were judged by.",
        plot=SeriesPlot(
            readings=tuple(_plotted(each, zone) for each in of.points),
            span=span,
        ),
        table=Table(
            columns=(
                Column("Period"),
                Column("Value", is_number=True),
                Column("Target", is_number=True),
                Column("Health"),
            ),
            rows=tuple(_read(each) for each in of.points),
        ),
    )


def _plotted(of: SeriesPoint, zone: str) -> PlottedReading:
    bands = of.bands
    return PlottedReading(
        day=wording.local_day(of.effective_at, zone),
        value=of.value,
        tone=told.KPI_TONES[of.health],
        is_corrected=of.value_was is not None,
        target=of.target,
        has_bands=bands is not None,
        healthy=(None, None) if bands is None else (bands.healthy.low, bands.healthy.high),
        warning=(None, None) if bands is None else (bands.warning.low, bands.warning.high),
    )


def _read(of: SeriesPoint) -> tuple[Cell, ...]:
    missed = of.value is None
    corrected = "" if of.value_was is None else f"corrected from {wording.number(of.value_was)}"
    return (
        Cell(wording.period(of.period)),
        Cell("missed" if missed else wording.number(of.value), note=corrected),
        Cell(wording.number(of.target)),
        Cell(mark=told.kpi_health(of.health)),
    )
