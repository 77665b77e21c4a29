"""The views of a big organisation, as the real projector makes them, in a database."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

from goal_contracts import subjects
from sqlalchemy import Engine, func, select

from services.projections.view_store import schema
from services.projections.view_store.store import ViewStore, open_sqlite
from services.projections.views.projector import Projector
from tests.benchmarks.five_years import Size, history

BATCH_EVENTS: Final = 10_000
COUNTED: Final = ("goal_version", "check_in", "reading")


def filled_sqlite(home: Path, size: Size, say: Callable[[str], None]) -> ViewStore:
    """Views in a file; where they are there already they are taken as they are."""
    store = ViewStore(open_sqlite(home / "views.sqlite"), subjects.STREAM)
    if store.position() == 0:
        fill(store, size, say)
    return store


def fill(store: ViewStore, size: Size, say: Callable[[str], None]) -> None:
    """Fold the whole history into the views of a store."""
    projector, position, life = Projector(store), 0, history(size)
    while batch := list(islice(life, BATCH_EVENTS)):
        for recorded, payload in batch:
            projector.add(recorded, payload)
        last = batch[-1][0].position
        store.write(projector.take(), position + 1, last)
        projector.trim()
        position = last
        say(f"filling the views: {position:,} events")


def contents(engine: Engine) -> str:
    """How much there is, for a part's notes."""
    goal = schema.goal.c
    asked = {"goals": select(func.count()).where(goal.kind.in_(("objective", "key_result")))}
    asked |= {name: select(func.count()).select_from(schema.VIEWS[name]) for name in COUNTED}
    with engine.connect() as connection:
        return ", ".join(
            f"{connection.execute(statement).scalar():,} {name.replace('_', ' ')}s".replace(
                "goalss", "goals"
            )
            for name, statement in asked.items()
        )
