"""The single writer against a real stream: exact decisions, first answers, and being fenced."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest
import structlog.testing
from goal_contracts.commands import (
    Command,
    DefineKpi,
    DefineUnit,
    DraftObjective,
    OpenOrganisation,
    PlanCycle,
    RecordReading,
    RecordReadings,
    RenameUnit,
)
from goal_contracts.events import KpiDefinition
from goal_contracts.replies import Accepted, Reason, Refused
from nats.aio.client import Client

from services.ledger import stage as stage_module
from services.ledger import writer as writer_module
from services.ledger.domain import Asked, Decided, Organisation, judge
from services.ledger.handlers import new_event_id
from services.ledger.store.log import GoalLog, OutcomeUnknown, Outgoing, Sent
from services.ledger.store.streams import StreamSettings
from services.ledger.writer import Writer
from tests.ledger.on_a_stream import NOW, Ledger, running

pytestmark = pytest.mark.anyio


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
    ledger: Ledger, stream_settings: StreamSettings
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
    async with running(ledger.log, stream_settings) as restarted:
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
    ledger: Ledger, stream_settings: StreamSettings
) -> None:
    async with running(ledger.log, stream_settings) as other:
        await ledger.ask(unit(1))
        with structlog.testing.capture_logs() as lines:
            [reply] = await other.ask(RenameUnit(unit_id="team-1", name="Platform"))
    assert isinstance(reply, Accepted)
    assert reply.position == 3
    [fenced] = [line for line in lines if line["event"] == "writer_fenced"]
    assert (fenced["expected_position"], fenced["found_position"]) == (1, 2)
    assert "another writer" in fenced["why"]


async def test_a_refusal_too_is_decided_on_exact_state(
    ledger: Ledger, stream_settings: StreamSettings
) -> None:
    async with running(ledger.log, stream_settings) as other:
        await ledger.ask(unit(1))
        # To the other writer, which has not read it yet, the id would be free.
        [reply] = await other.ask(DefineUnit(unit_id="team-1", name="Other", unit_kind="team"))
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.ID_TAKEN


async def test_two_writers_never_lose_nor_double_a_command(
    ledger: Ledger, stream_settings: StreamSettings
) -> None:
    async with running(ledger.log, stream_settings) as other:
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

    async def send(
        self,
        events: Sequence[Outgoing],
        expected_last: int,
        answered: Callable[[], None],
        *,
        together: bool = True,
    ) -> Sent:
        if self.lost:
            return await super().send(events, expected_last, answered, together=together)
        self.lost += 1
        await self.append(events, expected_last)
        nobody = await super().send(events, expected_last, answered)
        nobody.fail(OutcomeUnknown("the acknowledgement was lost"))
        return nobody


async def test_a_lost_acknowledgement_is_resolved_by_the_command_id_in_the_log(
    nats_client: Client, stream_settings: StreamSettings
) -> None:
    goal_log = LostAcknowledgement(nats_client, stream_settings.name)
    async with running(goal_log, stream_settings) as ledger:
        [reply] = await ledger.ask(OpenOrganisation(name="Acme"), command_id="c-1")
        assert reply == Accepted("c-1", position=1, events=1)
        assert goal_log.lost == 1
        assert len(await ledger.events()) == 1


async def test_past_the_bound_a_command_is_refused_at_once(
    nats_client: Client, stream_settings: StreamSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "WAITING_MAX", 1)
    idle = Ledger(
        Writer(GoalLog(nats_client, stream_settings.name), new_event_id),
        GoalLog(nats_client, stream_settings.name),
        stream_settings.organisations[0],
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
    monkeypatch.setattr(stage_module, "EVENTS_MAX", 1)
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


async def test_advice_comes_with_the_reply_and_is_not_recorded(ledger: Ledger) -> None:
    [*_, reply] = await ledger.ask(
        unit(1),
        PlanCycle(
            cycle_id="now",
            name="Now",
            cycle_kind="custom",
            start_on=NOW.date(),
            end_on=NOW.date().replace(day=28),
        ),
        DraftObjective(
            objective_id="o-1",
            cycle_id="now",
            unit_id="team-1",
            title="Raise uptime to 99.9 %",
            owner="u-17",
        ),
    )
    assert isinstance(reply, Accepted)
    assert [warned.rule for warned in reply.warnings] == ["R31"]
    assert [recorded.type for recorded in await ledger.events()][-1] == "ObjectiveDrafted"


async def test_an_edit_decided_on_what_has_changed_since_is_refused(ledger: Ledger) -> None:
    [defined] = await ledger.ask(unit(1))
    assert isinstance(defined, Accepted)
    rename = RenameUnit(unit_id="team-1", name="Platform")
    again = RenameUnit(unit_id="team-1", name="Infrastructure")
    [first] = await ledger.ask(rename, decided_on=defined.position)
    [late] = await ledger.ask(again, decided_on=defined.position)
    assert isinstance(first, Accepted)
    assert isinstance(late, Refused)
    assert late.reason is Reason.GOAL_CHANGED_SINCE
    [read_again] = await ledger.ask(again, decided_on=first.position)
    assert isinstance(read_again, Accepted)


async def test_a_repeated_bulk_command_names_the_items_it_left_out_again(ledger: Ledger) -> None:
    definition = KpiDefinition(
        name="Uptime", unit="%", direction="higher", frequency="monthly", source="probe"
    )
    await ledger.ask(
        unit(1), DefineKpi(kpi_id="uptime", unit_id="team-1", owner="u-17", definition=definition)
    )
    july, future = "2025-07-01/2025-07-31", "2025-09-01/2025-09-30"
    readings = RecordReadings(
        readings=tuple(RecordReading("uptime", period, Decimal(99)) for period in (july, future)),
        mode="per_item",
    )
    [first] = await ledger.ask(readings, command_id="c-1")
    [again] = await ledger.ask(readings, command_id="c-1")
    assert isinstance(first, Accepted)
    assert first.events == 1
    assert [(each.item, each.reason) for each in first.refused] == [(1, Reason.EFFECTIVE_IN_FUTURE)]
    assert again == first


async def test_a_fault_in_one_decision_is_answered_to_nobody_and_the_others_go_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(organisation: Organisation, command: Command, asked: Asked) -> Decided:
        if command == RenameUnit(unit_id="team-1", name="Platform"):
            raise ArithmeticError("a fault of ours")
        return judge(organisation, command, asked)

    monkeypatch.setattr(stage_module, "judge", faulty)
    with structlog.testing.capture_logs() as lines:
        asked = asyncio.create_task(ledger.ask(RenameUnit(unit_id="team-1", name="Platform")))
        [reply] = await ledger.ask(unit(2))
        assert isinstance(reply, Accepted)
        assert not asked.done()
        asked.cancel()
    assert "decision_failed" in {line["event"] for line in lines}
    assert "not_answered" in {line["event"] for line in lines}
