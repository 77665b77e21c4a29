"""R24: a reading that crosses a band changes the health; what stays in breach gets one review."""

from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import commands, events
from goal_contracts.commands import (
    CloseKpiReview,
    CorrectReading,
    OpenKpiReview,
    RecordMissedReading,
    RecordReadings,
    RedefineKpi,
    RetargetKpi,
    RetireKpi,
    RetractReading,
)
from goal_contracts.events import Band, KpiBands, KpiHealthChanged, KpiReviewOpened
from goal_contracts.fields import KpiHealth
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import (
    POLICY,
    Scenario,
    closed,
    company,
    day,
    definition,
    drafted,
    kpi,
    planned,
    reading,
)

JANUARY, FEBRUARY, MARCH = (
    "2025-01-01/2025-01-31",
    "2025-02-01/2025-02-28",
    "2025-03-01/2025-03-31",
)
APRIL, MAY = "2025-04-01/2025-04-30", "2025-05-01/2025-05-31"
BANDS = KpiBands(
    healthy=Band(low=Decimal(1), high=Decimal(3)), warning=Band(low=Decimal(0), high=Decimal(5))
)
GOOD, POOR, BAD = 2, 4, 9
RECORDED, CORRECTED, RETRACTED = (
    events.KpiReadingRecorded,
    events.KpiReadingCorrected,
    events.KpiReadingRetracted,
)


def watched(policy: Policy = POLICY, **changes: Any) -> Scenario:
    return company(policy).given(kpi(**{"bands": BANDS} | changes)).at("2025-08-15")


def correct(period: str, value: int) -> CorrectReading:
    return CorrectReading(kpi_id="churn", period=period, value=Decimal(value), reason="restated")


def retract(period: str) -> RetractReading:
    return RetractReading(kpi_id="churn", period=period, reason="another team's")


def close(review_id: str, decision: Any = "fix", **said: Any) -> CloseKpiReview:
    return CloseKpiReview(kpi_id="churn", review_id=review_id, decision=decision, **said)


@pytest.mark.parametrize(
    ("value", "health"),
    [
        ("1", "healthy"),
        ("3", "healthy"),
        ("3.0001", "warning"),
        ("0.9999", "warning"),
        ("0", "warning"),
        ("5", "warning"),
        ("5.0001", "breach"),
        ("-0.0001", "breach"),
    ],
)
def test_the_ends_of_a_band_belong_to_it(value: str, health: KpiHealth) -> None:
    changed = watched().when(reading(value=value)).accepted()[1]
    assert isinstance(changed, KpiHealthChanged)
    assert (changed.health_was, changed.health, changed.period) == ("no_data", health, JANUARY)
    assert changed.effective_at == day("2025-01-31T23:59:59.999999+00:00")


def test_a_band_that_is_open_on_a_side_has_no_end_there() -> None:
    bands = KpiBands(healthy=Band(high=Decimal(3)), warning=Band(low=Decimal(100)))
    for value, health in ((-1000, "healthy"), (50, "breach"), (1000, "warning")):
        scenario = watched(bands=bands).given(reading(value=value))
        assert scenario.state.kpi("churn").health == health


def test_the_same_health_again_is_no_event() -> None:
    scenario = watched().given(reading(JANUARY, GOOD))
    scenario.when(reading(FEBRUARY, 3)).records(RECORDED)
    changed = scenario.when(reading(MARCH, POOR)).records(RECORDED, KpiHealthChanged)[1]
    assert (changed.health_was, changed.health) == ("healthy", "warning")


def test_without_bands_there_is_no_health() -> None:
    watched(bands=None).when(reading(value=BAD)).records(RECORDED)


def test_only_the_reading_that_counts_is_judged() -> None:
    scenario = watched().given(reading(FEBRUARY, GOOD))
    scenario.when(reading(JANUARY, BAD)).records(RECORDED)
    scenario.when(correct(JANUARY, POOR)).records(CORRECTED)
    scenario.when(retract(JANUARY)).records(RETRACTED)


def test_of_two_sources_the_one_recorded_last_counts() -> None:
    scenario = watched().given(reading(JANUARY, GOOD))
    changed = scenario.when(reading(JANUARY, POOR, source="survey")).accepted()[1]
    assert isinstance(changed, KpiHealthChanged)
    scenario.when(correct(JANUARY, 3)).records(CORRECTED)
    back = RetractReading(kpi_id="churn", period=JANUARY, source="survey", reason="a guess")
    assert scenario.when(back).records(RETRACTED, KpiHealthChanged)[1].health == "healthy"
    named_before = watched().given(reading(JANUARY, GOOD))
    changed = named_before.when(reading(JANUARY, POOR, source="audit")).accepted()[1]
    assert isinstance(changed, KpiHealthChanged)


def test_a_correction_changes_the_health() -> None:
    scenario = watched().given(reading(JANUARY, GOOD))
    corrected = scenario.when(correct(JANUARY, POOR)).records(CORRECTED, KpiHealthChanged)
    assert corrected[1].health == "warning"


def test_after_a_retraction_the_reading_before_counts() -> None:
    scenario = watched().given(reading(JANUARY, POOR), reading(FEBRUARY, GOOD))
    changed = scenario.when(retract(FEBRUARY)).records(RETRACTED, KpiHealthChanged)[1]
    assert (changed.health, changed.period) == ("warning", JANUARY)
    assert changed.effective_at == day("2025-01-31T23:59:59.999999+00:00")
    gone = scenario.when(retract(JANUARY)).records(RETRACTED, KpiHealthChanged)[1]
    assert (gone.health, gone.period) == ("no_data", None)
    assert gone.effective_at == day("2025-01-31T23:59:59.999999+00:00")


def test_a_reading_is_judged_by_the_bands_it_was_recorded_under() -> None:
    wider = KpiBands(healthy=Band(high=Decimal(10)), warning=Band())
    scenario = watched().given(reading(JANUARY, POOR))
    retarget = RetargetKpi(kpi_id="churn", effective_on=day("2025-01-15").date(), bands=wider)
    scenario.when(retarget).records(events.KpiRetargeted)
    scenario.when(correct(JANUARY, 5)).records(CORRECTED)
    assert scenario.state.kpi("churn").health == "warning"
    scenario.when(reading(FEBRUARY, POOR)).records(RECORDED, KpiHealthChanged)
    assert scenario.state.kpi("churn").health == "healthy"
    unbanded = RedefineKpi(
        kpi_id="churn", definition=definition(), effective_on=day("2025-03-01").date()
    )
    scenario.given(unbanded)
    changed = scenario.when(reading(MARCH, POOR)).records(RECORDED, KpiHealthChanged)[1]
    assert changed.health == "no_data"


def test_a_missed_reading_says_nothing_until_a_later_one_comes() -> None:
    scenario = watched().given(reading(JANUARY, GOOD))
    missed = RecordMissedReading(kpi_id="churn", period=FEBRUARY)
    changed = scenario.when(missed).records(events.KpiReadingMissed, KpiHealthChanged)[1]
    assert (changed.health_was, changed.health, changed.period) == ("healthy", "no_data", FEBRUARY)
    late = scenario.when(reading(FEBRUARY, GOOD)).records(RECORDED, KpiHealthChanged)[1]
    assert late.health == "healthy"
    scenario.when(retract(FEBRUARY)).records(RETRACTED, KpiHealthChanged)
    assert scenario.state.kpi("churn").health == "no_data"


def test_without_any_reading_a_missed_one_changes_nothing() -> None:
    scenario = watched()
    scenario.when(RecordMissedReading(kpi_id="churn", period=JANUARY)).records(
        events.KpiReadingMissed
    )
    assert scenario.state.kpi("churn").health == "no_data"


def test_one_missed_further_back_changes_nothing() -> None:
    scenario = watched().given(reading(FEBRUARY, GOOD))
    scenario.when(RecordMissedReading(kpi_id="churn", period=JANUARY)).records(
        events.KpiReadingMissed
    )


def test_one_missed_from_one_source_and_read_from_another_was_read() -> None:
    scenario = watched().given(reading(JANUARY, GOOD, source="survey"))
    scenario.when(RecordMissedReading(kpi_id="churn", period=JANUARY)).records(
        events.KpiReadingMissed
    )


# ------------------------------------------------------------------------------------- reviews


def test_a_breach_opens_a_review_for_its_owner() -> None:
    answer = watched().when(reading(JANUARY, BAD))
    _, _, opened = answer.records(RECORDED, KpiHealthChanged, KpiReviewOpened)
    assert (opened.review_id, opened.owner) == ("breach-2025-01-31", "ann")
    assert opened.due_on == day("2025-08-29").date()
    assert opened.reason == "the reading 2025-01-01/2025-01-31 is in breach: 9 %"


def test_its_due_day_is_counted_in_the_zone() -> None:
    policy = Policy(review_due_days=0)
    scenario = company(policy, "Pacific/Auckland").given(kpi(bands=BANDS))
    opened = scenario.at("2025-08-14T12:00:00+00:00").when(reading(value=BAD)).accepted()[2]
    assert isinstance(opened, KpiReviewOpened)
    assert opened.due_on == day("2025-08-15").date()


def test_a_breach_has_one_review_until_it_is_over() -> None:
    scenario = watched().given(reading(JANUARY, BAD))
    scenario.when(reading(FEBRUARY, BAD)).records(RECORDED)
    scenario.given(close("breach-2025-01-31"))
    scenario.when(reading(MARCH, BAD)).records(RECORDED)
    scenario.when(correct(MARCH, 10)).records(CORRECTED)
    scenario.when(reading(APRIL, GOOD)).records(RECORDED, KpiHealthChanged)
    scenario.when(reading(MAY, BAD)).records(RECORDED, KpiHealthChanged, KpiReviewOpened)
    assert ("churn", "breach-2025-05-31") in scenario.state.reviews


def test_while_a_review_is_open_no_other_is_opened() -> None:
    opened = OpenKpiReview(
        kpi_id="churn", review_id="r", owner="ann", due_on=day("2025-09-01").date()
    )
    scenario = watched().given(opened)
    scenario.when(reading(JANUARY, BAD)).records(RECORDED, KpiHealthChanged)
    scenario.given(close("r"))
    scenario.when(reading(FEBRUARY, BAD)).records(RECORDED)


def test_a_review_that_was_closed_before_the_breach_does_not_cover_it() -> None:
    opened = OpenKpiReview(
        kpi_id="churn", review_id="r", owner="ann", due_on=day("2025-09-01").date()
    )
    scenario = watched().given(opened, close("r"))
    scenario.when(reading(JANUARY, BAD)).records(RECORDED, KpiHealthChanged, KpiReviewOpened)


def test_an_id_that_is_taken_is_numbered() -> None:
    scenario = watched().given(reading(JANUARY, BAD), close("breach-2025-01-31"))
    scenario.given(correct(JANUARY, GOOD))
    opened = scenario.when(correct(JANUARY, BAD)).accepted()[2]
    assert isinstance(opened, KpiReviewOpened)
    assert opened.review_id == "breach-2025-01-31-2"


def test_the_policy_says_how_many_in_a_row() -> None:
    scenario = watched(Policy(breach_runs=3))
    scenario.when(reading(JANUARY, BAD)).records(RECORDED, KpiHealthChanged)
    scenario.when(reading(FEBRUARY, BAD)).records(RECORDED)
    opened = scenario.when(reading(MARCH, BAD)).records(RECORDED, KpiReviewOpened)[1]
    assert opened.review_id == "breach-2025-03-31"
    assert opened.reason == f"the reading {MARCH} is in breach, the last of 3: 9 %"


def test_a_row_is_counted_by_period_and_not_by_arrival() -> None:
    scenario = watched(Policy(breach_runs=2)).given(reading(MARCH, BAD), reading(JANUARY, BAD))
    assert scenario.state.reviews
    broken = watched(Policy(breach_runs=2)).given(reading(JANUARY, BAD), reading(FEBRUARY, POOR))
    broken.when(reading(MARCH, BAD)).records(RECORDED, KpiHealthChanged)
    broken.when(correct(FEBRUARY, BAD)).records(CORRECTED, KpiReviewOpened)


def test_two_sources_of_one_period_are_one_in_the_row() -> None:
    scenario = watched(Policy(breach_runs=2)).given(reading(JANUARY, BAD))
    scenario.when(reading(JANUARY, 10, source="survey")).records(RECORDED)


def test_a_missed_period_breaks_the_row() -> None:
    scenario = watched(Policy(breach_runs=2)).given(reading(JANUARY, BAD))
    scenario.given(RecordMissedReading(kpi_id="churn", period=FEBRUARY))
    scenario.when(reading(MARCH, BAD)).records(RECORDED, KpiHealthChanged)
    scenario.when(reading(FEBRUARY, BAD)).records(RECORDED, KpiReviewOpened)


def test_many_at_once_are_judged_one_after_the_other() -> None:
    many = RecordReadings(readings=(reading(JANUARY, GOOD), reading(FEBRUARY, BAD)))
    watched().when(many).records(
        RECORDED, KpiHealthChanged, RECORDED, KpiHealthChanged, KpiReviewOpened
    )


def test_a_retired_kpi_is_judged_and_asks_for_no_look() -> None:
    scenario = watched().given(reading(JANUARY, GOOD), RetireKpi(kpi_id="churn"))
    scenario.when(correct(JANUARY, BAD)).records(CORRECTED, KpiHealthChanged)


def test_an_import_is_judged_as_of_its_own_date() -> None:
    start = commands.StartHistoryImport(import_id="i", source="s", digest="d")
    scenario = planned().given(start)
    scenario.at("2025-02-03").given(kpi(bands=BANDS), import_id="i")
    opened = scenario.when(reading(JANUARY, BAD), import_id="i").accepted()[2]
    assert isinstance(opened, KpiReviewOpened)
    assert opened.due_on == day("2025-02-17").date()


def test_a_recovery_objective_is_still_pursued() -> None:
    def breached(scenario: Scenario) -> Scenario:
        return scenario.given(kpi(bands=BANDS)).at("2025-08-15").given(reading(value=BAD))

    decided = close("breach-2025-01-31", "recovery_objective", objective_id="o")
    breached(drafted()).given(decided)
    dropped = drafted().given(commands.DropObjective(objective_id="o", reason="no"))
    breached(dropped).when(decided).refuses(Reason.GOAL_ENDED)
    breached(closed()).when(decided).refuses(Reason.REVIEW_INVALID, rule="R24")
    cancelled = drafted().given(commands.CancelCycle(cycle_id="q1", reason="no"))
    breached(cancelled).when(decided).refuses(Reason.REVIEW_INVALID, rule="R24")
