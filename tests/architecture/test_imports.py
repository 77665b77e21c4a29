"""Who may import whom: the contracts of pyproject.toml hold."""

import os
import subprocess
import sys
from pathlib import Path

from tests.architecture.tree import TOP


def test_everyone_imports_only_whom_they_may() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": str(TOP / "contracts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
