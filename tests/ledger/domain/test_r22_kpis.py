"""R22: a KPI's definition has versions with a day; a reading keeps the one it was judged by."""

from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    CloseKpiReview,
    CorrectReading,
    OpenKpiReview,
    ReassignKpi,
    RecordMissedReading,
    RedefineKpi,
    RetargetKpi,
    RetireKpi,
)
from goal_contracts.events import Band, KpiBands
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import (
    Scenario,
    company,
    day,
    definition,
    drafted,
    kpi,
    reading,
)

RETIRE = RetireKpi(kpi_id="churn", reason="nobody looks")
BANDS = KpiBands(healthy=Band(high=Decimal(3)), warning=Band(low=Decimal(3), high=Decimal(5)))


def watched(**changes: Any) -> Scenario:
    return company().given(kpi(**changes)).at("2025-08-15")


def redefine(on: str, **changes: Any) -> RedefineKpi:
    return RedefineKpi(
        kpi_id="churn", definition=definition(**changes), effective_on=day(on).date()
    )


def retarget(on: str = "2025-03-01", **changes: Any) -> RetargetKpi:
    return RetargetKpi(kpi_id="churn", effective_on=day(on).date(), **changes)


def test_a_kpi_is_defined_once() -> None:
    scenario = company()
    scenario.when(kpi()).records(events.KpiDefined)
    scenario.when(kpi()).does_nothing()
    scenario.when(kpi(unit="per mille")).refuses(Reason.ID_TAKEN)


def test_a_redefinition_is_the_next_version_from_its_day() -> None:
    scenario = watched()
    redefined = scenario.when(redefine("2025-03-01", unit="per mille"))
    event = redefined.records(events.KpiRedefined)
    assert (event.version, event.definition_was.unit, event.definition.unit) == (
        2,
        "%",
        "per mille",
    )
    scenario.when(redefine("2025-04-01", unit="per mille")).does_nothing()
    third = scenario.when(redefine("2025-04-01")).records(events.KpiRedefined)
    assert third.version == 3


def test_versions_follow_each_other_in_time() -> None:
    scenario = watched().given(redefine("2025-03-01", unit="per mille"))
    scenario.when(redefine("2025-03-01")).refuses(Reason.DEFINITION_INVALID)
    scenario.when(redefine("2025-02-28")).refuses(Reason.DEFINITION_INVALID)
    scenario.when(retarget("2025-03-01", target=Decimal(3))).refuses(Reason.DEFINITION_INVALID)
    scenario.given(redefine("2025-03-02"))
    scenario.when(redefine("3000-01-01", name="x")).refuses(Reason.DEFINITION_INVALID)


def test_a_reading_keeps_the_version_in_force_on_its_last_day() -> None:
    scenario = watched().given(redefine("2025-03-01", source="warehouse"))
    before = reading("2025-02-01/2025-02-28")
    recorded = scenario.when(before).records(events.KpiReadingRecorded)
    assert (recorded.definition_version, recorded.source) == (1, "billing")
    from_then = scenario.when(reading("2025-02-02/2025-03-01")).records(events.KpiReadingRecorded)
    assert (from_then.definition_version, from_then.source) == (2, "warehouse")
    correct = CorrectReading(
        kpi_id="churn", period="2025-02-01/2025-02-28", value=Decimal(9), reason="restated"
    )
    scenario.given(redefine("2025-03-02", description="late"))
    corrected = scenario.when(correct).records(events.KpiReadingCorrected)
    assert corrected.definition_version == 1
    scenario.given(redefine("2025-03-03", description="later"))
    second = reading("2025-02-03/2025-03-01")
    assert scenario.when(second).records(events.KpiReadingRecorded).definition_version == 2


def test_retargeting_leaves_what_is_not_given() -> None:
    scenario = watched(target=Decimal(4), bands=BANDS)
    retargeted = scenario.when(retarget(target=Decimal(3))).records(events.KpiRetargeted)
    assert (retargeted.version, retargeted.target_was, retargeted.target) == (2, 4, 3)
    assert retargeted.bands == BANDS
    assert scenario.state.kpi("churn").definition == definition(target=Decimal(3), bands=BANDS)
    scenario.when(retarget(target=Decimal("3.0"))).does_nothing()
    scenario.when(retarget()).does_nothing()
    wider = KpiBands(healthy=Band(high=Decimal(4)), warning=Band(high=Decimal(6)))
    rebanded = scenario.when(retarget("2025-04-01", bands=wider)).records(events.KpiRetargeted)
    assert (rebanded.target, rebanded.bands_was, rebanded.bands) == (3, BANDS, wider)


@pytest.mark.parametrize(
    "bands",
    [
        KpiBands(healthy=Band(low=Decimal(4), high=Decimal(3)), warning=Band()),
        KpiBands(healthy=Band(), warning=Band(low=Decimal(4), high=Decimal(3))),
    ],
)
def test_a_band_is_not_empty(bands: KpiBands) -> None:
    refusal = company().when(kpi(bands=bands)).refuses(Reason.DEFINITION_INVALID)
    which = "warning" if bands.healthy.low is None else "healthy"
    assert refusal.message == f"the {which} band is empty"
    watched().when(retarget(bands=bands)).refuses(Reason.DEFINITION_INVALID)
    watched().when(redefine("2025-03-01", bands=bands)).refuses(Reason.DEFINITION_INVALID)


def test_a_band_may_be_one_number() -> None:
    company().given(
        kpi(bands=KpiBands(healthy=Band(low=Decimal(3), high=Decimal(3)), warning=Band()))
    )


def test_targets_and_bands_are_numbers_of_record() -> None:
    company().when(kpi(target=Decimal("1e30"))).refuses(Reason.NUMBER_OUT_OF_RANGE)
    endless = KpiBands(healthy=Band(low=Decimal("NaN")), warning=Band())
    company().when(kpi(bands=endless)).refuses(Reason.NUMBER_OUT_OF_RANGE)


def test_a_retired_kpi_takes_no_readings_and_no_definitions() -> None:
    scenario = watched().given(reading(), RETIRE)
    scenario.when(RETIRE).does_nothing()
    scenario.when(reading("2025-02-01/2025-02-28")).refuses(Reason.KPI_RETIRED)
    missed = RecordMissedReading(kpi_id="churn", period="2025-02-01/2025-02-28")
    scenario.when(missed).refuses(Reason.KPI_RETIRED)
    scenario.when(redefine("2025-03-01", unit="x")).refuses(Reason.KPI_RETIRED)
    refusal = scenario.when(retarget(target=Decimal(3))).refuses(Reason.KPI_RETIRED)
    assert refusal.seen == "retired"
    scenario.when(OPEN).refuses(Reason.KPI_RETIRED)


def test_a_retired_kpi_takes_corrections_and_another_owner() -> None:
    scenario = watched().given(reading(), RETIRE)
    scenario.when(reading()).does_nothing()
    scenario.given(
        CorrectReading(
            kpi_id="churn", period="2025-01-01/2025-01-31", value=Decimal(6), reason="restated"
        ),
        ReassignKpi(kpi_id="churn", owner="bob"),
    )


def test_reassigning_carries_old_and_new() -> None:
    scenario = watched()
    changed = scenario.when(ReassignKpi(kpi_id="churn", owner="bob", unit_id="ops")).records(
        events.KpiReassigned
    )
    assert (changed.owner_was, changed.owner) == ("ann", "bob")
    assert (changed.unit_id_was, changed.unit_id) == ("sales", "ops")
    scenario.when(ReassignKpi(kpi_id="churn")).does_nothing()
    scenario.given(ReassignKpi(kpi_id="churn", unit_id="co"))


OPEN = OpenKpiReview(
    kpi_id="churn", review_id="r", owner="ann", due_on=day("2025-08-15").date(), reason="breach"
)


def close(decision: Any, **said: Any) -> CloseKpiReview:
    return CloseKpiReview(kpi_id="churn", review_id="r", decision=decision, **said)


def test_a_review_is_opened_once_and_not_due_in_the_past() -> None:
    scenario = watched()
    scenario.when(OPEN).records(events.KpiReviewOpened)
    scenario.when(OPEN).does_nothing()
    other = OpenKpiReview(
        kpi_id="churn", review_id="r", owner="bob", due_on=day("2025-08-15").date()
    )
    scenario.when(other).refuses(Reason.ID_TAKEN)
    scenario.at("2025-08-16")
    late = OpenKpiReview(
        kpi_id="churn", review_id="s", owner="ann", due_on=day("2025-08-15").date()
    )
    scenario.when(late).refuses(Reason.REVIEW_INVALID)


def test_a_review_ends_with_a_decision() -> None:
    watched().when(close("fix")).refuses(Reason.NOT_FOUND)
    watched().given(OPEN).when(close("fix")).records(events.KpiReviewClosed)
    accepting = watched().given(OPEN)
    accepting.when(close("accept")).refuses(Reason.REASON_REQUIRED, rule="R24")
    accepting.given(close("accept", reason="a known effect"))


def test_a_recovery_objective_is_named_and_exists() -> None:
    def reviewed() -> Scenario:
        return drafted(Policy()).given(kpi(), OPEN)

    unnamed = reviewed().when(close("recovery_objective")).refuses(Reason.REVIEW_INVALID)
    assert unnamed.seen == "recovery_objective, no objective"
    named = reviewed().when(close("fix", objective_id="o")).refuses(Reason.REVIEW_INVALID)
    assert named.seen == "fix, o"
    unknown = close("recovery_objective", objective_id="none")
    reviewed().when(unknown).refuses(Reason.NOT_FOUND)
    reviewed().given(close("recovery_objective", objective_id="o"))


def test_a_closed_review_stays_as_it_was_decided() -> None:
    scenario = watched().given(OPEN, close("fix"))
    scenario.when(close("fix")).does_nothing()
    scenario.when(close("accept", reason="after all")).refuses(Reason.REVIEW_INVALID)
