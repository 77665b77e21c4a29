"""Questions to the database that are put together once and asked again and again.

To put a SELECT together, to compile it and to have its result unpacked takes many times as long as
a database takes to answer it from an index. So each is compiled once for a kind of database, and
handed straight to the driver; values are named by `bindparam`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, Select, bindparam

from services.projections.view_store import schema

LENGTHS: Final = (1, 4, 16, 64, 256)
"""How many values a list has in a text; a shorter one is filled up with its last."""

Row = tuple[Any, ...]
Values = dict[str, Any]
Wanted = Select[*tuple[Any, ...]]


class Statement:
    """A SELECT whose values come when it is asked; instants and decimals are told as such."""

    def __init__(self, select: Wanted) -> None:
        self._select = select
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, **values: Any) -> Sequence[Row]:  # noqa: ANN401  # columns
        """Every row, in order."""
        name = connection.dialect.name
        compiled = self._compiled.get(name)
        if compiled is None:
            compiled = self._compiled[name] = _Compiled(self._select, connection)
        return compiled.run(connection, values)


class ListStatement:
    """The same with a list among its values, which may have any length."""

    def __init__(self, select: Callable[[Sequence[BindParameter[Any]]], Wanted]) -> None:
        self._statements = {
            length: Statement(select([bindparam(_listed(n)) for n in range(length)]))
            for length in LENGTHS
        }

    def rows(
        self,
        connection: Connection,
        listed: Iterable[Any],
        **values: Any,  # noqa: ANN401  # columns
    ) -> Iterator[Row]:
        """The rows of each value of the list, some values at a time; in order among those."""
        wanted = sorted(set(listed))
        for start in range(0, len(wanted), LENGTHS[-1]):
            some = wanted[start : start + LENGTHS[-1]]
            length = next(length for length in LENGTHS if length >= len(some))
            some += some[-1:] * (length - len(some))
            names = {_listed(number): each for number, each in enumerate(some)}
            yield from self._statements[length].rows(connection, **values, **names)


class _Compiled:
    """A statement's text for one kind of database, and how its values are bound and told."""

    def __init__(self, select: Wanted, connection: Connection) -> None:
        compiled = select.compile(dialect=connection.dialect)
        self._text = str(compiled)
        self._fixed = compiled.params
        self._by_place = compiled.positiontup
        self._told_as = [
            (place, schema.instant if isinstance(column.type, schema.Instant) else Decimal)
            for place, column in enumerate(select.selected_columns)
            if isinstance(column.type, schema.Instant | schema.Number)
        ]

    def run(self, connection: Connection, values: Values) -> Sequence[Row]:
        """Ask the driver; what goes wrong is the driver's own error."""
        named = self._fixed | {
            name: schema.microseconds(value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        bound = named if self._by_place is None else tuple(named[name] for name in self._by_place)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._text, bound)
            rows = cursor.fetchall()
        finally:
            cursor.close()
        return list(map(self._told, rows)) if self._told_as else rows

    def _told(self, row: Row) -> Row:
        told = list(row)
        for place, convert in self._told_as:
            if (value := told[place]) is not None:
                told[place] = convert(value)
        return tuple(told)


def _listed(number: int) -> str:
    return f"listed_{number}"
