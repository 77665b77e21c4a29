"""R3: a goal has a unit and exactly one accountable owner.

An owner is an id; when it is the id of a unit, that unit is a person, unless the policy lets a
team be accountable.
"""

from collections.abc import Iterable
from itertools import chain

from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.organisation import KeyResult, Kpi, Objective, Organisation, Unit


def live_unit(organisation: Organisation, unit_id: str) -> Unit:
    """A unit that may take something new."""
    unit = organisation.unit(unit_id)
    if unit.retired:
        raise Refusal(
            Reason.UNIT_RETIRED,
            f"the unit {unit_id} is retired",
            seen=unit_id,
            accepted="a unit that is not retired",
        )
    return unit


def refuse_team_as_owner(organisation: Organisation, policy: Policy, owner: str) -> None:
    unit = organisation.units.get(owner)
    if unit is not None and unit.unit_kind != "person" and not policy.owner_may_be_team:
        raise _team(owner, unit.unit_kind)


def refuse_unit_that_owns(organisation: Organisation, unit_id: str) -> None:
    """A new unit that is no person may not take an id under which somebody already owns goals."""
    goals: Iterable[Objective | KeyResult | Kpi] = chain(
        organisation.objectives.values(),
        organisation.key_results.values(),
        organisation.kpis.values(),
    )
    if not organisation.policy.owner_may_be_team and any(goal.owner == unit_id for goal in goals):
        raise _team(unit_id, "unit")


def _team(owner: str, what: str) -> Refusal:
    return Refusal(
        Reason.OWNER_IS_TEAM,
        f"{owner} is a {what}, and one person has to be accountable",
        seen=owner,
        accepted="the id of a person (or the policy owner_may_be_team)",
    )
