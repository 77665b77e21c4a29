"""Bands from how the compared KPIs stood in the first period that many have; see the manifest."""

from collections import defaultdict
from decimal import ROUND_CEILING, Decimal
from typing import Final

from goal_contracts.events import Band, KpiBands

from services.cli.csv_readings.manifest import BandSettings

COMPARED_MIN: Final = 8
"""Fewer KPIs say nothing about what is usual."""


class Bands:
    """Values of every period, by what is compared, and the bands that follow from them.

    Once they are asked for they stay: what is published later moves nothing.
    """

    def __init__(self, settings: BandSettings) -> None:
        self.for_each = settings.for_each
        self._settings = settings
        self._known: dict[tuple[str, str, Decimal | None], KpiBands] = {}
        self._values: dict[str, dict[str, dict[tuple[str, ...], Decimal]]] = defaultdict(
            lambda: defaultdict(dict)
        )

    def add(self, compared: str, period: str, kpi: tuple[str, ...], value: Decimal) -> None:
        """What was said first of a KPI's period counts."""
        self._values[compared][period].setdefault(kpi, value)

    def of(self, compared: str, direction: str, middle: Decimal | None) -> KpiBands | None:
        """None where too few have a value, and for a range whose middle nobody knows."""
        known = self._known.get((compared, direction, middle))
        if known is None and (values := self._first(compared)):
            known = self._found(values, direction, middle)
            if known is not None:
                self._known[compared, direction, middle] = known
        return known

    def _found(
        self, values: list[Decimal], direction: str, middle: Decimal | None
    ) -> KpiBands | None:
        match direction:
            case "higher":
                healthy, warning = self._limits(sorted(values, reverse=True))
                return KpiBands(Band(low=healthy), Band(low=warning))
            case "lower":
                healthy, warning = self._limits(sorted(values))
                return KpiBands(Band(high=healthy), Band(high=warning))
            case _ if middle is not None:
                healthy, warning = self._limits(sorted(abs(value - middle) for value in values))
                return KpiBands(
                    Band(low=middle - healthy, high=middle + healthy),
                    Band(low=middle - warning, high=middle + warning),
                )
            case _:
                return None

    def _limits(self, ranked: list[Decimal]) -> tuple[Decimal, Decimal]:
        """The last of the healthy ones and the last before the breach: values that were there."""
        return self._at(ranked, self._settings.healthy), self._at(ranked, self._settings.warning)

    def _first(self, compared: str) -> list[Decimal]:
        """Periods are ordered by their last days."""
        periods = sorted(self._values[compared].items(), key=lambda each: each[0].split("/")[::-1])
        return next(
            (list(values.values()) for _, values in periods if len(values) >= COMPARED_MIN), []
        )

    @staticmethod
    def _at(ranked: list[Decimal], share: Decimal) -> Decimal:
        """The last of the first `share` of them, rounded up to a whole one."""
        count = int((share * len(ranked)).to_integral_value(ROUND_CEILING))
        return ranked[max(count, 1) - 1]
