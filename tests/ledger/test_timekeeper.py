"""What time alone makes true is recorded once, whatever restarts and however many ledgers run."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from goal_contracts.commands import DefineKpi, DefineUnit, RecordReading
from goal_contracts.events import KpiDefinition, KpiReadingMissed

from services.ledger.request import Request, SendReply
from services.ledger.store.streams import StreamSettings
from services.ledger.timekeeper import record_what_is_due
from tests.ledger.on_a_stream import Ledger, running

pytestmark = pytest.mark.anyio

AUGUST_AND_ITS_GRACE_OVER = datetime(2025, 9, 10, 22, tzinfo=UTC) + timedelta(days=1)


async def watched(ledger: Ledger) -> None:
    """A monthly KPI, defined in August, with a reading for July."""
    definition = KpiDefinition(
        name="Uptime", unit="%", direction="higher", frequency="monthly", source="probe"
    )
    await ledger.ask(
        DefineUnit(unit_id="team", name="Team", unit_kind="team"),
        DefineKpi(kpi_id="uptime", unit_id="team", owner="u-17", definition=definition),
        RecordReading("uptime", "2025-07-01/2025-07-31", Decimal(99)),
    )


async def missed(ledger: Ledger) -> list[str]:
    return [
        recorded.event.period
        for recorded in await ledger.events()
        if isinstance(recorded.event, KpiReadingMissed)
    ]


async def test_a_reading_that_does_not_come_is_recorded_as_missed_once(ledger: Ledger) -> None:
    await watched(ledger)
    for _ in range(3):
        await record_what_is_due(ledger.writer, AUGUST_AND_ITS_GRACE_OVER)
    assert await missed(ledger) == ["2025-08-01/2025-08-31"]


async def test_nothing_is_missed_before_the_grace_is_over(ledger: Ledger) -> None:
    await watched(ledger)
    assert await record_what_is_due(ledger.writer, datetime(2025, 9, 10, 9, tzinfo=UTC)) == 0
    assert await missed(ledger) == []


async def test_several_ledgers_and_a_restart_record_it_once(
    ledger: Ledger, stream_settings: StreamSettings
) -> None:
    await watched(ledger)
    async with running(ledger.log, stream_settings) as other:
        await asyncio.gather(
            record_what_is_due(ledger.writer, AUGUST_AND_ITS_GRACE_OVER),
            record_what_is_due(other.writer, AUGUST_AND_ITS_GRACE_OVER),
        )
    async with running(ledger.log, stream_settings) as restarted:
        await record_what_is_due(restarted.writer, AUGUST_AND_ITS_GRACE_OVER)
    assert await missed(ledger) == ["2025-08-01/2025-08-31"]


async def test_what_is_due_holds_up_nobody_elses_commands(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched(ledger)
    turns, turns_at_each = 0, list[int]()
    submit = ledger.writer.submit

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def counted(request: Request, reply: SendReply) -> None:
        turns_at_each.append(turns)
        submit(request, reply)

    other = asyncio.create_task(somebody_else())
    monkeypatch.setattr(ledger.writer, "submit", counted)
    a_year_later = AUGUST_AND_ITS_GRACE_OVER + timedelta(days=365)
    assert await record_what_is_due(ledger.writer, a_year_later) == 13
    other.cancel()
    assert all(was < now for was, now in pairwise(turns_at_each))
