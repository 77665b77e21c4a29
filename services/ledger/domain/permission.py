"""R30: who may ask for what: the least role of every command, and the units it reaches into.

Contributors report, wherever it is; what owners and leads may do, they may do in their units and
in those below. Viewers and auditors read.
"""

from collections.abc import Iterator, Mapping

from goal_contracts import commands
from goal_contracts.commands import Command
from goal_contracts.fields import Role
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import Asked
from services.ledger.domain.decided_on import goal_kind
from services.ledger.domain.organisation import Organisation

ROLES: tuple[Role, ...] = ("viewer", "auditor", "contributor", "owner", "unit_lead", "admin")
"""From the least to the greatest."""

LEAST: Mapping[type[Command], Role] = {
    commands.OpenOrganisation: "admin",
    commands.ChangePolicy: "admin",
    commands.StartHistoryImport: "admin",
    commands.FinishHistoryImport: "admin",
    commands.DefineUnit: "admin",
    commands.RenameUnit: "unit_lead",
    commands.MoveUnit: "admin",
    commands.RetireUnit: "admin",
    commands.PlanCycle: "admin",
    commands.RescheduleCycle: "admin",
    commands.ActivateCycle: "admin",
    commands.StartCycleGrading: "admin",
    commands.CloseCycle: "admin",
    commands.ReopenCycle: "admin",
    commands.CancelCycle: "admin",
    commands.RecordRetrospective: "unit_lead",
    commands.DraftObjective: "owner",
    commands.PublishObjective: "owner",
    commands.RewordObjective: "owner",
    commands.ReassignObjective: "owner",
    commands.ChangeObjectiveContributors: "owner",
    commands.RealignObjective: "owner",
    commands.ChangeObjectiveKind: "unit_lead",
    commands.DropObjective: "unit_lead",
    commands.GradeObjective: "owner",
    commands.CarryOverObjective: "unit_lead",
    commands.AddKeyResult: "owner",
    commands.RewordKeyResult: "owner",
    commands.ReassignKeyResult: "owner",
    commands.ReweightKeyResult: "owner",
    commands.RetargetKeyResult: "owner",
    commands.DropKeyResult: "unit_lead",
    commands.LinkKeyResultToKpi: "owner",
    commands.UnlinkKeyResultFromKpi: "owner",
    commands.CheckIn: "contributor",
    commands.CorrectCheckIn: "contributor",
    commands.RetractCheckIn: "contributor",
    commands.RecordCheckIns: "contributor",
    commands.GradeKeyResult: "owner",
    commands.WaiveKeyResult: "unit_lead",
    commands.DefineKpi: "unit_lead",
    commands.RedefineKpi: "owner",
    commands.RetargetKpi: "owner",
    commands.ReassignKpi: "owner",
    commands.RetireKpi: "unit_lead",
    commands.RecordReading: "contributor",
    commands.RecordReadings: "contributor",
    commands.CorrectReading: "contributor",
    commands.CorrectReadings: "contributor",
    commands.RetractReading: "contributor",
    commands.RecordMissedReading: "contributor",
    commands.OpenKpiReview: "unit_lead",
    commands.CloseKpiReview: "unit_lead",
    commands.AddComment: "contributor",
}
"""What each command takes, where no setting and no authorship says otherwise."""


def refuse_unless_permitted(
    organisation: Organisation | None, command: Command, asked: Asked
) -> None:
    """A goal that does not exist is not found, before anybody's role is looked at."""
    if asked.role == "admin":
        return
    needed, reached = LEAST[type(command)], tuple[str, ...]()
    if organisation is not None:
        is_report = needed == "contributor"
        needed = _needed(organisation, command, asked)
        if not is_report or needed != "contributor":
            reached = tuple(_units(organisation, command))
    if ROLES.index(asked.role) < ROLES.index(needed):
        raise Refusal(
            Reason.NOT_PERMITTED,
            f"{type(command).__name__} takes the role {needed}",
            seen=asked.role,
            accepted=_or_greater(needed),
        )
    for unit_id in reached:
        if asked.units and organisation is not None and not _is_in(organisation, unit_id, asked):
            raise Refusal(
                Reason.NOT_PERMITTED,
                f"{type(command).__name__} reaches into the unit {unit_id}",
                seen=f"{asked.role} in {', '.join(asked.units)}",
                accepted=f"{needed} in {unit_id} or a unit above it; or admin",
            )


def _needed(organisation: Organisation, command: Command, asked: Asked) -> Role:
    """Settings name who waives and reopens; what somebody else said, owners put right."""
    match command:
        case commands.WaiveKeyResult():
            cycle = organisation.cycle_of(organisation.key_result(command.key_result_id))
            return _at_least_contributor(organisation.policy_of(cycle).waived_by)
        case commands.ReopenCycle():
            cycle = organisation.cycle(command.cycle_id)
            return _at_least_contributor(organisation.policy_of(cycle).reopened_by)
        case commands.CorrectCheckIn() | commands.RetractCheckIn():
            made = organisation.check_ins.get((command.key_result_id, command.check_in_id))
            return "contributor" if made is None or made.actor == asked.actor else "owner"
        case _:
            return LEAST[type(command)]


def _units(organisation: Organisation, command: Command) -> Iterator[str]:
    """The units a command reaches into: the goal's, and the one it is put into."""
    match command:
        case commands.DraftObjective() | commands.DefineKpi():
            yield organisation.unit(command.unit_id).unit_id
        case commands.AddKeyResult():
            yield organisation.objective(command.objective_id).unit_id
        case commands.OpenKpiReview():
            yield organisation.kpi(command.kpi_id).unit_id
        case _:
            yield from _unit_of_goal(organisation, command)
    if isinstance(command, commands.ReassignObjective | commands.ReassignKpi) and command.unit_id:
        yield organisation.unit(command.unit_id).unit_id


def _unit_of_goal(organisation: Organisation, command: Command) -> Iterator[str]:
    kind = goal_kind(command)
    goal_id: str = getattr(command, f"{kind}_id", "")
    match kind:
        case "unit":
            yield organisation.unit(goal_id).unit_id
        case "objective":
            yield organisation.objective(goal_id).unit_id
        case "key_result":
            objective_id = organisation.key_result(goal_id).objective_id
            yield organisation.objectives[objective_id].unit_id
        case "kpi":
            yield organisation.kpi(goal_id).unit_id
        case _:
            pass


def _is_in(organisation: Organisation, unit_id: str, asked: Asked) -> bool:
    above: str | None = unit_id
    while above is not None:
        if above in asked.units:
            return True
        above = organisation.units[above].parent_id
    return False


def _at_least_contributor(role: Role) -> Role:
    """Whatever a setting says: viewers and auditors write nothing."""
    return role if ROLES.index(role) > ROLES.index("contributor") else "contributor"


def _or_greater(role: Role) -> str:
    return role if role == "admin" else f"{role} or a greater role"
