"""What a cycle came to: its late changes, its goals with their scores, and what is still open.

The answer is a function of the vantage alone. A closed cycle is looked at from its closing unless a
moment is asked for, so that its report stays the same whatever comes later (R20).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from goal_contracts import codec, events
from goal_contracts.codec import Recorded
from goal_contracts.measures import is_lowered
from goal_contracts.queries import (
    KeyResultCard,
    LateChange,
    LateKind,
    ObjectiveCard,
    Report,
    ReportedObjective,
    UnitCard,
)

from services.projections.as_of import Picture, Vantage
from services.projections.view_store import schema
from services.projections.view_store.goals import Goal
from services.projections.view_store.reader import Reader
from services.projections.views.current import CycleState, KpiState

LATE: Final = {
    "objective": (events.ObjectiveDrafted.__name__, events.ObjectiveDropped.__name__),
    "key_result": (
        events.KeyResultAdded.__name__,
        events.KeyResultRetargeted.__name__,
        events.KeyResultLinkedToKpi.__name__,
        events.KeyResultDropped.__name__,
    ),
}
"""By kind, the events that may add something to a running cycle, or take something from it."""

Part = LateChange | UnitCard | Goal
"""What a report is cut into: an objective or a KPI becomes a card only on its page."""


def parts_of(
    reader: Reader, organisation_id: str, cycle: CycleState, seen: Vantage, *, by_week: bool
) -> list[Part]:
    """The report of a cycle in the order in which it is told."""
    own = schema.goal.c.cycle_id == cycle.card.cycle_id
    objectives = list(reader.goals(organisation_id, "objective", seen.structure, own))
    key_results = list(reader.goals(organisation_id, "key_result", seen.structure, own))
    carried_by = {
        goal.goal_id: goal.state.unit_id
        for goal in objectives
        if isinstance(goal.state, ObjectiveCard)
    }
    carrying = set(carried_by.values())
    all_units = reader.goals(organisation_id, "unit", seen.structure)
    units = list(in_tree_order(all_units, carrying))
    place = {unit.unit_id: at for at, unit in enumerate(units)}
    kpis = reader.kpis(organisation_id, seen.known, seen.structure, unit_ids=carrying)
    changed = {"objective": objectives, "key_result": key_results}
    return [
        *_late_changes(reader, organisation_id, cycle, changed, seen),
        *units,
        *sorted(objectives, key=lambda goal: (place[carried_by[goal.goal_id]], goal.key)),
        *(kpi for kpi in kpis if is_under_review(kpi) or (by_week and _is_kept(kpi))),
    ]


def told(
    parts: Sequence[Part], cycle: Goal, picture: Picture, seen: Vantage, cursor: str | None
) -> Report:
    """Some parts of a report with their numbers; `cursor` asks for the rest."""
    goals = [each for each in parts if isinstance(each, Goal)]
    objectives = [each for each in goals if isinstance(each.state, ObjectiveCard)]
    (card,) = picture.cycles([cycle])
    return Report(
        reflects=seen.reflects,
        cycle=card,
        late=tuple(each for each in parts if isinstance(each, LateChange)),
        units=tuple(each for each in parts if isinstance(each, UnitCard)),
        objectives=tuple(
            ReportedObjective(objective, tuple(key_results))
            for objective, key_results in picture.objectives_with_key_results(objectives)
        ),
        kpis=tuple(picture.kpis(filter(is_under_review, goals))),
        cursor=cursor,
    )


def in_tree_order(units: Iterator[Goal], carrying: Collection[str]) -> Iterator[UnitCard]:
    """Units that carry something and all above them, each before those below it, by id."""
    cards = {goal.goal_id: goal.state for goal in units if isinstance(goal.state, UnitCard)}
    wanted: set[str] = set()
    for unit_id in carrying:
        above: str | None = unit_id
        while above is not None and above not in wanted:
            wanted.add(above)
            above = cards[above].parent_id
    below: dict[str | None, list[str]] = defaultdict(list)
    for unit_id in sorted(wanted, reverse=True):
        below[cards[unit_id].parent_id].append(unit_id)
    waiting = below[None]
    while waiting:
        unit_id = waiting.pop()
        yield cards[unit_id]
        waiting += below[unit_id]


def is_under_review(kpi: Goal) -> bool:
    """Whether somebody still has to look at a KPI."""
    return isinstance(kpi.state, KpiState) and any(
        review.closed_at is None for review in kpi.state.card.reviews
    )


def _is_kept(kpi: Goal) -> bool:
    return isinstance(kpi.state, KpiState) and not kpi.state.card.retired


def _late_changes(
    reader: Reader,
    organisation_id: str,
    cycle: CycleState,
    goals: dict[str, list[Goal]],
    seen: Vantage,
) -> list[LateChange]:
    """In order, also across the kinds of goals."""
    found: list[LateChange] = []
    for kind, of_kind in goals.items():
        cards = {goal.goal_id: goal.state for goal in of_kind}
        stored = reader.payloads(organisation_id, kind, cards, LATE[kind], seen.structure)
        for each in stored:
            recorded = codec.decode_event(each.position, each.payload)
            card = cards[recorded.goal_id]
            if isinstance(card, ObjectiveCard | KeyResultCard):
                found += late_change(recorded, card, cycle)
    return sorted(found, key=lambda change: change.position)


def late_change(
    recorded: Recorded, card: ObjectiveCard | KeyResultCard, cycle: CycleState
) -> tuple[LateChange, ...]:
    """What an event changed late, if it did; two of them say so only by when they happened."""
    marks = cycle.policy is not None and cycle.policy.mid_cycle_reason != "off"
    is_running = marks and 0 < cycle.activated_position < recorded.position
    change: LateKind
    measure_was = measure = None
    match recorded.event:
        case events.ObjectiveDrafted(mid_cycle=True) | events.KeyResultAdded(mid_cycle=True):
            change = "added"
        case events.KeyResultRetargeted(lowered=True, mid_cycle=True) as event:
            change, measure_was, measure = "lowered", event.measure_was, event.measure
        case events.KeyResultLinkedToKpi() as event if is_running and is_lowered(
            event.measure_was, event.measure
        ):
            change, measure_was, measure = "lowered", event.measure_was, event.measure
        case events.KeyResultDropped(mid_cycle=True):
            change = "dropped"
        case events.ObjectiveDropped() if is_running:
            change = "dropped"
        case _:
            return ()
    late = LateChange(
        position=recorded.position,
        at=recorded.known_at,
        actor=recorded.actor,
        change=change,
        goal=f"{recorded.kind}/{recorded.goal_id}",
        objective_id=card.objective_id,
        title=card.title,
        reason=recorded.reason,
        measure_was=measure_was,
        measure=measure,
    )
    return (late,)
