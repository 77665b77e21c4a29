"""Goals that nobody touched, and objectives that serve nothing."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from goal_contracts.cadence import Cadence
from goal_contracts.fields import GoalRef, UnitKind
from goal_contracts.measures import KpiLinked
from goal_contracts.policy import Policy
from goal_contracts.queries import KeyResultCard, ObjectiveCard, Unaligned, Untouched

from services.projections.views import course as courses
from services.projections.views.course import Course

CADENCE_DAYS: Final[dict[Cadence, int]] = {"weekly": 7, "biweekly": 14, "monthly": 31}
_DAY: Final = timedelta(days=1)


def quiet_days_max(policy: Policy) -> int:
    """How long a goal may be left alone: two periods of the cadence, and the grace."""
    return 2 * CADENCE_DAYS[policy.cadence] + policy.cadence_grace_days


def untouched(
    objective: ObjectiveCard,
    key_results: Sequence[KeyResultCard],
    touched: Mapping[GoalRef, datetime],
    course: Course,
    as_of: datetime,
) -> Iterator[Untouched]:
    """The objective, if nobody touched it or any part of it; else those of its parts left alone.

    `touched` says when a person last did something with a goal, or with the KPI it follows. Nothing
    is asked of anybody before the cycle runs and the objective is published, nor once the cycle is
    no longer active.
    """
    if course.state != "active" or course.activated_at is None or objective.outcome is not None:
        return
    parts = [part for each in key_results for part in parts_of(each)]
    whole = _left_alone(objective, objective, parts, touched, course, as_of)
    if whole is not None:
        yield whole
        return
    for each in key_results:
        if not courses.is_judged(each, objective):
            alone = _left_alone(each, objective, parts_of(each), touched, course, as_of)
            if alone is not None:
                yield alone


def _left_alone(
    card: ObjectiveCard | KeyResultCard,
    objective: ObjectiveCard,
    parts: Iterable[GoalRef],
    touched: Mapping[GoalRef, datetime],
    course: Course,
    as_of: datetime,
) -> Untouched | None:
    """A goal, if neither it nor any of its parts was touched for too long."""
    goal, published = reference(card), objective.published_at
    last = max((touched[each] for each in (goal, *parts) if each in touched), default=None)
    since = max(each for each in (last, course.activated_at, published) if each is not None)
    days, limit = (as_of - since) // _DAY, quiet_days_max(course.policy)
    if days <= limit:
        return None
    return Untouched(
        goal=goal,
        title=card.title,
        owner=card.owner,
        unit_id=objective.unit_id,
        cycle_id=objective.cycle_id,
        days=days,
        limit_days=limit,
        touched_at=last,
    )


def reference(card: ObjectiveCard | KeyResultCard) -> GoalRef:
    """A goal by its kind and id."""
    if isinstance(card, KeyResultCard):
        return f"key_result/{card.key_result_id}"
    return f"objective/{card.objective_id}"


def parts_of(card: KeyResultCard) -> tuple[GoalRef, ...]:
    """A key result, and the KPI that it follows."""
    own = reference(card)
    if isinstance(card.measure, KpiLinked):
        return own, f"kpi/{card.measure.kpi_id}"
    return (own,)


def unaligned(
    objective: ObjectiveCard, unit_kind: UnitKind | None, ended: Collection[GoalRef]
) -> Unaligned | None:
    """An objective that serves nothing that is still pursued; the company's own need not.

    `ended` are the goals, among those it serves, that were dropped or carried over.
    """
    if unit_kind == "company" or any(each not in ended for each in objective.aligned_to):
        return None
    return Unaligned(
        objective_id=objective.objective_id,
        title=objective.title,
        owner=objective.owner,
        unit_id=objective.unit_id,
        cycle_id=objective.cycle_id,
        ended=objective.aligned_to,
    )
