"""A reason that was given is in the record, also where nobody has to give one."""

from decimal import Decimal
from typing import Any

import pytest
from goal_contracts.commands import (
    CarriedKeyResult,
    CarryOverObjective,
    ChangeObjectiveKind,
    ChangePolicy,
    CloseKpiReview,
    Command,
    GradeKeyResult,
    GradeObjective,
    LinkKeyResultToKpi,
    OpenKpiReview,
    RealignObjective,
    ReassignKeyResult,
    ReassignKpi,
    ReassignObjective,
    RedefineKpi,
    RescheduleCycle,
    RetargetKeyResult,
    RetargetKpi,
    RetireKpi,
    RetireUnit,
    ReweightKeyResult,
    RewordKeyResult,
    RewordObjective,
)
from goal_contracts.measures import Metric
from goal_contracts.policy import Policy
from msgspec.structs import replace

from tests.ledger.domain.scenario import (
    Scenario,
    add,
    company,
    day,
    definition,
    draft,
    drafted,
    in_grading,
    kpi,
    planned,
    running,
)

WHY = "the market turned"
REVIEW = OpenKpiReview(kpi_id="churn", review_id="r", owner="ann", due_on=day("2025-09-01").date())


def watched() -> Scenario:
    return company().given(kpi())


def reviewed() -> Scenario:
    return drafted().given(kpi(), REVIEW)


@pytest.mark.parametrize(
    ("before", "command"),
    [
        (company, ChangePolicy(policy=Policy(parents="many"))),
        (company, RetireUnit(unit_id="ops")),
        (
            planned,
            RescheduleCycle(
                cycle_id="q2", start_on=day("2025-07-01").date(), end_on=day("2025-09-30").date()
            ),
        ),
        (planned, draft("o")),
        (drafted, add("kr-2")),
        (drafted, RewordObjective(objective_id="o", title="Win more")),
        (drafted, ReassignObjective(objective_id="o", owner="ben", unit_id="ops")),
        (
            lambda: drafted().given(draft("a", "y")),
            RealignObjective(objective_id="o", aligned_to=("objective/a",)),
        ),
        (drafted, ChangeObjectiveKind(objective_id="o", objective_kind="committed")),
        (drafted, RewordKeyResult(key_result_id="kr", title="Measure it")),
        (drafted, ReassignKeyResult(key_result_id="kr", owner="ben")),
        (drafted, ReweightKeyResult(key_result_id="kr", weight=Decimal(2))),
        (
            drafted,
            RetargetKeyResult(
                key_result_id="kr",
                measure=Metric(unit="deals", baseline=Decimal(0), target=Decimal(120)),
            ),
        ),
        (
            lambda: drafted().given(kpi(unit="deals")),
            LinkKeyResultToKpi(
                key_result_id="kr", kpi_id="churn", baseline=Decimal(0), target=Decimal(100)
            ),
        ),
        (in_grading, GradeKeyResult(key_result_id="kr", score=Decimal("0.3"))),
        (
            lambda: in_grading().given(GradeKeyResult(key_result_id="kr")),
            GradeObjective(objective_id="o", outcome="missed", score=Decimal("0.3")),
        ),
        (
            running,
            CarryOverObjective(
                objective_id="o",
                carried_to="o-next",
                cycle_id="q2",
                key_results=(CarriedKeyResult(key_result_id="kr", carried_to="kr-next"),),
            ),
        ),
        (
            watched,
            RedefineKpi(
                kpi_id="churn",
                definition=definition(source="survey"),
                effective_on=day("2025-03-01").date(),
            ),
        ),
        (
            watched,
            RetargetKpi(kpi_id="churn", effective_on=day("2025-03-01").date(), target=Decimal(3)),
        ),
        (watched, ReassignKpi(kpi_id="churn", owner="ben")),
        (watched, RetireKpi(kpi_id="churn")),
        (watched, REVIEW),
        (reviewed, CloseKpiReview(kpi_id="churn", review_id="r", decision="accept")),
        (
            reviewed,
            CloseKpiReview(
                kpi_id="churn", review_id="r", decision="recovery_objective", objective_id="o"
            ),
        ),
    ],
    ids=lambda each: getattr(type(each), "__name__", None),
)
def test_a_reason_that_was_given_is_recorded(before: Any, command: Command) -> None:
    events = before().when(replace(command, reason=WHY)).accepted()
    assert events
    assert all(event.reason == WHY for event in events if "reason" in event.__struct_fields__)
