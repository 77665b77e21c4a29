"""A subscriber in Node that knows the published documents alone has each event once, in order."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from goal_contracts import publish

from services.cli import importing, sample
from services.nats_users.keys import new_key
from tests.examples.lossy import lossy
from tests.running import System, running
from tests.waiting import wait_until

PROGRAM: Final = "subscriber.mjs"
CONSUMER: Final = "node-sync"
TRAFFORD: Final = (
    Path(__file__).resolve().parents[2] / "services/cli/manifests/trafford-claimants.toml"
)
TORN: Final = b'{"position":1000000,"event":{"id":"tor'
"""The beginning of a line, as it stays behind when a write is cut short."""
CATCH_UP_S: Final = 60.0
KILLS: Final = 4
KILLED_AFTER_MAX: Final = 300
"""Events; the sample company has some thousands."""

pytestmark = pytest.mark.faults


class Place(NamedTuple):
    """A system in which acme has a subscriber who may have one consumer, and the program."""

    system: System
    home: Path
    program: Path

    def subscriber(self, organisation_id: str, file: str, nkey: Path | None = None) -> "Subscriber":
        """As that key lets it in, else as the local user of `up`."""
        nkey = nkey or self.system.data / "keys" / "local.nk"
        return Subscriber(self, organisation_id, self.home / file, nkey)

    @property
    def sync(self) -> Path:
        return self.home / "sync.nk"

    def exported(self, organisation_id: str) -> list[str]:
        return self.system.run("export", "events", "--org", organisation_id).splitlines()

    def command(self, organisation_id: str, command: str, /, **data: str) -> None:
        file = self.home / "command.ndjson"
        file.write_text(json.dumps({"type": command, "data": data}))
        self.system.run("command", str(file), "--org", organisation_id)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, node_example: Path) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("node-subscriber")
    users = home / "users.toml"
    users.write_text(
        f'[organisations.acme.sync]\nkind = "subscriber"\nnkey = "{new_key(home / "sync.nk")}"\n'
        f'consumers = ["{CONSUMER}"]\n'
    )
    with running(home / "data", "--nats-users", str(users)) as system:
        yield Place(system, home, node_example)


class Subscriber:
    """The program of one organisation, and what it has kept."""

    def __init__(self, place: Place, organisation_id: str, file: Path, nkey: Path) -> None:
        self.file = file
        self.url = place.system.url
        self._place = place
        self._organisation_id = organisation_id
        self._nkey = nkey

    @contextlib.contextmanager
    def subscribing(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(self._command(*options), cwd=self._place.program) as process:
            try:
                yield process
            finally:
                process.kill()

    def fails(self, *options: str, contracts: Path = publish.TOP) -> str:
        """What it says when it ends by itself."""
        done = subprocess.run(
            self._command(*options, contracts=contracts),
            cwd=self._place.program,
            capture_output=True,
            text=True,
            timeout=CATCH_UP_S,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        return done.stderr

    def kept(self) -> list[str]:
        """Its whole lines."""
        text = self.file.read_bytes().decode(errors="replace") if self.file.exists() else ""
        return text[: text.rfind("\n") + 1].split("\n")[:-1]

    def catch_up(self, process: subprocess.Popen[bytes], count: int) -> None:
        def has_caught_up() -> bool:
            # Outside of the wait's own patience: it ends for good.
            if process.poll() is not None:
                raise ChildProcessError(process.returncode)
            return len(self.kept()) >= count

        wait_until(has_caught_up, CATCH_UP_S)

    def _command(self, *options: str, contracts: Path = publish.TOP) -> list[str | Path]:
        asked: list[str | Path] = [contracts, self.url, self._organisation_id, self.file]
        return ["node", PROGRAM, *asked, "--nkey", self._nkey, "--consumer", CONSUMER, *options]


def test_each_event_of_the_sample_company_is_kept_once_whatever_is_killed(place: Place) -> None:
    async def load() -> None:
        async with await place.system.connect() as client:
            await importing.send(client, sample.history())

    subscriber = place.subscriber("acme", "acme.ndjson", place.sync)
    chance = random.Random(3)
    killed_while_loading = 0
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(asyncio.run, load())

        def has(count: int) -> bool:
            return loading.done() or len(subscriber.kept()) >= count

        for round_ in range(KILLS):
            with subscriber.subscribing() as process:
                enough = len(subscriber.kept()) + chance.randrange(1, KILLED_AFTER_MAX)
                wait_until(lambda: has(enough), CATCH_UP_S)  # noqa: B023 - at once
                if round_ % 2:
                    place.system.kill_child("nats-server")
                    wait_until(lambda: has(enough + 1), CATCH_UP_S)  # noqa: B023 - at once
                killed_while_loading += not loading.done()
                os.kill(process.pid, signal.SIGKILL)
            with subscriber.file.open("ab") as file:
                file.write(TORN)
        loading.result()
    assert killed_while_loading > 1
    with subscriber.subscribing() as process:
        subscriber.catch_up(process, len(place.exported("acme")))
        place.command("acme", "DefineUnit", unit_id="live", name="Live", unit_kind="team")
        lines = place.exported("acme")
        subscriber.catch_up(process, len(lines))
        assert subscriber.kept() == lines


@pytest.mark.real_data
def test_real_history_is_heard_whole_or_from_a_date_on(place: Place, shared_data: Path) -> None:
    files = shared_data / "trafford-claimants"
    arguments = (str(TRAFFORD), "--files", str(files), "--org", "trafford")
    place.system.run("import", "readings", *arguments)
    imported = place.exported("trafford")
    whole = place.subscriber("trafford", "whole.ndjson")
    with whole.subscribing() as process:
        whole.catch_up(process, len(imported))

    imported_at = datetime.now(UTC).isoformat()
    late = place.subscriber("trafford", "late.ndjson")
    place.command("trafford", "DefineUnit", unit_id="late-1", name="Late", unit_kind="team")
    with late.subscribing("--since", imported_at) as process:
        late.catch_up(process, 1)
        place.system.kill_child("nats-server")
        place.command("trafford", "DefineUnit", unit_id="late-2", name="Later", unit_kind="team")
        late.catch_up(process, 2)
    # Where it was counts now, not the date.
    place.command("trafford", "DefineUnit", unit_id="late-3", name="Last", unit_kind="team")
    with late.subscribing("--since", imported_at) as process:
        late.catch_up(process, 3)
    with whole.subscribing() as process:
        whole.catch_up(process, len(imported) + 3)

    lines = place.exported("trafford")
    assert whole.kept() == lines
    assert late.kept() == lines[len(imported) :]


def test_an_event_that_breaks_its_schema_ends_it_and_is_named(place: Place) -> None:
    place.command("strict", "OpenOrganisation", name="Strict")
    place.command("strict", "DefineUnit", unit_id="platform", name="Platform", unit_kind="team")
    lines = place.exported("strict")
    defined = json.loads(lines[-1])
    contracts = place.home / "contracts"
    shutil.copytree(publish.TOP / publish.SCHEMAS, contracts / publish.SCHEMAS)
    shutil.copy(publish.TOP / publish.ASYNCAPI, contracts)
    schema_file = contracts / publish.SCHEMAS / "events" / "UnitDefined.v1.json"
    schema = json.loads(schema_file.read_text())
    schema["properties"]["data"]["properties"]["name"] = {"type": "string", "maxLength": 3}
    schema_file.write_text(json.dumps(schema))

    subscriber = place.subscriber("strict", "strict.ndjson")
    said = subscriber.fails(contracts=contracts)
    assert f"position {defined['position']}" in said
    assert defined["event"]["id"] in said
    assert "goals.UnitDefined.v1" in said
    assert "data/name must NOT have more than 3 characters" in said
    assert subscriber.kept() == lines[:-1]

    # With the schema as it is published, it goes on where it stopped.
    with subscriber.subscribing() as process:
        subscriber.catch_up(process, len(lines))
    assert subscriber.kept() == lines


def test_an_event_lost_on_the_way_is_fetched_again(place: Place) -> None:
    place.command("lost", "OpenOrganisation", name="Lost")
    for number in range(4):
        place.command("lost", "DefineUnit", unit_id=f"u-{number}", name="Unit", unit_kind="team")
    lines = place.exported("lost")
    subscriber = place.subscriber("lost", "lost.ndjson")
    with lossy(place.system.url, lost=3) as proxy:
        subscriber.url = proxy.url
        with subscriber.subscribing() as process:
            subscriber.catch_up(process, len(lines))
            assert proxy.has_lost.is_set()
            assert subscriber.kept() == lines


def test_a_consumer_that_is_not_its_own_ends_it(place: Place) -> None:
    subscriber = place.subscriber("acme", "other.ndjson", place.sync)
    assert "Permissions Violation" in subscriber.fails("--consumer", "somebody-elses")


def test_whom_the_server_does_not_know_it_does_not_let_in(place: Place) -> None:
    nobody = place.home / "nobody.nk"
    new_key(nobody)
    said = place.subscriber("acme", "nobody.ndjson", nobody).fails()
    assert "Authorization Violation" in said
