"""What is put into an outbox leaves in one write and in order, or never."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import nats.errors
import pytest
from goal_contracts.client.flushing import flushed
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.embedded.nats_server import NatsServer
from services.ledger.store import outbox as store_outbox
from services.ledger.store.log import connect
from services.ledger.store.outbox import Outbox, UnknownClient
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

SUBJECT = "outbox.test"


class Heard:
    """What another connection has heard of the subject, in its order."""

    def __init__(self) -> None:
        self.messages: list[Msg] = []

    async def hear(self, message: Msg) -> None:
        self.messages.append(message)

    @property
    def said(self) -> list[str]:
        return [message.data.decode() for message in self.messages]


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    client = await connect(nats_url)
    yield client
    await client.close()


@pytest.fixture
async def heard(nats_url: str) -> AsyncIterator[Heard]:
    heard = Heard()
    client = await connect(nats_url)
    await client.subscribe(SUBJECT, cb=heard.hear)
    await flushed(client)
    yield heard
    await client.close()


async def test_what_is_sent_has_left_at_once(client: Client, heard: Heard) -> None:
    outbox = Outbox(client)
    outbox.put(SUBJECT, b"one")
    outbox.put(SUBJECT, b"two")
    outbox.send()
    assert client.pending_data_size == 0
    await eventually(lambda: heard.said == ["one", "two"])


async def test_what_nobody_sends_leaves_at_the_end_of_the_turn(
    client: Client, heard: Heard
) -> None:
    outbox = Outbox(client)
    outbox.put(SUBJECT, b"one")
    await asyncio.sleep(0)
    assert client.pending_data_size == 0
    await eventually(lambda: heard.said == ["one"])


async def test_it_leaves_behind_what_nats_py_has_still_to_send(
    client: Client, heard: Heard
) -> None:
    await client.publish(SUBJECT, b"one")
    assert client.pending_data_size > 0
    outbox = Outbox(client)
    outbox.put(SUBJECT, b"two")
    outbox.send()
    await client.publish(SUBJECT, b"three")
    await eventually(lambda: heard.said == ["one", "two", "three"])


async def test_what_is_too_much_for_the_socket_leaves_in_its_own_time(
    client: Client, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_outbox, "AT_ONCE_BYTES_MAX", 10)
    outbox = Outbox(client)
    outbox.put(SUBJECT, b"more than ten bytes")
    outbox.send()
    assert client.pending_data_size > 0
    await eventually(lambda: heard.said == ["more than ten bytes"])


async def test_headers_and_reply_subject_arrive_as_nats_py_reads_them(
    client: Client, heard: Heard
) -> None:
    outbox = Outbox(client)
    outbox.put(SUBJECT, b"", "answer.here", "Goal-Version: 17\r\nOther: x y\r\n")
    outbox.put(SUBJECT, "größer".encode())
    outbox.send()
    await eventually(lambda: len(heard.messages) == 2)
    with_headers, without = heard.messages
    assert with_headers.headers == {"Goal-Version": "17", "Other": "x y"}
    assert (with_headers.reply, with_headers.data) == ("answer.here", b"")
    assert (without.headers, without.reply, without.data.decode()) == (None, "", "größer")


async def test_what_the_server_would_not_take_is_not_put_in(client: Client) -> None:
    with pytest.raises(nats.errors.MaxPayloadError):
        Outbox(client).put(SUBJECT, b"x" * (client.max_payload + 1))


async def test_nothing_is_put_in_while_there_is_no_connection(
    own_nats_server: NatsServer,
) -> None:
    client = await connect(own_nats_server.url)
    outbox = Outbox(client)
    own_nats_server.kill()
    await eventually(lambda: not client.is_connected)
    with pytest.raises(nats.errors.ConnectionClosedError):
        outbox.put(SUBJECT, b"ghost")
    await client.close()


async def test_what_has_not_left_when_the_connection_breaks_never_leaves(
    own_nats_server: NatsServer,
) -> None:
    heard = Heard()
    client = await connect(own_nats_server.url)
    await client.subscribe(SUBJECT, cb=heard.hear)
    await flushed(client)
    assert own_nats_server.pid is not None
    os.kill(own_nats_server.pid, signal.SIGSTOP)
    outbox = Outbox(client)
    for _ in range(50):
        outbox.put(SUBJECT, b"x" * client.max_payload)
    outbox.send()
    await asyncio.sleep(0)  # nats-py's task has handed that much to a socket that takes no more
    outbox.put(SUBJECT, b"ghost")
    outbox.send()
    assert client.pending_data_size > 0
    own_nats_server.kill()
    await eventually(lambda: not client.is_connected)
    own_nats_server.restart()
    await eventually(lambda: client.is_connected)
    outbox.put(SUBJECT, b"real")
    await eventually(lambda: "real" in heard.said)
    assert heard.said == ["real"]
    await client.close()


async def test_what_else_was_to_be_called_when_the_connection_breaks_is_called(
    own_nats_server: NatsServer,
) -> None:
    broke = asyncio.Event()

    async def disconnected() -> None:
        broke.set()

    client = Client()
    await client.connect(own_nats_server.url, disconnected_cb=disconnected)
    Outbox(client)
    own_nats_server.kill()
    async with asyncio.timeout(10):
        await broke.wait()
    await client.close()


@pytest.mark.parametrize("name", store_outbox.REACHED_INTO)
async def test_a_nats_py_that_works_otherwise_is_not_reached_into(
    client: Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other_release:
        other_release.delattr(client, name)
        with pytest.raises(UnknownClient, match=name):
            Outbox(client)
