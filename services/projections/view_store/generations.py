"""The generations of the views: each made from the log anew, in tables of its own.

SQLite keeps each in a file, FILE-1 and so on beside the service's own FILE; PostgreSQL in a schema,
`views_1` and so on beside `projections`. One is complete and answers; a newer one may be building.
To take over is one row in one transaction. Whatever is killed in between, what the row says is so.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog
from sqlalchemy import URL, Connection, Engine, Select, func, insert, select, text, update

from services.projections.view_store import fold
from services.projections.view_store.engines import open_postgresql, open_sqlite, read_address
from services.projections.view_store.migrating import alone, migrate
from services.projections.view_store.service_schema import (
    BUILDING,
    COMPLETE,
    DROPPED,
    generation,
)
from services.projections.view_store.store import ViewStore, unless_lost

SERVICE_SCHEMA: Final = "projections"
DROP_WAIT_S: Final = 5
"""So long a schema may be waited for that somebody still reads."""

log = structlog.get_logger()


class Generation(NamedTuple):
    """One making of the views of a stream, by one fold."""

    number: int
    stream: str
    fold: str
    state: str


class Superseded(Exception):
    """It was dropped before it could take over: another release began one of its own."""


class Place(Protocol):
    """Where the service's tables and each generation's are."""

    def service(self) -> Engine: ...

    def views(self, number: int) -> Engine: ...

    def drop(self, number: int) -> None: ...


class Files:
    """SQLite: a file each."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def service(self) -> Engine:
        return open_sqlite(self._file, waits_for_disk=True)

    def views(self, number: int) -> Engine:
        return open_sqlite(self._of(number))

    def drop(self, number: int) -> None:
        file = self._of(number)
        for beside in ("", "-wal", "-shm"):
            file.with_name(file.name + beside).unlink(missing_ok=True)

    def _of(self, number: int) -> Path:
        return self._file.with_name(f"{self._file.stem}-{number}{self._file.suffix}")


class Schemas:
    """PostgreSQL: a schema each."""

    def __init__(self, url: URL) -> None:
        self._url = url

    def service(self) -> Engine:
        return open_postgresql(self._url, SERVICE_SCHEMA)

    def views(self, number: int) -> Engine:
        return open_postgresql(self._url, f"views_{number}")

    def drop(self, number: int) -> None:
        engine = self.service()
        try:
            with engine.begin() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = '{DROP_WAIT_S}s'"))
                connection.execute(text(f"DROP SCHEMA IF EXISTS views_{number} CASCADE"))
        finally:
            engine.dispose()


class Generations:
    """All of them in one database. Synchronous: on an event loop, call it in a thread.

    Every method raises StoreUnavailable while the database cannot be reached.
    """

    def __init__(self, address: str) -> None:
        """Raises NotADatabase, NotAViewDatabase or NewerSchema."""
        url = read_address(address)
        self._place: Place = (
            Files(Path(url.database or "")) if url.get_backend_name() == "sqlite" else Schemas(url)
        )
        self.service = self._place.service()
        """For tables that outlive generations: see service_schema."""
        with unless_lost():
            migrate(self.service, "service")

    def close(self) -> None:
        self.service.dispose()

    def current(self) -> Generation | None:
        """The one that answers."""
        with unless_lost(), self.service.connect() as connection:
            return _current(connection)

    def building(self) -> Generation | None:
        """The one that will."""
        with unless_lost(), self.service.connect() as connection:
            return _building(connection)

    def begin(self, stream: str) -> Generation:
        """A new one of this release's fold, empty; or the one that is building already.

        One that is building by another fold or from another stream is dropped.
        """
        wanted = fold.fingerprint()
        with unless_lost(), alone(self.service) as connection:
            found = _building(connection)
            if found is not None and (found.stream, found.fold) == (stream, wanted):
                return found
            number = connection.execute(select(func.max(generation.c.number))).scalar() or 0
            begun = Generation(number + 1, stream, wanted, BUILDING)
            connection.execute(insert(generation).values(begun._asdict()))
        if found is not None:
            self.drop(found.number)
        return begun

    def open(self, one: Generation) -> ViewStore:
        """Its tables, as this release needs them; raises NotAViewDatabase or NewerSchema."""
        engine = self._place.views(one.number)
        try:
            with unless_lost():
                migrate(engine, "views")
        finally:
            engine.dispose()  # of the one connection; there are others when they are wanted
        return ViewStore(engine, one.stream)

    def take_over(self, one: Generation) -> None:
        """From now on it answers; Superseded if it is gone."""
        with unless_lost(), self.service.begin() as connection:
            connection.execute(
                update(generation)
                .where(generation.c.number == one.number, generation.c.state == BUILDING)
                .values(state=COMPLETE)
            )
            current = _current(connection)
        if current is None or current.number < one.number:
            raise Superseded(f"generation {one.number} of the views was dropped meanwhile")
        log.info("views_taken_over", generation=one.number, fold=one.fold)

    def drop_older(self) -> None:
        """Those before the current one; whoever still answers from them has to be done."""
        with unless_lost(), self.service.connect() as connection:
            current = _current(connection)
            numbers: Collection[int] = (
                ()
                if current is None
                else connection.execute(
                    select(generation.c.number).where(
                        generation.c.number < current.number, generation.c.state != DROPPED
                    )
                )
                .scalars()
                .all()
            )
        for number in numbers:
            self.drop(number)

    def drop(self, number: int) -> None:
        """Its tables are gone, whatever is in them; its number is not given again."""
        with unless_lost():
            self._place.drop(number)
            with self.service.begin() as connection:
                connection.execute(
                    update(generation).where(generation.c.number == number).values(state=DROPPED)
                )
        log.info("views_dropped", generation=number)


def _current(connection: Connection) -> Generation | None:
    return _newest(connection, select(generation).where(generation.c.state == COMPLETE))


def _building(connection: Connection) -> Generation | None:
    current = _current(connection)
    return _newest(
        connection,
        select(generation).where(
            generation.c.state == BUILDING,
            generation.c.number > (0 if current is None else current.number),
        ),
    )


def _newest(connection: Connection, found: Select[int, str, str, str]) -> Generation | None:
    row = connection.execute(found.order_by(generation.c.number.desc()).limit(1)).first()
    return None if row is None else Generation(*row)
