"""What is different at one moment from how it was at another: late changes first, then all things.

The cards of both moments are laid beside each other, those that AsOf shows with the same filters,
so that the one answer becomes the other by their differences. A page looks at so many things, and
tells those that differ.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Literal, NamedTuple, assert_never

from goal_contracts import codec
from goal_contracts.fields import Kind
from goal_contracts.queries import (
    Difference,
    Differences,
    FieldDifference,
    Happened,
    KeyResultCard,
    LateChange,
    ObjectiveCard,
    OrganisationCard,
    UnitCard,
)
from sqlalchemy import ColumnElement

from services.projections.as_of import Picture, Vantage
from services.projections.blame import Look, Shown, behind, seen_only_by
from services.projections.report import LATE, late_change
from services.projections.view_store.goals import Goal, Key
from services.projections.view_store.reader import FIRST, Reader
from services.projections.views.current import CycleState, OrganisationState
from services.projections.views.differences import Card, compared, in_words, title_of

GOALS: Final[tuple[Kind, ...]] = ("objective", "key_result")
LATE_FIRST: Final = "late"
SECTIONS: Final[tuple[Kind, ...]] = ("organisation", "unit", "cycle", *GOALS, "kpi")
"""The order of the pages, after what came late."""


class Place(NamedTuple):
    """Where a page ends: a section, and the key of the last thing in it that was looked at."""

    section: Kind | Literal["late"]
    key: Key


BEGINNING: Final = Place(LATE_FIRST, FIRST)


class Side:
    """One of the two moments.

    `goals` are the things of a kind that are shown then, after a key. `where` says which of the
    objectives and key results those are, where that can be said without looking at them.
    """

    def __init__(
        self,
        seen: Vantage,
        picture: Picture,
        goals: Callable[[Kind, Key], Iterator[Goal]],
        where: tuple[ColumnElement[bool], ...] | None,
    ) -> None:
        self.seen = seen
        self.goals = goals
        self.where = where
        self._picture = picture

    def look(self, kind: Kind, goals: Sequence[Goal]) -> Look:
        """Some things of a kind with their cards."""
        cards = {getattr(card, f"{kind}_id"): card for card in self._cards(kind, goals)}
        things = {
            goal.goal_id: Shown(goal, cards[goal.goal_id])
            for goal in goals
            if goal.goal_id in cards
        }
        return Look(self.seen, self._picture, things)

    def _cards(self, kind: Kind, goals: Sequence[Goal]) -> Iterable[Card]:
        match kind:
            case "organisation":
                return [
                    OrganisationCard(goal.goal_id, state.name, state.zone, state.policy)
                    for goal in goals
                    if isinstance(state := goal.state, OrganisationState)
                ]
            case "unit":
                return [goal.state for goal in goals if isinstance(goal.state, UnitCard)]
            case "cycle":
                return self._picture.cycles(goals)
            case "objective":
                return self._picture.objectives(goals)
            case "key_result":
                return self._picture.key_results(goals)
            case "kpi":
                return self._picture.kpis(goals)
            case _:
                assert_never(kind)


class Pair(NamedTuple):
    """A thing at both moments."""

    key: Key
    before: Goal | None
    after: Goal | None


class Comparison:
    """What is different `after` from how it was `before`."""

    def __init__(self, reader: Reader, organisation_id: str, before: Side, after: Side) -> None:
        self._reader = reader
        self._organisation_id = organisation_id
        self._before = before
        self._after = after
        self._first = min(before.seen.structure, after.seen.structure) + 1

    def page(self, start: Place, limit: int) -> tuple[Differences, Place | None]:
        """What a page tells, and where it ends, unless it is the last one."""
        section, key = start
        late: list[LateChange] = []
        things: list[Difference] = []
        end: Place | None = None
        if section == LATE_FIRST:
            found = [change for change in self._late() if change.position > int(key[0] or 0)]
            late, limit = found[:limit], limit - len(found)
            if limit < 0:
                end = Place(LATE_FIRST, (str(late[-1].position), "", ""))
            section, key = SECTIONS[0], FIRST
        to_tell: Sequence[Kind] = () if end is not None else SECTIONS[SECTIONS.index(section) :]
        for kind in to_tell:
            pairs = self._pairs(kind, key, limit + 1)
            things += self._differences(kind, pairs[:limit])
            if len(pairs) > limit:
                end = Place(kind, pairs[limit - 1].key if limit else key)
                break
            limit, key = limit - len(pairs), FIRST
        told = Differences(
            reflects_before=self._before.seen.reflects,
            reflects=self._after.seen.reflects,
            late=tuple(late),
            things=tuple(things),
        )
        return told, end

    # ------------------------------------------------------------------ late changes

    def _late(self) -> list[LateChange]:
        """Those that the second moment sees and the first does not, in order."""
        structure = self._after.seen.structure
        found: list[LateChange] = []
        for kind in GOALS:
            stored = [
                codec.decode_event(each.position, each.payload)
                for each in self._reader.events_at(self._organisation_id, self._late_at(kind))
            ]
            goals = {
                goal.goal_id: goal
                for goal in self._reader.goals_by_id(
                    self._organisation_id, kind, structure, {each.goal_id for each in stored}
                )
            }
            cycles = self._reader.states(
                self._organisation_id,
                "cycle",
                {goal.cycle_id for goal in goals.values()},
                structure,
            )
            for recorded in stored:
                card = goals[recorded.goal_id].state
                cycle = cycles[goals[recorded.goal_id].cycle_id]
                if isinstance(card, ObjectiveCard | KeyResultCard) and isinstance(
                    cycle, CycleState
                ):
                    found += late_change(recorded, card, cycle)
        return sorted(found, key=lambda change: change.position)

    def _late_at(self, kind: Kind) -> list[int]:
        """Where something may have come late to goals that the second moment shows."""
        structure, where = self._after.seen.structure, self._after.where
        if self._first > structure:
            return []
        bounds = self._organisation_id, kind, LATE[kind], self._first, structure
        if where is not None:
            return self._reader.changes.positions(*bounds, *where)
        goal_ids = [goal.goal_id for goal in self._after.goals(kind, FIRST)]
        return self._reader.changes.positions_of(*bounds, goal_ids)

    # ------------------------------------------------------------------ things

    def _pairs(self, kind: Kind, after: Key, limit: int) -> list[Pair]:
        """The next things that either moment shows, in order."""
        then, now = (
            {goal.key: goal for goal in islice(side.goals(kind, after), limit)}
            for side in (self._before, self._after)
        )
        keys = sorted(then.keys() | now.keys())[:limit]
        return [Pair(key, then.get(key), now.get(key)) for key in keys]

    def _differences(self, kind: Kind, pairs: Sequence[Pair]) -> Iterator[Difference]:
        """Those of the things that differ."""
        before = self._before.look(kind, [pair.before for pair in pairs if pair.before])
        after = self._after.look(kind, [pair.after for pair in pairs if pair.after])
        differing: dict[Key, tuple[FieldDifference, ...]] = {}
        for key, *_ in pairs:
            then, now = before.things.get(key[2]), after.things.get(key[2])
            if fields := compared(then and then.card, now and now.card):
                differing[key] = fields
        goal_ids = {goal_id for *_, goal_id in differing}
        before, after = before.only(goal_ids), after.only(goal_ids)
        changes = behind(self._reader, self._organisation_id, kind, (before, after), self._first)
        there = self._there(kind, before, after)
        for (cycle_id, objective_id, goal_id), fields in differing.items():
            then, now = before.things.get(goal_id), after.things.get(goal_id)
            is_there = goal_id in there
            happened: tuple[Happened, ...]
            if now is None:
                title = title_of(before.things[goal_id].card)
                happened = ("left",) if is_there else ("removed",)
            elif then is None:
                title = title_of(now.card)
                happened = ("entered",) if is_there else ("added",)
            else:
                title = title_of(now.card)
                happened = in_words(then.card, now.card, fields)
            yield Difference(
                kind=kind,
                id=goal_id,
                title=title,
                happened=happened,
                fields=fields,
                changes=seen_only_by(after, before, goal_id, changes[goal_id]),
                undone=seen_only_by(before, after, goal_id, changes[goal_id]),
                cycle_id=cycle_id or None,
                objective_id=objective_id or None,
            )

    def _there(self, kind: Kind, before: Look, after: Look) -> set[str]:
        """Of what only one moment shows, what was there at the other, too."""
        found: set[str] = set()
        for look, other in ((before, after), (after, before)):
            alone = look.things.keys() - other.things.keys()
            last = other.seen.known if kind == "kpi" else other.seen.structure
            found |= self._reader.there(self._organisation_id, kind, alone, last)
        return found
