"""What a ledger counts of itself is what happened to the commands it was given."""

import asyncio
from typing import Any

import pytest
from goal_contracts.commands import Command, DefineUnit, RenameUnit
from goal_contracts.replies import Accepted, Reason
from nats.aio.client import Client

from services.ledger import stage as stage_module
from services.ledger import writer as writer_module
from services.ledger.domain.frozen_state import Held
from services.ledger.metrics import LedgerRole, Metrics, Status
from services.ledger.request import Waiting
from services.ledger.snapshotting import save_if_due
from services.ledger.store.log import AppendFailed, GoalLog, OutcomeUnknown
from services.ledger.store.snapshots import SnapshotStore
from services.ledger.store.streams import StreamSettings
from tests.ledger.on_a_stream import Ledger, running
from tests.ledger.scraped import scraped
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


def unit(number: int) -> DefineUnit:
    return DefineUnit(unit_id=f"team-{number}", name=f"Team {number}", unit_kind="team")


async def test_commands_are_counted_by_their_outcome_and_refusals_by_their_reason(
    ledger: Ledger,
) -> None:
    nobody = RenameUnit(unit_id="team-9", name="Nobody")
    taken = DefineUnit(unit_id="team-1", name="Other", unit_kind="team")
    await ledger.ask(unit(1), unit(2), nobody, taken, nobody)
    now = scraped(ledger.writer.metrics)
    # One has opened the organisation.
    assert now.labelled("commands_total") == {"accepted": 3, "refused": 3}
    assert now.labelled("refusals_total") == {"not_found": 2, "id_taken": 1}
    assert now["events_total"] == 3


async def test_every_reason_is_there_before_it_occurs() -> None:
    now = scraped(Metrics())
    assert {now["refusals_total", reason.value] for reason in Reason} == {0}


async def test_a_group_is_measured_once_however_many_commands_it_has(ledger: Ledger) -> None:
    await ledger.ask(unit(1), unit(2), unit(3))
    await ledger.ask(RenameUnit(unit_id="team-9", name="Nobody"))
    now = scraped(ledger.writer.metrics)
    # The first group opened the organisation, the second is what came first; the last had nothing
    # to append.
    assert (now["group_commands_count"], now["group_commands_sum"]) == (4, 5)
    assert (now["group_events_count"], now["group_events_sum"]) == (3, 4)
    assert now["commit_seconds_count"] == 3
    assert 0 < now["commit_seconds_sum"] < 10
    assert now["queue_seconds_count"] == 4


async def test_the_queue_time_is_that_of_the_groups_oldest_command(ledger: Ledger) -> None:
    def answer(reply: object) -> None:
        answered.set()

    answered = asyncio.Event()
    first = asyncio.ensure_future(ledger.ask(unit(2)))
    await asyncio.sleep(0)
    request, _ = ledger._asked(unit(1), None, asyncio.get_running_loop().create_future(), {})
    ledger.writer.submit(request, answer)
    waiting = ledger.writer._waiting.pop()
    long_ago = Waiting(waiting.request, waiting.reply, waiting.taken_at - 30)
    ledger.writer._waiting.append(long_ago)
    await asyncio.gather(first, answered.wait())
    assert 30 <= scraped(ledger.writer.metrics)["queue_seconds_sum"] < 40


async def test_a_group_that_another_ledger_forestalled_is_a_fencing(
    ledger: Ledger, stream_settings: StreamSettings
) -> None:
    async with running(ledger.log, stream_settings) as other:
        await ledger.ask(unit(1))
        await other.ask(unit(2))
        now = scraped(other.writer.metrics)
    assert now["fencings_total"] == 1
    assert now["append_failures_total"] == 0
    # It is counted where it succeeded.
    assert now["group_commands_count"] == now["commit_seconds_count"] == now["events_total"] == 1
    assert scraped(ledger.writer.metrics)["fencings_total"] == 0


class FailingOnce(GoalLog):
    """Its first append fails before anything is sent."""

    failures = 1

    def send(self, *arguments: Any, **options: Any) -> Any:
        if self.failures:
            self.failures -= 1
            return _Failed()
        return super().send(*arguments, **options)


class _Failed:
    is_done = True

    def result(self) -> AppendFailed:
        raise OutcomeUnknown("no answer")


async def test_an_append_without_an_answer_is_a_failure_and_no_fencing(
    ledger: Ledger, stream_settings: StreamSettings
) -> None:
    async with running(FailingOnce(ledger.log.client, ledger.log.stream), stream_settings) as other:
        [reply] = await other.ask(unit(1))
        now = scraped(other.writer.metrics)
    assert isinstance(reply, Accepted)
    assert now["append_failures_total"] == 1
    assert now["fencings_total"] == 0
    assert now["commit_seconds_count"] == 1


async def test_past_the_bound_a_command_counts_as_refused(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "WAITING_MAX", 0)
    await ledger.ask(unit(1))
    now = scraped(ledger.writer.metrics)
    assert now.labelled("refusals_total") == {"overloaded": 1}
    assert now["commands_total", "refused"] == 1


async def test_a_fault_counts_as_not_answered(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(_organisation: object, _command: Command, _asked: object) -> None:
        raise ArithmeticError("a fault of ours")

    monkeypatch.setattr(stage_module, "judge", faulty)
    asked = asyncio.create_task(ledger.ask(unit(1)))
    await eventually(lambda: scraped(ledger.writer.metrics)["commands_total", "not_answered"] == 1)
    asked.cancel()


async def test_snapshots_are_measured_and_their_failures_counted(
    ledger: Ledger, nats_client: Client, stream_settings: StreamSettings
) -> None:
    class Unwritable(SnapshotStore):
        async def save(self, held: Held, *, rest: float = 0) -> int:
            raise TimeoutError

    assert not await save_if_due(
        ledger.writer, Unwritable(nats_client, stream_settings.name), events_between=1
    )
    assert await save_if_due(
        ledger.writer, SnapshotStore(nats_client, stream_settings.name), events_between=1
    )
    now = scraped(ledger.writer.metrics)
    assert now["snapshot_failures_total"] == 1
    assert now["snapshot_seconds_count"] == 1
    assert now["snapshot_bytes"] > 100


async def test_what_is_in_memory_is_counted_by_its_kind(ledger: Ledger) -> None:
    await ledger.ask(unit(1), unit(2))
    entries = ledger.writer.entries()
    assert {kind: count for kind, count in entries.items() if count} == {
        "organisations": 1,
        "units": 2,
        "answers": 3,
    }


@pytest.mark.parametrize("role", ["loading", "standby", "writer"])
async def test_a_look_at_the_ledger_is_taken_at_each_scrape(role: LedgerRole) -> None:
    looks = [
        Status(role, position=9, snapshot_position=5, unanswered=2),
        Status(role, position=7, snapshot_position=5, unanswered=0, trouble="no connection"),
    ]
    metrics = Metrics()
    metrics.show(looks.pop, lambda: {"units": 3})
    first, second = scraped(metrics), scraped(metrics)
    assert first.labelled("role") == {role: 1}
    assert (first["position"], first["snapshot_position"]) == (7, 5)
    assert (second["position"], second["unanswered_commands"]) == (9, 2)
    assert (first["healthy"], second["healthy"]) == (0, 1)
    assert first["state_entries", "units"] == 3


async def test_every_metric_is_explained() -> None:
    metrics = Metrics()
    metrics.show(lambda: Status("writer", 1, 0, 0), dict)
    families = scraped(metrics).families
    assert [family.name for family in families if len(family.documentation) < 20] == []
    ours = {family.name for family in families if not family.name.startswith("process_")}
    assert all(name.startswith("goal_ledger_") for name in ours)
