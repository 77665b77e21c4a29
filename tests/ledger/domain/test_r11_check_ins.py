"""R11: check-ins only while active, in grading or reopened; what they say fits the measure."""

from datetime import UTC
from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    CancelCycle,
    CheckIn,
    DropObjective,
    PublishObjective,
)
from goal_contracts.measures import Baseline, Count, FourPointMetric, Maintain, Measure, Milestone
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import (
    METRIC,
    add,
    check_in,
    closed,
    day,
    draft,
    drafted,
    in_grading,
    planned,
    reopened,
    running,
)

FOUR = FourPointMetric(
    unit="deals", baseline=Decimal(0), commit=Decimal(3), target=Decimal(7), stretch=Decimal(10)
)


def test_a_check_in_says_how_it_stands_now() -> None:
    said = check_in(value="12.5", confidence=7, status="on_track", note="two big deals")
    checked_in = running().when(said).records(events.CheckedIn)
    assert checked_in.effective_at == day("2025-02-10")
    assert (checked_in.value, checked_in.confidence) == (Decimal("12.5"), 7)
    assert (checked_in.status, checked_in.note) == ("on_track", "two big deals")


def test_it_is_taken_while_active_in_grading_and_reopened() -> None:
    running().given(check_in())
    in_grading().given(check_in(on="2025-03-31"))
    reopened().given(check_in(on="2025-03-31"))


def test_it_is_not_taken_in_any_other_state() -> None:
    at_home = check_in(on="2025-03-31")
    scenario = planned().given(draft("o"), add("kr"))
    scenario.when(at_home).refuses(Reason.CHECK_INS_CLOSED)
    closed().when(at_home).refuses(Reason.CYCLE_CLOSED)
    cancelled = running().given(CancelCycle(cycle_id="q1", reason="merger"))
    cancelled.when(check_in()).refuses(Reason.CHECK_INS_CLOSED)


def test_a_published_objective_in_a_planned_cycle_waits() -> None:
    from_plan = running().given(draft("o-2", "q2"), add("kr-2", "o-2"))
    refusal = from_plan.when(check_in(key_result_id="kr-2")).refuses(Reason.CHECK_INS_CLOSED)
    assert (refusal.seen, refusal.accepted) == ("draft", "PublishObjective first")
    published = drafted()
    published.given(publish("o"))
    published.when(check_in()).refuses(Reason.CHECK_INS_CLOSED)


def publish(objective_id: str) -> PublishObjective:
    return PublishObjective(objective_id=objective_id)


def test_a_draft_and_a_dropped_objective_take_none() -> None:
    scenario = drafted().given(ActivateCycle(cycle_id="q1"))
    scenario.when(check_in()).refuses(Reason.CHECK_INS_CLOSED)
    dropped = running().given(DropObjective(objective_id="o", reason="no money"))
    dropped.when(check_in()).refuses(Reason.GOAL_ENDED)


def test_a_key_result_exists() -> None:
    running().when(check_in(key_result_id="none")).refuses(Reason.NOT_FOUND)


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        (METRIC, "-3.5"),
        (METRIC, "250"),
        (FOUR, "11"),
        (Maintain(unit="%", lower=Decimal(99)), "98.2"),
        (Count(unit="talks", of=3), "0"),
        (Count(unit="talks", of=3), "5.0"),
        (Milestone(), "0"),
        (Milestone(), "1"),
        (Baseline(unit="users"), "1234"),
    ],
)
def test_a_value_fits_its_measure(measure: Measure, value: str) -> None:
    running(Policy(), measure).given(check_in(value=value))


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        (Count(unit="talks", of=3), "-1"),
        (Count(unit="talks", of=3), "1.5"),
        (Milestone(), "0.5"),
        (Milestone(), "2"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(measure: Measure, value: str) -> None:
    running(Policy(), measure).when(check_in(value=value)).refuses(Reason.VALUE_DOES_NOT_FIT)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e30"])
@pytest.mark.parametrize("measure", [METRIC, Milestone(), Count(unit="talks", of=3)])
def test_a_value_is_a_number_of_record(measure: Measure, value: str) -> None:
    running(Policy(), measure).when(check_in(value=value)).refuses(Reason.NUMBER_OUT_OF_RANGE)


def test_a_check_in_says_something() -> None:
    refusal = running().when(check_in(value=None)).refuses(Reason.NOTHING_SAID)
    assert refusal.seen == "nothing"
    scenario = running()
    scenario.given(check_in("a", None, confidence=0), check_in("b", None, status="at_risk"))
    scenario.given(check_in("c", None, note="slow"), check_in("d", 0))


def test_a_note_and_a_confidence_where_the_policy_asks_for_them() -> None:
    noted = running(Policy(note_required=True))
    noted.when(check_in(note=" ")).refuses(Reason.NOTE_REQUIRED)
    noted.given(check_in(note="slow"))
    confident = running(Policy(confidence_required=True))
    confident.when(check_in()).refuses(Reason.CONFIDENCE_REQUIRED)
    confident.given(check_in(confidence=0))


def test_the_same_check_in_twice_does_nothing_and_another_is_refused() -> None:
    scenario = running().given(check_in()).at("2025-02-11")
    scenario.when(check_in()).does_nothing()
    scenario.when(check_in(value=11)).refuses(Reason.ID_TAKEN)
    scenario.when(check_in(on="2025-02-09")).refuses(Reason.ID_TAKEN)


def test_an_id_belongs_to_one_key_result() -> None:
    scenario = running().given(add("kr-2", reason="also counts"), check_in())
    scenario.when(check_in(key_result_id="kr-2")).records(events.CheckedIn)


def test_an_imported_check_in_keeps_where_it_stood() -> None:
    said = CheckIn(key_result_id="kr", check_in_id="x", value=Decimal(1), provenance="okrs.md:12")
    scenario = running()
    assert scenario.when(said).records(events.CheckedIn).provenance == "okrs.md:12"
    scenario.when(said).does_nothing()


def test_its_moment_is_kept_in_utc_whatever_zone_it_was_given_in() -> None:
    made = running().when(check_in(on="2025-02-10T10:00:00+02:00")).records(events.CheckedIn)
    assert made.effective_at.isoformat() == "2025-02-10T08:00:00+00:00"
    assert made.effective_at.tzinfo is UTC
