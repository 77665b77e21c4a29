"""R17: who missed what was committed to says why; the kind may change, visibly, until grading."""

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ChangeObjectiveKind,
    GradeKeyResult,
    GradeObjective,
    StartCycleGrading,
)
from goal_contracts.fields import ObjectiveKind, Outcome
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import Scenario, running

WHY = "the supplier went out of business"


def graded(objective_kind: ObjectiveKind) -> Scenario:
    """q1 in grading, with `o` of that kind and its key result scored 0."""
    scenario = running().given(
        ChangeObjectiveKind(objective_id="o", objective_kind="committed"),
        ChangeObjectiveKind(objective_id="o", objective_kind=objective_kind),
    )
    scenario.at("2025-04-02").given(StartCycleGrading(cycle_id="q1"))
    return scenario.given(GradeKeyResult(key_result_id="kr"))


def judge(outcome: Outcome, reason: str | None = None) -> GradeObjective:
    return GradeObjective(objective_id="o", outcome=outcome, reason=reason)


@pytest.mark.parametrize("reason", [None, " \n"])
def test_a_missed_committed_objective_needs_an_explanation(reason: str | None) -> None:
    graded("committed").when(judge("missed", reason)).refuses(Reason.EXPLANATION_REQUIRED)


def test_the_explanation_is_recorded() -> None:
    scenario = graded("committed")
    judged = scenario.when(judge("missed", WHY)).records(events.ObjectiveGraded)
    assert (judged.outcome, judged.reason) == ("missed", WHY)
    scenario.when(judge("missed", WHY)).does_nothing()


@pytest.mark.parametrize("outcome", ["achieved", "partial"])
def test_another_outcome_needs_none(outcome: Outcome) -> None:
    graded("committed").given(judge(outcome))


def test_an_aspirational_one_may_be_missed_without_a_word() -> None:
    graded("aspirational").given(judge("missed"))


def test_judging_it_missed_the_second_time_needs_one_too() -> None:
    scenario = graded("committed").given(judge("partial"))
    scenario.when(judge("missed")).refuses(Reason.EXPLANATION_REQUIRED)


def test_the_kind_changes_visibly_until_grading() -> None:
    kind = ChangeObjectiveKind(objective_id="o", objective_kind="committed", reason="a promise")
    changed = running().when(kind).records(events.ObjectiveKindChanged)
    assert (changed.objective_kind_was, changed.objective_kind) == ("aspirational", "committed")
    assert changed.reason == "a promise"
    graded("aspirational").when(kind).refuses(Reason.CYCLE_NOT_OPEN)
