"""Numbers, measures, dates and changes as people say them. Pure: values in, words out.

What reports say, too, stands in services.reports.wording.
"""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from goal_contracts.measures import Measure

from services.reports.wording import (
    ARROW,
    HUNDRED,
    NOTHING,
    amount,
    day,
    instant,
    measure,
    measure_with_original,
    number,
    percent,
    period,
    spaced,
    value,
)

__all__ = [
    "ARROW",
    "HUNDRED",
    "NOTHING",
    "amount",
    "anything",
    "changed",
    "day",
    "instant",
    "measure",
    "measure_with_original",
    "number",
    "percent",
    "period",
    "spaced",
    "value",
]

INSTANT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}")
NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


def anything(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A JSON value of an event or a view as people say it."""
    match value:
        case _ if value is None or value in ("", [], {}):
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case str() if INSTANT.match(value):
            try:
                return instant(datetime.fromisoformat(value))
            except ValueError:
                return value
        case str() if NUMBER.fullmatch(value):
            return number(Decimal(value))
        case list():
            return ", ".join(anything(item) for item in value)
        case dict() if "kind" in value:
            try:
                return measure(msgspec.convert(value, Measure, strict=False))
            except msgspec.ValidationError:
                return _pairs(value)
        case dict():
            return _pairs(value)
        case _:
            return str(value)


def changed(was: Any, now: Any) -> str:  # noqa: ANN401 - any two JSON values
    """From and to; of two measures of one kind only what differs: `target 99 → 95 %`."""
    if was is None:
        return anything(now)
    if isinstance(was, dict) and isinstance(now, dict) and was.keys() == now.keys():
        differing = [key for key in now if was[key] != now[key]]
        unit = f" {now['unit']}" if "unit" in now and "unit" not in differing else ""
        return ", ".join(
            f"{spaced(key)} {anything(was[key])} {ARROW} {anything(now[key])}{unit}"
            for key in differing
        )
    return f"{anything(was)} {ARROW} {anything(now)}"


def _pairs(value: dict[str, Any]) -> str:
    return ", ".join(f"{spaced(key)} {anything(item)}" for key, item in value.items())
