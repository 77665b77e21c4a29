"""Which readings should have come and did not (R26): DOMAIN.md in a second telling.

Written from DOMAIN.md and not from the decisions, so that it can judge them: day by day over the
calendar.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from goal_contracts.commands import Command, RecordMissedReading
from goal_contracts.events import KpiDefinition
from goal_contracts.fields import Frequency

from services.ledger.domain.organisation import Kpi, Organisation

ONE_DAY = timedelta(days=1)
LONGEST = {"daily": 1, "weekly": 7, "monthly": 31, "quarterly": 92, "yearly": 366}
MANY = 100
"""So many at once are not all given: the rest comes later."""

Overdue = tuple[str, str, str]
"""KPI, period and source."""


def check(
    organisation: Organisation, now: datetime, due: Sequence[tuple[str, Command]]
) -> tuple[RecordMissedReading, ...]:
    """What is said to be due is due, and nothing else; AssertionError names what is broken."""
    found: list[RecordMissedReading] = []
    for _, command in due:
        assert isinstance(command, RecordMissedReading)
        found.append(command)
        _is_overdue(organisation, command, now)
    ids = {command_id for command_id, _ in due}
    facts = {(each.kpi_id, each.period, each.source) for each in found}
    assert len(ids) == len(facts) == len(found), "R26: a fact is due twice"
    for kpi in organisation.kpis.values():
        mine = [each.period for each in found if each.kpi_id == kpi.kpi_id]
        expected = _expected(organisation, kpi, now)
        if expected is not None:
            told = expected[: len(mine)] if len(found) >= MANY else expected
            assert mine == told, f"R26: {kpi.kpi_id} lacks {mine}, not {expected}"
        elif not mine and len(found) < MANY:
            _has_come(organisation, kpi, now)
    return tuple(found)


def _is_overdue(organisation: Organisation, command: RecordMissedReading, now: datetime) -> None:
    """Not early, not twice, and only of what is watched and entered."""
    kpi = organisation.kpis[command.kpi_id]
    policy = organisation.policy
    assert policy.missed_readings == "record", f"R26: {command} is not wanted"
    assert organisation.running_import is None, f"R26: {command} during an import"
    assert not kpi.retired, f"R26: {command} of a retired KPI"
    last = date.fromisoformat(command.period.partition("/")[2])
    definition = _on(kpi, last)
    assert definition.formula is None, f"R26: {command} is computed"
    assert command.source == definition.source, f"R26: {command} from another source"
    grace = timedelta(days=policy.reading_grace.days(definition.frequency))
    assert _today(organisation, now) > last + grace, f"R26: {command} is early"
    key = command.kpi_id, command.period, command.source
    assert key not in organisation.missed, f"R26: {command} is missed twice"
    reading = organisation.readings.get(key)
    assert reading is None or reading.retracted, f"R26: {command} has come"


def _has_come(organisation: Organisation, kpi: Kpi, now: datetime) -> None:
    """Of periods in no calendar's shape: at least nobody waits much longer than two of them."""
    if any(each.definition.formula is not None for each in kpi.versions):
        return
    longest = max(LONGEST[each.definition.frequency] for each in kpi.versions)
    grace = max(
        organisation.policy.reading_grace.days(each.definition.frequency) for each in kpi.versions
    )
    ends = (last for _, last in _known(organisation, kpi))
    last = max((_watched_from(organisation, kpi), *ends))
    waited = _today(organisation, now) - last
    assert waited.days <= 2 * longest + grace, f"R26: {kpi.kpi_id} is not waited for"


def _expected(organisation: Organisation, kpi: Kpi, now: datetime) -> list[str] | None:
    """Each period since it is watched that is not known; None, if some are in no shape."""
    policy = organisation.policy
    if kpi.retired or organisation.running_import is not None or policy.missed_readings == "off":
        return []
    frequencies = {each.definition.frequency for each in kpi.versions}
    computed = {each.definition.formula is not None for each in kpi.versions}
    if computed == {True}:
        return []
    if len(frequencies) > 1 or len(computed) > 1:
        return None
    (frequency,) = frequencies
    year_begins = policy.fiscal_year_start_month
    known = _known(organisation, kpi)
    if not all(
        _begins(begin, frequency, year_begins) and end == _end(begin, frequency, year_begins)
        for begin, end in known
    ):
        return None
    watched_from = _watched_from(organisation, kpi)
    begin = watched_from + ONE_DAY
    # What has begun already is awaited of those that had readings before.
    back = -ONE_DAY if any(end <= watched_from for _, end in known) else ONE_DAY
    while not _begins(begin, frequency, year_begins):
        begin += back
    grace = timedelta(days=policy.reading_grace.days(frequency))
    today = _today(organisation, now)
    periods: list[str] = []
    while True:
        end = _end(begin, frequency, year_begins)
        if end + grace >= today:
            return periods
        if (begin, end) not in known:
            periods.append(f"{begin}/{end}")
        begin = end + ONE_DAY


def _watched_from(organisation: Organisation, kpi: Kpi) -> date:
    """From then on: the day is over on which it was defined, or all of them began to be watched."""
    return max(_today(organisation, kpi.defined_at), organisation.watched_from)


def _known(organisation: Organisation, kpi: Kpi) -> list[tuple[date, date]]:
    """The periods that came, or are known not to have come, from the source that is asked."""
    came = [key for key, each in organisation.readings.items() if not each.retracted]
    periods: list[tuple[date, date]] = []
    for kpi_id, period, source in [*came, *organisation.missed]:
        if kpi_id == kpi.kpi_id:
            first, last = (date.fromisoformat(each) for each in period.split("/"))
            if source == _on(kpi, last).source:
                periods.append((first, last))
    return periods


def _begins(day: date, frequency: Frequency, year_begins: int) -> bool:
    """Whether a period of the calendar begins on a day."""
    match frequency:
        case "daily":
            return True
        case "weekly":
            return day.isoweekday() == 1
        case "monthly":
            return day.day == 1
        case "quarterly":
            return day.day == 1 and day.month % 3 == year_begins % 3
        case "yearly":
            return (day.day, day.month) == (1, year_begins)


def _end(begin: date, frequency: Frequency, year_begins: int) -> date:
    day = begin + ONE_DAY
    while not _begins(day, frequency, year_begins):
        day += ONE_DAY
    return day - ONE_DAY


def _on(kpi: Kpi, day: date) -> KpiDefinition:
    in_force = [each for each in kpi.versions if each.effective_on <= day]
    return max(in_force, key=lambda each: each.effective_on).definition


def _today(organisation: Organisation, now: datetime) -> date:
    return now.astimezone(ZoneInfo(organisation.zone)).date()
