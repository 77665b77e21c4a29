"""Objections that rules of all kinds share."""

from datetime import datetime, timedelta
from typing import Any

from goal_contracts.commands import Command
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason as R  # noqa: N817 - every second line has one

from tests.ledger.domain.model.leniencies import Lenient as L  # noqa: N817 - as above
from tests.ledger.domain.model.verdict import Verdict
from tests.ledger.domain.model.world import World

ENDED = ("dropped", "carried")


def created_before(verdict: Verdict, command: Command, made: Any, *but: str) -> bool:
    """Creating twice is harmless; under the same id something else is refused."""
    if made is None:
        return False
    said = set(command.__struct_fields__) & set(made.__struct_fields__) - set(but)
    if all(getattr(command, name) == getattr(made, name) for name in said):
        verdict.nothing()
    else:
        verdict.no(R.ID_TAKEN)
    verdict.perhaps_refused(L.CREATED_AND_OBJECTED, verdict.musts)
    return True


def reason_given(reason: str | None) -> bool:
    return bool(reason and reason.strip())


def wants_reason(verdict: Verdict, reason: str | None, when: object) -> None:
    verdict.no(R.REASON_REQUIRED, when and not reason_given(reason))


def owner_fits(world: World, owner: str | None, policy: Policy, verdict: Verdict) -> None:
    """R3: one accountable person."""
    unit = None if owner is None else world.units.get(owner)
    if unit is None:
        return
    team = unit.made.unit_kind != "person"
    verdict.no(R.OWNER_IS_TEAM, team and not policy.owner_may_be_team)


def unit_lives(
    world: World, unit_id: str | None, verdict: Verdict, *, but: str | None = None
) -> None:
    """A unit that is there and not retired; whether one may be kept that is, nobody says."""
    if unit_id is None:
        return
    unit = world.units.get(unit_id)
    verdict.no(R.NOT_FOUND, unit is None)
    retired = unit is not None and unit.retired
    verdict.no(R.UNIT_RETIRED, retired and unit_id != but)
    verdict.perhaps(R.UNIT_RETIRED, L.UNIT_KEPT, retired)


def named_twice(names: tuple[str, ...], verdict: Verdict) -> None:
    """A list that names somebody twice is none that the contracts mean."""
    verdict.no(R.MALFORMED, len(set(names)) < len(names))


def window_over(
    world: World, since: datetime, now: datetime, days: int, reason: R, verdict: Verdict
) -> None:
    """So many days are over, whether they are counted by the calendar or by the clock."""
    by_calendar = (world.today(now) - world.today(since)).days > days
    by_clock = now - since > timedelta(days=days)
    verdict.no(reason, by_calendar and by_clock)
    verdict.perhaps(reason, L.DAYS_OR_HOURS, by_calendar or by_clock)
