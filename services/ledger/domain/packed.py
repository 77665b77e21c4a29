"""A mapping that keeps its values as bytes: for what grows with history and is seldom looked at.

To decisions it is a mapping of structs like any other, except that what is in it stays. A value
costs what its JSON costs, and the garbage collector has nothing to look through. It is written as
the log writes, so that numbers, moments and their offsets come back exactly as they went in.

However much it holds, it can be held still at once and without a copy: what is written meanwhile
stands beside it until it is released.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import chain
from typing import Generic, Never, TypeVar, overload

from msgspec import json

Key = TypeVar("Key")
Thing = TypeVar("Thing")
Other = TypeVar("Other")

_encode = json.Encoder().encode


class Packed(MutableMapping[Key, Thing], Generic[Key, Thing]):
    """Values of one type, each as one line of JSON."""

    __slots__ = ("_decode", "_later", "_packed")

    def __init__(self, kind: type[Thing]) -> None:
        self._packed: dict[Key, bytes] = {}
        self._later: dict[Key, bytes] | None = None
        self._decode = json.Decoder(kind).decode

    def hold(self) -> Mapping[Key, bytes]:
        """The values as they are now, and stay until `release`."""
        if self._later is not None:
            raise RuntimeError("it is being held")
        self._later = {}
        return self._packed

    def release(self) -> None:
        """What was written meanwhile takes its place."""
        if self._later is not None:
            self._packed.update(self._later)
            self._later = None

    def put(self, packed: Iterable[tuple[Key, bytes]]) -> None:
        """Values that `hold` gave once."""
        self._writable().update(packed)

    def __getitem__(self, key: Key) -> Thing:
        if self._later and key in self._later:
            return self._decode(self._later[key])
        return self._decode(self._packed[key])

    @overload
    def get(self, key: Key, default: None = None) -> Thing | None: ...
    @overload
    def get(self, key: Key, default: Thing | Other) -> Thing | Other: ...
    def get(self, key: Key, default: object = None) -> object:
        # Not the inherited one, which raises and catches an error for each key that is absent.
        return self[key] if key in self else default  # noqa: SIM401 - this is it

    def __setitem__(self, key: Key, value: Thing) -> None:
        self._writable()[key] = _encode(value)

    def __delitem__(self, key: Key) -> Never:
        raise TypeError("what has happened stays")

    def __contains__(self, key: object) -> bool:
        return key in self._packed or (self._later is not None and key in self._later)

    def __iter__(self) -> Iterator[Key]:
        if not self._later:
            return iter(self._packed)
        return chain(self._packed, (each for each in self._later if each not in self._packed))

    def __len__(self) -> int:
        return len(self._packed) + sum(each not in self._packed for each in self._later or ())

    def __repr__(self) -> str:
        return f"Packed({self._packed | (self._later or {})!r})"

    def _writable(self) -> dict[Key, bytes]:
        return self._packed if self._later is None else self._later
