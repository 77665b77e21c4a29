"""What is measured, as processes of their own: nats-server, the ledger, and whom it is beside."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import nats

from services.embedded import launch, readiness
from services.embedded.nats_server import NatsServer
from services.ledger.store.streams import StreamSettings, ensure_stream
from tests.waiting import wait_until

START_S: Final = 120.0
STOP_S: Final = 30.0


@contextlib.contextmanager
def nats_server(home: Path) -> Iterator[NatsServer]:
    """A server with every write on disk before it is acknowledged."""
    with NatsServer(home, sync_always=True) as server:
        yield server


def declare_stream(url: str, replicas: int = 1) -> None:
    """A stream as the ledger declares it."""

    async def declare() -> None:
        async with await nats.connect(url) as client:
            await ensure_stream(client, StreamSettings(replicas=replicas))

    asyncio.run(declare())


@contextlib.contextmanager
def ledger(home: Path, server: NatsServer) -> Iterator[int]:
    """The ledger service as it is run in production; its process id."""
    program = [sys.executable, "-m", "services.cli", "ledger"]
    where = ["--server", server.url, "--monitor", server.monitor_url]
    with service(home, "ledger", [*program, *where]) as process_id:
        yield process_id


@contextlib.contextmanager
def service(home: Path, name: str, argv: Sequence[str]) -> Iterator[int]:
    """A process that says when it is ready (services.embedded.readiness); its id."""
    home.mkdir(parents=True, exist_ok=True)
    ready_file = home / f"{name}.ready"
    log_file = home / f"{name}.log"
    process = launch.start(
        launch.Launch(tuple(argv), environment=readiness.environment(ready_file), log_file=log_file)
    )

    def is_ready() -> bool:
        if process.poll() is not None:
            raise DidNotStart(f"{name} ended with {process.returncode}:\n{launch.tail(log_file)}")
        return readiness.has_announced(ready_file, process.pid)

    try:
        wait_until(is_ready, START_S, f"{name}; its log is {log_file}")
        yield process.pid
    finally:
        end(process)


class DidNotStart(Exception):
    """A process ended instead of becoming ready; its last lines are in the message."""


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks a process to end, and kills it if it does not."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_s(process_id: int) -> float:
    """The processor time a process has used so far (Linux)."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
