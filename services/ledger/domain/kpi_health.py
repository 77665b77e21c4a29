"""R24: how healthy a KPI is by its latest reading, and when it needs somebody's look.

A reading is judged by the bands of the version of the definition that it keeps. A period that was
missed says nothing, and neither does a reading without bands.
"""

from collections.abc import Iterator
from datetime import datetime
from heapq import merge
from itertools import count, groupby, islice

from goal_contracts.events import Event, KpiHealthChanged, KpiReviewOpened
from goal_contracts.fields import KpiHealth
from msgspec import Struct

from services.ledger.domain.asked import Asked
from services.ledger.domain.organisation import Kpi, Organisation, Reading, ReadingKey
from services.ledger.domain.times import days_later, days_of_period, local_day


class Standing(Struct, frozen=True):
    """How a KPI stood at the end of a period; without a reading, the period was missed."""

    effective_at: datetime
    period: str
    health: KpiHealth
    reading: Reading | None = None


def standings(organisation: Organisation, kpi: Kpi) -> Iterator[Standing]:
    """The latest first. Of several readings that are effective at once the last recorded counts."""
    said = merge(_readings(organisation, kpi), _missed(organisation, kpi), key=_when, reverse=True)
    for effective_at, together in groupby(said, key=_when):
        known = [(key, reading) for _, key, reading in together]
        read = [(key, reading) for key, reading in known if reading is not None]
        if read:
            key, reading = max(read, key=lambda each: each[1].position)
            bands = kpi.version(reading.definition_version).definition.bands
            health = "no_data" if bands is None else bands.health(reading.value)
            yield Standing(effective_at, key[1], health, reading)
        else:
            yield Standing(effective_at, known[0][0][1], "no_data")


def follow(
    organisation: Organisation, kpi_id: str, changed_at: datetime, asked: Asked
) -> Iterator[Event]:
    """The health after a change that was effective at `changed_at`, and a review it asks for."""
    kpi = organisation.kpis[kpi_id]
    latest = next(standings(organisation, kpi), None)
    health: KpiHealth = "no_data" if latest is None else latest.health
    if health != kpi.health:
        yield KpiHealthChanged(
            kpi_id=kpi_id,
            effective_at=changed_at if latest is None else latest.effective_at,
            health_was=kpi.health,
            health=health,
            period=None if latest is None else latest.period,
        )
    if (
        latest is not None
        and latest.reading is not None
        and _needs_review(organisation, kpi, health)
    ):
        yield _review(organisation, kpi, latest.period, latest.reading, asked)


def _needs_review(organisation: Organisation, kpi: Kpi, health: KpiHealth) -> bool:
    """One for each time that a KPI gets into breach and stays in it long enough."""
    if health != "breach" or kpi.retired or (kpi.health == "breach" and kpi.reviewed):
        return False
    if any(
        organisation.reviews[kpi.kpi_id, each].closed is None
        for each in organisation.review_ids.get(kpi.kpi_id, ())
    ):
        return False
    runs = organisation.policy.breach_runs
    last = [each.health for each in islice(standings(organisation, kpi), runs)]
    return last == ["breach"] * runs


def _review(
    organisation: Organisation, kpi: Kpi, period: str, reading: Reading, asked: Asked
) -> KpiReviewOpened:
    today = local_day(asked.now, organisation.zone)
    unit = kpi.version(reading.definition_version).definition.unit
    runs = organisation.policy.breach_runs
    run = "" if runs == 1 else f", the last of {runs}"
    return KpiReviewOpened(
        kpi_id=kpi.kpi_id,
        review_id=_review_id(organisation, kpi, period),
        owner=kpi.owner,
        due_on=days_later(today, organisation.policy.review_due_days),
        reason=f"the reading {period} is in breach{run}: {reading.value} {unit}",
    )


def _review_id(organisation: Organisation, kpi: Kpi, period: str) -> str:
    """After the period's last day: breach-2025-07-31; numbered where that is taken."""
    _, last_day = days_of_period(period)
    first = f"breach-{last_day}"
    ids = (first if number == 1 else f"{first}-{number}" for number in count(1))
    return next(each for each in ids if (kpi.kpi_id, each) not in organisation.reviews)


Said = tuple[datetime, ReadingKey, Reading | None]


def _readings(organisation: Organisation, kpi: Kpi) -> Iterator[Said]:
    for key in reversed(organisation.reading_keys.get(kpi.kpi_id, ())):
        reading = organisation.readings[key]
        if not reading.retracted:
            yield reading.effective_at, key, reading


def _missed(organisation: Organisation, kpi: Kpi) -> Iterator[Said]:
    for key in reversed(organisation.missed_keys.get(kpi.kpi_id, ())):
        yield organisation.missed[key].effective_at, key, None


def _when(said: Said) -> datetime:
    return said[0]
