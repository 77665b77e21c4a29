"""Work that nobody waits for lets go first what somebody does: it takes rests.

Threads take turns. One that computes for a second leaves half of it to the feed, and an event is
seen that much later.
"""

import time
from collections.abc import Callable
from typing import Final

Rest = Callable[[], None]
"""Called between two pieces of work, in its own thread."""

TIMES: Final = 4
"""So many times as long as a piece of work took is the rest after it."""


def no_rest() -> None:
    """Somebody waits."""


def rests(wait: Callable[[float], object]) -> Rest:
    """To be called after each piece of work from now on; `wait` lets so many seconds pass."""
    begun = time.perf_counter()

    def rest() -> None:
        nonlocal begun
        wait(TIMES * (time.perf_counter() - begun))
        begun = time.perf_counter()

    return rest
