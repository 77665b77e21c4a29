"""What a row says: of which KPI, in which period, and the number; or why it says nothing."""

import re
from collections.abc import Iterable
from decimal import Decimal
from operator import itemgetter

from goal_contracts.fields import is_number_of_record
from msgspec import Struct

from services.cli.csv_readings.files import CsvFile
from services.cli.csv_readings.ids import Key
from services.cli.csv_readings.manifest import Manifest, Row, Unmappable, Words, fill
from services.cli.errors import WrongUsage
from services.cli.importing import Left

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")


class Value(Struct, frozen=True, gc=False):
    """What is said of one period."""

    value: Decimal
    numerator: Decimal | None = None
    denominator: Decimal | None = None


class Said(Struct, frozen=True):
    """What a row says; `row` has the columns of its indicator, too."""

    key: Key
    row: Row
    period: str
    value: Value


class Rows:
    """How the rows of a manifest's files are read."""

    def __init__(self, manifest: Manifest, table: CsvFile | None, files: Iterable[CsvFile]) -> None:
        self.left: list[Left] = []
        """What of the table could not be read."""
        self._manifest = manifest
        self._table = self._read_table(table) if table else None
        self._require_columns(files, table)
        self.naming = itemgetter(*manifest.kpi.id)
        """The cells of a row that name its KPI: a text, or several."""

    def is_wanted(self, cells: Row) -> bool:
        """Whether a row is one of those that are to be read."""
        settings = self._manifest.rows
        return settings is None or cells[settings.column].strip() in settings.only

    def said(self, cells: Row, key: Key) -> Said:
        """What a row says of a KPI; Unmappable if it says nothing."""
        if not any(key):
            raise Unmappable("the row is empty: it names no KPI")
        columns = self._manifest.columns
        row = self.joined(cells)
        period = self._manifest.period.read(row[columns.period])
        if period is None:
            how = self._manifest.period.kind
            raise Unmappable(f"{columns.period} {row[columns.period]!r} is no period ({how})")
        number = _number(row, columns.value)
        if number is None:
            raise Unmappable(f"{columns.value} is empty")
        if columns.numerator is None and columns.denominator is None:
            return Said(key, row, period, Value(number))
        value = Value(number, _part(row, columns.numerator), _part(row, columns.denominator))
        if self._manifest.ratio and (value.numerator is None or value.denominator is None):
            raise Unmappable(f"{columns.numerator} or {columns.denominator} is empty")
        return Said(key, row, period, value)

    def number(self, cells: Row) -> tuple[Row, str, Decimal] | None:
        """The row with its indicator, period and number, whatever else it says; None without."""
        columns = self._manifest.columns
        try:
            row = self.joined(cells)
            number = _number(row, columns.value)
        except Unmappable:
            return None
        period = self._manifest.period.read(row[columns.period])
        return None if period is None or number is None else (row, period, number)

    def joined(self, cells: Row) -> Row:
        """The row with its indicator's columns; where both have a column, the row's own counts."""
        if self._manifest.table is None or self._table is None:
            return cells
        named = cells[self._manifest.table.equals]
        indicator = self._table.get(_bare(named))
        if indicator is None:
            raise Unmappable(f"{self._manifest.table.file} has no {named!r}")
        return {**indicator, **cells}

    def _require_columns(self, files: Iterable[CsvFile], table: CsvFile | None) -> None:
        for file in files:
            own = set(self._manifest.kpi.id)
            if self._manifest.table:
                own.add(self._manifest.table.equals)
            joined = set(file.header) | set(table.header if table else ())
            missing = (self._manifest.columns_needed() - joined) | (own - set(file.header))
            if missing:
                raise WrongUsage(
                    f"{file.name} has no column {', '.join(sorted(missing))}; "
                    f"it has {', '.join(file.header)}"
                )

    def _read_table(self, file: CsvFile) -> dict[str, Row]:
        assert self._manifest.table is not None  # noqa: S101  # read only where there is one
        column = self._manifest.table.column
        if column not in file.header:
            raise WrongUsage(f"{file.name} has no column {column}; it has {', '.join(file.header)}")
        table: dict[str, Row] = {}
        for line, row in file.rows():
            if isinstance(row, str):
                self.left.append(Left(f"{file.name}:{line}", row))
            elif (key := _bare(row[column])) in table:
                why = f"{column} {row[column]!r} stands in an earlier row, too"
                self.left.append(Left(f"{file.name}:{line}", why))
            else:
                table[key] = row
        return table


def number_in(words: Words, row: Row) -> Decimal | None:
    """What words of the manifest say of a row as a number, None if that is nothing."""
    return _read_number(fill(words, row), "the manifest's number")


def _number(row: Row, column: str) -> Decimal | None:
    """A cell as a number, None if it is empty."""
    return _read_number(row[column].strip(), column)


def _part(row: Row, column: str | None) -> Decimal | None:
    return None if column is None else _number(row, column)


def _read_number(text: str, what: str) -> Decimal | None:
    if not text:
        return None
    if _NUMBER.fullmatch(text) and is_number_of_record(number := Decimal(text)):
        return number
    raise Unmappable(f"{what} {text!r} is no number of record")


def _bare(text: str) -> str:
    return "".join(text.split())
