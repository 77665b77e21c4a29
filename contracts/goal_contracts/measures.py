"""How far a key result is: its measure, and the arithmetic of progress, roll-up, bands and pace.

Pure functions over decimals. Progress, confidence and score are three numbers and never mixed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from typing import Final, Literal, assert_never

from msgspec import Struct

from goal_contracts.fields import GoalHealth, Id, UnitOfMeasure

ZERO, ONE = Decimal(0), Decimal(1)
PROGRESS_STEP = Decimal("0.000001")
SCORE_STEP = Decimal("0.01")
_TICK: Final = timedelta(microseconds=1)
_COMMIT_FROM, _TARGET_FROM = Decimal("0.3"), Decimal("0.7")
_WORST_FIRST: Final = ("off_track", "outdated", "at_risk", "pending", "on_track")

FourPointBand = Literal["fail", "commit", "target", "stretch"]
"""Which of the expectations of a four-point metric is reached."""


class Metric(Struct, frozen=True, tag_field="kind", tag="metric", gc=False):
    """A number that moves from a baseline to a target; below the baseline it is a decrease."""

    unit: UnitOfMeasure
    baseline: Decimal
    target: Decimal


class FourPointMetric(Struct, frozen=True, tag_field="kind", tag="four_point_metric", gc=False):
    """A metric with three expectations on the way: commit, target and stretch."""

    unit: UnitOfMeasure
    baseline: Decimal
    commit: Decimal
    target: Decimal
    stretch: Decimal


class Maintain(Struct, frozen=True, tag_field="kind", tag="maintain", omit_defaults=True, gc=False):
    """A number that has to stay at least `lower`, at most `upper`, or within both."""

    unit: UnitOfMeasure
    lower: Decimal | None = None
    upper: Decimal | None = None
    counted_by: Literal["check_ins", "time"] = "check_ins"


class Count(Struct, frozen=True, tag_field="kind", tag="count", gc=False):
    """So many of a whole: n of `of`."""

    unit: UnitOfMeasure
    of: int


class Milestone(Struct, frozen=True, tag_field="kind", tag="milestone", gc=False):
    """Done or not: a check-in's value is 1 or 0."""


class Baseline(Struct, frozen=True, tag_field="kind", tag="baseline", gc=False):
    """A number nobody knows yet: finding it out is the result."""

    unit: UnitOfMeasure


class KpiLinked(Struct, frozen=True, tag_field="kind", tag="kpi_linked", gc=False):
    """A metric whose values are the readings of a KPI."""

    kpi_id: Id
    baseline: Decimal
    target: Decimal


Measure = Metric | FourPointMetric | Maintain | Count | Milestone | Baseline | KpiLinked


def progress(measure: Measure, value: Decimal | None, ceiling: Decimal = ONE) -> Decimal | None:
    """How far the value that counts has brought the key result, 0 to `ceiling`, in millionths.

    No value yet is progress 0, except for `Maintain`, whose progress is a share of check-ins or
    of time and comes from `maintained`: here it is None.
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


def maintained(
    measure: Maintain,
    values: Iterable[tuple[datetime, Decimal]],
    periods: Sequence[tuple[datetime, datetime]],
    now: datetime,
) -> Decimal | None:
    """Progress of `Maintain` at a moment; None before anything is due or any time has passed.

    `values` are the check-ins that have one, in the order in which they count; `periods` are those
    of the cycle's cadence, each from its first instant up to the first one after it.
    By check-ins: of the periods that are over, how many ended on a check-in inside the band; one
    that was missed is not met. By time: how much of the cycle so far was spent inside the band; a
    value holds until the next one, and before the first nothing is known, which is not inside.
    """
    met = [(at, is_met(measure, value)) for at, value in values if at <= now]
    match measure.counted_by:
        case "check_ins":
            over = [each for each in periods if each[1] <= now]
            last = (_last_within(met, begin, end) for begin, end in over)
            return share_met(Decimal(sum(last)), Decimal(len(over)))
        case "time":
            begin, until = periods[0][0], min(now, periods[-1][1])
            turns = [begin, *(min(max(at, begin), until) for at, _ in met), until]
            inside = [False, *(inside for _, inside in met)]
            spent = sum(
                (
                    later - at
                    for (at, later), held in zip(pairwise(turns), inside, strict=True)
                    if held
                ),
                timedelta(),
            )
            return share_met(Decimal(spent // _TICK), Decimal((until - begin) // _TICK))
        case _:
            assert_never(measure.counted_by)


def four_point_band(measure: FourPointMetric, value: Decimal) -> FourPointBand:
    """The expectation a value has reached; r = (v-b)/(stretch-b), not held to any bounds.

    Source: puzzle/okr: fail < 0.3 <= commit < 0.7 <= target < 1 <= stretch.
    """
    reached = (value - measure.baseline) / (measure.stretch - measure.baseline)
    if reached < _COMMIT_FROM:
        return "fail"
    if reached < _TARGET_FROM:
        return "commit"
    return "target" if reached < ONE else "stretch"


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


def mean(numbers: Iterable[Decimal | None]) -> Decimal | None:
    """The weighted mean where all count the same."""
    return weighted_mean((ONE, number) for number in numbers)


def rolled_up(
    roll_up: Literal["key_results", "children", "both"],
    key_results: Iterable[tuple[Decimal, Decimal | None]],
    children: Iterable[Decimal | None],
) -> Decimal | None:
    """An objective's progress under the policy of that name: from weighted key results, or more.

    Children are the objectives aligned to it, each with its own progress; all count the same. With
    both, key results and children make up one half each, so that it does not matter in which
    scale the weights are given; where one side has no number, the other is all there is.
    """
    match roll_up:
        case "key_results":
            return weighted_mean(key_results)
        case "children":
            return weighted_mean((ONE, each) for each in children)
        case "both":
            halves = weighted_mean(key_results), weighted_mean((ONE, each) for each in children)
            return weighted_mean((ONE, half) for half in halves)
        case _:
            assert_never(roll_up)


def worst_status(statuses: Iterable[GoalHealth | None]) -> GoalHealth | None:
    """The worst of the statuses below a goal, or of the healths of what is not judged yet.

    Nothing said (None) and what is judged are left out. A goal that is pending among others on
    track keeps the whole from being green, as silence is never green.
    """
    said = set(statuses)
    return next((each for each in _WORST_FIRST if each in said), None)


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


def _last_within(met: Iterable[tuple[datetime, bool]], begin: datetime, end: datetime) -> bool:
    """Whether the last of the values within a period is met; there is none, no."""
    within = [inside for at, inside in met if begin <= at < end]
    return bool(within) and within[-1]


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
