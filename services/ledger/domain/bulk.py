"""Many at once, all or nothing: each item is decided as if those before it had just happened."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from goal_contracts.codec import Recorded, effective_at_of
from goal_contracts.events import Event
from goal_contracts.replies import Refusal
from msgspec import Struct

from services.ledger.domain.asked import Asked
from services.ledger.domain.evolve import evolve
from services.ledger.domain.number import refuse_unless_numbers_of_record
from services.ledger.domain.organisation import Organisation

Item = TypeVar("Item", bound=Struct)
Decision = Callable[[Organisation, Item, Asked], tuple[Event, ...]]


def decide_each(
    organisation: Organisation, decision: Decision[Item], items: Sequence[Item], asked: Asked
) -> tuple[Event, ...]:
    """The events of all items; a Refusal of one refuses all and names its place, counted from 0."""
    tried = organisation.fork()
    followed: list[Event] = []
    for index, item in enumerate(items):
        try:
            refuse_unless_numbers_of_record(item)
            events = decision(tried, item, asked)
        except Refusal as refusal:
            raise Refusal(
                refusal.reason,
                f"item {index}: {refusal.message}",
                seen=refusal.seen,
                accepted=refusal.accepted,
                rule=refusal.rule,
            ) from refusal
        for event in events:
            evolve(tried, _provisional(tried, event, asked))
        followed.extend(events)
    return tuple(followed)


def _provisional(tried: Organisation, event: Event, asked: Asked) -> Recorded:
    """The event as it would stand next in the log; only the try-out sees it."""
    return Recorded(
        position=tried.position + 1,
        event_id="",
        organisation_id=asked.organisation_id,
        kind=event.kind,
        goal_id=event.goal_id,
        recorded_at=asked.now,
        known_at=asked.now,
        effective_at=effective_at_of(event, asked.now),
        actor=asked.actor,
        command_id="",
        event=event,
    )
