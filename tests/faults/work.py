"""Clients that ask for all sorts of things about the same few goals, and what came of it."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from goal_contracts import codec, commands
from goal_contracts.codec import CommandMessage
from goal_contracts.commands import Command
from goal_contracts.measures import Metric
from goal_contracts.policy import Policy
from goal_contracts.replies import Accepted, Reason, Refused, Reply
from msgspec.structs import replace

from services.cli.client import Client
from services.cli.errors import Unreachable
from services.ledger.domain import Organisation, evolve
from services.ledger.store.log import GoalLog
from tests.ledger.domain.invariants import check

ORGANISATION: Final = "acme"
GOALS: Final = 6
CYCLES: Final = 200
PATIENCE_S: Final = 1.0
"""After so long a client is told that there is no answer, and asks again."""
ANSWERED_WITHIN_S: Final = 60.0


class Answered(NamedTuple):
    """How long a command took, from its first asking to its answer."""

    asked_at: float
    took_s: float


class Work:
    """Each command has an id of its own and is asked until it is answered."""

    def __init__(
        self,
        url: str,
        chance: random.Random,
        *,
        pause_max_s: float = 0.0,
        may_be_overloaded: bool = False,
    ) -> None:
        self._may_be_overloaded = may_be_overloaded
        self._url = url
        self._chance = chance
        self._pause_max_s = pause_max_s
        self._number = itertools.count(1)
        self.asked: set[str] = set()
        self.ambiguous: set[str] = set()
        self.accepted: dict[str, Accepted] = {}
        self.refused: dict[str, Refused] = {}
        self.answered: list[Answered] = []
        self._waiting: dict[str, float] = {}

    async def prepare(self) -> None:
        """An organisation with a running cycle and a few objectives in it."""
        today = datetime.now(UTC).date()
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
                    start_on=today - timedelta(days=20),
                    end_on=today + timedelta(days=20),
                    activate=True,
                ),
                *(self._objective(f"o-{goal}") for goal in range(GOALS)),
            ):
                await self.ask(client, command)
        assert not self.refused, self.refused

    async def go_on_until(self, over: Callable[[], bool], *, clients: int) -> None:
        """All clients at once, each one command after the other, until it is over."""
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._client(over))

    def all_answered_from_before(self, moment: float) -> bool:
        """Whether no command waits any more that was asked before that moment."""
        return all(asked_at > moment for asked_at in self._waiting.values())

    async def _client(self, over: Callable[[], bool]) -> None:
        async with await Client.connect(self._url) as client:
            while not over():
                await self.ask(client, self._some_command(next(self._number)))
                # A person thinks, and the log stays short enough to be read again at each start.
                await asyncio.sleep(self._chance.uniform(0, self._pause_max_s))

    async def ask(self, client: Client, command: Command) -> float:
        """One command until it is answered; the seconds that took."""
        message = codec.command_message(command, command_id=f"c-{next(self._number)}")
        reply, took_s = await self._answer_to(client, message)
        if isinstance(reply, Refused):
            self.refused[message.id] = reply
            return took_s
        self.accepted[message.id] = reply
        if self._chance.random() < 0.1:
            # Another ledger may get it this time: it has to know the first answer all the same.
            again, _ = await self._answer_to(client, message)
            is_overloaded = isinstance(again, Refused) and again.reason is Reason.OVERLOADED
            if is_overloaded and self._may_be_overloaded:
                return took_s  # one that is late again and again takes no more in
            if reply.events:
                # Advice comes once, with the decision; a repeated id is not decided again.
                assert again == replace(reply, warnings=())
            elif isinstance(again, Accepted):
                # There was nothing to do, so nothing was recorded, not even the id; now there is.
                self.accepted[message.id] = again
        return took_s

    async def _answer_to(self, client: Client, message: CommandMessage) -> tuple[Reply, float]:
        self.asked.add(message.id)
        asked_at = self._waiting[message.id] = time.monotonic()
        while True:
            try:
                reply = await client.send(ORGANISATION, "u-1", message, wait_s=PATIENCE_S)
            except Unreachable as error:
                took_s = time.monotonic() - asked_at
                assert took_s < ANSWERED_WITHIN_S, f"{message.id} is never answered"
                if f"unknown whether command {message.id} was recorded" in error.message:
                    self.ambiguous.add(message.id)
            else:
                took_s = time.monotonic() - asked_at
                del self._waiting[message.id]
                self.answered.append(Answered(asked_at, took_s))
                return reply, took_s

    def _objective(self, objective_id: str) -> Command:
        return commands.DraftObjective(
            objective_id=objective_id,
            cycle_id="now",
            unit_id="team",
            title=f"Objective {next(self._number)}",
            owner="u-1",
        )

    def _some_cycle(self) -> Command:
        """Some year; whoever is first has its days, and no other cycle may overlap them."""
        number = self._chance.randrange(CYCLES)
        start_on = date(2100 + number, self._chance.randrange(1, 12), 1)
        return commands.PlanCycle(
            cycle_id=f"cycle-{self._chance.randrange(CYCLES)}",
            name=f"Cycle {number}",
            cycle_kind="custom",
            start_on=start_on,
            end_on=start_on + timedelta(days=self._chance.randrange(1, 400)),
        )

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
                self._objective(f"o-{chance.randrange(GOALS * 4)}"),
                self._some_cycle(),
            )
        )

    async def check_the_log(self) -> dict[str, list[int]]:
        """No rule broken, nothing acknowledged lost; the positions of each command's events."""
        organisation: Organisation | None = None
        places: dict[str, list[int]] = {}
        positions = 0
        async with (
            await Client.connect(self._url) as client,
            contextlib.aclosing(GoalLog(client.connection, "GOALS").read()) as batches,
        ):
            async for batch in batches:
                for stored in batch:
                    recorded = codec.decode_event(stored.position, stored.payload)
                    organisation = evolve(organisation, recorded)
                    places.setdefault(recorded.command_id, []).append(recorded.position)
                    positions += 1
                    assert recorded.position == positions
        assert organisation is not None
        check(organisation)
        assert set(self.accepted) | set(self.refused) == self.asked
        expected = {
            command_id: [*range(reply.position - reply.events + 1, reply.position + 1)]
            for command_id, reply in self.accepted.items()
            if reply.events
        }
        assert {command_id: places.get(command_id) for command_id in expected} == expected
        return places

    @property
    def with_events(self) -> set[str]:
        """The commands that were told to have been recorded."""
        return {command_id for command_id, reply in self.accepted.items() if reply.events}
