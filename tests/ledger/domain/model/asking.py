"""Who may ask, and when it is heard at all: imports, R29 and R30."""

from goal_contracts import commands as c
from goal_contracts.commands import Command
from goal_contracts.fields import Role
from goal_contracts.replies import Reason as R  # noqa: N817 - every second line has one

from services.ledger.domain import Asked
from tests.ledger.domain.model.leniencies import Lenient as L  # noqa: N817 - as above
from tests.ledger.domain.model.verdict import Verdict
from tests.ledger.domain.model.world import World

RANK: tuple[Role, ...] = ("viewer", "auditor", "contributor", "owner", "unit_lead", "admin")
THE_LEDGER = "ledger"
ORGANISATION = "acme"

CONTRIBUTOR = (
    c.CheckIn,
    c.CorrectCheckIn,
    c.RetractCheckIn,
    c.RecordCheckIns,
    c.RecordReading,
    c.RecordReadings,
    c.CorrectReading,
    c.CorrectReadings,
    c.RetractReading,
    c.RecordMissedReading,
    c.AddComment,
)
OWNER = (
    c.DraftObjective,
    c.PublishObjective,
    c.RewordObjective,
    c.ReassignObjective,
    c.ChangeObjectiveContributors,
    c.RealignObjective,
    c.GradeObjective,
    c.AddKeyResult,
    c.RewordKeyResult,
    c.ReassignKeyResult,
    c.ReweightKeyResult,
    c.RetargetKeyResult,
    c.LinkKeyResultToKpi,
    c.UnlinkKeyResultFromKpi,
    c.GradeKeyResult,
    c.RedefineKpi,
    c.RetargetKpi,
    c.ReassignKpi,
)
UNIT_LEAD = (
    c.RenameUnit,
    c.RecordRetrospective,
    c.ChangeObjectiveKind,
    c.DropObjective,
    c.CarryOverObjective,
    c.DropKeyResult,
    c.DefineKpi,
    c.RetireKpi,
    c.OpenKpiReview,
    c.CloseKpiReview,
)
"""Of these and the two above R30 says only that there are such roles. Which command takes which is
the ledger's own choice: as it was found, and held to (see `leniencies.ADOPTED`)."""


def least_role(world: World, command: Command) -> Role:
    """The lowest role that may ask it; every role above may, too."""
    if isinstance(command, c.WaiveKeyResult):
        goal = world.key_results.get(command.key_result_id)
        if goal is None:
            return world.policy.waived_by
        return world.policy_of(world.cycle_of(world.objective_of(goal))).waived_by
    if isinstance(command, c.ReopenCycle):
        cycle = world.cycles.get(command.cycle_id)
        return world.policy.reopened_by if cycle is None else world.policy_of(cycle).reopened_by
    if isinstance(command, CONTRIBUTOR):
        return "contributor"
    if isinstance(command, OWNER):
        return "owner"
    return "unit_lead" if isinstance(command, UNIT_LEAD) else "admin"


def gates(world: World, command: Command, asked: Asked, verdict: Verdict) -> None:
    """All that is asked before anybody looks at what the command says."""
    _imports(world, command, asked, verdict)
    _permitted(world, command, asked, verdict)
    _decided_on(world, command, asked, verdict)


def _imports(world: World, command: Command, asked: Asked, verdict: Verdict) -> None:
    if isinstance(command, c.StartHistoryImport | c.FinishHistoryImport):
        other = world.running is not None and world.running != command.import_id
        verdict.no(R.IMPORT_RUNNING, other)
    elif asked.import_id is None:
        verdict.no(R.IMPORT_RUNNING, world.running is not None)
    elif asked.import_id != world.running:
        opens = isinstance(command, c.OpenOrganisation) and world.opened is None
        verdict.no(R.IMPORT_NOT_RUNNING, not opens)
        verdict.perhaps(R.IMPORT_NOT_RUNNING, L.OPENED_BY_IMPORT, opens)
        verdict.perhaps(R.IMPORT_RUNNING, L.WHICH_IMPORT, world.running is not None)
        verdict.perhaps(R.IMPORT_FINISHED, L.WHICH_IMPORT, asked.import_id in world.imports)
    if asked.import_id is not None and world.known_at_max is not None:
        earlier = asked.now < world.known_at_max
        verdict.no(R.KNOWN_AT_OUT_OF_ORDER, earlier)
        if earlier:
            verdict.may_be_idle = L.IMPORTED_EARLIER
    if isinstance(command, c.StartHistoryImport) and world.known_at_max is not None:
        verdict.perhaps(
            R.KNOWN_AT_OUT_OF_ORDER, L.IMPORT_BEGUN_EARLIER, asked.now < world.known_at_max
        )


def _permitted(world: World, command: Command, asked: Asked, verdict: Verdict) -> None:
    least = least_role(world, command)
    writes = asked.role not in {"viewer", "auditor"}
    allowed = writes and RANK.index(asked.role) >= RANK.index(least)
    verdict.no(R.NOT_PERMITTED, not allowed)
    handed_down = isinstance(command, c.WaiveKeyResult | c.ReopenCycle)
    if asked.units and asked.role == "contributor":
        verdict.perhaps(R.NOT_PERMITTED, L.HANDED_DOWN, handed_down)
    if not asked.units or asked.role not in {"owner", "unit_lead"}:
        return
    if isinstance(command, CONTRIBUTOR):
        corrects = isinstance(command, c.CorrectCheckIn | c.RetractCheckIn)
        verdict.perhaps(R.NOT_PERMITTED, L.ANOTHERS_CHECK_IN, corrects)
        return
    units = units_of(world, command)
    outside = [each for each in units if not set(world.units_above(each)) & set(asked.units)]
    verdict.no(R.NOT_PERMITTED, outside)


def units_of(world: World, command: Command) -> list[str]:
    """The units whose goal a command is about."""
    told = {name: getattr(command, name) for name in command.__struct_fields__}
    if isinstance(command, c.AddComment):
        kind, _, name = command.goal.partition("/")
        told[f"{kind}_id"] = name
    if isinstance(command, c.CloseKpiReview):
        told.pop("objective_id")
    found = list[str]()
    if isinstance(told.get("key_result_id"), str):
        goal = world.key_results.get(told["key_result_id"])
        if goal is not None:
            return [world.objective_of(goal).unit]
    if told.get("objective_id") in world.objectives and not isinstance(command, c.DraftObjective):
        found.append(world.objectives[told["objective_id"]].unit)
    if (
        told.get("kpi_id") in world.kpis
        and "key_result_id" not in told
        and not isinstance(command, c.DefineKpi)
    ):
        found.append(world.kpis[told["kpi_id"]].unit)
    if told.get("unit_id") is not None:
        found.append(told["unit_id"])
    return found


EDITS = (
    c.RenameUnit,
    c.MoveUnit,
    c.RewordObjective,
    c.ReassignObjective,
    c.ChangeObjectiveContributors,
    c.RealignObjective,
    c.ChangeObjectiveKind,
    c.RewordKeyResult,
    c.ReassignKeyResult,
    c.ReweightKeyResult,
    c.RetargetKeyResult,
    c.RedefineKpi,
    c.RetargetKpi,
    c.ReassignKpi,
    c.RescheduleCycle,
    c.ActivateCycle,
    c.StartCycleGrading,
    c.CancelCycle,
    c.ChangePolicy,
    c.DropObjective,
    c.DropKeyResult,
    c.LinkKeyResultToKpi,
    c.UnlinkKeyResultFromKpi,
    c.RetireKpi,
    c.RetireUnit,
    c.WaiveKeyResult,
)
"""What replaces something that was decided, or ends it."""

FACTS = (
    c.OpenOrganisation,
    c.StartHistoryImport,
    c.FinishHistoryImport,
    c.DefineUnit,
    c.PlanCycle,
    c.RecordRetrospective,
    c.DraftObjective,
    c.AddKeyResult,
    c.CheckIn,
    c.DefineKpi,
    c.RecordReading,
    c.RecordMissedReading,
    c.OpenKpiReview,
    c.AddComment,
)
"""What is new or is said for the first time, so that nothing can have changed under it."""


def goals_of(command: Command) -> list[str]:
    """The goals a command changes."""
    told = {name: getattr(command, name) for name in command.__struct_fields__}
    if isinstance(command, c.AddComment):
        return [command.goal]
    for kind in ("key_result", "objective", "kpi", "cycle", "unit"):
        if isinstance(told.get(f"{kind}_id"), str):
            if kind == "objective" and isinstance(command, c.CloseKpiReview):
                continue
            return [f"{kind}/{told[f'{kind}_id']}"]
    for items in ("check_ins", "readings", "corrections"):
        if items in told:
            return [ref for each in told[items] for ref in goals_of(each)]
    return []


def _decided_on(world: World, command: Command, asked: Asked, verdict: Verdict) -> None:
    if asked.decided_on is None:
        wanted = world.policy.decided_on == "required" and asked.import_id is None
        person = asked.actor != THE_LEDGER
        verdict.no(R.DECIDED_ON_REQUIRED, wanted and person and isinstance(command, EDITS))
        between = not isinstance(command, EDITS + FACTS)
        verdict.perhaps(R.DECIDED_ON_REQUIRED, L.WHAT_IS_AN_EDIT, wanted and between)
        return
    end = world.position if asked.log_position is None else asked.log_position
    verdict.no(R.MALFORMED, asked.decided_on > end > 0)
    verdict.perhaps(R.MALFORMED, L.BEFORE_THE_FIRST, asked.decided_on > end)
    changed = [world.decided.get(each, 0) for each in goals_of(command)]
    since = any(each > asked.decided_on for each in changed)
    sure = since and isinstance(command, EDITS)
    verdict.no(R.GOAL_CHANGED_SINCE, sure)
    heard = [world.changed.get(each, 0) for each in around(world, command)]
    later = any(each > asked.decided_on for each in heard)
    verdict.perhaps(
        R.GOAL_CHANGED_SINCE, L.RELATED_CHANGED, later and not isinstance(command, FACTS)
    )


def around(world: World, command: Command) -> list[str]:
    """The goals a command changes, and those that are part of one."""
    found = [*goals_of(command), f"organisation/{ORGANISATION}"]
    for ref in tuple(found):
        kind, _, name = ref.partition("/")
        if kind == "objective":
            found.extend(
                f"key_result/{key}"
                for key, each in world.key_results.items()
                if each.made.objective_id == name
            )
        if kind == "key_result" and name in world.key_results:
            found.append(f"objective/{world.key_results[name].made.objective_id}")
        if kind == "cycle":
            found.extend(
                f"objective/{key}"
                for key, each in world.objectives.items()
                if each.made.cycle_id == name
            )
    return found
