"""R13 and R15: never in the future, only inside the cycle, backdated by so many days, in grace."""

import pytest
from goal_contracts import events
from goal_contracts.commands import ActivateCycle, PublishObjective, StartCycleGrading
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import check_in, day, drafted, in_grading, reopened, running

LAST = "2025-03-31T23:59:59.999999+00:00"


def test_it_is_never_in_the_future() -> None:
    scenario = running()
    scenario.given(check_in("now", on="2025-02-10T12:00:00+00:00"))
    later = check_in("later", on="2025-02-10T12:00:00.000001+00:00")
    scenario.when(later).refuses(Reason.EFFECTIVE_IN_FUTURE)


def test_the_first_and_last_instant_of_the_cycle_lie_inside() -> None:
    scenario = running().at("2025-01-10")
    scenario.given(check_in("first", on="2025-01-01T00:00:00+00:00"))
    before = check_in("before", on="2024-12-31T23:59:59.999999+00:00")
    scenario.when(before).refuses(Reason.EFFECTIVE_OUTSIDE_CYCLE)
    scenario.at("2025-04-01").given(check_in("last", on=LAST))
    after = check_in("after", on="2025-04-01T00:00:00+00:00")
    scenario.when(after).refuses(Reason.EFFECTIVE_OUTSIDE_CYCLE)


def test_the_cycle_begins_and_ends_in_the_zone_of_the_organisation() -> None:
    scenario = running(zone="America/New_York").at("2025-04-01T03:59:59+00:00")
    said = scenario.when(check_in("still-march")).records(events.CheckedIn)
    assert said.effective_at == day("2025-04-01T03:59:59+00:00")
    scenario.at("2025-04-01T04:00:00+00:00")
    scenario.when(check_in("april")).refuses(Reason.EFFECTIVE_OUTSIDE_CYCLE)


def test_before_the_first_day_an_active_cycle_takes_none() -> None:
    scenario = (
        drafted()
        .at("2024-12-20")
        .given(PublishObjective(objective_id="o"), ActivateCycle(cycle_id="q1"))
    )
    scenario.when(check_in()).refuses(Reason.EFFECTIVE_OUTSIDE_CYCLE)


def test_backdating_reaches_so_many_days_back() -> None:
    scenario = running()
    scenario.given(check_in("a", on="2025-01-27T00:00:00+00:00"))
    too_far = check_in("b", on="2025-01-26T23:59:59.999999+00:00")
    refusal = scenario.when(too_far).refuses(Reason.BACKDATED_TOO_FAR)
    assert refusal.accepted == "2025-01-27 or later"


def test_without_backdating_only_today_is_left() -> None:
    scenario = running(Policy(backdating_days_max=0))
    scenario.given(check_in("a", on="2025-02-10T00:00:00+00:00"))
    yesterday = check_in("b", on="2025-02-09T23:59:59+00:00")
    scenario.when(yesterday).refuses(Reason.BACKDATED_TOO_FAR)


def test_an_instant_is_recorded_in_utc() -> None:
    said = check_in(on="2025-02-10T09:00:00+02:00")
    effective_at = running().when(said).records(events.CheckedIn).effective_at
    assert effective_at.isoformat() == "2025-02-10T07:00:00+00:00"


def test_after_the_end_a_check_in_names_a_day_inside() -> None:
    running().at("2025-04-02").when(check_in()).refuses(Reason.EFFECTIVE_OUTSIDE_CYCLE)


def test_grace_ends_with_the_last_of_its_days() -> None:
    at_the_end = check_in(on=LAST)
    in_time = running().at("2025-04-07T23:59:59.999999+00:00")
    in_time.given(at_the_end)
    too_late = running().at("2025-04-08T00:00:00+00:00")
    too_late.when(at_the_end).refuses(Reason.GRACE_OVER)


def test_without_grace_the_end_is_the_end() -> None:
    scenario = running(Policy(grace_days_after_end=0)).at("2025-04-01T00:00:00+00:00")
    scenario.when(check_in(on=LAST)).refuses(Reason.GRACE_OVER)


def test_in_grading_and_reopened_grace_does_not_limit() -> None:
    in_grading().at("2025-05-20").given(check_in(on=LAST))
    reopened().at("2025-05-20").given(check_in(on=LAST))


@pytest.mark.parametrize("now", ["2025-04-06", "2025-06-30"])
def test_once_the_cycle_is_over_backdating_counts_from_its_end(now: str) -> None:
    scenario = running().at("2025-04-01").given(StartCycleGrading(cycle_id="q1")).at(now)
    scenario.given(check_in("a", on="2025-03-17T00:00:00+00:00"))
    too_far = check_in("b", on="2025-03-16T23:59:59+00:00")
    scenario.when(too_far).refuses(Reason.BACKDATED_TOO_FAR)


@pytest.mark.parametrize("on", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_the_ends_of_the_calendar_are_refused_like_any_other_day(on: str) -> None:
    answer = running().when(check_in(on=on))
    assert answer.refusal is not None
