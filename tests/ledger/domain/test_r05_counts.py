"""R5: so many key results an objective and so many objectives a unit, where the policy blocks."""

from typing import Literal

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    CarryOverObjective,
    ChangePolicy,
    DropKeyResult,
    DropObjective,
    PublishObjective,
    ReassignObjective,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason
from msgspec.structs import replace

from tests.ledger.domain.scenario import Scenario, add, draft, drafted, planned

BLOCK = Policy(counts="block")
"""2 to 5 key results, 5 objectives of the company, 3 of any other unit."""
WARN, OFF = Policy(), Policy(counts="off")
PUBLISH = PublishObjective(objective_id="o")
LENIENT: tuple[Literal["off", "warn"], ...] = ("off", "warn")


def with_key_results(count: int, policy: Policy = BLOCK) -> Scenario:
    """The draft `o` in q1 with kr-1, kr-2 and so on."""
    return planned(policy).given(draft("o"), *(add(f"kr-{n}") for n in range(1, count + 1)))


def published(count: int, policy: Policy = BLOCK) -> Scenario:
    return with_key_results(count, policy).given(PUBLISH)


def drop(key_result_id: str = "kr-1") -> DropKeyResult:
    return DropKeyResult(key_result_id=key_result_id, reason="no longer")


def with_objectives(count: int, unit_id: str, policy: Policy = BLOCK) -> Scenario:
    """Drafts o-1, o-2 and so on of a unit in q1."""
    drafts = (draft(f"o-{n}", unit_id=unit_id) for n in range(1, count + 1))
    return planned(policy).given(*drafts)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_an_objective_is_published_with_2_to_5_key_results(count: int) -> None:
    published(count)


@pytest.mark.parametrize(("count", "seen"), [(1, "1 key result"), (6, "6 key results")])
def test_with_fewer_or_more_it_is_not(count: int, seen: str) -> None:
    refusal = with_key_results(count).when(PUBLISH).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    assert (refusal.seen, refusal.accepted) == (seen, "2 to 5 key results")


def test_without_any_it_is_not_measurable_in_the_first_place() -> None:
    with_key_results(0).when(PUBLISH).refuses(Reason.NOT_MEASURABLE)


def test_dropped_key_results_do_not_count() -> None:
    with_key_results(6).given(drop(), PUBLISH)
    with_key_results(2).given(drop()).when(PUBLISH).refuses(Reason.COUNT_OUT_OF_BOUNDS)


def test_a_draft_may_have_as_many_as_it_likes() -> None:
    with_key_results(7).given(drop("kr-7"), add("kr-8"))
    with_key_results(1).given(drop())


def test_a_published_one_gets_no_more_than_5() -> None:
    published(4).given(add("kr-5"))
    refusal = published(5).when(add("kr-6")).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    assert refusal.seen == "6 key results"


def test_a_published_one_keeps_2() -> None:
    published(3).given(drop())
    refusal = published(2).when(drop()).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    assert refusal.seen == "1 key result"


def test_the_numbers_are_the_policys() -> None:
    tight = Policy(counts="block", key_results_min=1, key_results_max=1)
    published(1, tight).when(add("kr-2")).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    published(1, tight).when(drop()).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    with_key_results(2, tight).when(PUBLISH).refuses(Reason.COUNT_OUT_OF_BOUNDS)


@pytest.mark.parametrize(("unit_id", "most"), [("co", 5), ("sales", 3), ("pat", 3)])
def test_the_company_has_at_most_5_objectives_and_any_other_unit_3(unit_id: str, most: int) -> None:
    scenario = with_objectives(most, unit_id)
    refusal = scenario.when(draft("more", unit_id=unit_id)).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    assert refusal.seen == f"{most + 1} objectives"
    assert refusal.accepted.startswith(f"up to {most}:")
    scenario.given(draft("elsewhere", unit_id="ops"), draft("later", "q2", unit_id=unit_id))


def test_dropped_and_carried_objectives_do_not_count() -> None:
    scenario = with_objectives(3, "ops").given(DropObjective(objective_id="o-1"))
    scenario.given(draft("o-4", unit_id="ops"))
    scenario.when(draft("o-5", unit_id="ops")).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    scenario.given(add("kr-1", "o-4"), add("kr-2", "o-4"), PublishObjective(objective_id="o-4"))
    scenario.given(ActivateCycle(cycle_id="q1"))
    scenario.given(CarryOverObjective(objective_id="o-4", carried_to="next", cycle_id="q2"))
    scenario.given(draft("o-5", unit_id="ops", reason="room for it"))


def test_drafting_the_same_twice_does_nothing_however_many_there_are() -> None:
    with_objectives(3, "ops").when(draft("o-1", unit_id="ops")).does_nothing()


def test_an_objective_is_not_reassigned_to_a_unit_that_has_enough() -> None:
    to_ops = ReassignObjective(objective_id="o", unit_id="ops")
    scenario = with_objectives(3, "ops").given(draft("o"))
    refusal = scenario.when(to_ops).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    assert refusal.seen == "4 objectives"
    scenario.given(ReassignObjective(objective_id="o-1", unit_id="co"), to_ops)
    scenario.when(draft("more", unit_id="ops")).refuses(Reason.COUNT_OUT_OF_BOUNDS)


def test_another_owner_in_the_same_unit_is_not_another_objective() -> None:
    with_objectives(3, "ops").given(ReassignObjective(objective_id="o-1", owner="bob"))


def test_an_objective_is_not_carried_over_to_a_cycle_where_its_unit_has_enough() -> None:
    carry = CarryOverObjective(objective_id="o", carried_to="o-next", cycle_id="q2")
    scenario = published(2).given(ActivateCycle(cycle_id="q1"))
    scenario.given(*(draft(f"o-{n}", "q2") for n in (1, 2, 3)))
    scenario.when(carry).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    scenario.given(DropObjective(objective_id="o-3"), carry)
    scenario.when(carry).does_nothing()


@pytest.mark.parametrize("counts", LENIENT)
def test_where_the_policy_does_not_block_any_number_goes(counts: Literal["off", "warn"]) -> None:
    policy = Policy(counts=counts)
    published(1, policy).given(drop())
    published(6, policy).given(add("kr-7"))
    with_objectives(6, "co", policy).given(draft("o"), draft("more", unit_id="co"))
    scenario = with_objectives(4, "ops", policy).given(draft("o"))
    scenario.given(ReassignObjective(objective_id="o", unit_id="ops"))


def test_publishing_with_fewer_or_more_key_results_warns() -> None:
    for count, seen in ((1, "1 key result"), (6, "6 key results")):
        (warned,) = with_key_results(count, WARN).when(PUBLISH).warns("R5")
        assert warned.message == f"the objective has {seen}; 2 to 5 are usual"
    for count in (2, 5):
        with_key_results(count, WARN).when(PUBLISH).warns()
        with_key_results(count, OFF).when(PUBLISH).warns()
    with_key_results(1, OFF).when(PUBLISH).warns()


def test_adding_to_and_dropping_from_a_published_objective_warns_outside_the_bounds() -> None:
    published(4, WARN).when(add("kr-5")).warns()
    published(5, WARN).when(add("kr-6")).warns("R5")
    published(6, WARN).when(add("kr-7")).warns("R5")
    published(3, WARN).when(drop()).warns()
    published(2, WARN).when(drop()).warns("R5")
    published(7, WARN).when(drop()).warns("R5")
    published(6, OFF).when(add("kr-7")).warns()


def test_a_draft_is_not_warned_about_while_it_is_worked_on() -> None:
    with_key_results(6, WARN).when(add("kr-7")).warns()
    with_key_results(1, WARN).when(drop()).warns()


@pytest.mark.parametrize(("unit_id", "most"), [("co", 5), ("ops", 3)])
def test_one_objective_too_many_warns_and_names_the_unit(unit_id: str, most: int) -> None:
    with_objectives(most - 1, unit_id, WARN).when(draft("o", unit_id=unit_id)).warns()
    scenario = with_objectives(most, unit_id, WARN)
    (warned,) = scenario.when(draft("o", unit_id=unit_id)).warns("R5")
    name = scenario.state.unit(unit_id).name
    seen = f"{name} has {most + 1} objectives in this cycle"
    assert warned.message == f"{seen}; up to {most} keep it in focus"
    with_objectives(most, unit_id, OFF).when(draft("o", unit_id=unit_id)).warns()


def test_reassigning_warns_where_the_new_unit_has_too_many() -> None:
    scenario = with_objectives(3, "ops", WARN).given(draft("o"))
    scenario.when(ReassignObjective(objective_id="o", unit_id="ops")).warns("R5")
    scenario.when(ReassignObjective(objective_id="o", owner="bob")).warns()
    scenario.when(ReassignObjective(objective_id="o", unit_id="co")).warns()


def test_carrying_over_warns_where_the_unit_has_too_many() -> None:
    carry = CarryOverObjective(objective_id="o", carried_to="o-next", cycle_id="q2")
    scenario = published(2, WARN).given(ActivateCycle(cycle_id="q1"))
    scenario.given(*(draft(f"o-{n}", "q2") for n in (1, 2, 3)))
    scenario.when(carry).warns("R5")


def test_advice_goes_by_the_policy_the_cycle_pinned() -> None:
    scenario = published(5, OFF).given(ActivateCycle(cycle_id="q1"), ChangePolicy(policy=WARN))
    scenario.when(replace(add("kr-6"), reason="found out late")).warns()


def test_a_running_cycle_keeps_the_bounds_it_was_activated_under() -> None:
    scenario = published(5).given(ActivateCycle(cycle_id="q1"), ChangePolicy(policy=Policy()))
    more = replace(add("kr-6"), reason="found out late")
    scenario.when(more).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    free = published(5, Policy()).given(ActivateCycle(cycle_id="q1"), ChangePolicy(policy=BLOCK))
    free.given(more)


def test_who_is_above_new_bounds_may_come_down() -> None:
    scenario = published(7, Policy()).given(ChangePolicy(policy=BLOCK))
    scenario.given(drop())
    scenario.when(add("kr-8")).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    below = published(1, Policy()).given(ChangePolicy(policy=BLOCK))
    below.given(add("kr-2"))
    assert len(below.state.live_key_results("o")) == 2


def test_the_refusal_of_a_reassignment_leaves_the_count_of_both_units() -> None:
    scenario = drafted(BLOCK).given(ReassignObjective(objective_id="o", unit_id="ops"))
    assert scenario.state.objectives_pursued("q1", "sales") == 0
    assert scenario.state.objectives_pursued("q1", "ops") == 1
    events_ = scenario.when(ReassignObjective(objective_id="o", unit_id="sales"))
    events_.records(events.ObjectiveReassigned)
    assert scenario.state.objectives_pursued("q1", "sales") == 1


def test_a_limit_of_one_lets_the_first_objective_in() -> None:
    one = replace(BLOCK, unit_objectives_max=1)
    scenario = planned(one).given(draft("o"))
    refusal = scenario.when(draft("o-2")).refuses(Reason.COUNT_OUT_OF_BOUNDS)
    assert refusal.seen == "2 objectives"
