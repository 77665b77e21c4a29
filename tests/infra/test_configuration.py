"""The server's configuration files are ones that nats-server takes and the ledger serves on."""

import re
import subprocess
from pathlib import Path

import nats
import pytest
from services.embedded.nats_server import find_binary
from services.ledger.store.streams import StreamSettings, check_server

from tests.waiting import wait_until

pytestmark = pytest.mark.anyio

CONFIGURATION = Path(__file__).resolve().parents[2] / "infra" / "nats" / "single.conf"


async def test_the_ledger_serves_on_a_server_with_our_configuration(tmp_path: Path) -> None:
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
    server = subprocess.Popen(
        [find_binary(), "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        [ports] = wait_until(lambda: [each.read_text() for each in tmp_path.glob("*.ports")])
        found = re.findall(r'"(?:nats|http)://([^"]+)"', ports)
        client = await nats.connect(f"nats://{found[0]}")
        await check_server(client, StreamSettings(), f"http://{found[1]}")
        await client.close()
    finally:
        server.terminate()
        server.wait(10)
