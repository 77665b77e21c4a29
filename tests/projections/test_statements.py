"""Statements that are compiled once: lists of any length, values told as what they are."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from goal_contracts import events
from goal_contracts.policy import Policy
from sqlalchemy import BigInteger, Connection, Text, and_, bindparam, func, select, text

from services.projections.view_store import change_reader, reader, schema
from services.projections.view_store.engines import open_sqlite
from services.projections.view_store.migrating import migrate
from services.projections.view_store.statements import (
    LISTED_MAX,
    ListStatement,
    Statement,
    TableStatement,
    has_arrays,
)
from services.projections.view_store.store import ViewStore
from tests.postgresql import DATABASES, Cluster, empty_database
from tests.projections.log import ORGANISATION, START, Log, fill, store_at

UNITS = LISTED_MAX + 3
OURS = {
    name: statement
    for module in (reader, change_reader)
    for name, statement in vars(module).items()
    if isinstance(statement, ListStatement | TableStatement)
}
ODD = ('"', "\\", '\\"', "{a,b}", "a b", "NULL", "Größe 大", "'")
"""Ids that a list has to be written with care for."""

OF_UNITS = ListStatement(
    lambda is_listed: select(schema.goal.c.goal_id, schema.goal.c.position).where(
        schema.goal.c.organisation_id == bindparam("organisation_id"),
        schema.goal.c.kind == "unit",
        is_listed(schema.goal.c.goal_id),
    )
)
UP_TO = TableStatement(
    {"unit_id": Text, "last": BigInteger},
    lambda listed: select(schema.goal.c.goal_id, listed.c.last).join(
        listed,
        and_(schema.goal.c.goal_id == listed.c.unit_id, schema.goal.c.position <= listed.c.last),
    ),
)


@pytest.fixture(params=DATABASES)
def views(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_clusters: Mapping[str, Cluster]
) -> Iterator[ViewStore]:
    """More units than are listed at a time, in each database."""
    log = Log()
    log.add(events.OrganisationOpened(ORGANISATION, "Acme", "Europe/Berlin", Policy()))
    for number in range(UNITS):
        log.add(events.UnitDefined(f"unit-{number}", f"Unit {number}", "team"))
    for unit_id in ODD:
        log.add(events.UnitDefined(unit_id, "Odd", "team"))
    with empty_database(request.param, tmp_path, postgresql_clusters) as address:
        store = store_at(address)
        fill(store, log)
        yield store
        store.close()


@pytest.fixture
def connection(views: ViewStore) -> Iterator[Connection]:
    with views.engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("length", [0, 1, LISTED_MAX - 1, LISTED_MAX, UNITS])
def test_a_list_of_any_length_gives_each_row_once(connection: Connection, length: int) -> None:
    wanted = [f"unit-{number}" for number in range(length)]
    rows = OF_UNITS.rows(connection, wanted * 2, organisation_id=ORGANISATION)
    assert sorted(rows) == sorted((f"unit-{number}", number + 2) for number in range(length))


@pytest.mark.parametrize("length", [0, 1, 5, UNITS])
def test_a_table_of_any_length_is_joined_row_by_row(connection: Connection, length: int) -> None:
    # Unit n came to be at position n + 2: every other one by the position beside it.
    wanted = [(f"unit-{number}", number + 1 + number % 2) for number in range(length)]
    rows = UP_TO.rows(connection, wanted * 2)
    assert sorted(rows) == sorted(each for number, each in enumerate(wanted) if number % 2)


def test_a_list_may_hold_any_text(connection: Connection) -> None:
    rows = OF_UNITS.rows(connection, [*ODD, ""], organisation_id=ORGANISATION)
    assert {row[0] for row in rows} == set(ODD)
    joined = UP_TO.rows(connection, [(unit_id, UNITS + len(ODD) + 1) for unit_id in ODD])
    assert {row[0] for row in joined} == set(ODD)


def test_no_text_is_cut_at_a_nul(connection: Connection) -> None:
    def found() -> list[Any]:
        return list(OF_UNITS.rows(connection, ["unit-1"], organisation_id=f"{ORGANISATION}\0"))

    if has_arrays(connection):
        with pytest.raises(psycopg.DataError):
            found()
    else:
        assert found() == []


def test_what_goes_wrong_is_the_drivers_own_error(connection: Connection) -> None:
    broken = Statement(select(func.no_such_function()))
    for _ in range(2):  # and the connection can still be used
        with pytest.raises((psycopg.errors.UndefinedFunction, sqlite3.OperationalError)):
            broken.rows(connection)
        assert list(OF_UNITS.rows(connection, ["unit-1"], organisation_id=ORGANISATION))


def test_what_is_prepared_outlives_a_rollback(connection: Connection) -> None:
    def found() -> list[Any]:
        return list(OF_UNITS.rows(connection, ["unit-1"], organisation_id=ORGANISATION))

    before = found()
    for _ in range(10):  # so often that a driver might prepare it, and at the end let go of all
        connection.execute(select(schema.goal.c.goal_id).limit(1))
    connection.rollback()
    assert found() == before


def test_a_table_that_is_another_than_it_was_costs_one_answer(connection: Connection) -> None:
    asked = Statement(select(text("*")).select_from(text("changing")))
    connection.exec_driver_sql("CREATE TABLE changing (one INTEGER)")
    connection.commit()
    assert list(asked.rows(connection)) == []
    connection.exec_driver_sql("ALTER TABLE changing ADD COLUMN two INTEGER")
    connection.commit()
    with contextlib.suppress(psycopg.errors.FeatureNotSupported):  # the plan has one column
        asked.rows(connection)
    connection.exec_driver_sql("INSERT INTO changing VALUES (1, 2)")
    connection.commit()
    assert list(asked.rows(connection)) == [(1, 2)]


def test_instants_go_in_and_come_out_as_instants(connection: Connection) -> None:
    known = Statement(
        select(schema.event.c.known_at_max).where(
            schema.event.c.organisation_id == ORGANISATION,
            schema.event.c.known_at_max <= bindparam("at"),
        )
    )
    assert known.rows(connection, at=START) == [(START,)]


@pytest.mark.parametrize("name", OURS)
def test_sqlite_looks_up_what_is_listed_instead_of_walking_through_everything(
    tmp_path: Path, name: str
) -> None:
    engine = open_sqlite(tmp_path / "views.sqlite")
    migrate(engine, "views")
    asked: Any = OURS[name]._of_json._select.compile(engine)
    with engine.connect() as connection:
        values = tuple("[]" for _ in asked.positiontup or ())
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", values).all()
    engine.dispose()
    plan = [row[3] for row in rows]
    looked_up = [step for step in plan if step.startswith("SEARCH")]
    assert looked_up
    assert not any(step.endswith(("(organisation_id=?)", "AND kind=?)")) for step in looked_up), (
        plan
    )
    assert not any("BLOOM" in step or "AUTOMATIC" in step for step in plan), plan
