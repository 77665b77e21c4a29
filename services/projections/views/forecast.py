"""Where a key result is heading: a robust line through its values, drawn to the end of its cycle.

The slope is the median of the slopes between all pairs of points (Theil 1950, Sen 1968), so that up
to 29 % of the values may be anything without moving it far. Its interval is Sen's, at 90 %: the
slopes within the ranks that Kendall's S would spread over if there were no trend, of variance
n(n-1)(2n+5)/18. The correction for ties is left out and ranks are rounded outwards: both only widen
it. The line goes through the median of what the slope leaves over. The interval at the end is
widened by the spread of the values around the line: 1.645 times 1.4826 times their median absolute
deviation, which is what a normal distribution would need for 90 %.

Of a day its last value counts. Under four days with a value nothing is said: with three, even the
widest interval would miss every third time. Nor is anything said of a time more than four times as
long as the values span. Floats are used inside; what comes out has nine significant digits.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from math import ceil, floor, sqrt
from statistics import median
from typing import Final, NamedTuple

from goal_contracts import measures
from goal_contracts.measures import Count, FourPointMetric, Measure
from goal_contracts.policy import Policy
from goal_contracts.queries import Chance, Forecast, KeyResultCard, ObjectiveCard
from msgspec.structs import replace

from services.projections.views.course import Course
from services.projections.views.days import local_day

POINTS_MIN: Final = 4
POINTS_MAX: Final = 200
"""Of more days with a value the latest are taken: pairs grow with the square."""
REACH_MAX: Final = 4
_Z: Final = 1.6449
"""Of a normal distribution, 90 % lie within so many standard deviations."""
_DEVIATIONS: Final = 1.4826
"""Standard deviations in a median absolute deviation of a normal distribution."""
_DAY_S: Final = 86_400
_FOUR_POINT_TARGET: Final = Decimal("0.7")

Point = tuple[float, float]
"""When, in days, and how much."""


class Trend(NamedTuple):
    """A slope and its interval, in units a day."""

    slope: float
    low: float
    high: float


class Reached(NamedTuple):
    """A value and its interval."""

    value: float
    low: float
    high: float


def trend_of(points: Sequence[Point]) -> Trend:
    """The Theil-Sen slope of at least two points, no two of the same moment."""
    slopes = sorted(
        (later - value) / (then - at)
        for place, (at, value) in enumerate(points)
        for then, later in points[place + 1 :]
    )
    count, pairs = len(points), len(slopes)
    apart = _Z * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    lowest = max(floor((pairs - apart) / 2) - 1, 0)
    highest = min(ceil((pairs + apart) / 2), pairs - 1)
    return Trend(median(slopes), slopes[lowest], slopes[highest])


def reached_at(points: Sequence[Point], at: float) -> Reached:
    """The value on the line at a moment, and what lies within its interval and the spread."""
    trend = trend_of(points)
    value, *edges = (_through(points, slope) + slope * at for slope in trend)
    height = _through(points, trend.slope)
    spread = (
        _Z
        * _DEVIATIONS
        * median(abs(value - height - trend.slope * then) for then, value in points)
    )
    return Reached(value, min(value, *edges) - spread, max(value, *edges) + spread)


def forecast(
    card: KeyResultCard,
    objective: ObjectiveCard,
    values: Sequence[tuple[datetime, Decimal]],
    course: Course,
) -> Forecast:
    """What a key result comes to at its cycle's end, if it goes on as it did.

    `values` are those that stand, in the order in which they count; of a KPI it follows also those
    from before the cycle, as far back as the cycle is long.
    """
    inside = [value for at, value in values if at >= course.start]
    value, ceiling = (inside[-1] if inside else None), course.policy.progress_ceiling
    points = _points(values, course)
    told = Forecast(
        key_result_id=card.key_result_id,
        objective_id=objective.objective_id,
        cycle_id=objective.cycle_id,
        unit_id=objective.unit_id,
        owner=card.owner,
        title=card.title,
        chance="too_early",
        points=len(points),
        expected=_expected(card.measure, objective, course.policy),
        ends_on=local_day(course.last, course.zone),
        value=value,
        progress=measures.progress(card.measure, value, ceiling),
    )
    end = _days(course.last, course)
    if len(points) < POINTS_MIN:
        return replace(told, why=f"{len(points)} days with a value, {POINTS_MIN} are needed")
    span, ahead = points[-1][0] - points[0][0], end - points[-1][0]
    if ahead > REACH_MAX * span:
        return replace(told, why=f"values of {span:.0f} days tell too little of {ahead:.0f} more")

    reached = [_held(card.measure, number) for number in reached_at(points, end)]
    progress = [measures.progress(card.measure, each, ceiling) or measures.ZERO for each in reached]
    worst, best = sorted(progress[1:])
    return replace(
        told,
        chance=_chance(worst, best, told.expected),
        per_day=_decimal(trend_of(points).slope),
        forecast=reached[0],
        low=reached[1],
        high=reached[2],
        progress_forecast=progress[0],
        progress_low=worst,
        progress_high=best,
    )


def _points(values: Sequence[tuple[datetime, Decimal]], course: Course) -> list[Point]:
    """The last value of each day, of the latest days."""
    last: dict[date, Point] = {
        local_day(at, course.zone): (_days(at, course), float(value)) for at, value in values
    }
    return sorted(last.values())[-POINTS_MAX:]


def _days(at: datetime, course: Course) -> float:
    return (at - course.start).total_seconds() / _DAY_S


def _through(points: Sequence[Point], slope: float) -> float:
    """How high a line of that slope lies at moment 0: half of the points above it."""
    return median(value - slope * at for at, value in points)


def _held(measure: Measure, number: float) -> Decimal:
    """There is no less than nothing of what is counted."""
    return _decimal(max(number, 0.0) if isinstance(measure, Count) else number)


def _expected(measure: Measure, objective: ObjectiveCard, policy: Policy) -> Decimal:
    """The progress with which it lands.

    That is 1; of an aspirational one the high band is good, of four points the third.
    """
    if isinstance(measure, FourPointMetric):
        return _FOUR_POINT_TARGET
    return policy.bands[1] if objective.objective_kind == "aspirational" else measures.ONE


def _chance(worst: Decimal, best: Decimal, expected: Decimal) -> Chance:
    if worst >= expected:
        return "lands"
    return "may_miss" if best >= expected else "will_miss"


def _decimal(number: float) -> Decimal:
    return Decimal(f"{number:.9g}") + measures.ZERO  # no -0
