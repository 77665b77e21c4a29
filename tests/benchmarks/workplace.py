"""Where a run keeps its logs, how much it does, and what the parts of it share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.benchmarks.clients import CLIENTS_PER_CONNECTION
from tests.benchmarks.passes import Pace


class Sizes(Struct, frozen=True):
    """How much a run does."""

    pace: Pace
    key_results: int
    """How many the company has that is checked in on."""


SIZES: Final[Mapping[str, Sizes]] = {
    "full": Sizes(Pace(warm_up_s=1, window_s=5, passes=3), key_results=1_000),
    "quick": Sizes(Pace(warm_up_s=0.5, window_s=1.5, passes=1), key_results=1_000),
    # Whether the programs run at all; the figures say nothing.
    "smallest": Sizes(Pace(warm_up_s=0, window_s=0.2, passes=1), key_results=600),
}


class Workplace(Struct, frozen=True):
    """A directory on the disk that is measured, and the sizes of the run."""

    place: Path
    sizes: Sizes
    say: Callable[[str], None]

    @property
    def clients_said(self) -> str:
        """How the clients reach the server, for a part's notes."""
        return f"one connection for every {CLIENTS_PER_CONNECTION} clients"
