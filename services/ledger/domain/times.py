"""Days and instants in an organisation's zone.

A day begins at its local midnight, or at the first instant after it where the clock skips
midnight, and ends one microsecond before the next day begins. All instants returned are in UTC.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from goal_contracts.replies import Reason, Refusal

DAY_FIRST = date(1900, 1, 1)
DAY_LAST = date(2999, 12, 31)
"""Days of record lie between these, so that no arithmetic on them can leave the calendar."""

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


def zone_of(name: str) -> ZoneInfo:
    """The zone of that name; Refusal(ZONE_UNKNOWN) when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, malformed, or only a folder
        raise Refusal(
            Reason.ZONE_UNKNOWN,
            f"there is no time zone {name}",
            seen=name,
            accepted="a name of the IANA time zone database, such as Europe/Berlin",
        ) from error


def is_day_of_record(day: date) -> bool:
    return DAY_FIRST <= day <= DAY_LAST


@lru_cache(maxsize=8_192)
def start_of_day(day: date, zone: str) -> datetime:
    """The first instant of a day. Where midnight comes twice, it is the first of the two."""
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(zone)).astimezone(UTC)


@lru_cache(maxsize=8_192)
def end_of_day(day: date, zone: str) -> datetime:
    """The last instant of a day."""
    return start_of_day(day + _DAY, zone) - _TICK


def local_day(at: datetime, zone: str) -> date:
    """Which day it is somewhere at an instant."""
    return at.astimezone(ZoneInfo(zone)).date()


@lru_cache(maxsize=8_192)
def days_of_period(period: str) -> tuple[date, date]:
    """First and last day of `2022-01-01/2022-01-31` (R23); else Refusal(PERIOD_INVALID)."""
    first, _, last = period.partition("/")
    try:
        days = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        days = None
    if days is None or days[0] > days[1] or not all(map(is_day_of_record, days)):
        raise Refusal(
            Reason.PERIOD_INVALID,
            f"{period} is not a period of days",
            seen=period,
            accepted=f"first/last day, both included, from {DAY_FIRST} to {DAY_LAST}: "
            "2022-01-01/2022-01-31",
        )
    return days


def months_later(day: date, months: int) -> date:
    """The same day of a later month; the caller gives a first of a month."""
    years, month = divmod(day.month - 1 + months, 12)
    return day.replace(year=day.year + years, month=month + 1)


def day_before(day: date) -> date:
    return day - _DAY


def days_later(day: date, days: int) -> date:
    return day + timedelta(days=days)
