"""Small programs to supervise, and what they leave to look at."""

import os
import sys
from pathlib import Path

import services.embedded
from services.embedded.supervisor import Child, service_child

SOURCE_ROOT = str(Path(services.embedded.__file__).parents[2])

PROGRAM = """
import os, pathlib, signal, sys
from services.embedded.readiness import announce_ready

name, behaviour, journal = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])

def note(what):
    with journal.open("a") as file:
        file.write(f"{name} {what} {os.getpid()}\\n")

def stop(number, frame):
    note("stopped")
    sys.exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "deaf" else stop)
note("started")
if behaviour == "dies":
    print("the reason why it dies", flush=True)
    sys.exit(3)
if behaviour != "mute":
    announce_ready()
while True:
    signal.pause()
"""


def program(name: str, directory: Path, behaviour: str = "faithful", **options: float) -> Child:
    """faithful, deaf (to SIGTERM), mute (never ready), or dies (at once)."""
    return service_child(
        name,
        [sys.executable, "-c", PROGRAM, name, behaviour, str(directory / "journal")],
        run_directory=directory / "run",
        log_file=directory / "logs" / f"{name}.log",
        environment={"PYTHONPATH": SOURCE_ROOT},
        **options,
    )


def journal(directory: Path) -> list[str]:
    """What the programs noted, in order: `<name> started` or `<name> stopped`."""
    return [line.rpartition(" ")[0] for line in _lines(directory)]


def pids(directory: Path, name: str) -> list[int]:
    """The processes that a program has been, in order."""
    started = [line.split() for line in _lines(directory)]
    return [int(pid) for who, what, pid in started if who == name and what == "started"]


def is_alive(process_id: int) -> bool:
    """A zombie, which nobody may have reaped yet, is not alive."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process_id}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def _lines(directory: Path) -> list[str]:
    try:
        return (directory / "journal").read_text().splitlines()
    except FileNotFoundError:
        return []
