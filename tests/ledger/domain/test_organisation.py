"""Opening a ledger, its settings (R20) and the tree of units."""

from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    AddComment,
    ChangePolicy,
    Command,
    DefineUnit,
    DropKeyResult,
    MoveUnit,
    OpenOrganisation,
    PublishObjective,
    RenameUnit,
    RetireKpi,
    RetireUnit,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import Scenario, company, draft, drafted, kpi, planned, running

OPEN = OpenOrganisation(name="Acme", zone="Europe/Berlin")


def test_a_ledger_is_opened_with_its_zone_and_policy() -> None:
    opened = Scenario().when(OPEN).records(events.OrganisationOpened)
    assert (opened.organisation_id, opened.zone, opened.policy) == (
        "acme",
        "Europe/Berlin",
        Policy(),
    )


def test_opening_twice_the_same_way_does_nothing_even_after_the_policy_changed() -> None:
    opened = Scenario().given(OPEN, ChangePolicy(policy=Policy(parents="many")))
    opened.when(OPEN).does_nothing()


def test_opening_again_in_another_way_is_refused() -> None:
    again = OpenOrganisation(name="Acme", zone="UTC")
    Scenario().given(OPEN).when(again).refuses(Reason.ORGANISATION_EXISTS)


def test_nothing_happens_before_the_ledger_is_opened() -> None:
    define = DefineUnit(unit_id="co", name="Acme", unit_kind="company")
    Scenario().when(define).refuses(Reason.ORGANISATION_UNKNOWN)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Europe", "../etc", "/etc/hosts"])
def test_a_zone_nobody_knows_is_refused(zone: str) -> None:
    Scenario().when(OpenOrganisation(name="Acme", zone=zone)).refuses(Reason.ZONE_UNKNOWN)


def test_changing_the_policy_carries_both() -> None:
    new = Policy(backdating_days_max=3)
    changed = company().when(ChangePolicy(policy=new)).records(events.PolicyChanged)
    assert (changed.policy_was, changed.policy) == (Policy(), new)


def test_changing_the_policy_to_what_it_is_does_nothing() -> None:
    company().when(ChangePolicy(policy=Policy())).does_nothing()


@pytest.mark.parametrize(
    "policy",
    [
        Policy(progress_ceiling=Decimal("0.99")),
        Policy(progress_ceiling=Decimal("2.01")),
        Policy(bands=(Decimal(0), Decimal("0.5"))),
        Policy(bands=(Decimal("0.5"), Decimal("0.5"))),
        Policy(bands=(Decimal("0.5"), Decimal(1))),
        Policy(key_results_min=4, key_results_max=3),
    ],
)
def test_a_policy_with_senseless_numbers_is_refused(policy: Policy) -> None:
    company().when(ChangePolicy(policy=policy)).refuses(Reason.POLICY_INVALID)
    Scenario().when(OpenOrganisation(name="Acme", policy=policy)).refuses(Reason.POLICY_INVALID)


def test_a_ceiling_may_be_one_or_two() -> None:
    scenario = company().given(ChangePolicy(policy=Policy(progress_ceiling=Decimal(2))))
    scenario.given(ChangePolicy(policy=Policy(progress_ceiling=Decimal(1))))


def test_a_policy_number_that_is_no_number_of_record_is_refused() -> None:
    for policy, where in (
        (Policy(progress_ceiling=Decimal("NaN")), "policy.progress_ceiling"),
        (Policy(bands=(Decimal("0.4"), Decimal("NaN"))), "policy.bands[1]"),
    ):
        refused = company().when(ChangePolicy(policy=policy))
        refusal = refused.refuses(Reason.NUMBER_OUT_OF_RANGE)
        assert refusal.message == f"{where} is not a number of record"


def test_a_running_cycle_keeps_the_policy_it_was_activated_under() -> None:
    scenario = running().given(ChangePolicy(policy=Policy(mid_cycle_reason="off")))
    scenario.when(draft("late")).refuses(Reason.REASON_REQUIRED, rule="R7")
    assert scenario.state.policy_of(scenario.state.cycle("q1")) == Policy()


def test_a_planned_cycle_follows_the_policy_until_it_is_activated() -> None:
    many = Policy(parents="many")
    scenario = planned().given(ChangePolicy(policy=many))
    assert scenario.state.policy_of(scenario.state.cycle("q1")) == many
    activated = scenario.when(ActivateCycle(cycle_id="q1")).records(events.CycleActivated)
    assert activated.policy == many


def test_an_id_that_is_taken_is_refused_unless_the_content_is_the_same() -> None:
    again = DefineUnit(unit_id="sales", name="Sales", unit_kind="team", parent_id="co")
    company().when(again).does_nothing()
    company().given(RenameUnit(unit_id="sales", name="Selling")).when(again).does_nothing()
    other = DefineUnit(unit_id="sales", name="Sails", unit_kind="team", parent_id="co")
    refusal = company().when(other).refuses(Reason.ID_TAKEN)
    assert "another name" in refusal.message


def test_a_unit_stands_below_an_existing_unit_that_is_not_retired() -> None:
    below = DefineUnit(unit_id="new", name="New", unit_kind="team", parent_id="none")
    company().when(below).refuses(Reason.NOT_FOUND)
    retired = company().given(RetireUnit(unit_id="ops"))
    below = DefineUnit(unit_id="new", name="New", unit_kind="team", parent_id="ops")
    retired.when(below).refuses(Reason.UNIT_RETIRED)


def test_a_new_team_may_not_take_the_id_of_somebody_who_owns_goals() -> None:
    team = DefineUnit(unit_id="ann", name="Ann", unit_kind="team")
    drafted().when(team).refuses(Reason.OWNER_IS_TEAM)
    company().given(kpi()).when(team).refuses(Reason.OWNER_IS_TEAM)
    drafted(Policy(owner_may_be_team=True)).given(team)
    drafted().given(DefineUnit(unit_id="ann", name="Ann", unit_kind="person"))


def test_renaming_a_unit_carries_both_names() -> None:
    renamed = company().when(RenameUnit(unit_id="ops", name="Ops")).records(events.UnitRenamed)
    assert (renamed.name_was, renamed.name) == ("Operations", "Ops")
    company().when(RenameUnit(unit_id="ops", name="Operations")).does_nothing()


def test_moving_a_unit_carries_both_parents() -> None:
    moved = company().when(MoveUnit(unit_id="ops", parent_id="sales")).records(events.UnitMoved)
    assert (moved.parent_id_was, moved.parent_id) == ("co", "sales")
    company().when(MoveUnit(unit_id="ops", parent_id="co")).does_nothing()
    company().given(MoveUnit(unit_id="ops"))


@pytest.mark.parametrize("below", ["co", "sales", "pat"])
def test_a_unit_may_not_move_below_itself(below: str) -> None:
    company().when(MoveUnit(unit_id="co", parent_id=below)).refuses(Reason.UNIT_TREE_LOOP)


def test_a_retired_unit_takes_nothing_new_and_stays_as_it_is() -> None:
    scenario = planned().given(RetireUnit(unit_id="ops", reason="merged"))
    scenario.when(RetireUnit(unit_id="ops")).does_nothing()
    scenario.when(RenameUnit(unit_id="ops", name="Ops")).refuses(Reason.UNIT_RETIRED)
    scenario.when(MoveUnit(unit_id="ops")).refuses(Reason.UNIT_RETIRED)
    scenario.when(MoveUnit(unit_id="sales", parent_id="ops")).refuses(Reason.UNIT_RETIRED)
    scenario.when(draft("o", unit_id="ops")).refuses(Reason.UNIT_RETIRED)


def test_what_does_not_exist_is_not_found() -> None:
    company().when(RetireUnit(unit_id="none")).refuses(Reason.NOT_FOUND)


@pytest.mark.parametrize("goal", ["objective/o", "key_result/kr", "kpi/churn"])
def test_every_goal_takes_comments_each_id_once(goal: str) -> None:
    said = AddComment(goal=goal, comment_id="c-1", text="well done")
    scenario = drafted().given(kpi())
    scenario.when(said).records(events.CommentAdded)
    scenario.when(said).does_nothing()
    other = AddComment(goal=goal, comment_id="c-1", text="not so well")
    scenario.when(other).refuses(Reason.ID_TAKEN)


@pytest.mark.parametrize("goal", ["objective/none", "key_result/none", "kpi/none"])
def test_what_does_not_exist_takes_no_comment(goal: str) -> None:
    said = AddComment(goal=goal, comment_id="c-1", text="hello?")
    company().when(said).refuses(Reason.NOT_FOUND)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (RenameUnit(unit_id="none", name="x"), "unit"),
        (ActivateCycle(cycle_id="none"), "cycle"),
        (PublishObjective(objective_id="none"), "objective"),
        (DropKeyResult(key_result_id="none"), "key_result"),
        (RetireKpi(kpi_id="none"), "kpi"),
    ],
)
def test_what_is_not_there_is_named_with_its_kind(command: Command, what: str) -> None:
    refusal = company().when(command).refuses(Reason.NOT_FOUND)
    assert refusal.message == f"there is no {what} none"
    assert refusal.accepted == f"the id of an existing {what}"
