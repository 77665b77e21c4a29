"""What questions need of the views, each time bounded by a position.

Rows are never changed, so whatever is read up to a position is the same whenever it is read: a
question needs no transaction. `known` is the position up to which facts count, `structure` the one
up to which goals had come to be (see as_of).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any, Final, NamedTuple, Protocol

from goal_contracts import events
from goal_contracts.queries import ObjectiveCard
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    Table,
    Text,
    and_,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy import tuple_ as row_of

from services.projections.view_store import schema
from services.projections.view_store.store import unless_lost
from services.projections.views import current, standing
from services.projections.views.current import KpiState, State
from services.projections.views.rows import ChangeRow, CheckInRow, ReadingRow

IDS_MAX: Final = 500
"""Ids in one statement."""
FIRST: Final = ("", "", "")
_KEY: Final = (schema.goal.c.cycle_id, schema.goal.c.objective_id, schema.goal.c.goal_id)


Key = tuple[str, str, str]
"""Cycle, objective and id: the order in which goals are told."""


class Goal(NamedTuple):
    """A thing as it stood, and where it belongs; '' where it belongs to none."""

    cycle_id: str
    objective_id: str
    goal_id: str
    state: State

    @property
    def key(self) -> Key:
        """Its place in the order."""
        return self[:3]


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


@contextmanager
def reading(engine: Connecting) -> Iterator["Reader"]:
    """A reader on one connection; StoreUnavailable if the database cannot be read."""
    with unless_lost(), engine.connect() as connection:
        yield Reader(connection)


class Reader:
    """Answers about one organisation are bounded by a position; see the module."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # ------------------------------------------------------------------ positions and dates

    def last_position(self, organisation_id: str, at_most: int) -> tuple[int, datetime] | None:
        """The organisation's last event at or before a position, and what was known by then."""
        column = schema.event.c
        return self._event(
            select(column.position, column.known_at_max)
            .where(column.organisation_id == organisation_id, column.position <= at_most)
            .order_by(column.position.desc())
        )

    def position_known_at(self, organisation_id: str, known_at: datetime) -> int:
        """The greatest position whose running maximum of `known_at` is not after a date."""
        column = schema.event.c
        found = self._event(
            select(column.position, column.known_at_max)
            .where(column.organisation_id == organisation_id, column.known_at_max <= known_at)
            .order_by(column.known_at_max.desc(), column.position.desc())
        )
        return 0 if found is None else found[0]

    def _event(self, statement: Select[int, datetime]) -> tuple[int, datetime] | None:
        row = self._connection.execute(statement.limit(1)).first()
        return None if row is None else (row[0], row[1])

    # ------------------------------------------------------------------ goals

    def cycle_of(self, organisation_id: str, kind: str, goal_id: str, known: int) -> str | None:
        """The cycle a thing belongs to, or '' for none; None if it was not there up to then."""
        column = schema.goal.c
        statement = select(column.cycle_id).where(
            column.organisation_id == organisation_id,
            column.kind == kind,
            column.goal_id == goal_id,
            column.position <= known,
        )
        return self._connection.execute(statement).scalar()

    def goals(
        self,
        organisation_id: str,
        kind: str,
        structure: int,
        *where: ColumnElement[bool],
        after: Key = FIRST,
    ) -> Iterator[Goal]:
        """Things of a kind as they stood, in order; read as far as wanted."""
        statement = _stood(organisation_id, kind, structure).where(*where).order_by(*_KEY)
        if after != FIRST:
            statement = statement.where(row_of(*_KEY) > row_of(*after))
        return self._found(kind, statement)

    def goals_by_id(
        self, organisation_id: str, kind: str, structure: int, goal_ids: Iterable[str]
    ) -> list[Goal]:
        """Some things of a kind as they stood, in order."""
        # Sorted here: asked for the order, the database would walk through everything for it.
        found = [
            goal
            for ids in _chunks(goal_ids)
            for goal in self._found(
                kind,
                _stood(organisation_id, kind, structure).where(schema.goal.c.goal_id.in_(ids)),
            )
        ]
        return sorted(found, key=lambda goal: goal.key)

    def states(
        self, organisation_id: str, kind: str, goal_ids: Iterable[str], structure: int
    ) -> dict[str, State]:
        """Things by id as they stood."""
        goals = self.goals_by_id(organisation_id, kind, structure, goal_ids)
        return {goal.goal_id: goal.state for goal in goals}

    def key_results_of(
        self, organisation_id: str, objectives: Iterable[tuple[str, str]], structure: int
    ) -> list[Goal]:
        """The key results of some objectives, named by cycle and id, as they stood; in order."""
        goal = schema.goal.c
        by_cycle: dict[str, list[str]] = defaultdict(list)
        for cycle_id, objective_id in objectives:
            by_cycle[cycle_id].append(objective_id)
        return [
            key_result
            for cycle_id, objective_ids in sorted(by_cycle.items())
            for ids in _chunks(objective_ids)
            for key_result in self.goals(
                organisation_id,
                "key_result",
                structure,
                goal.cycle_id == cycle_id,
                goal.objective_id.in_(ids),
            )
        ]

    def objectives_of_units(
        self, organisation_id: str, structure: int, unit_ids: Container[str]
    ) -> list[tuple[str, str]]:
        """The objectives that some units carried, by cycle and id, in order."""
        statement = _stood(organisation_id, "objective", structure).with_only_columns(
            schema.goal.c.cycle_id, schema.goal.c.goal_id, schema.goal_version.c.unit_id
        )
        found = self._connection.execute(statement)
        return sorted((cycle_id, goal_id) for cycle_id, goal_id, unit in found if unit in unit_ids)

    def objectives_pursued(
        self, organisation_id: str, cycle_id: str, unit_ids: Iterable[str], structure: int
    ) -> Counter[str]:
        """How many objectives some units have in a cycle, without those dropped or carried."""
        unit_id, state = schema.goal_version.c.unit_id, schema.goal_version.c.state
        pursued: Counter[str] = Counter()
        for ids in _chunks(unit_ids):
            statement = (
                _stood(organisation_id, "objective", structure)
                .with_only_columns(unit_id, state)
                .where(schema.goal.c.cycle_id == cycle_id, unit_id.in_(ids))
            )
            for unit, stored in self._connection.execute(statement):
                card = current.decode("objective", stored)
                if isinstance(card, ObjectiveCard) and card.state in {"draft", "published"}:
                    pursued[unit] += 1
        return pursued

    def aligned_to(self, organisation_id: str, parents: Iterable[str], structure: int) -> list[str]:
        """The objectives that serve, or have served, some goals."""
        column = schema.alignment.c
        found: set[str] = set()
        for some in _chunks(parents):
            statement = select(column.objective_id).where(
                column.organisation_id == organisation_id,
                column.parent.in_(some),
                column.position <= structure,
            )
            found.update(self._connection.execute(statement).scalars())
        return sorted(found)

    def _found(self, kind: str, statement: Select[*tuple[Any, ...]]) -> Iterator[Goal]:
        for cycle_id, objective_id, goal_id, state in self._connection.execute(statement):
            yield Goal(cycle_id, objective_id, goal_id, current.decode(kind, state))

    def kpis(
        self,
        organisation_id: str,
        known: int,
        structure: int,
        *where: ColumnElement[bool],
        after: str = "",
        unit_ids: Container[str] | None = None,
    ) -> Iterator[Goal]:
        """KPIs as they stood, with every version of their definition that was known.

        One that came to be watched only later is there as it was first defined: what it measures
        was so all along, and its readings may reach far back.
        """
        goal, version, newest = schema.goal.c, schema.goal_version.c, schema.goal_version.alias()
        position = func.coalesce(_last_version(structure), goal.position)
        statement = (
            select(version.unit_id, version.state, newest.c.state)
            .select_from(schema.goal)
            .join(schema.goal_version, and_(*_of_goal(version), version.position == position))
            .join(newest, and_(*_of_goal(newest.c), newest.c.position == _last_version(known)))
            .where(
                goal.organisation_id == organisation_id,
                goal.kind == "kpi",
                goal.cycle_id == "",
                goal.objective_id == "",
                goal.goal_id > after,
                goal.position <= known,
                *where,
            )
            .order_by(goal.goal_id)
        )
        for unit_id, state, newest_state in self._connection.execute(statement):
            if unit_ids is None or unit_id in unit_ids:
                kpi, latest = current.decode("kpi", state), current.decode("kpi", newest_state)
                if isinstance(kpi, KpiState) and isinstance(latest, KpiState):
                    yield Goal("", "", kpi.card.kpi_id, KpiState(kpi.card, latest.versions))

    def linked_kpis(self, organisation_id: str, cycle_id: str, known: int) -> list[str]:
        """The KPIs that key results of a cycle follow or have followed."""
        column = schema.link.c
        statement = (
            select(column.kpi_id)
            .distinct()
            .where(
                column.organisation_id == organisation_id,
                column.cycle_id == cycle_id,
                column.position <= known,
            )
            .order_by(column.kpi_id)
        )
        return list(self._connection.execute(statement).scalars())

    # ------------------------------------------------------------------ check-ins and readings

    def check_ins(
        self, organisation_id: str, key_result_ids: Iterable[str], known: int, as_of: datetime
    ) -> dict[str, list[CheckInRow]]:
        """What was said of some key results, in the order of the keys."""
        column = schema.check_in.c
        found: dict[str, list[CheckInRow]] = {}
        for ids in _chunks(key_result_ids):
            statement = (
                select(schema.check_in)
                .where(
                    column.organisation_id == organisation_id,
                    column.key_result_id.in_(ids),
                    column.position <= known,
                    column.effective_at <= as_of,
                )
                .order_by(*schema.check_in.primary_key)
            )
            rows = (CheckInRow(*row) for row in self._connection.execute(statement))
            found |= {
                key: list(group) for key, group in groupby(rows, lambda row: row.key_result_id)
            }
        return found

    def readings(
        self, organisation_id: str, kpi_id: str, known: int, as_of: datetime
    ) -> list[ReadingRow]:
        """What was said of a KPI, in the order of the keys."""
        statement = _readings(organisation_id, kpi_id, known, as_of).order_by(
            *schema.reading.primary_key
        )
        return [ReadingRow(*row) for row in self._connection.execute(statement)]

    def counting_reading(
        self,
        organisation_id: str,
        kpi_id: str,
        known: int,
        as_of: datetime,
        since: datetime | None = None,
    ) -> ReadingRow | None:
        """The reading that counts at a moment, among those effective since another."""
        column = schema.reading.c
        statement = _readings(organisation_id, kpi_id, known, as_of).order_by(
            *(key.desc() for key in schema.reading.primary_key)
        )
        if since is not None:
            statement = statement.where(column.effective_at >= since)
        # The last row of each reading comes first, so the first that stands is the one.
        seen: set[int] = set()
        for row in self._connection.execute(statement):
            reading = ReadingRow(*row)
            if reading.first_position not in seen and reading.event in {"recorded", "corrected"}:
                return reading
            seen.add(reading.first_position)
        return None

    def missed_readings(
        self, organisation_id: str, kpi_id: str, known: int, as_of: datetime, *, limit: int
    ) -> list[ReadingRow]:
        """The last periods that were missed and have no reading since, in order."""
        column = schema.reading.c
        of_kpi = _readings(organisation_id, kpi_id, known, as_of)
        missed = [
            ReadingRow(*row)
            for row in self._connection.execute(
                of_kpi.where(schema.IS_MISSED).order_by(column.effective_at.desc()).limit(limit)
            )
        ]
        if not missed:
            return []
        beside = of_kpi.where(
            column.effective_at.in_({each.effective_at for each in missed})
        ).order_by(*schema.reading.primary_key)
        rows = [ReadingRow(*row) for row in self._connection.execute(beside)]
        came = {row.period for row in standing.standing(rows)}
        return [row for row in reversed(missed) if row.period not in came]

    # ------------------------------------------------------------------ history, replay, export

    def changes(
        self,
        organisation_id: str,
        kind: str,
        goal_id: str,
        known: int,
        *,
        after: tuple[int, int],
        limit: int,
    ) -> list[ChangeRow]:
        """What happened to a thing, in order."""
        column = schema.change.c
        statement = (
            select(schema.change)
            .where(
                column.organisation_id == organisation_id,
                column.kind == kind,
                column.goal_id == goal_id,
                column.position <= known,
                row_of(column.position, column.ordinal) > row_of(*after),
            )
            .order_by(column.position, column.ordinal)
            .limit(limit)
        )
        return [ChangeRow(*row) for row in self._connection.execute(statement)]

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
        """What happened to some things of a kind after a position up to another."""
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
                yield ChangeRow(*row)

    def comments(
        self, organisation_id: str, kind: str, goal_id: str, known: int, *, limit: int
    ) -> list[ChangeRow]:
        """The last comments on a thing, in order."""
        column = schema.change.c
        statement = (
            select(schema.change)
            .where(
                column.organisation_id == organisation_id,
                column.kind == kind,
                column.goal_id == goal_id,
                column.event == events.CommentAdded.__name__,
                column.position <= known,
            )
            .order_by(column.position.desc())
            .limit(limit)
        )
        rows = [ChangeRow(*row) for row in self._connection.execute(statement)]
        return rows[::-1]

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


def _of_goal(version: Any) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401  # columns of a table
    goal = schema.goal.c
    return (
        version.organisation_id == goal.organisation_id,
        version.kind == goal.kind,
        version.goal_id == goal.goal_id,
    )


def _stood(organisation_id: str, kind: str, structure: int) -> Select[*tuple[Any, ...]]:
    """Each thing of a kind with its last version up to a position."""
    goal, version = schema.goal.c, schema.goal_version.c
    return (
        select(*_KEY, version.state)
        .select_from(schema.goal)
        .join(
            schema.goal_version,
            and_(*_of_goal(version), version.position == _last_version(structure)),
        )
        .where(
            goal.organisation_id == organisation_id,
            goal.kind == kind,
            goal.position <= structure,
        )
    )


def _last_version(at_most: int) -> ScalarSelect[int]:
    version = schema.goal_version.alias().c
    return (
        select(func.max(version.position))
        .where(*_of_goal(version), version.position <= at_most)
        .correlate(schema.goal)
        .scalar_subquery()
    )


def of_units(unit_ids: Collection[str]) -> ColumnElement[bool]:
    """For events: units themselves, and what belonged to one of them when it happened."""
    event, goal, version = schema.event.c, schema.goal.c, schema.goal_version.c
    owner_kind = case((event.kind == "key_result", "objective"), else_=event.kind)
    owner_id = case((event.kind == "key_result", goal.objective_id), else_=event.goal_id)
    unit_id = (
        select(version.unit_id)
        .select_from(schema.goal)
        .join(
            schema.goal_version,
            and_(
                version.organisation_id == event.organisation_id,
                version.kind == owner_kind,
                version.goal_id == owner_id,
                version.position <= event.position,
            ),
        )
        .where(
            goal.organisation_id == event.organisation_id,
            goal.kind == event.kind,
            goal.goal_id == event.goal_id,
        )
        .order_by(version.position.desc())
        .limit(1)
        .correlate(schema.event)
        .scalar_subquery()
    )
    return or_(and_(event.kind == "unit", event.goal_id.in_(unit_ids)), unit_id.in_(unit_ids))


def _readings(
    organisation_id: str, kpi_id: str, known: int, as_of: datetime
) -> Select[*tuple[Any, ...]]:
    column = schema.reading.c
    return select(schema.reading).where(
        column.organisation_id == organisation_id,
        column.kpi_id == kpi_id,
        column.position <= known,
        column.effective_at <= as_of,
    )


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
