"""The stream the ledger keeps its events in: how it is declared, and whether it still is so.

The ledger creates a stream that is absent and never changes one that is there: it says what
differs and refuses to serve. The same for the server's own settings.

    Unsafe                what is set less safely than needed, each with how to mend it
    ├── UnsafeStream
    └── UnsafeServer
"""

import asyncio
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import nats.errors
from goal_contracts import subjects
from goal_contracts.client.stream import (
    JetStreamBusy,
    JetStreamError,
    StreamInfo,
    api_request,
    stream_info,
)
from nats.aio.client import Client
from nats.aio.msg import Msg

SERVER_VERSION_MIN: Final = (2, 14, 3)
MESSAGE_BYTES_MAX: Final = 61_440
MONITOR_TIMEOUT_S: Final = 5.0
WATCH_EVERY_S: Final = 30.0

STREAM_NOT_FOUND: Final = 10059
STREAM_NAME_IN_USE: Final = 10058

# No message carries an id for the server to compare: an event's id is in its payload. The server
# wants a window all the same; the shortest it takes.
DUPLICATE_WINDOW_NS: Final = 100_000_000

# Neither safety nor order depends on these.
HARMLESS: Final = frozenset({"name", "description", "metadata", "placement", "num_replicas"})

HISTORY_IS_CUT: Final = (
    "what it dropped is gone: mend the setting, then restore the stream from a backup "
    "and verify it against its checkpoints"
)
WHAT_A_SETTING_DOES: Final[Mapping[str, str]] = {
    "max_msgs": HISTORY_IS_CUT,
    "max_bytes": HISTORY_IS_CUT,
    "max_age": HISTORY_IS_CUT,
    "max_msgs_per_subject": HISTORY_IS_CUT,
    "retention": HISTORY_IS_CUT,
    "allow_msg_ttl": "cannot be unset: move to a new stream by a backup and its restore",
    "storage": "cannot be changed: move to a new stream by a backup and its restore",
    "sealed": "cannot be unset: move to a new stream by a backup and its restore",
}


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the stream and of its server.

    `organisations` empty means all; else the stream holds only the events of those named.
    """

    name: str = subjects.STREAM
    organisations: tuple[str, ...] = ()
    replicas: int = 1
    unsafe_sync_allowed: bool = False

    @property
    def subjects(self) -> list[str]:
        if not self.organisations:
            return [subjects.LEDGER]
        return [
            subjects.LEDGER.removesuffix(">") + f"{organisation}.>"
            for organisation in self.organisations
        ]


class Difference(msgspec.Struct, frozen=True):
    """A setting as it is and as it must be, and what an operator can do."""

    setting: str
    found: object
    needed: object
    mend: str

    def __str__(self) -> str:
        return f"{self.setting} is {self.found!r}, needed is {self.needed!r}: {self.mend}"


class Unsafe(Exception):
    """Something is set less safely than needed; nothing is served until it is mended."""

    def __init__(self, what: str, differences: tuple[Difference, ...]) -> None:
        super().__init__(f"{what}: " + "; ".join(map(str, differences)))
        self.differences = differences


class UnsafeStream(Unsafe):
    pass


class UnsafeServer(Unsafe):
    pass


def declaration(settings: StreamSettings) -> dict[str, object]:
    """The stream as the ledger creates it, in the server's own words."""
    return {
        "name": settings.name,
        "subjects": settings.subjects,
        "retention": "limits",
        "storage": "file",
        "num_replicas": settings.replicas,
        "discard": "new",
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msgs_per_subject": -1,
        "max_msg_size": MESSAGE_BYTES_MAX,
        "max_consumers": -1,
        "duplicate_window": DUPLICATE_WINDOW_NS,
        "deny_delete": True,
        "deny_purge": True,
        "allow_rollup_hdrs": False,
        "allow_msg_ttl": False,
        "allow_direct": True,
        "allow_atomic": True,
        "compression": "none",
        "republish": {"src": subjects.LEDGER, "dest": subjects.EVENTS},
    }


async def ensure_stream(client: Client, settings: StreamSettings) -> None:
    """Creates the stream if it is absent; raises UnsafeStream if it is not as declared."""
    await create_if_absent(client, declaration(settings))
    differences = await stream_differences(client, settings)
    if differences:
        raise UnsafeStream(f"stream {settings.name} is not safe to serve from", differences)


async def create_if_absent(client: Client, declared: Mapping[str, object]) -> None:
    """Creates a stream as declared; one of that name that is there is left as it is."""
    name = str(declared["name"])
    try:
        await stream_info(client, name)
    except JetStreamError as error:
        if error.err_code != STREAM_NOT_FOUND:
            raise
    else:
        return
    try:
        await api_request(client, f"STREAM.CREATE.{name}", StreamInfo, declared)
    except JetStreamError as error:
        # Another ledger was a moment earlier, with other settings: the check tells which.
        if error.err_code != STREAM_NAME_IN_USE:
            raise


def settings_differences(found: StreamInfo, needed: Mapping[str, object]) -> tuple[Difference, ...]:
    """In which settings a stream is not as declared; more replicas than declared are welcome."""
    # What we do not declare must be unset: it may be an option this release has never heard of.
    names = [name for name in {**needed, **found.config} if name not in HARMLESS]
    differences = [
        Difference(name, found.config.get(name), needed.get(name), _how_to_mend(name))
        for name in names
        if (found.config.get(name) or None) != (needed.get(name) or None)
    ]
    replicas, wanted = found.config.get("num_replicas"), needed["num_replicas"]
    if not isinstance(replicas, int) or not isinstance(wanted, int) or replicas < wanted:
        differences.append(
            Difference("num_replicas", replicas, wanted, _how_to_mend("num_replicas"))
        )
    return tuple(differences)


async def stream_differences(client: Client, settings: StreamSettings) -> tuple[Difference, ...]:
    """All in which the stream is not as declared, or has lost events; empty when all is well."""
    try:
        found = await stream_info(client, settings.name)
    except JetStreamError as error:
        if error.err_code != STREAM_NOT_FOUND:
            raise
        return (
            Difference(
                "stream", "absent", settings.name, "restore it from a backup; start anew if none"
            ),
        )
    needed = declaration(settings)
    return (*settings_differences(found, needed), *_history_differences(found))


async def check_server(client: Client, settings: StreamSettings, monitor_url: str | None) -> None:
    """Raises UnsafeServer unless the server is new enough and writes to disk before it answers.

    Only the server's monitoring address tells the latter; without one, `unsafe_sync_allowed` must
    be set.
    """
    differences = []
    version = client.connected_server_version
    if (version.major, version.minor, version.patch) < SERVER_VERSION_MIN:
        needed = ".".join(map(str, SERVER_VERSION_MIN)) + " or later"
        differences.append(
            Difference("server version", str(version), needed, "install a later nats-server")
        )
    if not settings.unsafe_sync_allowed:
        differences += await _sync_differences(monitor_url)
    if differences:
        raise UnsafeServer("the NATS server is not safe to serve from", tuple(differences))


async def watch_stream_settings(
    client: Client,
    settings: StreamSettings,
    on_change: Callable[[tuple[Difference, ...]], Awaitable[None]],
    *,
    every_s: float = WATCH_EVERY_S,
) -> None:
    """Calls `on_change` when the stream is no longer as declared, and when it is so again (empty).

    Looks at once when the server announces a change of the stream, and every `every_s` seconds, as
    announcements are lost while disconnected. Runs until cancelled.
    """
    changed = asyncio.Event()
    known: tuple[Difference, ...] = ()

    async def announced(_: Msg) -> None:
        changed.set()

    subscription = await client.subscribe(
        f"$JS.EVENT.ADVISORY.STREAM.*.{settings.name}", cb=announced
    )
    try:
        while True:
            changed.clear()
            try:
                differences = await stream_differences(client, settings)
            except (nats.errors.Error, JetStreamBusy):
                differences = known  # out of reach is for health to tell, not for this
            if differences != known:
                known = differences
                await on_change(differences)
            try:
                async with asyncio.timeout(every_s):
                    await changed.wait()
            except TimeoutError:
                pass
    finally:
        if not client.is_closed:
            await subscription.unsubscribe()


def _history_differences(found: StreamInfo) -> tuple[Difference, ...]:
    state = found.state
    if state.last_seq == 0:
        return ()
    mend = "restore the stream from a backup and verify it against its checkpoints"
    if state.first_seq != 1:
        return (Difference("first position", state.first_seq, 1, mend),)
    if state.messages != state.last_seq:
        return (Difference("number of events", state.messages, state.last_seq, mend),)
    return ()


def _how_to_mend(setting: str) -> str:
    default = "set it so with the rights of an operator, and find out who changed it"
    return WHAT_A_SETTING_DOES.get(setting, default)


class _JetStreamConfig(msgspec.Struct, frozen=True):
    sync_always: bool = False


class _Monitored(msgspec.Struct, frozen=True):
    config: _JetStreamConfig = _JetStreamConfig()


async def _sync_differences(monitor_url: str | None) -> list[Difference]:
    needed = "always"
    if monitor_url is None:
        mend = "name the server's monitoring address, or allow an unsafe sync_interval"
        return [Difference("sync_interval", "not to be seen", needed, mend)]
    try:
        sync_always = await asyncio.to_thread(_syncs_always, monitor_url)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        mend = f"mend the monitoring address {monitor_url}"
        return [Difference("sync_interval", f"not to be seen ({error})", needed, mend)]
    if sync_always:
        return []
    mend = "set `sync_interval: always` in the server's jetstream block and restart it"
    return [Difference("sync_interval", "a time", needed, mend)]


def _syncs_always(monitor_url: str) -> bool:
    if urllib.parse.urlsplit(monitor_url).scheme not in {"http", "https"}:
        raise ValueError("not an http address")
    address = monitor_url.rstrip("/") + "/jsz?config=1"
    with urllib.request.urlopen(address, timeout=MONITOR_TIMEOUT_S) as answer:  # noqa: S310 - http only, see above
        return msgspec.json.decode(answer.read(), type=_Monitored).config.sync_always
