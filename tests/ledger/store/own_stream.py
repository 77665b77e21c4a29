"""A stream of a test's own on the shared server, for one organisation nobody else uses."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

from goal_contracts import subjects
from goal_contracts.client.stream import ApiAnswer, Pace, StoredMessage, StreamInfo, api_request
from nats.aio.client import Client

from services.ledger.store.log import GoalLog, Outgoing, connect
from services.ledger.store.streams import StreamSettings, declaration, ensure_stream
from tests.waiting import eventually

QUICK = Pace(
    heartbeat_s=0.1, request_expires_s=2.0, retry_first_s=0.02, retry_max_s=0.2, batch_max=100
)


def own_settings() -> StreamSettings:
    organisation = f"o-{secrets.token_hex(6)}"
    return StreamSettings(name=organisation.upper(), organisations=(organisation,))


@asynccontextmanager
async def own_log(url: str, settings: StreamSettings | None = None) -> AsyncIterator[GoalLog]:
    """A log on a connection of its own; the stream is made if it is not there."""
    settings = settings or own_settings()
    client = await connect(url)
    try:
        await ensure_stream(client, settings)
        log = GoalLog(client, settings.name, pace=QUICK, ack_timeout_s=2.0)
        await log.open()
        yield log
    finally:
        await client.close()


def event(log: GoalLog, payload: str, version: int = 1) -> Outgoing:
    subject = subjects.ledger(log.stream.lower(), "objective", "g-1", "ObjectiveSet")
    return Outgoing(subject, payload.encode(), version)


def events(log: GoalLog, count: int, first: int = 1) -> list[Outgoing]:
    return [event(log, f"event {number}", number) for number in range(first, first + count)]


async def collected(
    batches: AsyncGenerator[Sequence[StoredMessage], None], into: list[StoredMessage] | None = None
) -> list[StoredMessage]:
    """What was read; also in `into`, in case reading ends with an error."""
    found = [] if into is None else into
    async with aclosing(batches):
        async for batch in batches:
            found += batch
    return found


async def everything(log: GoalLog) -> list[StoredMessage]:
    return await collected(log.read())


async def payloads(log: GoalLog) -> list[str]:
    return [message.payload.decode() for message in await everything(log)]


class ConsumerNames(ApiAnswer, frozen=True, kw_only=True):
    consumers: list[str] | None = None


async def consumers(log: GoalLog) -> list[str]:
    names = await api_request(log.client, f"CONSUMER.NAMES.{log.stream}", ConsumerNames)
    return names.consumers or []


async def all_consumers_gone(log: GoalLog) -> None:
    async def gone() -> bool:
        return not await consumers(log)

    check: Callable[[], bool | Awaitable[bool]] = gone
    await eventually(check)


async def update_stream(client: Client, settings: StreamSettings, **changes: object) -> None:
    """What a careless or hostile operator does."""
    await api_request(
        client, f"STREAM.UPDATE.{settings.name}", StreamInfo, declaration(settings) | changes
    )
