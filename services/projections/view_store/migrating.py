"""Brings the tables of a database to what this release needs, in one transaction.

NotAViewDatabase   it is broken, or holds something else
NewerSchema        a later release has been here
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, exc, inspect, text

Chain = Literal["views", "service"]

MIGRATIONS: Final = Path(__file__).with_name("migrations")
ONE_AT_A_TIME: Final = 4_701_101
"""The key of PostgreSQL's lock for `alone`; nobody else has a reason to take this one."""


class NotAViewDatabase(Exception):
    """The database is broken, or holds something else."""


class NewerSchema(Exception):
    """The tables were migrated by a later release: what it made of them is not known here."""


def migrate(engine: Engine, chain: Chain) -> None:
    """The tables of a chain as they have to be, made if they are not there."""
    try:
        with alone(engine) as connection:
            _upgrade(connection, chain)
    except exc.DatabaseError as error:
        if isinstance(error, exc.OperationalError):
            raise
        raise NotAViewDatabase(
            f"{engine.url.database} cannot be read ({error.orig}): delete it, and the views are "
            "read anew from the log"
        ) from error


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """A transaction beside which no other process has one of these."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # Its driver would begin none for tables.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
            schema = connection.dialect.identifier_preparer.quote(_schema_of(connection))
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
        yield connection


def _schema_of(connection: Connection) -> str:
    return str(connection.execute(text("SHOW search_path")).scalar())


def _upgrade(connection: Connection, chain: Chain) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(MIGRATIONS / chain))
    config.set_main_option("path_separator", "os")
    attributes: dict[Any, Any] = config.attributes
    attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found == script.get_current_head():
        return
    tables = inspect(connection).get_table_names()
    if found is None and tables:
        raise NotAViewDatabase(
            f"{connection.engine.url.database} holds {', '.join(sorted(tables))}, not what the "
            "projections keep: name another database"
        )
    if found not in {None, *(each.revision for each in script.walk_revisions())}:
        raise NewerSchema(f"the {chain} were migrated to {found} by a later release")
    command.upgrade(config, "head")
