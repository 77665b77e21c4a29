"""When check-ins are due, and whether they came (R12): pure functions over days.

A cadence cuts a cycle into periods from its first day on; the last may be shorter. Months are
those of the calendar, so that the first may be shorter, too. A check-in is due once in each.
Source: the weekly or monthly rhythm of [S4], with open-okr's grace.
"""

from collections.abc import Collection
from datetime import date, timedelta
from typing import Literal, assert_never

from goal_contracts.fields import CheckInTiming, GoalHealth, Outcome, Status

Cadence = Literal["weekly", "biweekly", "monthly"]
_DAY = timedelta(days=1)


def periods(start_on: date, end_on: date, cadence: Cadence) -> tuple[tuple[date, date], ...]:
    """First and last day of each period of a cycle, in order."""
    cut: list[tuple[date, date]] = []
    first = start_on
    while first <= end_on:
        last = min(_last_day(first, cadence), end_on)
        cut.append((first, last))
        first = last + _DAY
    return tuple(cut)


def timing(
    cut: Collection[tuple[date, date]],
    check_in_days: Collection[date],
    today: date,
    grace_days: int,
    since: date = date.min,
) -> CheckInTiming:
    """How a goal stands with its check-ins on a day.

    Nothing said yet and the first period not over is pending. This period's check-in is there: on
    time; it is still to come: due. A whole period has passed without one, nor has one come since:
    late within the grace of that period, then overdue, until one comes or the goal is judged. The
    last period's is there and the cycle over: ended.

    `check_in_days` lie inside the cycle and not after `today`. Periods that were over before
    `since`, the day on which the goal was there, are not asked for.
    """
    last = max(check_in_days, default=date.min)
    running = next((each for each in cut if each[0] <= today <= each[1]), None)
    if running is not None and last >= running[0]:
        return "on_time"
    missed = missing(cut, check_in_days, today, since)
    if missed is not None:
        return "late" if today <= missed[1] + timedelta(days=grace_days) else "overdue"
    if running is None:
        return "ended" if periods_over(cut, today) else "pending"
    return "due" if check_in_days else "pending"


def missing(
    cut: Collection[tuple[date, date]],
    check_in_days: Collection[date],
    today: date,
    since: date = date.min,
) -> tuple[date, date] | None:
    """The first period that is over and had no check-in, nor has one come since.

    The arguments are those of `timing`.
    """
    last = max(check_in_days, default=date.min)
    return next((each for each in cut if since <= each[1] < today and last < each[0]), None)


def health(outcome: Outcome | None, timing: CheckInTiming, status: Status | None) -> GoalHealth:
    """What colour a goal has; first match wins, and silence is never green (section 3).

    `outcome` is None as long as the goal is not judged, `status` is the last one that was said.
    """
    if outcome is not None:
        return outcome
    if timing == "overdue":
        return "outdated"
    return "pending" if status is None else status


def periods_over(cut: Collection[tuple[date, date]], today: date) -> tuple[tuple[date, date], ...]:
    """The periods whose check-in has been due: those whose last day has passed."""
    return tuple(each for each in cut if each[1] < today)


def _last_day(first: date, cadence: Cadence) -> date:
    match cadence:
        case "weekly":
            return first + timedelta(days=6)
        case "biweekly":
            return first + timedelta(days=13)
        case "monthly":
            return (first.replace(day=1) + timedelta(days=32)).replace(day=1) - _DAY
        case _:
            assert_never(cadence)
