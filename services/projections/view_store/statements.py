"""Questions to the database that are put together once and asked again and again.

To put a SELECT together, to compile it and to have its result unpacked takes many times as long as
a database takes to answer it from an index. So each is compiled once for a kind of database, and
handed straight to the driver; values are named by `bindparam`. A list is one of them, whatever its
length: an array in PostgreSQL, JSON in SQLite.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final

import msgspec
import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import DiagnosticField, ExecStatus, Format
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Select,
    TableValuedAlias,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeEngine

from services.projections.view_store import schema

LISTED: Final = "listed"
LISTED_MAX: Final = 1_000
"""So many at a time."""
SERVER: Final = "server"
"""Under which a connection to PostgreSQL keeps how it is asked."""

Row = tuple[Any, ...]
Values = dict[str, Any]
Wanted = Select[*tuple[Any, ...]]
IsListed = Callable[[Column[Any]], ColumnElement[bool]]
"""Whether a column's value is one of the list."""
SelectJoined = Callable[[FromClause], Wanted]


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

    def __init__(self, select_listed: Callable[[IsListed], Wanted]) -> None:
        of_json = select(_json_each().c.value)
        self._of_array = Statement(select_listed(lambda of: of == func.any(bindparam(LISTED))))
        self._of_json = Statement(select_listed(lambda of: of.in_(of_json)))

    def rows(
        self,
        connection: Connection,
        listed: Iterable[Any],
        **values: Any,  # noqa: ANN401  # columns
    ) -> Iterator[Row]:
        """The rows of each value of the list, some values at a time; in order among those."""
        for some in _cut(listed):
            if has_arrays(connection):
                yield from self._of_array.rows(connection, **values, **{LISTED: _array(some)})
            else:
                yield from self._of_json.rows(connection, **values, **{LISTED: _json(some)})


class TableStatement:
    """The same with a list of rows, each of as many values, which a SELECT joins as a table.

    Instants in it have to be told as microseconds.
    """

    def __init__(
        self,
        types: Mapping[str, type[TypeEngine[Any]]],
        select_joined: SelectJoined,
        select_lateral: SelectJoined | None = None,
    ) -> None:
        """`types` are those of the table's columns, by name.

        Where a join may look at the row it joins, `select_lateral` is asked instead.
        """
        self._types = types
        arrays = (cast(bindparam(name), ARRAY(of)) for name, of in types.items())
        of_arrays = func.unnest(*arrays).table_valued(*types).render_derived()
        row = _json_each().c.value
        of_json = select(
            *(
                func.json_extract(row, literal_column(f"'$[{place}]'"), type_=of()).label(name)
                for place, (name, of) in enumerate(types.items())
            )
        ).subquery(LISTED)
        self._of_arrays = Statement((select_lateral or select_joined)(of_arrays))
        self._of_json = Statement(select_joined(of_json))

    def rows(
        self,
        connection: Connection,
        listed: Iterable[Row],
        **values: Any,  # noqa: ANN401  # columns
    ) -> Iterator[Row]:
        """The rows for each row of the list, in no order."""
        for some in _cut(listed):
            if has_arrays(connection):
                columns = zip(self._types, map(_array, zip(*some, strict=True)), strict=True)
                yield from self._of_arrays.rows(connection, **values, **dict(columns))
            else:
                yield from self._of_json.rows(connection, **values, **{LISTED: _json(some)})


def has_arrays(connection: Connection) -> bool:
    """Whether the database has arrays."""
    return connection.dialect.name == "postgresql"


def _cut(listed: Iterable[Any]) -> Iterator[Sequence[Any]]:
    wanted = sorted(set(listed))
    for start in range(0, len(wanted), LISTED_MAX):
        yield wanted[start : start + LISTED_MAX]


def _json_each() -> TableValuedAlias:
    return func.json_each(bindparam(LISTED)).table_valued("value")


class _Compiled:
    """A statement's text for one kind of database, and how its values are bound and told."""

    def __init__(self, select: Wanted, dialect: Dialect) -> None:
        self._ask = _ask_sqlite
        if dialect.name == "postgresql":
            self._ask = _ask_postgresql
            by_number: Any = PGDialect_psycopg
            dialect = by_number(paramstyle="numeric_dollar")
        compiled = select.compile(dialect=dialect)
        self._text = str(compiled)
        self._fixed = compiled.params
        self._by_place = compiled.positiontup or ()
        self._told_as: list[tuple[int, Callable[[Sequence[Any]], list[Any]]]] = [
            (place, schema.instants if isinstance(column.type, schema.Instant) else schema.decimals)
            for place, column in enumerate(select.selected_columns)
            if isinstance(column.type, schema.Instant | schema.Number)
        ]

    def run(self, connection: Connection, values: Values) -> Sequence[Row]:
        """Ask the driver; what goes wrong is the driver's own error."""
        named = self._fixed | {
            name: schema.microseconds(value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        rows = self._ask(connection, self._text, [named[name] for name in self._by_place])
        return self._told(rows) if rows and self._told_as else rows

    def _told(self, rows: Sequence[Row]) -> Sequence[Row]:
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for place, told in self._told_as:
            columns[place] = told(columns[place])
        return list(zip(*columns, strict=True))


def _ask_sqlite(connection: Connection, text: str, bound: Sequence[Any]) -> Sequence[Row]:
    driver: Any = connection.connection.driver_connection
    rows: list[Row] = driver.execute(text, bound).fetchall()
    return rows


def _ask_postgresql(connection: Connection, text: str, bound: Sequence[Any]) -> Sequence[Row]:
    server: _Server | None = connection.info.get(SERVER)
    if server is None:
        server = connection.info[SERVER] = _Server(connection.connection.driver_connection)
    return server.ask(text, bound)


class _Server:
    """PostgreSQL, asked without a cursor: to make one would take longer than the answer."""

    def __init__(self, driver: Any) -> None:  # noqa: ANN401  # psycopg's connection
        self._server = driver.pgconn
        self._results = Transformer(driver)
        self._prepared: dict[str, bytes] = {}
        self._numbers = count()

    def ask(self, text: str, bound: Sequence[Any]) -> Sequence[Row]:
        """Each text is planned once; values go as text, whose types the server knows."""
        values = [None if each is None else str(each).encode() for each in bound]
        if any(each is not None and b"\0" in each for each in values):
            raise psycopg.DataError("no text has a NUL in it")  # libpq would leave out the rest
        name = self._prepared.get(text) or self._prepare(text)
        result = self._server.exec_prepared(name, values, result_format=Format.BINARY)
        if result.status != ExecStatus.TUPLES_OK:
            del self._prepared[text]  # a table may be another than it was
            raise _error(result)
        self._results.set_pgresult(result)
        rows = self._results.load_rows(0, result.ntuples, tuple)
        self._results.set_pgresult(None)  # which may be long
        return rows

    def _prepare(self, text: str) -> bytes:
        name = f"question_{next(self._numbers)}".encode()
        result = self._server.prepare(name, text.encode())
        if result.status != ExecStatus.COMMAND_OK:
            raise _error(result)
        self._prepared[text] = name
        return name


def _error(result: Any) -> psycopg.Error:  # noqa: ANN401  # libpq's
    if result.error_field(DiagnosticField.SQLSTATE) is None:  # the server did not say it
        return psycopg.OperationalError(result.get_error_message())
    return error_from_result(result)


def _array(some: Collection[Any]) -> str:
    """A list as PostgreSQL writes it."""
    told = '","'.join(map(str, some))
    if "\\" in told or told.count('"') != 2 * (len(some) - 1):
        escaped = (str(each).replace("\\", "\\\\").replace('"', '\\"') for each in some)
        told = '","'.join(escaped)
    return f'{{"{told}"}}' if some else "{}"


def _json(some: Sequence[Any]) -> str:
    """A list as SQLite takes it."""
    return msgspec.json.encode(some).decode()
