"""The client asks until there is an answer, under the same id, and never behind one's back."""

import asyncio

import msgspec
import nats
import pytest
from goal_contracts import codec, subjects
from goal_contracts.client.flushing import flushed
from goal_contracts.codec import CommandMessage
from goal_contracts.commands import ActivateCycle
from goal_contracts.queries import Position, QueryRefused, ViewPosition
from goal_contracts.replies import Accepted, Reason, Refused
from nats.aio.client import Client as Connection
from nats.aio.msg import Msg

from services.cli.client import Client
from services.cli.errors import Unreachable
from services.embedded.nats_server import NatsServer
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

ORGANISATION = "client-test"
MESSAGE = codec.command_message(ActivateCycle(cycle_id="2025-Q3"), command_id="c-1")


async def respond(
    connection: Connection, lose: int = 0, organisation: str = ORGANISATION
) -> list[str]:
    """Accepts every command, but says nothing to the first ones; the ids in order of arrival."""
    arrived: list[str] = []

    async def take(message: Msg) -> None:
        command = codec.decode_message(message.data)
        arrived.append(command.id)
        if len(arrived) > lose:
            await message.respond(codec.encode(Accepted(command.id, position=7, events=1)))

    await connection.subscribe(subjects.command(organisation, "*", "*"), cb=take)
    await flushed(connection)
    return arrived


async def test_a_lost_reply_is_asked_for_again_under_the_same_id(
    nats_url: str, nats_client: Connection
) -> None:
    arrived = await respond(nats_client, lose=1)
    async with await Client.connect(nats_url) as client:
        reply = await client.send(ORGANISATION, "ana", MESSAGE)
    assert reply == Accepted("c-1", position=7, events=1)
    assert arrived == ["c-1", "c-1"]


async def test_who_is_not_there_yet_is_waited_for(nats_url: str) -> None:
    async with await Client.connect(nats_url) as client:
        asking = asyncio.create_task(client.send("late-test", "ana", MESSAGE))
        await eventually(lambda: client.connection.stats["in_msgs"] > 0, why="no responders yet")
        late = await nats.connect(nats_url)
        arrived = await respond(late, organisation="late-test")
        assert await asking == Accepted("c-1", position=7, events=1)
        assert arrived == ["c-1"]
        await late.close()


async def test_what_reached_nobody_is_said_to_have_reached_nobody(nats_url: str) -> None:
    async with await Client.connect(nats_url, wait_s=0.3) as client:
        told = r"gave no answer within 0\.3 s .*command c-1 reached no ledger; .*ask again$"
        with pytest.raises(Unreachable, match=told):
            await client.send("nobody-test", "ana", MESSAGE)


async def test_when_time_is_up_the_outcome_is_said_to_be_unknown(
    nats_url: str, nats_client: Connection
) -> None:
    arrived = await respond(nats_client, lose=100, organisation="silent-test")
    async with await Client.connect(nats_url, wait_s=0.3) as client:
        told = r"unknown whether command c-1 was recorded; .*ask again with the same id$"
        with pytest.raises(Unreachable, match=told):
            await client.send("silent-test", "ana", MESSAGE)
    assert arrived


async def test_one_ledger_that_takes_over_from_another_is_a_pause(
    nats_url: str, nats_client: Connection
) -> None:
    """The first is killed with the command in its hands, and for a while nobody listens."""
    async with await Client.connect(nats_url) as client:
        killed = await nats.connect(nats_url)
        taken = await respond(killed, lose=100, organisation="failover-test")
        asking = asyncio.create_task(client.send("failover-test", "ana", MESSAGE))
        await eventually(lambda: taken)
        await killed.close()
        heard = client.connection.stats["in_msgs"]
        await eventually(lambda: client.connection.stats["in_msgs"] > heard, why="no responders")
        arrived = await respond(nats_client, organisation="failover-test")
        assert await asking == Accepted("c-1", position=7, events=1)
        assert {*taken, *arrived} == {"c-1"}


async def test_no_server_is_told_at_once() -> None:
    with pytest.raises(Unreachable, match=r"connection refused.*goal-ledger up"):
        await Client.connect("nats://127.0.0.1:1", connect_wait_s=0.3)


async def test_a_refusal_is_an_answer(nats_url: str, nats_client: Connection) -> None:
    refused = Refused("c-1", Reason.CYCLE_CLOSED, "2025-Q3 is closed", rule="R19")

    async def refuse(message: Msg) -> None:
        await message.respond(codec.encode(refused))

    await nats_client.subscribe(subjects.command("refused-test", "*", "*"), cb=refuse)
    await flushed(nats_client)
    async with await Client.connect(nats_url) as client:
        assert await client.send("refused-test", "ana", MESSAGE) == refused


async def test_a_ledger_with_too_much_to_do_is_asked_again(
    nats_url: str, nats_client: Connection
) -> None:
    busy = Refused("c-1", Reason.OVERLOADED, "10,000 commands wait")
    replies = [busy, Accepted("c-1", position=7, events=1)]

    async def answer(message: Msg) -> None:
        await message.respond(codec.encode(replies[len(asked)]))
        asked.append(codec.decode_message(message.data).id)

    asked: list[str] = []
    await nats_client.subscribe(subjects.command("busy-test", "*", "*"), cb=answer)
    await flushed(nats_client)
    async with await Client.connect(nats_url) as client:
        assert await client.send("busy-test", "ana", MESSAGE) == replies[1]
        asked.clear()
        assert await client.send("busy-test", "ana", MESSAGE, wait_s=0.5) == busy


async def test_what_no_server_takes_is_refused_as_too_large(
    nats_url: str, nats_client: Connection
) -> None:
    data = codec.encode("x" * nats_client.max_payload)
    message = CommandMessage(id="c-2", type="AddComment", data=msgspec.Raw(data))
    async with await Client.connect(nats_url) as client:
        reply = await client.send(ORGANISATION, "ana", message)
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.TOO_LARGE


async def test_questions_are_answered_and_refused(nats_url: str, nats_client: Connection) -> None:
    answers = [ViewPosition(3, ("goals",)), QueryRefused("not_found", "no such kpi")]

    async def answer(message: Msg) -> None:
        await message.respond(codec.encode(answers[len(asked)]))
        asked.append(message.data)

    asked: list[bytes] = []
    await nats_client.subscribe(subjects.query(ORGANISATION, "Position"), cb=answer)
    await flushed(nats_client)
    async with await Client.connect(nats_url) as client:
        assert await client.ask(ORGANISATION, Position()) == answers[0]
        assert await client.ask(ORGANISATION, Position()) == answers[1]


async def test_a_command_under_way_when_the_server_dies_is_asked_again_at_once(
    own_nats_server: NatsServer,
) -> None:
    async with await Client.connect(own_nats_server.url) as client:
        responder = await nats.connect(
            own_nats_server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05
        )
        arrived = await respond(responder, lose=1)
        asking = asyncio.create_task(client.send(ORGANISATION, "ana", MESSAGE))
        await eventually(lambda: arrived, why="the first one arrives and is lost")
        own_nats_server.kill()
        own_nats_server.start()
        assert await asking == Accepted("c-1", position=7, events=1)
        assert set(arrived) == {"c-1"}
        await responder.close()


async def test_what_could_not_be_sent_is_not_sent_later(own_nats_server: NatsServer) -> None:
    async with await Client.connect(own_nats_server.url) as client:
        own_nats_server.kill()
        await eventually(lambda: not client.connection.is_connected)
        with pytest.raises(Unreachable, match="the connection is down"):
            await client.send(ORGANISATION, "ana", MESSAGE, wait_s=0.3)
        own_nats_server.start()
        responder = await nats.connect(own_nats_server.url)
        arrived = await respond(responder)
        await eventually(lambda: client.connection.is_connected)
        other = codec.command_message(ActivateCycle(cycle_id="2025-Q4"), command_id="c-2")
        await client.send(ORGANISATION, "ana", other)
        assert arrived == ["c-2"]
        await responder.close()


async def test_who_was_told_that_he_is_not_let_in_hears_so_though_he_is_hung_up_on_later() -> None:
    told: list[bool] = []

    async def refuse_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not told:
            writer.write(b'INFO {"max_payload":1048576,"headers":true}\r\n')
            await reader.readuntil(b"PING\r\n")
            writer.write(b"-ERR 'Authorization Violation'\r\n")
            await writer.drain()
        told.append(True)
        writer.close()

    server = await asyncio.start_server(refuse_once, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match="--nkey FILE"):
            await Client.connect(f"nats://127.0.0.1:{port}", connect_wait_s=1.5)
    assert len(told) > 1
