"""How published tables write a period, as first and last day: `2022-01-01/2022-01-31`."""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta, Struct

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
ABBREVIATED = 3
DAYS_A_WEEK = 7

_MONTH_NAME = re.compile(r"([A-Za-z]+)\.? ([0-9]{4})")
_FISCAL_YEAR = re.compile(r"([0-9]{4})[-/]([0-9]{2}|[0-9]{4})")
_ISO: tuple[tuple[re.Pattern[str], Callable[[list[int]], tuple[date, date]]], ...] = (
    (re.compile(r"([0-9]{4})"), lambda n: (date(n[0], 1, 1), date(n[0], 12, 31))),
    (re.compile(r"([0-9]{4})-([0-9]{2})"), lambda n: _months(n[0], n[1], 1)),
    (re.compile(r"([0-9]{4})-?Q([1-4])"), lambda n: _months(n[0], 3 * n[1] - 2, 3)),
    (re.compile(r"([0-9]{4})-?W([0-9]{2})"), lambda n: _week(n[0], n[1])),
    (re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})"), lambda n: (date(*n), date(*n))),
    (
        re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})/([0-9]{4})-([0-9]{2})-([0-9]{2})"),
        lambda n: (date(*n[:3]), date(*n[3:])),
    ),
)


class Periods(Struct, frozen=True, forbid_unknown_fields=True):
    """How the period column is written.

    `month-name`: January 2019, Jan 2019. `fiscal-year`: from `first_month` of the first year to
    the month before it in the last, so 2010-11 is one year and 2010-14 four. `iso`: 2019, 2019-01,
    2019-Q1, 2019-W01, 2019-01-31, 2019-01-01/2019-01-31.
    """

    kind: Literal["month-name", "fiscal-year", "iso"]
    first_month: Annotated[int, Meta(ge=1, le=12)] = 1

    def read(self, text: str) -> str | None:
        """The period that a cell names; None if it is written in no such way."""
        return _read(self, text)

    def days(self, text: str) -> tuple[date, date] | None:
        match self.kind:
            case "month-name":
                return _month_name(text)
            case "fiscal-year":
                return _fiscal_year(text, self.first_month)
            case "iso":
                for pattern, days in _ISO:
                    if found := pattern.fullmatch(text):
                        return days([int(number) for number in found.groups()])
                return None


@lru_cache(maxsize=8_192)
def _read(periods: Periods, text: str) -> str | None:
    """Remembered, as the same few periods stand in row after row."""
    try:
        days = periods.days(text.strip())
    except ValueError:
        return None
    if days is None or days[0] > days[1]:
        return None
    return f"{days[0].isoformat()}/{days[1].isoformat()}"


def _month_name(text: str) -> tuple[date, date] | None:
    found = _MONTH_NAME.fullmatch(text)
    if found is None:
        return None
    name = found[1].casefold()
    for number, month in enumerate(MONTHS, 1):
        if name in (month, month[:ABBREVIATED]):
            return _months(int(found[2]), number, 1)
    return None


def _fiscal_year(text: str, first_month: int) -> tuple[date, date] | None:
    found = _FISCAL_YEAR.fullmatch(text)
    if found is None:
        return None
    first, last = int(found[1]), found[2]
    # 1999-00 ends in the next century.
    last_year = int(last) if len(last) > 2 else first + (int(last) - first) % 100  # noqa: PLR2004  # two digits of a year
    if last_year <= first:
        return None
    return date(first, first_month, 1), date(last_year, first_month, 1) - timedelta(days=1)


def _months(year: int, month: int, count: int) -> tuple[date, date]:
    last = month + count - 1
    return date(year, month, 1), date(year, last, monthrange(year, last)[1])


def _week(year: int, week: int) -> tuple[date, date]:
    monday = date.fromisocalendar(year, week, 1)
    return monday, monday + timedelta(days=DAYS_A_WEEK - 1)
