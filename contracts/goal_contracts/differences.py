"""A diff put to use: goals at one moment and what is different later give the goals of that moment.

Pure: answers in, an answer out.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from goal_contracts.queries import (
    CycleCard,
    Difference,
    Differences,
    Goals,
    KeyResultCard,
    KpiCard,
    ObjectiveCard,
    OrganisationCard,
    UnitCard,
)

CARDS: Final[Mapping[str, tuple[str, type[Any]]]] = {
    "unit": ("units", UnitCard),
    "cycle": ("cycles", CycleCard),
    "objective": ("objectives", ObjectiveCard),
    "key_result": ("key_results", KeyResultCard),
    "kpi": ("kpis", KpiCard),
}
"""Where an answer to AsOf has the cards of a kind."""
GONE: Final = frozenset({"removed", "left"})

_encoder: Final = msgspec.json.Encoder()


def applied(goals: Goals, pages: Iterable[Differences]) -> Goals:
    """The answer to AsOf at the second moment, from that at the first and all pages of the diff.

    `goals` are all pages of their answer as one, asked for with the diff's filters. Comments are
    left out, as the diff does not know them.
    """
    differing: list[Difference] = []
    reflects = goals.reflects
    for page in pages:
        differing += page.things
        reflects = page.reflects
    found: dict[str, list[Any]] = {}
    for kind, (place, card_type) in CARDS.items():
        cards = {getattr(card, f"{kind}_id"): card for card in getattr(goals, place)}
        for difference in differing:
            if difference.kind == kind:
                _apply(cards, difference, card_type)
        found[place] = list(cards.values())
    organisation = {} if goals.organisation is None else {"": goals.organisation}
    for difference in differing:
        if difference.kind == "organisation":
            _apply(organisation, replace(difference, id=""), OrganisationCard)
    cycle_of = {card.objective_id: card.cycle_id for card in found["objectives"]}
    return Goals(
        reflects=reflects,
        organisation=organisation.get(""),
        units=tuple(sorted(found["units"], key=lambda card: card.unit_id)),
        cycles=tuple(sorted(found["cycles"], key=lambda card: card.cycle_id)),
        objectives=tuple(
            sorted(found["objectives"], key=lambda card: (card.cycle_id, card.objective_id))
        ),
        key_results=tuple(
            sorted(
                found["key_results"],
                key=lambda card: (
                    cycle_of.get(card.objective_id, ""),
                    card.objective_id,
                    card.key_result_id,
                ),
            )
        ),
        kpis=tuple(sorted(found["kpis"], key=lambda card: card.kpi_id)),
    )


def _apply(cards: dict[str, Any], difference: Difference, card_type: type[Any]) -> None:
    if GONE & set(difference.happened):
        cards.pop(difference.id, None)
        return
    fields = fields_of(cards.get(difference.id))
    fields |= {each.field: each.now for each in difference.fields}
    cards[difference.id] = msgspec.json.decode(_encoder.encode(fields), type=card_type)


def fields_of(card: msgspec.Struct | None) -> dict[str, Raw]:
    """The fields of a card as they are on the wire; of none, none."""
    if card is None:
        return {}
    return msgspec.json.decode(_encoder.encode(card), type=dict[str, Raw])
