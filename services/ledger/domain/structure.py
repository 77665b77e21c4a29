"""R6 and R7: what may change in which state of a cycle, until when, and what needs a reason.

Structure is free while a cycle is planned. Once it is active or reopened, goals are reworded,
reassigned, retargeted, reweighted, added and dropped; in grading nothing of this; closed is sealed.
"""

from datetime import date

from goal_contracts.fields import Reasoning
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import Asked
from services.ledger.domain.organisation import Cycle, KeyResult, Objective, Organisation
from services.ledger.domain.times import days_later, end_of_day, start_of_day


def is_running(cycle: Cycle) -> bool:
    """Whether a change is one in mid-cycle: the plan is no longer only a plan."""
    return cycle.state != "planned"


def refuse_unless_updatable(organisation: Organisation, cycle: Cycle, asked: Asked) -> None:
    """The cycle's goals may be reworded, reassigned, published and the like."""
    refuse_closed(cycle)
    if cycle.state not in {"planned", "active", "reopened"}:
        raise Refusal(
            Reason.CYCLE_NOT_OPEN,
            f"the cycle {cycle.cycle_id} is {cycle.state}",
            seen=cycle.state,
            accepted="a cycle that is planned, active or reopened",
        )
    refuse_after_update_lock(organisation, cycle, asked)


def refuse_unless_restructurable(organisation: Organisation, cycle: Cycle, asked: Asked) -> None:
    """Goals may be added, dropped, retargeted, reweighted, realigned and linked."""
    refuse_unless_updatable(organisation, cycle, asked)
    days = organisation.policy_of(cycle).structure_lock_days
    if days is None or not is_running(cycle):
        return
    locked_from = days_later(cycle.start_on, days)
    if asked.now >= start_of_day(locked_from, organisation.zone):
        raise Refusal(
            Reason.STRUCTURE_LOCKED,
            f"the structure of the cycle {cycle.cycle_id} is locked since {locked_from}",
            seen=asked.now.isoformat(),
            accepted="rewording or reassigning; the structure may change in the next cycle",
        )


def refuse_after_update_lock(organisation: Organisation, cycle: Cycle, asked: Asked) -> None:
    """So many days after the end only judging is left.

    Correcting and retracting stay possible (R14, R19), and so does dropping a draft: without that
    a forgotten draft would keep the cycle from ever closing.
    """
    days = organisation.policy_of(cycle).update_lock_days
    if days is not None and is_running(cycle):
        last: date = days_later(cycle.end_on, days)
        if asked.now > end_of_day(last, organisation.zone):
            raise Refusal(
                Reason.UPDATE_LOCKED,
                f"the goals of the cycle {cycle.cycle_id} are locked since the end of {last}",
                seen=asked.now.isoformat(),
                accepted="grading and closing",
            )


def refuse_closed(cycle: Cycle) -> None:
    """R19: closed is sealed."""
    if cycle.state == "closed":
        raise Refusal(
            Reason.CYCLE_CLOSED,
            f"the cycle {cycle.cycle_id} is closed",
            seen=cycle.state,
            accepted="comments, corrections and ReopenCycle",
        )


def refuse_ended(organisation: Organisation, goal: Objective | KeyResult) -> None:
    """A goal that was dropped or carried over changes no more."""
    if isinstance(goal, KeyResult):
        if goal.dropped:
            raise _ended(f"the key result {goal.key_result_id}", "dropped")
        goal = organisation.objectives[goal.objective_id]
    if goal.state in {"dropped", "carried"}:
        raise _ended(f"the objective {goal.objective_id}", goal.state)


def mid_cycle_mark(policy: Policy, cycle: Cycle, reason: Reasoning | None, what: str) -> bool:
    """R7: whether lowering, dropping or adding shows as mid-cycle; Refusal(REASON_REQUIRED)."""
    if not is_running(cycle) or policy.mid_cycle_reason == "off":
        return False
    if policy.mid_cycle_reason == "required":
        refuse_without_reason(reason, f"{what} in a running cycle", "R7")
    return True


def refuse_without_reason(reason: Reasoning | None, what: str, rule: str) -> Reasoning:
    """The reason itself; Refusal(REASON_REQUIRED) under the rule that asks for it."""
    if reason is None or not reason.strip():
        raise Refusal(
            Reason.REASON_REQUIRED,
            f"{what} needs a reason",
            seen="no reason",
            accepted="the same command with a reason",
            rule=rule,
        )
    return reason


def _ended(goal: str, state: str) -> Refusal:
    return Refusal(
        Reason.GOAL_ENDED,
        f"{goal} was {state}",
        seen=state,
        accepted="a goal that is still pursued",
    )
