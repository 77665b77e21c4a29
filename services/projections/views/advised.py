"""What is worth saying of goals as they stand (R5, R10, R31), for as long as it can be mended."""

from collections.abc import Sequence

from goal_contracts import advice
from goal_contracts.queries import KeyResultCard, ObjectiveCard, UnitCard
from goal_contracts.replies import Warned

from services.projections.views.course import Course


def on_objective(
    card: ObjectiveCard,
    key_results: Sequence[KeyResultCard],
    unit: UnitCard | None,
    pursued: int,
    course: Course,
) -> tuple[Warned, ...]:
    """Of an objective; `pursued` are those of its unit in the cycle, without dropped and carried.

    A draft is still being put together: only its words and its company are looked at.
    """
    if not _is_mendable(card, course):
        return ()
    policy = course.policy
    said = advice.on_objective(policy, card.title)
    if unit is not None:
        is_company = unit.unit_kind == "company"
        said += advice.on_objectives(policy, unit.name, pursued, company=is_company)
    if card.state == "published":
        live = [each for each in key_results if not each.dropped]
        said += advice.on_key_results(policy, len(live))
        said += advice.on_weights(policy, [each.weight for each in live])
    return said


def on_key_result(
    card: KeyResultCard, objective: ObjectiveCard, course: Course
) -> tuple[Warned, ...]:
    """Of a key result that is pursued."""
    if card.dropped or not _is_mendable(objective, course):
        return ()
    return advice.on_key_result(course.policy, card.title, card.measure)


def _is_mendable(objective: ObjectiveCard, course: Course) -> bool:
    return not course.is_over and objective.state in {"draft", "published"}
