"""R29: an edit that was decided on what has changed since is refused, and not merged."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from goal_contracts import commands
from goal_contracts.commands import (
    AddComment,
    ChangePolicy,
    Command,
    CorrectReading,
    CorrectReadings,
    DefineUnit,
    RenameUnit,
    RetargetKpi,
    RewordKeyResult,
    RewordObjective,
    StartHistoryImport,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from services.ledger.domain import Asked, judge
from services.ledger.domain.decided_on import CORRECTIONS, EDITS
from tests.ledger.domain.scenario import ORG, Scenario, check_in, day, draft, kpi, reading, running

REQUIRED = Policy(decided_on="required")
REWORD_OBJECTIVE = RewordObjective(objective_id="o", title="Win more", reason="clearer")
REWORD_KEY_RESULT = RewordKeyResult(key_result_id="kr", title="Deals", reason="clearer")
JANUARY = "2025-01-01/2025-01-31"


def correct(kpi_id: str = "churn", value: int = 6) -> CorrectReading:
    return CorrectReading(kpi_id=kpi_id, period=JANUARY, value=Decimal(value), reason="restated")


@dataclass
class Edit:
    before: tuple[Command, ...]
    change: Command
    edit: Command


CASES = [
    Edit((), REWORD_OBJECTIVE, RewordObjective(objective_id="o", title="Win all", reason="so")),
    Edit((), check_in(), REWORD_KEY_RESULT),
    Edit((), RenameUnit(unit_id="ops", name="Ops"), RenameUnit(unit_id="ops", name="Op")),
    Edit(
        (),
        commands.ActivateCycle(cycle_id="q2"),
        commands.CancelCycle(cycle_id="q2", reason="no"),
    ),
    Edit((kpi(),), reading(), RetargetKpi("churn", day("2025-02-01").date(), Decimal(3))),
    Edit(
        (),
        ChangePolicy(policy=Policy(note_required=True)),
        ChangePolicy(policy=Policy(confidence_required=True)),
    ),
    Edit((kpi(), reading()), correct(), correct(value=7)),
]


def position(scenario: Scenario) -> int:
    return scenario.state.position


@pytest.mark.parametrize("case", CASES, ids=lambda case: type(case.edit).__name__)
def test_what_has_changed_since_is_not_edited(case: Edit) -> None:
    scenario = running().given(*case.before)
    seen = position(scenario)
    scenario.given(case.change)
    now = position(scenario)
    refusal = scenario.when(case.edit, decided_on=now - 1).refuses(Reason.GOAL_CHANGED_SINCE)
    assert (refusal.seen, str(now) in refusal.accepted) == (str(now - 1), True)
    assert "read it again" in refusal.accepted
    scenario.when(case.edit, decided_on=seen).refuses(Reason.GOAL_CHANGED_SINCE)
    assert scenario.when(case.edit, decided_on=now).accepted()


def test_what_changed_elsewhere_does_not_matter() -> None:
    scenario = running()
    seen = position(scenario)
    scenario.given(check_in(), RenameUnit(unit_id="ops", name="Ops"))
    scenario.when(REWORD_OBJECTIVE, decided_on=seen).accepted()


def test_a_comment_is_no_change() -> None:
    scenario = running()
    seen = position(scenario)
    scenario.given(AddComment(goal="objective/o", comment_id="c", text="well"))
    scenario.when(REWORD_OBJECTIVE, decided_on=seen).accepted()


def test_what_is_created_was_decided_on_nothing() -> None:
    scenario = running().given(check_in("a"))
    scenario.when(check_in("b", 11), decided_on=1).accepted()
    scenario.when(draft("new", reason="late"), decided_on=1).accepted()
    scenario.when(DefineUnit(unit_id="lab", name="Lab", unit_kind="team"), decided_on=1).accepted()


def test_nobody_has_seen_what_is_not_there_yet() -> None:
    scenario = running()
    last = position(scenario)
    refusal = scenario.when(REWORD_OBJECTIVE, decided_on=last + 1).refuses(
        Reason.MALFORMED, rule="R29"
    )
    assert refusal.accepted == f"at most {last}"
    scenario.when(check_in(), decided_on=last + 1).refuses(Reason.MALFORMED, rule="R29")
    scenario.when(REWORD_OBJECTIVE, decided_on=last).accepted()


def test_a_log_may_hold_more_than_the_organisation() -> None:
    scenario = running()
    last = position(scenario)
    beyond = scenario.when(REWORD_OBJECTIVE, decided_on=last + 6, log_position=last + 5)
    assert beyond.refuses(Reason.MALFORMED, rule="R29").accepted == f"at most {last + 5}"
    scenario.when(REWORD_OBJECTIVE, decided_on=last + 5, log_position=last + 5).accepted()


def test_the_policy_may_require_it_of_edits() -> None:
    scenario = required()
    scenario.when(REWORD_OBJECTIVE).refuses(Reason.DECIDED_ON_REQUIRED)
    scenario.when(REWORD_OBJECTIVE, decided_on=position(scenario)).accepted()


def required() -> Scenario:
    return running().given(kpi(), reading(), ChangePolicy(policy=REQUIRED))


def test_it_is_not_required_of_what_is_reported_or_created() -> None:
    required().given(
        check_in(),
        reading("2024-12-01/2024-12-31"),
        correct(),
        AddComment(goal="objective/o", comment_id="c", text="well"),
        draft("new", reason="late"),
        commands.CorrectCheckIn("kr", "ci", Decimal(3), reason="a typo"),
        commands.RetractCheckIn("kr", "ci", reason="a typo"),
        StartHistoryImport(import_id="i", source="s", digest="d"),
    )


def test_it_is_not_required_of_an_import() -> None:
    scenario = required().given(StartHistoryImport(import_id="i", source="s", digest="d"))
    scenario.when(REWORD_OBJECTIVE, import_id="i").accepted()


def test_of_many_corrections_each_is_looked_at_as_it_was_before_them() -> None:
    scenario = running().given(kpi(), kpi("nps"), reading(), reading(kpi_id="nps"))
    seen = position(scenario)
    twice = CorrectReadings(corrections=(correct(value=6), correct(value=7)))
    assert len(scenario.when(twice, decided_on=seen).accepted()) == 2
    both = CorrectReadings(corrections=(correct(value=8), correct("nps", 8)))
    refusal = scenario.when(both, decided_on=seen).refuses(Reason.GOAL_CHANGED_SINCE)
    assert refusal.message.startswith("item 0: kpi/churn has changed")
    one_by_one = CorrectReadings(corrections=both.corrections, mode="per_item")
    asked = Asked(ORG, "ann", scenario.now, decided_on=seen)
    decided = judge(scenario.state, one_by_one, asked)
    assert [each.goal_id for each in decided.events] == ["nps"]
    assert [(each.item, each.reason) for each in decided.refused] == [
        (0, Reason.GOAL_CHANGED_SINCE)
    ]


def test_every_edit_names_its_goal() -> None:
    for command, kind in {**EDITS, **CORRECTIONS}.items():
        if kind != "organisation":
            assert f"{kind}_id" in command.__struct_fields__


def test_what_is_not_there_has_not_changed() -> None:
    unknown = RewordObjective(objective_id="none", title="Win", reason="so")
    running().when(unknown, decided_on=0).refuses(Reason.NOT_FOUND)
