"""R29: whoever edits a goal may say on which position that was decided.

If the goal has changed since, the edit is refused and not merged: somebody has to look again. A
check-in or a reading is a change, too; a comment is not.
"""

from collections.abc import Mapping

from goal_contracts import commands
from goal_contracts.commands import Command
from goal_contracts.fields import Kind
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import Asked
from services.ledger.domain.organisation import Organisation

EDITS: Mapping[type[Command], Kind] = {
    commands.ChangePolicy: "organisation",
    commands.RenameUnit: "unit",
    commands.MoveUnit: "unit",
    commands.RetireUnit: "unit",
    commands.RescheduleCycle: "cycle",
    commands.ActivateCycle: "cycle",
    commands.StartCycleGrading: "cycle",
    commands.CloseCycle: "cycle",
    commands.ReopenCycle: "cycle",
    commands.CancelCycle: "cycle",
    commands.PublishObjective: "objective",
    commands.RewordObjective: "objective",
    commands.ReassignObjective: "objective",
    commands.ChangeObjectiveContributors: "objective",
    commands.RealignObjective: "objective",
    commands.ChangeObjectiveKind: "objective",
    commands.DropObjective: "objective",
    commands.GradeObjective: "objective",
    commands.CarryOverObjective: "objective",
    commands.RewordKeyResult: "key_result",
    commands.ReassignKeyResult: "key_result",
    commands.ReweightKeyResult: "key_result",
    commands.RetargetKeyResult: "key_result",
    commands.DropKeyResult: "key_result",
    commands.LinkKeyResultToKpi: "key_result",
    commands.UnlinkKeyResultFromKpi: "key_result",
    commands.GradeKeyResult: "key_result",
    commands.WaiveKeyResult: "key_result",
    commands.RedefineKpi: "kpi",
    commands.RetargetKpi: "kpi",
    commands.ReassignKpi: "kpi",
    commands.RetireKpi: "kpi",
    commands.CloseKpiReview: "kpi",
}
"""The edits, and the kind of goal each names: of these the policy may require a position."""

CORRECTIONS: Mapping[type[Command], Kind] = {
    commands.CorrectCheckIn: "key_result",
    commands.RetractCheckIn: "key_result",
    commands.CorrectReading: "kpi",
    commands.RetractReading: "kpi",
}
"""These name what they correct, so a position is heeded where it is given and never required."""

_EDITED = {**EDITS, **CORRECTIONS}


def goal_kind(command: Command) -> Kind | None:
    """What kind of goal a command edits or corrects; None if it does neither."""
    return _EDITED.get(type(command))


def refuse_unless_current(organisation: Organisation, command: Command, asked: Asked) -> None:
    """Whatever creates something is let through: there is nothing that could have changed."""
    if asked.decided_on is None:
        if (
            organisation.policy.decided_on == "required"
            and type(command) in EDITS
            and asked.import_id is None
        ):
            raise Refusal(
                Reason.DECIDED_ON_REQUIRED,
                "an edit says on which position it was decided",
                seen="no decided_on",
                accepted="the same command with decided_on, the position that was seen",
            )
        return
    _refuse_future(organisation, asked.decided_on, asked)
    kind = goal_kind(command)
    if kind is None:
        return
    goal_id = asked.organisation_id
    if kind != "organisation":
        goal_id = getattr(command, f"{kind}_id")
    changed = organisation.changed.get((kind, goal_id), 0)
    if asked.decided_on < changed:
        raise Refusal(
            Reason.GOAL_CHANGED_SINCE,
            f"{kind}/{goal_id} has changed at position {changed}",
            seen=str(asked.decided_on),
            accepted=f"decided on position {changed} or later: read it again",
        )


def _refuse_future(organisation: Organisation, decided_on: int, asked: Asked) -> None:
    last = max(organisation.position, asked.log_ends_at)
    if decided_on > last:
        raise Refusal(
            Reason.MALFORMED,
            f"nobody has seen position {decided_on} yet",
            seen=str(decided_on),
            accepted=f"at most {last}",
            rule="R29",
        )
