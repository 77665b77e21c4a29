"""Children are started in order, kept alive with a limit, and stopped in reverse order."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest

from services.embedded import supervisor as supervisor_module
from services.embedded.errors import ChildKeepsFailing, ChildNotReady, DataDirectoryUnusable
from services.embedded.nats_server import NatsServer
from services.embedded.supervisor import Child, Supervisor, nats_child
from tests.embedded.programs import is_alive, journal, pids, program
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

BOUND_S = 30.0


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(supervisor_module, "LONGEST_PAUSE_S", 0.02)


@asynccontextmanager
async def running(*children: Child, restarts_max: int = 5) -> AsyncIterator[Supervisor]:
    """All children are ready inside; they are stopped at the end, which must go without error."""
    supervisor = Supervisor(children, restarts_max=restarts_max)
    all_ready = asyncio.Event()

    async def body() -> None:
        all_ready.set()

    run = asyncio.create_task(supervisor.run(body))
    try:
        async with asyncio.timeout(BOUND_S):
            await all_ready.wait()
        yield supervisor
    finally:
        supervisor.stop()
        async with asyncio.timeout(BOUND_S):
            await run


async def run_to_its_end(*children: Child, restarts_max: int = 5) -> None:
    async with asyncio.timeout(BOUND_S):
        await Supervisor(children, restarts_max=restarts_max).run()


def restarted(directory: Path, name: str, times: int) -> Callable[[], bool]:
    return lambda: len(pids(directory, name)) == times + 1


async def test_children_start_in_order_and_stop_in_reverse_order(tmp_path: Path) -> None:
    async with running(*(program(name, tmp_path) for name in "abc")):
        assert journal(tmp_path) == ["a started", "b started", "c started"]
    assert journal(tmp_path)[3:] == ["c stopped", "b stopped", "a stopped"]


async def test_the_next_child_waits_until_the_one_before_is_ready(tmp_path: Path) -> None:
    mute = program("mute", tmp_path, "mute", ready_timeout_s=0.5)
    with pytest.raises(ChildNotReady, match=r"mute was not ready after 0.5 s: it wrote nothing"):
        await run_to_its_end(program("first", tmp_path), mute, program("never", tmp_path))
    assert journal(tmp_path) == [
        "first started",
        "mute started",
        "mute stopped",
        "first stopped",
    ]


async def test_a_killed_child_is_started_again_and_the_others_stay(tmp_path: Path) -> None:
    async with running(program("a", tmp_path), program("b", tmp_path)):
        for times in (1, 2):
            os.kill(pids(tmp_path, "a")[-1], signal.SIGKILL)
            await eventually(restarted(tmp_path, "a", times))
        assert is_alive(pids(tmp_path, "a")[-1])
        assert len(pids(tmp_path, "b")) == 1


async def test_a_child_may_die_only_so_often(tmp_path: Path) -> None:
    dying = program("dying", tmp_path, "dies")
    with pytest.raises(
        ChildKeepsFailing,
        match=r"dying ended 3 times within 60 s, .*exit code 3: the reason why it dies \(log: ",
    ) as caught:
        await run_to_its_end(program("a", tmp_path), dying, restarts_max=2)
    assert journal(tmp_path) == ["a started", *["dying started"] * 3, "a stopped"]
    assert caught.value.log_tail.splitlines() == ["the reason why it dies"] * 3


async def test_only_deaths_within_the_window_count(tmp_path: Path) -> None:
    supervisor = Supervisor([program("a", tmp_path)], restarts_max=1, restart_window_s=0.0)
    run = asyncio.create_task(supervisor.run())
    for times in range(4):
        await eventually(restarted(tmp_path, "a", times))
        os.kill(pids(tmp_path, "a")[-1], signal.SIGKILL)
    await eventually(restarted(tmp_path, "a", 4))
    supervisor.stop()
    async with asyncio.timeout(BOUND_S):
        await run


async def test_a_killed_server_comes_back_on_its_port_with_its_data(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    async with running(nats_child(server), program("a", tmp_path)):
        url = server.url
        client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.02)
        await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
        await client.jetstream().publish("kept", b"acknowledged")
        os.kill(int((tmp_path / "nats" / "nats.pid").read_text()), signal.SIGKILL)
        await eventually(lambda: client.stats["reconnects"] == 1 and client.is_connected)
        assert (await client.jetstream().get_last_msg("KEPT", "kept")).data == b"acknowledged"
        await client.close()
        assert server.url == url
    server.release()


async def test_what_a_child_cannot_start_with_ends_the_run_at_once(tmp_path: Path) -> None:
    (tmp_path / "nats").touch()
    server = nats_child(NatsServer(tmp_path / "nats"))
    with pytest.raises(DataDirectoryUnusable):
        await run_to_its_end(program("a", tmp_path), server, program("never", tmp_path))
    assert journal(tmp_path) == ["a started", "a stopped"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_all_in_reverse_order(tmp_path: Path, number: signal.Signals) -> None:
    async def body() -> None:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()

    async with asyncio.timeout(BOUND_S):
        await Supervisor([program("a", tmp_path), program("b", tmp_path)]).run(body)
    assert journal(tmp_path)[2:] == ["b stopped", "a stopped"]


async def test_a_signal_during_the_start_stops_cleanly(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    children = [nats_child(server), program("mute", tmp_path, "mute"), program("never", tmp_path)]
    run = asyncio.create_task(Supervisor(children).run())
    await eventually(lambda: journal(tmp_path) == ["mute started"])
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(BOUND_S):
        await run
    assert journal(tmp_path) == ["mute started", "mute stopped"]
    assert "Server Exiting" in server.log_file.read_text()
    server.release()


async def test_a_signal_during_the_pause_before_a_restart_stops_cleanly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", BOUND_S)
    monkeypatch.setattr(supervisor_module, "LONGEST_PAUSE_S", BOUND_S)
    async with running(program("a", tmp_path)):
        (process_id,) = pids(tmp_path, "a")
        os.kill(process_id, signal.SIGKILL)
        await eventually(lambda: not is_alive(process_id))
    assert journal(tmp_path) == ["a started"]


async def test_a_child_that_does_not_drain_is_killed(tmp_path: Path) -> None:
    deaf = program("deaf", tmp_path, "deaf", drain_timeout_s=0.1)
    async with running(program("a", tmp_path), deaf):
        (process_id,) = pids(tmp_path, "deaf")
    assert not is_alive(process_id)
    assert journal(tmp_path)[2:] == ["a stopped"]


async def test_a_second_signal_does_not_wait_for_the_drain(tmp_path: Path) -> None:
    supervisor = Supervisor([program("deaf", tmp_path, "deaf")])
    run = asyncio.create_task(supervisor.run())
    await eventually((tmp_path / "run" / "deaf.ready").exists)
    began = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
    await eventually(supervisor._over.is_set)
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(BOUND_S):
        await run
    assert time.monotonic() - began < supervisor_module.DRAIN_TIMEOUT_S / 2


async def test_an_error_in_the_body_stops_all_and_is_raised(tmp_path: Path) -> None:
    async def body() -> None:
        raise ValueError("the sample company is refused")

    with pytest.raises(ValueError, match="the sample company is refused"):
        await Supervisor([program("a", tmp_path)]).run(body)
    assert journal(tmp_path) == ["a started", "a stopped"]


async def test_children_are_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path) -> None:
    async with running(program("a", tmp_path)):
        (process_id,) = pids(tmp_path, "a")
        assert os.getsid(process_id) == process_id != os.getsid(0)
