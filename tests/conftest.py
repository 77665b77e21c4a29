"""What every test may use: one real nats-server for the run, or one of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import pytest
import structlog
from nats.aio.client import Client

from services.embedded.nats_server import NatsServer
from tests.node_tools import node, node_example
from tests.postgresql import database, postgresql_clusters
from tests.real_data import shared_data

__all__ = ["database", "node", "node_example", "postgresql_clusters", "shared_data"]


@pytest.fixture(autouse=True)
def _logs_as_they_come() -> Iterator[None]:
    """A program run inside a test may say how much is logged; the next test hears all of it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Shared by the whole run: use a stream name of your own, and leave it running."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="session")
def nats_url(nats_server: NatsServer) -> str:
    return nats_server.url


@pytest.fixture
async def nats_client(nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url, max_reconnect_attempts=-1)
    yield client
    await client.close()


@pytest.fixture
def own_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """For tests that kill or restart it, or need an empty store."""
    with NatsServer(tmp_path / "nats") as server:
        yield server
