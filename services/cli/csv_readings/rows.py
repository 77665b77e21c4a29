"""What a row says: of which KPI, in which period, and the number; or why it says nothing."""

import re
from collections.abc import Callable
from decimal import Decimal
from operator import itemgetter

from goal_contracts.fields import is_number_of_record
from msgspec import Struct

from services.cli.csv_readings.files import CsvFile
from services.cli.csv_readings.manifest import Manifest, Row, Unmappable, Words, fill
from services.cli.errors import WrongUsage
from services.cli.importing import Left

Cells = list[str]
"""A row in the order of its file's columns."""

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")


class Value(Struct, frozen=True, gc=False):
    """What is said of one period."""

    value: Decimal
    numerator: Decimal | None = None
    denominator: Decimal | None = None


class Table:
    """The manifest's table: more columns for each indicator."""

    def __init__(self, manifest: Manifest, file: CsvFile) -> None:
        assert manifest.table is not None  # noqa: S101  # read only where there is one
        column = manifest.table.column
        if column not in file.header:
            raise WrongUsage(f"{file.name} has no column {column}; it has {', '.join(file.header)}")
        self.header = file.header
        self.left: list[Left] = []
        """What of it could not be read."""
        self._name = manifest.table.file
        self._indicators: dict[str, Row] = {}
        for line, row in file.rows():
            if isinstance(row, str):
                self.left.append(Left(f"{file.name}:{line}", row))
            elif (named := _bare(row[column])) in self._indicators:
                why = f"{column} {row[column]!r} stands in an earlier row, too"
                self.left.append(Left(f"{file.name}:{line}", why))
            else:
                self._indicators[named] = row

    def __getitem__(self, named: str) -> Row:
        """The columns of an indicator; Unmappable if there is none of that name."""
        indicator = self._indicators.get(_bare(named))
        if indicator is None:
            raise Unmappable(f"{self._name} has no {named!r}")
        return indicator


class Reader:
    """How the rows of one file are read. Where the table has a column, too, the row's own counts.

    WrongUsage if the file lacks a column.
    """

    def __init__(self, manifest: Manifest, table: Table | None, file: CsvFile) -> None:
        self._places = {column: place for place, column in enumerate(file.header)}
        self._require_columns(manifest, table, file)
        self._manifest = manifest
        self._table = table
        self._indicator: Callable[[Cells], Row] | None = None
        if table is not None and manifest.table is not None:
            self._indicator = _indicator_in(table, self._places[manifest.table.equals])
        self.naming = itemgetter(*[self._places[column] for column in manifest.kpi.id])
        """The cells that name a row's KPI: a text, or several."""
        columns, rows = manifest.columns, manifest.rows
        self._wanted = None if rows is None else (self._cell(rows.column), rows.only)
        self._period = self._cell(columns.period)
        self._value = self._cell(columns.value)
        self._parts = [
            None if column is None else (self._cell(column), column)
            for column in (columns.numerator, columns.denominator)
        ]
        self._has_parts = any(self._parts)

    def is_wanted(self, cells: Cells) -> bool:
        """Whether a row is one of those that are to be read; or why not, reading it will tell."""
        if self._wanted is None:
            return True
        cell, only = self._wanted
        try:
            return cell(cells).strip() in only
        except Unmappable:
            return True

    def said(self, cells: Cells) -> tuple[str, Value]:
        """The period and what a row says of it; Unmappable if it says nothing."""
        columns = self._manifest.columns
        if self._indicator is not None:
            self._indicator(cells)
        written = self._period(cells)
        period = self._manifest.period.read(written)
        if period is None:
            how = self._manifest.period.kind
            raise Unmappable(f"{columns.period} {written!r} is no period ({how})")
        number = _read_number(self._value(cells).strip(), columns.value)
        if number is None:
            raise Unmappable(f"{columns.value} is empty")
        if not self._has_parts:
            return period, Value(number)
        numerator, denominator = (
            None if part is None else _read_number(part[0](cells).strip(), part[1])
            for part in self._parts
        )
        if self._manifest.ratio and (numerator is None or denominator is None):
            raise Unmappable(f"{columns.numerator} or {columns.denominator} is empty")
        return period, Value(number, numerator, denominator)

    def number(self, cells: Cells) -> tuple[str, Decimal] | None:
        """The period and the number, whatever else a row says; None without."""
        try:
            if self._indicator is not None:
                self._indicator(cells)
            number = _read_number(self._value(cells).strip(), self._manifest.columns.value)
            period = self._manifest.period.read(self._period(cells))
        except Unmappable:
            return None
        return None if period is None or number is None else (period, number)

    def row(self, cells: Cells) -> Row:
        """By their columns, with those of its indicator."""
        own = {column: cells[place] for column, place in self._places.items()}
        return own if self._indicator is None else {**self._indicator(cells), **own}

    def _cell(self, column: str) -> Callable[[Cells], str]:
        place, indicator = self._places.get(column), self._indicator
        if place is not None or indicator is None:
            return itemgetter(self._places[column])
        return lambda cells: indicator(cells)[column]

    def _require_columns(self, manifest: Manifest, table: Table | None, file: CsvFile) -> None:
        own = set(manifest.kpi.id)
        if manifest.table:
            own.add(manifest.table.equals)
        joined = set(file.header) | set(table.header if table else ())
        missing = (manifest.columns_needed() - joined) | (own - set(file.header))
        if missing:
            raise WrongUsage(
                f"{file.name} has no column {', '.join(sorted(missing))}; "
                f"it has {', '.join(file.header)}"
            )


def number_in(words: Words, row: Row) -> Decimal | None:
    """What words of the manifest say of a row as a number, None if that is nothing."""
    return _read_number(fill(words, row), "the manifest's number")


def _indicator_in(table: Table, place: int) -> Callable[[Cells], Row]:
    return lambda cells: table[cells[place]]


def _read_number(text: str, what: str) -> Decimal | None:
    """None if there is nothing."""
    if not text:
        return None
    if _NUMBER.fullmatch(text) and is_number_of_record(number := Decimal(text)):
        return number
    raise Unmappable(f"{what} {text!r} is no number of record")


def _bare(text: str) -> str:
    return "".join(text.split())
