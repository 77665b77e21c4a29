"""SQLite and each release of PostgreSQL say the same, byte for byte, and may be away a while."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from goal_contracts import events
from goal_contracts.queries import (
    AsOf,
    CycleReport,
    Goals,
    History,
    Query,
    Readings,
    Replay,
    WeeklyDigest,
)
from sqlalchemy import text

from services.projections.view_store import schema
from services.projections.view_store.engines import NotADatabase, read_address
from services.projections.view_store.kept import Kept
from services.projections.view_store.reader import Reader
from services.projections.view_store.store import StoreUnavailable, ViewStore, unless_lost
from tests.postgresql import RELEASES, Cluster, empty_database
from tests.projections.company import life
from tests.projections.log import ORGANISATION, Asker, Log, fill, rows_of, store_at, view_store

# In the order of code points; by the rules of a language they stand quite otherwise.
IDS: Final = ("-a", "A", "B", "Z", "_b", "a", "a-b", "a_b", "ab", "b", "z9", "zA", "za")


def story() -> Log:
    """A company's life, and units whose ids every language would order in another way."""
    log = life()
    for unit_id in sorted(IDS, key=str.lower):
        log.add(events.UnitDefined(unit_id, name=f"Einheit {unit_id} 大", unit_kind="team"))
    return log


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """The same story in an SQLite file."""
    store = view_store(tmp_path_factory.mktemp("plain"))
    fill(store, story())
    yield Asker(store)
    store.close()


@pytest.fixture(params=RELEASES)
def store(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_clusters: Mapping[str, Cluster]
) -> Iterator[ViewStore]:
    """In each release of PostgreSQL."""
    kind = f"postgresql-{request.param}"
    with empty_database(kind, tmp_path, postgresql_clusters) as address:
        store = store_at(address)
        yield store
        store.close()


def questions(log: Log) -> Iterator[Query]:
    """Every kind of question, about every thing and at many positions."""
    for recorded in log[::8]:
        yield AsOf(as_of=f"@{recorded.position}")
        yield AsOf(as_of=recorded.known_at.isoformat(), limit=2)
    for recorded in log[::40]:
        yield WeeklyDigest(as_of=f"@{recorded.position}", limit=2)
    for kind, thing in sorted({(each.kind, each.goal_id) for each in log}):
        yield History(kind=kind, id=thing, limit=3)  # type: ignore[arg-type]  # all are known
        match kind:
            case "kpi":
                yield Readings(kpi=thing, limit=2)
                yield AsOf(kpi=thing)
            case "cycle":
                yield CycleReport(cycle=thing, limit=2)
                yield CycleReport(cycle=thing, by_week=True, limit=2)
                yield Replay(cycle=thing, limit=5)
            case "unit":
                yield AsOf(unit=thing)
                yield WeeklyDigest(unit=thing, as_of=f"@{log[-1].position}", limit=3)
            case "objective" | "key_result":
                yield AsOf(goal=f"{kind}/{thing}")


def test_every_answer_and_every_page_has_the_same_bytes(store: ViewStore, plain: Asker) -> None:
    log = story()
    fill(store, log[:30])
    fill(store, log[30:])
    ask = Asker(store)
    asked = set()
    for query in questions(log):
        assert ask.pages(query) == plain.pages(query), query
        asked.add(type(query))
    assert asked == {AsOf, CycleReport, History, Readings, Replay, WeeklyDigest}
    units = [unit.unit_id for page in ask.pages(AsOf(limit=3)) for unit in _units(page)]
    assert units == sorted(units)
    assert set(IDS) < set(units)


def test_every_view_has_the_same_bytes(store: ViewStore, plain: Asker) -> None:
    fill(store, story())
    export = Asker(store).export()
    assert export == plain.export()
    assert all(export.values())


def _units(page: Any) -> Any:
    assert isinstance(page, Goals)
    return page.units


def test_all_text_is_in_the_order_of_code_points(store: ViewStore) -> None:
    with store.engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT c.relname || '.' || a.attname, l.collname FROM pg_attribute a "
                "JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' "
                "JOIN pg_collation l ON l.oid = a.attcollation "
                "WHERE c.relname = ANY(:tables)"
            ),
            {"tables": list(schema.metadata.tables)},
        )
        collations = {str(column): str(collation) for column, collation in found}
    assert len(collations) > 40
    assert {name for name, collation in collations.items() if collation != "C"} == set()


@pytest.mark.parametrize("release", RELEASES)
def test_a_server_that_is_away_is_said_to_be_and_is_found_again(
    release: str, tmp_path: Path, postgresql_clusters: Mapping[str, Cluster]
) -> None:
    log = story()
    kind = f"postgresql-{release}"
    with empty_database(kind, tmp_path, postgresql_clusters) as address:
        server = postgresql_clusters[release]
        store = store_at(address)
        fill(store, log[:30])
        rows = rows_of(log[30:], store)
        ask, asked = Asker(store), AsOf(as_of="@30")
        before = ask.raw(asked)
        with store.engine.connect() as connection:
            asking = Reader(connection, Kept(), 0)
            assert asking.last_position(ORGANISATION, 30)
            server.kill()
            with pytest.raises(StoreUnavailable), unless_lost():
                asking.last_position(ORGANISATION, 30)
        try:
            with pytest.raises(StoreUnavailable):
                store.write(rows, 31, len(log))
            with pytest.raises(StoreUnavailable):
                store.position()
            with pytest.raises(StoreUnavailable):
                Asker(store).export()
        finally:
            server.start()
        assert ask.raw(asked) == before
        assert store.position() == 30
        store.write(rows, 31, len(log))
        assert store.position() == len(log)
        store.close()


@pytest.mark.parametrize("address", ["mysql://host/views", "views.sqlite", "sqlite://"])
def test_what_is_no_address_of_a_database_is_said_to_be_none(address: str) -> None:
    with pytest.raises(NotADatabase, match="accepted: sqlite:///FILE or postgresql://"):
        read_address(address)


def test_a_password_is_not_told() -> None:
    with pytest.raises(NotADatabase) as refused:
        read_address("mysql://user:secret@host/views")
    assert "secret" not in str(refused.value)
