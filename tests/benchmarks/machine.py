"""What the figures were measured on: without it they say nothing."""

import os
import platform
import statistics
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Final

from msgspec import Struct

from services.embedded.nats_server import find_binary
from tests.benchmarks.passes import MILLISECONDS, quantile

FSYNCS: Final = 200
FSYNC_BYTES: Final = 512
CPU_INFO: Final = Path("/proc/cpuinfo")
MOUNTS: Final = Path("/proc/mounts")


class Machine(Struct, frozen=True):
    """Hardware, versions, and what one write to disk costs where the logs are."""

    measured_at: datetime
    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    nats_server: str
    nats_py: str
    filesystem: str
    fsync_p50_ms: float
    fsync_p99_ms: float
    load_before: float
    """How many processes wanted to run before we began, on the average of a minute."""


def this_machine(place: Path) -> Machine:
    """This machine; `place` is the directory whose disk is measured."""
    fsyncs = _fsyncs_s(place)
    return Machine(
        measured_at=datetime.now(UTC),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory_bytes() / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        nats_server=_nats_server_version(),
        nats_py=metadata.version("nats-py"),
        filesystem=_filesystem(place),
        fsync_p50_ms=statistics.median(fsyncs) * MILLISECONDS,
        fsync_p99_ms=quantile(fsyncs, 0.99) * MILLISECONDS,
        load_before=os.getloadavg()[0],
    )


def memory_bytes() -> int:
    """All there is."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _fsyncs_s(place: Path) -> list[float]:
    took = []
    with tempfile.NamedTemporaryFile(dir=place) as file:
        for _ in range(FSYNCS):
            file.write(b"x" * FSYNC_BYTES)
            file.flush()
            started = perf_counter()
            os.fsync(file.fileno())
            took.append(perf_counter() - started)
    return took


def _cpu() -> str:
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _nats_server_version() -> str:
    said = subprocess.run(
        [find_binary(), "--version"], check=True, capture_output=True, text=True
    ).stdout
    return said.split()[-1]


def _filesystem(place: Path) -> str:
    """Its type: that of the longest mount point above the place."""
    if not MOUNTS.is_file():
        return "unknown"
    where = place.resolve()
    mounts = [line.split()[1:3] for line in MOUNTS.read_text().splitlines()]
    above = [(point, kind) for point, kind in mounts if where.is_relative_to(point)]
    return max(above, key=lambda mount: len(mount[0]))[1]
