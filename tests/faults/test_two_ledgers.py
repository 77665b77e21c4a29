"""Two ledgers on one stream at the same time: the log lets one win, and no rule is broken."""

import asyncio
import contextlib
import itertools
import json
import random
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from goal_contracts import codec, commands
from goal_contracts.commands import Command
from goal_contracts.measures import Metric
from goal_contracts.policy import Policy
from goal_contracts.replies import Accepted, Refused
from msgspec.structs import replace

from services.cli.client import Client
from services.embedded.nats_server import NatsServer
from services.ledger.domain import Organisation, evolve
from services.ledger.store.log import GoalLog
from tests.ledger.domain.invariants import check
from tests.running import GOAL_LEDGER
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

ORGANISATION: Final = "acme"
CLIENTS: Final = 12
GOALS: Final = 6


class TwoLedgers:
    """Two ledger processes on one server, each writing its log to a file of its own."""

    def __init__(self, server: NatsServer, folder: Path) -> None:
        self._logs = [folder / f"ledger-{number}.log" for number in (1, 2)]
        self._processes = [self._start(server, log) for log in self._logs]

    @staticmethod
    def _start(server: NatsServer, log: Path) -> subprocess.Popen[bytes]:
        argv = [*GOAL_LEDGER, "ledger", "--server", server.url, "--monitor", server.monitor_url]
        with log.open("wb") as out:
            return subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)

    def lines(self) -> list[list[dict[str, Any]]]:
        """What each of the two has logged."""
        return [
            [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
            for log in self._logs
        ]

    def both_serve(self) -> bool:
        return all(any(line["event"] == "ledger_ready" for line in lines) for lines in self.lines())

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)


@pytest.fixture
def ledgers(own_nats_server: NatsServer, tmp_path: Path) -> Iterator[TwoLedgers]:
    ledgers = TwoLedgers(own_nats_server, tmp_path)
    yield ledgers
    ledgers.stop()


class Work:
    """Clients that ask for all sorts of things about the same few goals, and what came of it."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self._url = url
        self._chance = chance
        self._number = itertools.count(1)
        self.accepted: dict[str, Accepted] = {}
        self.refused: list[Refused] = []

    async def prepare(self, today: datetime) -> None:
        """An organisation with a running cycle and a few objectives in it."""
        start, end = today.date() - timedelta(days=20), today.date() + timedelta(days=20)
        async with await Client.connect(self._url) as client:
            for command in (
                commands.OpenOrganisation(
                    name="Acme", policy=Policy(skip_planning=True, mid_cycle_reason="optional")
                ),
                commands.DefineUnit(unit_id="team", name="Team", unit_kind="team"),
                commands.PlanCycle(
                    cycle_id="now",
                    name="Now",
                    cycle_kind="custom",
                    start_on=start,
                    end_on=end,
                    activate=True,
                ),
            ):
                await self._ask(client, command)
            for goal in range(GOALS):
                await self._ask(
                    client,
                    commands.DraftObjective(
                        objective_id=f"o-{goal}",
                        cycle_id="now",
                        unit_id="team",
                        title=f"Objective {goal}",
                        owner="u-1",
                    ),
                )
        assert not self.refused, self.refused

    async def go_on_for(self, seconds: float) -> None:
        """All clients at once, each one command after the other."""
        until = time.monotonic() + seconds
        await asyncio.gather(*[self._client(until) for _ in range(CLIENTS)])

    async def _client(self, until: float) -> None:
        async with await Client.connect(self._url) as client:
            while time.monotonic() < until:
                await self._ask(client, self._some_command(next(self._number)))

    async def _ask(self, client: Client, command: Command) -> None:
        command_id = f"c-{next(self._number)}"
        message = codec.command_message(command, command_id=command_id)
        reply = await client.send(ORGANISATION, "u-1", message)
        if isinstance(reply, Refused):
            self.refused.append(reply)
            return
        self.accepted[command_id] = reply
        if self._chance.random() < 0.1:
            # The other ledger may get it this time: it has to know the first answer all the same.
            again = await client.send(ORGANISATION, "u-1", message)
            if reply.events:
                # Advice comes once, with the decision; a repeated id is not decided again.
                assert again == replace(reply, warnings=())
            elif isinstance(again, Accepted):
                # There was nothing to do, so nothing was recorded, not even the id; now there is.
                self.accepted[command_id] = again

    def _some_command(self, number: int) -> Command:
        chance = self._chance
        objective, other = (f"o-{chance.randrange(GOALS)}" for _ in range(2))
        key_result = f"kr-{chance.randrange(GOALS * 4)}"
        measure = Metric(unit="%", baseline=Decimal(0), target=Decimal(chance.randrange(1, 50)))
        return chance.choice(
            (
                commands.AddKeyResult(
                    key_result_id=key_result,
                    objective_id=objective,
                    title=f"Key result {key_result}",
                    owner="u-1",
                    measure=measure,
                ),
                commands.PublishObjective(objective_id=objective),
                commands.RealignObjective(
                    objective_id=objective, aligned_to=(f"objective/{other}",)
                ),
                commands.RetargetKeyResult(key_result_id=key_result, measure=measure),
                commands.CheckIn(
                    key_result_id=key_result,
                    check_in_id=f"ci-{number}",
                    value=Decimal(chance.randrange(50)),
                ),
                commands.RewordObjective(objective_id=objective, title=f"Objective {number}"),
            )
        )


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(4, marks=pytest.mark.faults),
        pytest.param(60, marks=pytest.mark.faults_long),
    ],
)
async def test_every_acknowledged_command_is_in_the_log_once_and_no_rule_is_broken(
    seconds: float, ledgers: TwoLedgers, own_nats_server: NatsServer
) -> None:
    await eventually(ledgers.both_serve, timeout_s=30)
    work = Work(own_nats_server.url, random.Random(int(seconds)))
    await work.prepare(datetime.now(UTC))
    await work.go_on_for(seconds)

    organisation: Organisation | None = None
    places: dict[str, list[int]] = {}
    async with (
        await Client.connect(own_nats_server.url) as client,
        contextlib.aclosing(GoalLog(client.connection, "GOALS").read()) as batches,
    ):
        async for batch in batches:
            for stored in batch:
                recorded = codec.decode_event(stored.position, stored.payload)
                organisation = evolve(organisation, recorded)
                places.setdefault(recorded.command_id, []).append(recorded.position)
    assert organisation is not None
    check(organisation)

    with_events = {key: reply for key, reply in work.accepted.items() if reply.events}
    assert {key: places[key] for key in with_events} == {
        key: [*range(reply.position - reply.events + 1, reply.position + 1)]
        for key, reply in with_events.items()
    }
    # Whatever is in the log was acknowledged: every client waited for its answer.
    assert set(places) == set(with_events)
    assert len(with_events) > 20 * seconds

    by_ledger = ledgers.lines()
    assert all(any(line["event"] == "accepted" for line in lines) for lines in by_ledger)
    fenced = [line for lines in by_ledger for line in lines if line["event"] == "writer_fenced"]
    assert fenced
    assert all("another writer" in line["why"] for line in fenced)
    assert not [line for lines in by_ledger for line in lines if line["event"] == "not_answered"]
