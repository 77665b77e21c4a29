"""History is imported in order of its own dates, and alone."""

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    AddComment,
    Command,
    FinishHistoryImport,
    OpenOrganisation,
    RecordReadings,
    StartHistoryImport,
)
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import Scenario, company, kpi, reading

START = StartHistoryImport(import_id="i", source="okrs.jsonl", digest="sha256:1")
FINISH = FinishHistoryImport(import_id="i")
OTHER = StartHistoryImport(import_id="j", source="other.jsonl", digest="sha256:2")


def importing() -> Scenario:
    """Since 2 January 2025, with a KPI that came in."""
    return company().given(START).given(kpi(), import_id="i")


def test_an_import_starts_once_and_is_taken_up_again() -> None:
    scenario = company()
    scenario.when(START).records(events.HistoryImportStarted)
    scenario.when(START).does_nothing()
    scenario.at("2020-01-01").when(START, import_id="i").does_nothing()
    changed = StartHistoryImport(import_id="i", source="okrs.jsonl", digest="sha256:9")
    scenario.when(changed).refuses(Reason.ID_TAKEN)


def test_it_begins_no_earlier_than_what_is_known() -> None:
    company().at("2025-01-01").when(START).refuses(Reason.KNOWN_AT_OUT_OF_ORDER)
    company().at("2025-01-02").given(START)


def test_one_import_runs_at_a_time() -> None:
    importing().when(OTHER).refuses(Reason.IMPORT_RUNNING)
    importing().given(FINISH, OTHER)


@pytest.mark.parametrize(
    "command", [kpi("nps"), reading(), AddComment(goal="kpi/churn", comment_id="c", text="!")]
)
def test_while_it_runs_only_its_own_commands_are_taken(command: Command) -> None:
    scenario = importing().at("2025-03-01")
    scenario.when(command).refuses(Reason.IMPORT_RUNNING)
    scenario.when(command, import_id="j").refuses(Reason.IMPORT_NOT_RUNNING)
    assert scenario.when(command, import_id="i").accepted()


def test_a_finished_import_is_over() -> None:
    scenario = importing()
    assert scenario.when(FINISH).records(events.HistoryImportFinished).outcome == "completed"
    scenario.when(FINISH).does_nothing()
    scenario.when(START).refuses(Reason.IMPORT_FINISHED)
    scenario.when(kpi("nps"), import_id="i").refuses(Reason.IMPORT_FINISHED)
    stopped = FinishHistoryImport(import_id="i", outcome="stopped")
    scenario.when(stopped).refuses(Reason.IMPORT_FINISHED)
    scenario.when(kpi("nps")).records(events.KpiDefined)


def test_an_import_may_be_finished_as_it_stands() -> None:
    stopped = FinishHistoryImport(import_id="i", outcome="stopped")
    importing().when(stopped, import_id="i").records(events.HistoryImportFinished)


def test_what_does_not_run_is_not_finished() -> None:
    company().when(FINISH).refuses(Reason.IMPORT_NOT_RUNNING)
    company().when(kpi(), import_id="i").refuses(Reason.IMPORT_NOT_RUNNING)


def test_imported_facts_come_in_order() -> None:
    scenario = importing().at("2025-03-01").given(reading(), import_id="i")
    february = reading("2025-02-01/2025-02-28")
    earlier = scenario.at("2025-02-28T23:59:59.999999+00:00")
    earlier.when(february, import_id="i").refuses(Reason.KNOWN_AT_OUT_OF_ORDER)
    scenario.at("2025-03-01").given(february, import_id="i")


def test_what_is_already_there_may_be_asked_again_at_its_own_date() -> None:
    scenario = importing().at("2025-03-01").given(reading(), import_id="i").at("2025-02-01")
    scenario.when(reading(), import_id="i").does_nothing()
    scenario.when(RecordReadings(readings=(reading(),)), import_id="i").does_nothing()


def test_opening_again_is_harmless_while_an_import_runs() -> None:
    importing().when(OpenOrganisation(name="Acme")).does_nothing()
    opened_otherwise = OpenOrganisation(name="Other")
    importing().when(opened_otherwise).refuses(Reason.ORGANISATION_EXISTS)


def test_an_imported_command_is_judged_at_its_own_date() -> None:
    scenario = importing().at("2025-01-31T23:59:59.999998+00:00")
    scenario.when(reading(), import_id="i").refuses(Reason.EFFECTIVE_IN_FUTURE)


def test_a_live_clock_may_step_back() -> None:
    company().at("2025-01-01").given(kpi())
