"""The single writer against a real stream: exact decisions, first answers, and being fenced."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
import structlog.testing
from goal_contracts.commands import (
    Command,
    DefineKpi,
    DefineUnit,
    DraftObjective,
    PlanCycle,
    RecordReading,
    RecordReadings,
    RenameUnit,
)
from goal_contracts.events import KpiDefinition
from goal_contracts.replies import Accepted, Reason, Refused

from services.ledger import stage as stage_module
from services.ledger import writer as writer_module
from services.ledger.domain import Asked, Decided, Organisation, judge
from services.ledger.store.log import (
    BATCH_ID,
    Ahead,
    AppendFailed,
    GoalLog,
    OutcomeUnknown,
    Outgoing,
    version_of,
)
from services.ledger.store.streams import StreamSettings
from tests.ledger.on_a_stream import NOW, Ledger, running
from tests.ledger.scraped import scraped
from tests.waiting import eventually

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


async def test_a_group_is_finished_once_though_the_log_tells_of_it_late(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[bool]()
    send = ledger.log.send

    def send_and_tell_late(
        events: Sequence[Outgoing], expected_last: int, answered: Callable[[], None], **more: Any
    ) -> Any:
        def tell() -> None:
            answered()
            told.append(True)

        def wake() -> None:
            # It is done and looked at, and only then told.
            ledger.writer._wake.set()
            asyncio.get_running_loop().call_later(0.01, tell)

        return send(events, expected_last, wake, **more)

    monkeypatch.setattr(ledger.log, "send", send_and_tell_late)
    finished = list[int]()
    settle = stage_module.Stage.settle

    def noted(stage: stage_module.Stage) -> None:
        finished.append(stage.last)
        settle(stage)

    monkeypatch.setattr(stage_module.Stage, "settle", noted)
    [reply] = await ledger.ask(unit(1))
    assert reply == Accepted(reply.command_id, position=2, events=1)
    assert await eventually(lambda: len(told) == 1)
    assert finished == [2]


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


class Held:
    """An append that ends when and as `TroubledLog` says."""

    is_done = False
    error: Exception | None = None

    @property
    def is_stored(self) -> bool:
        return self.is_done and self.error is None

    def result(self) -> None:
        if self.error is not None:
            raise self.error


class TroubledLog(GoalLog):
    """Its appends wait until `released`; the next ones end with `errors`, stored or not."""

    released: asyncio.Event
    errors: list[Exception]
    stored: bool
    sizes: list[int]
    aheads: list[Ahead]

    def ahead(self, expected_last: int) -> Ahead:
        self.aheads.append(super().ahead(expected_last))
        return self.aheads[-1]

    def send(
        self,
        events: Sequence[Outgoing],
        expected_last: int,
        answered: Callable[[], None],
        *,
        together: bool = True,
        ahead: Ahead | None = None,
    ) -> Any:
        held, stored = Held(), asyncio.Event()
        self.sizes.append(len(events))
        events = [*events]

        async def append() -> None:
            await self.released.wait()
            held.error = self.errors.pop(0) if self.errors else None
            if held.error is None or self.stored:
                sent = GoalLog.send(
                    self, events, expected_last, stored.set, together=together, ahead=ahead
                )
                await stored.wait()
                try:
                    sent.result()
                except AppendFailed as error:
                    held.error = error
            held.is_done = True
            answered()

        self.appending = asyncio.create_task(append())
        return held


@pytest.fixture
async def troubled(
    ledger: Ledger, stream_settings: StreamSettings
) -> AsyncIterator[tuple[Ledger, TroubledLog]]:
    """A second writer, whose appends fail as told; the organisation is open."""
    log = TroubledLog(ledger.log.client, stream_settings.name)
    log.released, log.errors, log.stored, log.sizes = asyncio.Event(), [], False, []
    log.aheads = []
    log.released.set()
    async with running(log, stream_settings) as second:
        yield second, log


async def test_a_lost_acknowledgement_is_resolved_by_the_command_id_in_the_log(
    troubled: tuple[Ledger, TroubledLog],
) -> None:
    ledger, log = troubled
    log.errors, log.stored = [OutcomeUnknown("the acknowledgement was lost")], True
    [reply] = await ledger.ask(unit(1), command_id="c-1")
    assert reply == Accepted("c-1", position=2, events=1)
    assert log.errors == []
    assert len(await ledger.events()) == 2


async def test_commands_that_arrive_during_an_append_are_the_next_group(
    troubled: tuple[Ledger, TroubledLog],
) -> None:
    ledger, log = troubled
    log.released.clear()
    first = asyncio.create_task(ledger.ask(unit(1)))
    await eventually(lambda: log.sizes == [1])
    others = [asyncio.create_task(ledger.ask(unit(number))) for number in range(2, 22)]
    rename = asyncio.create_task(ledger.ask(RenameUnit(unit_id="team-1", name="Platform")))
    await eventually(lambda: ledger.writer.waiting == 0)
    assert not first.done()
    log.released.set()
    replies = [reply for [reply] in await asyncio.gather(first, *others, rename)]
    assert [reply.position for reply in replies if isinstance(reply, Accepted)] == [*range(2, 24)]
    assert log.sizes == [1, 21]


@pytest.mark.parametrize("stored", [True, False])
async def test_when_an_append_fails_what_was_decided_on_top_of_it_is_decided_again(
    troubled: tuple[Ledger, TroubledLog], *, stored: bool
) -> None:
    ledger, log = troubled
    log.errors, log.stored = [OutcomeUnknown("lost")], stored
    log.released.clear()
    first = asyncio.create_task(ledger.ask(unit(1)))
    await eventually(lambda: log.sizes == [1])
    second = asyncio.create_task(ledger.ask(RenameUnit(unit_id="team-1", name="Platform")))
    await eventually(lambda: ledger.writer.waiting == 0)
    log.released.set()
    [[defined], [renamed]] = await asyncio.gather(first, second)
    assert isinstance(defined, Accepted)
    assert isinstance(renamed, Accepted)
    assert (defined.position, renamed.position) == (2, 3)
    assert [recorded.type for recorded in await ledger.events()][1:] == [
        "UnitDefined",
        "UnitRenamed",
    ]


async def test_another_writers_append_in_between_changes_the_decision_that_waited_for_it(
    ledger: Ledger, troubled: tuple[Ledger, TroubledLog]
) -> None:
    slow, log = troubled
    log.released.clear()
    ours = asyncio.create_task(slow.ask(unit(1)))
    await eventually(lambda: log.sizes == [1])
    [theirs] = await ledger.ask(DefineUnit(unit_id="team-1", name="Other", unit_kind="team"))
    log.released.set()
    [reply] = await ours
    assert isinstance(theirs, Accepted)
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.ID_TAKEN
    assert scraped(slow.writer.metrics)["fencings_total"] == 1


async def many_on_top_of_one(
    ledger: Ledger, log: TroubledLog
) -> tuple[asyncio.Task[list[Any]], asyncio.Task[list[Any]]]:
    """One append that waits, and on top of it so many commands that most are sent ahead."""
    log.released.clear()
    first = asyncio.create_task(ledger.ask(unit(1), command_id="first"))
    await eventually(lambda: log.sizes == [1])
    rename = RenameUnit(unit_id="team-1", name="Platform")
    others = [unit(number) for number in range(2, 302)]
    many = asyncio.create_task(ledger.ask(rename, *others))
    await eventually(lambda: ledger.writer.waiting == 0 and bool(log.aheads))
    return first, many


async def test_a_large_group_is_sent_ahead_and_committed_once_what_it_rests_on_is_stored(
    troubled: tuple[Ledger, TroubledLog],
) -> None:
    ledger, log = troubled
    first, many = await many_on_top_of_one(ledger, log)
    [ahead] = log.aheads
    assert ahead.count >= writer_module.AHEAD_MIN - 1
    assert await log.last_position() == 1
    log.released.set()
    replies = [*await first, *await many]
    assert [reply.position for reply in replies] == [*range(2, 304)]
    assert [recorded.position for recorded in await ledger.events()] == [*range(1, 304)]
    assert log.sizes == [1, 301]
    assert [version_of(message) for message in await log.get([2, 3, 4])] == [1, 2, 1]
    # What was sent ahead counts for the next: it is not numbered anew.
    [again] = await ledger.ask(RenameUnit(unit_id="team-1", name="Core"))
    assert isinstance(again, Accepted)
    assert version_of((await log.get([again.position]))[0]) == 3


@pytest.mark.parametrize("stored", [True, False])
async def test_what_was_sent_ahead_of_a_failed_append_is_decided_and_sent_again(
    troubled: tuple[Ledger, TroubledLog], *, stored: bool
) -> None:
    ledger, log = troubled
    log.errors, log.stored = [OutcomeUnknown("lost")], stored
    first, many = await many_on_top_of_one(ledger, log)
    log.released.set()
    replies = [*await first, *await many]
    assert [reply.position for reply in replies] == [*range(2, 304)]
    commands = [recorded.command_id for recorded in await ledger.events()]
    assert commands[1:] == [reply.command_id for reply in replies]


async def test_what_was_sent_ahead_gives_way_to_another_writer(
    ledger: Ledger, troubled: tuple[Ledger, TroubledLog]
) -> None:
    slow, log = troubled
    first, many = await many_on_top_of_one(slow, log)
    [theirs] = await ledger.ask(DefineUnit(unit_id="team-7", name="Other", unit_kind="team"))
    log.released.set()
    assert isinstance(theirs, Accepted)
    assert theirs.position == 2
    refused = [reply for reply in [*await first, *await many] if isinstance(reply, Refused)]
    assert [reply.reason for reply in refused] == [Reason.ID_TAKEN]
    commands = [recorded.command_id for recorded in await ledger.events()]
    assert len(commands) == len(set(commands)) == 303


async def test_who_gets_no_answer_after_many_faults_can_ask_again(
    troubled: tuple[Ledger, TroubledLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FAULT_RETRIES_MAX", 2)
    monkeypatch.setattr(writer_module, "FAULT_PAUSE_FIRST_S", 0.001)
    ledger, log = troubled
    log.errors = [OutcomeUnknown("lost")] * 2
    with structlog.testing.capture_logs() as lines:
        unanswered = asyncio.create_task(ledger.ask(unit(1), command_id="c-1"))
        await eventually(lambda: "not_answered" in {line["event"] for line in lines})
        assert not unanswered.done()
        unanswered.cancel()
        [reply] = await ledger.ask(unit(1), command_id="c-1")
    assert reply == Accepted("c-1", position=2, events=1)
    await ledger.writer.drain(1)


async def test_after_an_outage_what_waited_for_too_long_is_not_recorded_behind_anyones_back(
    troubled: tuple[Ledger, TroubledLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FORGOTTEN_AFTER_S", 0.0)
    ledger, log = troubled
    log.errors = [OutcomeUnknown("lost")]
    with structlog.testing.capture_logs() as lines:
        unanswered = asyncio.create_task(ledger.ask(unit(1)))
        await eventually(lambda: "not_answered" in {line["event"] for line in lines})
        unanswered.cancel()
    assert len(await ledger.events()) == 1


async def test_few_events_are_appended_in_turn_and_many_as_one_batch(ledger: Ledger) -> None:
    async def batched(position: int) -> bool:
        [message] = await ledger.log.get([position])
        return BATCH_ID in message.headers

    # The first of each is on its way before the others come.
    await ledger.ask(*[unit(number) for number in range(1 + writer_module.IN_TURN_MAX)])
    assert not await batched(ledger.writer.position)
    await ledger.ask(*[unit(number) for number in range(100, 102 + writer_module.IN_TURN_MAX)])
    assert await batched(ledger.writer.position)


async def test_what_is_answered_is_let_go_without_the_garbage_collector(ledger: Ledger) -> None:
    # It runs seldom, and what has survived it a few times stays for very long.
    gc.collect()
    gc.disable()
    try:
        for number in range(20):
            await ledger.ask(unit(number), unit(100 + number))
        groups = sum(isinstance(each, writer_module._Group) for each in gc.get_objects())
    finally:
        gc.enable()
    assert groups <= 3


async def test_a_command_that_comes_alone_is_sent_in_the_same_turn(
    troubled: tuple[Ledger, TroubledLog],
) -> None:
    ledger, log = troubled
    await asyncio.sleep(0.01)  # until the writer waits
    asking = ledger.ask(unit(1), unit(2), unit(3))
    asked = asyncio.ensure_future(asking)
    await asyncio.sleep(0)
    assert (log.sizes, ledger.writer.waiting) == ([1], 2)
    await asked
    assert log.sizes == [1, 2]


@pytest.mark.parametrize(("limit", "value"), [("WAITING_MAX", 1), ("WAITING_BYTES_MAX", 150)])
async def test_past_the_bound_a_command_is_refused_at_once(
    troubled: tuple[Ledger, TroubledLog], monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(writer_module, limit, value)
    ledger, log = troubled
    log.released.clear()
    first = asyncio.create_task(ledger.ask(unit(1), size=100))
    await eventually(lambda: log.sizes == [1])
    [reply] = await ledger.ask(unit(2), size=100)
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.OVERLOADED
    log.released.set()
    assert [type(reply) for reply in await first] == [Accepted]
    [reply] = await ledger.ask(unit(2), size=100)
    assert isinstance(reply, Accepted)


async def test_what_comes_while_many_are_decided_and_has_no_room_beside_them_waits(
    troubled: tuple[Ledger, TroubledLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, log = troubled
    monkeypatch.setattr(writer_module, "DECIDED_AT_ONCE_MAX", 2)
    monkeypatch.setattr(stage_module, "EVENTS_MAX", 2)
    # Both are decided again in one go, and then the event loop has its turn.
    log.errors, log.stored = [OutcomeUnknown("lost")], False
    log.released.clear()
    asked = asyncio.ensure_future(ledger.ask(unit(1), unit(2)))
    await eventually(lambda: log.sizes == [1] and ledger.writer.waiting == 0)
    again, decided = ledger.writer._decide_some, asyncio.Event()

    async def deciding(stage: stage_module.Stage) -> None:
        await again(stage)
        if len(stage.decided) == 2 and not decided.is_set():
            decided.set()
            last.append(asyncio.ensure_future(ledger.ask(unit(3))))
            await asyncio.sleep(0)

    last: list[asyncio.Future[list[Any]]] = []
    monkeypatch.setattr(ledger.writer, "_decide_some", deciding)
    log.released.set()
    await asked
    [reply] = await last[0]
    assert isinstance(reply, Accepted)
    assert len(await ledger.events()) == 4


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
