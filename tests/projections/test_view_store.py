"""Rows and their position: one transaction, each event exactly once."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from services.projections.view_store import schema
from services.projections.view_store import store as view_store_of_rows
from services.projections.view_store.store import (
    NotNext,
    StoreUnavailable,
    ViewStore,
)
from services.projections.views import rows
from tests.projections import company
from tests.projections.company import life, opened
from tests.projections.log import Asker, Log, fill, projected, rows_of, store_at, view_store
from tests.waiting import wait_until


@pytest.fixture
def store(database: str) -> Iterator[ViewStore]:
    """On each of the databases in turn."""
    store = store_at(database)
    yield store
    store.close()


def test_a_table_has_the_columns_of_its_row() -> None:
    row_of: dict[str, Any] = {
        "event": rows.EventRow,
        "goal": rows.GoalRow,
        "goal_version": rows.VersionRow,
        "link": rows.LinkRow,
        "alignment": rows.AlignmentRow,
        "check_in": rows.CheckInRow,
        "reading": rows.ReadingRow,
        "change": rows.EventChanges,
    }
    assert {each.name for each in fields(rows.Rows)} == set(schema.VIEWS) == set(row_of)
    for name, table in schema.VIEWS.items():
        assert tuple(table.columns.keys()) == row_of[name]._fields


def test_what_was_said_of_a_kpi_is_laid_side_by_side(store: ViewStore) -> None:
    log = opened()
    kpis = [f"kpi-{number}" for number in range(5)]
    for kpi in kpis:
        log.add(replace(company.KPI, kpi_id=kpi))
    for month in range(1, 10):
        for kpi in kpis:
            said = company.reading(f"2025-{month:02}-01/2025-{month:02}-28", "99")
            log.add(replace(said, kpi_id=kpi))
    fill(store, log)
    before = Asker(store).export()
    store.lay_in_order()
    assert Asker(store).export() == before
    with store.engine.connect() as connection:
        lying = connection.exec_driver_sql("SELECT kpi_id FROM reading").scalars().all()
    assert lying == sorted(lying)
    assert len(lying) == 45


def test_it_is_not_laid_in_order_while_somebody_holds_on_to_it(
    store: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_store_of_rows, "LAY_WAIT_S", 0.1)
    fill(store, life())
    refused: Any = pytest.raises(StoreUnavailable, match="lock timeout")
    if store.engine.dialect.name == "sqlite":  # it lies in order by itself
        refused = nullcontext()
    with store.engine.begin() as reading:
        reading.exec_driver_sql("SELECT count(*) FROM reading")
        with refused:
            store.lay_in_order()
    store.lay_in_order()


def test_what_is_settled_is_in_the_file_itself_while_somebody_writes(tmp_path: Path) -> None:
    store, log = view_store(tmp_path), opened()
    fill(store, log)
    # Whoever takes the file for immutable does not look at what is written beside it.
    file_alone = f"file:{tmp_path / 'views.sqlite'}?immutable=1"
    with store.engine.connect() as writing:
        writing.exec_driver_sql("BEGIN IMMEDIATE")
        store.settle()
    alone = sqlite3.connect(file_alone, uri=True)
    assert alone.execute("SELECT count(*) FROM event").fetchone() == (len(log),)
    alone.close()
    store.close()


def test_sqlite_is_told_many_rows_by_few_statements(tmp_path: Path) -> None:
    """After each of them whoever computes an answer has his turn, and the feed waits for it."""
    store, log = view_store(tmp_path), life()
    told: list[str] = []
    with store.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
    driver.set_trace_callback(told.append)
    fill(store, log)
    assert len(log) > 40
    assert 0 < sum(each.startswith("INSERT INTO event ") for each in told) <= 6
    assert 0 < sum(each.startswith("INSERT INTO change ") for each in told) <= 6
    store.close()


def test_settling_changes_nothing(store: ViewStore) -> None:
    log = opened()
    fill(store, log)
    before = Asker(store, log[0].organisation_id).export()
    store.settle()
    assert Asker(store, log[0].organisation_id).export() == before


def test_a_batch_moves_the_position_with_its_rows(store: ViewStore) -> None:
    log = opened()
    assert store.position() == 0
    fill(store, log[:4])
    assert store.position() == 4
    fill(store, log[4:])
    assert store.position() == len(log)


@pytest.mark.parametrize(("first", "last"), [(1, 4), (3, 5), (6, 7)])
def test_a_batch_that_is_not_the_next_changes_nothing(
    store: ViewStore, ask: Asker, first: int, last: int
) -> None:
    log = opened()
    fill(store, log[:4])
    before = ask.export()
    later = rows_of(log[4:], store)
    with pytest.raises(NotNext):
        store.write(later, first, last)
    assert (store.position(), ask.export()) == (4, before)


def test_a_log_is_not_begun_twice(store: ViewStore) -> None:
    log = opened()
    first = rows_of(log[:2], store)
    store.write(first, 1, 2)
    with pytest.raises(NotNext):
        store.write(first, 1, 2)


@pytest.mark.parametrize("table", list(schema.VIEWS))
def test_a_write_that_breaks_off_leaves_neither_rows_nor_position(
    store: ViewStore, ask: Asker, table: str
) -> None:
    log = opened()
    fill(store, log[:9])
    before = ask.export()
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO away")
    with pytest.raises(StoreUnavailable):
        store.write(_one_of_each(rows_of(log[9:], store)), 10, len(log))
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE away RENAME TO {table}")
    assert (store.position(), ask.export()) == (9, before)


def _one_of_each(batch: rows.Rows) -> rows.Rows:
    """So that every table is written to, and whichever is missing breaks the batch."""
    whole = projected(life())
    for each in fields(batch):
        if not getattr(batch, each.name):
            setattr(batch, each.name, getattr(whole, each.name)[-1:])
    return batch


WRITER = """
import sys
from pathlib import Path
from tests.projections import company
from tests.projections.company import life, opened
from tests.projections.log import Log, fill, view_store
from goal_contracts import events
store = view_store(Path(sys.argv[1]))
log = opened()
fill(store, log)
while True:
    log.add(events.UnitRenamed("company", name_was="Acme", name="Acme"))
    fill(store, log[-1:])
"""


def test_killed_at_any_moment_the_rows_are_those_of_the_position(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], env=environment) as writer:
        database = tmp_path / "views.sqlite"
        try:
            wait_until(lambda: database.exists() and _position(database) > 30)
        finally:
            writer.send_signal(signal.SIGKILL)
    store = view_store(tmp_path)
    position = store.position()
    log = opened()
    with store.engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT position FROM event ORDER BY 1").scalars()
        assert list(stored) == list(range(1, position + 1))
        last = connection.exec_driver_sql("SELECT max(position) FROM goal_version").scalar()
        assert last == position > len(log)
    store.close()


def _position(database: Path) -> int:
    connection = sqlite3.connect(database)
    try:
        found = connection.execute("SELECT max(position) FROM tracking").fetchone()
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()
    return found[0] or 0


@pytest.mark.parametrize("values_at_once", [1, 60, 200])
def test_however_many_values_a_statement_takes_the_rows_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values_at_once: int
) -> None:
    def exported(place: str) -> Any:
        store = view_store(tmp_path / place)
        fill(store, life())
        export = Asker(store).export()
        store.close()
        return export

    usual = exported("usual")
    monkeypatch.setattr(view_store_of_rows, "VALUES_AT_ONCE", values_at_once)
    assert exported("other") == usual


def test_deleting_the_database_gives_the_same_bytes(tmp_path: Path) -> None:
    def exported(place: str, log: Log) -> Any:
        store = view_store(tmp_path / place)
        fill(store, log)
        export = Asker(store).export()
        store.close()
        return export

    first = exported("one", life())
    assert exported("other", life()) == first
    assert all(first.values())
