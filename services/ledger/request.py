"""A command with everything that is not in it, and where its reply goes."""

from collections.abc import Callable
from datetime import datetime

from goal_contracts.commands import Command
from goal_contracts.fields import Role
from goal_contracts.replies import Reply
from msgspec import Struct

SendReply = Callable[[Reply], None]


class Request(Struct, frozen=True):
    """Who asks, when, under which id. `size` is how many bytes it came in."""

    organisation_id: str
    actor: str
    command: Command
    command_id: str
    now: datetime
    recorded_at: datetime
    import_id: str | None = None
    provenance: str | None = None
    on_behalf_of: str | None = None
    correlation_id: str | None = None
    role: Role = "admin"
    units: tuple[str, ...] = ()
    decided_on: int | None = None
    size: int = 0


class Waiting(Struct, frozen=True, eq=False):
    """A request, where its reply goes, and when it was taken: the event loop's time, in seconds."""

    request: Request
    reply: SendReply
    taken_at: float
