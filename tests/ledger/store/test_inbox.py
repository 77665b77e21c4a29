"""Messages are taken while they are read, in order, and a fault in one stops no other."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog.testing
from goal_contracts.client.flushing import flushed
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from services.ledger.store.inbox import listen
from services.ledger.store.log import connect
from services.ledger.store.outbox import UnknownClient
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

SUBJECT = "inbox.test"


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    client = await connect(nats_url)
    yield client
    await client.close()


async def test_a_message_is_taken_in_the_turn_in_which_it_is_read(client: Client) -> None:
    taken: list[bytes] = []
    subscription = await listen(client, SUBJECT, lambda message: taken.append(message.data))
    for number in range(3):
        await client._process_msg(subscription._id, SUBJECT.encode(), b"", b"%d" % number, b"")
        assert taken[number:] == [b"%d" % number]


async def test_messages_are_taken_in_their_order_and_a_fault_stops_no_other(
    client: Client,
) -> None:
    taken: list[bytes] = []

    def take(message: Msg) -> None:
        if message.data == b"1":
            raise ArithmeticError("a fault of ours")
        taken.append(message.data)

    await listen(client, SUBJECT, take)
    with structlog.testing.capture_logs() as lines:
        for number in range(4):
            await client.publish(SUBJECT, b"%d" % number)
        await eventually(lambda: len(taken) == 3)
    assert taken == [b"0", b"2", b"3"]
    assert [line["event"] for line in lines] == ["message_not_taken"]


async def test_nothing_is_dropped_however_much_comes(client: Client) -> None:
    taken: list[int] = []
    subscription = await listen(client, SUBJECT, lambda message: taken.append(len(message.data)))
    subscription._pending_size = 10**12
    await client.publish(SUBJECT, b"x")
    await eventually(lambda: taken == [1])


async def test_what_came_before_it_listened_is_taken_too(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bytes] = []
    subscribe = client.subscribe

    async def slowly(subject: str, pending_bytes_limit: int) -> Subscription:
        subscription = await subscribe(subject, pending_bytes_limit=pending_bytes_limit)
        await client.publish(SUBJECT, b"early")
        await flushed(client)
        return subscription

    monkeypatch.setattr(client, "subscribe", slowly)
    await listen(client, SUBJECT, lambda message: taken.append(message.data))
    assert taken == [b"early"]


async def test_a_drained_subscription_has_taken_what_was_sent(client: Client) -> None:
    taken: list[bytes] = []
    subscription = await listen(client, SUBJECT, lambda message: taken.append(message.data))
    await client.publish(SUBJECT, b"last")
    async with asyncio.timeout(5):
        await subscription.drain()
    assert taken == [b"last"]


async def test_another_client_library_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def subscribe(_subject: str, pending_bytes_limit: int) -> object:
        return object()

    monkeypatch.setattr(client, "subscribe", subscribe)
    with pytest.raises(UnknownClient):
        await listen(client, SUBJECT, lambda _: None)
