"""R9: which objectives and key results an objective may serve.

Alignment is acyclic; a parent is in the same or an enclosing cycle, which is neither closed nor
cancelled; levels may be skipped. An indicator has no cycle and so cannot be a parent. A key
result's own parent is its objective.
"""

from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.organisation import Cycle, Objective, Organisation


def refuse_alignment(
    organisation: Organisation,
    objective_id: str,
    cycle: Cycle,
    aligned_to: tuple[str, ...],
    aligned_to_was: tuple[str, ...] = (),
) -> None:
    """Judges the parents that are new; one that ended since it was chosen may stay."""
    if organisation.policy_of(cycle).parents == "one" and len(aligned_to) > 1:
        raise Refusal(
            Reason.TOO_MANY_PARENTS,
            f"{len(aligned_to)} parents are named",
            seen=", ".join(aligned_to),
            accepted="one parent (or the policy parents: many)",
        )
    refuse_named_twice(aligned_to)
    for parent in aligned_to:
        if parent not in aligned_to_was:
            above = _objective_of(organisation, parent)
            _refuse_loop(organisation, objective_id, above, parent)
            _refuse_outside(organisation, cycle, above, parent)
            _refuse_ended(organisation, above, parent)


def refuse_named_twice(names: tuple[str, ...]) -> None:
    if len(set(names)) < len(names):
        raise Refusal(
            Reason.MALFORMED,
            "somebody or something is named twice",
            seen=", ".join(names),
            accepted="each once",
        )


def still_valid(
    organisation: Organisation, objective_id: str, cycle: Cycle, aligned_to: tuple[str, ...]
) -> tuple[str, ...]:
    """Those parents that an objective could choose in another cycle, as many as it may have."""

    def is_valid(parent: str) -> bool:
        try:
            refuse_alignment(organisation, objective_id, cycle, (parent,))
        except Refusal:
            return False
        return True

    valid = tuple(parent for parent in aligned_to if is_valid(parent))
    return valid[:1] if organisation.policy_of(cycle).parents == "one" else valid


def _objective_of(organisation: Organisation, parent: str) -> Objective:
    kind, _, goal_id = parent.partition("/")
    if kind == "kpi":
        raise Refusal(
            Reason.ALIGNMENT_OUT_OF_CYCLE,
            f"{parent} is an indicator and belongs to no cycle",
            seen=parent,
            accepted="an objective or a key result; LinkKeyResultToKpi follows an indicator",
        )
    if kind == "objective":
        return organisation.objective(goal_id)
    return organisation.objective(organisation.key_result(goal_id).objective_id)


def _refuse_loop(
    organisation: Organisation, objective_id: str, above: Objective, parent: str
) -> None:
    seen: set[str] = set()
    ahead = [above]
    while ahead:
        objective = ahead.pop()
        if objective.objective_id == objective_id:
            raise Refusal(
                Reason.ALIGNMENT_LOOP,
                f"{parent} already serves the objective {objective_id}",
                seen=parent,
                accepted="a parent that does not lead back",
            )
        if objective.objective_id not in seen:
            seen.add(objective.objective_id)
            ahead.extend(_objective_of(organisation, each) for each in objective.aligned_to)


def _refuse_outside(
    organisation: Organisation, cycle: Cycle, above: Objective, parent: str
) -> None:
    enclosing: Cycle | None = cycle
    while enclosing is not None:
        if enclosing.cycle_id == above.cycle_id:
            return
        above_it = enclosing.parent_id
        enclosing = None if above_it is None else organisation.cycles[above_it]
    raise Refusal(
        Reason.ALIGNMENT_OUT_OF_CYCLE,
        f"{parent} belongs to the cycle {above.cycle_id}, which does not enclose {cycle.cycle_id}",
        seen=above.cycle_id,
        accepted=f"a parent in {cycle.cycle_id} or a cycle around it",
    )


def _refuse_ended(organisation: Organisation, above: Objective, parent: str) -> None:
    kind, _, goal_id = parent.partition("/")
    state: str = organisation.cycles[above.cycle_id].state
    if state not in {"closed", "cancelled"}:
        dropped = kind == "key_result" and organisation.key_results[goal_id].dropped
        state = "dropped" if dropped else above.state
    if state in {"closed", "cancelled", "dropped", "carried"}:
        raise Refusal(
            Reason.ALIGNMENT_CLOSED,
            f"{parent} is {state}, or its cycle is",
            seen=state,
            accepted="a parent that is still pursued, in a cycle that is not closed",
        )
