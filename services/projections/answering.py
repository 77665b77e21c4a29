"""What is answered to each question, from what one moment may see.

An answer about a past moment never changes. A cursor carries the moment with it, so that all pages
of an answer reflect the same one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Final, assert_never

import msgspec
from goal_contracts import codec
from goal_contracts.fields import Kind
from goal_contracts.queries import (
    AlertList,
    Alerts,
    Answer,
    AsOf,
    Blame,
    Blamed,
    Changes,
    CommentCard,
    CycleReport,
    Diff,
    Differences,
    Digest,
    Events,
    ExportView,
    Goals,
    History,
    InsightList,
    Insights,
    Moment,
    OrganisationCard,
    Position,
    Query,
    Readings,
    ReadingSeries,
    Replay,
    ReplayedEvent,
    Report,
    RolledUp,
    RollUp,
    RollUps,
    UnitCard,
    ViewPage,
    ViewPosition,
    WeeklyDigest,
)
from msgspec import Raw, Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, and_, or_, select

from services.projections import blame, by_week, digest
from services.projections.alerts import Scope, alerts_of
from services.projections.as_of import (
    NoSuchMoment,
    Picture,
    Vantage,
    position_before,
    present,
    read_moment,
    refuse_inverted,
    vantage,
)
from services.projections.cannot_answer import CannotAnswer
from services.projections.cursors import (
    CURSOR_MOMENT,
    NOT_OUR_CURSOR,
    cursor_of,
    refuse_beyond,
    resumed,
    whole_number,
)
from services.projections.diff import BEGINNING, SECTIONS, Comparison, Place, Side
from services.projections.insights import Outlook
from services.projections.kept_cards import ALL_FROM, CardsOfCycles, CardsOfKpis, Part, settled
from services.projections.report import parts_of, told
from services.projections.rests import Rest, no_rest
from services.projections.roll_ups import parents_of, roll_ups_of
from services.projections.view_store import schema
from services.projections.view_store.change_reader import is_part, of_event_seen
from services.projections.view_store.goals import Goal, Key
from services.projections.view_store.reader import FIRST, POSITION_MAX, Home, Reader
from services.projections.view_store.selects import of_units
from services.projections.views import standing
from services.projections.views.course import course_of
from services.projections.views.current import CycleState, KpiState, OrganisationState

KINDS: Final = ("unit", "cycle", "objective", "key_result", "kpi")
"""The order of the pages of one answer to AsOf."""
SHOWN_WITH: Final = {
    "unit": set(KINDS),
    "cycle": {"cycle", "objective", "key_result"},
    "objective": {"objective", "key_result"},
    "key_result": {"key_result"},
    "kpi": {"kpi"},
}
"""Asked for one thing of a kind, what is shown."""
OBJECTIVES_AT_A_TIME: Final = 100


class EventsAfter(Struct, frozen=True):
    """Events behind a position, and up to where it was looked for them."""

    events: tuple[ReplayedEvent, ...]
    reached: int


class Asked:
    """One organisation's answers, in one worker; where nobody waits for them it takes rests."""

    def __init__(
        self,
        reader: Reader,
        organisation_id: str,
        now: datetime,
        position: int,
        rest: Rest = no_rest,
    ) -> None:
        self._reader = reader
        self._organisation_id = organisation_id
        self._now = now
        self._position = position
        self._rest = rest
        self._organisations: dict[int, OrganisationState | None] = {}
        self._below: dict[tuple[str, int], frozenset[str]] = {}
        self._homes: dict[tuple[str, str], Home | None] = {}

    def answer(self, query: Query, limit: int) -> Answer:
        try:
            match query:
                case AsOf():
                    return self._as_of(query, limit)
                case History():
                    return self._history(query, limit)
                case Readings():
                    return self._readings(query, limit)
                case Replay():
                    return self._replay(query, limit)
                case CycleReport():
                    return self._report(query, limit)
                case WeeklyDigest():
                    return self._digest(query, limit)
                case ExportView():
                    return self._export(query, limit)
                case Diff():
                    return self._diff(query, limit)
                case Blame():
                    return self._blame(query, limit)
                case Position():
                    return ViewPosition(position=self._position, views=tuple(schema.VIEWS))
                case Alerts():
                    return self._alerts(query, limit)
                case Insights():
                    return self._insights(query, limit)
                case RollUps():
                    return self._roll_ups(query, limit)
                case _:
                    assert_never(query)
        except NoSuchMoment as error:
            raise CannotAnswer("malformed", str(error)) from error

    def is_final(self, query: Query) -> bool:
        """Whether nothing that is still to come can change the answer.

        A cursor carries the moment of its first page. A position that was read is over; a date is,
        once the organisation knows something of a later one.
        """
        if getattr(query, "cursor", None) is not None:
            return True
        match query:
            case WeeklyDigest(week=str()):
                return False
            case (
                AsOf()
                | History()
                | Readings()
                | CycleReport()
                | WeeklyDigest()
                | Blame()
                | Alerts()
                | Insights()
                | RollUps()
            ):
                until = [query.as_of, query.known_at]
                since = list[Moment | None]()
            case Replay():
                until, since = [query.end, query.as_of, query.known_at], [query.start]
            case Diff():
                until = [query.after, query.after_known_at]
                since = [query.before, query.before_known_at]
            case _:
                return False
        moments = [each for each in (*until, *since) if each is not None]
        return until.count(None) < len(until) and all(map(self._is_over, moments))

    def _is_over(self, text: Moment) -> bool:
        try:
            moment = read_moment(text, self._organisation().zone)
        except NoSuchMoment:
            return False
        if isinstance(moment, int):
            return moment <= self._position
        return self._reader.knows_of_later(self._organisation_id, moment)

    # ------------------------------------------------------------------ as of

    def _as_of(self, query: AsOf, limit: int) -> Goals:
        zone = self._organisation().zone
        first, after = KINDS[0], FIRST
        filters = _filters(query)
        if query.cursor is None:
            times = query.as_of, query.known_at
            one = next(iter(filters.items())) if len(filters) == 1 else None
            look = one and partial(self._reader.home_known_at, self._organisation_id, *one)
            seen = vantage(self._reader, self._organisation_id, zone, *times, self._now, look)
        else:
            seen, (first, *key) = resumed(query.cursor, self._position, 4)
            after = (key[0], key[1], key[2])
            if first not in KINDS:
                raise CannotAnswer("malformed", NOT_OUR_CURSOR)
        for kind, goal_id in filters.items():
            self._require(kind, goal_id, seen.known, seen.structure)

        comments = self._comments(query, seen, limit)
        picture, cursor = self._picture(seen), None
        of_cycles = self._cards_of_cycles(picture, limit)
        told: dict[str, tuple[Any, ...]] = dict.fromkeys(KINDS, ())
        for kind in KINDS[KINDS.index(first) :]:
            if kind in {"objective", "key_result"}:
                part = self._cards_of_goals(kind, filters, of_cycles, picture, after, limit)
            elif kind == "kpi" and not filters:
                part = CardsOfKpis(self._reader, self._organisation_id, picture).page(after, limit)
            else:
                part = _part(kind, self._goals(kind, filters, seen, after), picture, after, limit)
            told[kind], after = part.cards, FIRST
            if part.has_more:
                cursor = cursor_of(seen, kind, *part.last)
                break
            limit -= part.length
        return Goals(
            reflects=seen.reflects,
            organisation=None if filters else self._organisation_card(seen),
            units=told["unit"],
            cycles=told["cycle"],
            objectives=told["objective"],
            key_results=told["key_result"],
            kpis=told["kpi"],
            comments=comments,
            cursor=cursor,
        )

    def _cards_of_goals(
        self,
        kind: str,
        filters: dict[str, str],
        of_cycles: CardsOfCycles,
        picture: Picture,
        after: Key,
        limit: int,
    ) -> Part:
        """A page of objectives or key results, of those that are kept as far as may be."""
        seen = picture.seen
        if filters.keys() <= {"cycle"}:
            return of_cycles.page(kind, self._goals("cycle", filters, seen, FIRST), after, limit)
        if filters.keys() <= {"cycle", "unit"}:

            def goals(cycle_ids: set[str]) -> Iterator[Goal]:
                objectives = self._objectives(filters, seen)
                some = [each for each in objectives if each[0] in cycle_ids]
                return self._of_objectives(kind, some, seen, after)

            cycles = {key: each for key, each in filters.items() if key == "cycle"}
            return of_cycles.page_of_units(
                kind,
                self._goals("cycle", cycles, seen, FIRST),
                self._units_below(filters["unit"], seen),
                goals,
                after,
                limit,
            )
        if len(filters) == 1:
            (asked, goal_id), *_ = filters.items()
            home = self._home_of(asked, goal_id, seen.structure)
            if home is not None and kind in SHOWN_WITH[asked]:
                objective_id = home.objective_id or goal_id
                key_result_id = goal_id if asked == "key_result" else None
                for cycle in self._by_id("cycle", [home.cycle_id], seen, FIRST):
                    part = of_cycles.page_of_goal(
                        kind, cycle, objective_id, key_result_id, after, limit
                    )
                    if part is not None:
                        return part
        return _part(kind, self._goals(kind, filters, seen, after), picture, after, limit)

    def _comments(self, query: AsOf, seen: Vantage, limit: int) -> tuple[CommentCard, ...]:
        """The last comments on the one goal asked for."""
        if query.goal is None or query.cursor is not None:
            return ()
        kind, _, goal_id = query.goal.partition("/")
        home = self._home_of(kind, goal_id, seen.structure)
        if home is None or not home.has_comments:
            return ()
        rows = self._reader.comments(
            self._organisation_id, kind, goal_id, seen.structure, limit=limit
        )
        return tuple(
            CommentCard(row.actor, row.known_at, msgspec.json.decode(row.now or b'""', type=str))
            for row in rows
        )

    def _goals(
        self, kind: str, filters: dict[str, str], seen: Vantage, after: Key
    ) -> Iterator[Goal]:
        """The things of a kind that all filters let through, in order, after a key."""
        if any(kind not in SHOWN_WITH[each] for each in filters):
            return iter(())
        goal, where = schema.goal.c, []
        match kind:
            case "kpi":
                unit_ids = self._units_below(filters["unit"], seen) if "unit" in filters else None
                return self._reader.kpis(
                    self._organisation_id,
                    seen.known,
                    seen.structure,
                    after=after[2],
                    unit_ids=unit_ids,
                    kpi_ids=[filters["kpi"]] if "kpi" in filters else None,
                )
            case "unit" if "unit" in filters:
                unit_ids = self._units_below(filters["unit"], seen)
                return self._by_id("unit", unit_ids, seen, after)
            case "cycle" if "cycle" in filters:  # with a unit all cycles: they belong to all units
                return self._by_id("cycle", [filters["cycle"]], seen, after)
            case "key_result" if "key_result" in filters:
                found = self._by_id("key_result", [filters["key_result"]], seen, after)
                return (each for each in found if self._lets_through(each, filters, seen))
            case "objective" | "key_result" if filters.keys() & {"unit", "objective"}:
                return self._of_objectives(kind, self._objectives(filters, seen), seen, after)
            case "objective" | "key_result" if "cycle" in filters:
                where = [goal.cycle_id == filters["cycle"]]
        return self._reader.goals(self._organisation_id, kind, seen.structure, *where, after=after)

    def _by_id(
        self, kind: str, goal_ids: Iterable[str], seen: Vantage, after: Key
    ) -> Iterator[Goal]:
        goals = self._reader.goals_by_id(self._organisation_id, kind, seen.structure, goal_ids)
        return (goal for goal in goals if goal.key > after)

    def _lets_through(self, goal: Goal, filters: dict[str, str], seen: Vantage) -> bool:
        if "unit" in filters:
            return (goal.cycle_id, goal.objective_id) in self._objectives(filters, seen)
        return filters.get("cycle", goal.cycle_id) == goal.cycle_id

    def _objectives(self, filters: dict[str, str], seen: Vantage) -> list[tuple[str, str]]:
        """Cycle and id of the objectives that the filters let through, in order."""
        if "unit" in filters:
            found = self._reader.objectives_of_units(
                self._organisation_id, seen.structure, self._units_below(filters["unit"], seen)
            )
        else:
            home = self._home_of("objective", filters["objective"], seen.structure)
            found = [] if home is None else [(home.cycle_id, filters["objective"])]
        return [
            (cycle_id, objective_id)
            for cycle_id, objective_id in found
            if filters.get("cycle", cycle_id) == cycle_id
            and filters.get("objective", objective_id) == objective_id
        ]

    def _of_objectives(
        self, kind: str, objectives: list[tuple[str, str]], seen: Vantage, after: Key
    ) -> Iterator[Goal]:
        """Those objectives, or their key results, in order; some at a time."""
        started = after[:2] if kind == "key_result" else (after[0], after[2])
        rest = objectives[bisect_left(objectives, started) :]
        for start in range(0, len(rest), OBJECTIVES_AT_A_TIME):
            some = rest[start : start + OBJECTIVES_AT_A_TIME]
            if kind == "key_result":
                goals = self._reader.key_results_of(self._organisation_id, some, seen.structure)
            else:
                ids = [objective_id for _, objective_id in some]
                goals = self._reader.goals_by_id(self._organisation_id, kind, seen.structure, ids)
            yield from (goal for goal in goals if goal.key > after)

    def _units_below(self, unit_id: str, seen: Vantage) -> frozenset[str]:
        """A unit and all below it, as the tree stood."""
        key = unit_id, seen.structure
        if key not in self._below:
            self._below[key] = self._tree_below(unit_id, seen)
        return self._below[key]

    def _tree_below(self, unit_id: str, seen: Vantage) -> frozenset[str]:
        right_below = self._reader.units_right_below(self._organisation_id, seen.structure)
        below, waiting = {unit_id}, [unit_id]
        while waiting:
            new = [each for each in right_below.get(waiting.pop(), ()) if each not in below]
            below.update(new)
            waiting += new
        return frozenset(below)

    # ------------------------------------------------------------------ the other questions

    def _history(self, query: History, limit: int) -> Changes:
        if query.whole and query.kind != "cycle":
            raise CannotAnswer("malformed", f"whole is asked of a cycle, not of a {query.kind}")
        seen, key = self._moment(query, 2)
        after = (whole_number(key[0]), whole_number(key[1])) if key else (0, -1)
        self._require(query.kind, query.id, seen.known)
        if query.whole:
            which = self._of_cycle(query.id, seen, self._organisation().zone)
            rows = self._reader.changes.of_events(
                self._organisation_id, which, seen, query.field, after=after, limit=limit + 1
            )
        else:
            thing = self._organisation_id, query.kind, query.id
            rows = self._reader.changes.of_thing(
                *thing, seen, query.field, after=after, limit=limit + 1
            )
        more, rows = len(rows) > limit, rows[:limit]
        return Changes(
            reflects=seen.reflects,
            changes=tuple(map(blame.told, rows)),
            cursor=cursor_of(seen, *rows[-1].place) if more else None,
        )

    def _blame(self, query: Blame, limit: int) -> Blamed:
        seen, key = self._moment(query, 1)
        start = max(whole_number(key[0]), 0) if key else 0
        self._require(query.kind, query.id, seen.known)
        filters: dict[str, str] = {}
        if query.kind != "organisation":
            filters[query.kind] = query.id
        side = self._side(seen, filters)
        goals = [goal for goal in side.goals(query.kind, FIRST) if goal.goal_id == query.id]
        look = side.look(query.kind, goals)
        rows = blame.behind(self._reader, self._organisation_id, query.kind, [look])
        found = [
            change
            for change in blame.blamed(look, query.id, rows[query.id])
            if query.field is None or is_part(change.field, query.field)
        ]
        return Blamed(
            reflects=seen.reflects,
            fields=tuple(found[start : start + limit]),
            cursor=cursor_of(seen, start + limit) if len(found) > start + limit else None,
        )

    def _diff(self, query: Diff, limit: int) -> Differences:
        zone = self._organisation().zone
        if query.cursor is None:
            asked = ((query.before, query.before_known_at), (query.after, query.after_known_at))
            before, after = (
                vantage(self._reader, self._organisation_id, zone, *moment, self._now)
                for moment in asked
            )
            place = BEGINNING
        else:
            parts = query.cursor.split(".")
            before, _ = resumed(".".join(parts[:CURSOR_MOMENT]), self._position, 0)
            after, key = resumed(".".join(parts[CURSOR_MOMENT:]), self._position, 4)
            place = _place(key)
        filters = _filters(query)
        for kind, goal_id in filters.items():
            self._require(kind, goal_id, max(before.known, after.known))
        if "unit" in filters:
            self._leave_out_what_stayed(filters["unit"], before, after)
        sides = self._side(before, filters), self._side(after, filters)
        told, end = Comparison(self._reader, self._organisation_id, *sides).page(place, limit)
        if end is None:
            return told
        cursor = cursor_of(before, cursor_of(after, end.section, *end.key))
        return msgspec.structs.replace(told, cursor=cursor)

    def _leave_out_what_stayed(self, unit_id: str, before: Vantage, after: Vantage) -> None:
        """Of goals whose kept cards are the same ones at both moments nothing is to be told."""
        if self._units_below(unit_id, before) != self._units_below(unit_id, after):
            return
        then, now = (
            {
                cycle.goal_id: cards
                for cycle in self._goals("cycle", {}, seen, FIRST)
                if (cards := of_cycles.kept_of(cycle)) is not None
            }
            for seen in (before, after)
            for of_cycles in [self._cards_of_cycles(self._picture(seen), 0)]
        )
        for cycle_id, cards in then.items():
            if now.get(cycle_id) is cards:
                self._reader.leave_out(cards.objective_ids)

    def _side(self, seen: Vantage, filters: dict[str, str]) -> Side:
        """What AsOf shows of a moment, as it is wanted."""

        def goals(kind: Kind, after: Key) -> Iterator[Goal]:
            if kind != "organisation":
                return self._goals(kind, filters, seen, after)
            return self._by_id(kind, [] if filters else [self._organisation_id], seen, after)

        where: tuple[ColumnElement[bool], ...] | None = None
        if not filters:
            where = ()
        elif filters.keys() == {"cycle"}:
            where = (schema.goal.c.cycle_id == filters["cycle"],)
        return Side(seen, self._picture(seen), goals, where)

    def _moment(
        self, query: History | Blame | Readings, key_length: int
    ) -> tuple[Vantage, list[str]]:
        """Where a question stands, and the key its cursor goes on from, if it has one."""
        zone = self._organisation().zone
        if query.cursor is not None:
            return resumed(query.cursor, self._position, key_length)
        match query:
            case Readings():
                look = partial(self._reader.readings_known_at, self._organisation_id, query.kpi)
            case _:
                place = query.kind, query.id
                look = partial(self._reader.home_known_at, self._organisation_id, *place)
        times = query.as_of, query.known_at
        return vantage(self._reader, self._organisation_id, zone, *times, self._now, look), []

    def _readings(self, query: Readings, limit: int) -> ReadingSeries:
        seen, key = self._moment(query, 1)
        start = whole_number(key[0]) if key else 0
        found = next(self._goals("kpi", {"kpi": query.kpi}, seen, FIRST), None)
        if found is None or not isinstance(found.state, KpiState):
            raise _not_there("kpi", query.kpi, seen.known)
        rows = self._reader.readings(self._organisation_id, query.kpi, seen.known, seen.as_of)
        # Several sources may speak of a period; what counts is what would count at its end.
        stands = standing.standing(rows)
        counting = {row.period: row.position for row in stands}
        return ReadingSeries(
            reflects=seen.reflects,
            kpi=self._picture(seen).kpi(found.state, rows, stands),
            readings=tuple(
                standing.reading_card(row, counts=counting.get(row.period) == row.position)
                for row in rows[start : start + limit]
            ),
            cursor=cursor_of(seen, start + limit) if len(rows) > start + limit else None,
        )

    def _replay(self, query: Replay, limit: int) -> Events:
        zone = self._organisation().zone
        refuse_inverted(query.start, query.end, zone)
        if query.cursor is None:
            seen = self._replayed(query, zone)
            after = 0
            if query.start is not None:
                after = position_before(self._reader, self._organisation_id, zone, query.start)
        else:
            seen, key = resumed(query.cursor, self._position, 1)
            after = whole_number(key[0])
        where = [] if query.cycle is None else [self._of_cycle(query.cycle, seen, zone)]
        if (query.as_of, query.known_at) != (None, None):
            where.append(of_event_seen(seen))
        rows = self._reader.events(
            self._organisation_id, seen.known, *where, after=after, limit=limit + 1
        )
        more, rows = len(rows) > limit, rows[:limit]
        return Events(
            reflects=seen.reflects,
            events=tuple(ReplayedEvent(row.position, Raw(row.payload)) for row in rows),
            cursor=cursor_of(seen, rows[-1].position) if more else None,
        )

    def _replayed(self, query: Replay, zone: str) -> Vantage:
        """From where the events are looked at: no further than the end of their range."""
        place = self._reader, self._organisation_id, zone
        if (query.as_of, query.known_at) == (None, None):
            return vantage(*place, query.end, None, self._now)
        seen = vantage(*place, query.as_of, query.known_at, self._now)
        if query.end is None:
            return seen
        end = vantage(*place, query.end, None, self._now).known
        return msgspec.structs.replace(
            seen, known=min(seen.known, end), structure=min(seen.structure, end)
        )

    def events_after(
        self, after: int, kind: str | None, unit_id: str | None, cycle_id: str | None, limit: int
    ) -> EventsAfter:
        """Live events; a unit's are those of its goals as they stand at the event."""
        self._organisation()
        event, reached = schema.event.c, self._position
        where: list[ColumnElement[bool]] = []
        if kind is not None:
            where.append(event.kind == kind)
        if cycle_id is not None:
            self._require("cycle", cycle_id, reached)
            own = and_(event.kind == "cycle", event.goal_id == cycle_id)
            where.append(or_(own, event.cycle_id == cycle_id))
        if unit_id is not None:
            self._require("unit", unit_id, reached)
            seen = present(self._reader, self._organisation_id, self._now)
            where.append(of_units(self._units_below(unit_id, seen)))
        rows = self._reader.events(self._organisation_id, reached, *where, after=after, limit=limit)
        if len(rows) == limit:
            reached = rows[-1].position
        events = tuple(ReplayedEvent(row.position, Raw(row.payload)) for row in rows)
        return EventsAfter(events, reached)

    def _of_cycle(self, cycle_id: str, seen: Vantage, zone: str) -> ColumnElement[bool]:
        """A cycle's own events, those of its goals, and of the KPIs they follow while it runs."""
        self._require("cycle", cycle_id, seen.known)
        event = schema.event.c
        own = event.cycle_id == cycle_id
        states = self._reader.states(self._organisation_id, "cycle", [cycle_id], seen.known)
        kpi_ids = self._reader.linked_kpis(self._organisation_id, cycle_id, seen.known)
        cycle = states.get(cycle_id)
        if not kpi_ids or not isinstance(cycle, CycleState):
            return own
        span = course_of(cycle, self._organisation().policy, zone)
        change = schema.change.c
        followed = select(change.position).where(
            change.organisation_id == self._organisation_id,
            change.kind == "kpi",
            change.goal_id.in_(kpi_ids),
            change.effective_at.between(span.start, span.last),
        )
        reading = schema.reading.c
        told = select(reading.position).where(
            reading.organisation_id == self._organisation_id,
            reading.kpi_id.in_(kpi_ids),
            reading.effective_at.between(span.start, span.last),
        )
        return or_(own, event.position.in_(followed.union(told)))

    def _report(self, query: CycleReport, limit: int) -> Report:
        zone, start = self._organisation().zone, 0
        if query.cursor is None:
            as_of = query.as_of
            if (query.as_of, query.known_at) == (None, None):
                as_of = self._closing(query.cycle)
            seen = vantage(
                self._reader, self._organisation_id, zone, as_of, query.known_at, self._now
            )
        else:
            seen, key = resumed(query.cursor, self._position, 1)
            start = max(whole_number(key[0]), 0)
        goal = next(iter(self._by_id("cycle", [query.cycle], seen, FIRST)), None)
        if goal is None or not isinstance(goal.state, CycleState):
            raise _not_there("cycle", query.cycle, seen.structure)
        parts = parts_of(
            self._reader, self._organisation_id, goal.state, seen, by_week=query.by_week
        )
        end = start + limit
        cursor = cursor_of(seen, end) if end < len(parts) else None
        report = told(parts[start:end], goal, self._picture(seen), seen, cursor)
        organisation = self._organisation_at(seen.structure) or self._organisation()
        report = replace(report, organisation=organisation.name, zone=zone)
        if not query.by_week:
            return report
        return by_week.added(
            self._reader,
            self._organisation_id,
            report,
            parts[start:end],
            course_of(goal.state, organisation.policy, zone),
            seen,
            self._picture,
        )

    def _digest(self, query: WeeklyDigest, limit: int) -> Digest:
        organisation, start = self._organisation(), 0
        if query.cursor is None:
            seen = digest.seen_from(
                self._reader, self._organisation_id, organisation.zone, query, self._now
            )
        else:
            seen, key = resumed(query.cursor, self._position, 1)
            start = max(whole_number(key[0]), 0)
        unit_ids = None
        if query.unit is not None:
            self._require("unit", query.unit, seen.structure)
            unit_ids = self._units_below(query.unit, seen)
        then = self._organisation_at(seen.structure) or organisation
        week = digest.week_seen(self._reader, self._organisation_id, then, seen, unit_ids)
        parts = digest.parts_of(self._reader, week)
        end = start + limit
        return digest.told(
            self._reader,
            parts[start:end],
            week,
            self._picture,
            unit_id=query.unit,
            cursor=cursor_of(seen, end) if end < len(parts) else None,
        )

    def _closing(self, cycle_id: str) -> Moment | None:
        """The closing of a cycle that is closed."""
        states = self._reader.states(self._organisation_id, "cycle", [cycle_id], POSITION_MAX)
        cycle = states.get(cycle_id)
        if not isinstance(cycle, CycleState) or cycle.card.state != "closed":
            return None
        return f"@{cycle.card.closings[-1].position}"

    def _export(self, query: ExportView, limit: int) -> ViewPage:
        view = schema.VIEWS.get(query.view)
        if view is None:
            raise CannotAnswer(
                "not_found",
                f"there is no view {query.view}: ask for one of {', '.join(schema.VIEWS)}",
            )
        self._organisation()
        position, after = self._position, list[str]()
        if query.cursor is not None:
            first, *after = query.cursor.split(".")
            position = whole_number(first)
            refuse_beyond(self._position, position)
        try:
            exported = self._reader.export(
                view, self._organisation_id, position, after=after, limit=limit + 1
            )
        except (ValueError, OverflowError) as error:
            raise CannotAnswer("malformed", NOT_OUR_CURSOR) from error
        more, exported = len(exported) > limit, exported[:limit]
        return ViewPage(
            position=position,
            rows=tuple(_json(row) for row, _ in exported),
            cursor=".".join((str(position), *exported[-1].key)) if more else None,
        )

    # ------------------------------------------------------------------ alerts and insights

    def _alerts(self, query: Alerts, limit: int) -> AlertList:
        seen, start, scope = self._looked_at(query)
        key = self._organisation_id, seen, scope
        found = self._reader.kept.alerts.get(key)
        if found is None:
            organisation = self._organisation_seen(seen)
            found = alerts_of(
                self._reader, self._organisation_id, organisation, seen, scope, self._rest
            )
        alerts = [alert for alert in found if query.owner in {None, alert.owner}]
        end = start + limit
        if end < len(alerts):  # for the pages to come
            self._reader.kept.alerts.put(key, found)
        return AlertList(
            reflects=seen.reflects,
            alerts=tuple(alerts[start:end]),
            cursor=cursor_of(seen, end) if end < len(alerts) else None,
        )

    def _insights(self, query: Insights, limit: int) -> InsightList:
        seen, start, scope = self._looked_at(query)
        outlook = Outlook(
            self._reader, self._organisation_id, self._organisation_seen(seen), seen, scope
        )
        candidates = outlook.candidates()
        end = start + limit
        told = outlook.told(candidates[start:end])
        return replace(told, cursor=cursor_of(seen, end) if end < len(candidates) else None)

    def _roll_ups(self, query: RollUps, limit: int) -> RolledUp:
        organisation_id, zone = self._organisation_id, self._organisation().zone
        first, start = "", 0
        if query.cursor is None:
            seen = vantage(
                self._reader, organisation_id, zone, query.as_of, query.known_at, self._now
            )
        else:
            seen, (first, place) = resumed(query.cursor, self._position, 2)
            start = max(whole_number(place), 0)
        cut = self._reader.kept.roll_ups_cut
        filters = {"unit": query.unit, "cycle": query.cycle}
        named = {kind: goal_id for kind, goal_id in filters.items() if goal_id is not None}
        for kind, goal_id in named.items():
            self._require(kind, goal_id, seen.known)
        only = None if query.unit is None else self._units_below(query.unit, seen)
        units = list(self._reader.goals(organisation_id, "unit", seen.structure))
        picture = self._picture(seen)
        cycles: list[Goal] = []
        told: list[RollUp] = []
        cursor = None
        for cycle in self._goals("cycle", named, seen, FIRST):
            if cycle.goal_id < first:
                continue
            key = organisation_id, cycle.goal_id, seen, query.unit
            found = cut.get(key) if cycle.goal_id == first else None
            if found is None:
                found = self._rolled_up(cycle, named, seen, picture, units, only)
            rest = found[start if cycle.goal_id == first else 0 :]
            room = limit - len(told)
            if room < len(rest):
                place_after = len(found) - len(rest) + room
                cursor = cursor_of(seen, cycle.goal_id, place_after)
                cut.put(key, found)  # for the pages to come
            told += rest[:room]
            cycles += [cycle] if rest[:room] else []
            if cursor is not None:
                break
        named_units = {each.unit_id for each in told}
        return RolledUp(
            reflects=seen.reflects,
            cycles=tuple(picture.cycles(cycles)),
            units=tuple(
                goal.state
                for goal in units
                if goal.goal_id in named_units and isinstance(goal.state, UnitCard)
            ),
            roll_ups=tuple(told),
            cursor=cursor,
        )

    def _rolled_up(
        self,
        cycle: Goal,
        named: dict[str, str],
        seen: Vantage,
        picture: Picture,
        units: list[Goal],
        only: frozenset[str] | None,
    ) -> list[RollUp]:
        """A cycle's roll-ups; those of all units in one that is closed are kept."""
        key = None
        if only is None and isinstance(cycle.state, CycleState):
            organisation = self._organisation_seen(seen)
            key = settled(self._reader, self._organisation_id, organisation, cycle, seen)
            if key is not None:
                key = key, frozenset(parents_of(units).items())
        found = None if key is None else self._reader.kept.roll_ups.get(key)
        if found is None:
            goals = None
            if key is not None:
                goals = self._cards_of_cycles(picture, ALL_FROM).reached(cycle)
            if goals is None:
                filters = {**named, "cycle": cycle.goal_id}
                goals = picture.progress(list(self._goals("objective", filters, seen, FIRST)))
            found = roll_ups_of(goals, cycle.goal_id, units, only)
            if key is not None:
                self._reader.kept.roll_ups.put(key, found)
        return found

    def _looked_at(self, query: Alerts | Insights) -> tuple[Vantage, int, Scope]:
        """From where, from which place in the answer on, and what."""
        zone, start = self._organisation().zone, 0
        if query.cursor is None:
            seen = vantage(
                self._reader, self._organisation_id, zone, query.as_of, query.known_at, self._now
            )
        else:
            seen, key = resumed(query.cursor, self._position, 1)
            start = max(whole_number(key[0]), 0)
        for kind, goal_id in (("unit", query.unit), ("cycle", query.cycle)):
            if goal_id is not None:
                self._require(kind, goal_id, seen.known)
        unit_ids = None if query.unit is None else self._units_below(query.unit, seen)
        return seen, start, Scope(unit_ids=unit_ids, cycle_id=query.cycle)

    def keep_ahead(self) -> bool:
        """Make the cards of one closed cycle before they are asked for; False, none are left."""
        seen = present(self._reader, self._organisation_id, self._now)
        of_cycles = self._cards_of_cycles(self._picture(seen), ALL_FROM)
        return any(map(of_cycles.keep_ahead, self._goals("cycle", {}, seen, FIRST)))

    # ------------------------------------------------------------------ what must be there

    def _organisation(self) -> OrganisationState:
        """As it is now; its zone never changes."""
        state = self._organisation_at(POSITION_MAX)
        if state is None:
            raise CannotAnswer("not_found", f"there is no organisation {self._organisation_id}")
        return state

    def _organisation_at(self, position: int) -> OrganisationState | None:
        if position not in self._organisations:
            states = self._reader.states(
                self._organisation_id, "organisation", [self._organisation_id], position
            )
            state = states.get(self._organisation_id)
            self._organisations[position] = state if isinstance(state, OrganisationState) else None
        return self._organisations[position]

    def _organisation_card(self, seen: Vantage) -> OrganisationCard | None:
        state = self._organisation_at(seen.structure)
        if state is None:
            return None
        return OrganisationCard(self._organisation_id, state.name, state.zone, state.policy)

    def _organisation_seen(self, seen: Vantage) -> OrganisationState:
        """As it was, or as it is now where it was not there yet."""
        return self._organisation_at(seen.structure) or self._organisation()

    def _cards_of_cycles(self, picture: Picture, limit: int) -> CardsOfCycles:
        organisation = self._organisation_seen(picture.seen)
        return CardsOfCycles(self._reader, self._organisation_id, organisation, picture, limit)

    def _picture(self, seen: Vantage) -> Picture:
        organisation = self._organisation_seen(seen)
        return Picture(self._reader, self._organisation_id, organisation, seen)

    def _require(self, kind: str, goal_id: str, known: int, structure: int | None = None) -> None:
        """CannotAnswer, unless a thing was there; `structure` is where it will be looked at."""
        home = self._home_of(kind, goal_id, known if structure is None else structure)
        if home is None or home.position > known:
            raise _not_there(kind, goal_id, known)

    def _home_of(self, kind: str, goal_id: str, structure: int) -> Home | None:
        key = kind, goal_id
        if key not in self._homes:
            self._homes[key] = self._reader.home_of(self._organisation_id, *key, structure)
        return self._homes[key]


def _part(kind: str, goals: Iterable[Goal], picture: Picture, after: Key, at_most: int) -> Part:
    """The cards of some things of a kind, of so many at most; they come behind a key."""
    some = list(islice(goals, at_most + 1))
    has_more = len(some) > at_most
    some = some[:at_most]
    cards: Iterable[Struct]
    match kind:
        case "unit":
            cards = (goal.state for goal in some)
        case "cycle":
            cards = picture.cycles(some)
        case "objective":
            cards = picture.objectives(some)
        case "key_result":
            cards = picture.key_results(some)
        case _:
            cards = picture.kpis(some)
    return Part(tuple(cards), len(some), some[-1].key if some else after, has_more)


def _not_there(kind: str, goal_id: str, position: int) -> CannotAnswer:
    return CannotAnswer("not_found", f"there was no {kind} {goal_id} up to position {position}")


def _filters(query: AsOf | Diff) -> dict[str, str]:
    """What is asked for, by kind."""
    filters = {"unit": query.unit, "cycle": query.cycle, "kpi": query.kpi}
    if query.goal is not None:
        kind, _, goal_id = query.goal.partition("/")
        filters[kind] = goal_id
    return {kind: goal_id for kind, goal_id in filters.items() if goal_id is not None}


def _place(key: Sequence[str]) -> Place:
    """Where the page before ended."""
    section, *rest = key
    if section == BEGINNING.section:
        whole_number(rest[0])
    elif section not in SECTIONS:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR)
    return Place(section, (rest[0], rest[1], rest[2]))


def _json(row: dict[str, Any]) -> Raw:
    """A row as a JSON object; what is JSON already stays as it is."""
    return Raw(
        codec.encode(
            {key: Raw(value) if isinstance(value, bytes) else value for key, value in row.items()}
        )
    )
