"""One process at a time may own a data directory.

nats-server itself lets two servers start on one store. The lock is an advisory `flock`: the system
drops it when the last process that holds the descriptor ends, so a killed owner leaves no lock
behind. The file's content (the owner's process id) is for people only.
"""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from services.embedded.errors import DataDirectoryInUse, DataDirectoryUnusable

LOCK_FILE = "lock"
ORPHAN_WAIT_S = 5.0
POLL_INTERVAL_S = 0.02


class DirectoryLock:
    """Held from `acquire` until `release`, or until the process ends.

    A directory whose owner is alive is refused at once. An owner that was killed may have left a
    child that still holds the descriptor while it shuts down: that is waited for, bounded.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file_descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._file_descriptor is not None

    @property
    def file_descriptor(self) -> int:
        """To hand to a child that must keep the directory locked while it lives."""
        if self._file_descriptor is None:
            raise ValueError(f"the lock on {self.directory} is not held")
        return self._file_descriptor

    def acquire(self) -> None:
        """Takes the lock; does nothing if it is already held by this object.

        Raises DataDirectoryInUse or DataDirectoryUnusable.
        """
        if self.held:
            return
        descriptor = self._open()
        try:
            self._lock(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(descriptor)
            raise DataDirectoryUnusable(
                f"cannot lock {self.directory}: {error.strerror}; choose another data directory"
            ) from error
        except DataDirectoryInUse:
            os.close(descriptor)
            raise
        self._file_descriptor = descriptor

    def release(self) -> None:
        # Closing, not LOCK_UN: a child that shares the descriptor keeps the lock until it ends.
        if self._file_descriptor is not None:
            os.close(self._file_descriptor)
            self._file_descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _open(self) -> int:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            return os.open(self.directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataDirectoryUnusable(
                f"cannot write to {self.directory}: {error.strerror}; "
                "choose another data directory or mend its permissions"
            ) from error

    def _lock(self, descriptor: int) -> None:
        give_up_at = time.monotonic() + ORPHAN_WAIT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                owner = _owner(descriptor)
                if owner is None or _is_alive(owner) or time.monotonic() > give_up_at:
                    raise self._in_use(owner) from None
            time.sleep(POLL_INTERVAL_S)

    def _in_use(self, owner: int | None) -> DataDirectoryInUse:
        if owner is not None and not _is_alive(owner):
            return DataDirectoryInUse(
                f"{self.directory} is in use by a process that the killed process {owner} started; "
                "stop it, or choose another data directory"
            )
        who = "another process" if owner is None else f"process {owner}"
        return DataDirectoryInUse(
            f"{self.directory} is in use by {who}; stop it, or choose another data directory"
        )


def _owner(descriptor: int) -> int | None:
    content = os.pread(descriptor, 32, 0).strip()
    return int(content) if content.isdigit() else None


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
