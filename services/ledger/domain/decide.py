"""Every command and the decision that answers it: state + command -> events, or a Refusal.

Pure, and nothing is changed here: the events are recorded first, and `evolve` lets them happen.
"""

from typing import assert_never

from goal_contracts import commands
from goal_contracts.events import Event
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain import (
    carry_over,
    check_in,
    comment,
    cycle,
    grading,
    history_import,
    key_result,
    kpi,
    objective,
    policy,
    reading,
    unit,
)
from services.ledger.domain.asked import Asked
from services.ledger.domain.bulk import Decided, decide_items
from services.ledger.domain.consequences import with_consequences
from services.ledger.domain.decided_on import refuse_unless_current
from services.ledger.domain.number import refuse_unless_numbers_of_record
from services.ledger.domain.organisation import Organisation
from services.ledger.domain.permission import refuse_unless_permitted


def decide(
    organisation: Organisation | None, command: commands.Command, asked: Asked
) -> tuple[Event, ...]:
    """The events that follow from a command; () when there is nothing to do."""
    return judge(organisation, command, asked).events


def judge(organisation: Organisation | None, command: commands.Command, asked: Asked) -> Decided:
    """The same, with the items of a bulk command that had to be left out."""
    refuse_unless_numbers_of_record(command)
    if organisation is None:
        if isinstance(command, commands.OpenOrganisation):
            refuse_unless_permitted(organisation, command, asked)
            return Decided(policy.open_organisation(command, asked))
        raise Refusal(
            Reason.ORGANISATION_UNKNOWN,
            f"there is no ledger of {asked.organisation_id}",
            seen=asked.organisation_id,
            accepted="OpenOrganisation first",
        )
    history_import.refuse_unless_admitted(organisation, command, asked)
    refuse_unless_permitted(organisation, command, asked)
    refuse_unless_current(organisation, command, asked)
    decided = _decide(organisation, command, asked)
    if not isinstance(decided, Decided):
        decided = Decided(with_consequences(organisation, decided, asked))
    if decided.events:
        history_import.refuse_out_of_order(organisation, asked)
    return decided


def _decide(
    organisation: Organisation, command: commands.Command, asked: Asked
) -> tuple[Event, ...] | Decided:
    # The most frequent first: a match looks at one case after the other.
    match command:
        case commands.CheckIn():
            return check_in.check_in(organisation, command, asked)
        case commands.RecordReading():
            return reading.record(organisation, command, asked)
        case commands.RecordCheckIns() | commands.RecordReadings() | commands.CorrectReadings():
            return decide_items(organisation, command, asked)
        case commands.OpenOrganisation():
            return policy.open_again(organisation, command)
        case commands.ChangePolicy():
            return policy.change_policy(organisation, command)
        case commands.StartHistoryImport():
            return history_import.start(organisation, command, asked)
        case commands.FinishHistoryImport():
            return history_import.finish(organisation, command)
        case commands.DefineUnit():
            return unit.define(organisation, command)
        case commands.RenameUnit():
            return unit.rename(organisation, command)
        case commands.MoveUnit():
            return unit.move(organisation, command)
        case commands.RetireUnit():
            return unit.retire(organisation, command)
        case commands.PlanCycle():
            return cycle.plan(organisation, command)
        case commands.RescheduleCycle():
            return cycle.reschedule(organisation, command, asked)
        case commands.ActivateCycle():
            return cycle.activate(organisation, command)
        case commands.StartCycleGrading():
            return cycle.start_grading(organisation, command)
        case commands.CloseCycle():
            return cycle.close(organisation, command)
        case commands.ReopenCycle():
            return cycle.reopen(organisation, command, asked)
        case commands.CancelCycle():
            return cycle.cancel(organisation, command)
        case commands.RecordRetrospective():
            return cycle.record_retrospective(organisation, command)
        case commands.DraftObjective():
            return objective.draft(organisation, command, asked)
        case commands.PublishObjective():
            return objective.publish(organisation, command, asked)
        case commands.RewordObjective():
            return objective.reword(organisation, command, asked)
        case commands.ReassignObjective():
            return objective.reassign(organisation, command, asked)
        case commands.ChangeObjectiveContributors():
            return objective.change_contributors(organisation, command, asked)
        case commands.RealignObjective():
            return objective.realign(organisation, command, asked)
        case commands.ChangeObjectiveKind():
            return objective.change_kind(organisation, command, asked)
        case commands.DropObjective():
            return objective.drop(organisation, command, asked)
        case commands.GradeObjective():
            return grading.grade_objective(organisation, command, asked)
        case commands.CarryOverObjective():
            return carry_over.carry_over(organisation, command, asked)
        case commands.AddKeyResult():
            return key_result.add(organisation, command, asked)
        case commands.RewordKeyResult():
            return key_result.reword(organisation, command, asked)
        case commands.ReassignKeyResult():
            return key_result.reassign(organisation, command, asked)
        case commands.ReweightKeyResult():
            return key_result.reweight(organisation, command, asked)
        case commands.RetargetKeyResult():
            return key_result.retarget(organisation, command, asked)
        case commands.DropKeyResult():
            return key_result.drop(organisation, command, asked)
        case commands.LinkKeyResultToKpi():
            return key_result.link_to_kpi(organisation, command, asked)
        case commands.UnlinkKeyResultFromKpi():
            return key_result.unlink_from_kpi(organisation, command, asked)
        case commands.CorrectCheckIn():
            return check_in.correct(organisation, command, asked)
        case commands.RetractCheckIn():
            return check_in.retract(organisation, command, asked)
        case commands.GradeKeyResult():
            return grading.grade_key_result(organisation, command, asked)
        case commands.WaiveKeyResult():
            return grading.waive_key_result(organisation, command)
        case commands.DefineKpi():
            return kpi.define(organisation, command)
        case commands.RedefineKpi():
            return kpi.redefine(organisation, command)
        case commands.RetargetKpi():
            return kpi.retarget(organisation, command)
        case commands.ReassignKpi():
            return kpi.reassign(organisation, command)
        case commands.RetireKpi():
            return kpi.retire(organisation, command)
        case commands.CorrectReading():
            return reading.correct(organisation, command, asked)
        case commands.RetractReading():
            return reading.retract(organisation, command, asked)
        case commands.RecordMissedReading():
            return reading.record_missed(organisation, command, asked)
        case commands.OpenKpiReview():
            return kpi.open_review(organisation, command, asked)
        case commands.CloseKpiReview():
            return kpi.close_review(organisation, command)
        case commands.AddComment():
            return comment.add(organisation, command)
        case _:
            assert_never(command)
