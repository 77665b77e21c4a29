"""kill -9 of the server that leads the stream: three replicas, and clients that wait a little."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import nats.errors
import pytest
import structlog
from goal_contracts.client.stream import JetStreamError

from services.cli.client import Client
from tests import cluster
from tests.cluster import Cluster, leader_of
from tests.faults.ledgers import Ledgers
from tests.faults.work import Work
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300), pytest.mark.faults_long]

CLIENTS: Final = 64
KILLS: Final = 3
LEDGERS: Final = 2
THINKING_MAX_S: Final = 0.3
PAUSE_MAX_S: Final = 30.0
"""A cluster is some six seconds without a leader, and the lease has to be renewed after that."""

log = structlog.get_logger()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Cluster]:
    with cluster.started(tmp_path) as servers:
        yield servers


@pytest.fixture
def ledgers(servers: Cluster, tmp_path: Path) -> Iterator[Ledgers]:
    ledgers = Ledgers(servers.first, tmp_path)
    for _ in range(LEDGERS):
        ledgers.start((), "--replicas", str(cluster.REPLICAS))
    yield ledgers
    ledgers.stop()


async def test_a_killed_leader_costs_clients_waiting_and_nothing_else(
    servers: Cluster, ledgers: Ledgers
) -> None:
    work = Work(servers.first.url, random.Random(7), pause_max_s=THINKING_MAX_S)
    await work.prepare()
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(work.go_on_until(over.is_set, clients=CLIENTS))
        for _ in range(KILLS):
            await _kill_the_leader(servers, work)
        over.set()
    longest_s = max(each.took_s for each in work.answered)
    log.info(
        "leader_kills", kills=KILLS, commands=len(work.asked), longest_pause_s=round(longest_s, 2)
    )
    places = await work.check_the_log()
    assert set(places) == work.with_events
    assert longest_s < PAUSE_MAX_S


async def _kill_the_leader(servers: Cluster, work: Work) -> None:
    """Under load, and again only when there is a new one and the killed one is back."""
    answered = len(work.answered)
    await eventually(lambda: len(work.answered) > answered + CLIENTS, timeout_s=60)
    async with await Client.connect(servers.first.url) as client:

        async def leader(*, other_than: int | None = None) -> list[int]:
            try:
                number = await leader_of(client.connection)
            except (nats.errors.Error, JetStreamError):
                return []
            return [] if number is None or number == other_than else [number]

        [killed] = await eventually(leader, timeout_s=60)
        servers.kill(killed)
        await eventually(lambda: leader(other_than=killed), timeout_s=60)
        servers.start(killed)
        answered = len(work.answered)
        await eventually(lambda: len(work.answered) > answered + CLIENTS, timeout_s=60)
