"""How a supervised child says that it is ready.

The supervisor names a file in the child's environment (GOAL_LEDGER_READY_FILE); the child, once it
serves, writes its process id there with `announce_ready`. The id, because the file of an earlier
life may still lie there.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

READY_FILE_VARIABLE: Final = "GOAL_LEDGER_READY_FILE"


def announce_ready() -> None:
    """For the child: call it once commands or questions are answered; alone it does nothing."""
    named = os.environ.get(READY_FILE_VARIABLE)
    if named is None:
        return
    ready_file = Path(named)
    unfinished = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
    unfinished.write_text(f"{os.getpid()}\n")
    unfinished.replace(ready_file)


def environment(ready_file: Path) -> Mapping[str, str]:
    """For the supervisor: what the child must find in its environment."""
    return {READY_FILE_VARIABLE: str(ready_file)}


def has_announced(ready_file: Path, process_id: int) -> bool:
    """For the supervisor: whether this very process has said that it is ready."""
    try:
        return ready_file.read_text().strip() == str(process_id)
    except FileNotFoundError:
        return False
