"""`up`: one command for the whole system, and one system for a data directory."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.cli import settings
from services.cli.settings import RunningServer
from services.cli.up import program
from services.nats_users.keys import new_key
from tests.cli.running import goal_ledger
from tests.waiting import wait_until

START_TIMEOUT_S = 60.0
LEDGERS = ("ledger", "ledger-2")

pytestmark = pytest.mark.faults


@contextmanager
def running_up(data: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], RunningServer]]:
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", "up", "--data", str(data), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            running = wait_until(lambda: settings.read_server_file(data), START_TIMEOUT_S)
            assert running is not None
            yield process, running
        finally:
            if process.poll() is None:
                process.kill()


def test_it_serves_until_it_is_asked_to_stop(tmp_path: Path) -> None:
    with running_up(tmp_path) as (process, running):
        assert running.pid == process.pid
        commands = '{"type": "OpenOrganisation", "data": {"name": "Acme"}}'
        told = goal_ledger("command", "-", "--data", str(tmp_path), input=commands)
        assert told.stdout.split() == ["1", "OpenOrganisation", "accepted", "@1"]

        def is_known() -> bool:
            asked = goal_ledger("history", "organisation/acme", "--data", str(tmp_path))
            return "organisation opened" in asked.stdout

        assert wait_until(is_known)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=START_TIMEOUT_S)
        assert process.returncode == 0
    assert running.url in out
    assert out.endswith("Stopped.\n")
    assert err == ""
    assert settings.read_server_file(tmp_path) is None


def test_a_standby_takes_over_when_the_ledger_is_killed(tmp_path: Path) -> None:
    with running_up(tmp_path, "--standbys", "1") as (process, _):
        first, second = (int((tmp_path / "run" / f"{name}.ready").read_text()) for name in LEDGERS)
        os.kill(first, signal.SIGKILL)
        commands = '{"type": "OpenOrganisation", "data": {"name": "Acme"}}'
        told = goal_ledger("command", "-", "--data", str(tmp_path), input=commands)
        assert told.stdout.split() == ["1", "OpenOrganisation", "accepted", "@1"]
        assert "ledger_writes" in (tmp_path / "logs" / "ledger-2.log").read_text()
        assert int((tmp_path / "run" / "ledger-2.ready").read_text()) == second
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=START_TIMEOUT_S)
        assert process.returncode == 0
    assert "stands by" in out


def get(address: str, path: str, token: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=5)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_each_service_has_an_http_door_and_a_local_token_opens_it(tmp_path: Path) -> None:
    def is_known() -> bool:
        position = get(questions, f"{acme}/position", token)
        return position[0] == 200 and position[1]["position"] == 1

    acme = "/api/v1/organisations/acme"
    with running_up(tmp_path, "--standbys", "1") as (process, running):
        questions, commands = running.questions or "", running.commands or ""
        first = urlsplit(questions).port or 0
        assert commands == f"http://127.0.0.1:{first + 1}"
        standby = f"http://127.0.0.1:{first + 2}"
        roles = [get(each, "/readyz")[1]["role"] for each in (commands, standby)]
        assert sorted(roles) == ["standby", "writer"]
        assert wait_until(lambda: get(questions, "/readyz")[0] == 200)
        told = goal_ledger("token", "--role", "admin", "--data", str(tmp_path))
        token = told.stdout.strip()
        opening = {"organisation": "acme", "id": "c-1", "type": "OpenOrganisation"}
        writer = commands if roles[0] == "writer" else standby
        with closing(http.client.HTTPConnection(urlsplit(writer).netloc, timeout=5)) as connection:
            connection.request(
                "POST",
                "/api/v1/commands",
                json.dumps({**opening, "data": {"name": "Acme"}}),
                {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            assert json.loads(connection.getresponse().read())["position"] == 1
        assert wait_until(is_known)
        assert get(questions, f"{acme}/position")[0] == 401
        # The doors leave signals to the services.
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_TIMEOUT_S)
        assert process.returncode == 0
    for name in (*LEDGERS, "projections"):
        log = (tmp_path / "logs" / f"{name}.log").read_text()
        assert "_stopped" in log
        assert "eyJ" not in log
    assert int((tmp_path / "http.port").read_text()) == first


def test_a_second_one_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with running_up(tmp_path) as (process, _):
        second = goal_ledger("up", "--data", str(tmp_path))
        assert second.exit_code == 1
        assert second.stderr == (
            f"data-directory-in-use: {tmp_path} is in use by process {process.pid}; "
            "stop it, or choose another data directory\n"
        )
        assert settings.read_server_file(tmp_path) is not None


def test_what_to_type_is_the_way_it_was_started_unless_the_name_alone_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/goal-ledger", "demo"])
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert program() == ".venv/bin/goal-ledger"
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert program() == "goal-ledger"
    monkeypatch.setattr(sys, "argv", ["services/cli/__main__.py"])
    assert program() == "goal-ledger"


def test_only_who_has_a_key_gets_in(tmp_path: Path) -> None:
    seed = tmp_path / "u-17.nk"
    users = tmp_path / "users.toml"
    users.write_text(f'[organisations.acme.u-17]\nkind = "client"\nnkey = "{new_key(seed)}"\n')
    data = tmp_path / "data"
    with running_up(data, "--nats-users", str(users)) as (_, running):
        where = ("--server", running.url, "--wait", "5")
        told = goal_ledger("as-of", *where)
        assert told.exit_code == 3
        assert "--nkey FILE" in told.stderr
        commands = '{"type": "OpenOrganisation", "data": {"name": "Acme"}}'
        named = ("command", "-", *where, "--nkey", str(seed), "--actor")
        assert "accepted" in goal_ledger(*named, "u-17", input=commands).stdout
        assert goal_ledger(*named, "u-18", input=commands).exit_code == 3
        log = (data / "nats" / "nats.log").read_text()
        assert 'Publish Violation - Subject "goals.command.acme.u-18.OpenOrganisation"' in log
        assert oct((data / "keys").stat().st_mode)[-3:] == "700"


def test_a_log_of_before_there_were_keys_is_taken_over(tmp_path: Path) -> None:
    streams = tmp_path / "nats" / "js" / "jetstream"
    with running_up(tmp_path) as (process, _):
        commands = '{"type": "OpenOrganisation", "data": {"name": "Acme"}}'
        goal_ledger("command", "-", "--data", str(tmp_path), input=commands)
        process.send_signal(signal.SIGTERM)
        process.wait(START_TIMEOUT_S)
    (streams / "GOALS").rename(streams / "$G")
    with running_up(tmp_path):
        stored = goal_ledger("export", "events", "--data", str(tmp_path))
        assert len(stored.stdout.splitlines()) == 1
