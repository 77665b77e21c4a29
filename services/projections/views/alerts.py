"""What needs somebody's attention: key results and KPIs judged as they stood at one moment.

Pure: what is known comes in, alerts go out. An alert says since when it holds, found in the series
behind it, and its id names the fact it rests on: the period that was missed, the first of the
check-ins that all say so, the moment at which the pace went past. So the same fact has the same id
at every later moment, and after every rebuild. What people wrote in their own words (notes,
reasons) is not repeated: an alert leaves the house.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from itertools import islice
from typing import Final, TypeVar

from goal_contracts import measures
from goal_contracts.fields import GoalRef
from goal_contracts.measures import Count, FourPointMetric, KpiLinked, Measure, Metric
from goal_contracts.queries import (
    Alert,
    AlertKind,
    KeyResultCard,
    ObjectiveCard,
    ReviewCard,
    Severity,
)
from msgspec import Struct

from services.projections.views import course as courses
from services.projections.views import standing
from services.projections.views.course import Course
from services.projections.views.current import DefinitionVersion, KpiState, definition_on
from services.projections.views.days import local_day, start_of_day
from services.projections.views.rows import CheckInRow, ReadingRow

GRAVITY: Final[tuple[Severity, ...]] = ("critical", "warning", "notice")
PURSUED: Final = frozenset({"active", "grading", "reopened"})
"""The states of a cycle in which its goals can still be looked after."""
_CONFIDENCE_MAX: Final = Decimal(10)
_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)

Row = TypeVar("Row", CheckInRow, ReadingRow)


class WatchedKeyResult(Struct, frozen=True):
    """A key result, and what was said of it that stands, in the order in which it counts.

    `readings` are those of the KPI it follows, inside its cycle.
    """

    card: KeyResultCard
    objective: ObjectiveCard
    course: Course
    check_ins: Sequence[CheckInRow]
    readings: Sequence[ReadingRow] = ()


class WatchedKpi(Struct, frozen=True):
    """A KPI, its readings that stand, and the periods that were missed and have none since."""

    kpi: KpiState
    zone: str
    readings: Sequence[ReadingRow]
    missed: Sequence[ReadingRow] = ()


def on_key_result(watched: WatchedKeyResult, as_of: datetime) -> tuple[Alert, ...]:
    """All that its owner should look at; nothing before it is pursued, nor once it is judged."""
    card, objective, course = watched.card, watched.objective, watched.course
    begun = courses.begun_at(card, objective, course)
    if course.state not in PURSUED or begun is None or courses.is_judged(card, objective):
        return ()
    return (
        *_check_in(watched, begun, as_of),
        *_behind_pace(watched, begun, as_of),
        *_low_confidence(watched),
        *_said(watched),
    )


def on_kpi(watched: WatchedKpi, as_of: datetime) -> tuple[Alert, ...]:
    """All that its owner, or whoever reviews it, should look at; nothing once it is retired."""
    if watched.kpi.card.retired:
        return ()
    return (*_reading(watched, as_of), *_reviews(watched, as_of))


def in_order(alerts: Iterable[Alert]) -> list[Alert]:
    """The gravest first, then the oldest."""
    return sorted(
        alerts, key=lambda each: (GRAVITY.index(each.severity), each.since, each.alert_id)
    )


def is_continuous(measure: Measure) -> bool:
    """Whether progress can be expected to grow with time.

    A milestone or a baseline is nothing until it is all, and a value that is maintained has no way
    to go.
    """
    return isinstance(measure, Metric | FourPointMetric | Count | KpiLinked)


# ---------------------------------------------------------------------------- key results


def _check_in(watched: WatchedKeyResult, begun: datetime, as_of: datetime) -> Iterator[Alert]:
    """R12: late from the end of the period on, overdue once the grace has passed as well."""
    course = watched.course
    # A check-in makes up for all that were missing before it, so the last one says it all.
    in_course = (
        each.effective_at
        for each in reversed(watched.check_ins)
        if each.effective_at <= course.last
    )
    period = courses.missing(begun, [*islice(in_course, 1)], course, as_of)
    if period is None:
        return
    first, last = period
    grace_over = last + timedelta(days=course.policy.cadence_grace_days)
    asked = f"there is no check-in for {first} to {last}, nor one since"
    if local_day(as_of, course.zone) <= grace_over:
        yield _of_key_result(
            watched,
            "check_in_late",
            "notice",
            start_of_day(last + _DAY, course.zone),
            str(first),
            f"{asked}; it is overdue after {grace_over}",
        )
    else:
        yield _of_key_result(
            watched,
            "check_in_overdue",
            "warning",
            start_of_day(grace_over + _DAY, course.zone),
            str(first),
            f"{asked}; it was due by {grace_over}",
        )


def _behind_pace(watched: WatchedKeyResult, begun: datetime, as_of: datetime) -> Iterator[Alert]:
    """Progress below the high band of what the pace expects; below its low band it is critical.

    With the bands 0.4 and 0.7: halfway through the cycle, below 0.35 and 0.2. Pace is that of the
    cycle (elapsed over total). It is looked at from the day on which the first check-in that is
    asked for would be overdue, and until the cycle's end.
    """
    card, course = watched.card, watched.course
    low, high = course.policy.bands
    judged_from = _judged_from(begun, course)
    if not is_continuous(card.measure) or judged_from is None or as_of > course.last:
        return
    since = _behind_since(_steps_back(watched), course, high, judged_from, as_of)
    if since is None:
        return
    _, progress = next(_steps_back(watched))
    severity: Severity = "critical" if as_of > _crossing(progress, low, course) else "warning"
    yield _of_key_result(
        watched,
        "behind_pace",
        severity,
        since,
        f"{severity}@{since.isoformat()}",
        f"{_percent(progress)} reached where the pace expects "
        f"{_percent(standing.pace(course, as_of))}",
    )


def _judged_from(begun: datetime, course: Course) -> datetime | None:
    """When the first check-in asked for would be overdue; None, the cycle is too short for it."""
    day = local_day(begun, course.zone)
    last = next((last for _, last in course.days if last >= day), None)
    if last is None:
        return None
    return start_of_day(last + (course.policy.cadence_grace_days + 1) * _DAY, course.zone)


def _steps_back(watched: WatchedKeyResult) -> Iterator[tuple[datetime, Decimal]]:
    """Progress from each moment on, the last first, by the measure that holds now; at last nothing.

    One by one: of most key results only the last is looked at.
    """
    card, course = watched.card, watched.course
    rows: Sequence[CheckInRow | ReadingRow] = (
        watched.readings if isinstance(card.measure, KpiLinked) else watched.check_ins
    )
    for row in reversed(rows):
        if row.value is not None:
            done = measures.progress(card.measure, row.value, course.policy.progress_ceiling)
            yield max(row.effective_at, course.start), done or measures.ZERO
    yield course.start, measures.ZERO


def _behind_since(
    steps_back: Iterable[tuple[datetime, Decimal]],
    course: Course,
    band: Decimal,
    judged_from: datetime,
    as_of: datetime,
) -> datetime | None:
    """Since when progress has been behind without a break; None, it is not."""
    if as_of < judged_from:
        return None
    since, until = None, as_of
    for at, progress in steps_back:
        end, until = until, at
        if at == end != as_of:
            continue  # replaced in the same instant
        crossing = _crossing(progress, band, course)
        if crossing >= end:
            break
        since = max(crossing, judged_from, at)
        if crossing > at:
            break
    return since


def _crossing(progress: Decimal, band: Decimal, course: Course) -> datetime:
    """After which instant progress is less than this part of the pace; the cycle's end, never."""
    if progress >= band:
        return course.end
    whole = (course.end - course.start) // _TICK
    passed = (whole * progress / band).to_integral_value(ROUND_CEILING)
    return course.start + int(passed) * _TICK


def _low_confidence(watched: WatchedKeyResult) -> Iterator[Alert]:
    """Confidence in the low band: with 0.4, 3 of 10 and less."""
    limit = watched.course.policy.bands[0] * _CONFIDENCE_MAX
    sure = [each for each in watched.check_ins if each.confidence is not None]
    run = _last_run(sure, lambda each: each.confidence is not None and each.confidence < limit)
    if run:
        yield _of_key_result(
            watched,
            "low_confidence",
            "warning",
            run[0].effective_at,
            f"@{run[0].first_position}",
            f"{run[-1].actor} is {run[-1].confidence} of 10 confident that it will land",
        )


def _said(watched: WatchedKeyResult) -> Iterator[Alert]:
    """The status that was last said, since it was first said without another one in between."""
    said = [each for each in watched.check_ins if each.status is not None]
    if not said or said[-1].status not in {"at_risk", "off_track"}:
        return
    run = _last_run(said, lambda each: each.status == said[-1].status)
    is_off = said[-1].status == "off_track"
    yield _of_key_result(
        watched,
        "off_track" if is_off else "at_risk",
        "critical" if is_off else "warning",
        run[0].effective_at,
        f"@{run[0].first_position}",
        f"{said[-1].actor} says that it is {'off track' if is_off else 'at risk'}",
    )


def _of_key_result(
    watched: WatchedKeyResult,
    kind: AlertKind,
    severity: Severity,
    since: datetime,
    fact: str,
    why: str,
) -> Alert:
    goal = f"key_result/{watched.card.key_result_id}"
    return Alert(
        alert_id=_alert_id(kind, goal, fact),
        kind=kind,
        severity=severity,
        goal=goal,
        title=watched.card.title,
        owner=watched.card.owner,
        unit_id=watched.objective.unit_id,
        since=since,
        why=why,
        cycle_id=watched.objective.cycle_id,
        objective_id=watched.objective.objective_id,
    )


# ---------------------------------------------------------------------------- KPIs


def _reading(watched: WatchedKpi, as_of: datetime) -> Iterator[Alert]:
    """R26, R24: the last period that was missed, or the readings in breach up to the last one.

    Where a reading is missed after the last one, nobody knows how the KPI stands.
    """
    card = watched.kpi.card
    unit = definition_on(watched.kpi.versions, local_day(as_of, watched.zone)).definition.unit
    if watched.missed:
        last = watched.missed[-1]
        more = f", and {len(watched.missed) - 1} before it" if len(watched.missed) > 1 else ""
        yield _of_kpi(
            watched,
            "reading_missed",
            "warning",
            last.effective_at,
            f"@{last.position}",
            card.owner,
            f"there is no reading for {last.period.replace('/', ' to ')} from {last.source}{more}",
        )
        if not watched.readings or last.effective_at > watched.readings[-1].effective_at:
            return
    run = _last_run(watched.readings, lambda each: is_breach(each, watched.kpi.versions))
    if run:
        times = f", {len(run)} readings in a row" if len(run) > 1 else ""
        yield _of_kpi(
            watched,
            "kpi_in_breach",
            "critical",
            run[0].effective_at,
            f"@{run[0].first_position}",
            card.owner,
            f"{run[-1].value:f} {unit} for {run[-1].period.replace('/', ' to ')} is in breach"
            f"{times}",
        )


def is_breach(reading: ReadingRow, versions: Sequence[DefinitionVersion]) -> bool:
    """By the definition that it was judged by (R22)."""
    return standing.kpi_health(reading, None, versions) == "breach"


def _reviews(watched: WatchedKpi, as_of: datetime) -> Iterator[Alert]:
    """R24: every review that is open, for whoever has to close it."""
    today = local_day(as_of, watched.zone)
    for review in standing.reviews_as_they_stood(watched.kpi.card.reviews, today):
        if review.closed_at is None and review.opened_at <= as_of:
            yield _review(watched, review)


def _review(watched: WatchedKpi, review: ReviewCard) -> Alert:
    is_due = "was due by" if review.overdue else "is due by"
    return _of_kpi(
        watched,
        "review_overdue" if review.overdue else "review_open",
        "critical" if review.overdue else "notice",
        start_of_day(review.due_on + _DAY, watched.zone) if review.overdue else review.opened_at,
        review.review_id,
        review.owner,
        f"the review opened on {local_day(review.opened_at, watched.zone)} {is_due} "
        f"{review.due_on}",
    )


def _of_kpi(
    watched: WatchedKpi,
    kind: AlertKind,
    severity: Severity,
    since: datetime,
    fact: str,
    owner: str,
    why: str,
) -> Alert:
    card = watched.kpi.card
    goal = f"kpi/{card.kpi_id}"
    return Alert(
        alert_id=_alert_id(kind, goal, fact),
        kind=kind,
        severity=severity,
        goal=goal,
        title=card.definition.name,
        owner=owner,
        unit_id=card.unit_id,
        since=since,
        why=why,
    )


# ---------------------------------------------------------------------------- what all share


def _alert_id(kind: AlertKind, goal: GoalRef, fact: str) -> str:
    return f"{kind}:{goal}:{fact}"


def _last_run(rows: Sequence[Row], holds: Callable[[Row], bool]) -> list[Row]:
    """The rows at the end that all hold; none, if the last one does not."""
    run: list[Row] = []
    for row in reversed(rows):
        if not holds(row):
            break
        run.append(row)
    return run[::-1]


def _percent(share: Decimal) -> str:
    return f"{(share * 100).quantize(Decimal(1), ROUND_HALF_EVEN)} %"
