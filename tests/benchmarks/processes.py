"""What is measured, as processes of their own: nats-server, the ledger, and whom it is beside."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import nats

from services.embedded import launch, readiness
from services.embedded.nats_server import NatsServer
from services.ledger.store.streams import StreamSettings, ensure_stream
from tests.benchmarks.machine import memory_bytes
from tests.waiting import wait_until

HOST: Final = "127.0.0.1"
HOW_TO_INSTALL: Final = "make bench without PEERS=0 installs it"
POSTGRESQL_USER: Final = "bench"
POSTGRESQL_DATABASE: Final = "postgres"
DEBIAN_POSTGRESQL: Final = Path("/usr/lib/postgresql")
BUFFERS_PART: Final = 4
"""This part of the machine's memory holds pages, as PostgreSQL's manual advises: without being told
it is 128 MB."""
PLACES_ABOVE: Final = 2
"""How many directories above a peer's are the run's own."""
START_S: Final = 300.0
"""A ledger reads its whole log first."""
STOP_S: Final = 30.0


@contextlib.contextmanager
def nats_server(home: Path) -> Iterator[NatsServer]:
    """A server with every write on disk before it is acknowledged."""
    with NatsServer(home, sync_always=True) as server:
        yield server


class Address(NamedTuple):
    """Where a server, or one of a cluster, takes clients and says how it is set."""

    url: str
    monitor_url: str


def declare_stream(url: str) -> None:
    """A stream as the ledger declares it."""

    async def declare() -> None:
        async with await nats.connect(url) as client:
            await ensure_stream(client, StreamSettings())

    asyncio.run(declare())


@contextlib.contextmanager
def ledger(home: Path, server: NatsServer | Address, *, replicas: int = 1) -> Iterator[int]:
    """The ledger service as it is run in production; its process id."""
    program = [sys.executable, "-m", "services.cli", "ledger"]
    where = ["--server", server.url, "--monitor", server.monitor_url, "--replicas", str(replicas)]
    with service(home, "ledger", [*program, *where]) as process_id:
        yield process_id


@contextlib.contextmanager
def umadb(home: Path) -> Iterator[str]:
    """UmaDB's server as its wheel brings it, with its own settings; its URL."""
    program = Path(sys.executable).with_name("umadb")
    if find_spec("umadb") is None or not program.is_file():
        raise NotInstalled(f"the package umadb is absent; {HOW_TO_INSTALL}")
    home.mkdir(parents=True)
    port = free_port()
    where = ["--listen", f"{HOST}:{port}", "--db-path", str(home / "umadb")]
    process = launch.start(launch.Launch((str(program), *where), log_file=home / "umadb.log"))
    try:
        _wait_for_port(process, port, home / "umadb.log")
        yield f"http://{HOST}:{port}"
    finally:
        end(process)


@contextlib.contextmanager
def postgresql(home: Path) -> Iterator[str]:
    """PostgreSQL from the system, every commit on disk; its port on this machine."""
    programs = _postgresql_programs()
    home.mkdir(parents=True)
    # PostgreSQL refuses to run as root, and needs its way to the directory.
    user = "nobody" if os.geteuid() == 0 else None
    data, log_file, port = home / "data", home / "postgresql.log", free_port()
    if user is not None:
        data.mkdir()
        shutil.chown(data, user)
        for above in (home, *home.parents[:PLACES_ABOVE]):
            above.chmod(0o711)
        if subprocess.run(["test", "-w", data], user=user, cwd="/", check=False).returncode != 0:
            raise NotInstalled(f"PostgreSQL may not run as root, and {user} has no way to {data}")
    make = [str(programs / "initdb"), "--auth=trust", f"--username={POSTGRESQL_USER}"]
    make += ["--encoding=UTF8", "--locale=C", f"--pgdata={data}"]
    serve = [str(programs / "postgres"), "-D", str(data), f"-cport={port}"]
    serve += [f"-clisten_addresses={HOST}", "-cunix_socket_directories="]
    serve += ["-cfsync=on", "-csynchronous_commit=on"]
    serve += [f"-cshared_buffers={memory_bytes() // BUFFERS_PART // 2**20}MB"]
    with log_file.open("wb") as log:
        subprocess.run(make, check=True, user=user, cwd="/", stdout=log, stderr=log)
        process = subprocess.Popen(serve, user=user, cwd="/", stdout=log, stderr=log)
    try:
        _wait_for_port(process, port, log_file)
        wait_until(lambda: _takes_work(data), START_S, f"PostgreSQL; its log is {log_file}")
        yield str(port)
    finally:
        process.send_signal(signal.SIGINT)  # for it that means: at once, without waiting for anyone
        process.wait(STOP_S)


def _takes_work(data: Path) -> bool:
    """It listens before it does; the last line of this file says when."""
    return (data / "postmaster.pid").read_text().split()[-1] == "ready"


def _postgresql_programs() -> Path:
    """Where initdb and postgres are: on the path, or where Debian keeps them."""
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    found += sorted(DEBIAN_POSTGRESQL.glob("*/bin"), key=_version_of, reverse=True)
    for directory in found:
        if all((directory / program).is_file() for program in ("initdb", "postgres")):
            return directory
    raise NotInstalled("PostgreSQL is absent; on Debian or Ubuntu: apt install postgresql")


def _version_of(directory: Path) -> int:
    return int("".join(filter(str.isdecimal, directory.parent.name)) or 0)


def free_port() -> int:
    """A port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_port(process: subprocess.Popen[bytes], port: int, log_file: Path) -> None:
    def listens() -> bool:
        if process.poll() is not None:
            raise DidNotStart(f"ended with {process.returncode}:\n{launch.tail(log_file)}")
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    wait_until(listens, START_S, f"something on port {port}; its log is {log_file}")


class NotInstalled(Exception):
    """What a measurement needs is not on this machine; the message says how to get it."""


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
    """The processor time that all threads of a process have used so far, to the nanosecond."""
    # How Linux numbers the clock of another process (clock_getcpuclockid, which Python lacks).
    return time.clock_gettime(~process_id << 3 | 2)
