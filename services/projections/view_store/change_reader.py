"""What questions need of the history: who changed what, as seen from a moment.

A change is seen from a moment as the goals are (see as_of): a check-in or a reading if it was known
and effective, what a KPI measures if it was known, everything else if it had come to be.

No change is kept of a check-in or a reading, but for their corrections: what such an event changed
it tells by itself, where it lies among all events.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from itertools import starmap
from typing import Any, Final, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    literal,
    literal_column,
    not_,
    or_,
    select,
)

from services.projections.view_store import schema
from services.projections.view_store.schema import Instant
from services.projections.view_store.statements import (
    LISTED_MAX,
    IsListed,
    ListStatement,
    Row,
    Statement,
)
from services.projections.views.history import DEFINING, FACTS, told_by
from services.projections.views.rows import ChangeRow, EventChanges

LOOKED_THROUGH: Final = 500
"""Events that are read at once where one field is looked for."""

Place = tuple[int, int]
"""Position of the event, and number of the change in it."""
Page = Callable[[int, int], Sequence[EventChanges]]
"""The next events with what they changed, from a position on, so many at most."""


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
        after: Place,
        limit: int,
    ) -> list[ChangeRow]:
        """What happened to a thing, or to one of its fields and what is below that."""

        def page(first: int, at_most: int) -> Sequence[EventChanges]:
            bounds: dict[str, Any] = {
                "organisation_id": organisation_id,
                "goal_id": goal_id,
                "known": seen_from.known,
                "as_of": seen_from.as_of,
                "first": first,
                "limit": at_most,
            }
            kept = _OF_THING.rows(
                self._connection, kind=kind, structure=seen_from.structure, **bounds
            )
            found = {event.position: event for event in starmap(EventChanges, kept)}
            if kind in _TELLING_OF:
                for position, payload in _TELLING_OF[kind].rows(self._connection, **bounds):
                    if position not in found:  # an older release kept all
                        found[position] = told_by(position, payload)
            return [found[position] for position in sorted(found)[:at_most]]

        return _told(page, field, after, limit)

    def of_events(
        self,
        organisation_id: str,
        which: ColumnElement[bool],
        seen_from: Seen,
        field: str | None,
        *,
        after: Place,
        limit: int,
    ) -> list[ChangeRow]:
        """What some events changed, whatever they happened to."""
        event = schema.event.c

        def page(first: int, at_most: int) -> Sequence[EventChanges]:
            statement = (
                _of_events(schema.event)
                .where(
                    event.organisation_id == organisation_id,
                    event.position >= first,
                    which,
                    or_(is_seen(seen_from), and_(_is_untold(), _is_seen_fact(seen_from))),
                )
                .order_by(event.position)
                .limit(at_most)
            )
            return [_of_event(tuple(row)) for row in self._connection.execute(statement)]

        return _told(page, field, after, limit)

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
        return _in_order(starmap(EventChanges, rows))

    def of_positions(self, organisation_id: str, positions: Iterable[int]) -> list[ChangeRow]:
        """What the events at some positions changed."""
        rows = _OF_POSITIONS.rows(self._connection, positions, organisation_id=organisation_id)
        return _in_order(map(_of_event, rows))

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
                .join(schema.change, and_(*_of_same_event(schema.goal_version)))
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
    kept = select(schema.change.c.position).where(*_of_same_event(schema.event))
    kept = kept.correlate(schema.event)
    return or_(
        kept.where(is_seen(seen_from)).exists(),
        and_(_is_seen_fact(seen_from), not_(kept.exists())),
    )


def _is_seen_fact(seen_from: Seen) -> ColumnElement[bool]:
    """The same of an event that tells by itself what it changed."""
    event = schema.event.c
    return and_(event.position <= seen_from.known, event.effective_at <= seen_from.as_of)


def _is_untold() -> ColumnElement[bool]:
    """Where events are joined with what is kept of them, whether nothing is."""
    return schema.change.c.position.is_(None)


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


def _told(page: Page, field: str | None, after: Place, limit: int) -> list[ChangeRow]:
    """The changes that follow on a place, of a field and what is below it, so many at most."""
    at_once = limit if field is None else max(limit, LOOKED_THROUGH)
    found: list[ChangeRow] = []
    first, is_last = after[0], False
    while len(found) < limit and not is_last:
        events = page(first, at_once)
        found += [
            row
            for each in events
            for row in each.rows()
            if row.place > after and (field is None or is_part(row.field, field))
        ]
        is_last = len(events) < at_once
        first = events[-1].position + 1 if events else first
    return found[:limit]


def _in_order(events: Iterable[EventChanges]) -> list[ChangeRow]:
    rows = (row for event in events for row in event.rows())
    return sorted(rows, key=lambda row: row.place)


def is_part(field: str, of: str) -> bool:
    """Whether a field is another, or below it."""
    return f"{field}.".startswith(f"{of}.")


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


def _of_events(event: FromClause) -> Select[*tuple[Any, ...]]:
    """What is kept of some events; of others the event itself: see `_of_event`."""
    itself = case((_is_untold(), event.c.payload))
    return (
        select(schema.change, event.c.position, itself)
        .select_from(event)
        .outerjoin(schema.change, and_(*_of_same_event(event)))
    )


def _of_event(row: Row) -> EventChanges:
    *kept, position, payload = row
    return EventChanges(*kept) if payload is None else told_by(position, payload)


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
        .limit(literal_column(str(LISTED_MAX)))
        .subquery()
    )
    return _of_events(event)


def _telling_of(table: Table, thing: str) -> Select[*tuple[Any, ...]]:
    """The events that told a fact of a thing, from a position on."""
    column, event = table.c, schema.event.c
    places = (
        select(column.position)
        .where(
            column.organisation_id == bindparam("organisation_id"),
            column[thing] == bindparam("goal_id"),
            column.event == literal_column("'recorded'"),
            column.position.between(bindparam("first"), bindparam("known")),
            column.effective_at <= bindparam("as_of", type_=Instant),
        )
        .order_by(column.position)
        .limit(bindparam("limit"))
        .subquery()
    )
    return (
        select(event.position, event.payload)
        .select_from(places)
        .join(
            schema.event,
            and_(
                event.organisation_id == bindparam("organisation_id"),
                event.position == places.c.position,
            ),
        )
    )


_OF_THING: Final = Statement(
    select(schema.change)
    .where(
        schema.change.c.organisation_id == bindparam("organisation_id"),
        schema.change.c.kind == bindparam("kind"),
        schema.change.c.goal_id == bindparam("goal_id"),
        _is_seen(bindparam("known"), bindparam("structure"), bindparam("as_of", type_=Instant)),
        schema.change.c.position >= bindparam("first"),
    )
    .order_by(schema.change.c.position)
    .limit(bindparam("limit"))
)
_OF_VERSIONS: Final = ListStatement(lambda is_listed: _between(is_listed, select(schema.change)))
_VERSIONS_BY: Final = ListStatement(
    lambda is_listed: _between(
        is_listed, select(schema.goal_version.c.position, schema.change.c.event)
    )
)
"""Where listed things became others, and by which events."""
_OF_POSITIONS: Final = ListStatement(_at)
_TELLING_OF: Final = {
    "key_result": Statement(_telling_of(schema.check_in, "key_result_id")),
    "kpi": Statement(_telling_of(schema.reading, "kpi_id")),
}
"""By kind, the check-ins or readings of a thing as they were told."""
