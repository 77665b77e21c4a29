"""An event loop that does not fall asleep for a moment.

With a fast disk, to fall asleep over one command and to be woken for its acknowledgement and for
the next command takes a sixth of the time that a lone client waits.
"""

import asyncio
import os
import time
from typing import Final

AWAKE_S: Final = 0.001


class Awake:
    """Looks for what comes turn after turn; whoever else needs the processor has it meanwhile."""

    def __init__(self) -> None:
        self.is_on = False
        self._until = 0.0

    def for_a_moment(self) -> None:
        """From now on, `AWAKE_S` at least."""
        self._until = time.monotonic() + AWAKE_S
        if not self.is_on:
            self.is_on = True
            self._turn()

    def _turn(self) -> None:
        self.is_on = time.monotonic() < self._until
        if self.is_on:
            os.sched_yield()
            asyncio.get_running_loop().call_soon(self._turn)
