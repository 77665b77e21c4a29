"""Whether two generations say the same up to a position: they must, if one fold made them.

A table's digest is the sum of the digests of its rows, so no order is asked for. Where two differ
the first row that does is named.
"""

import hashlib
from collections.abc import Generator
from contextlib import closing
from itertools import zip_longest
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, Table, text

from services.projections.view_store import schema
from services.projections.view_store.store import unless_lost

ROWS_AT_A_TIME: Final = 5_000
DIGEST_BYTES: Final = 16
MODULUS: Final = 1 << (8 * DIGEST_BYTES)


class Digest(NamedTuple):
    """Of a table's rows up to a position, the same in every database."""

    rows: int
    sum: int


class Difference(NamedTuple):
    """A view in which two generations do not say the same; `key` is the least that differs."""

    view: str
    rows_was: int
    rows: int
    key: tuple[Any, ...]

    def __str__(self) -> str:
        key = "/".join(map(str, self.key))
        return f"{self.view}: {self.rows} rows, {self.rows_was} before; the first other one: {key}"


def differences(old: Engine, new: Engine, position: int) -> list[Difference]:
    """View by view; StoreUnavailable if one of them cannot be read."""
    found = []
    for view in schema.VIEWS.values():
        was, now = digest(old, view, position), digest(new, view, position)
        if was != now:
            key = _first_that_differs(old, new, view, position)
            found.append(Difference(view.name, was.rows, now.rows, key))
    return found


def digest(engine: Engine, view: Table, position: int) -> Digest:
    """Of what was known at a position."""
    rows = total = 0
    with unless_lost(), engine.connect() as connection:
        for row in _rows(connection, view, position):
            rows += 1
            packed = msgspec.msgpack.encode(row)
            total += int.from_bytes(hashlib.blake2b(packed, digest_size=DIGEST_BYTES).digest())
    return Digest(rows, total % MODULUS)


def _rows(
    connection: Connection, view: Table, position: int, order: str = ""
) -> Generator[tuple[Any, ...], None, None]:
    # As they are stored: text, not columns with their types.
    statement = text(
        f"SELECT {', '.join(view.columns.keys())} FROM {view.name} "  # noqa: S608 - our own names
        f"WHERE position <= :position {order}"
    )
    reading = connection.execution_options(yield_per=ROWS_AT_A_TIME)
    with reading.execute(statement, {"position": position}) as found:
        yield from map(tuple, found)


def _first_that_differs(old: Engine, new: Engine, view: Table, position: int) -> tuple[Any, ...]:
    keys = [column.name for column in view.primary_key]
    places = [view.columns.keys().index(name) for name in keys]
    order = f"ORDER BY {', '.join(keys)}"
    with (
        unless_lost(),
        old.connect() as left,
        new.connect() as right,
        closing(_rows(left, view, position, order)) as was,
        closing(_rows(right, view, position, order)) as now,
    ):
        pairs = zip_longest(was, now)
        different = next(((one, other) for one, other in pairs if one != other), (None, None))
        found = [tuple(row[place] for place in places) for row in different if row is not None]
        return min(found)
