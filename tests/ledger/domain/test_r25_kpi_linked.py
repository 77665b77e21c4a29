"""R25: kpi-linked key results follow the readings; unlinking needs a reason."""

from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    CorrectReading,
    GradeKeyResult,
    LinkKeyResultToKpi,
    RedefineKpi,
    RetractReading,
    StartCycleGrading,
    UnlinkKeyResultFromKpi,
)
from goal_contracts.measures import FourPointMetric, KpiLinked, Measure, Metric, Milestone
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import (
    METRIC,
    Scenario,
    check_in,
    day,
    definition,
    kpi,
    reading,
    running,
)

FOUR = FourPointMetric(
    unit="deals", baseline=Decimal(0), commit=Decimal(3), target=Decimal(7), stretch=Decimal(10)
)


def link(baseline: int = 0, target: int = 100, kpi_id: str = "churn") -> LinkKeyResultToKpi:
    return LinkKeyResultToKpi(
        key_result_id="kr",
        kpi_id=kpi_id,
        baseline=Decimal(baseline),
        target=Decimal(target),
        reason="counted there anyway",
    )


def unlink(measure: Measure = METRIC, reason: str | None = "switched off") -> Any:
    return UnlinkKeyResultFromKpi(key_result_id="kr", measure=measure, reason=reason)


def watched(measure: Measure = METRIC) -> Scenario:
    """Running, with a KPI in the unit of the key result."""
    return running(Policy(), measure).given(kpi(unit="deals"))


def linked() -> Scenario:
    return watched().given(link())


def value(scenario: Scenario) -> Decimal | None:
    return scenario.state.counted_value(scenario.state.key_result("kr"))


def test_linking_and_unlinking_carry_both_measures() -> None:
    scenario = watched()
    event = scenario.when(link()).records(events.KeyResultLinkedToKpi)
    follows = KpiLinked(kpi_id="churn", baseline=Decimal(0), target=Decimal(100))
    assert (event.measure_was, event.measure) == (METRIC, follows)
    event = scenario.when(unlink()).records(events.KeyResultUnlinkedFromKpi)
    assert (event.measure_was, event.measure) == (follows, METRIC)


def test_linking_twice_does_nothing_and_elsewhere_is_refused() -> None:
    scenario = linked().given(kpi("nps"))
    scenario.when(link()).does_nothing()
    scenario.when(link(target=120)).refuses(Reason.FOLLOWS_KPI)
    scenario.when(link(kpi_id="nps")).refuses(Reason.FOLLOWS_KPI)
    watched().when(link(kpi_id="none")).refuses(Reason.NOT_FOUND)
    watched().when(link(5, 5)).refuses(Reason.MEASURE_INVALID)


def test_unlinking_needs_a_reason_and_a_measure_of_its_own() -> None:
    linked().when(unlink(reason=None)).refuses(Reason.REASON_REQUIRED, rule="R25")
    follows = KpiLinked(kpi_id="churn", baseline=Decimal(0), target=Decimal(9))
    linked().when(unlink(follows)).refuses(Reason.MEASURE_INVALID, rule="R25")
    standstill = Metric(unit="deals", baseline=Decimal(1), target=Decimal(1))
    linked().when(unlink(standstill)).refuses(Reason.MEASURE_INVALID)
    watched().when(unlink()).refuses(Reason.NOT_LINKED)


def test_a_manual_value_is_refused_but_not_a_word() -> None:
    linked().when(check_in(value=5)).refuses(Reason.FOLLOWS_KPI)
    linked().given(check_in(value=None, confidence=4, note="the source is late"))


def test_the_reading_with_the_latest_period_inside_the_cycle_counts() -> None:
    scenario = (
        linked()
        .at("2025-06-01")
        .given(
            reading("2025-02-01/2025-02-28", 20),
            reading("2025-01-01/2025-01-31", 10),
            reading("2025-04-01/2025-04-30", 40),
            reading("2024-12-01/2024-12-31", 5),
        )
    )
    assert value(scenario) == 20
    scenario.given(
        CorrectReading(
            kpi_id="churn", period="2025-02-01/2025-02-28", value=Decimal(21), reason="new"
        )
    )
    assert value(scenario) == 21
    scenario.given(RetractReading(kpi_id="churn", period="2025-02-01/2025-02-28", reason="no"))
    assert value(scenario) == 10


def test_the_last_day_of_the_cycle_lies_inside() -> None:
    scenario = linked().at("2025-06-01").given(reading("2025-03-01/2025-03-31", 30))
    assert value(scenario) == 30


def test_ties_are_broken_by_position() -> None:
    scenario = linked().given(reading(value=1), reading(value=2, source="survey"))
    assert value(scenario) == 2


def test_it_is_graded_by_the_reading() -> None:
    scenario = linked().given(reading(value=25)).at("2025-04-02")
    scenario.given(StartCycleGrading(cycle_id="q1"))
    graded = scenario.when(GradeKeyResult(key_result_id="kr")).records(events.KeyResultGraded)
    assert graded.score == Decimal("0.25")


def test_check_ins_count_again_after_unlinking() -> None:
    scenario = watched().given(check_in(value=7), link(), reading(value=3))
    assert value(scenario) == 3
    scenario.given(unlink())
    assert value(scenario) == 7


def test_r8_a_key_result_with_values_is_linked_only_in_its_unit_and_direction() -> None:
    watched().given(check_in(value=7), link())
    watched(FOUR).given(check_in(value=7), link())
    watched(Milestone()).given(check_in(value=None, note="soon"), link())
    watched(Milestone()).given(check_in(value=1)).when(link()).refuses(Reason.MEASURE_FIXED)
    watched().given(check_in(value=7)).when(link(100, 0)).refuses(Reason.MEASURE_FIXED)
    elsewhere = running().given(check_in(value=7), kpi(unit="%"))
    elsewhere.when(link()).refuses(Reason.MEASURE_FIXED)


@pytest.mark.parametrize(
    "other",
    [
        Milestone(),
        Metric(unit="%", baseline=Decimal(0), target=Decimal(100)),
        Metric(unit="deals", baseline=Decimal(100), target=Decimal(0)),
    ],
)
def test_r8_values_from_before_the_link_keep_their_scale_after_it(other: Measure) -> None:
    linked().given(unlink(other))
    scenario = watched().given(check_in(value=7), link())
    scenario.when(unlink(other)).refuses(Reason.MEASURE_FIXED)
    scenario.given(unlink(FOUR))


def test_r8_values_keep_their_scale_also_when_the_kpi_has_changed_its_unit_meanwhile() -> None:
    per_cent = Metric(unit="%", baseline=Decimal(0), target=Decimal(100))
    scenario = watched().given(check_in(value=7), link())
    scenario.given(
        RedefineKpi(
            kpi_id="churn",
            definition=definition(unit="%"),
            effective_on=day("2025-05-01").date(),
        )
    )
    scenario.when(unlink(per_cent)).refuses(Reason.MEASURE_FIXED)
    scenario.given(unlink(METRIC))


def test_only_what_is_linked_is_unlinked_and_while_the_structure_may_change() -> None:
    assert watched().when(unlink()).refuses(Reason.NOT_LINKED).seen == "metric"
    locked = running(Policy(structure_lock_days=60)).given(kpi(unit="deals"), link())
    locked.at("2025-03-20").when(unlink()).refuses(Reason.STRUCTURE_LOCKED)
