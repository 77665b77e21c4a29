"""What has become rows and is not stored yet: all of it, once, in order, and not too much of it."""

import asyncio
from datetime import UTC, datetime

import pytest

from services.projections.feed import Ahead
from services.projections.views.rows import EventRow, Rows
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

AT = datetime(2025, 7, 1, tzinfo=UTC)


def rows(*positions: int) -> Rows:
    return Rows(
        event=[EventRow("acme", each, "unit", "u", None, AT, AT, b"") for each in positions]
    )


def positions(taken: Rows) -> list[int]:
    return [row.position for row in taken.event]


async def test_what_came_while_something_was_stored_is_taken_together() -> None:
    ahead = Ahead(4)
    await ahead.add(rows(5), 5)
    taken, first, last = await ahead.take()
    assert (positions(taken), first, last) == ([5], 5, 5)
    await ahead.add(rows(6, 7), 7)
    await ahead.add(rows(8), 8)
    await ahead.stored()
    taken, first, last = await ahead.take()
    assert (positions(taken), first, last) == ([6, 7, 8], 6, 8)


async def test_no_more_waits_to_be_taken_than_is_allowed() -> None:
    ahead = Ahead(0)
    await ahead.add(rows(1, 2, 3), 3)
    waiting = asyncio.create_task(ahead.has_room(2))
    await asyncio.sleep(0)
    assert not waiting.done()
    await ahead.take()  # while it is being stored, the next may become rows
    await eventually(waiting.done)


async def test_what_was_taken_is_not_stored_yet() -> None:
    ahead = Ahead(0)
    await ahead.add(rows(1, 2, 3), 3)
    waiting = asyncio.create_task(ahead.reaches(3))
    await ahead.take()
    await asyncio.sleep(0)
    assert not waiting.done()
    await ahead.stored()
    await eventually(waiting.done)


async def test_a_batch_of_nothing_new_is_not_stored() -> None:
    ahead = Ahead(4)
    await ahead.add(rows(), 4)
    taking = asyncio.create_task(ahead.take())
    await ahead.reaches(4)
    assert not taking.done()
    await ahead.add(rows(5), 5)
    taken, _, _ = await taking
    assert positions(taken) == [5]
