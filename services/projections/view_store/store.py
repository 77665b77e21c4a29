"""Writes the rows of a batch and the position they reflect in one transaction.

Also the read side's port of eventsourcing: a TrackingRecorder, whose application is the stream.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, cast

import psycopg
from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder
from sqlalchemy import (
    Connection,
    Engine,
    Table,
    exc,
    func,
    insert,
    select,
    update,
)

from services.projections.view_store import schema
from services.projections.view_store.engines import is_lost
from services.projections.views import current
from services.projections.views.current import State
from services.projections.views.rows import CheckInRow, ReadingRow, Rows

VALUES_AT_ONCE: Final = 16_000
"""In one statement of SQLite, which takes 32,766 at most."""


LAY_WAIT_S: Final = 5
"""So long whoever reads has time to let go of a table, while all others wait behind."""


class StoreUnavailable(Exception):
    """The database cannot be written or read at the moment."""


class NotNext(Exception):
    """A batch does not follow on what is stored: nothing was written."""

    def __init__(self, first: int) -> None:
        super().__init__(f"the views do not stand right before position {first}")


Values = tuple[Any, ...]


class Columns:
    """How a table's values are bound, for a driver that is handed them as they are."""

    def __init__(self, table: Table) -> None:
        self.names = table.columns.keys()
        self._bound = [
            (place, _BOUND[type(column.type)])
            for place, column in enumerate(table.columns)
            if type(column.type) in _BOUND
        ]

    def stored(self, rows: Sequence[Values]) -> list[Iterable[Any]]:
        """Column by column, the rows in the order of their key: so pages are met in order."""
        columns: list[Iterable[Any]] = list(zip(*sorted(rows), strict=True))
        for place, bound in self._bound:
            columns[place] = map(bound, columns[place])
        return columns


class Copy:
    """Adds rows to a table of PostgreSQL."""

    def __init__(self, table: Table) -> None:
        self._columns = Columns(table)
        self._statement = f"COPY {table.name} ({', '.join(self._columns.names)}) FROM STDIN"

    def add(self, connection: Connection, rows: Sequence[Values]) -> None:
        """All rows, in one call."""
        driver = cast("psycopg.Connection", connection.connection.driver_connection)
        with driver.cursor() as cursor, cursor.copy(self._statement.encode()) as copy:
            for row in zip(*self._columns.stored(rows), strict=True):
                copy.write_row(row)


class Insert:
    """Adds rows to a table of SQLite by as few statements as can be: 13 rows are 8, 4 and 1.

    After each statement, and each row of `executemany`, the driver has to wait for whoever else
    computes meanwhile: a turn of his takes longer than to store hundreds of rows.
    """

    def __init__(self, table: Table) -> None:
        self._columns = Columns(table)
        self._width = len(table.columns)
        values = f"({', '.join('?' * self._width)})"
        one = f"INSERT INTO {table.name} VALUES {values}"  # noqa: S608 - our own names
        most = max(VALUES_AT_ONCE // self._width, 1).bit_length() - 1
        self._statements = [
            (1 << power, ", ".join([one, *[values] * ((1 << power) - 1)]))
            for power in range(most, -1, -1)
        ]

    def add(self, connection: Connection, rows: Sequence[Values]) -> None:
        """All rows, straight through the driver."""
        cursor, width = connection.connection.cursor(), self._width
        # One after the other, without a tuple for each.
        stored: list[Any] = [None] * (len(rows) * width)
        for place, column in enumerate(self._columns.stored(rows)):
            stored[place::width] = column
        start = 0
        for at_once, statement in self._statements:
            while len(stored) - start >= at_once * width:
                cursor.execute(statement, stored[start : start + at_once * width])
                start += at_once * width
        cursor.close()


def _digits(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


_BOUND: Final[dict[type, Callable[[Any], Any]]] = {
    schema.Instant: schema.microseconds,
    schema.Number: _digits,
}


class ViewStore(TrackingRecorder):
    """One generation of the views of a stream, whose tables are there: see generations.

    Synchronous: on an event loop, call it in a thread.
    """

    def __init__(self, engine: Engine, stream: str) -> None:
        self._engine = engine
        self._stream = stream
        adding = Copy if engine.dialect.name == "postgresql" else Insert
        self._adding = {view: adding(table) for view, table in schema.VIEWS.items()}

    @property
    def engine(self) -> Engine:
        """For those who only read."""
        return self._engine

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    # ------------------------------------------------------------------ the log's position

    def position(self) -> int:
        """How far the log has been read; 0, not at all."""
        return self.max_tracking_id(self._stream) or 0

    def payload_at(self, organisation_id: str, position: int) -> bytes | None:
        """An event as it was read: the log must still say the same there."""
        column = schema.event.c
        statement = select(column.payload).where(
            column.organisation_id == organisation_id, column.position == position
        )
        with unless_lost(), self._engine.connect() as connection:
            return connection.execute(statement).scalar()

    def write(self, rows: Rows, first: int, last: int) -> None:
        """Store what the events from `first` to `last` add; NotNext unless they are the next."""
        with unless_lost(), self._engine.begin() as connection:
            self._advance(connection, first - 1, last)
            for view, adding in self._adding.items():
                if some := getattr(rows, view):
                    adding.add(connection, some)

    def settle(self) -> None:
        """SQLite: copy what was written to its place and wait for the disk; others write on.

        Otherwise a commit does both now and then, and whoever asks for its events waits with it.
        """
        if self._engine.dialect.name == "sqlite":
            with unless_lost(), self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def lay_in_order(self) -> None:
        """PostgreSQL: put what was said of a KPI side by side, where it came week after week.

        It would be read from as many pages as there are rows. Whoever asks of readings meanwhile
        waits, some seconds for a million of them. SQLite has them so. Raises StoreUnavailable, also
        where others do not let go of them, and then all is as it was.
        """
        if self._engine.dialect.name == "postgresql":
            with unless_lost(), self._engine.begin() as connection:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LAY_WAIT_S}s'")
                connection.exec_driver_sql("CLUSTER reading USING reading_pkey")

    def _advance(self, connection: Connection, before: int, last: int) -> None:
        if before == 0:
            try:
                connection.execute(
                    insert(schema.tracking).values(application=self._stream, position=last)
                )
            except exc.IntegrityError as error:
                raise NotNext(before + 1) from error
            return
        moved = connection.execute(
            update(schema.tracking)
            .where(
                schema.tracking.c.application == self._stream,
                schema.tracking.c.position == before,
            )
            .values(position=last)
        )
        if moved.rowcount != 1:
            raise NotNext(before + 1)

    # ------------------------------------------------------------------ eventsourcing's port

    def max_tracking_id(self, application_name: str) -> int | None:
        """How far an application's log has been read."""
        statement = select(schema.tracking.c.position).where(
            schema.tracking.c.application == application_name
        )
        with unless_lost(), self._engine.connect() as connection:
            return connection.execute(statement).scalar()

    def insert_tracking(self, tracking: Tracking) -> None:
        """Move on without rows; IntegrityError unless it is further than before."""
        name, position = tracking.application_name, tracking.notification_id
        with unless_lost(), self._engine.begin() as connection:
            moved = connection.execute(
                update(schema.tracking)
                .where(schema.tracking.c.application == name, schema.tracking.c.position < position)
                .values(position=position)
            )
            if moved.rowcount == 0:
                try:
                    connection.execute(
                        insert(schema.tracking).values(application=name, position=position)
                    )
                except exc.IntegrityError as error:
                    raise IntegrityError(f"{name} is tracked at or past {position}") from error

    # ------------------------------------------------------------------ what the projector asks

    def last_state(self, organisation_id: str, kind: str, goal_id: str) -> State | None:
        """The latest state of a thing."""
        version = schema.goal_version.c
        statement = (
            select(version.state)
            .where(
                version.organisation_id == organisation_id,
                version.kind == kind,
                version.goal_id == goal_id,
            )
            .order_by(version.position.desc())
            .limit(1)
        )
        with unless_lost(), self._engine.connect() as connection:
            state = connection.execute(statement).scalar()
        return None if state is None else current.decode(kind, state)

    def last_check_in(
        self, organisation_id: str, key_result_id: str, check_in_id: str
    ) -> CheckInRow | None:
        """What was last said of a check-in."""
        column = schema.check_in.c
        statement = (
            select(schema.check_in)
            .where(
                column.organisation_id == organisation_id,
                column.key_result_id == key_result_id,
                column.check_in_id == check_in_id,
            )
            .order_by(column.position.desc())
            .limit(1)
        )
        with unless_lost(), self._engine.connect() as connection:
            row = connection.execute(statement).first()
        return None if row is None else CheckInRow(*row)

    def last_reading(
        self, organisation_id: str, kpi_id: str, effective_at: datetime, period: str, source: str
    ) -> ReadingRow | None:
        """What was last said of a period of a KPI, from one source."""
        column = schema.reading.c
        statement = (
            select(schema.reading)
            .where(
                column.organisation_id == organisation_id,
                column.kpi_id == kpi_id,
                column.effective_at == effective_at,
                column.period == period,
                column.source == source,
            )
            .order_by(column.position.desc())
            .limit(1)
        )
        with unless_lost(), self._engine.connect() as connection:
            row = connection.execute(statement).first()
        return None if row is None else ReadingRow(*row)

    def last_known_at_max(self, organisation_id: str) -> datetime | None:
        """The greatest `known_at` an organisation's events have had so far."""
        statement = select(func.max(schema.event.c.known_at_max)).where(
            schema.event.c.organisation_id == organisation_id
        )
        with unless_lost(), self._engine.connect() as connection:
            return connection.execute(statement).scalar()


@contextlib.contextmanager
def unless_lost() -> Iterator[None]:
    """StoreUnavailable, in the database's own words, if it cannot be reached meanwhile."""
    try:
        yield
    except Exception as error:
        if not is_lost(error):
            raise
        why = str(getattr(error, "orig", None) or error).strip()
        raise StoreUnavailable(f"the views cannot be reached: {why}") from error
