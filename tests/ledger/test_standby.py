"""Ledgers on one stream take turns: one writes, the others follow it and are ready to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import uuid4

import msgspec
import nats.errors
import pytest
from goal_contracts import codec, subjects
from goal_contracts.commands import Command, DefineUnit, OpenOrganisation
from goal_contracts.replies import Accepted, Reply
from nats.aio.client import Client
from nats.aio.msg import Msg
from structlog.testing import capture_logs

from services.embedded.nats_server import NatsServer
from services.ledger.app import Settings, serving
from services.ledger.handlers import new_event_ids
from services.ledger.standby import Hearing
from services.ledger.store.lease import Entry, LeaseSettings
from services.ledger.store.log import GoalLog, connect
from services.ledger.store.streams import StreamSettings
from services.ledger.writer import Writer
from tests.ledger import on_a_stream
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

PATIENT = LeaseSettings(hold_s=10, take_after_s=60)
"""Nobody takes it in these tests because of a silence, so what happens at once is told apart."""
COMMANDS = 40


@pytest.fixture
def organisation_id() -> str:
    return f"org-{uuid4().hex[:8]}"


@pytest.fixture
def settings(nats_server: NatsServer, organisation_id: str) -> Settings:
    return Settings(
        server_url=nats_server.url,
        monitor_url=nats_server.monitor_url,
        stream=StreamSettings(name=f"GOALS-{organisation_id}", organisations=(organisation_id,)),
        lease=PATIENT,
    )


@contextlib.asynccontextmanager
async def a_ledger(settings: Settings) -> AsyncIterator[Client]:
    """A ledger on a connection of its own, which is the value."""
    client = await connect(settings.server_url)
    try:
        async with serving(client, settings, stop=lambda: None) as raise_failure:
            yield client
        raise_failure()
    finally:
        await client.close()


async def ask(client: Client, organisation_id: str, command: Command, command_id: str) -> Reply:
    message = codec.command_message(command, command_id=command_id)
    subject = subjects.command(organisation_id, "u-17", message.type)
    return codec.decode_reply(
        (await client.request(subject, codec.encode(message), timeout=2)).data
    )


async def answered(
    client: Client, organisation_id: str, command: Command, command_id: str
) -> Reply:
    """Asked again under the same id until somebody answers."""

    async def reply() -> Reply | None:
        with contextlib.suppress(nats.errors.Error):
            return await ask(client, organisation_id, command, command_id)
        return None

    found = await eventually(reply)
    assert found is not None
    return found


def unit(number: int) -> DefineUnit:
    return DefineUnit(unit_id=f"t-{number}", name="Team", unit_kind="team")


async def holder(client: Client, settings: Settings) -> str:
    bucket = await client.jetstream().key_value(settings.lease.bucket)
    found = await bucket.get(settings.stream.name)
    return msgspec.json.decode(found.value or b"", type=Entry).holder


async def give_the_lease_to(client: Client, settings: Settings, name: str) -> None:
    bucket = await client.jetstream().key_value(settings.lease.bucket)
    await bucket.put(settings.stream.name, msgspec.json.encode(Entry(name)))


async def test_a_standby_is_ready_and_takes_no_commands(
    nats_client: Client, settings: Settings, organisation_id: str
) -> None:
    async with a_ledger(settings) as first:
        await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"), "c-1")
        async with a_ledger(settings) as second:
            answers = first.stats["out_msgs"]
            await ask(nats_client, organisation_id, unit(1), "c-2")
            assert first.stats["out_msgs"] > answers
            assert not [sub for sub in second._subs.values() if sub.subject == subjects.COMMANDS]


async def test_a_ledger_that_stops_hands_over_at_once_and_its_answers_are_known(
    nats_client: Client, settings: Settings, organisation_id: str
) -> None:
    async with contextlib.AsyncExitStack() as standing_by:
        async with a_ledger(settings):
            first = await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"), "c-1")
            await standing_by.enter_async_context(a_ledger(settings))
            await ask(nats_client, organisation_id, unit(1), "c-2")
            before = await holder(nats_client, settings)
        assert await answered(nats_client, organisation_id, unit(2), "c-3") == Accepted("c-3", 3, 1)
        assert await holder(nats_client, settings) not in {before, ""}
        again = await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"), "c-1")
        assert again == first


async def test_the_last_one_gives_the_lease_back(nats_client: Client, settings: Settings) -> None:
    async with a_ledger(settings):
        assert await holder(nats_client, settings)
    assert not await holder(nats_client, settings)


async def test_who_is_overtaken_follows_and_what_it_left_is_resolved_by_asking_again(
    nats_client: Client, settings: Settings, organisation_id: str
) -> None:
    async with a_ledger(settings):
        await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"), "c-1")
        asked = [
            asyncio.create_task(answered(nats_client, organisation_id, unit(number), f"u-{number}"))
            for number in range(COMMANDS)
        ]
        with capture_logs() as logged:
            await asyncio.sleep(0)
            await give_the_lease_to(nats_client, settings, "another")
            await eventually(lambda: "ledger_follows" in [line["event"] for line in logged])
        with pytest.raises(nats.errors.NoRespondersError):
            await ask(nats_client, organisation_id, unit(300), "u-300")

        # What others append meanwhile is in its memory when its turn comes again.
        async with on_a_stream.running(
            GoalLog(nats_client, settings.stream.name), settings.stream
        ) as another:
            [by_another] = await another.ask(unit(301), command_id="u-301")
        await give_the_lease_to(nats_client, settings, "")
        replies = await asyncio.gather(*asked)
        assert all(isinstance(reply, Accepted) for reply in replies)
        assert await answered(nats_client, organisation_id, unit(301), "u-301") == by_another
        ids = [recorded.command_id for recorded in await another.events()]
        assert sorted(ids) == sorted(
            ["c-1", "u-301", *(f"u-{number}" for number in range(COMMANDS))]
        )


async def test_a_ledger_goes_on_after_the_server_was_away_for_long(
    own_nats_server: NatsServer, settings: Settings, organisation_id: str
) -> None:
    quick = LeaseSettings(renew_every_s=0.1, hold_s=0.3, take_after_s=0.6)
    own = msgspec.structs.replace(
        settings,
        server_url=own_nats_server.url,
        monitor_url=own_nats_server.monitor_url,
        lease=quick,
    )
    async with a_ledger(own), a_ledger(own):
        client = await connect(own.server_url)
        await ask(client, organisation_id, OpenOrganisation(name="Acme"), "c-1")
        with capture_logs() as logged:
            own_nats_server.kill()
            await eventually(lambda: "lease_lost" in [line["event"] for line in logged])
            own_nats_server.start()
            for number in range(2, 5):
                reply = await answered(client, organisation_id, unit(number), f"c-{number}")
                assert reply == Accepted(f"c-{number}", number, 1)
        await client.close()


async def test_following_ends_with_all_that_was_appended_in_memory(
    nats_client: Client, settings: Settings, organisation_id: str
) -> None:
    async with a_ledger(settings):
        await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"), "c-1")
        follower = Writer(GoalLog(nats_client, settings.stream.name), new_event_ids)
        following = asyncio.create_task(follower.follow())
        await eventually(lambda: follower.position == 1)
        for number in range(2, 30):
            await ask(nats_client, organisation_id, unit(number), f"c-{number}")
        await eventually(lambda: follower.position == 29)
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await ask(nats_client, organisation_id, unit(30), "c-30")
        await follower.load()
        assert follower.position == 30


class Late:
    """A lease that is late until it is renewed."""

    def __init__(self) -> None:
        self.is_current = False
        self._renewed = asyncio.Event()

    async def until_current(self) -> None:
        while not self.is_current:
            self._renewed.clear()
            await self._renewed.wait()

    def renew(self) -> None:
        self.is_current = True
        self._renewed.set()


def heard(number: int) -> Any:
    return Msg(cast("Any", None), subject="goals.command", data=b"%d" % number)


async def test_what_is_heard_while_the_lease_is_late_is_taken_after_its_renewal_in_order() -> None:
    lease, taken = Late(), list[bytes]()
    hearing = Hearing(cast("Any", lease), lambda message: taken.append(message.data))
    for number in range(3):
        hearing.hear(heard(number))
    await asyncio.sleep(0)
    assert taken == []
    lease.renew()
    hearing.hear(heard(3))
    await hearing.all_taken()
    hearing.hear(heard(4))
    assert taken == [b"0", b"1", b"2", b"3", b"4"]


async def test_what_is_held_when_a_turn_ends_is_not_taken_any_more() -> None:
    lease, taken = Late(), list[bytes]()
    hearing = Hearing(cast("Any", lease), lambda message: taken.append(message.data))
    hearing.hear(heard(0))
    await hearing.end()
    lease.renew()
    await hearing.all_taken()
    assert taken == []
