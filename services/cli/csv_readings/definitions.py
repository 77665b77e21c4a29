"""The KPIs that published tables are about, and their units, as rows define them."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from goal_contracts.commands import Command, DefineKpi, DefineUnit
from goal_contracts.events import KpiBands, Ratio

from services.cli.csv_readings.bands import Bands
from services.cli.csv_readings.ids import Key, id_of, slug_of
from services.cli.csv_readings.manifest import (
    Manifest,
    PartSettings,
    RatioSettings,
    Row,
    Unmappable,
    fill,
    in_one_line,
)
from services.cli.csv_readings.rows import number_in

NUMERATOR: Final = "numerator"
DENOMINATOR: Final = "denominator"


class Definitions:
    """What is defined already, and what a row defines."""

    def __init__(self, manifest: Manifest, names: Mapping[Key, str], bands: Bands | None) -> None:
        """`names` are the KPIs' ids, `bands` knows how all that are compared stood at first."""
        self.defined: set[Key] = set()
        self._manifest = manifest
        self._names = names
        self._bands = bands
        self._units: dict[str, str] = {}

    def first(self) -> Iterator[Command]:
        """The unit that all others are below, unless it is defined."""
        if not self._units:
            settings = self._manifest.unit
            self._units[""] = settings.id
            yield DefineUnit(settings.id, settings.name, "company")

    def define(self, key: Key, row: Row) -> Iterator[Command]:
        """A KPI, with the parts it is computed from and its unit; Unmappable if it cannot be.

        What came before that is defined all the same.
        """
        settings = self._manifest.kpi
        ratio = self._manifest.ratio
        direction = fill(settings.direction, row)
        aim = settings.midpoint if direction == "range" and settings.midpoint else settings.target
        if ratio:
            yield from self._part(ratio.numerator, (*key, NUMERATOR), row)
            yield from self._part(ratio.denominator, (*key, DENOMINATOR), row)
        definition: dict[str, Any] = {
            "name": in_one_line(fill(settings.name, row)),
            "unit": fill(settings.unit, row),
            "direction": direction,
            "frequency": fill(settings.frequency, row),
            "source": self._manifest.source,
            "target": (fill(aim, row) if aim else "") or None,
            "aggregation": fill(settings.aggregation, row),
            "timing": fill(settings.timing, row),
            "description": fill(settings.description, row),
            "bands": self._bands_of(row, direction),
            "formula": self._formula(ratio, key, row) if ratio else None,
            "places": ratio.places if ratio else None,
        }
        yield from self._kpi(key, definition, row)

    def _part(self, part: PartSettings, key: Key, row: Row) -> Iterator[Command]:
        """A number that is only counted: more of it is neither good nor bad, so it has no bands."""
        definition = {
            "name": in_one_line(fill(part.name, row)),
            "unit": fill(part.unit, row),
            "direction": "higher",
            "frequency": fill(self._manifest.kpi.frequency, row),
            "source": self._manifest.source,
        }
        yield from self._kpi(key, definition, row)

    def _kpi(self, key: Key, definition: dict[str, Any], row: Row) -> Iterator[Command]:
        settings = self._manifest.kpi
        yield from self._unit(row)
        kpi = {
            "kpi_id": self._names[key],
            "unit_id": self._units[self._unit_name(row)],
            "owner": fill(settings.owner, row) if settings.owner else self._manifest.actor,
            "definition": definition,
        }
        try:
            command = msgspec.convert(kpi, DefineKpi)
        except msgspec.ValidationError as error:
            raise Unmappable(f"the KPI cannot be defined: {error}") from error
        self.defined.add(key)
        yield command

    def _bands_of(self, row: Row, direction: str) -> KpiBands | None:
        if self._bands is None:
            return None
        midpoint = self._manifest.kpi.midpoint if direction == "range" else None
        middle = None if midpoint is None else number_in(midpoint, row)
        return self._bands.of(row[self._bands.for_each], direction, middle)

    def _formula(self, ratio: RatioSettings, key: Key, row: Row) -> Ratio:
        multiplier, divisor = (number_in(words, row) for words in (ratio.multiplier, ratio.divisor))
        if not multiplier or not divisor:
            raise Unmappable("the ratio's multiplier or divisor is empty or 0")
        return Ratio(
            self._names[*key, NUMERATOR],
            self._names[*key, DENOMINATOR],
            _plain(multiplier / divisor),
        )

    def _unit(self, row: Row) -> Iterator[DefineUnit]:
        """The unit a row's KPI belongs to, unless it is defined."""
        name = self._unit_name(row)
        if name not in self._units:
            taken = set(self._units.values())
            self._units[name] = unit_id = id_of((name,), distinct=slug_of(name) in taken)
            yield DefineUnit(unit_id, name, "department", self._manifest.unit.id)

    def _unit_name(self, row: Row) -> str:
        for_each = self._manifest.unit.for_each
        return row[for_each].strip() if for_each else ""


def _plain(number: Decimal) -> Decimal:
    """1E+3 is 1000."""
    return Decimal(f"{number.normalize():f}")
