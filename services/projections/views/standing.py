"""Which check-in or reading counts at a moment, and the progress that follows.

The value with the greatest `effective_at` not after the moment counts, ties by position; a
correction replaces what it corrects, a retraction removes it and the one before counts. What a
check-in leaves unsaid (value, confidence, status) stays as the one before it said.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final, Protocol, TypeVar

from goal_contracts import measures
from goal_contracts.measures import KpiLinked, Maintain
from goal_contracts.queries import CycleCard, KeyResultCard, ObjectiveCard, ReadingCard
from msgspec import Struct
from msgspec.structs import replace

from services.projections.views.days import start_of_day
from services.projections.views.rows import CheckInRow, FactEvent, ReadingRow

_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)


class Fact(Protocol):
    """What check-ins and readings have in common."""

    @property
    def first_position(self) -> int: ...
    @property
    def event(self) -> FactEvent: ...


F = TypeVar("F", bound=Fact)


class Span(Struct, frozen=True):
    """A cycle's time: from its first instant up to the first one after it."""

    start: datetime
    end: datetime

    @property
    def last(self) -> datetime:
        """Its last instant."""
        return self.end - _TICK


def span_of(cycle: CycleCard, zone: str) -> Span:
    """The time of a cycle in the organisation's zone."""
    return Span(start_of_day(cycle.start_on, zone), start_of_day(cycle.end_on + _DAY, zone))


def pace(span: Span, as_of: datetime) -> Decimal:
    """How far the cycle itself is, 0 to 1."""
    return measures.expected_pace(span.start, span.end, as_of)


def standing(facts: Iterable[F]) -> list[F]:
    """What stands of a series, as last corrected, without what was retracted or never came.

    Facts come, and go, in the order of effective_at, first_position, position.
    """
    last = {fact.first_position: fact for fact in facts}
    return [fact for fact in last.values() if fact.event in {"recorded", "corrected"}]


def objective_as_it_stood(
    card: ObjectiveCard, key_results: Iterable[KeyResultCard], span: Span, as_of: datetime
) -> ObjectiveCard:
    """The objective with its progress, from its key results as they stood, and the pace."""
    parts = [(each.weight, each.progress) for each in key_results if not each.dropped]
    return replace(card, progress=measures.weighted_mean(parts), expected_pace=pace(span, as_of))


def key_result_as_it_stood(
    card: KeyResultCard,
    check_ins: Sequence[CheckInRow],
    reading: ReadingRow | None,
    span: Span,
    as_of: datetime,
    ceiling: Decimal,
) -> KeyResultCard:
    """The key result with what counted at the moment, and its progress.

    `check_ins` are those that stand, `reading` the one that counts of the KPI it is linked to.
    """
    valued = [each for each in check_ins if each.value is not None]
    source = valued[-1] if valued else None
    follows: CheckInRow | ReadingRow | None = (
        reading if isinstance(card.measure, KpiLinked) else source
    )
    value = follows.value if follows else None
    match card.measure:
        case Maintain(counted_by="check_ins") as band:
            met = sum(_is_met(band, each) for each in valued)
            progress = measures.share_met(Decimal(met), Decimal(len(valued)))
        case Maintain() as band:
            progress = _share_of_time(band, valued, span, as_of)
        case _:
            progress = measures.progress(card.measure, value, ceiling)
    return replace(
        card,
        value=value,
        value_at=follows.effective_at if follows else None,
        progress=progress,
        confidence=_last_said(each.confidence for each in check_ins),
        status=_last_said(each.status for each in check_ins),
        note=check_ins[-1].note if check_ins else "",
    )


def reading_card(row: ReadingRow, *, counts: bool) -> ReadingCard:
    """A row of the series as it is shown."""
    return ReadingCard(
        period=row.period,
        source=row.source,
        effective_at=row.effective_at,
        position=row.position,
        known_at=row.known_at,
        recorded_at=row.recorded_at,
        actor=row.actor,
        event=row.event,
        value=row.value,
        value_was=row.value_was,
        corrects=row.corrects,
        counts=counts,
        definition_version=row.definition_version,
        numerator=row.numerator,
        denominator=row.denominator,
        reason=row.reason,
        provenance=row.provenance,
    )


def _is_met(band: Maintain, fact: CheckInRow) -> bool:
    return fact.value is not None and measures.is_met(band, fact.value)


def _share_of_time(
    band: Maintain, valued: Sequence[CheckInRow], span: Span, as_of: datetime
) -> Decimal | None:
    """The share of the elapsed cycle inside the band: a value holds until the next one."""
    until = min(as_of, span.end)
    met = timedelta()
    turns = [min(max(each.effective_at, span.start), until) for each in valued]
    for fact, (begin, end) in zip(valued, pairwise([*turns, until]), strict=True):
        if _is_met(band, fact):
            met += end - begin
    return measures.share_met(Decimal(met // _TICK), Decimal((until - span.start) // _TICK))


S = TypeVar("S")


def _last_said(said: Iterable[S | None]) -> S | None:
    last = None
    for each in said:
        last = last if each is None else each
    return last
