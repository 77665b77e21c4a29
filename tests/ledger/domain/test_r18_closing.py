"""R18 to R20: what a cycle must have come to, what closing says, and how it is opened again."""

from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    AddComment,
    ChangePolicy,
    CloseCycle,
    Command,
    DropObjective,
    GradeKeyResult,
    GradeObjective,
    PublishObjective,
    RecordRetrospective,
    ReopenCycle,
    StartCycleGrading,
    WaiveKeyResult,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import (
    Scenario,
    add,
    check_in,
    closed,
    draft,
    drafted,
    in_grading,
    judged,
    planned,
    reopened,
    running,
)

CLOSE = CloseCycle(cycle_id="q1")
REOPEN = ReopenCycle(cycle_id="q1", reason="a late deal")
LEARNED = RecordRetrospective(cycle_id="q1", learned="to begin earlier")


def test_every_key_result_is_scored_or_waived() -> None:
    scenario = in_grading().given(LEARNED)
    scenario.given(GradeObjective(objective_id="o", outcome="missed", score=Decimal(0)))
    refusal = scenario.when(CLOSE).refuses(Reason.NOT_ALL_SCORED)
    assert refusal.seen == "kr"
    scenario.given(WaiveKeyResult(key_result_id="kr", reason="switched off"))
    scenario.when(CLOSE).records(events.CycleClosed)


def test_a_refusal_names_five_of_many() -> None:
    scenario = drafted().given(*(add(f"kr-{n}") for n in range(1, 6)))
    scenario.given(
        PublishObjective(objective_id="o"),
        ActivateCycle(cycle_id="q1"),
        StartCycleGrading(cycle_id="q1"),
    )
    refusal = scenario.when(CLOSE).refuses(Reason.NOT_ALL_SCORED)
    assert refusal.seen == "kr, kr-1, kr-2, kr-3, kr-4, …"
    refusal = (
        scenario.given(GradeKeyResult(key_result_id="kr"))
        .when(CLOSE)
        .refuses(Reason.NOT_ALL_SCORED)
    )
    assert refusal.seen == "kr-1, kr-2, kr-3, kr-4, kr-5"


def test_every_objective_has_an_outcome() -> None:
    scenario = in_grading().given(LEARNED, GradeKeyResult(key_result_id="kr"))
    assert scenario.when(CLOSE).refuses(Reason.OUTCOME_MISSING).seen == "o"


def test_a_draft_is_dropped_first() -> None:
    scenario = running().given(draft("late", reason="new"), StartCycleGrading(cycle_id="q1"))
    scenario.given(
        LEARNED,
        GradeKeyResult(key_result_id="kr"),
        GradeObjective(objective_id="o", outcome="missed"),
    )
    assert scenario.when(CLOSE).refuses(Reason.OUTCOME_MISSING).seen == "late"
    scenario.given(DropObjective(objective_id="late", reason="forgotten"), CLOSE)


def test_a_dropped_objective_owes_nothing_more() -> None:
    scenario = running().given(DropObjective(objective_id="o", reason="no money"))
    scenario.given(StartCycleGrading(cycle_id="q1"), LEARNED, CLOSE)


def test_people_look_back_unless_the_policy_spares_them() -> None:
    def without(policy: Policy) -> Scenario:
        return in_grading(policy).given(
            GradeKeyResult(key_result_id="kr"), GradeObjective(objective_id="o", outcome="missed")
        )

    refusal = without(Policy()).when(CLOSE).refuses(Reason.RETROSPECTIVE_MISSING)
    assert refusal.seen == "none"
    without(Policy(retrospective_required=False)).when(CLOSE).records(events.CycleClosed)


def test_closing_an_empty_cycle_comes_to_nothing() -> None:
    scenario = planned(Policy(retrospective_required=False))
    scenario.given(ActivateCycle(cycle_id="q1"), StartCycleGrading(cycle_id="q1"))
    came_to = scenario.when(CLOSE).records(events.CycleClosed)
    assert (came_to.aspirational_score, came_to.committed_met) == (None, None)


def test_closing_says_what_the_cycle_came_to() -> None:
    scenario = planned()
    outcomes: dict[str, tuple[Any, Any, int]] = {
        "a": ("aspirational", "partial", 50),
        "b": ("aspirational", "achieved", 75),
        "c": ("committed", "achieved", 100),
        "d": ("committed", "missed", 20),
        "e": ("committed", "partial", 90),
    }
    for name, (kind, _, _) in outcomes.items():
        scenario.given(draft(name, objective_kind=kind), add(f"{name}-kr", name))
        scenario.given(PublishObjective(objective_id=name))
    scenario.given(draft("f", objective_kind="committed"), DropObjective(objective_id="f"))
    scenario.given(ActivateCycle(cycle_id="q1")).at("2025-03-31")
    for name, (_, _, value) in outcomes.items():
        scenario.given(check_in(value=value, key_result_id=f"{name}-kr"))
    scenario.at("2025-04-02").given(StartCycleGrading(cycle_id="q1"), LEARNED)
    for name, (_, outcome, _) in outcomes.items():
        scenario.given(
            GradeKeyResult(key_result_id=f"{name}-kr"),
            GradeObjective(objective_id=name, outcome=outcome, reason="so it went"),
        )
    came_to = scenario.when(CLOSE).records(events.CycleClosed)
    assert came_to.aspirational_score == Decimal("0.62")
    assert came_to.committed_met == Decimal("0.33")


def test_a_cycle_closes_under_the_policy_it_was_activated_under() -> None:
    scenario = judged().given(ChangePolicy(policy=Policy(reopen_within_days=1)))
    assert scenario.when(CLOSE).records(events.CycleClosed).policy == Policy()
    scenario.at("2025-06-01").given(REOPEN)


def test_a_retrospective_says_something_and_the_same_again_does_nothing() -> None:
    scenario = running()
    empty = RecordRetrospective(cycle_id="q1")
    refusal = scenario.when(empty).refuses(Reason.NOTHING_SAID, rule="R18")
    assert refusal.seen == "nothing"
    scenario.when(LEARNED).records(events.RetrospectiveRecorded)
    scenario.when(LEARNED).does_nothing()
    whole = RecordRetrospective(
        cycle_id="q1", went_well="a", did_not_go_well="b", learned="c", celebrate="d"
    )
    recorded = scenario.when(whole).records(events.RetrospectiveRecorded)
    assert (recorded.went_well, recorded.did_not_go_well) == ("a", "b")
    assert len(scenario.state.cycle("q1").retrospectives) == 2


def test_people_look_back_on_a_cycle_that_runs_or_is_graded() -> None:
    planned().when(LEARNED).refuses(Reason.CYCLE_NOT_OPEN, rule="R18")
    in_grading().given(LEARNED)
    reopened().given(RecordRetrospective(cycle_id="q1", learned="more"))
    late = RecordRetrospective(cycle_id="q1", learned="more")
    closed().when(late).refuses(Reason.CYCLE_CLOSED)


@pytest.mark.parametrize(
    "command",
    [
        draft("o-2", reason="late"),
        add("kr-2", reason="late"),
        check_in(on="2025-03-31"),
        GradeKeyResult(key_result_id="kr"),
    ],
)
def test_r19_closed_is_sealed(command: Command) -> None:
    closed().when(command).refuses(Reason.CYCLE_CLOSED)


def test_r19_closed_takes_comments() -> None:
    closed().given(AddComment(goal="objective/o", comment_id="c", text="well done"))


def test_r19_reopening_is_possible_for_so_many_days() -> None:
    closed().at("2025-07-01T12:00:00+00:00").given(REOPEN)
    late = closed().at("2025-07-01T12:00:00.000001+00:00")
    late.when(REOPEN).refuses(Reason.REOPEN_WINDOW_OVER)


def test_r19_reopening_keeps_the_facts_of_every_closing() -> None:
    scenario = closed().at("2025-04-10").given(REOPEN).at("2025-04-11")
    scenario.given(GradeKeyResult(key_result_id="kr", score=Decimal("0.5"), reason="a late deal"))
    scenario.given(GradeObjective(objective_id="o", outcome="partial"), CLOSE)
    closings = scenario.state.cycle("q1").closings
    assert [each.closed.aspirational_score for each in closings] == [0, Decimal("0.5")]
    assert [each.known_at.day for each in closings] == [2, 11]
    assert {each.actor for each in closings} == {"ann"}


def test_r19_the_window_counts_from_the_last_closing() -> None:
    scenario = reopened().at("2025-05-01").given(CLOSE).at("2025-07-20")
    scenario.given(REOPEN)
