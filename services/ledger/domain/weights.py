"""R10: what weights the key results of an objective may have.

A draft is free to be worked on; what its weights come to is judged when it is published. After
that a sum of 100 may be left downwards only, as a key result that is dropped takes its weight
along: that much is advice (advice).
"""

from collections.abc import Sequence
from decimal import Decimal

from goal_contracts.advice import SUM_OF_WEIGHTS, weights_amiss
from goal_contracts.measures import ONE, ZERO
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.organisation import KeyResult, Organisation

ACCEPTED = {
    "free": "at least one weight above 0",
    "equal": "the weight 1 for each",
    "sum_to_100": "weights that come to 100",
}
"""What each policy takes when an objective is published."""


def refuse_weight(policy: Policy, weight: Decimal) -> None:
    """One weight by itself: not negative, and 1 where all are equal."""
    if weight < 0:
        raise Refusal(
            Reason.WEIGHT_INVALID,
            f"the weight {weight} is below 0",
            seen=str(weight),
            accepted="0 or more",
        )
    if policy.weights == "equal" and weight != ONE:
        raise _out_of_policy("all key results weigh the same here", str(weight), "1")


def refuse_weights_to_publish(policy: Policy, key_results: Sequence[KeyResult]) -> None:
    """All of an objective that is about to count."""
    weights = [each.weight for each in key_results]
    amiss = weights_amiss(policy, weights)
    if amiss:
        raise _out_of_policy(amiss, f"{sum(weights, ZERO):f} in all", ACCEPTED[policy.weights])


def refuse_more_than_100(
    organisation: Organisation, policy: Policy, objective_id: str, more: Decimal
) -> None:
    """So much more weight in an objective, once it is published."""
    if policy.weights != "sum_to_100" or organisation.objective(objective_id).state == "draft":
        return
    total = sum((each.weight for each in organisation.live_key_results(objective_id)), ZERO)
    if more > 0 and total + more > SUM_OF_WEIGHTS:
        raise _out_of_policy(
            f"the weights of {objective_id} would come to more than 100",
            f"{total + more:f}",
            f"{max(SUM_OF_WEIGHTS - total, ZERO):f} more at most; ReweightKeyResult for another one"
            " first",
        )


def carried_weight(policy: Policy, weight: Decimal) -> Decimal:
    """R21: where all are equal, the next one weighs 1, whatever the last one did."""
    return ONE if policy.weights == "equal" else weight


def _out_of_policy(message: str, seen: str, accepted: str) -> Refusal:
    return Refusal(Reason.WEIGHTS_OUT_OF_POLICY, message, seen=seen, accepted=accepted)
