"""Dates become positions: what a question about the past may see.

Two times. What counts must have been known by one moment, and true by another:

    as_of D                 known then and effective by then
    as_of D, known_at K     as was known at K, effective by D
    known_at K              the same as as_of K
    neither                 now

A moment is a day (its end in the organisation's zone), an instant (in that zone without an offset),
or a position @N: then it is the time by which everything up to @N was known. Check-ins and readings
count up to the position `known` if they are effective by `as_of`; units, cycles, objectives and key
results stand as they had come to be by both, which is the position `structure`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from goal_contracts.measures import KpiLinked
from goal_contracts.queries import (
    CycleCard,
    KeyResultCard,
    KpiCard,
    Moment,
    ObjectiveCard,
    Reflects,
    UnitCard,
)
from msgspec import Struct
from msgspec.structs import replace

from services.projections.view_store.goals import Goal
from services.projections.view_store.kept import Below
from services.projections.view_store.reader import POSITION_MAX, Alignment, Reader, Span
from services.projections.views import advised, standing
from services.projections.views.course import Course, course_of
from services.projections.views.current import (
    CycleState,
    KpiState,
    OrganisationState,
    definition_on,
)
from services.projections.views.days import end_of_day, local_day, start_of_day
from services.projections.views.rows import CheckInRow, ReadingRow

DAY_LENGTH: Final = len("2022-01-31")
MISSED_MAX: Final = 100
"""Of a KPI's missed periods, at most so many are named."""
TICK: Final = timedelta(microseconds=1)
Look = Callable[[datetime], int | None]
"""Finds what a question will ask from a moment on, and with it the position that was known then.

None, if there is nothing to be found.
"""


class NoSuchMoment(ValueError):
    """What was written is no day, instant or position."""


class Reached(NamedTuple):
    """An objective with its key results and its progress."""

    card: ObjectiveCard
    key_results: Sequence[KeyResultCard]
    progress: Decimal | None


class Vantage(Struct, frozen=True):
    """What a question may see: see the module. Positions are the organisation's own."""

    known: int
    structure: int
    as_of: datetime
    known_at: datetime

    @property
    def reflects(self) -> Reflects:
        """The same, as an answer says it."""
        return Reflects(position=self.known, as_of=self.as_of, known_at=self.known_at)


def vantage(
    reader: Reader,
    organisation_id: str,
    zone: str,
    as_of: Moment | None,
    known_at: Moment | None,
    now: datetime,
    look: Look | None = None,
) -> Vantage:
    """Where a question stands; NoSuchMoment if its moments cannot be read.

    `look` saves a trip to the database where the question has one moment, a date.
    """
    if as_of is None and known_at is None:
        return present(reader, organisation_id, now)
    has_two = as_of is not None and known_at is not None
    by_position, by = _place(
        reader, organisation_id, zone, as_of or known_at or "", None if has_two else look
    )
    known, at = by_position, by
    if as_of is not None and known_at is not None:
        known, at = _place(reader, organisation_id, zone, known_at)
    return Vantage(known=known, structure=min(known, by_position), as_of=by, known_at=at)


def present(reader: Reader, organisation_id: str, now: datetime) -> Vantage:
    """Everything that is known; the clock of the ledger may be a little ahead of ours."""
    last, known_at_max = reader.last_position(organisation_id, POSITION_MAX) or (0, now)
    at = max(now, known_at_max)
    return Vantage(known=last, structure=last, as_of=at, known_at=at)


def position_before(reader: Reader, organisation_id: str, zone: str, start: Moment) -> int:
    """The position right before a range; a day as a start is its beginning."""
    moment = read_moment(start, zone, is_start=True)
    if isinstance(moment, int):
        return max(moment - 1, 0)
    return reader.position_known_at(organisation_id, moment - TICK)


def refuse_inverted(start: Moment | None, end: Moment | None, zone: str) -> None:
    """NoSuchMoment if a range ends before it begins; a date and a position are not compared."""
    if start is None or end is None:
        return
    begin, last = read_moment(start, zone, is_start=True), read_moment(end, zone)
    if (isinstance(begin, int) and isinstance(last, int) and begin > last) or (
        isinstance(begin, datetime) and isinstance(last, datetime) and begin > last
    ):
        raise NoSuchMoment(f"the range begins at {start}, after its end {end}: swap the two")


def read_moment(text: Moment, zone: str, *, is_start: bool = False) -> datetime | int:
    """An instant in UTC, or a position; NoSuchMoment if it is neither."""
    try:
        if text.startswith("@"):
            return int(text[1:])
        if len(text) == DAY_LENGTH:
            day = date.fromisoformat(text)
            return start_of_day(day, zone) if is_start else end_of_day(day, zone)
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(zone))
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise NoSuchMoment(
            f"{text} is no moment ({error}): give a day 2022-01-31, an instant "
            "2022-01-31T12:00:00Z, or a position @17"
        ) from error


def _place(
    reader: Reader, organisation_id: str, zone: str, text: Moment, look: Look | None = None
) -> tuple[int, datetime]:
    """The position a moment stands for, and its time."""
    moment = read_moment(text, zone)
    if isinstance(moment, int):
        found = reader.last_position(organisation_id, moment)
        if found is None:
            raise NoSuchMoment(f"{text} lies before the organisation began: give a later position")
        return found
    position = None if look is None else look(moment)
    if position is None:
        position = reader.position_known_at(organisation_id, moment)
    return position, moment


class Picture:
    """An organisation's goals as they stood from one vantage."""

    def __init__(
        self,
        reader: Reader,
        organisation_id: str,
        organisation: OrganisationState,
        seen_from: Vantage,
    ) -> None:
        self._reader = reader
        self._organisation_id = organisation_id
        self._organisation = organisation
        self.seen = seen_from
        self._cycles: dict[str, CycleState] = {}
        self._courses: dict[str, Course] = {}
        self._readings: dict[tuple[str, str], ReadingRow | None] = {}
        self._told: dict[str, KeyResultCard] = {}
        """Key results are looked at for themselves, for their objectives and for those above."""
        self._heard: dict[str, Sequence[CheckInRow]] = {}

    def cycles(self, goals: Iterable[Goal]) -> list[CycleCard]:
        """Cycles with their pace, and the bands their scores are read by."""
        states = [goal.state for goal in goals if isinstance(goal.state, CycleState)]
        courses = [self._course_of(state) for state in states]
        return [
            replace(
                state.card,
                expected_pace=standing.pace(course, self.seen.as_of),
                bands=course.policy.bands,
                policy=state.policy,
            )
            for state, course in zip(states, courses, strict=True)
        ]

    def objectives(self, goals: Sequence[Goal]) -> list[ObjectiveCard]:
        """Objectives with the progress of their key results, and of what is aligned to them."""
        return [objective for objective, _ in self.objectives_with_key_results(goals)]

    def objectives_with_key_results(
        self, goals: Sequence[Goal]
    ) -> list[tuple[ObjectiveCard, list[KeyResultCard]]]:
        """The same, each with its key results."""
        key_results = self._key_results_of(goals)
        progress = self._progress(goals, key_results, {})
        units = self._units(goals)
        pursued = self._pursued(goals)
        return [
            (
                self._objective(
                    goal.state,
                    key_results[goal.goal_id],
                    progress[goal.goal_id],
                    units.get(goal.state.unit_id),
                    pursued.get((goal.cycle_id, goal.state.unit_id), 0),
                ),
                key_results[goal.goal_id],
            )
            for goal in goals
            if isinstance(goal.state, ObjectiveCard)
        ]

    def progress(self, goals: Sequence[Goal]) -> list[Reached]:
        """Objectives as they are kept, each with its key results and its progress."""
        key_results = self._key_results_of(goals)
        progress = self._progress(goals, key_results, {})
        return [
            Reached(goal.state, key_results[goal.goal_id], progress[goal.goal_id])
            for goal in goals
            if isinstance(goal.state, ObjectiveCard)
        ]

    def key_results(self, goals: Sequence[Goal]) -> list[KeyResultCard]:
        """Key results with the check-in or reading that counted, their progress and health."""
        self._tell([goal for goal in goals if goal.goal_id not in self._told])
        return [self._told[goal.goal_id] for goal in goals if goal.goal_id in self._told]

    def _tell(self, goals: Sequence[Goal]) -> None:
        self._load_cycles(goals)
        self._load_followed(goals)
        objectives = self._reader.states(
            self._organisation_id,
            "objective",
            [goal.objective_id for goal in goals],
            self.seen.structure,
        )
        counting = self._counting(goals)
        for goal in goals:
            objective = objectives[goal.objective_id]
            if isinstance(goal.state, KeyResultCard) and isinstance(objective, ObjectiveCard):
                self._told[goal.goal_id] = self._key_result(
                    goal.state, objective, counting.get(goal.goal_id, ()), goal.cycle_id
                )

    def _counting(self, goals: Iterable[Goal]) -> Mapping[str, Sequence[CheckInRow]]:
        """Of what was said of some key results as much as their cards show, in order."""
        cards = {
            goal.goal_id: (goal.state, self._courses[goal.cycle_id])
            for goal in goals
            if isinstance(goal.state, KeyResultCard)
        }
        last = self._reader.last_check_ins(
            self._organisation_id, cards, self.seen.known, self.seen.as_of
        )
        some = [key for key, row in last.items() if not standing.says_all(row, *cards[key])]
        whole = self.heard(some)
        return {key: whole.get(key, [row]) for key, row in last.items()}

    def heard(self, key_result_ids: Iterable[str]) -> Mapping[str, Sequence[CheckInRow]]:
        """All that was said of some key results, and perhaps of others, in order."""
        missing = set(key_result_ids) - self._heard.keys()
        found = self._reader.check_ins(
            self._organisation_id, missing, self.seen.known, self.seen.as_of
        )
        self._heard |= {key: found.get(key, ()) for key in missing}
        return self._heard

    def kpis(
        self, goals: Iterable[Goal], missed: Mapping[str, Sequence[ReadingRow]] | None = None
    ) -> list[KpiCard]:
        """KPIs with the definition in force, the reading that counted, and their health.

        `missed` is what was missed of them, where somebody has looked already.
        """
        states = [goal.state for goal in goals if isinstance(goal.state, KpiState)]
        kpi_ids = [each.card.kpi_id for each in states]
        if missed is None:
            missed = self.missed(kpi_ids)
        last = self._reader.counting_at(
            self._organisation_id, kpi_ids, self.seen.known, self.seen.as_of
        )
        return [
            self._kpi(each, last.get(each.card.kpi_id), missed.get(each.card.kpi_id, ()))
            for each in states
        ]

    def missed(self, kpi_ids: Sequence[str]) -> dict[str, Sequence[ReadingRow]]:
        """The periods of some KPIs that were missed and have no reading since, the last of them."""
        return _still_missed(
            self._reader.missed_of(self._organisation_id, kpi_ids, self.seen.known, self.seen.as_of)
        )

    def missed_between(self, after: str, last: str) -> dict[str, Sequence[ReadingRow]]:
        """The same of all KPIs behind an id, up to another."""
        return _still_missed(
            self._reader.missed_between(
                self._organisation_id, after, last, self.seen.known, self.seen.as_of
            )
        )

    def kpi(
        self, state: KpiState, rows: Sequence[ReadingRow], stands: Sequence[ReadingRow]
    ) -> KpiCard:
        """A KPI of which all that was said is at hand, in order, and what stands of it."""
        missed = standing.still_missed(rows, stands)[-MISSED_MAX:]
        return self._kpi(state, stands[-1] if stands else None, missed)

    def _key_results_of(self, goals: Sequence[Goal]) -> dict[str, list[KeyResultCard]]:
        """The key results of some objectives, by objective."""
        found: dict[str, list[KeyResultCard]] = defaultdict(list)
        names = [(goal.cycle_id, goal.goal_id) for goal in goals]
        for card in self.key_results(
            self._reader.key_results_of(self._organisation_id, names, self.seen.structure)
        ):
            found[card.objective_id].append(card)
        return found

    def _objective(
        self,
        card: ObjectiveCard,
        key_results: Sequence[KeyResultCard],
        progress: Decimal | None,
        unit: UnitCard | None,
        pursued: int,
    ) -> ObjectiveCard:
        course = self._courses[card.cycle_id]
        told = standing.objective_as_it_stood(card, key_results, progress, course, self.seen.as_of)
        advice = advised.on_objective(card, key_results, unit, pursued, course)
        return replace(told, advice=advice) if advice else told

    def _key_result(
        self,
        card: KeyResultCard,
        objective: ObjectiveCard,
        check_ins: Sequence[CheckInRow],
        cycle_id: str,
    ) -> KeyResultCard:
        course = self._courses[cycle_id]
        told = standing.key_result_as_it_stood(
            card,
            objective,
            standing.standing(check_ins),
            self.followed(card, cycle_id),
            course,
            self.seen.as_of,
        )
        advice = advised.on_key_result(card, objective, course)
        return replace(told, advice=advice) if advice else told

    def _kpi(self, kpi: KpiState, row: ReadingRow | None, missed: Sequence[ReadingRow]) -> KpiCard:
        today = local_day(self.seen.as_of, self._organisation.zone)
        in_force = definition_on(kpi.versions, today)
        return replace(
            kpi.card,
            definition=in_force.definition,
            definition_version=in_force.version,
            reading=None if row is None else standing.reading_card(row, counts=True),
            health=standing.kpi_health(
                row, missed[-1].effective_at if missed else None, kpi.versions
            ),
            missed=tuple(each.period for each in missed),
            reviews=standing.reviews_as_they_stood(kpi.card.reviews, today),
        )

    # ------------------------------------------------------------------ what lies below

    def _progress(
        self,
        goals: Sequence[Goal],
        key_results: dict[str, list[KeyResultCard]],
        above: Mapping[str, frozenset[str]],
    ) -> dict[str, Decimal | None]:
        """Progress by objective; `above` are those whose progress is being made of each."""
        self._load_cycles(goals)
        children: dict[str, list[Decimal | None]] = defaultdict(list)
        parents: dict[str, dict[str, str]] = defaultdict(dict)
        pictures = self._pictures_of_children(goals)
        kept = {} if above else self._kept_below(pictures)
        for goal in goals:
            below = kept.get(goal.cycle_id, {}).get(goal.goal_id)
            if below is not None:
                children[goal.goal_id] += below
            elif goal.cycle_id in pictures:
                names = _named(goal.goal_id, key_results[goal.goal_id])
                parents[goal.cycle_id] |= dict.fromkeys(names, goal.goal_id)
        aligned = self._reader.alignments(
            self._organisation_id, chain.from_iterable(parents.values()), self.seen.structure
        )
        for cycle_id, of_cycle in parents.items():
            serving = [each for each in aligned if each.parent in of_cycle]
            for goal_id, progress in pictures[cycle_id].progress_below(of_cycle, serving, above):
                children[goal_id].append(progress)
        for goal in goals:
            if goal.cycle_id in kept:
                kept[goal.cycle_id][goal.goal_id] = tuple(children[goal.goal_id])
        return {
            goal.goal_id: standing.progress_of(
                key_results[goal.goal_id], children[goal.goal_id], self._courses[goal.cycle_id]
            )
            for goal in goals
        }

    def progress_below(
        self,
        parents: dict[str, str],
        serving: Iterable[Alignment],
        above: Mapping[str, frozenset[str]],
    ) -> list[tuple[str, Decimal | None]]:
        """What published objectives aligned to some goals have reached, each with its parent.

        `parents` are those goals as they are referred to, and the objective each belongs to;
        `serving` is what has ever been aligned to them.
        """
        aligned = {each.objective_id for each in serving if each.position <= self.seen.structure}
        if not aligned:
            return []
        served = [
            (goal, {parents[each] for each in goal.state.aligned_to if each in parents})
            for goal in self._reader.goals_by_id(
                self._organisation_id, "objective", self.seen.structure, aligned
            )
            if isinstance(goal.state, ObjectiveCard) and goal.state.state == "published"
        ]
        below: dict[str, frozenset[str]] = {}
        pairs: list[tuple[str, str]] = []
        for goal, serves in served:
            for parent in sorted(serves):
                ancestors = above.get(parent, frozenset()) | {parent}
                if goal.goal_id not in ancestors:  # a loop would be a broken log, and no end of it
                    below[goal.goal_id] = below.get(goal.goal_id, frozenset()) | ancestors
                    pairs.append((parent, goal.goal_id))
        goals = [goal for goal, _ in served if goal.goal_id in below]
        progress = self._progress(goals, self._key_results_of(goals), below) if goals else {}
        return [(parent, progress[goal_id]) for parent, goal_id in pairs]

    def _pictures_of_children(self, goals: Iterable[Goal]) -> dict[str, "Picture"]:
        """For each cycle whose objectives are made of others, from where those are looked at.

        Once a cycle is closed, what lies below it goes on without it: it is seen as it was then.
        """
        pictures: dict[str, Picture] = {}
        for cycle_id in sorted({goal.cycle_id for goal in goals}):
            if self._courses[cycle_id].policy.roll_up == "key_results":
                continue
            card, seen = self._cycles[cycle_id].card, self.seen
            if card.state != "closed":
                pictures[cycle_id] = self
                continue
            closing = card.closings[-1]
            then = Vantage(
                known=min(seen.known, closing.position),
                structure=min(seen.structure, closing.position),
                as_of=min(seen.as_of, closing.at),
                known_at=min(seen.known_at, closing.at),
            )
            pictures[cycle_id] = Picture(
                self._reader, self._organisation_id, self._organisation, then
            )
        return pictures

    def _kept_below(self, pictures: Mapping[str, "Picture"]) -> dict[str, Below]:
        """What is known already of what lies below objectives of closed cycles, by cycle.

        It is the same for whoever looks after the closing.
        """
        return {
            cycle_id: self._reader.kept.below.at(
                (self._organisation_id, self._organisation, picture.seen)
            )
            for cycle_id, picture in pictures.items()
            if picture is not self
        }

    # ------------------------------------------------------------------ what is around

    def _load_cycles(self, goals: Iterable[Goal]) -> None:
        missing = {goal.cycle_id for goal in goals} - self._cycles.keys()
        states = self._reader.states(self._organisation_id, "cycle", missing, self.seen.structure)
        for cycle_id, state in states.items():
            if isinstance(state, CycleState):
                self._cycles[cycle_id] = state
                self._courses[cycle_id] = self._course_of(state)

    def _course_of(self, cycle: CycleState) -> Course:
        return course_of(cycle, self._organisation.policy, self._organisation.zone)

    def _units(self, goals: Iterable[Goal]) -> dict[str, UnitCard]:
        ids = {goal.state.unit_id for goal in goals if isinstance(goal.state, ObjectiveCard)}
        states = self._reader.states(self._organisation_id, "unit", ids, self.seen.structure)
        return {key: state for key, state in states.items() if isinstance(state, UnitCard)}

    def _pursued(self, goals: Iterable[Goal]) -> dict[tuple[str, str], int]:
        """How many objectives the units have in those cycles where it is looked at (R5)."""
        units: dict[str, set[str]] = defaultdict(set)
        for goal in goals:
            course = self._courses[goal.cycle_id]
            if isinstance(goal.state, ObjectiveCard) and not course.is_over:
                units[goal.cycle_id].add(goal.state.unit_id)
        return {
            (cycle_id, unit_id): count
            for cycle_id, unit_ids in units.items()
            if self._courses[cycle_id].policy.counts != "off"
            for unit_id, count in self._reader.objectives_pursued(
                self._organisation_id, cycle_id, unit_ids, self.seen.structure
            ).items()
        }

    def followed(self, card: KeyResultCard, cycle_id: str) -> ReadingRow | None:
        """The reading that counts for a key result linked to a KPI: one inside the cycle (R25)."""
        if not isinstance(card.measure, KpiLinked):
            return None
        key = card.measure.kpi_id, cycle_id
        if key not in self._readings:
            self._load_readings({key})
        return self._readings[key]

    def _load_followed(self, goals: Iterable[Goal]) -> None:
        """The readings of all KPIs that some key results are linked to."""
        measures = ((goal, getattr(goal.state, "measure", None)) for goal in goals)
        keys = {
            (measure.kpi_id, goal.cycle_id)
            for goal, measure in measures
            if isinstance(measure, KpiLinked)
        }
        self._load_readings(keys - self._readings.keys())

    def _load_readings(self, keys: Iterable[tuple[str, str]]) -> None:
        spans = {}
        for kpi_id, cycle_id in keys:
            course = self._courses[cycle_id]
            until = min(self.seen.as_of, course.last)
            spans[kpi_id, cycle_id] = Span(kpi_id, course.start, until)
        counting = self._reader.counting_readings(
            self._organisation_id, spans.values(), self.seen.known
        )
        self._readings |= {key: counting.get(span) for key, span in spans.items()}


def _still_missed(once: Mapping[str, Sequence[ReadingRow]]) -> dict[str, Sequence[ReadingRow]]:
    return {key: standing.still_missed(rows)[-MISSED_MAX:] for key, rows in once.items()}


def _named(objective_id: str, key_results: Iterable[KeyResultCard]) -> list[str]:
    """An objective and its key results, as others refer to them when they serve them."""
    return [
        f"objective/{objective_id}",
        *(f"key_result/{each.key_result_id}" for each in key_results),
    ]
