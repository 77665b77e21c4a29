"""The sample company: what a newcomer is shown has to be sound, and to hold what it promises."""

from decimal import Decimal
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
from goal_contracts.replies import Accepted

from services.cli import importing, sample
from services.cli.importing import Outcome
from services.ledger.domain import facts_due
from tests.cli.in_process_ledger import TODAY, InProcessLedger

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
    assert len(ledger.recorded(KpiDefined)) == 14
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
        events.KpiReadingRetracted,
        events.KpiReadingMissed,
        events.CheckInCorrected,
        events.CheckInRetracted,
        events.CommentAdded,
        events.PolicyChanged,
    ):
        assert ledger.recorded(happened), happened.__name__


async def test_its_indicators_breach_by_their_bands_and_are_reviewed(
    loaded: tuple[InProcessLedger, Outcome],
) -> None:
    ledger, _ = loaded
    opened = {
        (each.goal_id, each.event.review_id): each.command_id
        for each in ledger.recorded(events.KpiReviewOpened)
        if isinstance(each.event, events.KpiReviewOpened)
    }
    # The ledger opened these by itself: the same command recorded a reading in breach.
    readings = {each.command_id: each for each in ledger.recorded(events.KpiReadingRecorded)}
    assert {review for review, command in opened.items() if command in readings} == {
        ("app-crash-free", "breach-2025-02-02"),
        ("warranty-claims", "breach-2025-06-30"),
        ("on-time-delivery", "breach-2025-11-16"),
    }
    closed = {
        (each.goal_id, each.event.review_id): each.event
        for each in ledger.recorded(events.KpiReviewClosed)
        if isinstance(each.event, events.KpiReviewClosed)
    }
    assert closed.keys() == opened.keys()
    assert {each.decision for each in closed.values()} == {"fix", "recovery_objective", "accept"}
    recovery = closed["warranty-claims", "breach-2025-06-30"]
    assert recovery.objective_id == "q3-battery-claims"


async def test_a_share_is_computed_from_its_two_parts_and_again_when_one_is_corrected(
    loaded: tuple[InProcessLedger, Outcome],
) -> None:
    ledger, _ = loaded
    share = [each for each in ledger.events if each.goal_id == "return-rate"]
    assert len([e for e in share if isinstance(e.event, events.KpiReadingRecorded)]) == 12
    [restated] = [e.event for e in share if isinstance(e.event, KpiReadingCorrected)]
    assert (restated.value_was, restated.value) == (Decimal("2.4"), Decimal("2.8"))
    assert (restated.numerator, restated.denominator) == (Decimal(13), Decimal(458))


async def test_a_missed_promise_is_explained(loaded: tuple[InProcessLedger, Outcome]) -> None:
    ledger, _ = loaded
    assert ledger.organisation is not None
    missed = [
        each
        for each in ledger.recorded(events.ObjectiveGraded)
        if isinstance(each.event, events.ObjectiveGraded) and each.event.outcome == "missed"
    ]
    assert [ledger.organisation.objectives[each.goal_id].objective_kind for each in missed] == [
        "committed"
    ]
    assert missed[0].reason


def test_it_follows_the_advice_all_but_once() -> None:
    """Once, so that whoever tries it out sees what advice looks like."""
    ledger = InProcessLedger()
    warnings = [
        warned.rule
        for actor, message in sample.messages()
        if isinstance(reply := ledger.answer(sample.ORGANISATION, actor, message), Accepted)
        for warned in reply.warnings
    ]
    assert warnings == ["R31"]


async def test_after_its_end_no_reading_is_missed(loaded: tuple[InProcessLedger, Outcome]) -> None:
    ledger, _ = loaded
    assert ledger.organisation is not None
    assert list(facts_due(ledger.organisation, TODAY)) == []


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
