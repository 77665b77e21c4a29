"""Numbers, measures and dates as people say them. Pure: values in, words out."""

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from goal_contracts.measures import (
    Baseline,
    Count,
    FourPointMetric,
    KpiLinked,
    Maintain,
    Measure,
    Metric,
    Milestone,
)

NOTHING: Final = "–"
ARROW: Final = "→"
HUNDRED: Final = Decimal(100)
DONE: Final = Decimal(1)
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
"""Not what the machine's locale says."""
_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def number(value: Decimal | None) -> str:
    """`1E+3` is 1000, `95.00` is 95."""
    if value is None:
        return NOTHING
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def percent(share: Decimal | None) -> str:
    """0.664 is `66 %`; what is not whole is never `100 %`, what is not nothing never `0 %`."""
    if share is None:
        return NOTHING
    whole = (share * HUNDRED).quantize(DONE, ROUND_HALF_EVEN)
    if whole == HUNDRED and share < 1:
        whole = HUNDRED - 1
    if whole == 0 and share > 0:
        return "<1 %"
    return f"{whole} %"


def amount(value: Decimal | None, unit: str) -> str:
    """A value with its unit of measure."""
    return NOTHING if value is None else f"{number(value)} {unit}"


def measure(of: Measure) -> str:
    """`99 → 95 %`, `at least 99.9 %`, `5 customers`, `done or not`."""
    match of:
        case Metric(unit=unit, baseline=baseline, target=target):
            return f"{number(baseline)} {ARROW} {amount(target, unit)}"
        case FourPointMetric(unit=unit, baseline=baseline):
            points = " / ".join(number(point) for point in (of.commit, of.target, of.stretch))
            return f"{number(baseline)} {ARROW} {points} {unit}"
        case Maintain(unit=unit, lower=lower, upper=upper):
            if upper is None:
                return f"at least {amount(lower, unit)}"
            if lower is None:
                return f"at most {amount(upper, unit)}"
            return f"{number(lower)} to {amount(upper, unit)}"
        case Count(unit=unit, of=whole):
            return f"{whole} {unit}"
        case Milestone():
            return "done or not"
        case Baseline(unit=unit):
            return f"find out ({unit})"
        case KpiLinked(kpi_id=kpi_id, baseline=baseline, target=target):
            return f"{number(baseline)} {ARROW} {number(target)} (kpi {kpi_id})"
        case _:
            assert_never(of)


def measure_with_original(of: Measure, original: Measure | None) -> str:
    """The measure and, if it was another one at first, what it was: `2.1 → 0.9 % (was 0.5)`."""
    if original is None or original == of:
        return measure(of)
    was = measure(original)
    if isinstance(of, Metric) and isinstance(original, Metric):
        is_same_scale = (of.unit, of.baseline) == (original.unit, original.baseline)
        was = number(original.target) if is_same_scale else was
    return f"{measure(of)} (was {was})"


def value(of: Measure, reached: Decimal | None) -> str:
    """What has been reached: `97`, `3 of 5`, `done`."""
    if reached is None:
        return NOTHING
    match of:
        case Count(of=whole):
            return f"{number(reached)} of {whole}"
        case Milestone():
            return "done" if reached >= DONE else "open"
        case _:
            return number(reached)


def day(at: datetime | date | None) -> str:
    if at is None:
        return NOTHING
    return (at.astimezone(UTC) if isinstance(at, datetime) else at).strftime("%Y-%m-%d")


def instant(at: datetime) -> str:
    """`2025-09-30 21:59 UTC`: always UTC, the organisation's zone is not known here."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def period(text: str) -> str:
    """`2022-01-01/2022-01-31` is `2022-01`; quarters, weeks and years likewise."""
    first_text, _, last_text = text.partition("/")
    try:
        first, last = date.fromisoformat(first_text), date.fromisoformat(last_text)
    except ValueError:
        return text
    if first == last:
        return first_text
    month_length = calendar.monthrange(last.year, last.month)[1]
    if first.day == 1 and last.day == month_length and first.year == last.year:
        if first.month == last.month:
            return f"{first:%Y-%m}"
        if (first.month, last.month) == (1, 12):
            return f"{first.year}"
        if first.month % 3 == 1 and last.month == first.month + 2:
            return f"{first.year} Q{last.month // 3}"
    if first.isoweekday() == 1 and last - first == timedelta(days=6):
        year, week, _ = first.isocalendar()
        return f"{year}-W{week:02}"
    return f"{first_text} to {last_text}"


def spaced(name: str) -> str:
    """`KeyResultRetargeted` is `key result retargeted`, `on_track` is `on track`."""
    return _CAPITAL.sub(" ", name).replace("_", " ").lower()


def long_day(of: date) -> str:
    """`7 July 2025`."""
    return f"{of.day} {MONTHS[of.month - 1]} {of.year}"


def span(first: date, last: date) -> str:
    """`1 July to 30 September 2025`."""
    if first.year != last.year:
        return f"{long_day(first)} to {long_day(last)}"
    if first.month != last.month:
        return f"{first.day} {MONTHS[first.month - 1]} to {long_day(last)}"
    return f"{first.day} to {long_day(last)}"


def local_day(at: datetime, zone: str) -> date:
    """Which day it was in the organisation's zone."""
    return at.astimezone(ZoneInfo(zone)).date()


def local_instant(at: datetime, zone: str) -> str:
    """`13 October 2025, 09:00 Europe/Berlin`."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{long_day(local.date())}, {local:%H:%M} {zone}"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 objective`, `2 objectives`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def points(now: Decimal | None, was: Decimal | None) -> str:
    """How far a share moved, in hundredths: `+3`, `-2`, `0`; unknown where either is."""
    if now is None or was is None:
        return NOTHING
    moved = (now * HUNDRED).quantize(DONE, ROUND_HALF_EVEN) - (was * HUNDRED).quantize(
        DONE, ROUND_HALF_EVEN
    )
    return f"{moved:+f}".replace("-", "−") if moved else "0"


def paced(progress: Decimal, pace: Decimal | None) -> str:
    """`47 % done, 8 points behind the pace of 55 %`."""
    done = f"{percent(progress)} done"
    if pace is None:
        return done
    ahead = points(progress, pace)
    if ahead == "0":
        return f"{done}, at the pace of {percent(pace)}"
    side = "ahead of" if progress > pace else "behind"
    return f"{done}, {counted(int(ahead.lstrip('+−')), 'point')} {side} the pace of {percent(pace)}"


def sentence(text: str) -> str:
    """With a capital at its beginning."""
    return text[:1].upper() + text[1:]
