"""What questions need of the history: who changed what, as seen from a moment.

A change is seen from a moment as the goals are (see as_of): a check-in or a reading if it was known
and effective, what a KPI measures if it was known, everything else if it had come to be.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select
from sqlalchemy import tuple_ as row_of

from services.projections.view_store import schema
from services.projections.views.history import DEFINING, FACTS
from services.projections.views.rows import ChangeRow

IDS_MAX: Final = 500
"""Ids in one statement."""
_ORDER: Final = (schema.change.c.position, schema.change.c.ordinal)


class ChangeReader:
    """Changes of one organisation's things, in the order of the log unless told otherwise."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_thing(
        self,
        organisation_id: str,
        kind: str,
        goal_id: str,
        *where: ColumnElement[bool],
        after: tuple[int, int],
        limit: int,
    ) -> list[ChangeRow]:
        """What happened to a thing."""
        column = schema.change.c
        return self._found(
            select(schema.change)
            .where(
                column.organisation_id == organisation_id,
                column.kind == kind,
                column.goal_id == goal_id,
                row_of(*_ORDER) > row_of(*after),
                *where,
            )
            .order_by(*_ORDER)
            .limit(limit)
        )

    def of_events(
        self, organisation_id: str, *where: ColumnElement[bool], after: tuple[int, int], limit: int
    ) -> list[ChangeRow]:
        """What some events changed, whatever they happened to; `where` says which events."""
        column, event = schema.change.c, schema.event.c
        return self._found(
            select(schema.change)
            .select_from(schema.event)
            .join(
                schema.change,
                and_(
                    column.organisation_id == event.organisation_id,
                    column.kind == event.kind,
                    column.goal_id == event.goal_id,
                    column.position == event.position,
                ),
            )
            .where(
                event.organisation_id == organisation_id,
                event.position >= after[0],
                row_of(event.position, column.ordinal) > row_of(*after),
                *where,
            )
            .order_by(event.position, column.ordinal)
            .limit(limit)
        )

    def of_versions(
        self, organisation_id: str, kind: str, goal_ids: Iterable[str], first: int, last: int
    ) -> list[ChangeRow]:
        """What made some things another than they were, between two positions, by thing."""
        column, version = schema.change.c, schema.goal_version.c
        return [
            row
            for ids in _chunks(goal_ids)
            for row in self._found(
                select(schema.change)
                .select_from(schema.goal_version)
                .join(
                    schema.change,
                    and_(
                        column.organisation_id == version.organisation_id,
                        column.kind == version.kind,
                        column.goal_id == version.goal_id,
                        column.position == version.position,
                    ),
                )
                .where(
                    version.organisation_id == organisation_id,
                    version.kind == kind,
                    version.goal_id.in_(ids),
                    version.position.between(first, last),
                )
                .order_by(column.goal_id, *_ORDER)
            )
        ]

    def of_facts(
        self,
        organisation_id: str,
        kind: str,
        goal_ids: Iterable[str],
        fields: Collection[str],
        names: Collection[str],
        known: int,
    ) -> list[ChangeRow]:
        """What was said of some things under certain fields, or in events of certain names."""
        column = schema.change.c
        return [
            row
            for ids in _chunks(goal_ids)
            for row in self._found(
                select(schema.change)
                .where(
                    column.organisation_id == organisation_id,
                    column.kind == kind,
                    column.goal_id.in_(ids),
                    column.position <= known,
                    or_(column.event.in_(names), column.field.in_(fields)),
                )
                .order_by(column.goal_id, *_ORDER)
            )
        ]

    def at(
        self, organisation_id: str, kind: str, places: Iterable[tuple[str, int]]
    ) -> list[ChangeRow]:
        """What events at certain positions changed, each named by its thing and its position."""
        column = schema.change.c
        wanted = sorted(set(places))
        return [
            row
            for start in range(0, len(wanted), IDS_MAX)
            for row in self._found(
                select(schema.change)
                .where(
                    column.organisation_id == organisation_id,
                    column.kind == kind,
                    row_of(column.goal_id, column.position).in_(wanted[start : start + IDS_MAX]),
                )
                .order_by(column.goal_id, *_ORDER)
            )
        ]

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
                .join(
                    schema.change,
                    and_(
                        column.organisation_id == version.organisation_id,
                        column.kind == version.kind,
                        column.goal_id == version.goal_id,
                        column.position == version.position,
                        column.ordinal == 0,
                    ),
                )
                .where(
                    goal.organisation_id == organisation_id,
                    goal.kind == kind,
                    version.position.between(first, last),
                    column.event.in_(names),
                    *where,
                )
            )
        ]

    def _found(self, statement: Select[*tuple[Any, ...]]) -> list[ChangeRow]:
        return [ChangeRow(*row) for row in self._connection.execute(statement)]


def seen(known: int, structure: int, as_of: datetime) -> ColumnElement[bool]:
    """Whether a change is seen from a moment; see the module."""
    column = schema.change.c
    return and_(
        column.position <= known,
        or_(
            and_(column.event.in_(FACTS), column.effective_at <= as_of),
            column.event.in_(DEFINING),
            and_(column.event.not_in(FACTS), column.position <= structure),
        ),
    )


def of_event_seen(known: int, structure: int, as_of: datetime) -> ColumnElement[bool]:
    """Whether an event is seen from a moment: what it is called, its changes know."""
    column, event = schema.change.c, schema.event.c
    return (
        select(column.position)
        .where(
            column.organisation_id == event.organisation_id,
            column.kind == event.kind,
            column.goal_id == event.goal_id,
            column.position == event.position,
            column.ordinal == 0,
            seen(known, structure, as_of),
        )
        .correlate(schema.event)
        .exists()
    )


def under(field: str) -> ColumnElement[bool]:
    """Whether a change is of a field, or of a part of it."""
    column = schema.change.c.field
    return or_(column == field, func.substr(column, 1, len(field) + 1) == f"{field}.")


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), IDS_MAX):
        yield wanted[start : start + IDS_MAX]
