"""Cards that are made once and kept as they are told, for whoever asks of everything.

Once a cycle is closed nothing in it follows from time any more, and the cards of its goals stay the
same from whatever moment they are looked at until something is changed in it afterwards. Those of
any other cycle are kept for the pages to come of one answer. A KPI's card stays the same from one
reading to the next.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from typing import Final, NamedTuple

import msgspec
from goal_contracts import codec
from goal_contracts.queries import KeyResultCard, KpiCard, ObjectiveCard
from msgspec import Raw, Struct

from services.projections.as_of import Picture, Reached, Vantage
from services.projections.view_store import schema
from services.projections.view_store.goals import Goal, Key
from services.projections.view_store.kept import Cards, CycleCards, KeptResults, Run
from services.projections.view_store.late import Ended
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
    *,
    may_look: bool = True,
) -> Hashable:
    """All that the cards of a cycle's goals depend on, once it is closed; None before.

    There are its events, as a late correction is one, and the readings that count in it. What lies
    below its objectives is seen from its closing, by the rules of `organisation` where a cycle has
    none of its own (see as_of). Who may not look for them in the database is told None, too, where
    they are not known yet.
    """
    state = cycle.state
    if not isinstance(state, CycleState) or state.card.state != "closed":
        return None
    course = course_of(state, organisation.policy, organisation.zone)
    closing = state.card.closings[-1]
    is_behind = seen.known >= closing.position and seen.known_at >= closing.at
    if not is_behind or seen.as_of < max(closing.at, course.end):
        return None
    late = reader.late_known(organisation_id)
    if late.upto < seen.known:
        if not may_look:
            return None
        ended = partial(_ended, reader, organisation_id, organisation)
        late = reader.late(organisation_id, seen.known, ended)
    marks = late.marks(cycle.goal_id, seen.structure, seen.known)
    return organisation_id, organisation.policy, cycle.goal_id, state.card.position, *marks


def _ended(
    reader: Reader, organisation_id: str, organisation: OrganisationState, upto: int
) -> Iterator[Ended]:
    """All cycles that had been closed; when they were to end changes no more (R2)."""
    for cycle in reader.goals(organisation_id, "cycle", upto):
        if isinstance(cycle.state, CycleState) and cycle.state.card.closings:
            course = course_of(cycle.state, organisation.policy, organisation.zone)
            span = map(schema.microseconds, (course.start, course.last))
            yield Ended(cycle.goal_id, cycle.state.card.closings[0].position, *span)


Telling = Callable[[Key, int], tuple[Run | None, bool]]
"""Tells cards behind a place in the order, of so many at most, and whether more are left."""


def _page(tellings: Iterable[Telling], after: Key, at_most: int) -> Part:
    """What is told one after the other, until there is no more room."""
    runs, has_more, left = list[Run](), False, at_most
    for tell in tellings:
        run, has_more = tell(after, left)
        if run is not None:
            runs.append(run)
            left -= run.length
        if has_more:
            break
    last = runs[-1].last if runs else after
    return Part(tuple(run.told for run in runs), at_most - left, last, has_more)


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
        self._kept: list[tuple[str, CycleCards | None]] | None = None

    def page(self, kind: str, cycles: Iterable[Goal], after: Key, at_most: int) -> Part:
        """The cards of a kind behind a place in the order.

        `cycles` are those that are told of, in order.
        """
        return _page(
            (self._run(kind, cycle) for cycle in cycles if cycle.goal_id >= after[0]),
            after,
            at_most,
        )

    def page_of_units(
        self,
        kind: str,
        cycles: Iterable[Goal],
        unit_ids: Collection[str],
        goals: Callable[[set[str]], Iterable[Goal]],
        after: Key,
        at_most: int,
    ) -> Part:
        """The same of what some units carry; `goals` gives that of cycles whose cards are not kept.

        No cards are made for it that are not asked for.
        """
        runs: list[Telling] = []
        for is_kept, some in groupby(self._kept_of_all(cycles), lambda each: each[1] is not None):
            if is_kept:
                runs += [partial(each.of_units, unit_ids, kind) for _, each in some if each]
            else:
                runs.append(partial(self._told_of, kind, goals({cycle_id for cycle_id, _ in some})))
        return _page(runs, after, at_most)

    def page_of_goal(
        self,
        kind: str,
        cycle: Goal,
        objective_id: str,
        key_result_id: str | None,
        after: Key,
        at_most: int,
    ) -> Part | None:
        """The same of an objective, or of one of its key results; None, where they are not kept."""
        cards = self.kept_of(cycle)
        if cards is None:
            return None
        telling = partial(cards.of_objectives, [objective_id], kind)
        if key_result_id is not None:
            telling = partial(cards.of_key_result, objective_id, key_result_id)
        return _page([telling], after, at_most)

    def _kept_of_all(self, cycles: Iterable[Goal]) -> list[tuple[str, CycleCards | None]]:
        """All cards of each cycle, as far as they are kept."""
        if self._kept is None:
            self._kept = [(cycle.goal_id, self.kept_of(cycle)) for cycle in cycles]
            for _, cards in self._kept:
                if cards is not None:
                    self._reader.leave_out(cards.objective_ids)
        return self._kept

    def _run(self, kind: str, cycle: Goal) -> Telling:
        def told(after: Key, at_most: int) -> tuple[Run | None, bool]:
            cards = self.all_of(cycle)
            if cards is not None:
                return cards.by_kind[kind].told(after, at_most)
            start = after if after[0] == cycle.goal_id else FIRST
            return self._told_of(kind, self._goals(kind, cycle, start, at_most + 1), after, at_most)

        return told

    def _told_of(
        self, kind: str, goals: Iterable[Goal], after: Key, at_most: int
    ) -> tuple[Run | None, bool]:
        """The cards of some goals, all of which come after a place in the order."""
        some = list(islice(goals, at_most + 1))
        run, _ = self._made(kind, some[:at_most]).told(after, at_most)
        return run, len(some) > at_most

    def kept_of(self, cycle: Goal) -> CycleCards | None:
        """All cards of a closed cycle, if they are kept and it is known that they hold."""
        key = settled(
            self._reader,
            self._organisation_id,
            self._organisation,
            cycle,
            self._picture.seen,
            may_look=False,
        )
        return None if key is None else self._reader.kept.cards.get(key)

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
        of_units: dict[str, list[str]] = defaultdict(list)
        for each in objectives:
            of_units[each.unit_id].append(each.objective_id)
        return CycleCards(
            cycle_id,
            Cards([(cycle_id, "", each.objective_id) for each in objectives], _told(objectives)),
            Cards(
                [(cycle_id, each.objective_id, each.key_result_id) for each in key_results],
                _told(key_results),
            ),
            dict(of_units),
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
        missed = self._picture.missed_between(after[2], marks[-1].kpi_id) if marks else {}
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
