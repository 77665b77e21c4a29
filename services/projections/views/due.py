"""Which reports are due, and when: pure functions over days and instants.

A digest of a week, Monday to Sunday, is due on the Monday after it at seven in the morning where
the organisation is. A cycle's report is due once it is closed; closed again, it is another one.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from services.projections.views.current import CycleState
from services.projections.views.days import local_day

DIGEST_AT: Final = time(7)
CLOSED_FOR_MAX: Final = timedelta(days=31)
"""A service that starts late, or for the first time, does not tell of older closings."""
_DAY: Final = timedelta(days=1)


class Week(NamedTuple):
    """A week by its ISO name, and its last day."""

    name: str
    last_day: date


class Closing(NamedTuple):
    """A cycle and the position at which it was closed."""

    cycle_id: str
    position: int


def week_due(now: datetime, zone: str) -> Week:
    """The latest week of which a digest is due."""
    today = local_day(now, zone)
    monday = today - today.weekday() * _DAY
    if now < datetime.combine(monday, DIGEST_AT, tzinfo=ZoneInfo(zone)):
        monday -= 7 * _DAY
    last_day = monday - _DAY
    year, week, _ = last_day.isocalendar()
    return Week(f"{year}-W{week:02}", last_day)


def closings_due(cycles: Iterable[CycleState], now: datetime) -> Iterator[Closing]:
    """The closings that are to be told of, of the cycles that are closed."""
    for cycle in cycles:
        if cycle.card.state == "closed":
            closing = cycle.card.closings[-1]
            if now - closing.at <= CLOSED_FOR_MAX:
                yield Closing(cycle.card.cycle_id, closing.position)
