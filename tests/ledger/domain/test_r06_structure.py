"""R6: structure is free while planned; once running only Doerr's moves; in grading none."""

from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    CancelCycle,
    ChangeObjectiveContributors,
    ChangeObjectiveKind,
    Command,
    DropKeyResult,
    DropObjective,
    LinkKeyResultToKpi,
    PublishObjective,
    RealignObjective,
    ReassignKeyResult,
    ReassignObjective,
    RetargetKeyResult,
    ReweightKeyResult,
    RewordKeyResult,
    RewordObjective,
    StartCycleGrading,
)
from goal_contracts.measures import Metric
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import (
    Scenario,
    add,
    check_in,
    closed,
    draft,
    drafted,
    in_grading,
    kpi,
    reopened,
    running,
)

WHY = "the market changed"
HIGHER = Metric(unit="deals", baseline=Decimal(0), target=Decimal(120))
UPDATES: list[Command] = [
    RewordObjective(objective_id="o", title="Win more"),
    ReassignObjective(objective_id="o", owner="bob"),
    ChangeObjectiveContributors(objective_id="o", contributors=("bob", "eve")),
    RewordKeyResult(key_result_id="kr", title="Measure more"),
    ReassignKeyResult(key_result_id="kr", owner="bob"),
    PublishObjective(objective_id="draft"),
]
STRUCTURAL: list[Command] = [
    draft("o-2", reason=WHY),
    DropObjective(objective_id="o", reason=WHY),
    RealignObjective(objective_id="o", aligned_to=("objective/other",), reason=WHY),
    add("kr-2", reason=WHY),
    DropKeyResult(key_result_id="kr", reason=WHY),
    ReweightKeyResult(key_result_id="kr", weight=Decimal(2)),
    RetargetKeyResult(key_result_id="kr", measure=HIGHER),
    LinkKeyResultToKpi(
        key_result_id="kr", kpi_id="churn", baseline=Decimal(0), target=Decimal(100), reason=WHY
    ),
]
KIND = ChangeObjectiveKind(objective_id="o", objective_kind="committed")


def with_more(scenario: Scenario) -> Scenario:
    """A draft with a key result, another objective and a KPI besides."""
    return scenario.given(
        draft("draft", reason=WHY),
        add("draft-kr", "draft", reason=WHY),
        draft("other", reason=WHY),
        kpi(),
    )


def name(command: Command) -> str:
    return type(command).__name__


@pytest.mark.parametrize("command", [*UPDATES, *STRUCTURAL, KIND], ids=name)
def test_everything_may_change_while_planned(command: Command) -> None:
    assert with_more(drafted()).when(command).accepted()


@pytest.mark.parametrize("command", [*UPDATES, *STRUCTURAL, KIND], ids=name)
def test_while_active_it_may_change_too_with_a_reason_where_one_is_due(command: Command) -> None:
    assert with_more(running()).when(command).accepted()


@pytest.mark.parametrize("command", [*UPDATES, *STRUCTURAL, KIND], ids=name)
def test_in_grading_none_of_it_changes(command: Command) -> None:
    scenario = with_more(running()).given(StartCycleGrading(cycle_id="q1"))
    scenario.when(command).refuses(Reason.CYCLE_NOT_OPEN)


@pytest.mark.parametrize("command", [*UPDATES, *STRUCTURAL, KIND], ids=name)
def test_in_a_cancelled_cycle_neither(command: Command) -> None:
    scenario = with_more(running()).given(CancelCycle(cycle_id="q1", reason=WHY))
    scenario.when(command).refuses(Reason.CYCLE_NOT_OPEN)


@pytest.mark.parametrize("command", [*UPDATES[:-1], *STRUCTURAL], ids=name)
def test_a_reopened_cycle_may_change_like_an_active_one(command: Command) -> None:
    scenario = reopened().given(draft("other", reason=WHY), kpi())
    assert scenario.when(command).accepted()


@pytest.mark.parametrize("command", [*UPDATES[:-1], *STRUCTURAL, KIND], ids=name)
def test_a_closed_cycle_is_sealed(command: Command) -> None:
    closed().given(kpi()).when(command).refuses(Reason.CYCLE_CLOSED)


def test_the_kind_of_a_graded_objective_stays() -> None:
    reopened().when(KIND).refuses(Reason.CYCLE_NOT_OPEN)


def test_what_changes_nothing_does_nothing_in_any_state() -> None:
    for scenario in (drafted(), running(), in_grading(), closed()):
        for command in (
            RewordObjective(objective_id="o"),
            RewordObjective(objective_id="o", title="Win with o", description=""),
            ChangeObjectiveContributors(objective_id="o", contributors=()),
            ChangeObjectiveKind(objective_id="o", objective_kind="aspirational"),
            RealignObjective(objective_id="o", aligned_to=()),
            RewordKeyResult(key_result_id="kr", title="Measure kr"),
            ReweightKeyResult(key_result_id="kr", weight=Decimal("1.0")),
        ):
            scenario.when(command).does_nothing()


def test_a_rewording_carries_what_it_said() -> None:
    scenario = drafted()
    reworded = scenario.when(RewordObjective(objective_id="o", description="In Europe")).records(
        events.ObjectiveReworded
    )
    assert (reworded.title_was, reworded.title) == ("Win with o", "Win with o")
    assert (reworded.description_was, reworded.description) == ("", "In Europe")
    again = scenario.when(RewordObjective(objective_id="o", description="In Asia"))
    assert again.records(events.ObjectiveReworded).description_was == "In Europe"
    reworded = scenario.when(RewordKeyResult(key_result_id="kr", title="Deals won")).records(
        events.KeyResultReworded
    )
    assert (reworded.title_was, reworded.title) == ("Measure kr", "Deals won")


def test_changes_of_contributors_kind_and_weight_carry_what_was() -> None:
    scenario = drafted()
    helped = scenario.when(UPDATES[2]).records(events.ObjectiveContributorsChanged)
    assert (helped.contributors_was, helped.contributors) == ((), ("bob", "eve"))
    alone = ChangeObjectiveContributors(objective_id="o", contributors=())
    left = scenario.when(alone).records(events.ObjectiveContributorsChanged)
    assert left.contributors_was == ("bob", "eve")
    kind = scenario.when(KIND).records(events.ObjectiveKindChanged)
    assert (kind.objective_kind_was, kind.objective_kind) == ("aspirational", "committed")
    weight = scenario.when(STRUCTURAL[5]).records(events.KeyResultReweighted)
    assert (weight.weight_was, weight.weight) == (1, 2)


def test_a_contributor_is_named_once() -> None:
    twice = ChangeObjectiveContributors(objective_id="o", contributors=("bob", "bob"))
    drafted().when(twice).refuses(Reason.MALFORMED)


def test_realigning_a_running_objective_needs_a_reason() -> None:
    align = RealignObjective(objective_id="o", aligned_to=("objective/other",))
    with_more(drafted()).when(align).records(events.ObjectiveRealigned)
    with_more(running()).when(align).refuses(Reason.REASON_REQUIRED, rule="R6")
    lenient = with_more(running(Policy(mid_cycle_reason="off")))
    lenient.when(align).refuses(Reason.REASON_REQUIRED, rule="R6")


@pytest.mark.parametrize("command", STRUCTURAL, ids=name)
def test_the_structure_lock_begins_so_many_days_after_the_start(command: Command) -> None:
    locking = Policy(structure_lock_days=45)
    before = with_more(running(locking)).at("2025-02-14T23:59:59.999999+00:00")
    assert before.when(command).accepted()
    after = with_more(running(locking)).at("2025-02-15T00:00:00+00:00")
    after.when(command).refuses(Reason.STRUCTURE_LOCKED)


@pytest.mark.parametrize("command", [*UPDATES, KIND], ids=name)
def test_the_structure_lock_leaves_the_rest_free(command: Command) -> None:
    locked = with_more(running(Policy(structure_lock_days=45))).at("2025-03-01")
    assert locked.when(command).accepted()


def test_no_lock_holds_while_planned() -> None:
    drafted(Policy(structure_lock_days=0, update_lock_days=0)).at("2025-12-01").given(add("kr-2"))


@pytest.mark.parametrize(
    "command", [*UPDATES, *STRUCTURAL, KIND, check_in(on="2025-03-31")], ids=name
)
def test_the_update_lock_begins_so_many_days_after_the_end(command: Command) -> None:
    locking = Policy(update_lock_days=2)
    before = with_more(running(locking)).at("2025-04-02T23:59:59.999999+00:00")
    assert before.when(command).accepted()
    after = with_more(running(locking)).at("2025-04-03T00:00:00+00:00")
    after.when(command).refuses(Reason.UPDATE_LOCKED)


def test_dropping_carries_over_into_nothing_else() -> None:
    scenario = drafted()
    scenario.when(DropObjective(objective_id="o")).records(events.ObjectiveDropped)
    scenario.when(DropObjective(objective_id="o")).does_nothing()
    assert scenario.state.objective("o").outcome == "dropped"


@pytest.mark.parametrize("command", [*UPDATES[:-1], KIND, *STRUCTURAL[2:]], ids=name)
def test_a_dropped_objective_changes_no_more_nor_do_its_key_results(command: Command) -> None:
    scenario = with_more(drafted()).given(DropObjective(objective_id="o"))
    scenario.when(command).refuses(Reason.GOAL_ENDED)


@pytest.mark.parametrize("command", [*UPDATES[3:5], *STRUCTURAL[5:], check_in()], ids=name)
def test_a_dropped_key_result_changes_no_more(command: Command) -> None:
    scenario = with_more(running()).given(DropKeyResult(key_result_id="kr", reason=WHY))
    scenario.when(command).refuses(Reason.GOAL_ENDED)
    scenario.when(DropKeyResult(key_result_id="kr")).does_nothing()


@pytest.mark.parametrize("policy", [Policy(), Policy(structure_lock_days=0, update_lock_days=0)])
def test_a_draft_may_be_dropped_late_because_it_never_counted(policy: Policy) -> None:
    scenario = drafted(policy).given(
        draft("draft"), ActivateCycle(cycle_id="q1"), StartCycleGrading(cycle_id="q1")
    )
    scenario.at("2025-05-01").given(DropObjective(objective_id="draft", reason="forgotten"))


def test_a_draft_of_a_cancelled_cycle_stays() -> None:
    scenario = drafted().given(CancelCycle(cycle_id="q1", reason=WHY))
    scenario.when(DropObjective(objective_id="o", reason=WHY)).refuses(Reason.CYCLE_NOT_OPEN)


def test_a_goal_that_ended_says_how() -> None:
    reworded = RewordKeyResult(key_result_id="kr", title="Deals won")
    alone = drafted().given(DropKeyResult(key_result_id="kr"))
    refusal = alone.when(reworded).refuses(Reason.GOAL_ENDED)
    assert (refusal.message, refusal.seen) == ("the key result kr was dropped", "dropped")
    together = drafted().given(DropObjective(objective_id="o"))
    refusal = together.when(reworded).refuses(Reason.GOAL_ENDED)
    assert (refusal.message, refusal.seen) == ("the objective o was dropped", "dropped")
