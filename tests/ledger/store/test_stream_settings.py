"""The stream's settings: declared as they must be, never changed, and watched."""

import asyncio
from pathlib import Path

import pytest
from faststream.nats import JStream, NatsBroker, PullSub
from goal_contracts import asyncapi, codec, subjects
from goal_contracts.client.flushing import flushed
from goal_contracts.client.stream import ApiAnswer, StreamInfo, api_request, stream_info
from nats.aio.client import Client

from services.embedded.nats_server import NatsServer
from services.ledger.store.log import Conflict, connect, connect_options
from services.ledger.store.streams import (
    Difference,
    StreamSettings,
    UnsafeServer,
    UnsafeStream,
    check_server,
    declaration,
    ensure_stream,
    stream_differences,
    watch_stream_settings,
)
from tests.ledger.store.own_stream import events, own_log, own_settings, update_stream
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

REWRITES: list[tuple[str, dict[str, object]]] = [
    ("max_msgs", {"max_msgs": 1_000_000}),
    ("max_bytes", {"max_bytes": 1_000_000_000}),
    ("max_age", {"max_age": 3_600_000_000_000}),
    ("max_msgs_per_subject", {"max_msgs_per_subject": 1}),
    ("retention", {"retention": "interest"}),
    ("discard", {"discard": "old"}),
    ("duplicate_window", {"duplicate_window": 60_000_000_000}),
    ("allow_atomic", {"allow_atomic": False}),
    ("allow_direct", {"allow_direct": False}),
    ("allow_msg_ttl", {"allow_msg_ttl": True}),
    ("max_msg_size", {"max_msg_size": 1_000}),
    ("compression", {"compression": "s2"}),
    ("republish", {"republish": None}),
    ("no_ack", {"no_ack": True}),
    ("sealed", {"sealed": True}),
]


async def create_with(client: Client, settings: StreamSettings, **changes: object) -> None:
    config = declaration(settings) | changes
    await api_request(client, f"STREAM.CREATE.{settings.name}", StreamInfo, config)


async def config_of(client: Client, settings: StreamSettings) -> dict[str, object]:
    return (await stream_info(client, settings.name)).config


async def test_an_absent_stream_is_created_as_declared(nats_url: str) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as log:
        config = await config_of(log.client, settings)
        assert config | declaration(settings) == config
        await ensure_stream(log.client, settings)
        await log.append(events(log, 3), 0)
        assert await stream_differences(log.client, settings) == ()


async def test_the_stream_of_all_organisations_holds_the_ledgers_subjects() -> None:
    settings = StreamSettings()
    assert settings.name == subjects.STREAM
    assert settings.subjects == [subjects.LEDGER]


@pytest.mark.parametrize(("setting", "rewrite"), REWRITES, ids=[name for name, _ in REWRITES])
async def test_a_rewritten_setting_is_found_and_left_as_it_is(
    nats_url: str, setting: str, rewrite: dict[str, object]
) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as log:
        await update_stream(log.client, settings, **rewrite)
        rewritten = await config_of(log.client, settings)
        with pytest.raises(UnsafeStream) as unsafe:
            await ensure_stream(log.client, settings)
        assert setting in {difference.setting for difference in unsafe.value.differences}
        assert all(difference.mend for difference in unsafe.value.differences)
        assert await config_of(log.client, settings) == rewritten


async def test_every_difference_is_told_at_once(nats_url: str) -> None:
    settings = own_settings()
    client = await connect(nats_url)
    try:
        await create_with(
            client, settings, storage="memory", deny_delete=False, deny_purge=False, max_age=10**12
        )
        with pytest.raises(UnsafeStream) as unsafe:
            await ensure_stream(client, settings)
        assert {difference.setting for difference in unsafe.value.differences} == {
            "storage",
            "deny_delete",
            "deny_purge",
            "max_age",
        }
        assert "storage is 'memory', needed is 'file'" in str(unsafe.value)
    finally:
        await client.close()


async def test_fewer_replicas_than_needed_are_refused(nats_url: str) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as log:
        needed = StreamSettings(
            name=settings.name, organisations=settings.organisations, replicas=3
        )
        with pytest.raises(UnsafeStream, match="num_replicas is 1, needed is 3"):
            await ensure_stream(log.client, needed)


async def test_a_history_that_was_cut_is_found_after_the_setting_is_mended(nats_url: str) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as log:
        await log.append(events(log, 5), 0)
        await update_stream(log.client, settings, max_msgs_per_subject=2)
        await update_stream(log.client, settings)
        with pytest.raises(UnsafeStream, match="first position is 4, needed is 1"):
            await ensure_stream(log.client, settings)


async def test_a_running_ledger_hears_of_a_rewrite_of_its_mending_and_of_the_end(
    nats_url: str,
) -> None:
    settings = own_settings()
    heard: list[set[str]] = []

    async def on_change(differences: tuple[Difference, ...]) -> None:
        heard.append({difference.setting for difference in differences})

    async with own_log(nats_url, settings) as log:
        watch = asyncio.create_task(watch_stream_settings(log.client, settings, on_change))
        try:
            # A subscription is in force once a later request has been answered.
            await eventually(lambda: log.client._subs)
            await flushed(log.client)
            await update_stream(log.client, settings, max_msgs=1_000)
            await eventually(lambda: heard == [{"max_msgs"}])
            await update_stream(log.client, settings)
            await eventually(lambda: heard == [{"max_msgs"}, set()])
            await api_request(log.client, f"STREAM.DELETE.{settings.name}", ApiAnswer)
            await eventually(lambda: heard == [{"max_msgs"}, set(), {"stream"}])
        finally:
            watch.cancel()
            await asyncio.wait([watch])


async def test_a_change_made_while_disconnected_is_found_by_looking_again(nats_url: str) -> None:
    settings = own_settings()
    heard: list[set[str]] = []

    async def on_change(differences: tuple[Difference, ...]) -> None:
        heard.append({difference.setting for difference in differences})

    async with own_log(nats_url, settings) as log:
        await update_stream(log.client, settings, max_age=10**12)
        watch = asyncio.create_task(
            watch_stream_settings(log.client, settings, on_change, every_s=0.05)
        )
        await eventually(lambda: heard == [{"max_age"}])
        watch.cancel()
        await asyncio.wait([watch])


async def test_the_live_tail_carries_what_was_stored_and_nothing_else(nats_url: str) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as log:
        tail = await log.client.subscribe(
            subjects.EVENTS.removesuffix(">") + settings.organisations[0] + ".>"
        )
        await flushed(log.client)
        await log.append(events(log, 3), 0)
        for count in (1, 3):
            with pytest.raises(Conflict):
                await log.append(events(log, count), 0)
        await log.append(events(log, 1, first=4), 3)
        live = [await tail.next_msg(timeout=5) for _ in range(4)]
        await flushed(log.client)
        assert tail.pending_msgs == 0
        assert [message.data for message in live] == [
            b"event 1",
            b"event 2",
            b"event 3",
            b"event 4",
        ]
        headers = [message.headers or {} for message in live]
        assert [each["Nats-Sequence"] for each in headers] == list("1234")
        assert {each["content-type"] for each in headers} == {codec.CONTENT_TYPE}
        assert all(set(asyncapi.HEADERS["properties"]) <= set(each) for each in headers)


async def test_faststream_subscribing_to_the_stream_leaves_its_settings_alone(
    nats_url: str,
) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as log:
        before = await config_of(log.client, settings)
        broker = NatsBroker(nats_url, **connect_options())
        seen: list[bytes] = []

        @broker.subscriber(
            settings.subjects[0],
            stream=JStream(settings.name, declare=False),
            pull_sub=PullSub(timeout=0.1),
            durable="other",
        )
        async def handle(payload: bytes) -> None:
            seen.append(payload)

        async with broker:
            await broker.start()
            await log.append(events(log, 1), 0)
            await eventually(lambda: seen)
        assert await config_of(log.client, settings) == before
        assert await stream_differences(log.client, settings) == ()


async def test_a_server_that_writes_to_disk_before_it_answers_is_safe(
    nats_server: NatsServer, nats_client: Client
) -> None:
    await check_server(nats_client, StreamSettings(), nats_server.monitor_url)


async def test_a_server_that_answers_before_it_writes_is_refused_unless_allowed(
    tmp_path: Path,
) -> None:
    with NatsServer(tmp_path, sync_always=False) as server:
        client = await connect(server.url)
        try:
            with pytest.raises(UnsafeServer, match="sync_interval is 'a time', needed is 'always'"):
                await check_server(client, StreamSettings(), server.monitor_url)
            await check_server(client, StreamSettings(unsafe_sync_allowed=True), server.monitor_url)
        finally:
            await client.close()


@pytest.mark.parametrize("monitor_url", [None, "http://127.0.0.1:1", "file:///etc/passwd"])
async def test_a_server_whose_sync_interval_cannot_be_seen_is_refused(
    nats_client: Client, monitor_url: str | None
) -> None:
    with pytest.raises(UnsafeServer, match="not to be seen"):
        await check_server(nats_client, StreamSettings(), monitor_url)
