"""R16: judging key results and objectives.

A score is computed in steps of 0.01; another one is given only with a reason, and both are kept.
Judging again is allowed as long as the cycle is in grading or reopened.
"""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from goal_contracts import commands
from goal_contracts.cadence import periods
from goal_contracts.events import Event, KeyResultGraded, KeyResultWaived, ObjectiveGraded
from goal_contracts.fields import Reasoning
from goal_contracts.measures import (
    SCORE_STEP,
    Maintain,
    maintained,
    progress,
    score_of,
    weighted_mean,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import Asked
from services.ledger.domain.organisation import Cycle, KeyResult, Objective, Organisation
from services.ledger.domain.structure import refuse_closed, refuse_ended, refuse_without_reason
from services.ledger.domain.times import days_later, start_of_day


def grade_key_result(
    organisation: Organisation, command: commands.GradeKeyResult, asked: Asked
) -> tuple[Event, ...]:
    """Without a score the computed one is taken; where nothing was due there is none (maintain)."""
    key_result = organisation.key_result(command.key_result_id)
    cycle = _refuse_unless_judged_now(organisation, key_result)
    policy = organisation.policy_of(cycle)
    _refuse_owner(policy, key_result.owner, asked)
    computed = _computed_for_key_result(organisation, key_result, asked)
    score = _score(policy, computed, command.score, command.reason)
    if score is None:
        raise _score_invalid("no score can be computed here", "none", "a score from 0 to 1")
    if (score, computed) == (key_result.score, key_result.score_computed):
        return ()
    return (
        KeyResultGraded(
            key_result_id=key_result.key_result_id,
            score=score,
            score_computed=computed,
            reason=command.reason,
        ),
    )


def waive_key_result(
    organisation: Organisation, command: commands.WaiveKeyResult
) -> tuple[Event, ...]:
    """R18: it will not be scored; a score it had no longer counts."""
    key_result = organisation.key_result(command.key_result_id)
    if key_result.waived:
        return ()
    _refuse_unless_judged_now(organisation, key_result)
    reason = refuse_without_reason(command.reason, "waiving a key result", "R18")
    return (KeyResultWaived(key_result_id=key_result.key_result_id, reason=reason),)


def grade_objective(
    organisation: Organisation, command: commands.GradeObjective, asked: Asked
) -> tuple[Event, ...]:
    """The computed score is the weighted mean of the scored key results, others left out.

    Where every key result was waived there may be an outcome without a score. R17: who committed to
    an objective and missed it says why.
    """
    objective = organisation.objective(command.objective_id)
    cycle = _refuse_unless_judged_now(organisation, objective)
    policy = organisation.policy_of(cycle)
    _refuse_owner(policy, objective.owner, asked)
    if command.outcome not in {"achieved", "partial", "missed"}:
        raise Refusal(
            Reason.OUTCOME_INVALID,
            f"{command.outcome} is not a judgement",
            seen=command.outcome,
            accepted="achieved, partial or missed; DropObjective and CarryOverObjective say the"
            " other two",
        )
    _refuse_unexplained(objective, command)
    key_results = organisation.live_key_results(objective.objective_id)
    mean = weighted_mean((each.weight, each.score) for each in key_results)
    computed = None if mean is None else mean.quantize(SCORE_STEP, ROUND_HALF_EVEN)
    score = _score(policy, computed, command.score, command.reason)
    if score is None and not all(each.waived for each in key_results):
        raise _score_invalid(
            "no key result is scored yet", "none", "GradeKeyResult first, or a score from 0 to 1"
        )
    judged = (command.outcome, score, computed)
    if judged == (objective.outcome, objective.score, objective.score_computed):
        return ()
    return (
        ObjectiveGraded(
            objective_id=objective.objective_id,
            outcome=command.outcome,
            score_computed=computed,
            score=score,
            reason=command.reason,
        ),
    )


def _refuse_unless_judged_now(organisation: Organisation, goal: Objective | KeyResult) -> Cycle:
    """Only live goals, of published objectives, in a cycle that is in grading or reopened."""
    cycle = organisation.cycle_of(goal)
    refuse_closed(cycle)
    if cycle.state not in {"grading", "reopened"}:
        raise Refusal(
            Reason.NOT_IN_GRADING,
            f"the cycle {cycle.cycle_id} is {cycle.state}",
            seen=cycle.state,
            accepted="a cycle in grading or reopened: StartCycleGrading first",
        )
    refuse_ended(organisation, goal)
    objective = goal if isinstance(goal, Objective) else organisation.objectives[goal.objective_id]
    if objective.state == "draft":
        raise Refusal(
            Reason.NOT_MEASURABLE,
            f"the objective {objective.objective_id} is a draft and never counted",
            seen=objective.state,
            accepted="a published objective; DropObjective ends a draft",
            rule="R16",
        )
    return cycle


def _refuse_owner(policy: Policy, owner: str, asked: Asked) -> None:
    if not policy.grade_by_owner and asked.actor == owner:
        raise Refusal(
            Reason.OWNER_MAY_NOT_GRADE,
            f"{owner} is accountable for it",
            seen=asked.actor,
            accepted="anybody but its owner",
        )


def _refuse_unexplained(objective: Objective, command: commands.GradeObjective) -> None:
    missed = objective.objective_kind == "committed" and command.outcome == "missed"
    if missed and not (command.reason or "").strip():
        raise Refusal(
            Reason.EXPLANATION_REQUIRED,
            f"the objective {objective.objective_id} was committed to, and missed",
            seen="no reason",
            accepted="the same command with a reason that explains it",
        )


def _computed_for_key_result(
    organisation: Organisation, key_result: KeyResult, asked: Asked
) -> Decimal | None:
    measure = key_result.measure
    if isinstance(measure, Maintain):
        reached = _maintained(organisation, key_result, measure, asked.now)
    else:
        reached = progress(measure, organisation.counted_value(key_result))
    return None if reached is None else score_of(reached)


def _maintained(
    organisation: Organisation, key_result: KeyResult, measure: Maintain, now: datetime
) -> Decimal | None:
    """By the check-ins in the order in which they count, under the cadence the cycle pinned."""
    cycle, zone = organisation.cycle_of(key_result), organisation.zone
    said = sorted(
        organisation.live_check_ins(key_result.key_result_id),
        key=lambda each: (each.effective_at, each.position),
    )
    cut = periods(cycle.start_on, cycle.end_on, organisation.policy_of(cycle).cadence)
    return maintained(
        measure,
        [(each.effective_at, each.value) for each in said if each.value is not None],
        [
            (start_of_day(first, zone), start_of_day(days_later(last, 1), zone))
            for first, last in cut
        ],
        now,
    )


def _score(
    policy: Policy, computed: Decimal | None, given: Decimal | None, reason: Reasoning | None
) -> Decimal | None:
    """The score that counts: the one given, else the computed one."""
    if given is None:
        return computed
    if not 0 <= given <= 1 or given % SCORE_STEP != 0:
        raise _score_invalid(f"{given} is not a score", str(given), "0 to 1 in steps of 0.01")
    if computed is not None and given != computed:
        if not policy.grade_adjustable:
            raise Refusal(
                Reason.SCORE_NOT_ADJUSTABLE,
                "scores are taken as computed here",
                seen=str(given),
                accepted=str(computed),
            )
        refuse_without_reason(reason, f"another score than the computed {computed}", "R16")
    return given.quantize(SCORE_STEP)


def _score_invalid(message: str, seen: str, accepted: str) -> Refusal:
    return Refusal(Reason.SCORE_INVALID, message, seen=seen, accepted=accepted)
