"""What a killed supervisor leaves behind: nothing, on a system that knows a parent's death."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.embedded.nats_server import NatsServer
from tests.embedded.programs import SOURCE_ROOT, is_alive, journal, pids
from tests.waiting import wait_until

pytestmark = pytest.mark.faults

RUN = """
import asyncio, pathlib, sys
from services.embedded.nats_server import NatsServer
from services.embedded.supervisor import Supervisor, nats_child
from tests.embedded.programs import program

home = pathlib.Path(sys.argv[1])

async def ready():
    (home / "all-ready").touch()

server = NatsServer(home / "nats")
children = [nats_child(server), program("a", home), program("deaf", home, "deaf")]
asyncio.run(Supervisor(children).run(ready))
"""


@contextmanager
def supervised(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (home / "output").open("wb") as output:
        parent = subprocess.Popen(
            [sys.executable, "-c", RUN, str(home)],
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": SOURCE_ROOT},
            start_new_session=True,
        )
    try:
        wait_until((home / "all-ready").exists, why="all children are ready")
        yield parent
    finally:
        parent.kill()
        parent.wait()


def server_pid(home: Path) -> int:
    return int((home / "nats" / "nats.pid").read_text())


if sys.platform == "linux":  # no other system tells a child that its parent was killed

    def test_a_killed_supervisor_leaves_no_child(tmp_path: Path) -> None:
        with supervised(tmp_path) as parent:
            children = [server_pid(tmp_path), *pids(tmp_path, "a"), *pids(tmp_path, "deaf")]
            assert all(is_alive(child) for child in children)
            parent.kill()
            wait_until(lambda: not any(is_alive(child) for child in children))


def test_after_a_killed_supervisor_the_directory_is_free_at_once(tmp_path: Path) -> None:
    with supervised(tmp_path) as parent:
        parent.kill()
        parent.wait()
        with NatsServer(tmp_path / "nats") as server:
            assert server.pid is not None


def test_ctrl_c_in_a_terminal_stops_all_in_order(tmp_path: Path) -> None:
    with supervised(tmp_path) as parent:
        children = [server_pid(tmp_path), *pids(tmp_path, "a"), *pids(tmp_path, "deaf")]
        os.kill(children[-1], signal.SIGKILL)
        wait_until(lambda: len(pids(tmp_path, "deaf")) == 2)
        os.kill(pids(tmp_path, "deaf")[-1], signal.SIGKILL)
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.wait(30) == 0
    assert journal(tmp_path)[-1] == "a stopped"
    assert not any(is_alive(child) for child in children)
