"""R1: planned → active → grading → closed (→ reopened → closed), or cancelled; only these."""

from collections.abc import Callable

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    CancelCycle,
    CloseCycle,
    Command,
    PlanCycle,
    ReopenCycle,
    StartCycleGrading,
)
from goal_contracts.events import Event
from goal_contracts.fields import CycleState
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason
from msgspec.structs import replace

from tests.ledger.domain.scenario import (
    Scenario,
    closed,
    company,
    judged,
    plan,
    planned,
    reopened,
    running,
)

Start = Callable[[], Scenario]


def cancelled() -> Scenario:
    return planned().given(CancelCycle(cycle_id="q1", reason="bought by another company"))


STARTS: dict[CycleState, Start] = {
    "planned": planned,
    "active": running,
    "grading": judged,
    "closed": closed,
    "reopened": reopened,
    "cancelled": cancelled,
}
MOVES: dict[type[Event], tuple[Command, CycleState, set[CycleState]]] = {
    events.CycleActivated: (ActivateCycle(cycle_id="q1"), "active", {"planned"}),
    events.CycleGradingStarted: (
        StartCycleGrading(cycle_id="q1"),
        "grading",
        {"active", "reopened"},
    ),
    events.CycleClosed: (CloseCycle(cycle_id="q1"), "closed", {"grading", "reopened"}),
    events.CycleReopened: (ReopenCycle(cycle_id="q1", reason="late deal"), "reopened", {"closed"}),
    events.CycleCancelled: (
        CancelCycle(cycle_id="q1", reason="late deal"),
        "cancelled",
        {"planned", "active", "grading", "reopened"},
    ),
}


@pytest.mark.parametrize("state", STARTS)
@pytest.mark.parametrize("move", MOVES)
def test_only_these_moves_are_possible(state: CycleState, move: type[Event]) -> None:
    command, after, possible_from = MOVES[move]
    scenario = STARTS[state]()
    answer = scenario.when(command)
    if state == after:
        answer.does_nothing()
    elif state in possible_from:
        answer.records(move)
        assert scenario.state.cycle("q1").state == after
    else:
        answer.refuses(Reason.CYCLE_MOVE_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("state", "command"),
    [("closed", ReopenCycle(cycle_id="q1")), ("active", CancelCycle(cycle_id="q1"))],
)
def test_reopening_and_cancelling_need_a_reason(state: CycleState, command: Command) -> None:
    STARTS[state]().when(command).refuses(Reason.REASON_REQUIRED, rule="R1")
    blank = replace(command, reason="  ")
    STARTS[state]().when(blank).refuses(Reason.REASON_REQUIRED, rule="R1")


def test_an_unknown_cycle_makes_no_move() -> None:
    company().when(ActivateCycle(cycle_id="q1")).refuses(Reason.NOT_FOUND)


AT_ONCE = PlanCycle(
    cycle_id="c",
    name="C",
    cycle_kind="custom",
    start_on=plan("c", "custom", "2025-01-01", "2025-02-01").start_on,
    end_on=plan("c", "custom", "2025-01-01", "2025-02-01").end_on,
    activate=True,
)


def test_planning_may_be_skipped_only_where_the_policy_lets_it() -> None:
    refusal = company().when(AT_ONCE).refuses(Reason.CYCLE_MOVE_NOT_ALLOWED)
    assert refusal.seen == "activate"
    lenient = company(Policy(skip_planning=True))
    _, activated = lenient.when(AT_ONCE).records(events.CyclePlanned, events.CycleActivated)
    assert activated.policy == lenient.state.policy
    lenient.when(AT_ONCE).does_nothing()


def test_what_was_planned_is_activated_by_its_own_command() -> None:
    scenario = company(Policy(skip_planning=True)).given(replace(AT_ONCE, activate=False))
    scenario.when(AT_ONCE).refuses(Reason.CYCLE_MOVE_NOT_ALLOWED)
