"""Questions to the database that are put together once and asked again and again.

To put a SELECT together, to compile it and to have its result unpacked takes many times as long as
a database takes to answer it from an index. So each is compiled once for a kind of database, and
handed straight to the driver; values are named by `bindparam`. Lists go to PostgreSQL as arrays;
SQLite has none, so that its texts have room for so many values each.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from psycopg import RawCursor
from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Select,
    bindparam,
    cast,
    column,
    func,
    values,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeEngine

from services.projections.view_store import schema

LISTED: Final = "listed"
LENGTHS: Final = (1, 4, 16, 64, 256)
"""How many values a list has in a text; a shorter one is filled up."""
TABLE_LENGTHS: Final = LENGTHS[:3]
"""How many rows a table has in a text: for more, SQLite would first read all of what is joined."""
ARRAY_MAX: Final = 5_000

Row = tuple[Any, ...]
Values = dict[str, Any]
Wanted = Select[*tuple[Any, ...]]
IsListed = Callable[[Column[Any]], ColumnElement[bool]]
"""Whether a column's value is one of the list."""


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
            compiled = self._compiled[name] = _Compiled(self._select, connection.dialect)
        return compiled.run(connection, values)


class ListStatement:
    """The same with a list among its values, which may have any length."""

    def __init__(self, select: Callable[[IsListed], Wanted]) -> None:
        self._of_array = Statement(select(lambda of: of == func.any(bindparam(LISTED))))
        self._of_length = {
            length: Statement(
                select(partial(_in, [bindparam(f"{LISTED}_{number}") for number in range(length)]))
            )
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
        if has_arrays(connection):
            for some in _cut(wanted, ARRAY_MAX):
                yield from self._of_array.rows(connection, **values, **{LISTED: some})
            return
        for some in _cut(wanted, LENGTHS[-1]):
            length, filled = _filled_up(some, some[-1])
            names = {f"{LISTED}_{number}": each for number, each in enumerate(filled)}
            yield from self._of_length[length].rows(connection, **values, **names)


class TableStatement:
    """The same with a list of rows, each of as many values, which a SELECT joins as a table.

    Instants in it have to be told as microseconds.
    """

    def __init__(
        self, types: Mapping[str, type[TypeEngine[Any]]], select: Callable[[FromClause], Wanted]
    ) -> None:
        """`types` are those of the table's columns, by name."""
        self._types = types
        arrays = (cast(bindparam(name), ARRAY(of)) for name, of in types.items())
        table = func.unnest(*arrays).table_valued(*types).render_derived()
        self._of_arrays = Statement(select(table))
        self._of_length = {
            length: Statement(select(self._table(length))) for length in TABLE_LENGTHS
        }

    def rows(
        self,
        connection: Connection,
        listed: Iterable[Row],
        **values: Any,  # noqa: ANN401  # columns
    ) -> Iterator[Row]:
        """The rows for each row of the list, in no order."""
        wanted = sorted(set(listed))
        if has_arrays(connection):
            for some in _cut(wanted, ARRAY_MAX):
                arrays = map(list, zip(*some, strict=True))
                columns = dict(zip(self._types, arrays, strict=True))
                yield from self._of_arrays.rows(connection, **values, **columns)
            return
        for some in _cut(wanted, TABLE_LENGTHS[-1]):
            # With what equals nothing: the last row again would be joined again.
            length, filled = _filled_up(some, (None,) * len(self._types))
            names = {
                f"{name}_{number}": value
                for number, row in enumerate(filled)
                for name, value in zip(self._types, row, strict=True)
            }
            yield from self._of_length[length].rows(connection, **values, **names)

    def _table(self, length: int) -> FromClause:
        rows: list[tuple[Any, ...]] = [
            tuple(bindparam(f"{name}_{number}") for name in self._types) for number in range(length)
        ]
        return (
            values(*(column(name, of) for name, of in self._types.items())).data(rows).cte(LISTED)
        )


def has_arrays(connection: Connection) -> bool:
    """Whether a list is one value to the database."""
    return connection.dialect.name == "postgresql"


def _in(listed: Sequence[BindParameter[Any]], of: Column[Any]) -> ColumnElement[bool]:
    return of.in_(listed)


def _cut(wanted: Sequence[Any], at_most: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(wanted), at_most):
        yield wanted[start : start + at_most]


def _filled_up(some: Sequence[Any], filling: object) -> tuple[int, Sequence[Any]]:
    """The length of the text that has room for a list, and the list filled up to it."""
    length = next(length for length in LENGTHS if length >= len(some))
    return length, [*some, *[filling] * (length - len(some))]


class _Compiled:
    """A statement's text for one kind of database, and how its values are bound and told."""

    def __init__(self, select: Wanted, dialect: Dialect) -> None:
        self._is_postgresql = dialect.name == "postgresql"
        if self._is_postgresql:
            by_number: Any = PGDialect_psycopg
            dialect = by_number(paramstyle="numeric_dollar")
        compiled = select.compile(dialect=dialect)
        self._text = str(compiled)
        self._fixed = compiled.params
        self._by_place = compiled.positiontup or ()
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
        bound = [named[name] for name in self._by_place]
        driver: Any = connection.connection.driver_connection
        if self._is_postgresql:
            cursor: Any = RawCursor(driver)
            cursor.execute(self._text, bound, prepare=True, binary=True)
        else:
            cursor = driver.execute(self._text, bound)
        rows = cursor.fetchall()
        told: Sequence[Row] = list(map(self._row, rows)) if self._told_as else rows
        return told

    def _row(self, row: Row) -> Row:
        told = list(row)
        for place, convert in self._told_as:
            if (value := told[place]) is not None:
                told[place] = convert(value)
        return tuple(told)
