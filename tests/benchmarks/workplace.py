"""Where a run keeps its logs, how much it does, and what the parts of it share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.benchmarks import five_years
from tests.benchmarks.clients import CLIENTS_PER_CONNECTION
from tests.benchmarks.company import Company
from tests.benchmarks.filled import filled_log
from tests.benchmarks.passes import Pace


class Sizes(Struct, frozen=True):
    """How much a run does."""

    pace: Pace
    some: int
    many: int
    """How many clients ask at once, beside a single one."""
    key_results: int
    """How many the company has that is checked in on."""
    imported_readings: int
    """How many are in the file that the import program reads."""
    organisation: five_years.Size
    """What the views hold that are asked about the past."""
    fed_events: int
    """How many events of the longer log below become views."""
    few_events: int
    many_events: int
    """How long the logs are whose cost is compared; the longer one is loaded, too."""


SIZES: Final[Mapping[str, Sizes]] = {
    "full": Sizes(
        Pace(warm_up_s=1, window_s=5, passes=3),
        some=64,
        many=512,
        key_results=1_000,
        imported_readings=50_000,
        organisation=five_years.Size(),
        fed_events=200_000,
        few_events=10_000,
        many_events=1_000_000,
    ),
    "quick": Sizes(
        Pace(warm_up_s=0.5, window_s=1.5, passes=1),
        some=64,
        many=512,
        key_results=1_000,
        # As many as in full: the program's start, which is half a second, belongs to it.
        imported_readings=50_000,
        organisation=five_years.Size(departments=4, teams=96, weekly_kpis=300, monthly_kpis=2_000),
        fed_events=50_000,
        few_events=10_000,
        many_events=100_000,
    ),
    # Whether the programs run at all; the figures say nothing.
    "smallest": Sizes(
        Pace(warm_up_s=0, window_s=0.05, passes=1),
        some=3,
        many=4,
        key_results=9,
        imported_readings=100,
        organisation=five_years.Size(
            quarters=2, departments=2, teams=3, weekly_kpis=3, monthly_kpis=4
        ),
        fed_events=2_000,
        few_events=1_500,
        many_events=2_500,
    ),
}


class Workplace(Struct, frozen=True):
    """A directory on the disk that is measured, and the sizes of the run."""

    place: Path
    sizes: Sizes
    say: Callable[[str], None]

    def few_events(self) -> Path:
        """The server's directory of the short log."""
        return self._filled(self.sizes.few_events)

    def many_events(self) -> Path:
        """The server's directory of the long log."""
        return self._filled(self.sizes.many_events)

    def _filled(self, events: int) -> Path:
        # Beside the parts' own directories, as several parts need it.
        home = self.place.parent / f"log-of-{events}"
        return filled_log(home, self.company, events, self.say)

    @property
    def company(self) -> Company:
        """The company of the logs."""
        return Company(self.sizes.key_results, self.sizes.key_results)

    @property
    def clients_said(self) -> str:
        """How the clients reach the server, for a part's notes."""
        return f"one connection for every {CLIENTS_PER_CONNECTION} clients"
