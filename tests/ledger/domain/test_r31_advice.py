"""R31: how goals are written is commented on, never refused; nothing else is."""

from decimal import Decimal

import pytest
from goal_contracts.commands import (
    ActivateCycle,
    AddKeyResult,
    CarriedKeyResult,
    CarryOverObjective,
    ChangePolicy,
    DraftObjective,
    PublishObjective,
    ReweightKeyResult,
    RewordKeyResult,
    RewordObjective,
)
from goal_contracts.measures import Count, Measure, Milestone
from goal_contracts.policy import Policy
from goal_contracts.replies import Warned
from msgspec.structs import replace

from services.ledger.domain import advise
from tests.ledger.domain.scenario import (
    METRIC,
    POLICY,
    add,
    check_in,
    draft,
    drafted,
    planned,
    running,
)

OFF = Policy(advice="off")
PUBLISH = PublishObjective(objective_id="o")


def titled(title: str) -> DraftObjective:
    return replace(draft("o"), title=title)


def measured(title: str, measure: Measure = METRIC) -> AddKeyResult:
    return replace(add("kr-2", measure=measure), title=title)


def test_a_number_in_an_objective_is_commented_on() -> None:
    (warned,) = planned().when(titled("Win 3 customers")).warns("R31")
    assert "names a number (3)" in warned.message
    planned().when(titled("Win customers")).warns()


def test_a_long_objective_is_commented_on() -> None:
    planned().when(titled("so " * 20)).warns()
    planned().when(titled("so " * 21)).warns("R31")
    planned().when(titled("so " * 20 + "7 times")).warns("R31", "R31")


def test_rewording_an_objective_is_commented_on_where_its_title_changes() -> None:
    reword = RewordObjective(objective_id="o", title="Win 3 customers")
    drafted().when(reword).warns("R31")
    described = RewordObjective(objective_id="o", description="Those 3 that left")
    drafted().given(reword).when(described).warns()


@pytest.mark.parametrize("measure", [Milestone(), Count(unit="shops", of=2)])
def test_an_activity_as_a_key_result_is_commented_on(measure: Measure) -> None:
    (warned,) = drafted().when(measured("Launch the shop", measure)).warns("R31")
    assert "begins with Launch" in warned.message
    drafted().when(measured("Launch the shop")).warns()
    drafted().when(measured("Shops are open", measure)).warns()


def test_rewording_a_key_result_is_commented_on() -> None:
    scenario = drafted(POLICY, Milestone())
    scenario.when(RewordKeyResult(key_result_id="kr", title="Build it")).warns("R31")
    scenario.when(RewordKeyResult(key_result_id="kr", title="It is built")).warns()


def test_where_the_policy_is_silent_nothing_is_said() -> None:
    planned(OFF).when(titled("Win 3 customers")).warns()
    drafted(OFF, Milestone()).when(RewordKeyResult(key_result_id="kr", title="Build it")).warns()


def test_advice_goes_by_the_policy_the_cycle_pinned() -> None:
    reword = RewordObjective(objective_id="o", title="Win 3 customers")
    scenario = drafted(OFF).given(ActivateCycle(cycle_id="q1"), ChangePolicy(policy=POLICY))
    scenario.when(reword).warns()
    drafted().given(ActivateCycle(cycle_id="q1"), ChangePolicy(policy=OFF)).when(reword).warns(
        "R31"
    )


def test_what_is_carried_over_has_been_commented_on_before() -> None:
    scenario = drafted(POLICY, Milestone()).given(
        RewordObjective(objective_id="o", title="Win 3 customers"),
        RewordKeyResult(key_result_id="kr", title="Build it"),
        add("kr-2"),
    )
    scenario.given(PUBLISH, ActivateCycle(cycle_id="q1"))
    carry = CarryOverObjective(
        objective_id="o",
        carried_to="o-next",
        cycle_id="q2",
        key_results=(CarriedKeyResult("kr", "kr-next"),),
    )
    scenario.when(carry).warns()


def test_the_rest_of_what_happens_is_not_commented_on() -> None:
    running().when(check_in(value=5)).warns()
    drafted().when(ActivateCycle(cycle_id="q1")).warns()


def test_the_same_is_said_once() -> None:
    scenario = planned().given(titled("Win 3 customers"))
    event = scenario.history[-1].event
    said = advise(scenario.state, (event, event))  # type: ignore[arg-type]  # it is recognised
    assert [each.rule for each in said] == ["R31"]
    assert isinstance(said[0], Warned)
    assert advise(scenario.state, ()) == ()


def test_advice_of_several_rules_comes_together() -> None:
    scenario = planned(Policy(weights="sum_to_100", key_results_max=2))
    scenario.given(draft("o"), add("kr", weight="40"), add("kr-1", weight="60"))
    scenario.given(PUBLISH, ReweightKeyResult(key_result_id="kr", weight=Decimal(20)))
    light = replace(measured("Launch it", Milestone()), weight=Decimal(5))
    scenario.when(light).warns("R31", "R5", "R10")
