"""Days in a zone: they touch, they do not overlap, and clocks that change do not break them."""

from datetime import UTC, date, datetime, timedelta

import pytest
from goal_contracts.replies import Reason
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.domain.times import (
    DAY_FIRST,
    DAY_LAST,
    days_of_period,
    end_of_day,
    local_day,
    months_later,
    start_of_day,
)
from tests.ledger.domain.scenario import raises

TICK = timedelta(microseconds=1)
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland"]
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]  # year to minute


def test_a_day_begins_at_local_midnight() -> None:
    assert start_of_day(date(2025, 7, 1), "Europe/Berlin") == utc(2025, 6, 30, 22)
    assert end_of_day(date(2025, 7, 1), "Europe/Berlin") == utc(2025, 7, 1, 22) - TICK
    assert start_of_day(date(2025, 7, 1), "Europe/Berlin").tzinfo is UTC


def test_the_day_the_clock_changes_is_shorter_or_longer() -> None:
    berlin = "Europe/Berlin"
    assert length(date(2025, 3, 30), berlin) == timedelta(hours=23)
    assert length(date(2025, 10, 26), berlin) == timedelta(hours=25)


def length(day: date, zone: str) -> timedelta:
    return end_of_day(day, zone) + TICK - start_of_day(day, zone)


def test_where_midnight_is_skipped_the_day_begins_right_after() -> None:
    assert start_of_day(date(2018, 11, 4), "America/Sao_Paulo") == utc(2018, 11, 4, 3)


def test_where_midnight_comes_twice_the_day_begins_at_the_first() -> None:
    assert start_of_day(date(2024, 11, 3), "America/Havana") == utc(2024, 11, 3, 4)


@given(day=st.dates(DAY_FIRST, DAY_LAST), zone=ZONES)
def test_days_touch_and_hold_their_own_instants(day: date, zone: str) -> None:
    assert end_of_day(day, zone) + TICK == start_of_day(day + timedelta(days=1), zone)
    assert local_day(start_of_day(day, zone), zone) == day
    assert local_day(end_of_day(day, zone), zone) == day


def test_a_period_is_two_days_in_order() -> None:
    assert days_of_period("2024-02-01/2024-02-29") == (date(2024, 2, 1), date(2024, 2, 29))
    assert days_of_period("2024-02-01/2024-02-01") == (date(2024, 2, 1), date(2024, 2, 1))


@pytest.mark.parametrize(
    "period",
    [
        "2023-02-01/2023-02-29",
        "2023-02-02/2023-02-01",
        "1899-12-31/1900-01-01",
        "2999-12-31/3000-01-01",
        "9999-12-31/9999-12-31",
        "2023-13-01/2023-13-02",
    ],
)
def test_anything_else_is_no_period(period: str) -> None:
    with raises(Reason.PERIOD_INVALID) as refused:
        days_of_period(period)
    assert refused.value.accepted.endswith(": 2022-01-01/2022-01-31")


def test_months_go_over_the_year() -> None:
    assert months_later(date(2025, 10, 1), 3) == date(2026, 1, 1)
    assert months_later(date(2025, 4, 1), 12) == date(2026, 4, 1)
