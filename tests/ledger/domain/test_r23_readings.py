"""R23: one reading per KPI, period and source; another value is a correction."""

from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.commands import Command, CorrectReading, RecordMissedReading, RetractReading
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import POLICY, Scenario, company, day, kpi, reading

JANUARY = "2025-01-01/2025-01-31"
RETRACT = RetractReading(kpi_id="churn", period=JANUARY, reason="another team's")
MISSED = RecordMissedReading(kpi_id="churn", period=JANUARY)


def watched(policy: Policy = POLICY, zone: str = "UTC") -> Scenario:
    return company(policy, zone).given(kpi()).at("2025-02-10")


def correct(value: str = "6", **said: Any) -> CorrectReading:
    said.setdefault("reason", "restated by the source")
    said.setdefault("period", JANUARY)
    return CorrectReading(kpi_id="churn", value=Decimal(value), **said)


def test_a_reading_is_effective_at_the_end_of_its_period() -> None:
    scenario = watched(zone="Europe/Berlin")
    said = reading(numerator=Decimal(50), denominator=Decimal(1000), provenance="churn.csv:2")
    recorded = scenario.when(said).records(events.KpiReadingRecorded)
    assert recorded.effective_at == day("2025-01-31T22:59:59.999999+00:00")
    assert (recorded.value, recorded.numerator, recorded.denominator) == (5, 50, 1000)
    assert (recorded.source, recorded.definition_version) == ("billing", 1)
    assert recorded.provenance == "churn.csv:2"


def test_the_same_value_again_records_nothing() -> None:
    scenario = watched().given(reading(value="5"))
    scenario.when(reading(value="5.00")).does_nothing()
    scenario.when(reading(value="5", source="billing")).does_nothing()


@pytest.mark.parametrize(
    "other", [reading(value=6), reading(numerator=Decimal(1)), reading(denominator=Decimal(1))]
)
def test_another_value_is_refused(other: Any) -> None:
    watched().given(reading()).when(other).refuses(Reason.READING_EXISTS)


def test_another_source_or_period_is_another_reading() -> None:
    scenario = watched().given(reading(), reading(value=6, source="survey"))
    scenario.given(reading("2025-01-01/2025-01-30", 6))


@pytest.mark.parametrize("period", ["2025-01-31/2025-01-01", "2025-02-01/2025-02-30"])
def test_a_period_is_a_period(period: str) -> None:
    about: tuple[Command, ...] = (
        reading(period),
        correct(period=period),
        RetractReading(kpi_id="churn", period=period),
        RecordMissedReading(kpi_id="churn", period=period),
    )
    for command in about:
        watched().when(command).refuses(Reason.PERIOD_INVALID)


def test_a_period_counts_once_it_is_over() -> None:
    early = watched(zone="America/New_York").at("2025-02-01T04:59:59.999998+00:00")
    early.when(reading()).refuses(Reason.EFFECTIVE_IN_FUTURE)
    early.when(MISSED).refuses(Reason.EFFECTIVE_IN_FUTURE)
    over = watched(zone="America/New_York").at("2025-02-01T04:59:59.999999+00:00")
    over.given(reading())


def test_a_kpi_exists() -> None:
    watched().when(reading(kpi_id="none")).refuses(Reason.NOT_FOUND)


@pytest.mark.parametrize(
    "said", [{"value": "NaN"}, {"numerator": Decimal("1e30")}, {"denominator": Decimal("1e-30")}]
)
def test_its_numbers_are_numbers_of_record(said: dict[str, Any]) -> None:
    watched().when(reading(**said)).refuses(Reason.NUMBER_OUT_OF_RANGE)
    said = {"value": "6"} | said
    watched().given(reading()).when(correct(**said)).refuses(Reason.NUMBER_OUT_OF_RANGE)


def test_a_correction_carries_what_was_and_is() -> None:
    scenario = watched().given(reading(numerator=Decimal(50), denominator=Decimal(1000)))
    said = correct("6", numerator=Decimal(60), denominator=Decimal(1001), provenance="v2.csv:2")
    corrected = scenario.when(said).records(events.KpiReadingCorrected)
    assert (corrected.value_was, corrected.value) == (5, 6)
    assert (corrected.numerator_was, corrected.numerator) == (50, 60)
    assert (corrected.denominator_was, corrected.denominator) == (1000, 1001)
    assert corrected.provenance == "v2.csv:2"
    scenario.when(said).does_nothing()
    scenario.when(reading("2025-01-01/2025-01-31", 6)).refuses(Reason.READING_EXISTS)


def test_only_a_recorded_reading_is_corrected_or_retracted() -> None:
    for command in (correct(), RETRACT, correct(source="survey")):
        watched().when(command).refuses(Reason.NOT_FOUND)
        watched().at("2025-02-11").given(MISSED).when(command).refuses(Reason.NOT_FOUND)


def test_correcting_and_retracting_need_a_reason() -> None:
    scenario = watched().given(reading())
    scenario.when(correct(reason=None)).refuses(Reason.REASON_REQUIRED, rule="R14")
    retract = RetractReading(kpi_id="churn", period=JANUARY)
    scenario.when(retract).refuses(Reason.REASON_REQUIRED, rule="R14")


def test_a_retracted_reading_may_be_recorded_anew() -> None:
    scenario = watched().given(reading())
    assert scenario.when(RETRACT).records(events.KpiReadingRetracted).value_was == 5
    scenario.when(RETRACT).does_nothing()
    refusal = scenario.when(correct()).refuses(Reason.ALREADY_RETRACTED)
    assert refusal.accepted == "RecordReading"
    scenario.when(reading(value=7)).records(events.KpiReadingRecorded)
    scenario.given(correct("8"), RETRACT)


@pytest.mark.parametrize("command", [correct(), RETRACT])
def test_restating_is_possible_for_so_many_days_after_the_period(command: Any) -> None:
    policy = Policy(restatement_window_days=28)
    in_time = watched(policy).given(reading()).at("2025-02-28T23:59:59.999999+00:00")
    assert in_time.when(command).accepted()
    late = watched(policy).given(reading()).at("2025-03-01T00:00:00+00:00")
    late.when(command).refuses(Reason.RESTATEMENT_WINDOW_OVER)


def test_without_a_window_it_is_always_possible() -> None:
    watched().given(reading()).at("2035-01-01").given(correct())


def test_a_period_without_a_reading_was_missed() -> None:
    scenario = watched().at("2025-02-11")
    missed = scenario.when(MISSED).records(events.KpiReadingMissed)
    assert (missed.source, missed.effective_at.day) == ("billing", 31)
    scenario.when(MISSED).does_nothing()
    scenario.given(reading())
    refusal = scenario.when(MISSED).refuses(Reason.READING_EXISTS)
    assert (refusal.seen, refusal.accepted) == ("missed", "5, or CorrectReading")


def test_one_whose_reading_was_retracted_was_missed_too() -> None:
    watched().at("2025-02-11").given(reading(), RETRACT).when(MISSED).records(
        events.KpiReadingMissed
    )
