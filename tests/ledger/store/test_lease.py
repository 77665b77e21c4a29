"""One ledger holds the lease; another has it soon after it is given back, or falls silent."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import nats.js.errors
import pytest
from goal_contracts.client.stream import ApiAnswer, StreamInfo, api_request
from nats.aio.client import Client
from structlog.testing import capture_logs

from services.embedded.nats_server import NatsServer
from services.ledger.store.lease import Entry, Lease, LeaseSettings, declaration, ensure_bucket
from services.ledger.store.log import connect
from services.ledger.store.streams import UnsafeStream
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

KEY = "GOALS"


@pytest.fixture
def settings() -> LeaseSettings:
    return LeaseSettings(
        bucket=f"lease-{secrets.token_hex(6)}",
        renew_every_s=0.1,
        hold_s=0.5,
        take_after_s=0.8,
        look_every_s=0.02,
    )


@pytest.fixture
async def bucket(nats_client: Client, settings: LeaseSettings) -> LeaseSettings:
    await ensure_bucket(nats_client, settings, 1)
    return settings


@asynccontextmanager
async def several(url: str, settings: LeaseSettings, count: int) -> AsyncIterator[list[Lease]]:
    """Each on a connection of its own."""
    clients = [await connect(url) for _ in range(count)]
    try:
        yield [Lease(client, settings, KEY, f"l-{n}") for n, client in enumerate(clients)]
    finally:
        for client in clients:
            await client.close()


@asynccontextmanager
async def kept(lease: Lease) -> AsyncIterator[asyncio.Task[str]]:
    """Renewed meanwhile."""
    keeping = asyncio.create_task(lease.keep())
    try:
        yield keeping
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def taken_after(lease: Lease) -> float:
    """Wait until it is taken, bounded; the seconds that went by."""
    clock = asyncio.get_running_loop().time
    began = clock()
    async with asyncio.timeout(10):
        await lease.take()
    return clock() - began


async def holder(client: Client, settings: LeaseSettings) -> str:
    found = await (await client.jetstream().key_value(settings.bucket)).get(KEY)
    return msgspec.json.decode(found.value or b"", type=Entry).holder


async def overwrite(client: Client, settings: LeaseSettings, by: str) -> None:
    """What two that hold it at once would do to each other."""
    bucket = await client.jetstream().key_value(settings.bucket)
    await bucket.put(KEY, msgspec.json.encode(Entry(by)))


async def test_of_several_that_reach_for_it_at_once_one_has_it(
    nats_url: str, nats_client: Client, bucket: LeaseSettings
) -> None:
    async with several(nats_url, bucket, 8) as leases:
        took = await asyncio.gather(*[lease.try_to_take() for lease in leases])
        assert took.count(True) == 1
        assert [lease.is_current for lease in leases] == took
        assert await holder(nats_client, bucket) == f"l-{took.index(True)}"


async def test_a_renewed_lease_is_not_taken(nats_url: str, bucket: LeaseSettings) -> None:
    async with several(nats_url, bucket, 2) as (first, second):
        assert await first.try_to_take()
        async with kept(first) as keeping:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(second.take(), bucket.take_after_s * 2)
            assert first.is_current
            assert not keeping.done()


async def test_a_lease_given_back_is_taken_at_once(nats_url: str, bucket: LeaseSettings) -> None:
    async with several(nats_url, bucket, 2) as (first, second):
        assert await first.try_to_take()
        async with kept(first):
            assert not await second.try_to_take()
        await first.release()
        assert not first.is_current
        assert await taken_after(second) < bucket.hold_s


async def test_a_silent_holder_is_followed_after_the_time_named_and_not_before(
    nats_url: str, bucket: LeaseSettings
) -> None:
    async with several(nats_url, bucket, 2) as (first, second):
        assert await first.try_to_take()
        waited_s = await taken_after(second)
        assert bucket.take_after_s <= waited_s < bucket.take_after_s + 2


async def test_a_holder_takes_no_more_before_another_may_take_the_lease(
    nats_url: str, bucket: LeaseSettings
) -> None:
    """Cut off by the log of what it did, not by what another clock says."""
    async with several(nats_url, bucket, 2) as (first, second):
        assert await first.try_to_take()
        async with kept(first) as keeping:
            taking = asyncio.create_task(second.take())
            # It hears nothing any more, as if the network had gone.
            await first._client.close()
            await eventually(lambda: not first.is_current)
            assert not taking.done()
            waiting = asyncio.create_task(first.until_current())
            assert "could not be renewed" in await asyncio.wait_for(keeping, 10)
        await asyncio.wait_for(taking, 10)
        assert not waiting.done()
        waiting.cancel()


async def test_who_was_frozen_for_long_goes_on_if_nobody_has_taken_the_lease(
    nats_url: str, bucket: LeaseSettings
) -> None:
    async with several(nats_url, bucket, 1) as (first,):
        assert await first.try_to_take()
        first._renewed_at -= bucket.take_after_s * 10
        waiting = asyncio.create_task(first.until_current())
        await asyncio.sleep(0)
        assert not waiting.done()
        async with kept(first) as keeping:
            await asyncio.wait_for(waiting, 10)
            assert not keeping.done()


async def test_a_holder_that_was_overtaken_steps_down_at_its_next_renewal(
    nats_url: str, nats_client: Client, bucket: LeaseSettings
) -> None:
    async with several(nats_url, bucket, 1) as (first,):
        assert await first.try_to_take()
        async with kept(first) as keeping:
            await overwrite(nats_client, bucket, "another")
            assert "another" in await asyncio.wait_for(keeping, 10)
        assert not first.is_current
        await first.release()
        assert await holder(nats_client, bucket) == "another"


async def test_a_renewal_that_arrived_unheard_is_no_loss(
    nats_url: str, nats_client: Client, bucket: LeaseSettings
) -> None:
    async with several(nats_url, bucket, 1) as (first,):
        assert await first.try_to_take()
        async with kept(first) as keeping:
            await overwrite(nats_client, bucket, "l-0")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(keeping), bucket.hold_s * 2)
        await first.release()
        assert await holder(nats_client, bucket) == ""


async def test_one_that_stepped_down_takes_it_again_at_once_if_nobody_else_has(
    nats_url: str, bucket: LeaseSettings
) -> None:
    async with several(nats_url, bucket, 1) as (first,):
        assert await first.try_to_take()
        first._is_held = False
        assert await first.try_to_take()


async def test_a_short_restart_of_the_server_costs_nobody_the_lease(
    own_nats_server: NatsServer,
) -> None:
    settings = LeaseSettings(hold_s=8, take_after_s=10)
    async with several(own_nats_server.url, settings, 2) as (first, second):
        await ensure_bucket(first._client, settings, 1)
        assert await first.try_to_take()
        async with kept(first) as keeping:
            assert not await second.try_to_take()
            revision = first._revision
            own_nats_server.kill()
            own_nats_server.start()
            await eventually(lambda: first._revision > revision, why="renewed after the restart")
            assert not keeping.done()
            assert not await second.try_to_take()


async def test_a_restart_of_the_server_that_lasts_makes_the_holder_step_down(
    own_nats_server: NatsServer, settings: LeaseSettings
) -> None:
    async with several(own_nats_server.url, settings, 2) as (first, second):
        await ensure_bucket(first._client, settings, 1)
        assert await first.try_to_take()
        async with kept(first) as keeping:
            own_nats_server.kill()
            assert "could not be renewed" in await asyncio.wait_for(keeping, 10)
            own_nats_server.start()
            await taken_after(second)
            assert not await first.try_to_take()


async def test_a_bucket_that_is_gone_is_made_anew(
    nats_url: str, nats_client: Client, bucket: LeaseSettings
) -> None:
    async with several(nats_url, bucket, 1) as (first,):
        await api_request(nats_client, f"STREAM.DELETE.{bucket.stream}", ApiAnswer)
        await taken_after(first)
        assert await holder(nats_client, bucket) == "l-0"


async def test_a_lease_that_was_deleted_is_free(
    nats_url: str, nats_client: Client, bucket: LeaseSettings
) -> None:
    async with several(nats_url, bucket, 2) as (first, second):
        assert await first.try_to_take()
        await (await nats_client.jetstream().key_value(bucket.bucket)).delete(KEY)
        assert await second.try_to_take()


async def test_a_lease_that_cannot_be_given_back_is_left_to_time(
    own_nats_server: NatsServer, settings: LeaseSettings
) -> None:
    async with several(own_nats_server.url, settings, 2) as (first, second):
        await ensure_bucket(first._client, settings, 1)
        assert await first.try_to_take()
        own_nats_server.kill()
        with capture_logs() as logged:
            await first.release()
        assert [line["event"] for line in logged] == ["lease_not_released"]
        own_nats_server.start()
        await taken_after(second)


async def test_a_bucket_set_otherwise_is_refused(
    nats_client: Client, bucket: LeaseSettings
) -> None:
    await ensure_bucket(nats_client, bucket, 1)
    changed = declaration(bucket, 1) | {"max_age": 60_000_000_000}
    await api_request(nats_client, f"STREAM.UPDATE.{bucket.stream}", StreamInfo, changed)
    with pytest.raises(UnsafeStream, match="max_age"):
        await ensure_bucket(nats_client, bucket, 1)


async def test_fewer_replicas_than_the_log_has_are_refused(
    nats_client: Client, bucket: LeaseSettings
) -> None:
    with pytest.raises(UnsafeStream, match="num_replicas"):
        await ensure_bucket(nats_client, bucket, 3)


@pytest.mark.parametrize(
    "times",
    [
        {"hold_s": 0.3},
        {"take_after_s": 1.0},
        {"renew_every_s": 0.0},
    ],
)
def test_times_in_which_a_holder_is_overtaken_are_refused(times: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="renew_every_s"):
        LeaseSettings(**times)


async def test_other_programs_can_read_who_holds_it(
    nats_url: str, nats_client: Client, bucket: LeaseSettings
) -> None:
    async with several(nats_url, bucket, 1) as (first,):
        assert await first.try_to_take()
        store = await nats_client.jetstream().key_value(bucket.bucket)
        assert (await store.get(KEY)).value == b'{"holder":"l-0"}'
        with pytest.raises(nats.js.errors.KeyWrongLastSequenceError):
            await store.create(KEY, b"{}")
