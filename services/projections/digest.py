"""What a week brought: what was done in it, and how far it moved the goals and indicators.

The answer is a function of the vantage alone. A week that is over is looked at from its end, so its
digest stays the same, and the one after it goes on from where it ended. Asked by what came to be
known later, both ends of the week are seen by that: what moved is what moved in the week, not what
was learnt of it since. What was done is in either case what came to be known in the week.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Final

from goal_contracts import codec, events
from goal_contracts.queries import (
    ChangedField,
    Digest,
    KeyResultCard,
    KeyResultMoved,
    KpiMoved,
    LateChange,
    ObjectiveCard,
    ObjectiveMoved,
    Said,
    UnitCard,
    WeekChange,
    WeekCheckIn,
    WeeklyDigest,
)
from msgspec import Raw, Struct

from services.projections.as_of import TICK, NoSuchMoment, Picture, Vantage, vantage
from services.projections.report import LATE, in_tree_order, is_under_review, late_change
from services.projections.view_store import schema
from services.projections.view_store.goals import Goal
from services.projections.view_store.reader import Reader
from services.projections.views import standing
from services.projections.views.current import (
    CycleState,
    KpiState,
    OrganisationState,
    State,
)
from services.projections.views.days import end_of_day, local_day, start_of_day
from services.projections.views.history import FACTS
from services.projections.views.rows import ChangeRow

READINGS_MAX: Final = 50
"""Of one KPI, the latest of a week are told: an import may bring thousands."""
SIX_DAYS: Final = timedelta(days=6)
RUNNING: Final = frozenset({"active", "grading", "reopened"})
TOLD_ELSEWHERE: Final = FACTS | {
    events.RetrospectiveRecorded.__name__,
    events.CommentAdded.__name__,
}
"""What is no change of a goal: check-ins, readings and what people said have their own places."""

Part = LateChange | WeekChange | WeekCheckIn | UnitCard | Goal | Said
"""What a digest is cut into: an objective or a KPI becomes a card only on its page."""
PictureFrom = Callable[[Vantage], Picture]


class WeekSeen(Struct, frozen=True):
    """A week: where it is looked at from, and where the one before it was.

    `unit_ids` are the units it is told of; None, all.
    """

    organisation_id: str
    organisation: OrganisationState
    start_on: date
    before: Vantage
    seen: Vantage
    unit_ids: Collection[str] | None = None

    def tells_of(self, unit_id: str) -> bool:
        """Whether the unit is one of those asked for."""
        return self.unit_ids is None or unit_id in self.unit_ids


def seen_from(
    reader: Reader, organisation_id: str, zone: str, query: WeeklyDigest, now: datetime
) -> Vantage:
    """Where a week is looked at from; NoSuchMoment if it is none, or still to come."""
    as_of = query.as_of
    if query.week is not None:
        if as_of is not None:
            raise NoSuchMoment("a digest is of a week or up to a moment: leave out one of the two")
        monday = _monday(query.week)
        if start_of_day(monday, zone) > now:
            raise NoSuchMoment(f"the week {query.week} has not begun: ask for one that has")
        end = end_of_day(monday + SIX_DAYS, zone)
        if end < now:
            as_of = end.isoformat()
    if as_of is None and query.known_at is not None:
        as_of = now.astimezone(UTC).isoformat()
    return vantage(reader, organisation_id, zone, as_of, query.known_at, now)


def week_seen(
    reader: Reader,
    organisation_id: str,
    organisation: OrganisationState,
    seen: Vantage,
    unit_ids: Collection[str] | None,
) -> WeekSeen:
    """The week of a moment up to it."""
    today = local_day(seen.as_of, organisation.zone)
    start_on = today - timedelta(days=today.weekday())
    at = start_of_day(start_on, organisation.zone) - TICK
    structure = min(reader.position_known_at(organisation_id, at), seen.structure)
    known, known_at = structure, at
    if seen.known_at > seen.as_of:
        known, known_at = seen.known, seen.known_at
    before = Vantage(known=known, structure=structure, as_of=at, known_at=known_at)
    return WeekSeen(organisation_id, organisation, start_on, before, seen, unit_ids)


def parts_of(reader: Reader, of: WeekSeen) -> list[Part]:
    """The digest in the order in which it is told."""
    organisation_id, structure = of.organisation_id, of.seen.structure
    touched = reader.touched(organisation_id, of.before.structure, structure)
    states = {
        kind: reader.states(organisation_id, kind, goal_ids, structure)
        for kind, goal_ids in touched.items()
    }
    objective_ids = {
        card.objective_id
        for card in states.get("key_result", {}).values()
        if isinstance(card, KeyResultCard)
    }
    objectives = reader.states(organisation_id, "objective", objective_ids, structure)
    cards = {
        goal_id: card
        for goal_id, card in (objectives | states.get("objective", {})).items()
        if isinstance(card, ObjectiveCard)
    }
    theirs = {
        kind: {goal_id: state for goal_id, state in by_id.items() if _is_told(of, state, cards)}
        for kind, by_id in states.items()
    }
    cycle_of = {goal_id: card.cycle_id for goal_id, card in cards.items()}
    late = _late_changes(reader, of, theirs, cycle_of)
    pursued = list(_pursued(reader, of))
    carrying = {goal.state.unit_id for goal in pursued if isinstance(goal.state, ObjectiveCard)}
    units = list(in_tree_order(reader.goals(organisation_id, "unit", structure), carrying))
    place = {unit.unit_id: at for at, unit in enumerate(units)}
    return [
        *late,
        *_changes(reader, of, theirs, {each.position for each in late}),
        *_check_ins(reader, of, theirs.get("key_result", {})),
        *units,
        *sorted(pursued, key=lambda goal: (_place(goal, place), goal.key)),
        *_indicators(reader, of, theirs.get("kpi", {})),
        *_said(reader, of),
    ]


def told(
    reader: Reader,
    parts: Sequence[Part],
    of: WeekSeen,
    picture_from: PictureFrom,
    *,
    unit_id: str | None,
    cursor: str | None,
) -> Digest:
    """Some parts of a digest with their numbers; `cursor` asks for the rest."""
    picture, before = picture_from(of.seen), picture_from(of.before)
    goals = [each for each in parts if isinstance(each, Goal)]
    year, week, _ = of.start_on.isocalendar()
    unit: State | None = None
    if unit_id is not None:
        named = reader.states(of.organisation_id, "unit", [unit_id], of.seen.structure)
        unit = named.get(unit_id)
    return Digest(
        reflects=of.seen.reflects,
        week=f"{year}-W{week:02}",
        start_on=of.start_on,
        end_on=of.start_on + SIX_DAYS,
        organisation=of.organisation.name,
        zone=of.organisation.zone,
        unit=unit if isinstance(unit, UnitCard) else None,
        cycles=tuple(picture.cycles(_cycles(reader, of))),
        late=tuple(each for each in parts if isinstance(each, LateChange)),
        changes=tuple(each for each in parts if isinstance(each, WeekChange)),
        check_ins=tuple(each for each in parts if isinstance(each, WeekCheckIn)),
        units=tuple(each for each in parts if isinstance(each, UnitCard)),
        objectives=tuple(_objectives_moved(reader, of, goals, picture, before)),
        kpis=tuple(_kpis_moved(reader, of, goals, picture, before)),
        said=tuple(each for each in parts if isinstance(each, Said)),
        cursor=cursor,
    )


# ------------------------------------------------------------------ what was done


def _is_told(of: WeekSeen, state: State, objectives: dict[str, ObjectiveCard]) -> bool:
    match state:
        case ObjectiveCard():
            return of.tells_of(state.unit_id)
        case KeyResultCard():
            return of.tells_of(objectives[state.objective_id].unit_id)
        case KpiState():
            return of.tells_of(state.card.unit_id)
        case UnitCard():
            return of.tells_of(state.unit_id)
        case _:  # the organisation and its cycles are everybody's
            return True


def _late_changes(
    reader: Reader,
    of: WeekSeen,
    told: dict[str, dict[str, State]],
    cycle_of: dict[str, str],
) -> list[LateChange]:
    """In order, also across the kinds of goals; `cycle_of` is by objective."""
    found: list[LateChange] = []
    cycles = {
        goal.goal_id: goal.state
        for goal in reader.goals(of.organisation_id, "cycle", of.seen.structure)
        if isinstance(goal.state, CycleState)
    }
    for kind, names in LATE.items():
        cards = told.get(kind, {})
        stored = reader.payloads(of.organisation_id, kind, cards, names, of.seen.structure)
        for each in stored:
            if each.position <= of.before.structure:
                continue
            recorded = codec.decode_event(each.position, each.payload)
            card = cards[recorded.goal_id]
            if isinstance(card, ObjectiveCard | KeyResultCard):
                found += late_change(recorded, card, cycles[cycle_of[card.objective_id]])
    return sorted(found, key=lambda change: change.position)


def _changes(
    reader: Reader, of: WeekSeen, told: dict[str, dict[str, State]], late: Collection[int]
) -> Iterator[WeekChange]:
    """Everything else that was done, in order, also across the kinds of things."""
    rows = [
        row
        for kind, states in told.items()
        for row in reader.changed(
            of.organisation_id, kind, states, of.before.structure, of.seen.structure
        )
        if row.event not in TOLD_ELSEWHERE and row.position not in late
    ]
    rows.sort(key=lambda row: row.place)
    for position, group in groupby(rows, key=lambda row: row.position):
        of_event = list(group)
        row = of_event[0]
        yield WeekChange(
            position=position,
            at=row.known_at,
            actor=row.actor,
            event=row.event,
            goal=f"{row.kind}/{row.goal_id}",
            title=_title(told[row.kind][row.goal_id]),
            reason=row.reason,
            fields=tuple(_replaced(of_event)),
        )


def _replaced(rows: Iterable[ChangeRow]) -> Iterator[ChangedField]:
    for row in rows:
        if row.was is not None:
            yield ChangedField(field=row.field, was=Raw(row.was), now=Raw(row.now or b"null"))


def _title(state: State) -> str:
    match state:
        case ObjectiveCard() | KeyResultCard():
            return state.title
        case KpiState():
            return state.card.definition.name
        case CycleState():
            return state.card.name
        case UnitCard() | OrganisationState():
            return state.name


def _check_ins(reader: Reader, of: WeekSeen, cards: dict[str, State]) -> list[WeekCheckIn]:
    found = [
        WeekCheckIn(
            position=row.position,
            at=row.known_at,
            effective_at=row.effective_at,
            actor=row.actor,
            key_result_id=key_result_id,
            objective_id=card.objective_id,
            title=card.title,
            measure=card.measure,
            event=row.event,
            value=row.value,
            confidence=row.confidence,
            status=row.status,
            note=row.note,
        )
        for key_result_id, rows in reader.check_ins(
            of.organisation_id, cards, of.seen.structure, of.seen.as_of
        ).items()
        for row in rows
        if row.position > of.before.structure
        and row.event != "missed"
        and isinstance(card := cards[key_result_id], KeyResultCard)
    ]
    return sorted(found, key=lambda each: each.position)


def _said(reader: Reader, of: WeekSeen) -> Iterator[Said]:
    cycles = list(reader.goals(of.organisation_id, "cycle", of.seen.structure))
    ids = [goal.goal_id for goal in cycles]
    were = reader.states(of.organisation_id, "cycle", ids, of.before.structure)
    for goal in cycles:
        if isinstance(goal.state, CycleState):
            then = were.get(goal.goal_id)
            before = then.card.retrospectives if isinstance(then, CycleState) else ()
            for each in goal.state.card.retrospectives[len(before) :]:
                yield Said(goal.goal_id, goal.state.card.name, each)


# ------------------------------------------------------------------ how far it moved


def _cycles(reader: Reader, of: WeekSeen) -> list[Goal]:
    """The cycles that ran in the week, the shortest first."""
    found = [
        (state.card.end_on - state.card.start_on, state.card.start_on, goal)
        for goal in reader.goals(of.organisation_id, "cycle", of.seen.structure)
        if isinstance(state := goal.state, CycleState)
        and (state.card.state in RUNNING or _closed_after(state, of.before.structure))
    ]
    return [goal for *_, goal in sorted(found, key=lambda each: (*each[:2], each[2].key))]


def _closed_after(cycle: CycleState, position: int) -> bool:
    closings = cycle.card.closings
    return cycle.card.state == "closed" and bool(closings) and closings[-1].position > position


def _pursued(reader: Reader, of: WeekSeen) -> Iterator[Goal]:
    """The objectives that count in those cycles, and those that ceased to in the week."""
    for cycle in _cycles(reader, of):
        own = schema.goal.c.cycle_id == cycle.goal_id
        for goal in reader.goals(of.organisation_id, "objective", of.seen.structure, own):
            card = goal.state
            if (
                isinstance(card, ObjectiveCard)
                and of.tells_of(card.unit_id)
                and (card.state == "published" or card.position > of.before.structure)
            ):
                yield goal


def _place(goal: Goal, units: dict[str, int]) -> int:
    return units[goal.state.unit_id] if isinstance(goal.state, ObjectiveCard) else 0


def _indicators(reader: Reader, of: WeekSeen, touched: Collection[str]) -> Iterator[Goal]:
    for kpi in reader.kpis(
        of.organisation_id, of.seen.known, of.seen.structure, unit_ids=of.unit_ids
    ):
        if kpi.goal_id in touched or is_under_review(kpi):
            yield kpi


def _objectives_moved(
    reader: Reader, of: WeekSeen, goals: Iterable[Goal], picture: Picture, before: Picture
) -> Iterator[ObjectiveMoved]:
    objectives = [goal for goal in goals if isinstance(goal.state, ObjectiveCard)]
    ids = [goal.goal_id for goal in objectives]
    were = reader.goals_by_id(of.organisation_id, "objective", of.before.structure, ids)
    objectives_were: dict[str, ObjectiveCard] = {}
    key_results_were: dict[str, KeyResultCard] = {}
    for objective, key_results in before.objectives_with_key_results(were):
        objectives_were[objective.objective_id] = objective
        key_results_were |= {each.key_result_id: each for each in key_results}
    for objective, key_results in picture.objectives_with_key_results(objectives):
        was = objectives_were.get(objective.objective_id)
        yield ObjectiveMoved(
            objective=objective,
            progress_was=None if was is None else was.progress,
            health_was=None if was is None else was.health,
            key_results=tuple(
                KeyResultMoved(
                    key_result=each,
                    progress_was=None if then is None else then.progress,
                    health_was=None if then is None else then.health,
                )
                for each in key_results
                for then in [key_results_were.get(each.key_result_id)]
            ),
        )


def _kpis_moved(
    reader: Reader, of: WeekSeen, goals: Iterable[Goal], picture: Picture, before: Picture
) -> Iterator[KpiMoved]:
    kpis = [goal for goal in goals if isinstance(goal.state, KpiState)]
    were = reader.kpis(
        of.organisation_id,
        of.before.known,
        of.before.structure,
        kpi_ids=[goal.goal_id for goal in kpis],
    )
    health_was = {card.kpi_id: card.health for card in before.kpis(list(were))}
    for card in picture.kpis(kpis):
        rows = reader.readings(of.organisation_id, card.kpi_id, of.seen.known, of.seen.as_of)
        counting = {row.period: row.position for row in standing.standing(rows)}
        said = sorted(
            (row for row in rows if of.before.structure < row.position <= of.seen.structure),
            key=lambda row: row.position,
        )
        yield KpiMoved(
            kpi=card,
            health_was=health_was.get(card.kpi_id),
            readings=tuple(
                standing.reading_card(row, counts=counting.get(row.period) == row.position)
                for row in said[-READINGS_MAX:]
            ),
        )


def _monday(week: str) -> date:
    try:
        return date.fromisocalendar(int(week[:4]), int(week[6:]), 1)
    except ValueError as error:
        raise NoSuchMoment(f"{week} is no week ({error}): give one such as 2025-W27") from error
