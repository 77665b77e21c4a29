"""The project's own files, as git sees them: what is committed and what is about to be."""

import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def committed_files() -> list[Path]:
    """Every file git keeps or would add, relative to the top."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-c", "-o", "--exclude-standard"],
        cwd=TOP,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = sorted(Path(name) for name in listed.split("\0") if name)
    return [name for name in names if (TOP / name).is_file()]


def modules() -> list[Path]:
    """Every Python file of the project, relative to the top."""
    return [name for name in committed_files() if name.suffix == ".py"]
