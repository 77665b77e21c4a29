"""How the two databases are opened, so that the same statements mean the same in both.

SQLite is the embedded one, in files: a power cut may cost views the last transactions, never their
integrity, and what is lost is read again from the log, because the position was lost with it.
PostgreSQL, 15 or later, waits for its disk: it could fall and lose them without us, who would go on
to cite their position.
"""

import select
import sqlite3
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Engine, create_engine, exc, make_url
from sqlalchemy import event as sqlalchemy_event

CONNECTIONS_MAX: Final = 8
"""At most so many read at once; one writes."""
BUSY_TIMEOUT_S: Final = 10
STATEMENTS_MAX: Final = 256
"""So many of a connection to SQLite stay compiled: all that store rows, and the questions."""

PRAGMAS: Final = (
    "page_size=8192",  # an event fits into a page, beside others
    "journal_mode=WAL",
    "cache_size=-65536",  # KiB
    "mmap_size=2147418112",  # bytes, as many as it maps at most: a page is read without a call
    "temp_store=MEMORY",
)

WAL_PAGES: Final = 4_000
"""So much is written before a commit waits until it is copied to its place."""
WAL_PAGES_BESIDE: Final = 40_000
"""The same where somebody else copies meanwhile (ViewStore.settle), and seldom comes to an end."""

PATIENCE: Final = {
    "connect_timeout": "10",
    # Seconds, and milliseconds for the last: a server that is gone without a word is noticed.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""What libpq is told unless the URL tells it otherwise."""

UNDEFINED_TABLE: Final = "42P01"

ACCEPTED: Final = "accepted: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"

LOST: Final = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.InternalError,  # it has become a standby, which cannot be written
    exc.TimeoutError,  # no connection is free
    # From COPY and from prepared statements, which SQLAlchemy does not see.
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    sqlite3.OperationalError,
)
"""What is raised while a database cannot be read or written."""


class NotADatabase(ValueError):
    """An address of no database that can keep views."""


def read_address(address: str) -> URL:
    """`sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`; NotADatabase if neither."""
    try:
        url = make_url(address)
    except exc.ArgumentError as error:
        raise NotADatabase(f"this is no address of a database: {ACCEPTED}") from error
    match url.get_backend_name():
        case "sqlite" if url.database:
            return url
        case "postgresql":
            return url
        case _:
            raise NotADatabase(f"no views can be kept at {url.render_as_string()}: {ACCEPTED}")


def open_sqlite(path: Path, *, waits_for_disk: bool = False) -> Engine:
    """A file; its directory is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT_S, "cached_statements": STATEMENTS_MAX},
    )

    @sqlalchemy_event.listens_for(engine, "connect")
    def settle(connection: Any, _: object) -> None:  # noqa: ANN401  # a DB-API connection
        for pragma in (
            *PRAGMAS,
            f"synchronous={'FULL' if waits_for_disk else 'NORMAL'}",
            f"wal_autocheckpoint={WAL_PAGES if waits_for_disk else WAL_PAGES_BESIDE}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def open_postgresql(url: URL, schema: str) -> Engine:
    """One schema of a server's database; the server is not asked before it is needed."""
    engine = create_engine(
        url.set(
            drivername="postgresql+psycopg",
            query={**PATIENCE, **url.query, "client_encoding": "utf8"},
        ),
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
    )

    @sqlalchemy_event.listens_for(engine, "connect")
    def settle(connection: psycopg.Connection, _: object) -> None:
        connection.execute(f"SET search_path TO {schema}".encode())
        # All that is asked goes by an index, whatever the values: to plan it again each time, as
        # the server would where there is a limit, takes longer than to do it.
        connection.execute("SET plan_cache_mode TO force_generic_plan")
        # Much is read by few plans: to compile one takes longer than it would save.
        connection.execute("SET jit TO off")
        connection.commit()
        # What is asked again is prepared by us (statements). Where psycopg has prepared anything, a
        # rollback makes the server forget all that is.
        connection.prepare_threshold = None

    @sqlalchemy_event.listens_for(engine, "checkout")
    def listen(connection: psycopg.Connection, *_: object) -> None:
        # A server that was started again costs a connection, not an answer: when it went it said
        # so. To ask it whether it is there would cost every question a trip.
        if has_spoken(connection):
            raise exc.DisconnectionError

    return engine


def has_spoken(connection: psycopg.Connection) -> bool:
    """Whether a server said something that nobody asked for, such as that it goes."""
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    return bool(socket.poll(0))


def is_lost(error: Exception) -> bool:
    """Whether the database, or the tables asked for, are not there at the moment."""
    cause = getattr(error, "orig", None) or error
    return isinstance(error, LOST) or getattr(cause, "sqlstate", None) == UNDEFINED_TABLE
