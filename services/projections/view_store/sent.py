"""What was sent, remembered so that nothing is sent twice.

It belongs to the service and outlives every generation of the views. What is about to be sent is
taken first, so that of several services one sends it, and remembered after it was sent. If a
service dies in between, nobody knows whether it was: after a while it is sent once more, under the
same id, by which whoever gets it knows it again.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, update
from sqlalchemy.dialects import postgresql, sqlite

from services.projections.view_store import service_schema
from services.projections.view_store.store import unless_lost

TAKEN_FOR: Final = timedelta(minutes=10)
"""What was taken longer ago and is not known as sent may be taken again."""
ITEMS_MAX: Final = 500
"""Items in one statement."""


class Sent:
    """Synchronous: on an event loop, call it in a thread. StoreUnavailable if it cannot be kept."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        is_postgresql = engine.dialect.name == "postgresql"
        self._insert: Any = postgresql.insert if is_postgresql else sqlite.insert

    def take(self, organisation_id: str, items: Collection[str], now: datetime) -> set[str]:
        """Those of some items that nobody has sent, nor is sending: they are ours to send."""
        sent = service_schema.sent.c
        taken: set[str] = set()
        for some in _chunks(items):
            rows = [
                {"organisation_id": organisation_id, "item": each, "taken_at": now} for each in some
            ]
            statement = (
                self._insert(service_schema.sent)
                .values(rows)
                .on_conflict_do_update(
                    index_elements=[sent.organisation_id, sent.item],
                    set_={"taken_at": now},
                    where=sent.sent_at.is_(None) & (sent.taken_at <= now - TAKEN_FOR),
                )
                .returning(sent.item)
            )
            with unless_lost(), self._engine.begin() as connection:
                taken |= set(connection.execute(statement).scalars())
        return taken

    def remember(self, organisation_id: str, items: Collection[str], now: datetime) -> None:
        """They are sent, and never taken again."""
        sent = service_schema.sent.c
        with unless_lost(), self._engine.begin() as connection:
            for some in _chunks(items):
                connection.execute(
                    update(service_schema.sent)
                    .where(sent.organisation_id == organisation_id, sent.item.in_(some))
                    .values(sent_at=now)
                )


def _chunks(items: Collection[str]) -> Iterator[list[str]]:
    wanted = sorted(set(items))
    for start in range(0, len(wanted), ITEMS_MAX):
        yield wanted[start : start + ITEMS_MAX]
