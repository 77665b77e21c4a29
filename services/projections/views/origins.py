"""R28: where a number that is shown comes from.

What is made of other numbers is computed, or rolled up where those belong to goals below. What was
said is corrected once a correction counts, else imported if it was known before it was recorded,
else entered. A score that differs from the computed one is adjusted.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from goal_contracts.codec import Recorded
from goal_contracts.events import KeyResultGraded, ObjectiveGraded
from goal_contracts.fields import Origin

from services.projections.views.rows import CheckInRow, ReadingRow

FORMULA: Final = "formula"
"""The source of readings that follow from other KPIs' readings (R27)."""


class Said(Protocol):
    """Something that was recorded, perhaps from elsewhere."""

    @property
    def known_at(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...
    @property
    def provenance(self) -> str | None: ...


def of_fact(row: CheckInRow | ReadingRow | None) -> Origin | None:
    """A check-in's or a reading's number; None where there is none."""
    if row is None or row.value is None:
        return None
    if isinstance(row, ReadingRow) and row.source == FORMULA:
        return "computed"
    return said(row)


def said(row: CheckInRow | ReadingRow) -> Origin:
    """Whatever somebody said: its number, or how sure they were."""
    if row.event == "corrected":
        return "corrected"
    return "imported" if is_imported(row) else "entered"


def of_score(recorded: Recorded, event: KeyResultGraded | ObjectiveGraded) -> Origin | None:
    """A score as it was given; an objective's is computed from its key results'."""
    if event.score is None:
        return None
    if event.score_computed is None:
        return "imported" if is_imported(recorded) else "entered"
    if event.score != event.score_computed:
        return "adjusted"
    return "rolled_up" if isinstance(event, ObjectiveGraded) else "computed"


def of_computed(number: Decimal | None, origin: Origin) -> Origin | None:
    """The origin of a number that is made of others, if there is one."""
    return None if number is None else origin


def is_imported(said: Said) -> bool:
    """Whether it was imported: known before the ledger recorded it, or with a place of origin."""
    return said.provenance is not None or said.known_at < said.recorded_at
