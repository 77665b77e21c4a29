"""The sample company: what a newcomer is shown has to be sound, and to hold what it promises."""

from itertools import pairwise

import pytest
from goal_contracts import events
from goal_contracts.events import (
    CycleClosed,
    KeyResultRetargeted,
    KpiDefined,
    KpiReadingCorrected,
    ObjectiveDrafted,
    RetrospectiveRecorded,
    UnitDefined,
)

from services.cli import importing, sample
from services.cli.importing import Outcome
from tests.cli.in_process_ledger import InProcessLedger

pytestmark = pytest.mark.anyio


@pytest.fixture
async def loaded() -> tuple[InProcessLedger, Outcome]:
    ledger = InProcessLedger()
    return ledger, await importing.send(ledger, sample.history())


async def test_no_rule_refuses_any_of_it(loaded: tuple[InProcessLedger, Outcome]) -> None:
    _, outcome = loaded
    assert outcome.refused == []


async def test_it_is_a_year_of_a_dozen_teams(loaded: tuple[InProcessLedger, Outcome]) -> None:
    ledger, _ = loaded
    teams = [e for e in ledger.recorded(UnitDefined) if getattr(e.event, "unit_kind", "") == "team"]
    assert len(teams) == 12
    assert len(ledger.recorded(ObjectiveDrafted)) == 60
    assert len(ledger.recorded(KpiDefined)) == 12
    assert ledger.organisation is not None
    assert {c.cycle_id: c.state for c in ledger.organisation.cycles.values()} == dict.fromkeys(
        ("2025", "2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4"), "closed"
    )


async def test_it_shows_what_happens_in_a_real_year(
    loaded: tuple[InProcessLedger, Outcome],
) -> None:
    ledger, _ = loaded
    [lowered] = [
        e.event
        for e in ledger.recorded(KeyResultRetargeted)
        if isinstance(e.event, KeyResultRetargeted) and e.event.lowered
    ]
    assert lowered.mid_cycle
    assert lowered.reason
    late = [
        e for e in ledger.recorded(KpiReadingCorrected) if (e.known_at - e.effective_at).days > 14
    ]
    assert len(late) >= 4
    closed = [e.goal_id for e in ledger.recorded(CycleClosed)]
    assert closed.count("2025-Q2") == 2
    assert {e.goal_id for e in ledger.recorded(RetrospectiveRecorded)} == set(closed)
    for happened in (
        events.CycleReopened,
        events.ObjectiveDropped,
        events.ObjectiveCarriedOver,
        events.KeyResultDropped,
        events.KeyResultWaived,
        events.KpiReviewOpened,
        events.KpiReviewClosed,
        events.KpiReadingRetracted,
        events.CheckInCorrected,
        events.CheckInRetracted,
        events.CommentAdded,
        events.PolicyChanged,
    ):
        assert ledger.recorded(happened), happened.__name__


async def test_every_event_says_by_which_line_it_came(
    loaded: tuple[InProcessLedger, Outcome],
) -> None:
    ledger, _ = loaded
    frame = ("OrganisationOpened", "HistoryImportStarted", "HistoryImportFinished")
    without = [e.type for e in ledger.events if e.provenance is None]
    assert sorted(without) == sorted(frame)


def test_its_commands_come_in_the_order_of_their_dates() -> None:
    dates = [message.known_at for _, message in sample.messages()]
    assert all(date is not None for date in dates)
    assert all(was <= now for was, now in pairwise(filter(None, dates)))


def test_its_commands_have_an_id_each_and_the_same_ones_every_time() -> None:
    ids = [message.id for _, message in sample.messages()]
    assert len(set(ids)) == len(ids)
    assert ids == [message.id for _, message in sample.messages()]
