"""What no single event may do to a state, whatever was asked: the rules of DOMAIN.md on the move.

Written from DOMAIN.md and not from the decisions, so that it can judge them. `invariants` looks at
a state; this looks at the state before an event, the event, and the state after it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from goal_contracts import events
from goal_contracts.codec import Recorded
from goal_contracts.events import Event
from goal_contracts.measures import (
    Count,
    FourPointMetric,
    KpiLinked,
    Maintain,
    Measure,
    Metric,
    is_lowered,
    progress,
)
from goal_contracts.policy import Policy
from msgspec.structs import replace

from services.ledger.domain.asked import Asked
from services.ledger.domain.organisation import CheckIn, Cycle, KeyResult, Objective, Organisation

MOVES = {
    ("planned", "active"),
    ("active", "grading"),
    ("grading", "closed"),
    ("closed", "reopened"),
    ("reopened", "grading"),
    ("reopened", "closed"),
    ("planned", "cancelled"),
    ("active", "cancelled"),
    ("grading", "cancelled"),
    ("reopened", "cancelled"),
}
"""R1: from and to."""

REWORKING = (
    events.ObjectivePublished
    | events.ObjectiveReworded
    | events.ObjectiveReassigned
    | events.ObjectiveContributorsChanged
    | events.ObjectiveKindChanged
    | events.KeyResultReworded
    | events.KeyResultReassigned
)
RESTRUCTURING = (
    events.ObjectiveDrafted
    | events.ObjectiveRealigned
    | events.ObjectiveDropped
    | events.KeyResultAdded
    | events.KeyResultReweighted
    | events.KeyResultRetargeted
    | events.KeyResultDropped
    | events.KeyResultLinkedToKpi
    | events.KeyResultUnlinkedFromKpi
)
JUDGING = events.KeyResultGraded | events.KeyResultWaived | events.ObjectiveGraded
CORRECTING = (
    events.CheckInCorrected
    | events.CheckInRetracted
    | events.KpiReadingCorrected
    | events.KpiReadingRetracted
)
ALWAYS_WITH_REASON = (
    events.CycleReopened
    | events.CycleCancelled
    | events.CheckInCorrected
    | events.CheckInRetracted
    | events.KpiReadingCorrected
    | events.KpiReadingRetracted
    | events.KeyResultUnlinkedFromKpi
    | events.KeyResultWaived
)

READING = (
    events.KpiReadingRecorded
    | events.KpiReadingCorrected
    | events.KpiReadingRetracted
    | events.KpiReadingMissed
)
"""What a KPI's health may follow from."""

HOLDS: Mapping[str, str] = {
    "imports": "organisation",
    "units": "unit",
    "cycles": "cycle",
    "objectives": "objective",
    "key_results": "key_result",
    "check_ins": "key_result",
    "kpis": "kpi",
    "readings": "kpi",
    "missed": "kpi",
    "reviews": "kpi",
    "comments": "",
}
"""What each mapping of a state holds: parts of things of which kind; comments name theirs."""

CREATED_BY = ("started", "defined", "planned", "drafted", "added", "said", "opened")
"""Where a thing keeps the event that created it."""


class Onlooker:
    """Sees events happen, one after the other, and remembers what a state does not hold."""

    def __init__(self) -> None:
        self.changed: dict[tuple[str, str], int] = {}
        self._scales: dict[tuple[str, str], tuple[str, str]] = {}
        self._looked_at: set[str] = set()

    def see(
        self, before: Organisation, happened: Recorded, after: Organisation, asked: Asked
    ) -> None:
        """AssertionError names what is broken."""
        event = happened.event
        assert not hasattr(event, "type"), "unrecognised"
        _nothing_is_lost(before, after)
        _only_its_own_changes(before, happened, after)
        _what_was_is_true(before, event, after)
        _imports(before, event, asked)
        if isinstance(event, ALWAYS_WITH_REASON):
            assert _says_why(event), f"{happened.type} without a reason"
        match event.kind:
            case "unit":
                _unit(before, event)
            case "cycle":
                _cycle(before, event, after, asked)
            case "objective" | "key_result" if not isinstance(event, events.CommentAdded):
                _goal(before, event, after, asked)
            case "kpi":
                _kpi(before, event, asked)
                self._looks(before, event, asked)
            case _:
                pass
        self._scales_stay(event, after)
        self.remember(happened)

    def remember(self, happened: Recorded) -> None:
        """R29: a goal changes with each of its events; what is said about it changes nothing."""
        if not isinstance(happened.event, events.CommentAdded):
            self.changed[happened.kind, happened.goal_id] = happened.position

    def look_back(
        self, before: Organisation, happened: Sequence[Event], after: Organisation
    ) -> None:
        """At all that followed from one command: nothing that had to follow is missing (R24)."""
        read = {each.goal_id for each in happened if isinstance(each, READING)}
        for kpi_id in read:
            kpi = after.kpis[kpi_id]
            if _breach_runs(after, kpi_id) and not kpi.retired:
                waits = any(
                    each.closed is None for key, each in after.reviews.items() if key[0] == kpi_id
                )
                assert waits or kpi_id in self._looked_at, f"R24: nobody looks at {kpi_id}"
        crossed = [each.goal_id for each in happened if isinstance(each, events.KpiHealthChanged)]
        read_once = len([each for each in happened if isinstance(each, READING)]) == len(read)
        assert not read_once or len(crossed) == len(set(crossed)), f"R24: {crossed} to and fro"
        for kpi_id in crossed:
            caused = kpi_id in read or kpi_id not in before.kpis
            assert caused, f"R24: {kpi_id} crosses a band without a reading"

    def _looks(self, before: Organisation, event: Event, asked: Asked) -> None:
        """R24: one review for each time that a KPI gets into breach and stays in it."""
        kpi_id, in_breach = event.goal_id, False
        if kpi_id in before.kpis:
            in_breach = before.kpis[kpi_id].health == "breach"
        match event:
            case events.KpiHealthChanged():
                latest = _standings(before, kpi_id)
                said = latest[0][2] if latest else "no_data"
                assert event.health == said, f"R24: {event}, and it reads {said}"
                if latest:
                    assert (event.effective_at, event.period) == latest[0][:2], f"R24: {event}"
                self._looked_at.discard(kpi_id)
            case events.KpiReviewOpened() if event.review_id.startswith("breach-"):
                assert kpi_id not in self._looked_at, f"R24: {event} once more"
                assert _breach_runs(before, kpi_id), f"R24: {event} too soon"
                kpi = before.kpis[kpi_id]
                assert event.owner == kpi.owner, f"R24: {event} is not its owner's"
                due = timedelta(days=before.policy.review_due_days)
                assert event.due_on == _local(asked.now, before.zone) + due, f"R24: {event}"
                assert _says_why(event), f"R24: {event} does not say why"
            case events.KpiReviewOpened():
                assert event.due_on >= _local(asked.now, before.zone), f"R24: {event} is over"
            case _:
                pass
        if in_breach and isinstance(event, events.KpiReviewOpened | events.KpiReviewClosed):
            self._looked_at.add(kpi_id)

    def _scales_stay(self, event: Event, after: Organisation) -> None:
        """R8: what a value was counted in stays what the key result is measured in."""
        if isinstance(event, events.CheckedIn | events.CheckInCorrected):
            measure = after.key_results[event.key_result_id].measure
            key = event.key_result_id, event.check_in_id
            if event.value is not None and not isinstance(measure, KpiLinked):
                self._scales.setdefault(key, _scale(measure))
        for key, scale in self._scales.items():
            check_in = after.check_ins[key]
            measure = after.key_results[key[0]].measure
            linked = isinstance(measure, KpiLinked)
            if not linked and not check_in.retracted and check_in.value is not None:
                assert _scale(measure) == scale, f"R8: {key} was not counted in {_scale(measure)}"


# ------------------------------------------------------------------------------- of every event


def _nothing_is_lost(before: Organisation, after: Organisation) -> None:
    """R14: nothing is deleted, and what was said first stays visible."""
    for name in HOLDS:
        things: Mapping[Any, Any] = getattr(before, name)
        for key, thing in things.items():
            now = getattr(after, name).get(key)
            assert now is not None, f"R14: {name} lost {key}"
            if now != thing:
                for created in CREATED_BY:
                    assert getattr(now, created, None) == getattr(thing, created, None)
    assert (before.name, before.zone, before.opened) == (after.name, after.zone, after.opened)


def _only_its_own_changes(before: Organisation, happened: Recorded, after: Organisation) -> None:
    for name, kind in HOLDS.items():
        was: Mapping[Any, Any] = getattr(before, name)
        for key, thing in getattr(after, name).items():
            if was.get(key) != thing:
                about = key if isinstance(key, str) else key[0]
                if kind != "organisation":
                    about = f"{kind}/{about}" if kind else about
                    assert about == f"{happened.kind}/{happened.goal_id}", f"{name}: {about}"
                else:
                    assert happened.kind == kind
    changed = before.policy != after.policy
    assert changed == isinstance(happened.event, events.PolicyChanged), "the policy changed"


def _what_was_is_true(before: Organisation, event: Event, after: Organisation) -> None:
    """An event that replaces something names both, and they differ."""
    replaced = [name for name in event.__struct_fields__ if name.endswith("_was")]
    if not replaced:
        return
    was, now = _thing(before, event), _thing(after, event)
    for name in replaced:
        field = name.removesuffix("_was")
        assert getattr(event, name) == getattr(was, field), f"{name} was something else"
        if field in event.__struct_fields__:
            assert getattr(event, field) == getattr(now, field), f"{field} is something else"
    if not isinstance(event, events.KpiReadingRetracted):
        differs = any(getattr(event, name) != getattr(event, name[:-4]) for name in replaced)
        assert differs, f"{event} replaced nothing"


def _thing(organisation: Organisation, event: Event) -> Any:
    """What an event is about, with the fields that the event names."""
    match event:
        case events.PolicyChanged():
            return organisation
        case events.CheckInCorrected():
            return organisation.check_ins[event.key_result_id, event.check_in_id]
        case events.KpiReadingCorrected() | events.KpiReadingRetracted():
            return organisation.readings[event.kpi_id, event.period, event.source]
        case events.KpiRedefined() | events.KpiRetargeted():
            definition = organisation.kpis[event.kpi_id].versions[-1].definition
            return SimpleNamespace(
                definition=definition, target=definition.target, bands=definition.bands
            )
        case _:
            return getattr(organisation, f"{event.kind}s")[event.goal_id]


def _imports(before: Organisation, event: Event, asked: Asked) -> None:
    if isinstance(event, events.HistoryImportStarted):
        assert before.running_import is None, "two imports run"
        assert event.import_id not in before.imports, "an import starts twice"
        assert asked.now >= before.known_at_max, "an import starts in the past"
    elif isinstance(event, events.HistoryImportFinished):
        assert event.import_id == before.running_import
    else:
        assert asked.import_id == before.running_import, "the organisation stands still meanwhile"
        in_order = asked.import_id is None or asked.now >= before.known_at_max
        assert in_order, "history is imported in order"


# ----------------------------------------------------------------------------- units and cycles


def _unit(before: Organisation, event: Event) -> None:
    if isinstance(event, events.UnitDefined | events.UnitMoved) and event.parent_id is not None:
        assert not before.units[event.parent_id].retired
    if not isinstance(event, events.UnitDefined):
        assert not before.units[event.goal_id].retired, "a retired unit changed"


def _cycle(before: Organisation, event: Event, after: Organisation, asked: Asked) -> None:
    cycle = after.cycles[event.goal_id]
    was = before.cycles.get(event.goal_id)
    if was is None:
        assert isinstance(event, events.CyclePlanned)
        if event.parent_id is not None:
            parent = before.cycles[event.parent_id]
            assert parent.state not in {"closed", "cancelled"}, "R19: closed is sealed"
        return
    if was.state != cycle.state:
        assert (was.state, cycle.state) in MOVES, f"R1: {was.state} to {cycle.state}"
    if isinstance(event, events.CycleActivated):
        assert cycle.policy == before.policy, "R20: another policy is pinned"
    else:
        assert cycle.policy == was.policy, "R20: the pinned policy changed"
    kept = cycle.closings[: len(was.closings)]
    assert kept == was.closings, "R19: the facts of a closing changed"
    policy = _policy_of(before, was)
    match event:
        case events.CycleRescheduled():
            assert was.state in {"planned", "active"}, f"R1: {was.state} and rescheduled"
        case events.CycleReopened():
            days = timedelta(days=policy.reopen_within_days)
            assert asked.now <= was.closings[-1].known_at + days, "R19: reopened too late"
        case events.RetrospectiveRecorded():
            assert was.state in {"active", "grading", "reopened"}, f"R19: {was.state}"
            said = (event.went_well, event.did_not_go_well, event.learned, event.celebrate)
            assert any(said), "R18: the retrospective says nothing"
        case events.CycleClosed():
            _what_it_came_to(before, event)
        case _:
            pass


def _what_it_came_to(before: Organisation, event: events.CycleClosed) -> None:
    """Section 3: the average of aspirational scores, the share of committed ones met."""
    judged = [
        each
        for each in before.objectives.values()
        if each.cycle_id == event.cycle_id and each.state == "published"
    ]
    scores = [each.score for each in judged if each.objective_kind == "aspirational"]
    known = [each for each in scores if each is not None]
    assert event.aspirational_score == _mean([(Decimal(1), each) for each in known])
    met = [Decimal(each.outcome == "achieved") for each in judged if _is_committed(each)]
    assert event.committed_met == _mean([(Decimal(1), each) for each in met])


def _is_committed(objective: Objective) -> bool:
    return objective.objective_kind == "committed"


# -------------------------------------------------------------------- objectives and key results


def _goal(before: Organisation, event: Event, after: Organisation, asked: Asked) -> None:
    """What may happen to an objective or a key result in which state of its cycle (R6, R19)."""
    objective = _objective_of(after, event)
    cycle = before.cycles[objective.cycle_id]
    policy = _policy_of(before, cycle)
    running = cycle.state != "planned"
    forgotten_draft = isinstance(event, events.ObjectiveDropped) and _was_draft(before, event)
    match event:
        case events.CheckedIn():
            _checked_in(before, event, cycle, asked)
        case events.CheckInCorrected() | events.CheckInRetracted():
            _corrected(before, event, policy, asked)
        case _ if isinstance(event, JUDGING):
            assert cycle.state in {"grading", "reopened"}, f"R16: judged in {cycle.state}"
            _judged(before, event, policy, asked)
        case events.ObjectiveCarriedOver():
            assert cycle.state in {"active", "grading", "reopened"}, f"R21: {cycle.state}"
        case _ if forgotten_draft:
            assert cycle.state != "closed", f"R6: {event} in {cycle.state}"
        case _:
            assert isinstance(event, REWORKING | RESTRUCTURING)
            assert cycle.state in {"planned", "active", "reopened"}, f"R6: {event} {cycle.state}"
            is_graded = isinstance(event, events.ObjectiveKindChanged) and bool(cycle.closings)
            assert not is_graded, f"R17: {event} after grading"
            if running:
                _unlocked(before, event, cycle, policy, asked)
    if not isinstance(event, CORRECTING):
        _still_pursued(before, event)
    if isinstance(event, RESTRUCTURING):
        _restructured(event, policy, running=running)
    _counts_and_weights(event, after, policy)
    _references(before, event, cycle, policy)
    _measured_alike(before, event)
    _follows_its_kpi(before, event, after)
    _carried(before, event, policy)


def _unlocked(
    before: Organisation, event: Event, cycle: Cycle, policy: Policy, asked: Asked
) -> None:
    days = policy.update_lock_days
    if days is not None:
        lock = _midnight(cycle.end_on + timedelta(days=days + 1), before.zone)
        assert asked.now < lock, f"R6: {event} after the update lock"
    days = policy.structure_lock_days
    if days is not None and isinstance(event, RESTRUCTURING):
        lock = _midnight(cycle.start_on + timedelta(days=days), before.zone)
        assert asked.now < lock, f"R6: {event} after the structure lock"


def _still_pursued(before: Organisation, event: Event) -> None:
    if isinstance(event, events.KeyResultEvent):
        key_result = before.key_results.get(event.key_result_id)
        assert key_result is None or not key_result.dropped, f"{event}: dropped before"
    objective = before.objectives.get(_objective_id(before, event))
    if objective is not None:
        assert objective.state in {"draft", "published"}, f"{event}: {objective.state} before"


def _restructured(event: Event, policy: Policy, *, running: bool) -> None:
    """R7: adding, dropping and lowering in a running cycle."""
    mid_cycle = running and policy.mid_cycle_reason != "off"
    needed = isinstance(
        event,
        events.ObjectiveDrafted
        | events.ObjectiveDropped
        | events.KeyResultAdded
        | events.KeyResultDropped,
    )
    if isinstance(event, events.KeyResultRetargeted):
        assert event.lowered == is_lowered(event.measure_was, event.measure)
        needed = event.lowered
    if isinstance(event, events.KeyResultLinkedToKpi):
        needed = is_lowered(event.measure_was, event.measure)
    if mid_cycle and needed:
        assert getattr(event, "mid_cycle", True), f"R7: {event} does not show"
        if policy.mid_cycle_reason == "required":
            assert _says_why(event), f"R7: {event} without a reason"
    if not mid_cycle:
        assert not getattr(event, "mid_cycle", False), f"R7: {event} is not mid-cycle"


def _counts_and_weights(event: Event, after: Organisation, policy: Policy) -> None:
    """R5 where it blocks, and R10: what is judged is what the event adds to."""
    objective = _objective_of(after, event)
    published = objective.state == "published"
    weights = [
        each.weight
        for each in after.key_results.values()
        if each.objective_id == objective.objective_id and not each.dropped
    ]
    if isinstance(event, events.ObjectivePublished):
        assert sum(weights) > 0, f"R10: {event} weighs nothing"
        assert policy.weights != "sum_to_100" or sum(weights) == 100, f"R10: {event}: {weights}"
        assert policy.weights != "equal" or set(weights) == {1}, f"R10: {event}: {weights}"
    if isinstance(event, events.KeyResultAdded | events.KeyResultReweighted):
        assert policy.weights != "equal" or event.weight == 1, f"R10: {event}"
        more = event.weight > getattr(event, "weight_was", 0)
        if policy.weights == "sum_to_100" and published and more:
            assert sum(weights) <= 100, f"R10: {event}: {weights}"
    if policy.counts == "block":
        if isinstance(event, events.ObjectivePublished | events.KeyResultAdded) and published:
            assert len(weights) <= policy.key_results_max, f"R5: {event}: {weights}"
        if isinstance(event, events.ObjectivePublished | events.KeyResultDropped) and published:
            assert len(weights) >= policy.key_results_min, f"R5: {event}: {weights}"
        if (
            isinstance(event, events.ObjectiveDrafted | events.ObjectiveReassigned)
            and getattr(event, "unit_id_was", None) != event.unit_id
        ):
            beside = [
                each
                for each in after.objectives.values()
                if (each.cycle_id, each.unit_id) == (objective.cycle_id, objective.unit_id)
                and each.state in {"draft", "published"}
            ]
            company = after.units[event.unit_id].unit_kind == "company"
            most = policy.company_objectives_max if company else policy.unit_objectives_max
            assert len(beside) <= most, f"R5: {event}: {len(beside)}"


def _references(before: Organisation, event: Event, cycle: Cycle, policy: Policy) -> None:
    """R3 and R9: what an event refers to anew."""
    owner = getattr(event, "owner", None)
    if owner is not None and owner != getattr(event, "owner_was", None):
        unit = before.units.get(owner)
        is_team = unit is not None and unit.unit_kind != "person"
        assert policy.owner_may_be_team or not is_team, f"R3: {event}"
    unit_id = getattr(event, "unit_id", None)
    if unit_id is not None and unit_id != getattr(event, "unit_id_was", None):
        assert not before.units[unit_id].retired, f"R3: {event}"
    parents = getattr(event, "aligned_to", ())
    assert policy.parents == "many" or len(parents) <= 1, f"R9: {event}"
    assert len(set(parents)) == len(parents), f"R9: {event}"
    for parent in set(parents) - set(getattr(event, "aligned_to_was", ())):
        kind, _, goal_id = parent.partition("/")
        if kind == "key_result":
            assert not before.key_results[goal_id].dropped, f"R9: {event}"
            goal_id = before.key_results[goal_id].objective_id
        above = before.objectives[goal_id]
        assert above.state in {"draft", "published"}, f"R9: {event}"
        around = before.cycles[above.cycle_id]
        assert around.state not in {"closed", "cancelled"}, f"R9: {event}"


def _measured_alike(before: Organisation, event: Event) -> None:
    """R8: kind, unit and direction are fixed after the first check-in."""
    if not isinstance(event, events.KeyResultRetargeted):
        return
    check_ins = _check_ins_on(before, event.key_result_id)
    if check_ins:
        assert type(event.measure_was) is type(event.measure), f"R8: {event}"
        if not isinstance(event.measure_was, KpiLinked):
            assert _scale(event.measure_was) == _scale(event.measure), f"R8: {event}"
    for measure in (event.measure_was, event.measure):
        linked = isinstance(measure, KpiLinked)
        assert linked == isinstance(event.measure, KpiLinked), f"R25: {event} unlinks in passing"


def _follows_its_kpi(before: Organisation, event: Event, after: Organisation) -> None:
    """R25: a value entered by hand is refused where the readings are the values."""
    if isinstance(event, events.CheckedIn | events.CheckInCorrected):
        linked = isinstance(after.key_results[event.key_result_id].measure, KpiLinked)
        was = before.check_ins.get((event.key_result_id, event.check_in_id))
        kept = was is not None and was.value == event.value
        assert event.value is None or not linked or kept, f"R25: {event} by hand"
    if isinstance(event, events.KeyResultLinkedToKpi):
        assert isinstance(event.measure, KpiLinked)
        assert not isinstance(event.measure_was, KpiLinked), f"R25: {event} is linked already"
        assert not before.kpis[event.measure.kpi_id].retired, f"R25: {event}"
        kpi = before.kpis[event.measure.kpi_id]
        scale = kpi.versions[-1].definition.unit, _scale(event.measure)[1]
        said = _check_ins_on(before, event.key_result_id)
        counted = any(each.value is not None for each in said)
        assert not counted or _scale(event.measure_was) == scale, f"R8: {event} changes the scale"
    if isinstance(event, events.KeyResultUnlinkedFromKpi):
        assert isinstance(event.measure_was, KpiLinked)
        assert not isinstance(event.measure, KpiLinked), f"R25: {event} is not unlinked"


def _carried(before: Organisation, event: Event, policy: Policy) -> None:
    """R21: a new one that says where it came from, and starts where the old one ended."""
    if isinstance(event, events.ObjectiveDrafted) and event.carried_from is not None:
        assert before.objectives[event.carried_from].carried_to == event.objective_id, f"{event}"
    if isinstance(event, events.KeyResultAdded) and event.carried_from is not None:
        source = before.key_results[event.carried_from]
        old = before.objectives[source.objective_id]
        assert old.carried_to == event.objective_id, f"R21: {event}"
        assert not source.dropped, f"R21: {event} carries what was dropped"
        weighs = Decimal(1) if policy.weights == "equal" else source.weight
        assert event.weight == weighs, f"R21: {event} weighs something else"
        if event.measure != source.measure:
            starts = replace(source.measure, baseline=_counted(before, source))
            assert policy.carry_over_baseline == "last_value", f"R21: {event}"
            assert event.measure == starts, f"R21: {event}"


def _checked_in(before: Organisation, event: events.CheckedIn, cycle: Cycle, asked: Asked) -> None:
    """R11, R13 and R15."""
    zone, policy = before.zone, _policy_of(before, cycle)
    objective = before.objectives[before.key_results[event.key_result_id].objective_id]
    assert objective.state == "published", f"R11: {event} on a {objective.state}"
    assert cycle.state in {"active", "grading", "reopened"}, f"R11: {event} in {cycle.state}"
    assert event.effective_at <= asked.now, f"R13: {event} lies in the future"
    end = _midnight(cycle.end_on + timedelta(days=1), zone)
    assert _midnight(cycle.start_on, zone) <= event.effective_at < end, f"R13: {event} is outside"
    last = min(asked.now, end - timedelta(microseconds=1))
    back = _local(last, zone) - _local(event.effective_at, zone)
    assert back.days <= policy.backdating_days_max, f"R13: {event} is {back.days} days back"
    grace = timedelta(days=1 + policy.grace_days_after_end)
    if cycle.state == "active":
        assert asked.now < _midnight(cycle.end_on + grace, zone), f"R15: {event} after grace"
    if policy.update_lock_days is not None:
        lock = timedelta(days=1 + policy.update_lock_days)
        assert asked.now < _midnight(cycle.end_on + lock, zone), f"R6: {event} after the lock"
    _says_enough(policy, event)


def _corrected(
    before: Organisation,
    event: events.CheckInCorrected | events.CheckInRetracted,
    policy: Policy,
    asked: Asked,
) -> None:
    """R14: who, for how long, and only what stands."""
    was = before.check_ins[event.key_result_id, event.check_in_id]
    assert not was.retracted, f"R14: {event} of one that was retracted"
    assert event.effective_at == was.effective_at, f"R14: {event} moves it"
    if policy.correction_by == "author":
        assert asked.actor == was.actor, f"R14: {event} by {asked.actor}"
    if policy.correction_window_days is not None:
        until = was.known_at + timedelta(days=policy.correction_window_days)
        assert asked.now <= until, f"R14: {event} too late"
    if isinstance(event, events.CheckInCorrected):
        _says_enough(policy, event)


def _says_enough(policy: Policy, event: events.CheckedIn | events.CheckInCorrected) -> None:
    assert event.note.strip() or not policy.note_required, f"R11: {event} without a note"
    confident = event.confidence is not None
    assert confident or not policy.confidence_required, f"R11: {event} without a confidence"


def _judged(before: Organisation, event: Event, policy: Policy, asked: Asked) -> None:
    """R16, R17 and R18."""
    goal: Objective | KeyResult = _thing(before, event)
    assert _objective_of(before, event).state == "published", f"R16: {event} of a draft"
    if isinstance(event, events.KeyResultWaived):
        return
    assert isinstance(event, events.KeyResultGraded | events.ObjectiveGraded)
    assert policy.grade_by_owner or asked.actor != goal.owner, f"R16: {event} by its owner"
    if isinstance(event, events.KeyResultGraded):
        assert isinstance(goal, KeyResult)
        computed = _computed(before, goal, policy, asked.now)
        assert event.score_computed == computed, f"R16: {event}, not {computed}"
    else:
        assert event.outcome in {"achieved", "partial", "missed"}, f"R18: {event}"
        assert isinstance(goal, Objective)
        if (goal.objective_kind, event.outcome) == ("committed", "missed"):
            assert _says_why(event), f"R17: {event} without an explanation"
        scores = [
            (each.weight, each.score)
            for each in before.key_results.values()
            if each.objective_id == event.objective_id and not each.dropped
        ]
        scored = [(weight, score) for weight, score in scores if score is not None]
        assert event.score_computed == _mean(scored), f"R16: {event}"
    if event.score != event.score_computed and event.score_computed is not None:
        assert policy.grade_adjustable, f"R16: {event} is adjusted"
        assert _says_why(event), f"R16: {event} without a reason"


def _computed(
    before: Organisation, key_result: KeyResult, policy: Policy, now: datetime
) -> Decimal | None:
    """Section 3: progress of the value that counts, in steps of 0.01."""
    if isinstance(key_result.measure, Maintain):
        reached = _kept(before, key_result, policy, now)
    else:
        reached = progress(key_result.measure, _counted(before, key_result))
    return None if reached is None else reached.quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def _kept(
    before: Organisation, key_result: KeyResult, policy: Policy, now: datetime
) -> Decimal | None:
    """Section 3: met check-ins over check-ins due, or the share of time inside the band."""
    assert isinstance(key_result.measure, Maintain)
    cycle = before.cycles[before.objectives[key_result.objective_id].cycle_id]
    values = sorted(
        (each.effective_at, each.position, _inside(key_result.measure, each.value))
        for each in _check_ins_on(before, key_result.key_result_id)
        if each.value is not None
    )
    if key_result.measure.counted_by == "time":
        begin = _midnight(cycle.start_on, before.zone)
        until = min(now, _midnight(cycle.end_on + timedelta(days=1), before.zone))
        spent, since, inside = timedelta(), begin, False
        for at, _, met in [*values, (until, 0, False)]:
            spent += (at - since) if inside else timedelta()
            since, inside = at, met
        return _ratio(spent // timedelta(microseconds=1), (until - begin).total_seconds() * 10**6)
    last_day: dict[object, date] = {}
    for offset in range((cycle.end_on - cycle.start_on).days + 1):
        day = cycle.start_on + timedelta(days=offset)
        last_day[_period(day, cycle, policy)] = day
    over = {
        period
        for period, day in last_day.items()
        if _midnight(day + timedelta(days=1), before.zone) <= now
    }
    last = {_period(_local(at, before.zone), cycle, policy): met for at, _, met in values}
    return _ratio(sum(last.get(period, False) for period in over), len(over))


def _period(day: date, cycle: Cycle, policy: Policy) -> object:
    if policy.cadence == "monthly":
        return day.year, day.month
    return (day - cycle.start_on).days // {"weekly": 7, "biweekly": 14}[policy.cadence]


def _inside(measure: Maintain, value: Decimal) -> bool:
    low = measure.lower is not None and value < measure.lower
    high = measure.upper is not None and value > measure.upper
    return not low and not high


def _ratio(part: float, whole: float) -> Decimal | None:
    if whole <= 0:
        return None
    # In two steps, as for the mean below: millionths first.
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)


def _counted(before: Organisation, key_result: KeyResult) -> Decimal | None:
    """Section 3: greatest effective_at, ties by position; linked ones follow the readings."""
    values: list[tuple[datetime, int, Decimal | None]]
    if isinstance(key_result.measure, KpiLinked):
        cycle = before.cycles[before.objectives[key_result.objective_id].cycle_id]
        begin = _midnight(cycle.start_on, before.zone)
        end = _midnight(cycle.end_on + timedelta(days=1), before.zone)
        values = [
            (each.effective_at, each.position, each.value)
            for key, each in before.readings.items()
            if key[0] == key_result.measure.kpi_id
            and not each.retracted
            and begin <= each.effective_at < end
        ]
    else:
        values = [
            (each.effective_at, each.position, each.value)
            for each in _check_ins_on(before, key_result.key_result_id)
            if each.value is not None
        ]
    return max(values, key=lambda each: each[:2])[2] if values else None


# ------------------------------------------------------------------------------------ indicators


def _kpi(before: Organisation, event: Event, asked: Asked) -> None:
    kpi = before.kpis.get(event.goal_id)
    owner = getattr(event, "owner", None)
    falls_to_owner = kpi is not None and owner == kpi.owner  # of a review that opens by itself
    if owner is not None and owner != getattr(event, "owner_was", None) and not falls_to_owner:
        unit = before.units.get(owner)
        is_team = unit is not None and unit.unit_kind != "person"
        assert before.policy.owner_may_be_team or not is_team, f"R3: {event}"
    if isinstance(event, events.KpiReadingRecorded | events.KpiReadingMissed):
        key = event.kpi_id, event.period, event.source
        known = before.readings.get(key)
        assert known is None or known.retracted, f"R23: {event} is there already"
        assert kpi is not None
        assert not kpi.retired, f"R22: {event}"
        last = date.fromisoformat(event.period.partition("/")[2])
        # What is computed was over when what it is made of came, though the clock be behind since.
        now = max(asked.now, before.known_at_max) if event.source == "formula" else asked.now
        assert event.effective_at <= now, f"R13: {event} is not over"
        after_it = _midnight(last + timedelta(days=1), before.zone)
        assert event.effective_at == after_it - timedelta(microseconds=1), f"R23: {event}"
        if isinstance(event, events.KpiReadingRecorded):
            in_force = [each for each in kpi.versions if each.effective_on <= last]
            latest = max(in_force, key=lambda each: each.effective_on)
            assert event.definition_version == latest.version, f"R22: {event}"
    if isinstance(event, events.KpiReadingCorrected | events.KpiReadingRetracted):
        reading = before.readings[event.kpi_id, event.period, event.source]
        assert not reading.retracted, f"R14: {event} of one that was retracted"
        assert event.effective_at == reading.effective_at, f"R14: {event} moves it"
        if isinstance(event, events.KpiReadingCorrected):
            assert event.definition_version == reading.definition_version, f"R22: {event}"
        days = before.policy.restatement_window_days
        # What is computed follows what it is made of, whenever that comes (R27).
        if days is not None and event.source != "formula":
            last = date.fromisoformat(event.period.partition("/")[2])
            until = _midnight(last + timedelta(days=days + 1), before.zone)
            assert asked.now < until, f"R23: {event} too late"
    if isinstance(event, events.KpiRedefined | events.KpiRetargeted | events.KpiReviewOpened):
        assert kpi is not None
        assert not kpi.retired, f"R22: {event}"
    if isinstance(event, events.KpiReviewOpened) and event.review_id.startswith("breach-"):
        assert kpi is not None
        assert kpi.health == "breach", f"R24: {event} of a KPI that is {kpi.health}"
        reviews = [each for key, each in before.reviews.items() if key[0] == event.kpi_id]
        assert all(each.closed for each in reviews), f"R24: {event} beside another"
    if isinstance(event, events.KpiReadingRecorded | events.KpiReadingMissed):
        assert kpi is not None
        last = date.fromisoformat(event.period.partition("/")[2])
        in_force = [each for each in kpi.versions if each.effective_on <= last]
        is_computed = max(in_force, key=lambda each: each.effective_on).definition.formula
        by_formula = event.source == "formula"
        assert by_formula == (is_computed is not None), f"R27: {event}"
    if isinstance(event, events.KpiReviewClosed):
        review = before.reviews[event.kpi_id, event.review_id]
        assert review.closed is None, f"R24: {event} twice"
        named = event.objective_id is not None
        assert named == (event.decision == "recovery_objective"), f"R24: {event}"
        assert event.decision != "accept" or _says_why(event), f"R24: {event} without a reason"
        if event.objective_id is not None:
            recovery = before.objectives[event.objective_id]
            assert recovery.state in {"draft", "published"}, f"R24: {event}: {recovery.state}"
            around = before.cycles[recovery.cycle_id]
            assert around.state not in {"closed", "cancelled"}, f"R24: {event}: {around.state}"


def _breach_runs(organisation: Organisation, kpi_id: str) -> bool:
    """R24: whether the latest periods, as many as the policy says, were all in breach."""
    runs = organisation.policy.breach_runs
    last = [health for _, _, health in _standings(organisation, kpi_id)[:runs]]
    return last == ["breach"] * runs


def _standings(organisation: Organisation, kpi_id: str) -> list[tuple[datetime, str, str]]:
    """When each period ended, which it was and what it says: the latest first.

    Of what ends at once a reading counts before its absence, and the last recorded first.
    """
    ends: dict[datetime, tuple[int, str, str]] = {}
    for key, missed in organisation.missed.items():
        if key[0] == kpi_id:
            ends.setdefault(missed.effective_at, (0, key[1], "no_data"))
    versions = organisation.kpis[kpi_id].versions
    for key, reading in organisation.readings.items():
        if key[0] == kpi_id and not reading.retracted:
            bands = versions[reading.definition_version - 1].definition.bands
            health = "no_data" if bands is None else "breach"
            if bands is not None and _holds(bands.warning, reading.value):
                health = "warning"
            if bands is not None and _holds(bands.healthy, reading.value):
                health = "healthy"
            said = reading.position, key[1], health
            ends[reading.effective_at] = max(ends.get(reading.effective_at, said), said)
    return [(at, *said[1:]) for at, said in sorted(ends.items(), reverse=True)]


def _holds(band: events.Band, value: Decimal) -> bool:
    above = band.low is None or value >= band.low
    return above and (band.high is None or value <= band.high)


# ----------------------------------------------------------------------------- small questions


def _objective_id(organisation: Organisation, event: Event) -> str:
    if isinstance(event, events.KeyResultAdded | events.ObjectiveEvent):
        return event.objective_id
    return organisation.key_results[event.goal_id].objective_id


def _objective_of(organisation: Organisation, event: Event) -> Objective:
    return organisation.objectives[_objective_id(organisation, event)]


def _was_draft(before: Organisation, event: Event) -> bool:
    return _objective_of(before, event).state == "draft"


def _check_ins_on(organisation: Organisation, key_result_id: str) -> list[CheckIn]:
    return [
        each
        for key, each in organisation.check_ins.items()
        if key[0] == key_result_id and not each.retracted
    ]


def _policy_of(organisation: Organisation, cycle: Cycle) -> Policy:
    """R20: the one a cycle was activated under; until then, the organisation's."""
    return cycle.policy or organisation.policy


def _says_why(event: Event) -> bool:
    reason: str | None = getattr(event, "reason", None)
    return reason is not None and bool(reason.strip())


def _scale(measure: Measure) -> tuple[str, str]:
    """Unit and direction."""
    match measure:
        case Metric(baseline=baseline, target=goal) | KpiLinked(baseline=baseline, target=goal):
            return getattr(measure, "unit", ""), "up" if goal > baseline else "down"
        case FourPointMetric(unit=unit, baseline=baseline, stretch=goal):
            return unit, "up" if goal > baseline else "down"
        case Maintain(unit=unit, lower=lower, upper=upper):
            return unit, "".join(("" if lower is None else ">", "" if upper is None else "<"))
        case Count(unit=unit):
            return unit, "up"
        case _:
            return getattr(measure, "unit", ""), type(measure).__name__


def _mean(parts: list[tuple[Decimal, Decimal]]) -> Decimal | None:
    weights = sum((weight for weight, _ in parts), Decimal(0))
    if not weights:
        return None
    total = sum((weight * number for weight, number in parts), Decimal(0))
    # In two steps, as the contracts' weighted mean says: millionths first.
    mean = (total / weights).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
    return mean.quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _local(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()
