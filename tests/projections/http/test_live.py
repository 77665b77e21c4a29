"""Events come as they are stored: none is left out, none comes twice, and nobody is waited for."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from goal_contracts import codec

from services.projections.http import live
from tests.issuer import Issuer, bearing
from tests.projections.http.conftest import BEFORE, Served
from tests.projections.log import NOW
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

STREAM = f"{BEFORE}/events/stream"


class Told(NamedTuple):
    """One event as it came; a heartbeat has no name."""

    position: int
    name: str
    data: Any


@contextlib.asynccontextmanager
async def listening(
    client: httpx.AsyncClient, after: int | None = None, **filters: str
) -> AsyncIterator[AsyncIterator[Told]]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with client.stream("GET", STREAM, params=filters, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield _told(answer)


async def _told(answer: httpx.Response) -> AsyncIterator[Told]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            data = msgspec.json.decode(fields["data"]) if "data" in fields else None
            yield Told(int(fields["id"]), fields.get("event", ""), data)
            fields = {}


async def first(events: AsyncIterator[Told], count: int) -> list[Told]:
    """So many that are no heartbeats."""
    found: list[Told] = []
    async with asyncio.timeout(10):
        async for each in events:
            if each.name:
                found.append(each)
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {len(found)} events")


async def test_behind_a_position_every_event_comes_once_and_in_order(
    served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BATCH_EVENTS", 7)
    async with listening(client, after=3) as events:
        told = await first(events, len(served.log) - 3)
    assert [each.position for each in told] == [*range(4, len(served.log) + 1)]
    for each, recorded in zip(told, served.log[3:], strict=True):
        assert each.name == f"goals.{recorded.type}.v1"
        assert codec.decode_event(each.position, msgspec.json.encode(each.data)) == recorded


async def test_without_a_position_it_begins_with_what_is_stored_next(
    served: Served, client: httpx.AsyncClient
) -> None:
    async with listening(client) as events:
        begun = await anext(events)
        assert begun == Told(len(served.log), "", None)
        served.happens()
        served.reads()
        [told] = await first(events, 1)
    assert told.position == len(served.log)


async def test_who_was_cut_off_goes_on_behind_what_came_last(
    served: Served, client: httpx.AsyncClient
) -> None:
    seen = 10
    for count in (1, 5, 9):
        async with listening(client, after=seen) as events:
            told = await first(events, count)
        assert [each.position for each in told] == [*range(seen + 1, seen + count + 1)]
        seen = told[-1].position


async def test_what_is_stored_and_not_yet_in_the_views_does_not_come_before_it_is(
    served: Served, client: httpx.AsyncClient
) -> None:
    served.happens()
    served.happens()
    last = len(served.log)
    async with listening(client) as events:
        assert (await anext(events)).position == last - 2
        served.reads(1)
        [told] = await first(events, 1)
        assert told.position == last - 1
        served.reads(1)
        [told] = await first(events, 1)
        assert told.position == last


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"kind": "unit"}, ["UnitDefined", "UnitMoved", "UnitRenamed", "UnitRetired"]),
        ({"kind": "kpi", "unit": "sales"}, []),
        ({"unit": "sales"}, ["UnitDefined", "UnitMoved", "UnitRenamed", "UnitRetired"]),
        ({"cycle": "q4"}, ["CycleCancelled", "CyclePlanned", "CycleRescheduled"]),
    ],
    ids=str,
)
async def test_only_what_is_asked_for_comes(
    served: Served, client: httpx.AsyncClient, filters: dict[str, str], expected: list[str]
) -> None:
    names: list[str] = []
    async with listening(client, after=0, **filters) as events, asyncio.timeout(10):
        async for each in events:
            if not each.name:
                assert each.position == len(served.log)  # nothing more, up to here
                break
            names.append(each.name.split(".")[1])
            assert each.data["subject"].startswith(filters.get("kind", ""))
    of_goals = {"ObjectiveDrafted", "ObjectiveDropped"} if filters == {"unit": "sales"} else set()
    assert set(names) == {*expected} | of_goals


async def test_a_goal_belongs_to_the_unit_it_was_in_when_it_happened(
    served: Served, client: httpx.AsyncClient
) -> None:
    moved = next(e.position for e in served.log if e.type == "ObjectiveReassigned")
    async with listening(client, after=0, unit="platform", kind="key_result") as events:
        told = []
        async with asyncio.timeout(10):
            async for each in events:
                if not each.name:
                    break
                told.append(each.position)
    assert told
    assert max(told) < moved


async def test_a_heartbeat_tells_how_far_it_is(
    served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.01)
    async with listening(client) as events:
        beats = [await anext(events) for _ in range(3)]
    assert beats == [Told(len(served.log), "", None)] * 3


async def test_a_listener_who_takes_nothing_is_let_go_and_can_come_again(
    served: Served,
    client: httpx.AsyncClient,
    address: str,
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "TAKEN_WITHIN_S", 0.2)
    monkeypatch.setattr(live, "_told", lambda _event: b": much\n\n" * 100_000)
    token = issuer.token(exp=NOW.timestamp() + 600)
    place = urlsplit(address)
    with socket.create_connection((place.hostname or "", place.port or 0)) as slow:
        asked = f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n"
        slow.sendall(f"{asked}Authorization: Bearer {token}\r\n\r\n".encode())
        await eventually(lambda: served.live._open == 1)
        await eventually(lambda: served.live._open == 0)
    monkeypatch.undo()
    async with listening(client, after=0) as events:
        assert [each.position for each in await first(events, 3)] == [1, 2, 3]


async def test_who_goes_is_forgotten_at_once(served: Served, client: httpx.AsyncClient) -> None:
    await eventually(lambda: served.live._open == 0)  # those of the tests before
    async with listening(client) as events:
        await anext(events)
        assert served.live._open == 1
    await eventually(lambda: served.live._open == 0)


async def test_it_ends_with_the_token(
    served: Served, address: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.01)
    ending = bearing(issuer.token(exp=NOW.timestamp() - 1))  # within the leeway
    async with (
        httpx.AsyncClient(base_url=address, headers=ending) as client,
        listening(client, after=0) as events,
        asyncio.timeout(10),
    ):
        assert [each async for each in events] == []


@pytest.mark.parametrize(
    ("last_event_id", "filters", "status", "code"),
    [
        ("x", {}, 400, "malformed"),
        ("-1", {}, 400, "malformed"),
        ("1" * 19, {}, 400, "malformed"),
        ("99999", {}, 409, "not_yet"),
        ("1", {"kind": "goal"}, 400, "malformed"),
        ("1", {"goal": "x"}, 400, "malformed"),
        ("1", {"unit": "none"}, 404, "not_found"),
        ("1", {"cycle": "none"}, 404, "not_found"),
    ],
)
async def test_what_cannot_be_listened_to_is_a_problem(
    client: httpx.AsyncClient, last_event_id: str, filters: dict[str, str], status: int, code: str
) -> None:
    headers = {"Last-Event-ID": last_event_id}
    answer = await client.get(STREAM, params=filters, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
