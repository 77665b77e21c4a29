"""What every event does to the state: state + event -> state, and nothing is judged here.

An event that this release does not know stops the ledger: in an audit trail nobody guesses.
"""

from bisect import bisect_right
from collections.abc import Iterable, MutableMapping
from datetime import date
from sys import intern
from typing import Any, TypeVar, assert_never

from goal_contracts import events
from goal_contracts.codec import Recorded, Unrecognised
from goal_contracts.measures import KpiLinked, Measure
from goal_contracts.policy import Policy
from msgspec import Struct
from msgspec.structs import replace

from services.ledger.domain.due import span_of, watch
from services.ledger.domain.listed import Listed
from services.ledger.domain.organisation import (
    ANSWERS_MAX,
    CheckIn,
    Closing,
    Cycle,
    HistoryImport,
    KeyResult,
    Kpi,
    KpiVersion,
    Missed,
    Objective,
    Organisation,
    Reading,
    ReadingKey,
    Review,
    Unit,
    Watch,
    inputs_of,
)
from services.ledger.domain.times import days_of_period, local_day

Key = TypeVar("Key")
Item = TypeVar("Item")
Thing = TypeVar("Thing", bound=Struct)


class UnknownEvent(Exception):
    """The log holds an event of a type that this release does not know: it may not go on."""


class BrokenHistory(Exception):
    """The events do not follow each other as the ledger writes them: it may not go on."""


def fold(organisation: Organisation | None, history: Iterable[Recorded]) -> Organisation | None:
    """Evolve over a history; None as long as nothing happened."""
    for recorded in history:
        organisation = evolve(organisation, recorded)
    return organisation


def evolve(organisation: Organisation | None, recorded: Recorded) -> Organisation:
    """Let one event happen; `organisation` is changed in place and returned."""
    event = recorded.event
    if isinstance(event, Unrecognised):
        raise UnknownEvent(f"{event.type} at position {recorded.position}")
    if organisation is None:
        organisation = _opened(event, recorded)
    elif recorded.position <= organisation.position:
        raise BrokenHistory(f"{recorded.position} comes after {organisation.position}")
    else:
        _happen(organisation, event, recorded)
    if not isinstance(event, events.CommentAdded):
        organisation.changed[recorded.kind, recorded.goal_id] = recorded.position
    organisation.position = recorded.position
    organisation.known_at_max = max(organisation.known_at_max, recorded.known_at)
    organisation.answers.remember(recorded.command_id, recorded.position)
    _forget_the_oldest(organisation)
    return organisation


def take_over(organisation: Organisation, fork: Organisation) -> None:
    """Let happen to an organisation what has happened to a fork of it."""
    organisation.take_over(fork)
    organisation.answers.add(fork.answers.items())
    _forget_the_oldest(organisation)


def _opened(event: events.Event, recorded: Recorded) -> Organisation:
    if not isinstance(event, events.OrganisationOpened):
        raise BrokenHistory(f"{recorded.type} at {recorded.position} before OrganisationOpened")
    return Organisation(
        organisation_id=event.organisation_id,
        name=event.name,
        zone=event.zone,
        policy=event.policy,
        opened=event,
        known_at_max=recorded.known_at,
    )


def _forget_the_oldest(organisation: Organisation) -> None:
    answers = organisation.answers
    while len(answers) > ANSWERS_MAX and organisation.running_import is None:
        answers.forget_oldest()


def _happen(organisation: Organisation, event: events.Event, recorded: Recorded) -> None:
    # The most frequent first: a match looks at one case after the other.
    match event:
        case events.KpiReadingRecorded():
            key = _reading_key(organisation, event)
            is_new = key not in organisation.readings
            organisation.readings[key] = Reading(
                effective_at=event.effective_at,
                position=recorded.position,
                definition_version=event.definition_version,
                value=event.value,
                numerator=event.numerator,
                denominator=event.denominator,
            )
            if is_new:
                _insert(organisation.reading_keys, key)
            _settle(organisation, key)
        case events.CheckedIn():
            key_result_id = organisation.key_results[event.key_result_id].key_result_id
            organisation.check_ins[key_result_id, event.check_in_id] = CheckIn(
                effective_at=event.effective_at,
                position=recorded.position,
                known_at=recorded.known_at,
                actor=recorded.actor,
                value=event.value,
                confidence=event.confidence,
                status=event.status,
                note=event.note,
                provenance=event.provenance,
            )
            _list(organisation.check_in_ids, key_result_id, event.check_in_id)
        case events.OrganisationOpened():
            raise BrokenHistory(f"opened again at position {recorded.position}")
        case events.PolicyChanged():
            was, organisation.policy = organisation.policy, event.policy
            if was.missed_readings != event.policy.missed_readings:
                _begin_watch(organisation, recorded)
            elif _periods(was) != _periods(event.policy):
                _watch_all(organisation)
        case events.HistoryImportStarted():
            organisation.imports[event.import_id] = HistoryImport(started=event)
            organisation.running_import = event.import_id
        case events.HistoryImportFinished():
            _change(organisation.imports, event.import_id, finished=event)
            organisation.running_import = None
            _begin_watch(organisation, recorded)
        case events.UnitDefined():
            organisation.units[event.unit_id] = Unit(
                unit_id=event.unit_id,
                name=event.name,
                unit_kind=event.unit_kind,
                parent_id=event.parent_id,
                defined=event,
            )
        case events.UnitRenamed():
            _change(organisation.units, event.unit_id, name=event.name)
        case events.UnitMoved():
            _change(organisation.units, event.unit_id, parent_id=event.parent_id)
        case events.UnitRetired():
            _change(organisation.units, event.unit_id, retired=True)
        case events.CyclePlanned():
            organisation.cycles[event.cycle_id] = Cycle(
                cycle_id=event.cycle_id,
                name=event.name,
                cycle_kind=event.cycle_kind,
                start_on=event.start_on,
                end_on=event.end_on,
                parent_id=event.parent_id,
                planned=event,
            )
        case events.CycleRescheduled():
            _change(
                organisation.cycles,
                event.cycle_id,
                start_on=event.start_on,
                end_on=event.end_on,
            )
        case events.CycleActivated():
            _change(organisation.cycles, event.cycle_id, state="active", policy=event.policy)
        case events.CycleGradingStarted():
            _change(organisation.cycles, event.cycle_id, state="grading")
        case events.CycleClosed():
            closing = Closing(
                position=recorded.position,
                known_at=recorded.known_at,
                actor=recorded.actor,
                closed=event,
            )
            closings = (*organisation.cycles[event.cycle_id].closings, closing)
            _change(
                organisation.cycles,
                event.cycle_id,
                state="closed",
                policy=event.policy,
                closings=closings,
            )
        case events.CycleReopened():
            _change(organisation.cycles, event.cycle_id, state="reopened")
        case events.CycleCancelled():
            _change(organisation.cycles, event.cycle_id, state="cancelled")
        case events.RetrospectiveRecorded():
            retrospectives = (*organisation.cycles[event.cycle_id].retrospectives, event)
            _change(organisation.cycles, event.cycle_id, retrospectives=retrospectives)
        case events.ObjectiveDrafted():
            organisation.objectives[event.objective_id] = Objective(
                objective_id=event.objective_id,
                cycle_id=event.cycle_id,
                unit_id=event.unit_id,
                title=event.title,
                description=event.description,
                owner=event.owner,
                objective_kind=event.objective_kind,
                contributors=event.contributors,
                aligned_to=event.aligned_to,
                drafted=event,
            )
            _list(organisation.objective_ids, event.cycle_id, event.objective_id)
            _pursue(organisation, event.objective_id, 1)
        case events.ObjectivePublished():
            _change(organisation.objectives, event.objective_id, state="published")
        case events.ObjectiveReworded():
            _change(
                organisation.objectives,
                event.objective_id,
                title=event.title,
                description=event.description,
            )
        case events.ObjectiveReassigned():
            _pursue(organisation, event.objective_id, -1)
            _change(
                organisation.objectives,
                event.objective_id,
                owner=event.owner,
                unit_id=event.unit_id,
            )
            _pursue(organisation, event.objective_id, 1)
        case events.ObjectiveContributorsChanged():
            _change(organisation.objectives, event.objective_id, contributors=event.contributors)
        case events.ObjectiveRealigned():
            _change(organisation.objectives, event.objective_id, aligned_to=event.aligned_to)
        case events.ObjectiveKindChanged():
            _change(
                organisation.objectives, event.objective_id, objective_kind=event.objective_kind
            )
        case events.ObjectiveDropped():
            _pursue(organisation, event.objective_id, -1)
            _change(organisation.objectives, event.objective_id, state="dropped", outcome="dropped")
        case events.ObjectiveGraded():
            _change(
                organisation.objectives,
                event.objective_id,
                outcome=event.outcome,
                score=event.score,
                score_computed=event.score_computed,
            )
        case events.ObjectiveCarriedOver():
            _pursue(organisation, event.objective_id, -1)
            _change(
                organisation.objectives,
                event.objective_id,
                state="carried",
                outcome="carried",
                carried_to=event.carried_to,
            )
        case events.KeyResultAdded():
            organisation.key_results[event.key_result_id] = KeyResult(
                key_result_id=event.key_result_id,
                objective_id=event.objective_id,
                title=event.title,
                owner=event.owner,
                measure=event.measure,
                weight=event.weight,
                added=event,
            )
            _append(organisation.key_result_ids, event.objective_id, event.key_result_id)
            _link(organisation, event.key_result_id, event.measure)
        case events.KeyResultReworded():
            _change(organisation.key_results, event.key_result_id, title=event.title)
        case events.KeyResultReassigned():
            _change(organisation.key_results, event.key_result_id, owner=event.owner)
        case events.KeyResultReweighted():
            _change(organisation.key_results, event.key_result_id, weight=event.weight)
        case events.KeyResultRetargeted():
            _change(organisation.key_results, event.key_result_id, measure=event.measure)
        case events.KeyResultDropped():
            _change(organisation.key_results, event.key_result_id, dropped=True)
        case events.KeyResultLinkedToKpi():
            _change(
                organisation.key_results,
                event.key_result_id,
                measure=event.measure,
                linked_from=event.measure_was,
            )
            _link(organisation, event.key_result_id, event.measure)
        case events.KeyResultUnlinkedFromKpi():
            _change(organisation.key_results, event.key_result_id, measure=event.measure)
            _unlink(organisation, event.key_result_id, event.measure_was)
        case events.CheckInCorrected():
            made = organisation.check_ins[event.key_result_id, event.check_in_id]
            _change(
                organisation.check_ins,
                (event.key_result_id, event.check_in_id),
                first=made.said,
                value=event.value,
                confidence=event.confidence,
                status=event.status,
                note=event.note,
            )
        case events.CheckInRetracted():
            _change(
                organisation.check_ins, (event.key_result_id, event.check_in_id), retracted=True
            )
        case events.KeyResultGraded():
            _change(
                organisation.key_results,
                event.key_result_id,
                score=event.score,
                score_computed=event.score_computed,
                waived=False,
            )
        case events.KeyResultWaived():
            _change(
                organisation.key_results,
                event.key_result_id,
                score=None,
                score_computed=None,
                waived=True,
            )
        case events.KpiDefined():
            organisation.kpis[event.kpi_id] = Kpi(
                kpi_id=event.kpi_id,
                unit_id=event.unit_id,
                owner=event.owner,
                versions=(KpiVersion(version=1, definition=event.definition),),
                defined=event,
                defined_at=recorded.known_at,
            )
            _depend(organisation, event.kpi_id, event.definition)
            _watch(organisation, event.kpi_id)
        case events.KpiRedefined():
            versions = (
                *organisation.kpis[event.kpi_id].versions,
                KpiVersion(event.version, event.definition, event.effective_on),
            )
            _change(organisation.kpis, event.kpi_id, versions=versions)
            _depend(organisation, event.kpi_id, event.definition)
            _watch(organisation, event.kpi_id)
        case events.KpiRetargeted():
            kpi = organisation.kpis[event.kpi_id]
            definition = replace(kpi.definition, target=event.target, bands=event.bands)
            versions = (
                *kpi.versions,
                KpiVersion(event.version, definition, event.effective_on),
            )
            _change(organisation.kpis, event.kpi_id, versions=versions)
        case events.KpiReassigned():
            _change(organisation.kpis, event.kpi_id, owner=event.owner, unit_id=event.unit_id)
        case events.KpiRetired():
            _change(organisation.kpis, event.kpi_id, retired=True)
            _watch(organisation, event.kpi_id)
        case events.KpiReadingCorrected():
            _change(
                organisation.readings,
                (event.kpi_id, event.period, event.source),
                value=event.value,
                numerator=event.numerator,
                denominator=event.denominator,
            )
        case events.KpiReadingRetracted():
            key = event.kpi_id, event.period, event.source
            _change(organisation.readings, key, retracted=True)
            _watch(organisation, event.kpi_id)
        case events.KpiReadingMissed():
            key = _reading_key(organisation, event)
            organisation.missed[key] = Missed(event.effective_at)
            _insert(organisation.missed_keys, key)
            _settle(organisation, key)
        case events.KpiHealthChanged():
            _change(organisation.kpis, event.kpi_id, health=event.health, reviewed=False)
        case events.KpiReviewOpened():
            organisation.reviews[event.kpi_id, event.review_id] = Review(opened=event)
            _append(organisation.review_ids, event.kpi_id, event.review_id)
            _look_at(organisation, event.kpi_id)
        case events.KpiReviewClosed():
            _change(organisation.reviews, (event.kpi_id, event.review_id), closed=event)
            _look_at(organisation, event.kpi_id)
        case events.CommentAdded():
            organisation.comments[event.goal, event.comment_id] = event
        case _:
            assert_never(event)


def _change(entries: MutableMapping[Key, Thing], key: Key, **changes: Any) -> None:  # noqa: ANN401  # the fields of one struct
    entries[key] = replace(entries[key], **changes)


def _append(index: MutableMapping[str, tuple[Item, ...]], key: str, item: Item) -> None:
    index[key] = (*index.get(key, ()), item)


def _list(index: MutableMapping[str, Listed[Item]], key: str, item: Item) -> None:
    """The same where there may be many."""
    listed = index.get(key)
    index[key] = Listed((item,)) if listed is None else listed.and_one(item)


def _reading_key(
    organisation: Organisation, event: events.KpiReadingRecorded | events.KpiReadingMissed
) -> ReadingKey:
    """As it is kept: the same few strings again and again, so each of them only once."""
    return organisation.kpis[event.kpi_id].kpi_id, intern(event.period), intern(event.source)


def _pursue(organisation: Organisation, objective_id: str, more: int) -> None:
    objective = organisation.objectives[objective_id]
    unit = objective.cycle_id, objective.unit_id
    organisation.pursued[unit] = organisation.pursued.get(unit, 0) + more


def _insert(index: MutableMapping[str, Listed[ReadingKey]], key: ReadingKey) -> None:
    """Where it is effective, after those that are effective then, too; mostly that is the end.

    It is effective at the end of its period's last day, and days are had without unpacking.
    """
    keys, last_day = index.get(key[0]), _last_day(key)
    if keys is None or _last_day(keys.last) <= last_day:
        _list(index, key[0], key)
        return
    place = bisect_right(keys, last_day, key=_last_day)
    index[key[0]] = Listed((*keys[:place], key, *keys[place:]))


def _last_day(key: ReadingKey) -> date:
    return days_of_period(key[1])[1]


def _periods(policy: Policy) -> tuple[object, ...]:
    """What of the settings says which periods are awaited, and how long."""
    return policy.reading_grace, policy.fiscal_year_start_month


def _begin_watch(organisation: Organisation, recorded: Recorded) -> None:
    """When it really was, whatever date the event itself was given."""
    organisation.watched_from = local_day(recorded.recorded_at, organisation.zone)
    _watch_all(organisation)


def _watch_all(organisation: Organisation) -> None:
    for kpi_id in organisation.kpis:
        _watch(organisation, kpi_id)


def _settle(organisation: Organisation, key: ReadingKey) -> None:
    """A period is known: nothing before what was awaited becomes open by that, unless it is late.

    Of one that ends before what is awaited the first may follow that is awaited at all.
    """
    if not organisation.watches_readings:
        return
    was = organisation.watches.get(key[0])
    is_late = was is None or span_of(key[1]).last < was.awaited.first
    _watch(organisation, key[0], None if is_late else was)


def _watch(organisation: Organisation, kpi_id: str, settled: Watch | None = None) -> None:
    """What is awaited of a KPI (R26); while nothing is, nobody keeps count."""
    if not organisation.watches_readings:
        return
    awaited = None if settled is None else settled.awaited
    now = watch(organisation, organisation.kpis[kpi_id], awaited)
    was = organisation.watches.get(kpi_id)
    if now == was:
        return
    organisation.watches[kpi_id] = now
    for each, more in ((was, -1), (now, 1)):
        if each is not None:
            day = each.missed_on.isoformat()
            organisation.watched_days[day] = organisation.watched_days.get(day, 0) + more


def _depend(organisation: Organisation, kpi_id: str, definition: events.KpiDefinition) -> None:
    """Once named in a formula, always: readings of earlier versions are recomputed by theirs."""
    for source_id in inputs_of(definition.formula):
        if kpi_id not in organisation.dependent_ids.get(source_id, ()):
            _append(organisation.dependent_ids, source_id, kpi_id)


def _look_at(organisation: Organisation, kpi_id: str) -> None:
    """A review during a breach is the review of that breach (R24)."""
    if organisation.kpis[kpi_id].health == "breach":
        _change(organisation.kpis, kpi_id, reviewed=True)


def _link(organisation: Organisation, key_result_id: str, measure: Measure) -> None:
    if isinstance(measure, KpiLinked):
        _append(organisation.linked_ids, measure.kpi_id, key_result_id)


def _unlink(organisation: Organisation, key_result_id: str, measure: Measure) -> None:
    if isinstance(measure, KpiLinked):
        linked = organisation.linked_ids[measure.kpi_id]
        organisation.linked_ids[measure.kpi_id] = tuple(k for k in linked if k != key_result_id)
