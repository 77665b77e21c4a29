"""A mapping on top of another: what is written to it stays in it until it is taken over below.

This is how decisions are tried on a state that nobody may change before the log has acknowledged.
"""

from collections.abc import Iterator, MutableMapping
from typing import Generic, Never, TypeVar, overload

Key = TypeVar("Key")
Thing = TypeVar("Thing")
Other = TypeVar("Other")


class Overlay(MutableMapping[Key, Thing], Generic[Key, Thing]):
    """Reads what was `written`, and through it what lies `below`."""

    __slots__ = ("below", "written")

    def __init__(self, below: MutableMapping[Key, Thing]) -> None:
        self.below = below
        self.written: dict[Key, Thing] = {}

    def settle(self) -> None:
        """What was written is from now on written below, too."""
        if self.written:
            self.below.update(self.written)

    def __getitem__(self, key: Key) -> Thing:
        written = self.written
        return written[key] if key in written else self.below[key]

    def __setitem__(self, key: Key, thing: Thing) -> None:
        self.written[key] = thing

    def __delitem__(self, key: Key) -> Never:
        raise TypeError("what has happened stays")

    @overload
    def get(self, key: Key, default: None = None) -> Thing | None: ...
    @overload
    def get(self, key: Key, default: Thing | Other) -> Thing | Other: ...
    def get(self, key: Key, default: object = None) -> object:
        # Not the inherited one, which raises and catches an error for each key that is absent.
        written = self.written
        return written[key] if key in written else self.below.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self.written or key in self.below

    def __iter__(self) -> Iterator[Key]:
        yield from self.below
        yield from (key for key in self.written if key not in self.below)

    def __len__(self) -> int:
        return len(self.below) + sum(key not in self.below for key in self.written)
