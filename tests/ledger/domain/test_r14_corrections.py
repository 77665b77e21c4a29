"""R14: nothing is edited or deleted: correct or retract, with a reason, naming the original."""

from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    CancelCycle,
    CloseCycle,
    CorrectCheckIn,
    GradeKeyResult,
    GradeObjective,
    LinkKeyResultToKpi,
    RecordRetrospective,
    RetractCheckIn,
    StartCycleGrading,
)
from goal_contracts.measures import Milestone
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import (
    POLICY,
    Scenario,
    check_in,
    decimal,
    kpi,
    running,
)

RETRACT = RetractCheckIn(key_result_id="kr", check_in_id="ci", reason="wrong goal")

JUDGED = (
    GradeKeyResult(key_result_id="kr"),
    GradeObjective(objective_id="o", outcome="missed"),
    RecordRetrospective(cycle_id="q1", learned="to count"),
)


def correct(value: int | str | None = 12, **said: Any) -> CorrectCheckIn:
    said.setdefault("reason", "a typing error")
    return CorrectCheckIn(key_result_id="kr", check_in_id="ci", value=decimal(value), **said)


def checked_in(policy: Policy = POLICY) -> Scenario:
    said = check_in(value=10, confidence=5, status="at_risk", note="slow")
    return running(policy).given(said).at("2025-02-20")


def counted(scenario: Scenario) -> Decimal | None:
    return scenario.state.counted_value(scenario.state.key_result("kr"))


def test_a_correction_carries_all_that_was_and_is() -> None:
    scenario = checked_in()
    corrected = scenario.when(correct(12, note="fast")).records(events.CheckInCorrected)
    assert (corrected.value_was, corrected.value) == (10, 12)
    assert (corrected.confidence_was, corrected.confidence) == (5, None)
    assert (corrected.status_was, corrected.status) == ("at_risk", None)
    assert (corrected.note_was, corrected.note) == ("slow", "fast")
    made = scenario.state.check_ins["kr", "ci"]
    assert corrected.effective_at == made.effective_at
    again = scenario.when(correct(12, confidence=7, status="on_track", note="fast"))
    said = again.records(events.CheckInCorrected)
    assert (said.confidence_was, said.confidence) == (None, 7)
    assert (said.status_was, said.status) == (None, "on_track")
    assert counted(scenario) == 12
    assert made.said.value == 10


def test_a_retraction_lets_the_one_before_count_again() -> None:
    scenario = running().given(check_in("before", 4, on="2025-02-03"), check_in("ci", 10))
    assert counted(scenario) == 10
    scenario.when(RETRACT).records(events.CheckInRetracted)
    assert counted(scenario) == 4


def test_both_need_a_reason() -> None:
    checked_in().when(correct(reason=None)).refuses(Reason.REASON_REQUIRED, rule="R14")
    retract = RetractCheckIn(key_result_id="kr", check_in_id="ci")
    checked_in().when(retract).refuses(Reason.REASON_REQUIRED, rule="R14")


def test_both_name_a_check_in_that_was_made() -> None:
    running().when(correct()).refuses(Reason.NOT_FOUND)
    running().when(RETRACT).refuses(Reason.NOT_FOUND)


def test_saying_the_same_again_corrects_nothing() -> None:
    scenario = checked_in().given(correct(12))
    scenario.when(correct("12.0")).does_nothing()
    scenario.when(check_in(value=10, confidence=5, status="at_risk", note="slow")).does_nothing()


def test_what_was_retracted_is_neither_corrected_nor_retracted_again() -> None:
    scenario = checked_in().given(RETRACT)
    scenario.when(correct()).refuses(Reason.ALREADY_RETRACTED)
    scenario.when(RETRACT).does_nothing()
    assert counted(scenario) is None


def test_a_correction_says_as_much_as_a_check_in() -> None:
    checked_in().when(correct(None)).refuses(Reason.NOTHING_SAID)
    noted = running(Policy(note_required=True)).given(check_in(note="slow"))
    noted.when(correct(12)).refuses(Reason.NOTE_REQUIRED)
    confident = running(Policy(confidence_required=True)).given(check_in(confidence=3))
    confident.when(correct(12)).refuses(Reason.CONFIDENCE_REQUIRED)
    milestone = running(Policy(), Milestone()).given(check_in(value=1))
    refusal = milestone.when(correct(2)).refuses(Reason.VALUE_DOES_NOT_FIT)
    assert (refusal.seen, refusal.accepted) == ("2", "1 or 0")


def test_anyone_may_correct_unless_the_policy_leaves_it_to_the_author() -> None:
    for command in (correct(), RETRACT):
        assert checked_in().when(command, by="bob").accepted()
        strict = checked_in(Policy(correction_by="author"))
        strict.when(command, by="bob").refuses(Reason.NOT_THE_AUTHOR)
        assert strict.when(command, by="ann").accepted()


@pytest.mark.parametrize("command", [correct(), RETRACT])
def test_the_window_is_measured_from_the_making(command: Any) -> None:
    in_time = checked_in(Policy(correction_window_days=10)).at("2025-02-20T12:00:00+00:00")
    assert in_time.when(command).accepted()
    late = checked_in(Policy(correction_window_days=10)).at("2025-02-20T12:00:00.000001+00:00")
    late.when(command).refuses(Reason.CORRECTION_WINDOW_OVER)


def test_corrections_are_taken_when_closed_or_cancelled_and_past_every_lock() -> None:
    cancelled = checked_in().given(CancelCycle(cycle_id="q1", reason="merger"))
    cancelled.given(correct(), RETRACT)
    locked = checked_in(Policy(update_lock_days=0, structure_lock_days=0)).at("2025-09-01")
    locked.given(correct(), RETRACT)


def test_a_closed_cycle_takes_corrections_and_keeps_its_scores() -> None:
    scenario = checked_in().at("2025-04-02").given(StartCycleGrading(cycle_id="q1"), *JUDGED)
    scenario.given(CloseCycle(cycle_id="q1"), correct(90))
    assert counted(scenario) == 90
    assert scenario.state.key_result("kr").score == Decimal("0.1")


def test_a_value_from_before_the_link_stays_when_the_rest_is_corrected() -> None:
    scenario = checked_in().given(
        kpi(unit="deals"),
        LinkKeyResultToKpi(
            key_result_id="kr", kpi_id="churn", baseline=Decimal(0), target=Decimal(100)
        ),
    )
    scenario.when(correct(12)).refuses(Reason.FOLLOWS_KPI)
    scenario.given(correct(10, note="slower"), correct(None, note="slowest"))


def test_ties_are_broken_by_position() -> None:
    scenario = running().given(check_in("a", 7), check_in("b", 3))
    assert counted(scenario) == 3
    scenario.given(
        CorrectCheckIn(
            key_result_id="kr", check_in_id="a", value=Decimal(8), reason="a typing error"
        )
    )
    assert counted(scenario) == 3


def test_one_without_a_value_leaves_the_value_before() -> None:
    scenario = running().given(check_in("a", 7, on="2025-02-03"), check_in("b", None, note="!"))
    assert counted(scenario) == 7
