"""Ledgers as processes of their own on one server, each writing its log to a file of its own."""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from services.embedded.nats_server import NatsServer
from tests.benchmarks.processes import Address
from tests.running import GOAL_LEDGER

STOP_S: Final = 30.0


class Ledgers:
    """Started one after the other; a place that was killed can be filled again."""

    def __init__(self, server: NatsServer | Address, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[Path] = []

    def start(self, program: Sequence[str] = (), *arguments: str) -> int:
        """Another ledger, or a program that runs one; its number."""
        number = len(self._processes)
        log = self._folder / f"ledger-{number}.log"
        found = ("--server", self._server.url, "--monitor", self._server.monitor_url)
        argv = [*(program or (*GOAL_LEDGER, "ledger")), *found, *arguments]
        with log.open("wb") as out:
            process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
        self._logs.append(log)
        self._processes.append(process)
        return number

    def lines(self, number: int) -> list[dict[str, Any]]:
        """What one of them has logged."""
        with self._logs[number].open("rb") as log:
            return [json.loads(line) for line in log if line.startswith(b"{") and b"}\n" in line]

    def has_logged(self, number: int, event: str) -> bool:
        """Whether it has come so far."""
        return f'"event":"{event}"'.encode() in self._logs[number].read_bytes().replace(b" ", b"")

    def number_of(self, pid: int) -> int:
        [number] = [n for n, process in enumerate(self._processes) if process.pid == pid]
        return number

    def alive(self) -> list[int]:
        return [n for n, process in enumerate(self._processes) if process.poll() is None]

    def kill(self, number: int) -> float:
        """Kill -9; the moment, on the monotonic clock."""
        killed_at = time.monotonic()
        self._processes[number].kill()
        self._processes[number].wait(STOP_S)
        return killed_at

    def send(self, number: int, what: signal.Signals) -> None:
        self._processes[number].send_signal(what)

    def wait(self, number: int) -> int:
        """Until it has ended; its exit code."""
        return self._processes[number].wait(STOP_S)

    def stop(self) -> None:
        """All that are left, in order."""
        for number in self.alive():
            self.send(number, signal.SIGCONT)
            self.send(number, signal.SIGTERM)
        for number in range(len(self._processes)):
            self.wait(number)
