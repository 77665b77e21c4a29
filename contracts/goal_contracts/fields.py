r"""The kinds of field that messages are made of, each with its stated limit.

Patterns mean the same to Python and to JSON Schema: digits are named one by one, characters by
`\x`, which every dialect knows, and as `$` lets a newline pass in Python, none may follow.
"""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NUMBER_PATTERN = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$(?!\n)"
"""A decimal as text. Python itself takes the digits of any script, spaces and underscores, too."""
NUMBER = re.compile(NUMBER_PATTERN)

Id = Annotated[str, Meta(pattern=ID_PATTERN, description="Chosen by the caller.")]
LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*$(?!\n)"
"""No control characters: what one line shows is what it says."""
LINE = re.compile(LINE_PATTERN)
TEXT_PATTERN = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
"""Newlines and tabs are the only control characters."""

Title = Annotated[str, Meta(min_length=1, max_length=1_000, pattern=LINE_PATTERN)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE_PATTERN)]
Text = Annotated[str, Meta(max_length=4_000, pattern=TEXT_PATTERN)]
Reasoning = Annotated[str, Meta(min_length=1, max_length=4_000, pattern=TEXT_PATTERN)]
UnitOfMeasure = Annotated[str, Meta(min_length=1, max_length=64, pattern=LINE_PATTERN)]
Source = Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE_PATTERN)]
Provenance = Annotated[
    str,
    Meta(
        max_length=500,
        pattern=LINE_PATTERN,
        description="Where an imported fact stands: file, row and digest.",
    ),
]
Confidence = Annotated[int, Meta(ge=0, le=10, description="0 will not land, 10 will land.")]
Instant = Annotated[datetime, Meta(tz=True, description="A moment, with its offset from UTC.")]
Zone = Annotated[str, Meta(min_length=1, max_length=64, description="An IANA time zone.")]
Period = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)",
        description="First and last day, both included: 2022-01-01/2022-01-31.",
    ),
]
GoalRef = Annotated[
    str,
    Meta(
        pattern=r"^(objective|key_result|kpi)/[A-Za-z0-9_-]{1,64}$(?!\n)",
        description="Kind and id of a goal or an indicator: objective/o-1.",
    ),
]

LEDGER_ACTOR = "ledger"
"""Who records what time alone makes true: no person."""

Kind = Literal["organisation", "unit", "cycle", "objective", "key_result", "kpi"]
UnitKind = Literal["company", "department", "team", "person"]
CycleKind = Literal["annual", "quarterly", "monthly", "custom"]
CycleState = Literal["planned", "active", "grading", "closed", "reopened", "cancelled"]
ObjectiveKind = Literal["committed", "aspirational"]
ObjectiveState = Literal["draft", "published", "dropped", "carried"]
Outcome = Literal["achieved", "partial", "missed", "dropped", "carried"]
Status = Literal["on_track", "at_risk", "off_track"]
Direction = Literal["higher", "lower", "range"]
Frequency = Literal["daily", "weekly", "monthly", "quarterly", "yearly"]
Aggregation = Literal["last", "sum", "average"]
Timing = Literal["leading", "lagging"]
KpiHealth = Literal["healthy", "warning", "breach", "no_data"]
Role = Literal["viewer", "auditor", "contributor", "owner", "unit_lead", "admin"]
Origin = Literal["entered", "imported", "computed", "rolled_up", "adjusted", "corrected"]
CheckInTiming = Literal["pending", "on_time", "due", "late", "overdue", "ended"]
GoalHealth = Literal[
    "achieved",
    "partial",
    "missed",
    "dropped",
    "carried",
    "outdated",
    "on_track",
    "at_risk",
    "off_track",
    "pending",
]
ReviewDecision = Literal["fix", "recovery_objective", "accept"]

DIGITS_MAX = 28
EXPONENT_MAX = 18


def is_number_of_record(number: Decimal) -> bool:
    """Finite, at most 28 significant digits, at most 18 places either side of the point."""
    if not number.is_finite():
        return False
    written = str(number)
    if len(written) <= EXPONENT_MAX and "E" not in written:
        return True  # so short in full: by far the most, and found out in a third of the time
    _, digits, exponent = number.as_tuple()
    return len(digits) <= DIGITS_MAX and abs(int(exponent)) <= EXPONENT_MAX
