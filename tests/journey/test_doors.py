"""The sample company comes in over HTTP, and every door tells the same of it."""

from typing import Any, Final

import msgspec
import pytest
from goal_contracts.queries import AsOf, CycleReport, History, Query, Readings
from goal_contracts.replies import Accepted

from services.cli import sample
from tests.journey.doors import ASKED, NAMES, Http, opened
from tests.running import System

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

ORGANISATION: Final = "acme-over-http"
QUESTIONS: Final[tuple[Query, ...]] = (
    *(AsOf(as_of=day) for day in ("2024-12-31", "2025-02-11", "2025-02-12", "2025-09-30")),
    AsOf(as_of="2025-03-31", known_at="2025-12-31", limit=40),
    AsOf(as_of="2025-09-30", unit="market"),
    AsOf(as_of="2025-06-30", cycle="2025-Q2", limit=7),
    AsOf(as_of="2025-06-30", goal="key_result/q1-faster-assembly-1"),
    Readings(kpi="on-time-delivery", known_at="2025-10-31"),
    Readings(kpi="on-time-delivery", as_of="2025-03-31", known_at="2025-03-31"),
    History(kind="key_result", id="q1-faster-assembly-1"),
    CycleReport(cycle="2025-Q1", by_week=True),
    CycleReport(cycle="2025-Q3", as_of="2025-09-15", by_week=True),
)


@pytest.fixture(scope="module")
async def loaded(system: System) -> System:
    """The company's year, each command sent over HTTP by whoever asked for it."""
    async with opened("http", system) as door:
        assert isinstance(door, Http)
        position = 0
        for actor, message in sample.messages(ORGANISATION):
            reply = await door.send(ORGANISATION, actor, message)
            assert isinstance(reply, Accepted), reply
            position = reply.position
        await door.ask(ORGANISATION, AsOf(at_least=position), ASKED[AsOf])
    return system


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
async def test_every_door_tells_the_same(loaded: System, question: Query) -> None:
    kind = ASKED[type(question)]
    told: dict[str, Any] = {}
    for name in NAMES:
        async with opened(name, loaded) as door:
            answer = await door.ask(ORGANISATION, question, kind)
            told[name] = msgspec.json.decode(msgspec.json.encode(answer))
        if isinstance(question, History | CycleReport):
            told[name].pop("reflects")  # it may be told as of now
    assert told["http"] == told["nats"]
    assert told["cli"] == told["nats"]
    assert any(value for value in told["nats"].values() if isinstance(value, list | dict))
