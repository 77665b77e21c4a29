"""How the goals of each unit stand in a cycle, in a line: see views.tallies.

The answer is a function of the vantage alone, as every card is that it is made of.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence

from goal_contracts.queries import RollUp, UnitCard

from services.projections.as_of import Picture, Vantage
from services.projections.report import in_tree_order
from services.projections.view_store.goals import Goal
from services.projections.view_store.reader import Reader, Span
from services.projections.views.course import Course
from services.projections.views.current import CycleState
from services.projections.views.tallies import Counted, Tallied


def settled(
    reader: Reader,
    organisation_id: str,
    cycle: Goal,
    course: Course,
    units: Sequence[Goal],
    seen: Vantage,
) -> Hashable:
    """All that the roll-ups of a cycle depend on, once it is closed; None before.

    Then nothing in it follows from time any more: there are its events, as a late correction is
    one, the readings that count in it, and the tree of units. What lies below its objectives is
    seen from its closing (see as_of).
    """
    state = cycle.state
    if not isinstance(state, CycleState) or state.card.state != "closed":
        return None
    closing = state.card.closings[-1]
    is_behind = seen.known >= closing.position and seen.known_at >= closing.at
    if not is_behind or seen.as_of < max(closing.at, course.end):
        return None
    kpi_ids = reader.linked_kpis(organisation_id, cycle.goal_id, seen.known)
    counting = reader.counting_readings(
        organisation_id,
        [Span(kpi_id, course.start, course.last) for kpi_id in kpi_ids],
        seen.known,
    )
    return (
        organisation_id,
        cycle.goal_id,
        state,
        course.policy,
        tuple(
            reader.last_in_cycle(organisation_id, cycle.goal_id, position)
            for position in sorted({seen.structure, seen.known})
        ),
        frozenset(row.position for row in counting.values()),
        frozenset(_parents(units).items()),
    )


def _parents(units: Sequence[Goal]) -> dict[str, str | None]:
    return {
        goal.goal_id: goal.state.parent_id for goal in units if isinstance(goal.state, UnitCard)
    }


def roll_ups_of(
    picture: Picture,
    cycle_id: str,
    objectives: Sequence[Goal],
    units: Sequence[Goal],
    only: Collection[str] | None,
) -> list[RollUp]:
    """A cycle's roll-ups, in the order in which they are told; nothing where nothing counts.

    `units` are all there were; with `only` those are told of, and `objectives` are theirs.
    """
    parents = _parents(units)
    own: dict[str, Tallied] = defaultdict(Tallied)
    with_below: dict[str, Tallied] = defaultdict(Tallied)
    whole = Tallied()
    for card, key_results, progress in picture.progress(objectives):
        if card.state == "draft":
            continue
        counted = Counted.of(card, key_results, progress)
        for tallied in (
            whole,
            own[card.unit_id],
            *(with_below[unit_id] for unit_id in _upwards(card.unit_id, parents)),
        ):
            tallied.add(counted)
    if not own:
        return []
    told = [
        RollUp(cycle_id, with_below[unit.unit_id].tally(), unit.unit_id, own[unit.unit_id].tally())
        for unit in in_tree_order(iter(units), list(own))
        if only is None or unit.unit_id in only
    ]
    return told if only is not None else [RollUp(cycle_id, whole.tally()), *told]


def _upwards(unit_id: str, parents: Mapping[str, str | None]) -> Iterator[str]:
    """A unit and all above it."""
    above: str | None = unit_id
    while above is not None:
        yield above
        above = parents[above]
