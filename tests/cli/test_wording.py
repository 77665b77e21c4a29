"""Numbers, measures and dates as people say them."""

from decimal import Decimal

import msgspec
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
)

from services.cli import wording

METRIC = Metric(unit="%", baseline=Decimal(99), target=Decimal("95.0"))


@pytest.mark.parametrize(
    ("value", "words"),
    [("1E+3", "1000"), ("95.00", "95"), ("-0.0", "0"), ("0.10", "0.1"), ("-12.5", "-12.5")],
)
def test_a_number_has_no_idle_digits(value: str, words: str) -> None:
    assert wording.number(Decimal(value)) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        ("0.666667", "67 %"),
        ("1", "100 %"),
        ("0.999999", "99 %"),
        ("0.000001", "<1 %"),
        ("0", "0 %"),
        ("1.25", "125 %"),
    ],
)
def test_only_the_whole_is_100_percent_and_only_nothing_is_0(share: str, words: str) -> None:
    assert wording.percent(Decimal(share)) == words


@pytest.mark.parametrize(
    ("measure", "words", "reached"),
    [
        (METRIC, "99 → 95 %", "3"),
        (
            FourPointMetric("users", Decimal(0), Decimal(30), Decimal(70), Decimal(100)),
            "0 → 30 / 70 / 100 users",
            "3",
        ),
        (Maintain("%", lower=Decimal("99.9")), "at least 99.9 %", "3"),
        (Maintain("days", upper=Decimal(2)), "at most 2 days", "3"),
        (Maintain("°C", lower=Decimal(2), upper=Decimal(8)), "2 to 8 °C", "3"),
        (Count("customers", of=5), "5 customers", "3 of 5"),
        (Milestone(), "done or not", "done"),
        (Baseline("ms"), "find out (ms)", "3"),
        (KpiLinked("nps", Decimal(20), Decimal(40)), "20 → 40 (kpi nps)", "3"),
    ],
)
def test_a_measure_and_its_value_are_said_plainly(
    measure: Measure, words: str, reached: str
) -> None:
    assert wording.measure(measure) == words
    assert wording.value(measure, Decimal(3)) == reached
    assert wording.anything(msgspec.to_builtins(measure)) == words


def test_a_milestone_is_open_until_it_is_done() -> None:
    assert wording.value(Milestone(), Decimal(0)) == "open"
    assert wording.value(Milestone(), None) == "–"


def test_a_lowered_target_shows_what_it_was() -> None:
    lowered = msgspec.structs.replace(METRIC, target=Decimal(97))
    assert wording.measure_with_original(lowered, METRIC) == "99 → 97 % (was 95)"
    assert wording.measure_with_original(METRIC, METRIC) == "99 → 95 %"
    assert wording.measure_with_original(METRIC, Milestone()) == "99 → 95 % (was done or not)"


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ("2022-01-01/2022-01-31", "2022-01"),
        ("2022-04-01/2022-06-30", "2022 Q2"),
        ("2022-01-01/2022-12-31", "2022"),
        ("2024-12-30/2025-01-05", "2025-W01"),
        ("2022-01-05/2022-01-05", "2022-01-05"),
        ("2022-04-01/2023-03-31", "2022-04-01 to 2023-03-31"),
        ("2022-01-01/2022-02-30", "2022-01-01/2022-02-30"),
    ],
)
def test_a_period_is_named_as_short_as_it_can_be(period: str, words: str) -> None:
    assert wording.period(period) == words


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        (None, "Sell more", "Sell more"),
        ("Sell", "Sell more", "Sell → Sell more"),
        ("1.40", "1.25", "1.4 → 1.25"),
        (["a"], [], "a → –"),
        (False, True, "no → yes"),
        ("2025-07-01T09:00:00Z", None, "2025-07-01 09:00 UTC → –"),
        (
            msgspec.to_builtins(METRIC),
            msgspec.to_builtins(msgspec.structs.replace(METRIC, target=Decimal(97))),
            "target 95 → 97 %",
        ),
        (msgspec.to_builtins(METRIC), {"kind": "milestone"}, "99 → 95 % → done or not"),
    ],
)
def test_a_change_says_from_and_to(was: object, now: object, words: str) -> None:
    assert wording.changed(was, now) == words


def test_an_id_with_leading_zeros_is_no_number() -> None:
    assert wording.anything("007") == "007"
