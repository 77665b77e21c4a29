"""Questions about the past, asked of the views of a big organisation, in process, without a wire.

The views hold what the real projector makes of five_years; each question goes through
`Questions.answer` as a message's payload does, and comes back as the bytes of its answer. Dates,
goals, units and indicators are drawn from a seed; nothing is asked for twice by design. What the
service makes ahead is made first, and the time that takes is told. What is kept of one answer for
the next is told apart: the first of its kind, and further dates after it.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from time import perf_counter
from typing import Final, NamedTuple, cast

import msgspec
import uvloop
from goal_contracts import codec, subjects
from goal_contracts.queries import (
    Answer,
    AsOf,
    Diff,
    Position,
    Query,
    QueryRefused,
    Readings,
    RollUps,
)
from msgspec.structs import replace
from nats.aio.client import Client

from services.projections.app import collect_garbage_seldom
from services.projections.feed import Feed
from services.projections.queries import Questions
from services.projections.view_store.store import ViewStore
from tests.benchmarks.filled_views import filled_views
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
AHEAD: Final = "closed cycles, made ahead"
WARM_UP: Final = 3
"""Questions that are not counted: the first of a kind has its statements compiled."""

_answer: Final = msgspec.json.Decoder(Answer)


class Asked(NamedTuple):
    """A kind of question, how it is drawn, how often, and what it may take in each database.

    Of what is wanted nowhere the time is shown, and no more.
    """

    what: str
    draw: Callable[["Drawn"], Query]
    times: int
    allowed_ms: dict[str, float]


class Drawn:
    """Questions about one organisation, drawn at random."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._random = Random(SEED)

    def goal(self) -> AsOf:
        """Any goal, at any date since it was there."""
        draw, quarter = self._random, self._random.randrange(self._size.quarters)
        objective = f"{draw.choice(self._size.units)}-q{quarter}-{draw.randrange(OBJECTIVES_EACH)}"
        goal = f"objective/{objective}" if draw.random() < 0.3 else f"key_result/{objective}-1"
        begun = instant(BEGIN + timedelta(weeks=QUARTER_WEEKS * quarter), 1.0)
        return AsOf(as_of=self._date(begun), goal=goal)

    def unit(self) -> AsOf:
        """A team with all its goals, cycles and indicators, in the last quarter."""
        team = f"team-{self._random.randrange(self._size.teams)}"
        return AsOf(as_of=self._lately(), unit=team, limit=1_000)

    def series(self) -> Readings:
        """A weekly indicator's readings over all the years."""
        kpi = f"kpi-{self._random.randrange(self._size.weekly_kpis)}"
        return Readings(kpi=kpi, as_of=self._lately())

    def everything(self) -> AsOf:
        """All units, cycles, goals and indicators, page after page."""
        return AsOf(as_of=self._lately(), limit=1_000)

    def quarter(self) -> Diff:
        """What is different of a team from 13 weeks before."""
        team = f"team-{self._random.randrange(self._size.teams)}"
        after = datetime.fromisoformat(self._lately())
        before = after - timedelta(weeks=QUARTER_WEEKS)
        return Diff(before=before.isoformat(), after=after.isoformat(), unit=team, limit=1_000)

    def roll_ups(self) -> RollUps:
        """All units in all cycles, in a line each."""
        return RollUps(as_of=self._lately(), limit=1_000)

    def _lately(self) -> str:
        return self._date(instant(self._size.begins_last, 7.0))

    def _date(self, first: datetime) -> str:
        return (first + (self._size.now - first) * self._random.random()).isoformat()


ASKED: Final = (
    Asked("one goal, any date", Drawn.goal, 400, {"sqlite": 1, "postgresql": 1}),
    Asked("a unit of 200 goals", Drawn.unit, 60, {"sqlite": 10, "postgresql": 10}),
    Asked("a weekly KPI's series", Drawn.series, 200, {"sqlite": 2, "postgresql": 2}),
    Asked("13 weeks of a unit", Drawn.quarter, 30, {"sqlite": 50, "postgresql": 50}),
    Asked("roll-ups of everything, the first", Drawn.roll_ups, 1, {}),
    Asked("roll-ups, further dates", Drawn.roll_ups, 4, {"sqlite": 500, "postgresql": 1_500}),
    Asked("the whole organisation, the first", Drawn.everything, 1, {}),
    Asked("the whole, further dates", Drawn.everything, 4, {"sqlite": 500, "postgresql": 1_500}),
)


def run(work: Workplace) -> Part:
    """Every question, to each database that is there."""
    size, rows, checks = work.sizes.organisation, list[Row](), list[Check]()
    collect_garbage_seldom()  # as the service does
    with filled_views(work.place, size, work.say) as filled:
        for name, store in filled.stores.items():
            drawn = Drawn(size)
            with Asker.of(store, size.now) as asker:
                work.say(f"{name}: {AHEAD}")
                rows.append(Row(f"{name}: {AHEAD}", None, [asker.keep_ahead()]))
                for asked in ASKED:
                    what = f"{name}: {asked.what}"
                    work.say(what)
                    found = asker.measure(asked, drawn)
                    rows.append(Row(what, None, [found]))
                    if name in asked.allowed_ms:
                        allowed = asked.allowed_ms[name]
                        checks.append(at_most(f"{what}, median ms", found.p50_ms or 0, allowed))
    notes = [
        *filled.notes,
        "the whole organisation is every card of it at a date, page after page of 900 KB at most",
    ]
    return Part(NAME, "questions about the past", "answers", rows, checks, notes)


class Asker:
    """Asks the views of a store as the service does when a message comes."""

    def __init__(self, questions: Questions, now: datetime) -> None:
        self._questions = questions
        self._now = now

    @classmethod
    @contextlib.contextmanager
    def of(cls, store: ViewStore, now: datetime) -> Iterator["Asker"]:
        """Until it is left; a feed says how far the views are, and follows no log."""
        questions = Questions(Feed(cast("Client", None), subjects.STREAM, store), store.engine)
        try:
            yield cls(questions, now)
        finally:
            questions.close()

    def measure(self, asked: Asked, drawn: Drawn) -> Pass:
        """One question after the other; a long answer is read to its last page."""
        warm_up = min(WARM_UP, asked.times - 1)
        questions = [asked.draw(drawn) for _ in range(warm_up + asked.times)]
        took_s = uvloop.run(self._ask_all(questions))[warm_up:]
        return Pass(
            len(took_s) / sum(took_s),
            quantile(took_s, 0.5) * MILLISECONDS,
            quantile(took_s, 0.99) * MILLISECONDS,
        )

    def keep_ahead(self) -> Pass:
        """Make what the service makes, once its views have caught up, before anybody asks."""
        took_s, more = list[float](), True
        while more:
            started = perf_counter()
            more = self._questions.keep_ahead(self._now)
            took_s.append(perf_counter() - started)
        whole_s = sum(took_s)
        return Pass(len(took_s) / whole_s, whole_s * MILLISECONDS)

    async def _ask_all(self, questions: list[Query]) -> list[float]:
        return [await self._ask(question) for question in questions]

    async def _ask(self, question: Query) -> float:
        """The seconds until its answer's last byte; what the asker does is not counted."""
        took_s, subject = 0.0, subjects.query(ORGANISATION, type(question).__name__)
        while True:
            payload = codec.encode(question)
            started = perf_counter()
            answer = await self._questions.answer(subject, payload, self._now)
            took_s += perf_counter() - started
            told = _answer.decode(answer)
            assert not isinstance(told, QueryRefused), told
            cursor = getattr(told, "cursor", None)
            if cursor is None or isinstance(question, Position):
                return took_s
            question = replace(question, cursor=cursor)
