"""What a key result may be measured by (R4), what is fixed (R8), and which values fit (R11)."""

from decimal import Decimal
from typing import assert_never

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
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.kpi import live_kpi
from services.ledger.domain.organisation import KeyResult, Organisation


def refuse_unless_measurable(organisation: Organisation, measure: Measure) -> None:
    """R4: the numbers of a measure make sense together, and a KPI it follows is watched."""
    _refuse_unless_sound(measure)
    if isinstance(measure, KpiLinked):
        live_kpi(organisation, measure.kpi_id)


def is_the_same_way(was: Measure, now: Measure) -> bool:
    """Whether a measure with other numbers is sound and goes the same way."""
    try:
        _refuse_unless_sound(now)
    except Refusal:
        return False
    return nature(now) == nature(was)


def refuse_other_nature(organisation: Organisation, key_result: KeyResult, now: Measure) -> None:
    """R8: kind, unit and direction are fixed after the first check-in or, linked, reading inside.

    Whether a key result follows a KPI is changed by linking and unlinking it, never in passing.
    """
    was = key_result.measure
    if isinstance(was, KpiLinked) and (not isinstance(now, KpiLinked) or now.kpi_id != was.kpi_id):
        raise Refusal(
            Reason.FOLLOWS_KPI,
            f"the key result {key_result.key_result_id} follows the KPI {was.kpi_id}",
            seen=_kind(now),
            accepted="another baseline or target, or UnlinkKeyResultFromKpi first",
        )
    if isinstance(now, KpiLinked) and not isinstance(was, KpiLinked):
        raise Refusal(
            Reason.NOT_LINKED,
            f"the key result {key_result.key_result_id} follows no KPI",
            seen=f"kpi/{now.kpi_id}",
            accepted="LinkKeyResultToKpi",
        )
    if nature(now) != nature(was) and _is_measured(organisation, key_result):
        raise measure_fixed(key_result, was, now)


def measure_fixed(key_result: KeyResult, was: Measure, now: Measure) -> Refusal:
    """What to answer when R8 is broken."""
    return Refusal(
        Reason.MEASURE_FIXED,
        f"the key result {key_result.key_result_id} has been measured as {_words(was)}",
        seen=_words(now),
        accepted=f"other numbers for {_words(was)}, or a new key result",
    )


def nature(measure: Measure) -> tuple[str, str, str]:
    """Kind, unit and direction of a measure, in words; a KPI stands for its unit."""
    match measure:
        case Metric(baseline=baseline, target=target, unit=unit):
            return _kind(measure), unit, _direction(baseline, target)
        case KpiLinked(baseline=baseline, target=target, kpi_id=kpi_id):
            return _kind(measure), f"kpi/{kpi_id}", _direction(baseline, target)
        case FourPointMetric(baseline=baseline, stretch=stretch, unit=unit):
            return _kind(measure), unit, _direction(baseline, stretch)
        case Maintain(lower=lower, upper=upper, unit=unit):
            bound = "within" if None not in (lower, upper) else "at most"
            return _kind(measure), unit, "at least" if upper is None else bound
        case Count(unit=unit) | Baseline(unit=unit):
            return _kind(measure), unit, ""
        case Milestone():
            return _kind(measure), "", ""
        case _:
            assert_never(measure)


def refuse_value_that_does_not_fit(measure: Measure, value: Decimal) -> None:
    """R11: what a check-in may say in numbers. Who follows a KPI takes no value (R25)."""
    match measure:
        case Milestone():
            if value not in (0, 1):
                raise _does_not_fit("a milestone is done or not", value, "1 or 0")
        case Count():
            if value < 0 or value != value.to_integral_value():
                raise _does_not_fit("a count is a whole number", value, "0, 1, 2 …")
        case KpiLinked(kpi_id=kpi_id):
            raise Refusal(
                Reason.FOLLOWS_KPI,
                f"the value is the reading of the KPI {kpi_id}",
                seen=str(value),
                accepted="confidence, status or note without a value; RecordReading for the KPI",
            )
        case Metric() | FourPointMetric() | Maintain() | Baseline():
            pass
        case _:
            assert_never(measure)


def _refuse_unless_sound(measure: Measure) -> None:
    match measure:
        case Metric(baseline=baseline, target=target) | KpiLinked(baseline=baseline, target=target):
            if baseline == target:
                raise _invalid(
                    "baseline and target are the same",
                    str(target),
                    "a target that is not the baseline",
                )
        case FourPointMetric():
            points = [measure.baseline, measure.commit, measure.target, measure.stretch]
            if not (_rises(*points) or _rises(*(-point for point in points))):
                raise _invalid(
                    "the four points do not follow each other",
                    ", ".join(map(str, points)),
                    "baseline < commit <= target < stretch, or all of it falling",
                )
        case Maintain(lower=lower, upper=upper):
            if lower is None and upper is None:
                raise _invalid("nothing is to be maintained", "no bound", "lower, upper or both")
            if lower is not None and upper is not None and lower > upper:
                raise _invalid("the band is empty", f"{lower} to {upper}", "lower <= upper")
        case Count(of=of):
            if of < 1:
                raise _invalid("a whole of nothing cannot be counted", str(of), "1 or more")
        case Milestone() | Baseline():
            pass
        case _:
            assert_never(measure)


def _is_measured(organisation: Organisation, key_result: KeyResult) -> bool:
    if organisation.live_check_ins(key_result.key_result_id):
        return True
    measure = key_result.measure
    return isinstance(measure, KpiLinked) and bool(
        organisation.readings_inside(measure.kpi_id, organisation.cycle_of(key_result))
    )


def _rises(baseline: Decimal, commit: Decimal, target: Decimal, stretch: Decimal) -> bool:
    return baseline < commit <= target < stretch


def _direction(baseline: Decimal, target: Decimal) -> str:
    return "rising" if target > baseline else "falling"


def _kind(measure: Measure) -> str:
    return str(measure.__struct_config__.tag)


def _words(measure: Measure) -> str:
    return " ".join(filter(None, nature(measure)))


def _invalid(message: str, seen: str, accepted: str) -> Refusal:
    return Refusal(Reason.MEASURE_INVALID, message, seen=seen, accepted=accepted)


def _does_not_fit(message: str, value: Decimal, accepted: str) -> Refusal:
    return Refusal(Reason.VALUE_DOES_NOT_FIT, message, seen=str(value), accepted=accepted)
