"""R30: what each role may ask for, and in which units."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import commands
from goal_contracts.commands import COMMANDS, Command
from goal_contracts.fields import Role
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from services.ledger.domain.permission import LEAST, ROLES
from tests.ledger.domain.scenario import (
    Scenario,
    add,
    check_in,
    closed,
    definition,
    draft,
    in_grading,
    kpi,
    plan,
    reading,
    running,
)

JANUARY = "2025-01-01/2025-01-31"

CORRECT = commands.CorrectCheckIn("kr", "ci", Decimal(9), reason="a typo")
RETRACT = commands.RetractCheckIn("kr", "ci", reason="a typo")
WAIVE = commands.WaiveKeyResult("kr", reason="odd")
REOPEN = commands.ReopenCycle("q1", reason="late")

REPORTS: tuple[Command, ...] = (
    check_in("new"),
    commands.RecordCheckIns(check_ins=(check_in("new"),)),
    reading("2024-12-01/2024-12-31"),
    commands.RecordReadings(readings=(reading("2024-12-01/2024-12-31"),)),
    commands.CorrectReading("churn", JANUARY, Decimal(6), reason="restated"),
    commands.CorrectReadings(
        corrections=(commands.CorrectReading("churn", JANUARY, Decimal(6), reason="restated"),)
    ),
    commands.RetractReading("churn", JANUARY, reason="no"),
    commands.RecordMissedReading("churn", "2024-12-01/2024-12-31"),
    commands.AddComment("kpi/churn", "c", "well"),
)
OWNERS: tuple[Command, ...] = (
    draft("new", reason="late"),
    commands.PublishObjective("draft"),
    commands.RewordObjective("o", "Win more"),
    commands.ReassignObjective("o", owner="bob"),
    commands.ChangeObjectiveContributors("o", ("bob",)),
    commands.RealignObjective("o", (), reason="no"),
    add("new", reason="late"),
    commands.RewordKeyResult("kr", "Deals"),
    commands.ReassignKeyResult("kr", "bob"),
    commands.ReweightKeyResult("kr", Decimal(2)),
    commands.LinkKeyResultToKpi("kr", "churn", Decimal(9), Decimal(0), reason="so"),
    commands.RedefineKpi("churn", definition(name="Left"), date(2025, 2, 1)),
    commands.RetargetKpi("churn", date(2025, 2, 1), Decimal(3)),
    commands.ReassignKpi("churn", owner="bob"),
)
LEADS: tuple[Command, ...] = (
    commands.ChangeObjectiveKind("o", "committed"),
    commands.DropObjective("o", reason="no"),
    commands.DropKeyResult("kr", reason="no"),
    commands.CarryOverObjective("o", "o-next", "q2"),
    kpi("new"),
    commands.RetireKpi("churn"),
    commands.OpenKpiReview("churn", "r", "ann", date(2025, 9, 1)),
    commands.RenameUnit("sales", "Selling"),
)
ADMINS: tuple[Command, ...] = (
    commands.ChangePolicy(Policy(note_required=True)),
    commands.StartHistoryImport("i", "s", "d"),
    commands.DefineUnit("lab", "Lab", "team"),
    commands.MoveUnit("ops", "sales"),
    commands.RetireUnit("ops"),
    plan("q3", "quarterly", "2025-07-01", "2025-09-30"),
    commands.RescheduleCycle(
        "x",
        date(2025, 11, 1),
        date(2025, 11, 9),
    ),
    commands.ActivateCycle("q2"),
    commands.StartCycleGrading("q1"),
    commands.CancelCycle("q2", reason="no"),
)


def at_work() -> Scenario:
    """A running quarter with a goal, a draft, a KPI of sales with a reading, and a check-in."""
    return running().given(
        draft("draft", reason="late"),
        add("kr-draft", "draft", reason="late"),
        plan("x", "custom", "2025-11-01", "2025-11-08"),
        kpi(unit="deals", direction="lower"),
        reading(),
        check_in(),
    )


def without_check_in() -> Scenario:
    """For a link, which no check-in may precede in another unit (R8)."""
    return at_work().given(RETRACT)


def may(role: Role, command: Command, *units: str) -> bool:
    answer = without_check_in().when(command, role=role, units=units)
    if answer.refusal is not None:
        answer.refuses(Reason.NOT_PERMITTED, rule="R30")
    return answer.refusal is None


def named(command: Command) -> str:
    return type(command).__name__


def test_every_command_takes_a_role() -> None:
    assert set(LEAST) == set(COMMANDS.values())


@pytest.mark.parametrize(
    ("least", "command"),
    [
        *(("contributor", each) for each in REPORTS),
        *(("owner", each) for each in OWNERS),
        *(("unit_lead", each) for each in LEADS),
        *(("admin", each) for each in ADMINS),
    ],
    ids=lambda each: each if isinstance(each, str) else named(each),
)
def test_from_which_role_on(least: Role, command: Command) -> None:
    place = ROLES.index(least)
    assert may(least, command), "the role itself may"
    assert not may(ROLES[place - 1], command), "the one below may not"
    assert not may("viewer", command)
    assert not may("auditor", command)


def test_a_refusal_says_which_role_it_takes() -> None:
    refusal = at_work().when(draft("new"), role="contributor").refuses(Reason.NOT_PERMITTED)
    assert (refusal.seen, refusal.accepted) == ("contributor", "owner or a greater role")
    refusal = at_work().when(ADMINS[0], role="unit_lead").refuses(Reason.NOT_PERMITTED)
    assert (refusal.seen, refusal.accepted) == ("unit_lead", "admin")


@pytest.mark.parametrize("command", [*OWNERS, *LEADS], ids=named)
def test_owners_and_leads_stay_in_their_units_and_below(command: Command) -> None:
    assert may("unit_lead", command, "sales")
    assert may("unit_lead", command, "co")
    assert may("unit_lead", command, "ops", "sales")
    assert not may("unit_lead", command, "ops")
    assert not may("unit_lead", command, "pat"), "a unit below is not enough"
    assert may("admin", command, "ops"), "an admin is one everywhere"


@pytest.mark.parametrize("command", REPORTS, ids=named)
def test_contributors_report_everywhere(command: Command) -> None:
    assert may("contributor", command, "ops")


def test_a_refusal_says_in_which_unit() -> None:
    refusal = (
        at_work().when(OWNERS[2], role="owner", units=("ops", "pat")).refuses(Reason.NOT_PERMITTED)
    )
    assert refusal.seen == "owner in ops, pat"
    assert refusal.accepted == "owner in sales or a unit above it; or admin"


@pytest.mark.parametrize(
    "command",
    [
        commands.ReassignObjective("o", unit_id="ops"),
        commands.ReassignKpi("churn", unit_id="ops"),
    ],
    ids=named,
)
def test_who_hands_over_may_do_so_at_both_ends(command: Command) -> None:
    assert may("owner", command, "co")
    assert may("owner", command)
    assert not may("owner", command, "sales")
    assert not may("owner", command, "ops")


def test_a_goal_that_is_not_there_is_not_found_first() -> None:
    for unknown in (
        commands.RewordObjective("none", "x"),
        commands.RewordKeyResult("none", "x"),
        commands.ReassignKpi("none", owner="bob"),
        commands.RenameUnit("none", "x"),
        draft("new", unit_id="none"),
        add("new", "none"),
        commands.WaiveKeyResult("none", reason="odd"),
        commands.ReopenCycle("none", reason="late"),
        commands.OpenKpiReview("none", "r", "ann", date(2025, 9, 1)),
        commands.ReassignObjective("o", unit_id="none"),
        commands.CorrectCheckIn("kr", "none", Decimal(1), reason="a typo"),
    ):
        at_work().when(unknown, role="unit_lead", units=("sales",)).refuses(Reason.NOT_FOUND)


def test_opening_a_ledger_takes_an_admin() -> None:
    opening = commands.OpenOrganisation("Acme")
    Scenario().when(opening, role="unit_lead").refuses(Reason.NOT_PERMITTED)
    at_work().when(opening, role="unit_lead").refuses(Reason.NOT_PERMITTED)
    Scenario().when(opening, role="admin").accepted()


@pytest.mark.parametrize("command", [CORRECT, RETRACT], ids=named)
def test_contributors_correct_what_they_said_themselves(command: Command) -> None:
    def ask(by: str, role: Role, *units: str) -> Any:
        return at_work().when(command, by=by, role=role, units=units)

    ask("ann", "contributor").accepted()
    ask("ann", "contributor", "ops").accepted()
    refusal = ask("bob", "contributor").refuses(Reason.NOT_PERMITTED)
    assert refusal.accepted == "owner or a greater role"
    ask("bob", "owner").accepted()
    ask("bob", "owner", "sales").accepted()
    ask("bob", "owner", "ops").refuses(Reason.NOT_PERMITTED)
    ask("ann", "owner", "ops").accepted()
    ask("ann", "auditor").refuses(Reason.NOT_PERMITTED)


@pytest.mark.parametrize(
    ("setting", "least"),
    [
        ("viewer", "contributor"),
        ("auditor", "contributor"),
        ("contributor", "contributor"),
        ("owner", "owner"),
        ("unit_lead", "unit_lead"),
        ("admin", "admin"),
    ],
)
def test_the_policy_says_who_waives_and_who_reopens(setting: Role, least: Role) -> None:
    policy = Policy(waived_by=setting, reopened_by=setting)
    below = ROLES[ROLES.index(least) - 1]
    for scenario, command in ((in_grading, WAIVE), (closed, REOPEN)):
        scenario(policy).when(command, role=below).refuses(Reason.NOT_PERMITTED)
        assert scenario(policy).when(command, role=least).accepted()


def test_who_waives_does_so_in_their_units() -> None:
    policy = Policy(waived_by="contributor")
    in_grading(policy).when(WAIVE, role="contributor", units=("sales",)).accepted()
    in_grading(policy).when(WAIVE, role="contributor", units=("ops",)).refuses(Reason.NOT_PERMITTED)


def test_a_cycle_keeps_the_setting_it_was_activated_under() -> None:
    scenario = in_grading().given(commands.ChangePolicy(Policy(waived_by="admin")))
    scenario.when(WAIVE, role="unit_lead").accepted()


def test_judging_takes_an_owner_and_looking_back_a_lead() -> None:
    grade = commands.GradeKeyResult("kr")
    in_grading().when(grade, role="contributor").refuses(Reason.NOT_PERMITTED)
    in_grading().when(grade, role="owner", units=("ops",)).refuses(Reason.NOT_PERMITTED)
    graded = in_grading()
    graded.when(grade, role="owner", units=("sales",)).accepted()
    judge = commands.GradeObjective("o", "missed", reason="late")
    graded.when(judge, role="contributor").refuses(Reason.NOT_PERMITTED)
    graded.when(judge, role="owner").accepted()
    back = commands.RecordRetrospective("q1", learned="to begin earlier")
    graded.when(back, role="owner").refuses(Reason.NOT_PERMITTED)
    graded.when(back, role="unit_lead", units=("ops",)).accepted()
    graded.when(commands.CloseCycle("q1"), role="unit_lead").refuses(Reason.NOT_PERMITTED)
