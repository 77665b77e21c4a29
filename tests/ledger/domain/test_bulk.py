"""Bulk commands: all or nothing or item by item, and the same as one by one."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    Command,
    CorrectReading,
    CorrectReadings,
    RecordCheckIns,
    RecordReading,
    RecordReadings,
)
from goal_contracts.replies import Reason

from services.ledger.domain import Asked, Decided, judge, take_over
from tests.ledger.domain.scenario import (
    ORG,
    Scenario,
    add,
    check_in,
    company,
    drafted,
    kpi,
    reading,
    running,
    snapshot,
)

JANUARY, FEBRUARY = "2025-01-01/2025-01-31", "2025-02-01/2025-02-28"


def watched() -> Scenario:
    return company().given(kpi(), kpi("nps")).at("2025-03-10")


def same_state(one: Scenario, other: Scenario) -> bool:
    """Whether two ways led to the same, but for how many commands there were."""
    for scenario in (one, other):
        scenario.state.answers.clear()
    return snapshot(one.state) == snapshot(other.state)


def test_many_readings_are_recorded_as_one_by_one() -> None:
    items = (reading(JANUARY, 4), reading(FEBRUARY, 5), reading(JANUARY, 6, kpi_id="nps"))
    at_once, one_by_one = watched(), watched()
    recorded = at_once.when(RecordReadings(readings=items)).accepted()
    assert [type(each) for each in recorded] == [events.KpiReadingRecorded] * 3
    one_by_one.given(*items)
    assert [each.event for each in at_once.history] == [e.event for e in one_by_one.history]
    assert same_state(at_once, one_by_one)


def test_an_item_is_decided_as_if_those_before_it_had_happened() -> None:
    twice = RecordReadings(readings=(reading(), reading()))
    assert len(watched().when(twice).accepted()) == 1
    contradicting = RecordReadings(readings=(reading(), reading(value=6)))
    watched().when(contradicting).refuses(Reason.READING_EXISTS)


def test_one_refused_item_refuses_all_and_is_named() -> None:
    scenario = watched()
    command = RecordReadings(readings=(reading(), reading("2025-04-01/2025-04-30"), reading()))
    refusal = scenario.when(command).refuses(Reason.EFFECTIVE_IN_FUTURE)
    assert refusal.message.startswith("item 1: ")
    assert not scenario.state.readings


def test_a_bad_number_is_refused_in_its_turn() -> None:
    command = RecordReadings(readings=(reading(), reading(FEBRUARY, "NaN")))
    refusal = watched().when(command).refuses(Reason.NUMBER_OUT_OF_RANGE)
    assert refusal.message.startswith("item 1: value ")


def test_what_is_there_already_is_left_out() -> None:
    scenario = watched().given(reading(JANUARY))
    command = RecordReadings(readings=(reading(JANUARY), reading(FEBRUARY)))
    assert len(scenario.when(command).accepted()) == 1
    scenario.when(command).does_nothing()


def test_many_corrections() -> None:
    scenario = watched().given(reading(JANUARY, 4), reading(FEBRUARY, 5))
    corrections = tuple(
        CorrectReading(kpi_id="churn", period=period, value=Decimal(value), reason="restated")
        for period, value in ((JANUARY, 5), (FEBRUARY, 5), (JANUARY, 6))
    )
    answer = scenario.when(CorrectReadings(corrections=corrections))
    first, second = answer.records(events.KpiReadingCorrected, events.KpiReadingCorrected)
    assert (first.value_was, first.value, second.value_was, second.value) == (4, 5, 5, 6)


def test_many_check_ins() -> None:
    def two() -> Scenario:
        return running().given(add("kr-2", reason="also counts"))

    items = (check_in("a", 3), check_in("a", 4, key_result_id="kr-2"), check_in("b", 5))
    at_once, one_by_one = two(), two()
    assert len(at_once.when(RecordCheckIns(check_ins=items)).accepted()) == 3
    one_by_one.given(*items)
    assert same_state(at_once, one_by_one)
    assert at_once.state.counted_value(at_once.state.key_result("kr")) == 5


def test_a_refused_check_in_keeps_its_rule() -> None:
    command = RecordCheckIns(check_ins=(check_in(),))
    drafted().when(command).refuses(Reason.CHECK_INS_CLOSED, rule="R11")


def decided(scenario: Scenario, command: Command) -> Decided:
    before = snapshot(scenario.state)
    found = judge(scenario.state, command, Asked(ORG, "ann", scenario.now))
    assert snapshot(scenario.state) == before
    return found


def test_item_by_item_what_is_refused_is_left_out_and_named() -> None:
    items = (
        reading(JANUARY, 4),
        reading("2025-04-01/2025-04-30"),
        reading(JANUARY, 5),
        reading(FEBRUARY, "NaN"),
        reading(JANUARY, 4),
        reading(FEBRUARY, 5),
    )
    scenario = watched()
    found = decided(scenario, RecordReadings(readings=items, mode="per_item"))
    assert [(each.item, each.reason, each.rule) for each in found.refused] == [
        (1, Reason.EFFECTIVE_IN_FUTURE, "R13"),
        (2, Reason.READING_EXISTS, "R23"),
        (3, Reason.NUMBER_OUT_OF_RANGE, ""),
    ]
    assert found.refused[1].seen == "5"
    assert found.refused[1].accepted == "4, or CorrectReading"
    assert found.refused[1].message.startswith("there is a reading")
    assert found.events == (*(scenario.when(each).accepted()[0] for each in (items[0], items[5])),)


def test_item_by_item_all_may_be_refused() -> None:
    future = reading("2025-04-01/2025-04-30")
    found = decided(watched(), RecordReadings(readings=(future, future), mode="per_item"))
    assert (found.events, [each.item for each in found.refused]) == ((), [0, 1])


def test_item_by_item_check_ins_and_corrections_too() -> None:
    items = (check_in("a", 3), check_in("a", 4), check_in("b", 5))
    found = decided(running(), RecordCheckIns(check_ins=items, mode="per_item"))
    assert len(found.events) == 2
    assert [each.reason for each in found.refused] == [Reason.ID_TAKEN]
    corrections = tuple(
        CorrectReading(kpi_id="churn", period=period, value=Decimal(6), reason="restated")
        for period in (FEBRUARY, JANUARY)
    )
    command = CorrectReadings(corrections=corrections, mode="per_item")
    found = decided(watched().given(reading(JANUARY)), command)
    assert len(found.events) == 1
    assert [each.reason for each in found.refused] == [Reason.NOT_FOUND]


def test_where_nothing_is_refused_both_ways_are_the_same() -> None:
    items = (reading(JANUARY, 4), reading(FEBRUARY, 5))
    one, other = (
        decided(watched(), RecordReadings(readings=items, mode=mode))
        for mode in ("all_or_nothing", "per_item")
    )
    assert one == other
    assert one.refused == ()


def test_a_thousand_at_once() -> None:
    items = tuple(
        RecordReading(
            kpi_id="churn",
            period=f"{year}-{month:02}-{day:02}/{year}-{month:02}-{day:02}",
            value=Decimal(day),
        )
        for year in range(2020, 2024)
        for month in range(1, 13)
        for day in range(1, 22)
    )[:1_000]
    assert len(watched().when(RecordReadings(readings=items)).accepted()) == 1_000


def test_a_fork_shows_the_state_and_keeps_what_is_written_to_it() -> None:
    scenario = running()
    fork = scenario.state.fork()
    assert snapshot(fork) == snapshot_without_answers(scenario)
    fork.units["new"] = fork.unit("sales")
    fork.fork().units["newer"] = fork.unit("sales")
    assert set(fork.units) - set(scenario.state.units) == {"new"}


def snapshot_without_answers(scenario: Scenario) -> object:
    scenario.state.answers.clear()
    return snapshot(scenario.state)


def test_a_refused_item_names_the_rule_it_broke() -> None:
    scenario = watched().given(reading(JANUARY, 4))
    unreasoned = CorrectReading(kpi_id="churn", period=JANUARY, value=Decimal(5))
    refused = scenario.when(CorrectReadings(corrections=(unreasoned,)))
    refused.refuses(Reason.REASON_REQUIRED, rule="R14")


@pytest.mark.parametrize(
    ("scenario", "command"),
    [
        (watched, RecordReadings(readings=(reading(JANUARY, 4), reading(FEBRUARY, 5)))),
        (running, RecordCheckIns(check_ins=(check_in("a", 3), check_in("b", 5)))),
    ],
)
def test_what_many_items_lead_to_is_handed_on_as_the_log_will_tell_it(
    scenario: Callable[[], Scenario], command: Command
) -> None:
    """So that it need not happen a second time."""
    before, told = scenario(), scenario()
    asked = Asked(
        organisation_id=ORG,
        actor="ann",
        now=before.now,
        log_position=len(before.history),
        command_id=f"c-{len(before.history)}",
    )
    decided = judge(before.state, command, asked)
    assert decided.then is not None
    told.happen(*decided.events)
    take_over(before.state, decided.then)
    assert snapshot(before.state) == snapshot(told.state)
