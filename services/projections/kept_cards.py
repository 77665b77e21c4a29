"""Cards that are made once and kept as they are told, for whoever asks of everything.

Once a cycle is closed nothing in it follows from time any more, and the cards of its goals stay the
same from whatever moment they are looked at until something is changed in it afterwards. Those of
any other cycle are kept for the pages to come of one answer. A KPI's card stays the same from one
reading to the next.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
from goal_contracts import codec
from goal_contracts.queries import KeyResultCard, KpiCard, ObjectiveCard
from msgspec import Raw, Struct

from services.projections.as_of import Picture, Reached, Vantage
from services.projections.view_store.goals import Goal, Key
from services.projections.view_store.kept import Cards, CycleCards, KeptResults, Run
from services.projections.view_store.reader import FIRST, Reader
from services.projections.views.course import course_of
from services.projections.views.current import CycleState, KpiState, OrganisationState, State

ALL_FROM: Final = 200
"""Who asks for so many goals at once has all of a cycle made; fewer are made one by one."""
ALL_MAX: Final = 10_000
"""So many goals of a cycle are made at once at most: some seconds' work."""
AT_A_TIME: Final = 500
"""Of so many objectives."""

_objectives: Final = msgspec.json.Decoder(list[ObjectiveCard])
_key_results: Final = msgspec.json.Decoder(list[KeyResultCard])


class Part(NamedTuple):
    """Of one kind what a page tells, how many that is, and the place of the last of them.

    What is encoded already may be several cards at once, with commas between.
    """

    cards: tuple[Struct | Raw, ...]
    length: int
    last: Key
    has_more: bool


def settled(
    reader: Reader,
    organisation_id: str,
    organisation: OrganisationState,
    cycle: Goal,
    seen: Vantage,
) -> Hashable:
    """All that the cards of a cycle's goals depend on, once it is closed; None before.

    There are its events, as a late correction is one, and the readings that count in it. What lies
    below its objectives is seen from its closing, by the rules of `organisation` where a cycle has
    none of its own (see as_of).
    """
    place = organisation_id, cycle.goal_id, seen
    known = reader.kept.settled.get(place)
    if known is None:
        known = [_settled(reader, organisation_id, organisation, cycle, seen)]
        reader.kept.settled.put(place, known)
    return known[0]


def _settled(
    reader: Reader,
    organisation_id: str,
    organisation: OrganisationState,
    cycle: Goal,
    seen: Vantage,
) -> Hashable:
    state = cycle.state
    if not isinstance(state, CycleState) or state.card.state != "closed":
        return None
    course = course_of(state, organisation.policy, organisation.zone)
    closing = state.card.closings[-1]
    is_behind = seen.known >= closing.position and seen.known_at >= closing.at
    if not is_behind or seen.as_of < max(closing.at, course.end):
        return None
    kpi_ids = reader.linked_kpis(organisation_id, cycle.goal_id, seen.known)
    return (
        organisation_id,
        organisation.policy,
        cycle.goal_id,
        state.card.position,
        *(
            reader.last_in_cycle(organisation_id, cycle.goal_id, position)
            for position in (seen.structure, seen.known)
        ),
        reader.last_said_of(organisation_id, kpi_ids, course.start, course.last, seen.known),
    )


class CardsOfCycles:
    """Page after page of cards, cycle by cycle, as they stood from one vantage."""

    def __init__(
        self,
        reader: Reader,
        organisation_id: str,
        organisation: OrganisationState,
        picture: Picture,
        limit: int,
    ) -> None:
        """`limit` is how many goals are asked for at once."""
        self._reader = reader
        self._organisation_id = organisation_id
        self._organisation = organisation
        self._picture = picture
        self._limit = limit

    def page(self, kind: str, cycles: Iterable[Goal], after: Key, at_most: int) -> Part:
        """The cards of a kind behind a place in the order.

        `cycles` are those that are told of, in order.
        """
        runs, has_more, left = list[Run](), False, at_most
        for cycle in cycles:
            if cycle.goal_id >= after[0] and not has_more:
                run, has_more = self._run(kind, cycle, after, left)
                if run is not None:
                    runs.append(run)
                    left -= run.length
        last = runs[-1].last if runs else after
        return Part(tuple(run.told for run in runs), at_most - left, last, has_more)

    def _run(self, kind: str, cycle: Goal, after: Key, at_most: int) -> tuple[Run | None, bool]:
        found = self.all_of(cycle)
        if found is not None:
            cards = found.by_kind[kind]
        else:
            start = after if after[0] == cycle.goal_id else FIRST
            goals = self._goals(kind, cycle, start, at_most + 1)
            cards = self._made(kind, goals[:at_most])
            if len(goals) > at_most:
                return cards.after(FIRST, at_most), True
        run = cards.after(after, at_most)
        return run, cards.has_after(after if run is None else run.last)

    def all_of(self, cycle: Goal) -> CycleCards | None:
        """All cards of a cycle, if they are kept or may be made at once."""
        key, place = self._place_of(cycle)
        found = place.get(key)
        if found is None and self._may_be_made_at_once(cycle):
            found = self._made_of(cycle)
            place.put(key, found)
        return found

    def reached(self, cycle: Goal) -> list[Reached] | None:
        """What the roll-ups of a closed cycle are made of, read from its cards; None as above."""
        cards = self.all_of(cycle)
        if cards is None:
            return None
        below: dict[str, list[KeyResultCard]] = defaultdict(list)
        for each in _key_results.decode(cards.by_kind["key_result"].all()):
            below[each.objective_id].append(each)
        objectives = _objectives.decode(cards.by_kind["objective"].all())
        return [Reached(each, below[each.objective_id], each.progress) for each in objectives]

    def keep_ahead(self, cycle: Goal) -> bool:
        """Make the cards of a closed cycle before they are asked for; whether that was to be done.

        It is not, where they are kept already, or would take the place of others.
        """
        key, place = self._place_of(cycle)
        kept = self._reader.kept.cards
        if place is not kept or kept.is_nearly_full or kept.get(key) is not None:
            return False
        return self.all_of(cycle) is not None and kept.get(key) is not None

    def _place_of(self, cycle: Goal) -> tuple[Hashable, KeptResults[CycleCards]]:
        """Where the cards of a cycle are kept, and by what."""
        kept, seen = self._reader.kept, self._picture.seen
        key = settled(self._reader, self._organisation_id, self._organisation, cycle, seen)
        if key is not None:
            return key, kept.cards
        return (self._organisation_id, cycle.goal_id, seen), kept.cards_cut

    def _may_be_made_at_once(self, cycle: Goal) -> bool:
        if self._limit < ALL_FROM:
            return False
        count = self._reader.count_in_cycle(self._organisation_id, cycle.goal_id)
        return count <= ALL_MAX

    def _made_of(self, cycle: Goal) -> CycleCards:
        objectives: list[ObjectiveCard] = []
        key_results: list[KeyResultCard] = []
        cycle_id = cycle.goal_id
        whole = self._organisation_id, cycle_id, self._picture.seen.structure
        goals = self._reader.objectives_of_cycle(*whole)
        self._reader.read_key_results(*whole)
        for start in range(0, len(goals), AT_A_TIME):
            some = goals[start : start + AT_A_TIME]
            for objective, below in self._picture.objectives_with_key_results(some):
                objectives.append(objective)
                key_results += below
        return CycleCards(
            Cards([(cycle_id, "", each.objective_id) for each in objectives], _told(objectives)),
            Cards(
                [(cycle_id, each.objective_id, each.key_result_id) for each in key_results],
                _told(key_results),
            ),
        )

    def _goals(self, kind: str, cycle: Goal, after: Key, at_most: int) -> list[Goal]:
        return self._reader.goals_of_cycle(
            self._organisation_id,
            kind,
            self._picture.seen.structure,
            cycle.goal_id,
            after=after,
            limit=at_most,
        )

    def _made(self, kind: str, goals: Sequence[Goal]) -> Cards:
        cards: Sequence[Struct]
        if kind == "objective":
            cards = self._picture.objectives(goals)
        else:
            cards = self._picture.key_results(goals)
        return Cards([goal.key for goal in goals], _told(cards))


def _told(cards: Sequence[Struct]) -> list[bytes]:
    return [codec.encode(card) for card in cards]


class CardsOfKpis:
    """Page after page of the cards of all KPIs, as they stood from one vantage."""

    def __init__(self, reader: Reader, organisation_id: str, picture: Picture) -> None:
        self._reader = reader
        self._organisation_id = organisation_id
        self._picture = picture

    def page(self, after: Key, at_most: int) -> Part:
        """The cards behind a place in the order."""
        seen, kept = self._picture.seen, self._reader.kept.kpi_cards
        bounds = self._organisation_id, seen.known, seen.structure
        marks = self._reader.kpi_marks(*bounds, seen.as_of, after=after[2], limit=at_most + 1)
        has_more, marks = len(marks) > at_most, marks[:at_most]
        missed = self._picture.missed([mark.kpi_id for mark in marks])
        keys: dict[str, Hashable] = {}
        for mark in marks:
            rows = missed.get(mark.kpi_id, ())
            keys[mark.kpi_id] = (*mark, *(row.position for row in rows), self._organisation_id)
        told = kept.get_all(keys.values())
        absent = [kpi_id for kpi_id, key in keys.items() if key not in told]
        said = {mark.kpi_id: mark.said for mark in marks}
        goals = list(self._reader.kpis(*bounds, kpi_ids=absent)) if absent else []
        made: dict[Hashable, bytes] = {}
        for goal, card in zip(goals, self._picture.kpis(goals, missed), strict=True):
            key = keys[goal.goal_id]
            told[key] = codec.encode(card)
            if _is_timeless(goal.state, card, said[goal.goal_id]):
                made[key] = told[key]
        kept.put_all(made)
        last = ("", "", marks[-1].kpi_id) if marks else after
        cards = tuple(Raw(told[key]) for key in keys.values())
        return Part(cards, len(marks), last, has_more)


def _is_timeless(state: State, card: KpiCard, said: int | None) -> bool:
    """Whether all that a KPI's card depends on is in what it is found by.

    No review becomes overdue, no definition comes into force, and what was said last counts: had it
    been taken back, a period before would.
    """
    is_defined_once = isinstance(state, KpiState) and len(state.versions) == 1
    counts = None if card.reading is None else card.reading.position
    return is_defined_once and not card.reviews and counts == said
