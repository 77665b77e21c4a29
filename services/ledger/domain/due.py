"""R26: which readings should have come by now and did not.

Each fact has a command id that follows from it, so that it is recorded once however often it is
noticed. A KPI is looked at by its latest period only; what was left out further back stays so.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import islice

from goal_contracts.commands import Command, RecordMissedReading
from goal_contracts.fields import ID, Frequency
from msgspec import Struct

from services.ledger.domain.organisation import Kpi, Organisation, ReadingKey
from services.ledger.domain.times import days_later, days_of_period, local_day, months_later

FACTS_MAX = 100
"""How many facts one call gives at most; the rest comes with the next calls."""

_MONTHS: Mapping[Frequency, int] = {"monthly": 1, "quarterly": 3, "yearly": 12}
_DAYS: Mapping[Frequency, int] = {"daily": 1, "weekly": 7}


class Span(Struct, frozen=True):
    """A period by its first and last day."""

    first: date
    last: date

    @property
    def period(self) -> str:
        """As readings name it: 2022-01-01/2022-01-31."""
        return f"{self.first}/{self.last}"


def facts_due(organisation: Organisation, now: datetime) -> Iterator[tuple[str, Command]]:
    """Command ids and commands of what time has made true; per KPI the oldest first.

    The organisation may change while they are taken: they are found out before the first is given.
    """
    if organisation.policy.missed_readings == "off" or organisation.running_import is not None:
        return iter(())
    today = local_day(now, organisation.zone)
    facts = (
        (_command_id(missed), missed)
        for kpi in organisation.kpis.values()
        if not kpi.retired
        for missed in _missed(organisation, kpi, today)
    )
    return iter([*islice(facts, FACTS_MAX)])


@lru_cache(maxsize=8_192)
def following(span: Span, frequency: Frequency) -> Span:
    """The period after one, of the same shape: whole months stay whole, the 15th the 15th."""
    if frequency in _DAYS:
        step = timedelta(days=_DAYS[frequency])
        return Span(span.first + step, span.last + step)
    months = _MONTHS[frequency]
    if span.first == span.last:
        day = _months_on(span.last, months, keep_end=True)
        return Span(day, day)
    after = _months_on(days_later(span.last, 1), months, keep_end=False)
    return Span(_months_on(span.first, months, keep_end=False), days_later(after, -1))


def first_full(day: date, frequency: Frequency, year_begins: int) -> Span:
    """The first full period that begins after a day.

    Weeks begin on Monday; quarters and years as the organisation counts them.
    """
    match frequency:
        case "daily":
            first = days_later(day, 1)
            return Span(first, first)
        case "weekly":
            first = days_later(day, 7 - day.weekday())
            return Span(first, days_later(first, 6))
        case _:
            months = _MONTHS[frequency]
            first = months_later(day.replace(day=1), 1)
            while (first.month - year_begins) % months:
                first = months_later(first, 1)
            return Span(first, days_later(months_later(first, months), -1))


def _missed(organisation: Organisation, kpi: Kpi, today: date) -> Iterator[RecordMissedReading]:
    """Every period whose grace has passed since the latest that is known."""
    span = _latest(organisation, kpi)
    while True:
        span = _next(organisation, kpi, span)
        definition = kpi.version_on(span.last).definition
        grace = organisation.policy.reading_grace.days(definition.frequency)
        if definition.formula is not None or today <= days_later(span.last, grace):
            return
        yield RecordMissedReading(kpi_id=kpi.kpi_id, period=span.period, source=definition.source)


def _next(organisation: Organisation, kpi: Kpi, span: Span | None) -> Span:
    """After another frequency has come into force the periods begin anew."""
    year_begins = organisation.policy.fiscal_year_start_month
    if span is None:
        defined_on = local_day(kpi.defined_at, organisation.zone)
        frequency = kpi.version_on(defined_on).definition.frequency
        return first_full(defined_on, frequency, year_begins)
    was = kpi.version_on(span.last).definition.frequency
    now = kpi.version_on(days_later(span.last, 1)).definition.frequency
    return following(span, now) if now == was else first_full(span.last, now, year_begins)


def _latest(organisation: Organisation, kpi: Kpi) -> Span | None:
    """The latest period, read or missed, from the source that is the KPI's own at its end."""
    missed = next(_own(kpi, organisation.missed_keys.get(kpi.kpi_id, ())), None)
    for key, span in _own(kpi, organisation.reading_keys.get(kpi.kpi_id, ())):
        if missed is not None and span.last <= missed[1].last:
            break
        if not organisation.readings[key].retracted:
            return span
    return None if missed is None else missed[1]


def _own(kpi: Kpi, keys: Sequence[ReadingKey]) -> Iterator[tuple[ReadingKey, Span]]:
    """Those from the KPI's own source, the latest first."""
    for key in reversed(keys):
        first, last = days_of_period(key[1])
        if key[2] == kpi.version_on(last).definition.source:
            yield key, Span(first, last)


def _months_on(day: date, months: int, *, keep_end: bool) -> date:
    """The same day of a later month, or that month's last day."""
    begin = months_later(day.replace(day=1), months)
    days = monthrange(begin.year, begin.month)[1]
    is_end = day.day == monthrange(day.year, day.month)[1]
    return begin.replace(day=days if keep_end and is_end else min(day.day, days))


def _command_id(missed: RecordMissedReading) -> str:
    """missed-churn-2025-07-31-1f0c…; the last part tells apart what the rest does not."""
    fact = f"{missed.kpi_id} {missed.period} {missed.source}"
    digest = sha256(fact.encode()).hexdigest()
    last = missed.period.partition("/")[2]
    readable = f"missed-{missed.kpi_id}-{last}-{digest[:12]}"
    return readable if ID.fullmatch(readable) else f"missed-{digest[:40]}"
