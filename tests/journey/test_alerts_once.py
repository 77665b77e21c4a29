"""Who should look at something is told once, also by services that are killed in between."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import nats
from goal_contracts import codec, commands, subjects
from goal_contracts.client.flushing import flushed
from goal_contracts.client.keys import identity
from goal_contracts.commands import Command
from goal_contracts.measures import Milestone
from goal_contracts.policy import Policy
from goal_contracts.replies import Accepted
from nats.aio.msg import Msg

from services.cli.client import Client
from tests.running import System, running
from tests.waiting import eventually

ORGANISATION = "told"


async def ask(client: Client, *asked: Command) -> None:
    for command in asked:
        message = codec.command_message(command, command_id=uuid4().hex)
        reply = await client.send(ORGANISATION, "ada", message)
        assert isinstance(reply, Accepted), reply


def pursued(today: date) -> tuple[Command, ...]:
    """Two key results of a cycle that began today."""
    return (
        commands.OpenOrganisation("Told", "UTC", Policy()),
        commands.DefineUnit("told", "Told", "company"),
        commands.PlanCycle("now", "Now", "custom", today, today + timedelta(days=90)),
        commands.DraftObjective("o", "now", "told", "Be told", "ada"),
        *(commands.AddKeyResult(f"kr-{n}", "o", "Told once", "ada", Milestone()) for n in (1, 2)),
        commands.PublishObjective("o"),
        commands.ActivateCycle("now"),
    )


async def kill_and_restart(system: System) -> None:
    assert system.kill_child("projections")
    await eventually(lambda: system.is_serving("projections"), 30)


async def told_once(system: System) -> None:
    told: list[str] = []

    async def take(message: Msg) -> None:
        told.append(codec.decode_alert(message.data).id)

    key = identity(system.data / "keys" / "local.nk")
    async with await nats.connect(system.url, **key) as hearer, await system.connect() as client:
        await hearer.subscribe(subjects.alert(ORGANISATION, "*"), cb=take)
        await flushed(hearer)
        await ask(client, *pursued(datetime.now(UTC).date()))
        for number in (1, 2):
            await ask(client, commands.CheckIn(f"kr-{number}", "c", confidence=0))
            await kill_and_restart(system)  # a service that starts looks at once
            await eventually(lambda number=number: len(told) == number, 30)  # type: ignore[misc]  # bound above
    assert [each.rpartition(":")[0] for each in told] == [
        f"low_confidence:key_result/kr-{number}" for number in (1, 2)
    ]


def test_a_service_that_is_killed_tells_nothing_twice(tmp_path: Path) -> None:
    with running(tmp_path) as system:
        asyncio.run(told_once(system))
