"""Comments: on every objective, key result and KPI there is, in every state of its cycle (R19)."""

from goal_contracts import commands
from goal_contracts.events import CommentAdded, Event

from services.ledger.domain.asked import asked_before
from services.ledger.domain.organisation import Organisation


def add(organisation: Organisation, command: commands.AddComment) -> tuple[Event, ...]:
    """An id is unique among the comments on one goal."""
    added = CommentAdded(goal=command.goal, comment_id=command.comment_id, text=command.text)
    known = organisation.comments.get((command.goal, command.comment_id))
    if known is not None:
        return asked_before(command, known)
    match added.kind:
        case "objective":
            organisation.objective(added.goal_id)
        case "key_result":
            organisation.key_result(added.goal_id)
        case _:
            organisation.kpi(added.goal_id)
    return (added,)
