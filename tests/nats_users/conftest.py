"""One real server with users of every kind, and a log that holds events of two organisations."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import nats
import nats.errors
import pytest
from goal_contracts import subjects
from goal_contracts.client.flushing import flushed
from goal_contracts.client.keys import inbox_prefix, public_key
from goal_contracts.client.stream import JETSTREAM_API
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.embedded.nats_server import Accounts, NatsServer
from services.ledger.store.streams import StreamSettings, ensure_stream
from services.nats_users import accounts, keys
from services.nats_users.users import Services, User
from tests.waiting import eventually

SERVICES: Final = ("ledger", "projections")
KINDS: Final = {"u-17": "client", "u-18": "client", "sync": "subscriber", "boss": "operator"}
OTHERS: Final = {"spy": "operator"}
"""Of another organisation, and may do there whatever can be done."""
CONSUMERS: Final = {"sync": ("sync-1", "sync-2"), "boss": ("boss-1",), "spy": ("spy-1",)}
EVERYBODY: Final = (*SERVICES, *KINDS, *OTHERS, "local")
HEARD_WITHIN_S: Final = 5.0


class Guest:
    """Somebody who is connected, and what the server has refused to them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused: list[str] = []
        self.client = Client()

    async def connect(self, server: NatsServer, seed: Path) -> None:
        async def note(error: Exception) -> None:
            self.refused.append(str(error).lower())

        await self.client.connect(
            server.url,
            nkeys_seed=str(seed),
            inbox_prefix=inbox_prefix(public_key(seed)) if self.name not in SERVICES else "_INBOX",
            error_cb=note,
            allow_reconnect=False,
        )

    async def may_publish(self, subject: str, payload: bytes = b"", reply: str = "") -> bool:
        """Whether the server takes it; what it refuses it says before it answers a later ping."""
        await self.client.publish(subject, payload, reply=reply)
        return not await self._is_refused(f'publish to "{subject}"')

    async def may_subscribe(self, subject: str) -> bool:
        subscription = await self.client.subscribe(subject, cb=_ignored)
        is_refused = await self._is_refused(f'subscription to "{subject}"')
        with contextlib.suppress(nats.errors.Error):
            await subscription.unsubscribe()
        return not is_refused

    async def _is_refused(self, words: str) -> bool:
        await flushed(self.client)
        return any(words.lower() in each for each in self.refused)


async def _ignored(_: Msg) -> None:
    pass


class Place:
    """The server, and everybody's seed."""

    def __init__(self, server: NatsServer, seeds: Path) -> None:
        self.server = server
        self._seeds = seeds

    def seed(self, name: str) -> Path:
        return self._seeds / f"{name}.nk"

    @contextlib.asynccontextmanager
    async def guest(self, name: str) -> AsyncIterator[Guest]:
        guest = Guest(name)
        await guest.connect(self.server, self.seed(name))
        try:
            yield guest
        finally:
            await guest.client.close()


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("users")
    public = {name: keys.new_key(home / f"{name}.nk") for name in EVERYBODY}

    def users(kinds: dict[str, str]) -> dict[str, User]:
        return {
            name: User(kind, public[name], CONSUMERS.get(name, ()))  # type: ignore[arg-type] # named above
            for name, kind in kinds.items()
        }

    settings = accounts.settings(
        Services(public["ledger"], public["projections"]),
        {"acme": users(KINDS), "other": users(OTHERS)},
        public["local"],
    )
    with NatsServer(home / "nats", users=Accounts(settings, accounts.SERVICES)) as server:
        place = Place(server, home)
        asyncio.run(_fill(place))
        yield place


async def _fill(place: Place) -> None:
    async with place.guest("ledger") as ledger:
        await ensure_stream(ledger.client, StreamSettings())
        for organisation_id in ("acme", "other"):
            stored = await ledger.client.request(
                subjects.ledger(organisation_id, "unit", "company", "UnitDefined"),
                organisation_id.encode(),
                timeout=HEARD_WITHIN_S,
            )
            assert b'"seq"' in stored.data


async def last_position(ledger: Guest) -> int:
    from goal_contracts.client.stream import stream_info  # noqa: PLC0415 - only here

    return (await stream_info(ledger.client, subjects.STREAM, JETSTREAM_API)).state.last_seq


async def heard(arrived: list[Msg], count: int) -> bool:
    return bool(await eventually(lambda: len(arrived) >= count, HEARD_WITHIN_S))
