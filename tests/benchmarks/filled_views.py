"""The views of a big organisation, as the real projector makes them, in every database there is."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from goal_contracts import subjects
from msgspec import Struct
from sqlalchemy import Engine, func, make_url, select

from services.projections.view_store import schema
from services.projections.view_store.engines import open_postgresql, open_sqlite
from services.projections.view_store.migrating import migrate
from services.projections.view_store.store import ViewStore
from services.projections.views.projector import Projector
from tests.benchmarks import processes
from tests.benchmarks.five_years import Size, history

BATCH_EVENTS: Final = 10_000

Say = Callable[[str], None]


class Filled(Struct, frozen=True):
    """The views by the name of their database, and what is missing or to be known of them."""

    stores: dict[str, ViewStore]
    notes: list[str]


@contextlib.contextmanager
def filled_views(place: Path, size: Size, say: Say) -> Iterator[Filled]:
    """Databases in a directory, filled by one projection of the whole history."""
    with contextlib.ExitStack() as held:
        stores, notes = {"sqlite": _store(open_sqlite(place / "views.sqlite"), held)}, list[str]()
        try:
            port = held.enter_context(processes.postgresql(place / "postgresql"))
        except processes.NotInstalled as missing:
            notes.append(f"postgresql is not measured: {missing}")
        else:
            where = f"{processes.POSTGRESQL_USER}@{processes.HOST}:{port}"
            url = make_url(f"postgresql://{where}/{processes.POSTGRESQL_DATABASE}")
            stores["postgresql"] = _store(open_postgresql(url, "views"), held)
        _fill(list(stores.values()), size, say)
        yield Filled(stores, [_contents(stores["sqlite"].engine), *notes])


def _store(engine: Engine, held: contextlib.ExitStack) -> ViewStore:
    migrate(engine, "views")
    store = ViewStore(engine, subjects.STREAM)
    held.callback(store.close)
    return store


def _fill(stores: list[ViewStore], size: Size, say: Say) -> None:
    projector, position, life = Projector(stores[0]), 0, history(size)
    while batch := list(islice(life, BATCH_EVENTS)):
        for recorded, payload in batch:
            projector.add(recorded, payload)
        rows, last = projector.take(), batch[-1][0].position
        for store in stores:
            store.write(rows, position + 1, last)
        projector.trim()
        position = last
        say(f"filling the views: {position:,} events")
    for store in stores:
        store.lay_in_order()  # as whoever reads in a long log does
        with store.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="AUTOCOMMIT")
                for settle in ("VACUUM (ANALYZE)", "CHECKPOINT"):
                    connection.exec_driver_sql(settle)  # it would do so itself, in a while


def _contents(engine: Engine) -> str:
    """How much there is."""
    kind, readings = schema.goal.c.kind, schema.reading
    with engine.connect() as connection:

        def count(table: object, *where: object) -> int:
            statement = select(func.count()).select_from(table).where(*where)  # type: ignore[arg-type]  # tables and columns
            return connection.execute(statement).scalar_one()

        goals = count(schema.goal, kind.in_(("objective", "key_result")))
        return (
            f"{goals:,} goals, {count(schema.goal_version):,} versions, {count(readings):,} "
            f"readings, {count(schema.check_in):,} check-ins, {count(schema.event):,} events"
        )
