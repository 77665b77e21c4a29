"""R4: to be published an objective has key results, each with an owner and a sound measure."""

from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    DropKeyResult,
    LinkKeyResultToKpi,
    PublishObjective,
    RetargetKeyResult,
    RetireKpi,
    ReweightKeyResult,
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
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import METRIC, add, draft, drafted, kpi, planned

PUBLISH = PublishObjective(objective_id="o")


def four(*points: int) -> FourPointMetric:
    baseline, commit, target, stretch = map(Decimal, points)
    return FourPointMetric(
        unit="deals", baseline=baseline, commit=commit, target=target, stretch=stretch
    )


def test_an_objective_without_key_results_is_not_published() -> None:
    planned().given(draft("o")).when(PUBLISH).refuses(Reason.NOT_MEASURABLE)
    dropped = drafted().given(DropKeyResult(key_result_id="kr"))
    dropped.when(PUBLISH).refuses(Reason.NOT_MEASURABLE)


def test_publishing_twice_does_nothing() -> None:
    scenario = drafted()
    scenario.when(PUBLISH).records(events.ObjectivePublished)
    scenario.when(PUBLISH).does_nothing()


@pytest.mark.parametrize(
    "measure",
    [
        METRIC,
        Metric(unit="days", baseline=Decimal(9), target=Decimal(3)),
        four(0, 3, 7, 10),
        four(0, 7, 7, 10),
        four(10, 7, 7, 0),
        Maintain(unit="%", lower=Decimal(99)),
        Maintain(unit="%", upper=Decimal(1)),
        Maintain(unit="%", lower=Decimal(5), upper=Decimal(5)),
        Count(unit="talks", of=1),
        Milestone(),
        Baseline(unit="users"),
        KpiLinked(kpi_id="churn", baseline=Decimal(9), target=Decimal(3)),
    ],
)
def test_a_sound_measure_is_taken(measure: Measure) -> None:
    added = planned().given(kpi(), draft("o")).when(add("kr", measure=measure))
    assert added.records(events.KeyResultAdded).measure == measure


@pytest.mark.parametrize(
    "measure",
    [
        Metric(unit="deals", baseline=Decimal("1.0"), target=Decimal(1)),
        four(0, 0, 7, 10),
        four(0, 7, 3, 10),
        four(0, 3, 10, 10),
        four(0, 3, 7, 5),
        Maintain(unit="%"),
        Maintain(unit="%", lower=Decimal(6), upper=Decimal(5)),
        Count(unit="talks", of=0),
        KpiLinked(kpi_id="churn", baseline=Decimal(3), target=Decimal(3)),
    ],
)
def test_an_unsound_measure_is_refused(measure: Measure) -> None:
    scenario = drafted().given(kpi())
    scenario.when(add("kr-2", measure=measure)).refuses(Reason.MEASURE_INVALID)
    if not isinstance(measure, KpiLinked):
        retarget = RetargetKeyResult(key_result_id="kr", measure=measure)
        scenario.when(retarget).refuses(Reason.MEASURE_INVALID)


def test_a_kpi_that_is_followed_exists_and_is_watched() -> None:
    followed = KpiLinked(kpi_id="churn", baseline=Decimal(9), target=Decimal(3))
    drafted().when(add("kr-2", measure=followed)).refuses(Reason.NOT_FOUND)
    retired = drafted().given(kpi(), RetireKpi(kpi_id="churn"))
    retired.when(add("kr-2", measure=followed)).refuses(Reason.KPI_RETIRED)
    link = LinkKeyResultToKpi(
        key_result_id="kr", kpi_id="churn", baseline=Decimal(9), target=Decimal(3)
    )
    retired.when(link).refuses(Reason.KPI_RETIRED)


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "1e19", "1e-19", "1" * 29])
def test_numbers_are_finite_and_can_be_written_out(number: str) -> None:
    measure = Metric(unit="deals", baseline=Decimal(0), target=Decimal(number))
    drafted().when(add("kr-2", measure=measure)).refuses(Reason.NUMBER_OUT_OF_RANGE)
    drafted().when(add("kr-2", weight=number)).refuses(Reason.NUMBER_OUT_OF_RANGE)


def test_a_signal_that_is_no_number_is_refused_where_it_would_be_compared() -> None:
    scenario = drafted()
    signal = ReweightKeyResult(key_result_id="kr", weight=Decimal("sNaN"))
    refusal = scenario.when(signal).refuses(Reason.NUMBER_OUT_OF_RANGE)
    assert refusal.message.startswith("weight ")
    again = add("kr", measure=Metric(unit="deals", baseline=Decimal("sNaN"), target=Decimal(1)))
    refusal = scenario.when(again).refuses(Reason.NUMBER_OUT_OF_RANGE)
    assert refusal.message.startswith("measure.baseline ")


def test_a_count_is_a_number_of_record_too() -> None:
    endless = Count(unit="talks", of=10**28)
    drafted().when(add("kr-2", measure=endless)).refuses(Reason.NUMBER_OUT_OF_RANGE)


def test_a_weight_is_not_negative() -> None:
    drafted().when(add("kr-2", weight="-0.1")).refuses(Reason.WEIGHT_INVALID)
    lighter = ReweightKeyResult(key_result_id="kr", weight=Decimal(-1))
    drafted().when(lighter).refuses(Reason.WEIGHT_INVALID)
    drafted().given(ReweightKeyResult(key_result_id="kr", weight=Decimal(0)))


def test_a_key_result_belongs_to_an_objective_that_exists() -> None:
    drafted().when(add("kr-2", "none")).refuses(Reason.NOT_FOUND)


def test_adding_the_same_twice_does_nothing_and_another_is_refused() -> None:
    scenario = drafted()
    scenario.when(add("kr")).does_nothing()
    scenario.when(add("kr", owner="bob")).refuses(Reason.ID_TAKEN)
    scenario.when(draft("o")).does_nothing()
    scenario.when(draft("o", owner="bob")).refuses(Reason.ID_TAKEN)
