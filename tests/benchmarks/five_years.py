"""Five years of an organisation as its log tells them: units, cycles, goals, and indicators.

Written straight down, without deciding, from a seed: the same size gives the same events. Every
quarter each unit sets itself three objectives, aligned to those of the department above, changes
them as it goes, checks in every other week, and is judged at its end; the last one still runs.
Indicators have readings every week or month, some of them corrected, retracted or missed.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from goal_contracts import codec, events
from goal_contracts.codec import Recorded
from goal_contracts.events import Band, Event, KpiBands, KpiDefinition
from goal_contracts.fields import Frequency, Outcome
from goal_contracts.measures import KpiLinked, Maintain, Measure, Metric, Milestone
from goal_contracts.policy import Policy

ORGANISATION: Final = "acme"
COMPANY: Final = "company"
ZONE: Final = "Europe/Berlin"
POLICY: Final = Policy(roll_up="both", cadence="biweekly")
"""Roll-ups at their most laborious: key results, and what is aligned."""
BEGIN: Final = date(2021, 1, 4)
QUARTER_WEEKS: Final = 13
QUARTER_DAYS: Final = 7.0 * QUARTER_WEEKS
OBJECTIVES_EACH: Final = 3
PEOPLE: Final = 2_000
SEED: Final = 20_210_104

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_HUNDRED: Final = Decimal(100)
_WORDS: Final = (
    "customers",
    "regions",
    "renewals",
    "orders",
    "onboarding",
    "support",
    "quality",
    "releases",
    "partners",
    "markets",
    "invoices",
    "suppliers",
    "recruiting",
    "training",
    "safety",
    "response",
    "delivery",
    "stock",
    "returns",
    "reviews",
)

_OUTCOMES: Final[tuple[Outcome, ...]] = ("achieved", "partial", "missed")

_Plan = tuple[float, Callable[[], Event | None]]
"""When, in days since the quarter began, and what happens then, if it still can."""


class Size(NamedTuple):
    """How much there is of everything."""

    quarters: int = 20
    departments: int = 20
    teams: int = 480
    weekly_kpis: int = 1_500
    monthly_kpis: int = 10_000

    @property
    def begins_last(self) -> date:
        """The first day of the quarter that runs."""
        return BEGIN + QUARTER_WEEKS * _WEEK * (self.quarters - 1)

    @property
    def now(self) -> datetime:
        """When nothing more has happened."""
        return instant(self.begins_last, QUARTER_DAYS)

    @property
    def units(self) -> list[str]:
        """Those that have objectives, departments first."""
        departments = [f"department-{number}" for number in range(self.departments)]
        return departments + [f"team-{number}" for number in range(self.teams)]

    def department_of(self, team: str) -> str:
        """The department a team belongs to."""
        return f"department-{int(team.partition('-')[2]) % self.departments}"


def history(size: Size) -> Iterator[tuple[Recorded, bytes]]:
    """The events in order, each as it is stored, too."""
    for position, (at, actor, event) in enumerate(_Organisation(size).life(), 1):
        recorded = Recorded(
            position=position,
            event_id=f"01980b1c-{position % 65_536:04x}-7e3a-9b2c-{position:012x}",
            organisation_id=ORGANISATION,
            kind=event.kind,
            goal_id=event.goal_id,
            recorded_at=at,
            known_at=at,
            effective_at=codec.effective_at_of(event, at),
            actor=actor,
            command_id=f"c-01980b1c-7e3a-9b2c-{position:012x}",
            event=event,
            reason=getattr(event, "reason", None),
        )
        yield recorded, codec.encode_event(recorded)


class _Objective:
    """What its next event has to know of an objective."""

    def __init__(self, objective_id: str, title: str, owner: str, unit_id: str) -> None:
        self.objective_id, self.title = objective_id, title
        self.owner, self.unit_id = owner, unit_id
        self.contributors: tuple[str, ...] = ()


class _KeyResult:
    """What its next event has to know of a key result."""

    def __init__(self, key_result_id: str, title: str, owner: str, measure: Measure) -> None:
        self.key_result_id, self.title = key_result_id, title
        self.owner, self.measure = owner, measure
        self.weight = Decimal(1)
        self.last: events.CheckedIn | None = None


class _Organisation:
    """Makes the events; remembers of a quarter only what it needs to its end."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._random = Random(SEED)
        self._check_ins = 0

    def life(self) -> Iterator[tuple[datetime, str, Event]]:
        begun = instant(BEGIN, 0.0)
        for event in self._founding():
            yield begun, "u-0", event
        left: list[_Plan] = []
        for quarter in range(self._size.quarters):
            begin = BEGIN + QUARTER_WEEKS * _WEEK * quarter
            plans = sorted(left + self._quarter(quarter, begin), key=lambda plan: plan[0])
            # A quarter's last readings come when the next one has begun.
            left = [(day - QUARTER_DAYS, it) for day, it in plans if day >= QUARTER_DAYS]
            for day, happens in plans[: len(plans) - len(left)]:
                what = happens()
                if what is not None:
                    yield instant(begin, day), self._person(), what

    def _founding(self) -> Iterator[Event]:
        size = self._size
        yield events.OrganisationOpened(ORGANISATION, "Acme", ZONE, POLICY)
        yield events.UnitDefined(COMPANY, "Acme", "company")
        for unit in size.units:
            if unit.startswith("department"):
                yield events.UnitDefined(unit, unit.replace("-", " "), "department", COMPANY)
            else:
                above = size.department_of(unit)
                yield events.UnitDefined(unit, unit.replace("-", " "), "team", above)
        bands = KpiBands(Band(low=Decimal(90)), Band(low=Decimal(80)))
        for number in range(size.weekly_kpis + size.monthly_kpis):
            frequency: Frequency = "weekly" if number < size.weekly_kpis else "monthly"
            name = f"Rate of {self._word()} in segment {number}"
            definition = KpiDefinition(name, "%", "higher", frequency, "warehouse", bands=bands)
            unit = size.units[number % len(size.units)]
            yield events.KpiDefined(f"kpi-{number}", unit, self._person(), definition)

    # ------------------------------------------------------------------ one quarter

    def _quarter(self, quarter: int, begin: date) -> list[_Plan]:
        """All that happens in it, and a little later."""
        cycle_id, end = f"quarter-{quarter}", begin + QUARTER_WEEKS * _WEEK - _DAY
        plans: list[_Plan] = [
            _at(
                0.05,
                events.CyclePlanned(cycle_id, f"Quarter {quarter}", "custom", begin, end),
            ),
            _at(0.9, events.CycleActivated(cycle_id, POLICY)),
        ]
        judged = quarter < self._size.quarters - 1
        for unit in self._size.units:
            for number in range(OBJECTIVES_EACH):
                plans += self._objective(quarter, cycle_id, unit, number, judged=judged)
        for kpi in range(self._size.weekly_kpis):
            for week in range(QUARTER_WEEKS):
                plans += self._reading(kpi, begin + week * _WEEK, 7, week * 7.0 + 7)
        for kpi in range(self._size.weekly_kpis, self._size.weekly_kpis + self._size.monthly_kpis):
            # Months of four, four and five weeks: none of them crosses a quarter.
            for first, days in ((0, 28), (28, 28), (56, 35)):
                plans += self._reading(kpi, begin + first * _DAY, days, first + days)
        if judged:
            learned = f"We took on too many {self._word()} at once."
            plans += [
                _at(90.5, events.CycleGradingStarted(cycle_id)),
                _at(90.97, events.RetrospectiveRecorded(cycle_id, learned=learned)),
                _at(
                    90.98,
                    events.CycleClosed(cycle_id, POLICY, Decimal("0.61"), Decimal("0.80")),
                ),
            ]
        return plans

    def _objective(
        self, quarter: int, cycle_id: str, unit: str, number: int, *, judged: bool
    ) -> list[_Plan]:
        draw = self._random
        objective_id = f"{unit}-q{quarter}-{number}"
        title = f"The {self._word()} of {unit} need fewer {self._word()}"
        made = _Objective(objective_id, title, self._person(), unit)
        parent = self._size.department_of(unit) if unit.startswith("team") else None
        drafted = events.ObjectiveDrafted(
            objective_id=objective_id,
            cycle_id=cycle_id,
            unit_id=unit,
            title=title,
            owner=made.owner,
            objective_kind=draw.choice(("aspirational", "committed")),
            description=f"What we heard about {self._word()}, put into one sentence.",
            aligned_to=(f"objective/{parent}-q{quarter}-{number}",) if parent else (),
        )
        plans = [
            _at(0.1 if parent is None else 0.15, drafted),
            _at(0.8, events.ObjectivePublished(objective_id)),
        ]
        plans += [
            (draw.uniform(1, 88), lambda: self._objective_changed(made))
            for _ in range(draw.randint(5, 11))
        ]
        # Two, two and three: seven for each three objectives.
        for which in range(3 if number == 0 else 2):
            plans += self._key_result(made, which, judged=judged)
        if judged:
            score = Decimal(draw.randint(0, 100)) / _HUNDRED
            outcome: Outcome = draw.choice(_OUTCOMES)
            plans.append(
                _at(90.8, events.ObjectiveGraded(objective_id, outcome, score, score)),
            )
        return plans

    def _objective_changed(self, made: _Objective) -> Event:
        draw, was = self._random, made
        match draw.randint(0, 2):
            case 0:
                title = f"The {self._word()} of {made.unit_id} need fewer {self._word()}"
                title_was, made.title = was.title, title
                return events.ObjectiveReworded(made.objective_id, title_was, title)
            case 1:
                owner_was, made.owner = made.owner, self._person()
                return events.ObjectiveReassigned(
                    made.objective_id, owner_was, made.owner, made.unit_id, made.unit_id
                )
            case _:
                contributors_was = made.contributors
                made.contributors = tuple(self._person() for _ in range(draw.randint(1, 4)))
                return events.ObjectiveContributorsChanged(
                    made.objective_id, contributors_was, made.contributors
                )

    def _key_result(self, of: _Objective, which: int, *, judged: bool) -> list[_Plan]:
        draw = self._random
        key_result_id = f"{of.objective_id}-{which}"
        title = f"Raise {self._word()} of segment {draw.randint(1, 999)}"
        made = _KeyResult(key_result_id, title, self._person(), self._measure())
        added = events.KeyResultAdded(
            key_result_id, of.objective_id, title, made.owner, made.measure
        )
        plans = [_at(0.5, added)]
        plans += [
            (draw.uniform(1, 88), lambda: self._key_result_changed(made))
            for _ in range(draw.randint(5, 11))
        ]
        if not isinstance(made.measure, KpiLinked):
            for fortnight in range(1, QUARTER_WEEKS // 2 + 1):
                if draw.random() < 0.85:
                    day = fortnight * 14 - draw.uniform(1, 4)
                    plans.append((day, self._checks_in(made, of, day)))
                    if draw.random() < 0.015:
                        plans.append((day + 0.4, lambda: self._check_in_changed(made)))
        if judged:
            score = Decimal(draw.randint(0, 100)) / _HUNDRED
            plans.append(_at(90.6, events.KeyResultGraded(key_result_id, score, score)))
        return plans

    def _measure(self) -> Measure:
        draw = self._random
        begin = Decimal(draw.randint(0, 60))
        match draw.randint(0, 19):
            case 0:
                # Of those with a reading each month.
                number = self._size.weekly_kpis + draw.randrange(self._size.monthly_kpis)
                return KpiLinked(f"kpi-{number}", Decimal(80), Decimal(95))
            case 1 | 2:
                return Milestone()
            case 3:
                return Maintain("%", lower=begin)
            case _:
                return Metric("%", begin, begin + draw.randint(5, 40))

    def _key_result_changed(self, made: _KeyResult) -> Event:
        draw = self._random
        match draw.randint(0, 3):
            case 0:
                title_was, made.title = made.title, f"Raise {self._word()} by {self._word()}"
                return events.KeyResultReworded(made.key_result_id, title_was, made.title)
            case 1 if isinstance(made.measure, Metric):
                was = made.measure
                target = max(was.target + draw.choice((-2, -1, 1, 2)), was.baseline + 1)
                made.measure = Metric(was.unit, was.baseline, target)
                return events.KeyResultRetargeted(
                    made.key_result_id,
                    was,
                    made.measure,
                    lowered=target < was.target,
                    mid_cycle=True,
                    reason=f"What we learned about {self._word()} since.",
                )
            case 2:
                weight_was, made.weight = made.weight, Decimal(draw.randint(1, 9))
                return events.KeyResultReweighted(made.key_result_id, weight_was, made.weight)
            case _:
                owner_was, made.owner = made.owner, self._person()
                return events.KeyResultReassigned(made.key_result_id, owner_was, made.owner)

    def _checks_in(self, made: _KeyResult, of: _Objective, day: float) -> Callable[[], Event]:
        def happens() -> Event:
            draw = self._random
            self._check_ins += 1
            quarter = int(of.objective_id.rpartition("-q")[2].partition("-")[0])
            begin = BEGIN + QUARTER_WEEKS * _WEEK * quarter
            made.last = events.CheckedIn(
                key_result_id=made.key_result_id,
                check_in_id=f"01980b1c-7e3a-9b2c-{self._check_ins:012x}",
                effective_at=instant(begin, day - draw.uniform(0, 0.9)),
                value=_said(made.measure, draw),
                confidence=draw.randint(0, 10),
                status=draw.choice(("on_track", "on_track", "at_risk", "off_track")),
                note=f"Two more {self._word()} signed, the {self._word()} wait.",
            )
            return made.last

        return happens

    def _check_in_changed(self, made: _KeyResult) -> Event | None:
        said, made.last = made.last, None
        if said is None:
            return None
        if self._random.random() < 0.2:
            return events.CheckInRetracted(
                made.key_result_id, said.check_in_id, said.effective_at, "entered twice"
            )
        return events.CheckInCorrected(
            made.key_result_id,
            said.check_in_id,
            said.effective_at,
            "mistyped",
            value_was=said.value,
            value=_said(made.measure, self._random),
            confidence_was=said.confidence,
            confidence=said.confidence,
            status_was=said.status,
            status=said.status,
            note_was=said.note,
            note=said.note,
        )

    # ------------------------------------------------------------------ readings

    def _reading(self, kpi: int, first: date, days: int, until: float) -> list[_Plan]:
        """A period's reading, which comes a little after its end."""
        draw, kpi_id = self._random, f"kpi-{kpi}"
        period = f"{first}/{first + (days - 1) * _DAY}"
        effective_at = _end_before(first + days * _DAY)
        came = until + draw.uniform(0.02, 0.4)
        chance = draw.random()
        if chance < 0.003:
            return [
                _at(came, events.KpiReadingMissed(kpi_id, period, effective_at, "warehouse")),
            ]
        value = Decimal(draw.randint(7_000, 10_000)) / _HUNDRED
        plans = [
            _at(
                came,
                events.KpiReadingRecorded(kpi_id, period, effective_at, value, "warehouse", 1),
            )
        ]
        if chance < 0.004:
            retracted = events.KpiReadingRetracted(
                kpi_id, period, effective_at, value, "warehouse", "measured the wrong segment"
            )
            plans.append(_at(came + 0.3, retracted))
        elif chance < 0.018:
            restated = value + Decimal(draw.randint(-50, 50)) / _HUNDRED
            corrected = events.KpiReadingCorrected(
                kpi_id, period, effective_at, value, restated, "warehouse", 1, "restated"
            )
            plans.append(_at(came + 0.3, corrected))
        return plans

    def _word(self) -> str:
        return self._random.choice(_WORDS)

    def _person(self) -> str:
        return f"u-{self._random.randrange(PEOPLE)}"


@lru_cache
def _end_before(day: date) -> datetime:
    """The last instant of the day before, in the organisation's zone."""
    begins = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
    return begins - timedelta(microseconds=1)


def _said(measure: Measure, draw: Random) -> Decimal:
    if isinstance(measure, Milestone):
        return Decimal(draw.random() < 0.3)
    return Decimal(draw.randint(0, 10_000)) / _HUNDRED


def _at(day: float, event: Event) -> _Plan:
    return day, lambda: event


def instant(begin: date, day: float) -> datetime:
    """So many days after the morning of a day."""
    return datetime(begin.year, begin.month, begin.day, 6, tzinfo=UTC) + timedelta(
        seconds=round(day * 86_400)
    )
