"""Ids in their order, to which one more is added without copying all of them.

A cycle may have tens of thousands of objectives, a key result a check-in a day for years; a tuple
would be copied for each.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, overload

PAGE: Final = 64


class Listed(Sequence[str]):
    """As immutable as a tuple, and equal to one; full pages are shared by what follows from it."""

    __slots__ = ("_full", "_last")

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._full: tuple[tuple[str, ...], ...] = ()
        self._last = tuple(ids)
        if len(self._last) > PAGE:
            pages = [self._last[at : at + PAGE] for at in range(0, len(self._last), PAGE)]
            *full, self._last = pages
            self._full = tuple(full)

    def and_one(self, added: str) -> "Listed":
        more = Listed()
        if len(self._last) < PAGE:
            more._full, more._last = self._full, (*self._last, added)
        else:
            more._full, more._last = (*self._full, self._last), (added,)
        return more

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        return tuple(self)[place]

    def __iter__(self) -> Iterator[str]:
        return chain(chain.from_iterable(self._full), self._last)

    def __len__(self) -> int:
        return len(self._full) * PAGE + len(self._last)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Listed) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))
