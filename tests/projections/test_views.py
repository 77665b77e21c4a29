"""The pure part: events in, rows out."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from goal_contracts import codec, events
from goal_contracts.codec import Unrecognised
from msgspec import Raw
from msgspec.structs import replace

from services.projections.views.current import BrokenHistory, UnknownEvent, definition_on
from services.projections.views.current import DefinitionVersion as Version
from services.projections.views.days import end_of_day, local_day, start_of_day
from services.projections.views.history import TELLING, told_by
from tests.projections import company
from tests.projections.company import at, checked_in, life, opened
from tests.projections.log import Log, projected


def test_every_event_there_is_becomes_rows() -> None:
    log = life()
    assert {recorded.type for recorded in log} == set(events.EVENTS)
    rows = projected(log)
    positions = list(range(1, len(log) + 1))
    assert [row.position for row in rows.event] == positions
    kept = [row.position for row in log if not isinstance(row.event, TELLING)]
    assert [row.position for row in rows.change] == kept
    assert rows == projected(log)


def test_a_field_is_told_with_what_it_was_and_is() -> None:
    log = life()
    telling = [each for each in log if isinstance(each.event, TELLING)]
    all_told = projected(log).change
    all_told += [told_by(each.position, codec.encode_event(each)) for each in telling]
    rows = [row for each in all_told for row in each.rows()]
    told = {(row.event, row.field): (row.was, row.now) for row in rows}
    assert told["PolicyChanged", "policy.note_required"] == (b"false", b"true")
    assert told["UnitMoved", "parent_id"] == (b'"company"', b'"platform"')
    assert told["CycleReopened", "state"] == (b'"closed"', b'"reopened"')
    assert told["KeyResultReweighted", "weight"] == (b'"1"', b'"0"')
    assert told["CheckedIn", "check_ins.c.value"] == (None, b'"0"')
    assert told["CheckInCorrected", "check_ins.c.value"] == (b'"0"', None)
    assert told["KpiRedefined", "definition.source"] == (b'"probe"', b'"log"')
    assert told["KpiRedefined", "definition_effective_on"] == (None, b'"2025-08-01"')
    assert told["KpiReadingCorrected", "readings.2025-07-01/2025-07-31.value"] == (
        b'"99"',
        b'"98"',
    )
    assert told["KpiHealthChanged", "health"] == (b'"no_data"', b'"breach"')
    assert told["RetrospectiveRecorded", "retrospectives.u-17.went_well"] == (
        None,
        b'"all of it"',
    )
    assert told["KeyResultRetargeted", "original_measure"][0] is None


def test_an_event_of_an_unknown_type_is_not_guessed_at() -> None:
    log = opened()
    unknown = Unrecognised(type="goals.GoalTeleported.v1", data=Raw(b"{}"))
    log.append(replace(log[-1], position=12, event=unknown))
    with pytest.raises(UnknownEvent, match=r"position 12 .* goals.GoalTeleported.v1"):
        projected(log)


@pytest.mark.parametrize(
    "event",
    [
        events.UnitRenamed("nobody", name_was="a", name="b"),
        replace(company.KR, key_result_id="lost", objective_id="nowhere"),
        checked_in("c", "1", at(7, 2), kr="nobody"),
        events.CheckInRetracted("kr", check_in_id="none", effective_at=at(7, 2), reason="no"),
        events.KpiReadingRetracted(
            "kpi",
            period="2025-07-01/2025-07-31",
            effective_at=at(7, 31),
            value_was=Decimal(1),
            source="probe",
            reason="no",
        ),
    ],
)
def test_an_event_that_follows_on_nothing_is_a_broken_history(event: events.Event) -> None:
    log = opened()
    log.add(event)
    with pytest.raises(BrokenHistory, match="position 12 has nothing"):
        projected(log)


def test_nothing_happens_before_the_organisation_is_opened() -> None:
    log = Log()
    log.add(company.COMPANY)
    with pytest.raises(BrokenHistory, match="unit/company at position 1"):
        projected(log)


def test_the_first_definition_holds_from_always() -> None:
    versions = (
        Version(1, company.DEFINITION),
        Version(2, company.DEFINITION, date(2025, 9, 1)),
        Version(3, company.DEFINITION, date(2025, 8, 1)),
    )
    assert definition_on(versions, date(1999, 1, 1)).version == 1
    assert definition_on(versions, date(2025, 8, 31)).version == 3
    assert definition_on(versions, date(2025, 9, 1)).version == 2


def test_a_day_without_a_midnight_begins_at_its_first_instant() -> None:
    day = date(2018, 11, 4)  # in São Paulo clocks went from 00:00 to 01:00
    zone = "America/Sao_Paulo"
    assert start_of_day(day, zone) == datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert local_day(end_of_day(day, zone), zone) == day
    assert local_day(start_of_day(day, zone), zone) == day
