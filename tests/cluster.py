"""Three nats-servers with routes between them on loopback, and the ledger's stream on all three."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import nats
import nats.errors
from goal_contracts import subjects
from goal_contracts.client.stream import ApiAnswer, JetStreamError, api_request
from nats.aio.client import Client

from services.embedded import launch
from services.embedded.nats_server import PortsFile, find_binary
from services.ledger.store.streams import StreamSettings, ensure_stream
from tests.benchmarks.processes import HOST, START_S, Address, end, free_port
from tests.waiting import wait_until

REPLICAS: Final = 3
TRY_S: Final = 5.0
STOP_S: Final = 30.0


class ClusterOf(msgspec.Struct, frozen=True):
    """The part of a stream's description that says who leads it."""

    leader: str = ""
    replicas: list[msgspec.Raw] = []


class Placed(ApiAnswer, frozen=True, kw_only=True):
    """What the server says of a stream, as far as it matters here."""

    cluster: ClusterOf = ClusterOf()


class Cluster:
    """The servers n0, n1 and n2, each in a folder of its own; every write waits for the disk."""

    def __init__(self, home: Path) -> None:
        self._homes = [home / f"n{number}" for number in range(REPLICAS)]
        self._routes = [free_port() for _ in range(REPLICAS)]
        self._ports = [free_port() for _ in range(REPLICAS)]
        self._servers: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def first(self) -> Address:
        """Where n0 is; whoever has connected there learns of the others."""
        [ports] = _ports(self._homes[0])
        return Address(ports.nats[0], ports.monitoring[0])

    def start(self, number: int) -> None:
        """One of them, for the first time or again."""
        home = self._homes[number]
        home.mkdir(parents=True, exist_ok=True)
        for file in home.glob("*.ports"):
            file.unlink()  # of one that was killed
        settings = home / "nats.conf"
        settings.write_text(self._settings(number))
        self._servers[number] = launch.start(
            launch.Launch((find_binary(), "-c", str(settings)), log_file=home / "nats.log")
        )
        wait_until(lambda: bool(_ports(home)), START_S, f"the server in {home}")

    def kill(self, number: int) -> None:
        """Kill -9."""
        server = self._servers.pop(number)
        server.kill()
        server.wait(STOP_S)

    def stop(self) -> None:
        for server in self._servers.values():
            end(server)

    def _settings(self, number: int) -> str:
        home, others = self._homes[number], [f"nats://{HOST}:{port}" for port in self._routes]
        return f"""
server_name: n{number}
listen: "{HOST}:{self._ports[number]}"
http: "{HOST}:-1"
ports_file_dir: {json.dumps(str(home))}
max_payload: 1MB
jetstream {{
  store_dir: {json.dumps(str(home / "js"))}
  sync_interval: always
}}
cluster {{
  name: three
  listen: "{HOST}:{self._routes[number]}"
  routes: {json.dumps(others)}
}}
"""


@contextlib.contextmanager
def started(home: Path) -> Iterator[Cluster]:
    """All three, with the stream on each of them, led by the first."""
    cluster = Cluster(home)
    try:
        for number in range(REPLICAS):
            cluster.start(number)
        url = cluster.first.url
        wait_until(lambda: asyncio.run(_stream_is_ready(url)), START_S, "the stream")
        yield cluster
    finally:
        cluster.stop()


async def leader_of(client: Client, stream: str = subjects.STREAM) -> int | None:
    """The number of the server that leads a stream; None while none does."""
    info = await api_request(client, f"STREAM.INFO.{stream}", Placed)
    return int(info.cluster.leader.removeprefix("n")) if info.cluster.leader else None


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
