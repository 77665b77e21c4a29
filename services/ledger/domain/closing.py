"""R18: what a cycle must have come to before it is sealed, and what it came to in numbers."""

from collections.abc import Iterator
from decimal import Decimal

from goal_contracts.measures import SCORE_STEP, mean
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.organisation import Cycle, Objective, Organisation

NAMED_MAX = 5
"""How many ids a refusal names."""


def refuse_unless_judged(organisation: Organisation, cycle: Cycle) -> None:
    """Every objective has an outcome, every key result is scored or waived, people looked back."""
    drafts = [o.objective_id for o in _in_state(organisation, cycle, "draft")]
    if drafts:
        raise Refusal(
            Reason.OUTCOME_MISSING,
            f"{len(drafts)} objectives are still drafts",
            seen=_named(drafts),
            accepted="no drafts: DropObjective, or publish and judge them",
        )
    open_key_results = [
        key_result.key_result_id
        for objective in _in_state(organisation, cycle, "published")
        for key_result in organisation.live_key_results(objective.objective_id)
        if key_result.score is None and not key_result.waived
    ]
    if open_key_results:
        raise Refusal(
            Reason.NOT_ALL_SCORED,
            f"{len(open_key_results)} key results are neither scored nor waived",
            seen=_named(open_key_results),
            accepted="GradeKeyResult or WaiveKeyResult for each",
        )
    without = [
        o.objective_id for o in _in_state(organisation, cycle, "published") if o.outcome is None
    ]
    if without:
        raise Refusal(
            Reason.OUTCOME_MISSING,
            f"{len(without)} objectives have no outcome",
            seen=_named(without),
            accepted="GradeObjective for each",
        )
    if organisation.policy_of(cycle).retrospective_required and not cycle.retrospectives:
        raise Refusal(
            Reason.RETROSPECTIVE_MISSING,
            f"the cycle {cycle.cycle_id} has no retrospective",
            seen="none",
            accepted="RecordRetrospective first",
        )


def aspirational_score(organisation: Organisation, cycle: Cycle) -> Decimal | None:
    """The mean score of the aspirational objectives that have one; none has, no number."""
    return _mean(
        objective.score
        for objective in _in_state(organisation, cycle, "published")
        if objective.objective_kind == "aspirational"
    )


def committed_met(organisation: Organisation, cycle: Cycle) -> Decimal | None:
    """The share of the committed objectives judged that were achieved; none was, no number.

    Dropped and carried ones are left out: nobody judged them, and the record shows them.
    """
    return _mean(
        Decimal(objective.outcome == "achieved")
        for objective in _in_state(organisation, cycle, "published")
        if objective.objective_kind == "committed"
    )


def _in_state(organisation: Organisation, cycle: Cycle, state: str) -> list[Objective]:
    return [o for o in organisation.objectives_in(cycle.cycle_id) if o.state == state]


def _mean(numbers: Iterator[Decimal | None]) -> Decimal | None:
    found = mean(numbers)
    return None if found is None else found.quantize(SCORE_STEP)


def _named(ids: list[str]) -> str:
    return ", ".join(ids[:NAMED_MAX]) + (", …" if len(ids) > NAMED_MAX else "")
