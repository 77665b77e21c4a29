"""The ledger as a service: over NATS, from the outside."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import nats
import nats.errors
import pytest
import structlog.testing
from goal_contracts import codec, subjects
from goal_contracts.client.stream import StreamInfo, api_request, stream_info
from goal_contracts.commands import Command, DefineUnit, OpenOrganisation
from goal_contracts.replies import Accepted, Reason, Refused, Reply
from nats.aio.client import Client

from services.embedded.nats_server import NatsServer
from services.ledger import app
from services.ledger.app import Settings, StreamChanged, run, serving
from services.ledger.snapshotting import save_if_due
from services.ledger.store.streams import StreamSettings, UnsafeServer
from tests.running import GOAL_LEDGER
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def organisation_id() -> str:
    return f"org-{uuid4().hex[:8]}"


@pytest.fixture
def settings(nats_server: NatsServer, organisation_id: str) -> Settings:
    return Settings(
        server_url=nats_server.url,
        monitor_url=nats_server.monitor_url,
        stream=StreamSettings(name=f"GOALS-{organisation_id}", organisations=(organisation_id,)),
    )


@pytest.fixture
async def served(nats_client: Client, settings: Settings) -> AsyncIterator[None]:
    async with serving(nats_client, settings, stop=lambda: None) as failed:
        yield
    failed()


async def ask(
    client: Client, organisation_id: str, command: Command, command_id: str = "c-1"
) -> Reply:
    message = codec.command_message(command, command_id=command_id)
    subject = subjects.command(organisation_id, "u-17", message.type)
    return codec.decode_reply(
        (await client.request(subject, codec.encode(message), timeout=30)).data
    )


@pytest.mark.usefixtures("served")
async def test_organisation_and_actor_are_the_subjects(
    nats_client: Client, organisation_id: str
) -> None:
    live = await nats_client.subscribe(subjects.event(organisation_id, "*", "*", "*"))
    reply = await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"))
    assert reply == Accepted("c-1", position=1, events=1)
    seen = await live.next_msg(timeout=5)
    recorded = codec.decode_event(1, seen.data)
    assert (recorded.organisation_id, recorded.actor) == (organisation_id, "u-17")


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("CheckIn", b"", Reason.MALFORMED),
        ("CheckIn", b'{"id":"c","type":"DropObjective","data":{}}', Reason.MALFORMED),
        ("Undo", b'{"id":"c","type":"Undo","data":{}}', Reason.UNKNOWN_COMMAND),
        (
            "AddComment",
            (
                b'{"id":"c","type":"AddComment","known_at":"2020-01-01T00:00:00Z",'
                b'"data":{"goal":"kpi/k","comment_id":"c","text":"t"}}'
            ),
            Reason.MALFORMED,
        ),
        (
            "OpenOrganisation",
            (
                b'{"id":"c","type":"OpenOrganisation","known_at":"0001-01-01T00:00:00+14:00",'
                b'"data":{"name":"n"}}'
            ),
            Reason.MALFORMED,
        ),
        (
            "OpenOrganisation",
            (
                b'{"id":"c","type":"OpenOrganisation","known_at":"2999-01-01T00:00:00Z",'
                b'"data":{"name":"n"}}'
            ),
            Reason.KNOWN_AT_OUT_OF_ORDER,
        ),
    ],
)
async def test_wrong_input_gets_a_refusal_with_a_code_and_leaves_no_trace(
    nats_client: Client,
    settings: Settings,
    organisation_id: str,
    name: str,
    payload: bytes,
    reason: Reason,
) -> None:
    subject = subjects.command(organisation_id, "u-17", name)
    answer = await nats_client.request(subject, payload, timeout=5)
    reply = codec.decode_reply(answer.data)
    assert isinstance(reply, Refused)
    assert reply.reason is reason
    assert (await stream_info(nats_client, settings.stream.name)).state.last_seq == 0


async def test_commands_in_flight_when_it_stops_are_answered(
    nats_client: Client, settings: Settings, organisation_id: str
) -> None:
    async with serving(nats_client, settings, stop=lambda: None):
        await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"))
        asked = [
            asyncio.create_task(
                ask(
                    nats_client,
                    organisation_id,
                    DefineUnit(unit_id=f"t-{number}", name="Team", unit_kind="team"),
                    f"unit-{number}",
                )
            )
            for number in range(50)
        ]
        await asyncio.sleep(0)
        await nats_client.flush()
    replies = await asyncio.gather(*asked)
    assert all(isinstance(reply, Accepted) for reply in replies)


async def test_it_stops_serving_when_somebody_changes_the_streams_settings(
    nats_client: Client, settings: Settings
) -> None:
    stopped = asyncio.Event()
    with pytest.raises(StreamChanged, match="max_msgs"):  # noqa: PT012  # the end is what raises
        async with serving(nats_client, settings, stop=stopped.set) as failed:
            name = settings.stream.name
            config = (await stream_info(nats_client, name)).config
            await api_request(
                nats_client, f"STREAM.UPDATE.{name}", StreamInfo, {**config, "max_msgs": 1_000}
            )
            async with asyncio.timeout(10):
                await stopped.wait()
        failed()


async def test_it_refuses_to_serve_on_a_server_that_may_lose_acknowledged_events(
    own_nats_server: NatsServer, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("careless")
    with NatsServer(home, sync_always=False) as careless:
        careless_settings = Settings(
            server_url=careless.url, monitor_url=careless.monitor_url, stream=settings.stream
        )
        with pytest.raises(UnsafeServer, match="sync_interval"):
            await run(careless_settings)


async def test_the_whole_service_starts_answers_and_stops(
    nats_client: Client, settings: Settings, organisation_id: str
) -> None:
    ready = asyncio.Event()
    service = asyncio.create_task(run(settings, on_ready=ready.set))
    async with asyncio.timeout(10):
        await ready.wait()
    reply = await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"))
    assert isinstance(reply, Accepted)
    service.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await service

    async def nobody_answers() -> bool:
        try:
            await nats_client.request(subjects.command(organisation_id, "u", "X"), b"", timeout=1)
        except Exception:  # noqa: BLE001  # no responders, by whatever name
            return True
        return False

    await eventually(nobody_answers)


@pytest.mark.usefixtures("served")
async def test_nobody_passes_for_the_ledger_itself(
    nats_client: Client, organisation_id: str
) -> None:
    message = codec.command_message(OpenOrganisation(name="Acme"), command_id="c-1")
    subject = subjects.command(organisation_id, "ledger", message.type)
    answer = await nats_client.request(subject, codec.encode(message), timeout=5)
    reply = codec.decode_reply(answer.data)
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.NOT_PERMITTED


@pytest.fixture
def full_disk() -> Iterator[BinaryIO]:
    """A file whose every write says that the disk is full."""
    with Path("/dev/full").open("wb") as file:
        yield file


async def test_a_log_file_that_cannot_be_written_stops_nobody(
    own_nats_server: NatsServer, organisation_id: str, full_disk: BinaryIO
) -> None:
    ledger = await asyncio.create_subprocess_exec(
        *GOAL_LEDGER,
        "ledger",
        *("--server", own_nats_server.url, "--monitor", own_nats_server.monitor_url),
        stderr=full_disk,
    )
    client = await nats.connect(own_nats_server.url)

    async def opened() -> bool:
        with contextlib.suppress(nats.errors.NoRespondersError):
            await ask(client, organisation_id, OpenOrganisation(name="Acme"))
            return True
        return False

    await eventually(opened, timeout_s=30)
    unit = DefineUnit(unit_id="team", name="Team", unit_kind="team")
    assert isinstance(await ask(client, organisation_id, unit, "unit"), Accepted)
    ledger.terminate()
    assert await asyncio.wait_for(ledger.wait(), 20) == 0
    await client.close()


async def test_told_to_stop_it_answers_every_command_it_took(
    own_nats_server: NatsServer, organisation_id: str
) -> None:
    ledger = await asyncio.create_subprocess_exec(
        *GOAL_LEDGER,
        "ledger",
        *("--server", own_nats_server.url, "--monitor", own_nats_server.monitor_url),
        stderr=asyncio.subprocess.DEVNULL,
    )
    client = await nats.connect(own_nats_server.url)

    async def opened() -> bool:
        with contextlib.suppress(nats.errors.NoRespondersError):
            await ask(client, organisation_id, OpenOrganisation(name="Acme"))
            return True
        return False

    async def outcome(number: int) -> str:
        command = DefineUnit(unit_id=f"t-{number}", name="Team", unit_kind="team")
        try:
            reply = await ask(client, organisation_id, command, f"unit-{number}")
        except nats.errors.NoRespondersError:
            return "not taken"
        if number == 50:
            ledger.terminate()
        return "accepted" if isinstance(reply, Accepted) else "refused"

    await eventually(opened, timeout_s=30)
    # A command that was taken and then left without a reply would time out here.
    outcomes = await asyncio.gather(*[outcome(number) for number in range(3_000)])
    assert set(outcomes) <= {"accepted", "not taken"}
    assert outcomes.count("accepted") > 50
    assert await asyncio.wait_for(ledger.wait(), 20) == 0
    position = (await stream_info(client, subjects.STREAM)).state.last_seq
    assert position == 1 + outcomes.count("accepted")
    await client.close()


async def test_a_ledger_that_ends_writes_a_snapshot_and_the_next_begins_with_it(
    nats_client: Client,
    settings: Settings,
    organisation_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "save_if_due", partial(save_if_due, events_between=2))
    async with serving(nats_client, settings, stop=lambda: None):
        await ask(nats_client, organisation_id, OpenOrganisation(name="Acme"), "c-1")
        unit = DefineUnit(unit_id="team", name="Team", unit_kind="team")
        first = await ask(nats_client, organisation_id, unit, "c-2")
    with structlog.testing.capture_logs() as lines:
        async with serving(nats_client, settings, stop=lambda: None):
            again = await ask(nats_client, organisation_id, unit, "c-2")
    [loaded] = [line for line in lines if line["event"] == "snapshot_loaded"]
    assert loaded["position"] == 2
    assert again == first
