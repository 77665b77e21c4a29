"""For the tests of a subscriber: a feed without a server, and everything that can be heard.

feed = FakeFeed()
async for batch in feed.follow(after=my_position):
    ...
"""

from collections.abc import AsyncGenerator, Iterable, Sequence

from goal_contracts import codec, subjects
from goal_contracts.examples import EVENT_EXAMPLES
from goal_contracts.heard import Heard


def examples(organisation_id: str = "acme") -> list[Heard]:
    """One event of every type there is, as the log would hold them, at positions 1, 2, 3 …."""
    return [
        heard(position, payload, organisation_id)
        for position, payload in enumerate(EVENT_EXAMPLES.values(), start=1)
    ]


def heard(position: int, payload: bytes, organisation_id: str = "acme") -> Heard:
    """A stored event's bytes, with the subject they are stored under."""
    recorded = codec.decode_event(position, payload)
    subject = subjects.ledger(organisation_id, recorded.kind, recorded.goal_id, recorded.type)
    return Heard(position, subject, payload)


class FakeFeed:
    """Hands on events as `follow` does; those of every type unless it is given others.

    `lose_after` breaks it off after so many, as a killed subscriber would be: the next `follow`
    goes on from the position it is given, so what was not kept comes again.
    """

    def __init__(self, events: Iterable[Heard] | None = None) -> None:
        self.events = examples() if events is None else [*events]

    def add(self, payload: bytes) -> Heard:
        """One more event, at the next position."""
        last = self.events[-1].position if self.events else 0
        added = heard(last + 1, payload)
        self.events.append(added)
        return added

    async def follow(
        self, *, after: int = 0, batch_max: int = 10, lose_after: int | None = None
    ) -> AsyncGenerator[Sequence[Heard], None]:
        """The events after a position, in batches; it ends where the real one would wait."""
        following = [each for each in self.events if each.position > after]
        if lose_after is not None:
            following = following[:lose_after]
        for start in range(0, len(following), batch_max):
            yield following[start : start + batch_max]
