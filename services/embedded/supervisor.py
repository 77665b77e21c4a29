"""Starts child processes in order, restarts what dies, stops all in reverse order.

Runs in the main thread of the process that owns the terminal. A child that dies is started again,
after a pause that grows; the others stay up and connect again by themselves. A child that dies too
often within a window, or never becomes ready, ends the whole run with an error that names it.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from services.embedded import launch, readiness
from services.embedded.errors import ChildKeepsFailing, ChildNotReady
from services.embedded.launch import Launch
from services.embedded.nats_server import START_TIMEOUT_S, NatsServer

RESTARTS_MAX: Final = 5
RESTART_WINDOW_S: Final = 60.0
READY_TIMEOUT_S: Final = 60.0
DRAIN_TIMEOUT_S: Final = 20.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
POLL_INTERVAL_S: Final = 0.01

# The last: its terminal was closed.
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep alive.

    `prepare` is called before every start; `is_ready` gets the process id until it answers yes.
    """

    name: str
    prepare: Callable[[], Launch]
    is_ready: Callable[[int], Awaitable[bool]]
    ready_timeout_s: float = READY_TIMEOUT_S
    drain_timeout_s: float = DRAIN_TIMEOUT_S


def nats_child(server: NatsServer) -> Child:
    """The server keeps its port and its store over restarts. Release it after the run."""

    async def is_ready(process_id: int) -> bool:
        return server.is_ready(process_id)

    return Child("nats-server", server.prepare, is_ready, ready_timeout_s=START_TIMEOUT_S)


def service_child(
    name: str,
    argv: Sequence[str],
    *,
    run_directory: Path,
    log_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    ready_timeout_s: float = READY_TIMEOUT_S,
    drain_timeout_s: float = DRAIN_TIMEOUT_S,
) -> Child:
    """A program that calls `readiness.announce_ready`; its ready file lies in `run_directory`.

    Without `log_file` it writes where the supervisor writes.
    """
    ready_file = run_directory / f"{name}.ready"
    described = Launch(
        argv=tuple(argv),
        environment={**(environment or {}), **readiness.environment(ready_file)},
        log_file=log_file,
    )

    def prepare() -> Launch:
        run_directory.mkdir(parents=True, exist_ok=True)
        ready_file.unlink(missing_ok=True)
        return described

    async def is_ready(process_id: int) -> bool:
        return readiness.has_announced(ready_file, process_id)

    return Child(name, prepare, is_ready, ready_timeout_s, drain_timeout_s)


class Supervisor:
    """Keeps its children alive for the length of one `run`.

    At most `restarts_max` restarts of one child within `restart_window_s`; one more death ends the
    run.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        restarts_max: int = RESTARTS_MAX,
        restart_window_s: float = RESTART_WINDOW_S,
    ) -> None:
        self._children = [_Running(child) for child in children]
        self._restarts_max = restarts_max
        self._restart_window_s = restart_window_s
        self._tasks: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()
        self._hurry = asyncio.Event()
        self._failure: BaseException | None = None

    async def run(self, body: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Starts all children, each once the one before is ready; then runs `body`; then waits.

        Returns when stopped by SIGINT, SIGTERM, SIGHUP or `stop`, which also cancel `body`; a
        second signal kills what still drains. Raises ChildKeepsFailing, ChildNotReady, or what
        `body` or a `prepare` raised. All children have ended when it returns or raises.
        """
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            self._begin("start", self._start_in_order(body))
            await self._over.wait()
        finally:
            self._over.set()
            await _cancel(self._tasks)
            for running in reversed(self._children):
                await self._stop_child(running)
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Ends the run as a signal would; call it on the loop of `run`, for example in `body`."""
        self._over.set()

    def _on_signal(self, number: signal.Signals) -> None:
        log.info("stopping", signal=number.name)
        if self._over.is_set():
            self._hurry.set()
        self._over.set()

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._note_failure)
        self._tasks.append(task)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self._failure is None:
            self._failure = error
            self._over.set()

    async def _start_in_order(self, body: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        for running in self._children:
            self._begin(running.child.name, self._keep_alive(running))
            await running.has_been_ready.wait()
        if body is not None:
            await body()

    async def _keep_alive(self, running: "_Running") -> None:
        deaths: deque[float] = deque()
        while True:
            running.start()
            await running.until_ready_or_ended()
            await running.ended.wait()
            now = time.monotonic()
            deaths.append(now)
            while now - deaths[0] > self._restart_window_s:
                deaths.popleft()
            if len(deaths) > self._restarts_max:
                raise running.keeps_failing(len(deaths), self._restart_window_s)
            pause_s = min(FIRST_PAUSE_S * 2 ** (len(deaths) - 1), LONGEST_PAUSE_S)
            log.warning(
                "child_ended",
                child=running.child.name,
                how=running.how_it_ended(),
                restart=f"{len(deaths)}/{self._restarts_max}",
                restart_in_s=pause_s,
            )
            await asyncio.sleep(pause_s)

    async def _stop_child(self, running: "_Running") -> None:
        if not running.is_alive():
            return
        running.send(signal.SIGTERM)
        waiting = [
            asyncio.create_task(event.wait(), name="drain")
            for event in (running.ended, self._hurry)
        ]
        await asyncio.wait(
            waiting,
            timeout=running.child.drain_timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if running.is_alive():
            log.warning("child_killed", child=running.child.name)
            running.kill_with_descendants()
        await running.ended.wait()
        await _cancel(waiting)
        log.info("child_stopped", child=running.child.name, how=running.how_it_ended())


class _Running:
    """A child and the process that it is at the moment."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.has_been_ready = asyncio.Event()
        self.ended = asyncio.Event()
        self._launch: Launch | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ValueError(f"{self.child.name} was never started")
        return self._process

    def start(self) -> None:
        self._launch = self.child.prepare()
        self._process = launch.start(self._launch)
        self.ended = _ended(self._process)
        log.info("child_started", child=self.child.name, pid=self._process.pid)

    async def until_ready_or_ended(self) -> None:
        began = time.monotonic()
        while not self.ended.is_set():
            if await self.child.is_ready(self.process.pid):
                took_s = round(time.monotonic() - began, 3)
                log.info("child_ready", child=self.child.name, took_s=took_s)
                self.has_been_ready.set()
                return
            if time.monotonic() - began > self.child.ready_timeout_s:
                raise ChildNotReady(
                    f"{self.child.name} was not ready after {self.child.ready_timeout_s:g} s: "
                    f"{self._last_words()}",
                    log_tail=self._log_tail(),
                )
            await asyncio.sleep(POLL_INTERVAL_S)

    def keeps_failing(self, deaths: int, window_s: float) -> ChildKeepsFailing:
        return ChildKeepsFailing(
            f"{self.child.name} ended {deaths} times within {window_s:g} s, "
            f"the last time with {self.how_it_ended()}: {self._last_words()}",
            log_tail=self._log_tail(),
        )

    def is_alive(self) -> bool:
        return self._process is not None and not self.ended.is_set()

    def how_it_ended(self) -> str:
        exit_code = self.process.returncode
        if exit_code < 0:
            return signal.Signals(-exit_code).name
        return f"exit code {exit_code}"

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill_with_descendants(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _log_tail(self) -> str:
        return launch.tail(self._launch.log_file if self._launch else None)

    def _last_words(self) -> str:
        if self._launch is None or self._launch.log_file is None:
            return "what it wrote stands above"
        lines = self._log_tail().splitlines() or ["it wrote nothing"]
        return f"{lines[-1].strip()} (log: {self._launch.log_file})"


def _ended(process: subprocess.Popen[bytes]) -> asyncio.Event:
    """Set once the process has ended and was reaped."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def reap() -> None:
        process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits
            loop.call_soon_threadsafe(ended.set)

    # A thread for each child, not asyncio's own subprocesses: starting one of those can be
    # cancelled half way, which would leave a process that nobody stops.
    threading.Thread(target=reap, name=f"reap {process.pid}", daemon=True).start()
    return ended


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
