"""What the numbers say beyond themselves, put together from one vantage.

First it is found out what there is to look at, then only a page of it is worked out: a forecast
takes its series, a pair of KPIs two.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, Literal, NamedTuple, assert_never

from goal_contracts.events import Formula, Ratio, Sum
from goal_contracts.fields import LEDGER_ACTOR, GoalRef
from goal_contracts.measures import KpiLinked
from goal_contracts.queries import (
    Forecast,
    InsightList,
    KeyResultCard,
    KpiCard,
    Leads,
    ObjectiveCard,
    Unaligned,
    UnitCard,
    Untouched,
)
from msgspec.structs import replace

from services.projections.alerts import Pursued, Scope, pursued
from services.projections.as_of import Vantage
from services.projections.view_store.reader import Reader
from services.projections.views import alerts, forecast, leads, neglect, standing
from services.projections.views.course import Course, is_judged
from services.projections.views.current import (
    KpiState,
    OrganisationState,
    State,
    definition_on,
)
from services.projections.views.days import local_day
from services.projections.views.leads import Series
from services.projections.views.rows import ReadingRow

PAIRS_MAX: Final = 2_000
"""Of more pairs of KPIs, those after the first so many, in the order of their ids, are left out."""


class Heading(NamedTuple):
    """A key result to forecast."""

    card: KeyResultCard
    objective: ObjectiveCard
    course: Course


class Pair(NamedTuple):
    """A leading and a lagging KPI of one frequency to compare."""

    leading: KpiCard
    lagging: KpiCard
    relation: Literal["unit", "formula"]


Candidate = Heading | Untouched | Unaligned | Pair


class Outlook:
    """The insights into an organisation from one vantage."""

    def __init__(
        self,
        reader: Reader,
        organisation_id: str,
        organisation: OrganisationState,
        seen: Vantage,
        scope: Scope,
    ) -> None:
        self._reader = reader
        self._organisation_id = organisation_id
        self._organisation = organisation
        self._seen = seen
        self._scope = scope
        self._changes: dict[str, Series] = {}

    def candidates(self) -> list[Candidate]:
        """All there is to tell, in order; what takes a series is worked out on its page."""
        cycles = list(
            pursued(
                self._reader, self._organisation_id, self._organisation, self._seen, self._scope
            )
        )
        return [
            *(heading for of_cycle in cycles for heading in self._headings(of_cycle)),
            *(quiet for of_cycle in cycles for quiet in self._untouched(of_cycle)),
            *(alone for of_cycle in cycles for alone in self._unaligned(of_cycle)),
            *islice(self._pairs(), PAIRS_MAX),
        ]

    def told(self, candidates: Sequence[Candidate]) -> InsightList:
        """Some of them as they are told."""
        headings = [each for each in candidates if isinstance(each, Heading)]
        pairs = [each for each in candidates if isinstance(each, Pair)]
        compared = [pair for pair in pairs if self._is_long_enough(pair)]
        return InsightList(
            reflects=self._seen.reflects,
            forecasts=tuple(self._forecasts(headings)),
            untouched=tuple(each for each in candidates if isinstance(each, Untouched)),
            unaligned=tuple(each for each in candidates if isinstance(each, Unaligned)),
            leads=tuple(found for pair in compared if (found := self._leads(pair)) is not None),
            pairs_compared=len(compared),
            pairs_too_short=len(pairs) - len(compared),
        )

    # ------------------------------------------------------------------ where goals are heading

    def _headings(self, of_cycle: Pursued) -> Iterator[Heading]:
        course = of_cycle.course
        if course.state == "active" and course.start <= self._seen.as_of < course.last:
            for card in of_cycle.key_results:
                objective = of_cycle.objectives[card.objective_id]
                if alerts.is_continuous(card.measure) and not is_judged(card, objective):
                    yield Heading(card, objective, course)

    def _forecasts(self, headings: Sequence[Heading]) -> Iterator[Forecast]:
        said = self._reader.check_ins(
            self._organisation_id,
            [card.key_result_id for card, _, _ in headings],
            self._seen.known,
            self._seen.as_of,
        )
        readings: dict[tuple[str, datetime], list[ReadingRow]] = {}
        for card, objective, course in headings:
            if isinstance(card.measure, KpiLinked):
                key = card.measure.kpi_id, course.start
                if key not in readings:
                    readings[key] = self._readings_around(card.measure.kpi_id, course)
                values = [(each.effective_at, each.value) for each in readings[key]]
            else:
                rows = standing.standing(said.get(card.key_result_id, ()))
                values = [(each.effective_at, each.value) for each in rows]
            known = [(at, value) for at, value in values if value is not None]
            yield forecast.forecast(card, objective, known, course)

    def _readings_around(self, kpi_id: str, course: Course) -> list[ReadingRow]:
        """Of a KPI, also from before the cycle: as far back as the cycle is long."""
        since = course.start - (course.end - course.start)
        return [each for each in self._readings(kpi_id) if each.effective_at >= since]

    # ------------------------------------------------------------------ what nobody looks at

    def _untouched(self, of_cycle: Pursued) -> Iterator[Untouched]:
        by_objective: dict[str, list[KeyResultCard]] = defaultdict(list)
        for card in of_cycle.key_results:
            by_objective[card.objective_id].append(card)
        touched = self._touched(of_cycle)
        for objective_id, objective in of_cycle.objectives.items():
            yield from neglect.untouched(
                objective, by_objective[objective_id], touched, of_cycle.course, self._seen.as_of
            )

    def _touched(self, of_cycle: Pursued) -> dict[GoalRef, datetime]:
        """When a person last did something with each goal of a cycle, and the KPIs they follow."""
        goals = [neglect.reference(each) for each in of_cycle.objectives.values()]
        goals += [part for each in of_cycle.key_results for part in neglect.parts_of(each)]
        return {
            f"{kind}/{goal_id}": at
            for kind, goal_ids in _by_kind(goals).items()
            for goal_id, at in self._reader.last_touched(
                self._organisation_id, kind, goal_ids, self._seen.structure, not_by=LEDGER_ACTOR
            ).items()
        }

    def _unaligned(self, of_cycle: Pursued) -> Iterator[Unaligned]:
        objectives = of_cycle.objectives.values()
        units = self._states("unit", {each.unit_id for each in objectives})
        ended = self._ended({parent for each in objectives for parent in each.aligned_to})
        for objective in objectives:
            unit = units.get(objective.unit_id)
            unit_kind = unit.unit_kind if isinstance(unit, UnitCard) else None
            alone = neglect.unaligned(objective, unit_kind, ended)
            if alone is not None:
                yield alone

    def _ended(self, goals: Iterable[GoalRef]) -> set[GoalRef]:
        """Those of some goals that were dropped or carried over."""
        by_kind = _by_kind(goals)
        ended = {
            objective_id
            for objective_id, state in self._states("objective", by_kind["objective"]).items()
            if isinstance(state, ObjectiveCard) and state.state in {"dropped", "carried"}
        }
        dropped = {
            key_result_id
            for key_result_id, state in self._states("key_result", by_kind["key_result"]).items()
            if isinstance(state, KeyResultCard) and state.dropped
        }
        return {f"objective/{each}" for each in ended} | {f"key_result/{each}" for each in dropped}

    def _states(self, kind: str, goal_ids: Iterable[str]) -> dict[str, State]:
        return self._reader.states(self._organisation_id, kind, goal_ids, self._seen.structure)

    # ------------------------------------------------------------------ leading and lagging

    def _pairs(self) -> Iterator[Pair]:
        """Each lagging KPI with the leading ones beside it, and those it is computed from."""
        kpis = self._kpis()
        leading = [each for each in kpis if each.definition.timing == "leading"]
        beside: dict[str, list[KpiCard]] = defaultdict(list)
        for card in leading:
            beside[card.unit_id].append(card)
        by_id = {card.kpi_id: card for card in leading}
        for card in kpis:
            if card.definition.timing == "leading":
                continue
            sources = {each for each in _sources(card.definition.formula) if each in by_id}
            others = {each.kpi_id for each in beside[card.unit_id]} | sources
            for kpi_id in sorted(others):
                if by_id[kpi_id].definition.frequency == card.definition.frequency:
                    yield Pair(by_id[kpi_id], card, "formula" if kpi_id in sources else "unit")

    def _kpis(self) -> list[KpiCard]:
        """Those that are watched, each with the definition in force."""
        if self._scope.cycle_id is not None:
            return []
        today = local_day(self._seen.as_of, self._organisation.zone)
        goals = self._reader.kpis(
            self._organisation_id,
            self._seen.known,
            self._seen.structure,
            unit_ids=self._scope.unit_ids,
        )
        return [
            replace(
                goal.state.card, definition=definition_on(goal.state.versions, today).definition
            )
            for goal in goals
            if isinstance(goal.state, KpiState) and not goal.state.card.retired
        ]

    def _leads(self, pair: Pair) -> Leads | None:
        frequency = pair.lagging.definition.frequency
        leading, lagging = self._changes_of(pair.leading), self._changes_of(pair.lagging)
        led = leads.led(leading, lagging, frequency)
        if led is None:
            return None
        return Leads(
            leading=pair.leading.kpi_id,
            lagging=pair.lagging.kpi_id,
            unit_id=pair.lagging.unit_id,
            relation=pair.relation,
            periods=led.periods,
            frequency=frequency,
            correlation=led.correlation,
            pairs=led.pairs,
            effective_pairs=led.effective_pairs,
            chance_alone=led.chance_alone,
        )

    def _is_long_enough(self, pair: Pair) -> bool:
        return leads.is_long_enough(self._changes_of(pair.leading), self._changes_of(pair.lagging))

    def _changes_of(self, card: KpiCard) -> Series:
        if card.kpi_id not in self._changes:
            readings = self._readings(card.kpi_id)
            self._changes[card.kpi_id] = leads.changes_of(readings, card.definition.frequency)
        return self._changes[card.kpi_id]

    def _readings(self, kpi_id: str) -> list[ReadingRow]:
        rows = self._reader.readings(
            self._organisation_id, kpi_id, self._seen.known, self._seen.as_of
        )
        return standing.standing(rows)


def _by_kind(goals: Iterable[GoalRef]) -> dict[str, list[str]]:
    by_kind: dict[str, list[str]] = defaultdict(list)
    for goal in goals:
        kind, _, goal_id = goal.partition("/")
        by_kind[kind].append(goal_id)
    return by_kind


def _sources(formula: Formula | None) -> tuple[str, ...]:
    """The KPIs that a KPI is computed from."""
    match formula:
        case None:
            return ()
        case Ratio(numerator=numerator, denominator=denominator):
            return numerator, denominator
        case Sum(of=of):
            return of
        case _:
            assert_never(formula)
