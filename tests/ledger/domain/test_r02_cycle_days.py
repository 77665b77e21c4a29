"""R2: start < end, the days of its kind, inside its parent, no overlap inside one level."""

from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    CancelCycle,
    PublishObjective,
    RescheduleCycle,
    RetractCheckIn,
    StartCycleGrading,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import (
    add,
    check_in,
    closed,
    company,
    day,
    draft,
    in_grading,
    plan,
    planned,
    reopened,
    running,
)


def move(cycle_id: str, start_on: str, end_on: str, reason: str | None = None) -> RescheduleCycle:
    return RescheduleCycle(
        cycle_id=cycle_id,
        start_on=day(start_on).date(),
        end_on=day(end_on).date(),
        reason=reason,
    )


@pytest.mark.parametrize(
    ("kind", "start_on", "end_on"),
    [
        ("annual", "2025-01-01", "2025-12-31"),
        ("quarterly", "2025-10-01", "2025-12-31"),
        ("monthly", "2024-02-01", "2024-02-29"),
        ("custom", "2025-03-05", "2025-03-06"),
        ("custom", "1900-01-01", "2999-12-31"),
    ],
)
def test_a_cycle_has_the_days_of_its_kind(kind: Any, start_on: str, end_on: str) -> None:
    planned_as = company().when(plan("c", kind, start_on, end_on)).records(events.CyclePlanned)
    assert str(planned_as.end_on) == end_on


@pytest.mark.parametrize(
    ("kind", "start_on", "end_on"),
    [
        ("annual", "2025-02-01", "2026-01-31"),
        ("annual", "2025-01-01", "2025-12-30"),
        ("annual", "2025-01-02", "2026-01-01"),
        ("quarterly", "2025-02-01", "2025-04-30"),
        ("quarterly", "2025-01-01", "2025-06-30"),
        ("monthly", "2025-02-02", "2025-03-01"),
        ("monthly", "2025-02-01", "2025-03-01"),
        ("custom", "2025-03-05", "2025-03-05"),
        ("custom", "2025-03-06", "2025-03-05"),
        ("custom", "1899-12-31", "2025-03-05"),
        ("custom", "2025-03-05", "3000-01-01"),
    ],
)
def test_other_days_are_refused(kind: Any, start_on: str, end_on: str) -> None:
    company().when(plan("c", kind, start_on, end_on)).refuses(Reason.CYCLE_DATES_INVALID)


def test_a_fiscal_year_shifts_years_and_quarters() -> None:
    fiscal = Policy(fiscal_year_start_month=4)
    company(fiscal).given(plan("y", "annual", "2025-04-01", "2026-03-31"))
    company(fiscal).given(plan("q", "quarterly", "2025-07-01", "2025-09-30"))
    shifted = company(Policy(fiscal_year_start_month=2))
    shifted.given(plan("q", "quarterly", "2025-11-01", "2026-01-31"))
    january = plan("y", "annual", "2025-01-01", "2025-12-31")
    company(fiscal).when(january).refuses(Reason.CYCLE_DATES_INVALID)


def test_a_child_lies_inside_its_parent() -> None:
    scenario = planned()
    scenario.given(plan("sprint", "custom", "2025-01-01", "2025-03-31", "q1"))
    outside = plan("other", "custom", "2025-03-01", "2025-04-01", "q1")
    scenario.when(outside).refuses(Reason.CYCLE_OUTSIDE_PARENT)
    before = plan("other", "custom", "2024-12-31", "2025-01-09", "q1")
    scenario.when(before).refuses(Reason.CYCLE_OUTSIDE_PARENT)


def test_a_parent_exists_and_is_neither_closed_nor_cancelled() -> None:
    child = plan("sprint", "custom", "2025-01-01", "2025-01-09", "q1")
    company().when(child).refuses(Reason.NOT_FOUND)
    closed().when(child).refuses(Reason.CYCLE_CLOSED)
    cancelled = planned().given(CancelCycle(cycle_id="q1", reason="merger"))
    cancelled.when(child).refuses(Reason.CYCLE_NOT_OPEN)


def test_cycles_of_one_kind_do_not_share_a_day() -> None:
    scenario = company().given(plan("a", "custom", "2025-03-01", "2025-03-10"))
    shared = plan("b", "custom", "2025-03-10", "2025-03-20")
    scenario.when(shared).refuses(Reason.CYCLE_OVERLAPS)
    scenario.given(plan("c", "monthly", "2025-03-01", "2025-03-31"))
    scenario.given(plan("b", "custom", "2025-03-11", "2025-03-20"))
    scenario.given(CancelCycle(cycle_id="a", reason="too early"))
    scenario.given(plan("d", "custom", "2025-03-01", "2025-03-10"))


def test_they_may_where_the_policy_lets_them() -> None:
    scenario = company(Policy(allow_cycle_overlap=True))
    scenario.given(plan("a", "custom", "2025-03-01", "2025-03-10"))
    scenario.given(plan("b", "custom", "2025-03-10", "2025-03-20"))


def test_planning_twice_the_same_does_nothing_and_another_is_refused() -> None:
    scenario = planned()
    scenario.when(plan("y", "annual", "2025-01-01", "2025-12-31")).does_nothing()
    scenario.when(plan("y", "annual", "2026-01-01", "2026-12-31")).refuses(Reason.ID_TAKEN)


def test_rescheduling_carries_old_and_new_days() -> None:
    scenario = company().given(plan("c", "custom", "2025-03-01", "2025-03-10"))
    moved = scenario.when(move("c", "2025-03-02", "2025-03-12")).records(events.CycleRescheduled)
    assert [str(each) for each in (moved.start_on_was, moved.end_on_was)] == [
        "2025-03-01",
        "2025-03-10",
    ]
    scenario.when(move("c", "2025-03-02", "2025-03-12")).does_nothing()


def test_rescheduling_keeps_every_rule_on_days() -> None:
    scenario = planned().given(
        plan("a", "custom", "2025-01-01", "2025-01-10", "q1"),
        plan("b", "custom", "2025-01-11", "2025-01-20", "q1"),
    )
    scenario.when(move("a", "2025-01-01", "2025-01-11")).refuses(Reason.CYCLE_OVERLAPS)
    scenario.when(move("b", "2025-01-11", "2025-04-01")).refuses(Reason.CYCLE_OUTSIDE_PARENT)
    scenario.when(move("b", "2025-01-11", "2025-01-11")).refuses(Reason.CYCLE_DATES_INVALID)
    scenario.when(move("q1", "2025-07-01", "2025-09-30")).refuses(Reason.CYCLE_OUTSIDE_PARENT)
    scenario.given(
        CancelCycle(cycle_id="a", reason="no"),
        CancelCycle(cycle_id="b", reason="no"),
        move("q1", "2025-07-01", "2025-09-30"),
    )


def test_an_active_cycle_is_rescheduled_only_with_a_reason() -> None:
    scenario = company().given(
        plan("c", "custom", "2025-03-01", "2025-03-10"), ActivateCycle(cycle_id="c")
    )
    scenario.when(move("c", "2025-03-01", "2025-03-12")).refuses(Reason.REASON_REQUIRED, rule="R2")
    scenario.given(move("c", "2025-03-01", "2025-03-12", "a holiday"))


def test_a_cycle_is_rescheduled_only_while_planned_or_active() -> None:
    later = move("q1", "2025-07-01", "2025-09-30", "why not")
    in_grading().when(later).refuses(Reason.CYCLE_NOT_OPEN)
    reopened().when(later).refuses(Reason.CYCLE_NOT_OPEN)
    closed().when(later).refuses(Reason.CYCLE_CLOSED)
    cancelled = planned().given(CancelCycle(cycle_id="q1", reason="merger"))
    cancelled.when(later).refuses(Reason.CYCLE_NOT_OPEN)


def test_rescheduling_leaves_no_check_in_outside() -> None:
    scenario = company().given(
        plan("c", "custom", "2025-01-01", "2025-03-31"),
        draft("o", "c"),
        add("kr"),
        PublishObjective(objective_id="o"),
        ActivateCycle(cycle_id="c"),
    )
    scenario.at("2025-02-10").given(check_in("ci", 5))
    scenario.given(move("c", "2025-01-02", "2025-03-31", "a holiday"))
    shorter = move("c", "2025-02-11", "2025-03-31", "a late start")
    scenario.when(shorter).refuses(Reason.EFFECTIVE_OUTSIDE_CYCLE)
    scenario.given(RetractCheckIn(key_result_id="kr", check_in_id="ci", reason="wrong"), shorter)


def test_a_cycle_is_rescheduled_before_anybody_has_checked_in() -> None:
    scenario = company().given(
        plan("c", "custom", "2025-01-01", "2025-03-31"), draft("o", "c"), add("kr")
    )
    scenario.when(move("c", "2025-02-01", "2025-03-31")).records(events.CycleRescheduled)


def test_the_update_lock_holds_for_rescheduling_too() -> None:
    scenario = running(Policy(update_lock_days=0)).at("2025-04-01")
    later = move("q1", "2025-07-01", "2025-09-30", "too late")
    scenario.when(later).refuses(Reason.UPDATE_LOCKED)
    scenario.given(StartCycleGrading(cycle_id="q1"))


def test_a_check_in_lies_inside_up_to_the_first_and_the_last_instant() -> None:
    scenario = company().given(
        plan("c", "custom", "2025-01-01", "2025-03-31"),
        draft("o", "c"),
        add("kr"),
        draft("empty", "c"),
        PublishObjective(objective_id="o"),
        ActivateCycle(cycle_id="c"),
    )
    scenario.at("2025-03-25").given(
        check_in("first", 5, on="2025-03-15T00:00:00+00:00"),
        check_in("last", 6, on="2025-03-20T23:59:59.999999+00:00"),
    )
    scenario.given(move("c", "2025-03-15", "2025-03-20", "to the point"))
    late = scenario.when(move("c", "2025-03-16", "2025-03-20", "too late"))
    refusal = late.refuses(Reason.EFFECTIVE_OUTSIDE_CYCLE)
    assert refusal.message == "the check-in first of kr would lie outside"
    early = scenario.when(move("c", "2025-03-15", "2025-03-19", "too early"))
    refusal = early.refuses(Reason.EFFECTIVE_OUTSIDE_CYCLE)
    assert refusal.message == "the check-in last of kr would lie outside"


@pytest.mark.parametrize(
    ("kind", "start_on", "end_on", "accepted"),
    [
        ("monthly", "2025-02-02", "2025-03-01", "a start on the first of a month"),
        (
            "quarterly",
            "2025-02-01",
            "2025-04-30",
            "a start on the first of a month, every 3 months from month 1",
        ),
        ("quarterly", "2025-01-01", "2025-06-30", "2025-01-01 to 2025-03-31"),
    ],
)
def test_a_refusal_says_which_days_would_do(
    kind: Any, start_on: str, end_on: str, accepted: str
) -> None:
    refused = company().when(plan("c", kind, start_on, end_on))
    assert refused.refuses(Reason.CYCLE_DATES_INVALID).accepted == accepted
