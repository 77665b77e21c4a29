"""R26: which readings should have come by now and did not.

A KPI is watched from the day of its definition on, or from when the last import was finished or
missed readings were first recorded again, whatever is latest: of what was over by then nobody says
that it did not come. One period after the other is awaited. A gap before a later reading counts,
once its own grace is over; what overlaps a known period does not.

The state keeps for each KPI what is awaited and from which day on that is missed, so that a look
costs next to nothing as long as nothing is due. Each fact has a command id that follows from it, so
that it is recorded once however often it is noticed.
"""

from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from heapq import merge
from itertools import islice, takewhile

from goal_contracts.commands import Command, RecordMissedReading
from goal_contracts.fields import ID, Frequency

from services.ledger.domain.organisation import Kpi, Organisation, ReadingKey, Span, Watch
from services.ledger.domain.times import days_later, days_of_period, local_day, months_later

FACTS_MAX = 100
"""How many facts one call gives at most; the rest comes with the next calls."""

NEVER = date.max
"""When a reading is missed that nobody waits for."""

_MONTHS: Mapping[Frequency, int] = {"monthly": 1, "quarterly": 3, "yearly": 12}
_DAYS: Mapping[Frequency, int] = {"daily": 1, "weekly": 7}


def facts_due(organisation: Organisation, now: datetime) -> Iterator[tuple[str, Command]]:
    """Command ids and commands of what time has made true; per KPI the oldest first.

    The organisation may change while they are taken: they are found out before the first is given.
    """
    today = local_day(now, organisation.zone)
    if not organisation.watches_readings or not _is_anything_due(organisation, today):
        return iter(())
    facts = (
        (_command_id(missed), missed)
        for kpi_id, watch in organisation.watches.items()
        if watch.missed_on <= today
        for missed in _missed(organisation, organisation.kpis[kpi_id], watch.awaited, today)
    )
    return iter([*islice(facts, FACTS_MAX)])


def watch(organisation: Organisation, kpi: Kpi, awaited: Span | None = None) -> Watch:
    """What of a KPI is awaited; nothing before `awaited`, if that is known to be settled."""
    if awaited is None:
        awaited = _first_awaited(organisation, kpi)
    coming = None if kpi.retired else next(_unknown(organisation, kpi, awaited), None)
    if coming is None:
        return Watch(awaited, NEVER)
    return Watch(coming, days_later(coming.last, grace_days(organisation, kpi, coming.last) + 1))


def grace_days(organisation: Organisation, kpi: Kpi, last_day: date) -> int:
    """How long after its last day a period's reading may still come."""
    frequency = kpi.version_on(last_day).definition.frequency
    return organisation.policy.reading_grace.days(frequency)


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


def around(day: date, frequency: Frequency, year_begins: int) -> Span:
    """The period of the calendar that a day lies in.

    Weeks begin on Monday; quarters and years as the organisation counts them.
    """
    match frequency:
        case "daily":
            return Span(day, day)
        case "weekly":
            first = days_later(day, -day.weekday())
            return Span(first, days_later(first, 6))
        case _:
            months = _MONTHS[frequency]
            first = day.replace(day=1)
            while (first.month - year_begins) % months:
                first = days_later(first, -1).replace(day=1)
            return Span(first, days_later(months_later(first, months), -1))


def first_full(day: date, frequency: Frequency, year_begins: int) -> Span:
    """The first full period of the calendar that begins after a day."""
    return following(around(day, frequency, year_begins), frequency)


def _is_anything_due(organisation: Organisation, today: date) -> bool:
    latest = today.isoformat()
    return any(kpis and day <= latest for day, kpis in organisation.watched_days.items())


def _missed(
    organisation: Organisation, kpi: Kpi, awaited: Span, today: date
) -> Iterator[RecordMissedReading]:
    """Every period without a reading whose grace, and that of those before it, has passed."""

    def is_over(span: Span) -> bool:
        return today > days_later(span.last, grace_days(organisation, kpi, span.last))

    for span in takewhile(is_over, _unknown(organisation, kpi, awaited)):
        source = kpi.version_on(span.last).definition.source
        yield RecordMissedReading(kpi_id=kpi.kpi_id, period=span.period, source=source)


def _unknown(organisation: Organisation, kpi: Kpi, awaited: Span) -> Iterator[Span]:
    """One period after the other that overlaps none that is known; computed ones are left out.

    There is no end to them, unless the KPI is computed from now on.
    """
    known = _known_from(organisation, kpi, awaited.first)
    while True:
        while known and known[-1].last < awaited.first:
            known.pop()
        if known and known[-1].first <= awaited.last:
            awaited = _next(organisation, kpi, known.pop())
        elif kpi.version_on(awaited.last).definition.formula is None:
            yield awaited
            awaited = _next(organisation, kpi, awaited)
        else:
            entered_on = _entered_again_on(kpi, awaited.last)
            if entered_on is None:
                return
            awaited = _around(organisation, kpi, entered_on)


def _entered_again_on(kpi: Kpi, day: date) -> date | None:
    """When a KPI that is computed on a day will no longer be."""
    later = (
        each.effective_on
        for each in kpi.versions
        if each.effective_on > day and each.definition.formula is None
    )
    return next(later, None)


def _first_awaited(organisation: Organisation, kpi: Kpi) -> Span:
    """The period after the last known when the watch began, unless that was over by then, too."""
    begun_on = max(local_day(kpi.defined_at, organisation.zone), organisation.watched_from)
    before = (span for span in _known(organisation, kpi) if span.last <= begun_on)
    latest = next(before, None)
    if latest is None:
        frequency = kpi.version_on(begun_on).definition.frequency
        return _next(organisation, kpi, _around(organisation, kpi, begun_on), frequency)
    awaited = _next(organisation, kpi, latest)
    if awaited.last > begun_on:
        return awaited
    return _around(organisation, kpi, days_later(begun_on, 1))


def _around(organisation: Organisation, kpi: Kpi, day: date) -> Span:
    frequency = kpi.version_on(day).definition.frequency
    return around(day, frequency, organisation.policy.fiscal_year_start_month)


def _next(organisation: Organisation, kpi: Kpi, span: Span, was: Frequency | None = None) -> Span:
    """After another frequency has come into force the periods begin anew."""
    was = was or kpi.version_on(span.last).definition.frequency
    now = kpi.version_on(days_later(span.last, 1)).definition.frequency
    if now == was:
        return following(span, now)
    return first_full(span.last, now, organisation.policy.fiscal_year_start_month)


def _known_from(organisation: Organisation, kpi: Kpi, day: date) -> list[Span]:
    """The known periods that end on a day or later, the latest first, one for each end."""
    known: list[Span] = []
    for span in _known(organisation, kpi):
        if span.last < day:
            break
        if not known or known[-1].last != span.last:
            known.append(span)
    return known


def _known(organisation: Organisation, kpi: Kpi) -> Iterator[Span]:
    """Periods, read or missed, from the source that is the KPI's own at their end; latest first.

    Of those that end together, first what was missed, then what was recorded last.
    """
    missed = _own(kpi, organisation.missed_keys.get(kpi.kpi_id, ()))
    read = _own(
        kpi,
        organisation.reading_keys.get(kpi.kpi_id, ()),
        lambda key: not organisation.readings[key].retracted,
    )
    return merge(missed, read, key=lambda span: span.last, reverse=True)


def _own(
    kpi: Kpi, keys: Sequence[ReadingKey], counts: Callable[[ReadingKey], bool] = lambda _: True
) -> Iterator[Span]:
    """Those that count from the KPI's own source, the latest first."""
    for key in reversed(keys):
        span = span_of(key[1])
        if key[2] == kpi.version_on(span.last).definition.source and counts(key):
            yield span


@lru_cache(maxsize=8_192)
def span_of(period: str) -> Span:
    return Span(*days_of_period(period))


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
