"""The whole system as a stranger starts it: `goal-ledger up` as a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from goal_contracts.client import CONNECT_WAIT_S

from services.cli.client import Client
from services.embedded.readiness import has_announced
from tests.waiting import wait_until

START_S: Final = 30.0
STOP_S: Final = 30.0
COMMAND_S: Final = 120.0
CHILDREN: Final = ("nats-server", "ledger", "projections")


class System:
    """One data directory and the `up` that runs on it, with these options."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self._options = options
        self._up: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the nats-server is."""
        return str(self.where["url"])

    @property
    def where(self) -> dict[str, Any]:
        """What `up` says of itself: also the addresses of `questions` and `commands`."""
        found: dict[str, Any] = json.loads((self.data / "server.json").read_bytes())
        return found

    async def connect(self, connect_wait_s: float = CONNECT_WAIT_S) -> Client:
        """A connection as whoever runs it has."""
        nkey = self.data / "keys" / "local.nk"
        return await Client.connect(self.url, nkey=nkey, connect_wait_s=connect_wait_s)

    def start(self) -> None:
        """Runs `up` and waits until it answers."""
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "up.log").open("ab") as out:
            self._up = subprocess.Popen(
                [*GOAL_LEDGER, "up", "--data", str(self.data), *self._options],
                stdout=out,
                stderr=out,
            )
        wait_until(self._is_up, START_S, f"up on {self.data}")

    def stop(self) -> int:
        """Ctrl-C, and the exit code."""
        assert self._up is not None
        self._up.send_signal(signal.SIGINT)
        return self._up.wait(STOP_S)

    def kill(self) -> None:
        """Kill -9 of `up` itself and of all it started, together."""
        assert self._up is not None
        victims = [self._up.pid, *(pid for name in CHILDREN if (pid := self.pid(name)))]
        for pid in victims:
            _kill(pid)
        self._up.wait(STOP_S)
        wait_until(lambda: not any(map(_is_alive, victims)), STOP_S, "the killed to be gone")

    def kill_child(self, name: str) -> bool:
        """Kill -9 of one child; False if it is down already."""
        pid = self.pid(name)
        return pid is not None and _kill(pid)

    def pid(self, name: str) -> int | None:
        """The process of a child, if it is there."""
        file = (
            self.data / "nats" / "nats.pid"
            if name == "nats-server"
            else self.data / "run" / f"{name}.ready"
        )
        try:
            pid = int(file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if _is_alive(pid) else None

    def is_serving(self, name: str) -> bool:
        """Whether a service has said that it is ready, in its present life."""
        pid = self.pid(name)
        return pid is not None and has_announced(self.data / "run" / f"{name}.ready", pid)

    def run(self, *arguments: str, exits: int = 0) -> str:
        """What a command of the CLI prints on standard output."""
        done = self.try_run(*arguments)
        assert done.returncode == exits, done.stderr
        return done.stdout

    def try_run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*GOAL_LEDGER, *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """The same with `--format json`, read."""
        return json.loads(self.run(*arguments, "--format", "json"))

    def _is_up(self) -> bool:
        assert self._up is not None
        assert self._up.poll() is None, (self.data / "up.log").read_text()
        return (self.data / "server.json").exists()


GOAL_LEDGER: Final = [sys.executable, "-m", "services.cli"]


@contextlib.contextmanager
def running(data: Path, *options: str) -> Iterator[System]:
    """A system on that directory, started and, whatever happened to it, stopped."""
    system = System(data, *options)
    system.start()
    try:
        yield system
    finally:
        if system._up is not None and system._up.poll() is None:  # its own module
            system.stop()


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _is_alive(pid: int) -> bool:
    # A killed child of ours stays as a zombie until it is waited for.
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
