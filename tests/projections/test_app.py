"""The projections as a service: a process of its own, asked over NATS from the outside."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from goal_contracts import codec, events, subjects
from goal_contracts.policy import Policy
from goal_contracts.queries import (
    Answer,
    AsOf,
    ExportView,
    Goals,
    Position,
    Query,
    QueryRefused,
    ViewPage,
    ViewPosition,
)
from nats.aio.client import Client

from services.projections.view_store import schema
from services.reading_apart import TURN_S
from tests.projections.company import at
from tests.projections.log import Log, append, make_stream
from tests.projections.test_feed import log_of
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

SERVICE = """
import asyncio, sys
from services.projections.app import Settings, run
url, database, stream = sys.argv[1:]
settings = Settings(server_url=url, database=database, stream=stream)
ready = lambda: print("READY, turns of", sys.getswitchinterval(), flush=True)
asyncio.run(run(settings, on_ready=ready))
"""
QUERY_SECONDS = 15

_answer = msgspec.json.Decoder(Answer)


class Service:
    """One run of the service."""

    def __init__(self, url: str, database: str, stream: str, log_file: Path) -> None:
        self.log_file = log_file
        with self.log_file.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVICE, url, database, stream],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=out,
                stderr=out,
            )

    async def ready(self) -> None:
        await eventually(lambda: "READY" in self.log_file.read_text(), 20)


@pytest.fixture
def organisation_id() -> str:
    return f"o-{uuid4().hex[:8]}"


@pytest.fixture
async def log(nats_client: Client, organisation_id: str) -> Log:
    log = log_of(organisation_id)
    await make_stream(nats_client, organisation_id)
    for recorded in log[:-1]:
        await append(nats_client, recorded)
    return log


@pytest.fixture
def service(nats_url: str, tmp_path: Path, organisation_id: str, log: Log) -> Iterator[Service]:
    database = f"sqlite:///{tmp_path / 'projections.sqlite'}"
    service = Service(nats_url, database, f"GOALS-{organisation_id}", tmp_path / "service.log")
    yield service
    service.process.kill()
    service.process.wait()


@pytest.fixture
async def ready(service: Service) -> Service:
    await service.ready()
    return service


async def ask(client: Client, organisation_id: str, query: Query) -> Any:
    subject = subjects.query(organisation_id, type(query).__name__)
    reply = await client.request(subject, codec.encode(query), timeout=QUERY_SECONDS)
    return _answer.decode(reply.data)


async def test_questions_are_answered_over_nats(
    ready: Service, nats_client: Client, organisation_id: str, log: Log
) -> None:
    reached = len(log) - 1
    goals = await ask(nats_client, organisation_id, AsOf(at_least=reached))
    assert isinstance(goals, Goals)
    assert goals.reflects.position == reached
    assert [card.key_result_id for card in goals.key_results] == ["kr"]
    position = await ask(nats_client, organisation_id, Position())
    assert position == ViewPosition(position=reached, views=tuple(schema.VIEWS))


async def test_the_cards_of_a_closed_cycle_are_made_before_anybody_asks_for_them(
    nats_client: Client, nats_url: str, tmp_path: Path, organisation_id: str, log: Log
) -> None:
    closed = events.CycleClosed("q3", policy=Policy())
    log.add(closed, organisation_id=organisation_id, known_at=at(10, 5))
    for recorded in log[-2:]:
        await append(nats_client, recorded)
    database = f"sqlite:///{tmp_path / 'projections.sqlite'}"
    service = Service(nats_url, database, f"GOALS-{organisation_id}", tmp_path / "service.log")
    try:
        await eventually(lambda: "cards_kept_ahead" in service.log_file.read_text(), 20)
    finally:
        service.process.kill()
        service.process.wait()
    assert "cycles=1" in service.log_file.read_text()


async def test_threads_take_short_turns_so_that_a_long_answer_holds_up_no_event(
    ready: Service,
) -> None:
    said = ready.log_file.read_text().partition("READY, turns of ")[2].split()[0]
    assert float(said) == pytest.approx(TURN_S)


async def test_who_just_wrote_waits_for_the_views(
    ready: Service, nats_client: Client, organisation_id: str, log: Log
) -> None:
    asked = asyncio.create_task(ask(nats_client, organisation_id, AsOf(at_least=len(log))))
    meanwhile = await ask(nats_client, organisation_id, Position())  # is not held up by it
    assert meanwhile.position == len(log) - 1
    await append(nats_client, log[-1])
    assert (await asked).reflects.position == len(log)


async def test_questions_that_wait_for_the_far_future_leave_room_for_the_others(
    ready: Service, nats_client: Client, organisation_id: str, log: Log
) -> None:
    far = [
        asyncio.create_task(ask(nats_client, organisation_id, AsOf(at_least=len(log) + 1_000)))
        for _ in range(300)
    ]
    async with asyncio.timeout(QUERY_SECONDS / 3):
        goals = await ask(nats_client, organisation_id, AsOf())
    assert isinstance(goals, Goals)
    assert not all(task.done() for task in far)
    refused = await asyncio.gather(*far)
    assert {each.reason for each in refused if isinstance(each, QueryRefused)} == {"not_yet"}


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("AsOf", b"{", "malformed"),
        ("AsOf", b'{"asof":"2025-01-01"}', "malformed"),
        ("AsOf", b'{"limit":0}', "malformed"),
        ("AsOf", b'{"as_of":"@5000"}', "not_yet"),
        ("Undo", b"", "unknown_query"),
        ("History", b'{"kind":"unit","id":"none"}', "not_found"),
    ],
)
async def test_what_cannot_be_answered_is_refused_with_a_code(
    ready: Service,
    nats_client: Client,
    organisation_id: str,
    name: str,
    payload: bytes,
    reason: str,
) -> None:
    subject = subjects.query(organisation_id, name)
    reply = await nats_client.request(subject, payload, timeout=QUERY_SECONDS)
    refused = _answer.decode(reply.data)
    assert isinstance(refused, QueryRefused)
    assert refused.reason == reason


async def test_told_to_stop_it_answers_what_it_took_and_ends_well(
    ready: Service, nats_client: Client, organisation_id: str, log: Log
) -> None:
    waiting = [
        asyncio.create_task(ask(nats_client, organisation_id, AsOf(at_least=len(log))))
        for _ in range(30)
    ]
    await ask(nats_client, organisation_id, Position())  # so the others have been taken
    ready.process.send_signal(signal.SIGTERM)
    await append(nats_client, log[-1])
    answers = await asyncio.gather(*waiting)
    assert {type(answer) for answer in answers} == {Goals}
    assert await asyncio.to_thread(ready.process.wait, 20) == 0
    assert "projections_stopped" in ready.log_file.read_text()


async def test_a_log_it_cannot_read_on_leaves_what_is_known_to_be_asked(
    ready: Service, nats_client: Client, organisation_id: str, log: Log
) -> None:
    await append(nats_client, log[-1], b"not an event")
    reached = len(log) - 1
    refused = await ask(nats_client, organisation_id, AsOf(at_least=len(log)))
    assert isinstance(refused, QueryRefused)
    assert refused.reason == "unreadable_log"
    assert f"position {len(log)} cannot be read" in refused.message
    goals = await ask(nats_client, organisation_id, AsOf(at_least=reached))
    assert goals.reflects.position == reached
    assert "feed_stopped" in ready.log_file.read_text()
    assert ready.process.poll() is None


async def rows_of_view(client: Client, organisation_id: str, view: str) -> list[msgspec.Raw]:
    rows: list[msgspec.Raw] = []
    query = ExportView(view=view, limit=500)
    while True:
        page = await ask(client, organisation_id, query)
        assert isinstance(page, ViewPage)
        rows += page.rows
        if page.cursor is None:
            return rows
        query = ExportView(view=view, limit=500, cursor=page.cursor)
