"""What the rules say of indicators: R22 to R27, with all that follows from a reading."""

from collections.abc import Callable
from copy import copy
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest.mock import ANY

from goal_contracts import commands as c
from goal_contracts import events as e
from goal_contracts.events import Formula, KpiBands, KpiDefinition, Ratio
from goal_contracts.fields import KpiHealth
from goal_contracts.measures import KpiLinked
from goal_contracts.replies import Reason as R  # noqa: N817 - every second line has one

from services.ledger.domain import Asked
from tests.ledger.domain.model.leniencies import Lenient as L  # noqa: N817 - as above
from tests.ledger.domain.model.numbers import rounded
from tests.ledger.domain.model.objections import (
    ENDED,
    created_before,
    owner_fits,
    unit_lives,
    wants_reason,
)
from tests.ledger.domain.model.verdict import Verdict
from tests.ledger.domain.model.world import Kpi, Reading, World

PLACES = 6
COMPUTED = "formula"
"""The source of readings that are computed; the contracts leave its name open."""


def days_of(period: str) -> tuple[date, date] | None:
    """First and last day, or None where it is no period."""
    try:
        first, last = map(date.fromisoformat, period.split("/"))
    except ValueError:
        return None
    return (first, last) if first <= last < date.max else None


# ---------------------------------------------------------------------------------- definitions


def sources_of(formula: Formula | None) -> tuple[str, ...]:
    if formula is None:
        return ()
    return (formula.numerator, formula.denominator) if isinstance(formula, Ratio) else formula.of


def bands_sound(bands: KpiBands | None, verdict: Verdict) -> None:
    if bands is None:
        return
    for band in (bands.healthy, bands.warning):
        crossed = band.low is not None and band.high is not None and band.low > band.high
        verdict.no(R.DEFINITION_INVALID, crossed)


def definition_sound(
    world: World, kpi_id: str, definition: KpiDefinition, verdict: Verdict
) -> None:
    """R22, R27."""
    bands_sound(definition.bands, verdict)
    formula = definition.formula
    if formula is None:
        return
    sources = sources_of(formula)
    unknown = any(each not in world.kpis and each != kpi_id for each in sources)
    verdict.no(R.FORMULA_INVALID, unknown or len(set(sources)) < len(sources))
    verdict.no(R.FORMULA_INVALID, isinstance(formula, Ratio) and formula.factor == 0)
    verdict.no(R.FORMULA_LOOP, kpi_id in sources or leads_to(world, sources, kpi_id, all_=False))
    verdict.perhaps(R.FORMULA_LOOP, L.OLD_FORMULAS, leads_to(world, sources, kpi_id, all_=True))
    retired = any(each in world.kpis and world.kpis[each].retired for each in sources)
    verdict.perhaps_refused(L.FORMULA_OVER_RETIRED, retired)


def leads_to(world: World, sources: tuple[str, ...], kpi_id: str, *, all_: bool) -> bool:
    """Whether a KPI is computed from another, by the newest definitions or by any ever."""
    ahead, seen = list(sources), set[str]()
    while ahead:
        at = ahead.pop()
        if at == kpi_id:
            return True
        if at in seen or at not in world.kpis:
            continue
        seen.add(at)
        versions = world.kpis[at].versions if all_ else world.kpis[at].versions[-1:]
        for _, definition in versions:
            ahead.extend(sources_of(definition.formula))
    return False


def define(world: World, command: c.DefineKpi, asked: Asked, verdict: Verdict) -> None:
    there = world.kpis.get(command.kpi_id)
    if created_before(verdict, command, there.made if there else None):
        return
    unit_lives(world, command.unit_id, verdict)
    owner_fits(world, command.owner, world.policy, verdict)
    definition_sound(world, command.kpi_id, command.definition, verdict)
    defined = e.KpiDefined(command.kpi_id, command.unit_id, command.owner, command.definition)
    verdict.then(defined)
    if not verdict.musts:
        consequences(world, defined, asked, verdict)


def redefine(world: World, command: c.RedefineKpi, asked: Asked, verdict: Verdict) -> None:
    kpi = watched(world, command.kpi_id, verdict)
    definition_sound(world, command.kpi_id, command.definition, verdict)
    if kpi is None:
        return
    later(world, kpi, command.effective_on, verdict)
    was, now = kpi.definition, command.definition
    followed = any(
        isinstance(each.measure, KpiLinked) and each.measure.kpi_id == command.kpi_id
        for each in world.key_results.values()
    )
    held = (was.unit, was.direction) != (now.unit, now.direction) and bool(kpi.readings)
    verdict.perhaps(R.MEASURE_FIXED, L.REDEFINED_UNDER_LINKED, held and followed)
    if kpi.definition == command.definition:
        verdict.nothing()
    redefined = e.KpiRedefined(
        command.kpi_id,
        len(kpi.versions) + 1,
        command.effective_on,
        kpi.definition,
        command.definition,
        command.reason,
    )
    verdict.then(redefined)
    if not verdict.musts:
        consequences(world, redefined, asked, verdict)


def later(world: World, kpi: Kpi, day: date, verdict: Verdict) -> None:
    """R22: each version holds from a later day than the one before it."""
    if len(kpi.versions) > 1:
        verdict.no(R.DEFINITION_INVALID, day <= kpi.versions[-1][0])
    verdict.perhaps(R.DEFINITION_INVALID, L.LAST_DAY_OF_ALL, day == date.max)
    verdict.perhaps(R.DEFINITION_INVALID, L.FIRST_VERSION, day <= world.today(kpi.defined_at))


def retarget(world: World, command: c.RetargetKpi, asked: Asked, verdict: Verdict) -> None:
    kpi = watched(world, command.kpi_id, verdict)
    bands_sound(command.bands, verdict)
    if kpi is None:
        return
    later(world, kpi, command.effective_on, verdict)
    was = kpi.definition
    target = was.target if command.target is None else command.target
    bands = was.bands if command.bands is None else command.bands
    if (was.target, was.bands) == (target, bands):
        verdict.nothing()
    verdict.then(
        e.KpiRetargeted(
            command.kpi_id,
            len(kpi.versions) + 1,
            command.effective_on,
            was.target,
            target,
            was.bands,
            bands,
            command.reason,
        )
    )


def reassign(world: World, command: c.ReassignKpi, asked: Asked, verdict: Verdict) -> None:
    kpi = world.kpis.get(command.kpi_id)
    if kpi is None:
        verdict.no(R.NOT_FOUND)
        return
    owner_fits(world, command.owner, world.policy, verdict)
    unit_lives(world, command.unit_id, verdict, but=kpi.unit)
    owner, unit = command.owner or kpi.owner, command.unit_id or kpi.unit
    if (owner, unit) == (kpi.owner, kpi.unit):
        verdict.nothing()
    verdict.then(e.KpiReassigned(command.kpi_id, kpi.owner, owner, kpi.unit, unit, command.reason))


def retire(world: World, command: c.RetireKpi, asked: Asked, verdict: Verdict) -> None:
    kpi = world.kpis.get(command.kpi_id)
    if kpi is None:
        verdict.no(R.NOT_FOUND)
        return
    if kpi.retired:
        verdict.nothing()
    verdict.then(e.KpiRetired(command.kpi_id, command.reason))


def watched(world: World, kpi_id: str, verdict: Verdict) -> Kpi | None:
    kpi = world.kpis.get(kpi_id)
    if kpi is None:
        verdict.no(R.NOT_FOUND)
        return None
    verdict.no(R.KPI_RETIRED, kpi.retired)
    return kpi


# ------------------------------------------------------------------------------------- readings


def takes_readings(kpi: Kpi, last: date, verdict: Verdict) -> None:
    """R27: what is computed, by the version of that day, takes none of its own."""
    computed = [each.formula is not None for _, each in kpi.versions]
    verdict.no(R.COMPUTED_KPI, computed[kpi.version_on(last) - 1])


def over(world: World, period: str, asked: Asked, verdict: Verdict) -> tuple[date, date] | None:
    """R13: a period of days, all of them past."""
    days = days_of(period)
    verdict.no(R.PERIOD_INVALID, days is None)
    if days is None:
        return None
    verdict.no(R.EFFECTIVE_IN_FUTURE, asked.now < world.end_of(days[1]))
    verdict.perhaps(R.EFFECTIVE_IN_FUTURE, L.LAST_TICK, world.today(asked.now) <= days[1])
    return days


def record(world: World, command: c.RecordReading, asked: Asked, verdict: Verdict) -> None:
    kpi = watched(world, command.kpi_id, verdict)
    days = over(world, command.period, asked, verdict)
    if kpi is None:
        return
    if days is None:
        return
    takes_readings(kpi, days[1], verdict)
    version = kpi.version_on(days[1])
    source = command.source or kpi.versions[version - 1][1].source
    there = kpi.readings.get((command.period, source))
    if there is not None and not there.retracted:
        same = (there.value, there.numerator, there.denominator) == (
            command.value,
            command.numerator,
            command.denominator,
        )
        if there.value == command.value:
            verdict.nothing()
            verdict.perhaps(R.READING_EXISTS, L.SAME_VALUE, not same)
        else:
            verdict.no(R.READING_EXISTS)
    recorded = e.KpiReadingRecorded(
        command.kpi_id,
        command.period,
        world.end_of(days[1]),
        command.value,
        source,
        version,
        command.numerator,
        command.denominator,
        command.provenance,
    )
    verdict.then(recorded)
    if not verdict.musts and not verdict.idle:
        consequences(world, recorded, asked, verdict)


def standing(
    world: World,
    command: c.CorrectReading | c.RetractReading,
    asked: Asked,
    verdict: Verdict,
) -> tuple[Kpi, Reading] | None:
    """R14, R23: a reading that is there, with a reason, within the window."""
    wants_reason(verdict, command.reason, when=True)
    kpi = world.kpis.get(command.kpi_id)
    days = days_of(command.period)
    verdict.no(R.PERIOD_INVALID, days is None)
    if kpi is None or days is None:
        verdict.no(R.NOT_FOUND, kpi is None)
        return None
    source = command.source or kpi.versions[kpi.version_on(days[1]) - 1][1].source
    reading = kpi.readings.get((command.period, source))
    version = kpi.version_on(days[1]) if reading is None else reading.version
    verdict.no(R.COMPUTED_KPI, kpi.versions[version - 1][1].formula is not None)
    verdict.no(R.NOT_FOUND, reading is None)
    if reading is None:
        return None
    verdict.no(R.ALREADY_RETRACTED, reading.retracted)
    window = world.policy.restatement_window_days
    if window is not None:
        gone = (world.today(asked.now) - days[1]).days
        verdict.no(R.RESTATEMENT_WINDOW_OVER, gone > window)
    return kpi, reading


def correct(world: World, command: c.CorrectReading, asked: Asked, verdict: Verdict) -> None:
    found = standing(world, command, asked, verdict)
    if found is None:
        return
    reading = found[1]
    was = (reading.value, reading.numerator, reading.denominator)
    if was == (command.value, command.numerator, command.denominator):
        verdict.nothing()
    elif reading.value == command.value:
        verdict.may_be_idle = L.SAME_VALUE
    days = days_of(command.period)
    assert days is not None
    corrected = e.KpiReadingCorrected(
        command.kpi_id,
        command.period,
        reading.effective_at,
        reading.value,
        command.value,
        reading.source,
        reading.version,
        command.reason or "",
        reading.numerator,
        command.numerator,
        reading.denominator,
        command.denominator,
        command.provenance,
    )
    verdict.then(corrected)
    if not verdict.musts and not verdict.idle:
        consequences(world, corrected, asked, verdict)


def retract(world: World, command: c.RetractReading, asked: Asked, verdict: Verdict) -> None:
    found = standing(world, command, asked, verdict)
    if found is None:
        return
    reading = found[1]
    if reading.retracted:
        verdict.nothing()
    retracted = e.KpiReadingRetracted(
        command.kpi_id,
        command.period,
        reading.effective_at,
        reading.value,
        reading.source,
        command.reason or "",
    )
    verdict.then(retracted)
    if not verdict.musts and not verdict.idle:
        consequences(world, retracted, asked, verdict)


def miss(world: World, command: c.RecordMissedReading, asked: Asked, verdict: Verdict) -> None:
    """R26: past the period's end and grace, and there is none."""
    kpi = watched(world, command.kpi_id, verdict)
    days = over(world, command.period, asked, verdict)
    if kpi is None or days is None:
        return
    verdict.perhaps(
        R.COMPUTED_KPI,
        L.COMPUTED_MISSED,
        any(each.formula is not None for _, each in kpi.versions),
    )
    version = kpi.version_on(days[1])
    definition = kpi.versions[version - 1][1]
    source = command.source or definition.source
    grace = world.policy.reading_grace.days(definition.frequency)
    gone = (world.today(asked.now) - days[1]).days
    of_calendar = days == calendar(definition.frequency, days[0])
    verdict.no(R.EFFECTIVE_IN_FUTURE, gone <= grace and of_calendar)
    verdict.perhaps(R.EFFECTIVE_IN_FUTURE, L.MISSED_PERIOD, not of_calendar)
    there = kpi.readings.get((command.period, source))
    if there is not None and not there.retracted:
        verdict.no(R.READING_EXISTS)
    verdict.perhaps(R.PERIOD_INVALID, L.MISSED_PERIOD, not of_calendar)
    if (command.period, source) in kpi.missed:
        verdict.nothing()
    missed = e.KpiReadingMissed(command.kpi_id, command.period, world.end_of(days[1]), source)
    verdict.then(missed)
    if not verdict.musts and not verdict.idle:
        consequences(world, missed, asked, verdict)


def calendar(frequency: str, day: date) -> tuple[date, date]:
    """The calendar's period of a frequency that holds a day, for weeks from Monday on."""
    if frequency == "daily":
        return day, day
    if frequency == "weekly":
        first = day - timedelta(days=day.weekday())
        return first, first + timedelta(days=6)
    months = {"monthly": 1, "quarterly": 3, "yearly": 12}[frequency]
    first = date(day.year, day.month - (day.month - 1) % months, 1)
    after = first.year * 12 + first.month - 1 + months
    return first, date(after // 12, after % 12 + 1, 1) - timedelta(days=1)


def surely_due(world: World, now: datetime) -> set[tuple[str, str]]:
    """R26: KPIs and periods that were missed beyond doubt: whole ones, since the KPI is watched.

    Where no reading stands and none was missed, the first that is awaited is not beyond doubt.
    """
    if world.policy.missed_readings == "off":
        return set()
    due: set[tuple[str, str]] = set()
    for kpi_id, kpi in world.kpis.items():
        if kpi.retired or len(kpi.versions) > 1 or kpi.definition.formula is not None:
            continue
        frequency, source = kpi.definition.frequency, kpi.definition.source
        known = [*kpi.readings, *kpi.missed]
        stands = any(not each.retracted for each in kpi.readings.values())
        if not (stands or kpi.missed) or any(
            (days := days_of(period)) is None
            or days != calendar(frequency, days[0])
            or by != source
            for period, by in known
        ):
            continue
        grace = timedelta(days=world.policy.reading_grace.days(frequency))
        defined_on = world.today(kpi.defined_at)
        first, last = calendar(frequency, defined_on + timedelta(days=1))
        while last + grace < world.today(now):
            period = f"{first}/{last}"
            is_awaited = first > defined_on and last > world.awaited_from
            if is_awaited and all(period != each for each, _ in known):
                due.add((kpi_id, period))
            first, last = calendar(frequency, last + timedelta(days=1))
    return due


# ------------------------------------------------------------------------- what follows from it


def consequences(world: World, event: Any, asked: Asked, verdict: Verdict) -> None:
    """Computed readings (R27), crossed bands and reviews (R24), in whatever order."""
    tried = _forked(world)
    place = world.position + 1
    defined = isinstance(event, e.KpiDefined | e.KpiRedefined)
    touched = set[str]() if defined else {event.kpi_id}
    tried.tell(event, place, asked.now, asked.actor)
    computed: list[Any] = []
    for kpi_id in _in_order(tried):
        for follow in _recomputed(tried, kpi_id):
            place += 1
            computed.append(follow)
            tried.tell(follow, place, asked.now, asked.actor)
            touched.add(kpi_id)
    verdict.extras = tuple(_loosely(each) for each in computed)
    for kpi_id in touched:
        _judged(world, tried, kpi_id, asked, verdict)


def _loosely(computed: Any) -> Any:
    """A computed reading says in its own words why."""
    return _with(computed, "reason", ANY) if hasattr(computed, "reason") else computed


def _with(event: Any, name: str, value: Any) -> Any:
    fields = {each: getattr(event, each) for each in event.__struct_fields__}
    return type(event)(**{**fields, name: value})


def _forked(world: World) -> World:
    """A world whose indicators may be told what might happen."""
    tried = copy(world)
    tried.changed, tried.decided = dict(world.changed), dict(world.decided)
    tried.kpis = {}
    for kpi_id, kpi in world.kpis.items():
        twin = copy(kpi)
        twin.readings = {key: copy(each) for key, each in kpi.readings.items()}
        twin.missed, twin.reviews = dict(kpi.missed), dict(kpi.reviews)
        twin.versions = list(kpi.versions)
        tried.kpis[kpi_id] = twin
    return tried


def _in_order(world: World) -> list[str]:
    """Computed KPIs, each after those it is computed from."""
    order: list[str] = []

    def visit(kpi_id: str, line: tuple[str, ...]) -> None:
        if kpi_id in order or kpi_id in line or kpi_id not in world.kpis:
            return
        for _, definition in world.kpis[kpi_id].versions:
            for source in sources_of(definition.formula):
                visit(source, (*line, kpi_id))
        order.append(kpi_id)

    for kpi_id in world.kpis:
        visit(kpi_id, ())
    return [
        each
        for each in order
        if any(definition.formula is not None for _, definition in world.kpis[each].versions)
    ]


def _recomputed(world: World, kpi_id: str) -> list[Any]:
    """What has to be said so that a computed KPI's readings are what its formula makes of them."""
    kpi = world.kpis[kpi_id]
    if kpi.retired:
        return []
    periods = {
        reading.period
        for _, definition in kpi.versions
        for source in sources_of(definition.formula)
        if source in world.kpis
        for reading in world.kpis[source].readings.values()
    }
    followed: list[Any] = []
    for period in sorted(periods):
        days = days_of(period)
        assert days is not None
        version = kpi.version_on(days[1])
        definition = kpi.versions[version - 1][1]
        if definition.formula is None:
            continue
        value, *parts = _value(world, definition, period)
        source = COMPUTED
        there = kpi.readings.get((period, source))
        standing_ = there is not None and not there.retracted
        if value is None:
            if standing_ and there is not None:
                followed.append(
                    e.KpiReadingRetracted(
                        kpi_id, period, there.effective_at, there.value, source, "computed"
                    )
                )
        elif not standing_ or there is None:
            followed.append(
                e.KpiReadingRecorded(
                    kpi_id,
                    period,
                    world.end_of(days[1]),
                    value,
                    source,
                    version,
                    parts[0],
                    parts[1],
                )
            )
        elif (there.value, there.numerator, there.denominator) != (value, *parts):
            followed.append(
                e.KpiReadingCorrected(
                    kpi_id,
                    period,
                    there.effective_at,
                    there.value,
                    value,
                    source,
                    version,
                    "computed",
                    there.numerator,
                    parts[0],
                    there.denominator,
                    parts[1],
                )
            )
    return followed


def _value(
    world: World, definition: KpiDefinition, period: str
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """R27: over the same period's readings of its sources; None where one is missing, or by 0.

    A ratio says from what it was computed, as a second and a third number.

    Of several for one period it is the KPI's own source that counts, or else the last.
    """
    formula = definition.formula
    assert formula is not None
    found: list[Decimal] = []
    for source in sources_of(formula):
        if source not in world.kpis:
            return None, None, None
        kpi = world.kpis[source]
        days = days_of(period)
        assert days is not None
        judged_by = kpi.versions[kpi.version_on(days[1]) - 1][1]
        own = COMPUTED if judged_by.formula is not None else judged_by.source
        of_period = [each for each in kpi.counting() if each.period == period]
        of_period = [each for each in of_period if each.source == own] or of_period
        if not of_period:
            return None, None, None
        found.append(of_period[-1].value)
    places = PLACES if definition.places is None else definition.places
    if isinstance(formula, Ratio):
        if found[1] == 0:
            return None, None, None
        share = Fraction(found[0]) / Fraction(found[1]) * Fraction(formula.factor)
        return rounded(share, places), found[0], found[1]
    return rounded(sum(map(Fraction, found), Fraction(0)), places), None, None


def health_of(kpi: Kpi) -> KpiHealth:
    """R24: of the reading that counts, by the version it was judged by; R26: none came, no data."""
    readings = kpi.counting()
    read = {each.period for each in readings}
    last_missed = max(
        (each.effective_at for each in kpi.missed.values() if each.period not in read),
        default=None,
    )
    if not readings or (last_missed is not None and last_missed > readings[-1].effective_at):
        return "no_data"
    bands = kpi.versions[readings[-1].version - 1][1].bands
    return "no_data" if bands is None else bands.health(readings[-1].value)


def _judged(world: World, tried: World, kpi_id: str, asked: Asked, verdict: Verdict) -> None:
    before, after = world.kpis.get(kpi_id), tried.kpis[kpi_id]
    was: KpiHealth = "no_data" if before is None or before.health is None else before.health
    now = health_of(after)
    if was != now:
        verdict.extras += (e.KpiHealthChanged(kpi_id, ANY, was, now, ANY),)
    runs = tried.policy.breach_runs
    of_moment = {each.effective_at: each for each in after.counting()}
    last = [*of_moment.values()][-runs:]
    breached = len(last) == runs and all(
        (bands := after.versions[each.version - 1][1].bands) is not None
        and bands.health(each.value) == "breach"
        for each in last
    )
    if not breached or now != "breach":
        return
    days = days_of(last[-1].period)
    assert days is not None
    review = e.KpiReviewOpened(
        kpi_id,
        ANY,
        after.owner,
        tried.today(asked.now) + timedelta(days=tried.policy.review_due_days),
        ANY,
    )
    since = last[0].effective_at
    interrupted = runs > 1 and any(each.effective_at > since for each in after.missed.values())
    if after.reviews or interrupted or after.retired:
        verdict.may_follow(review, L.REVIEW_BESIDE)
    else:
        verdict.extras += (review,)


# -------------------------------------------------------------------------------------- reviews


def open_review(world: World, command: c.OpenKpiReview, asked: Asked, verdict: Verdict) -> None:
    kpi = world.kpis.get(command.kpi_id)
    there = None if kpi is None else kpi.reviews.get(command.review_id)
    if created_before(verdict, command, there.made if there else None):
        return
    if watched(world, command.kpi_id, verdict) is None:
        return
    owner_fits(world, command.owner, world.policy, verdict)
    verdict.no(R.REVIEW_INVALID, command.due_on < world.today(asked.now))
    verdict.then(
        e.KpiReviewOpened(
            command.kpi_id,
            command.review_id,
            command.owner,
            command.due_on,
            command.reason,
        )
    )


def close_review(world: World, command: c.CloseKpiReview, asked: Asked, verdict: Verdict) -> None:
    """R24: fix, recovery objective (named), or accept (with a reason)."""
    kpi = world.kpis.get(command.kpi_id)
    review = None if kpi is None else kpi.reviews.get(command.review_id)
    if kpi is None or review is None:
        verdict.no(R.NOT_FOUND)
        return
    told = e.KpiReviewClosed(
        command.kpi_id,
        command.review_id,
        command.decision,
        command.objective_id,
        command.reason,
    )
    if review.closed is not None:
        if review.closed == told:
            verdict.nothing()
        else:
            verdict.no(R.REVIEW_INVALID)
            verdict.may_be_idle = L.REVIEW_CLOSED_TWICE
        verdict.perhaps_refused(L.REVIEW_CLOSED_TWICE)
        return
    recovery = command.decision == "recovery_objective"
    verdict.no(R.REVIEW_INVALID, recovery != (command.objective_id is not None))
    unknown = command.objective_id is not None and command.objective_id not in world.objectives
    verdict.no(R.NOT_FOUND, recovery and unknown)
    verdict.perhaps(R.NOT_FOUND, L.RECOVERY_ENDED, unknown)
    if recovery and command.objective_id in world.objectives:
        objective = world.objectives[command.objective_id]
        over_ = world.cycle_of(objective).state in {"closed", "cancelled"}
        ended = objective.state in ENDED or over_
        verdict.perhaps_refused(L.RECOVERY_ENDED, ended)
    wants_reason(verdict, command.reason, command.decision == "accept")
    verdict.then(told)


def comment(world: World, command: c.AddComment, asked: Asked, verdict: Verdict) -> None:
    told = world.comments.get((command.goal, command.comment_id))
    if told is not None:
        if told.text == command.text:
            verdict.nothing()
        else:
            verdict.no(R.ID_TAKEN)
        return
    kind, _, name = command.goal.partition("/")
    known: Any = {
        "objective": world.objectives,
        "key_result": world.key_results,
        "kpi": world.kpis,
    }[kind]
    verdict.no(R.NOT_FOUND, name not in known)
    verdict.then(e.CommentAdded(command.goal, command.comment_id, command.text))


RULES: dict[type, Callable[..., None]] = {
    c.DefineKpi: define,
    c.RedefineKpi: redefine,
    c.RetargetKpi: retarget,
    c.ReassignKpi: reassign,
    c.RetireKpi: retire,
    c.RecordReading: record,
    c.CorrectReading: correct,
    c.RetractReading: retract,
    c.RecordMissedReading: miss,
    c.OpenKpiReview: open_review,
    c.CloseKpiReview: close_review,
    c.AddComment: comment,
}
