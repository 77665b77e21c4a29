"""The lease: which of several ledgers tries to write.

One key for each stream, in a KV bucket of its own. The holder renews it by compare-and-set on the
key's revision. Another takes it when the revision has not changed for a while by *its own*
monotonic clock; no two machines' clocks are ever compared. A holder that stops in order gives the
lease back, and the next one takes it at its next look.

    holder    renew ── renew ── renew ── ✗                  each renewal counts from its request
    holder                      └────────── hold_s ─┤       then it takes no more commands
    standby                      seen ─────── take_after_s ─┤  then it takes the lease

What a standby sees was stored after the holder asked for it, and `hold_s` is shorter than
`take_after_s`, so in the usual course the old holder is silent before the new one begins. It may
still renew, late: that succeeds only if nobody has taken the lease, and so nobody has written. If
it cannot, it steps down.

What the lease does not promise: that there is only one. A process that is stopped, starved or
swapped out between its look at the clock and its next append still writes as if it held the lease,
and a clock may run too fast. Two may hold it for a moment. That is harmless: every append expects
the last sequence of the whole stream, so the log lets one of them win, and the other reads on and
decides again. The lease saves them the quarrel; it guards nothing.
"""

import asyncio
import contextlib
import math
from typing import Final

import msgspec
import nats.errors
import nats.js.errors
import structlog
from goal_contracts.client.stream import JetStreamError, stream_info
from nats.aio.client import Client
from nats.js.kv import KeyValue

from services.ledger.store.streams import (
    DUPLICATE_WINDOW_NS,
    UnsafeStream,
    create_if_absent,
    settings_differences,
)

REQUEST_TIMEOUT_S: Final = 0.5
RELEASE_TIMEOUT_S: Final = 1.0
LAST_ATTEMPT_S: Final = 1.0
RETRY_PAUSE_S: Final = 0.05
ENTRY_BYTES_MAX: Final = 1_024

log = structlog.get_logger()


class LeaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the lease is kept, and its times; all ledgers of a stream must have the same."""

    bucket: str = "goal-ledger-lease"
    renew_every_s: float = 0.4
    hold_s: float = 1.2
    """After so long without a renewal a holder takes no more commands until it has renewed."""
    take_after_s: float = 1.5
    """After so long without a renewal in sight another takes the lease."""
    look_every_s: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.renew_every_s < self.hold_s < self.take_after_s:
            raise ValueError("a lease needs renew_every_s < hold_s < take_after_s")

    @property
    def stream(self) -> str:
        """The stream behind the bucket."""
        return f"KV_{self.bucket}"

    @property
    def subjects(self) -> str:
        return f"$KV.{self.bucket}."


class Entry(msgspec.Struct, frozen=True):
    """What the key holds; `holder` is empty once the lease was given back."""

    holder: str


def declaration(settings: LeaseSettings, replicas: int) -> dict[str, object]:
    """The stream behind the bucket as the ledger creates it, in the server's own words.

    Without direct access, which another than the leader may answer with what was true before.
    """
    return {
        "name": settings.stream,
        "subjects": [f"{settings.subjects}>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "discard": "new",
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msgs_per_subject": 1,
        "max_msg_size": ENTRY_BYTES_MAX,
        "max_consumers": -1,
        "duplicate_window": DUPLICATE_WINDOW_NS,
        "deny_delete": True,
        "deny_purge": False,
        "allow_rollup_hdrs": True,
        "compression": "none",
    }


async def ensure_bucket(client: Client, settings: LeaseSettings, replicas: int) -> None:
    """Creates the bucket if it is absent; raises UnsafeStream if it is not as declared."""
    needed = declaration(settings, replicas)
    await create_if_absent(client, needed)
    found = await stream_info(client, settings.stream)
    differences = settings_differences(found, needed)
    if differences:
        raise UnsafeStream(f"the lease's bucket {settings.bucket} is not as needed", differences)


class Lease:
    """One ledger's part in the lease of a stream: `take` it, `keep` it, `release` it.

    `holder` tells this ledger from every other one, and from its own earlier lives. The bucket is
    there already (`ensure_bucket`), and is made anew should somebody delete it.
    """

    def __init__(
        self, client: Client, settings: LeaseSettings, key: str, holder: str, replicas: int = 1
    ) -> None:
        self._client = client
        self._settings = settings
        self._replicas = replicas
        self._key = key
        self._holder = holder
        self._bucket = KeyValue(
            name=settings.bucket,
            stream=settings.stream,
            pre=settings.subjects,
            js=client.jetstream(timeout=REQUEST_TIMEOUT_S),
            direct=False,
        )
        self._revision = 0
        self._is_held = False
        self._renewed_at = -math.inf
        self._renewed = asyncio.Event()
        self._seen_revision = 0
        self._seen_at = 0.0

    @property
    def is_current(self) -> bool:
        """Whether it is ours, and not yet time to step down."""
        now = asyncio.get_running_loop().time()
        return self._is_held and now < self._renewed_at + self._settings.hold_s

    @property
    def left_s(self) -> float:
        """How long no other may take it, from now; 0 once another has it."""
        now = asyncio.get_running_loop().time()
        return max(0.0, self._renewed_at + self._settings.take_after_s - now)

    async def take(self) -> None:
        """Wait until the lease is ours, through any outage."""
        while not await self.try_to_take():  # noqa: ASYNC110 - silence is no event to wait for
            await asyncio.sleep(self._settings.look_every_s)

    async def try_to_take(self) -> bool:
        """One look at the lease; ours if it is free, or was not renewed for `take_after_s`."""
        try:
            revision, holder = await self._look()
            if holder in {"", self._holder} or self._is_silent(revision):
                await self._write(self._holder, revision)
                self._is_held = True
        except nats.js.errors.NoStreamResponseError:
            await self._mend_bucket()
        except nats.errors.Error:
            # Another one was faster, or it was renewed after all; or it is out of reach and perhaps
            # ours already. The next look tells.
            return False
        if self._is_held:
            log.info("lease_taken", key=self._key, holder=self._holder, revision=self._revision)
        return self._is_held

    async def until_current(self) -> None:
        """Wait while it is late: for its renewal, or for ever should it be lost."""
        while not self.is_current:
            self._renewed.clear()
            await self._renewed.wait()

    async def keep(self) -> str:
        """Renew the lease until it is lost, and say why it is."""
        why = "another ledger has it"
        try:
            while True:
                due_at = self._renewed_at + self._settings.renew_every_s
                await asyncio.sleep(due_at - asyncio.get_running_loop().time())
                # After a freeze no time is left, and yet nobody may have taken it: then it can be
                # renewed, and nobody else has written meanwhile.
                async with asyncio.timeout(max(self.left_s, LAST_ATTEMPT_S)):
                    if not await self._rewrite(self._holder):
                        self._renewed_at = -math.inf
                        break
        except TimeoutError:
            why = f"it could not be renewed for {self._settings.take_after_s} s"
        self._is_held = False
        log.warning("lease_lost", key=self._key, holder=self._holder, why=why)
        return why

    async def release(self) -> None:
        """Give the lease back, if we have it, so that another may take it at its next look."""
        if not self._is_held:
            return
        self._is_held = False
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await self._rewrite("")
        except TimeoutError:
            # Others wait `take_after_s`, then, as they would for one that was killed.
            log.warning("lease_not_released", key=self._key, holder=self._holder)
        else:
            log.info("lease_released", key=self._key, holder=self._holder)

    async def _rewrite(self, holder: str) -> bool:
        """True once it is written, tried as often as it takes; False if it is no longer ours."""
        while True:
            try:
                await self._write(holder, self._revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                if not await self._was_written_unheard():
                    return False
            except nats.errors.Error:
                await asyncio.sleep(RETRY_PAUSE_S)
            else:
                return True

    async def _was_written_unheard(self) -> bool:
        """Whether a renewal of our own arrived whose acknowledgement did not: go on from there."""
        try:
            revision, holder = await self._look()
        except nats.errors.Error:
            return True  # out of reach: nothing says that another has it
        self._revision = revision
        return holder == self._holder

    async def _write(self, holder: str, revision: int) -> None:
        """Write the entry if the key still is at that revision."""
        # From the request on, not from its answer: others may have seen it by then.
        asked_at = asyncio.get_running_loop().time()
        payload = msgspec.json.encode(Entry(holder))
        self._revision = await self._bucket.update(self._key, payload, last=revision)
        self._renewed_at = asked_at
        self._renewed.set()

    async def _look(self) -> tuple[int, str]:
        """The key's revision, 0 if there is none, and its holder, empty if nobody is."""
        try:
            found = await self._bucket.get(self._key)
        except nats.js.errors.KeyNotFoundError as error:
            deleted = error.entry
            return (0 if deleted is None else deleted.revision or 0), ""
        entry = msgspec.json.decode(found.value or b"", type=Entry)
        return found.revision or 0, entry.holder

    async def _mend_bucket(self) -> None:
        with contextlib.suppress(nats.errors.Error, JetStreamError):
            await create_if_absent(self._client, declaration(self._settings, self._replicas))

    def _is_silent(self, revision: int) -> bool:
        now = asyncio.get_running_loop().time()
        if revision != self._seen_revision:
            self._seen_revision, self._seen_at = revision, now
        return now - self._seen_at >= self._settings.take_after_s
