"""Snapshots in a real object store: a good one is loaded, any other passed over with a warning."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import nats.errors
import pytest
import structlog.testing
from goal_contracts.client.stream import ApiAnswer, api_request
from goal_contracts.commands import DefineUnit, OpenOrganisation, RenameUnit
from goal_contracts.replies import Accepted
from msgspec.structs import replace
from nats.aio.client import Client
from nats.js.errors import APIError
from nats.js.object_store import ObjectStore

from services.ledger.domain import fold, frozen_state
from services.ledger.handlers import new_event_ids
from services.ledger.store import snapshots as snapshots_module
from services.ledger.store.log import GoalLog
from services.ledger.store.snapshots import Foreign, Header, SnapshotStore, opened, sealed
from services.ledger.store.streams import StreamSettings, ensure_stream
from services.ledger.writer import Writer
from tests.ledger.on_a_stream import Ledger, running

pytestmark = pytest.mark.anyio

Forge = Callable[[Header, bytes], bytes]


@pytest.fixture
def snapshots(nats_client: Client, stream_settings: StreamSettings) -> SnapshotStore:
    return SnapshotStore(nats_client, stream_settings.name)


def unit(number: int) -> DefineUnit:
    return DefineUnit(unit_id=f"team-{number}", name=f"Team {number}", unit_kind="team")


async def save(ledger: Ledger, snapshots: SnapshotStore) -> int:
    held = ledger.writer.hold()
    try:
        await snapshots.save(held)
    finally:
        held.release()
    return held.position


async def loaded(client: Client, snapshots: SnapshotStore) -> tuple[Writer, list[Any]]:
    """A writer that began anew, and what was warned of."""
    fresh = SnapshotStore(client, snapshots.bucket.removesuffix("-snapshots"))
    writer = Writer(
        GoalLog(client, snapshots.bucket.removesuffix("-snapshots")), new_event_ids, fresh
    )
    with structlog.testing.capture_logs() as lines:
        await writer.load()
    return writer, [*lines, {"event": "began", "position": fresh.position}]


def began_at(lines: list[Any]) -> int:
    position: int = lines[-1]["position"]
    return position


def warnings(lines: list[Any]) -> list[str]:
    return [line["why"] for line in lines if line.get("log_level") == "warning"]


async def bucket_of(client: Client, snapshots: SnapshotStore) -> ObjectStore:
    return await client.jetstream().object_store(snapshots.bucket)


async def content_of(client: Client, snapshots: SnapshotStore, position: int) -> bytes:
    content = (await (await bucket_of(client, snapshots)).get(f"{position:020}")).data
    assert content
    return content


async def put(client: Client, snapshots: SnapshotStore, position: int, content: bytes) -> None:
    await (await bucket_of(client, snapshots)).put(f"{position:020}", content)


def same_state(writer: Writer, ledger: Ledger) -> bool:
    return (
        writer.position == ledger.writer.position
        and writer._organisations == ledger.writer._organisations
        and writer._versions == ledger.writer._versions
    )


async def test_a_ledger_begins_with_the_snapshot_and_reads_the_events_after_it(
    ledger: Ledger, snapshots: SnapshotStore, nats_client: Client
) -> None:
    await ledger.ask(*map(unit, range(5)))
    position = await save(ledger, snapshots)
    await ledger.ask(unit(9), RenameUnit(unit_id="team-1", name="Platform"))
    writer, lines = await loaded(nats_client, snapshots)
    assert began_at(lines) == position == 6
    assert same_state(writer, ledger)
    assert warnings(lines) == []


async def test_after_a_snapshot_a_repeated_command_id_gets_the_first_answer(
    ledger: Ledger, snapshots: SnapshotStore, nats_client: Client, stream_settings: StreamSettings
) -> None:
    [first] = await ledger.ask(unit(1), command_id="c-1")
    await save(ledger, snapshots)
    async with running(ledger.log, stream_settings, snapshots) as restarted:
        [again] = await restarted.ask(unit(1), command_id="c-1")
        [another] = await restarted.ask(unit(2))
    assert again == first
    assert isinstance(another, Accepted)
    assert another.position == 3


async def test_without_a_snapshot_the_whole_log_is_read(
    ledger: Ledger, snapshots: SnapshotStore, nats_client: Client
) -> None:
    writer, lines = await loaded(nats_client, snapshots)
    assert began_at(lines) == 0
    assert same_state(writer, ledger)
    assert warnings(lines) == []


async def test_one_taken_while_the_ledger_appends_is_the_state_at_its_position(
    ledger: Ledger,
    snapshots: SnapshotStore,
    nats_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frozen_state, "ENTRIES_MAX", 1)
    await ledger.ask(*map(unit, range(100)))
    saving = asyncio.create_task(save(ledger, snapshots))
    renamed = [RenameUnit(unit_id=f"team-{number}", name="Renamed") for number in range(100)]
    for number in range(100):
        await ledger.ask(unit(100 + number), renamed[number])
    position = await saving
    assert position < ledger.writer.position, "it went on meanwhile"
    thawed = await snapshots.newest_good()
    assert thawed is not None
    history = await ledger.events()
    assert thawed.position == position
    assert thawed.organisations[ledger.organisation_id] == fold(None, history[:position])
    writer, _ = await loaded(nats_client, snapshots)
    assert same_state(writer, ledger)


@pytest.fixture
async def twice(ledger: Ledger, snapshots: SnapshotStore) -> tuple[int, int]:
    """Positions of an older and a newer snapshot; the log goes on after both."""
    await ledger.ask(*map(unit, range(5)))
    older = await save(ledger, snapshots)
    await ledger.ask(*map(unit, range(5, 9)))
    newer = await save(ledger, snapshots)
    await ledger.ask(unit(9))
    return older, newer


@pytest.mark.parametrize("part", range(0, 101, 5))
async def test_a_damaged_byte_anywhere_is_noticed(
    part: int,
    ledger: Ledger,
    snapshots: SnapshotStore,
    nats_client: Client,
    twice: tuple[int, int],
) -> None:
    older, newer = twice
    content = bytearray(await content_of(nats_client, snapshots, newer))
    content[(len(content) - 1) * part // 100] ^= 0x20
    await put(nats_client, snapshots, newer, bytes(content))
    writer, lines = await loaded(nats_client, snapshots)
    [why] = warnings(lines)
    assert "damaged" in why or "format" in why
    assert began_at(lines) == older
    assert same_state(writer, ledger)


def test_every_single_byte_counts() -> None:
    header = Header("f", "GOALS", "2025", 7, "d")
    content = sealed(header, b"body")
    assert opened(content) == (header, b"body")
    for place in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            with pytest.raises(snapshots_module.NoSnapshot):
                opened(bytes(damaged))


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
async def test_one_that_was_cut_short_is_passed_over(
    kept: float,
    ledger: Ledger,
    snapshots: SnapshotStore,
    nats_client: Client,
    twice: tuple[int, int],
) -> None:
    older, newer = twice
    content = await content_of(nats_client, snapshots, newer)
    await put(nats_client, snapshots, newer, content[: int(len(content) * kept)])
    writer, lines = await loaded(nats_client, snapshots)
    assert len(warnings(lines)) == 1
    assert began_at(lines) == older
    assert same_state(writer, ledger)


@pytest.mark.parametrize("missing", ["first", "last", "all"])
async def test_one_that_lacks_a_chunk_is_passed_over(
    missing: str,
    ledger: Ledger,
    snapshots: SnapshotStore,
    nats_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshots_module, "CHUNK_BYTES", 100)
    await ledger.ask(unit(1))
    await save(ledger, snapshots)
    stream = f"OBJ_{snapshots.bucket}"
    [chunks] = (await snapshots._chunks()).values()
    assert chunks > 3
    gone = {"first": [1], "last": [chunks], "all": range(1, chunks + 1)}[missing]
    for position in gone:
        await nats_client.jetstream().delete_msg(stream, position)
    writer, lines = await loaded(nats_client, snapshots)
    [why] = warnings(lines)
    assert "cut short" in why
    assert began_at(lines) == 0
    assert same_state(writer, ledger)


def with_header(**changes: Any) -> Forge:
    return lambda header, body: sealed(replace(header, **changes), body)


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (with_header(fingerprint="another"), "by a release that folds events in another way"),
        (with_header(stream="OTHER"), "of the stream OTHER"),
        (with_header(created="2020-01-01T00:00:00Z"), "created at 2020-01-01"),
        (with_header(event_digest="0" * 64), "of another history: it saw another event"),
        (with_header(position=2), "of another history: it saw another event 2"),
        (with_header(position=1_000), "of another history: the log ends before it"),
        (
            lambda header, body: sealed(header, body).replace(b"snapshot/1", b"snapshot/0", 1),
            "its format is 'goal-ledger-snapshot/0'",
        ),
        (lambda header, body: sealed(header, body + b"\0\0\0\x04abcd"), "Error -3"),
        (lambda _, body: sealed(Header("", "", "", 0, ""), body).replace(b"{", b"[", 1), "damaged"),
    ],
)
async def test_one_of_another_log_or_release_is_passed_over(
    forge: Forge,
    why: str,
    ledger: Ledger,
    snapshots: SnapshotStore,
    nats_client: Client,
    twice: tuple[int, int],
) -> None:
    older, newer = twice
    header, body = opened(await content_of(nats_client, snapshots, newer))
    await put(nats_client, snapshots, newer, forge(header, body))
    writer, lines = await loaded(nats_client, snapshots)
    [said] = warnings(lines)
    assert why in said
    assert began_at(lines) == older
    assert same_state(writer, ledger)


async def test_when_none_is_good_the_whole_log_is_read(
    ledger: Ledger, snapshots: SnapshotStore, nats_client: Client, twice: tuple[int, int]
) -> None:
    for position in twice:
        await put(nats_client, snapshots, position, b"nothing of the kind")
    writer, lines = await loaded(nats_client, snapshots)
    assert len(warnings(lines)) == 2
    assert began_at(lines) == 0
    assert same_state(writer, ledger)


async def test_a_new_stream_of_the_same_name_does_not_begin_with_the_old_ones_snapshots(
    ledger: Ledger,
    snapshots: SnapshotStore,
    nats_client: Client,
    stream_settings: StreamSettings,
    twice: tuple[int, int],
) -> None:
    name = stream_settings.name
    events = await ledger.events()
    await api_request(nats_client, f"STREAM.DELETE.{name}", ApiAnswer)
    await ensure_stream(nats_client, stream_settings)
    async with running(GoalLog(nats_client, name), stream_settings) as anew:
        await anew.ask(OpenOrganisation(name="Acme"), *map(unit, range(10, 10 + len(events))))
        writer, lines = await loaded(nats_client, snapshots)
        assert len(warnings(lines)) == 2
        assert all("created at" in why for why in warnings(lines))
        assert began_at(lines) == 0
        assert same_state(writer, anew)
        # Those of the old stream have higher positions, some of them, and go first all the same.
        await save(anew, snapshots)
        await save(anew, snapshots)
        _, lines = await loaded(nats_client, snapshots)
        assert began_at(lines) == anew.writer.position


async def test_the_newest_two_are_kept_and_nothing_of_the_others(
    ledger: Ledger, snapshots: SnapshotStore
) -> None:
    kept = []
    for number in range(5):
        await ledger.ask(unit(number))
        kept.append(await save(ledger, snapshots))
    assert sorted(await snapshots._names()) == [f"{position:020}" for position in kept[-2:]]
    assert len(await snapshots._chunks()) == 2


async def test_what_was_left_of_one_that_was_never_finished_is_dropped(
    ledger: Ledger, snapshots: SnapshotStore, nats_client: Client
) -> None:
    await save(ledger, snapshots)
    await nats_client.jetstream().publish(f"$O.{snapshots.bucket}.C.unfinished", b"half of it")
    assert len(await snapshots._chunks()) == 2
    await ledger.ask(unit(1))
    await save(ledger, snapshots)
    assert f"$O.{snapshots.bucket}.C.unfinished" not in await snapshots._chunks()
    assert len(await snapshots._names()) == 2


async def test_a_state_that_the_log_does_not_tell_is_not_written_down(
    ledger: Ledger, snapshots: SnapshotStore
) -> None:
    await ledger.ask(unit(1), unit(2))
    for position, organisations in (
        (2, ledger.writer._organisations),
        (3, {}),
    ):
        held = frozen_state.hold(position, organisations, {})
        with pytest.raises(Foreign, match="does not end with the event"):
            await snapshots.save(held)
        held.release()
    assert await snapshots._names() == []


async def test_an_object_store_out_of_reach_keeps_nobody_from_starting(
    ledger: Ledger,
    snapshots: SnapshotStore,
    nats_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def out_of_reach(self: SnapshotStore) -> list[str]:
        raise nats.errors.TimeoutError

    monkeypatch.setattr(SnapshotStore, "_names", out_of_reach)
    writer, lines = await loaded(nats_client, snapshots)
    [why] = warnings(lines)
    assert "timeout" in why
    assert same_state(writer, ledger)


async def test_a_bucket_that_is_there_is_used_as_it_is(
    ledger: Ledger, snapshots: SnapshotStore, nats_client: Client
) -> None:
    await nats_client.jetstream().create_object_store(snapshots.bucket)
    position = await save(ledger, snapshots)
    assert await snapshots._names() == [f"{position:020}"]


def test_a_header_is_readable_by_people() -> None:
    header = Header("f", "GOALS", "2025", 7, "d")
    [_, line, _] = sealed(header, b"body").split(b"\n")
    assert msgspec.json.decode(line)["position"] == 7


async def test_an_empty_bucket_is_nothing_to_warn_of(
    ledger: Ledger, snapshots: SnapshotStore, nats_client: Client
) -> None:
    await nats_client.jetstream().create_object_store(snapshots.bucket)
    writer, lines = await loaded(nats_client, snapshots)
    assert warnings(lines) == []
    assert same_state(writer, ledger)


async def test_where_the_bucket_cannot_be_kept_as_safely_as_the_log_none_is_written(
    ledger: Ledger, nats_client: Client, stream_settings: StreamSettings
) -> None:
    snapshots = SnapshotStore(nats_client, stream_settings.name, replicas=3)
    with pytest.raises(APIError, match="replicas"):
        await save(ledger, snapshots)
    assert await snapshots._names() == []
