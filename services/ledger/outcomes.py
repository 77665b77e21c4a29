"""The one canonical line of each command: who asked for what, and what became of it.

The lines of a group go through structlog together, as one event with `lines`: when it was and how
it is written is the same for all of them, and looked up once. `services.cli.logs` writes such an
event as the lines it stands for.
"""

from collections.abc import Iterable

import structlog
from goal_contracts.replies import Accepted, Refused, Reply

from services.ledger.request import Request

log = structlog.get_logger()


def tell(answered: Iterable[tuple[Request, Reply | None]]) -> None:
    """What became of the commands of a group; None is no answer."""
    lines = []
    for request, reply in answered:
        facts: dict[str, object] = {
            "organisation": request.organisation_id,
            "actor": request.actor,
            "command": type(request.command).__name__,
            "command_id": request.command_id,
        }
        match reply:
            case Accepted(position=position, events=events):
                lines.append({"event": "accepted", "position": position, "events": events, **facts})
            case Refused(reason=reason, rule=rule, message=message):
                said = {"reason": str(reason), "rule": rule, "message": message}
                lines.append({"event": "refused", **said, **facts})
            case None:
                why = "a fault; asking again with the same id is safe"
                log.error("not_answered", why=why, **facts)
    if lines:
        log.info("answered", lines=lines)
