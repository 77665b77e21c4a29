"""What may happen to a cycle: R1 its moves, R2 its days, R18 closing, R19 reopening, R20 policy."""

from datetime import date, timedelta

from goal_contracts import commands
from goal_contracts.events import (
    CycleActivated,
    CycleCancelled,
    CycleClosed,
    CycleGradingStarted,
    CyclePlanned,
    CycleReopened,
    CycleRescheduled,
    Event,
    RetrospectiveRecorded,
)
from goal_contracts.fields import CycleKind, CycleState
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal
from msgspec.structs import replace

from services.ledger.domain import closing
from services.ledger.domain.asked import Asked, asked_before
from services.ledger.domain.organisation import Cycle, Organisation
from services.ledger.domain.structure import (
    refuse_after_update_lock,
    refuse_closed,
    refuse_without_reason,
)
from services.ledger.domain.times import (
    DAY_FIRST,
    DAY_LAST,
    day_before,
    is_day_of_record,
    months_later,
)

MOVES: dict[CycleState, tuple[str, ...]] = {
    "planned": ("ActivateCycle", "CancelCycle"),
    "active": ("StartCycleGrading", "CancelCycle"),
    "grading": ("CloseCycle", "CancelCycle"),
    "closed": ("ReopenCycle",),
    "reopened": ("StartCycleGrading", "CloseCycle", "CancelCycle"),
    "cancelled": (),
}
"""R1: from each state only these."""

MONTHS: dict[CycleKind, int] = {"annual": 12, "quarterly": 3, "monthly": 1}
"""R2: how long a cycle of a kind is, and so how far apart its possible first months are."""


def plan(organisation: Organisation, command: commands.PlanCycle) -> tuple[Event, ...]:
    known = organisation.cycles.get(command.cycle_id)
    if known is not None:
        asked_before(command, known.planned)
        if command.activate and known.state == "planned":
            raise _move_not_allowed(known, "was planned without being activated")
        return ()
    planned = CyclePlanned(
        cycle_id=command.cycle_id,
        name=command.name,
        cycle_kind=command.cycle_kind,
        start_on=command.start_on,
        end_on=command.end_on,
        parent_id=command.parent_id,
    )
    if command.parent_id is not None:
        _refuse_ended_parent(organisation.cycle(command.parent_id))
    _refuse_days(organisation, organisation.policy, planned)
    if not command.activate:
        return (planned,)
    if not organisation.policy.skip_planning:
        raise Refusal(
            Reason.CYCLE_MOVE_NOT_ALLOWED,
            "a cycle is planned before it is activated",
            seen="activate",
            accepted="PlanCycle, then ActivateCycle (or the policy skip_planning)",
        )
    return (planned, CycleActivated(cycle_id=command.cycle_id, policy=organisation.policy))


def reschedule(
    organisation: Organisation, command: commands.RescheduleCycle, asked: Asked
) -> tuple[Event, ...]:
    """Only while planned or active; an active one needs a reason, as people count on its days."""
    cycle = organisation.cycle(command.cycle_id)
    if (command.start_on, command.end_on) == (cycle.start_on, cycle.end_on):
        return ()
    refuse_closed(cycle)
    if cycle.state not in {"planned", "active"}:
        raise Refusal(
            Reason.CYCLE_NOT_OPEN,
            f"the cycle {cycle.cycle_id} is {cycle.state}",
            seen=cycle.state,
            accepted="a cycle that is planned or active",
        )
    if cycle.state == "active":
        refuse_after_update_lock(organisation, cycle, asked)
        refuse_without_reason(command.reason, "rescheduling an active cycle", "R2")
    moved = replace(cycle, start_on=command.start_on, end_on=command.end_on)
    _refuse_days(organisation, organisation.policy_of(cycle), moved)
    _refuse_children_outside(organisation, moved)
    _refuse_check_ins_outside(organisation, moved)
    return (
        CycleRescheduled(
            cycle_id=cycle.cycle_id,
            start_on_was=cycle.start_on,
            end_on_was=cycle.end_on,
            start_on=command.start_on,
            end_on=command.end_on,
            reason=command.reason,
        ),
    )


def activate(organisation: Organisation, command: commands.ActivateCycle) -> tuple[Event, ...]:
    """R20: the policy of this moment is pinned."""
    cycle = organisation.cycle(command.cycle_id)
    if cycle.state == "active":
        return ()
    _refuse_unless_move(cycle, "ActivateCycle")
    return (CycleActivated(cycle_id=cycle.cycle_id, policy=organisation.policy),)


def start_grading(
    organisation: Organisation, command: commands.StartCycleGrading
) -> tuple[Event, ...]:
    cycle = organisation.cycle(command.cycle_id)
    if cycle.state == "grading":
        return ()
    _refuse_unless_move(cycle, "StartCycleGrading")
    return (CycleGradingStarted(cycle_id=cycle.cycle_id),)


def close(organisation: Organisation, command: commands.CloseCycle) -> tuple[Event, ...]:
    """R18: sealed once everything in it is judged, under the policy it was activated under."""
    cycle = organisation.cycle(command.cycle_id)
    if cycle.state == "closed":
        return ()
    _refuse_unless_move(cycle, "CloseCycle")
    closing.refuse_unless_judged(organisation, cycle)
    return (
        CycleClosed(
            cycle_id=cycle.cycle_id,
            policy=organisation.policy_of(cycle),
            aspirational_score=closing.aspirational_score(organisation, cycle),
            committed_met=closing.committed_met(organisation, cycle),
        ),
    )


def reopen(
    organisation: Organisation, command: commands.ReopenCycle, asked: Asked
) -> tuple[Event, ...]:
    """R19: within so many days of closing; the facts of the closing stay."""
    cycle = organisation.cycle(command.cycle_id)
    if cycle.state == "reopened":
        return ()
    _refuse_unless_move(cycle, "ReopenCycle")
    reason = refuse_without_reason(command.reason, "reopening a cycle", "R1")
    days = organisation.policy_of(cycle).reopen_within_days
    closed_at = cycle.closings[-1].known_at
    if asked.now > closed_at + timedelta(days=days):
        raise Refusal(
            Reason.REOPEN_WINDOW_OVER,
            f"the cycle {cycle.cycle_id} was closed at {closed_at.isoformat()}",
            seen=asked.now.isoformat(),
            accepted=f"within {days} days of closing",
        )
    return (CycleReopened(cycle_id=cycle.cycle_id, reason=reason),)


def cancel(organisation: Organisation, command: commands.CancelCycle) -> tuple[Event, ...]:
    cycle = organisation.cycle(command.cycle_id)
    if cycle.state == "cancelled":
        return ()
    _refuse_unless_move(cycle, "CancelCycle")
    reason = refuse_without_reason(command.reason, "cancelling a cycle", "R1")
    return (CycleCancelled(cycle_id=cycle.cycle_id, reason=reason),)


def record_retrospective(
    organisation: Organisation, command: commands.RecordRetrospective
) -> tuple[Event, ...]:
    """While the cycle runs or is graded; the same words again record nothing."""
    cycle = organisation.cycle(command.cycle_id)
    recorded = RetrospectiveRecorded(
        cycle_id=cycle.cycle_id,
        went_well=command.went_well,
        did_not_go_well=command.did_not_go_well,
        learned=command.learned,
        celebrate=command.celebrate,
    )
    if recorded in cycle.retrospectives:
        return ()
    refuse_closed(cycle)
    if cycle.state not in {"active", "grading", "reopened"}:
        raise Refusal(
            Reason.CYCLE_NOT_OPEN,
            f"the cycle {cycle.cycle_id} is {cycle.state}",
            seen=cycle.state,
            accepted="a cycle that is active, in grading or reopened",
            rule="R18",
        )
    if not (recorded.went_well + recorded.did_not_go_well + recorded.learned + recorded.celebrate):
        raise Refusal(
            Reason.NOTHING_SAID,
            "the retrospective says nothing",
            seen="nothing",
            accepted="a text in went_well, did_not_go_well, learned or celebrate",
            rule="R18",
        )
    return (recorded,)


def _refuse_unless_move(cycle: Cycle, move: str) -> None:
    if move not in MOVES[cycle.state]:
        raise _move_not_allowed(cycle, f"is {cycle.state}")


def _move_not_allowed(cycle: Cycle, state: str) -> Refusal:
    return Refusal(
        Reason.CYCLE_MOVE_NOT_ALLOWED,
        f"the cycle {cycle.cycle_id} {state}",
        seen=cycle.state,
        accepted=", ".join(MOVES[cycle.state]) or "nothing: it was given up",
    )


def _refuse_ended_parent(parent: Cycle) -> None:
    refuse_closed(parent)
    if parent.state == "cancelled":
        raise Refusal(
            Reason.CYCLE_NOT_OPEN,
            f"the parent {parent.cycle_id} is cancelled",
            seen=parent.state,
            accepted="a parent that is neither closed nor cancelled",
        )


def _refuse_days(organisation: Organisation, policy: Policy, planned: Cycle | CyclePlanned) -> None:
    """R2, for the days a cycle is to have."""
    _refuse_unless_days_of_kind(policy, planned)
    if planned.parent_id is not None:
        _refuse_outside(planned, organisation.cycles[planned.parent_id])
    if not policy.allow_cycle_overlap:
        _refuse_overlap(organisation, planned)


def _refuse_unless_days_of_kind(policy: Policy, planned: Cycle | CyclePlanned) -> None:
    start_on, end_on = planned.start_on, planned.end_on
    if not is_day_of_record(start_on) or not is_day_of_record(end_on):
        raise _days_invalid(planned, f"days from {DAY_FIRST} to {DAY_LAST}")
    if start_on >= end_on:
        raise _days_invalid(planned, "a last day after the first day")
    months = MONTHS.get(planned.cycle_kind)
    if months is None:
        return
    first_month = policy.fiscal_year_start_month
    if start_on.day != 1 or (start_on.month - first_month) % months != 0:
        every = "" if months == 1 else f", every {months} months from month {first_month}"
        raise _days_invalid(planned, f"a start on the first of a month{every}")
    last = day_before(months_later(start_on, months))
    if end_on != last:
        raise _days_invalid(planned, f"{start_on} to {last}")


def _days_invalid(planned: Cycle | CyclePlanned, accepted: str) -> Refusal:
    days = f"{planned.start_on} to {planned.end_on}"
    return Refusal(
        Reason.CYCLE_DATES_INVALID,
        f"{days} are not the days of a cycle of kind {planned.cycle_kind}",
        seen=days,
        accepted=accepted,
    )


def _refuse_outside(child: Cycle | CyclePlanned, parent: Cycle) -> None:
    if child.start_on < parent.start_on or child.end_on > parent.end_on:
        raise Refusal(
            Reason.CYCLE_OUTSIDE_PARENT,
            f"the cycle {child.cycle_id} does not lie inside {parent.cycle_id}",
            seen=f"{child.start_on} to {child.end_on}",
            accepted=f"days from {parent.start_on} to {parent.end_on}",
        )


def _refuse_children_outside(organisation: Organisation, moved: Cycle) -> None:
    for child in organisation.cycles.values():
        if child.parent_id == moved.cycle_id and child.state != "cancelled":
            _refuse_outside(child, moved)


def _refuse_overlap(organisation: Organisation, planned: Cycle | CyclePlanned) -> None:
    for other in organisation.cycles.values():
        if (
            other.cycle_kind == planned.cycle_kind
            and other.cycle_id != planned.cycle_id
            and other.state != "cancelled"
            and _share_a_day(other, planned)
        ):
            raise Refusal(
                Reason.CYCLE_OVERLAPS,
                f"the {planned.cycle_kind} cycle {other.cycle_id} shares days with it",
                seen=f"{planned.start_on} to {planned.end_on}",
                accepted=f"days before {other.start_on} or after {other.end_on}"
                " (or the policy allow_cycle_overlap)",
            )


def _share_a_day(one: Cycle, other: Cycle | CyclePlanned) -> bool:
    first: date = max(one.start_on, other.start_on)
    return first <= min(one.end_on, other.end_on)


def _refuse_check_ins_outside(organisation: Organisation, moved: Cycle) -> None:
    """A check-in that was made inside the cycle must not be moved out of it (R13)."""
    begin, end = organisation.begin_of(moved), organisation.end_of(moved)
    for objective in organisation.objectives_in(moved.cycle_id):
        for key_result_id in organisation.key_result_ids.get(objective.objective_id, ()):
            for check_in_id in organisation.check_in_ids.get(key_result_id, ()):
                check_in = organisation.check_ins[key_result_id, check_in_id]
                if not check_in.retracted and not begin <= check_in.effective_at <= end:
                    raise Refusal(
                        Reason.EFFECTIVE_OUTSIDE_CYCLE,
                        f"the check-in {check_in_id} of {key_result_id} would lie outside",
                        seen=f"{moved.start_on} to {moved.end_on}",
                        accepted="days that keep every check-in inside, or retract it first",
                    )
