"""Progress, roll-up, bands and pace, each against a value worked out by hand."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal, localcontext
from typing import Any

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
    four_point_band,
    is_lowered,
    is_met,
    maintained,
    mean,
    progress,
    rolled_up,
    score_of,
    share_met,
    weighted_mean,
    worst_status,
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
        (Maintain(unit="ms", lower=D(5)), Maintain(unit="ms", lower=D("4.5")), True),
        (Maintain(unit="ms", lower=D(5)), Maintain(unit="ms", lower=D(5)), False),
        (Maintain(unit="ms", lower=D(5)), Maintain(unit="ms", lower=D("5.5")), False),
        (Maintain(unit="ms", upper=D(5)), Maintain(unit="ms", upper=D("5.5")), True),
        (CHURN, CHURN, False),
        (Count(unit="x", of=8), Count(unit="x", of=8), False),
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


def test_in_a_plain_mean_all_that_have_a_number_count_the_same() -> None:
    assert mean([D("0.2"), None, D("0.6"), D("0.1")]) == D("0.3")


def test_nothing_to_average_is_no_number_and_not_0() -> None:
    assert mean([]) is None
    assert mean([None]) is None
    assert weighted_mean([]) is None
    assert weighted_mean([(D(0), D(1))]) is None
    assert weighted_mean([(D(1), None)]) is None


@pytest.mark.parametrize(
    ("number", "score"), [("0.684999", "0.68"), ("0.685", "0.68"), ("0.695", "0.70"), ("1.2", "1")]
)
def test_a_score_is_held_to_1_in_steps_of_a_hundredth(number: str, score: str) -> None:
    assert score_of(D(number)) == D(score)


def test_halves_go_to_even_whatever_rounding_is_usual_here() -> None:
    with localcontext(rounding=ROUND_UP):
        assert score_of(D("0.685")) == D("0.68")
        assert progress(Count(unit="x", of=8_000_000), D(1)) == D(0)


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


@pytest.mark.parametrize(
    ("elapsed", "total"),
    [
        (timedelta(days=1, seconds=43_200), timedelta(days=2)),
        (timedelta(days=3), timedelta(days=4)),
        (timedelta(days=1, seconds=10_800), timedelta(days=1, seconds=43_200)),
        (timedelta(seconds=1, microseconds=125_000), timedelta(seconds=1, microseconds=500_000)),
    ],
)
def test_pace_is_exact_to_the_microsecond(elapsed: timedelta, total: timedelta) -> None:
    start = datetime(2025, 7, 1, tzinfo=UTC)
    assert expected_pace(start, start + total, start + elapsed) == D("0.75")


def at(day: int, hour: int = 0) -> datetime:
    """An instant of July 2025."""
    return datetime(2025, 7, day, hour, tzinfo=UTC)


WEEKS = [(at(1), at(8)), (at(8), at(15)), (at(15), at(22)), (at(22), at(25))]
"""Four periods of a cycle of 24 days, the last a short one."""
FAST = Maintain(unit="ms", upper=D(200))
FAST_IN_TIME = Maintain(unit="ms", upper=D(200), counted_by="time")


@pytest.mark.parametrize(
    ("values", "now", "expected"),
    [
        ([], at(7), None),
        ([], at(8), "0"),
        ([(at(1), 200)], at(7, 23), None),
        ([(at(1), 200)], at(8), "1"),
        ([(at(7, 23), 200)], at(15), "0.5"),
        ([(at(7), 100), (at(8), 100)], at(15), "1"),
        ([(at(1), 100), (at(7), 201)], at(8), "0"),
        ([(at(1), 201), (at(7), 100)], at(8), "1"),
        ([(at(7), 201), (at(7), 100)], at(8), "1"),
        ([(at(1), 100), (at(9), 100), (at(16), 100)], at(22), "1"),
        ([(at(1), 100), (at(9), 100), (at(16), 100)], at(25), "0.75"),
        ([(at(1), 100), (at(23), 100)], at(30), "0.5"),
        ([(at(1), 100), (at(9), 100)], at(8), "1"),
        ([(at(1), 100), (at(5), 300)], at(4), None),
        ([(at(8), 100)], at(8), "0"),
    ],
)
def test_maintain_by_check_ins_is_what_was_met_of_what_was_due(
    values: list[tuple[datetime, int]], now: datetime, expected: str | None
) -> None:
    share = maintained(FAST, [(each, D(value)) for each, value in values], WEEKS, now)
    assert share == (None if expected is None else D(expected))


@pytest.mark.parametrize(
    ("values", "now", "expected"),
    [
        ([], at(1), None),
        ([], at(2), "0"),
        ([(at(1), 200)], at(1), None),
        ([(at(1), 200)], at(13), "1"),
        ([(at(7), 200)], at(13), "0.5"),
        ([(at(7), 200), (at(10), 201)], at(13), "0.25"),
        ([(at(7), 201), (at(10), 200)], at(13), "0.25"),
        ([(at(7), 200), (at(9), 100), (at(10), 201)], at(13), "0.25"),
        ([(at(7), 201), (at(7), 200)], at(13), "0.5"),
        ([(at(13), 200)], at(25), "0.5"),
        ([(at(13), 200)], at(31), "0.5"),
        ([(at(13), 200), (at(20), 300)], at(19), "0.333333"),
        ([(at(24), 200)], at(25), "0.041667"),
    ],
)
def test_maintain_by_time_is_the_share_spent_inside_from_the_first_check_in_on(
    values: list[tuple[datetime, int]], now: datetime, expected: str | None
) -> None:
    share = maintained(FAST_IN_TIME, [(each, D(value)) for each, value in values], WEEKS, now)
    assert share == (None if expected is None else D(expected))


@pytest.mark.parametrize("measure", [FAST, FAST_IN_TIME])
def test_before_its_cycle_nothing_is_maintained(measure: Maintain) -> None:
    assert maintained(measure, [], WEEKS, datetime(2025, 6, 30, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("value", "band"),
    [
        ("-5", "fail"),
        ("29.999", "fail"),
        ("30", "commit"),
        ("69.999", "commit"),
        ("70", "target"),
        ("99.999", "target"),
        ("100", "stretch"),
        ("140", "stretch"),
    ],
)
def test_four_points_are_reached_from_0_3_0_7_and_1_on(value: str, band: str) -> None:
    assert four_point_band(FOUR, D(value)) == band
    falling = FourPointMetric(
        unit="users", baseline=D(0), commit=D(-30), target=D(-70), stretch=D(-100)
    )
    assert four_point_band(falling, -D(value)) == band
    from_50 = FourPointMetric(
        unit="users", baseline=D(50), commit=D(80), target=D(120), stretch=D(150)
    )
    assert four_point_band(from_50, D(value) + 50) == band


KEY_RESULTS = [(D(3), D("0.8")), (D(1), D(0)), (D(5), None)]
"""0.6 as a mean."""


@pytest.mark.parametrize(
    ("roll_up", "key_results", "children", "expected"),
    [
        ("key_results", KEY_RESULTS, [D(1)], "0.6"),
        ("key_results", [], [D(1)], None),
        ("children", KEY_RESULTS, [D("0.2"), D("0.5"), None], "0.35"),
        ("children", KEY_RESULTS, [None], None),
        ("both", KEY_RESULTS, [D("0.1"), D("0.3")], "0.4"),
        ("both", KEY_RESULTS, [], "0.6"),
        ("both", [(D(0), D(1))], [D("0.2")], "0.2"),
        ("both", [], [None], None),
    ],
)
def test_an_objective_rolls_up_what_the_policy_says(
    roll_up: Any,
    key_results: list[tuple[Decimal, Decimal | None]],
    children: list[Decimal | None],
    expected: str | None,
) -> None:
    rolled = rolled_up(roll_up, key_results, children)
    assert rolled == (None if expected is None else D(expected))


def test_the_scale_of_the_weights_does_not_matter_to_a_roll_up() -> None:
    times_30 = [(weight * 30, number) for weight, number in KEY_RESULTS]
    assert rolled_up("both", times_30, [D(0)]) == rolled_up("both", KEY_RESULTS, [D(0)])


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        ([], None),
        ([None], None),
        (["on_track", None], "on_track"),
        (["on_track", "pending"], "pending"),
        (["pending", "at_risk", "on_track"], "at_risk"),
        (["outdated", "at_risk"], "outdated"),
        (["on_track", "off_track", "outdated"], "off_track"),
        (["achieved", "missed"], None),
        (["missed", "on_track"], "on_track"),
    ],
)
def test_status_rolls_up_by_the_worst(statuses: list[Any], worst: str | None) -> None:
    assert worst_status(statuses) == worst
    assert worst_status(reversed(statuses)) == worst
