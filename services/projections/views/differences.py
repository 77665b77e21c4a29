"""What is different between two cards of one thing, field by field and in words."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import msgspec
from goal_contracts.differences import fields_of
from goal_contracts.queries import (
    CycleCard,
    FieldDifference,
    Happened,
    KeyResultCard,
    KpiCard,
    ObjectiveCard,
    OrganisationCard,
    UnitCard,
)
from msgspec import Raw

Card = OrganisationCard | UnitCard | CycleCard | ObjectiveCard | KeyResultCard | KpiCard

NOTHING: Final = Raw(b"null")
_encoder: Final = msgspec.json.Encoder()
_LEFT_OUT: Final = {
    kind: {
        field.name: Raw(_encoder.encode(field.default))
        for field in msgspec.structs.fields(kind)
        if not field.required
    }
    for kind in get_args(Card)
}
"""What a field says that is not on the wire."""

_WORDS: Final[Mapping[str, Happened | None]] = {
    "dropped": "dropped",
    "retired": "dropped",
    "title": "reworded",
    "description": "reworded",
    "name": "reworded",
    "measure": "retargeted",
    "owner": "reassigned",
    "unit_id": "reassigned",
    "score": "regraded",
    "score_computed": "regraded",
    "score_reason": "regraded",
    "waived": "regraded",
    "outcome": "regraded",
    "aspirational_score": "regraded",
    "committed_met": "regraded",
    "value": "progressed",
    "value_at": "progressed",
    "reached": "progressed",
    "progress": "progressed",
    "confidence": "progressed",
    "status": "progressed",
    "note": "progressed",
    "reading": "progressed",
    "missed": "progressed",
    # These say no more than another field, or than that time passed.
    "position": None,
    "original_measure": None,
    "value_origin": None,
    "progress_origin": None,
    "confidence_origin": None,
    "score_origin": None,
    "score_band": None,
    "health": None,
    "check_in_timing": None,
    "expected_pace": None,
    "definition_version": None,
    "bands": None,
    "advice": None,
}
"""What it is called when a field differs; any other is a change."""
_DEFINITION_WORDS: Final[Mapping[str, Happened]] = {
    "name": "reworded",
    "target": "retargeted",
    "bands": "retargeted",
}
_ORDER: Final[tuple[Happened, ...]] = get_args(Happened)


def compared(before: Card | None, after: Card | None) -> tuple[FieldDifference, ...]:
    """The fields that differ, as they are on the wire; of a card that stands alone, all of it."""
    if _encoder.encode(before) == _encoder.encode(after):  # as most cards do
        return ()
    was, now = fields_of(before), fields_of(after)
    if before is None or after is None:
        return tuple(
            FieldDifference(field, was.get(field, NOTHING), now.get(field, NOTHING))
            for field in was or now
        )
    left_out = _LEFT_OUT[type(after)]
    return tuple(
        FieldDifference(field, was.get(field, absent), now.get(field, absent))
        for field in after.__struct_fields__
        if was.get(field, absent := left_out.get(field, NOTHING)) != now.get(field, absent)
    )


def in_words(
    before: Card, after: Card, differences: tuple[FieldDifference, ...]
) -> tuple[Happened, ...]:
    """What happened to a thing that is there at both moments; nothing where only time passed."""
    found = set(_words(before, after, [each.field for each in differences]))
    return tuple(word for word in _ORDER if word in found)


def title_of(card: Card) -> str:
    """What people call the thing."""
    match card:
        case ObjectiveCard() | KeyResultCard():
            return card.title
        case KpiCard():
            return card.definition.name
        case _:
            return card.name


def _words(before: Card, after: Card, fields: list[str]) -> Iterator[Happened]:
    for field in fields:
        match field:
            case "state" if isinstance(after, ObjectiveCard) and after.state == "dropped":
                yield "dropped"
            case "outcome" if isinstance(after, ObjectiveCard) and after.outcome == "dropped":
                pass
            case "reviews" if isinstance(before, KpiCard) and isinstance(after, KpiCard):
                if _recorded(before) != _recorded(after):
                    yield "changed"
            case "definition" if isinstance(before, KpiCard) and isinstance(after, KpiCard):
                was, now = before.definition, after.definition
                for part in was.__struct_fields__:
                    if getattr(was, part) != getattr(now, part):
                        yield _DEFINITION_WORDS.get(part, "changed")
            case _:
                word = _WORDS.get(field, "changed")
                if word is not None:
                    yield word


def _recorded(card: KpiCard) -> list[Any]:
    """Reviews without what time alone makes of them."""
    return [msgspec.structs.replace(review, overdue=False) for review in card.reviews]
