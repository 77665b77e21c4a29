"""A cycle as what is done in it is judged: its time, its rules, and when check-ins are due.

The rules are those the cycle pinned when it was activated or closed, before that the current ones:
whatever is decided for later cycles, this one looks the same (R20).
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from goal_contracts import cadence
from goal_contracts.fields import CheckInTiming, CycleState, GoalHealth, Outcome, Status
from goal_contracts.policy import Policy
from goal_contracts.queries import KeyResultCard, ObjectiveCard
from msgspec import Struct

from services.projections.views import current
from services.projections.views.days import local_day, start_of_day

COURSES_MAX: Final = 256
"""So many are kept, as every goal of a cycle asks for the same one."""
MOMENTS_MAX: Final = 64
"""The same of the days of moments, as a question asks for one moment of all goals."""
_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)


class Course(Struct, frozen=True):
    """A cycle from its first instant up to the first one after it, cut into its cadence's periods.

    `periods` are the same as `days`, from the first instant of each up to the first one after it.
    """

    state: CycleState
    policy: Policy
    zone: str
    start: datetime
    end: datetime
    days: tuple[tuple[date, date], ...]
    periods: tuple[tuple[datetime, datetime], ...]
    activated_at: datetime | None = None

    @property
    def last(self) -> datetime:
        """Its last instant."""
        return self.end - _TICK

    @property
    def is_over(self) -> bool:
        """Whether nothing more can happen in it."""
        return self.state in {"closed", "cancelled"}


@lru_cache(maxsize=COURSES_MAX)
def course_of(cycle: current.CycleState, policy: Policy, zone: str) -> Course:
    """The course of a cycle; `policy` is the current one."""
    card, rules = cycle.card, cycle.policy or policy
    days = cadence.periods(card.start_on, card.end_on, rules.cadence)
    return Course(
        state=card.state,
        policy=rules,
        zone=zone,
        start=start_of_day(card.start_on, zone),
        end=start_of_day(card.end_on + _DAY, zone),
        days=days,
        periods=tuple(
            (start_of_day(first, zone), start_of_day(last + _DAY, zone)) for first, last in days
        ),
        activated_at=cycle.activated_at,
    )


def timing(
    card: KeyResultCard,
    objective: ObjectiveCard,
    check_ins: Collection[datetime],
    course: Course,
    as_of: datetime,
) -> CheckInTiming:
    """How a key result stands with its check-ins (R12); `check_ins` are their effective dates.

    Nothing is due before the cycle runs and the objective is published, nor once it is judged.
    """
    if course.is_over or is_judged(card, objective):
        return "ended"
    begun = begun_at(card, objective, course)
    if begun is None:
        return "pending"
    return cadence.timing(
        course.days,
        _days_of(check_ins, course),
        _today(as_of, course.zone),
        course.policy.cadence_grace_days,
        since=local_day(begun, course.zone),
    )


def missing(
    begun: datetime, check_ins: Collection[datetime], course: Course, as_of: datetime
) -> tuple[date, date] | None:
    """The first period without a check-in, of a key result that is pursued since `begun`."""
    today, since = local_day(as_of, course.zone), local_day(begun, course.zone)
    return cadence.missing(course.days, _days_of(check_ins, course), today, since)


def begun_at(card: KeyResultCard, objective: ObjectiveCard, course: Course) -> datetime | None:
    """Since when the cycle runs, the objective is published and the key result there."""
    begun = course.activated_at, objective.published_at, card.added_at
    return None if None in begun else max(at for at in begun if at is not None)


def is_judged(card: KeyResultCard, objective: ObjectiveCard) -> bool:
    """Whether nothing more is asked of a key result."""
    return card.dropped or card.waived or card.score is not None or objective.outcome is not None


def health(
    card: KeyResultCard, objective: ObjectiveCard, timing: CheckInTiming, status: Status | None
) -> GoalHealth:
    """The colour of a key result; it shares the outcome of its objective, unless it was dropped."""
    outcome: Outcome | None = "dropped" if card.dropped else objective.outcome
    return cadence.health(outcome, timing, status)


@lru_cache(maxsize=MOMENTS_MAX)
def _today(as_of: datetime, zone: str) -> date:
    return local_day(as_of, zone)


def _days_of(check_ins: Collection[datetime], course: Course) -> set[date]:
    return {local_day(at, course.zone) for at in check_ins if course.start <= at <= course.last}
