"""The relay beside a running system: killed, it goes on, and the order of each goal holds."""

import contextlib
import json
import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from services.relay.endpoints import EndpointsUnusable, read_endpoints
from tests.relay.receiver import SECRET, Heard, Receiver
from tests.running import GOAL_LEDGER, System, running
from tests.waiting import wait_until

TOLD_WITHIN_S: Final = 40.0
UNITS: Final = 15


class Relay:
    """The program on a data directory of its own."""

    def __init__(self, system: System, endpoint: str, place: Path) -> None:
        self._system = system
        self.file = place / "endpoints.toml"
        self.data = place / "relay"
        (place / "hr.secret").write_text(SECRET)
        self.file.write_text(
            f'[endpoints.hr]\nurl = "{endpoint}"\norganisation = "acme"\n'
            'secret_file = "hr.secret"\n'
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        found = ["--server", self._system.url, "--nkey", str(self._system.data / "keys/local.nk")]
        command = [*GOAL_LEDGER, "relay", "run", str(self.file), "--data", str(self.data), *found]
        with (
            (self.data.parent / "relay.log").open("ab") as log,
            subprocess.Popen(command, stderr=log) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def goal_ledger(self, what: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = [*GOAL_LEDGER, "relay", what, str(self.file), *more, "--data", str(self.data)]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def rename(system: System, times: range) -> None:
    """So many events of each of some units."""
    commands = [
        {"type": "RenameUnit", "data": {"unit_id": f"t-{unit}", "name": f"Name {time}"}}
        for time in times
        for unit in range(3)
    ]
    tell(system, *commands)


def tell(system: System, *commands: object) -> None:
    file = system.data / "commands.ndjson"
    file.write_text("\n".join(json.dumps(each) for each in commands))
    system.run("command", str(file))


def opened(system: System) -> None:
    tell(
        system,
        {"type": "OpenOrganisation", "data": {"name": "Acme"}},
        *(
            {
                "type": "DefineUnit",
                "data": {"unit_id": f"t-{unit}", "name": "T", "unit_kind": "team"},
            }
            for unit in range(3)
        ),
    )


def in_order_of_each_goal(heard: list[Heard]) -> bool:
    goals: dict[str, list[int]] = defaultdict(list)
    for each in heard:
        goals[json.loads(each.payload)["subject"]].append(each.position)
    return all(positions == sorted(positions) for positions in goals.values())


@pytest.mark.faults
def test_each_event_is_told_in_its_goals_order_though_the_relay_is_killed(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data") as system,
        Receiver(lambda heard, time: 503 if heard.position == 3 and time == 1 else 200) as receiver,
    ):
        relay = Relay(system, receiver.url, tmp_path)
        opened(system)
        with relay.running() as process:
            wait_until(lambda: len(receiver.heard) > 1, TOLD_WITHIN_S)
            os.kill(process.pid, signal.SIGKILL)
        rename(system, range(1, UNITS))
        exported = [json.loads(line) for line in system.run("export", "events").splitlines()]
        positions = {each["position"] for each in exported}
        with relay.running() as process:
            wait_until(
                lambda: {each.position for each in receiver.taken} == positions, TOLD_WITHIN_S
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(TOLD_WITHIN_S) == 0
        assert in_order_of_each_goal(list(dict.fromkeys(receiver.taken)))
        stored = {each["position"]: each["event"] for each in exported}
        assert {each.position: json.loads(each.payload) for each in receiver.taken} == stored
        assert receiver.forged == 0


@pytest.mark.faults
def test_a_dead_letter_holds_up_its_goal_until_it_is_replayed(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data") as system,
        Receiver(lambda heard, _time: 410 if heard.position == 2 else 200) as receiver,
    ):
        relay = Relay(system, receiver.url, tmp_path)
        opened(system)
        rename(system, range(1, 3))
        with relay.running():
            wait_until(lambda: len(receiver.taken) == 7, TOLD_WITHIN_S)
            shown = relay.goal_ledger("show", "--format", "json")
            [told] = json.loads(shown.stdout)
            assert [each["position"] for each in told["dead"]] == [2]
            assert told["waiting"] == 2
            assert "410 Gone" in relay.goal_ledger("show").stdout
            assert relay.goal_ledger("drop", "hr", "3").returncode == 1
            receiver.answering = lambda _heard, _time: 200
            assert relay.goal_ledger("replay", "hr").returncode == 0
            wait_until(lambda: len(receiver.taken) == 10, TOLD_WITHIN_S)
        assert in_order_of_each_goal(receiver.taken)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('url = "http://hr.example/"', "https://HOST"),
        ('url = "ftp://hr.example/"', "https://HOST"),
        ('url = "https://u:p@hr.example/"', "without a password"),
        ('url = "https://hr.example/"\nnonsense = 1', "unknown field"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "endpoints.toml"
    (tmp_path / "s").write_text(SECRET)
    file.write_text(f'[endpoints.hr]\norganisation = "acme"\nsecret_file = "s"\n{line}\n')
    with pytest.raises(EndpointsUnusable, match=told):
        read_endpoints(file)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_c2hvcnQ=", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "whsec_ä"],
)
def test_a_secret_that_is_none_is_refused(tmp_path: Path, secret: str) -> None:
    file = tmp_path / "endpoints.toml"
    (tmp_path / "s").write_text(secret)
    file.write_text(
        '[endpoints.hr]\norganisation = "acme"\nsecret_file = "s"\nurl = "https://hr.example/"\n'
    )
    with pytest.raises(EndpointsUnusable, match="secret of hr"):
        read_endpoints(file)
