"""Snapshots of the ledger's state in JetStream's object store: a faster start, never the truth.

A snapshot is the state at a position. It is good if a release with the same fold wrote it, of this
very stream, if every byte is as it was written, and if the event at its position is the one it had
seen. Any other is passed over with a warning: for an older one, else for the whole log.

An object is two lines and blocks: the format with the digest of all that follows, a header, and the
blocks of `frozen_state`, each compressed and after its length. Its name is its position.

    NoSnapshot         there is no good one under this name
    ├── Damaged        not what was written
    └── Foreign        of another format, release, stream or history
"""

import asyncio
import gc
import hashlib
import inspect
import sys
import time
import zlib
from collections.abc import Iterator
from functools import cache
from operator import attrgetter
from typing import Final

import msgspec
import structlog
from goal_contracts import codec
from goal_contracts.client.stream import GapInLog, stream_info
from goal_contracts.codec import Recorded
from nats.aio.client import Client
from nats.js.api import ObjectInfo, ObjectMeta, ObjectMetaOptions, ObjectStoreConfig, StorageType
from nats.js.errors import BadRequestError, BucketNotFoundError, NotFoundError
from nats.js.object_store import ObjectStore

from services.ledger.domain import evolve
from services.ledger.domain.answers import Answers
from services.ledger.domain.frozen_state import (
    Held,
    HeldOrganisation,
    Thawed,
    from_blocks,
    shape,
    to_blocks,
)
from services.ledger.domain.organisation import Organisation
from services.ledger.domain.packed import Packed
from services.ledger.store.log import GoalLog
from services.ledger.store.streams import STREAM_NAME_IN_USE

FORMAT: Final = b"goal-ledger-snapshot/1"
KEPT: Final = 2
CHUNK_BYTES: Final = 512 * 1024
LENGTH_BYTES: Final = 4
FASTEST: Final = 1
READ_TIMEOUT_S: Final = 60.0
WRITE_TIMEOUT_S: Final = 120.0

log = structlog.get_logger()


class NoSnapshot(Exception):
    """Nothing to begin from under this name."""


class Damaged(NoSnapshot):
    pass


class Foreign(NoSnapshot):
    pass


class Header(msgspec.Struct, frozen=True):
    """Of what a snapshot is: `created` is the stream's, `event_digest` that of its last event."""

    fingerprint: str
    stream: str
    created: str
    position: int
    event_digest: str


class SnapshotStore:
    """The snapshots of one stream, in a bucket beside it."""

    def __init__(self, client: Client, stream: str, replicas: int = 1) -> None:
        self._client = client
        self._stream = stream
        self._replicas = replicas
        self._log = GoalLog(client, stream)
        self.bucket = f"{stream}-snapshots"
        self.position = 0
        """Where the latest is that was read or written here."""

    async def newest_good(self) -> Thawed | None:
        """The state to go on from; None for the beginning, whatever the reason is."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                names = await self._names()
        except Exception as error:  # noqa: BLE001 - the log has everything, so nothing stops here
            log.warning("snapshots_unreachable", bucket=self.bucket, why=_said(error))
            return None
        for name in sorted(names, reverse=True):
            try:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    thawed = await self._read(name)
            except Exception as error:  # noqa: BLE001 - the log has everything, so nothing stops here
                log.warning("snapshot_passed_over", snapshot=name, why=_said(error))
            else:
                self.position = thawed.position
                log.info("snapshot_loaded", snapshot=name, position=thawed.position)
                return thawed
        return None

    async def save(self, held: Held, *, rest: float = 0) -> int:
        """Write it down, block by block while others go on, and drop old ones; its bytes.

        After each block it rests, so many times as long as the block took. Raises Foreign if the
        log does not hold what the state has seen, and what the server says.
        """
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            header = await self._header(held)
        whole = await asyncio.to_thread(sealed, header, await _written(held, rest))
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            bucket = await self._declared()
            options = ObjectMetaOptions(max_chunk_size=CHUNK_BYTES)
            await bucket.put(f"{held.position:020}", whole, ObjectMeta(options=options))
            self.position = held.position
            await self._drop_old(bucket)
        return len(whole)

    async def _read(self, name: str) -> Thawed:
        bucket = await self._client.jetstream().object_store(self.bucket)
        await self._require_all_chunks(await bucket.get_info(name))
        content = (await bucket.get(name)).data or b""
        header, body = await asyncio.to_thread(opened, content)
        await self._require_own(header)
        return await asyncio.to_thread(_thawed, header, body)

    async def _require_all_chunks(self, written: ObjectInfo) -> None:
        """Before they are asked for: nats-py waits for one that is missing as long as it takes."""
        there = (await self._chunks()).get(f"$O.{self.bucket}.C.{written.nuid}", 0)
        if there != written.chunks:
            raise Damaged(f"it is cut short: {there} of its {written.chunks} chunks are there")

    async def _chunks(self) -> dict[str, int]:
        """How many messages each object's subject has."""
        context = self._client.jetstream()
        found = await context.stream_info(
            f"OBJ_{self.bucket}", subjects_filter=f"$O.{self.bucket}.C.>"
        )
        return found.state.subjects or {}

    async def _require_own(self, header: Header) -> None:
        if header.fingerprint != fingerprint():
            raise Foreign("it was written by a release that folds events in another way")
        if header.stream != self._stream:
            raise Foreign(f"it is of the stream {header.stream}")
        if header.created != await self._created():
            raise Foreign(f"it is of a stream of this name created at {header.created}")
        try:
            [event] = await self._log.get([header.position])
        except GapInLog as error:
            raise Foreign(f"it is of another history: the log ends before it: {error}") from error
        if _digest(event.payload) != header.event_digest:
            raise Foreign(f"it is of another history: it saw another event {header.position}")

    async def _header(self, held: Held) -> Header:
        [event] = await self._log.get([held.position])
        recorded = codec.decode_event(held.position, event.payload)
        organisation = held.organisations.get(recorded.organisation_id)
        if organisation is None or not _has_seen_last(organisation, recorded):
            raise Foreign(
                f"the state does not end with the event that the log has at {held.position}"
            )
        return Header(
            fingerprint=fingerprint(),
            stream=self._stream,
            created=await self._created(),
            position=held.position,
            event_digest=_digest(event.payload),
        )

    async def _created(self) -> str:
        return (await stream_info(self._client, self._stream)).created

    async def _names(self) -> list[str]:
        try:
            bucket = await self._client.jetstream().object_store(self.bucket)
        except BucketNotFoundError:
            return []
        return [each.name for each in await _objects(bucket)]

    async def _declared(self) -> ObjectStore:
        """The bucket; one that is there stays as it is, for nothing in it is missed."""
        context = self._client.jetstream()
        config = ObjectStoreConfig(
            description=f"The ledger's state at positions of {self._stream}; may be deleted",
            storage=StorageType.FILE,
            replicas=self._replicas,
        )
        try:
            return await context.create_object_store(self.bucket, config)
        except BadRequestError as error:
            if error.err_code != STREAM_NAME_IN_USE:
                raise
        return await context.object_store(self.bucket)

    async def _drop_old(self, bucket: ObjectStore) -> None:
        """Old by when they were written: positions of another log say nothing."""
        written = sorted(await _objects(bucket), key=attrgetter("mtime"), reverse=True)
        for each in written[KEPT:]:
            await bucket.delete(each.name)
        # Of one that was never finished there are chunks and no object.
        whole = {f"$O.{self.bucket}.C.{each.nuid}" for each in written[:KEPT]}
        for subject in set(await self._chunks()) - whole:
            await self._client.jetstream().purge_stream(f"OBJ_{self.bucket}", subject=subject)


@cache
def fingerprint() -> str:
    """Of all that makes the state: its shape, and the code that folds events into it."""
    parts = (evolve, Organisation, Packed, Answers, shape, codec.decode_event)
    modules = [sys.modules[part.__module__] for part in parts]
    made_by = "\n".join([shape(), *map(inspect.getsource, modules)])
    return _digest(made_by.encode())


async def _objects(bucket: ObjectStore) -> list[ObjectInfo]:
    try:
        return await bucket.list(ignore_deletes=True)
    except NotFoundError:
        return []


def _has_seen_last(organisation: HeldOrganisation, recorded: Recorded) -> bool:
    """The state keeps no events, but it remembers where the last command's events ended."""
    answered = organisation.answers.last_position(recorded.command_id)
    return bool(answered == organisation.plain["position"] == recorded.position)


async def _written(held: Held, rest: float) -> bytearray:
    """Its blocks, each after its length."""
    body = bytearray()
    begun = time.perf_counter()
    for block in to_blocks(held):
        # In a thread, where it leaves the loop alone; between two blocks others have turns.
        compressed = await asyncio.to_thread(zlib.compress, block, FASTEST)
        body += len(compressed).to_bytes(LENGTH_BYTES) + compressed
        await asyncio.sleep(rest * (time.perf_counter() - begun))
        begun = time.perf_counter()
    return body


def sealed(header: Header, body: bytes | bytearray) -> bytes:
    """A whole snapshot, as the object store keeps it."""
    content = b"%b\n%b" % (msgspec.json.encode(header), bytes(body))
    return b"%b %b\n%b" % (FORMAT, _digest(content).encode(), content)


def opened(content: bytes) -> tuple[Header, bytes]:
    """Header and blocks of what is as it was written."""
    first_line, _, rest = content.partition(b"\n")
    written_as, _, digest = first_line.partition(b" ")
    if written_as != FORMAT:
        shown = written_as[: 2 * len(FORMAT)].decode(errors="replace")
        raise Foreign(f"its format is {shown!r}, this release reads {FORMAT.decode()}")
    if _digest(rest).encode() != digest:
        raise Damaged("it is damaged: its bytes do not have its digest")
    first_line, _, body = rest.partition(b"\n")
    return msgspec.json.decode(first_line, type=Header), body


def _thawed(header: Header, body: bytes) -> Thawed:
    # All of it stays: the garbage collector would look through it again and again in vain.
    gc.disable()
    try:
        return from_blocks(header.position, _blocks(body))
    finally:
        gc.enable()


def _blocks(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        begin = at + LENGTH_BYTES
        at = begin + int.from_bytes(body[at:begin])
        yield zlib.decompress(body[begin:at])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
