"""R21: a new objective says where it came from and starts where the old one ended."""

from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    CancelCycle,
    CarriedKeyResult,
    CarryOverObjective,
    ChangePolicy,
    CloseCycle,
    DropKeyResult,
    PublishObjective,
    RealignObjective,
    RetireKpi,
    RetireUnit,
    StartCycleGrading,
)
from goal_contracts.measures import (
    Count,
    FourPointMetric,
    KpiLinked,
    Maintain,
    Measure,
    Metric,
    Milestone,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason
from msgspec.structs import replace

from tests.ledger.domain.scenario import (
    METRIC,
    Scenario,
    add,
    check_in,
    closed,
    draft,
    drafted,
    in_grading,
    kpi,
    plan,
    planned,
    reading,
    reopened,
    running,
)

CARRY = CarryOverObjective(
    objective_id="o",
    carried_to="o-next",
    cycle_id="q2",
    key_results=(CarriedKeyResult(key_result_id="kr", carried_to="kr-next"),),
)
THREE = (events.ObjectiveCarriedOver, events.ObjectiveDrafted, events.KeyResultAdded)


def carry(cycle_id: str = "q2", carried_to: str = "o-next", **ids: str) -> CarryOverObjective:
    return CarryOverObjective(
        objective_id="o",
        carried_to=carried_to,
        cycle_id=cycle_id,
        key_results=tuple(CarriedKeyResult(old, new) for old, new in ids.items()),
    )


def test_the_old_one_is_carried_and_the_new_one_says_where_it_came_from() -> None:
    scenario = running().given(check_in(value=40))
    carried, drafted_, added = scenario.when(CARRY).records(*THREE)
    assert (carried.carried_to, carried.cycle_id) == ("o-next", "q2")
    assert (drafted_.carried_from, drafted_.cycle_id) == ("o", "q2")
    assert (drafted_.title, drafted_.owner, drafted_.unit_id) == ("Win with o", "ann", "sales")
    assert (added.carried_from, added.objective_id) == ("kr", "o-next")
    assert added.measure == Metric(unit="deals", baseline=Decimal(40), target=Decimal(100))
    old, new = scenario.state.objective("o"), scenario.state.objective("o-next")
    assert (old.state, old.outcome, new.state) == ("carried", "carried", "draft")
    assert not scenario.state.live_check_ins("kr-next")


FOUR = FourPointMetric(
    unit="deals", baseline=Decimal(0), commit=Decimal(3), target=Decimal(7), stretch=Decimal(10)
)
FALLING = Metric(unit="days", baseline=Decimal(9), target=Decimal(3))


@pytest.mark.parametrize(
    ("was", "value", "becomes"),
    [
        (METRIC, "100", METRIC),
        (METRIC, "130", METRIC),
        (METRIC, "-5", Metric(unit="deals", baseline=Decimal(-5), target=Decimal(100))),
        (FALLING, "4", Metric(unit="days", baseline=Decimal(4), target=Decimal(3))),
        (FALLING, "1", FALLING),
        (
            FOUR,
            "2",
            FourPointMetric(
                unit="deals",
                baseline=Decimal(2),
                commit=Decimal(3),
                target=Decimal(7),
                stretch=Decimal(10),
            ),
        ),
        (FOUR, "3", FOUR),
        (Count(unit="talks", of=3), "2", Count(unit="talks", of=3)),
        (Milestone(), "0", Milestone()),
        (Maintain(unit="%", lower=Decimal(9)), "8", Maintain(unit="%", lower=Decimal(9))),
    ],
)
def test_the_baseline_is_the_last_value_where_that_leaves_the_way(
    was: Measure, value: str, becomes: Measure
) -> None:
    scenario = running(Policy(), was).given(check_in(value=value))
    assert scenario.when(CARRY).records(*THREE)[2].measure == becomes


def test_without_a_value_or_by_policy_the_baseline_is_the_original() -> None:
    assert running().when(CARRY).records(*THREE)[2].measure == METRIC
    original = running(Policy(carry_over_baseline="original")).given(check_in(value=40))
    assert original.when(CARRY).records(*THREE)[2].measure == METRIC


def linked() -> Scenario:
    follows = KpiLinked(kpi_id="churn", baseline=Decimal(9), target=Decimal(3))
    scenario = planned().given(kpi(), draft("o"), add("kr", measure=follows))
    scenario.given(PublishObjective(objective_id="o"), ActivateCycle(cycle_id="q1"))
    return scenario.at("2025-04-01").given(reading(value=6))


def test_a_linked_one_starts_from_the_last_reading_inside() -> None:
    added = linked().when(CARRY).records(*THREE)[2]
    assert added.measure == KpiLinked(kpi_id="churn", baseline=Decimal(6), target=Decimal(3))


def test_a_key_result_that_follows_a_retired_kpi_stays_behind() -> None:
    scenario = linked().given(RetireKpi(kpi_id="churn"))
    scenario.when(CARRY).refuses(Reason.KPI_RETIRED)
    scenario.given(carry())


def test_what_is_not_named_stays_behind() -> None:
    scenario = running().given(add("kr-2", reason="also"))
    scenario.when(carry(kr="kr-next")).records(*THREE)
    assert "kr-2" not in {
        each.added.carried_from for each in scenario.state.live_key_results("o-next")
    }


def test_carrying_twice_the_same_does_nothing_and_otherwise_is_refused() -> None:
    scenario = running().given(CARRY, add("own", "o-next"))
    scenario.when(CARRY).does_nothing()
    scenario.when(carry()).refuses(Reason.GOAL_ENDED)
    scenario.when(carry(carried_to="o-other", kr="kr-next")).refuses(Reason.GOAL_ENDED)
    scenario.when(carry(cycle_id="y", kr="kr-next")).refuses(Reason.GOAL_ENDED)


def test_it_is_published_and_its_cycle_runs_or_is_graded() -> None:
    in_grading().given(CARRY)
    reopened().given(CARRY)
    closed().when(CARRY).refuses(Reason.CYCLE_CLOSED)
    drafted().when(CARRY).refuses(Reason.CARRY_OVER_INVALID)
    draft_only = drafted().given(ActivateCycle(cycle_id="q1"))
    draft_only.when(CARRY).refuses(Reason.CARRY_OVER_INVALID)
    cancelled = running().given(CancelCycle(cycle_id="q1", reason="merger"))
    cancelled.when(CARRY).refuses(Reason.CARRY_OVER_INVALID)


def test_the_other_cycle_is_planned_or_active() -> None:
    running().when(carry("none")).refuses(Reason.NOT_FOUND)
    cancelled = running().given(CancelCycle(cycle_id="q2", reason="merger"))
    cancelled.when(CARRY).refuses(Reason.CARRY_OVER_INVALID)
    grading = running().given(ActivateCycle(cycle_id="q2"), StartCycleGrading(cycle_id="q2"))
    grading.when(CARRY).refuses(Reason.CARRY_OVER_INVALID)


def test_the_other_cycle_is_another_one_and_not_earlier() -> None:
    running().when(carry("q1")).refuses(Reason.CARRY_OVER_INVALID)
    scenario = running().given(plan("early", "custom", "2024-12-31", "2025-06-01"))
    scenario.when(carry("early")).refuses(Reason.CARRY_OVER_INVALID)
    running().given(carry("y"))


def test_into_an_active_cycle_it_is_added_mid_cycle() -> None:
    scenario = running().given(ActivateCycle(cycle_id="q2"))
    scenario.when(CARRY).refuses(Reason.REASON_REQUIRED, rule="R7")
    reasoned = CarryOverObjective(
        objective_id="o",
        carried_to="o-next",
        cycle_id="q2",
        key_results=CARRY.key_results,
        reason="not done",
    )
    _, drafted_, added = scenario.when(reasoned).records(*THREE)
    assert drafted_.mid_cycle
    assert added.mid_cycle


def test_the_locks_of_the_other_cycle_hold() -> None:
    scenario = running(Policy(structure_lock_days=60)).given(ActivateCycle(cycle_id="q2"))
    scenario.at("2025-06-15").when(CARRY).refuses(Reason.STRUCTURE_LOCKED)


def test_the_new_ids_are_free() -> None:
    running().when(carry(carried_to="o")).refuses(Reason.ID_TAKEN)
    running().when(carry(kr="kr")).refuses(Reason.ID_TAKEN)


def test_each_key_result_is_named_once() -> None:
    scenario = running().given(add("kr-2", reason="also"))
    scenario.when(carry(kr="x", **{"kr-2": "x"})).refuses(Reason.CARRY_OVER_INVALID)
    pairs = (CarriedKeyResult("kr", "x"), CarriedKeyResult("kr", "y"))
    twice = CarryOverObjective(
        objective_id="o", carried_to="o-next", cycle_id="q2", key_results=pairs
    )
    scenario.when(twice).refuses(Reason.CARRY_OVER_INVALID)


def test_only_its_own_live_key_results_go_on() -> None:
    scenario = running().given(
        draft("p", reason="new"),
        add("p-kr", "p", reason="new"),
        DropKeyResult(key_result_id="kr", reason="no"),
    )
    scenario.when(carry(**{"p-kr": "x"})).refuses(Reason.CARRY_OVER_INVALID)
    scenario.when(CARRY).refuses(Reason.CARRY_OVER_INVALID)
    scenario.when(carry(none="x")).refuses(Reason.NOT_FOUND)


def test_a_new_goal_needs_a_unit_that_is_not_retired() -> None:
    running().given(RetireUnit(unit_id="sales")).when(CARRY).refuses(Reason.UNIT_RETIRED)


def test_it_keeps_the_parents_that_enclose_the_other_cycle_too() -> None:
    scenario = planned(Policy(parents="many")).given(
        draft("year", "y"), draft("beside"), draft("o")
    )
    both = ("objective/beside", "objective/year")
    scenario.given(add("kr"), RealignObjective(objective_id="o", aligned_to=both))
    scenario.given(PublishObjective(objective_id="o"), ActivateCycle(cycle_id="q1"))
    drafted_ = scenario.when(CARRY).records(*THREE)[1]
    assert drafted_.aligned_to == ("objective/year",)


def test_and_as_many_as_the_policy_there_allows() -> None:
    scenario = planned(Policy(parents="many")).given(
        draft("one", "y"), draft("two", "y"), draft("o")
    )
    both = ("objective/one", "objective/two")
    scenario.given(add("kr"), RealignObjective(objective_id="o", aligned_to=both))
    scenario.given(PublishObjective(objective_id="o"), ActivateCycle(cycle_id="q1"))
    scenario.given(ChangePolicy(policy=Policy()))
    assert scenario.when(CARRY).records(*THREE)[1].aligned_to == both[:1]


def test_a_carried_objective_owes_nothing_to_its_closing() -> None:
    scenario = in_grading(Policy(retrospective_required=False)).given(CARRY)
    scenario.given(CloseCycle(cycle_id="q1"))


def test_where_several_parents_are_allowed_all_that_enclose_it_stay() -> None:
    scenario = planned(Policy(parents="many")).given(
        draft("one", "y"), draft("two", "y"), draft("o", aligned_to=("objective/one",))
    )
    both = ("objective/one", "objective/two")
    scenario.given(add("kr"), RealignObjective(objective_id="o", aligned_to=both))
    scenario.given(PublishObjective(objective_id="o"), ActivateCycle(cycle_id="q1"))
    assert scenario.when(CARRY).records(*THREE)[1].aligned_to == both


def test_it_is_the_same_objective_in_every_word() -> None:
    scenario = planned().given(
        replace(
            draft("o", objective_kind="committed"),
            description="In Europe",
            contributors=("bob", "eve"),
        ),
        add("kr"),
        PublishObjective(objective_id="o"),
        ActivateCycle(cycle_id="q1"),
    )
    again = scenario.when(CARRY).records(*THREE)[1]
    assert (again.objective_kind, again.description, again.contributors) == (
        "committed",
        "In Europe",
        ("bob", "eve"),
    )


@pytest.mark.parametrize(("objective_owner", "key_result_owner"), [("ops", "ann"), ("ann", "ops")])
def test_its_owners_are_judged_by_the_policy_of_the_other_cycle(
    objective_owner: str, key_result_owner: str
) -> None:
    scenario = planned(Policy(owner_may_be_team=True)).given(
        draft("o", owner=objective_owner),
        add("kr", owner=key_result_owner),
        PublishObjective(objective_id="o"),
        ActivateCycle(cycle_id="q1"),
        ChangePolicy(policy=Policy()),
    )
    assert scenario.when(CARRY).refuses(Reason.OWNER_IS_TEAM).seen == "ops"
