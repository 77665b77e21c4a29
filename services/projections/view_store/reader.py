"""What questions need of the views, each time bounded by a position.

Rows are never changed, so whatever is read up to a position is the same whenever it is read: a
question needs no transaction. `known` is the position up to which facts count, `structure` the one
up to which goals had come to be (see as_of).
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from itertools import groupby, starmap
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from goal_contracts.queries import ObjectiveCard
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Table,
    Text,
    func,
    literal,
    select,
)
from sqlalchemy import tuple_ as row_of

from services.projections.view_store import kept, schema, selects
from services.projections.view_store.change_reader import ChangeReader
from services.projections.view_store.goals import Goal, Key
from services.projections.view_store.kept import Kept, Version, Versions
from services.projections.view_store.late import Ended, Late
from services.projections.view_store.statements import Row
from services.projections.view_store.store import unless_lost
from services.projections.views import current, standing
from services.projections.views.current import KpiState, State
from services.projections.views.rows import ChangeRow, CheckInRow, EventChanges, ReadingRow

IDS_MAX: Final = 500
"""Ids in one statement."""
AT_A_TIME: Final = 500
"""Rows in one statement, where nobody knows how many will be wanted."""
FEW_UNITS: Final = 20
"""All that so many units have ever carried is looked through sooner than all goals of a cycle."""
FIRST: Final = ("", "", "")
_ORDER_OF_SERIES: Final = ("effective_at", "first_position", "position")
_key: Final = itemgetter(0, 1, 2)
"""Of a goal its place in the order."""
_reading_key: Final = itemgetter(*map(ReadingRow._fields.index, _ORDER_OF_SERIES))
POSITION_MAX: Final = 2**63 - 1


class Home(NamedTuple):
    """The cycle and the objective a thing belongs to, or '', and where its first event is.

    And whether anybody has ever commented on it, where that is an objective, key result or KPI.
    """

    cycle_id: str
    objective_id: str
    position: int
    has_comments: bool


class Alignment(NamedTuple):
    """From a position on an objective serves a parent, a goal named by kind and id."""

    parent: str
    position: int
    objective_id: str


class Span(NamedTuple):
    """A KPI's readings that are effective from one moment up to another, both included."""

    kpi_id: str
    since: datetime
    until: datetime


class KpiMark(NamedTuple):
    """Positions that tell one state of a KPI from any other.

    That of the version it stood in, and of its newest one, which is None where it is the same; and
    of what was said last of the last period of which somebody said a value. None, nothing was.
    """

    kpi_id: str
    version: int
    newest: int | None
    said: int | None


class Replayed(NamedTuple):
    """A stored event."""

    position: int
    payload: bytes


class Exported(NamedTuple):
    """A row by column, and its key without the organisation."""

    row: dict[str, Any]
    key: list[str]


class Connecting(Protocol):
    """Whatever gives a connection to the views: an engine, or what knows which engine."""

    def connect(self) -> AbstractContextManager[Connection]: ...


class Memory:
    """What is kept from one question to the next, for each database of views."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Engine, Kept] = WeakKeyDictionary()

    def of(self, engine: Engine) -> Kept:
        """That of a database."""
        found = self._kept.get(engine)
        return self._kept.setdefault(engine, Kept()) if found is None else found


@contextmanager
def reading(
    engine: Connecting, memory: Memory | None = None, position: int = 0
) -> Iterator["Reader"]:
    """A reader on one connection; StoreUnavailable if the database cannot be read.

    `position` is one up to which the views are known to reflect the log.
    """
    with unless_lost(), engine.connect() as connection:
        if connection.dialect.name == "postgresql":  # which would begin a transaction, and end it
            connection.execution_options(isolation_level="AUTOCOMMIT")
        kept = Kept() if memory is None else memory.of(connection.engine)
        yield Reader(connection, kept, position)


class Reader:
    """Answers about one organisation are bounded by a position; see the module.

    For one question about one organisation: what it has looked up it remembers.
    """

    def __init__(self, connection: Connection, kept: Kept, position: int) -> None:
        self._connection = connection
        self.kept = kept
        self._position = position
        self.changes = ChangeReader(connection)
        self._stood: dict[tuple[str, int], dict[str, Goal | None]] = defaultdict(dict)
        """By kind and structure, then by id; None, it was not there."""
        self._key_results: dict[tuple[int, str, str], list[Goal]] = {}
        """By structure, cycle and objective: told with it, and for themselves."""
        self._aligned: dict[int, dict[str, list[Alignment]]] = defaultdict(dict)
        """By structure, then by parent."""
        self._of_cycles: dict[tuple[int, str], list[Goal]] = {}
        """All objectives, by structure and cycle."""
        self._ever: dict[frozenset[str], dict[str, list[str]]] = {}
        """By units: by kind all that they have ever carried."""
        self._carried: dict[tuple[int, frozenset[str]], list[ObjectiveCard]] = {}
        self._left_out: list[Container[str]] = []
        self._homes: dict[tuple[str, str, int], Home] = {}
        """By kind, id and structure."""
        self._readings: dict[tuple[str, int, datetime], list[ReadingRow]] = {}
        """By KPI, known and as of."""

    def organisations(self) -> list[str]:
        """All there are, in order."""
        column = schema.goal.c
        statement = select(column.organisation_id).where(
            column.kind == "organisation", column.goal_id == column.organisation_id
        )
        return sorted(self._connection.execute(statement).scalars())

    # ------------------------------------------------------------------ positions and dates

    def last_position(self, organisation_id: str, at_most: int) -> tuple[int, datetime] | None:
        """The organisation's last event at or before a position, and what was known by then."""
        rows = selects.LAST_POSITION.rows(
            self._connection, organisation_id=organisation_id, at_most=at_most
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def knows_of_later(self, organisation_id: str, at: datetime) -> bool:
        """Whether the organisation knows something of after a moment."""

        def latest() -> datetime | None:
            last = self.last_position(organisation_id, POSITION_MAX)
            return None if last is None else last[1]

        return self.kept.knows_of_later(organisation_id, at, latest)

    def _versions(self, organisation_id: str, kind: str, structure: int) -> Versions | None:
        """What is kept of things of that kind; None, where it may not reach as far."""
        if kind not in kept.KINDS or self._position == 0:
            return None
        if structure == POSITION_MAX:
            structure = self._position
        if structure > self._position:
            return None

        def behind(position: int) -> list[Version]:
            rows = selects.VERSIONS.rows(
                self._connection, organisation_id=organisation_id, after=position
            )
            return [Version(kind, _goal(kind, (*key, state)), at) for kind, *key, at, state in rows]

        return self.kept.versions(organisation_id, structure, self._position, behind)

    def position_known_at(self, organisation_id: str, known_at: datetime) -> int:
        """The greatest position whose running maximum of `known_at` is not after a date."""
        rows = selects.POSITION_KNOWN_AT.rows(
            self._connection, organisation_id=organisation_id, known_at=known_at
        )
        return rows[0][0] if rows else 0

    # ------------------------------------------------------------------ goals

    def home_of(self, organisation_id: str, kind: str, goal_id: str, structure: int) -> Home | None:
        """Where a thing belongs for good, and since when it is there; None, it never was.

        How it stood is remembered, and how its objective did, as that is mostly asked next.
        """
        if (versions := self._versions(organisation_id, kind, POSITION_MAX)) is not None:
            began = versions.began(kind, goal_id)
            return None if began is None else Home("", "", began, has_comments=False)
        if (home := self._homes.get((kind, goal_id, structure))) is not None:
            return home
        rows = selects.HOME_OF.rows(
            self._connection,
            organisation_id=organisation_id,
            kind=kind,
            goal_id=goal_id,
            structure=structure,
        )
        if not rows:
            return None
        return self._home(kind, goal_id, structure, rows[0])

    def home_known_at(
        self, organisation_id: str, kind: str, goal_id: str, known_at: datetime
    ) -> int | None:
        """The position that was known at a moment, and the home from there, which is remembered.

        None, if there is no such thing, or nothing would be saved.
        """
        if kind in kept.KINDS:
            return None
        rows = selects.HOME_KNOWN_AT.rows(
            self._connection,
            organisation_id=organisation_id,
            kind=kind,
            goal_id=goal_id,
            known_at=known_at,
        )
        if not rows:
            return None
        *row, position = rows[0]
        self._homes[kind, goal_id, position] = self._home(kind, goal_id, position, row)
        return int(position)

    def _home(self, kind: str, goal_id: str, structure: int, row: Sequence[Any]) -> Home:
        cycle_id, objective_id, _, state, objective, position, has_comments = row
        of_kind, of_objectives = self._stood[kind, structure], self._stood["objective", structure]
        of_kind[goal_id] = None if state is None else _goal(kind, tuple(row[:4]))
        if objective is not None:
            of_objective = cycle_id, "", objective_id, objective
            of_objectives.setdefault(objective_id, _goal("objective", of_objective))
        return Home(cycle_id, objective_id, position, bool(has_comments))

    def goals(
        self,
        organisation_id: str,
        kind: str,
        structure: int,
        *where: ColumnElement[bool],
        after: Key = FIRST,
    ) -> Iterator[Goal]:
        """Things of a kind as they stood, in order; read as far as wanted."""
        if where:
            statement = (
                selects.stood(literal(organisation_id), literal(kind), literal(structure))
                .where(*where)
                .order_by(*selects.KEY)
            )
            if after != FIRST:
                statement = statement.where(row_of(*selects.KEY) > row_of(*after))
            for found in self._connection.execute(statement):
                yield self._remembered(kind, structure, found)
            return
        if (versions := self._versions(organisation_id, kind, structure)) is not None:
            goals = versions.all_stood(kind, structure)
            yield from goals[bisect_right(goals, after, key=_key) :]
            return
        more = True
        while more:
            rows = selects.GOALS.rows(
                self._connection,
                organisation_id=organisation_id,
                kind=kind,
                structure=structure,
                after_cycle=after[0],
                after_objective=after[1],
                after_goal=after[2],
                limit=AT_A_TIME,
            )
            for row in rows:
                yield self._remembered(kind, structure, row)
            more = len(rows) == AT_A_TIME
            after = rows[-1][:3] if rows else after

    def goals_of_cycle(
        self,
        organisation_id: str,
        kind: str,
        structure: int,
        cycle_id: str,
        *,
        after: Key = FIRST,
        limit: int,
    ) -> list[Goal]:
        """Objectives or key results of a cycle as they stood, in order."""
        rows = selects.GOALS_OF_CYCLE.rows(
            self._connection,
            organisation_id=organisation_id,
            kind=kind,
            structure=structure,
            cycle_id=cycle_id,
            after_objective=after[1],
            after_goal=after[2],
            limit=limit,
        )
        return [self._remembered(kind, structure, row) for row in rows]

    def objectives_of_cycle(
        self, organisation_id: str, cycle_id: str, structure: int
    ) -> list[Goal]:
        """All of them as they stood, in order."""
        key = structure, cycle_id
        if key not in self._of_cycles:
            self._of_cycles[key] = self.goals_of_cycle(
                organisation_id, "objective", structure, cycle_id, limit=POSITION_MAX
            )
        return self._of_cycles[key]

    def read_key_results(self, organisation_id: str, cycle_id: str, structure: int) -> None:
        """Those of all objectives of a cycle at once, which are asked for next."""
        found: dict[tuple[int, str, str], list[Goal]] = {
            (structure, cycle_id, goal.goal_id): []
            for goal in self.objectives_of_cycle(organisation_id, cycle_id, structure)
        }
        for goal in self.goals_of_cycle(
            organisation_id, "key_result", structure, cycle_id, limit=POSITION_MAX
        ):
            found[structure, cycle_id, goal.objective_id].append(goal)
        self._key_results |= found

    def count_in_cycle(self, organisation_id: str, cycle_id: str) -> int:
        """How many goals a cycle has, with those that come later."""
        rows = selects.COUNT_IN_CYCLE.rows(
            self._connection, organisation_id=organisation_id, cycle_id=cycle_id
        )
        return sum(row[0] for row in rows)

    def units_right_below(
        self, organisation_id: str, structure: int
    ) -> Mapping[str, Sequence[str]]:
        """The units right below each, as the tree stood."""
        if (versions := self._versions(organisation_id, "unit", structure)) is not None:
            return versions.right_below(structure)
        return kept.below(self.goals(organisation_id, "unit", structure))

    def _remembered(self, kind: str, structure: int, row: Row) -> Goal:
        """A thing as it stood, which may be asked for by its id next."""
        goal = self._stood[kind, structure][row[2]] = _goal(kind, row)
        return goal

    def goals_by_id(
        self, organisation_id: str, kind: str, structure: int, goal_ids: Iterable[str]
    ) -> list[Goal]:
        """Some things of a kind as they stood, in order."""
        return sorted(self._stood_of(organisation_id, kind, structure, goal_ids), key=_key)

    def states(
        self, organisation_id: str, kind: str, goal_ids: Iterable[str], structure: int
    ) -> dict[str, State]:
        """Things by id as they stood."""
        goals = self._stood_of(organisation_id, kind, structure, goal_ids)
        return {goal.goal_id: goal.state for goal in goals}

    def _stood_of(
        self, organisation_id: str, kind: str, structure: int, goal_ids: Iterable[str]
    ) -> Iterator[Goal]:
        """Some things of a kind as they stood."""
        known, wanted = self._stood[kind, structure], set(goal_ids)
        if (versions := self._versions(organisation_id, kind, structure)) is not None:
            return filter(None, (versions.stood(kind, each, structure) for each in wanted))
        if missing := wanted - known.keys():
            # Asked for their order, the database would walk through everything for it.
            rows = selects.GOALS_BY_ID.rows(
                self._connection,
                missing,
                organisation_id=organisation_id,
                kind=kind,
                structure=structure,
            )
            known.update(dict.fromkeys(missing))
            known.update((row[2], _goal(kind, row)) for row in rows)
        return filter(None, map(known.__getitem__, wanted))

    def key_results_of(
        self, organisation_id: str, objectives: Iterable[tuple[str, str]], structure: int
    ) -> list[Goal]:
        """The key results of some objectives, named by cycle and id, as they stood; in order."""
        wanted = {(structure, *each) for each in objectives}
        missing = wanted - self._key_results.keys()
        self._key_results |= {each: [] for each in missing}
        rows = selects.KEY_RESULTS_OF.rows(
            self._connection,
            [each[1:] for each in missing],
            organisation_id=organisation_id,
            structure=structure,
        )
        for row in sorted(rows, key=_key):
            self._key_results[structure, row[0], row[1]].append(_goal("key_result", row))
        return [goal for each in sorted(wanted) for goal in self._key_results[each]]

    def objectives_of_units(
        self, organisation_id: str, structure: int, unit_ids: Collection[str]
    ) -> list[tuple[str, str]]:
        """The objectives that some units carried, by cycle and id, in order."""
        carried = self._carried_by(organisation_id, unit_ids, structure)
        return sorted((card.cycle_id, card.objective_id) for card in carried)

    def objectives_pursued(
        self, organisation_id: str, cycle_id: str, unit_ids: Collection[str], structure: int
    ) -> Counter[str]:
        """How many objectives some units have in a cycle, without those dropped or carried."""
        if len(unit_ids) > FEW_UNITS:
            goals = self.objectives_of_cycle(organisation_id, cycle_id, structure)
            cards = [goal.state for goal in goals if isinstance(goal.state, ObjectiveCard)]
        else:
            cards = self._carried_by(organisation_id, unit_ids, structure)
        return Counter(
            card.unit_id
            for card in cards
            if card.cycle_id == cycle_id and card.state in {"draft", "published"}
            if card.unit_id in unit_ids
        )

    def _carried_by(
        self, organisation_id: str, unit_ids: Collection[str], structure: int
    ) -> list[ObjectiveCard]:
        """The objectives that some units carried, as they stood."""
        key = structure, frozenset(unit_ids)
        if key not in self._carried:
            ever = self._ever_of_units(organisation_id, "objective", unit_ids)
            self._carried[key] = [
                goal.state
                for goal in self.goals_by_id(organisation_id, "objective", structure, ever)
                if isinstance(goal.state, ObjectiveCard) and goal.state.unit_id in key[1]
            ]
        return self._carried[key]

    def leave_out(self, objective_ids: Container[str]) -> None:
        """Of what units carried, tell no more of some objectives: whoever asks knows of them."""
        self._left_out.append(objective_ids)

    def _ever_of_units(
        self, organisation_id: str, kind: str, unit_ids: Collection[str]
    ) -> list[str]:
        """Which objectives or KPIs some units have ever carried, up to whatever position."""
        key = frozenset(unit_ids)
        if key not in self._ever:
            found = self._ever[key] = defaultdict(list)
            # Who asks for the ones mostly asks for the others next.
            for of_kind, goal_id in selects.EVER_OF_UNITS.rows(
                self._connection,
                [(each_kind, unit_id) for each_kind in ("objective", "kpi") for unit_id in key],
                organisation_id=organisation_id,
            ):
                if of_kind != "objective" or not any(goal_id in each for each in self._left_out):
                    found[of_kind].append(goal_id)
        return self._ever[key][kind]

    def alignments(
        self, organisation_id: str, parents: Iterable[str], structure: int
    ) -> list[Alignment]:
        """Which objectives serve, or have served, some goals, and since when."""
        known, wanted = self._aligned[structure], set(parents)
        missing = wanted - known.keys()
        known.update((parent, []) for parent in missing)
        for row in selects.ALIGNMENTS.rows(
            self._connection, missing, organisation_id=organisation_id, structure=structure
        ):
            known[row[0]].append(Alignment._make(row))
        return [each for parent in wanted for each in known[parent]]

    def kpis(
        self,
        organisation_id: str,
        known: int,
        structure: int,
        after: str = "",
        unit_ids: Collection[str] | None = None,
        kpi_ids: Collection[str] | None = None,
    ) -> Iterator[Goal]:
        """KPIs as they stood, with every version of their definition that was known.

        One that came to be watched only later is there as it was first defined: what it measures
        was so all along, and its readings may reach far back. Read as far as wanted.
        """
        bounds: dict[str, Any] = {
            "organisation_id": organisation_id,
            "known": known,
            "structure": structure,
        }
        if kpi_ids is None and unit_ids is not None:
            kpi_ids = self._ever_of_units(organisation_id, "kpi", unit_ids)
        if kpi_ids is not None:
            of_ids = sorted(selects.KPIS_BY_ID.rows(self._connection, kpi_ids, **bounds))
            yield from _kpis((row for row in of_ids if row[0] > after), unit_ids)
            return
        more = True
        while more:
            some = selects.KPIS.rows(self._connection, after=after, limit=AT_A_TIME, **bounds)
            yield from _kpis(some, None)
            more = len(some) == AT_A_TIME
            after = some[-1][0] if some else after

    def kpi_marks(
        self,
        organisation_id: str,
        known: int,
        structure: int,
        as_of: datetime,
        *,
        after: str,
        limit: int,
    ) -> list[KpiMark]:
        """The same in short: what the states of KPIs and the readings that count differ by."""
        rows = selects.KPI_MARKS.rows(
            self._connection,
            organisation_id=organisation_id,
            known=known,
            structure=structure,
            as_of=as_of,
            after=after,
            limit=limit,
        )
        return list(map(KpiMark._make, rows))

    def linked_kpis(self, organisation_id: str, cycle_id: str, known: int) -> list[str]:
        """The KPIs that key results of a cycle follow or have followed."""
        rows = selects.LINKED_KPIS.rows(
            self._connection, organisation_id=organisation_id, cycle_id=cycle_id, known=known
        )
        return [row[0] for row in rows]

    # ------------------------------------------------------------------ late

    def late(
        self, organisation_id: str, known: int, ended: Callable[[int], Iterable[Ended]]
    ) -> Late:
        """What came to closed cycles, up to a position at least.

        `ended` gives all that were closed up to another.
        """
        late = self.late_known(organisation_id)
        if late.upto >= known:
            return late
        upto = max(known, self._position)
        of_cycles = [
            (each.cycle_id, max(each.closed, late.upto), each.since, each.until)
            for each in ended(upto)
        ]
        bounds = {"organisation_id": organisation_id, "known": upto}
        done = selects.DONE_LATE.rows(
            self._connection, [(cycle_id, after) for cycle_id, after, *_ in of_cycles], **bounds
        )
        said = selects.SAID_LATE.rows(self._connection, of_cycles, **bounds)
        late = late.with_more(upto, done, said)
        self.kept.late.put(organisation_id, late)
        return late

    def late_known(self, organisation_id: str) -> Late:
        """What of it is known already, up to whatever position."""
        late = self.kept.late.get(organisation_id)
        return Late() if late is None else late

    # ------------------------------------------------------------------ check-ins and readings

    def check_ins(
        self, organisation_id: str, key_result_ids: Iterable[str], known: int, as_of: datetime
    ) -> dict[str, list[CheckInRow]]:
        """What was said of some key results, in the order of the keys."""
        rows = selects.CHECK_INS.rows(
            self._connection,
            key_result_ids,
            organisation_id=organisation_id,
            known=known,
            as_of=as_of,
        )
        return {
            key: list(group)
            for key, group in groupby(map(CheckInRow._make, rows), lambda row: row.key_result_id)
        }

    def last_check_ins(
        self, organisation_id: str, key_result_ids: Iterable[str], known: int, as_of: datetime
    ) -> dict[str, CheckInRow]:
        """What comes last, in the order of the keys, of what was said of some key results."""
        rows = selects.LAST_CHECK_INS.rows(
            self._connection,
            [(each,) for each in key_result_ids],
            organisation_id=organisation_id,
            known=known,
            as_of=as_of,
        )
        found: dict[str, CheckInRow] = {}
        for row in map(CheckInRow._make, rows):
            last = found.setdefault(row.key_result_id, row)
            if _in_order(row) > _in_order(last):
                found[row.key_result_id] = row
        return found

    def readings(
        self, organisation_id: str, kpi_id: str, known: int, as_of: datetime
    ) -> list[ReadingRow]:
        """What was said of a KPI, in the order of the keys."""
        if (found := self._readings.get((kpi_id, known, as_of))) is not None:
            return found
        rows = selects.READINGS.rows(
            self._connection,
            organisation_id=organisation_id,
            kpi_id=kpi_id,
            known=known,
            as_of=as_of,
        )
        return list(map(ReadingRow._make, rows))

    def readings_known_at(
        self, organisation_id: str, kpi_id: str, known_at: datetime
    ) -> int | None:
        """The position that was known at a moment, and the readings by then, which are remembered.

        None, if there are none.
        """
        rows = selects.READINGS_KNOWN_AT.rows(
            self._connection,
            organisation_id=organisation_id,
            kpi_id=kpi_id,
            known_at=known_at,
            as_of=known_at,
        )
        if not rows:
            return None
        position: int = rows[0][-1]
        # Asked for in order, a database would order them anew, for the moment beside them.
        rows = sorted(rows, key=_reading_key)
        self._readings[kpi_id, position, known_at] = [ReadingRow._make(row[:-1]) for row in rows]
        return position

    def counting_readings(
        self, organisation_id: str, spans: Iterable[Span], known: int
    ) -> dict[Span, ReadingRow]:
        """The reading that counts at the end of each span; none, where nothing was said in it."""
        found: dict[Span, ReadingRow] = {}
        for span, last in self._last_said(organisation_id, spans, known).items():
            rows = last
            if not standing.standing(last):
                # The last period was taken back: which one before it counts, the series tells.
                all_rows = self.readings(organisation_id, span.kpi_id, known, span.until)
                rows = [row for row in all_rows if row.effective_at >= span.since]
            if stands := standing.standing(rows):
                found[span] = stands[-1]
        return found

    def _last_said(
        self, organisation_id: str, spans: Iterable[Span], known: int
    ) -> dict[Span, list[ReadingRow]]:
        """What was said of the last period in each span of which somebody said a value."""
        by_key = {
            (each.kpi_id, *map(schema.microseconds, (each.since, each.until))): each
            for each in spans
        }
        rows = selects.LAST_SAID.rows(
            self._connection, by_key, organisation_id=organisation_id, known=known
        )
        found: dict[Span, list[ReadingRow]] = defaultdict(list)
        for kpi_id, since, until, *values in rows:
            found[by_key[kpi_id, since, until]].append(ReadingRow(*values))
        for of_span in found.values():
            of_span.sort(key=_in_order)
        return found

    def there(
        self, organisation_id: str, kind: str, goal_ids: Iterable[str], position: int
    ) -> set[str]:
        """Which of some things had come to be by a position."""
        rows = selects.THERE.rows(
            self._connection,
            goal_ids,
            organisation_id=organisation_id,
            kind=kind,
            position=position,
        )
        return {row[0] for row in rows}

    # ------------------------------------------------------------------ readings of many KPIs

    def series(
        self, organisation_id: str, kpi_ids: Iterable[str], known: int, as_of: datetime
    ) -> dict[str, list[ReadingRow]]:
        """What was said of some KPIs, each in the order of the keys."""
        rows = selects.SERIES.rows(
            self._connection, kpi_ids, organisation_id=organisation_id, known=known, as_of=as_of
        )
        return _by_kpi(rows)

    def last_readings(
        self, organisation_id: str, kpi_ids: Iterable[str], known: int, as_of: datetime
    ) -> dict[str, list[ReadingRow]]:
        """What was said of the last period of each KPI of which somebody said a value."""
        rows = selects.LAST_READINGS.rows(
            self._connection,
            [(each,) for each in kpi_ids],
            organisation_id=organisation_id,
            known=known,
            as_of=as_of,
        )
        return _by_kpi(rows)

    def counting_at(
        self, organisation_id: str, kpi_ids: Iterable[str], known: int, as_of: datetime
    ) -> dict[str, ReadingRow]:
        """The reading of each KPI that counts at a moment; none, where nothing was said."""
        found: dict[str, ReadingRow] = {}
        for kpi_id, last in self.last_readings(organisation_id, kpi_ids, known, as_of).items():
            stands = standing.standing(last)
            if not stands:  # see above
                stands = standing.standing(self.readings(organisation_id, kpi_id, known, as_of))
            if stands:
                found[kpi_id] = stands[-1]
        return found

    def missed_of(
        self, organisation_id: str, kpi_ids: Iterable[str], known: int, as_of: datetime
    ) -> dict[str, list[ReadingRow]]:
        """What was said of the periods of some KPIs that were missed at first."""
        rows = selects.ONCE_MISSED.rows(
            self._connection, kpi_ids, organisation_id=organisation_id, known=known, as_of=as_of
        )
        return _by_kpi(rows)

    def missed_between(
        self, organisation_id: str, after: str, last: str, known: int, as_of: datetime
    ) -> dict[str, list[ReadingRow]]:
        """The same of all KPIs behind an id, up to another."""
        rows = selects.ONCE_MISSED_BETWEEN.rows(
            self._connection,
            organisation_id=organisation_id,
            after=after,
            last=last,
            known=known,
            as_of=as_of,
        )
        return _by_kpi(rows)

    # ------------------------------------------------------------------ history, replay, export

    def touched(self, organisation_id: str, after: int, last: int) -> dict[str, list[str]]:
        """What something happened to after a position up to another: ids by kind, in order."""
        column = schema.event.c
        statement = (
            select(column.kind, column.goal_id)
            .distinct()
            .where(
                column.organisation_id == organisation_id,
                column.position > after,
                column.position <= last,
            )
        )
        found: dict[str, list[str]] = defaultdict(list)
        for kind, goal_id in sorted(tuple(row) for row in self._connection.execute(statement)):
            found[kind].append(goal_id)
        return dict(found)

    def changed(
        self, organisation_id: str, kind: str, goal_ids: Iterable[str], after: int, last: int
    ) -> Iterator[ChangeRow]:
        """What happened to some things of a kind after a position up to another.

        Of check-ins and readings only what became of them later.
        """
        column = schema.change.c
        for ids in _chunks(goal_ids):
            statement = select(schema.change).where(
                column.organisation_id == organisation_id,
                column.kind == kind,
                column.goal_id.in_(ids),
                column.position > after,
                column.position <= last,
            )
            for row in self._connection.execute(statement):
                yield from EventChanges(*row).rows()

    def comments(
        self, organisation_id: str, kind: str, goal_id: str, known: int, *, limit: int
    ) -> list[ChangeRow]:
        """The last comments on a thing, in order."""
        rows = selects.COMMENTS.rows(
            self._connection,
            organisation_id=organisation_id,
            kind=kind,
            goal_id=goal_id,
            known=known,
            limit=limit,
        )
        return [each for row in reversed(rows) for each in EventChanges(*row).rows()]

    def last_touched(
        self,
        organisation_id: str,
        kind: str,
        goal_ids: Iterable[str],
        known: int,
        *,
        not_by: str,
    ) -> dict[str, datetime]:
        """When it was last known that somebody, but for one actor, did something with things."""
        change = schema.change.c
        places = [(change, change.goal_id, [change.kind == kind])]
        if kind == "key_result":
            places.append((schema.check_in.c, schema.check_in.c.key_result_id, []))
        elif kind == "kpi":
            places.append((schema.reading.c, schema.reading.c.kpi_id, []))
        found: dict[str, datetime] = {}
        for ids in _chunks(goal_ids):
            for column, goal_id, of_kind in places:
                statement = (
                    select(goal_id, func.max(column.known_at))
                    .where(
                        column.organisation_id == organisation_id,
                        *of_kind,
                        goal_id.in_(ids),
                        column.position <= known,
                        column.actor != not_by,
                    )
                    .group_by(goal_id)
                )
                for touched, at in self._connection.execute(statement):
                    found[touched] = max(at, found.get(touched, at))
        return found

    def payloads(
        self,
        organisation_id: str,
        kind: str,
        goal_ids: Iterable[str],
        event_names: Collection[str],
        known: int,
    ) -> list[Replayed]:
        """The stored events of those names that happened to some things."""
        event, change = schema.event.c, schema.change.c
        return [
            Replayed(*row)
            for ids in _chunks(goal_ids)
            for row in self._connection.execute(
                select(event.position, event.payload).where(
                    event.organisation_id == organisation_id,
                    event.position.in_(
                        select(change.position).where(
                            change.organisation_id == organisation_id,
                            change.kind == kind,
                            change.goal_id.in_(ids),
                            change.event.in_(event_names),
                            change.position <= known,
                        )
                    ),
                )
            )
        ]

    def events_at(self, organisation_id: str, positions: Iterable[int]) -> list[Replayed]:
        """The stored events at some positions, in order."""
        rows = selects.EVENTS_AT.rows(self._connection, positions, organisation_id=organisation_id)
        return sorted(starmap(Replayed, rows))

    def events(
        self,
        organisation_id: str,
        last: int,
        *where: ColumnElement[bool],
        after: int,
        limit: int,
    ) -> list[Replayed]:
        """Stored events after a position up to another, in order."""
        column = schema.event.c
        statement = (
            select(column.position, column.payload)
            .where(
                column.organisation_id == organisation_id,
                column.position > after,
                column.position <= last,
                *where,
            )
            .order_by(column.position)
            .limit(limit)
        )
        return [Replayed(*row) for row in self._connection.execute(statement)]

    def export(
        self, view: Table, organisation_id: str, known: int, *, after: Sequence[str], limit: int
    ) -> list[Exported]:
        """Rows of a view in the order of their keys; ValueError if `after` is no key of it."""
        keys = [column for column in view.primary_key if column.name != "organisation_id"]
        statement = (
            select(view)
            .where(view.c.organisation_id == organisation_id, view.c.position <= known)
            .order_by(*keys)
            .limit(limit)
        )
        if after:
            key = [_key_value(column, text) for column, text in zip(keys, after, strict=True)]
            statement = statement.where(row_of(*keys) > row_of(*key))
        return [
            Exported(dict(row), [_key_text(row[column.name]) for column in keys])
            for row in self._connection.execute(statement).mappings()
        ]


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), IDS_MAX):
        yield wanted[start : start + IDS_MAX]


def _goal(kind: str, row: Row) -> Goal:
    cycle_id, objective_id, goal_id, state = row
    return Goal(cycle_id, objective_id, goal_id, current.decode(kind, state))


def _by_kpi(rows: Iterable[Row]) -> dict[str, list[ReadingRow]]:
    """Readings, each KPI's in the order of the keys, and each once."""
    found: dict[str, list[ReadingRow]] = defaultdict(list)
    for row in {row.position: row for row in map(ReadingRow._make, rows)}.values():
        found[row.kpi_id].append(row)
    for of_kpi in found.values():
        of_kpi.sort(key=_in_order)
    return found


def _in_order(row: CheckInRow | ReadingRow) -> tuple[datetime, int, int]:
    return row.effective_at, row.first_position, row.position


def _kpis(rows: Iterable[Row], unit_ids: Container[str] | None) -> Iterator[Goal]:
    for kpi_id, state, newest_state in rows:
        kpi = latest = current.decode("kpi", state)
        if newest_state not in {None, state}:
            latest = current.decode("kpi", newest_state)
        if (
            isinstance(kpi, KpiState)
            and isinstance(latest, KpiState)
            and (unit_ids is None or kpi.card.unit_id in unit_ids)
        ):
            yield Goal("", "", kpi_id, KpiState(kpi.card, latest.versions))


def _key_text(value: object) -> str:
    return str(schema.microseconds(value) if isinstance(value, datetime) else value)


def _key_value(column: Column[Any], text: str) -> ColumnElement[Any]:
    match column.type:
        case schema.Instant():
            return literal(schema.instant(int(text)), column.type)
        case Text():
            return literal(text, column.type)
        case _:
            return literal(int(text), column.type)
