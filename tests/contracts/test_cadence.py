"""R12: when check-ins are due and whether they came; health: silence is never green."""

from datetime import date, timedelta

import pytest
from goal_contracts.cadence import Cadence, health, periods, periods_over, timing
from goal_contracts.fields import CheckInTiming, GoalHealth, Outcome, Status
from hypothesis import given
from hypothesis import strategies as st

Days = tuple[date, date]
CADENCES: tuple[Cadence, ...] = ("weekly", "biweekly", "monthly")
Q1 = date(2025, 1, 1), date(2025, 3, 31)
WEEKS = periods(*Q1, "weekly")
"""13 of them, and the last has 6 days: from 26 March."""


def on(text: str) -> date:
    """A day of 2025, as 02-28."""
    return date.fromisoformat(f"2025-{text}")


def test_weeks_are_counted_from_the_first_day_and_the_last_may_be_shorter() -> None:
    assert WEEKS[:2] == ((on("01-01"), on("01-07")), (on("01-08"), on("01-14")))
    assert WEEKS[-1] == (on("03-26"), on("03-31"))
    assert len(WEEKS) == 13


@pytest.mark.parametrize(
    ("year", "weeks", "last"),
    [(2025, 53, 1), (2024, 53, 2), (2026, 53, 1)],
)
def test_a_year_has_52_weeks_and_a_rest_of_1_or_2_days(year: int, weeks: int, last: int) -> None:
    cut = periods(date(year, 1, 1), date(year, 12, 31), "weekly")
    assert len(cut) == weeks
    assert (cut[-1][1] - cut[-1][0]).days + 1 == last


def test_a_year_of_53_iso_weeks_has_just_these() -> None:
    # ISO year 2026 begins on Monday 29 December 2025 and ends on Sunday 3 January 2027.
    cut = periods(date(2025, 12, 29), date(2027, 1, 3), "weekly")
    assert len(cut) == 53
    assert [first.isocalendar()[1] for first, _ in cut] == list(range(1, 54))
    assert len(periods(date(2025, 12, 29), date(2027, 1, 3), "biweekly")) == 27


def test_a_leap_day_belongs_to_its_week_and_its_month() -> None:
    assert (date(2024, 2, 26), date(2024, 3, 3)) in periods(
        date(2024, 1, 1), date(2024, 3, 31), "weekly"
    )
    months = periods(date(2024, 1, 1), date(2024, 3, 31), "monthly")
    assert months[1] == (date(2024, 2, 1), date(2024, 2, 29))
    assert periods(on("01-01"), on("03-31"), "monthly")[1] == (on("02-01"), on("02-28"))


def test_a_cycle_may_begin_or_end_on_a_leap_day() -> None:
    assert periods(date(2024, 2, 29), date(2024, 3, 1), "monthly") == (
        (date(2024, 2, 29), date(2024, 2, 29)),
        (date(2024, 3, 1), date(2024, 3, 1)),
    )


def test_months_are_the_calendars_so_the_first_and_the_last_may_be_shorter() -> None:
    assert periods(on("01-15"), on("03-10"), "monthly") == (
        (on("01-15"), on("01-31")),
        (on("02-01"), on("02-28")),
        (on("03-01"), on("03-10")),
    )
    over_new_year = periods(date(2024, 12, 31), on("01-02"), "monthly")
    assert over_new_year == ((date(2024, 12, 31),) * 2, (on("01-01"), on("01-02")))


@pytest.mark.parametrize("cadence", CADENCES)
def test_a_cycle_shorter_than_a_period_is_one_period(cadence: Cadence) -> None:
    days = on("01-06"), on("01-08")
    assert periods(*days, cadence) == (days,)


@given(
    st.dates(date(1999, 1, 1), date(2001, 12, 31)), st.integers(1, 800), st.sampled_from(CADENCES)
)
def test_periods_cover_every_day_once(first: date, days: int, cadence: Cadence) -> None:
    last = first + timedelta(days=days)
    cut = periods(first, last, cadence)
    covered = [
        begin + timedelta(days=offset)
        for begin, end in cut
        for offset in range((end - begin).days + 1)
    ]
    assert covered == [first + timedelta(days=offset) for offset in range(days + 1)]


def test_a_period_is_over_when_its_last_day_has_passed() -> None:
    assert periods_over(WEEKS, on("01-07")) == ()
    assert periods_over(WEEKS, on("01-08")) == WEEKS[:1]
    assert periods_over(WEEKS, on("03-31")) == WEEKS[:12]
    assert periods_over(WEEKS, on("04-01")) == WEEKS


@pytest.mark.parametrize(
    ("said_on", "today", "expected"),
    [
        ([], "2024-12-31", "pending"),
        ([], "2025-01-01", "pending"),
        ([], "2025-01-07", "pending"),
        (["01-01"], "2025-01-01", "on_time"),
        (["01-01"], "2025-01-07", "on_time"),
        (["01-01"], "2025-01-08", "due"),
        (["01-07"], "2025-01-14", "due"),
        (["01-07"], "2025-01-15", "late"),
        (["01-07"], "2025-01-17", "late"),
        (["01-07"], "2025-01-18", "overdue"),
        (["01-07", "01-18"], "2025-01-18", "on_time"),
        ([], "2025-01-08", "late"),
        ([], "2025-01-10", "late"),
        ([], "2025-01-11", "overdue"),
        (["03-25"], "2025-03-31", "due"),
        (["03-25"], "2025-04-01", "late"),
        (["03-25"], "2025-04-03", "late"),
        (["03-25"], "2025-04-04", "overdue"),
        (["03-25"], "2026-04-04", "overdue"),
        (["03-26"], "2025-04-01", "ended"),
        (["03-31"], "2026-04-01", "ended"),
    ],
)
def test_a_check_in_is_due_then_late_then_overdue_after_grace(
    said_on: list[str], today: str, expected: CheckInTiming
) -> None:
    days = [on(each) for each in said_on]
    assert timing(WEEKS, days, date.fromisoformat(today), 3) == expected


def test_a_new_period_does_not_make_up_for_one_that_was_missed() -> None:
    for today in ("01-18", "01-22", "01-24", "02-01", "03-26"):
        assert timing(WEEKS, [on("01-07")], on(today), 3) == "overdue"


@pytest.mark.parametrize(("grace", "today"), [(0, "01-08"), (7, "01-15"), (30, "02-07")])
def test_grace_ends_with_its_last_day_however_long(grace: int, today: str) -> None:
    day = on(today)
    assert timing(WEEKS, [], day, grace) == "overdue"
    before: CheckInTiming = "pending" if grace == 0 else "late"
    assert timing(WEEKS, [], day - timedelta(days=1), grace) == before


def test_the_order_of_the_days_does_not_matter() -> None:
    assert timing(WEEKS, [on("01-18"), on("01-02")], on("01-20"), 3) == "on_time"


def test_what_came_later_is_not_asked_about_before() -> None:
    """A goal that was there from 16 January on, in the third week."""
    since = on("01-16")
    expected: dict[str, CheckInTiming] = {
        "01-16": "pending",
        "01-21": "pending",
        "01-22": "late",
        "01-25": "overdue",
    }
    for today, how in expected.items():
        assert timing(WEEKS, [], on(today), 3, since) == how
    assert timing(WEEKS, [], on("01-22"), 3, on("01-21")) == "late"
    assert timing(WEEKS, [], on("01-22"), 3, on("01-22")) == "pending"
    assert timing(WEEKS, [], on("04-20"), 3, on("04-10")) == "ended"
    assert timing(WEEKS, [on("01-10")], on("01-16"), 3, since) == "due"


def test_other_cadences_ask_less_often() -> None:
    fortnights, months = periods(*Q1, "biweekly"), periods(*Q1, "monthly")
    assert timing(fortnights, [on("01-01")], on("01-14"), 3) == "on_time"
    assert timing(fortnights, [on("01-01")], on("01-28"), 3) == "due"
    assert timing(fortnights, [on("01-01")], on("01-29"), 3) == "late"
    assert timing(months, [on("01-01")], on("02-28"), 3) == "due"
    assert timing(months, [on("01-01")], on("03-04"), 3) == "overdue"


@given(st.lists(st.integers(0, 89), max_size=5), st.integers(0, 120), st.integers(0, 40), st.data())
def test_once_overdue_always_overdue_until_somebody_says_something(
    said: list[int], today: int, grace: int, data: st.DataObject
) -> None:
    days = [Q1[0] + timedelta(days=each) for each in said if each <= today]
    cut = periods(*Q1, data.draw(st.sampled_from(CADENCES)))
    if timing(cut, days, Q1[0] + timedelta(days=today), grace) == "overdue":
        later = Q1[0] + timedelta(days=today + data.draw(st.integers(1, 400)))
        assert timing(cut, days, later, grace) == "overdue"


TIMINGS: tuple[CheckInTiming, ...] = ("pending", "on_time", "due", "late", "overdue", "ended")
OUTCOMES: tuple[Outcome, ...] = ("achieved", "partial", "missed", "dropped", "carried")


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("how", TIMINGS)
def test_what_is_judged_has_its_outcome_for_health(outcome: Outcome, how: CheckInTiming) -> None:
    assert health(outcome, how, "on_track") == outcome
    assert health(outcome, how, None) == outcome


@pytest.mark.parametrize("status", [None, "on_track", "off_track"])
def test_past_grace_a_goal_is_outdated_whatever_it_said_last(status: Status | None) -> None:
    assert health(None, "overdue", status) == "outdated"


@pytest.mark.parametrize("how", [each for each in TIMINGS if each != "overdue"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("on_track", "on_track"),
        ("at_risk", "at_risk"),
        ("off_track", "off_track"),
        (None, "pending"),
    ],
)
def test_otherwise_it_is_the_last_status_and_without_one_pending(
    how: CheckInTiming, status: Status | None, expected: GoalHealth
) -> None:
    assert health(None, how, status) == expected


def test_silence_is_never_green() -> None:
    for how in TIMINGS:
        assert health(None, how, None) in {"pending", "outdated"}
