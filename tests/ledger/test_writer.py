"""The single writer against a real stream: exact decisions, first answers, and being fenced."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

import pytest
import structlog.testing
from goal_contracts import codec
from goal_contracts.commands import Command, DefineUnit, OpenOrganisation, PlanCycle, RenameUnit
from goal_contracts.policy import Policy
from goal_contracts.replies import Accepted, Reason, Refused, Reply
from nats.aio.client import Client

from services.ledger import writer as writer_module
from services.ledger.handlers import new_event_id
from services.ledger.store.log import GoalLog, OutcomeUnknown, Outgoing
from services.ledger.store.streams import StreamSettings, ensure_stream
from services.ledger.writer import Request, Waiting, Writer

pytestmark = pytest.mark.anyio

NOW = datetime(2025, 8, 14, 9, 30, tzinfo=UTC)
ANSWER_TIMEOUT_S = 10


class Ledger(NamedTuple):
    """A running writer, and a way to ask it."""

    writer: Writer
    log: GoalLog
    organisation_id: str

    async def ask(self, *asked: Command, command_id: str | None = None) -> list[Reply]:
        """The replies, in order; all commands wait at once."""
        replies: list[asyncio.Future[Reply]] = []
        for command in asked:
            reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            replies.append(reply)
            await self.writer.submit(self._waiting(command, command_id, reply))
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return list(await asyncio.gather(*replies))

    async def events(self) -> list[codec.Recorded]:
        """All that the log holds."""
        found: list[codec.Recorded] = []
        async with contextlib.aclosing(self.log.read()) as batches:
            async for batch in batches:
                found += [codec.decode_event(stored.position, stored.payload) for stored in batch]
        return found

    def _waiting(
        self, command: Command, command_id: str | None, reply: asyncio.Future[Reply]
    ) -> Waiting:
        async def answer(given: Reply) -> None:
            reply.set_result(given)

        request = Request(
            organisation_id=self.organisation_id,
            actor="u-17",
            command=command,
            command_id=command_id or uuid4().hex,
            now=NOW,
            recorded_at=NOW,
        )
        return Waiting(request, answer)


@pytest.fixture
async def settings(nats_client: Client) -> StreamSettings:
    organisation_id = f"org-{uuid4().hex[:8]}"
    settings = StreamSettings(
        name=f"GOALS-{organisation_id}", organisations=(organisation_id,), unsafe_sync_allowed=True
    )
    await ensure_stream(nats_client, settings)
    return settings


@contextlib.asynccontextmanager
async def running(goal_log: GoalLog, settings: StreamSettings) -> AsyncIterator[Ledger]:
    """A writer that has loaded the log and takes commands."""
    writer = Writer(goal_log, new_event_id)
    await writer.load()
    task = asyncio.create_task(writer.run())
    try:
        yield Ledger(writer, goal_log, settings.organisations[0])
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def ledger(nats_client: Client, settings: StreamSettings) -> AsyncIterator[Ledger]:
    async with running(GoalLog(nats_client, settings.name), settings) as ledger:
        await ledger.ask(OpenOrganisation(name="Acme", policy=Policy(skip_planning=True)))
        yield ledger


def unit(number: int) -> DefineUnit:
    return DefineUnit(unit_id=f"team-{number}", name=f"Team {number}", unit_kind="team")


async def test_an_accepted_command_is_in_the_log_at_its_position(ledger: Ledger) -> None:
    [reply] = await ledger.ask(unit(1), command_id="c-1")
    assert reply == Accepted("c-1", position=2, events=1)
    [_, defined] = await ledger.events()
    assert (defined.position, defined.type, defined.actor) == (2, "UnitDefined", "u-17")
    assert (defined.command_id, defined.recorded_at) == ("c-1", NOW)


async def test_a_refused_command_leaves_no_trace_in_the_log(ledger: Ledger) -> None:
    [reply] = await ledger.ask(RenameUnit(unit_id="nobody", name="Somebody"))
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.NOT_FOUND
    assert len(await ledger.events()) == 1


async def test_a_repeated_command_id_gets_the_first_answer(ledger: Ledger) -> None:
    [first] = await ledger.ask(unit(1), command_id="c-1")
    await ledger.ask(unit(2))
    [again] = await ledger.ask(unit(1), command_id="c-1")
    assert again == first
    assert len(await ledger.events()) == 3


async def test_a_repeated_command_id_gets_the_first_answer_after_a_restart(
    ledger: Ledger, settings: StreamSettings
) -> None:
    [first] = await ledger.ask(
        PlanCycle(
            cycle_id="sprint",
            name="Sprint",
            cycle_kind="custom",
            start_on=NOW.date(),
            end_on=NOW.date().replace(day=28),
            activate=True,
        ),
        command_id="c-1",
    )
    assert first == Accepted("c-1", position=3, events=2)
    async with running(ledger.log, settings) as restarted:
        [again] = await restarted.ask(unit(9), command_id="c-1")
    assert again == first
    assert len(await ledger.events()) == 3


async def test_the_same_command_id_twice_in_one_group_records_once(ledger: Ledger) -> None:
    replies = await ledger.ask(unit(1), unit(1), unit(1), command_id="c-1")
    assert replies == [Accepted("c-1", position=2, events=1)] * 3
    assert len(await ledger.events()) == 2


async def test_commands_that_wait_together_are_each_decided_on_what_the_others_left(
    ledger: Ledger,
) -> None:
    replies = await ledger.ask(
        unit(1),
        RenameUnit(unit_id="team-1", name="Platform"),
        RenameUnit(unit_id="team-2", name="Nobody"),
        RenameUnit(unit_id="team-1", name="Infrastructure"),
    )
    assert [isinstance(reply, Accepted) for reply in replies] == [True, True, False, True]
    assert [recorded.type for recorded in await ledger.events()] == [
        "OrganisationOpened",
        "UnitDefined",
        "UnitRenamed",
        "UnitRenamed",
    ]


async def test_more_events_than_one_commit_takes_are_committed_in_turn(ledger: Ledger) -> None:
    replies = await ledger.ask(*[unit(number) for number in range(1_200)])
    assert [reply.position for reply in replies if isinstance(reply, Accepted)] == [
        *range(2, 1_202)
    ]


async def test_another_writers_events_are_read_and_the_command_is_decided_again(
    ledger: Ledger, settings: StreamSettings
) -> None:
    async with running(ledger.log, settings) as other:
        await ledger.ask(unit(1))
        with structlog.testing.capture_logs() as lines:
            [reply] = await other.ask(RenameUnit(unit_id="team-1", name="Platform"))
    assert isinstance(reply, Accepted)
    assert reply.position == 3
    [fenced] = [line for line in lines if line["event"] == "writer_fenced"]
    assert (fenced["expected_position"], fenced["found_position"]) == (1, 2)
    assert "another writer" in fenced["why"]


async def test_a_refusal_too_is_decided_on_exact_state(
    ledger: Ledger, settings: StreamSettings
) -> None:
    async with running(ledger.log, settings) as other:
        await ledger.ask(unit(1))
        # To the other writer, which has not read it yet, the id would be free.
        [reply] = await other.ask(DefineUnit(unit_id="team-1", name="Other", unit_kind="team"))
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.ID_TAKEN


async def test_two_writers_never_lose_nor_double_a_command(
    ledger: Ledger, settings: StreamSettings
) -> None:
    async with running(ledger.log, settings) as other:
        replies = await asyncio.gather(
            *[(ledger, other)[number % 2].ask(unit(number)) for number in range(60)]
        )
    accepted = [reply for [reply] in replies if isinstance(reply, Accepted)]
    assert sorted(reply.position for reply in accepted) == [*range(2, 62)]
    commands = [recorded.command_id for recorded in await ledger.events()][1:]
    assert sorted(commands) == sorted(reply.command_id for reply in accepted)


class LostAcknowledgement(GoalLog):
    """Stores the next append and loses the server's answer to it."""

    lost = 0

    async def append(self, events: Sequence[Outgoing], expected_last: int) -> int:
        last = await super().append(events, expected_last)
        if not self.lost:
            self.lost += 1
            raise OutcomeUnknown("the acknowledgement was lost")
        return last


async def test_a_lost_acknowledgement_is_resolved_by_the_command_id_in_the_log(
    nats_client: Client, settings: StreamSettings
) -> None:
    goal_log = LostAcknowledgement(nats_client, settings.name)
    async with running(goal_log, settings) as ledger:
        [reply] = await ledger.ask(OpenOrganisation(name="Acme"), command_id="c-1")
        assert reply == Accepted("c-1", position=1, events=1)
        assert goal_log.lost == 1
        assert len(await ledger.events()) == 1


async def test_past_the_bound_a_command_is_refused_at_once(
    nats_client: Client, settings: StreamSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "WAITING_MAX", 1)
    idle = Ledger(
        Writer(GoalLog(nats_client, settings.name), new_event_id),
        GoalLog(nats_client, settings.name),
        settings.organisations[0],
    )
    first = asyncio.create_task(idle.ask(OpenOrganisation(name="Acme")))
    await asyncio.sleep(0)
    [reply] = await idle.ask(OpenOrganisation(name="Acme"))
    first.cancel()
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.OVERLOADED


async def test_a_command_of_more_events_than_one_commit_holds_is_refused(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "GROUP_EVENTS_MAX", 1)
    [reply] = await ledger.ask(
        PlanCycle(
            cycle_id="sprint",
            name="Sprint",
            cycle_kind="custom",
            start_on=NOW.date(),
            end_on=NOW.date().replace(day=28),
            activate=True,
        )
    )
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.TOO_LARGE
    assert len(await ledger.events()) == 1
