"""Events of one organisation: those that are stored and then what comes, or only what comes.

`follow` hands on each event once, in order, from a position or a date on: through a consumer that
is made anew, from the last event handed on, whenever it is lost. Whoever keeps the position of the
last event together with what came of it has had each event once, whatever was killed in between.
`live` hears only what is stored from now on, may miss some of it, and costs the server nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from nats.aio.msg import Msg

from goal_contracts import subjects
from goal_contracts.client.asking import Client
from goal_contracts.client.flushing import flushed
from goal_contracts.client.stream import USUAL_PACE, Pace, Selection, read_stream
from goal_contracts.fields import Kind
from goal_contracts.heard import Heard

SEQUENCE_HEADER: Final = "Nats-Sequence"
LIVE_WAITING_MAX: Final = 65_536


class Select(Struct, frozen=True, kw_only=True):
    """Which events: of a kind, of one goal, of one name; all of it left out, every event."""

    kind: Kind | None = None
    goal_id: str | None = None
    event: str | None = None

    def tokens(self) -> tuple[str, str, str]:
        """The same in a subject."""
        return self.kind or "*", self.goal_id or "*", self.event or "*"


EVERYTHING: Final = Select()


async def follow(
    client: Client,
    organisation_id: str,
    *,
    after: int = 0,
    since: datetime | None = None,
    select: Select = EVERYTHING,
    consumer: str | None = None,
    until_now: bool = False,
    stream: str = subjects.STREAM,
    pace: Pace = USUAL_PACE,
    on_trouble: Callable[[Exception, float], None] | None = None,
) -> AsyncGenerator[Sequence[Heard], None]:
    """The events after a position, or recorded since an instant, in batches, and then live.

    With `until_now` it ends with the last event that is stored when it begins. `consumer` is the
    name that the server lets this user give to a consumer; nobody else may follow under it. Close
    it (`contextlib.aclosing`) if it is left before its end.

    Raises NotPermitted, StreamUnavailable and JetStreamError for what asking again cannot mend.
    """
    name = consumer or client.connection.new_inbox().rpartition(".")[2]
    selection = Selection(
        subject=_wanted(organisation_id, select),
        consumer=name,
        since=since,
    )

    def trouble(error: Exception, again_in_s: float) -> None:
        # The server does not answer what it refuses: it would be asked for ever.
        for operation in (f"DELETE.{stream}.{name}", f"CREATE.{stream}.{name}.{selection.subject}"):
            client.refuse_what_is_not_permitted(f"{client.jetstream_api}.CONSUMER.{operation}")
        if on_trouble is not None:
            on_trouble(error, again_in_s)

    reading = read_stream(
        client.connection,
        stream,
        after=after,
        follow=not until_now,
        pace=pace,
        on_trouble=trouble,
        api=client.jetstream_api,
        selection=selection,
    )
    async with contextlib.aclosing(reading) as batches:
        async for batch in batches:
            yield [Heard(each.position, each.subject, each.payload) for each in batch]


def _wanted(organisation_id: str, select: Select) -> str:
    """Everything is asked for in one token: the server has less to compare."""
    if select == EVERYTHING:
        return subjects.ledger_of(organisation_id)
    return subjects.ledger(organisation_id, *select.tokens())


async def live(
    client: Client, organisation_id: str, *, select: Select = EVERYTHING
) -> AsyncGenerator[Heard, None]:
    """What is stored from now on. What is not taken in time, or while disconnected, is missed.

    Only committed events are ever heard; those of a wider interest than one's own are refused by
    the server.
    """
    waiting: asyncio.Queue[Msg] = asyncio.Queue(LIVE_WAITING_MAX)

    async def take(message: Msg) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            waiting.put_nowait(message)

    subscription = await client.connection.subscribe(
        subjects.event(organisation_id, *select.tokens()), cb=take
    )
    try:
        await flushed(client.connection)
        while True:
            message = await waiting.get()
            position = (message.headers or {}).get(SEQUENCE_HEADER)
            if position is not None:  # what the server did not republish is none of ours
                yield Heard(int(position), message.subject, message.data)
    finally:
        await subscription.unsubscribe()
