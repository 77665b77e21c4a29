"""UmaDB: conditional appends in its own terms, which are queries over tags and types."""

from collections.abc import Sequence
from typing import Final

import umadb

from tests.benchmarks.peer import NewEvent

STRUCTURE: Final = "structure"
"""The tag of every event that is not a check-in: what check-ins depend on beside their goal."""


class UmaStore:
    # The server puts into one commit what waits, so many may wait.
    THREADS = 128

    def __init__(self, url: str) -> None:
        self._client = umadb.Client(url)
        self._head = self._client.head()
        self._structure: int | None = None
        self._last: dict[str, int] = {}

    def append(self, events: Sequence[NewEvent]) -> int:
        everything = umadb.AppendCondition(umadb.Query(), self._head)
        head: int = self._client.append([_event(event) for event in events], everything)
        self._head = head
        first = head - len(events) + 1
        for position, event in enumerate(events, start=first):
            self._last[event.goal] = position
            if event.type != "CheckedIn":
                self._structure = position
        return head

    def append_to_goal(self, events: Sequence[NewEvent]) -> int:
        goal = events[0].goal
        query = umadb.Query([umadb.QueryItem(tags=[goal]), umadb.QueryItem(tags=[STRUCTURE])])
        known = [at for at in (self._last.get(goal), self._structure) if at is not None]
        condition = umadb.AppendCondition(query, max(known, default=None))
        position: int = self._client.append([_event(event) for event in events], condition)
        self._last[goal] = position
        return position


def open_store(url: str) -> UmaStore:
    """The server at that address."""
    return UmaStore(url)


def _event(event: NewEvent) -> umadb.Event:
    tags = [event.goal] if event.type == "CheckedIn" else [event.goal, STRUCTURE]
    return umadb.Event(event.type, event.payload, tags)
