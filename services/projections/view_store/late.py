"""What came to cycles behind their first closing: seldom much, and all that can change them then.

A cycle whose state is 'closed' looks the same from any two moments between which nothing was done
in it, and nothing was said of its time of a KPI that it follows. Where both happened is kept, up to
a position, so that nobody has to ask the database of it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Place = tuple[str, int]
"""A cycle and a position."""


class Ended(NamedTuple):
    """A cycle, where it was first closed, and its first and last instant, in microseconds."""

    cycle_id: str
    closed: int
    since: int
    until: int


class Late:
    """Of an organisation's cycles; it never changes."""

    def __init__(
        self, upto: int = 0, done: Iterable[Place] = (), said: Iterable[Place] = ()
    ) -> None:
        self.upto = upto
        self._done = _by_cycle(done)
        self._said = _by_cycle(said)

    def __len__(self) -> int:
        """How many positions it holds."""
        return sum(map(len, (*self._done.values(), *self._said.values())))

    def with_more(self, upto: int, done: Iterable[Place], said: Iterable[Place]) -> "Late":
        """The same up to a later position."""
        return Late(upto, (*_places(self._done), *done), (*_places(self._said), *said))

    def marks(self, cycle_id: str, structure: int, known: int) -> tuple[int, int, int]:
        """What tells a closed cycle, seen from up to those positions, from what it was before."""
        done, said = self._done.get(cycle_id, ()), self._said.get(cycle_id, ())
        return _last(done, structure), _last(done, known), _last(said, known)


def _last(positions: Sequence[int], at_most: int) -> int:
    before = bisect_right(positions, at_most)
    return positions[before - 1] if before else 0


def _by_cycle(places: Iterable[Place]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for cycle_id, position in sorted(set(places)):
        found[cycle_id].append(position)
    return dict(found)


def _places(by_cycle: Mapping[str, Sequence[int]]) -> Iterable[Place]:
    return ((cycle_id, each) for cycle_id, positions in by_cycle.items() for each in positions)
