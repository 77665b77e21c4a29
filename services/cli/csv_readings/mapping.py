"""CSV files and their manifest in, the facts of an import out.

Publications are read in the order of their dates. A KPI is defined when its first reading is
published, as its first row says. A period's first value is a reading, another one in a later
publication a correction, the same one is nothing. A row that cannot be mapped is left out and told
by file and line; nothing else is lost with it.

What is defined is known before anything is sent; readings are made of the rows while those before
them are being recorded.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from goal_contracts.commands import (
    ITEMS_MAX,
    Command,
    CorrectReading,
    CorrectReadings,
    OpenOrganisation,
    RecordReading,
    RecordReadings,
)
from goal_contracts.policy import Policy

from services.cli.csv_readings.bands import Bands
from services.cli.csv_readings.definitions import DENOMINATOR, NUMERATOR, Definitions
from services.cli.csv_readings.files import CsvFile, read
from services.cli.csv_readings.ids import Key, ids_of
from services.cli.csv_readings.manifest import (
    Manifest,
    Publication,
    Unmappable,
    publications_of,
)
from services.cli.csv_readings.rows import Cells, Reader, Table, Value
from services.cli.errors import WrongUsage
from services.cli.importing import DIGEST_SHOWN, Fact, History, Left, import_id_of

FOLLOWING_MAX: Final = 3
"""What a value may bring about: a computed reading, a change of health, and a review."""
BATCH: Final = ITEMS_MAX
BATCH_WITH_MORE: Final = ITEMS_MAX // (1 + FOLLOWING_MAX)
"""So many values in a command, without and with bands or ratios, that all fits into one commit."""
POLICY: Final = Policy(missed_readings="off")
"""Of what others publish nothing is missed here: when it has no more, they have stopped."""

Known = dict[str, dict[str, Value]]
"""What was said of a KPI, by its id, in each period."""


def history_of(
    manifest: Manifest, settings: bytes, folder: Path, *, organisation_id: str, importer: str
) -> History:
    """All that the manifest's files tell, ready to be sent; `settings` is the manifest as it is.

    What is left out of it is known when its facts are.
    """
    publications = publications_of(manifest, folder)
    files = {publication.file: read(folder, publication.file) for publication in publications}
    table = read(folder, manifest.table.file) if manifest.table else None
    digests = {file.name: file.sha256 for file in files.values()}
    if table:
        digests[table.name] = table.sha256
    import_id = import_id_of("readings", organisation_id, digests, settings)
    mapping = _Mapping(manifest, table, publications, files)
    if not mapping.defines_any:
        raise WrongUsage("the files hold no reading that the manifest can map")
    return History(
        organisation_id=organisation_id,
        import_id=import_id,
        source=manifest.source,
        digest=import_id.rpartition("-")[2],
        actor=importer,
        opening=OpenOrganisation(manifest.organisation.name, manifest.organisation.zone, POLICY),
        facts=mapping,
        size=mapping.size,
        left=mapping.left,
    )


class _Mapping:
    """The facts of an import; each time they are gone through they are made anew."""

    def __init__(
        self,
        manifest: Manifest,
        table: CsvFile | None,
        publications: Sequence[Publication],
        files: Mapping[str, CsvFile],
    ) -> None:
        self._manifest = manifest
        indicators = Table(manifest, table) if table else None
        self._readers = {name: Reader(manifest, indicators, file) for name, file in files.items()}
        self._left_of_table = indicators.left if indicators else []
        self.left = [*self._left_of_table]
        self.size = 0
        """How many rows there are."""
        self._keys: dict[str | Key, Key] = {}
        """The KPIs by the cells that name them in rows."""
        named = {name: self._look_for_keys(file) for name, file in files.items()}
        parts = (NUMERATOR, DENOMINATOR) if manifest.ratio else ()
        keys = dict.fromkeys(self._keys.values())
        self._names = ids_of([*keys, *((*key, part) for part in parts for key in keys)])
        self._bands = Bands(manifest.kpi.bands) if manifest.kpi.bands else None
        self._definitions = Definitions(manifest, self._names, self._bands)
        self._undefinable: dict[str, str] = {}
        """Why a row does not define the KPI that it names, by its place."""
        self._publications = [
            (each, files[each.file], self._defined(each, files[each.file], named[each.file]))
            for each in publications
        ]

    @property
    def defines_any(self) -> bool:
        """Whether there is a KPI."""
        return bool(self._definitions.defined)

    def __iter__(self) -> Iterator[Fact]:
        self.left[:] = self._left_of_table
        known: Known = defaultdict(dict)
        for publication, file, definitions in self._publications:
            yield from definitions
            yield from self._readings(publication, file, known)

    def _look_for_keys(self, file: CsvFile) -> set[Key]:
        """Counts the rows, too."""
        naming = self._readers[file.name].naming
        found: set[str | Key] = set()
        for _, cells in file.lines():
            self.size += 1
            if isinstance(cells, list):
                found.add(naming(cells))
        for each in found - self._keys.keys():
            words = (each,) if isinstance(each, str) else each
            self._keys[each] = tuple([word.strip() for word in words])
        return {self._keys[each] for each in found}

    def _defined(
        self, publication: Publication, file: CsvFile, named: Iterable[Key]
    ) -> Sequence[Fact]:
        """The units and KPIs that a publication is the first to tell of."""
        actor, at = self._manifest.actor, publication.published_at
        facts = [Fact(actor, each, at, (file.name,), size=0) for each in self._definitions.first()]
        if self._bands is not None:
            self._compare(self._bands, file)
        missing = {key for key in named if any(key)} - self._definitions.defined
        reader, lines = self._readers[file.name], file.lines()
        seen: set[tuple[Key, str]] = set()
        while missing and (found := next(lines, None)) is not None:
            line, cells = found
            if isinstance(cells, str) or not reader.is_wanted(cells):
                continue
            key = self._keys[reader.naming(cells)]
            if key not in missing:
                continue
            try:
                period, _ = reader.said(cells)
            except Unmappable:
                continue  # which is told when its reading is looked for
            if (key, period) in seen:
                continue
            seen.add((key, period))
            place = f"{file.name}:{line}"
            try:
                for command in self._definitions.define(key, reader.row(cells)):
                    facts.append(Fact(actor, command, at, (place,), size=0))  # noqa: PERF401 - what came before an error counts
                missing.remove(key)
            except Unmappable as why:
                self._undefinable[place] = str(why)
        return facts

    def _compare(self, bands: Bands, file: CsvFile) -> None:
        """Adds a publication's values; a row that cannot be mapped is told when it is recorded."""
        reader = self._readers[file.name]
        for _, cells in file.lines():
            if isinstance(cells, str) or not reader.is_wanted(cells):
                continue
            if (found := reader.number(cells)) is not None:
                compared = reader.row(cells)[bands.for_each]
                bands.add(compared, found[0], self._keys[reader.naming(cells)], found[1])

    def _readings(self, publication: Publication, file: CsvFile, known: Known) -> Iterator[Fact]:
        """What a publication says that is not known, as soon as a command is full of it."""
        batch = BATCH_WITH_MORE if self._bands or self._manifest.ratio else BATCH
        published = _Published(self._manifest.actor, publication.published_at, file, batch)
        reader = self._readers[file.name]
        said: dict[str, dict[str, int]] = defaultdict(dict)
        for line, cells in file.lines():
            published.rows += 1
            place = f"{file.name}:{line}"
            if isinstance(cells, str):
                self.left.append(Left(place, cells))
                continue
            if not reader.is_wanted(cells):
                continue
            try:
                key, period, value = self._said(reader, cells, line, said)
                if place in self._undefinable:
                    raise Unmappable(self._undefinable[place])  # noqa: TRY301 - told like any other row that is left out
            except Unmappable as why:
                self.left.append(Left(place, str(why)))
                continue
            for kpi_id, number in self._numbers(key, value):
                values = known[kpi_id]
                if (was := values.get(period)) != number:
                    values[period] = number
                    published.say(kpi_id, period, number, was, line, place)
            if published.fills_a_command:
                yield published.recorded()
        yield from published.rest()

    def _said(
        self, reader: Reader, cells: Cells, line: int, said: Mapping[str, dict[str, int]]
    ) -> tuple[Key, str, Value]:
        """A row's KPI, period and value, noting by the KPI's id which line says it."""
        key = self._keys[reader.naming(cells)]
        if not any(key):
            raise Unmappable("the row is empty: it names no KPI")
        period, value = reader.said(cells)
        if (earlier := said[self._names[key]].setdefault(period, line)) != line:
            raise Unmappable(f"line {earlier} already says what this KPI was in {period}")
        return key, period, value

    def _numbers(self, key: Key, value: Value) -> Iterable[tuple[str, Value]]:
        """What is said of a KPI, or of the parts that it is computed from."""
        if not self._manifest.ratio or value.numerator is None or value.denominator is None:
            return ((self._names[key], value),)
        return (
            (self._names[*key, NUMERATOR], Value(value.numerator)),
            (self._names[*key, DENOMINATOR], Value(value.denominator)),
        )


class _Published:
    """What is new in a publication, on its way into commands."""

    def __init__(self, actor: str, at: datetime, file: CsvFile, batch: int) -> None:
        self.rows = 0
        """So many were read since the last command."""
        self._actor = actor
        self._at = at
        self._file = file.name
        self._digest = file.sha256[:DIGEST_SHOWN]
        self._batch = batch
        self._readings: list[tuple[RecordReading, str]] = []
        self._corrections: list[tuple[CorrectReading, str]] = []

    def say(
        self, kpi_id: str, period: str, value: Value, was: Value | None, line: int, place: str
    ) -> None:
        """A KPI's first value for a period, or another one than before."""
        provenance = f"{self._file}#{line};sha256={self._digest}"
        if was is None:
            reading = RecordReading(
                kpi_id,
                period,
                value.value,
                numerator=value.numerator,
                denominator=value.denominator,
                provenance=provenance,
            )
            self._readings.append((reading, place))
        else:
            correction = CorrectReading(
                kpi_id,
                period,
                value.value,
                numerator=value.numerator,
                denominator=value.denominator,
                reason=f"revised by {self._file}",
                provenance=provenance,
            )
            self._corrections.append((correction, place))

    @property
    def fills_a_command(self) -> bool:
        """Whether there are readings enough for one."""
        return len(self._readings) >= self._batch

    def recorded(self) -> Fact:
        """The first of its readings."""
        some, self._readings = self._readings[: self._batch], self._readings[self._batch :]
        readings, places = zip(*some, strict=True)
        return self._fact(RecordReadings(readings), places)

    def rest(self) -> Iterator[Fact]:
        """All that is left at its end."""
        while self._readings:
            yield self.recorded()
        for start in range(0, len(self._corrections), self._batch):
            some = self._corrections[start : start + self._batch]
            corrections, places = zip(*some, strict=True)
            yield self._fact(CorrectReadings(corrections), places)

    def _fact(self, command: Command, places: tuple[str, ...]) -> Fact:
        rows, self.rows = self.rows, 0
        return Fact(self._actor, command, self._at, places, size=rows)
