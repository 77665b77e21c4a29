"""Items in their order, to which one more is added without copying all of them.

A cycle may have tens of thousands of objectives, a key result a check-in a day for years; a tuple
would be copied for each.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar, overload

Item = TypeVar("Item")


class Listed(Sequence[Item], Generic[Item]):
    """As immutable as a tuple, and equal to one.

    What follows from it shares its list, of which the first so many items are its own.
    """

    __slots__ = ("_count", "_items")

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._items = [*items]
        self._count = len(self._items)

    def and_one(self, added: Item) -> "Listed[Item]":
        items, count = self._items, self._count
        if len(items) > count:  # another item follows here: this one goes into a list of its own
            items = items[:count]
        items.append(added)
        more: Listed[Item] = Listed.__new__(Listed)
        more._items, more._count = items, count + 1
        return more

    @property
    def last(self) -> Item:
        """What is at -1, found in half the time; IndexError if there is nothing."""
        if not self._count:
            raise IndexError("nothing is listed")
        return self._items[self._count - 1]

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Item, ...]: ...
    def __getitem__(self, place: int | slice) -> Item | tuple[Item, ...]:
        if isinstance(place, slice):
            return tuple(self._items[each] for each in range(self._count)[place])
        return self._items[range(self._count)[place]]

    def __iter__(self) -> Iterator[Item]:
        return islice(self._items, self._count)

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Listed) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))
