"""Logs for tests: events in order, as the ledger would have recorded them, without a ledger."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec
from goal_contracts import codec, subjects
from goal_contracts.codec import Recorded
from goal_contracts.events import Event
from goal_contracts.queries import Answer, ExportView, Query, ViewPage
from nats.aio.client import Client

from services.projections.feed import Feed
from services.projections.queries import Answered, Questions
from services.projections.view_store import schema
from services.projections.view_store.engines import open_postgresql, open_sqlite, read_address
from services.projections.view_store.store import ViewStore
from services.projections.views.projector import Projector
from services.projections.views.rows import Rows

ORGANISATION: Final = "acme"
START: Final = datetime(2025, 7, 1, 8, tzinfo=UTC)
NOW: Final = datetime(2025, 12, 31, 12, tzinfo=UTC)
STREAM: Final = "GOALS"

A = TypeVar("A", bound=Answer)
_answer: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)


class Log(list[Recorded]):
    """What the ledger recorded, from position 1."""

    def add(
        self,
        event: Event,
        *,
        known_at: datetime | None = None,
        actor: str = "u-17",
        organisation_id: str = ORGANISATION,
        provenance: str | None = None,
    ) -> Recorded:
        """The next event; an hour after the one before unless it says when it was known."""
        if known_at is None:
            known_at = self[-1].known_at + timedelta(hours=1) if self else START
        position = len(self) + 1
        recorded = Recorded(
            position=position,
            event_id=f"e-{position}",
            organisation_id=organisation_id,
            kind=event.kind,
            goal_id=event.goal_id,
            recorded_at=max(known_at, START),
            known_at=known_at,
            effective_at=codec.effective_at_of(event, known_at),
            actor=actor,
            command_id=f"c-{position}",
            event=event,
            reason=getattr(event, "reason", None),
            provenance=provenance,
        )
        self.append(recorded)
        return recorded


def rows_of(log: Sequence[Recorded], store: ViewStore) -> Rows:
    """What the events add to the views of a store."""
    projector = Projector(store)
    for recorded in log:
        projector.add(recorded, codec.encode_event(recorded))
    return projector.take()


class Nothing:
    """A past in which nothing is stored."""

    def last_state(self, *asked: Any) -> None:
        return None

    last_check_in = last_reading = last_known_at_max = last_state


def projected(log: Log) -> Rows:
    projector = Projector(Nothing())
    for recorded in log:
        # What nobody knows nobody can write, and the projector does not look at its bytes.
        is_known = not isinstance(recorded.event, codec.Unrecognised)
        projector.add(recorded, codec.encode_event(recorded) if is_known else b"{}")
    return projector.take()


def view_store(path: Path) -> ViewStore:
    return store_at(f"sqlite:///{path / 'views.sqlite'}")


def store_at(database: str, stream: str = STREAM) -> ViewStore:
    """The views kept right at an address, as one generation of them is."""
    url = read_address(database)
    engine = (
        open_sqlite(Path(url.database or ""))
        if url.get_backend_name() == "sqlite"
        else open_postgresql(url, "public")
    )
    schema.metadata.create_all(engine)
    return ViewStore(engine, stream)


def fill(store: ViewStore, log: Sequence[Recorded]) -> None:
    """The events as one batch."""
    if log:
        store.write(rows_of(log, store), log[0].position, log[-1].position)


def fill_in_parts(store: ViewStore, log: Sequence[Recorded], cuts: Sequence[int]) -> None:
    """The events as several batches."""
    for first, last in pairwise(sorted({0, len(log), *(cut % len(log) for cut in cuts)})):
        store.write(rows_of(log[first:last], store), first + 1, last)


class Asker:
    """Asks a store directly, as the service would, but for the waiting."""

    def __init__(self, store: ViewStore, organisation_id: str = ORGANISATION) -> None:
        self._organisation_id = organisation_id
        self._store = store
        self._feed = Feed(cast("Client", None), STREAM, store)
        self._questions = Questions(self._feed, store.engine)

    def __call__(self, query: Query, kind: type[A], now: datetime = NOW) -> A:
        answer = _answer.decode(self.raw(query, now))
        assert isinstance(answer, kind)
        return answer

    def raw(self, query: Query, now: datetime = NOW) -> bytes:
        return self.answered(query, now).body

    def answered(self, query: Query, now: datetime = NOW) -> Answered:
        self._feed.position = self._store.position()
        return self._questions._answer(self._organisation_id, query, now)

    def keeps_ahead(self, now: datetime) -> bool:
        """Whether something was made before it is asked for."""
        self._feed.position = self._store.position()
        return self._questions.keep_ahead(now)

    def pages(self, query: Any, now: datetime = NOW) -> list[Any]:
        """All pages of an answer."""
        pages = []
        while True:
            page: Any = _answer.decode(self.raw(query, now))
            pages.append(page)
            if page.cursor is None:
                return pages
            query = msgspec.structs.replace(query, cursor=page.cursor)

    def export(self) -> dict[str, list[bytes]]:
        """Every row of every view."""
        return {
            view: [
                bytes(row)
                for page in self.pages(ExportView(view=view, limit=7))
                if isinstance(page, ViewPage)
                for row in page.rows
            ]
            for view in schema.VIEWS
        }


async def make_stream(client: Client, organisation_id: str) -> str:
    """A stream of that organisation alone, with nothing that guards it."""
    name = f"GOALS-{organisation_id}"
    config = {"name": name, "subjects": [subjects.ledger(organisation_id, "*", "*", "*")]}
    await client.request(f"$JS.API.STREAM.CREATE.{name}", msgspec.json.encode(config))
    return name


async def append(client: Client, recorded: Recorded, payload: bytes | None = None) -> None:
    """One event, stored and acknowledged."""
    subject = subjects.ledger(
        recorded.organisation_id, recorded.kind, recorded.goal_id, recorded.type
    )
    reply = await client.request(subject, payload or codec.encode_event(recorded), timeout=5)
    assert msgspec.json.decode(reply.data)["seq"] == recorded.position
