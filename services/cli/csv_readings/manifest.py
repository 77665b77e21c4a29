"""The manifest: a TOML file that says how CSV files are read as KPI readings.

    root = "data"                          # where the files lie, seen from the manifest
    source = "Office of Numbers"           # the readings' source
    actor = "office-of-numbers"            # who publishes
    publications = "publications.json"     # its items are like this one, which may stand here, too:
    # publications = [{ file = "2024.csv", published_at = 2024-05-21T12:48:25+01:00 }]

    [organisation]                         # opened under these if it is not there yet
    name = "Two towns"
    zone = "Europe/London"

    [unit]                                 # which unit the KPIs belong to
    id = "two-towns"
    name = "Two Towns"
    for_each = "town"                      # optional: a unit below it for each value of a column

    [columns]
    period = "month"
    value = "value"
    # numerator = "claimants"              # optional, for a ratio; so is the denominator
    # denominator = "residents"

    [period]
    kind = "month-name"                    # or "fiscal-year" with first_month = 4, or "iso"

    [kpi]
    id = ["town", "measure"]               # the columns that tell one KPI from another
    name = "{indicator}, {town}"
    unit = { column = "measure", map = { Count = "persons", Share = "%" } }
    direction = "lower"                    # or a column with its map
    frequency = "monthly"
    # target = "{target}"                  # optional, as aggregation, timing, description, owner
    # midpoint = "{midpoint}"              # optional: the target where the direction is a range

    [kpi.bands]                            # optional: bands from how the KPIs stood at first
    for_each = "indicator"                 # KPIs that say the same here are compared
    healthy = 0.5                          # the better half of them is healthy ...
    warning = 0.9                          # ... and but for the worst tenth the rest a warning

    [table]                                # optional: more columns, from a table of indicators
    file = "indicators.csv"
    column = "Code"                        # its key ...
    equals = "indicator_code"              # ... and the files' column that says the same

    # [rows]                               # optional: only these rows are read
    # column = "indicator_code"
    # only = ["A1", "B2"]

    # [ratio]                              # optional: numerator and denominator are KPIs, too, and
    # multiplier = "{up}"                  # the KPI is computed: over each other, times the first,
    # divisor = "{down}"                   # divided by the second; rounded to so many decimals
    # places = 9
    # numerator = { name = "{above}, {town}", unit = "persons" }
    # denominator = { name = "{below}, {town}", unit = "persons" }

A text of [kpi] is written as it is, with `{column}` standing for the row's cell; or it is a cell,
translated if there is a map. A cell that is not in the map is reported. Keys of the table are
compared without their blanks.

Bands are taken from the first period for which at least eight of the compared KPIs have a value:
from the worst value that is still among the better half to the worst that is not yet among the
last tenth. What is better, the direction says: higher, lower, or nearer to the midpoint. So a KPI
is judged by where its peers began, and no later value moves its bands.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
from goal_contracts.fields import Id, Instant, Name, Source, Zone
from msgspec import Meta, Struct

from services.cli.csv_readings.periods import Periods
from services.cli.errors import WrongUsage

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")

Row = dict[str, str]


class Unmappable(Exception):
    """A cell says something that the manifest has no words for."""


class Setting(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the manifest: a key it does not know is an error, not overlooked."""


class Publication(Setting, frozen=True):
    """A file, and the moment from which on people could know what is in it."""

    file: str
    published_at: Instant


class OrganisationSettings(Setting, frozen=True):
    name: Name
    zone: Zone = "UTC"


class UnitSettings(Setting, frozen=True):
    id: Id
    name: Name
    for_each: str | None = None


class Columns(Setting, frozen=True):
    period: str
    value: str
    numerator: str | None = None
    denominator: str | None = None


class Cell(Setting, frozen=True):
    """The cell of a column, translated by `map` if there is one."""

    column: str
    map: dict[str, str] | None = None


Words = str | Cell
Share = Annotated[Decimal, Meta(description="0 to 1")]


class BandSettings(Setting, frozen=True):
    """Shares of the compared KPIs, the best first; the module says how they become bands."""

    for_each: str
    healthy: Share
    warning: Share

    def __post_init__(self) -> None:
        if not 0 < self.healthy <= self.warning <= 1:
            raise ValueError("of [kpi.bands] 0 < healthy <= warning <= 1 has to hold")


class KpiSettings(Setting, frozen=True):
    id: Annotated[tuple[str, ...], Meta(min_length=1)]
    name: Words
    unit: Words
    direction: Words
    frequency: Words
    target: Words | None = None
    midpoint: Words | None = None
    aggregation: Words = "last"
    timing: Words = "lagging"
    description: Words = ""
    owner: Words | None = None
    bands: BandSettings | None = None

    def words(self) -> Iterator[Words]:
        yield from (self.name, self.unit, self.direction, self.frequency, self.aggregation)
        yield from (self.timing, self.description)
        optional = (self.target, self.midpoint, self.owner)
        yield from (words for words in optional if words is not None)


class TableSettings(Setting, frozen=True):
    file: str
    column: str
    equals: str


class RowSettings(Setting, frozen=True):
    column: str
    only: tuple[str, ...]


class PartSettings(Setting, frozen=True):
    name: Words
    unit: Words


class RatioSettings(Setting, frozen=True):
    numerator: PartSettings
    denominator: PartSettings
    multiplier: Words = "1"
    divisor: Words = "1"
    places: Annotated[int, Meta(ge=0, le=12)] | None = None

    def words(self) -> Iterator[Words]:
        yield from (self.numerator.name, self.numerator.unit, self.multiplier)
        yield from (self.denominator.name, self.denominator.unit, self.divisor)


class Manifest(Setting, frozen=True):
    """How files are read; the module says what each setting means."""

    source: Source
    actor: Id
    publications: str | tuple[Publication, ...]
    organisation: OrganisationSettings
    unit: UnitSettings
    columns: Columns
    period: Periods
    kpi: KpiSettings
    root: str = "."
    table: TableSettings | None = None
    rows: RowSettings | None = None
    ratio: RatioSettings | None = None

    def __post_init__(self) -> None:
        if self.ratio and not (self.columns.numerator and self.columns.denominator):
            raise ValueError("a [ratio] needs the columns of its numerator and denominator")

    def columns_needed(self) -> set[str]:
        """Every column that a row, together with its row of the table, has to have."""
        named = {self.columns.period, self.columns.value, *self.kpi.id}
        optional = (
            self.columns.numerator,
            self.columns.denominator,
            self.unit.for_each,
            self.kpi.bands.for_each if self.kpi.bands else None,
            self.rows.column if self.rows else None,
        )
        named |= {column for column in optional if column is not None}
        for words in (*self.kpi.words(), *(self.ratio.words() if self.ratio else ())):
            named |= {words.column} if isinstance(words, Cell) else set(_PLACEHOLDER.findall(words))
        return named


def load(path: Path) -> Manifest:
    """Reads a manifest; WrongUsage when it is not one."""
    manifest: Manifest = _decode(path, Manifest, msgspec.toml.decode)
    return manifest


def publications_of(manifest: Manifest, folder: Path) -> tuple[Publication, ...]:
    """All publications, the earliest first."""
    listed = manifest.publications
    if isinstance(listed, str):
        listed = _decode(folder / listed, tuple[Publication, ...], msgspec.json.decode)
    if not listed:
        raise WrongUsage("the manifest names no publication; list at least one file")
    return tuple(sorted(listed, key=lambda publication: publication.published_at))


def in_one_line(text: str) -> str:
    """A cell may go over several lines; a name does not."""
    return " ".join(text.split())


def fill(words: Words, row: Row) -> str:
    """What the words say of a row."""
    if isinstance(words, str):
        return _PLACEHOLDER.sub(lambda found: row[found[1]], words).strip()
    cell = row[words.column].strip()
    if words.map is None:
        return cell
    if cell not in words.map:
        known = ", ".join(words.map)
        raise Unmappable(f"{words.column} is {cell!r}, and the manifest maps only {known}")
    return words.map[cell]


def _decode(path: Path, kind: Any, decode: Any) -> Any:  # noqa: ANN401  # msgspec's own signature
    try:
        return decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}") from error
    # The TOML decoder hands on its own ValueError.
    except (msgspec.MsgspecError, ValueError) as error:
        raise WrongUsage(f"{path}: {error}; see `goal-ledger import readings --help`") from error
