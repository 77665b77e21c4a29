"""The way through a cycle: each point is what was asked for that moment alone."""

from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from goal_contracts import events
from goal_contracts.events import Band, KpiBands
from goal_contracts.policy import Policy
from goal_contracts.queries import AsOf, CycleReport, Goals, Readings, ReadingSeries, Report
from msgspec.structs import replace

from services.projections.view_store.store import ViewStore
from tests.projections import company
from tests.projections.company import at, checked_in, opened, reading
from tests.projections.log import NOW, Asker, Log, fill
from tests.projections.test_report import afterwards, quarter


def told(ask: Asker, cycle: str = "q3", **asked: str) -> Report:
    return ask(CycleReport(cycle=cycle, by_week=True, **asked), Report)  # type: ignore[arg-type]  # only texts


def corrected_quarter() -> Log:
    """A quarter with a target lowered, a check-in corrected late, and an objective dropped."""
    log = opened()
    log.add(events.ObjectivePublished("uptime"), known_at=at(7, 2))
    log.add(checked_in("a", "98.5", at(7, 3)), known_at=at(7, 3))
    log.add(checked_in("b", "99.5", at(7, 20)), known_at=at(7, 20))
    log.add(
        events.KeyResultRetargeted(
            "kr", company.PERCENT, replace(company.PERCENT, target=Decimal(99)), lowered=True
        ),
        known_at=at(8, 1),
    )
    log.add(
        events.CheckInCorrected(
            "kr",
            check_in_id="a",
            effective_at=at(7, 3),
            reason="a typo",
            value_was=Decimal("98.5"),
            value=Decimal(98),
        ),
        known_at=at(8, 10),
    )
    log.add(events.ObjectiveDropped("deals", reason="no market"), known_at=at(8, 15))
    return log


def test_a_point_is_what_is_answered_for_the_end_of_its_week(store: ViewStore, ask: Asker) -> None:
    log = corrected_quarter()
    fill(store, log)
    report = told(ask, as_of="2025-09-10")
    known_at = f"@{report.reflects.position}"
    for place, week in enumerate(report.weeks):
        then = ask(AsOf(as_of=week.at.isoformat(), known_at=known_at, cycle="q3"), Goals)
        cards = {each.objective_id: each for each in then.objectives}
        results = {each.key_result_id: each for each in then.key_results}
        assert week.expected_pace == then.cycles[0].expected_pace
        for each in report.objectives:
            card, point = cards[each.objective.objective_id], each.course[place]
            assert (point.progress, point.health) == (card.progress, card.health)
            for result, course in zip(each.key_results, each.key_result_courses, strict=True):
                was = results[result.key_result_id]
                shown = course[place]
                assert (shown.value, shown.progress, shown.health) == (
                    was.value, was.progress, was.health,
                )  # fmt: skip
    (uptime,) = [e for e in report.objectives if e.objective.objective_id == "uptime"]
    # By what is known now, but under the target of the day.
    assert [point.value for point in uptime.course[:1]] == [None]
    assert [point.value for point in uptime.key_result_courses[0][:2]] == [Decimal(98), Decimal(98)]
    assert {point.progress for point in uptime.key_result_courses[0]} == {
        Decimal(0), Decimal("0.75"), Decimal(1),
    }  # fmt: skip


def test_weeks_begin_with_the_cycle_and_the_last_one_told_ends_at_the_moment(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, corrected_quarter())
    running = told(ask, as_of="2025-07-16").weeks
    assert [week.day for week in running] == [
        date(2025, 7, 7),
        date(2025, 7, 14),
        date(2025, 7, 16),
    ]
    over = told(ask, as_of="2025-12-01").weeks
    assert (len(over), over[-1].day) == (14, date(2025, 9, 30))
    assert over[-1].expected_pace == 1


def test_of_many_weeks_at_most_sixty_are_told_evenly_up_to_the_last(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    log.add(
        events.CyclePlanned("decade", "Ten years", "custom", date(2015, 1, 1), date(2025, 12, 31)),
        known_at=at(7, 1),
    )
    fill(store, log)
    weeks = told(ask, "decade", as_of="2025-12-30").weeks
    assert len(weeks) <= 60
    steps = {later.day - week.day for week, later in pairwise(weeks[:-1])}
    assert len(steps) == 1
    assert weeks[-1].day == date(2025, 12, 30)


def test_before_it_was_there_a_goal_has_no_progress(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(replace(company.KR, key_result_id="late", mid_cycle=True), known_at=at(8, 1))
    log.add(checked_in("x", "99", at(8, 2), "late"), known_at=at(8, 2))
    fill(store, log)
    report = told(ask, as_of="2025-08-05")
    (courses,) = [
        dict(zip((card.key_result_id for card in each.key_results), each.key_result_courses,
                 strict=True))
        for each in report.objectives
        if each.objective.objective_id == "uptime"
    ]  # fmt: skip
    assert [point.progress for point in courses["late"]] == [None] * 4 + [Decimal("0.5")] * 2


def test_a_series_is_what_counts_of_each_period_with_the_bands_it_was_judged_by(
    store: ViewStore, ask: Asker
) -> None:
    june, july = "2025-06-01/2025-06-30", "2025-07-01/2025-07-31"
    bands = KpiBands(Band(low=Decimal(99)), Band(low=Decimal(95)))
    judged = replace(company.DEFINITION, bands=bands, target=Decimal("99.5"))
    log = opened()
    log.add(reading("2025-05-01/2025-05-31", "97"), known_at=at(7, 1))
    log.add(events.KpiReadingMissed("kpi", period=june, effective_at=at(6, 30), source="probe"))
    log.add(
        events.KpiRedefined(
            "kpi",
            version=2,
            effective_on=date(2025, 7, 1),
            definition_was=company.DEFINITION,
            definition=judged,
        )
    )
    first = replace(reading(july, "99"), definition_version=2)
    log.add(first, known_at=at(8, 1))
    log.add(
        events.KpiReadingCorrected(
            "kpi",
            period=july,
            effective_at=first.effective_at,
            value_was=Decimal(99),
            value=Decimal(98),
            source="probe",
            definition_version=2,
            reason="late",
        ),
        known_at=at(8, 2),
    )
    fill(store, log)
    (series,) = [each for each in told(ask).series if each.kpi.kpi_id == "kpi"]
    assert [
        (each.period, each.value, each.value_was, each.health, each.target, each.bands)
        for each in series.points
    ] == [
        ("2025-05-01/2025-05-31", Decimal(97), None, "no_data", None, None),
        (june, None, None, "no_data", None, None),
        (july, Decimal(98), Decimal(99), "warning", Decimal("99.5"), bands),
    ]
    counting = [each for each in ask(Readings(kpi="kpi"), ReadingSeries).readings if each.counts]
    assert [each.value for each in counting] == [Decimal(97), Decimal(98)]


def test_a_closed_cycle_by_week_is_the_same_bytes_whatever_comes_later(
    store: ViewStore, ask: Asker
) -> None:
    log = quarter()
    fill(store, log)
    query = CycleReport(cycle="q3", by_week=True)
    before = ask.raw(query, now=at(10, 6))
    fill(store, afterwards(log))
    assert ask.raw(query, now=NOW) == before


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_pages_of_a_report_by_week_are_the_whole(
    store: ViewStore, ask: Asker, limit: int
) -> None:
    fill(store, quarter(Policy()))
    whole = told(ask)
    pages = ask.pages(CycleReport(cycle="q3", by_week=True, limit=limit))
    assert {page.weeks for page in pages} == {whole.weeks}
    for section in ("objectives", "kpis", "series"):
        joined = tuple(each for page in pages for each in getattr(page, section))
        assert joined == getattr(whole, section)


def test_without_being_asked_by_week_a_report_has_no_courses(store: ViewStore, ask: Asker) -> None:
    fill(store, quarter())
    report = ask(CycleReport(cycle="q3"), Report)
    assert (report.weeks, report.series, report.objectives[0].course) == ((), (), ())
