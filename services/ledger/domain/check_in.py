"""Check-ins: R11 when and what, R13 for which day, R14 correcting and retracting, R15 grace."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from goal_contracts import commands
from goal_contracts.events import CheckedIn, CheckInCorrected, CheckInRetracted, Event
from goal_contracts.measures import KpiLinked
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal
from msgspec.structs import replace

from services.ledger.domain.asked import Asked, asked_before
from services.ledger.domain.measure import refuse_value_that_does_not_fit
from services.ledger.domain.organisation import CheckIn, Cycle, KeyResult, Organisation
from services.ledger.domain.structure import (
    refuse_after_update_lock,
    refuse_closed,
    refuse_ended,
    refuse_without_reason,
)
from services.ledger.domain.times import days_later, end_of_day, local_day


def check_in(
    organisation: Organisation, command: commands.CheckIn, asked: Asked
) -> tuple[Event, ...]:
    """Without a day of its own it is effective now; an id is unique within its key result."""
    key_result = organisation.key_result(command.key_result_id)
    known = organisation.check_ins.get((command.key_result_id, command.check_in_id))
    if known is not None:
        return asked_before(
            replace(command, effective_at=command.effective_at or known.effective_at),
            known.made(command.key_result_id, command.check_in_id),
        )
    cycle = _refuse_unless_taken(organisation, key_result, asked)
    policy = organisation.policy_of(cycle)
    _refuse_saying_too_little(policy, command)
    if command.value is not None:
        refuse_value_that_does_not_fit(key_result.measure, command.value)
    effective_at = command.effective_at or asked.now
    _refuse_effective_at(organisation, cycle, effective_at, asked.now)
    return (
        CheckedIn(
            key_result_id=command.key_result_id,
            check_in_id=command.check_in_id,
            effective_at=effective_at.astimezone(UTC),
            value=command.value,
            confidence=command.confidence,
            status=command.status,
            note=command.note,
            provenance=command.provenance,
        ),
    )


def correct(
    organisation: Organisation, command: commands.CorrectCheckIn, asked: Asked
) -> tuple[Event, ...]:
    """What is given replaces all of it; also in a closed cycle (R19)."""
    key_result = organisation.key_result(command.key_result_id)
    made = _made(organisation, key_result, command.check_in_id)
    if made.retracted:
        raise Refusal(
            Reason.ALREADY_RETRACTED,
            f"the check-in {command.check_in_id} was retracted",
            seen=command.check_in_id,
            accepted="a new check-in",
        )
    if (command.value, command.confidence, command.status, command.note) == (
        made.value,
        made.confidence,
        made.status,
        made.note,
    ):
        return ()
    policy = organisation.policy_of(organisation.cycle_of(key_result))
    _refuse_correction(policy, command, made, asked)
    reason = refuse_without_reason(command.reason, "correcting a check-in", "R14")
    _refuse_saying_too_little(policy, command)
    if command.value is not None and not _keeps_value(key_result, made, command.value):
        refuse_value_that_does_not_fit(key_result.measure, command.value)
    return (
        CheckInCorrected(
            key_result_id=command.key_result_id,
            check_in_id=command.check_in_id,
            effective_at=made.effective_at,
            reason=reason,
            value_was=made.value,
            value=command.value,
            confidence_was=made.confidence,
            confidence=command.confidence,
            status_was=made.status,
            status=command.status,
            note_was=made.note,
            note=command.note,
        ),
    )


def retract(
    organisation: Organisation, command: commands.RetractCheckIn, asked: Asked
) -> tuple[Event, ...]:
    """The check-in before it counts again; also in a closed cycle (R19)."""
    key_result = organisation.key_result(command.key_result_id)
    made = _made(organisation, key_result, command.check_in_id)
    if made.retracted:
        return ()
    policy = organisation.policy_of(organisation.cycle_of(key_result))
    _refuse_correction(policy, command, made, asked)
    reason = refuse_without_reason(command.reason, "retracting a check-in", "R14")
    return (
        CheckInRetracted(
            key_result_id=command.key_result_id,
            check_in_id=command.check_in_id,
            effective_at=made.effective_at,
            reason=reason,
        ),
    )


def _made(organisation: Organisation, key_result: KeyResult, check_in_id: str) -> CheckIn:
    made = organisation.check_ins.get((key_result.key_result_id, check_in_id))
    if made is None:
        raise Refusal(
            Reason.NOT_FOUND,
            f"there is no check-in {check_in_id} on {key_result.key_result_id}",
            seen=check_in_id,
            accepted="the id of one of its check-ins",
        )
    return made


def _keeps_value(key_result: KeyResult, made: CheckIn, value: Decimal) -> bool:
    """A value from before the link to a KPI stays when the rest of the check-in is corrected."""
    return isinstance(key_result.measure, KpiLinked) and value == made.value


def _refuse_unless_taken(organisation: Organisation, key_result: KeyResult, asked: Asked) -> Cycle:
    """R11: only on key results of published objectives, while active, reopened or in grading."""
    refuse_ended(organisation, key_result)
    if organisation.objectives[key_result.objective_id].state == "draft":
        raise Refusal(
            Reason.CHECK_INS_CLOSED,
            f"the objective {key_result.objective_id} is a draft",
            seen="draft",
            accepted="PublishObjective first",
        )
    cycle = organisation.cycle_of(key_result)
    refuse_closed(cycle)
    if cycle.state not in {"active", "grading", "reopened"}:
        raise Refusal(
            Reason.CHECK_INS_CLOSED,
            f"the cycle {cycle.cycle_id} is {cycle.state}",
            seen=cycle.state,
            accepted="a cycle that is active, in grading or reopened",
        )
    refuse_after_update_lock(organisation, cycle, asked)
    return cycle


def _refuse_saying_too_little(
    policy: Policy, command: commands.CheckIn | commands.CorrectCheckIn
) -> None:
    """R11: a check-in says something, and what the policy asks for."""
    if (command.value, command.confidence, command.status, command.note) == (None, None, None, ""):
        raise Refusal(
            Reason.NOTHING_SAID,
            f"the check-in {command.check_in_id} says nothing",
            seen="nothing",
            accepted="a value, a confidence, a status or a note; RetractCheckIn takes one back",
        )
    if policy.note_required and not command.note.strip():
        raise Refusal(
            Reason.NOTE_REQUIRED, "a check-in needs a note here", seen="no note", accepted="a note"
        )
    if policy.confidence_required and command.confidence is None:
        raise Refusal(
            Reason.CONFIDENCE_REQUIRED,
            "a check-in needs a confidence here",
            seen="no confidence",
            accepted="a confidence from 0 to 10",
        )


def _refuse_effective_at(
    organisation: Organisation, cycle: Cycle, effective_at: datetime, now: datetime
) -> None:
    """R13 and R15: never in the future, inside the cycle, in grace, not backdated too far.

    Grace limits an active cycle only: once grading has begun or a cycle is reopened, judging sets
    the pace. Days of backdating are calendar days of the organisation, counted back from today or,
    once the cycle is over, from its last day, so that grace and grading leave as much room.
    """
    policy, begin, end = (
        organisation.policy_of(cycle),
        organisation.begin_of(cycle),
        organisation.end_of(cycle),
    )
    if effective_at > now:
        raise Refusal(
            Reason.EFFECTIVE_IN_FUTURE,
            "a check-in says how it stood, not how it will stand",
            seen=effective_at.isoformat(),
            accepted=f"{now.isoformat()} or earlier",
        )
    last_of_grace = days_later(cycle.end_on, policy.grace_days_after_end)
    if cycle.state == "active" and now > end_of_day(last_of_grace, organisation.zone):
        raise Refusal(
            Reason.GRACE_OVER,
            f"the cycle {cycle.cycle_id} is over, and so is its grace",
            seen=now.isoformat(),
            accepted=f"until the end of {last_of_grace}; StartCycleGrading takes check-ins again",
        )
    if not begin <= effective_at <= end:
        raise Refusal(
            Reason.EFFECTIVE_OUTSIDE_CYCLE,
            f"the check-in does not lie inside the cycle {cycle.cycle_id}",
            seen=effective_at.isoformat(),
            accepted=f"an effective_at from {begin.isoformat()} to {end.isoformat()}",
        )
    if effective_at == now:
        return
    today = local_day(min(now, end), organisation.zone)
    first = days_later(today, -policy.backdating_days_max)
    if local_day(effective_at, organisation.zone) < first:
        raise Refusal(
            Reason.BACKDATED_TOO_FAR,
            f"the check-in lies more than {policy.backdating_days_max} days back",
            seen=effective_at.isoformat(),
            accepted=f"{first} or later",
        )


def _refuse_correction(
    policy: Policy,
    command: commands.CorrectCheckIn | commands.RetractCheckIn,
    made: CheckIn,
    asked: Asked,
) -> None:
    """R14: who may correct or retract, and for how long after the check-in was made."""
    if policy.correction_by == "author" and asked.actor != made.actor:
        raise Refusal(
            Reason.NOT_THE_AUTHOR,
            f"the check-in {command.check_in_id} is {made.actor}'s",
            seen=asked.actor,
            accepted=made.actor,
        )
    days = policy.correction_window_days
    if days is not None and asked.now > made.known_at + timedelta(days=days):
        raise Refusal(
            Reason.CORRECTION_WINDOW_OVER,
            f"the check-in was made at {made.known_at.isoformat()}",
            seen=asked.now.isoformat(),
            accepted=f"within {days} days of making it",
        )
