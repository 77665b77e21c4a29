"""What questions need of the history: who changed what, as seen from a moment.

A change is seen from a moment as the goals are (see as_of): a check-in or a reading if it was known
and effective, what a KPI measures if it was known, everything else if it had come to be.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from itertools import starmap
from typing import Any, Final, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy import tuple_ as row_of

from services.projections.view_store import schema
from services.projections.view_store.schema import Instant
from services.projections.view_store.statements import (
    ARRAY_MAX,
    IsListed,
    ListStatement,
    Statement,
)
from services.projections.views.history import DEFINING, FACTS
from services.projections.views.rows import ChangeRow

_ORDER: Final = (schema.change.c.position, schema.change.c.ordinal)


class Seen(Protocol):
    """A moment: see as_of."""

    @property
    def known(self) -> int: ...
    @property
    def structure(self) -> int: ...
    @property
    def as_of(self) -> datetime: ...


class ChangeReader:
    """Changes of one organisation's things, in the order of the log unless told otherwise."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_thing(
        self,
        organisation_id: str,
        kind: str,
        goal_id: str,
        seen_from: Seen,
        field: str | None,
        *,
        after: tuple[int, int],
        limit: int,
    ) -> list[ChangeRow]:
        """What happened to a thing, or to one of its fields and what is below that."""
        rows = _OF_THING.rows(
            self._connection,
            organisation_id=organisation_id,
            kind=kind,
            goal_id=goal_id,
            known=seen_from.known,
            structure=seen_from.structure,
            as_of=seen_from.as_of,
            field=field or "",
            part=f"{field}.",
            after_position=after[0],
            after_ordinal=after[1],
            limit=limit,
        )
        return list(starmap(ChangeRow, rows))

    def of_events(
        self,
        organisation_id: str,
        which: ColumnElement[bool],
        seen_from: Seen,
        field: str | None,
        *,
        after: tuple[int, int],
        limit: int,
    ) -> list[ChangeRow]:
        """What some events changed, whatever they happened to."""
        column, event = schema.change.c, schema.event.c
        where = [] if field is None else [_is_under(literal(field), literal(f"{field}."))]
        statement = (
            _of_events()
            .where(
                event.organisation_id == organisation_id,
                event.position >= after[0],
                row_of(event.position, column.ordinal) > row_of(*after),
                which,
                is_seen(seen_from),
                *where,
            )
            .order_by(event.position, column.ordinal)
            .limit(limit)
        )
        return [ChangeRow(*row) for row in self._connection.execute(statement)]

    def of_versions(
        self, organisation_id: str, kind: str, goal_ids: Iterable[str], first: int, last: int
    ) -> list[ChangeRow]:
        """What made some things another than they were, between two positions."""
        rows = _OF_VERSIONS.rows(
            self._connection,
            goal_ids,
            organisation_id=organisation_id,
            kind=kind,
            first=first,
            last=last,
        )
        return sorted(starmap(ChangeRow, rows), key=_place)

    def of_positions(self, organisation_id: str, positions: Iterable[int]) -> list[ChangeRow]:
        """What the events at some positions changed."""
        rows = _OF_POSITIONS.rows(self._connection, positions, organisation_id=organisation_id)
        return sorted(starmap(ChangeRow, rows), key=_place)

    def positions(
        self,
        organisation_id: str,
        kind: str,
        names: Collection[str],
        first: int,
        last: int,
        *where: ColumnElement[bool],
    ) -> list[int]:
        """Where events of those names made some goals another; `where` says which goals.

        Each goal's versions are looked through: beside its check-ins they are few.
        """
        column, version, goal = schema.change.c, schema.goal_version.c, schema.goal.c
        return [
            position
            for (position,) in self._connection.execute(
                select(version.position)
                .select_from(schema.goal)
                .join(
                    schema.goal_version,
                    and_(
                        version.organisation_id == goal.organisation_id,
                        version.kind == goal.kind,
                        version.goal_id == goal.goal_id,
                    ),
                )
                .join(schema.change, and_(*_of_same_event(schema.goal_version), _IS_FIRST))
                .where(
                    goal.organisation_id == organisation_id,
                    goal.kind == kind,
                    version.position.between(first, last),
                    column.event.in_(names),
                    *where,
                )
            )
        ]

    def positions_of(
        self,
        organisation_id: str,
        kind: str,
        names: Collection[str],
        first: int,
        last: int,
        goal_ids: Iterable[str],
    ) -> list[int]:
        """The same of goals by their ids."""
        rows = _VERSIONS_BY.rows(
            self._connection,
            goal_ids,
            organisation_id=organisation_id,
            kind=kind,
            first=first,
            last=last,
        )
        return [position for position, name in rows if name in names]


def is_seen(seen_from: Seen) -> ColumnElement[bool]:
    """Whether a change is seen from a moment; see the module."""
    return _is_seen(
        literal(seen_from.known), literal(seen_from.structure), literal(seen_from.as_of, Instant)
    )


def of_event_seen(seen_from: Seen) -> ColumnElement[bool]:
    """Whether an event is seen from a moment: what it is called, its changes know."""
    return (
        select(schema.change.c.position)
        .where(*_of_same_event(schema.event), _IS_FIRST, is_seen(seen_from))
        .correlate(schema.event)
        .exists()
    )


def _is_seen(
    known: ColumnElement[int], structure: ColumnElement[int], as_of: ColumnElement[datetime]
) -> ColumnElement[bool]:
    column = schema.change.c
    return and_(
        column.position <= known,
        or_(
            and_(column.event.in_(_literals(FACTS)), column.effective_at <= as_of),
            column.event.in_(_literals(DEFINING)),
            and_(column.event.not_in(_literals(FACTS)), column.position <= structure),
        ),
    )


def _is_under(field: ColumnElement[str], part: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a change is of a field, or of a part of it: a field with a dot behind it."""
    column = schema.change.c.field
    return or_(column == field, func.substr(column, 1, func.length(part)) == part)


def _literals(names: Iterable[str]) -> list[ColumnElement[str]]:
    return [literal_column(f"'{name}'", Text) for name in sorted(names)]


def _of_same_event(table: FromClause) -> tuple[ColumnElement[bool], ...]:
    """A change and what else an event left in a table, beside each other."""
    column, other = schema.change.c, table.c
    return (
        column.organisation_id == other.organisation_id,
        column.kind == other.kind,
        column.goal_id == other.goal_id,
        column.position == other.position,
    )


def _of_events() -> Select[*tuple[Any, ...]]:
    return (
        select(schema.change)
        .select_from(schema.event)
        .join(schema.change, and_(*_of_same_event(schema.event)))
    )


def _between(is_listed: IsListed, wanted: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """What is wanted of the changes that made listed things others, between two positions."""
    version = schema.goal_version.c
    return (
        wanted.select_from(schema.goal_version)
        .join(schema.change, and_(*_of_same_event(schema.goal_version)))
        .where(
            version.organisation_id == bindparam("organisation_id"),
            version.kind == bindparam("kind"),
            is_listed(version.goal_id),
            version.position.between(bindparam("first"), bindparam("last")),
        )
    )


def _at(is_listed: IsListed) -> Select[*tuple[Any, ...]]:
    # The limit, which is never reached, makes a database look at these events first: it would
    # rather walk through all changes of the organisation.
    event = (
        select(schema.event)
        .where(
            schema.event.c.organisation_id == bindparam("organisation_id"),
            is_listed(schema.event.c.position),
        )
        .limit(literal_column(str(ARRAY_MAX)))
        .subquery()
    )
    return (
        select(schema.change).select_from(event).join(schema.change, and_(*_of_same_event(event)))
    )


def _place(row: ChangeRow) -> tuple[int, int]:
    return row.position, row.ordinal


_IS_FIRST: Final = schema.change.c.ordinal == 0
"""Every event has a first change."""
_OF_THING: Final = Statement(
    select(schema.change)
    .where(
        schema.change.c.organisation_id == bindparam("organisation_id"),
        schema.change.c.kind == bindparam("kind"),
        schema.change.c.goal_id == bindparam("goal_id"),
        _is_seen(bindparam("known"), bindparam("structure"), bindparam("as_of", type_=Instant)),
        or_(
            bindparam("field", type_=Text) == "",
            _is_under(bindparam("field", type_=Text), bindparam("part", type_=Text)),
        ),
        row_of(*_ORDER) > row_of(bindparam("after_position"), bindparam("after_ordinal")),
    )
    .order_by(*_ORDER)
    .limit(bindparam("limit"))
)
_OF_VERSIONS: Final = ListStatement(lambda is_listed: _between(is_listed, select(schema.change)))
_VERSIONS_BY: Final = ListStatement(
    lambda is_listed: _between(
        is_listed, select(schema.goal_version.c.position, schema.change.c.event).where(_IS_FIRST)
    )
)
"""Where listed things became others, and by which events."""
_OF_POSITIONS: Final = ListStatement(_at)
