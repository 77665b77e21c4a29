"""What may happen to an objective, but for judging it (grading) and going on with it (carry_over).

Each decision takes the organisation as it is and one command, and returns the events that follow.
"""

from goal_contracts import commands
from goal_contracts.events import (
    Event,
    ObjectiveContributorsChanged,
    ObjectiveDrafted,
    ObjectiveDropped,
    ObjectiveKindChanged,
    ObjectivePublished,
    ObjectiveRealigned,
    ObjectiveReassigned,
    ObjectiveReworded,
)
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.alignment import refuse_alignment, refuse_named_twice
from services.ledger.domain.asked import Asked, asked_before
from services.ledger.domain.counts import (
    refuse_too_few_key_results,
    refuse_too_many_key_results,
    refuse_too_many_objectives,
)
from services.ledger.domain.organisation import Cycle, Objective, Organisation
from services.ledger.domain.ownership import live_unit, refuse_team_as_owner
from services.ledger.domain.structure import (
    is_running,
    mid_cycle_mark,
    refuse_closed,
    refuse_ended,
    refuse_unless_restructurable,
    refuse_unless_updatable,
    refuse_without_reason,
)
from services.ledger.domain.weights import refuse_weights_to_publish


def draft(
    organisation: Organisation, command: commands.DraftObjective, asked: Asked
) -> tuple[Event, ...]:
    """R3: a cycle, a unit and one accountable owner; R7: adding mid-cycle needs a reason."""
    known = organisation.objectives.get(command.objective_id)
    if known is not None:
        return asked_before(command, known.drafted)
    cycle = organisation.cycle(command.cycle_id)
    policy = organisation.policy_of(cycle)
    refuse_unless_restructurable(organisation, cycle, asked)
    live_unit(organisation, command.unit_id)
    refuse_too_many_objectives(organisation, cycle, command.unit_id)
    refuse_team_as_owner(organisation, policy, command.owner)
    refuse_named_twice(command.contributors)
    refuse_alignment(organisation, command.objective_id, cycle, command.aligned_to)
    mid_cycle = mid_cycle_mark(policy, cycle, command.reason, "adding an objective")
    return (
        ObjectiveDrafted(
            objective_id=command.objective_id,
            cycle_id=command.cycle_id,
            unit_id=command.unit_id,
            title=command.title,
            owner=command.owner,
            objective_kind=command.objective_kind,
            description=command.description,
            contributors=command.contributors,
            aligned_to=command.aligned_to,
            mid_cycle=mid_cycle,
            reason=command.reason,
        ),
    )


def publish(
    organisation: Organisation, command: commands.PublishObjective, asked: Asked
) -> tuple[Event, ...]:
    """R4: it needs a key result; that each has an owner and a sound measure was seen to before.

    R5 and R10: how many there are, and what they weigh, begins to matter here.
    """
    objective = organisation.objective(command.objective_id)
    if objective.state == "published":
        return ()
    policy = organisation.policy_of(_refuse_unless_changeable(organisation, objective, asked))
    key_results = organisation.live_key_results(objective.objective_id)
    if not key_results:
        raise Refusal(
            Reason.NOT_MEASURABLE,
            f"the objective {objective.objective_id} has no key result",
            seen="0 key results",
            accepted="at least one key result with a measure: AddKeyResult first",
        )
    refuse_too_few_key_results(policy, objective.objective_id, len(key_results))
    refuse_too_many_key_results(policy, objective.objective_id, len(key_results))
    refuse_weights_to_publish(policy, key_results)
    return (ObjectivePublished(objective_id=objective.objective_id),)


def reword(
    organisation: Organisation, command: commands.RewordObjective, asked: Asked
) -> tuple[Event, ...]:
    objective = organisation.objective(command.objective_id)
    title = objective.title if command.title is None else command.title
    description = objective.description if command.description is None else command.description
    if (title, description) == (objective.title, objective.description):
        return ()
    _refuse_unless_changeable(organisation, objective, asked)
    return (
        ObjectiveReworded(
            objective_id=objective.objective_id,
            title_was=objective.title,
            title=title,
            description_was=objective.description,
            description=description,
            reason=command.reason,
        ),
    )


def reassign(
    organisation: Organisation, command: commands.ReassignObjective, asked: Asked
) -> tuple[Event, ...]:
    objective = organisation.objective(command.objective_id)
    owner = objective.owner if command.owner is None else command.owner
    unit_id = objective.unit_id if command.unit_id is None else command.unit_id
    if (owner, unit_id) == (objective.owner, objective.unit_id):
        return ()
    cycle = _refuse_unless_changeable(organisation, objective, asked)
    if owner != objective.owner:
        refuse_team_as_owner(organisation, organisation.policy_of(cycle), owner)
    if unit_id != objective.unit_id:
        live_unit(organisation, unit_id)
        refuse_too_many_objectives(organisation, cycle, unit_id)
    return (
        ObjectiveReassigned(
            objective_id=objective.objective_id,
            owner_was=objective.owner,
            owner=owner,
            unit_id_was=objective.unit_id,
            unit_id=unit_id,
            reason=command.reason,
        ),
    )


def change_contributors(
    organisation: Organisation, command: commands.ChangeObjectiveContributors, asked: Asked
) -> tuple[Event, ...]:
    objective = organisation.objective(command.objective_id)
    if command.contributors == objective.contributors:
        return ()
    _refuse_unless_changeable(organisation, objective, asked)
    refuse_named_twice(command.contributors)
    return (
        ObjectiveContributorsChanged(
            objective_id=objective.objective_id,
            contributors_was=objective.contributors,
            contributors=command.contributors,
        ),
    )


def realign(
    organisation: Organisation, command: commands.RealignObjective, asked: Asked
) -> tuple[Event, ...]:
    """R6: alignment is structure, free while planned; in a running cycle it takes a reason."""
    objective = organisation.objective(command.objective_id)
    if command.aligned_to == objective.aligned_to:
        return ()
    refuse_ended(organisation, objective)
    cycle = organisation.cycle_of(objective)
    refuse_unless_restructurable(organisation, cycle, asked)
    refuse_alignment(
        organisation, objective.objective_id, cycle, command.aligned_to, objective.aligned_to
    )
    if is_running(cycle):
        refuse_without_reason(command.reason, "realigning in a running cycle", "R6")
    return (
        ObjectiveRealigned(
            objective_id=objective.objective_id,
            aligned_to_was=objective.aligned_to,
            aligned_to=command.aligned_to,
            reason=command.reason,
        ),
    )


def change_kind(
    organisation: Organisation, command: commands.ChangeObjectiveKind, asked: Asked
) -> tuple[Event, ...]:
    """The kind may change, visibly, until grading; a reopened cycle has been graded before."""
    objective = organisation.objective(command.objective_id)
    if command.objective_kind == objective.objective_kind:
        return ()
    cycle = _refuse_unless_changeable(organisation, objective, asked)
    if cycle.state == "reopened":
        raise Refusal(
            Reason.CYCLE_NOT_OPEN,
            f"the cycle {cycle.cycle_id} has been graded",
            seen=cycle.state,
            accepted="a cycle that is planned or active",
        )
    return (
        ObjectiveKindChanged(
            objective_id=objective.objective_id,
            objective_kind_was=objective.objective_kind,
            objective_kind=command.objective_kind,
            reason=command.reason,
        ),
    )


def drop(
    organisation: Organisation, command: commands.DropObjective, asked: Asked
) -> tuple[Event, ...]:
    """R7: dropping mid-cycle needs a reason.

    A draft never counted: it may be dropped in grading too, and past any lock, because a cycle
    does not close as long as it holds one (R18).
    """
    objective = organisation.objective(command.objective_id)
    if objective.state == "dropped":
        return ()
    refuse_ended(organisation, objective)
    cycle = organisation.cycle_of(objective)
    if objective.state == "draft" and cycle.state != "cancelled":
        refuse_closed(cycle)
    else:
        refuse_unless_restructurable(organisation, cycle, asked)
    mid_cycle_mark(organisation.policy_of(cycle), cycle, command.reason, "dropping an objective")
    return (ObjectiveDropped(objective_id=objective.objective_id, reason=command.reason),)


def _refuse_unless_changeable(
    organisation: Organisation, objective: Objective, asked: Asked
) -> Cycle:
    refuse_ended(organisation, objective)
    cycle = organisation.cycle_of(objective)
    refuse_unless_updatable(organisation, cycle, asked)
    return cycle
