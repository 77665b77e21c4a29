"""R3: an objective has a cycle, a unit and exactly one accountable owner."""

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    Command,
    DefineKpi,
    DefineUnit,
    OpenKpiReview,
    ReassignKeyResult,
    ReassignKpi,
    ReassignObjective,
    RetireUnit,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import add, day, definition, draft, drafted, kpi, planned

TO_A_TEAM: list[Command] = [
    draft("o-2", owner="ops"),
    add("kr-2", owner="ops"),
    ReassignObjective(objective_id="o", owner="ops"),
    ReassignKeyResult(key_result_id="kr", owner="ops"),
    DefineKpi(kpi_id="k", unit_id="sales", owner="ops", definition=definition()),
    ReassignKpi(kpi_id="churn", owner="ops"),
    OpenKpiReview(kpi_id="churn", review_id="r", owner="ops", due_on=day("2025-12-31").date()),
]


@pytest.mark.parametrize("command", TO_A_TEAM, ids=lambda each: type(each).__name__)
def test_a_team_is_accountable_only_where_the_policy_lets_it(command: Command) -> None:
    drafted().given(kpi()).when(command).refuses(Reason.OWNER_IS_TEAM)
    drafted(Policy(owner_may_be_team=True)).given(kpi(), command)


@pytest.mark.parametrize("owner", ["pat", "u-4711"])
def test_a_person_or_somebody_outside_the_tree_is_accountable(owner: str) -> None:
    planned().when(draft("o", owner=owner)).records(events.ObjectiveDrafted)


def test_an_objective_needs_a_cycle_and_a_unit_that_exist() -> None:
    planned().when(draft("o", "none")).refuses(Reason.NOT_FOUND)
    planned().when(draft("o", unit_id="none")).refuses(Reason.NOT_FOUND)


def test_a_kpi_needs_a_unit_that_is_not_retired() -> None:
    unknown = DefineKpi(kpi_id="k", unit_id="none", owner="ann", definition=definition())
    planned().when(unknown).refuses(Reason.NOT_FOUND)
    planned().given(RetireUnit(unit_id="sales")).when(kpi()).refuses(Reason.UNIT_RETIRED)


def test_goals_go_to_units_that_are_not_retired() -> None:
    scenario = drafted().given(kpi(), RetireUnit(unit_id="ops"))
    scenario.when(ReassignObjective(objective_id="o", unit_id="ops")).refuses(Reason.UNIT_RETIRED)
    scenario.when(ReassignKpi(kpi_id="churn", unit_id="ops")).refuses(Reason.UNIT_RETIRED)


def test_reassigning_carries_old_and_new() -> None:
    changed = (
        drafted()
        .when(ReassignObjective(objective_id="o", owner="bob", unit_id="ops"))
        .records(events.ObjectiveReassigned)
    )
    assert (changed.owner_was, changed.owner) == ("ann", "bob")
    assert (changed.unit_id_was, changed.unit_id) == ("sales", "ops")
    changed = (
        drafted()
        .when(ReassignKeyResult(key_result_id="kr", owner="bob"))
        .records(events.KeyResultReassigned)
    )
    assert (changed.owner_was, changed.owner) == ("ann", "bob")


def test_what_is_not_given_stays() -> None:
    scenario = drafted()
    moved = scenario.when(ReassignObjective(objective_id="o", unit_id="ops"))
    assert moved.records(events.ObjectiveReassigned).owner == "ann"
    scenario.when(ReassignObjective(objective_id="o")).does_nothing()
    scenario.when(ReassignKeyResult(key_result_id="kr", owner="ann")).does_nothing()


def test_retiring_a_unit_leaves_its_goals_as_they_were() -> None:
    scenario = drafted().given(RetireUnit(unit_id="sales"))
    assert scenario.state.objective("o").unit_id == "sales"
    scenario.given(add("kr-2"), ReassignObjective(objective_id="o", owner="bob"))


@pytest.mark.parametrize(
    "goal",
    [draft("o-2", owner="eve"), add("kr-2", owner="eve"), kpi("nps")],
    ids=["o", "kr", "kpi"],
)
def test_a_new_team_takes_no_id_that_is_accountable_for_a_goal(goal: Command) -> None:
    owner = "ann" if isinstance(goal, DefineKpi) else "eve"
    owned = planned().given(draft("o", owner="bob"))
    scenario = owned.given(goal)
    team = DefineUnit(unit_id=owner, name="A team", unit_kind="team", parent_id="co")
    refusal = scenario.when(team).refuses(Reason.OWNER_IS_TEAM)
    assert refusal.message == f"{owner} is a unit, and one person has to be accountable"
