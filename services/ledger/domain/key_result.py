"""What may happen to a key result, but for check-ins (check_in) and judging (grading)."""

from decimal import Decimal

from goal_contracts import commands
from goal_contracts.events import (
    Event,
    KeyResultAdded,
    KeyResultDropped,
    KeyResultLinkedToKpi,
    KeyResultReassigned,
    KeyResultRetargeted,
    KeyResultReweighted,
    KeyResultReworded,
    KeyResultUnlinkedFromKpi,
)
from goal_contracts.fields import Reasoning
from goal_contracts.measures import FourPointMetric, KpiLinked, Measure, Metric, is_lowered
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import Asked, asked_before
from services.ledger.domain.counts import refuse_too_few_key_results, refuse_too_many_key_results
from services.ledger.domain.measure import (
    measure_fixed,
    nature,
    refuse_other_nature,
    refuse_unless_measurable,
)
from services.ledger.domain.organisation import Cycle, KeyResult, Objective, Organisation
from services.ledger.domain.ownership import refuse_team_as_owner
from services.ledger.domain.structure import (
    mid_cycle_mark,
    refuse_ended,
    refuse_unless_restructurable,
    refuse_unless_updatable,
    refuse_without_reason,
)
from services.ledger.domain.weights import refuse_more_than_100, refuse_weight


def add(
    organisation: Organisation, command: commands.AddKeyResult, asked: Asked
) -> tuple[Event, ...]:
    """R7: every one added to a running cycle needs a reason, to a draft as well.

    R5 and R10: once the objective is published, there may be so many and no more.
    """
    known = organisation.key_results.get(command.key_result_id)
    if known is not None:
        return asked_before(command, known.added)
    objective = organisation.objective(command.objective_id)
    refuse_ended(organisation, objective)
    cycle = organisation.cycle_of(objective)
    policy = organisation.policy_of(cycle)
    refuse_unless_restructurable(organisation, cycle, asked)
    refuse_team_as_owner(organisation, policy, command.owner)
    refuse_unless_measurable(organisation, command.measure)
    _refuse_what_policy_forbids(organisation, policy, objective, command.weight)
    mid_cycle = mid_cycle_mark(policy, cycle, command.reason, "adding a key result")
    return (
        KeyResultAdded(
            key_result_id=command.key_result_id,
            objective_id=command.objective_id,
            title=command.title,
            owner=command.owner,
            measure=command.measure,
            weight=command.weight,
            mid_cycle=mid_cycle,
            reason=command.reason,
        ),
    )


def reword(
    organisation: Organisation, command: commands.RewordKeyResult, asked: Asked
) -> tuple[Event, ...]:
    key_result = organisation.key_result(command.key_result_id)
    if command.title == key_result.title:
        return ()
    _refuse_unless_changeable(organisation, key_result, asked)
    return (
        KeyResultReworded(
            key_result_id=key_result.key_result_id,
            title_was=key_result.title,
            title=command.title,
            reason=command.reason,
        ),
    )


def reassign(
    organisation: Organisation, command: commands.ReassignKeyResult, asked: Asked
) -> tuple[Event, ...]:
    key_result = organisation.key_result(command.key_result_id)
    if command.owner == key_result.owner:
        return ()
    cycle = _refuse_unless_changeable(organisation, key_result, asked)
    refuse_team_as_owner(organisation, organisation.policy_of(cycle), command.owner)
    return (
        KeyResultReassigned(
            key_result_id=key_result.key_result_id,
            owner_was=key_result.owner,
            owner=command.owner,
            reason=command.reason,
        ),
    )


def reweight(
    organisation: Organisation, command: commands.ReweightKeyResult, asked: Asked
) -> tuple[Event, ...]:
    key_result = organisation.key_result(command.key_result_id)
    if command.weight == key_result.weight:
        return ()
    policy = organisation.policy_of(_refuse_unless_restructurable(organisation, key_result, asked))
    refuse_weight(policy, command.weight)
    more = command.weight - key_result.weight
    refuse_more_than_100(organisation, policy, key_result.objective_id, more)
    return (
        KeyResultReweighted(
            key_result_id=key_result.key_result_id,
            weight_was=key_result.weight,
            weight=command.weight,
            reason=command.reason,
        ),
    )


def retarget(
    organisation: Organisation, command: commands.RetargetKeyResult, asked: Asked
) -> tuple[Event, ...]:
    """R7: lowering mid-cycle needs a reason; R8: what is fixed once it has been measured."""
    key_result = organisation.key_result(command.key_result_id)
    was, now = key_result.measure, command.measure
    if now == was:
        return ()
    cycle = _refuse_unless_restructurable(organisation, key_result, asked)
    refuse_unless_measurable(organisation, now)
    refuse_other_nature(organisation, key_result, now)
    lowered, mid_cycle = _lowering(organisation, cycle, was, now, command.reason)
    return (
        KeyResultRetargeted(
            key_result_id=key_result.key_result_id,
            measure_was=was,
            measure=now,
            lowered=lowered,
            mid_cycle=mid_cycle,
            reason=command.reason,
        ),
    )


def drop(
    organisation: Organisation, command: commands.DropKeyResult, asked: Asked
) -> tuple[Event, ...]:
    key_result = organisation.key_result(command.key_result_id)
    if key_result.dropped:
        return ()
    cycle = _refuse_unless_restructurable(organisation, key_result, asked)
    policy = organisation.policy_of(cycle)
    if organisation.objectives[key_result.objective_id].state == "published":
        left = len(organisation.live_key_results(key_result.objective_id)) - 1
        refuse_too_few_key_results(policy, key_result.objective_id, left)
    mid_cycle = mid_cycle_mark(policy, cycle, command.reason, "dropping a key result")
    return (
        KeyResultDropped(
            key_result_id=key_result.key_result_id, mid_cycle=mid_cycle, reason=command.reason
        ),
    )


def link_to_kpi(
    organisation: Organisation, command: commands.LinkKeyResultToKpi, asked: Asked
) -> tuple[Event, ...]:
    """R25: its value is the KPI's reading from here on.

    R8: once a check-in gave it a value, only a metric in the KPI's unit that goes the same way may
    be linked. A link is a new target, so lowering it mid-cycle needs a reason as well (R7).
    """
    key_result = organisation.key_result(command.key_result_id)
    was = key_result.measure
    now = KpiLinked(kpi_id=command.kpi_id, baseline=command.baseline, target=command.target)
    if now == was:
        return ()
    cycle = _refuse_unless_restructurable(organisation, key_result, asked)
    if isinstance(was, KpiLinked):
        raise Refusal(
            Reason.FOLLOWS_KPI,
            f"the key result {key_result.key_result_id} follows the KPI {was.kpi_id}",
            seen=f"kpi/{command.kpi_id}",
            accepted="RetargetKeyResult, or UnlinkKeyResultFromKpi first",
        )
    refuse_unless_measurable(organisation, now)
    _refuse_other_scale(organisation, key_result, was, now)
    _lowering(organisation, cycle, was, now, command.reason)
    return (
        KeyResultLinkedToKpi(
            key_result_id=key_result.key_result_id,
            measure_was=was,
            measure=now,
            reason=command.reason,
        ),
    )


def unlink_from_kpi(
    organisation: Organisation, command: commands.UnlinkKeyResultFromKpi, asked: Asked
) -> tuple[Event, ...]:
    """R25: needs a reason. Values checked in before the link count again: their scale stays."""
    key_result = organisation.key_result(command.key_result_id)
    was, now = key_result.measure, command.measure
    _refuse_unless_restructurable(organisation, key_result, asked)
    if not isinstance(was, KpiLinked):
        raise Refusal(
            Reason.NOT_LINKED,
            f"the key result {key_result.key_result_id} follows no KPI",
            seen=nature(was)[0],
            accepted="a key result that is linked to a KPI",
        )
    reason = refuse_without_reason(command.reason, "unlinking from a KPI", "R25")
    if isinstance(now, KpiLinked):
        raise Refusal(
            Reason.MEASURE_INVALID,
            "unlinked, a key result is measured by check-ins",
            seen=f"kpi/{now.kpi_id}",
            accepted="any other measure; LinkKeyResultToKpi afterwards follows another KPI",
            rule="R25",
        )
    refuse_unless_measurable(organisation, now)
    _refuse_other_scale(organisation, key_result, was, now)
    return (
        KeyResultUnlinkedFromKpi(
            key_result_id=key_result.key_result_id, measure_was=was, measure=now, reason=reason
        ),
    )


def _refuse_unless_changeable(
    organisation: Organisation, key_result: KeyResult, asked: Asked
) -> Cycle:
    refuse_ended(organisation, key_result)
    cycle = organisation.cycle_of(key_result)
    refuse_unless_updatable(organisation, cycle, asked)
    return cycle


def _refuse_unless_restructurable(
    organisation: Organisation, key_result: KeyResult, asked: Asked
) -> Cycle:
    refuse_ended(organisation, key_result)
    cycle = organisation.cycle_of(key_result)
    refuse_unless_restructurable(organisation, cycle, asked)
    return cycle


def _refuse_what_policy_forbids(
    organisation: Organisation, policy: Policy, objective: Objective, weight: Decimal
) -> None:
    """R5 and R10 for one more key result."""
    refuse_weight(policy, weight)
    if objective.state == "published":
        more = len(organisation.live_key_results(objective.objective_id)) + 1
        refuse_too_many_key_results(policy, objective.objective_id, more)
    refuse_more_than_100(organisation, policy, objective.objective_id, weight)


def _lowering(
    organisation: Organisation, cycle: Cycle, was: Measure, now: Measure, reason: Reasoning | None
) -> tuple[bool, bool]:
    """Whether less is asked for, and whether the change shows as mid-cycle (R7)."""
    lowered = is_lowered(was, now)
    policy = organisation.policy_of(cycle)
    needed = reason if lowered else reason or "not needed: nothing is lowered"
    return lowered, mid_cycle_mark(policy, cycle, needed, "lowering a target")


def _refuse_other_scale(
    organisation: Organisation, key_result: KeyResult, was: Measure, now: Measure
) -> None:
    """R8 across a link: valued check-ins keep the unit and direction they were made in.

    The KPI has to agree when it is linked; its unit may have changed by the time it is unlinked.
    """
    check_ins = organisation.live_check_ins(key_result.key_result_id)
    if all(check_in.value is None for check_in in check_ins):
        return
    if isinstance(now, KpiLinked):
        manual, scale = was, (organisation.kpi(now.kpi_id).definition.unit, nature(now)[2])
    else:
        manual, scale = now, nature(key_result.linked_from or was)[1:]
    if not isinstance(manual, Metric | FourPointMetric) or nature(manual)[1:] != scale:
        raise measure_fixed(key_result, was, now)
