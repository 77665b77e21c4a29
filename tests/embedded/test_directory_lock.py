"""One owner for one data directory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.embedded import directory_lock
from services.embedded.directory_lock import DirectoryLock
from services.embedded.errors import DataDirectoryInUse, DataDirectoryUnusable
from tests.embedded.programs import SOURCE_ROOT

HOLD_AND_WAIT = """
import pathlib, signal, subprocess, sys
from services.embedded.directory_lock import DirectoryLock
lock = DirectoryLock(pathlib.Path(sys.argv[1]))
lock.acquire()
if sys.argv[2] == "with-heir":
    heir = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"],
        pass_fds=[lock.file_descriptor], stdout=subprocess.DEVNULL,
    )
    print(heir.pid, flush=True)
else:
    print(0, flush=True)
signal.pause()
"""


def hold_elsewhere(directory: Path, how: str) -> tuple[subprocess.Popen[str], int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_WAIT, str(directory), how],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE_ROOT},
    )
    assert owner.stdout is not None
    heir = int(owner.stdout.readline())
    owner.stdout.close()
    return owner, heir


def end(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()


def test_a_directory_in_use_is_refused_and_the_owner_named(tmp_path: Path) -> None:
    owner, _ = hold_elsewhere(tmp_path, "alone")
    try:
        with pytest.raises(DataDirectoryInUse, match=f"in use by process {owner.pid}; stop it"):
            DirectoryLock(tmp_path).acquire()
    finally:
        end(owner)


def test_one_process_cannot_take_a_directory_twice(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path), pytest.raises(DataDirectoryInUse, match=str(os.getpid())):
        DirectoryLock(tmp_path).acquire()


def test_a_released_directory_is_free(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        pass
    with DirectoryLock(tmp_path) as lock:
        assert lock.held
    assert not lock.held


def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    owner, _ = hold_elsewhere(tmp_path, "alone")
    end(owner)
    with DirectoryLock(tmp_path) as lock:
        assert lock.held


def test_a_child_that_outlives_a_killed_owner_keeps_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_lock, "ORPHAN_WAIT_S", 0.1)
    owner, heir = hold_elsewhere(tmp_path, "with-heir")
    end(owner)
    try:
        with pytest.raises(DataDirectoryInUse, match=f"the killed process {owner.pid} started"):
            DirectoryLock(tmp_path).acquire()
    finally:
        os.kill(heir, signal.SIGKILL)
    monkeypatch.undo()
    with DirectoryLock(tmp_path) as lock:
        assert lock.held


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryUnusable, match=r"cannot write to .*Not a directory"):
        DirectoryLock(tmp_path / "file" / "data").acquire()
