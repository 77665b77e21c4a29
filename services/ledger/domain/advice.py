"""Advice that comes with accepted commands: R5 counts, R10 weights, R31 style.

It is nowhere recorded and follows from the state after the events, so the texts are the contracts'
and the views can show the same.
"""

from collections.abc import Iterable, Iterator
from typing import assert_never

from goal_contracts import advice, events
from goal_contracts.replies import Warned

from services.ledger.domain.organisation import Objective, Organisation

Advised = (
    events.ObjectiveDrafted
    | events.ObjectiveReworded
    | events.ObjectiveReassigned
    | events.ObjectivePublished
    | events.KeyResultAdded
    | events.KeyResultReworded
    | events.KeyResultDropped
    | events.KeyResultReweighted
)
"""What there is anything to say of; most of what happens is something else."""


def advise(organisation: Organisation, happened: Iterable[events.Event]) -> tuple[Warned, ...]:
    """What is to be said of `happened`, in order and each once; it has happened already."""
    said = [
        warned
        for event in happened
        if isinstance(event, Advised)
        for warned in _on_event(organisation, event)
    ]
    return tuple(dict.fromkeys(said))


def _on_event(organisation: Organisation, event: Advised) -> Iterator[Warned]:
    match event:
        case events.ObjectiveDrafted():
            objective = organisation.objectives[event.objective_id]
            yield from _on_unit(organisation, objective)
            if event.carried_from is None:
                yield from _on_title(organisation, objective)
        case events.ObjectiveReworded():
            if event.title != event.title_was:
                yield from _on_title(organisation, organisation.objectives[event.objective_id])
        case events.ObjectiveReassigned():
            if event.unit_id != event.unit_id_was:
                yield from _on_unit(organisation, organisation.objectives[event.objective_id])
        case events.ObjectivePublished():
            objective = organisation.objectives[event.objective_id]
            yield from _on_counts(organisation, objective)
            yield from _on_weights(organisation, objective)
        case events.KeyResultAdded():
            if event.carried_from is None:
                yield from _on_key_result(organisation, event.key_result_id)
            yield from _on_parts(organisation, event.objective_id)
        case events.KeyResultReworded():
            yield from _on_key_result(organisation, event.key_result_id)
        case events.KeyResultDropped():
            objective_id = organisation.key_results[event.key_result_id].objective_id
            yield from _on_parts(organisation, objective_id)
        case events.KeyResultReweighted():
            objective_id = organisation.key_results[event.key_result_id].objective_id
            if organisation.objectives[objective_id].state == "published":
                yield from _on_weights(organisation, organisation.objectives[objective_id])
        case _:
            assert_never(event)


def _on_unit(organisation: Organisation, objective: Objective) -> tuple[Warned, ...]:
    unit = organisation.units[objective.unit_id]
    return advice.on_objectives(
        organisation.policy_of(organisation.cycle_of(objective)),
        unit.name,
        organisation.objectives_pursued(objective.cycle_id, objective.unit_id),
        company=unit.unit_kind == "company",
    )


def _on_title(organisation: Organisation, objective: Objective) -> tuple[Warned, ...]:
    policy = organisation.policy_of(organisation.cycle_of(objective))
    return advice.on_objective(policy, objective.title)


def _on_key_result(organisation: Organisation, key_result_id: str) -> tuple[Warned, ...]:
    key_result = organisation.key_results[key_result_id]
    policy = organisation.policy_of(organisation.cycle_of(key_result))
    return advice.on_key_result(policy, key_result.title, key_result.measure)


def _on_parts(organisation: Organisation, objective_id: str) -> Iterator[Warned]:
    """R5 and R10 of an objective that counts; a draft is still being worked on."""
    objective = organisation.objectives[objective_id]
    if objective.state == "published":
        yield from _on_counts(organisation, objective)
        yield from _on_weights(organisation, objective)


def _on_counts(organisation: Organisation, objective: Objective) -> tuple[Warned, ...]:
    policy = organisation.policy_of(organisation.cycle_of(objective))
    return advice.on_key_results(policy, len(organisation.live_key_results(objective.objective_id)))


def _on_weights(organisation: Organisation, objective: Objective) -> tuple[Warned, ...]:
    policy = organisation.policy_of(organisation.cycle_of(objective))
    key_results = organisation.live_key_results(objective.objective_id)
    return advice.on_weights(policy, [each.weight for each in key_results])
