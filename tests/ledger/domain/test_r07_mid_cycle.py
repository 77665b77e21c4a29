"""R7: lowering, dropping or adding mid-cycle needs a reason, and shows."""

from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    Command,
    DropKeyResult,
    DropObjective,
    LinkKeyResultToKpi,
    RetargetKeyResult,
)
from goal_contracts.events import Event
from goal_contracts.measures import Metric
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason
from msgspec.structs import replace

from tests.ledger.domain.scenario import (
    METRIC,
    Scenario,
    add,
    draft,
    drafted,
    kpi,
    reopened,
    running,
)


def retarget(target: int, baseline: int = 0) -> RetargetKeyResult:
    measure = Metric(unit="deals", baseline=Decimal(baseline), target=Decimal(target))
    return RetargetKeyResult(key_result_id="kr", measure=measure)


LINK = LinkKeyResultToKpi(
    key_result_id="kr", kpi_id="churn", baseline=Decimal(0), target=Decimal(90)
)
CHANGES: list[Command] = [
    draft("o-2"),
    DropObjective(objective_id="o"),
    add("kr-2"),
    DropKeyResult(key_result_id="kr"),
    retarget(95),
    LINK,
]


def name(command: Command) -> str:
    return type(command).__name__


@pytest.mark.parametrize("command", CHANGES, ids=name)
@pytest.mark.parametrize("begin", [running, reopened])
def test_in_a_running_cycle_it_needs_a_reason(begin: type[Scenario], command: Command) -> None:
    scenario = begin().given(kpi())
    scenario.when(command).refuses(Reason.REASON_REQUIRED, rule="R7")
    event = scenario.when(replace(command, reason="less money")).records(event_of(command))
    assert event.reason == "less money"
    assert getattr(event, "mid_cycle", True)


@pytest.mark.parametrize("command", CHANGES, ids=name)
def test_while_planned_it_needs_none_and_does_not_show(command: Command) -> None:
    event = drafted().given(kpi()).when(command).records(event_of(command))
    assert not getattr(event, "mid_cycle", False)


@pytest.mark.parametrize("command", CHANGES, ids=name)
def test_where_reasons_are_optional_it_only_shows(command: Command) -> None:
    scenario = running(Policy(mid_cycle_reason="optional")).given(kpi())
    assert getattr(scenario.when(command).records(event_of(command)), "mid_cycle", True)


@pytest.mark.parametrize("command", CHANGES, ids=name)
def test_where_it_is_off_it_does_not_show(command: Command) -> None:
    scenario = running(Policy(mid_cycle_reason="off")).given(kpi())
    assert not getattr(scenario.when(command).records(event_of(command)), "mid_cycle", False)


def event_of(command: Command) -> type[Event]:
    kinds: dict[str, type[Event]] = {
        "DraftObjective": events.ObjectiveDrafted,
        "DropObjective": events.ObjectiveDropped,
        "AddKeyResult": events.KeyResultAdded,
        "DropKeyResult": events.KeyResultDropped,
        "RetargetKeyResult": events.KeyResultRetargeted,
        "LinkKeyResultToKpi": events.KeyResultLinkedToKpi,
    }
    return kinds[name(command)]


def test_raising_a_target_needs_no_reason_and_is_not_lowered() -> None:
    retargeted = running().when(retarget(105)).records(events.KeyResultRetargeted)
    assert (retargeted.lowered, retargeted.mid_cycle) == (False, True)
    assert (retargeted.measure_was, retargeted.measure.target) == (METRIC, 105)


def test_the_same_target_changes_nothing() -> None:
    running().when(retarget(100)).does_nothing()


def test_lowering_while_planned_is_called_so() -> None:
    assert drafted().when(retarget(95)).records(events.KeyResultRetargeted).lowered


def test_linking_to_a_target_as_high_needs_no_reason() -> None:
    running().given(kpi(), replace(LINK, target=Decimal(100)))


def test_a_key_result_added_to_a_draft_of_a_running_cycle_needs_a_reason_too() -> None:
    scenario = running().given(draft("late", reason="new market"))
    scenario.when(add("kr-2", "late")).refuses(Reason.REASON_REQUIRED, rule="R7")


def test_the_original_stays_in_the_state() -> None:
    scenario = drafted().given(retarget(120))
    assert scenario.state.key_result("kr").added.measure == METRIC
