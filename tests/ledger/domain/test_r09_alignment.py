"""R9: alignment is acyclic; a parent is in the same or an enclosing cycle and not closed."""

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    CancelCycle,
    CarryOverObjective,
    CloseCycle,
    DropKeyResult,
    DropObjective,
    GradeKeyResult,
    GradeObjective,
    PublishObjective,
    RealignObjective,
    StartCycleGrading,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import Scenario, add, draft, kpi, plan, planned

MANY = Policy(parents="many")


def align(objective_id: str, *parents: str) -> RealignObjective:
    return RealignObjective(objective_id=objective_id, aligned_to=parents, reason="a new plan")


def three(policy: Policy = MANY) -> Scenario:
    """B and c in q1, a in the year; b has a key result."""
    return planned(policy).given(draft("a", "y"), draft("b"), draft("c"), add("b-kr", "b"))


def test_the_parent_is_in_the_same_or_an_enclosing_cycle() -> None:
    scenario = three().given(plan("sprint", "custom", "2025-01-01", "2025-01-14", "q1"))
    scenario.given(align("b", "objective/a"), align("c", "key_result/b-kr"))
    scenario.given(draft("d", "sprint", aligned_to=("objective/a",)))


@pytest.mark.parametrize("cycle_id", ["q2", "y"])
def test_a_parent_elsewhere_is_refused(cycle_id: str) -> None:
    elsewhere = draft("d", cycle_id, aligned_to=("objective/b",))
    three().when(elsewhere).refuses(Reason.ALIGNMENT_OUT_OF_CYCLE)
    to_key_result = draft("d", cycle_id, aligned_to=("key_result/b-kr",))
    three().when(to_key_result).refuses(Reason.ALIGNMENT_OUT_OF_CYCLE)


def test_an_indicator_is_no_parent() -> None:
    aligned = draft("d", aligned_to=("kpi/churn",))
    three().given(kpi()).when(aligned).refuses(Reason.ALIGNMENT_OUT_OF_CYCLE)


@pytest.mark.parametrize("parent", ["objective/none", "key_result/none"])
def test_a_parent_exists(parent: str) -> None:
    three().when(align("b", parent)).refuses(Reason.NOT_FOUND)


def test_alignment_does_not_lead_back() -> None:
    scenario = three()
    scenario.when(align("b", "objective/b")).refuses(Reason.ALIGNMENT_LOOP)
    scenario.when(align("b", "key_result/b-kr")).refuses(Reason.ALIGNMENT_LOOP)
    scenario.given(align("c", "key_result/b-kr"), draft("d", aligned_to=("objective/c",)))
    scenario.when(align("b", "objective/d")).refuses(Reason.ALIGNMENT_LOOP)
    scenario.when(align("b", "objective/a", "objective/c")).refuses(Reason.ALIGNMENT_LOOP)


def test_two_ways_to_the_same_parent_are_no_loop() -> None:
    scenario = three().given(align("b", "objective/a"), align("c", "objective/a"))
    scenario.given(draft("d", aligned_to=("objective/b", "objective/c")))
    scenario.given(draft("e", aligned_to=("objective/d",)))


def test_one_parent_unless_the_policy_lets_more() -> None:
    two = draft("d", aligned_to=("objective/b", "objective/c"))
    three(Policy()).when(two).refuses(Reason.TOO_MANY_PARENTS)
    three().when(two).records(events.ObjectiveDrafted)


def test_a_parent_is_named_once() -> None:
    twice = draft("d", aligned_to=("objective/b", "objective/b"))
    three().when(twice).refuses(Reason.MALFORMED)


def test_a_parent_is_still_pursued() -> None:
    for ended in (DropObjective(objective_id="b"), DropKeyResult(key_result_id="b-kr")):
        scenario = three().given(ended)
        scenario.when(align("c", "key_result/b-kr")).refuses(Reason.ALIGNMENT_CLOSED)
    scenario = three().given(DropObjective(objective_id="b"))
    scenario.when(align("c", "objective/b")).refuses(Reason.ALIGNMENT_CLOSED)
    alive = three().given(DropKeyResult(key_result_id="b-kr"))
    alive.given(align("c", "objective/b"))


def test_the_parents_cycle_is_neither_closed_nor_cancelled() -> None:
    cancelled = three().given(CancelCycle(cycle_id="y", reason="merger"))
    cancelled.when(align("b", "objective/a")).refuses(Reason.ALIGNMENT_CLOSED)
    relaxed = three(Policy(retrospective_required=False)).given(DropObjective(objective_id="a"))
    closed = relaxed.given(
        ActivateCycle(cycle_id="y"), StartCycleGrading(cycle_id="y"), CloseCycle(cycle_id="y")
    )
    closed.when(align("b", "objective/a")).refuses(Reason.ALIGNMENT_CLOSED)


def test_a_parent_that_ended_since_may_stay_beside_a_new_one() -> None:
    scenario = three().given(align("c", "objective/b"), DropObjective(objective_id="b"))
    realigned = scenario.when(align("c", "objective/b", "objective/a")).records(
        events.ObjectiveRealigned
    )
    assert realigned.aligned_to_was == ("objective/b",)
    assert realigned.aligned_to == ("objective/b", "objective/a")
    scenario.given(align("c"))


def test_a_parent_is_not_published_in_a_closed_cycle_nor_carried_over() -> None:
    scenario = three(Policy(retrospective_required=False)).given(
        add("a-kr", "a"),
        PublishObjective(objective_id="a"),
        ActivateCycle(cycle_id="y"),
        plan("y-next", "annual", "2026-01-01", "2026-12-31"),
        draft("a-2", "y", reason="also"),
        add("a-2-kr", "a-2", reason="also"),
        PublishObjective(objective_id="a-2"),
        CarryOverObjective(objective_id="a-2", carried_to="a-3", cycle_id="y-next"),
    )
    carried = scenario.when(align("b", "objective/a-2")).refuses(Reason.ALIGNMENT_CLOSED)
    assert carried.seen == "carried"
    scenario.given(
        StartCycleGrading(cycle_id="y"),
        GradeKeyResult(key_result_id="a-kr"),
        GradeObjective(objective_id="a", outcome="missed"),
        CloseCycle(cycle_id="y"),
    )
    closed = scenario.when(align("b", "objective/a")).refuses(Reason.ALIGNMENT_CLOSED)
    assert closed.seen == "closed"
