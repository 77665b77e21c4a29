"""Whether a leading KPI moved before a lagging one: their changes, one shifted against the other.

From period to period a KPI changes. Two of them are compared by Spearman's rank correlation of
those changes, the leading one's against the lagging one's some periods later. Changes, because two
series that merely both grow would always agree; ranks, because one outlier must not decide.

It is said only if all of this holds, so that it is seldom said:

- at least 12 pairs of changes at the shift that fits best, of 1 up to 6 months (SHIFT_MAX);
- a correlation of 0.6 or more, either way, and more than without a shift and than with any shift
  the other way round;
- a probability of at most 0.001 that chance alone did it, by Fisher's z with the 1.06 of Fieller,
  Hartley and Pearson (1957), times the number of shifts tried (Bonferroni).

Series remember themselves, which makes pairs worth less: their number is reduced as Bartlett (1935)
says, by the product of both autocorrelations.

The limits: it is a correlation, and a third thing may move both; seasons that two KPIs share look
like a lead. Of a thousand pairs that have nothing to do with each other, about one is still told. A
yearly KPI needs fourteen years.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import atanh, erfc, sqrt
from typing import Final, assert_never

from goal_contracts.fields import Frequency
from msgspec import Struct

from services.projections.views.rows import ReadingRow

PAIRS_MIN: Final = 12
CORRELATION_MIN: Final = 0.6
CHANCE_MAX: Final = 0.001
PERIODS_MAX: Final = 120
"""Of a longer series the latest periods are taken."""
SHIFT_MAX: Final[dict[Frequency, int]] = {
    "daily": 10,
    "weekly": 8,
    "monthly": 6,
    "quarterly": 4,
    "yearly": 2,
}
_SPEARMAN: Final = 1.06
_ALMOST_ONE: Final = 0.999999
_STEP: Final = Decimal("0.001")
_CHANCE_STEP: Final = Decimal("0.000001")

Series = Mapping[int, float]
"""A number by period, periods counted without a gap."""


class Shifted(Struct, frozen=True):
    """How two series agree when the second is looked at some periods later."""

    periods: int
    correlation: float
    ranks: Sequence[float]
    later_ranks: Sequence[float]


class Led(Struct, frozen=True):
    """That one series moved so many periods before another, and how sure that is."""

    periods: int
    correlation: Decimal
    pairs: int
    effective_pairs: Decimal
    chance_alone: Decimal


def changes_of(readings: Sequence[ReadingRow], frequency: Frequency) -> Series:
    """The change in each period that has a reading, as has the one before it.

    `readings` are those that stand, in the order in which they count: of several in one period the
    last one does.
    """
    values = {
        _period_number(date.fromisoformat(each.period.partition("/")[2]), frequency): each.value
        for each in readings
        if each.value is not None
    }
    latest = sorted(values)[-PERIODS_MAX:]
    return {
        period: float(values[period] - values[period - 1])
        for period in latest
        if period - 1 in values
    }


def is_long_enough(leading: Series, lagging: Series) -> bool:
    """Whether there are pairs enough for at least the smallest shift."""
    return sum(period + 1 in lagging for period in leading) >= PAIRS_MIN


def led(leading: Series, lagging: Series, frequency: Frequency) -> Led | None:
    """Whether the first moved before the second; None if that cannot be said."""
    shift_max = SHIFT_MAX[frequency]
    tried = [
        shifted
        for periods in range(-shift_max, shift_max + 1)
        if (shifted := _shifted(leading, lagging, periods)) is not None
    ]
    before = [each for each in tried if each.periods > 0]
    if not before:
        return None
    best = max(before, key=lambda each: (abs(each.correlation), -each.periods))
    others = [abs(each.correlation) for each in tried if each.periods <= 0]
    strength = abs(best.correlation)
    effective_pairs = _effective(best.ranks, best.later_ranks)
    chance = min(_chance_alone(best.correlation, effective_pairs) * len(before), 1.0)
    if strength < CORRELATION_MIN or chance > CHANCE_MAX or strength <= max(others, default=0.0):
        return None
    return Led(
        periods=best.periods,
        correlation=Decimal(best.correlation).quantize(_STEP),
        pairs=len(best.ranks),
        effective_pairs=Decimal(effective_pairs).quantize(_STEP),
        chance_alone=Decimal(chance).quantize(_CHANCE_STEP),
    )


def _shifted(leading: Series, lagging: Series, periods: int) -> Shifted | None:
    both = [each for each in sorted(leading) if each + periods in lagging]
    if len(both) < PAIRS_MIN:
        return None
    first = _ranks([leading[each] for each in both])
    second = _ranks([lagging[each + periods] for each in both])
    correlation = _correlation(first, second)
    if correlation is None:
        return None
    return Shifted(periods, correlation, first, second)


def _ranks(numbers: Sequence[float]) -> list[float]:
    """From 1 on; equal numbers share the middle of their ranks."""
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    ranks = [0.0] * len(numbers)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and numbers[order[end + 1]] == numbers[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2 + 1
        start = end + 1
    return ranks


def _correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's, of ranks Spearman's; None where one of them never changes."""
    one, other = _centred(first), _centred(second)
    scale = sqrt(sum(each * each for each in one) * sum(each * each for each in other))
    if scale == 0:
        return None
    return sum(a * b for a, b in zip(one, other, strict=True)) / scale


def _effective(first: Sequence[float], second: Sequence[float]) -> float:
    """What so many pairs are worth; never more than they are."""
    count = len(first)
    one, other = _centred(first), _centred(second)
    memory = sum(
        (1 - lag / count) * _autocorrelation(one, lag) * _autocorrelation(other, lag)
        for lag in range(1, count // 4 + 1)
    )
    return count / max(1 + 2 * memory, 1.0)


def _autocorrelation(centred: Sequence[float], lag: int) -> float:
    whole = sum(each * each for each in centred)
    return sum(a * b for a, b in zip(centred, centred[lag:], strict=False)) / whole


def _centred(numbers: Sequence[float]) -> list[float]:
    mean = sum(numbers) / len(numbers)
    return [each - mean for each in numbers]


def _chance_alone(correlation: float, effective_pairs: float) -> float:
    """How often as strong a correlation, either way, comes of nothing."""
    freedom = effective_pairs - 3
    if freedom <= 0:
        return 1.0
    strength = min(abs(correlation), _ALMOST_ONE)
    return erfc(atanh(strength) * sqrt(freedom / _SPEARMAN) / sqrt(2))


def _period_number(last_day: date, frequency: Frequency) -> int:
    """The number of the period that ends on a day; the next one's is one more."""
    match frequency:
        case "daily":
            return last_day.toordinal()
        case "weekly":
            return last_day.toordinal() // 7
        case "monthly":
            return last_day.year * 12 + last_day.month
        case "quarterly":
            return last_day.year * 4 + (last_day.month - 1) // 3
        case "yearly":
            return last_day.year
        case _:
            assert_never(frequency)
