"""Questions about the past, asked of the views of a big organisation, in process and without a wire.

The views hold what the real projector makes of five_years; each question goes through
`Questions.answer` as a message's payload does, and comes back as the bytes of its answer. Dates,
goals, units and indicators are drawn from a seed, so that nothing is asked for twice by design.
"""

import asyncio
import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from time import perf_counter
from typing import Final, NamedTuple, cast

from goal_contracts import codec, subjects
from goal_contracts.queries import AsOf, Query, Readings
from nats.aio.client import Client

from services.projections.feed import Feed
from services.projections.queries import Questions
from services.projections.view_store.store import ViewStore
from tests.benchmarks import processes
from tests.benchmarks.filled_views import Filled, filled_views
from tests.benchmarks.five_years import (
    BEGIN,
    OBJECTIVES_EACH,
    ORGANISATION,
    QUARTER_WEEKS,
    Size,
    instant,
)
from tests.benchmarks.passes import MILLISECONDS, Pass, quantile
from tests.benchmarks.results import Check, Part, Row, at_most
from tests.benchmarks.workplace import Workplace

NAME: Final = "asof"
SEED: Final = 19
WARM_UP: Final = 5
"""Questions that are not counted, so that statements are compiled and pages are in memory."""


class Asked(NamedTuple):
    """A question, how it is drawn, how often it is asked, and the milliseconds it may take."""

    what: str
    draw: Callable[["Drawn"], Query]
    times: int
    sqlite_ms: float
    postgresql_ms: float


class Drawn:
    """Questions about one organisation, drawn at random."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._random = Random(SEED)

    def goal(self) -> AsOf:
        """Any goal, at any date since it was there."""
        draw, quarter = self._random, self._random.randrange(self._size.quarters)
        objective = f"{draw.choice(self._size.units)}-q{quarter}-{draw.randrange(OBJECTIVES_EACH)}"
        is_objective = draw.random() < 0.3
        goal = f"objective/{objective}" if is_objective else f"key_result/{objective}-1"
        return AsOf(
            as_of=self._date(instant(BEGIN + timedelta(weeks=QUARTER_WEEKS * quarter), 1.0)),
            goal=goal,
        )

    def unit(self) -> AsOf:
        """A team with all its goals, cycles and indicators, in the last quarter."""
        team = f"team-{self._random.randrange(self._size.teams)}"
        return AsOf(as_of=self._lately(), unit=team, limit=1_000)

    def series(self) -> Readings:
        """A weekly indicator's readings over all the years."""
        kpi = f"kpi-{self._random.randrange(self._size.weekly_kpis)}"
        return Readings(kpi=kpi, as_of=self._lately())

    def _lately(self) -> str:
        return self._date(instant(self._size.begins_last, 7.0))

    def _date(self, first: datetime) -> str:
        span = self._size.now - first
        return (first + span * self._random.random()).isoformat()


ASKED: Final = (
    Asked("one goal, any date", Drawn.goal, 400, 1, 1),
    Asked("a unit of 200 goals", Drawn.unit, 60, 10, 10),
    Asked("a weekly KPI's series", Drawn.series, 200, 2, 2),
)


def run(work: Workplace) -> Part:
    """Every question, to each database that is there."""
    size, rows, checks = work.sizes.organisation, list[Row](), list[Check]()
    with contextlib.ExitStack() as open_views:
        filled = filled_views(work.place, size, work.say, open_views)
        for name, store in filled.stores.items():
            with asking(store, size.now) as ask:
                for asked in ASKED:
                    work.say(f"{name}: {asked.what}")
                    one = ask(asked, Drawn(size), work.sizes.asked_share)
                    rows.append(Row(f"{name}: {asked.what}", None, [one]))
                    allowed = asked.sqlite_ms if name == "sqlite" else asked.postgresql_ms
                    checks.append(
                        at_most(f"{name}: {asked.what}, median ms", one.p50_ms or 0, allowed)
                    )
    return Part(NAME, "questions about the past", "answers", rows, checks, filled.notes)
