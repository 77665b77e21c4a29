"""Many at once: each item is decided as if those before it had just happened.

One that is refused refuses all, or is left out and named, as the command says.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar, assert_never

from goal_contracts.commands import (
    BulkMode,
    CheckIn,
    CorrectReading,
    CorrectReadings,
    RecordCheckIns,
    RecordReading,
    RecordReadings,
)
from goal_contracts.events import Event
from goal_contracts.replies import Refusal, RefusedItem
from msgspec import Struct

from services.ledger.domain import check_in, reading
from services.ledger.domain.asked import Asked
from services.ledger.domain.consequences import follow, let_happen
from services.ledger.domain.decided_on import refuse_unless_current
from services.ledger.domain.number import refuse_unless_numbers_of_record
from services.ledger.domain.organisation import Organisation

BulkCommand = RecordCheckIns | RecordReadings | CorrectReadings

Item = TypeVar("Item", bound=CheckIn | RecordReading | CorrectReading)
Decision = Callable[[Organisation, Item, Asked], tuple[Event, ...]]


class Decided(Struct, frozen=True):
    """What follows from a command: the events, and the items that were left out.

    `then` is a fork to which the events have happened as they stand next in the log, where the
    decision had to find that out anyway.
    """

    events: tuple[Event, ...]
    refused: tuple[RefusedItem, ...] = ()
    then: Organisation | None = None


def decide_items(organisation: Organisation, command: BulkCommand, asked: Asked) -> Decided:
    """The events of all items, or of those that are not refused."""
    match command:
        case RecordCheckIns():
            items, mode = command.check_ins, command.mode
            return _decide_each(organisation, check_in.check_in, items, mode, asked)
        case RecordReadings():
            return _decide_each(organisation, reading.record, command.readings, command.mode, asked)
        case CorrectReadings():
            return _decide_each(
                organisation, reading.correct, command.corrections, command.mode, asked
            )
        case _:
            assert_never(command)


def _decide_each(
    organisation: Organisation,
    decision: Decision[Item],
    items: Sequence[Item],
    mode: BulkMode,
    asked: Asked,
) -> Decided:
    """A refused item is named by its place, counted from 0."""
    tried = organisation.fork()
    followed: list[Event] = []
    left_out: list[RefusedItem] = []
    for index, item in enumerate(items):
        try:
            refuse_unless_numbers_of_record(item)
            refuse_unless_current(organisation, item, asked)
            events = decision(tried, item, asked)
        except Refusal as refusal:
            if mode == "all_or_nothing":
                raise _of_all(refusal, index) from refusal
            left_out.append(_of_one(refusal, index))
            continue
        let_happen(tried, events, asked)
        followed.extend(events)
        followed.extend(follow(tried, events, asked))
    return Decided(tuple(followed), tuple(left_out), tried)


def _of_all(refusal: Refusal, index: int) -> Refusal:
    return Refusal(
        refusal.reason,
        f"item {index}: {refusal.message}",
        seen=refusal.seen,
        accepted=refusal.accepted,
        rule=refusal.rule,
    )


def _of_one(refusal: Refusal, index: int) -> RefusedItem:
    return RefusedItem(
        item=index,
        reason=refusal.reason,
        message=refusal.message,
        rule=refusal.rule,
        seen=refusal.seen,
        accepted=refusal.accepted,
    )
