"""What the rules say of units, cycles, objectives and key results: R1 to R21, and R25.

Every function reads like the rule it writes down. Where a rule is silent it says so, by a name of
`leniencies`.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import ANY

from goal_contracts import commands as c
from goal_contracts import events as e
from goal_contracts import measures as m
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason as R  # noqa: N817 - every second line has one
from msgspec.structs import replace

from services.ledger.domain import Asked
from tests.ledger.domain.model import numbers
from tests.ledger.domain.model.leniencies import Lenient as L  # noqa: N817 - as above
from tests.ledger.domain.model.objections import (
    ENDED,
    created_before,
    named_twice,
    owner_fits,
    reason_given,
    unit_lives,
    wants_reason,
    window_over,
)
from tests.ledger.domain.model.verdict import Verdict
from tests.ledger.domain.model.world import Cycle, KeyResult, Objective, World

# -------------------------------------------------------------------------------- organisation


def open_organisation(
    world: World, command: c.OpenOrganisation, asked: Asked, verdict: Verdict
) -> None:
    policy_sound(command.policy, verdict)
    verdict.no(R.ZONE_UNKNOWN, command.zone not in {"UTC", "Europe/Berlin"})
    if world.opened is not None:
        told = world.opened
        same = (told.name, told.zone, told.policy) == (command.name, command.zone, command.policy)
        if same:
            verdict.nothing()
        else:
            verdict.no(R.ORGANISATION_EXISTS)
        return
    verdict.then(
        e.OrganisationOpened(asked.organisation_id, command.name, command.zone, command.policy)
    )


def policy_sound(policy: Policy, verdict: Verdict) -> None:
    low, high = policy.bands
    sound = (
        policy.key_results_min <= policy.key_results_max
        and not numbers.unkeepable(policy)
        and 1 <= policy.progress_ceiling <= 2
        and 0 < low < high < 1
    )
    verdict.no(R.POLICY_INVALID, not sound)


def change_policy(world: World, command: c.ChangePolicy, asked: Asked, verdict: Verdict) -> None:
    policy_sound(command.policy, verdict)
    if command.policy == world.policy:
        verdict.nothing()
        return
    verdict.then(
        e.PolicyChanged(asked.organisation_id, world.policy, command.policy, command.reason)
    )


def start_import(
    world: World, command: c.StartHistoryImport, asked: Asked, verdict: Verdict
) -> None:
    told = world.imports.get(command.import_id)
    if told is not None:
        same = (told.source, told.digest) == (command.source, command.digest)
        verdict.no(R.ID_TAKEN, not same)
        if world.running == command.import_id:
            if same:
                verdict.nothing()
        else:
            verdict.no(R.IMPORT_FINISHED)
        return
    verdict.then(
        e.HistoryImportStarted(
            asked.organisation_id, command.import_id, command.source, command.digest
        )
    )


def finish_import(
    world: World, command: c.FinishHistoryImport, asked: Asked, verdict: Verdict
) -> None:
    if world.running == command.import_id:
        verdict.then(
            e.HistoryImportFinished(asked.organisation_id, command.import_id, command.outcome)
        )
        return
    verdict.no(R.IMPORT_NOT_RUNNING, command.import_id not in world.imports)
    if command.import_id in world.imports:
        verdict.perhaps_refused(L.FINISHED_TWICE)
        verdict.nothing()


# ---------------------------------------------------------------------------------------- units


def define_unit(world: World, command: c.DefineUnit, asked: Asked, verdict: Verdict) -> None:
    there = world.units.get(command.unit_id)
    if created_before(verdict, command, there.made if there else None):
        return
    unit_lives(world, command.parent_id, verdict)
    owners = {
        each.owner
        for goals in (world.objectives, world.key_results, world.kpis)
        for each in goals.values()
    }
    verdict.perhaps(
        R.OWNER_IS_TEAM,
        L.OWNER_BECOMES_TEAM,
        command.unit_kind != "person" and command.unit_id in owners,
    )
    verdict.then(e.UnitDefined(command.unit_id, command.name, command.unit_kind, command.parent_id))


def rename_unit(world: World, command: c.RenameUnit, asked: Asked, verdict: Verdict) -> None:
    unit = world.units.get(command.unit_id)
    if unit is None:
        verdict.no(R.NOT_FOUND)
        return
    verdict.no(R.UNIT_RETIRED, unit.retired)
    if unit.name == command.name:
        verdict.nothing()
    verdict.then(e.UnitRenamed(command.unit_id, unit.name, command.name))


def move_unit(world: World, command: c.MoveUnit, asked: Asked, verdict: Verdict) -> None:
    unit = world.units.get(command.unit_id)
    if unit is None:
        verdict.no(R.NOT_FOUND)
        return
    verdict.no(R.UNIT_RETIRED, unit.retired)
    unit_lives(world, command.parent_id, verdict)
    above = [] if command.parent_id is None else world.units_above(command.parent_id)
    verdict.no(R.UNIT_TREE_LOOP, command.unit_id in above)
    if unit.parent == command.parent_id:
        verdict.nothing()
    verdict.then(e.UnitMoved(command.unit_id, unit.parent, command.parent_id))


def retire_unit(world: World, command: c.RetireUnit, asked: Asked, verdict: Verdict) -> None:
    unit = world.units.get(command.unit_id)
    if unit is None:
        verdict.no(R.NOT_FOUND)
        return
    if unit.retired:
        verdict.nothing()
    verdict.then(e.UnitRetired(command.unit_id, command.reason))


# --------------------------------------------------------------------------------------- cycles


def days_fit(kind: str, start: date, end: date, policy: Policy, verdict: Verdict) -> None:
    """R2: a year, a quarter or a month of the calendar, as the fiscal year begins."""
    months = {"annual": 12, "quarterly": 3, "monthly": 1}.get(kind)
    sound = start < end
    if months is not None and sound:
        from_first = (start.month - policy.fiscal_year_start_month) % months == 0
        after = start.year * 12 + start.month - 1 + months
        begins_next = end != date.max and end + timedelta(days=1) == date(
            after // 12, after % 12 + 1, 1
        )
        sound = start.day == 1 and from_first and begins_next
    verdict.perhaps(R.CYCLE_DATES_INVALID, L.LAST_DAY_OF_ALL, date.min == start or end == date.max)
    verdict.no(R.CYCLE_DATES_INVALID, not sound)


def apart(world: World, cycle_id: str, kind: str, start: date, end: date, verdict: Verdict) -> None:
    """R2: cycles of one kind do not overlap; one that was given up is none."""
    met = [
        each
        for other, each in world.cycles.items()
        if other != cycle_id
        and each.made.cycle_kind == kind
        and each.start <= end
        and start <= each.end
        and each.state != "cancelled"
    ]
    verdict.no(R.CYCLE_OVERLAPS, met and not world.policy.allow_cycle_overlap)


def inside(world: World, parent_id: str | None, start: date, end: date, verdict: Verdict) -> None:
    if parent_id is None:
        return
    parent = world.cycles.get(parent_id)
    if parent is None:
        verdict.no(R.NOT_FOUND)
        return
    verdict.no(R.CYCLE_OUTSIDE_PARENT, not parent.start <= start <= end <= parent.end)
    verdict.perhaps_refused(L.PARENT_OVER, parent.state in {"closed", "cancelled"})


def plan_cycle(world: World, command: c.PlanCycle, asked: Asked, verdict: Verdict) -> None:
    there = world.cycles.get(command.cycle_id)
    if created_before(verdict, command, there.made if there else None):
        return
    days_fit(command.cycle_kind, command.start_on, command.end_on, world.policy, verdict)
    inside(world, command.parent_id, command.start_on, command.end_on, verdict)
    apart(world, command.cycle_id, command.cycle_kind, command.start_on, command.end_on, verdict)
    verdict.no(R.CYCLE_MOVE_NOT_ALLOWED, command.activate and not world.policy.skip_planning)
    planned = e.CyclePlanned(
        command.cycle_id,
        command.name,
        command.cycle_kind,
        command.start_on,
        command.end_on,
        command.parent_id,
    )
    if command.activate:
        verdict.then(planned, e.CycleActivated(command.cycle_id, world.policy))
    else:
        verdict.then(planned)


def reschedule(world: World, command: c.RescheduleCycle, asked: Asked, verdict: Verdict) -> None:
    cycle = world.cycles.get(command.cycle_id)
    if cycle is None:
        verdict.no(R.NOT_FOUND)
        return
    verdict.no(R.CYCLE_CLOSED, cycle.state == "closed")
    verdict.no(R.CYCLE_NOT_OPEN, cycle.state == "cancelled")
    verdict.perhaps_refused(L.RESCHEDULED_RUNNING, cycle.state not in {"planned", "closed"})
    days_fit(cycle.made.cycle_kind, command.start_on, command.end_on, world.policy, verdict)
    inside(world, cycle.made.parent_id, command.start_on, command.end_on, verdict)
    apart(
        world,
        command.cycle_id,
        cycle.made.cycle_kind,
        command.start_on,
        command.end_on,
        verdict,
    )
    children = [e_ for e_ in world.cycles.values() if e_.made.parent_id == command.cycle_id]
    outside = [
        each
        for each in children
        if each.state != "cancelled"
        and not command.start_on <= each.start <= each.end <= command.end_on
    ]
    verdict.no(R.CYCLE_OUTSIDE_PARENT, outside)
    if (cycle.start, cycle.end) == (command.start_on, command.end_on):
        verdict.nothing()
    verdict.then(
        e.CycleRescheduled(
            command.cycle_id,
            cycle.start,
            cycle.end,
            command.start_on,
            command.end_on,
            command.reason,
        )
    )


def moves(
    world: World, cycle_id: str, from_: tuple[str, ...], to: str, verdict: Verdict
) -> Cycle | None:
    """R1: only these moves."""
    cycle = world.cycles.get(cycle_id)
    if cycle is None:
        verdict.no(R.NOT_FOUND)
        return None
    if cycle.state == to:
        verdict.nothing()
    elif cycle.state not in from_:
        verdict.no(R.CYCLE_MOVE_NOT_ALLOWED)
        verdict.perhaps(R.CYCLE_CLOSED, L.WHICH_STATE, cycle.state == "closed")
    return cycle


def activate(world: World, command: c.ActivateCycle, asked: Asked, verdict: Verdict) -> None:
    cycle = moves(world, command.cycle_id, ("planned",), "active", verdict)
    if cycle is not None:
        parent = world.cycles.get(cycle.made.parent_id or "")
        verdict.perhaps_refused(
            L.PARENT_OVER, parent is not None and parent.state in {"closed", "cancelled"}
        )
    verdict.then(e.CycleActivated(command.cycle_id, world.policy))


def start_grading(
    world: World, command: c.StartCycleGrading, asked: Asked, verdict: Verdict
) -> None:
    moves(world, command.cycle_id, ("active", "reopened"), "grading", verdict)
    verdict.then(e.CycleGradingStarted(command.cycle_id))


def close(world: World, command: c.CloseCycle, asked: Asked, verdict: Verdict) -> None:
    """R18: every key result scored or waived, every objective judged, and people looked back."""
    cycle = moves(world, command.cycle_id, ("grading", "reopened"), "closed", verdict)
    if cycle is None:
        return
    policy = world.policy_of(cycle)
    goals = {
        goal_id: each
        for goal_id, each in world.objectives.items()
        if each.made.cycle_id == command.cycle_id
    }
    for goal_id, goal in goals.items():
        left = [
            each
            for each in world.measured_by(goal_id).values()
            if each.score is None and not each.waived
        ]
        verdict.no(R.NOT_ALL_SCORED, left and goal.state == "published")
    verdict.no(R.OUTCOME_MISSING, any(each.outcome is None for each in goals.values()))
    verdict.no(R.RETROSPECTIVE_MISSING, policy.retrospective_required and not cycle.looked_back)
    judged = [each for each in goals.values() if each.state == "published"]
    aspirational = numbers.mean(
        (Decimal(1), each.score) for each in judged if each.kind == "aspirational"
    )
    met = [each.outcome == "achieved" for each in judged if each.kind == "committed"]
    share = numbers.mean((Decimal(1), Decimal(each)) for each in met)
    verdict.then(
        e.CycleClosed(
            command.cycle_id, policy, numbers.hundredths(aspirational), numbers.hundredths(share)
        )
    )


def reopen(world: World, command: c.ReopenCycle, asked: Asked, verdict: Verdict) -> None:
    """R19: within the days after closing, with a reason."""
    cycle = moves(world, command.cycle_id, ("closed",), "reopened", verdict)
    if cycle is None:
        return
    wants_reason(verdict, command.reason, when=True)
    if cycle.closed_at is not None:
        policy = world.policy_of(cycle)
        window_over(
            world,
            cycle.closed_at,
            asked.now,
            policy.reopen_within_days,
            R.REOPEN_WINDOW_OVER,
            verdict,
        )
    verdict.then(e.CycleReopened(command.cycle_id, command.reason or ""))


def cancel(world: World, command: c.CancelCycle, asked: Asked, verdict: Verdict) -> None:
    cycle = moves(world, command.cycle_id, ("planned", "active", "grading"), "cancelled", verdict)
    if cycle is not None:
        wants_reason(verdict, command.reason, when=True)
        if cycle.state == "reopened":
            verdict.musts.remove(R.CYCLE_MOVE_NOT_ALLOWED)
            verdict.perhaps(R.CYCLE_MOVE_NOT_ALLOWED, L.CANCELLED_REOPENED)
    verdict.then(e.CycleCancelled(command.cycle_id, command.reason or ""))


def look_back(world: World, command: c.RecordRetrospective, asked: Asked, verdict: Verdict) -> None:
    cycle = world.cycles.get(command.cycle_id)
    said = (command.went_well, command.did_not_go_well, command.learned, command.celebrate)
    verdict.no(R.NOTHING_SAID, not any(each.strip() for each in said))
    if cycle is None:
        verdict.no(R.NOT_FOUND)
        return
    verdict.no(R.CYCLE_CLOSED, cycle.state == "closed")
    verdict.perhaps(R.CYCLE_NOT_OPEN, L.RETROSPECTIVE_WHEN, cycle.state in {"planned", "cancelled"})
    told = e.RetrospectiveRecorded(command.cycle_id, *said)
    if told in cycle.looked_back:
        verdict.nothing()
    verdict.then(told)


# ----------------------------------------------------------------------------------- objectives


def sealed(cycle: Cycle, verdict: Verdict) -> None:
    """R19."""
    verdict.no(R.CYCLE_CLOSED, cycle.state == "closed")
    verdict.no(R.CYCLE_NOT_OPEN, cycle.state == "cancelled")


def may_change(
    world: World,
    cycle: Cycle,
    asked: Asked,
    verdict: Verdict,
    *,
    structure: bool,
    judging: bool = False,
) -> Policy:
    """R6: free while planned, the named changes while active; `structure` may be locked by a day.

    `judging`: the change is one that may also be made while the cycle is judged.
    """
    sealed(cycle, verdict)
    policy = world.policy_of(cycle)
    today = world.today(asked.now)
    verdict.no(R.CYCLE_NOT_OPEN, cycle.state == "grading" and not judging)
    if policy.update_lock_days is not None:
        over = (today - cycle.end).days > policy.update_lock_days
        verdict.no(R.UPDATE_LOCKED, over and cycle.state == "active")
        verdict.perhaps(R.UPDATE_LOCKED, L.LOCKED_ELSEWHERE, over and cycle.state != "planned")
    if policy.structure_lock_days is not None and structure:
        day = (today - cycle.start).days
        verdict.no(R.STRUCTURE_LOCKED, day > policy.structure_lock_days and cycle.state == "active")
        about = day >= policy.structure_lock_days and cycle.state != "planned"
        verdict.perhaps(R.STRUCTURE_LOCKED, L.LOCKED_ELSEWHERE, about)
    return policy


def mid_cycle(cycle: Cycle, policy: Policy) -> bool:
    """R7: what is shown as changed mid-cycle."""
    return cycle.state in {"active", "grading", "reopened"} and policy.mid_cycle_reason != "off"


def mid_cycle_reason(
    cycle: Cycle, policy: Policy, reason: str | None, verdict: Verdict, *, sure: bool = True
) -> None:
    """R7: lowering, dropping or adding while the cycle runs."""
    wanted = policy.mid_cycle_reason == "required" and not reason_given(reason)
    verdict.no(R.REASON_REQUIRED, sure and wanted and cycle.state == "active")
    if cycle.state in {"grading", "reopened"} or not sure:
        verdict.perhaps(R.REASON_REQUIRED, L.REASON_OUTSIDE_RUNNING, wanted)


def aligns(
    world: World,
    objective_id: str,
    cycle_id: str,
    aligned_to: tuple[str, ...],
    policy: Policy,
    verdict: Verdict,
) -> None:
    """R9: acyclic, in the same or an enclosing cycle, to what is still pursued."""
    verdict.no(R.TOO_MANY_PARENTS, len(set(aligned_to)) > 1 and policy.parents == "one")
    named_twice(aligned_to, verdict)
    several = len(aligned_to) > 1 and policy.parents == "one"
    verdict.perhaps(R.TOO_MANY_PARENTS, L.SAME_PARENT_TWICE, several)
    verdict.perhaps_refused(L.ALIGNED_TO_KPI, any(each.startswith("kpi/") for each in aligned_to))
    for ref in aligned_to:
        parent_id, ended = _parent(world, ref)
        if ref.startswith("kpi/"):
            verdict.no(R.NOT_FOUND)
            continue
        if parent_id is None:
            verdict.no(R.NOT_FOUND)
            continue
        verdict.no(R.ALIGNMENT_LOOP, objective_id in _served(world, parent_id))
        parent = world.objectives.get(parent_id)
        if parent is None:
            continue
        cycle = world.cycle_of(parent)
        verdict.no(R.ALIGNMENT_CLOSED, ended or parent.state in ENDED or cycle.state == "closed")
        verdict.perhaps(R.ALIGNMENT_CLOSED, L.ALIGNED_TO_CANCELLED, cycle.state == "cancelled")
        around = world.cycles_around(cycle_id) if cycle_id in world.cycles else []
        verdict.no(R.ALIGNMENT_OUT_OF_CYCLE, parent.made.cycle_id not in around)


def _parent(world: World, ref: str) -> tuple[str | None, bool]:
    """The objective a reference leads to, and whether what it names itself was dropped."""
    kind, _, name = ref.partition("/")
    if kind == "objective":
        return (name, False) if name in world.objectives else (None, False)
    goal = world.key_results.get(name)
    return (None, False) if goal is None else (goal.made.objective_id, goal.dropped)


def _served(world: World, objective_id: str) -> set[str]:
    """An objective and all it serves."""
    found, ahead = set[str](), [objective_id]
    while ahead:
        at = ahead.pop()
        if at in found or at not in world.objectives:
            continue
        found.add(at)
        ahead.extend(
            parent
            for ref in world.objectives[at].aligned
            if (parent := _parent(world, ref)[0]) is not None
        )
    return found


def room_for_objective(
    world: World, unit_id: str, cycle_id: str, policy: Policy, verdict: Verdict, *, but: str = ""
) -> None:
    """R5 under counts=block: so many objectives of a unit in a cycle."""
    unit = world.units.get(unit_id)
    if policy.counts != "block" or unit is None:
        return
    pursued = [
        each
        for goal_id, each in world.objectives.items()
        if each.made.cycle_id == cycle_id
        and each.unit == unit_id
        and each.state not in ENDED
        and goal_id != but
    ]
    company = unit.made.unit_kind == "company"
    most = policy.company_objectives_max if company else policy.unit_objectives_max
    published = sum(each.state == "published" for each in pursued)
    verdict.no(R.COUNT_OUT_OF_BOUNDS, published + 1 > most)
    verdict.perhaps(R.COUNT_OUT_OF_BOUNDS, L.DRAFTS_COUNT, len(pursued) + 1 > most)


def draft(world: World, command: c.DraftObjective, asked: Asked, verdict: Verdict) -> None:
    there = world.objectives.get(command.objective_id)
    if created_before(verdict, command, there.made if there else None):
        verdict.perhaps_refused(L.CARRIED_ID, there is not None and there.made.carried_from)
        return
    unit_lives(world, command.unit_id, verdict)
    cycle = world.cycles.get(command.cycle_id)
    if cycle is None:
        verdict.no(R.NOT_FOUND)
        return
    policy = may_change(world, cycle, asked, verdict, structure=True, judging=True)
    verdict.no(R.CYCLE_NOT_OPEN, cycle.state == "grading")
    owner_fits(world, command.owner, policy, verdict)
    aligns(world, command.objective_id, command.cycle_id, command.aligned_to, policy, verdict)
    room_for_objective(world, command.unit_id, command.cycle_id, policy, verdict)
    named_twice(command.contributors, verdict)
    mid_cycle_reason(cycle, policy, command.reason, verdict)
    verdict.then(
        e.ObjectiveDrafted(
            command.objective_id,
            command.cycle_id,
            command.unit_id,
            command.title,
            command.owner,
            command.objective_kind,
            command.description,
            command.contributors,
            command.aligned_to,
            None,
            mid_cycle(cycle, policy),
            command.reason,
        )
    )


def pursued(world: World, objective_id: str, verdict: Verdict) -> Objective | None:
    """An objective that is there, and is not dropped or carried over."""
    goal = world.objectives.get(objective_id)
    if goal is None:
        verdict.no(R.NOT_FOUND)
        return None
    verdict.no(R.GOAL_ENDED, goal.state in ENDED)
    return goal


def publish(world: World, command: c.PublishObjective, asked: Asked, verdict: Verdict) -> None:
    """R4, and R5 and R10 where the policy insists."""
    goal = pursued(world, command.objective_id, verdict)
    if goal is None:
        return
    cycle = world.cycle_of(goal)
    policy = may_change(world, cycle, asked, verdict, structure=False, judging=True)
    verdict.no(R.CYCLE_NOT_OPEN, cycle.state == "grading" and goal.state == "draft")
    measured = world.measured_by(command.objective_id).values()
    verdict.no(R.NOT_MEASURABLE, not measured)
    few, many = policy.key_results_min, policy.key_results_max
    blocked = policy.counts == "block" and not few <= len(measured) <= many
    verdict.no(R.COUNT_OUT_OF_BOUNDS, blocked)
    weights_fit(policy, [each.weight for each in measured], verdict)
    owner_fits(world, goal.owner, policy, verdict)
    if goal.state == "published":
        verdict.nothing()
    else:
        room_for_objective(
            world,
            goal.unit,
            goal.made.cycle_id,
            policy,
            verdict,
            but=command.objective_id,
        )
        verdict.perhaps_refused(L.RECHECKED_ON_PUBLISHING, world.units[goal.unit].retired)
        aligned = Verdict()
        aligns(world, command.objective_id, goal.made.cycle_id, goal.aligned, policy, aligned)
        verdict.perhaps_refused(L.RECHECKED_ON_PUBLISHING, aligned.musts)
    verdict.then(e.ObjectivePublished(command.objective_id))


def weights_fit(policy: Policy, weights: list[Decimal], verdict: Verdict) -> None:
    """R10 of a published objective."""
    if policy.weights == "equal":
        verdict.no(R.WEIGHTS_OUT_OF_POLICY, len(set(weights)) > 1)
        verdict.perhaps(R.WEIGHTS_OUT_OF_POLICY, L.EQUAL_WEIGHTS, set(weights) != {Decimal(1)})
    elif policy.weights == "sum_to_100":
        verdict.no(R.WEIGHTS_OUT_OF_POLICY, weights and sum(weights) != 100)
    verdict.perhaps_refused(L.ALL_WEIGHTS_ZERO, weights and sum(weights) == 0)


def reword(world: World, command: c.RewordObjective, asked: Asked, verdict: Verdict) -> None:
    goal = pursued(world, command.objective_id, verdict)
    if goal is None:
        return
    may_change(world, world.cycle_of(goal), asked, verdict, structure=False)
    title = goal.title if command.title is None else command.title
    description = goal.description if command.description is None else command.description
    if (title, description) == (goal.title, goal.description):
        verdict.nothing()
    verdict.then(
        e.ObjectiveReworded(
            command.objective_id,
            goal.title,
            title,
            goal.description,
            description,
            command.reason,
        )
    )


def reassign(world: World, command: c.ReassignObjective, asked: Asked, verdict: Verdict) -> None:
    goal = pursued(world, command.objective_id, verdict)
    if goal is None:
        return
    policy = may_change(world, world.cycle_of(goal), asked, verdict, structure=False)
    owner_fits(world, command.owner, policy, verdict)
    unit_lives(world, command.unit_id, verdict, but=goal.unit)
    owner = command.owner or goal.owner
    unit = command.unit_id or goal.unit
    if unit != goal.unit:
        room = Verdict()
        room_for_objective(world, unit, goal.made.cycle_id, policy, room)
        if goal.state == "published":
            verdict.no(R.COUNT_OUT_OF_BOUNDS, room.musts)
        verdict.perhaps(R.COUNT_OUT_OF_BOUNDS, L.DRAFTS_COUNT, room.musts or room.mays)
    if (owner, unit) == (goal.owner, goal.unit):
        verdict.nothing()
    verdict.then(
        e.ObjectiveReassigned(
            command.objective_id, goal.owner, owner, goal.unit, unit, command.reason
        )
    )


def contributors(
    world: World, command: c.ChangeObjectiveContributors, asked: Asked, verdict: Verdict
) -> None:
    goal = pursued(world, command.objective_id, verdict)
    if goal is None:
        return
    may_change(world, world.cycle_of(goal), asked, verdict, structure=False)
    named_twice(command.contributors, verdict)
    if command.contributors == goal.contributors:
        verdict.nothing()
    verdict.then(
        e.ObjectiveContributorsChanged(
            command.objective_id, goal.contributors, command.contributors
        )
    )


def realign(world: World, command: c.RealignObjective, asked: Asked, verdict: Verdict) -> None:
    goal = pursued(world, command.objective_id, verdict)
    if goal is None:
        return
    cycle = world.cycle_of(goal)
    policy = may_change(world, cycle, asked, verdict, structure=False)
    aligns(world, command.objective_id, goal.made.cycle_id, command.aligned_to, policy, verdict)
    verdict.perhaps(R.STRUCTURE_LOCKED, L.REALIGNED_LATE, policy.structure_lock_days is not None)
    verdict.perhaps(R.CYCLE_NOT_OPEN, L.REALIGNED_LATE, cycle.state != "planned")
    unexplained = cycle.state != "planned" and not reason_given(command.reason)
    verdict.perhaps(R.REASON_REQUIRED, L.REALIGNED_LATE, unexplained)
    if command.aligned_to == goal.aligned:
        verdict.nothing()
    verdict.then(
        e.ObjectiveRealigned(command.objective_id, goal.aligned, command.aligned_to, command.reason)
    )


def change_kind(
    world: World, command: c.ChangeObjectiveKind, asked: Asked, verdict: Verdict
) -> None:
    """R17: visibly, until grading."""
    goal = pursued(world, command.objective_id, verdict)
    if goal is None:
        return
    cycle = world.cycle_of(goal)
    may_change(world, cycle, asked, verdict, structure=False, judging=True)
    verdict.no(R.CYCLE_NOT_OPEN, cycle.state in {"grading", "reopened"})
    if goal.kind == command.objective_kind:
        verdict.nothing()
    verdict.then(
        e.ObjectiveKindChanged(
            command.objective_id, goal.kind, command.objective_kind, command.reason
        )
    )


def drop(world: World, command: c.DropObjective, asked: Asked, verdict: Verdict) -> None:
    goal = world.objectives.get(command.objective_id)
    if goal is None:
        verdict.no(R.NOT_FOUND)
        return
    cycle = world.cycle_of(goal)
    published = goal.state == "published"
    policy = may_change(world, cycle, asked, verdict, structure=published, judging=True)
    if R.UPDATE_LOCKED in verdict.musts and not published:
        verdict.musts.remove(R.UPDATE_LOCKED)
    verdict.no(R.CYCLE_NOT_OPEN, cycle.state == "grading" and published)
    mid_cycle_reason(cycle, policy, command.reason, verdict)
    verdict.no(R.GOAL_ENDED, goal.state == "carried")
    if goal.state == "dropped":
        verdict.nothing()
    verdict.then(e.ObjectiveDropped(command.objective_id, command.reason))


def graded_score(
    given: Decimal | None,
    computed: Decimal | None,
    reason: str | None,
    policy: Policy,
    verdict: Verdict,
) -> Decimal | None:
    """R16: computed, or adjusted with a reason where the policy allows."""
    if given is None:
        return computed
    verdict.no(R.SCORE_INVALID, not 0 <= given <= 1 or given != given.quantize(Decimal("0.01")))
    if computed is not None and given != computed:
        verdict.no(R.SCORE_NOT_ADJUSTABLE, not policy.grade_adjustable)
        wants_reason(verdict, reason, when=True)
    return given


def in_judging(cycle: Cycle, verdict: Verdict) -> None:
    verdict.no(R.NOT_IN_GRADING, cycle.state not in {"grading", "reopened"})
    verdict.perhaps(R.CYCLE_CLOSED, L.WHICH_STATE, cycle.state == "closed")
    verdict.perhaps(R.CYCLE_NOT_OPEN, L.WHICH_STATE, cycle.state == "cancelled")


def grade_objective(
    world: World, command: c.GradeObjective, asked: Asked, verdict: Verdict
) -> None:
    goal = pursued(world, command.objective_id, verdict)
    verdict.no(R.OUTCOME_INVALID, command.outcome in ENDED)
    if goal is None:
        return
    cycle = world.cycle_of(goal)
    policy = world.policy_of(cycle)
    in_judging(cycle, verdict)
    verdict.perhaps_refused(L.DRAFT_JUDGED, goal.state == "draft")
    verdict.no(R.OWNER_MAY_NOT_GRADE, asked.actor == goal.owner and not policy.grade_by_owner)
    computed = numbers.objective_score(world, goal)
    given = graded_score(command.score, computed, command.reason, policy, verdict)
    verdict.no(
        R.EXPLANATION_REQUIRED,
        goal.kind == "committed"
        and command.outcome == "missed"
        and not reason_given(command.reason),
    )
    verdict.perhaps(R.SCORE_INVALID, L.UNSCORED_OBJECTIVE, given is None)
    judged = (goal.outcome, goal.score, goal.computed)
    if judged == (command.outcome, given, computed):
        verdict.nothing()
    verdict.then(
        e.ObjectiveGraded(command.objective_id, command.outcome, computed, given, command.reason)
    )


def carry_over(world: World, command: c.CarryOverObjective, asked: Asked, verdict: Verdict) -> None:
    """R21: a new objective elsewhere, from the last value on, nothing else copied."""
    goal = world.objectives.get(command.objective_id)
    target = world.cycles.get(command.cycle_id)
    if goal is None or target is None:
        verdict.no(R.NOT_FOUND)
        verdict.perhaps_refused(L.CARRIED_NOWHERE)
        return
    told = goal.carried
    if told is not None and (told.carried_to, told.cycle_id) == (
        command.carried_to,
        command.cycle_id,
    ):
        verdict.nothing()
        verdict.perhaps_refused(L.CARRIED_TWICE)
        return
    source = world.cycle_of(goal)
    sealed(source, verdict)
    policy, new = world.policy_of(source), world.policy_of(target)
    measured = world.measured_by(command.objective_id)
    named = [each.key_result_id for each in command.key_results]
    called = [each.carried_to for each in command.key_results]
    sound = (
        goal.state == "published"
        and target.end > source.end
        and target.state in {"planned", "active"}
        and all(each in measured for each in named)
        and len(set(named)) == len(named)
        and len(set(called)) == len(called)
    )
    verdict.no(R.CARRY_OVER_INVALID, not sound)
    verdict.perhaps(R.CARRY_OVER_INVALID, L.CARRIED_LATER, target.start <= source.end)
    verdict.perhaps_refused(L.CARRIED_HOW, not sound)
    verdict.no(R.GOAL_ENDED, goal.state in ENDED)
    taken = any(each in world.key_results for each in called)
    verdict.no(R.ID_TAKEN, taken or command.carried_to in world.objectives)
    verdict.perhaps_refused(L.CARRIED_FROM, source.state in {"planned", "cancelled"})
    verdict.perhaps(R.UNIT_RETIRED, L.CARRIED_HOW, world.units[goal.unit].retired)
    verdict.perhaps(R.OWNER_IS_TEAM, L.CARRIED_HOW, goal.owner in world.units)
    verdict.perhaps(R.COUNT_OUT_OF_BOUNDS, L.CARRIED_HOW, "block" in {policy.counts, new.counts})
    mid = mid_cycle(target, new)
    verdict.then(
        e.ObjectiveCarriedOver(
            command.objective_id, command.carried_to, command.cycle_id, command.reason
        ),
        e.ObjectiveDrafted(
            command.carried_to,
            command.cycle_id,
            goal.unit,
            goal.title,
            goal.owner,
            goal.kind,
            goal.description,
            goal.contributors,
            ANY,
            command.objective_id,
            mid,
            ANY,
        ),
        *(
            e.KeyResultAdded(
                each.carried_to,
                command.carried_to,
                measured[each.key_result_id].title,
                measured[each.key_result_id].owner,
                _carried_measure(world, measured[each.key_result_id], asked.now, policy, new),
                measured[each.key_result_id].weight if policy.weights == new.weights else ANY,
                each.key_result_id,
                mid,
                ANY,
            )
            for each in command.key_results
            if each.key_result_id in measured
        ),
    )


def _carried_measure(
    world: World, goal: KeyResult, now: datetime, policy: Policy, new: Policy
) -> Any:
    """Baseline = last value, or as it was; ANY where nothing would be left to measure."""
    if policy.carry_over_baseline != new.carry_over_baseline:
        return ANY
    if policy.carry_over_baseline == "original":
        return goal.measure
    if not isinstance(goal.measure, m.Metric | m.FourPointMetric | m.KpiLinked):
        return goal.measure
    value = numbers.counting_value(world, goal, now)
    if value is None:
        return goal.measure
    moved = replace(goal.measure, baseline=value)
    if isinstance(goal.measure, m.KpiLinked) or not numbers.is_sound(moved):
        return ANY
    return moved


# ---------------------------------------------------------------------------------- key results


def measure_fits(world: World, measure: m.Measure, verdict: Verdict) -> None:
    """R4, R25."""
    verdict.no(R.MEASURE_INVALID, not numbers.is_sound(measure))
    if isinstance(measure, m.FourPointMetric):
        touch = measure.commit in {measure.baseline, measure.target}
        verdict.perhaps(R.MEASURE_INVALID, L.POINTS_TOUCH, touch)
    if isinstance(measure, m.KpiLinked):
        kpi = world.kpis.get(measure.kpi_id)
        verdict.no(R.NOT_FOUND, kpi is None)
        verdict.no(R.KPI_RETIRED, kpi is not None and kpi.retired)


def add_key_result(world: World, command: c.AddKeyResult, asked: Asked, verdict: Verdict) -> None:
    there = world.key_results.get(command.key_result_id)
    if created_before(verdict, command, there.made if there else None):
        verdict.perhaps_refused(L.CARRIED_ID, there is not None and there.made.carried_from)
        return
    verdict.no(R.WEIGHT_INVALID, command.weight < 0)
    measure_fits(world, command.measure, verdict)
    goal = pursued(world, command.objective_id, verdict)
    if goal is None:
        return
    cycle = world.cycle_of(goal)
    policy = may_change(world, cycle, asked, verdict, structure=True, judging=True)
    verdict.no(R.CYCLE_NOT_OPEN, cycle.state == "grading")
    owner_fits(world, command.owner, policy, verdict)
    mid_cycle_reason(cycle, policy, command.reason, verdict)
    measured = world.measured_by(command.objective_id).values()
    many = policy.counts == "block" and len(measured) + 1 > policy.key_results_max
    verdict.no(R.COUNT_OUT_OF_BOUNDS, many and goal.state == "published")
    verdict.perhaps(R.COUNT_OUT_OF_BOUNDS, L.DRAFTS_COUNT, many)
    changed_weights(policy, goal, [*(each.weight for each in measured), command.weight], verdict)
    heavy = policy.weights == "equal" and command.weight != 1
    verdict.perhaps(R.WEIGHTS_OUT_OF_POLICY, L.EQUAL_WEIGHTS, heavy)
    verdict.then(
        e.KeyResultAdded(
            command.key_result_id,
            command.objective_id,
            command.title,
            command.owner,
            command.measure,
            command.weight,
            None,
            mid_cycle(cycle, policy),
            command.reason,
        )
    )


def changed_weights(
    policy: Policy, goal: Objective, weights: list[Decimal], verdict: Verdict
) -> None:
    """R10 after publishing: weights change one by one, so that in between they may not fit."""
    aside = Verdict()
    weights_fit(policy, weights, aside)
    verdict.perhaps(R.WEIGHTS_OUT_OF_POLICY, L.WEIGHTS_IN_BETWEEN, aside.musts)
    verdict.perhaps_refused(L.ALL_WEIGHTS_ZERO, aside.any_reason)


def living(world: World, key_result_id: str, verdict: Verdict) -> KeyResult | None:
    """A key result that is pursued, of an objective that is."""
    goal = world.key_results.get(key_result_id)
    if goal is None:
        verdict.no(R.NOT_FOUND)
        return None
    ended = goal.dropped or world.objective_of(goal).state in ENDED
    verdict.no(R.GOAL_ENDED, ended)
    return goal


def changing(
    world: World, key_result_id: str, asked: Asked, verdict: Verdict, *, structure: bool = False
) -> tuple[KeyResult, Cycle, Policy] | None:
    goal = living(world, key_result_id, verdict)
    if goal is None:
        return None
    cycle = world.cycle_of(world.objective_of(goal))
    return goal, cycle, may_change(world, cycle, asked, verdict, structure=structure)


def reword_key_result(
    world: World, command: c.RewordKeyResult, asked: Asked, verdict: Verdict
) -> None:
    found = changing(world, command.key_result_id, asked, verdict)
    if found is None:
        return
    goal = found[0]
    if goal.title == command.title:
        verdict.nothing()
    verdict.then(
        e.KeyResultReworded(command.key_result_id, goal.title, command.title, command.reason)
    )


def reassign_key_result(
    world: World, command: c.ReassignKeyResult, asked: Asked, verdict: Verdict
) -> None:
    found = changing(world, command.key_result_id, asked, verdict)
    if found is None:
        return
    goal, _, policy = found
    owner_fits(world, command.owner, policy, verdict)
    if goal.owner == command.owner:
        verdict.nothing()
    verdict.then(
        e.KeyResultReassigned(command.key_result_id, goal.owner, command.owner, command.reason)
    )


def reweight(world: World, command: c.ReweightKeyResult, asked: Asked, verdict: Verdict) -> None:
    verdict.no(R.WEIGHT_INVALID, command.weight < 0)
    found = changing(world, command.key_result_id, asked, verdict)
    if found is None:
        return
    goal, cycle, policy = found
    verdict.perhaps(
        R.STRUCTURE_LOCKED,
        L.REWEIGHTED_LATE,
        policy.structure_lock_days is not None and cycle.state != "planned",
    )
    others = world.measured_by(goal.made.objective_id)
    weights = [
        command.weight if key == command.key_result_id else each.weight
        for key, each in others.items()
    ]
    changed_weights(policy, world.objective_of(goal), weights, verdict)
    heavy = policy.weights == "equal" and command.weight != 1
    verdict.perhaps(R.WEIGHTS_OUT_OF_POLICY, L.EQUAL_WEIGHTS, heavy)
    if goal.weight == command.weight:
        verdict.nothing()
    verdict.then(
        e.KeyResultReweighted(command.key_result_id, goal.weight, command.weight, command.reason)
    )


def measure_held(goal: KeyResult, measure: m.Measure, verdict: Verdict) -> None:
    """R8: kind, unit and direction are fixed after the first check-in."""
    differs = numbers.direction(goal.measure) != numbers.direction(measure)
    valued = [each for each in goal.said.values() if each.value is not None]
    standing = [each for each in valued if not each.retracted]
    verdict.no(R.MEASURE_FIXED, differs and standing)
    verdict.perhaps(R.MEASURE_FIXED, L.MEASURE_HELD_BY, differs and goal.said)


def retarget(world: World, command: c.RetargetKeyResult, asked: Asked, verdict: Verdict) -> None:
    found = changing(world, command.key_result_id, asked, verdict, structure=True)
    measure_fits(world, command.measure, verdict)
    if found is None:
        return
    goal, cycle, policy = found
    if m.KpiLinked in {type(goal.measure), type(command.measure)}:
        same = numbers.direction(goal.measure) == numbers.direction(command.measure)
        verdict.perhaps_refused(L.RELINKED_BY_RETARGETING, not same)
    measure_held(goal, command.measure, verdict)
    lowered = (
        numbers.asks_less(goal.measure, command.measure)
        if numbers.is_sound(command.measure)
        else None
    )
    if lowered is None:
        mid_cycle_reason(cycle, policy, command.reason, verdict, sure=False)
    elif lowered:
        mid_cycle_reason(cycle, policy, command.reason, verdict)
    if goal.measure == command.measure:
        verdict.nothing()
    verdict.then(
        e.KeyResultRetargeted(
            command.key_result_id,
            goal.measure,
            command.measure,
            ANY if lowered is None else lowered,
            mid_cycle(cycle, policy),
            command.reason,
        )
    )


def drop_key_result(world: World, command: c.DropKeyResult, asked: Asked, verdict: Verdict) -> None:
    found = changing(world, command.key_result_id, asked, verdict, structure=True)
    if found is None:
        return
    goal, cycle, policy = found
    mid_cycle_reason(cycle, policy, command.reason, verdict)
    objective = world.objective_of(goal)
    left = [
        each
        for key, each in world.measured_by(goal.made.objective_id).items()
        if key != command.key_result_id
    ]
    if objective.state == "published" and not goal.dropped:
        few = policy.counts == "block" and len(left) < policy.key_results_min
        verdict.perhaps(R.COUNT_OUT_OF_BOUNDS, L.DROPPED_BELOW, few)
    changed_weights(policy, objective, [each.weight for each in left], verdict)
    if goal.dropped:
        verdict.nothing()
    verdict.then(
        e.KeyResultDropped(command.key_result_id, mid_cycle(cycle, policy), command.reason)
    )


def link(world: World, command: c.LinkKeyResultToKpi, asked: Asked, verdict: Verdict) -> None:
    """R25."""
    measure = m.KpiLinked(command.kpi_id, command.baseline, command.target)
    found = changing(world, command.key_result_id, asked, verdict, structure=True)
    measure_fits(world, measure, verdict)
    if found is None:
        return
    goal, cycle, policy = found
    verdict.perhaps(R.MEASURE_FIXED, L.MEASURE_HELD_BY, goal.said)
    if isinstance(goal.measure, m.KpiLinked) and goal.measure != measure:
        other = goal.measure.kpi_id != command.kpi_id
        verdict.no(R.FOLLOWS_KPI, other)
        verdict.perhaps(R.FOLLOWS_KPI, L.RELINKED)
    if goal.measure == measure:
        verdict.nothing()
    mid_cycle_reason(cycle, policy, command.reason, verdict, sure=False)
    verdict.then(
        e.KeyResultLinkedToKpi(command.key_result_id, goal.measure, measure, command.reason)
    )


def unlink(world: World, command: c.UnlinkKeyResultFromKpi, asked: Asked, verdict: Verdict) -> None:
    """R25: with a reason, and to a measure of its own."""
    found = changing(world, command.key_result_id, asked, verdict, structure=True)
    measure_fits(world, command.measure, verdict)
    linked = isinstance(command.measure, m.KpiLinked)
    verdict.no(R.MEASURE_INVALID, linked)
    wants_reason(verdict, command.reason, when=True)
    if found is None:
        return
    goal = found[0]
    verdict.no(R.NOT_LINKED, not isinstance(goal.measure, m.KpiLinked))
    verdict.perhaps(R.MEASURE_FIXED, L.MEASURE_HELD_BY, goal.said)
    verdict.then(
        e.KeyResultUnlinkedFromKpi(
            command.key_result_id, goal.measure, command.measure, command.reason or ""
        )
    )


# ------------------------------------------------------------------------------------- check-ins


def says(
    goal: KeyResult, policy: Policy, command: c.CheckIn | c.CorrectCheckIn, verdict: Verdict
) -> None:
    """R11: what a check-in has to say."""
    note = command.note.strip()
    nothing = command.value is None and command.confidence is None and command.status is None
    verdict.no(R.NOTHING_SAID, nothing and not note)
    verdict.no(R.NOTE_REQUIRED, policy.note_required and not note)
    verdict.no(R.CONFIDENCE_REQUIRED, policy.confidence_required and command.confidence is None)
    if command.value is not None:
        verdict.no(R.FOLLOWS_KPI, isinstance(goal.measure, m.KpiLinked))
        verdict.no(R.VALUE_DOES_NOT_FIT, not numbers.fits(goal.measure, command.value))


def check_in(world: World, command: c.CheckIn, asked: Asked, verdict: Verdict) -> None:
    """R11, R13, R15."""
    goal = world.key_results.get(command.key_result_id)
    if goal is None:
        verdict.no(R.NOT_FOUND)
        return
    there = goal.said.get(command.check_in_id)
    but = ("effective_at",) if command.effective_at is None else ()
    if there is not None and created_before(verdict, command, there.made, *but):
        return
    objective = world.objective_of(goal)
    cycle = world.cycle_of(objective)
    policy = world.policy_of(cycle)
    verdict.no(R.GOAL_ENDED, goal.dropped or objective.state in ENDED)
    verdict.no(R.CYCLE_CLOSED, cycle.state == "closed")
    open_ = cycle.state in {"active", "grading", "reopened"} and objective.state == "published"
    verdict.no(R.CHECK_INS_CLOSED, not open_)
    verdict.perhaps(R.CYCLE_NOT_OPEN, L.WHICH_STATE, cycle.state in {"planned", "cancelled"})
    says(goal, policy, command, verdict)
    effective_at = command.effective_at or asked.now
    verdict.no(R.EFFECTIVE_IN_FUTURE, effective_at > asked.now)
    begun = world.begin_of(cycle.start)
    within = begun <= effective_at <= world.end_of(cycle.end)
    verdict.no(R.EFFECTIVE_OUTSIDE_CYCLE, not within)
    if within:
        today, days = world.today(asked.now), policy.backdating_days_max
        gone = (min(today, cycle.end) - world.today(effective_at)).days
        verdict.no(R.BACKDATED_TOO_FAR, gone > days)
        late = (today - world.today(effective_at)).days
        verdict.perhaps(R.BACKDATED_TOO_FAR, L.BACKDATED_FROM_WHEN, late > days >= gone)
    after = (world.today(asked.now) - cycle.end).days
    verdict.no(R.GRACE_OVER, after > policy.grace_days_after_end and cycle.state == "active")
    if policy.update_lock_days is not None:
        over = after > policy.update_lock_days
        verdict.no(R.UPDATE_LOCKED, over and cycle.state == "active")
        verdict.perhaps(R.UPDATE_LOCKED, L.LOCKED_ELSEWHERE, over)
    verdict.then(
        e.CheckedIn(
            command.key_result_id,
            command.check_in_id,
            effective_at,
            command.value,
            command.confidence,
            command.status,
            command.note,
            command.provenance,
        )
    )


def takes_back(
    world: World, goal: KeyResult, check_in_id: str, asked: Asked, verdict: Verdict
) -> Policy:
    """R14: who may, and within which window; R19 leaves corrections to a closed cycle."""
    objective = world.objective_of(goal)
    cycle = world.cycle_of(objective)
    policy = world.policy_of(cycle)
    said = goal.said[check_in_id]
    verdict.no(R.ALREADY_RETRACTED, said.retracted)
    verdict.no(R.NOT_THE_AUTHOR, policy.correction_by == "author" and asked.actor != said.author)
    if policy.correction_window_days is not None:
        window_over(
            world,
            said.made_at,
            asked.now,
            policy.correction_window_days,
            R.CORRECTION_WINDOW_OVER,
            verdict,
        )
    verdict.perhaps(
        R.NOT_PERMITTED,
        L.ANOTHERS_CHECK_IN,
        asked.role == "contributor" and asked.actor != said.author,
    )
    ended = goal.dropped or objective.state in ENDED
    verdict.perhaps(R.GOAL_ENDED, L.CORRECTED_AFTER_END, ended)
    verdict.perhaps_refused(L.CORRECTED_AFTER_END, cycle.state == "cancelled")
    return policy


def correct_check_in(
    world: World, command: c.CorrectCheckIn, asked: Asked, verdict: Verdict
) -> None:
    wants_reason(verdict, command.reason, when=True)
    goal = world.key_results.get(command.key_result_id)
    said = None if goal is None else goal.said.get(command.check_in_id)
    if goal is None or said is None:
        verdict.no(R.NOT_FOUND)
        return
    policy = takes_back(world, goal, command.check_in_id, asked, verdict)
    says(goal, policy, command, verdict)
    now = (said.value, said.confidence, said.status, said.note)
    if now == (command.value, command.confidence, command.status, command.note):
        verdict.nothing()
    verdict.then(
        e.CheckInCorrected(
            command.key_result_id,
            command.check_in_id,
            said.made.effective_at,
            command.reason or "",
            said.value,
            command.value,
            said.confidence,
            command.confidence,
            said.status,
            command.status,
            said.note,
            command.note,
        )
    )


def retract_check_in(
    world: World, command: c.RetractCheckIn, asked: Asked, verdict: Verdict
) -> None:
    wants_reason(verdict, command.reason, when=True)
    goal = world.key_results.get(command.key_result_id)
    said = None if goal is None else goal.said.get(command.check_in_id)
    if goal is None or said is None:
        verdict.no(R.NOT_FOUND)
        return
    takes_back(world, goal, command.check_in_id, asked, verdict)
    if said.retracted:
        verdict.nothing()
    verdict.then(
        e.CheckInRetracted(
            command.key_result_id,
            command.check_in_id,
            said.made.effective_at,
            command.reason or "",
        )
    )


def grade_key_result(
    world: World, command: c.GradeKeyResult, asked: Asked, verdict: Verdict
) -> None:
    goal = living(world, command.key_result_id, verdict)
    if goal is None:
        return
    objective = world.objective_of(goal)
    cycle = world.cycle_of(objective)
    policy = world.policy_of(cycle)
    in_judging(cycle, verdict)
    verdict.perhaps_refused(L.DRAFT_JUDGED, objective.state == "draft")
    verdict.no(R.OWNER_MAY_NOT_GRADE, asked.actor == goal.owner and not policy.grade_by_owner)
    computed = numbers.score(world, goal, asked.now, policy)
    given = graded_score(command.score, computed, command.reason, policy, verdict)
    verdict.no(R.SCORE_INVALID, given is None)
    if given is not None and (goal.score, goal.computed) == (given, computed):
        verdict.nothing()
    told: Any = given
    verdict.then(e.KeyResultGraded(command.key_result_id, told, computed, command.reason))


def waive(world: World, command: c.WaiveKeyResult, asked: Asked, verdict: Verdict) -> None:
    goal = living(world, command.key_result_id, verdict)
    wants_reason(verdict, command.reason, when=True)
    if goal is None:
        return
    objective = world.objective_of(goal)
    in_judging(world.cycle_of(objective), verdict)
    verdict.perhaps_refused(L.DRAFT_JUDGED, objective.state == "draft")
    if goal.waived:
        verdict.nothing()
    verdict.then(e.KeyResultWaived(command.key_result_id, command.reason or ""))


RULES: dict[type, Callable[..., None]] = {
    c.OpenOrganisation: open_organisation,
    c.ChangePolicy: change_policy,
    c.StartHistoryImport: start_import,
    c.FinishHistoryImport: finish_import,
    c.DefineUnit: define_unit,
    c.RenameUnit: rename_unit,
    c.MoveUnit: move_unit,
    c.RetireUnit: retire_unit,
    c.PlanCycle: plan_cycle,
    c.RescheduleCycle: reschedule,
    c.ActivateCycle: activate,
    c.StartCycleGrading: start_grading,
    c.CloseCycle: close,
    c.ReopenCycle: reopen,
    c.CancelCycle: cancel,
    c.RecordRetrospective: look_back,
    c.DraftObjective: draft,
    c.PublishObjective: publish,
    c.RewordObjective: reword,
    c.ReassignObjective: reassign,
    c.ChangeObjectiveContributors: contributors,
    c.RealignObjective: realign,
    c.ChangeObjectiveKind: change_kind,
    c.DropObjective: drop,
    c.GradeObjective: grade_objective,
    c.CarryOverObjective: carry_over,
    c.AddKeyResult: add_key_result,
    c.RewordKeyResult: reword_key_result,
    c.ReassignKeyResult: reassign_key_result,
    c.ReweightKeyResult: reweight,
    c.RetargetKeyResult: retarget,
    c.DropKeyResult: drop_key_result,
    c.LinkKeyResultToKpi: link,
    c.UnlinkKeyResultFromKpi: unlink,
    c.CheckIn: check_in,
    c.CorrectCheckIn: correct_check_in,
    c.RetractCheckIn: retract_check_in,
    c.GradeKeyResult: grade_key_result,
    c.WaiveKeyResult: waive,
}
