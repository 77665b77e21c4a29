"""Decisions that are made and not recorded: what they stand on, and what becomes of them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from goal_contracts.commands import (
    CheckIn,
    Command,
    CorrectReading,
    CorrectReadings,
    DefineKpi,
    DefineUnit,
    OpenOrganisation,
    PlanCycle,
    RecordCheckIns,
    RecordReading,
    RecordReadings,
    RenameUnit,
)
from goal_contracts.events import KpiDefinition
from goal_contracts.policy import Policy
from goal_contracts.replies import Accepted, Reason, Refused, Reply

from services.ledger import stage as stage_module
from services.ledger.domain import Organisation, fold
from services.ledger.handlers import new_event_ids
from services.ledger.request import Request, Waiting
from services.ledger.stage import Stage

NOW = datetime(2025, 8, 14, 9, 30, tzinfo=UTC)
OPEN = OpenOrganisation(name="Acme", policy=Policy(skip_planning=True))
SPRINT = PlanCycle(
    cycle_id="sprint",
    name="Sprint",
    cycle_kind="custom",
    start_on=NOW.date(),
    end_on=NOW.date().replace(day=28),
    activate=True,
)

KPI = DefineKpi("churn", "team-1", "u-17", KpiDefinition("Churn", "%", "lower", "daily", "bi"))

State = dict[str, Organisation]


def unit(number: int) -> DefineUnit:
    return DefineUnit(unit_id=f"team-{number}", name=f"Team {number}", unit_kind="team")


def waiting(command: Command, command_id: str, **circumstances: Any) -> Waiting:
    def nobody(_: Reply) -> None:
        raise AssertionError("a stage answers nobody")

    asked = {"organisation_id": "acme", "actor": "u-17", "now": NOW, "recorded_at": NOW}
    return Waiting(
        Request(command=command, command_id=command_id, **{**asked, **circumstances}), nobody, 0.0
    )


def readings(*days: int) -> RecordReadings:
    return RecordReadings(
        tuple(
            RecordReading("churn", f"2025-08-{day:02}/2025-08-{day:02}", Decimal(day))
            for day in days
        )
    )


def stage(state: State, position: int = 0, after: Stage | None = None) -> Stage:
    return Stage(state, position if after is None else after.last, new_event_ids, after)


def decide(on: Stage, *commands: Command, **circumstances: Any) -> list[Reply | None]:
    """Command ids count on: c-1, c-2 … of the stage's positions."""
    begin = len(on.decided)
    for command in commands:
        command_id = f"c-{on.position}-{len(on.decided)}"
        assert on.decide(waiting(command, command_id, **circumstances))
    return [each.reply for each in on.decided[begin:]]


def opened() -> tuple[State, int]:
    state: State = {}
    first = stage(state)
    decide(first, OPEN)
    first.settle()
    return state, first.last


def units(state: State) -> set[str]:
    return set(state["acme"].units)


def test_nothing_of_it_is_in_the_state_until_it_is_settled() -> None:
    state, last = opened()
    tried = stage(state, last)
    decide(tried, unit(1), unit(2))
    tried.foresee()
    assert (units(state), state["acme"].position) == (set(), 1)
    tried.settle()
    assert (units(state), state["acme"].position) == ({"team-1", "team-2"}, 3)


def test_settling_is_the_same_whether_or_not_it_was_foreseen() -> None:
    outcomes = []
    for foreseen in (True, False):
        state, last = opened()
        tried = stage(state, last)
        decide(tried, unit(1), RenameUnit(unit_id="team-1", name="Platform"))
        if foreseen:
            tried.foresee()
        tried.settle()
        outcomes.append((state["acme"].units, dict(state["acme"].answers)))
    assert outcomes[0] == outcomes[1]


def test_a_stage_stands_on_the_one_that_is_under_way() -> None:
    state, last = opened()
    first = stage(state, last)
    decide(first, unit(1))
    second = stage(state, after=first)
    [renamed, unknown] = decide(
        second,
        RenameUnit(unit_id="team-1", name="Platform"),
        RenameUnit(unit_id="team-2", name="Nobody"),
    )
    assert renamed == Accepted("c-2-0", position=3, events=1)
    assert isinstance(unknown, Refused)
    assert units(state) == set()
    first.settle()
    second.stand_on_state()
    decide(second, unit(2))
    assert state["acme"].units["team-1"].name == "Team 1"
    second.settle()
    assert state["acme"].units["team-1"].name == "Platform"
    assert units(state) == {"team-1", "team-2"}
    assert state["acme"].position == 4


def test_an_organisation_may_be_new_to_the_stage_that_is_under_way() -> None:
    state: State = {}
    first = stage(state)
    decide(first, OPEN)
    second = stage(state, after=first)
    [reply] = decide(second, unit(1))
    assert isinstance(reply, Accepted)
    first.settle()
    second.stand_on_state()
    second.settle()
    assert (units(state), state["acme"].position) == ({"team-1"}, 2)


def test_a_command_repeated_while_it_is_under_way_gets_its_answer() -> None:
    state, last = opened()
    first = stage(state, last)
    [answer] = decide(first, unit(1))
    second = stage(state, after=first)
    again = waiting(unit(1), "c-1-0")
    second.decide(again)
    first.settle()
    second.stand_on_state()
    second.decide(again)
    assert [each.reply for each in second.decided] == [answer, answer]
    assert second.staged == []


def test_what_is_dropped_has_left_no_trace() -> None:
    state, last = opened()
    before = repr(state)
    first = stage(state, last)
    decide(first, unit(1))
    decide(stage(state, after=first), unit(2))
    assert repr(state) == before
    [reply] = decide(stage(state, last), unit(2))
    assert reply == Accepted("c-1-0", position=2, events=1)


def test_events_of_one_command_hold_together() -> None:
    state, last = opened()
    for commands, holds_together in (((unit(1), unit(2)), False), ((unit(1), SPRINT), True)):
        tried = stage(state, last)
        decide(tried, *commands)
        assert tried.holds_together is holds_together


@pytest.mark.parametrize(
    ("limit", "value"), [("COMMANDS_MAX", 2), ("EVENTS_MAX", 2), ("BYTES_MAX", 1_000)]
)
def test_what_does_not_fit_waits_for_the_next_stage(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(stage_module, limit, value)
    state, last = opened()
    tried = stage(state, last)
    decide(tried, unit(1), unit(2))
    fitted = tried.decide(waiting(unit(3), "c-3"))
    assert (fitted, tried.is_full, len(tried.decided)) == (False, True, 2)
    tried.settle()
    assert units(state) == {"team-1", "team-2"}


def test_an_event_larger_than_the_stream_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state, last = opened()
    monkeypatch.setattr(stage_module, "PAYLOAD_BYTES_MAX", 100)
    [reply] = decide(stage(state, last), unit(1))
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.TOO_LARGE


def test_what_many_items_lead_to_is_what_their_events_lead_to() -> None:
    state, last = opened()
    first = stage(state, last)
    decide(first, unit(1), KPI, readings(3, 5), unit(2), readings(4), readings(4), readings(6))
    second = stage(state, after=first)
    correction = CorrectReading("churn", "2025-08-04/2025-08-04", Decimal(9), reason="recounted")
    decide(second, CorrectReadings((correction,)), readings(7, 8))
    first.settle()
    second.stand_on_state()
    decide(second, readings(9))
    second.settle()
    staged = [each.recorded for each in (*first.staged, *second.staged)]
    opening = stage({})
    decide(opening, OPEN)
    assert state["acme"] == fold(None, [opening.staged[0].recorded, *staged])


def test_the_log_may_hold_more_than_the_organisation() -> None:
    state, last = opened()
    tried = stage(state, last + 40)
    decide(tried, unit(1), KPI, readings(3, 5))
    tried.settle()
    positions = [each.position for each in state["acme"].readings.values()]
    assert positions == [last + 43, last + 44]
    assert state["acme"].answers[f"c-{last + 40}-2"] == (last + 44, 2)


@pytest.mark.parametrize(
    "command",
    [
        readings(3, 4),
        CorrectReadings((CorrectReading("churn", "2025-08-03/2025-08-03", Decimal(1)),) * 2),
        RecordCheckIns((CheckIn("kr", "c"),) * 2),
    ],
)
def test_many_items_that_would_not_fit_are_not_decided_in_vain(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    state, last = opened()
    monkeypatch.setattr(stage_module, "EVENTS_MAX", 3)
    tried = stage(state, last)
    decide(tried, unit(1), KPI)
    monkeypatch.setattr(stage_module, "judge", None)
    fitted = tried.decide(waiting(command, "c-2"))
    assert (fitted, tried.is_full, len(tried.decided)) == (False, True, 2)


def test_the_first_may_be_refused_for_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    state, last = opened()
    monkeypatch.setattr(stage_module, "EVENTS_MAX", 2)
    tried = stage(state, last)
    decide(tried, unit(1), KPI)
    tried.settle()
    [reply] = decide(stage(state, tried.last), readings(3, 4, 5))
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.TOO_LARGE
