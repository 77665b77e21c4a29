"""Writes the published documents: the JSON Schemas and the AsyncAPI document.

    python -m goal_contracts.publish                writes them into schemas/ and asyncapi.json
    python -m goal_contracts.publish --check        says what is not as the contracts say; exit 1
    python -m goal_contracts.publish --release      keeps the schemas as those of this version

What is said in them are the docstrings of the contracts, what is shown are their examples. They are
committed, and the gate compares them with what would be written.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from goal_contracts import __version__, asyncapi
from goal_contracts.messages import CLOUD_EVENTS, messages, schemas

TOP: Final = Path(__file__).resolve().parents[1]
"""The folder of the distribution, where the documents are committed."""

ASYNCAPI: Final = "asyncapi.json"
SCHEMAS: Final = "schemas"
INDEX: Final = f"{SCHEMAS}/index.json"
RELEASES: Final = "releases"


def documents() -> dict[str, bytes]:
    """Every document by its path: asyncapi.json, schemas/index.json, schemas/events/..."""
    return {
        ASYNCAPI: _written(asyncapi.document()),
        INDEX: _written(index()),
        **{f"{SCHEMAS}/{path}": _written(schema) for path, schema in schemas().items()},
    }


def index() -> list[dict[str, str]]:
    """All schemas, so that one can be found by its `$id`, or by the `dataschema` of an event."""
    listed = []
    for message in messages():
        entry = {"name": message.name, "kind": message.family, "$id": message.schema_id}
        if message.family in CLOUD_EVENTS:
            entry["dataschema"] = message.data_schema_id
        if message.subject:
            entry["subject"] = message.subject
        listed.append({**entry, "path": message.path})
    return listed


def stale(top: Path) -> list[str]:
    """What below a folder is missing, is not as it would be written, or should not be there."""
    wanted = documents()
    changed = [
        name
        for name, written in wanted.items()
        if not (top / name).is_file() or (top / name).read_bytes() != written
    ]
    left = [
        name
        for each in (top / SCHEMAS).rglob("*.json")
        if (name := str(each.relative_to(top))) not in wanted
    ]
    return sorted(changed + left)


def write(top: Path) -> list[str]:
    """Writes the documents below a folder; what was not as it is now."""
    changed = stale(top)
    wanted = documents()
    for name in changed:
        path = top / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[name])
        else:
            path.unlink()
    return changed


def release(top: Path) -> Path:
    """Keeps the schemas as those of this version; FileExistsError, it was released already."""
    folder = top / RELEASES / __version__
    shutil.copytree(top / SCHEMAS, folder)
    return folder


def _written(document: Any) -> bytes:  # noqa: ANN401  # JSON
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def main(arguments: list[str]) -> int:
    """What the command line asks for; its exit code."""
    match arguments:
        case []:
            changed = write(TOP)
            sys.stdout.write(f"{len(changed)} of {len(documents())} documents written\n")
            return 0
        case ["--check"]:
            changed = stale(TOP)
            for name in changed:
                sys.stderr.write(f"{name} is not as the contracts say\n")
            return 1 if changed else 0
        case ["--release"]:
            try:
                sys.stdout.write(f"kept as {release(TOP).relative_to(TOP)}\n")
            except FileExistsError:
                sys.stderr.write(f"{__version__} is released; give the contracts a new version\n")
                return 1
            return 0
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
