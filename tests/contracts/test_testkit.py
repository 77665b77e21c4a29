"""What the contracts give to the tests of a subscriber."""

import pytest
from goal_contracts.events import EVENTS
from goal_contracts.testkit import FakeFeed, examples

pytestmark = pytest.mark.anyio


def test_there_is_an_event_of_every_type_under_its_subject() -> None:
    events = examples()
    assert {event.decode().type for event in events} == set(EVENTS)
    for event in events:
        recorded = event.decode()
        assert event.subject.split(".")[2:] == [
            "acme",
            recorded.kind,
            recorded.goal_id,
            recorded.type,
        ]


async def test_a_fake_feed_goes_on_from_the_position_that_was_kept() -> None:
    feed, kept = FakeFeed(), list[int]()
    async for batch in feed.follow(lose_after=17):
        kept += [event.position for event in batch]
    added = feed.add(examples()[0].payload)
    async for batch in feed.follow(after=kept[-1]):
        kept += [event.position for event in batch]
    assert kept == [*range(1, added.position + 1)]
