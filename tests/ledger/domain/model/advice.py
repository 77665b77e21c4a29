"""What is worth saying of an accepted command: R5 counts, R10 weights, R31 style.

Only titles are judged of which nobody doubts what they are: NUMBERED, PLAIN and ACTIVITY.
"""

from collections.abc import Sequence

from goal_contracts import events as e
from goal_contracts.events import Event
from goal_contracts.measures import Metric, Milestone
from goal_contracts.replies import Warned

from tests.ledger.domain.model.goals import weights_fit
from tests.ledger.domain.model.verdict import Verdict
from tests.ledger.domain.model.world import Objective, World

PLAIN = ("Win", "Win more", "Grow", "Customers rely on us")
NUMBERED = ("Win 100 deals", "Grow by 20%")
ACTIVITY = ("Launch the new site", "Organise a workshop")
Bounds = dict[str, tuple[int, int]]


def differs(world: World, happened: Sequence[Event], warned: Sequence[Warned]) -> str:
    """How advice contradicts the rules; `world` is what has come of it; empty, not at all."""
    bounds: Bounds = {"R5": (0, 0), "R10": (0, 0), "R31": (0, 0)}
    for each in happened:
        for rule, (least, most) in _of(world, each).items():
            bounds[rule] = (max(bounds[rule][0], least), bounds[rule][1] + most)
    for rule, (least, most) in bounds.items():
        count = sum(each.rule == rule for each in warned)
        if not least <= count <= most:
            return f"{rule} is said {count} times, not {least} to {most}: {warned}, {happened}"
    unknown = [each for each in warned if each.rule not in bounds]
    return f"{unknown} is no advice" if unknown else ""


def _of(world: World, event: Event) -> Bounds:
    match event:
        case e.ObjectiveReworded() if event.title == event.title_was:
            return {"R31": (0, 1)}  # the words are not new
        case e.ObjectiveDrafted() | e.ObjectiveReworded():
            said = _style(world, event.objective_id, event.title)
            if isinstance(event, e.ObjectiveDrafted) and event.carried_from is not None:
                said = {"R31": (0, 1)}  # the words are not new
            if isinstance(event, e.ObjectiveDrafted):
                said |= _pursued(world, event.objective_id)
            return said
        case e.ObjectivePublished():
            goal = world.objectives[event.objective_id]
            return _published(world, event.objective_id, goal)
        case e.KeyResultAdded():
            return _added(world, event)
        case e.KeyResultReworded():
            return _activity(world, event.key_result_id, event.title)
        case e.KeyResultReweighted() | e.KeyResultDropped():
            return _weighed(world, event.key_result_id) | _counted(world, event.key_result_id)
        case e.ObjectiveReassigned():
            return {"R5": (0, 1)}
        case e.KeyResultRetargeted() | e.KeyResultLinkedToKpi() | e.KeyResultUnlinkedFromKpi():
            return {"R31": (0, 1)}
        case _:
            return {}


def _style(world: World, objective_id: str, title: str) -> Bounds:
    policy = world.policy_of(world.cycle_of(world.objectives[objective_id]))
    if policy.advice == "off" or title in PLAIN:
        return {}
    return {"R31": (1, 1) if title in NUMBERED else (0, 1)}


def _activity(world: World, key_result_id: str, title: str) -> Bounds:
    goal = world.key_results[key_result_id]
    policy = world.policy_of(world.cycle_of(world.objective_of(goal)))
    if policy.advice == "off" or isinstance(goal.measure, Metric) or title in PLAIN:
        return {}
    sure = title in ACTIVITY and isinstance(goal.measure, Milestone)
    return {"R31": (1, 1) if sure else (0, 1)}


def _counted(world: World, key_result_id: str) -> Bounds:
    """R5 of the key results of a published objective."""
    objective_id = world.key_results[key_result_id].made.objective_id
    goal = world.objectives[objective_id]
    policy = world.policy_of(world.cycle_of(goal))
    if policy.counts != "warn" or goal.state != "published":
        return {}
    count = len(world.measured_by(objective_id))
    fits = policy.key_results_min <= count <= policy.key_results_max
    return {} if fits else {"R5": (0, 1)}


def _weighed(world: World, key_result_id: str) -> Bounds:
    """R10 of a published objective; how it came to it is a leniency of the rules."""
    objective_id = world.key_results[key_result_id].made.objective_id
    goal = world.objectives[objective_id]
    policy = world.policy_of(world.cycle_of(goal))
    aside = Verdict()
    weights_fit(policy, [each.weight for each in world.measured_by(objective_id).values()], aside)
    if goal.state == "published" and aside.mays and not aside.musts:
        return {"R10": (0, 1)}
    if goal.state == "published":
        return {"R10": (1, 1)} if aside.musts or aside.any_reason else {}
    return {"R10": (0, 1)} if aside.any_reason else {}


def _added(world: World, event: e.KeyResultAdded) -> Bounds:
    style = _activity(world, event.key_result_id, event.title)
    return style | _weighed(world, event.key_result_id) | _counted(world, event.key_result_id)


def _published(world: World, objective_id: str, goal: Objective) -> Bounds:
    """R5: of its key results, and of the objectives of its unit."""
    policy = world.policy_of(world.cycle_of(goal))
    if policy.counts != "warn":
        return {}
    count = len(world.measured_by(objective_id))
    fits = policy.key_results_min <= count <= policy.key_results_max
    most = _pursued(world, objective_id).get("R5", (0, 0))[1]
    return {"R5": (int(not fits), int(not fits) + most)}


def _pursued(world: World, objective_id: str) -> Bounds:
    """R5 of the objectives of a unit; whether drafts count, nobody says."""
    goal = world.objectives[objective_id]
    policy = world.policy_of(world.cycle_of(goal))
    if policy.counts != "warn":
        return {}
    company = world.units[goal.unit].made.unit_kind == "company"
    most = policy.company_objectives_max if company else policy.unit_objectives_max
    beside = [
        each.state
        for key, each in world.objectives.items()
        if key != objective_id
        and each.unit == goal.unit
        and each.made.cycle_id == goal.made.cycle_id
    ]
    published = beside.count("published") + 1
    return {"R5": (int(published > most), int(published + beside.count("draft") > most))}
