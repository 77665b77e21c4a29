"""kill -9 of the projections and of whoever rebuilds their views, at random moments of both.

However often, on whichever database: in the end the views are those of an undisturbed run.
"""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from goal_contracts.queries import AsOf, Goals
from nats.aio.client import Client

from services.projections.view_store import schema
from tests.projections.log import Asker, Log, append, fill, make_stream, view_store
from tests.projections.test_app import Service, ask, rows_of_view
from tests.projections.test_feed import log_of
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.timeout(600)]

BATCH: Final = 20
FAR_BEHIND: Final = 100
EVENTS: Final = 400
MORE_EVENTS: Final = 15
START_S: Final = 60.0

REBUILDING = f"""
import asyncio, sys, nats
from services.projections import feed
from services.reading_apart import ReadingApart
from services.projections.metrics import Metrics
from services.projections.rebuilding import rebuild
from services.projections.view_store.generations import Generations
from goal_contracts.client.stream import Pace
url, database, stream = sys.argv[1:]
feed.FAR_BEHIND = {FAR_BEHIND}
async def main():
    client = await nats.connect(url)
    generations = Generations(database)
    print("BEGUN", flush=True)
    rebuilt = await rebuild(
        client, stream, generations, Metrics(), pace=Pace(batch_max={BATCH}),
        apart=ReadingApart(url),
        on_progress=lambda more: print("MORE", flush=True),
    )
    print("DIFFERENCES", rebuilt.differences, flush=True)
    await client.close()
asyncio.run(main())
"""


class Rebuilding:
    """One run of a rebuild, in a process of its own that tells how far it is."""

    def __init__(self, url: str, database: str, stream: str, log_file: Path) -> None:
        self.log_file = log_file
        with log_file.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", REBUILDING, url, database, stream],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=out,
                stderr=out,
            )

    async def has_said(self, lines: int) -> None:
        """So much of what it has to tell, or it has ended."""
        await eventually(
            lambda: (
                self.process.poll() is not None
                or sum(map(self.log_file.read_text().count, ("BEGUN", "MORE"))) >= lines
            ),
            START_S,
        )


class Scene:
    """A log, the service that answers from it, and who rebuilds its views."""

    def __init__(self, client: Client, url: str, database: str, log: Log, place: Path) -> None:
        self._client = client
        self._where = url, database, f"GOALS-{log[0].organisation_id}"
        self._log = log
        self._place = place
        self._appended = 0
        self._service: Service | None = None
        self._running = ExitStack()

    async def append(self, count: int) -> None:
        for recorded in self._log[self._appended : self._appended + count]:
            await append(self._client, recorded)
            self._appended += 1

    def serve(self) -> Service:
        if self._service is None:
            self._service = Service(*self._where, self._place / "service.log")
            self._running.callback(_kill, self._service.process)
        return self._service

    def rebuild(self) -> Rebuilding:
        builder = Rebuilding(*self._where, self._place / "rebuilding.log")
        self._running.callback(_kill, builder.process)
        return builder

    async def kill_some(self, chance: random.Random) -> None:
        """One or both of them, at some moment of a rebuild."""
        service, builder = self.serve(), self.rebuild()
        await builder.has_said(chance.randrange(0, EVENTS // BATCH + 3))
        if chance.random() < 0.7:
            _kill(builder.process)
        if chance.random() < 0.6:
            _kill(service.process)
            self._service = None
        await self.append(chance.randrange(MORE_EVENTS))
        _kill(builder.process)

    async def end(self) -> dict[str, list[bytes]]:
        """All the views, once everything is in them and one rebuild has come to its end."""
        service = self.serve()
        await service.ready()
        await self.append(len(self._log))
        builder = self.rebuild()
        assert await asyncio.to_thread(builder.process.wait, START_S) == 0, builder.log_file
        assert "DIFFERENCES ()" in builder.log_file.read_text()
        await eventually(lambda: "views_succeeded" in service.log_file.read_text(), START_S)
        organisation_id = self._log[0].organisation_id
        goals = await ask(self._client, organisation_id, AsOf(at_least=len(self._log)))
        assert isinstance(goals, Goals)
        return {
            view: [bytes(row) for row in await rows_of_view(self._client, organisation_id, view)]
            for view in schema.VIEWS
        }

    def close(self) -> None:
        self._running.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@pytest.fixture
def log() -> Log:
    return log_of(f"o-{uuid4().hex[:8]}", more=EVENTS)


@pytest.fixture
def scene(
    nats_client: Client, nats_url: str, database: str, log: Log, tmp_path: Path
) -> Iterator[Scene]:
    scene = Scene(nats_client, nats_url, database, log, tmp_path)
    yield scene
    scene.close()


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.faults_long)])
async def test_killed_in_whatever_they_do_the_views_are_those_of_an_undisturbed_run(
    nats_client: Client, scene: Scene, log: Log, tmp_path: Path, kills: int
) -> None:
    await make_stream(nats_client, log[0].organisation_id)
    await scene.append(EVENTS - kills * MORE_EVENTS)
    chance = random.Random(kills)
    await scene.serve().ready()
    for _ in range(kills):
        await scene.kill_some(chance)
    there = await scene.end()
    (tmp_path / "plain").mkdir()
    plain = view_store(tmp_path / "plain")
    fill(plain, log)
    assert there == Asker(plain, log[0].organisation_id).export()
    plain.close()
