"""R16: the computed score in steps of 0.01; adjusted only with a reason, both kept."""

from decimal import ROUND_UP, Decimal, localcontext
from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    CancelCycle,
    ChangePolicy,
    DropKeyResult,
    DropObjective,
    GradeKeyResult,
    GradeObjective,
    PublishObjective,
    ReweightKeyResult,
    StartCycleGrading,
    WaiveKeyResult,
)
from goal_contracts.measures import FourPointMetric, Maintain, Measure, Metric, Milestone
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import (
    POLICY,
    Scenario,
    add,
    check_in,
    closed,
    decimal,
    draft,
    drafted,
    in_grading,
    reopened,
    running,
)

WAIVE = WaiveKeyResult(key_result_id="kr", reason="the tool was switched off")


def grade(score: str | None = None, key_result_id: str = "kr", **said: Any) -> GradeKeyResult:
    return GradeKeyResult(key_result_id=key_result_id, score=decimal(score), **said)


def judge(outcome: Any = "partial", score: str | None = None, **said: Any) -> GradeObjective:
    return GradeObjective(objective_id="o", outcome=outcome, score=decimal(score), **said)


def reached(value: str, policy: Policy = POLICY) -> Scenario:
    """In grading, with the metric from 0 to 100 at `value`."""
    scenario = running(policy).given(check_in(value=value)).at("2025-04-02")
    return scenario.given(StartCycleGrading(cycle_id="q1"))


@pytest.mark.parametrize(
    ("value", "score"),
    [("0", "0"), ("37", "0.37"), ("37.5", "0.38"), ("36.5", "0.36"), ("100", "1"), ("150", "1")],
)
def test_without_a_score_the_computed_one_is_taken(value: str, score: str) -> None:
    graded = reached(value).when(grade()).records(events.KeyResultGraded)
    assert (graded.score, graded.score_computed) == (Decimal(score), Decimal(score))


@pytest.mark.parametrize(
    ("measure", "value", "score"),
    [
        (Metric(unit="days", baseline=Decimal(9), target=Decimal(3)), "6", "0.5"),
        (Milestone(), "1", "1"),
        (
            FourPointMetric(
                unit="n",
                baseline=Decimal(0),
                commit=Decimal(3),
                target=Decimal(7),
                stretch=Decimal(10),
            ),
            "7",
            "0.7",
        ),
    ],
)
def test_every_measure_has_its_own_arithmetic(measure: Measure, value: str, score: str) -> None:
    scenario = running(Policy(), measure).given(check_in(value=value)).at("2025-04-02")
    scenario.given(StartCycleGrading(cycle_id="q1"))
    assert scenario.when(grade()).records(events.KeyResultGraded).score == Decimal(score)


def test_nothing_checked_in_computes_to_0() -> None:
    assert in_grading().when(grade()).records(events.KeyResultGraded).score == 0


def test_another_score_needs_a_reason_and_both_are_kept() -> None:
    reached("37").when(grade("0.5")).refuses(Reason.REASON_REQUIRED, rule="R16")
    adjusted = reached("37").when(grade("0.5", reason="a late deal"))
    graded = adjusted.records(events.KeyResultGraded)
    assert (graded.score, graded.score_computed) == (Decimal("0.5"), Decimal("0.37"))
    whole = reached("37").when(grade("1", reason="a late deal"))
    assert whole.records(events.KeyResultGraded).score == 1
    assert reached("37").when(grade("0.370")).records(events.KeyResultGraded)


def test_where_scores_are_not_adjustable_only_the_computed_one_is_taken() -> None:
    scenario = reached("37", Policy(grade_adjustable=False))
    refusal = scenario.when(grade("0.5", reason="luck")).refuses(Reason.SCORE_NOT_ADJUSTABLE)
    assert refusal.accepted == "0.37"
    scenario.given(grade("0.37"))


@pytest.mark.parametrize("score", ["-0.01", "1.01", "0.005", "0.333"])
def test_a_score_lies_between_0_and_1_in_steps(score: str) -> None:
    reached("37").when(grade(score, reason="luck")).refuses(Reason.SCORE_INVALID)
    reached("37").given(grade()).when(judge(score=score)).refuses(Reason.SCORE_INVALID)


def test_a_score_is_a_number_of_record() -> None:
    reached("37").when(grade("NaN")).refuses(Reason.NUMBER_OUT_OF_RANGE)


def maintaining(
    policy: Policy, *values: tuple[str, int], counted_by: Any = "check_ins"
) -> Scenario:
    """q1 with a `kr` that is to stay at 99 or more, and what was checked in by day."""
    scenario = running(policy, Maintain(unit="%", lower=Decimal(99), counted_by=counted_by))
    for day, value in values:
        scenario.at(day).given(check_in(day, value))
    return scenario.at("2025-04-02").given(StartCycleGrading(cycle_id="q1"))


BIWEEKLY = Policy(cadence="biweekly")
"""Seven periods in q1: from 1, 15, 29 January, 12, 26 February, 12 and 26 March, that of 6 days."""


def test_what_is_maintained_is_graded_by_the_check_ins_that_were_due() -> None:
    met = ("2025-02-12", 99), ("2025-02-26", 100), ("2025-03-26", 99)
    graded = maintaining(BIWEEKLY, *met).when(grade()).records(events.KeyResultGraded)
    assert graded.score_computed == Decimal("0.43"), "3 of 7"
    failed = maintaining(BIWEEKLY, *met, ("2025-03-27", 98))
    assert failed.when(grade()).records(events.KeyResultGraded).score == Decimal("0.29"), "2 of 7"


def test_a_maintained_one_that_nobody_checked_in_on_was_not_met() -> None:
    graded = maintaining(BIWEEKLY).when(grade()).records(events.KeyResultGraded)
    assert (graded.score, graded.score_computed) == (Decimal(0), Decimal(0))


def test_what_is_maintained_is_graded_under_the_cadence_the_cycle_pinned() -> None:
    scenario = maintaining(Policy(cadence="monthly"), ("2025-03-01", 99))
    scenario.given(ChangePolicy(policy=BIWEEKLY))
    assert scenario.when(grade()).records(events.KeyResultGraded).score == Decimal("0.33")


def test_what_is_maintained_may_be_graded_by_time() -> None:
    # Inside from noon of 14 February to noon of 28 March: 42 of 90 days.
    scenario = maintaining(
        Policy(), ("2025-02-14", 99), ("2025-02-20", 100), ("2025-03-28", 98), counted_by="time"
    )
    assert scenario.when(grade()).records(events.KeyResultGraded).score == Decimal("0.47")


def test_a_check_in_without_a_value_says_nothing_about_what_is_maintained() -> None:
    scenario = maintaining(BIWEEKLY, ("2025-03-26", 99))
    scenario.given(check_in("later", None, on="2025-03-30", note="quiet"))
    assert scenario.when(grade()).records(events.KeyResultGraded).score == Decimal("0.14")


def test_before_anything_was_due_what_is_maintained_needs_a_score() -> None:
    scenario = drafted(Policy(), Maintain(unit="%", lower=Decimal(99))).at("2025-01-07")
    scenario.given(PublishObjective(objective_id="o"), ActivateCycle(cycle_id="q1"))
    scenario.given(check_in(value=100), StartCycleGrading(cycle_id="q1"))
    assert scenario.when(grade()).refuses(Reason.SCORE_INVALID).seen == "none"
    graded = scenario.when(grade("0.9")).records(events.KeyResultGraded)
    assert (graded.score, graded.score_computed) == (Decimal("0.9"), None)
    scenario.at("2025-01-08T00:00:00+00:00")
    assert scenario.when(grade()).records(events.KeyResultGraded).score_computed == 1


def test_the_owner_may_grade_unless_the_policy_says_no() -> None:
    reached("37").given(grade(), judge(), by="ann")
    strict = reached("37", Policy(grade_by_owner=False))
    strict.when(grade()).refuses(Reason.OWNER_MAY_NOT_GRADE)
    strict.when(judge()).refuses(Reason.OWNER_MAY_NOT_GRADE)
    strict.given(grade(), judge(), by="bob")


def test_grading_again_replaces_and_the_same_again_does_nothing() -> None:
    scenario = reached("37").given(grade())
    scenario.when(grade()).does_nothing()
    scenario.when(grade("0.37")).does_nothing()
    scenario.when(grade("0.4", reason="rounded")).records(events.KeyResultGraded)
    scenario.given(check_in("late", 50, on="2025-03-31"))
    assert scenario.when(grade()).records(events.KeyResultGraded).score_computed == Decimal("0.5")


@pytest.mark.parametrize("command", [grade(), judge(), WAIVE])
def test_judging_waits_for_grading(command: Any) -> None:
    running().when(command).refuses(Reason.NOT_IN_GRADING)
    cancelled = running().given(CancelCycle(cycle_id="q1", reason="merger"))
    cancelled.when(command).refuses(Reason.NOT_IN_GRADING)
    closed().when(command).refuses(Reason.CYCLE_CLOSED)


def test_a_reopened_cycle_is_judged_again() -> None:
    scenario = reopened().given(check_in(value=80, on="2025-03-31"))
    scenario.given(grade())
    judged = scenario.when(judge("achieved")).records(events.ObjectiveGraded)
    assert (judged.score, judged.outcome) == (Decimal("0.8"), "achieved")


def two_more(scenario: Scenario) -> Scenario:
    """kr-2 weighs 3, kr-3 weighs 1; in grading."""
    scenario.given(add("kr-2", weight="3", reason="also counts"), add("kr-3", reason="also counts"))
    scenario.given(check_in(value=50), check_in(value=100, key_result_id="kr-2"))
    return scenario.at("2025-04-02").given(StartCycleGrading(cycle_id="q1"))


def test_an_objectives_score_is_the_weighted_mean_of_what_is_scored() -> None:
    scenario = two_more(running()).given(grade(), grade(key_result_id="kr-2"))
    judged = scenario.when(judge()).records(events.ObjectiveGraded)
    assert (judged.score_computed, judged.score) == (Decimal("0.88"), Decimal("0.88"))


def test_waived_and_dropped_ones_are_left_out() -> None:
    scenario = running().given(
        add("gone", weight="9", reason="also counts"),
        DropKeyResult(key_result_id="gone", reason="no longer"),
    )
    waive = WaiveKeyResult(key_result_id="kr-2", reason="switched off")
    scenario = two_more(scenario).given(grade(), grade(key_result_id="kr-2"), waive)
    assert scenario.when(judge()).records(events.ObjectiveGraded).score == Decimal("0.5")


def test_an_objective_is_adjusted_like_a_key_result() -> None:
    scenario = reached("37").given(grade())
    scenario.when(judge(score="0.5")).refuses(Reason.REASON_REQUIRED, rule="R16")
    judged = scenario.when(judge(score="0.5", reason="hard")).records(events.ObjectiveGraded)
    assert (judged.score_computed, judged.score) == (Decimal("0.37"), Decimal("0.5"))
    scenario.when(judge(score="0.5")).refuses(Reason.REASON_REQUIRED, rule="R16")
    scenario.when(judge(score="0.5", reason="hard")).does_nothing()


def test_before_anything_is_scored_an_objective_needs_a_score() -> None:
    reached("37").when(judge()).refuses(Reason.SCORE_INVALID)
    judged = reached("37").when(judge(score="0.3")).records(events.ObjectiveGraded)
    assert (judged.score_computed, judged.score) == (None, Decimal("0.3"))


def test_where_all_was_waived_an_outcome_needs_no_score() -> None:
    judged = in_grading().given(WAIVE).when(judge("missed")).records(events.ObjectiveGraded)
    assert (judged.outcome, judged.score) == ("missed", None)


def test_weights_of_nothing_have_no_mean() -> None:
    scenario = running().given(ReweightKeyResult(key_result_id="kr", weight=Decimal(0)))
    scenario.at("2025-04-02").given(StartCycleGrading(cycle_id="q1"), grade())
    scenario.when(judge()).refuses(Reason.SCORE_INVALID)
    scenario.given(judge(score="0.3"))


@pytest.mark.parametrize("outcome", ["dropped", "carried"])
def test_dropped_and_carried_are_said_by_their_own_commands(outcome: str) -> None:
    in_grading().given(grade()).when(judge(outcome)).refuses(Reason.OUTCOME_INVALID)


def test_waiving_needs_a_reason_and_takes_the_score_away() -> None:
    scenario = reached("37").given(grade())
    unexplained = WaiveKeyResult(key_result_id="kr")
    scenario.when(unexplained).refuses(Reason.REASON_REQUIRED, rule="R18")
    scenario.when(WAIVE).records(events.KeyResultWaived)
    scenario.when(WAIVE).does_nothing()
    assert scenario.state.key_result("kr").score is None
    scenario.given(grade())
    assert not scenario.state.key_result("kr").waived


def test_only_what_is_pursued_and_counts_is_judged() -> None:
    scenario = running().given(draft("late", reason="new"), add("kr-2", "late", reason="new"))
    scenario.given(
        DropKeyResult(key_result_id="kr", reason="no"), DropObjective(objective_id="o", reason="no")
    )
    scenario.at("2025-04-02").given(StartCycleGrading(cycle_id="q1"))
    scenario.when(grade()).refuses(Reason.GOAL_ENDED)
    scenario.when(judge()).refuses(Reason.GOAL_ENDED)
    scenario.when(grade(key_result_id="kr-2")).refuses(Reason.NOT_MEASURABLE, rule="R16")
    late = GradeObjective(objective_id="late", outcome="missed")
    scenario.when(late).refuses(Reason.NOT_MEASURABLE, rule="R16")


def test_halves_of_a_mean_go_to_even_whatever_rounding_is_usual_here() -> None:
    scenario = running().given(add("kr-2", reason="also")).at("2025-04-02")
    scenario.given(
        StartCycleGrading(cycle_id="q1"),
        grade("0.34", reason="seen"),
        grade("0.35", "kr-2", reason="seen"),
    )
    with localcontext(rounding=ROUND_UP):
        judged = scenario.when(judge()).records(events.ObjectiveGraded)
    assert judged.score_computed == Decimal("0.34")


def test_before_anything_is_scored_nothing_was_seen() -> None:
    assert in_grading().when(judge()).refuses(Reason.SCORE_INVALID).seen == "none"
