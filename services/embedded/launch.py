"""How a child process is started: its own session, and no life beyond its parent's."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.embedded import die_with_parent

LOG_BYTES_MAX = 16 * 1024 * 1024
TAIL_LINES_MAX = 20
TAIL_BYTES_MAX = 16 * 1024


@dataclass(frozen=True, slots=True)
class Launch:
    """`argv[0]` is an absolute path. `environment` is added to the parent's.

    `log_file` receives standard output and error; without it they go where the parent's go.
    `death_signal` is what the child gets when its parent is killed (Linux).
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    log_file: Path | None = None
    pass_descriptors: tuple[int, ...] = ()
    death_signal: signal.Signals = signal.SIGKILL


def start(launch: Launch) -> subprocess.Popen[bytes]:
    """Starts the child; call it from the main thread (see die_with_parent).

    In a session of its own, so that Ctrl-C in a terminal reaches only the parent, which then
    stops its children in order.
    """
    output = None if launch.log_file is None else _open_log(launch.log_file)
    try:
        return subprocess.Popen(
            _bound_to_parent(launch),
            env={**os.environ, **launch.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            pass_fds=launch.pass_descriptors,
            start_new_session=True,
        )
    finally:
        if output is not None:
            os.close(output)


def tail(log_file: Path | None) -> str:
    """The last lines of a log, or nothing if there is none."""
    if log_file is None or not log_file.is_file():
        return ""
    with log_file.open("rb") as file:
        file.seek(max(0, log_file.stat().st_size - TAIL_BYTES_MAX))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES_MAX:])


def _bound_to_parent(launch: Launch) -> list[str]:
    if sys.platform != "linux":
        return list(launch.argv)
    launcher = [sys.executable, "-I", "-S", die_with_parent.__file__]
    return [*launcher, str(os.getpid()), str(int(launch.death_signal)), *launch.argv]


def _open_log(log_file: Path) -> int:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    if log_file.is_file() and log_file.stat().st_size > LOG_BYTES_MAX:
        log_file.replace(log_file.with_name(f"{log_file.name}.1"))
    return os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
