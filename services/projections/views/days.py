"""Days and instants in an organisation's zone. All instants returned are in UTC."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@lru_cache(maxsize=8_192)
def start_of_day(day: date, zone: str) -> datetime:
    """The first instant of a day; where midnight comes twice, the first of the two."""
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def end_of_day(day: date, zone: str) -> datetime:
    """The last instant of a day: one microsecond before the next begins."""
    return start_of_day(day + _DAY, zone) - _TICK


def local_day(at: datetime, zone: str) -> date:
    """Which day it is in the zone at an instant."""
    return at.astimezone(ZoneInfo(zone)).date()
