"""The server as a child: one owner, one port, one store, and errors that say what to do."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import nats
import pytest
from nats.js.api import StorageType

from services.embedded import nats_server
from services.embedded.errors import (
    DataDirectoryInUse,
    DataDirectoryUnusable,
    ServerBinaryMissing,
    ServerDidNotStart,
)
from services.embedded.nats_server import BINARY_VARIABLE, NatsServer, find_binary
from services.embedded.ports import free_ports
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


async def publish(url: str, payload: bytes) -> None:
    client = await nats.connect(url)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="KEPT", subjects=["kept"], storage=StorageType.FILE)
    await jetstream.publish("kept", payload)
    await client.close()


async def last_message(url: str) -> bytes | None:
    client = await nats.connect(url)
    message = await client.jetstream().get_last_msg("KEPT", "kept")
    await client.close()
    return message.data


async def test_a_second_start_on_one_directory_is_refused(own_nats_server: NatsServer) -> None:
    with pytest.raises(DataDirectoryInUse, match=f"process {os.getpid()}"):
        NatsServer(own_nats_server.home).start()
    await publish(own_nats_server.url, b"the first is none the worse")


async def test_it_listens_on_loopback_only_and_syncs_each_write(
    own_nats_server: NatsServer,
) -> None:
    settings = (own_nats_server.home / "nats.conf").read_text()
    assert f'listen: "127.0.0.1:{own_nats_server.port}"' in settings
    assert "sync_interval: always" in settings
    assert own_nats_server.monitor_url.startswith("http://127.0.0.1:")


async def test_a_killed_server_comes_back_on_its_port_with_its_data(
    own_nats_server: NatsServer,
) -> None:
    url, pid = own_nats_server.url, own_nats_server.pid
    await publish(url, b"acknowledged")
    own_nats_server.kill()
    assert own_nats_server.pid is None
    own_nats_server.restart()
    assert own_nats_server.url == url
    assert own_nats_server.pid != pid
    assert await last_message(url) == b"acknowledged"


async def test_clients_find_a_restarted_server_again(own_nats_server: NatsServer) -> None:
    client = await nats.connect(
        own_nats_server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05
    )
    own_nats_server.restart()
    await eventually(lambda: client.is_connected and client.stats["reconnects"] == 1)
    await client.flush()
    await client.close()


def test_the_port_is_kept_over_runs(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as first:
        port = first.port
    with NatsServer(tmp_path) as second:
        assert second.port == port


def test_a_remembered_port_that_was_taken_is_given_up(tmp_path: Path, busy_port: int) -> None:
    (tmp_path / "nats.port").write_text(f"{busy_port}\n")
    with NatsServer(tmp_path) as server:
        assert server.port != busy_port


def test_a_port_taken_at_the_last_moment_is_replaced(
    tmp_path: Path, busy_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([busy_port, 0])
    choose = free_ports
    monkeypatch.setattr(nats_server, "free_ports", lambda *asked: next(answers) or choose(*asked))
    with NatsServer(tmp_path) as server:
        assert server.port != busy_port


def test_a_port_asked_for_that_is_taken_is_an_error(tmp_path: Path, busy_port: int) -> None:
    with pytest.raises(ServerDidNotStart, match=rf":{busy_port}.*choose another port") as caught:
        NatsServer(tmp_path, port=busy_port).start()
    assert "\n" not in str(caught.value)
    assert "[FTL]" in caught.value.log_tail


def test_a_stale_ports_file_is_no_trouble(tmp_path: Path) -> None:
    stale = tmp_path / "nats-server_4194303.ports"
    stale.write_text('{"nats":["nats://127.0.0.1:1"],"monitoring":["http://127.0.0.1:1"]}')
    with NatsServer(tmp_path) as server:
        assert not stale.exists()
        assert server.port != 1


def test_stopping_is_clean_and_may_be_repeated(tmp_path: Path) -> None:
    server = NatsServer(tmp_path).start()
    server.stop()
    server.stop()
    assert "Server Exiting" in (tmp_path / "nats.log").read_text()
    assert list(tmp_path.glob("*.ports")) == []
    with NatsServer(tmp_path) as again:
        assert again.pid is not None


def test_a_server_deaf_to_signals_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_server, "STOP_TIMEOUT_S", 0.1)
    server = NatsServer(tmp_path).start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    server.stop()
    assert server.pid is None


def test_a_path_may_have_spaces_quotes_and_letters_of_any_script(tmp_path: Path) -> None:
    with NatsServer(tmp_path / 'Ziele "2026" – \\ $x äöü') as server:
        assert (server.home / "js").is_dir()


def test_a_store_that_is_no_directory_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "js").touch()
    with pytest.raises(DataDirectoryUnusable, match="storage directory is not a dir") as caught:
        NatsServer(tmp_path).start()
    assert "\n" not in str(caught.value)
    with pytest.raises(DataDirectoryUnusable):  # not DataDirectoryInUse: the lock was given back
        NatsServer(tmp_path).start()


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    with pytest.raises(DataDirectoryUnusable, match=r"only 5 MiB are free.*make room"):
        NatsServer(tmp_path).start()


def test_the_binary_comes_from_its_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BINARY_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "")
    version = subprocess.run([find_binary(), "--version"], capture_output=True, check=True)
    assert version.stdout.startswith(b"nats-server: v2.")


def test_another_binary_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other-server"
    other.symlink_to(find_binary())
    monkeypatch.setenv(BINARY_VARIABLE, str(other))
    with NatsServer(tmp_path / "home") as server:
        assert find_binary() == str(other)
        assert server.pid is not None


def test_a_missing_binary_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ServerBinaryMissing, match=f"nowhere is no program; .*{BINARY_VARIABLE}"):
        NatsServer(tmp_path).start()
