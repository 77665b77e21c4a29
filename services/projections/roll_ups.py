"""How the goals of each unit stand in a cycle, in a line: see views.tallies.

The answer is a function of the vantage alone, as every card is that it is made of.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from goal_contracts.queries import RollUp, UnitCard

from services.projections.as_of import Reached
from services.projections.report import in_tree_order
from services.projections.view_store.goals import Goal
from services.projections.views.tallies import Counted, Tallied


def parents_of(units: Sequence[Goal]) -> dict[str, str | None]:
    """The tree of units, as it stood."""
    return {
        goal.goal_id: goal.state.parent_id for goal in units if isinstance(goal.state, UnitCard)
    }


def roll_ups_of(
    goals: Iterable[Reached],
    cycle_id: str,
    units: Sequence[Goal],
    only: Collection[str] | None,
) -> list[RollUp]:
    """A cycle's roll-ups, in the order in which they are told; nothing where nothing counts.

    `units` are all there were; with `only` those are told of, and `goals` are theirs.
    """
    parents = parents_of(units)
    own: dict[str, Tallied] = defaultdict(Tallied)
    with_below: dict[str, Tallied] = defaultdict(Tallied)
    whole = Tallied()
    for card, key_results, progress in goals:
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
