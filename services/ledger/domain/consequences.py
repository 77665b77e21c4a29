"""What follows from a reading, in the same commit: computed readings (R27), health, reviews (R24).

The order is fixed: first the readings, each after what it is computed from; then the health of
every KPI that was touched, and the review it asks for.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from goal_contracts.codec import Recorded, effective_at_of
from goal_contracts.events import (
    Event,
    KpiDefined,
    KpiReadingCorrected,
    KpiReadingMissed,
    KpiReadingRecorded,
    KpiReadingRetracted,
    KpiRedefined,
)
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain import kpi_health
from services.ledger.domain.asked import Asked
from services.ledger.domain.evolve import evolve
from services.ledger.domain.formula import (
    complete_periods,
    dependents_of,
    made_of,
    periods_of,
    recompute,
)
from services.ledger.domain.organisation import Organisation
from services.ledger.domain.times import days_of_period

COMPUTED_MAX = 900
"""How many readings a definition may compute at once; one commit holds them and what follows."""

Read = KpiReadingRecorded | KpiReadingCorrected | KpiReadingRetracted
Cause = Read | KpiReadingMissed | KpiDefined | KpiRedefined
"""What something may follow from; it does where there are bands or formulas."""


def with_consequences(
    organisation: Organisation, events: tuple[Event, ...], asked: Asked
) -> tuple[Event, ...]:
    """The events and what follows from them."""
    if not any(
        isinstance(event, Cause) and _has_consequences(organisation, event) for event in events
    ):
        return events
    tried = organisation.fork()
    let_happen(tried, events, asked)
    return (*events, *follow(tried, events, asked))


def follow(tried: Organisation, events: Iterable[Event], asked: Asked) -> tuple[Event, ...]:
    """What follows from events that have just happened to `tried`; it happens to `tried`, too."""
    followed: list[Event] = []
    for event in events:
        if isinstance(event, Cause) and _has_consequences(tried, event):
            followed.extend(_follow(tried, event, asked))
    return tuple(followed)


def let_happen(tried: Organisation, events: Iterable[Event], asked: Asked) -> None:
    """Evolve a fork by events as they would stand next in the log."""
    last = max(tried.position, asked.log_ends_at)
    for position, event in enumerate(events, start=last + 1):
        evolve(
            tried,
            Recorded(
                position=position,
                event_id="",
                organisation_id=asked.organisation_id,
                kind=event.kind,
                goal_id=event.goal_id,
                recorded_at=asked.now,
                known_at=asked.now,
                effective_at=effective_at_of(event, asked.now),
                actor=asked.actor,
                command_id=asked.command_id,
                event=event,
            ),
        )


def _has_consequences(organisation: Organisation, event: Cause) -> bool:
    match event:
        case KpiReadingRecorded() | KpiReadingCorrected() | KpiReadingRetracted():
            return (
                event.kpi_id in organisation.dependent_ids
                or organisation.kpis[event.kpi_id].is_judged
            )
        case KpiReadingMissed():
            return organisation.kpis[event.kpi_id].is_judged
        case KpiDefined():
            return event.definition.formula is not None
        case KpiRedefined():
            return (
                event.definition.formula is not None or event.kpi_id in organisation.dependent_ids
            )
        case _:
            assert_never(event)


def _follow(tried: Organisation, event: Cause, asked: Asked) -> list[Event]:
    touched: dict[str, datetime] = {}
    followed: list[Event] = []
    match event:
        case KpiReadingRecorded() | KpiReadingCorrected() | KpiReadingRetracted():
            touched[event.kpi_id] = event.effective_at
            followed = _recompute(tried, event.kpi_id, {event.period}, asked)
        case KpiReadingMissed():
            touched[event.kpi_id] = event.effective_at
        case KpiDefined():
            periods = complete_periods(tried, event.definition.formula)
            followed = _compute_at_once(tried, event, periods, asked)
        case KpiRedefined():
            periods = complete_periods(tried, event.definition.formula)
            periods = {each for each in periods if _is_from(event, each)}
            followed = _compute_at_once(tried, event, periods, asked)
        case _:
            assert_never(event)
    touched |= {each.kpi_id: each.effective_at for each in followed if isinstance(each, Read)}
    for kpi_id, changed_at in touched.items():
        judged = tuple(kpi_health.follow(tried, kpi_id, changed_at, asked))
        let_happen(tried, judged, asked)
        followed.extend(judged)
    return followed


def _compute_at_once(
    tried: Organisation, event: KpiDefined | KpiRedefined, periods: set[str], asked: Asked
) -> list[Event]:
    """The readings that a new version of a definition makes, and what is computed from them.

    It may also change which of its readings counts for others, so these are looked at again.
    """
    followed: list[Event] = []
    for period in _in_order(periods):
        events = recompute(tried, event.kpi_id, period, event.kpi_id)
        let_happen(tried, events, asked)
        followed.extend(events)
    if isinstance(event, KpiRedefined):
        changed = {each for each in periods_of(tried, event.kpi_id) if _is_from(event, each)}
        followed.extend(_recompute(tried, event.kpi_id, changed, asked))
    if len(followed) > COMPUTED_MAX:
        raise Refusal(
            Reason.TOO_LARGE,
            f"{len(followed)} readings would be computed at once",
            seen=f"{len(followed)} readings",
            accepted=f"at most {COMPUTED_MAX}: define it before the readings it is computed from",
            rule="R27",
        )
    return followed


def _recompute(tried: Organisation, cause: str, periods: set[str], asked: Asked) -> list[Event]:
    """What is computed from a KPI, in the order in which it depends on each other."""
    changed = {cause: periods}
    followed: list[Event] = []
    for kpi_id in dependents_of(tried, cause):
        sources = made_of(tried.kpis[kpi_id])
        again = set[str]().union(*(changed.get(each, ()) for each in sources))
        for period in _in_order(again):
            events = recompute(tried, kpi_id, period, cause)
            if events:
                let_happen(tried, events, asked)
                followed.extend(events)
                changed.setdefault(kpi_id, set()).add(period)
    return followed


def _is_from(event: KpiRedefined, period: str) -> bool:
    """Whether the new version is in force on the period's last day."""
    return days_of_period(period)[1] >= event.effective_on


def _in_order(periods: Iterable[str]) -> list[str]:
    """The earliest first, by their last days."""
    return sorted(periods, key=lambda each: each.partition("/")[::-1])
