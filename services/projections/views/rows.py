"""What the tables hold: rows that are added and never changed, each a pure function of the log."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple

import msgspec
from goal_contracts.fields import Status

FactEvent = Literal["recorded", "corrected", "retracted", "missed"]


class EventRow(NamedTuple):
    """One event as it is stored. `known_at_max` turns dates into positions (see as_of)."""

    organisation_id: str
    position: int
    kind: str
    goal_id: str
    cycle_id: str | None
    effective_at: datetime
    known_at_max: datetime
    payload: bytes


class GoalRow(NamedTuple):
    """That a thing exists from a position on, and where it belongs for good, or ''."""

    organisation_id: str
    kind: str
    cycle_id: str
    objective_id: str
    goal_id: str
    position: int


class VersionRow(NamedTuple):
    """A thing's state after the event at a position."""

    organisation_id: str
    kind: str
    goal_id: str
    position: int
    unit_id: str | None
    state: bytes


class LinkRow(NamedTuple):
    """From this position on a key result of the cycle follows the KPI."""

    organisation_id: str
    cycle_id: str
    kpi_id: str
    position: int
    key_result_id: str


class AlignmentRow(NamedTuple):
    """From this position on the objective serves the parent, a goal named by kind and id."""

    organisation_id: str
    parent: str
    position: int
    objective_id: str


class CheckInRow(NamedTuple):
    """What was said of a key result: a check-in, its correction, or its retraction.

    `first_position` is the check-in's own; a correction keeps it, and the effective date.
    """

    organisation_id: str
    key_result_id: str
    effective_at: datetime
    first_position: int
    position: int
    check_in_id: str
    event: FactEvent
    value: Decimal | None
    confidence: int | None
    status: Status | None
    note: str
    actor: str
    known_at: datetime
    recorded_at: datetime
    provenance: str | None


class ReadingRow(NamedTuple):
    """What was said of a KPI's period: a reading, its correction, its retraction, or its absence.

    `first_position` is the reading's own; `corrects` the position of the row that is replaced.
    """

    organisation_id: str
    kpi_id: str
    effective_at: datetime
    first_position: int
    position: int
    period: str
    source: str
    event: FactEvent
    value: Decimal | None
    value_was: Decimal | None
    corrects: int | None
    definition_version: int | None
    numerator: Decimal | None
    denominator: Decimal | None
    actor: str
    known_at: datetime
    recorded_at: datetime
    reason: str | None
    provenance: str | None


class ChangeRow(NamedTuple):
    """One field of one thing, from and to (JSON), and who, when and why; `ordinal` counts from 0.

    An event that changed no field has one without a field.
    """

    organisation_id: str
    kind: str
    goal_id: str
    position: int
    ordinal: int
    event: str
    field: str
    was: bytes | None
    now: bytes | None
    actor: str
    on_behalf_of: str | None
    recorded_at: datetime
    known_at: datetime
    effective_at: datetime
    reason: str | None
    provenance: str | None

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands among all changes."""
        return self.position, self.ordinal


class EventChanges(NamedTuple):
    """All that one event changed. `fields` is JSON: for each field its name, was and now.

    Of check-ins and readings, most of all events, no row is kept: they tell it (history.told_by).
    """

    organisation_id: str
    kind: str
    goal_id: str
    position: int
    event: str
    fields: bytes
    actor: str
    on_behalf_of: str | None
    recorded_at: datetime
    known_at: datetime
    effective_at: datetime
    reason: str | None
    provenance: str | None

    def rows(self) -> Iterator[ChangeRow]:
        """Field by field."""
        for ordinal, (name, was, now) in enumerate(_fields.decode(self.fields)):
            yield ChangeRow(
                self.organisation_id,
                self.kind,
                self.goal_id,
                self.position,
                ordinal,
                self.event,
                name,
                _said(was),
                _said(now),
                self.actor,
                self.on_behalf_of,
                self.recorded_at,
                self.known_at,
                self.effective_at,
                self.reason,
                self.provenance,
            )


_fields: Final = msgspec.json.Decoder(list[tuple[str, msgspec.Raw, msgspec.Raw]])


def _said(value: msgspec.Raw) -> bytes | None:
    said = bytes(value)
    return None if said == b"null" else said


@dataclass(slots=True)
class Rows:
    """What a batch of events adds to each table; a table and its field have the same name."""

    event: list[EventRow] = field(default_factory=list)
    goal: list[GoalRow] = field(default_factory=list)
    goal_version: list[VersionRow] = field(default_factory=list)
    link: list[LinkRow] = field(default_factory=list)
    alignment: list[AlignmentRow] = field(default_factory=list)
    check_in: list[CheckInRow] = field(default_factory=list)
    reading: list[ReadingRow] = field(default_factory=list)
    change: list[EventChanges] = field(default_factory=list)

    def extend(self, more: "Rows") -> None:
        """The rows that follow on these."""
        for table in fields(self):
            getattr(self, table.name).extend(getattr(more, table.name))
