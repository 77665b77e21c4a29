"""The organisation itself: opening its ledger, choosing its settings.

R20: a cycle pins the policy it was activated under and closes under the same one. A change here
reaches what has not begun yet, and never repaints the rest.
"""

from decimal import Decimal

from goal_contracts import commands
from goal_contracts.events import Event, OrganisationOpened, PolicyChanged
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import Asked, asked_before
from services.ledger.domain.organisation import Organisation
from services.ledger.domain.times import zone_of


def open_organisation(command: commands.OpenOrganisation, asked: Asked) -> tuple[Event, ...]:
    zone_of(command.zone)
    _refuse_unless_sound(command.policy)
    return (
        OrganisationOpened(
            organisation_id=asked.organisation_id,
            name=command.name,
            zone=command.zone,
            policy=command.policy,
        ),
    )


def open_again(organisation: Organisation, command: commands.OpenOrganisation) -> tuple[Event, ...]:
    try:
        return asked_before(command, organisation.opened)
    except Refusal as taken:
        raise Refusal(
            Reason.ORGANISATION_EXISTS,
            taken.message,
            seen=taken.seen,
            accepted=taken.accepted,
        ) from None


def change_policy(organisation: Organisation, command: commands.ChangePolicy) -> tuple[Event, ...]:
    if command.policy == organisation.policy:
        return ()
    _refuse_unless_sound(command.policy)
    return (
        PolicyChanged(
            organisation_id=organisation.organisation_id,
            policy_was=organisation.policy,
            policy=command.policy,
            reason=command.reason,
        ),
    )


def _refuse_unless_sound(policy: Policy) -> None:
    """What the types do not say: min <= max, 1 <= ceiling <= 2, 0 < a < b < 1."""
    fewest, most = policy.key_results_min, policy.key_results_max
    if fewest > most:
        raise Refusal(
            Reason.POLICY_INVALID,
            f"no objective has at least {fewest} and at most {most} key results",
            seen=f"{fewest} to {most}",
            accepted="key_results_min <= key_results_max",
        )
    low, high = policy.bands
    if not 1 <= policy.progress_ceiling <= 2:  # noqa: PLR2004  # DOMAIN.md section 3: up to 2
        raise Refusal(
            Reason.POLICY_INVALID,
            f"the progress ceiling {policy.progress_ceiling} is not from 1 to 2",
            seen=str(policy.progress_ceiling),
            accepted="1 to 2",
        )
    if not Decimal(0) < low < high < Decimal(1):
        raise Refusal(
            Reason.POLICY_INVALID,
            f"the bands {low} and {high} do not cut 0 to 1 into three",
            seen=f"{low}, {high}",
            accepted="two numbers a and b with 0 < a < b < 1",
        )
