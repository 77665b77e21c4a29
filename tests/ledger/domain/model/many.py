"""Many at once are what they are one by one: all of them or none, or those that are not refused."""

from copy import deepcopy
from typing import Any

from goal_contracts import commands as c
from goal_contracts.commands import Command
from goal_contracts.events import Event, KpiReviewOpened
from goal_contracts.replies import Reason, Refusal, RefusedItem

from services.ledger.domain import Asked, Decided
from tests.ledger.domain.model.asking import gates
from tests.ledger.domain.model.expect import expect
from tests.ledger.domain.model.verdict import Verdict, alike
from tests.ledger.domain.model.world import World

BULK: dict[type, str] = {
    c.RecordCheckIns: "check_ins",
    c.RecordReadings: "readings",
    c.CorrectReadings: "corrections",
}


def items_of(command: Command) -> tuple[Command, ...]:
    items: tuple[Command, ...] = getattr(command, BULK[type(command)])
    return items


def differs(world: World, command: Any, asked: Asked, outcome: Decided | Refusal) -> str:
    """How an outcome contradicts what each of the items should come to; empty, not at all."""
    gate = Verdict()
    gates(world, command, asked, gate)
    gate.no(Reason.ORGANISATION_UNKNOWN, world.opened is None)
    tried = deepcopy(world)
    if isinstance(outcome, Refusal):
        return _refused(tried, command, asked, outcome, gate)
    if gate.musts and outcome.events:
        return f"accepted, though {[*gate.musts]}"
    if outcome.refused and command.mode != "per_item":
        return f"all or nothing, yet left out {outcome.refused}"
    return _recorded(tried, command, asked, outcome)


def _refused(tried: World, command: Any, asked: Asked, refusal: Refusal, gate: Verdict) -> str:
    if not gate.differs(refusal):
        return ""
    if command.mode == "per_item" and not gate.musts:
        return f"refused {refusal}, though each item is judged for itself"
    expected: list[str] = []
    for item in items_of(command):
        verdict = expect(tried, item, asked)
        if not verdict.differs(refusal):
            return ""
        own = [each for each in verdict.musts if each not in gate.musts]
        expected.extend(own)
        if own and not verdict.idle:
            break
        if not verdict.idle:
            certain = [each for each in verdict.extras if not isinstance(each, KpiReviewOpened)]
            _tell(tried, (*verdict.follows, *certain), asked)
    return f"refused {refusal}, but {expected or 'no objection'}"


def _recorded(tried: World, command: Any, asked: Asked, outcome: Decided) -> str:
    left_out = {each.item: each for each in outcome.refused}
    rest = list(outcome.events)
    for place, item in enumerate(items_of(command)):
        verdict = expect(tried, item, asked)
        if place in left_out:
            wrong = verdict.differs(_refusal(left_out[place]))
            if wrong:
                return f"item {place}: {wrong}"
            continue
        taken = _taken(verdict, rest)
        wrong = verdict.differs(tuple(taken))
        if wrong:
            return f"item {place}: {wrong}"
        del rest[: len(taken)]
        _tell(tried, tuple(taken), asked)
    return f"recorded {rest} besides" if rest else ""


def _refusal(item: RefusedItem) -> Refusal:
    return Refusal(item.reason, item.message, rule=item.rule)


def _taken(verdict: Verdict, rest: list[Event]) -> list[Event]:
    """The events of one item: as many as are foretold, and those that may follow."""
    if verdict.idle:
        return []
    sure = len(verdict.follows)
    if verdict.may_be_idle and not all(map(alike, verdict.follows, rest[:sure])):
        return []
    end = sure + len(verdict.extras)
    while end < len(rest) and any(alike(each, rest[end]) for each in verdict.maybe_extras.values()):
        end += 1
    return rest[:end]


def _tell(world: World, happened: tuple[Event, ...], asked: Asked) -> None:
    for each in happened:
        world.tell(each, world.position + 1, asked.now, asked.actor)
