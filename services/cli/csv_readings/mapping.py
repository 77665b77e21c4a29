"""CSV files and their manifest in, the facts of an import out.

Publications are read in the order of their dates. A KPI is defined when its first reading is
published, as its first row says. A period's first value is a reading, another one in a later
publication a correction, the same one is nothing. A row that cannot be mapped is left out and told
by file and line; nothing else is lost with it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from goal_contracts.commands import (
    ITEMS_MAX,
    Command,
    CorrectReading,
    CorrectReadings,
    DefineKpi,
    DefineUnit,
    OpenOrganisation,
    RecordReading,
    RecordReadings,
)
from goal_contracts.events import KpiBands, Ratio
from goal_contracts.fields import is_number_of_record
from goal_contracts.policy import Policy
from msgspec import Struct

from services.cli.csv_readings.bands import Bands
from services.cli.csv_readings.files import CsvFile, read
from services.cli.csv_readings.manifest import (
    Manifest,
    PartSettings,
    Publication,
    RatioSettings,
    Row,
    Unmappable,
    Words,
    fill,
    in_one_line,
    publications_of,
)
from services.cli.errors import WrongUsage
from services.cli.importing import DIGEST_SHOWN, Fact, History, Left, import_id_of

ID_LENGTH_MAX = 64
DISTINCTION_LENGTH = 8
NUMERATOR, DENOMINATOR = "numerator", "denominator"
FOLLOWING_MAX = 3
"""What a value may bring about: a computed reading, a change of health, and a review."""
BATCH = ITEMS_MAX
BATCH_WITH_MORE = ITEMS_MAX // (1 + FOLLOWING_MAX)
"""So many values in a command, without and with bands or ratios, that all fits into one commit."""
POLICY = Policy(missed_readings="off")
"""Of what others publish nothing is missed here: when it has no more, they have stopped."""

TOLD_EVERY = 1_000
"""How many rows are read, and then it is told."""

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
Item = TypeVar("Item")
Key = tuple[str, ...]
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class Value(Struct, frozen=True):
    """What a publication says of one period."""

    value: Decimal
    numerator: Decimal | None = None
    denominator: Decimal | None = None


class _Published(Struct):
    """One publication's part of the import, under way."""

    by: str
    at: datetime
    batch: int
    definitions: list[Fact] = msgspec.field(default_factory=list)
    readings: list[tuple[RecordReading, str]] = msgspec.field(default_factory=list)
    corrections: list[tuple[CorrectReading, str]] = msgspec.field(default_factory=list)

    def facts(self) -> Iterator[Fact]:
        yield from self.definitions
        for readings in _batches(self.readings, self.batch):
            commands, places = zip(*readings, strict=True)
            yield Fact(self.by, RecordReadings(commands), self.at, places)
        for corrections in _batches(self.corrections, self.batch):
            changes, places = zip(*corrections, strict=True)
            yield Fact(self.by, CorrectReadings(changes), self.at, places)


def history_of(
    manifest: Manifest,
    settings: bytes,
    folder: Path,
    *,
    organisation_id: str,
    importer: str,
    progress: Progress = lambda _what, _total: nullcontext(lambda _more: None),
) -> History:
    """All that the manifest's files tell, ready to be sent; `settings` is the manifest as it is.

    `progress` is opened with what is done and of how many rows, and hears how many more are read.
    """
    publications = publications_of(manifest, folder)
    files = {publication.file: read(folder, publication.file) for publication in publications}
    table_file = read(folder, manifest.table.file) if manifest.table else None
    digests = {file.name: file.sha256 for file in files.values()}
    if table_file:
        digests[table_file.name] = table_file.sha256
    import_id = import_id_of("readings", organisation_id, digests, settings)
    mapping = _Mapping(manifest, table_file, files)
    facts: list[Fact] = []
    with progress(f"Reading {manifest.source}", mapping.rows) as progressed:
        for publication in publications:
            facts += mapping.publication(publication, files[publication.file], progressed)
    if not mapping.known:
        raise WrongUsage("the files hold no reading that the manifest can map")
    return History(
        organisation_id=organisation_id,
        import_id=import_id,
        source=manifest.source,
        digest=import_id.rpartition("-")[2],
        actor=importer,
        opening=OpenOrganisation(manifest.organisation.name, manifest.organisation.zone, POLICY),
        facts=facts,
        left=mapping.left,
        rows=mapping.rows,
    )


class _Mapping:
    """What is known while the publications are read, one after the other."""

    def __init__(
        self, manifest: Manifest, table: CsvFile | None, files: dict[str, CsvFile]
    ) -> None:
        self.manifest = manifest
        self.left: list[Left] = []
        self.table = self.read_table(table) if table else None
        self.check_columns(files.values(), table)
        self.rows = 0
        keys: dict[Key, None] = {}
        for file in files.values():
            for _, row in file.rows():
                self.rows += 1
                if isinstance(row, dict):
                    keys[_key(row, manifest.kpi.id)] = None
        parts = (NUMERATOR, DENOMINATOR) if manifest.ratio else ()
        self.names = _ids([*keys, *((*key, part) for part in parts for key in keys)])
        self.bands = Bands(manifest.kpi.bands) if manifest.kpi.bands else None
        self.units: dict[str, str] = {}
        self.defined: set[Key] = set()
        self.known: dict[tuple[Key, str], Value] = {}

    def check_columns(self, files: Iterable[CsvFile], table: CsvFile | None) -> None:
        for file in files:
            own = set(self.manifest.kpi.id)
            if self.manifest.table:
                own.add(self.manifest.table.equals)
            joined = set(file.header) | set(table.header if table else ())
            missing = (self.manifest.columns_needed() - joined) | (own - set(file.header))
            if missing:
                raise WrongUsage(
                    f"{file.name} has no column {', '.join(sorted(missing))}; "
                    f"it has {', '.join(file.header)}"
                )

    def read_table(self, file: CsvFile) -> dict[str, Row]:
        assert self.manifest.table is not None  # noqa: S101  # read only where there is one
        column = self.manifest.table.column
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

    def compare(self, bands: Bands, file: CsvFile) -> None:
        """Adds a publication's values; a row that cannot be mapped is told when it is recorded."""
        columns, settings = self.manifest.columns, self.manifest.kpi
        for _, cells in file.rows():
            if isinstance(cells, str) or not self.is_wanted(cells):
                continue
            try:
                row = self.joined(cells)
                value = _number(row, columns.value)
            except Unmappable:
                continue
            period = self.manifest.period.read(row[columns.period])
            if period is not None and value is not None:
                bands.add(row[bands.for_each], period, _key(cells, settings.id), value)

    def is_wanted(self, cells: Row) -> bool:
        rows = self.manifest.rows
        return rows is None or cells[rows.column].strip() in rows.only

    def publication(
        self, publication: Publication, file: CsvFile, progressed: Callable[[int], None]
    ) -> Iterator[Fact]:
        batch = BATCH_WITH_MORE if self.bands or self.manifest.ratio else BATCH
        published = _Published(self.manifest.actor, publication.published_at, batch)
        if not self.units:
            settings = self.manifest.unit
            self.units[""] = settings.id
            self.define(published, DefineUnit(settings.id, settings.name, "company"), file.name)
        if self.bands is not None:
            self.compare(self.bands, file)
        said: dict[tuple[Key, str], int] = {}
        number = 0
        for number, (line, row) in enumerate(file.rows(), 1):
            if number % TOLD_EVERY == 0:
                progressed(TOLD_EVERY)
            place = f"{file.name}:{line}"
            if isinstance(row, str):
                self.left.append(Left(place, row))
                continue
            if not self.is_wanted(row):
                continue
            try:
                self.row(row, line, file, published, said)
            except Unmappable as why:
                self.left.append(Left(place, str(why)))
        progressed(number % TOLD_EVERY)
        return published.facts()

    def row(
        self,
        cells: Row,
        line: int,
        file: CsvFile,
        published: _Published,
        said: dict[tuple[Key, str], int],
    ) -> None:
        key = _key(cells, self.manifest.kpi.id)
        if not any(key):
            raise Unmappable("the row is empty: it names no KPI")
        row = self.joined(cells)
        columns = self.manifest.columns
        period = self.manifest.period.read(row[columns.period])
        if period is None:
            how = self.manifest.period.kind
            raise Unmappable(f"{columns.period} {row[columns.period]!r} is no period ({how})")
        number = _number(row, columns.value)
        if number is None:
            raise Unmappable(f"{columns.value} is empty")
        value = Value(
            number, self.part(row, columns.numerator), self.part(row, columns.denominator)
        )
        ratio = self.manifest.ratio
        if ratio and (value.numerator is None or value.denominator is None):
            raise Unmappable(f"{columns.numerator} or {columns.denominator} is empty")
        if (earlier := said.setdefault((key, period), line)) != line:
            raise Unmappable(f"line {earlier} already says what this KPI was in {period}")
        self.define_kpi(key, row, published, f"{file.name}:{line}")
        said_now = {key: value}
        if ratio and value.numerator is not None and value.denominator is not None:
            said_now = {
                (*key, NUMERATOR): Value(value.numerator),
                (*key, DENOMINATOR): Value(value.denominator),
            }
        for each, number_now in said_now.items():
            self.say(each, period, number_now, line, file, published)

    def say(
        self, key: Key, period: str, now: Value, line: int, file: CsvFile, published: _Published
    ) -> None:
        """The reading or the correction that follows, if anything is new."""
        was = self.known.get((key, period))
        if was == now:
            return
        self.known[key, period] = now
        kpi_id, place = self.names[key], f"{file.name}:{line}"
        provenance = f"{file.name}#{line};sha256={file.sha256[:DIGEST_SHOWN]}"
        if was is None:
            reading = RecordReading(
                kpi_id,
                period,
                now.value,
                numerator=now.numerator,
                denominator=now.denominator,
                provenance=provenance,
            )
            published.readings.append((reading, place))
        else:
            correction = CorrectReading(
                kpi_id,
                period,
                now.value,
                numerator=now.numerator,
                denominator=now.denominator,
                reason=f"revised by {file.name}",
                provenance=provenance,
            )
            published.corrections.append((correction, place))

    def joined(self, row: Row) -> Row:
        """The row with its indicator's columns; where both have a column, the row's own counts."""
        if self.manifest.table is None or self.table is None:
            return row
        named = row[self.manifest.table.equals]
        indicator = self.table.get(_bare(named))
        if indicator is None:
            raise Unmappable(f"{self.manifest.table.file} has no {named!r}")
        return {**indicator, **row}

    def part(self, row: Row, column: str | None) -> Decimal | None:
        return None if column is None else _number(row, column)

    def define_kpi(self, key: Key, row: Row, published: _Published, place: str) -> None:
        if key in self.defined:
            return
        settings = self.manifest.kpi
        ratio = self.manifest.ratio
        direction = fill(settings.direction, row)
        aim = settings.midpoint if direction == "range" and settings.midpoint else settings.target
        if ratio:
            self.define_part(ratio.numerator, (*key, NUMERATOR), row, published, place)
            self.define_part(ratio.denominator, (*key, DENOMINATOR), row, published, place)
        definition: dict[str, Any] = {
            "name": in_one_line(fill(settings.name, row)),
            "unit": fill(settings.unit, row),
            "direction": direction,
            "frequency": fill(settings.frequency, row),
            "source": self.manifest.source,
            "target": (fill(aim, row) if aim else "") or None,
            "aggregation": fill(settings.aggregation, row),
            "timing": fill(settings.timing, row),
            "description": fill(settings.description, row),
            "bands": self.bands_of(row, direction),
            "formula": self.formula(ratio, key, row) if ratio else None,
            "places": ratio.places if ratio else None,
        }
        self.define_as(key, definition, row, published, place)

    def define_part(
        self, part: PartSettings, key: Key, row: Row, published: _Published, place: str
    ) -> None:
        """A number that is only counted: more of it is neither good nor bad, so it has no bands."""
        definition = {
            "name": in_one_line(fill(part.name, row)),
            "unit": fill(part.unit, row),
            "direction": "higher",
            "frequency": fill(self.manifest.kpi.frequency, row),
            "source": self.manifest.source,
        }
        self.define_as(key, definition, row, published, place)

    def define_as(
        self, key: Key, definition: dict[str, Any], row: Row, published: _Published, place: str
    ) -> None:
        settings = self.manifest.kpi
        kpi = {
            "kpi_id": self.names[key],
            "unit_id": self.unit(row, published, place),
            "owner": fill(settings.owner, row) if settings.owner else self.manifest.actor,
            "definition": definition,
        }
        try:
            command = msgspec.convert(kpi, DefineKpi)
        except msgspec.ValidationError as error:
            raise Unmappable(f"the KPI cannot be defined: {error}") from error
        self.define(published, command, place)
        self.defined.add(key)

    def bands_of(self, row: Row, direction: str) -> KpiBands | None:
        if self.bands is None:
            return None
        midpoint = self.manifest.kpi.midpoint if direction == "range" else None
        middle = None if midpoint is None else _text_number(midpoint, row)
        return self.bands.of(row[self.bands.for_each], direction, middle)

    def formula(self, ratio: RatioSettings, key: Key, row: Row) -> Ratio:
        multiplier, divisor = (
            _text_number(words, row) for words in (ratio.multiplier, ratio.divisor)
        )
        if not multiplier or not divisor:
            raise Unmappable("the ratio's multiplier or divisor is empty or 0")
        return Ratio(
            self.names[*key, NUMERATOR],
            self.names[*key, DENOMINATOR],
            _plain(multiplier / divisor),
        )

    def unit(self, row: Row, published: _Published, place: str) -> str:
        """The unit a row's KPI belongs to; a new one is defined first."""
        settings = self.manifest.unit
        name = row[settings.for_each].strip() if settings.for_each else ""
        if name not in self.units:
            taken = set(self.units.values())
            self.units[name] = unit_id = _id((name,), distinct=_slug(name) in taken)
            command = DefineUnit(unit_id, name, "department", settings.id)
            self.define(published, command, place)
        return self.units[name]

    def define(self, published: _Published, command: Command, place: str) -> None:
        published.definitions.append(Fact(published.by, command, published.at, (place,)))


def _number(row: Row, column: str) -> Decimal | None:
    """A cell as a number, None if it is empty."""
    return _read_number(row[column].strip(), column)


def _text_number(words: Words, row: Row) -> Decimal | None:
    """What words of the manifest say of a row as a number, None if that is nothing."""
    return _read_number(fill(words, row), "the manifest's number")


def _read_number(text: str, what: str) -> Decimal | None:
    if not text:
        return None
    number = Decimal(text) if _NUMBER.fullmatch(text) else None
    if number is None or not is_number_of_record(number):
        raise Unmappable(f"{what} {text!r} is no number of record")
    return number


def _plain(number: Decimal) -> Decimal:
    """1E+3 is 1000."""
    return Decimal(f"{number.normalize():f}")


def _key(row: Row, columns: tuple[str, ...]) -> Key:
    return tuple([row[column].strip() for column in columns])


def _bare(text: str) -> str:
    return "".join(text.split())


def _ids(keys: Iterable[Key]) -> dict[Key, str]:
    """An id for each key; keys that would get the same one are told apart by their digest."""
    slugs = {key: _slug(*key) for key in keys}
    times: dict[str, int] = {}
    for slug in slugs.values():
        times[slug] = times.get(slug, 0) + 1
    return {key: _id(key, distinct=times[slug] > 1) for key, slug in slugs.items()}


def _id(key: Key, *, distinct: bool) -> str:
    slug = _slug(*key)
    if not distinct and 0 < len(slug) <= ID_LENGTH_MAX:
        return slug
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:DISTINCTION_LENGTH]
    return f"{slug[: ID_LENGTH_MAX - DISTINCTION_LENGTH - 1]}-{digest}".lstrip("-")


def _slug(*parts: str) -> str:
    """Lower-case letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", "-".join(parts).casefold()).encode("ascii", "ignore")
    return "-".join(re.findall(r"[a-z0-9]+", plain.decode()))


def _batches(items: list[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
