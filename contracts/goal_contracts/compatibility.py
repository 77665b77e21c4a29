"""Whether schemas may take the place of released ones, or would break somebody, and whom.

    python -m goal_contracts.compatibility      compares with every release that is bound; exit 1

Who writes a message and who reads it decides what may change:

- A command or a query is written by others. What they may write today they may write tomorrow: no
  field is removed, narrowed or newly demanded.
- A reply is read by others. What they are promised today they are promised tomorrow: no field is
  removed or may be absent, and no value comes that they do not know.
- An event is read by others and kept for ever. Both hold: the promise to its readers, and that
  what is stored is still read. Only an optional field may be added; anything else is a new version.

Commands, queries and replies are bound within a major version (before 1.0 within a minor one),
events by every release. Compared is what the schemas say, as far as it can be: another pattern
counts as a change for the worse, as nobody can say what it leaves out.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from goal_contracts import __version__, publish
from goal_contracts.schema import Schema
from goal_contracts.upcasting import UPCASTERS, Upcasters

Broken = Literal["a reader", "a writer", "what is stored"]
Documents = Mapping[str, Any]
"""Schemas by their path, and `index.json` that says where each message is sent."""

INDEX: Final = "index.json"
_SAYS_NOTHING: Final = frozenset(
    {"$schema", "$id", "$defs", "title", "description", "examples", "default"}
)
_LOWER_BOUNDS: Final = ("minimum", "minLength", "minItems")
_UPPER_BOUNDS: Final = ("maximum", "maxLength", "maxItems")
_EXACT: Final = ("pattern", "format")
_JUDGED: Final = frozenset(
    {
        *_LOWER_BOUNDS,
        *_UPPER_BOUNDS,
        *_EXACT,
        *("$ref", "type", "const", "enum", "anyOf", "items"),
        *("properties", "required", "additionalProperties"),
    }
)


class Break(Struct, frozen=True, order=True):
    """A change that breaks somebody: in which message, whom, and what it is."""

    path: str
    whom: Broken
    what: str

    def __str__(self) -> str:
        return f"{self.path} breaks {self.whom}: {self.what}"


def breaks(released: Documents, today: Documents, upcasters: Upcasters = UPCASTERS) -> list[Break]:
    """What of the released schemas does not hold any more; new messages break nobody."""
    found: list[Break] = []
    for path, before in released.items():
        if path == INDEX:
            continue
        family = path.partition("/")[0]
        after = today.get(path)
        if after is None:
            if not (family == "events" and _is_turned(path, upcasters)):
                whom: Broken = "a writer" if family in {"commands", "queries"} else "a reader"
                found.append(Break(path, whom, "it is gone"))
            continue
        match family:
            case "events":
                found += _broken(path, "a reader", _promises_lost(before, after))
                found += _broken(path, "what is stored", uncovered(before, after))
            case "replies" | "alerts":
                found += _broken(path, "a reader", _promises_lost(before, after))
            case "commands" | "queries":
                found += _broken(path, "a writer", uncovered(before, after))
            case _:
                raise ValueError(f"{path} is no message of a known kind")
    found += _moved(released.get(INDEX, []), today.get(INDEX, []))
    return sorted(set(found))


def uncovered(narrow: Schema, wide: Schema) -> Iterator[str]:
    """Why not everything that follows the one schema follows the other; nothing, it all does.

    Fields the one does not describe are not written, so that they need not be taken.
    """
    return _Comparison(narrow, wide).uncovered(narrow, wide, "")


def binding(version: str, today: str) -> bool:
    """Whether a release binds today's commands, queries and replies: the same major version."""
    was, now = ([int(part) for part in each.split(".")[:2]] for each in (version, today))
    return was[:1] == now[:1] if now[0] else was == now


def read(folder: Path) -> Documents:
    """The schemas of a folder by their paths."""
    return {
        str(path.relative_to(folder)): json.loads(path.read_bytes())
        for path in sorted(folder.rglob("*.json"))
    }


def broken_releases(releases: Path, today: Documents) -> dict[str, list[Break]]:
    """What breaks, by the release it breaks."""
    found = {}
    for folder in sorted(each for each in releases.iterdir() if each.is_dir()):
        released = read(folder)
        if not binding(folder.name, __version__):
            released = {path: each for path, each in released.items() if path.startswith("events/")}
        found[folder.name] = breaks(released, today)
    return found


def _broken(path: str, whom: Broken, reasons: Iterator[str]) -> list[Break]:
    return [Break(path, whom, why) for why in reasons]


def _is_turned(path: str, upcasters: Upcasters) -> bool:
    name, _, version = path.removeprefix("events/").removesuffix(".json").rpartition(".v")
    return (name, int(version)) in upcasters


def _moved(released: list[dict[str, str]], today: list[dict[str, str]]) -> Iterator[Break]:
    now = {entry["path"]: entry.get("subject") for entry in today}
    for entry in released:
        path, subject = entry["path"], entry.get("subject")
        if path in now and now[path] != subject:
            whom: Broken = "a reader" if path.startswith("events/") else "a writer"
            yield Break(path, whom, f"it is sent to {now[path]}, and was to {subject}")


def _promises_lost(before: Schema, after: Schema) -> Iterator[str]:
    """Why a reader of the one cannot read all that follows the other, or misses a field."""
    comparison = _Comparison(after, before)
    yield from comparison.uncovered(after, before, "")
    yield from comparison.missing(after, before, "")


class _Comparison:
    """Two schemas, each of which looks its references up in itself."""

    def __init__(self, left: Schema, right: Schema) -> None:
        self._left = _definitions(left)
        self._right = _definitions(right)
        self._under_way: set[tuple[str, str]] = set()

    def uncovered(self, left: Schema, right: Schema, where: str) -> Iterator[str]:
        """Why not all of `left` is taken by `right`."""
        pair = left.get("$ref", ""), right.get("$ref", "")
        if all(pair):
            if pair in self._under_way:
                return
            self._under_way.add(pair)
        alternatives = _alternatives(right, self._right)
        for each in _alternatives(left, self._left):
            _require_known(each)
            reasons = [list(self._one(each, other, where)) for other in alternatives]
            if [] not in reasons:
                yield from _closest(each, alternatives, reasons, where)
        self._under_way.discard(pair)

    def missing(self, left: Schema, right: Schema, where: str) -> Iterator[str]:
        """Which fields that `right` describes `left` does not have any more."""
        pair = left.get("$ref", ""), right.get("$ref", "")
        if all(pair):
            if pair in self._under_way:
                return
            self._under_way.add(pair)
        for each in _alternatives(right, self._right):
            for other in _alternatives(left, self._left):
                if _tag(each) == _tag(other) and _types(each) == _types(other):
                    yield from self._missing_from_one(other, each, where)
        self._under_way.discard(pair)

    def _missing_from_one(self, left: Schema, right: Schema, where: str) -> Iterator[str]:
        here = left.get("properties", {})
        for name, schema in right.get("properties", {}).items():
            if name in here:
                yield from self.missing(here[name], schema, f"{where}.{name}")
            else:
                yield f"{where}.{name} is gone"
        if "items" in left and "items" in right:
            yield from self.missing(left["items"], right["items"], f"{where}[]")

    def _one(self, left: Schema, right: Schema, where: str) -> Iterator[str]:
        """The same where neither is a choice."""
        here = where or "it"
        if "type" in right and not _types(left) <= _types(right):
            yield f"{here}: {_written(_types(left) - _types(right))} is not taken"
            return
        values = _values(right)
        if values is not None:
            ours = _values(left)
            if ours is None:
                yield f"{here}: nothing but {_written(values)} is taken"
            elif not ours <= values:
                yield f"{here}: {_written(ours - values)} is not taken"
        elif _values(left) is None:
            yield from _limits(left, right, here)
        if "items" in right:
            yield from self.uncovered(left.get("items", {}), right["items"], f"{where}[]")
        yield from self._fields(left, right, where)

    def _fields(self, left: Schema, right: Schema, where: str) -> Iterator[str]:
        ours, theirs = left.get("properties", {}), right.get("properties", {})
        for name in right.get("required", ()):
            if name not in left.get("required", ()):
                yield f"{where}.{name} may not be left out"
        for name, schema in ours.items():
            if name in theirs:
                yield from self.uncovered(schema, theirs[name], f"{where}.{name}")
            elif right.get("additionalProperties") is False:
                yield f"{where}.{name} is not taken"


def _closest(
    each: Schema, alternatives: list[Schema], reasons: list[list[str]], where: str
) -> list[str]:
    """What to say of an alternative that no other takes: as the one of its kind does not."""
    alike = [
        why
        for other, why in zip(alternatives, reasons, strict=True)
        if _tag(each) == _tag(other) and _types(each) == _types(other)
    ]
    if len(alternatives) == 1:
        return reasons[0]
    if alike:
        return min(alike, key=len)
    return [f"{where or 'it'}: {_tag(each) or _written(_types(each))} is not taken"]


def _definitions(schema: Schema) -> dict[str, Schema]:
    """All definitions of a document: those of an event stand with its data."""
    inner = schema.get("properties", {}).get("data", {})
    return {**schema.get("$defs", {}), **inner.get("$defs", {})}


def _alternatives(schema: Schema, definitions: dict[str, Schema]) -> list[Schema]:
    if "$ref" in schema:
        return _alternatives(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return [each for one in schema["anyOf"] for each in _alternatives(one, definitions)]
    return [schema]


def _require_known(schema: Schema) -> None:
    unknown = schema.keys() - _JUDGED - _SAYS_NOTHING
    if unknown:
        raise ValueError(f"nobody has said how to compare {_written(unknown)}")


def _tag(schema: Schema) -> str:
    """By which an alternative is told from others: its constant fields."""
    fields = schema.get("properties", {})
    return ",".join(f"{name}={each['const']}" for name, each in fields.items() if "const" in each)


def _types(schema: Schema) -> set[str]:
    types = schema.get("type", "any")
    listed = {types} if isinstance(types, str) else set(types)
    if "const" in schema and "type" not in schema:
        listed = {"string"}
    # A whole number is a number.
    return listed | ({"integer"} if "number" in listed else set())


def _values(schema: Schema) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _limits(left: Schema, right: Schema, here: str) -> Iterator[str]:
    for name in _LOWER_BOUNDS:
        if name in right and left.get(name, float("-inf")) < right[name]:
            yield f"{here}: less than {name} {right[name]} is not taken"
    for name in _UPPER_BOUNDS:
        if name in right and left.get(name, float("inf")) > right[name]:
            yield f"{here}: more than {name} {right[name]} is not taken"
    for name in _EXACT:
        if name in right and left.get(name) != right[name]:
            yield f"{here}: only what follows the {name} {right[name]} is taken"


def _written(values: set[Any]) -> str:
    return ", ".join(sorted(str(each) for each in values))


def main() -> int:
    """Says what breaks; 0 if nothing does."""
    today = {
        path.removeprefix(f"{publish.SCHEMAS}/"): json.loads(written)
        for path, written in publish.documents().items()
        if path.startswith(publish.SCHEMAS)
    }
    found = broken_releases(publish.TOP / publish.RELEASES, today)
    for release, broken in found.items():
        for each in broken:
            sys.stderr.write(f"{release}: {each}\n")
    if any(found.values()):
        return 1
    sys.stdout.write(f"{len(today)} schemas hold what {', '.join(found)} promised\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
