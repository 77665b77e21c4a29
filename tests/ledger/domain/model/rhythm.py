"""R12 by the book: which check-ins are due, and how a goal stands.

It is what goal_contracts.cadence is held to. The periods are found by walking over the days one by
one, the standing by asking each of them.
"""

from calendar import monthrange
from collections.abc import Collection
from datetime import date, timedelta

from tests.ledger.domain.model.world import ONE_DAY

WEEK = 7


def cut(start: date, end: date, cadence: str) -> list[tuple[date, date]]:
    """The periods of a cycle: weeks count from its first day, months are the calendar's."""
    found: list[tuple[date, date]] = []
    begun, day = start, start
    while day <= end:
        if cadence == "monthly":
            is_last = day.day == monthrange(day.year, day.month)[1]
        else:
            weeks = 2 if cadence == "biweekly" else 1
            is_last = (day - start).days % (WEEK * weeks) == WEEK * weeks - 1
        if is_last or day == end:
            found.append((begun, day))
            begun = day + ONE_DAY
        day += ONE_DAY
    return found


def standing(
    periods: Collection[tuple[date, date]],
    said_on: Collection[date],
    today: date,
    grace_days: int,
    since: date,
) -> str:
    """How a goal stands on a day.

    What was said in a period, or after it, answers for it. The first that nobody has answered for
    is late within its grace and overdue afterwards.
    """
    current = [each for each in periods if each[0] <= today <= each[1]]
    if current and any(day >= current[0][0] for day in said_on):
        return "on_time"
    unanswered = [
        (first, last)
        for first, last in periods
        if since <= last < today and not any(day >= first for day in said_on)
    ]
    if unanswered:
        graced = unanswered[0][1] + timedelta(days=grace_days)
        return "late" if today <= graced else "overdue"
    if not current:
        return "ended" if any(last < today for _, last in periods) else "pending"
    return "due" if said_on else "pending"


def health(outcome: str | None, timing: str, status: str | None) -> str:
    """Closed outcome, then outdated, then the last status, then pending."""
    if outcome is not None:
        return outcome
    if timing == "overdue":
        return "outdated"
    return status or "pending"
