"""The server's configuration files are ones that nats-server takes and the ledger serves on."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nats
import pytest

from services.embedded.nats_server import find_binary
from services.ledger.store.streams import StreamSettings, check_server
from tests.waiting import wait_until

pytestmark = pytest.mark.anyio

CONFIGURATION = Path(__file__).resolve().parents[2] / "infra" / "nats" / "single.conf"


class Addresses(NamedTuple):
    """Where a server listens."""

    url: str
    monitor_url: str


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Addresses]:
    """A server with our configuration, but for its addresses and its store."""
    text = CONFIGURATION.read_text()
    for pattern, ours in (
        (r'listen: ".*"', 'listen: "127.0.0.1:-1"'),
        (r'http: ".*"', f'http: "127.0.0.1:-1"\nports_file_dir: "{tmp_path}"'),
        (r'store_dir: ".*"', f'store_dir: "{tmp_path / "store"}"'),
    ):
        text, replaced = re.subn(pattern, ours, text)
        assert replaced == 1, pattern
    configuration = tmp_path / "nats.conf"
    configuration.write_text(text)
    with (tmp_path / "nats.log").open("wb") as log:
        server = subprocess.Popen([find_binary(), "-c", str(configuration)], stderr=log)
    try:
        [ports] = wait_until(lambda: [each.read_text() for each in tmp_path.glob("*.ports")])
        yield Addresses(*re.findall(r'"((?:nats|http)://[^"]+)"', ports)[:2])
    finally:
        server.terminate()
        server.wait(10)


async def test_the_ledger_serves_on_a_server_with_our_configuration(configured: Addresses) -> None:
    client = await nats.connect(configured.url)
    await check_server(client, StreamSettings(), configured.monitor_url)
    await client.close()
