"""Which check-in or reading counts at a moment, and the progress and health that follow.

The value with the greatest `effective_at` not after the moment counts, ties by position; a
correction replaces what it corrects, a retraction removes it and the one before counts. What a
check-in leaves unsaid (value, confidence, status) stays as the one before it said.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from goal_contracts import measures
from goal_contracts.fields import KpiHealth
from goal_contracts.measures import FourPointBand, FourPointMetric, KpiLinked, Maintain, Measure
from goal_contracts.queries import (
    KeyResultCard,
    ObjectiveCard,
    ReadingCard,
    ReviewCard,
    ScoreBand,
)
from msgspec.structs import replace

from services.projections.views import course as courses
from services.projections.views import origins
from services.projections.views.course import Course
from services.projections.views.current import DefinitionVersion
from services.projections.views.rows import CheckInRow, FactEvent, ReadingRow


class Fact(Protocol):
    """What check-ins and readings have in common."""

    @property
    def first_position(self) -> int: ...
    @property
    def event(self) -> FactEvent: ...


F = TypeVar("F", bound=Fact)


def pace(course: Course, as_of: datetime) -> Decimal:
    """How far the cycle itself is, 0 to 1."""
    return measures.expected_pace(course.start, course.end, as_of)


def standing(facts: Iterable[F]) -> list[F]:
    """What stands of a series, as last corrected, without what was retracted or never came.

    Facts come, and go, in the order of effective_at, first_position, position.
    """
    last = {fact.first_position: fact for fact in facts}
    return [fact for fact in last.values() if fact.event in {"recorded", "corrected"}]


def says_all(last: CheckInRow, card: KeyResultCard, course: Course) -> bool:
    """Whether of what was said of a key result the last shows all that its card does.

    It stands, leaves nothing as it was, and lies in the cycle or before it.
    """
    return (
        last.event in {"recorded", "corrected"}
        and last.value is not None
        and last.confidence is not None
        and last.status is not None
        and last.effective_at <= course.last
        and not isinstance(card.measure, Maintain)
    )


def still_missed(
    facts: Sequence[ReadingRow], stands: Sequence[ReadingRow] | None = None
) -> list[ReadingRow]:
    """The periods that were missed and have no reading since; of facts, all of their periods.

    `stands` is what stands of them, where somebody has made it out already.
    """
    came = {fact.period for fact in (standing(facts) if stands is None else stands)}
    return [fact for fact in facts if fact.event == "missed" and fact.period not in came]


def progress_of(
    key_results: Iterable[KeyResultCard], children: Sequence[Decimal | None], course: Course
) -> Decimal | None:
    """An objective's progress under its cycle's roll-up; `children` is that of those below it.

    With nothing below it, all it can be made of is its key results: a tree has to begin somewhere.
    """
    parts = [(each.weight, each.progress) for each in key_results if not each.dropped]
    roll_up = course.policy.roll_up if children else "key_results"
    return measures.rolled_up(roll_up, parts, children)


def objective_as_it_stood(
    card: ObjectiveCard,
    key_results: Sequence[KeyResultCard],
    progress: Decimal | None,
    course: Course,
    as_of: datetime,
) -> ObjectiveCard:
    """The objective with its progress, the pace, and the worst health of its key results."""
    worst = measures.worst_status(each.health for each in key_results if not each.dropped)
    return replace(
        card,
        progress=progress,
        progress_origin=origins.of_computed(progress, "rolled_up"),
        expected_pace=pace(course, as_of),
        health=card.outcome or worst or "pending",
        score_band=_band(card.score, course),
    )


def key_result_as_it_stood(
    card: KeyResultCard,
    objective: ObjectiveCard,
    check_ins: Sequence[CheckInRow],
    reading: ReadingRow | None,
    course: Course,
    as_of: datetime,
) -> KeyResultCard:
    """The key result with what counted at the moment, its progress, and its health.

    `check_ins` are those that stand, `reading` the one that counts of the KPI it is linked to.
    """
    said = sources(card, check_ins)
    source, sure, spoken = (said.get(word) for word in ("value", "confidence", "status"))
    follows = reading if isinstance(card.measure, KpiLinked) else source
    value = follows.value if follows else None
    if isinstance(card.measure, Maintain):
        held = [(each.effective_at, each.value) for each in check_ins if each.value is not None]
        progress = measures.maintained(card.measure, held, course.periods, as_of)
    else:
        progress = measures.progress(card.measure, value, course.policy.progress_ceiling)
    status = spoken.status if spoken else None
    dates = [each.effective_at for each in check_ins]
    timing = courses.timing(card, objective, dates, course, as_of)
    return replace(
        card,
        value=value,
        value_at=follows.effective_at if follows else None,
        value_origin=origins.of_fact(follows),
        reached=_reached(card.measure, value),
        progress=progress,
        progress_origin=origins.of_computed(progress, "computed"),
        confidence=sure.confidence if sure else None,
        confidence_origin=origins.said(sure) if sure else None,
        status=status,
        note=check_ins[-1].note if check_ins else "",
        score_band=_band(card.score, course),
        check_in_timing=timing,
        health=courses.health(card, objective, timing, status),
    )


def sources(card: KeyResultCard, check_ins: Sequence[CheckInRow]) -> dict[str, CheckInRow]:
    """The check-in that each word on a key result comes from; `check_ins` are those that stand."""
    last: dict[str, CheckInRow] = {}
    for each in check_ins:
        if each.value is not None and not isinstance(card.measure, KpiLinked):
            last["value"] = each
        if each.confidence is not None:
            last["confidence"] = each
        if each.status is not None:
            last["status"] = each
    if check_ins and check_ins[-1].note:
        last["note"] = check_ins[-1]
    return last


def reading_card(row: ReadingRow, *, counts: bool) -> ReadingCard:
    """A row of the series as it is shown."""
    # In the order of its fields: finding each by its name takes longer than all the rest.
    return ReadingCard(
        row.period,
        row.source,
        row.effective_at,
        row.position,
        row.known_at,
        row.recorded_at,
        row.actor,
        row.event,
        row.value,
        origins.of_fact(row),
        row.value_was,
        row.corrects,
        counts,
        row.definition_version,
        row.numerator,
        row.denominator,
        row.reason,
        row.provenance,
    )


def kpi_health(
    reading: ReadingRow | None, missed_at: datetime | None, versions: Sequence[DefinitionVersion]
) -> KpiHealth:
    """How healthy a KPI was by the reading that counted (R24), unless a later one was missed."""
    if reading is None or reading.value is None:
        return "no_data"
    if missed_at is not None and missed_at > reading.effective_at:
        return "no_data"
    judged_by = (each for each in versions if each.version == reading.definition_version)
    bands = next((each.definition.bands for each in judged_by), None)
    return "no_data" if bands is None else bands.health(reading.value)


def reviews_as_they_stood(reviews: Iterable[ReviewCard], today: date) -> tuple[ReviewCard, ...]:
    """Reviews with those overdue that are open past their day."""
    return tuple(
        replace(each, overdue=each.closed_at is None and each.due_on < today) for each in reviews
    )


def _reached(measure: Measure, value: Decimal | None) -> FourPointBand | None:
    if not isinstance(measure, FourPointMetric) or value is None:
        return None
    return measures.four_point_band(measure, value)


def _band(score: Decimal | None, course: Course) -> ScoreBand | None:
    return None if score is None else measures.band_of(score, course.policy.bands)
