"""Folding: every event is known, none is guessed, and where a history is cut does not matter."""

from decimal import Decimal
from itertools import pairwise
from typing import get_args

import pytest
from goal_contracts import commands, events
from goal_contracts.codec import Recorded, Unrecognised
from goal_contracts.commands import COMMANDS, Command
from goal_contracts.events import EVENTS, Event
from goal_contracts.fields import KpiHealth
from goal_contracts.measures import Metric
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from services.ledger.domain import (
    ANSWERS_MAX,
    Asked,
    BrokenHistory,
    Organisation,
    UnknownEvent,
    decide,
    evolve,
    fold,
    take_over,
)
from tests.ledger.domain.scenario import (
    METRIC,
    ORG,
    check_in,
    closed,
    company,
    day,
    drafted,
    in_grading,
    kpi,
    planned,
    reading,
    recorded,
    reopened,
    running,
    snapshot,
)

FARTHER = Metric(unit="deals", baseline=Decimal(0), target=Decimal(120))


def whole(history: list[Recorded]) -> Organisation:
    organisation = fold(None, history)
    assert organisation is not None
    return organisation


def test_a_history_begins_with_the_opening() -> None:
    history = company().history
    with pytest.raises(BrokenHistory, match=r"^UnitDefined at 2 before OrganisationOpened$"):
        evolve(None, history[1])


def test_an_organisation_is_opened_once() -> None:
    history = company().history
    again = replace(history[0], position=len(history) + 1)
    with pytest.raises(BrokenHistory, match=r"^opened again at position 6$"):
        evolve(whole(history), again)


@pytest.mark.parametrize("position", [1, 5])
def test_positions_only_grow(position: int) -> None:
    history = company().history
    with pytest.raises(BrokenHistory, match=f"^{position} comes after 5$"):
        evolve(whole(history), replace(history[-1], position=position))


def test_an_unknown_event_is_not_guessed() -> None:
    history = company().history
    unknown = Unrecognised(type="goals.ObjectivePraised.v1", data=Raw(b"{}"))
    with pytest.raises(UnknownEvent, match="ObjectivePraised"):
        evolve(whole(history), replace(history[-1], position=99, event=unknown))


def test_nothing_comes_from_no_history() -> None:
    assert fold(None, []) is None


def test_known_at_is_a_running_maximum_and_position_the_last() -> None:
    state = company().at("2025-03-01").given(kpi()).at("2025-02-01").given(kpi("nps")).state
    assert state.known_at_max == day("2025-03-01")
    assert state.position == 7


def test_a_change_of_health_is_folded_though_nothing_decides_it_yet() -> None:
    changed = events.KpiHealthChanged(
        kpi_id="churn", effective_at=day("2025-02-01"), health_was="no_data", health="warning"
    )
    assert company().given(kpi()).happen(changed).state.kpi("churn").health == "warning"


def test_what_an_event_says_is_how_it_stands_from_then_on() -> None:
    scenario = running().given(
        commands.RenameUnit(unit_id="ops", name="Ops"),
        commands.MoveUnit(unit_id="ops", parent_id="sales"),
        commands.ReassignObjective(objective_id="o", owner="bob"),
        commands.ReassignKeyResult(key_result_id="kr", owner="eve"),
        commands.RetargetKeyResult(key_result_id="kr", measure=FARTHER),
        check_in(confidence=7, status="at_risk"),
        kpi(),
        commands.ReassignKpi(kpi_id="churn", owner="bob", unit_id="ops"),
    )
    state = scenario.state
    assert state.name == "Acme"
    assert (state.unit("ops").name, state.unit("ops").parent_id) == ("Ops", "sales")
    assert state.cycle("q1").name == "Q1"
    assert state.objective("o").owner == "bob"
    assert (state.key_result("kr").owner, state.key_result("kr").measure) == ("eve", FARTHER)
    made = state.check_ins["kr", "ci"]
    assert (made.confidence, made.status) == (7, "at_risk")
    corrected = commands.CorrectCheckIn(
        key_result_id="kr", check_in_id="ci", confidence=8, status="on_track", reason="misread"
    )
    made = scenario.given(corrected).state.check_ins["kr", "ci"]
    assert (made.value, made.confidence, made.status) == (None, 8, "on_track")
    assert (state.kpi("churn").owner, state.kpi("churn").unit_id) == ("bob", "ops")
    assert closed().state.cycle("q1").closings[0].position == closed().state.position


def test_a_key_result_is_scored_or_waived_and_never_both() -> None:
    graded = in_grading().given(commands.GradeKeyResult(key_result_id="kr"))
    scored = graded.state.key_result("kr")
    assert (scored.score, scored.score_computed) == (Decimal(0), Decimal(0))
    waive = commands.WaiveKeyResult(key_result_id="kr", reason="switched off")
    waived = graded.given(waive).state.key_result("kr")
    assert (waived.score, waived.score_computed, waived.waived) == (None, None, True)
    again = graded.given(commands.GradeKeyResult(key_result_id="kr")).state.key_result("kr")
    assert again.waived is False


def test_a_health_that_is_new_was_not_looked_at_yet() -> None:
    scenario = company().given(kpi())
    changes: tuple[tuple[KpiHealth, KpiHealth], ...] = (
        ("no_data", "breach"),
        ("breach", "healthy"),
    )
    for was, now in changes:
        scenario.happen(
            events.KpiHealthChanged(
                kpi_id="churn", effective_at=day("2025-02-01"), health_was=was, health=now
            )
        )
        assert scenario.state.kpi("churn").reviewed is False
        scenario.happen(
            events.KpiReviewOpened(
                kpi_id="churn", review_id=now, owner="ann", due_on=day("2025-02-15").date()
            )
        )
        assert scenario.state.kpi("churn").reviewed is (now == "breach")


def test_what_was_linked_to_no_kpi_is_unlinked_from_none() -> None:
    unlinked = events.KeyResultUnlinkedFromKpi(
        key_result_id="kr", measure_was=METRIC, measure=METRIC, reason="a copy"
    )
    assert drafted().happen(unlinked).state.linked_ids == {}


def test_the_answer_to_a_command_is_remembered() -> None:
    scenario = planned().at("2025-03-10").given(kpi())
    two = commands.RecordReadings(readings=(reading(), reading("2025-02-01/2025-02-28")))
    command_id = f"c-{len(scenario.history)}"
    scenario.given(two)
    assert scenario.state.answers[command_id] == (scenario.state.position, 2)


def answered(state: Organisation, first: int, count: int) -> None:
    renamed = events.UnitRenamed(unit_id="co", name_was="Acme", name="Acme")
    template = recorded(renamed, 1, day("2025-01-02"))
    for number in range(first, first + count):
        evolve(state, replace(template, position=number, command_id=f"x-{number}"))


def test_as_many_answers_are_remembered_as_the_window_says() -> None:
    state = company().state
    answered(state, 10, ANSWERS_MAX)
    assert len(state.answers) == ANSWERS_MAX
    assert "x-10" in state.answers
    answered(state, 10 + ANSWERS_MAX, 1)
    assert len(state.answers) == ANSWERS_MAX
    assert "x-10" not in state.answers


def test_while_an_import_runs_all_answers_are_remembered() -> None:
    start = commands.StartHistoryImport(import_id="i", source="s", digest="d")
    finish = commands.FinishHistoryImport(import_id="i")
    scenario = company().given(start)
    answered(scenario.state, 10, ANSWERS_MAX + 5)
    assert len(scenario.state.answers) > ANSWERS_MAX
    finished = decide(scenario.state, finish, Asked(ORG, "ann", day("2025-01-02")))
    evolve(scenario.state, recorded(finished[0], 10**6, day("2025-01-02")))
    assert len(scenario.state.answers) == ANSWERS_MAX


def test_every_event_and_command_has_its_place() -> None:
    assert set(EVENTS.values()) == set(get_args(Event))
    assert set(COMMANDS.values()) == set(get_args(Command))


RICH = (
    reopened()
    .given(
        kpi(unit="deals"),
        reading(),
        check_in("late", 40, on="2025-03-31"),
        commands.CorrectCheckIn(
            key_result_id="kr", check_in_id="late", value=Decimal(50), reason="counted twice"
        ),
        commands.RetractReading(
            kpi_id="churn", period="2025-01-01/2025-01-31", reason="another team's"
        ),
        commands.RecordMissedReading(kpi_id="churn", period="2025-01-01/2025-01-31"),
        commands.LinkKeyResultToKpi(
            key_result_id="kr", kpi_id="churn", baseline=Decimal(0), target=Decimal(100)
        ),
        commands.UnlinkKeyResultFromKpi(key_result_id="kr", measure=METRIC, reason="too late"),
        commands.CarryOverObjective(objective_id="o", carried_to="o-next", cycle_id="q2"),
        commands.StartHistoryImport(import_id="i", source="s", digest="d"),
    )
    .history
)


# An answer is taken over as a whole, so a cut lies where a command ends.
ENDS = st.sampled_from(
    [
        *(each.position for each, after in pairwise(RICH) if each.command_id != after.command_id),
        len(RICH),
    ]
)


@given(cut=ENDS)
def test_what_happened_to_a_fork_has_happened_once_it_is_taken_over(cut: int) -> None:
    state = whole(RICH[:cut])
    tried = state.fork()
    fold(tried, RICH[cut:])
    assert state == whole(RICH[:cut])
    take_over(state, tried)
    assert state == whole(RICH)


@given(cuts=st.tuples(ENDS, ENDS).map(sorted))
def test_a_fork_of_a_fork_stands_on_what_took_that_one_over(cuts: list[int]) -> None:
    first, second = cuts
    state = whole(RICH[:first])
    middle = state.fork()
    fold(middle, RICH[first:second])
    top = middle.fork()
    fold(top, RICH[second:])
    take_over(state, middle)
    top.stand_on(state)
    assert state == whole(RICH[:second])
    take_over(state, top)
    assert state == whole(RICH)


@given(cut=st.integers(0, len(RICH)))
def test_where_a_history_is_cut_does_not_matter(cut: int) -> None:
    kept = snapshot(fold(None, RICH[:cut]))
    assert fold(kept, RICH[cut:]) == whole(RICH)
