"""The example subscriber has each event once, whatever is killed."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.running import System, running
from tests.waiting import wait_until

PROGRAM: Final = Path(__file__).resolve().parents[2] / "examples" / "python" / "subscriber.py"
CATCH_UP_S: Final = 30.0
KILLS: Final = 4
UNITS_EACH_TIME: Final = 20

pytestmark = pytest.mark.faults


class Subscriber:
    """The program, and what it has kept."""

    def __init__(self, system: System, database: Path) -> None:
        self._system = system
        self._database = database

    @contextlib.contextmanager
    def subscribing(self) -> Iterator[subprocess.Popen[bytes]]:
        key = self._system.data / "keys" / "local.nk"
        command: list[str | Path] = [sys.executable, PROGRAM, self._system.url, "acme"]
        with subprocess.Popen([*command, self._database, "--nkey", key]) as process:
            try:
                yield process
            finally:
                process.kill()

    def kept(self) -> list[tuple[int, bytes]]:
        with contextlib.closing(sqlite3.connect(self._database)) as database:
            try:
                return database.execute(
                    "SELECT position, payload FROM event ORDER BY position"
                ).fetchall()
            except sqlite3.OperationalError:  # it has not begun yet
                return []


def define_units(system: System, first: int) -> None:
    commands = "\n".join(
        json.dumps(
            {
                "type": "DefineUnit",
                "data": {"unit_id": f"t-{each}", "name": "T", "unit_kind": "team"},
            }
        )
        for each in range(first, first + UNITS_EACH_TIME)
    )
    file = system.data / "commands.ndjson"
    file.write_text(commands)
    system.run("command", str(file))


def test_each_event_is_kept_once_though_it_and_the_server_are_killed(tmp_path: Path) -> None:
    with running(tmp_path / "data") as system:
        file = tmp_path / "open.ndjson"
        file.write_text('{"type": "OpenOrganisation", "data": {"name": "Acme"}}')
        system.run("command", str(file))
        subscriber = Subscriber(system, tmp_path / "events.sqlite")
        chance = random.Random(3)
        for round_ in range(KILLS):
            with subscriber.subscribing() as process:
                define_units(system, 1 + round_ * UNITS_EACH_TIME)
                if round_ % 2:
                    system.kill_child("nats-server")
                    define_units(system, 1_000 + round_ * UNITS_EACH_TIME)
                enough = chance.randrange(UNITS_EACH_TIME * round_ + 1)
                wait_until(lambda: len(subscriber.kept()) >= enough, CATCH_UP_S)  # noqa: B023 - at once
                os.kill(process.pid, signal.SIGKILL)
        exported = system.run("export", "events").splitlines()
        with subscriber.subscribing():
            wait_until(lambda: len(subscriber.kept()) >= len(exported), CATCH_UP_S)
        assert [position for position, _ in subscriber.kept()] == [*range(1, len(exported) + 1)]
