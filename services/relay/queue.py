"""What is to be told to each endpoint, in SQLite, together with the position it goes up to.

Events of one goal are told one after the other: the next is due when the one before is gone. One
that nobody took is dead and stays, and so does what comes after it of the same goal, until somebody
says that it should be tried again or dropped. Told and not yet marked as told is told again, under
the same id.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS read_up_to (
    endpoint TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS delivery (
    endpoint TEXT NOT NULL,
    goal TEXT NOT NULL,
    position INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    payload BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL DEFAULT 0,
    is_dead INTEGER NOT NULL DEFAULT 0,
    answer TEXT,
    PRIMARY KEY (endpoint, goal, position)
) STRICT, WITHOUT ROWID;
"""
BUSY_TIMEOUT_S: Final = 10.0
DUE: Final = """
SELECT goal, position, event_id, payload, attempts, answer
FROM (SELECT goal, min(position) AS position FROM delivery WHERE endpoint = ?1 GROUP BY goal)
JOIN delivery USING (goal, position)
WHERE endpoint = ?1 AND NOT is_dead AND due_at <= ?2 ORDER BY position LIMIT ?3
"""


class Delivery(NamedTuple):
    """An event for an endpoint, and how often it was tried."""

    goal: str
    position: int
    event_id: str
    payload: bytes
    attempts: int
    answer: str | None = None


class Backlog(NamedTuple):
    """How much an endpoint has before it."""

    waiting: int
    dead: int
    read_up_to: int


class Queue:
    """The one database of a relay; commands of an operator may use it meanwhile."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(
            file, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(SCHEMA)

    def close(self) -> None:
        self._database.close()

    def read_up_to(self, endpoint: str) -> int:
        """The position of the last event that was queued; 0, none."""
        found = self._database.execute(
            "SELECT position FROM read_up_to WHERE endpoint = ?", (endpoint,)
        ).fetchone()
        return 0 if found is None else int(found[0])

    def add(self, endpoint: str, deliveries: Sequence[Delivery]) -> None:
        """Queue some more, in order, and remember up to where."""
        rows = [(endpoint, *each[:4]) for each in deliveries]
        with self._transaction():
            self._database.executemany(
                "INSERT INTO delivery (endpoint, goal, position, event_id, payload) "
                "VALUES (?, ?, ?, ?, ?)",
                rows,
            )
            self._database.execute(
                "INSERT INTO read_up_to VALUES (?, ?) "
                "ON CONFLICT (endpoint) DO UPDATE SET position = excluded.position",
                (endpoint, deliveries[-1].position),
            )

    def due(self, endpoint: str, now: datetime, limit: int) -> list[Delivery]:
        """What may be told now: of each goal the first, if it is not dead and its time has come."""
        rows = self._database.execute(DUE, (endpoint, now.timestamp(), limit))
        return [Delivery(*row) for row in rows]

    def told(self, endpoint: str, delivery: Delivery) -> None:
        """It is gone."""
        self._database.execute(
            "DELETE FROM delivery WHERE endpoint = ? AND goal = ? AND position = ?",
            (endpoint, delivery.goal, delivery.position),
        )

    def failed(self, endpoint: str, delivery: Delivery, answer: str, again_at: datetime) -> None:
        """It was not taken: once more, then."""
        self._database.execute(
            "UPDATE delivery SET attempts = attempts + 1, answer = ?, due_at = ? "
            "WHERE endpoint = ? AND goal = ? AND position = ?",
            (answer, again_at.timestamp(), endpoint, delivery.goal, delivery.position),
        )

    def died(self, endpoint: str, delivery: Delivery, answer: str) -> None:
        """It was not taken, and will not be tried again by itself."""
        self._database.execute(
            "UPDATE delivery SET attempts = attempts + 1, answer = ?, is_dead = 1 "
            "WHERE endpoint = ? AND goal = ? AND position = ?",
            (answer, endpoint, delivery.goal, delivery.position),
        )

    def backlog(self, endpoint: str) -> Backlog:
        """How much waits, those behind a dead one too, and how much is dead."""
        waiting, dead = self._database.execute(
            "SELECT coalesce(sum(NOT is_dead), 0), coalesce(sum(is_dead), 0) FROM delivery "
            "WHERE endpoint = ?",
            (endpoint,),
        ).fetchone()
        return Backlog(waiting, dead, self.read_up_to(endpoint))

    def dead(self, endpoint: str) -> list[Delivery]:
        """What nobody took, in order."""
        rows = self._database.execute(
            "SELECT goal, position, event_id, payload, attempts, answer FROM delivery "
            "WHERE endpoint = ? AND is_dead ORDER BY position",
            (endpoint,),
        )
        return [Delivery(*row) for row in rows]

    def replay(self, endpoint: str) -> int:
        """Everything dead is due again, from its first attempt on; how many."""
        done = self._database.execute(
            "UPDATE delivery SET is_dead = 0, attempts = 0, due_at = 0 "
            "WHERE endpoint = ? AND is_dead",
            (endpoint,),
        )
        return done.rowcount

    def drop(self, endpoint: str, position: int) -> bool:
        """Give up a dead one for good, so that its goal goes on; whether there was one."""
        done = self._database.execute(
            "DELETE FROM delivery WHERE endpoint = ? AND position = ? AND is_dead",
            (endpoint, position),
        )
        return done.rowcount > 0

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
