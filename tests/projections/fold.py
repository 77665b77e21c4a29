"""The judge of the views: the log up to a moment, folded from scratch on plain dictionaries.

Nothing here knows a database. What a moment sees follows from the definitions alone: an event is
known up to the position that stands for the moment, which is the last one before which nothing
came to be known later; a check-in or a reading counts if it is also effective; a goal stands as it
had come to be by both times. Cards are those of the pure views; which check-in and which reading
counts is found out here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, NamedTuple, get_args
from zoneinfo import ZoneInfo

from goal_contracts import events, measures
from goal_contracts.codec import Recorded
from goal_contracts.fields import GoalHealth, Kind, Origin
from goal_contracts.measures import FourPointMetric, KpiLinked, Maintain
from goal_contracts.policy import Policy
from goal_contracts.queries import (
    Change,
    ChangedField,
    CommentCard,
    CoursePoint,
    CycleCard,
    Digest,
    Goals,
    HealthCount,
    KeyResultCard,
    KeyResultMoved,
    KpiCard,
    KpiMoved,
    KpiSeries,
    LateChange,
    ObjectiveCard,
    ObjectiveMoved,
    OrganisationCard,
    ReadingCard,
    Reflects,
    Report,
    ReportedObjective,
    RolledUp,
    RollUp,
    SeriesPoint,
    Tally,
    WeekChange,
    WeekCheckIn,
    WeekEnd,
)
from goal_contracts.queries import Said as WeekSaid
from msgspec import Raw
from msgspec.structs import replace

from services.projections.report import late_change
from services.projections.views import advised, course, current
from services.projections.views.current import CycleState, KpiState, OrganisationState, State
from services.projections.views.history import changes
from services.projections.views.rows import ChangeRow, CheckInRow

TICK: Final = timedelta(microseconds=1)
ONE_DAY: Final = timedelta(days=1)
BY_EFFECTIVE_DATE: Final = (
    events.CheckedIn,
    events.CheckInCorrected,
    events.CheckInRetracted,
    events.KpiReadingRecorded,
    events.KpiReadingCorrected,
    events.KpiReadingRetracted,
    events.KpiReadingMissed,
    events.KpiHealthChanged,
)
ONCE_KNOWN: Final = (events.KpiDefined, events.KpiRedefined, events.KpiRetargeted)
CARRIES: Final[dict[Kind, set[Kind]]] = {
    "organisation": set(),
    "unit": {"unit", "cycle", "objective", "key_result", "kpi"},
    "cycle": {"cycle", "objective", "key_result"},
    "objective": {"objective", "key_result"},
    "key_result": {"key_result"},
    "kpi": {"kpi"},
}
"""Asked for a thing of a kind, the kinds that are shown."""


class BeforeTheBeginning(Exception):
    """A position at which the organisation was not there yet."""


class Seen(NamedTuple):
    """What a moment sees: positions, and the two times."""

    known: int
    structure: int
    as_of: datetime
    known_at: datetime

    @property
    def reflects(self) -> Reflects:
        return Reflects(position=self.known, as_of=self.as_of, known_at=self.known_at)


class Said(NamedTuple):
    """A check-in or a reading as it was last said."""

    first: int
    effective_at: datetime
    last: Recorded
    now: Any
    """The event that says what it says."""


class Past:
    """What happened to one organisation, out of a log of several."""

    def __init__(self, log: Iterable[Recorded], organisation_id: str) -> None:
        self.organisation_id = organisation_id
        self.log = [each for each in log if each.organisation_id == organisation_id]
        opened = self.log[0].event
        assert isinstance(opened, events.OrganisationOpened)
        self.zone = opened.zone

    def seen(self, as_of: str | None, known_at: str | None, now: datetime) -> Seen:
        """What two moments see together; BeforeTheBeginning."""
        if as_of is None and known_at is None:
            latest = max(each.known_at for each in self.log)
            at, last = max(now, latest), self.log[-1].position
            return Seen(last, last, at, at)
        true_by, by = self.place(as_of or known_at or "")
        known, at = self.place(known_at or as_of or "")
        return Seen(known, min(known, true_by), by, at)

    def place(self, moment: str) -> tuple[int, datetime]:
        """The position a moment stands for, and its time."""
        if moment.startswith("@"):
            upto = [each for each in self.log if each.position <= int(moment[1:])]
            if not upto:
                raise BeforeTheBeginning
            return upto[-1].position, max(each.known_at for each in upto)
        at = self.time_of(moment)
        position, latest = 0, datetime.min.replace(tzinfo=UTC)
        for each in self.log:
            latest = max(latest, each.known_at)
            if latest <= at:
                position = each.position
        return position, at

    def time_of(self, moment: str, *, is_start: bool = False) -> datetime:
        """A day's end (or begin), or an instant."""
        if len(moment) == len("2025-03-30"):
            day = date.fromisoformat(moment)
            return self.midnight(day) if is_start else self.midnight(day + ONE_DAY) - TICK
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(self.zone))
        return at.astimezone(UTC)

    def day_of(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.zone)).date()

    def midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)

    @cached_property
    def changes(self) -> list[tuple[Recorded, ChangeRow]]:
        """Every field that ever changed, in order."""
        found = []
        states: dict[tuple[str, str], State | None] = {}
        check_ins: dict[tuple[str, str], CheckInRow] = {}
        for each in self.log:
            key = each.kind, each.goal_id
            before = states.get(key)
            states[key] = current.after(before, each)
            check_in = None
            match each.event:
                case events.CheckedIn() | events.CheckInCorrected() as event:
                    check_in = check_ins.get((event.key_result_id, event.check_in_id))
                    check_ins[event.key_result_id, event.check_in_id] = _told(each, event)
                case events.CheckInRetracted() as event:
                    check_in = check_ins[event.key_result_id, event.check_in_id]
            told = changes(each, before, states[key], check_in)
            found += [(each, row) for row in told.rows()]
        return found

    def cycle_of(self, recorded: Recorded) -> str | None:
        """The cycle an event belongs to."""
        match recorded.kind:
            case "cycle":
                return recorded.goal_id
            case "objective":
                return self._cycles[recorded.goal_id]
            case "key_result":
                return self._cycles[self._objectives[recorded.goal_id]]
            case _:
                return None

    @cached_property
    def _cycles(self) -> dict[str, str]:
        return {
            each.event.objective_id: each.event.cycle_id
            for each in self.log
            if isinstance(each.event, events.ObjectiveDrafted)
        }

    @cached_property
    def _objectives(self) -> dict[str, str]:
        return {
            each.event.key_result_id: each.event.objective_id
            for each in self.log
            if isinstance(each.event, events.KeyResultAdded)
        }


class Then:
    """An organisation as one moment sees it."""

    def __init__(self, past: Past, seen: Seen) -> None:
        self.past = past
        self.seen = seen

    # ------------------------------------------------------------------ what is seen

    def sees(self, recorded: Recorded) -> bool:
        """By definition; see the module."""
        if isinstance(recorded.event, BY_EFFECTIVE_DATE):
            return recorded.position <= self.seen.known and recorded.effective_at <= self.seen.as_of
        if isinstance(recorded.event, ONCE_KNOWN):
            return recorded.position <= self.seen.known
        return recorded.position <= self.seen.structure

    @cached_property
    def states(self) -> dict[str, dict[str, State]]:
        """Things by kind and id; of a KPI that was there only later, the first."""
        found: dict[str, dict[str, State]] = defaultdict(dict)
        for each in self.past.log:
            mine = found[each.kind]
            is_first = each.kind == "kpi" and each.goal_id not in mine
            upto = self.seen.known if is_first else self.seen.structure
            if each.position <= upto:
                after = current.after(mine.get(each.goal_id), each)
                if after is not None:
                    mine[each.goal_id] = after
        return found

    def of(self, kind: Kind) -> dict[str, Any]:
        return self.states.get(kind, {})

    @cached_property
    def organisation(self) -> OrganisationState:
        """Before it had come to be, as it is now: its zone, for one, is needed."""
        state: State | None = None
        for each in self.past.log:
            if each.kind == "organisation" and (
                each.position <= self.seen.structure or not self.of("organisation")
            ):
                state = current.after(state, each)
        assert isinstance(state, OrganisationState)
        return state

    @cached_property
    def check_ins(self) -> dict[str, list[Said]]:
        """What stands, by key result, in the order in which it counts."""
        standing: dict[str, dict[str, Said]] = defaultdict(dict)
        for each in filter(self.sees, self.past.log):
            match each.event:
                case events.CheckedIn(key_result_id=name, check_in_id=said) as event:
                    standing[name][said] = Said(each.position, each.effective_at, each, event)
                case events.CheckInCorrected(key_result_id=name, check_in_id=said) as event:
                    standing[name][said] = standing[name][said]._replace(last=each, now=event)
                case events.CheckInRetracted(key_result_id=name, check_in_id=said):
                    del standing[name][said]
        return {name: sorted(found.values(), key=_counts) for name, found in standing.items()}

    @cached_property
    def readings(self) -> dict[str, list[Said]]:
        """What stands, by KPI, in the order in which it counts."""
        standing: dict[str, dict[tuple[str, str], Said]] = defaultdict(dict)
        for each in filter(self.sees, self.past.log):
            match each.event:
                case events.KpiReadingRecorded(kpi_id=name) as event:
                    key = event.period, event.source
                    standing[name][key] = Said(each.position, each.effective_at, each, event)
                case events.KpiReadingCorrected(kpi_id=name) as event:
                    key = event.period, event.source
                    standing[name][key] = standing[name][key]._replace(last=each, now=event)
                case events.KpiReadingRetracted(kpi_id=name) as event:
                    del standing[name][event.period, event.source]
        return {name: sorted(found.values(), key=_counts) for name, found in standing.items()}

    # ------------------------------------------------------------------ cards

    def course(self, cycle_id: str) -> course.Course:
        state = self.of("cycle")[cycle_id]
        return course.course_of(state, self.organisation.policy, self.past.zone)

    def cycle(self, state: CycleState) -> CycleCard:
        of_cycle = self.course(state.card.cycle_id)
        return replace(
            state.card,
            expected_pace=measures.expected_pace(of_cycle.start, of_cycle.end, self.seen.as_of),
            bands=(state.policy or self.organisation.policy).bands,
            policy=state.policy,
        )

    def cycle_id_of(self, key_result: KeyResultCard) -> str:
        cycle_id: str = self.of("objective")[key_result.objective_id].cycle_id
        return cycle_id

    def key_result(self, state: KeyResultCard) -> KeyResultCard:
        objective: ObjectiveCard = self.of("objective")[state.objective_id]
        of_cycle = self.course(objective.cycle_id)
        said = self.check_ins.get(state.key_result_id, [])
        valued = [each for each in said if each.now.value is not None]
        source = valued[-1] if valued else None
        if isinstance(state.measure, KpiLinked):
            source = self._followed(state)
        value = None if source is None else source.now.value
        if isinstance(state.measure, Maintain):
            held = [(each.effective_at, each.now.value) for each in valued]
            progress = measures.maintained(state.measure, held, of_cycle.periods, self.seen.as_of)
        else:
            progress = measures.progress(state.measure, value, of_cycle.policy.progress_ceiling)
        sure = [each for each in said if each.now.confidence is not None]
        judged = [each.now.status for each in said if each.now.status is not None]
        reached = None
        if isinstance(state.measure, FourPointMetric) and value is not None:
            reached = measures.four_point_band(state.measure, value)
        told = replace(
            state,
            value=value,
            value_at=None if source is None else source.effective_at,
            value_origin=None if source is None else _origin(source),
            reached=reached,
            progress=progress,
            progress_origin=None if progress is None else "computed",
            confidence=sure[-1].now.confidence if sure else None,
            confidence_origin=_origin(sure[-1]) if sure else None,
            status=judged[-1] if judged else None,
            note=said[-1].now.note if said else "",
            score_band=_band(state.score, of_cycle.policy),
        )
        dates = [each.effective_at for each in said]
        timing = course.timing(state, objective, dates, of_cycle, self.seen.as_of)
        told = replace(
            told, check_in_timing=timing, health=course.health(told, objective, timing, told.status)
        )
        return replace(told, advice=advised.on_key_result(state, objective, of_cycle))

    def _followed(self, state: KeyResultCard) -> Said | None:
        """The reading that counts for a key result that is linked to a KPI."""
        if not isinstance(state.measure, KpiLinked):
            return None
        of_cycle = self.course(self.cycle_id_of(state))
        inside = [
            each
            for each in self.readings.get(state.measure.kpi_id, ())
            if of_cycle.start <= each.effective_at < of_cycle.end
        ]
        return inside[-1] if inside else None

    def key_results_of(self, objective_id: str) -> list[KeyResultCard]:
        return [
            self.key_result(each)
            for _, each in sorted(self.of("key_result").items())
            if each.objective_id == objective_id
        ]

    def objective(self, state: ObjectiveCard) -> ObjectiveCard:
        of_cycle = self.course(state.cycle_id)
        key_results = self.key_results_of(state.objective_id)
        progress = self.progress(state)
        worst = measures.worst_status(each.health for each in key_results if not each.dropped)
        policy = of_cycle.policy
        pursued = 0
        if not of_cycle.is_over and policy.counts != "off":
            pursued = sum(
                (each.cycle_id, each.unit_id) == (state.cycle_id, state.unit_id)
                and each.state in {"draft", "published"}
                for each in self.of("objective").values()
            )
        told = replace(
            state,
            progress=progress,
            progress_origin=None if progress is None else "rolled_up",
            expected_pace=measures.expected_pace(of_cycle.start, of_cycle.end, self.seen.as_of),
            health=state.outcome or worst or "pending",
            score_band=_band(state.score, policy),
        )
        unit = self.of("unit").get(state.unit_id)
        return replace(
            told, advice=advised.on_objective(state, key_results, unit, pursued, of_cycle)
        )

    def progress(self, state: ObjectiveCard) -> Decimal | None:
        """Of its key results, and under some policies of what is aligned to it."""
        policy = self.course(state.cycle_id).policy
        own = [
            (each.weight, each.progress)
            for each in self.key_results_of(state.objective_id)
            if not each.dropped
        ]
        below = [] if policy.roll_up == "key_results" else self._below(state)
        return measures.rolled_up(policy.roll_up if below else "key_results", own, below)

    def _below(self, state: ObjectiveCard) -> list[Decimal | None]:
        """What the published objectives aligned to it have reached; seen from its cycle's end."""
        then, cycle = self, self.of("cycle")[state.cycle_id].card
        if cycle.state == "closed":
            closing, seen = cycle.closings[-1], self.seen
            then = Then(
                self.past,
                Seen(
                    known=min(seen.known, closing.position),
                    structure=min(seen.structure, closing.position),
                    as_of=min(seen.as_of, closing.at),
                    known_at=min(seen.known_at, closing.at),
                ),
            )
        names = {f"objective/{state.objective_id}"} | {
            f"key_result/{key_result_id}"
            for key_result_id, each in self.of("key_result").items()
            if each.objective_id == state.objective_id
        }
        return [
            then.progress(each)
            for each in then.of("objective").values()
            if each.state == "published" and names & set(each.aligned_to)
        ]

    def kpi(self, state: KpiState) -> KpiCard:
        kpi_id = state.card.kpi_id
        today = self.seen.as_of.astimezone(ZoneInfo(self.past.zone)).date()
        versions = self.versions(kpi_id)
        in_force = max(
            [each for each in versions if each.effective_on <= today] or versions[:1],
            key=lambda each: (each.effective_on, each.version),
        )
        standing = self.readings.get(kpi_id, [])
        missed = self.missed(kpi_id)
        health: Any = "no_data"
        if standing and not (missed and missed[-1].effective_at > standing[-1].effective_at):
            event = standing[-1].now
            for each in versions:
                if each.version == event.definition_version and each.definition.bands is not None:
                    health = each.definition.bands.health(event.value)
        return replace(
            state.card,
            definition=in_force.definition,
            definition_version=in_force.version,
            reading=self._reading(standing[-1]) if standing else None,
            health=health,
            missed=tuple(each.event.period for each in missed),  # type: ignore[union-attr]  # all of them are
            reviews=tuple(
                replace(each, overdue=each.closed_at is None and each.due_on < today)
                for each in state.card.reviews
            ),
        )

    def versions(self, kpi_id: str) -> tuple[current.DefinitionVersion, ...]:
        """Those that were known, whenever they take effect."""
        state: State | None = None
        for each in self.past.log:
            if (each.kind, each.goal_id) == ("kpi", kpi_id) and each.position <= self.seen.known:
                state = current.after(state, each)
        assert isinstance(state, KpiState)
        return state.versions

    def missed(self, kpi_id: str) -> list[Recorded]:
        """The periods that were missed and of which nothing stands, in order."""
        came = {each.now.period for each in self.readings.get(kpi_id, ())}
        found = [
            each
            for each in self.past.log
            if isinstance(each.event, events.KpiReadingMissed)
            and each.event.kpi_id == kpi_id
            and self.sees(each)
            and each.event.period not in came
        ]
        return sorted(found, key=lambda each: each.effective_at)

    def _reading(self, said: Said) -> ReadingCard:
        return next(
            card for card in self.series(said.now.kpi_id) if card.position == said.last.position
        )

    def series(self, kpi_id: str, *, as_series: bool = False) -> list[ReadingCard]:
        """Everything said of a KPI; in a series, of several sources one counts for a period."""
        last: dict[tuple[str, str], tuple[int, Recorded]] = {}
        told: list[tuple[tuple[datetime, int, int], ReadingCard]] = []
        standing = {each.now.period: each for each in self.readings.get(kpi_id, ())}
        counting = {each.last.position for each in standing.values()}
        for each in filter(self.sees, self.past.log):
            event = each.event
            if not isinstance(
                event,
                events.KpiReadingRecorded
                | events.KpiReadingCorrected
                | events.KpiReadingRetracted
                | events.KpiReadingMissed,
            ):
                continue
            if event.kpi_id != kpi_id:
                continue
            key = event.period, event.source
            replaces = isinstance(event, events.KpiReadingCorrected | events.KpiReadingRetracted)
            first, corrected = last[key] if replaces else (each.position, None)
            last[key] = first, each
            has_value = isinstance(event, events.KpiReadingRecorded | events.KpiReadingCorrected)
            card = ReadingCard(
                period=event.period,
                source=event.source,
                effective_at=each.effective_at,
                position=each.position,
                known_at=each.known_at,
                recorded_at=each.recorded_at,
                actor=each.actor,
                event=_HAPPENED[type(event)],
                value=getattr(event, "value", None),
                origin=_origin(Said(first, each.effective_at, each, event)) if has_value else None,
                value_was=getattr(event, "value_was", None),
                corrects=None if corrected is None else corrected.position,
                counts=not as_series or each.position in counting,
                definition_version=getattr(event, "definition_version", None),
                numerator=getattr(event, "numerator", None),
                denominator=getattr(event, "denominator", None),
                reason=each.reason,
                provenance=each.provenance,
            )
            told.append(((each.effective_at, first, each.position), card))
        return [card for _, card in sorted(told, key=lambda one: one[0])]

    # ------------------------------------------------------------------ answers

    def units_below(self, unit_id: str) -> set[str]:
        """A unit and all below it, as the tree stood."""
        below = {unit_id}
        for _ in self.of("unit"):
            below |= {name for name, unit in self.of("unit").items() if unit.parent_id in below}
        return below

    def goals(self, filters: dict[Kind, str]) -> Goals:
        """The answer to AsOf, all of it, but for comments."""
        shown: dict[Kind, list[Any]] = {kind: [] for kind in CARRIES}
        for kind, found in shown.items():
            for name, state in self.of(kind).items():
                if all(self._is_shown(kind, name, state, *each) for each in filters.items()):
                    found.append(state)
        is_there = bool(self.of("organisation")) and not filters
        state = self.organisation
        card = OrganisationCard(self.past.organisation_id, state.name, state.zone, state.policy)
        return Goals(
            reflects=self.seen.reflects,
            organisation=card if is_there else None,
            units=tuple(sorted(shown["unit"], key=lambda card: card.unit_id)),
            cycles=tuple(sorted(map(self.cycle, shown["cycle"]), key=lambda card: card.cycle_id)),
            objectives=tuple(
                sorted(
                    map(self.objective, shown["objective"]),
                    key=lambda card: (card.cycle_id, card.objective_id),
                )
            ),
            key_results=tuple(
                sorted(
                    map(self.key_result, shown["key_result"]),
                    key=lambda card: (
                        self.cycle_id_of(card),
                        card.objective_id,
                        card.key_result_id,
                    ),
                )
            ),
            kpis=tuple(sorted(map(self.kpi, shown["kpi"]), key=lambda card: card.kpi_id)),
        )

    def _is_shown(self, kind: Kind, name: str, state: Any, of: Kind, asked: str) -> bool:
        if kind not in CARRIES[of]:
            return False
        if kind == of and kind != "unit":
            return name == asked
        objective = state
        if kind == "key_result":
            objective = self.of("objective")[state.objective_id]
        match of, kind:
            case "unit", "unit":
                return name in self.units_below(asked)
            case "unit", "cycle":
                return True
            case "unit", "kpi":
                return state.card.unit_id in self.units_below(asked)
            case "unit", _:
                return objective.unit_id in self.units_below(asked)
            case "cycle", _:
                return bool(objective.cycle_id == asked)
            case _:
                return bool(objective.objective_id == asked)

    def comments(self, kind: Kind, name: str) -> tuple[CommentCard, ...]:
        """What was said about a goal."""
        return tuple(
            CommentCard(each.actor, each.known_at, each.event.text)
            for each in self.past.log
            if isinstance(each.event, events.CommentAdded)
            and (each.kind, each.goal_id) == (kind, name)
            and self.sees(each)
        )

    def history(
        self, kind: Kind, name: str, field: str | None = None, *, whole: bool = False
    ) -> list[Change]:
        """Who changed what of a thing, or of everything in a cycle."""
        positions = {each.position for each in self.in_cycle(name)} if whole else set[int]()
        return [
            _change(row)
            for each, row in self.past.changes
            if self.sees(each)
            and (each.position in positions if whole else (row.kind, row.goal_id) == (kind, name))
            and (field is None or row.field == field or row.field.startswith(f"{field}."))
        ]

    def blame(self, kind: Kind, name: str) -> list[Change]:
        """The last change of each field that has a value; of facts those that are shown."""
        if name not in self.of(kind):
            return []
        state = self.of(kind)[name]
        counting = self._counting(kind, name, state)
        version = self.kpi(state).definition_version if kind == "kpi" else 1
        last: dict[str, Change] = {}
        for each, row in self.past.changes:
            is_its_own = (row.kind, row.goal_id) == (kind, name)
            if not self.sees(each) or isinstance(each.event, events.CommentAdded):
                continue
            if isinstance(each.event, BY_EFFECTIVE_DATE):
                is_shown = (each.position, row.field) in counting or (0, row.field) in counting
            else:
                is_shown = getattr(each.event, "version", 1) <= version
            if is_shown and (is_its_own or (each.position, row.field) in counting):
                last[row.field] = _change(row)
        return [
            change
            for field, change in sorted(last.items())
            if bytes(change.now) != b"null" and field not in {"", "definition_effective_on"}
        ]

    def _counting(self, kind: Kind, name: str, state: Any) -> set[tuple[int, str]]:
        """Positions and fields of what a thing shows that was said; 0, wherever it was said."""
        reading = None
        found: set[tuple[int, str]] = set()
        if kind == "key_result":
            said = self.check_ins.get(name, [])
            words = ["confidence", "status"]
            if not isinstance(state.measure, KpiLinked):
                words.append("value")
            for word in words:
                last = [each for each in said if getattr(each.now, word) is not None][-1:]
                found |= {(0, f"check_ins.{each.now.check_in_id}.{word}") for each in last}
            found |= {
                (0, f"check_ins.{each.now.check_in_id}.note") for each in said[-1:] if each.now.note
            }
            reading = self._followed(state)
        elif kind == "kpi":
            reading = next(reversed(self.readings.get(name, [])), None)
        if reading is not None:
            position, period = reading.last.position, reading.now.period
            words = ["value", "numerator", "denominator"]
            found |= {(position, f"readings.{period}.{word}") for word in words}
        return found

    def in_cycle(self, cycle_id: str) -> list[Recorded]:
        """What happened in a cycle, and to the KPIs that were followed in it while it ran."""
        followed = {
            each.event.measure.kpi_id
            for each in self.past.log
            if each.position <= self.seen.known
            and self.past.cycle_of(each) == cycle_id
            and isinstance(
                each.event,
                events.KeyResultAdded | events.KeyResultLinkedToKpi | events.KeyResultRetargeted,
            )
            and isinstance(each.event.measure, KpiLinked)
        }
        state: State | None = None
        for each in self.past.log:
            is_own = (each.kind, each.goal_id) == ("cycle", cycle_id)
            if is_own and each.position <= self.seen.known:
                state = current.after(state, each)
        assert isinstance(state, CycleState)
        first = self.past.midnight(state.card.start_on)
        end = self.past.midnight(state.card.end_on + ONE_DAY)
        return [
            each
            for each in self.past.log
            if each.position <= self.seen.known
            and (
                self.past.cycle_of(each) == cycle_id
                or (
                    each.kind == "kpi"
                    and each.goal_id in followed
                    and first <= each.effective_at < end
                )
            )
        ]

    def late(self, goals: Iterable[tuple[Kind, str]]) -> list[LateChange]:
        """What was changed of some goals after their cycle had begun, in order."""
        wanted = set(goals)
        found: list[LateChange] = []
        for each in self.past.log:
            if (each.kind, each.goal_id) in wanted and each.position <= self.seen.structure:
                card = self.of("objective" if each.kind == "objective" else "key_result")[
                    each.goal_id
                ]
                cycle = self.of("cycle")[
                    card.cycle_id if each.kind == "objective" else self.cycle_id_of(card)
                ]
                found += late_change(each, card, cycle)
        return found

    def report(self, cycle_id: str) -> Report:
        """What a cycle came to."""
        state = self.of("cycle")[cycle_id]
        objectives = [each for each in self.of("objective").values() if each.cycle_id == cycle_id]
        key_results = [
            each for each in self.of("key_result").values() if self.cycle_id_of(each) == cycle_id
        ]
        carrying = {each.unit_id for each in objectives}
        units = self.of("unit")
        shown = set(carrying)
        for _ in units:
            shown |= {units[name].parent_id for name in shown} - {None}
        order = [name for name in self._in_tree_order(None) if name in shown]
        return Report(
            reflects=self.seen.reflects,
            cycle=self.cycle(state),
            organisation=self.organisation.name,
            zone=self.past.zone,
            late=tuple(
                self.late(
                    [
                        *(("objective", each.objective_id) for each in objectives),
                        *(("key_result", each.key_result_id) for each in key_results),
                    ]
                )
            ),
            units=tuple(units[name] for name in order),
            objectives=tuple(
                ReportedObjective(
                    self.objective(each), tuple(self.key_results_of(each.objective_id))
                )
                for each in sorted(
                    objectives, key=lambda each: (order.index(each.unit_id), each.objective_id)
                )
            ),
            kpis=tuple(
                self.kpi(each)
                for _, each in sorted(self.of("kpi").items())
                if each.card.unit_id in carrying
                and any(review.closed_at is None for review in each.card.reviews)
            ),
        )

    def roll_ups(self, unit_id: str | None, cycle_id: str | None) -> RolledUp:
        """Every unit in every cycle, counted anew for each."""
        units, found = self.of("unit"), list[RollUp]()
        only = set(units) if unit_id is None else self.units_below(unit_id)
        for cycle in sorted(self.of("cycle")):
            counting = [
                self.objective(each)
                for each in self.of("objective").values()
                if each.cycle_id == cycle and each.state != "draft" and each.unit_id in only
            ]
            if not counting or cycle_id not in {None, cycle}:
                continue
            if unit_id is None:
                found.append(RollUp(cycle, self._tally(counting)))
            for name in self._in_tree_order(None):
                own = [each for each in counting if each.unit_id == name]
                below = [each for each in counting if each.unit_id in self.units_below(name)]
                if below and name in only:
                    found.append(RollUp(cycle, self._tally(below), name, self._tally(own)))
        cycles = {each.cycle_id for each in found}
        named = {each.unit_id for each in found}
        return RolledUp(
            reflects=self.seen.reflects,
            cycles=tuple(self.cycle(self.of("cycle")[name]) for name in sorted(cycles)),
            units=tuple(units[name] for name in sorted(units) if name in named),
            roll_ups=tuple(found),
        )

    def _tally(self, objectives: list[ObjectiveCard]) -> Tally:
        key_results = [
            each for card in objectives for each in self.key_results_of(card.objective_id)
        ]
        judged = [each for each in objectives if each.state == "published"]
        of_health = {
            health: (
                sum(each.health == health for each in objectives),
                sum(each.health == health for each in key_results),
            )
            for health in get_args(GoalHealth)
        }
        return Tally(
            objectives=len(objectives),
            key_results=len(key_results),
            healths=tuple(
                HealthCount(health, *counts) for health, counts in of_health.items() if any(counts)
            ),
            progress=_mean(
                [each.progress for each in objectives if each.state != "dropped"], "0.000001"
            ),
            aspirational_score=_mean(
                [each.score for each in judged if each.objective_kind == "aspirational"], "0.01"
            ),
            committed_met=_mean(
                [
                    Decimal(each.outcome == "achieved")
                    for each in judged
                    if each.objective_kind == "committed" and each.outcome is not None
                ],
                "0.01",
            ),
        )

    def by_week(self, cycle_id: str) -> Report:
        """The report with the way there: each week's end as the moment sees it."""
        report, of_cycle = self.report(cycle_id), self.course(cycle_id)
        weeks: list[WeekEnd] = []
        begin, end = report.cycle.start_on, report.cycle.end_on
        while begin <= end and self.past.midnight(begin) - TICK < self.seen.as_of:
            last = min(begin + 6 * ONE_DAY, end)
            at = min(self.past.midnight(last + ONE_DAY) - TICK, self.seen.as_of)
            pace = measures.expected_pace(of_cycle.start, of_cycle.end, at)
            weeks.append(WeekEnd(self.past.day_of(at), at, pace))
            begin = last + ONE_DAY
        step = -(-len(weeks) // 60) or 1
        weeks = weeks[::-1][::step][::-1]
        thens = [
            Then(
                self.past,
                self.seen._replace(
                    structure=min(self.seen.structure, self.past.place(week.at.isoformat())[0]),
                    as_of=week.at,
                ),
            )
            for week in weeks
        ]
        carrying = {each.objective.unit_id for each in report.objectives}
        return replace(
            report,
            weeks=tuple(weeks),
            objectives=tuple(
                replace(
                    each,
                    course=tuple(then.point("objective", each.objective) for then in thens),
                    key_result_courses=tuple(
                        tuple(then.point("key_result", card) for then in thens)
                        for card in each.key_results
                    ),
                )
                for each in report.objectives
            ),
            series=tuple(
                KpiSeries(self.kpi(each), self.points(name))
                for name, each in sorted(self.of("kpi").items())
                if each.card.unit_id in carrying
                and (
                    not each.card.retired
                    or any(review.closed_at is None for review in each.card.reviews)
                )
            ),
        )

    def point(self, kind: Kind, of: ObjectiveCard | KeyResultCard) -> CoursePoint:
        """How a goal stood; before it was there, nothing but pending."""
        name = of.key_result_id if isinstance(of, KeyResultCard) else of.objective_id
        if name not in self.of(kind):
            return CoursePoint()
        if kind == "objective":
            objective = self.objective(self.of(kind)[name])
            return CoursePoint(progress=objective.progress, health=objective.health)
        card = self.key_result(self.of(kind)[name])
        return CoursePoint(progress=card.progress, value=card.value, health=card.health)

    def points(self, kpi_id: str) -> tuple[SeriesPoint, ...]:
        """What counts of each period of the last year, and what was missed of it."""
        versions = {each.version: each.definition for each in self.versions(kpi_id)}
        counting = {
            each.now.period: each
            for each in self.readings.get(kpi_id, ())
            if each.effective_at > self.seen.as_of - 366 * ONE_DAY
        }
        found = [
            SeriesPoint(
                period=period,
                effective_at=said.effective_at,
                value=said.now.value,
                value_was=getattr(said.now, "value_was", None),
                health="no_data" if bands is None else bands.health(said.now.value),
                target=None if judged_by is None else judged_by.target,
                bands=bands,
            )
            for period, said in counting.items()
            for judged_by in [versions.get(said.now.definition_version)]
            for bands in [None if judged_by is None else judged_by.bands]
        ]
        missed: dict[str, Recorded] = {
            each.event.period: each  # type: ignore[union-attr, misc]  # all of them are
            for each in self.missed(kpi_id)
        }
        found += [
            SeriesPoint(period=period, effective_at=each.effective_at)
            for period, each in missed.items()
            if each.effective_at > self.seen.as_of - 366 * ONE_DAY
        ]
        return tuple(sorted(found, key=lambda point: (point.effective_at, point.period))[-60:])

    # ------------------------------------------------------------------ a week

    def week_before(self) -> "Then":
        """The end of the week before: known as the moment is, where that is later than its week."""
        monday = self.monday()
        at = self.past.midnight(monday) - TICK
        structure = min(self.past.place(at.isoformat())[0], self.seen.structure)
        if self.seen.known_at > self.seen.as_of:
            return Then(self.past, self.seen._replace(structure=structure, as_of=at))
        return Then(self.past, Seen(structure, structure, at, at))

    def monday(self) -> date:
        today = self.past.day_of(self.seen.as_of)
        return today - today.weekday() * ONE_DAY

    def digest(self, unit_id: str | None) -> Digest:
        """What a week brought up to the moment."""
        before, monday = self.week_before(), self.monday()
        year, week, _ = monday.isocalendar()
        units = self.of("unit")
        only = set(units) if unit_id is None else self.units_below(unit_id)
        in_week = [
            each
            for each in self.past.log
            if before.seen.structure < each.position <= self.seen.structure
            and self._unit_of(each) in only | {None}
        ]
        kinds: tuple[Kind, ...] = ("objective", "key_result")
        late = self.late(
            [(kind, each.goal_id) for each in in_week for kind in kinds if each.kind == kind]
        )
        late = [each for each in late if each.position > before.seen.structure]
        cycles = [
            state
            for state in self.of("cycle").values()
            if state.card.state in {"active", "grading", "reopened"}
            or (
                state.card.state == "closed"
                and state.card.closings[-1].position > before.seen.structure
            )
        ]
        cycles.sort(
            key=lambda each: (
                each.card.end_on - each.card.start_on,
                each.card.start_on,
                each.card.cycle_id,
            )
        )
        running = {each.card.cycle_id for each in cycles}
        objectives = [
            each
            for each in self.of("objective").values()
            if each.cycle_id in running
            and each.unit_id in only
            and (each.state == "published" or each.position > before.seen.structure)
        ]
        shown: set[str | None] = {each.unit_id for each in objectives}
        for _ in units:
            shown |= {units[name].parent_id for name in shown if name is not None}
        order = [name for name in self._in_tree_order(None) if name in shown]
        objectives.sort(
            key=lambda each: (order.index(each.unit_id), each.cycle_id, each.objective_id)
        )
        touched = {each.goal_id for each in in_week if each.kind == "kpi"}
        return Digest(
            reflects=self.seen.reflects,
            week=f"{year}-W{week:02}",
            start_on=monday,
            end_on=monday + 6 * ONE_DAY,
            organisation=self.organisation.name,
            zone=self.past.zone,
            unit=None if unit_id is None else units.get(unit_id),
            cycles=tuple(map(self.cycle, cycles)),
            late=tuple(late),
            changes=tuple(self._week_changes(in_week, {each.position for each in late})),
            check_ins=tuple(self._week_check_ins(in_week)),
            units=tuple(units[name] for name in order),
            objectives=tuple(self._moved(each, before) for each in objectives),
            kpis=tuple(
                self._kpi_moved(name, before)
                for name, each in sorted(self.of("kpi").items())
                if each.card.unit_id in only
                and (
                    name in touched or any(review.closed_at is None for review in each.card.reviews)
                )
            ),
            said=tuple(
                WeekSaid(name, state.card.name, each)
                for name, state in sorted(self.of("cycle").items())
                for each in state.card.retrospectives[_said_before(before.of("cycle").get(name)) :]
            ),
        )

    def _unit_of(self, recorded: Recorded) -> str | None:
        """Whose unit what happened is told of; None, everybody's."""
        state: Any = self.states[recorded.kind][recorded.goal_id]
        match recorded.kind:
            case "unit":
                return recorded.goal_id
            case "objective":
                return str(state.unit_id)
            case "key_result":
                return str(self.of("objective")[state.objective_id].unit_id)
            case "kpi":
                return str(state.card.unit_id)
            case _:
                return None

    def _week_changes(self, in_week: list[Recorded], late: set[int]) -> Iterator[WeekChange]:
        for each in in_week:
            is_told = not isinstance(
                each.event,
                (*BY_EFFECTIVE_DATE, events.RetrospectiveRecorded, events.CommentAdded),
            )
            rows = [row for one, row in self.past.changes if one is each]
            if is_told and rows and each.position not in late:
                yield WeekChange(
                    position=each.position,
                    at=each.known_at,
                    actor=each.actor,
                    event=type(each.event).__name__,
                    goal=f"{each.kind}/{each.goal_id}",
                    title=self._title(each),
                    reason=each.reason,
                    fields=tuple(
                        ChangedField(row.field, Raw(row.was), Raw(row.now or b"null"))
                        for row in rows
                        if row.was is not None
                    ),
                )

    def _title(self, recorded: Recorded) -> str:
        state: Any = self.states[recorded.kind][recorded.goal_id]
        match recorded.kind:
            case "objective" | "key_result":
                return str(state.title)
            case "kpi":
                return str(state.card.definition.name)
            case "cycle":
                return str(state.card.name)
            case _:
                return str(state.name)

    def _week_check_ins(self, in_week: list[Recorded]) -> Iterator[WeekCheckIn]:
        names: dict[type[Any], Any] = {
            events.CheckedIn: "recorded",
            events.CheckInCorrected: "corrected",
            events.CheckInRetracted: "retracted",
        }
        for each in in_week:
            event: Any = each.event
            if type(event) in names and each.effective_at <= self.seen.as_of:
                card = self.of("key_result")[each.goal_id]
                yield WeekCheckIn(
                    position=each.position,
                    at=each.known_at,
                    effective_at=each.effective_at,
                    actor=each.actor,
                    key_result_id=each.goal_id,
                    objective_id=card.objective_id,
                    title=card.title,
                    measure=card.measure,
                    event=names[type(event)],
                    value=getattr(event, "value", None),
                    confidence=getattr(event, "confidence", None),
                    status=getattr(event, "status", None),
                    note=getattr(event, "note", ""),
                )

    def _moved(self, state: ObjectiveCard, before: "Then") -> ObjectiveMoved:
        was = before.of("objective").get(state.objective_id)
        objective_was = None if was is None else before.objective(was)
        moved = []
        for each in self.key_results_of(state.objective_id):
            then = before.of("key_result").get(each.key_result_id)
            card = None if then is None else before.key_result(then)
            moved.append(
                KeyResultMoved(
                    each,
                    None if card is None else card.progress,
                    None if card is None else card.health,
                )
            )
        return ObjectiveMoved(
            self.objective(state),
            None if objective_was is None else objective_was.progress,
            None if objective_was is None else objective_was.health,
            tuple(moved),
        )

    def _kpi_moved(self, kpi_id: str, before: "Then") -> KpiMoved:
        was = before.of("kpi").get(kpi_id)
        said = [
            each
            for each in self.series(kpi_id, as_series=True)
            if before.seen.structure < each.position <= self.seen.structure
        ]
        return KpiMoved(
            self.kpi(self.of("kpi")[kpi_id]),
            None if was is None else before.kpi(was).health,
            tuple(sorted(said, key=lambda each: each.position)[-50:]),
        )

    def _in_tree_order(self, above: str | None) -> Iterator[str]:
        for name, unit in sorted(self.of("unit").items()):
            if unit.parent_id == above:
                yield name
                yield from self._in_tree_order(name)


_HAPPENED: Final[dict[type[Any], Any]] = {
    events.KpiReadingRecorded: "recorded",
    events.KpiReadingCorrected: "corrected",
    events.KpiReadingRetracted: "retracted",
    events.KpiReadingMissed: "missed",
}


def _said_before(cycle: CycleState | None) -> int:
    return 0 if cycle is None else len(cycle.card.retrospectives)


def _counts(said: Said) -> tuple[datetime, int]:
    return said.effective_at, said.first


def _origin(said: Said) -> Origin:
    """R28, of what somebody said."""
    if getattr(said.now, "source", None) == "formula":
        return "computed"
    if isinstance(said.now, events.CheckInCorrected | events.KpiReadingCorrected):
        return "corrected"
    last = said.last
    is_imported = last.provenance is not None or last.known_at < last.recorded_at
    return "imported" if is_imported else "entered"


def _mean(numbers: list[Decimal | None], step: str) -> Decimal | None:
    known = [each for each in numbers if each is not None]
    if not known:
        return None
    in_millionths = (sum(known, Decimal(0)) / len(known)).quantize(Decimal("0.000001"))
    return in_millionths.quantize(Decimal(step))


def _band(score: Decimal | None, policy: Policy) -> Any:
    return None if score is None else measures.band_of(score, policy.bands)


def _told(recorded: Recorded, event: events.CheckedIn | events.CheckInCorrected) -> CheckInRow:
    """What a later event of a check-in needs to know of it."""
    return CheckInRow(
        recorded.organisation_id,
        event.key_result_id,
        event.effective_at,
        recorded.position,
        recorded.position,
        event.check_in_id,
        "recorded",
        event.value,
        event.confidence,
        event.status,
        event.note,
        recorded.actor,
        recorded.known_at,
        recorded.recorded_at,
        recorded.provenance,
    )


def _change(row: ChangeRow) -> Change:
    return Change(
        row.position,
        row.kind,
        row.goal_id,
        row.event,
        row.field,
        row.actor,
        row.recorded_at,
        row.known_at,
        row.effective_at,
        Raw(row.was or b"null"),
        Raw(row.now or b"null"),
        row.reason,
        row.provenance,
        row.on_behalf_of,
    )
