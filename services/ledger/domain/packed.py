"""A mapping that keeps its values as bytes: for what grows with history and is seldom looked at.

To decisions it is a mapping of structs like any other. A value costs what its JSON costs, and the
garbage collector has nothing to look through. It is written as the log writes, so that numbers,
moments and their offsets come back exactly as they went in.
"""

from collections.abc import Iterator, MutableMapping
from typing import Generic, TypeVar

from msgspec import json

Key = TypeVar("Key")
Thing = TypeVar("Thing")

_encode = json.Encoder().encode


class Packed(MutableMapping[Key, Thing], Generic[Key, Thing]):
    """Values of one type; `packed` holds each as one line of JSON."""

    __slots__ = ("_decode", "kind", "packed")

    def __init__(self, kind: type[Thing], packed: dict[Key, bytes] | None = None) -> None:
        self.kind = kind
        self.packed: dict[Key, bytes] = {} if packed is None else packed
        self._decode = json.Decoder(kind).decode

    def copy(self) -> "Packed[Key, Thing]":
        """The same values, to be changed apart from these."""
        return Packed(self.kind, self.packed.copy())

    def __getitem__(self, key: Key) -> Thing:
        return self._decode(self.packed[key])

    def __setitem__(self, key: Key, value: Thing) -> None:
        self.packed[key] = _encode(value)

    def __delitem__(self, key: Key) -> None:
        del self.packed[key]

    def __contains__(self, key: object) -> bool:
        return key in self.packed

    def __iter__(self) -> Iterator[Key]:
        return iter(self.packed)

    def __len__(self) -> int:
        return len(self.packed)

    def __repr__(self) -> str:
        return f"Packed({self.packed!r})"
