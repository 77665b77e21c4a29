"""Statements that are compiled once: lists of any length, values told as what they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from goal_contracts import events
from goal_contracts.policy import Policy
from sqlalchemy import Connection, bindparam, select

from services.projections.view_store import reader, schema
from services.projections.view_store.engines import open_sqlite
from services.projections.view_store.migrating import migrate
from services.projections.view_store.statements import LENGTHS, ListStatement, Statement
from services.projections.view_store.store import ViewStore
from tests.projections.log import ORGANISATION, START, Log, fill

UNITS = LENGTHS[-1] * 2 + 3

OF_UNITS = ListStatement(
    lambda listed: select(schema.goal.c.goal_id, schema.goal.c.position).where(
        schema.goal.c.organisation_id == bindparam("organisation_id"),
        schema.goal.c.kind == "unit",
        schema.goal.c.goal_id.in_(listed),
    )
)


@pytest.fixture
def connection(store: ViewStore) -> Iterator[Connection]:
    log = Log()
    log.add(events.OrganisationOpened(ORGANISATION, "Acme", "Europe/Berlin", Policy()))
    for number in range(UNITS):
        log.add(events.UnitDefined(f"unit-{number}", f"Unit {number}", "team"))
    fill(store, log)
    with store.engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("length", sorted({0, *LENGTHS, *(each + 1 for each in LENGTHS), UNITS}))
def test_a_list_of_any_length_gives_each_row_once(connection: Connection, length: int) -> None:
    wanted = [f"unit-{number}" for number in range(length)]
    rows = OF_UNITS.rows(connection, wanted * 2, organisation_id=ORGANISATION)
    assert sorted(rows) == sorted((f"unit-{number}", number + 2) for number in range(length))


def test_instants_go_in_and_come_out_as_instants(connection: Connection) -> None:
    known = Statement(
        select(schema.event.c.known_at_max).where(
            schema.event.c.organisation_id == ORGANISATION,
            schema.event.c.known_at_max <= bindparam("at"),
        )
    )
    assert known.rows(connection, at=START) == [(START,)]


def test_sqlite_looks_up_a_list_of_ids_instead_of_walking_through_everything(
    tmp_path: Path,
) -> None:
    engine = open_sqlite(tmp_path / "views.sqlite")
    migrate(engine, "views")
    asked = reader._stood(
        bindparam("organisation_id", "acme"), bindparam("kind", "unit"), bindparam("structure", 9)
    ).where(schema.goal.c.goal_id.in_([f"unit-{number}" for number in range(LENGTHS[-1])]))
    text = asked.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()
    engine.dispose()
    assert any("USING INDEX goal_by_id" in row[3] for row in plan), plan
