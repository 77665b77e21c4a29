"""R5: how many key results an objective and how many objectives a unit may have.

Only the policy `block` refuses; under `warn` the same is advice (advice). Judged is what a command
changes: who is above the bounds already, from before they were drawn, may still come down.
"""

from goal_contracts.advice import in_words, objectives_max
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.organisation import Cycle, Organisation


def refuse_too_few_key_results(policy: Policy, objective_id: str, count: int) -> None:
    """When an objective is published, or loses a key result after that."""
    if policy.counts == "block" and count < policy.key_results_min:
        raise _key_results_out_of_bounds(policy, objective_id, count)


def refuse_too_many_key_results(policy: Policy, objective_id: str, count: int) -> None:
    """When an objective is published, or gets another key result after that."""
    if policy.counts == "block" and count > policy.key_results_max:
        raise _key_results_out_of_bounds(policy, objective_id, count)


def refuse_too_many_objectives(organisation: Organisation, cycle: Cycle, unit_id: str) -> None:
    """When a unit takes on another objective in a cycle; dropped and carried ones do not count."""
    policy = organisation.policy_of(cycle)
    most = objectives_max(policy, company=organisation.unit(unit_id).unit_kind == "company")
    count = organisation.objectives_pursued(cycle.cycle_id, unit_id) + 1
    if policy.counts == "block" and count > most:
        raise Refusal(
            Reason.COUNT_OUT_OF_BOUNDS,
            f"{unit_id} would have too many objectives in the cycle {cycle.cycle_id}",
            seen=in_words(count, "objective"),
            accepted=f"up to {most}: DropObjective or CarryOverObjective for another one first",
        )


def _key_results_out_of_bounds(policy: Policy, objective_id: str, count: int) -> Refusal:
    return Refusal(
        Reason.COUNT_OUT_OF_BOUNDS,
        f"the objective {objective_id} would not have a sound number of key results",
        seen=in_words(count, "key result"),
        accepted=f"{policy.key_results_min} to {policy.key_results_max} key results",
    )
