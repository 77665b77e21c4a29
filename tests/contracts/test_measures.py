"""Progress, roll-up, bands and pace, each against a value worked out by hand."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from goal_contracts.measures import (
    Baseline,
    Count,
    FourPointMetric,
    KpiLinked,
    Maintain,
    Measure,
    Metric,
    Milestone,
    band_of,
    expected_pace,
    is_lowered,
    is_met,
    progress,
    score_of,
    share_met,
    weighted_mean,
)
from hypothesis import given
from hypothesis import strategies as st

D = Decimal
UPTIME = Metric(unit="%", baseline=D("98.2"), target=D("99.9"))
CHURN = Metric(unit="%", baseline=D(5), target=D(3))
FOUR = FourPointMetric(unit="users", baseline=D(0), commit=D(30), target=D(70), stretch=D(100))
numbers = st.decimals(-1_000_000, 1_000_000, places=3, allow_nan=False)


@pytest.mark.parametrize(
    ("measure", "value", "expected"),
    [
        (UPTIME, D("98.2"), D(0)),
        (UPTIME, D("99.05"), D("0.5")),
        (UPTIME, D("99.9"), D(1)),
        (UPTIME, D("97.0"), D(0)),
        (UPTIME, D("99.99"), D(1)),
        (CHURN, D("4.5"), D("0.25")),
        (CHURN, D(6), D(0)),
        (FOUR, D(30), D("0.3")),
        (FOUR, D(100), D(1)),
        (Count(unit="drivers", of=8), D(2), D("0.25")),
        (Count(unit="drivers", of=8), D(9), D(1)),
        (Milestone(), D(0), D(0)),
        (Milestone(), D(1), D(1)),
        (Baseline(unit="ms"), D(0), D(1)),
        (KpiLinked(kpi_id="uptime", baseline=D(0), target=D(10)), D(5), D("0.5")),
        (UPTIME, None, D(0)),
        (Baseline(unit="ms"), None, D(0)),
    ],
)
def test_progress_is_the_share_of_the_way_held_between_0_and_1(
    measure: Measure, value: Decimal | None, expected: Decimal
) -> None:
    assert progress(measure, value) == expected


def test_a_higher_ceiling_lets_progress_pass_1() -> None:
    assert progress(CHURN, D(0), D(2)) == D(2)
    assert progress(CHURN, D("2.5"), D(2)) == D("1.25")


def test_maintain_has_no_progress_from_one_value() -> None:
    assert progress(Maintain(unit="ms", upper=D(200)), D(100)) is None


@pytest.mark.parametrize(
    ("lower", "upper", "value", "met"),
    [
        (None, D(200), D(200), True),
        (None, D(200), D("200.1"), False),
        (D(10), None, D(10), True),
        (D(10), None, D("9.9"), False),
        (D(10), D(20), D(15), True),
        (D(10), D(20), D(21), False),
    ],
)
def test_maintain_is_met_inside_its_band_ends_included(
    lower: Decimal | None, upper: Decimal | None, value: Decimal, met: bool
) -> None:
    assert is_met(Maintain(unit="ms", lower=lower, upper=upper), value) is met


def test_a_share_of_nothing_due_is_no_number() -> None:
    assert share_met(D(0), D(0)) is None
    assert share_met(D(3), D(4)) == D("0.75")


@given(baseline=numbers, target=numbers, value=numbers)
def test_progress_of_an_increase_is_that_of_the_mirrored_decrease(
    baseline: Decimal, target: Decimal, value: Decimal
) -> None:
    if baseline == target:
        return
    up = Metric(unit="x", baseline=baseline, target=target)
    down = Metric(unit="x", baseline=-baseline, target=-target)
    assert progress(up, value) == progress(down, -value)


@pytest.mark.parametrize(
    ("was", "now", "lowered"),
    [
        (UPTIME, Metric(unit="%", baseline=D("98.2"), target=D("99.5")), True),
        (UPTIME, Metric(unit="%", baseline=D("98.2"), target=D("99.95")), False),
        (CHURN, Metric(unit="%", baseline=D(5), target=D(4)), True),
        (CHURN, Metric(unit="%", baseline=D(5), target=D(2)), False),
        (
            FOUR,
            FourPointMetric(
                unit="users", baseline=D(0), commit=D(20), target=D(70), stretch=D(100)
            ),
            True,
        ),
        (
            FOUR,
            FourPointMetric(
                unit="users", baseline=D(0), commit=D(30), target=D(80), stretch=D(100)
            ),
            False,
        ),
        (Maintain(unit="ms", upper=D(200)), Maintain(unit="ms", upper=D(250)), True),
        (Maintain(unit="ms", upper=D(200)), Maintain(unit="ms", upper=D(150)), False),
        (Maintain(unit="ms", lower=D(5)), Maintain(unit="ms", upper=D(5)), True),
        (Count(unit="x", of=8), Count(unit="x", of=7), True),
        (Count(unit="x", of=8), Count(unit="x", of=9), False),
        (Milestone(), Milestone(), False),
        (UPTIME, Milestone(), True),
    ],
)
def test_a_measure_is_lowered_when_it_asks_for_less(
    was: Measure, now: Measure, lowered: bool
) -> None:
    assert is_lowered(was, now) is lowered


def test_a_mean_leaves_out_what_has_no_number() -> None:
    assert weighted_mean([(D(1), D("0.2")), (D(3), D("0.6")), (D(5), None)]) == D("0.5")


def test_nothing_to_average_is_no_number_and_not_0() -> None:
    assert weighted_mean([]) is None
    assert weighted_mean([(D(0), D(1))]) is None
    assert weighted_mean([(D(1), None)]) is None


@pytest.mark.parametrize(
    ("number", "score"), [("0.684999", "0.68"), ("0.685", "0.68"), ("0.695", "0.70"), ("1.2", "1")]
)
def test_a_score_is_held_to_1_in_steps_of_a_hundredth(number: str, score: str) -> None:
    assert score_of(D(number)) == D(score)


@pytest.mark.parametrize(
    ("number", "band"),
    [("0", "low"), ("0.39", "low"), ("0.4", "middle"), ("0.69", "middle"), ("0.7", "high")],
)
def test_bands_are_half_open(number: str, band: str) -> None:
    assert band_of(D(number), (D("0.4"), D("0.7"))) == band


def test_pace_is_elapsed_over_total_and_stays_within_the_cycle() -> None:
    start, end = datetime(2025, 7, 1, tzinfo=UTC), datetime(2025, 7, 11, tzinfo=UTC)
    assert expected_pace(start, end, datetime(2025, 7, 6, tzinfo=UTC)) == D("0.5")
    assert expected_pace(start, end, datetime(2025, 6, 1, tzinfo=UTC)) == D(0)
    assert expected_pace(start, end, datetime(2025, 8, 1, tzinfo=UTC)) == D(1)
