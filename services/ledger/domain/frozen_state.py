"""The state of a ledger at a position, as blocks of bytes and back.

`hold` copies the mappings of goals, and nothing in them, for entries are never changed; what is
packed it holds still without a copy. So the blocks can be written one by one while the ledger goes
on. A block is lines of JSON: first to whom and what its entries belong, with their keys column by
column, then each value. JSON, as in the log, keeps decimals, moments with their offsets and tagged
unions exactly.

What has an index goes out in the order of its index, and the index is put together from that order:
it is never written. Everything else keeps the order of its mapping. Strings that occur again and
again are one string in what is read.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from msgspec import Struct, inspect, json

from services.ledger.domain.answers import Answer, HeldAnswers
from services.ledger.domain.listed import Listed
from services.ledger.domain.organisation import Organisation
from services.ledger.domain.packed import Packed

ENTRIES_MAX: Final = 1_000
"""How many entries a block holds: so many are encoded at once while the ledger waits."""

Originator = tuple[str, str, str]
"""Organisation, kind and id of what an event is about."""

Item = TypeVar("Item")

_THE_LEDGER: Final = ""
"""Not an organisation's id: the block belongs to all of them."""
_PLAIN: Final = "plain"
_VERSIONS: Final = "versions"
_ANSWERS: Final = "answers"

_HINTS: Final[Mapping[str, Any]] = get_type_hints(Organisation)
_MAPPINGS: Final[Mapping[str, Any]] = {
    name: get_args(hint)[1] for name, hint in _HINTS.items() if get_origin(hint) is MutableMapping
}
"""By the field's name: the type of its values."""
_SEQUENCES: Final[Mapping[str, Callable[[Iterable[Any]], Any]]] = {
    name: Listed if get_origin(hint) is Listed else tuple for name, hint in _MAPPINGS.items()
}
"""What the ids and keys in an index are held in."""
_INDEX_OF: Final[Mapping[str, str]] = {
    "check_ins": "check_in_ids",
    "readings": "reading_keys",
    "missed": "missed_keys",
    "reviews": "review_ids",
}
"""Entries and the index that tells their order; one called `…_keys` holds whole keys."""
_PLAIN_FIELDS: Final = [name for name in _HINTS if name not in {*_MAPPINGS, _ANSWERS}]
_WRITTEN: Final = [name for name in _MAPPINGS if name not in _INDEX_OF.values()]

_encoder: Final = json.Encoder(enc_hook=list)  # of what is like a tuple and is none
_decoders: Final[Mapping[str, json.Decoder[Any]]] = {
    name: json.Decoder(list[str] if _SEQUENCES.get(name) is Listed else _MAPPINGS.get(name, hint))
    for name, hint in _HINTS.items()
    if name != _ANSWERS
} | {_ANSWERS: json.Decoder(Answer), _VERSIONS: json.Decoder(int)}


class Thawed(Struct, frozen=True):
    """Everything a ledger knows at a position; `versions` counts the events about each goal."""

    position: int
    organisations: dict[str, Organisation]
    versions: dict[Originator, int]


class HeldOrganisation(Struct, frozen=True):
    """One organisation's part: `lines` are the entries that are bytes already."""

    plain: Mapping[str, object]
    entries: Mapping[str, Mapping[Any, Any]]
    lines: Mapping[str, Mapping[Any, bytes]]
    answers: HeldAnswers
    packed: Sequence[Packed[Any, Any]]


class Held(Struct, frozen=True):
    """The state as it was at a position, whatever happens to the ledger until `release`."""

    position: int
    organisations: Mapping[str, HeldOrganisation]
    versions: Mapping[Originator, int]

    def release(self) -> None:
        """Once it is written, or will not be."""
        for organisation in self.organisations.values():
            for each in organisation.packed:
                each.release()


def hold(
    position: int, organisations: Mapping[str, Organisation], versions: Mapping[Originator, int]
) -> Held:
    """The state as it is now; it has to be released before it can be held again."""
    return Held(
        position,
        {name: _held(organisation) for name, organisation in organisations.items()},
        dict(versions),
    )


def shape() -> str:
    """What the state is made of, down to the last field: another shape cannot be read."""
    return repr([(name, inspect.type_info(kind)) for name, kind in sorted(_kinds().items())])


def to_blocks(held: Held) -> Iterator[bytes]:
    """Each is made when it is asked for, and takes as long as so many entries take."""
    for organisation_id, organisation in held.organisations.items():
        values = _encoder.encode_lines(organisation.plain.values())
        yield _block(organisation_id, _PLAIN, [*organisation.plain], values)
        for name in _WRITTEN:
            for keys in _some(_keys(organisation, name)):
                yield _block(organisation_id, name, keys, _lines_of(organisation, name, keys))
        for answered in _some(zip(*organisation.answers, strict=True)):
            command_ids = [command_id for command_id, _ in answered]
            values = _encoder.encode_lines([answer for _, answer in answered])
            yield _block(organisation_id, _ANSWERS, command_ids, values)
    for originators in _some(held.versions):
        values = _encoder.encode_lines([held.versions[each] for each in originators])
        yield _block(_THE_LEDGER, _VERSIONS, originators, values)


def from_blocks(position: int, blocks: Iterable[bytes]) -> Thawed:
    """The state that was written as these blocks, to be changed by whoever reads it."""
    thawing = _Thawing()
    for block in blocks:
        thawing.take(block)
    return thawing.finish(position)


class _Head(Struct, frozen=True):
    """Whose entries a block holds, of which mapping, and their keys."""

    organisation_id: str
    field: str
    columns: list[list[str]]


_head: Final = json.Decoder(_Head)


class _Thawing:
    """A state being put together."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._organisations: dict[str, Organisation] = {}
        self._versions: dict[Originator, int] = {}

    def take(self, block: bytes) -> None:
        first_line, _, lines = block.partition(b"\n")
        head = _head.decode(first_line)
        match head.field:
            case "plain":
                self._open(head, _split(lines))
            case "versions":
                self._versions.update(zip(self._keys(head), _values(head, lines), strict=True))
            case "answers":
                answers = zip(*head.columns, _values(head, lines), strict=True)
                self._organisations[head.organisation_id].answers.add(answers)
            case _:
                self._fill(self._organisations[head.organisation_id], head, lines)

    def finish(self, position: int) -> Thawed:
        for organisation in self._organisations.values():
            for name, index in _INDEX_OF.items():
                _put_together(getattr(organisation, index), index, getattr(organisation, name))
        return Thawed(position, self._organisations, self._versions)

    def _open(self, head: _Head, lines: Sequence[bytes]) -> None:
        [names] = head.columns
        values = zip(names, lines, strict=True)
        plain = {name: _decoders[name].decode(line) for name, line in values}
        self._organisations[head.organisation_id] = Organisation(**plain)

    def _fill(self, organisation: Organisation, head: _Head, lines: bytes) -> None:
        entries, keys = getattr(organisation, head.field), self._keys(head)
        if isinstance(entries, Packed):
            entries.put(zip(keys, _split(lines), strict=True))
        elif head.field.endswith("_ids"):
            ids = (_SEQUENCES[head.field](self._shared(each)) for each in _values(head, lines))
            entries.update(zip(keys, ids, strict=True))
        else:
            entries.update(zip(keys, _values(head, lines), strict=True))

    def _keys(self, head: _Head) -> Iterable[Any]:
        """Goals' ids occur again in other blocks; of other columns, what repeats is shared."""
        first, *others = head.columns
        if not others:
            return self._shared(first)
        repeating = (self._shared(each) if len(set(each)) < len(each) else each for each in others)
        return zip(self._shared(first), *repeating, strict=True)

    def _shared(self, column: Sequence[str]) -> list[str]:
        return list(map(self._names.setdefault, column, column))


def _kinds() -> dict[str, Any]:
    return {**_HINTS, **_MAPPINGS, _ANSWERS: Answer}


def _held(organisation: Organisation) -> HeldOrganisation:
    mappings = {name: getattr(organisation, name) for name in _MAPPINGS}
    packed = {name: each for name, each in mappings.items() if isinstance(each, Packed)}
    return HeldOrganisation(
        plain={name: getattr(organisation, name) for name in _PLAIN_FIELDS},
        entries={name: each.copy() for name, each in mappings.items() if name not in packed},
        lines={name: each.hold() for name, each in packed.items()},
        answers=organisation.answers.hold(),
        packed=[*packed.values()],
    )


def _keys(organisation: HeldOrganisation, name: str) -> Iterable[Any]:
    index = _INDEX_OF.get(name)
    if index is None:
        return (
            organisation.lines[name] if name in organisation.lines else organisation.entries[name]
        )
    items = organisation.entries[index]
    if _holds_keys(index):
        return (key for keys in items.values() for key in keys)
    return ((goal_id, item) for goal_id, ids in items.items() for item in ids)


def _lines_of(organisation: HeldOrganisation, name: str, keys: Sequence[Any]) -> bytes:
    lines = organisation.lines.get(name)
    if lines is not None:
        return b"".join([lines[key] + b"\n" for key in keys])
    entries = organisation.entries[name]
    return _encoder.encode_lines([entries[key] for key in keys])


def _put_together(index: MutableMapping[str, Any], index_name: str, entries: Iterable[Any]) -> None:
    by_goal, sequence = groupby(entries, key=itemgetter(0)), _SEQUENCES[index_name]
    if _holds_keys(index_name):
        index.update((goal_id, sequence(keys)) for goal_id, keys in by_goal)
    else:
        index.update((goal_id, sequence([key[1] for key in keys])) for goal_id, keys in by_goal)


def _holds_keys(index_name: str) -> bool:
    return index_name.endswith("_keys")


def _block(organisation_id: str, field: str, keys: Sequence[Any], values: bytes) -> bytes:
    columns = [keys] if isinstance(keys[0], str) else [*zip(*keys, strict=True)]
    head = {"organisation_id": organisation_id, "field": field, "columns": columns}
    return _encoder.encode(head) + b"\n" + values


def _some(entries: Iterable[Item]) -> Iterator[list[Item]]:
    entries = iter(entries)
    while some := [*islice(entries, ENTRIES_MAX)]:
        yield some


def _values(head: _Head, lines: bytes) -> list[Any]:
    return _decoders[head.field].decode_lines(lines)


def _split(lines: bytes) -> list[bytes]:
    return lines.split(b"\n")[:-1]
