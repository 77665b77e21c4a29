"""The migrations end in exactly the schema, on every database, and are all there or not at all."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, select, text

from services.projections.view_store import migrating, schema, service_schema
from services.projections.view_store.engines import open_postgresql, open_sqlite, read_address
from services.projections.view_store.migrating import (
    Chain,
    NewerSchema,
    NotAViewDatabase,
    migrate,
)
from services.projections.view_store.schema import microseconds
from services.projections.views.rows import ChangeRow, EventChanges
from tests.projections.company import life
from tests.projections.log import projected

CHAINS: dict[Chain, MetaData] = {"views": schema.metadata, "service": service_schema.metadata}


def opened(database: str, name: str) -> Engine:
    """A place in the database for a set of tables."""
    url = read_address(database)
    if url.get_backend_name() == "sqlite":
        return open_sqlite(Path(url.database or "").with_name(f"{name}.sqlite"))
    return open_postgresql(url, name)


@pytest.fixture
def migrated(database: str) -> Iterator[Engine]:
    engine = opened(database, "migrated")
    yield engine
    engine.dispose()


@pytest.fixture
def created(database: str) -> Iterator[Engine]:
    engine = opened(database, "created")
    yield engine
    engine.dispose()


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_of_migrations_ends_in_exactly_the_schema(
    migrated: Engine, created: Engine, chain: Chain
) -> None:
    metadata = CHAINS[chain]
    migrate(migrated, chain)
    with created.begin() as connection:
        if created.dialect.name == "postgresql":
            connection.execute(text("CREATE SCHEMA created"))
        metadata.create_all(connection)
        wanted = tables_and_indexes(connection)
    with migrated.connect() as connection:
        found = tables_and_indexes(connection)
        assert found == wanted
        assert len(found) >= len(metadata.tables)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    migrate(migrated, chain)  # changes nothing


def tables_and_indexes(connection: Connection) -> list[tuple[Any, ...]]:
    """All that the database itself says of them, but where Alembic and SQLite keep their counts."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%' "
            "AND name NOT LIKE 'sqlite_stat%' ORDER BY name"
        )
        return [(name, " ".join((sql or "").split())) for name, sql in found]
    columns = connection.exec_driver_sql(
        "SELECT c.relname::text, a.attnum, a.attname::text, a.attnotnull, l.collname::text, "
        "format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
        "JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'i') "
        "LEFT JOIN pg_collation l ON l.oid = a.attcollation "
        "WHERE c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 "
        "AND c.relname NOT LIKE 'alembic%%' ORDER BY 1, 2"
    )
    indexes = connection.exec_driver_sql(
        "SELECT indexname::text, replace(indexdef, current_schema() || '.', '') FROM pg_indexes "
        "WHERE schemaname = current_schema() AND indexname NOT LIKE 'alembic%%' ORDER BY 1"
    )
    return [*map(tuple, columns), *map(tuple, indexes)]


def test_a_migration_that_breaks_off_has_not_been(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(connection: Connection, chain: Chain) -> None:
        upgrade(connection, chain)
        raise KeyboardInterrupt

    upgrade = migrating._upgrade
    monkeypatch.setattr(migrating, "_upgrade", breaks)
    with pytest.raises(KeyboardInterrupt):
        migrate(migrated, "views")
    with migrated.begin() as connection:
        if migrated.dialect.name == "postgresql":
            connection.execute(text("CREATE SCHEMA migrated"))  # even it is gone
        assert tables_and_indexes(connection) == []
    monkeypatch.undo()
    migrate(migrated, "views")


def test_tables_of_a_later_release_are_left_alone(migrated: Engine) -> None:
    migrate(migrated, "views")
    with migrated.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from the future'"))
    with pytest.raises(NewerSchema, match="from the future"):
        migrate(migrated, "views")


def test_a_database_of_something_else_is_left_alone(migrated: Engine) -> None:
    with migrated.begin() as connection:
        if migrated.dialect.name == "postgresql":
            connection.execute(text("CREATE SCHEMA migrated"))
        connection.execute(text("CREATE TABLE invoices (id INTEGER)"))
    with pytest.raises(NotAViewDatabase, match="invoices"):
        migrate(migrated, "views")


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "views.sqlite"
    file.write_bytes(b"not a database, " * 1_000)
    with pytest.raises(NotAViewDatabase, match="not a database"):
        migrate(open_sqlite(file), "views")
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(file).execute("SELECT 1 FROM event")


def test_what_events_changed_is_kept_when_its_rows_become_one(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    before = "units_and_statistics"
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, before))
    migrate(migrated, "views")
    told = [row for event in projected(life()).change for row in event.rows()]
    by_field = [*told, *(row._replace(organisation_id="umbrella") for row in told)]
    assert max(row.ordinal for row in by_field) > 9
    with migrated.begin() as connection:
        old = MetaData()
        old.reflect(connection, only=["change"], resolve_fks=False)
        stored = [
            {
                key: microseconds(value) if isinstance(value, datetime) else value
                for key, value in row._asdict().items()
            }
            for row in by_field
        ]
        connection.execute(old.tables["change"].insert(), stored)
    monkeypatch.undo()
    migrate(migrated, "views")
    with migrated.connect() as connection:
        events = [EventChanges(*row) for row in connection.execute(select(schema.change))]
    assert len(events) < len(by_field)
    found = {
        (row.organisation_id, row.place): _read(row) for event in events for row in event.rows()
    }
    assert found == {(row.organisation_id, row.place): _read(row) for row in by_field}


def _read(row: ChangeRow) -> ChangeRow:
    """With its values as they are read: databases put spaces into JSON."""

    def read(said: bytes | None) -> Any:
        return None if said is None else msgspec.json.decode(said)

    return row._replace(was=read(row.was), now=read(row.now))
