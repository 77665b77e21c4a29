"""R8: measure kind, unit and direction are fixed after the first check-in or reading inside."""

from decimal import Decimal

import pytest
from goal_contracts.commands import (
    ActivateCycle,
    CancelCycle,
    CloseCycle,
    Command,
    DropKeyResult,
    DropObjective,
    GradeKeyResult,
    GradeObjective,
    PublishObjective,
    RecordRetrospective,
    RedefineKpi,
    RetargetKeyResult,
    RetractCheckIn,
    RetractReading,
    StartCycleGrading,
)
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
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from services.ledger.domain.measure import nature
from tests.ledger.domain.scenario import (
    METRIC,
    Scenario,
    check_in,
    day,
    definition,
    drafted,
    kpi,
    planned,
    reading,
    running,
)
from tests.ledger.domain.scenario import add as add_key_result
from tests.ledger.domain.scenario import draft as draft_objective

FOUR = FourPointMetric(
    unit="deals", baseline=Decimal(0), commit=Decimal(3), target=Decimal(7), stretch=Decimal(10)
)
LINKED = KpiLinked(kpi_id="churn", baseline=Decimal(9), target=Decimal(3))
OTHERS: list[tuple[Measure, Measure]] = [
    (METRIC, Milestone()),
    (METRIC, Metric(unit="euros", baseline=Decimal(0), target=Decimal(100))),
    (METRIC, Metric(unit="deals", baseline=Decimal(0), target=Decimal(-100))),
    (FOUR, METRIC),
    (
        FOUR,
        FourPointMetric(
            unit="deals",
            baseline=Decimal(9),
            commit=Decimal(7),
            target=Decimal(3),
            stretch=Decimal(1),
        ),
    ),
    (Count(unit="talks", of=3), Count(unit="demos", of=3)),
    (Maintain(unit="%", lower=Decimal(9)), Maintain(unit="%", upper=Decimal(9))),
    (Maintain(unit="%", lower=Decimal(9)), Maintain(unit="%", lower=Decimal(9), upper=Decimal(10))),
    (Baseline(unit="users"), Baseline(unit="visits")),
    (Milestone(), Baseline(unit="users")),
]
WORDS: list[tuple[Measure, str]] = [
    (METRIC, "metric deals rising"),
    (Metric(unit="days", baseline=Decimal(9), target=Decimal(3)), "metric days falling"),
    (FOUR, "four_point_metric deals rising"),
    (LINKED, "kpi_linked kpi/churn falling"),
    (Maintain(unit="%", lower=Decimal(9)), "maintain % at least"),
    (Maintain(unit="%", upper=Decimal(9)), "maintain % at most"),
    (Maintain(unit="%", lower=Decimal(9), upper=Decimal(9)), "maintain % within"),
    (Count(unit="talks", of=3), "count talks"),
    (Baseline(unit="users"), "baseline users"),
    (Milestone(), "milestone"),
]
SAME: list[tuple[Measure, Measure]] = [
    (METRIC, Metric(unit="deals", baseline=Decimal(5), target=Decimal(50))),
    (
        FOUR,
        FourPointMetric(
            unit="deals",
            baseline=Decimal(0),
            commit=Decimal(2),
            target=Decimal(7),
            stretch=Decimal(9),
        ),
    ),
    (Count(unit="talks", of=3), Count(unit="talks", of=2)),
    (Maintain(unit="%", upper=Decimal(9)), Maintain(unit="%", upper=Decimal(8), counted_by="time")),
]


def retarget(measure: Measure) -> RetargetKeyResult:
    return RetargetKeyResult(key_result_id="kr", measure=measure, reason="learned more")


@pytest.mark.parametrize(("was", "now"), OTHERS)
def test_after_the_first_check_in_its_nature_stays(was: Measure, now: Measure) -> None:
    assert running(Policy(), was).when(retarget(now)).accepted()
    scenario = running(Policy(), was).given(check_in(value=1))
    scenario.when(retarget(now)).refuses(Reason.MEASURE_FIXED)


@pytest.mark.parametrize(("was", "now"), SAME)
def test_its_numbers_may_change(was: Measure, now: Measure) -> None:
    assert running(Policy(), was).given(check_in(value=1)).when(retarget(now)).accepted()


def test_a_check_in_without_a_value_counts_too() -> None:
    scenario = running().given(check_in(value=None, note="we begin"))
    scenario.when(retarget(Milestone())).refuses(Reason.MEASURE_FIXED)


def test_one_that_was_retracted_does_not() -> None:
    scenario = running().given(
        check_in(), RetractCheckIn(key_result_id="kr", check_in_id="ci", reason="wrong goal")
    )
    assert scenario.when(retarget(Milestone())).accepted()


def linked() -> Scenario:
    scenario = planned().given(kpi(), draft_objective("o"))
    return scenario.given(add_key_result("kr", measure=LINKED)).at("2025-04-01")


def test_the_direction_of_a_linked_one_is_fixed_after_a_reading_inside() -> None:
    rising = KpiLinked(kpi_id="churn", baseline=Decimal(3), target=Decimal(9))
    assert linked().when(retarget(rising)).accepted()
    outside = linked().given(reading("2024-12-01/2024-12-31"))
    assert outside.when(retarget(rising)).accepted()
    inside = linked().given(reading("2025-01-01/2025-01-31"))
    inside.when(retarget(rising)).refuses(Reason.MEASURE_FIXED)
    retract = RetractReading(kpi_id="churn", period="2025-01-01/2025-01-31", reason="wrong")
    assert inside.given(retract).when(retarget(rising)).accepted()


def test_a_key_result_is_not_linked_or_unlinked_in_passing() -> None:
    linked().when(retarget(METRIC)).refuses(Reason.FOLLOWS_KPI)
    other = KpiLinked(kpi_id="nps", baseline=Decimal(9), target=Decimal(3))
    linked().given(kpi("nps")).when(retarget(other)).refuses(Reason.FOLLOWS_KPI)
    drafted().given(kpi()).when(retarget(LINKED)).refuses(Reason.NOT_LINKED)


def redefine(**changes: str) -> RedefineKpi:
    return RedefineKpi(
        kpi_id="churn", definition=definition(**changes), effective_on=day("2025-05-01").date()
    )


def test_a_followed_kpi_keeps_its_unit_and_direction_once_it_has_readings_inside() -> None:
    assert linked().when(redefine(unit="per mille")).accepted()
    followed = linked().given(reading("2025-01-01/2025-01-31"))
    followed.when(redefine(unit="per mille")).refuses(Reason.MEASURE_FIXED)
    followed.when(redefine(direction="higher")).refuses(Reason.MEASURE_FIXED)
    followed.given(redefine(name="Customer churn"))


@pytest.mark.parametrize(("measure", "words"), WORDS)
def test_what_is_fixed_is_said_in_words(measure: Measure, words: str) -> None:
    assert " ".join(filter(None, nature(measure))) == words
    assert nature(Milestone()) == ("milestone", "", "")
    assert nature(Count(unit="talks", of=3))[2] == ""


def test_a_refusal_says_how_the_key_result_was_measured_and_now_would_be() -> None:
    refusal = (
        running()
        .given(check_in())
        .when(RetargetKeyResult(key_result_id="kr", measure=Milestone(), reason="simpler"))
    ).refuses(Reason.MEASURE_FIXED)
    assert (refusal.seen, refusal.accepted) == (
        "milestone",
        "other numbers for metric deals rising, or a new key result",
    )


def published() -> Scenario:
    """Following a KPI with a reading inside, in a cycle that runs."""
    scenario = linked().given(PublishObjective(objective_id="o"), ActivateCycle(cycle_id="q1"))
    return scenario.given(reading("2025-01-01/2025-01-31"))


@pytest.mark.parametrize(
    "ends",
    [
        [DropKeyResult(key_result_id="kr", reason="no")],
        [DropObjective(objective_id="o", reason="no")],
        [CancelCycle(cycle_id="q1", reason="merger")],
        [
            StartCycleGrading(cycle_id="q1"),
            GradeKeyResult(key_result_id="kr"),
            GradeObjective(objective_id="o", outcome="missed"),
            RecordRetrospective(cycle_id="q1", learned="to count"),
            CloseCycle(cycle_id="q1"),
        ],
    ],
)
def test_whoever_follows_no_more_keeps_a_kpi_from_nothing(ends: list[Command]) -> None:
    published().when(redefine(unit="per mille")).refuses(Reason.MEASURE_FIXED)
    assert published().given(*ends).when(redefine(unit="per mille")).accepted()


def test_a_link_is_not_made_by_retargeting() -> None:
    other = KpiLinked(kpi_id="nps", baseline=Decimal(9), target=Decimal(3))
    refusal = drafted().given(kpi("nps")).when(retarget(other)).refuses(Reason.NOT_LINKED)
    assert refusal.accepted == "LinkKeyResultToKpi"
