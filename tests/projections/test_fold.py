"""Whatever happened and whatever moment is asked about: a view says what folding the log says.

Every question is put to the view stores, on each database, and to a judge that folds the log from
scratch (see fold). To judge another question, add what asks it to VIEWS. PROPERTY_EXAMPLES=1500
looks at so many logs instead of a few; `make properties` does.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from goal_contracts import codec
from goal_contracts.codec import Recorded
from goal_contracts.differences import applied
from goal_contracts.events import CycleClosed
from goal_contracts.fields import Kind
from goal_contracts.queries import (
    AsOf,
    Blame,
    CycleReport,
    Diff,
    Differences,
    History,
    Readings,
    Replay,
    RolledUp,
    RollUps,
    WeeklyDigest,
)
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.projections.cannot_answer import CannotAnswer
from services.projections.view_store import schema
from services.projections.view_store.store import ViewStore
from tests.postgresql import DATABASES, Cluster, empty_database
from tests.projections import lives
from tests.projections.fold import BeforeTheBeginning, Past, Then
from tests.projections.log import Asker, fill_in_parts, store_at
from tests.projections.whole import whole

EXAMPLES: Final = int(os.environ.get("PROPERTY_EXAMPLES", "16"))
SHARE: Final = {"sqlite": 2, "postgresql-15": 8, "postgresql-18": 8}
"""Of the examples, each database takes the one of so many."""
MOMENTS: Final = 2
"""So many moments are asked about in each log."""
CLOSED_MOMENTS: Final = 2
"""And with each of them so many more, where a cycle was closed."""
LIMITS: Final = (1, 3, 7, 100, 1_000, 1_000, 1_000)
TAKEN: Counter[str] = Counter()
"""How much all of it came to."""
FILTERS: Final[tuple[tuple[Kind, str], ...]] = (
    ("unit", "co"),
    ("unit", "sales"),
    ("unit", "pat"),
    ("cycle", "q1"),
    ("cycle", "x"),
    ("cycle", "y"),
    ("objective", "o1"),
    ("objective", "o2"),
    ("objective", "o3"),
    ("key_result", "k1"),
    ("key_result", "k3"),
    ("kpi", "i1"),
    ("kpi", "i4"),
)
THINGS: Final[tuple[tuple[Kind, str], ...]] = (
    *FILTERS,
    ("unit", "ops"),
    ("cycle", "q2"),
    ("objective", "o5"),
    ("key_result", "k2"),
    ("key_result", "k4"),
    ("kpi", "i2"),
)


class Moment(NamedTuple):
    """Two times, as people write them."""

    as_of: str | None
    known_at: str | None


class Asked(NamedTuple):
    """One organisation of a log, asked about one moment."""

    ask: "Pages"
    past: Past
    then: Then
    moment: Moment
    random: Random


class Pages:
    """Asks for all pages of an answer, each of a length that is drawn; a refusal is one, too."""

    def __init__(
        self, store: ViewStore, organisation_id: str, random: Random, now: datetime
    ) -> None:
        self._ask = Asker(store, organisation_id)
        self._random = random
        self._now = now

    def keep_ahead(self) -> None:
        """Make the cards of closed cycles first, as the service does."""
        while self._ask.keeps_ahead(self._now):
            TAKEN["cycles kept ahead"] += 1

    def __call__(self, query: Any) -> list[Any]:
        """The pages, or a refusal's reason."""
        TAKEN[f"{type(query).__name__} questions"] += 1
        if "limit" in query.__struct_fields__:
            query = replace(query, limit=self._random.choice(LIMITS))
        note(repr(query))
        try:
            return self._ask.pages(query, self._now)
        except CannotAnswer as refused:
            return [refused.why]


# ------------------------------------------------------------------ what each question should say


def as_of(asked: Asked) -> None:
    """Everything, and what a filter leaves."""
    some = asked.random.sample(FILTERS, 4)
    filters: list[dict[Kind, str]] = [{}, *({kind: name} for kind, name in some)]
    filters.append(dict([asked.random.choice(FILTERS[:3]), asked.random.choice(FILTERS[3:6])]))
    for each in filters:
        pages = asked.ask(query_of(AsOf, asked.moment, each))
        if not is_known(asked, each):
            assert pages == ["not_found"]
            continue
        expected = asked.then.goals(each)
        answer = whole(pages)
        if {"objective", "key_result", "kpi"} & each.keys():
            (goal,) = each.items()
            comments = asked.then.comments(*goal)
            assert answer.comments == comments[len(comments) - len(answer.comments) :]
            answer = replace(answer, comments=())
        same(answer, expected)


def closed_cycles(asked: Asked) -> None:
    """Everything from moments around what happened since a cycle was first closed (see kept).

    Asked of one service in any order, so that what is kept of one moment is there for another.
    """
    past = asked.past
    closings = [each.position for each in past.log if isinstance(each.event, CycleClosed)]
    if not closings:
        return
    since = [each for each in past.log if each.position >= closings[0]]
    for _ in range(CLOSED_MOMENTS):
        as_of, known_at = (lives.moment(since, past.organisation_id, asked.random) for _ in "ab")
        moment = Moment(as_of, asked.random.choice([None, known_at]))
        then = Then(past, past.seen(*moment, asked.then.seen.as_of))
        TAKEN["moments after a closing"] += 1
        same(whole(asked.ask(query_of(AsOf, moment))), then.goals({}))


def history(asked: Asked) -> None:
    """Of a thing, of one of its fields, and of everything in a cycle."""
    for kind, name in asked.random.sample(THINGS, 4):
        field = asked.random.choice([None, None, "title", "check_ins", "definition", "state"])
        query = query_of(History, asked.moment, kind=kind, id=name, field=field)
        expect_changes(asked, query, partial(asked.then.history, kind, name, field))
    query = query_of(History, asked.moment, kind="organisation", id=asked.past.organisation_id)
    expect_changes(asked, query, partial(asked.then.history, "organisation", query.id))
    cycle = asked.random.choice(["q1", "x", "y"])
    query = query_of(History, asked.moment, kind="cycle", id=cycle, whole=True)
    expect_changes(asked, query, partial(asked.then.history, "cycle", cycle, whole=True))


def blame(asked: Asked) -> None:
    """Who is behind a thing as it stands."""
    for kind, name in asked.random.sample(THINGS, 4):
        query = query_of(Blame, asked.moment, kind=kind, id=name)
        expect_changes(asked, query, partial(asked.then.blame, kind, name))


def readings(asked: Asked) -> None:
    """The series of a KPI, with its corrections."""
    for name in ("i1", "i2", "i4"):
        pages = asked.ask(query_of(Readings, asked.moment, kpi=name))
        if not is_known(asked, {"kpi": name}):
            assert pages == ["not_found"]
            continue
        card = asked.then.kpi(asked.then.of("kpi")[name])
        assert all(page.kpi == card for page in pages)
        said = [each for page in pages for each in page.readings]
        same(said, asked.then.series(name, as_series=True))


def replay(asked: Asked) -> None:
    """A range of the log, and a cycle's events, as they are stored."""
    events = [each for each in asked.past.log if asked.then.sees(each)]
    expect_events(asked, query_of(Replay, asked.moment), events)
    start, end = (
        lives.moment(asked.past.log, asked.past.organisation_id, asked.random) for _ in "ab"
    )
    pages = asked.ask(Replay(start=start, end=end))
    if pages == ["malformed"]:  # it ends before it begins
        return
    last, _ = asked.past.place(end)
    begin = asked.past.time_of(start, is_start=True) - lives.TICK if start[0] != "@" else None
    first = int(start[1:]) if begin is None else asked.past.place(begin.isoformat())[0] + 1
    within = [each for each in asked.past.log if first <= each.position <= last]
    assert positions(pages) == [each.position for each in within]
    cycle = asked.random.choice(["q1", "x", "y"])
    if is_known(asked, {"cycle": cycle}):
        events = [each for each in asked.then.in_cycle(cycle) if asked.then.sees(each)]
        expect_events(asked, query_of(Replay, asked.moment, cycle=cycle), events)


def report(asked: Asked) -> None:
    """What a cycle came to, and the way there: as it was closed, unless a moment is asked for."""
    for cycle, by_week in (("q1", False), ("x", False), ("q1", True)):
        pages = asked.ask(query_of(CycleReport, asked.moment, cycle=cycle, by_week=by_week))
        then = asked.then
        if asked.moment == Moment(None, None) and cycle in then.of("cycle"):
            card = then.of("cycle")[cycle].card
            if card.state == "closed":
                moment = f"@{card.closings[-1].position}"
                then = Then(asked.past, asked.past.seen(moment, None, then.seen.as_of))
        if cycle not in then.of("cycle"):
            assert pages == ["not_found"]
            continue
        parts = joined(pages, "late", "units", "objectives", "kpis", "series")
        expected = then.by_week(cycle) if by_week else then.report(cycle)
        same(replace(pages[0], **parts, cursor=None), expected)


def digest(asked: Asked) -> None:
    """What the week of a moment brought, of everything and of a unit."""
    if asked.moment.as_of is None:  # which is about the clock's own week
        return
    for unit in (None, asked.random.choice(["co", "sales", "pat"])):
        pages = asked.ask(query_of(WeeklyDigest, asked.moment, unit=unit))
        if unit is not None and not is_there_by(asked, "unit", unit):
            assert pages == ["not_found"]
            continue
        parts = joined(pages, "late", "changes", "check_ins", "units", "objectives", "kpis", "said")
        same(replace(pages[0], **parts, cursor=None), asked.then.digest(unit))


def joined(pages: Sequence[Any], *parts: str) -> dict[str, tuple[Any, ...]]:
    """Parts of an answer from all of its pages."""
    return {part: tuple(each for page in pages for each in getattr(page, part)) for part in parts}


def is_there_by(asked: Asked, kind: Kind, name: str) -> bool:
    """Whether a thing had come to be."""
    return any(
        (each.kind, each.goal_id) == (kind, name)
        for each in asked.past.log
        if each.position <= asked.then.seen.structure
    )


def diff(asked: Asked) -> None:
    """From any moment to any other: what AsOf says at the one becomes what it says at the other."""
    organisation_id = asked.past.organisation_id
    before = moments(asked.past.log, organisation_id, asked.random)
    if before.as_of is None:
        return
    try:
        then = Then(asked.past, asked.past.seen(*before, asked.then.seen.as_of))
    except BeforeTheBeginning:
        return
    filters: dict[Kind, str] = dict(asked.random.sample(FILTERS, asked.random.choice([0, 1])))
    query = Diff(
        before=before.as_of,
        before_known_at=before.known_at,
        after=asked.moment.as_of,
        after_known_at=asked.moment.known_at,
        **named(filters),
    )
    pages = asked.ask(query)
    if not is_known(asked, filters) and not is_known(asked._replace(then=then), filters):
        assert pages == ["not_found"]
        return
    assert {page.reflects_before for page in pages} == {then.seen.reflects}
    same(applied(then.goals(filters), pages), asked.then.goals(filters))
    judge_late(asked, then, filters, pages)
    for thing in chain.from_iterable(page.things for page in pages):
        TAKEN["differences"] += 1
        seen = asked.then.history(thing.kind, thing.id)
        seen_before = then.history(thing.kind, thing.id)
        for changes, mine, other in (
            (thing.changes, seen, seen_before),
            (thing.undone, seen_before, seen),
        ):
            # A key result may show a KPI's reading, and a KPI a definition known long before.
            own = [change for change in changes if change.kind == thing.kind]
            assert all(change in mine for change in own)
            assert thing.kind == "kpi" or not any(change in other for change in own)
        if thing.kind not in {"kpi", "key_result"}:
            decided = [change for change in seen if change.event != "CommentAdded"]
            assert list(thing.changes) == [each for each in decided if each not in seen_before]


def judge_late(
    asked: Asked, then: Then, filters: dict[Kind, str], pages: Sequence[Differences]
) -> None:
    """What came late and the second moment alone sees comes first, in order."""
    goals = asked.then.goals(filters)
    shown: list[tuple[Kind, str]] = [("objective", each.objective_id) for each in goals.objectives]
    shown += [("key_result", each.key_result_id) for each in goals.key_results]
    late = asked.then.late(shown)
    told = [each for page in pages for each in page.late]
    assert told == [each for each in late if each.position > then.seen.structure]
    told_first = [bool(page.late) for page in pages]
    assert told_first == sorted(told_first, reverse=True)


def roll_ups(asked: Asked) -> None:
    """Of all units in all cycles, and of what filters leave."""
    filters: list[dict[Kind, str]] = [{}, dict(asked.random.sample(FILTERS[:6], 1))]
    filters.append(dict([asked.random.choice(FILTERS[:3]), asked.random.choice(FILTERS[3:6])]))
    for each in filters:
        pages = asked.ask(query_of(RollUps, asked.moment, each))
        if not is_known(asked, each):
            assert pages == ["not_found"]
            continue
        expected = asked.then.roll_ups(each.get("unit"), each.get("cycle"))
        cycles = {card.cycle_id: card for page in pages for card in page.cycles}
        units = {card.unit_id: card for page in pages for card in page.units}
        answer = RolledUp(
            reflects=pages[0].reflects,
            cycles=tuple(cycles[name] for name in sorted(cycles)),
            units=tuple(units[name] for name in sorted(units)),
            roll_ups=tuple(line for page in pages for line in page.roll_ups),
        )
        same(answer, expected)


VIEWS: Final[tuple[Callable[[Asked], None], ...]] = (
    as_of,
    closed_cycles,
    history,
    blame,
    readings,
    replay,
    report,
    digest,
    diff,
    roll_ups,
)

# ------------------------------------------------------------------ how they are asked and compared


def query_of(
    kind: type[Any], moment: Moment, filters: Mapping[Kind, str] | None = None, /, **more: Any
) -> Any:
    return kind(as_of=moment.as_of, known_at=moment.known_at, **named(filters or {}), **more)


def named(filters: Mapping[Kind, str]) -> dict[str, Any]:
    """As AsOf and Diff call them."""
    return {
        "goal" if kind in {"objective", "key_result"} else kind: (
            f"{kind}/{name}" if kind in {"objective", "key_result"} else name
        )
        for kind, name in filters.items()
    }


def is_known(asked: Asked, filters: Mapping[Kind, str]) -> bool:
    """Whether all that is named had been heard of."""
    return all(
        any(
            (each.kind, each.goal_id) == named
            for each in asked.past.log
            if each.position <= asked.then.seen.known
        )
        for named in filters.items()
    )


def expect_changes(asked: Asked, query: Any, expected: Callable[[], Any]) -> None:
    pages = asked.ask(query)
    if not is_known(asked, {query.kind: query.id}):
        assert pages == ["not_found"]
        return
    told = "fields" if isinstance(query, Blame) else "changes"
    same([change for page in pages for change in getattr(page, told)], expected())
    assert {page.reflects for page in pages} == {asked.then.seen.reflects}


def expect_events(asked: Asked, query: Replay, expected: Sequence[Recorded]) -> None:
    pages = asked.ask(query)
    assert positions(pages) == [each.position for each in expected]
    stored = [bytes(each.event) for page in pages for each in page.events]
    assert stored == [codec.encode_event(each) for each in expected]
    assert {page.reflects for page in pages} == {asked.then.seen.reflects}


def positions(pages: Sequence[Any]) -> list[int]:
    return [each.position for page in pages for each in page.events]


def same(answer: Any, expected: Any) -> None:
    """To the byte, and compared part by part so that a difference is short to read."""
    if isinstance(expected, msgspec.Struct):
        for field in expected.__struct_fields__:
            assert getattr(answer, field) == getattr(expected, field), field
    assert codec.encode(answer) == codec.encode(expected)


def moments(log: Sequence[Recorded], organisation_id: str, random: Random) -> Moment:
    as_of = lives.moment(log, organisation_id, random) if random.randrange(6) else None
    known_at = lives.moment(log, organisation_id, random) if random.randrange(2) else None
    return Moment(as_of, known_at)


def judged(store: ViewStore, log: Sequence[Recorded], random: Random) -> None:
    """Both organisations at some moments and now, by every question."""
    TAKEN["logs"] += 1
    TAKEN["events"] += len(log)
    now = max(each.known_at for each in log) + random.choice([-1, 1]) * timedelta(hours=30)
    for organisation_id in lives.ORGANISATIONS:
        past = Past(log, organisation_id)
        ask = Pages(store, organisation_id, random, now)
        if random.randrange(2):
            ask.keep_ahead()
        asked_about = [moments(past.log, organisation_id, random) for _ in range(MOMENTS)]
        for moment in [Moment(None, None), *asked_about]:
            try:
                seen = past.seen(*moment, now)
            except BeforeTheBeginning:
                assert ask(query_of(AsOf, moment)) == ["malformed"]
                continue
            TAKEN["moments"] += 1
            for view in VIEWS:
                view(Asked(ask, past, Then(past, seen), moment, random))


# ------------------------------------------------------------------ the properties


@pytest.fixture(scope="module", params=DATABASES)
def views(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_clusters: Mapping[str, Cluster],
) -> Iterator[tuple[str, ViewStore]]:
    """One database of each kind for the whole run; each log begins with an empty one."""
    place: Path = tmp_path_factory.mktemp("views")
    with empty_database(request.param, place, postgresql_clusters) as address:
        store = store_at(address)
        yield request.param, store
        store.close()


@pytest.fixture(scope="module", autouse=True)
def _how_much_was_looked_at(pytestconfig: pytest.Config) -> Iterator[None]:
    yield
    plugins = pytestconfig.pluginmanager
    reporter, capture = map(plugins.get_plugin, ("terminalreporter", "capturemanager"))
    if "PROPERTY_EXAMPLES" in os.environ and reporter is not None and capture is not None:
        said = ", ".join(f"{count:,} {name}" for name, count in TAKEN.items())
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"\n{said}")


def emptied(store: ViewStore) -> ViewStore:
    """The same tables, without a row."""
    with store.engine.begin() as connection:
        for table in (*schema.VIEWS.values(), schema.tracking):
            connection.execute(table.delete())
    return store


def test_whatever_moment_is_asked_about_the_views_say_what_the_log_says(
    views: tuple[str, ViewStore],
) -> None:
    database, store = views

    @given(lives.logs, st.randoms(use_true_random=False), st.lists(st.integers(0, 99), max_size=3))
    @settings(
        max_examples=max(EXAMPLES // SHARE[database], 1),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def every_view_is_judged(log: list[Recorded], random: Random, cuts: list[int]) -> None:
        fill_in_parts(emptied(store), log, cuts)
        judged(store, log, random)

    every_view_is_judged()
