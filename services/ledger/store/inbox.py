"""Messages that are taken while they are read, in the same turn of the event loop.

nats-py puts what comes for a subscription into a queue, and a task of its own takes it from there
in a later turn: where nothing is awaited, as with a command or an acknowledgement, that is for
nothing.
"""

import asyncio
from collections.abc import Callable

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from services.ledger.store.outbox import UnknownClient

log = structlog.get_logger()


async def listen(client: Client, subject: str, take: Callable[[Msg], None]) -> Subscription:
    """From now on `take` has each message on the subject, one by one, as long as the value lives.

    What it raises is logged, and the next message taken.
    """
    subscription = await client.subscribe(subject, pending_bytes_limit=0)  # none is pending
    queue = getattr(subscription, "_pending_queue", None)
    if not isinstance(queue, asyncio.Queue):
        raise UnknownClient("this nats-py has no queue in its subscriptions")
    subscription._pending_queue = straight = _Straight(take)  # noqa: SLF001 - see above
    while not queue.empty():
        straight.put_nowait(queue.get_nowait())
    return subscription


class _Straight(asyncio.Queue[Msg]):
    """A queue that is always empty."""

    def __init__(self, take: Callable[[Msg], None]) -> None:
        super().__init__()
        self._take = take

    def put_nowait(self, item: Msg) -> None:
        try:
            self._take(item)
        except Exception:
            # nats-py would read no more.
            log.exception("message_not_taken", subject=item.subject)
