"""Keeps every event of an organisation in a SQLite database, each once, whatever is killed.

    pip install goal-contracts[client]
    python subscriber.py nats://127.0.0.1:4222 acme events.sqlite --nkey sync.nk --consumer hr-sync

The position is written with the events, in one transaction: after a crash it goes on from there.
"""

import argparse
import asyncio
import contextlib
import sqlite3
from pathlib import Path

from goal_contracts.client import Client, follow

SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    position INTEGER PRIMARY KEY, type TEXT, goal TEXT, actor TEXT, payload BLOB
) STRICT
"""


async def subscribe(
    url: str, organisation_id: str, database: sqlite3.Connection, nkey: Path | None, consumer: str
) -> None:
    """Until it is stopped."""
    database.execute(SCHEMA)
    [kept] = database.execute("SELECT coalesce(max(position), 0) FROM event").fetchone()
    async with await Client.connect(url, nkey=nkey) as client:
        following = follow(client, organisation_id, after=kept, consumer=consumer)
        async with contextlib.aclosing(following) as batches:
            async for batch in batches:
                rows = [
                    (
                        event.position,
                        told.type,
                        f"{told.kind}/{told.goal_id}",
                        told.actor,
                        event.payload,
                    )
                    for event in batch
                    for told in [event.decode()]
                ]
                with database:
                    database.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)


def main() -> None:
    """The program."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("url")
    asked.add_argument("organisation")
    asked.add_argument("database", type=Path)
    asked.add_argument("--nkey", type=Path)
    asked.add_argument("--consumer", default="example")
    told = asked.parse_args()
    with contextlib.closing(sqlite3.connect(told.database)) as database:
        asyncio.run(subscribe(told.url, told.organisation, database, told.nkey, told.consumer))


if __name__ == "__main__":
    main()
