"""What the model expects to become of a command: objections, or the events that follow."""

from collections.abc import Callable

from goal_contracts import commands as c
from goal_contracts.commands import Command
from goal_contracts.replies import Reason

from services.ledger.domain import Asked
from tests.ledger.domain.model import goals, indicators, numbers
from tests.ledger.domain.model.asking import gates
from tests.ledger.domain.model.leniencies import Lenient
from tests.ledger.domain.model.verdict import Verdict
from tests.ledger.domain.model.world import World

RULES: dict[type, Callable[..., None]] = {**goals.RULES, **indicators.RULES}


def expect(world: World, command: Command, asked: Asked) -> Verdict:
    """What must become of one command, bulk commands aside."""
    verdict = Verdict()
    gates(world, command, asked, verdict)
    if numbers.unkeepable(command):
        verdict.no(Reason.NUMBER_OUT_OF_RANGE)
        verdict.perhaps_refused(Lenient.ODD_NUMBER)
        return verdict
    if world.opened is None and not isinstance(command, c.OpenOrganisation):
        verdict.no(Reason.ORGANISATION_UNKNOWN)
        return verdict
    RULES[type(command)](world, command, asked, verdict)
    return verdict
