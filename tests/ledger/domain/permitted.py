"""Who may ask for what (R30), and on what it was decided (R29): DOMAIN.md in a second telling.

Written from DOMAIN.md and not from the decisions, so that it can judge them: by what a command was
answered with, and by which goals and units its events belong to.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from goal_contracts import commands, events
from goal_contracts.commands import Command
from goal_contracts.events import Event
from goal_contracts.fields import Role
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import Asked
from services.ledger.domain.organisation import Organisation

RANK: Mapping[Role, int] = {
    "viewer": 0,
    "auditor": 0,
    "contributor": 1,
    "owner": 2,
    "unit_lead": 3,
    "admin": 4,
}
"""R30: an auditor reads more than a viewer, and writes as little."""

REPORTING = (
    commands.CheckIn
    | commands.CorrectCheckIn
    | commands.RetractCheckIn
    | commands.RecordCheckIns
    | commands.RecordReading
    | commands.RecordReadings
    | commands.CorrectReading
    | commands.CorrectReadings
    | commands.RetractReading
    | commands.RecordMissedReading
    | commands.AddComment
)
LEADING = (
    commands.RenameUnit
    | commands.RecordRetrospective
    | commands.ChangeObjectiveKind
    | commands.DropObjective
    | commands.CarryOverObjective
    | commands.DropKeyResult
    | commands.DefineKpi
    | commands.RetireKpi
    | commands.OpenKpiReview
    | commands.CloseKpiReview
)
RUNNING = (
    commands.OpenOrganisation
    | commands.ChangePolicy
    | commands.StartHistoryImport
    | commands.FinishHistoryImport
    | commands.DefineUnit
    | commands.MoveUnit
    | commands.RetireUnit
    | commands.PlanCycle
    | commands.RescheduleCycle
    | commands.ActivateCycle
    | commands.StartCycleGrading
    | commands.CloseCycle
    | commands.CancelCycle
)
"""What is the whole organisation's. Whatever stands nowhere here is the owner's."""

ADDING = (
    commands.OpenOrganisation
    | commands.StartHistoryImport
    | commands.FinishHistoryImport
    | commands.DefineUnit
    | commands.PlanCycle
    | commands.RecordRetrospective
    | commands.DraftObjective
    | commands.AddKeyResult
    | commands.CheckIn
    | commands.RecordCheckIns
    | commands.DefineKpi
    | commands.RecordReading
    | commands.RecordReadings
    | commands.RecordMissedReading
    | commands.OpenKpiReview
    | commands.AddComment
)
"""R29: what changes nothing that somebody could have changed since."""

BY_ITSELF = events.KpiHealthChanged | events.KpiReviewOpened
"""What follows from a report, whoever reports."""

REPORTS = (
    events.CheckedIn
    | events.KpiReadingRecorded
    | events.KpiReadingCorrected
    | events.KpiReadingRetracted
    | events.KpiReadingMissed
    | events.CommentAdded
)

Changed = Mapping[tuple[str, str], int]
"""By kind and id of a goal the position of the last event that changed it: any but a comment."""


def check(
    state: Organisation | None,
    command: Command,
    asked: Asked,
    happened: tuple[Event, ...] | Refusal,
    changed: Changed,
) -> None:
    """AssertionError names what is broken: too much was allowed, or refused without need."""
    if isinstance(happened, Refusal):
        _refused(state, command, asked, happened, changed)
        return
    assert RANK[asked.role] > 0, f"R30: {asked.role} writes"
    if state is None:
        assert asked.role == "admin", f"R30: {asked.role} opens an organisation"
        return
    needed = _least(state, command, asked)
    assert RANK[asked.role] >= RANK[needed], f"R30: {command} by {asked.role}, not {needed}"
    for each in happened:
        _in_its_units(state, each, asked)
    if asked.decided_on is not None:
        seen = max(state.position, asked.log_position or 0)
        assert asked.decided_on <= seen, f"R29: {command} was decided on the future"
    if isinstance(command, ADDING) or not happened:
        return
    corrects = isinstance(command, commands.CorrectCheckIn | commands.RetractCheckIn)
    corrects |= isinstance(
        command, commands.CorrectReading | commands.CorrectReadings | commands.RetractReading
    )
    if asked.decided_on is None:
        free = state.policy.decided_on == "optional" or asked.import_id is not None
        assert free or corrects, f"R29: {command} says not on what it was decided"
        return
    for each in happened if isinstance(command, commands.CorrectReadings) else happened[:1]:
        computed = getattr(each, "source", None) == "formula"
        if not computed and not isinstance(each, BY_ITSELF):
            last = changed.get((each.kind, each.goal_id), 0)
            assert last <= asked.decided_on, f"R29: {command}: {each.goal_id} changed at {last}"


def _refused(
    state: Organisation | None, command: Command, asked: Asked, refusal: Refusal, changed: Changed
) -> None:
    if refusal.reason == Reason.NOT_PERMITTED:
        assert asked.role != "admin", f"R30: {command} by an admin"
        if state is not None and RANK[asked.role] >= RANK[_least(state, command, asked)]:
            named = set(_named(state, command))
            outside = [each for each in named if not _is_below(state, each, asked.units)]
            assert asked.units, f"R30: {command} by {asked.role} everywhere"
            assert outside, f"R30: {command} by {asked.role} in {asked.units}"
    if refusal.reason == Reason.GOAL_CHANGED_SINCE:
        assert asked.decided_on is not None, f"R29: {command} was decided on nothing"
        goals = {(kind, goal_id) for each in _parts(command) for kind, goal_id in _ids(each)}
        goals.add(("organisation", asked.organisation_id))
        last = max(changed.get(each, 0) for each in goals)
        assert last > asked.decided_on, f"R29: {command}: nothing changed since"
    if refusal.reason == Reason.DECIDED_ON_REQUIRED:
        assert state is not None
        assert state.policy.decided_on == "required", f"R29: {command}"
        assert asked.decided_on is None, f"R29: {command} says on what"
        assert asked.import_id is None, f"R29: {command} is imported"
        assert not isinstance(command, ADDING), f"R29: {command} adds"


def _least(state: Organisation, command: Command, asked: Asked) -> Role:
    """R14, R18 and R19 have settings of their own: who corrects, waives and reopens."""
    match command:
        case commands.WaiveKeyResult():
            key_result = state.key_results.get(command.key_result_id)
            if key_result is None:
                return "unit_lead"
            cycle = state.cycles[state.objectives[key_result.objective_id].cycle_id]
            return _writing((cycle.policy or state.policy).waived_by)
        case commands.ReopenCycle():
            known = state.cycles.get(command.cycle_id)
            policy = None if known is None else known.policy
            return _writing((policy or state.policy).reopened_by)
        case commands.CorrectCheckIn() | commands.RetractCheckIn():
            made = state.check_ins.get((command.key_result_id, command.check_in_id))
            foreign = made is not None and made.actor != asked.actor
            return "owner" if foreign else "contributor"
        case _ if isinstance(command, RUNNING):
            return "admin"
        case _ if isinstance(command, LEADING):
            return "unit_lead"
        case _:
            return "contributor" if isinstance(command, REPORTING) else "owner"


def _writing(role: Role) -> Role:
    return role if RANK[role] else "contributor"


def _in_its_units(state: Organisation, event: Event, asked: Asked) -> None:
    """What owners and leads do belongs to one of their units, or to one below."""
    if asked.role == "admin" or not asked.units or isinstance(event, REPORTS | BY_ITSELF):
        if not isinstance(event, events.KpiReviewOpened) or event.review_id.startswith("breach-"):
            return
        if asked.role == "admin" or not asked.units:
            return
    if isinstance(event, events.CheckInCorrected | events.CheckInRetracted):
        made = state.check_ins[event.key_result_id, event.check_in_id]
        if made.actor == asked.actor:
            return
    for unit_id in {*_units(state, event.kind, event.goal_id, event)}:
        assert _is_below(state, unit_id, asked.units), f"R30: {event} outside {asked.units}"


def _units(state: Organisation, kind: str, goal_id: str, said: object) -> Iterator[str]:
    """The units of a goal, as it was and as an event or a command says."""
    objective_id = None
    if kind == "objective":
        objective_id = goal_id
    elif kind == "key_result":
        known = state.key_results.get(goal_id)
        objective_id = getattr(said, "objective_id", None) if known is None else known.objective_id
    if objective_id is not None and objective_id in state.objectives:
        yield state.objectives[objective_id].unit_id
    if kind == "kpi" and goal_id in state.kpis:
        yield state.kpis[goal_id].unit_id
    if kind == "unit":
        yield goal_id
    unit_id: str | None = getattr(said, "unit_id", None)
    if unit_id is not None:
        yield unit_id


def _named(state: Organisation, command: Command) -> Iterator[str]:
    for kind, goal_id in _ids(command):
        yield from _units(state, kind, goal_id, command)


def _ids(said: object) -> Iterator[tuple[str, str]]:
    for kind in ("unit", "cycle", "objective", "key_result", "kpi"):
        goal_id: str | None = getattr(said, f"{kind}_id", None)
        if goal_id is not None:
            yield kind, goal_id


def _parts(command: Any) -> Iterator[object]:
    yield command
    if isinstance(command, commands.CorrectReadings):
        yield from command.corrections


def _is_below(state: Organisation, unit_id: str, above: tuple[str, ...]) -> bool:
    while unit_id not in above:
        unit = state.units.get(unit_id)
        if unit is None or unit.parent_id is None:
            return False
        unit_id = unit.parent_id
    return True
