"""Node with the official tools of tests/node, or with what examples/node asks for.

Installed once for each lock file, outside the repository, and shared by all runs.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "node"
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "node"
INSTALL_TIMEOUT_S = 300
RUN_TIMEOUT_S = 100

NOTHING_MAY_BE_MISSING = "NOTHING_MAY_BE_MISSING"
"""Set by the gate: there a missing tool is a failure."""

Node = Callable[..., str]


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Runs a program of tests/node with arguments, and gives what it printed."""
    place = _placed(PROGRAMS, tmp_path_factory.mktemp("node"))

    def run(program: str, *arguments: str | Path, given: bytes = b"") -> str:
        done = subprocess.run(
            ["node", program, *arguments],
            cwd=place,
            input=given,
            capture_output=True,
            check=False,
            timeout=RUN_TIMEOUT_S,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()

    return run


@pytest.fixture(scope="session")
def node_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs of examples/node, in which `node PROGRAM` finds its packages."""
    return _placed(EXAMPLE, tmp_path_factory.mktemp("node-example"))


def _placed(programs: Path, place: Path) -> Path:
    """Copies of the programs beside their packages."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        _stay_out(f"{' and '.join(missing)} missing; install Node.js 20 or later with npm")
    for program in programs.glob("*.mjs"):
        shutil.copy(program, place)
    shutil.copy(programs / "package.json", place)
    (place / "node_modules").symlink_to(_installed(programs) / "node_modules")
    return place


def _stay_out(why: str) -> None:
    if os.environ.get(NOTHING_MAY_BE_MISSING):
        pytest.fail(why)
    pytest.skip(why)


def _installed(programs: Path) -> Path:
    """Where the packages of the lock file are; they are installed if they are not yet."""
    digest = hashlib.sha256((programs / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "goal-ledger"
    folder = cache / f"node-{digest}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=cache))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(programs / name, made)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=made,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_TIMEOUT_S,
    )
    if done.returncode != 0:
        shutil.rmtree(made)
        _stay_out(f"npm cannot install what {programs} asks for:\n{done.stdout}{done.stderr}")
    # Whole or not at all; another run may have been faster.
    with contextlib.suppress(OSError):
        made.rename(folder)
    shutil.rmtree(made, ignore_errors=True)
    return folder
