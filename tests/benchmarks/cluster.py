"""Three nats-servers with routes between them on loopback, and the ledger's stream on all three."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import nats
import nats.errors
from goal_contracts import subjects
from nats.aio.client import Client

from services.embedded import launch
from services.embedded.nats_server import PortsFile, find_binary
from services.ledger.store.streams import StreamSettings, ensure_stream
from services.stream_reader import ApiAnswer, JetStreamError, api_request
from tests.benchmarks.processes import HOST, START_S, Address, end, free_port
from tests.waiting import wait_until

REPLICAS: Final = 3
TRY_S: Final = 5.0


class ClusterOf(msgspec.Struct, frozen=True):
    """The part of a stream's description that says who leads it."""

    leader: str = ""
    replicas: list[msgspec.Raw] = []


class Placed(ApiAnswer, frozen=True, kw_only=True):
    """What the server says of a stream, as far as it matters here."""

    cluster: ClusterOf = ClusterOf()


@contextlib.contextmanager
def started(home: Path) -> Iterator[Address]:
    """The address of the first server, which leads the stream; every write waits for the disk."""
    routes = [free_port() for _ in range(REPLICAS)]
    with contextlib.ExitStack() as held:
        servers = []
        for number in range(REPLICAS):
            place = home / f"n{number}"
            place.mkdir(parents=True)
            settings = place / "nats.conf"
            settings.write_text(_settings(place, number, routes))
            process = launch.start(
                launch.Launch((find_binary(), "-c", str(settings)), log_file=place / "nats.log")
            )
            held.callback(end, process)
            servers.append(place)
        wait_until(lambda: all(map(_ports, servers)), START_S, f"the servers in {home}")
        [first] = _ports(servers[0])
        address = Address(first.nats[0], first.monitoring[0])
        wait_until(lambda: asyncio.run(_stream_is_ready(address.url)), START_S, "the stream")
        yield address


def _settings(place: Path, number: int, routes: list[int]) -> str:
    others = [f"nats://{HOST}:{port}" for port in routes]
    return f"""
server_name: n{number}
listen: "{HOST}:-1"
http: "{HOST}:-1"
ports_file_dir: {json.dumps(str(place))}
max_payload: 1MB
jetstream {{
  store_dir: {json.dumps(str(place / "js"))}
  sync_interval: always
}}
cluster {{
  name: bench
  listen: "{HOST}:{routes[number]}"
  routes: {json.dumps(others)}
}}
"""


def _ports(place: Path) -> list[PortsFile]:
    """Where a server listens, once it does."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):  # it is being written
        return [
            msgspec.json.decode(file.read_bytes(), type=PortsFile) for file in place.glob("*.ports")
        ]
    return []


async def _stream_is_ready(url: str) -> bool:
    """Whether the stream is there, on all servers, led by the first; brings that about."""
    async with await nats.connect(url) as client:
        try:
            await ensure_stream(client, StreamSettings(replicas=REPLICAS))
            return await _is_led_by_the_first(client)
        except (JetStreamError, nats.errors.Error):  # there is no leader yet
            return False


async def _is_led_by_the_first(client: Client) -> bool:
    info = await api_request(client, f"STREAM.INFO.{subjects.STREAM}", Placed)
    if len(info.cluster.replicas) != REPLICAS - 1 or not info.cluster.leader:
        return False
    if info.cluster.leader == "n0":
        return True
    wish = {"placement": {"preferred": "n0"}}
    await api_request(client, f"STREAM.LEADER.STEPDOWN.{subjects.STREAM}", ApiAnswer, wish)
    return False
