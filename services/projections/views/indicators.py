"""Check-ins and readings: what was said of a key result or a KPI, and what replaced it.

A correction and a retraction stand beside what they replace, under its effective date.
"""

from typing import TypeVar, assert_never

from goal_contracts import events
from goal_contracts.codec import Recorded

from services.projections.views.current import BrokenHistory
from services.projections.views.rows import CheckInRow, FactEvent, ReadingRow

CheckInEvent = events.CheckedIn | events.CheckInCorrected | events.CheckInRetracted
ReadingEvent = (
    events.KpiReadingRecorded
    | events.KpiReadingCorrected
    | events.KpiReadingRetracted
    | events.KpiReadingMissed
)
Fact = TypeVar("Fact", CheckInRow, ReadingRow)


def check_in_row(recorded: Recorded, event: CheckInEvent, latest: CheckInRow | None) -> CheckInRow:
    """The row of a check-in event; `latest` is what was last said of the same check-in."""
    position = recorded.position
    match event:
        case events.CheckedIn():
            # By place: most rows are these, and by name they take twice as long.
            return CheckInRow(
                recorded.organisation_id,
                event.key_result_id,
                event.effective_at,
                position,
                position,
                event.check_in_id,
                "recorded",
                event.value,
                event.confidence,
                event.status,
                event.note,
                recorded.actor,
                recorded.known_at,
                recorded.recorded_at,
                recorded.provenance,
            )
        case events.CheckInCorrected():
            return _replaced(latest, recorded)._replace(
                position=position,
                event="corrected",
                value=event.value,
                confidence=event.confidence,
                status=event.status,
                note=event.note,
                actor=recorded.actor,
                known_at=recorded.known_at,
                recorded_at=recorded.recorded_at,
                provenance=recorded.provenance,
            )
        case events.CheckInRetracted():
            return _replaced(latest, recorded)._replace(
                position=position,
                event="retracted",
                value=None,
                confidence=None,
                status=None,
                note="",
                actor=recorded.actor,
                known_at=recorded.known_at,
                recorded_at=recorded.recorded_at,
                provenance=recorded.provenance,
            )
        case _:
            assert_never(event)


def reading_row(recorded: Recorded, event: ReadingEvent, latest: ReadingRow | None) -> ReadingRow:
    """The row of a reading event; `latest` is what was last said of the same period and source."""
    first_position, corrects = recorded.position, None
    value = value_was = definition_version = numerator = denominator = None
    said: FactEvent
    match event:
        case events.KpiReadingRecorded():
            said, value, definition_version = "recorded", event.value, event.definition_version
            numerator, denominator = event.numerator, event.denominator
        case events.KpiReadingMissed():
            said = "missed"
        case events.KpiReadingCorrected():
            replaced = _replaced(latest, recorded)
            first_position, corrects = replaced.first_position, replaced.position
            said, value, value_was = "corrected", event.value, event.value_was
            definition_version = event.definition_version
            numerator, denominator = event.numerator, event.denominator
        case events.KpiReadingRetracted():
            replaced = _replaced(latest, recorded)
            first_position, corrects = replaced.first_position, replaced.position
            said, value_was = "retracted", event.value_was
        case _:
            assert_never(event)
    # By place, as above.
    return ReadingRow(
        recorded.organisation_id,
        event.kpi_id,
        event.effective_at,
        first_position,
        recorded.position,
        event.period,
        event.source,
        said,
        value,
        value_was,
        corrects,
        definition_version,
        numerator,
        denominator,
        recorded.actor,
        recorded.known_at,
        recorded.recorded_at,
        recorded.reason,
        recorded.provenance,
    )


def _replaced(latest: Fact | None, recorded: Recorded) -> Fact:
    if latest is None or latest.event in {"retracted", "missed"}:
        raise BrokenHistory(
            f"{recorded.type} of {recorded.kind}/{recorded.goal_id} at position "
            f"{recorded.position} has nothing to replace"
        )
    return latest
