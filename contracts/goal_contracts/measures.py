"""How far a key result is: its measure, and the arithmetic of progress, roll-up, bands and pace.

Pure functions over decimals. Progress, confidence and score are three numbers and never mixed.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal, assert_never

from msgspec import Struct

from goal_contracts.fields import Id, UnitOfMeasure

ZERO, ONE = Decimal(0), Decimal(1)
PROGRESS_STEP = Decimal("0.000001")
SCORE_STEP = Decimal("0.01")


class Metric(Struct, frozen=True, tag_field="kind", tag="metric"):
    """A number that moves from a baseline to a target; below the baseline it is a decrease."""

    unit: UnitOfMeasure
    baseline: Decimal
    target: Decimal


class FourPointMetric(Struct, frozen=True, tag_field="kind", tag="four_point_metric"):
    """A metric with three expectations on the way: commit, target and stretch."""

    unit: UnitOfMeasure
    baseline: Decimal
    commit: Decimal
    target: Decimal
    stretch: Decimal


class Maintain(Struct, frozen=True, tag_field="kind", tag="maintain", omit_defaults=True):
    """A number that has to stay at least `lower`, at most `upper`, or within both."""

    unit: UnitOfMeasure
    lower: Decimal | None = None
    upper: Decimal | None = None
    counted_by: Literal["check_ins", "time"] = "check_ins"


class Count(Struct, frozen=True, tag_field="kind", tag="count"):
    """So many of a whole: n of `of`."""

    unit: UnitOfMeasure
    of: int


class Milestone(Struct, frozen=True, tag_field="kind", tag="milestone"):
    """Done or not: a check-in's value is 1 or 0."""


class Baseline(Struct, frozen=True, tag_field="kind", tag="baseline"):
    """A number nobody knows yet: finding it out is the result."""

    unit: UnitOfMeasure


class KpiLinked(Struct, frozen=True, tag_field="kind", tag="kpi_linked"):
    """A metric whose values are the readings of a KPI."""

    kpi_id: Id
    baseline: Decimal
    target: Decimal


Measure = Metric | FourPointMetric | Maintain | Count | Milestone | Baseline | KpiLinked


def progress(measure: Measure, value: Decimal | None, ceiling: Decimal = ONE) -> Decimal | None:
    """How far the value that counts has brought the key result, 0 to `ceiling`, in millionths.

    No value yet is progress 0, except for `Maintain`, whose progress is a share of check-ins or
    of time and comes from `share_met`: here it is None.
    Source: (v-b)/(t-b), as ServiceNow, Operately and okr-tracker compute it; four points run to
    the stretch (puzzle/okr); count n/m (re:Work); milestone and baseline 0 or 1 (re:Work, Viva).
    """
    match measure:
        case Maintain():
            return None
        case _ if value is None:
            return ZERO
        case (
            Metric(baseline=baseline, target=goal)
            | KpiLinked(baseline=baseline, target=goal)
            | FourPointMetric(baseline=baseline, stretch=goal)
        ):
            return _share(value - baseline, goal - baseline, ceiling)
        case Count(of=of):
            return _share(value, Decimal(of), ceiling)
        case Milestone():
            return ONE if value >= ONE else ZERO
        case Baseline():
            return ONE
        case _:
            assert_never(measure)


def share_met(met: Decimal, due: Decimal) -> Decimal | None:
    """Progress of `Maintain`: met over due, counted in check-ins or in seconds; nothing due, None.

    Source: met check-ins over check-ins due (Profit.co); share of elapsed time in band (open-okr).
    """
    return None if due <= 0 else _share(met, due, ONE)


def is_met(measure: Maintain, value: Decimal) -> bool:
    """Whether a value lies inside the band a `Maintain` asks for, both ends included."""
    return (measure.lower is None or value >= measure.lower) and (
        measure.upper is None or value <= measure.upper
    )


def is_lowered(was: Measure, now: Measure) -> bool:
    """Whether the new measure asks for less than the old one; another kind counts as less."""
    match was, now:
        case (Metric() | KpiLinked(), Metric() | KpiLinked()):
            return _asks_less(was.baseline, was.target, now.target)
        case FourPointMetric(), FourPointMetric():
            return any(
                _asks_less(was.baseline, before, after)
                for before, after in (
                    (was.commit, now.commit),
                    (was.target, now.target),
                    (was.stretch, now.stretch),
                )
            )
        case Maintain(), Maintain():
            return _loosened(was.lower, now.lower, -1) or _loosened(was.upper, now.upper, 1)
        case Count(), Count():
            return now.of < was.of
        case _:
            return type(was) is not type(now)


def weighted_mean(parts: Iterable[tuple[Decimal, Decimal | None]]) -> Decimal | None:
    """Sum of weight times number over sum of weights, in millionths.

    Parts without a number are left out, never counted as 0; nothing left (or only weight 0) has
    no mean. Serves objective progress and objective score alike.
    """
    total = weights = ZERO
    for weight, number in parts:
        if number is not None:
            total += weight * number
            weights += weight
    return None if weights == 0 else _rounded(total / weights)


def score_of(progress_now: Decimal) -> Decimal:
    """The computed score: progress held to 0..1 in steps of 0.01, half to even (re:Work)."""
    return min(max(progress_now, ZERO), ONE).quantize(SCORE_STEP, ROUND_HALF_EVEN)


def band_of(number: Decimal, bands: tuple[Decimal, Decimal]) -> Literal["low", "middle", "high"]:
    """Half-open bands: [0, a) low, [a, b) middle, [b, 1] high."""
    if number < bands[0]:
        return "low"
    return "middle" if number < bands[1] else "high"


def expected_pace(start: datetime, end: datetime, now: datetime) -> Decimal:
    """Elapsed over total time, 0 before the start and 1 after the end, in millionths."""
    elapsed, total = now - start, end - start
    micros = Decimal((elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds)
    whole = Decimal((total.days * 86_400 + total.seconds) * 1_000_000 + total.microseconds)
    return _share(micros, whole, ONE)


def _share(part: Decimal, whole: Decimal, ceiling: Decimal) -> Decimal:
    return _rounded(min(max(part / whole, ZERO), ceiling))


def _rounded(number: Decimal) -> Decimal:
    return number.quantize(PROGRESS_STEP, ROUND_HALF_EVEN)


def _asks_less(baseline: Decimal, target_was: Decimal, target: Decimal) -> bool:
    return target < target_was if target_was > baseline else target > target_was


def _loosened(was: Decimal | None, now: Decimal | None, outward: int) -> bool:
    if was is None:
        return False
    return now is None or (now - was) * outward > 0
