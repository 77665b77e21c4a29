"""Generations of the views: built beside each other, compared, taken over from, dropped."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from goal_contracts import subjects
from goal_contracts.queries import AsOf, Goals, QueryRefused
from nats.aio.client import Client
from sqlalchemy import text

from services.projections import succession
from services.projections.metrics import Metrics
from services.projections.queries import Questions
from services.projections.rebuilding import CannotRebuild, rebuild
from services.projections.succession import Views
from services.projections.view_store import fold, schema
from services.projections.view_store.comparing import digest
from services.projections.view_store.generations import Generation, Generations, Superseded
from services.projections.view_store.store import StoreUnavailable, ViewStore
from services.projections.views.current import UnknownEvent
from tests.postgresql import RELEASES, Cluster, empty_database
from tests.projections.log import NOW, Log, append, fill, make_stream
from tests.projections.test_feed import MORE, SMALL, _unknown, exported, log_of
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

HALF = MORE // 2


@pytest.fixture
def generations(database: str) -> Iterator[Generations]:
    generations = Generations(database)
    yield generations
    generations.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(succession, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(succession, "GRACE_S", 0.3)


@pytest.fixture
async def stream(nats_client: Client) -> str:
    return await make_stream(nats_client, f"o-{uuid4().hex[:8]}")


@pytest.fixture
async def log(nats_client: Client, stream: str) -> Log:
    """All but the last of it is on the stream."""
    log = log_of(stream.removeprefix("GOALS-"))
    for recorded in log[:-1]:
        await append(nats_client, recorded)
    return log


@contextlib.asynccontextmanager
async def serving(client: Client, stream: str, generations: Generations) -> AsyncIterator[Views]:
    """The views as the service keeps them."""
    views = await asyncio.to_thread(Views, client, stream, generations, Metrics(), SMALL)
    task = asyncio.create_task(views.run())
    try:
        yield views
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def anew(client: Client, stream: str, generations: Generations) -> Any:
    return await rebuild(client, stream, generations, Metrics(), pace=SMALL)


async def ask(views: Views, log: Log, query: AsOf) -> Any:
    questions = Questions(views, views)
    subject = subjects.query(log[0].organisation_id, type(query).__name__)
    try:
        answer = await questions.answer(subject, msgspec.json.encode(query), NOW)
    finally:
        questions.close()
    return msgspec.json.decode(answer, type=Goals | QueryRefused)


def opened(generations: Generations, number: int, stream: str = "GOALS") -> ViewStore:
    return generations.open(Generation(number, stream, "", ""))


def digests(store: ViewStore) -> dict[str, Any]:
    return {
        name: digest(store.engine, table, store.position()) for name, table in schema.VIEWS.items()
    }


# ------------------------------------------------------------------ one after the other


async def test_a_new_generation_takes_over_while_the_old_one_answers(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    async with serving(nats_client, stream, generations) as views:
        assert await views.reaches(len(log) - 1, 40)
        rebuilt = await anew(nats_client, stream, generations)
        assert (rebuilt.generation, rebuilt.compared_at) == (2, len(log) - 1)
        assert rebuilt.differences == ()
        await eventually(lambda: views.status().generation == 2, 40)
        await append(nats_client, log[-1])
        assert await views.reaches(len(log), 40)
        answer = await ask(views, log, AsOf())
        assert answer.reflects.position == len(log)
        await eventually(lambda: _states(generations) == {1: "dropped", 2: "complete"}, 40)
        assert not _is_there(generations, 1)
        assert _is_there(generations, 2)
        assert views.status().trouble is None
        assert exported(views._feed.store, log) == await _plain(log, generations)  # type: ignore[union-attr]  # it is there


def _states(generations: Generations) -> dict[int, str]:
    with generations.service.connect() as connection:
        rows = connection.execute(text("SELECT number, state FROM generation"))
        return {int(number): str(state) for number, state in rows}


def _is_there(generations: Generations, number: int) -> bool:
    """Whether there are tables of it."""
    with generations.service.connect() as connection:
        if connection.dialect.name == "postgresql":
            name = {"name": f"views_{number}.event"}
            return connection.execute(text("SELECT to_regclass(:name)"), name).scalar() is not None
    file = Path(generations.service.url.database or "")
    return file.with_name(f"{file.stem}-{number}{file.suffix}").exists()


async def _plain(log: Log, generations: Generations) -> Any:
    """What the views must be: the log as one batch, in a generation that nobody uses."""
    store = opened(generations, 99)
    try:
        fill(store, log)
        assert store.position() == len(log)
        return exported(store, log)
    finally:
        store.close()


async def test_no_answer_goes_back_behind_an_earlier_one(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    async with serving(nats_client, stream, generations) as views:
        seen = [0]

        async def look() -> None:
            while views.status().generation < 3:
                answer = await ask(views, log, AsOf())
                seen.append(answer.reflects.position if isinstance(answer, Goals) else seen[-1])

        async with asyncio.timeout(100), asyncio.TaskGroup() as tasks:
            tasks.create_task(look())
            for number in (2, 3):
                await anew(nats_client, stream, generations)
                await eventually(lambda: views.status().generation == number, 40)  # noqa: B023  # asked at once
        assert seen == sorted(seen)
        assert seen[-1] == len(log) - 1


async def test_a_rebuilding_that_was_stopped_goes_on_where_it_was(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    async with serving(nats_client, stream, generations) as views:
        assert await views.reaches(len(log) - 1, 40)
    half = generations.begin(stream)
    store = generations.open(half)
    fill(store, log[:HALF])
    store.close()
    rebuilt = await anew(nats_client, stream, generations)
    assert (rebuilt.generation, rebuilt.differences) == (half.number, ())


async def test_what_was_begun_from_another_log_is_begun_anew(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    other = Log(msgspec.structs.replace(each, actor="somebody-else") for each in log)
    for length in (HALF, len(log)):  # of another log, and longer than this one
        begun = generations.begin(stream)
        store = generations.open(begun)
        fill(store, other[:length])
        store.close()
        rebuilt = await anew(nats_client, stream, generations)
        assert rebuilt.generation > begun.number


async def test_two_may_rebuild_at_once(
    nats_client: Client, stream: str, log: Log, database: str, generations: Generations
) -> None:
    beside = Generations(database)
    both = await asyncio.gather(
        anew(nats_client, stream, generations), anew(nats_client, stream, beside)
    )
    beside.close()
    assert not any(each.differences for each in both)
    current = generations.current()
    assert current is not None
    store = generations.open(current)
    assert exported(store, log) == await _plain(Log(log[:-1]), generations)
    store.close()


# ------------------------------------------------------------------ what is compared


async def test_a_view_that_is_not_what_the_log_says_is_named_with_its_row(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    await anew(nats_client, stream, generations)
    store = opened(generations, 1)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE event SET kind = 'unit' WHERE position = 1"))
        connection.execute(text("DELETE FROM change WHERE position = 20"))
    store.close()
    rebuilt = await anew(nats_client, stream, generations)
    found = {each.view: each for each in rebuilt.differences}
    assert set(found) == {"event", "change"}
    assert found["event"].key == (log[0].organisation_id, 1)
    assert found["event"].rows == found["event"].rows_was
    assert found["change"].rows > found["change"].rows_was
    assert 20 in found["change"].key
    store = opened(generations, 2, stream)
    assert exported(store, log) == await _plain(Log(log[:-1]), generations)
    store.close()


def test_a_digest_is_of_what_is_in_the_rows_up_to_a_position(generations: Generations) -> None:
    one, other = opened(generations, 1), opened(generations, 2)
    log = log_of("o-digest")
    fill(one, log)
    fill(other, log[:HALF])
    fill(other, log[HALF:])
    assert digests(one) == digests(other)
    early = digest(one.engine, schema.event, HALF)
    assert early.rows == HALF
    assert early != digest(one.engine, schema.event, HALF + 1)
    one.close()
    other.close()


# ------------------------------------------------------------------ another release


def _of_another_release(generations: Generations, log: Log, stream: str) -> None:
    """What answers was made by other code, up to the middle of the log."""
    begun = generations.begin(stream)
    store = generations.open(begun)
    fill(store, log[:HALF])
    store.close()
    generations.take_over(begun)
    with generations.service.begin() as connection:
        connection.execute(text("UPDATE generation SET fold = 'of another release'"))


async def test_an_older_releases_views_answer_until_the_new_ones_are_there(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    _of_another_release(generations, log, stream)
    views = await asyncio.to_thread(Views, nats_client, stream, generations, Metrics(), SMALL)
    assert views.status().is_outdated
    assert views.status().is_ready
    answer = await ask(views, log, AsOf())
    assert answer.reflects.position == HALF
    running = asyncio.create_task(views.run())
    assert await views.reaches(len(log) - 1, 60)
    status = views.status()
    assert (status.is_outdated, status.generation) == (False, 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE goal_version SET state = payload FROM event WHERE event.position = 1",
        "ALTER TABLE goal_version RENAME TO away",
        "UPDATE alembic_version SET version_num = 'from the future'",
    ],
)
async def test_an_older_releases_views_that_cannot_be_read_say_not_yet(
    nats_client: Client, stream: str, log: Log, generations: Generations, damage: str
) -> None:
    _of_another_release(generations, log, stream)
    store = opened(generations, 1)
    with store.engine.begin() as connection:
        connection.execute(text(damage))
    store.close()
    views = await asyncio.to_thread(Views, nats_client, stream, generations, Metrics(), SMALL)
    answer = await ask(views, log, AsOf())
    assert isinstance(answer, QueryRefused)
    assert answer.reason == "not_yet"
    running = asyncio.create_task(views.run())
    assert await views.reaches(len(log) - 1, 60)
    answer = await ask(views, log, AsOf())
    assert answer.reflects.position == len(log) - 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_new_release_that_gets_less_far_leaves_the_old_views_answering(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    await append(nats_client, log[-1], _unknown(log[-1]))
    begun = generations.begin(stream)
    store = generations.open(begun)
    fill(store, log)  # the release before knew the event
    store.close()
    generations.take_over(begun)
    with generations.service.begin() as connection:
        connection.execute(text("UPDATE generation SET fold = 'of another release'"))
    with pytest.raises(CannotRebuild, match=f"position {len(log)}"):
        await anew(nats_client, stream, generations)
    async with serving(nats_client, stream, generations) as views:
        await eventually(lambda: views.stopped_by is not None, 40)
        status = views.status()
        assert status.stopped_by is not None
        assert (status.stopped_by.position, status.generation) == (len(log), 1)
        assert not status.is_ready
        answer = await ask(views, log, AsOf())
        assert answer.reflects.position == len(log)


def test_what_another_release_has_begun_is_dropped_and_cannot_take_over(
    generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = generations.begin("GOALS")
    monkeypatch.setattr(fold, "fingerprint", lambda: "of another release")
    anew = generations.begin("GOALS")
    assert anew.number > begun.number
    with pytest.raises(Superseded):
        generations.take_over(begun)
    assert generations.begin("GOALS") == anew
    assert generations.current() is None


def test_the_fold_is_told_by_the_code_that_makes_rows_and_not_by_its_prose() -> None:
    imported = fold._imported(fold.BEGINS_AT, {})
    assert {
        "services.projections.views.projector",
        "services.projections.views.current",
        "services.projections.views.rows",
        "goal_contracts.codec",
        "goal_contracts.events",
    } <= set(imported)
    assert not any("One event after another becomes rows" in code for code in imported.values())
    assert len(fold.fingerprint()) == 16


# ------------------------------------------------------------------ what else may happen


async def test_views_of_another_stream_give_way_at_once(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    other = generations.begin("ANOTHER")
    generations.take_over(other)
    async with serving(nats_client, stream, generations) as views:
        assert await views.reaches(len(log) - 1, 40)
        assert views.status().generation > other.number


async def test_a_poison_event_is_named_and_readiness_says_so(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    await append(nats_client, log[-1], _unknown(log[-1]))
    metrics = Metrics()
    views = await asyncio.to_thread(Views, nats_client, stream, generations, metrics, SMALL)
    metrics.show(views.status)
    running = asyncio.create_task(views.run())
    await eventually(lambda: views.stopped_by is not None, 40)
    status = views.status()
    assert isinstance(views.stopped_by, UnknownEvent)
    assert status.stopped_by is not None
    assert (status.stopped_by.position, status.stopped_by.event_type) == (len(log), "UnitRenamed")
    assert "UnitTeleported" in status.stopped_by.why
    assert not status.is_ready
    await eventually(lambda: views.status().lag_events == 1, 40)
    told = metrics.text().decode()
    assert f"goal_ledger_views_poisoned_position {len(log)}.0" in told
    assert "goal_ledger_views_lag_events 1.0" in told
    assert f"goal_ledger_views_position {len(log) - 1}.0" in told
    assert f"goal_ledger_views_events_total {len(log) - 1}.0" in told
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("release", RELEASES)
async def test_a_database_that_falls_is_waited_for(
    nats_client: Client,
    stream: str,
    log: Log,
    release: str,
    tmp_path: Path,
    postgresql_clusters: Mapping[str, Cluster],
) -> None:
    with empty_database(f"postgresql-{release}", tmp_path, postgresql_clusters) as address:
        server, generations = postgresql_clusters[release], Generations(address)
        async with serving(nats_client, stream, generations) as views:
            assert await views.reaches(len(log) - 1, 30)
            rebuilding = asyncio.create_task(anew(nats_client, stream, generations))
            await asyncio.to_thread(server.kill)
            await append(nats_client, log[-1])
            await eventually(lambda: views.status().trouble is not None, 30)
            await asyncio.to_thread(server.start)
            assert await views.reaches(len(log), 60)
            await asyncio.gather(rebuilding, return_exceptions=True)
            rebuilt = await anew(nats_client, stream, generations)  # as whoever is told would
            assert rebuilt.differences == ()
            await eventually(lambda: views.status().generation == rebuilt.generation, 30)
            answer = await ask(views, log, AsOf())
            assert answer.reflects.position == len(log)
        generations.close()


async def test_it_is_ready_once_it_has_caught_up(
    nats_client: Client, stream: str, log: Log, generations: Generations
) -> None:
    views = await asyncio.to_thread(Views, nats_client, stream, generations, Metrics(), SMALL)
    assert not views.status().is_ready
    running = asyncio.create_task(views.run())
    await eventually(lambda: views.status().is_ready, 40)
    assert views.position == len(log) - 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_a_current_generation_that_cannot_be_reached_is_said_to_be(
    generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    generations.take_over(generations.begin("GOALS"))

    def away(_: object) -> ViewStore:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(generations, "open", away)
    with pytest.raises(StoreUnavailable):
        Views(None, "GOALS", generations)  # type: ignore[arg-type]  # the log is not asked
