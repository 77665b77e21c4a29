"""What is kept from one question to the next, decoded or worked out.

That is above all what many goals have in common: organisations, their units and their cycles. No
version of them ever changes, and nearly every question needs some. So all of an organisation's are
read once, and afterwards only those that came since; a question about a moment behind what is known
here looks into the database for them no more. They take half a KiB each.
"""

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from copy import copy
from datetime import datetime
from decimal import Decimal
from itertools import accumulate, chain
from operator import attrgetter
from typing import Final, Generic, NamedTuple, TypeVar

from goal_contracts.queries import Alert, RollUp, UnitCard
from msgspec import Raw

from services.projections.view_store.goals import Goal, Key
from services.projections.view_store.late import Late

KINDS: Final = frozenset({"organisation", "unit", "cycle"})
VERSIONS_MAX: Final = 50_000
"""So many are kept at most: some 25 MiB. Whoever was asked about longest ago goes first."""

STOOD_MAX: Final = 16
"""Of so many moments all things of a kind are kept together."""

ROLL_UPS_MAX: Final = 20_000
"""So many lines of roll-ups of closed cycles are kept at most: some 30 MiB."""
ROLL_UPS_CUT_MAX: Final = 5_000
"""And so many of cycles that a page ends in, for the page after it: some 8 MiB."""

ALERTS_MAX: Final = 20_000
"""So many alerts are kept at most, while page after page of them is asked for: some 20 MiB."""

BELOW_MAX: Final = 100_000
"""Of so many objectives of closed cycles it is kept what lies below them: some 30 MiB."""

CARDS_BYTES_MAX: Final = 128 * 2**20
"""Of the cards of closed cycles, as they are told."""
CARDS_CUT_BYTES_MAX: Final = 64 * 2**20
"""And of those of other cycles, for the pages to come of one answer: room for the largest cycle
that is made at once, or each page would make it anew."""
CARD_BYTES: Final = 256
"""What a card takes beside what is told of it: its place in the order."""
KPI_CARDS_BYTES_MAX: Final = 32 * 2**20
"""And of those of KPIs, without what they are found by, which takes half as much."""
LATE_MAX: Final = 500_000
"""So many positions are kept at most at which something came to cycles that were closed."""

NEARLY: Final = 0.75

Below = dict[str, tuple[Decimal | None, ...]]
"""By objective the progress of those that are aligned to it."""
S = TypeVar("S", bound=Sized)


class Version(NamedTuple):
    """A thing after the event at a position."""

    kind: str
    goal: Goal
    position: int


class Versions:
    """All versions of an organisation's things up to a position."""

    def __init__(self, upto: int, versions: Collection[Version] = ()) -> None:
        self.upto = upto
        self.count = len(versions)
        self._of: dict[str, dict[str, tuple[list[int], list[Goal]]]] = defaultdict(dict)
        for kind, goal, position in sorted(versions, key=_place):
            positions, goals = self._of[kind].setdefault(goal.goal_id, ([], []))
            positions.append(position)
            goals.append(goal)
        self._changed: dict[str, list[int]] = defaultdict(list)
        """Where something of a kind became another."""
        for kind, _, position in sorted(versions, key=attrgetter("position")):
            self._changed[kind].append(position)
        self._stood: dict[tuple[str, int], list[Goal]] = {}
        """All things of a kind after so many of those."""
        self._below: dict[int, dict[str, list[str]]] = {}
        """The units right below each, after so many changes of units."""

    def with_more(self, upto: int, more: Collection[Version]) -> "Versions":
        """The same up to a later position."""
        if not more:
            later = copy(self)
            later.upto = upto
            return later
        # What had come behind the position before was there already, and comes again.
        known = {_place(each): each for each in (*self._all(), *more)}
        return Versions(upto, known.values())

    def stood(self, kind: str, goal_id: str, position: int) -> Goal | None:
        """A thing at a position; None, if it was not there yet."""
        found = self._of[kind].get(goal_id)
        if found is None:
            return None
        positions, goals = found
        before = bisect_right(positions, position)
        return goals[before - 1] if before else None

    def began(self, kind: str, goal_id: str) -> int | None:
        """Where a thing came to be; None, if it never did."""
        found = self._of[kind].get(goal_id)
        return None if found is None else found[0][0]

    def all_stood(self, kind: str, position: int) -> list[Goal]:
        """All things of a kind at a position, in order; the same list as long as none changes."""
        place = kind, bisect_right(self._changed[kind], position)
        found = self._stood.get(place)
        if found is None:
            stood = (self.stood(kind, goal_id, position) for goal_id in self._of[kind])
            found = [goal for goal in stood if goal is not None]
            if len(self._stood) >= STOOD_MAX:
                self._stood.clear()
            self._stood[place] = found
        return found

    def right_below(self, position: int) -> dict[str, list[str]]:
        """The units right below each at a position."""
        place = bisect_right(self._changed["unit"], position)
        found = self._below.get(place)
        if found is None:
            found = below(self.all_stood("unit", position))
            if len(self._below) >= STOOD_MAX:
                self._below.clear()
            self._below[place] = found
        return found

    def _all(self) -> Iterator[Version]:
        for kind, things in self._of.items():
            for positions, goals in things.values():
                for position, goal in zip(positions, goals, strict=True):
                    yield Version(kind, goal, position)


Range = tuple[Key, Key]
"""From a place in the order up to another, which does not belong to it."""


class Run(NamedTuple):
    """Cards in their order, as JSON with commas between, and the place of the last."""

    length: int
    last: Key
    told: Raw


class Cards:
    """Cards of a kind in order, as they are told; one piece of memory, whatever their number."""

    def __init__(self, keys: Sequence[Key], told: Sequence[bytes]) -> None:
        self._keys = keys
        self._told = b",".join(told)
        self._ends = array("q", accumulate(len(each) + 1 for each in told))
        """For each where the one after it begins."""

    def __len__(self) -> int:
        """The bytes they take."""
        return len(self._told) + CARD_BYTES * len(self._keys)

    def told(
        self, after: Key, at_most: int, within: Iterable[Range] | None = None
    ) -> tuple[Run | None, bool]:
        """Those behind a place in the order, if there are any, and whether more of them are left.

        With `within` only those in some ranges, which come in order.
        """
        start, length, last = bisect_right(self._keys, after), 0, after
        pieces: list[bytes] = []
        whole = [(0, len(self._keys))]
        for begin, end in whole if within is None else map(self._places, within):
            first = max(begin, start)
            stop = min(end, first + at_most - length)
            if first < stop:
                pieces.append(self._told[self._start_of(first) : self._ends[stop - 1] - 1])
                length, last = length + stop - first, self._keys[stop - 1]
            if max(first, stop) < end:
                return _run(length, last, pieces), True
        return _run(length, last, pieces), False

    def all(self) -> bytes:
        """All of them as a list."""
        return b"[" + self._told + b"]"

    def _start_of(self, place: int) -> int:
        return self._ends[place - 1] if place else 0

    def _places(self, within: Range) -> tuple[int, int]:
        return bisect_left(self._keys, within[0]), bisect_left(self._keys, within[1])


def _run(length: int, last: Key, pieces: Sequence[bytes]) -> Run | None:
    return Run(length, last, Raw(b",".join(pieces))) if pieces else None


class CycleCards:
    """All cards of a cycle's goals, by kind, and the objectives of each unit, in order."""

    def __init__(
        self,
        cycle_id: str,
        objectives: Cards,
        key_results: Cards,
        of_units: Mapping[str, Sequence[str]],
    ) -> None:
        self.by_kind = {"objective": objectives, "key_result": key_results}
        self.objective_ids = frozenset(chain.from_iterable(of_units.values()))
        self._cycle_id = cycle_id
        self._of_units = of_units

    def __len__(self) -> int:
        """The bytes they take."""
        return sum(map(len, self.by_kind.values()))

    def of_units(
        self, unit_ids: Iterable[str], kind: str, after: Key, at_most: int
    ) -> tuple[Run | None, bool]:
        """The cards of the goals that some units carry, as Cards.told."""
        carried = (self._of_units.get(each, ()) for each in unit_ids)
        return self.of_objectives(sorted(chain.from_iterable(carried)), kind, after, at_most)

    def of_objectives(
        self, objective_ids: Iterable[str], kind: str, after: Key, at_most: int
    ) -> tuple[Run | None, bool]:
        """The same of some objectives, which come in order, or of their key results."""
        ranges: Iterable[Range]
        if kind == "objective":
            ranges = (_only(self._cycle_id, "", each) for each in objective_ids)
        else:
            ranges = (
                ((self._cycle_id, each, ""), (self._cycle_id, _next(each), ""))
                for each in objective_ids
            )
        return self.by_kind[kind].told(after, at_most, ranges)

    def of_key_result(
        self, objective_id: str, key_result_id: str, after: Key, at_most: int
    ) -> tuple[Run | None, bool]:
        """The same of one of them."""
        only = _only(self._cycle_id, objective_id, key_result_id)
        return self.by_kind["key_result"].told(after, at_most, [only])


def _only(cycle_id: str, objective_id: str, goal_id: str) -> Range:
    return (cycle_id, objective_id, goal_id), (cycle_id, objective_id, _next(goal_id))


def _next(text: str) -> str:
    """The first of all that come after it."""
    return f"{text}\0"


class Kept:
    """Of one database of views; for several threads."""

    def __init__(self) -> None:
        self.roll_ups = KeptResults[list[RollUp]](ROLL_UPS_MAX)
        self.roll_ups_cut = KeptResults[list[RollUp]](ROLL_UPS_CUT_MAX)
        self.alerts = KeptResults[list[Alert]](ALERTS_MAX)
        self.cards = KeptResults[CycleCards](CARDS_BYTES_MAX)
        self.cards_cut = KeptResults[CycleCards](CARDS_CUT_BYTES_MAX)
        self.kpi_cards = KeptResults[bytes](KPI_CARDS_BYTES_MAX)
        self.late = KeptResults[Late](LATE_MAX)
        self.below = KeptBelow()
        self._versions: OrderedDict[str, Versions] = OrderedDict()
        self._known_at: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def versions(
        self,
        organisation_id: str,
        wanted: int,
        position: int,
        read: Callable[[int], list[Version]],
    ) -> Versions:
        """All up to a wanted position at least.

        `read` gives those behind a position, up to `position` or further.
        """
        with self._lock:
            known = self._versions.get(organisation_id)
            if known is not None:
                self._versions.move_to_end(organisation_id)
        known = known or Versions(0)
        if known.upto >= wanted:
            return known
        known = known.with_more(position, read(known.upto))
        with self._lock:
            self._versions[organisation_id] = known
            self._versions.move_to_end(organisation_id)
            count = sum(each.count for each in self._versions.values())
            while count > VERSIONS_MAX:
                _, gone = self._versions.popitem(last=False)
                count -= gone.count
        return known

    def knows_of_later(
        self, organisation_id: str, at: datetime, read: Callable[[], datetime | None]
    ) -> bool:
        """Whether an organisation knows something of after a moment; `read` gives the latest."""
        known_at = self._known_at.get(organisation_id)
        if known_at is not None and at < known_at:
            return True
        known_at = read()
        if known_at is None:
            return False
        self._known_at[organisation_id] = known_at
        return at < known_at


class KeptResults(Generic[S]):
    """What was worked out, each by all that it depends on; for several threads."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._size = 0
        self._kept: OrderedDict[Hashable, S] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def is_nearly_full(self) -> bool:
        """Whether something soon has to go for what comes."""
        return self._size > self._size_max * NEARLY

    def get(self, key: Hashable) -> S | None:
        """What was kept, if it still is."""
        return self.get_all([key]).get(key)

    def get_all(self, keys: Iterable[Hashable]) -> dict[Hashable, S]:
        """Of those what still is kept."""
        found: dict[Hashable, S] = {}
        with self._lock:
            for key in keys:
                if key in self._kept:
                    found[key] = self._kept[key]
                    self._kept.move_to_end(key)
        return found

    def put(self, key: Hashable, result: S) -> None:
        """Keep it, for as long as there is room."""
        self.put_all({key: result})

    def put_all(self, results: Mapping[Hashable, S]) -> None:
        """Keep them, for as long as there is room."""
        with self._lock:
            for key, result in results.items():
                if len(result) > self._size_max:
                    continue
                before = self._kept.pop(key, None)
                self._size += len(result) - (0 if before is None else len(before))
                self._kept[key] = result
            while self._size > self._size_max:
                _, gone = self._kept.popitem(last=False)
                self._size -= len(gone)


class KeptBelow:
    """What lies below objectives, seen from some moments; for several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Below] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, moment: Hashable) -> Below:
        """What is kept of a moment, to be added to; of those looked at longest ago nothing is."""
        with self._lock:
            found = self._kept.get(moment)
            if found is not None:
                self._kept.move_to_end(moment)
                return found
            found = self._kept[moment] = {}
            count = sum(map(len, self._kept.values()))
            while count > BELOW_MAX:
                _, gone = self._kept.popitem(last=False)
                count -= len(gone)
        return found


def below(units: Iterable[Goal]) -> dict[str, list[str]]:
    """The units right below each."""
    found: dict[str, list[str]] = {}
    for goal in units:
        if isinstance(goal.state, UnitCard) and goal.state.parent_id is not None:
            found.setdefault(goal.state.parent_id, []).append(goal.goal_id)
    return found


def _place(version: Version) -> tuple[str, Key, int]:
    return version.kind, version.goal.key, version.position
