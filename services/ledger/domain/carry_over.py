"""R21: going on with an objective in another cycle, as a new one that says where it came from.

No check-in is copied, and nothing is carried over by itself: the command names each key result
that goes on and its new id. What it leaves out stays behind. The new one is a draft and lives under
the policy of its own cycle: R5 for its unit at once, the rest when it is published.
"""

from goal_contracts import commands
from goal_contracts.events import Event, KeyResultAdded, ObjectiveCarriedOver, ObjectiveDrafted
from goal_contracts.measures import FourPointMetric, KpiLinked, Measure, Metric
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal
from msgspec.structs import replace

from services.ledger.domain.alignment import still_valid
from services.ledger.domain.asked import Asked
from services.ledger.domain.counts import refuse_too_many_objectives
from services.ledger.domain.measure import is_the_same_way, refuse_unless_measurable
from services.ledger.domain.organisation import Cycle, KeyResult, Objective, Organisation
from services.ledger.domain.ownership import live_unit, refuse_team_as_owner
from services.ledger.domain.structure import (
    mid_cycle_mark,
    refuse_closed,
    refuse_ended,
    refuse_unless_restructurable,
)
from services.ledger.domain.weights import carried_weight


def carry_over(
    organisation: Organisation, command: commands.CarryOverObjective, asked: Asked
) -> tuple[Event, ...]:
    """The old one is carried, the new one a draft; both and its key results in one go."""
    old = organisation.objective(command.objective_id)
    if _went_on_like_this(organisation, old, command):
        return ()
    refuse_ended(organisation, old)
    _refuse_source(organisation, old)
    cycle = organisation.cycle(command.cycle_id)
    _refuse_target(organisation, old, cycle)
    refuse_unless_restructurable(organisation, cycle, asked)
    _refuse_taken_ids(organisation, command)
    policy = organisation.policy_of(cycle)
    live_unit(organisation, old.unit_id)
    refuse_too_many_objectives(organisation, cycle, old.unit_id)
    refuse_team_as_owner(organisation, policy, old.owner)
    mid_cycle = mid_cycle_mark(policy, cycle, command.reason, "adding an objective")
    carried_over = ObjectiveCarriedOver(
        objective_id=old.objective_id,
        carried_to=command.carried_to,
        cycle_id=command.cycle_id,
        reason=command.reason,
    )
    drafted = ObjectiveDrafted(
        objective_id=command.carried_to,
        cycle_id=command.cycle_id,
        unit_id=old.unit_id,
        title=old.title,
        owner=old.owner,
        objective_kind=old.objective_kind,
        description=old.description,
        contributors=old.contributors,
        aligned_to=still_valid(organisation, command.carried_to, cycle, old.aligned_to),
        carried_from=old.objective_id,
        mid_cycle=mid_cycle,
        reason=command.reason,
    )
    added: list[Event] = []
    for carried in command.key_results:
        key_result = _refuse_unless_its_own(organisation, old, carried.key_result_id)
        refuse_team_as_owner(organisation, policy, key_result.owner)
        refuse_unless_measurable(organisation, key_result.measure)
        added.append(
            KeyResultAdded(
                key_result_id=carried.carried_to,
                objective_id=command.carried_to,
                title=key_result.title,
                owner=key_result.owner,
                measure=_next_measure(organisation, policy, key_result),
                weight=carried_weight(policy, key_result.weight),
                carried_from=key_result.key_result_id,
                mid_cycle=mid_cycle,
                reason=command.reason,
            )
        )
    return (carried_over, drafted, *added)


def _went_on_like_this(
    organisation: Organisation, old: Objective, command: commands.CarryOverObjective
) -> bool:
    """The same was asked before: same objective, same cycle, same key results."""
    if old.carried_to != command.carried_to:
        return False
    carried = {
        (key_result.added.carried_from, key_result_id)
        for key_result_id in organisation.key_result_ids.get(command.carried_to, ())
        if (key_result := organisation.key_results[key_result_id]).added.carried_from
    }
    asked_for = {(each.key_result_id, each.carried_to) for each in command.key_results}
    return (
        organisation.objectives[command.carried_to].cycle_id == command.cycle_id
        and carried == asked_for
    )


def _refuse_source(organisation: Organisation, old: Objective) -> None:
    cycle = organisation.cycle_of(old)
    refuse_closed(cycle)
    if cycle.state not in {"active", "grading", "reopened"} or old.state != "published":
        raise _invalid(
            f"the objective {old.objective_id} is {old.state}, its cycle {cycle.state}",
            f"{old.state}, {cycle.state}",
            "a published objective of a cycle that is active, in grading or reopened",
        )


def _refuse_target(organisation: Organisation, old: Objective, cycle: Cycle) -> None:
    source = organisation.cycle_of(old)
    if cycle.state not in {"planned", "active"}:
        raise _invalid(
            f"the cycle {cycle.cycle_id} is {cycle.state}",
            cycle.state,
            "a cycle that is planned or active",
        )
    if cycle.cycle_id == source.cycle_id or cycle.start_on < source.start_on:
        raise _invalid(
            f"the cycle {cycle.cycle_id} does not come after {source.cycle_id}",
            f"{cycle.cycle_id}, from {cycle.start_on}",
            f"another cycle that does not begin before {source.start_on}",
        )


def _refuse_taken_ids(organisation: Organisation, command: commands.CarryOverObjective) -> None:
    ids = [each.carried_to for each in command.key_results]
    sources = [each.key_result_id for each in command.key_results]
    if len(set(ids)) < len(ids) or len(set(sources)) < len(sources):
        raise _invalid("a key result is named twice", ", ".join(sources + ids), "each once")
    taken = [each for each in ids if each in organisation.key_results]
    if command.carried_to in organisation.objectives:
        taken.append(command.carried_to)
    if taken:
        raise Refusal(
            Reason.ID_TAKEN,
            f"{', '.join(taken)} is taken",
            seen=", ".join(taken),
            accepted="ids that nobody has used",
        )


def _refuse_unless_its_own(
    organisation: Organisation, old: Objective, key_result_id: str
) -> KeyResult:
    key_result = organisation.key_result(key_result_id)
    if key_result.objective_id != old.objective_id or key_result.dropped:
        raise _invalid(
            f"{key_result_id} is not a key result that {old.objective_id} still pursues",
            key_result_id,
            "key results of the objective that were not dropped",
        )
    return key_result


def _next_measure(organisation: Organisation, policy: Policy, key_result: KeyResult) -> Measure:
    """The next one starts where the last one ended, where that leaves the way as it was.

    A value at or beyond the target leaves no way to go: then the original baseline stays.
    """
    was = key_result.measure
    value = organisation.counted_value(key_result)
    if (
        policy.carry_over_baseline == "original"
        or value is None
        or not isinstance(was, Metric | FourPointMetric | KpiLinked)
    ):
        return was
    carried = replace(was, baseline=value)
    return carried if is_the_same_way(was, carried) else was


def _invalid(message: str, seen: str, accepted: str) -> Refusal:
    return Refusal(Reason.CARRY_OVER_INVALID, message, seen=seen, accepted=accepted)
