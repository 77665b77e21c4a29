"""Who watches over a ledger asks it over HTTP."""

import asyncio
import contextlib
import http.client
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
from goal_contracts import codec, subjects
from goal_contracts.client.stream import StreamInfo, api_request, stream_info
from goal_contracts.commands import Command, DefineUnit, OpenOrganisation
from nats.aio.client import Client
from structlog.testing import capture_logs

from services.embedded.nats_server import NatsServer
from services.http.settings import HttpSettings
from services.ledger.app import Settings, serving
from services.ledger.store.lease import LeaseSettings
from services.ledger.store.log import connect
from services.ledger.store.streams import StreamSettings
from tests.ledger.scraped import Scraped
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


class Answer(NamedTuple):
    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body, type=dict[str, Any])


class Watched(NamedTuple):
    """A ledger on a connection of its own, and the address of its door."""

    client: Client
    address: str

    async def get(self, path: str) -> Answer:
        """As a watcher that knows nothing of us would."""

        def ask() -> Answer:
            connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", path)
                answer = connection.getresponse()
                return Answer(answer.status, answer.getheader("content-type", ""), answer.read())

        return await asyncio.to_thread(ask)

    async def scrape(self) -> Scraped:
        return Scraped((await self.get("/metrics")).body.decode())


@pytest.fixture
def organisation_id() -> str:
    return f"org-{uuid4().hex[:8]}"


@pytest.fixture
def settings(nats_server: NatsServer, organisation_id: str) -> Settings:
    return Settings(
        server_url=nats_server.url,
        monitor_url=nats_server.monitor_url,
        stream=StreamSettings(name=f"GOALS-{organisation_id}", organisations=(organisation_id,)),
        lease=LeaseSettings(hold_s=10, take_after_s=60),
        http=HttpSettings(),
    )


@contextlib.asynccontextmanager
async def a_ledger(settings: Settings) -> AsyncIterator[Watched]:
    client = await connect(settings.server_url)
    try:
        with capture_logs() as lines:
            async with serving(client, settings, stop=lambda: None):
                [address] = [line["address"] for line in lines if line["event"] == "http_listens"]
                yield Watched(client, address)
    finally:
        await client.close()


async def ask(client: Client, organisation_id: str, command: Command) -> None:
    message = codec.command_message(command, command_id=uuid4().hex)
    subject = subjects.command(organisation_id, "u-17", message.type)
    await client.request(subject, codec.encode(message), timeout=10)


async def test_a_scrape_tells_what_happened(
    nats_client: Client, settings: Settings, organisation_id: str
) -> None:
    async with a_ledger(settings) as ledger:
        await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"))
        await ask(nats_client, organisation_id, DefineUnit("team", "Team", "team"))
        await ask(nats_client, organisation_id, DefineUnit("team", "Other", "team"))
        await nats_client.request(subjects.command(organisation_id, "u", "X"), b"", timeout=10)
        answer = await ledger.get("/metrics")
        assert answer.status == 200
        assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
        now = Scraped(answer.body.decode())
    assert now.labelled("commands_total") == {"accepted": 2, "refused": 2}
    assert now.labelled("refusals_total") == {"id_taken": 1, "malformed": 1}
    assert now.labelled("role") == {"writer": 1}
    assert now["position"] == now["events_total"] == 2
    assert now["turns_total"] == now["healthy"] == 1
    assert now["unanswered_commands"] == 0
    assert now["state_entries", "units"] == now["state_entries", "organisations"] == 1


async def test_a_standby_is_ready_and_says_when_it_has_become_the_writer(
    nats_client: Client, settings: Settings, organisation_id: str
) -> None:
    async with contextlib.AsyncExitStack() as standing_by:
        async with a_ledger(settings) as first:
            await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"))
            second = await standing_by.enter_async_context(a_ledger(settings))
            ready = await second.get("/readyz")
            assert (ready.status, ready.json["role"], ready.json["position"]) == (200, "standby", 1)
            assert (await first.get("/readyz")).json["role"] == "writer"
            assert (await second.scrape())["turns_total"] == 0
            assert (await second.get("/healthz")).status == 200

        async def writes() -> bool:
            return (await second.scrape()).labelled("role") == {"writer": 1}

        await eventually(writes)
        assert (await second.get("/readyz")).json["role"] == "writer"
        assert (await second.scrape())["turns_total"] == 1


async def test_while_it_loads_it_is_healthy_and_not_ready(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, may_load = asyncio.Event(), asyncio.Event()

    async def load(_writer: object) -> None:
        loads.set()
        await may_load.wait()

    monkeypatch.setattr("services.ledger.writer.Writer.load", load)
    client = await connect(settings.server_url)
    with capture_logs() as lines:
        async with contextlib.AsyncExitStack() as served:
            service = serving(client, settings, stop=lambda: None)
            starting = asyncio.create_task(served.enter_async_context(service))
            await loads.wait()
            await eventually(lambda: "http_listens" in [line["event"] for line in lines])
            [address] = [line["address"] for line in lines if line["event"] == "http_listens"]
            watched = Watched(client, address)
            assert (await watched.get("/healthz")).status == 200
            ready = await watched.get("/readyz")
            assert (ready.status, ready.json["role"]) == (503, "loading")
            may_load.set()
            await starting
            assert (await watched.get("/readyz")).status == 200
    await client.close()


async def test_it_is_not_healthy_while_the_server_is_away(
    own_nats_server: NatsServer, settings: Settings
) -> None:
    own = msgspec.structs.replace(
        settings, server_url=own_nats_server.url, monitor_url=own_nats_server.monitor_url
    )
    async with a_ledger(own) as ledger:
        assert (await ledger.get("/healthz")).status == 200
        own_nats_server.kill()

        async def is_ill() -> bool:
            return (await ledger.get("/healthz")).status == 503

        await eventually(is_ill)
        answer = await ledger.get("/healthz")
        assert answer.json["trouble"] == "there is no connection to the nats-server"
        assert (await ledger.get("/readyz")).status == 503
        assert (await ledger.scrape())["healthy"] == 0
        own_nats_server.start()

        async def is_well() -> bool:
            return (await ledger.get("/healthz")).status == 200

        await eventually(is_well)


async def test_once_it_has_stopped_by_itself_it_says_why(
    nats_client: Client, settings: Settings
) -> None:
    async with a_ledger(settings) as ledger:
        name = settings.stream.name
        config = (await stream_info(nats_client, name)).config
        changed = {**config, "max_msgs": 1_000}
        await api_request(nats_client, f"STREAM.UPDATE.{name}", StreamInfo, changed)

        async def is_ill() -> bool:
            return (await ledger.get("/healthz")).status == 503

        await eventually(is_ill)
        trouble = (await ledger.get("/healthz")).json["trouble"]
        assert trouble.startswith("the ledger has stopped: ")
        assert "max_msgs" in trouble


async def test_nothing_else_is_there_and_nothing_is_left_when_it_ends(
    nats_client: Client, settings: Settings
) -> None:
    async with a_ledger(settings) as ledger:
        assert (await ledger.get("/schema")).status == 404
    with pytest.raises(ConnectionRefusedError):
        await ledger.get("/healthz")


async def test_it_does_not_serve_where_another_does(
    nats_client: Client, settings: Settings
) -> None:
    async with a_ledger(settings) as ledger:
        port = urlsplit(ledger.address).port or 0
        own = msgspec.structs.replace(settings, http=HttpSettings(port=port))
        with pytest.raises(OSError, match="in use"):
            async with a_ledger(own):
                raise AssertionError("two ledgers listen at one port")


async def test_without_a_port_nothing_listens(settings: Settings) -> None:
    silent = msgspec.structs.replace(settings, http=None)
    client = await connect(settings.server_url)
    with capture_logs() as lines:
        async with serving(client, silent, stop=lambda: None):
            pass
    assert "http_listens" not in [line["event"] for line in lines]
    await client.close()
