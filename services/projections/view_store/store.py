"""Writes the rows of a batch and the position they reflect in one transaction.

Also the read side's port of eventsourcing: a TrackingRecorder, whose application is the stream.
"""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder
from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    MetaData,
    Table,
    create_engine,
    exc,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import (
    event as sqlalchemy_event,
)

from services.projections.view_store import schema
from services.projections.views import current
from services.projections.views.current import State
from services.projections.views.rows import CheckInRow, ReadingRow, Rows

BUSY_TIMEOUT_S: Final = 10
CONNECTIONS_MAX: Final = 8
"""At most so many read at once; one writes."""

PRAGMAS: Final = (
    "page_size=8192",  # an event fits into a page, beside others
    "journal_mode=WAL",
    # A power cut may cost the last transactions, never their integrity, and what is lost is read
    # again from the log, because the position was lost with it.
    "synchronous=NORMAL",
    "wal_autocheckpoint=4000",  # pages: a long log is read in without copying pages too often
    "cache_size=-65536",  # KiB
    "temp_store=MEMORY",
)

log = structlog.get_logger()


class StoreUnavailable(Exception):
    """The database cannot be written or read at the moment."""


class NotNext(Exception):
    """A batch does not follow on what is stored: nothing was written."""

    def __init__(self, first: int) -> None:
        super().__init__(f"the views do not stand right before position {first}")


class NotAViewDatabase(Exception):
    """The database is broken, or holds something else."""


def open_sqlite(path: Path) -> Engine:
    """The embedded database; the directory is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT_S},
    )

    @sqlalchemy_event.listens_for(engine, "connect")
    def settle(connection: Any, _: object) -> None:  # noqa: ANN401  # a DB-API connection
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    return engine


class Insert:
    """Adds rows to a table as fast as the driver can: values are bound by place, not by name."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        self.view = table.name
        self._statement = str(insert(table).compile(dialect=dialect))
        self._bound = [
            (place, schema.microseconds if isinstance(column.type, schema.Instant) else str)
            for place, column in enumerate(table.columns)
            if isinstance(column.type, schema.Instant | schema.Number)
        ]

    def add(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """All rows, in one call."""
        if rows:
            connection.exec_driver_sql(self._statement, list(map(self._values, rows)))

    def _values(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = list(row)
        for place, bound in self._bound:
            if (value := values[place]) is not None:
                values[place] = bound(value)
        return tuple(values)


class ViewStore(TrackingRecorder):
    """The views of one stream. Synchronous: on an event loop, call it in a thread."""

    def __init__(self, engine: Engine, stream: str) -> None:
        self._engine = engine
        self._stream = stream
        self._inserts = [Insert(table, engine.dialect) for table in schema.VIEWS.values()]
        try:
            with unless_lost():
                self._settle_schema()
        except exc.DatabaseError as error:
            raise NotAViewDatabase(
                f"{engine.url.database} cannot be read ({error.orig}): delete it, and the views "
                "are read anew from the log"
            ) from error

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

    def last_payload(self) -> bytes | None:
        """The last event as it was read: the log must still say the same there."""
        statement = select(schema.event.c.payload).order_by(schema.event.c.position.desc()).limit(1)
        with unless_lost(), self._engine.connect() as connection:
            return connection.execute(statement).scalar()

    def write(self, rows: Rows, first: int, last: int) -> None:
        """Store what the events from `first` to `last` add; NotNext unless they are the next."""
        with unless_lost(), self._engine.begin() as connection:
            self._advance(connection, first - 1, last)
            for each in self._inserts:
                each.add(connection, getattr(rows, each.view))

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

    # ------------------------------------------------------------------ schema

    def _settle_schema(self) -> None:
        wanted = (schema.SCHEMA_VERSION, self._stream)
        with self._engine.begin() as connection:
            there = MetaData()
            there.reflect(connection, only=lambda name, _: name not in schema.KEPT)
            found: tuple[object, ...] | None = None
            if schema.view_schema.name in there.tables:
                row = connection.execute(select(there.tables[schema.view_schema.name])).first()
                found = None if row is None else tuple(row)
            elif there.tables:
                raise NotAViewDatabase(
                    f"{self._engine.url.database} holds {', '.join(sorted(there.tables))}, "
                    "not the views: name another file"
                )
            if found == wanted:
                schema.service_metadata.create_all(connection)
                return
            if there.tables:
                log.warning("views_dropped", found=found, wanted=wanted)
            there.drop_all(connection)
            schema.metadata.create_all(connection)
            schema.service_metadata.create_all(connection)
            connection.execute(
                insert(schema.view_schema).values(version=wanted[0], stream=wanted[1])
            )


@contextlib.contextmanager
def unless_lost() -> Iterator[None]:
    try:
        yield
    except exc.OperationalError as error:
        raise StoreUnavailable(f"the views cannot be kept: {error.orig}") from error
