"""Field blame: who changed which field of a thing, when, why, from and to.

Most fields come from comparing the state before and after; what is no part of the state (check-ins,
readings, reviews, comments) from the event, under a path that names it: `check_ins.c-7.value`.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from goal_contracts import codec, events
from goal_contracts.codec import Recorded
from msgspec import Struct

from services.projections.views.current import CycleState, KpiState, State
from services.projections.views.rows import CheckInRow, EventChanges

Difference = tuple[str, Any, Any]
"""Field, value before, value now; None where there is none."""

FACTS: Final = frozenset(
    event.__name__
    for event in (
        events.CheckedIn,
        events.CheckInCorrected,
        events.CheckInRetracted,
        events.KpiReadingRecorded,
        events.KpiReadingCorrected,
        events.KpiReadingRetracted,
        events.KpiReadingMissed,
        events.KpiHealthChanged,
    )
)
"""What counts by its own effective date, as soon as it is known."""
DEFINING: Final = frozenset(
    event.__name__ for event in (events.KpiDefined, events.KpiRedefined, events.KpiRetargeted)
)
"""What counts as soon as it is known: a KPI measures what it measures all along."""
TELLING: Final = (events.CheckedIn, events.KpiReadingRecorded)
"""Facts that say by themselves all that they changed: no row is kept of it, see `told_by`."""

_NO_FIELDS: Final = {
    "position",
    "retrospectives",
    "closings",
    "reviews",
    "added_at",
    "published_at",
    "score_origin",
    "score_reason",
    "health",
    "check_in_timing",
    "unit_id.unit",
    "cycle_id.cycle",
    "objective_id.objective",
    "key_result_id.key_result",
    "kpi_id.kpi",
}
"""The thing's own id (field and kind), and what changes with everything, has its own path, follows
from a moment, or says of the event what its row says."""
_NESTED: Final = {"policy", "definition"}
_CHECK_IN_FIELDS: Final = ("value", "confidence", "status", "note")
_READING_FIELDS: Final = ("value", "numerator", "denominator")

_NONE: Final[list[Difference]] = [("", None, None)]

_encode: Final = msgspec.json.Encoder().encode


def changes(
    recorded: Recorded, before: State | None, after: State | None, check_in: CheckInRow | None
) -> EventChanges:
    """The fields an event changed; `check_in` is what was last said of the check-in it is about."""
    differences = list(_told(recorded, check_in))
    if before is not after and after is not None:
        differences += _compared(before, after, recorded.kind)
    # By place: nearly every event has some, and by name they take twice as long.
    return EventChanges(
        recorded.organisation_id,
        recorded.kind,
        recorded.goal_id,
        recorded.position,
        recorded.type,
        _encode(differences or _NONE),
        recorded.actor,
        recorded.on_behalf_of,
        recorded.recorded_at,
        recorded.known_at,
        recorded.effective_at,
        recorded.reason,
        recorded.provenance,
    )


def told_by(position: int, payload: bytes) -> EventChanges:
    """What an event changed that tells it by itself, as it is stored."""
    return changes(codec.decode_event(position, payload), None, None, None)


def _compared(before: State | None, after: State, kind: str) -> Iterator[Difference]:
    fields_before = {} if before is None else dict(_fields(before, kind))
    for field, now in _fields(after, kind):
        was = fields_before.get(field)
        if was != now and (before is not None or _is_said(now)):
            yield field, was, now


def _fields(state: State, kind: str) -> Iterator[tuple[str, Any]]:
    if isinstance(state, CycleState):
        yield "policy", state.policy
    shown: Struct = state.card if isinstance(state, CycleState | KpiState) else state
    for field in shown.__struct_fields__:
        value = getattr(shown, field)
        if field in _NESTED and isinstance(value, Struct):
            for part in value.__struct_fields__:
                yield f"{field}.{part}", getattr(value, part)
        elif field not in _NO_FIELDS and f"{field}.{kind}" not in _NO_FIELDS:
            yield field, value


def _told(recorded: Recorded, check_in: CheckInRow | None) -> Iterator[Difference]:
    event = recorded.event
    match event:  # the most frequent first: each case that does not fit costs time
        case events.CheckedIn():
            for field in _CHECK_IN_FIELDS:
                if _is_said(said := getattr(event, field)):
                    yield f"check_ins.{event.check_in_id}.{field}", None, said
        case events.KpiReadingRecorded():
            for field in _READING_FIELDS:
                if (said := getattr(event, field)) is not None:
                    yield f"readings.{event.period}.{field}", None, said
        case events.CheckInCorrected():
            for field in _CHECK_IN_FIELDS:
                was, now = getattr(event, f"{field}_was"), getattr(event, field)
                if was != now:
                    yield f"check_ins.{event.check_in_id}.{field}", was, now
        case events.CheckInRetracted():
            for field in _CHECK_IN_FIELDS:
                if _is_said(was := getattr(check_in, field)):
                    yield f"check_ins.{event.check_in_id}.{field}", was, None
        case events.KpiReadingCorrected():
            for field in _READING_FIELDS:
                was, now = getattr(event, f"{field}_was"), getattr(event, field)
                if was != now:
                    yield f"readings.{event.period}.{field}", was, now
        case events.KpiReadingRetracted():
            yield f"readings.{event.period}.value", event.value_was, None
        case events.KpiReadingMissed():
            yield f"readings.{event.period}.missed", None, True
        case events.KpiHealthChanged():
            yield "health", event.health_was, event.health
        case events.KpiRedefined() | events.KpiRetargeted():
            yield "definition_effective_on", None, event.effective_on
        case events.KpiReviewOpened():
            yield f"reviews.{event.review_id}.owner", None, event.owner
            yield f"reviews.{event.review_id}.due_on", None, event.due_on
        case events.KpiReviewClosed():
            yield f"reviews.{event.review_id}.decision", None, event.decision
            if event.objective_id is not None:
                yield f"reviews.{event.review_id}.objective_id", None, event.objective_id
        case events.RetrospectiveRecorded():
            for field in ("went_well", "did_not_go_well", "learned", "celebrate"):
                if said := getattr(event, field):
                    yield f"retrospectives.{recorded.actor}.{field}", None, said
        case events.CommentAdded():
            yield f"comments.{event.comment_id}", None, event.text
        case _:
            pass


def _is_said(value: object) -> bool:
    if value:
        return True
    # Compared by identity where it matters: the number 0 equals False, and is said.
    return value is not None and value is not False and value not in ("", ())
