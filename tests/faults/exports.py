"""What a system has recorded, and all of it that two runs of the same import must share."""

import json
from typing import Any, Final

from tests.running import System

OF_THE_RUN: Final = frozenset({"id", "commandid", "event_id", "time", "recorded_at"})
"""Ids and recorded times differ from run to run; nothing else does."""


def events_of(system: System) -> list[dict[str, Any]]:
    """Every event of the log, as stored."""
    lines = system.run("export", "events", "--all").splitlines()
    return [json.loads(line) for line in lines]


def views_of(system: System, organisation: str) -> str:
    """Every view, as it is exported."""
    return system.run("export", "views", "--org", organisation)


def same_for_every_run(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events without what belongs to one run."""
    return [
        {
            "position": line["position"],
            "event": {
                name: value for name, value in line["event"].items() if name not in OF_THE_RUN
            },
        }
        for line in events
    ]


def views_same_for_every_run(views: str) -> list[str]:
    """The rows of the views without what belongs to one run."""
    return [json.dumps(_stripped(json.loads(line))) for line in views.splitlines()]


def _stripped(value: Any) -> Any:
    match value:
        case dict():
            # An event's envelope is the one place where `id` is not a goal's.
            dropped = OF_THE_RUN if "specversion" in value else OF_THE_RUN - {"id"}
            return {name: _stripped(each) for name, each in value.items() if name not in dropped}
        case list():
            return [_stripped(each) for each in value]
        case str() if value.startswith('{"specversion"'):
            return _stripped(json.loads(value))
        case _:
            return value
