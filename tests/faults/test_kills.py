"""kill -9 at random moments of an import: nothing is lost, doubled or put elsewhere."""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from goal_contracts.codec import CommandMessage
from goal_contracts.replies import Accepted, Reply
from msgspec.structs import replace

from services.cli import importing
from services.cli.client import Client
from services.cli.errors import Unreachable
from services.cli.importing import History
from services.cli.okr_markdown.mapping import history_of
from services.cli.okr_markdown.sources import read
from tests.faults.exports import (
    events_of,
    same_for_every_run,
    views_of,
    views_same_for_every_run,
)
from tests.running import CHILDREN, System, running
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.real_data, pytest.mark.timeout(600)]

KILLS: Final = 8
WHOLE_IMPORT_S: Final = 240
ORGANISATION: Final = "src-d"


class Undisturbed:
    """One import that nobody disturbed: what every other one has to end in."""

    def __init__(self, history: History, system: System) -> None:
        self.history = history
        self.events = same_for_every_run(events_of(system))
        self.views = views_same_for_every_run(views_of(system, ORGANISATION))


@pytest.fixture(scope="module")
def history(shared_data: Path) -> History:
    source = shared_data / "srcd-okrs" / "history.jsonl"
    return history_of(
        read(source),
        organisation_id=ORGANISATION,
        name="source{d}",
        zone="Europe/Madrid",
        source=source.name,
        importer="importer",
    ).history


@pytest.fixture(scope="module")
def undisturbed(
    history: History, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Undisturbed]:
    with running(tmp_path_factory.mktemp("undisturbed")) as system:
        asyncio.run(_send(system, history, Heard()))
        yield Undisturbed(history, system)


class Heard:
    """What the ledger answered, over all runs of an import."""

    def __init__(self) -> None:
        self.accepted: dict[str, Accepted] = {}

    def note(self, message: CommandMessage, reply: Reply) -> None:
        if isinstance(reply, Accepted) and reply.events:
            first = self.accepted.setdefault(message.id, replace(reply, warnings=()))
            assert replace(reply, warnings=()) == first, "a repeated id got another answer"


class Listening:
    """A sender that remembers every answer."""

    def __init__(self, client: Client, heard: Heard) -> None:
        self._client = client
        self._heard = heard

    async def send(self, organisation_id: str, actor: str, message: CommandMessage) -> Reply:
        reply = await self._client.send(organisation_id, actor, message, wait_s=60)
        self._heard.note(message, reply)
        return reply


async def _send(system: System, history: History, heard: Heard) -> None:
    async with await system.connect(30) as client:
        await importing.send(Listening(client, heard), history)


def check_nothing_is_lost(system: System, undisturbed: Undisturbed, heard: Heard) -> None:
    events = events_of(system)
    assert [line["position"] for line in events] == [*range(1, len(events) + 1)]
    by_position = {line["position"]: line["event"]["commandid"] for line in events}
    for command_id, reply in heard.accepted.items():
        places = range(reply.position - reply.events + 1, reply.position + 1)
        assert [by_position[place] for place in places] == [command_id] * reply.events
    assert same_for_every_run(events) == undisturbed.events
    assert views_same_for_every_run(views_of(system, ORGANISATION)) == undisturbed.views


@pytest.mark.faults_long
@pytest.mark.parametrize("victim", CHILDREN)
async def test_a_child_killed_during_an_import_costs_nothing_but_waiting(
    victim: str, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    chance = random.Random(victim)
    heard = Heard()
    with running(tmp_path) as system:
        async with asyncio.timeout(WHOLE_IMPORT_S):
            sending = asyncio.create_task(_send(system, undisturbed.history, heard))
            await _kill_while(sending, system, (victim,), chance, kills=4)
            await sending
        check_nothing_is_lost(system, undisturbed, heard)


@pytest.mark.faults_long
async def test_everything_killed_together_again_and_again_goes_on_where_it_was(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    chance = random.Random(5)
    heard = Heard()
    system = System(tmp_path)
    system.start()
    try:
        for _ in range(KILLS):
            await _import_until_killed(system, undisturbed.history, heard, chance)
            system.start()
        async with asyncio.timeout(WHOLE_IMPORT_S):
            await _send(system, undisturbed.history, heard)
        check_nothing_is_lost(system, undisturbed, heard)
    finally:
        system.stop()


async def _import_until_killed(
    system: System, history: History, heard: Heard, chance: random.Random
) -> None:
    """Send until so many commands more were answered; then kill all, and the importer with them."""
    enough = len(heard.accepted) + chance.randrange(1, history.size // KILLS)
    sending = asyncio.create_task(_send(system, history, heard))
    await eventually(lambda: len(heard.accepted) >= enough or sending.done(), timeout_s=60)
    await asyncio.to_thread(system.kill)
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError, Unreachable):
        await sending


async def _kill_while(
    sending: asyncio.Task[None],
    system: System,
    victims: tuple[str, ...],
    chance: random.Random,
    kills: int,
) -> None:
    """Kill one of the victims at random moments, each time it has come back."""
    for _ in range(kills):
        victim = chance.choice(victims)
        await eventually(lambda: system.pid(victim) or sending.done(), timeout_s=30)  # noqa: B023  # asked at once
        # A random moment, not a wait for something: the import goes on meanwhile.
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        if sending.done():
            return
        system.kill_child(victim)
