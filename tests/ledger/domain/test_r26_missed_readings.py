"""R26: a reading that does not come within the grace after its period is recorded as missed."""

from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from goal_contracts.commands import (
    ChangePolicy,
    Command,
    FinishHistoryImport,
    RecordMissedReading,
    RedefineKpi,
    RetireKpi,
    RetractReading,
    StartHistoryImport,
)
from goal_contracts.events import KpiReadingMissed, Ratio
from goal_contracts.fields import ID, Frequency
from goal_contracts.policy import Policy, ReadingGrace
from goal_contracts.replies import Reason

from services.ledger.domain import facts_due
from services.ledger.domain.due import FACTS_MAX, around, first_full, following, watch
from services.ledger.domain.organisation import Kpi, Organisation, Span, Watch
from tests.ledger.domain.scenario import (
    POLICY,
    Scenario,
    company,
    day,
    definition,
    kpi,
    reading,
)

JANUARY, FEBRUARY, MARCH = (
    "2025-01-01/2025-01-31",
    "2025-02-01/2025-02-28",
    "2025-03-01/2025-03-31",
)


def watched(policy: Policy = POLICY, zone: str = "UTC", **changes: Any) -> Scenario:
    """Defined on 2 January."""
    return company(policy, zone).given(kpi(**changes))


def due(scenario: Scenario, now: str) -> list[str]:
    return [each.period for _, each in facts(scenario, day(now))]


def facts(scenario: Scenario, now: datetime) -> list[tuple[str, RecordMissedReading]]:
    found = []
    for command_id, command in facts_due(scenario.state, now):
        assert isinstance(command, RecordMissedReading)
        assert ID.fullmatch(command_id)
        found.append((command_id, command))
    return found


def test_a_reading_has_its_grace_after_the_end_of_its_period() -> None:
    scenario = watched().at("2025-02-01").given(reading(JANUARY))
    assert due(scenario, "2025-03-10T23:59:59.999999+00:00") == []
    assert due(scenario, "2025-03-11T00:00:00+00:00") == [FEBRUARY]


def test_the_grace_is_counted_in_the_zone() -> None:
    scenario = watched(zone="Europe/Berlin").at("2025-02-01").given(reading(JANUARY))
    assert due(scenario, "2025-03-10T22:59:59.999999+00:00") == []
    assert due(scenario, "2025-03-10T23:00:00+00:00") == [FEBRUARY]


@pytest.mark.parametrize(
    ("frequency", "known", "last_of_grace", "missed"),
    [
        ("daily", "2025-01-03/2025-01-03", "2025-01-05", "2025-01-04/2025-01-04"),
        ("weekly", "2024-12-23/2024-12-29", "2025-01-08", "2024-12-30/2025-01-05"),
        ("monthly", "2025-01-01/2025-01-31", "2025-03-10", "2025-02-01/2025-02-28"),
        ("quarterly", "2025-01-01/2025-03-31", "2025-07-20", "2025-04-01/2025-06-30"),
        ("yearly", "2023-04-01/2024-03-31", "2025-05-30", "2024-04-01/2025-03-31"),
    ],
)
def test_every_frequency_has_a_grace_of_its_own(
    frequency: Frequency, known: str, last_of_grace: str, missed: str
) -> None:
    scenario = watched(frequency=frequency).at("2025-04-02").given(reading(known))
    assert missed not in due(scenario, f"{last_of_grace}T23:59:59+00:00")
    after = date.fromordinal(date.fromisoformat(last_of_grace).toordinal() + 1)
    assert due(scenario, f"{after}T00:00:00+00:00")[:1] == [missed]


def test_the_grace_is_a_setting() -> None:
    policy = Policy(reading_grace=ReadingGrace(monthly=0))
    scenario = watched(policy).at("2025-02-01").given(reading(JANUARY))
    assert due(scenario, "2025-02-28T23:59:59+00:00") == []
    assert due(scenario, "2025-03-01T00:00:00+00:00") == [FEBRUARY]


def test_all_that_did_not_come_are_missed_the_oldest_first() -> None:
    scenario = watched().at("2025-02-01").given(reading(JANUARY))
    assert due(scenario, "2025-05-01") == [FEBRUARY, MARCH]


def test_what_was_recorded_as_missed_is_not_due_again() -> None:
    scenario = watched().at("2025-05-01").given(reading(JANUARY))
    for _, command in facts(scenario, scenario.now):
        scenario.given(command)
    assert due(scenario, "2025-05-01") == []
    assert due(scenario, "2025-05-11") == ["2025-04-01/2025-04-30"]


def test_a_fact_has_the_same_id_however_often_it_is_noticed() -> None:
    scenario = watched().at("2025-02-01").given(reading(JANUARY))
    early, late = facts(scenario, day("2025-03-11")), facts(scenario, day("2025-05-01"))
    assert early == late[:1]
    assert early[0][0].startswith("missed-churn-2025-02-28-")
    assert len(early[0][0]) == len("missed-churn-2025-02-28-") + 12
    assert len({command_id for command_id, _ in late}) == 2


def test_a_long_id_is_cut_short() -> None:
    name = "k" * 64
    scenario = company().given(kpi(name)).at("2025-02-01").given(reading(JANUARY, kpi_id=name))
    (command_id, command), *_ = facts(scenario, day("2025-04-15"))
    assert (len(command_id), command.kpi_id) == (47, name)


def test_without_any_reading_the_first_full_period_is_due() -> None:
    assert due(watched(), "2025-03-10T23:59:59+00:00") == []
    assert due(watched(), "2025-03-11T00:00:00+00:00") == [FEBRUARY]


@pytest.mark.parametrize(
    ("frequency", "after", "year_begins", "period"),
    [
        ("daily", "2024-02-28", 1, "2024-02-29/2024-02-29"),
        ("weekly", "2025-01-05", 1, "2025-01-06/2025-01-12"),
        ("weekly", "2025-01-06", 1, "2025-01-13/2025-01-19"),
        ("monthly", "2025-01-31", 1, "2025-02-01/2025-02-28"),
        ("monthly", "2025-12-01", 1, "2026-01-01/2026-01-31"),
        ("quarterly", "2025-01-01", 1, "2025-04-01/2025-06-30"),
        ("quarterly", "2025-01-01", 2, "2025-02-01/2025-04-30"),
        ("yearly", "2025-01-02", 1, "2026-01-01/2026-12-31"),
        ("yearly", "2025-01-02", 4, "2025-04-01/2026-03-31"),
    ],
)
def test_the_first_full_period_after_a_day(
    frequency: Frequency, after: str, year_begins: int, period: str
) -> None:
    assert first_full(date.fromisoformat(after), frequency, year_begins).period == period


@pytest.mark.parametrize(
    ("frequency", "day_in_it", "year_begins", "period"),
    [
        ("daily", "2024-02-29", 1, "2024-02-29/2024-02-29"),
        ("weekly", "2025-01-06", 1, "2025-01-06/2025-01-12"),
        ("weekly", "2025-01-05", 1, "2024-12-30/2025-01-05"),
        ("monthly", "2024-02-29", 1, "2024-02-01/2024-02-29"),
        ("quarterly", "2025-01-31", 2, "2024-11-01/2025-01-31"),
        ("quarterly", "2025-02-01", 2, "2025-02-01/2025-04-30"),
        ("yearly", "2025-03-31", 4, "2024-04-01/2025-03-31"),
        ("yearly", "2025-12-31", 1, "2025-01-01/2025-12-31"),
    ],
)
def test_the_period_around_a_day(
    frequency: Frequency, day_in_it: str, year_begins: int, period: str
) -> None:
    assert around(date.fromisoformat(day_in_it), frequency, year_begins).period == period


@pytest.mark.parametrize(
    ("frequency", "periods"),
    [
        ("daily", ["2024-02-28/2024-02-28", "2024-02-29/2024-02-29", "2024-03-01/2024-03-01"]),
        ("weekly", ["2020-12-21/2020-12-27", "2020-12-28/2021-01-03", "2021-01-04/2021-01-10"]),
        ("monthly", ["2024-01-01/2024-01-31", "2024-02-01/2024-02-29", "2024-03-01/2024-03-31"]),
        ("monthly", ["2025-01-15/2025-02-14", "2025-02-15/2025-03-14", "2025-03-15/2025-04-14"]),
        ("monthly", ["2025-01-31/2025-01-31", "2025-02-28/2025-02-28", "2025-03-31/2025-03-31"]),
        ("monthly", ["2025-01-30/2025-01-30", "2025-02-28/2025-02-28"]),
        ("monthly", ["2025-01-15/2025-01-15", "2025-02-15/2025-02-15"]),
        ("monthly", ["2025-01-28/2025-02-27", "2025-02-28/2025-03-27", "2025-03-28/2025-04-27"]),
        ("monthly", ["2025-01-01/2025-03-31", "2025-02-01/2025-04-30"]),
        ("quarterly", ["2024-11-01/2025-01-31", "2025-02-01/2025-04-30"]),
        ("yearly", ["2023-03-01/2024-02-29", "2024-03-01/2025-02-28", "2025-03-01/2026-02-28"]),
    ],
)
def test_a_period_keeps_its_shape(frequency: Frequency, periods: list[str]) -> None:
    for one, other in pairwise(periods):
        first, last = map(date.fromisoformat, one.split("/"))
        assert following(Span(first, last), frequency).period == other


def test_after_another_frequency_came_the_periods_begin_anew() -> None:
    scenario = watched().at("2025-02-01").given(reading(JANUARY))
    scenario.given(
        RedefineKpi(
            kpi_id="churn",
            definition=definition(frequency="quarterly"),
            effective_on=day("2025-02-01").date(),
        )
    )
    assert due(scenario, "2025-12-01") == ["2025-04-01/2025-06-30", "2025-07-01/2025-09-30"]


def test_a_frequency_holds_for_the_period_that_begins_under_it() -> None:
    scenario = watched().at("2025-02-01").given(reading(JANUARY))
    scenario.given(
        RedefineKpi(
            kpi_id="churn",
            definition=definition(frequency="quarterly"),
            effective_on=day("2025-02-02").date(),
        )
    )
    assert due(scenario, "2025-03-25") == [FEBRUARY]


def test_what_was_missed_goes_before_what_was_read_for_longer_and_ends_with_it() -> None:
    scenario = watched().at("2025-05-01").given(reading("2025-01-01/2025-02-28"))
    scenario.given(RecordMissedReading(kpi_id="churn", period=FEBRUARY))
    assert due(scenario, "2025-05-01") == [MARCH]


def test_another_source_does_not_help() -> None:
    scenario = watched().at("2025-04-20").given(reading(JANUARY), reading(MARCH, source="survey"))
    assert due(scenario, "2025-04-20") == [FEBRUARY, MARCH]
    assert due(watched().at("2025-04-20").given(reading(MARCH, source="survey")), "2025-04-20")


def test_a_new_source_goes_on_where_the_old_one_ended() -> None:
    scenario = watched().at("2025-02-01").given(reading(JANUARY))
    other = definition(source="warehouse")
    scenario.given(
        RedefineKpi(kpi_id="churn", definition=other, effective_on=day("2025-02-01").date())
    )
    (_, missed), *_ = facts(scenario, day("2025-03-11"))
    assert (missed.period, missed.source) == (FEBRUARY, "warehouse")


def test_a_retracted_reading_did_not_come() -> None:
    scenario = watched().at("2025-04-20").given(reading(FEBRUARY), reading(MARCH))
    scenario.given(RetractReading(kpi_id="churn", period=MARCH, reason="another team's"))
    assert due(scenario, "2025-04-20") == [MARCH]


def test_one_that_was_missed_and_came_late_is_not_missed_again() -> None:
    scenario = watched().at("2025-04-20").given(reading(FEBRUARY))
    scenario.given(RecordMissedReading(kpi_id="churn", period=MARCH), reading(MARCH))
    assert due(scenario, "2025-04-20") == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_nobody_may_say_that_a_reading_was_missed_while_it_may_still_come(zone: str) -> None:
    scenario = watched(zone=zone).at("2025-02-01")
    missed = RecordMissedReading(kpi_id="churn", period=JANUARY)
    scenario.when(missed).refuses(Reason.EFFECTIVE_IN_FUTURE, rule="R26")
    offset = "+00:00" if zone == "UTC" else "+01:00"
    scenario.at(f"2025-02-10T23:59:59.999999{offset}")
    scenario.when(missed).refuses(Reason.EFFECTIVE_IN_FUTURE, rule="R26")
    scenario.at(f"2025-02-11T00:00:00{offset}").when(missed).records(KpiReadingMissed)


def test_nothing_is_due_where_it_is_not_wanted() -> None:
    later = "2026-01-01"
    assert due(watched(Policy(missed_readings="off")), later) == []
    assert due(watched().given(RetireKpi(kpi_id="churn")), later) == []
    importing = watched().given(StartHistoryImport(import_id="i", source="s", digest="d"))
    assert due(importing, later) == []
    computed = Ratio(numerator="churn", denominator="base", factor=Decimal(100))
    scenario = company().given(kpi(), kpi("base"), kpi("share", formula=computed))
    assert {each.kpi_id for _, each in facts(scenario, day(later))} == {"churn", "base"}


def test_one_call_gives_no_flood_and_the_next_goes_on() -> None:
    scenario = watched(frequency="daily")
    found = facts(scenario, day("2025-12-31"))
    assert len(found) == FACTS_MAX
    for _, command in found:
        scenario.at("2025-12-31").given(command)
    (_, following_one), *_ = facts(scenario, day("2025-12-31"))
    assert following_one.period == "2025-04-13/2025-04-13"


def test_what_is_due_may_be_recorded_while_it_is_taken() -> None:
    scenario = watched().given(kpi("nps")).at("2025-05-20")
    for _, command in facts_due(scenario.state, scenario.now):
        scenario.given(command, kpi(f"new-{len(scenario.history)}"))
    assert due(scenario, "2025-05-20") == []


# ------------------------------------------------------------------------------ gaps


def quarterly(effective_on: str) -> RedefineKpi:
    return RedefineKpi(
        kpi_id="churn",
        definition=definition(frequency="quarterly"),
        effective_on=day(effective_on).date(),
    )


def test_a_gap_before_a_later_reading_was_missed() -> None:
    scenario = watched().at("2025-04-02").given(reading(JANUARY), reading(MARCH))
    assert due(scenario, "2025-04-02") == [FEBRUARY]


def test_what_was_missing_before_the_first_reading_came_was_missed() -> None:
    assert due(watched().at("2025-04-02").given(reading(MARCH)), "2025-04-02") == [FEBRUARY]


def test_several_gaps_are_missed_the_oldest_first() -> None:
    scenario = (
        watched(frequency="weekly")
        .at("2025-03-01")
        .given(reading("2025-01-13/2025-01-19"), reading("2025-01-27/2025-02-02"))
    )
    assert due(scenario, "2025-02-10T00:00:00+00:00") == [
        "2025-01-06/2025-01-12",
        "2025-01-20/2025-01-26",
    ]
    assert due(scenario, "2025-02-13")[2:] == ["2025-02-03/2025-02-09"]


def test_a_gap_has_its_own_grace_though_a_later_reading_has_come() -> None:
    policy = Policy(reading_grace=ReadingGrace(monthly=40))
    scenario = watched(policy).at("2025-04-01").given(reading(JANUARY), reading(MARCH))
    assert due(scenario, "2025-04-09T23:59:59.999999+00:00") == []
    assert due(scenario, "2025-04-10T00:00:00+00:00") == [FEBRUARY]
    scenario.given(reading(FEBRUARY))
    assert due(scenario, "2025-05-10") == []


def test_a_gap_that_was_recorded_or_filled_is_none() -> None:
    scenario = watched().at("2025-04-02").given(reading(JANUARY), reading(MARCH))
    filled = watched().at("2025-04-02").given(reading(JANUARY), reading(MARCH), reading(FEBRUARY))
    for _, command in facts(scenario, scenario.now):
        scenario.given(command)
    assert due(scenario, "2025-04-02") == due(filled, "2025-04-02") == []
    april = "2025-04-01/2025-04-30"
    assert due(scenario, "2025-05-11") == due(filled, "2025-05-11") == [april]


def test_a_retracted_reading_leaves_a_gap() -> None:
    scenario = watched().at("2025-04-02").given(*map(reading, (JANUARY, FEBRUARY, MARCH)))
    scenario.given(RetractReading(kpi_id="churn", period=FEBRUARY, reason="another team's"))
    assert due(scenario, "2025-04-02") == [FEBRUARY]


@pytest.mark.parametrize(
    "longer", ["2025-01-15/2025-02-14", "2025-02-28/2025-03-30", "2025-01-01/2025-03-31"]
)
def test_a_period_that_overlaps_a_known_one_is_no_gap(longer: str) -> None:
    scenario = watched().at("2025-04-02").given(reading(JANUARY), reading(longer))
    assert FEBRUARY not in due(scenario, "2025-04-02")


@pytest.mark.parametrize("known", ["2025-02-28/2025-02-28", "2025-02-01/2025-02-01"])
def test_a_single_day_inside_a_period_is_enough(known: str) -> None:
    scenario = watched().at("2025-04-02").given(reading(JANUARY), reading(known))
    assert FEBRUARY not in due(scenario, "2025-04-02")


def test_what_was_over_when_the_kpi_was_defined_is_not_missed() -> None:
    scenario = (
        watched()
        .at("2025-02-01")
        .given(reading("2020-01-01/2020-01-31"), reading("2024-10-01/2024-10-31"))
    )
    assert due(scenario, "2025-02-11") == [JANUARY]
    scenario.given(reading("2024-12-01/2024-12-31"))
    assert due(scenario, "2025-02-11") == [JANUARY]


def test_after_old_readings_of_a_shape_of_their_own_the_calendar_counts() -> None:
    scenario = watched().at("2025-02-01").given(reading("2024-08-15/2024-09-14"))
    assert due(scenario, "2025-02-11") == [JANUARY]


def test_a_shape_that_is_still_current_goes_on() -> None:
    scenario = watched().at("2025-02-01").given(reading("2024-11-15/2024-12-14"))
    assert due(scenario, "2025-02-11") == ["2024-12-15/2025-01-14"]


def test_after_another_frequency_came_first_the_periods_begin_anew() -> None:
    scenario = watched().at("2025-01-10").given(quarterly("2025-02-01"))
    assert due(scenario, "2025-12-01") == ["2025-04-01/2025-06-30", "2025-07-01/2025-09-30"]
    assert due(watched().given(quarterly("2025-02-02")), "2025-04-01") == [FEBRUARY]
    assert due(watched().given(quarterly("2025-01-03")), "2025-12-01") == [
        "2025-04-01/2025-06-30",
        "2025-07-01/2025-09-30",
    ]


def test_another_frequency_holds_after_what_was_read_and_what_was_not() -> None:
    scenario = watched().at("2025-03-02").given(quarterly("2025-03-01"))
    second = "2025-04-01/2025-06-30"
    assert due(scenario, "2025-07-21") == [FEBRUARY, second]
    scenario.given(reading(JANUARY), reading(FEBRUARY))
    assert due(scenario, "2025-07-20") == []
    assert due(scenario, "2025-07-21") == [second]


def test_what_ends_on_the_day_of_the_definition_was_read_before_the_watch() -> None:
    scenario = watched().at("2025-02-01").given(reading("2024-12-03/2025-01-02"))
    assert due(scenario, "2025-02-13") == ["2025-01-03/2025-02-02"]
    changed = watched().given(quarterly("2025-01-03")).at("2025-02-01")
    changed.given(reading("2024-12-03/2025-01-02"))
    assert due(changed, "2025-07-21") == ["2025-04-01/2025-06-30"]


def test_what_would_have_ended_on_the_day_of_the_definition_is_not_awaited() -> None:
    scenario = watched().at("2025-02-01").given(reading("2024-11-03/2024-12-02"))
    assert due(scenario, "2025-02-11") == [JANUARY]


def test_the_watch_begins_on_the_day_after_the_definition() -> None:
    scenario = watched(frequency="daily").at("2025-01-03")
    scenario.given(reading("2024-12-01/2024-12-01"))
    assert due(scenario, "2025-01-05") == ["2025-01-03/2025-01-03"]


def test_of_several_each_has_its_own_grace_to_the_last_instant() -> None:
    scenario = watched()
    assert due(scenario, "2025-04-10T23:59:59.999999+00:00") == [FEBRUARY]
    assert due(scenario, "2025-04-11T00:00:00+00:00") == [FEBRUARY, MARCH]


def test_while_it_is_computed_nothing_is_awaited_and_after_that_it_is() -> None:
    computed = definition(formula=Ratio(numerator="won", denominator="lost", factor=Decimal(1)))
    scenario = company().given(kpi("won"), kpi("lost"), kpi())
    scenario.given(RedefineKpi(kpi_id="churn", definition=computed, effective_on=date(2025, 2, 1)))
    for input_id in ("won", "lost"):
        scenario.given(RetireKpi(kpi_id=input_id))
    assert due(scenario, "2026-01-01") == []
    entered = RedefineKpi(kpi_id="churn", definition=definition(), effective_on=date(2025, 3, 15))
    scenario.given(entered)
    assert due(scenario, "2025-05-01") == [MARCH]


def finished(scenario: Scenario, *steps: Command) -> Scenario:
    """These commands as an import of 2022, which is brought in now."""
    started = StartHistoryImport(import_id="i", source="s", digest="d")
    scenario.given(started)
    scenario.given(*steps, import_id="i")
    return scenario.given(FinishHistoryImport(import_id="i", outcome="completed"))


def test_of_what_was_over_when_an_import_was_finished_nothing_is_missed() -> None:
    scenario = watched().at("2025-06-20")
    finished(scenario, reading(JANUARY), reading(MARCH))
    assert due(scenario, "2025-06-20") == []
    assert due(scenario, "2025-07-10T23:59:59+00:00") == []
    assert due(scenario, "2025-07-11") == ["2025-06-01/2025-06-30"]


def test_a_period_in_which_an_import_was_finished_is_awaited() -> None:
    scenario = watched().at("2025-06-20")
    finished(scenario, reading("2025-05-01/2025-05-31"))
    assert due(scenario, "2025-07-11") == ["2025-06-01/2025-06-30"]


def test_where_no_reading_stands_the_first_full_period_after_an_import_is_awaited() -> None:
    scenario = watched().at("2025-06-20").given(reading(JANUARY))
    scenario.given(RetractReading(kpi_id="churn", period=JANUARY, reason="another team's"))
    finished(scenario)
    assert due(scenario, "2025-07-11") == []
    assert due(scenario, "2025-08-11") == ["2025-07-01/2025-07-31"]


def test_of_what_was_over_before_missed_readings_were_recorded_nothing_is_missed() -> None:
    scenario = watched(Policy(missed_readings="off")).at("2025-03-05").given(reading(JANUARY))
    scenario.given(ChangePolicy(policy=Policy(), reason="from now on"))
    assert due(scenario, "2025-05-01") == [MARCH]
    scenario.given(ChangePolicy(policy=Policy(missed_readings="off"), reason="not any more"))
    assert due(scenario, "2025-05-01") == []


def test_another_grace_or_year_holds_at_once() -> None:
    scenario = watched().given(kpi("sales", frequency="quarterly"))
    changed = Policy(reading_grace=ReadingGrace(monthly=20), fiscal_year_start_month=2)
    scenario.given(ChangePolicy(policy=changed, reason="we know now"))
    assert due(scenario, "2025-03-20T23:59:59+00:00") == []
    assert due(scenario, "2025-03-21") == [FEBRUARY]
    assert due(scenario, "2025-05-21")[-1:] == ["2025-02-01/2025-04-30"]


def test_a_look_at_nothing_due_looks_at_no_kpi(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = watched().at("2025-02-01").given(reading(JANUARY))

    def looks(*_: object) -> None:
        raise AssertionError("it is looked at")

    monkeypatch.setattr("services.ledger.domain.due._missed", looks)
    assert due(scenario, "2025-03-10") == []
    with pytest.raises(AssertionError, match="looked at"):
        due(scenario, "2025-03-11")


def test_a_reading_that_is_not_late_is_looked_at_from_what_is_awaited_on() -> None:
    begun: list[Span | None] = []

    def noted(organisation: Organisation, kpi: Kpi, awaited: Span | None = None) -> Watch:
        begun.append(awaited)
        return watch(organisation, kpi, awaited)

    def daily(on: str) -> str:
        return f"{on}/{on}"

    with patch("services.ledger.domain.evolve.watch", noted):
        scenario = watched(frequency="daily").at("2025-01-10")
        scenario.given(*(reading(daily(f"2025-01-0{on}")) for on in (3, 5, 4, 2)))
        third, fourth = (Span(date(2025, 1, on), date(2025, 1, on)) for on in (3, 4))
        assert begun == [None, third, fourth, fourth, None]


# ------------------------------------------------------------------------------ by hand


def test_within_its_grace_a_reading_is_not_missed_whoever_says_so() -> None:
    missed = RecordMissedReading(kpi_id="churn", period=JANUARY)
    scenario = watched(zone="Europe/Berlin").at("2025-02-10T22:59:59.999999+00:00")
    refusal = scenario.when(missed).refuses(Reason.EFFECTIVE_IN_FUTURE, rule="R26")
    assert "10 days" in refusal.message
    assert refusal.seen == "2025-02-10T22:59:59.999999+00:00"
    assert refusal.accepted == "after the end of 2025-02-10"
    assert scenario.at("2025-02-10T23:00:00+00:00").when(missed).accepted()


def test_the_grace_is_the_one_of_the_frequency_on_the_last_day() -> None:
    missed = RecordMissedReading(kpi_id="churn", period=MARCH)
    scenario = watched().given(quarterly("2025-03-31"))
    scenario.at("2025-04-20").when(missed).refuses(Reason.EFFECTIVE_IN_FUTURE, rule="R26")
    assert scenario.at("2025-04-21").when(missed).accepted()
