"""The events of a big ledger, as the log holds them, written straight down without deciding.

Goals first (objectives with their key results, KPIs with a reading each), then history: check-ins
and readings in turn, week after week, each under ids and with words of its own.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from goal_contracts import codec, events
from goal_contracts.codec import Recorded
from goal_contracts.events import Band, Event, KpiBands, KpiDefinition
from goal_contracts.fields import CycleKind
from goal_contracts.measures import Metric
from goal_contracts.policy import Policy

ORGANISATION: Final = "acme"
CYCLES: Final = 8
UNITS: Final = 400
PEOPLE: Final = 2_000
BEGIN: Final = datetime(2024, 1, 1, 8, tzinfo=UTC)
WEEK: Final = timedelta(days=7)


class Size(NamedTuple):
    """How much there is of everything."""

    objectives: int = 30_000
    key_results: int = 70_000
    kpis: int = 20_000

    @property
    def goals(self) -> int:
        """How many events the goals are, with the first reading of each KPI."""
        return 1 + UNITS + CYCLES * 2 + self.objectives * 2 + self.key_results + self.kpis * 2


def payloads(size: Size, history: int) -> Iterator[tuple[int, bytes]]:
    """Positions and stored bytes: the goals, then so many check-ins and readings."""
    position = 0
    for part in (_goals(size), _history(size, history)):
        for happened_at, event in part:
            position += 1
            yield position, _stored(position, happened_at, event)


def _stored(position: int, at: datetime, event: Event) -> bytes:
    return codec.encode_event(
        Recorded(
            position=position,
            event_id=f"01980b1c-{position % 65_536:04x}-7e3a-9b2c-{position:012x}",
            organisation_id=ORGANISATION,
            kind=event.kind,
            goal_id=event.goal_id,
            recorded_at=at,
            known_at=at,
            effective_at=codec.effective_at_of(event, at),
            actor=f"u-{position % PEOPLE}",
            command_id=f"c-01980b1c-7e3a-9b2c-{position:012x}",
            event=event,
        )
    )


def _goals(size: Size) -> Iterator[tuple[datetime, Event]]:
    yield BEGIN, events.OrganisationOpened(ORGANISATION, "Acme", "Europe/Berlin", Policy())
    for number in range(UNITS):
        yield BEGIN, events.UnitDefined(f"unit-{number}", f"Unit {number}", "team")
    for number in range(CYCLES):
        first = date(2024 + number // 4, 1 + number % 4 * 3, 1)
        kind: CycleKind = "quarterly"
        planned = events.CyclePlanned(
            f"cycle-{number}", f"Quarter {number}", kind, first, first + timedelta(days=89)
        )
        yield BEGIN, planned
        yield BEGIN, events.CycleActivated(f"cycle-{number}", Policy())
    for number in range(size.objectives):
        yield (
            BEGIN,
            events.ObjectiveDrafted(
                objective_id=f"objective-{number}",
                cycle_id=f"cycle-{number % CYCLES}",
                unit_id=f"unit-{number % UNITS}",
                title=f"Customers of region {number} stay with us for longer than a year",
                owner=f"u-{number % PEOPLE}",
                description=f"What we heard in interview {number}, put into one sentence.",
            ),
        )
        yield BEGIN, events.ObjectivePublished(f"objective-{number}")
    for number in range(size.key_results):
        yield (
            BEGIN,
            events.KeyResultAdded(
                key_result_id=f"key-result-{number}",
                objective_id=f"objective-{number % size.objectives}",
                title=f"Raise renewals of segment {number}",
                owner=f"u-{number % PEOPLE}",
                measure=Metric("%", Decimal(number % 50), Decimal(number % 50 + 40)),
            ),
        )
    for number in range(size.kpis):
        bands = KpiBands(Band(low=Decimal(90)), Band(low=Decimal(80)))
        definition = KpiDefinition(
            f"Renewal rate of segment {number}", "%", "higher", "weekly", "warehouse", bands=bands
        )
        yield (
            BEGIN,
            events.KpiDefined(
                f"kpi-{number}", f"unit-{number % UNITS}", f"u-{number % PEOPLE}", definition
            ),
        )
    for number in range(size.kpis):
        yield BEGIN, _reading(number, 0)


def _history(size: Size, count: int) -> Iterator[tuple[datetime, Event]]:
    for number in range(count // 2):
        week = 1 + number // size.kpis
        yield BEGIN + WEEK * week, _reading(number % size.kpis, week)
        yield (
            BEGIN + WEEK * week,
            events.CheckedIn(
                key_result_id=f"key-result-{number % size.key_results}",
                check_in_id=f"01980b1c-7e3a-9b2c-{number:012x}",
                effective_at=BEGIN + WEEK * week - timedelta(hours=number % 48),
                value=Decimal(number % 9_000) / 100,
                confidence=number % 11,
                status="on_track",
                note=f"two more customers signed in week {week} of {number}",
            ),
        )


def _reading(kpi: int, week: int) -> events.KpiReadingRecorded:
    monday = BEGIN.date() + WEEK * week
    return events.KpiReadingRecorded(
        kpi_id=f"kpi-{kpi}",
        period=f"{monday}/{monday + timedelta(days=6)}",
        effective_at=BEGIN + WEEK * (week + 1) - timedelta(hours=8, microseconds=1),
        value=Decimal(kpi * 7 % 2_000) / 100 + 80,
        source="warehouse",
        definition_version=1,
    )
