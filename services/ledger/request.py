"""A command with everything that is not in it, and where its reply goes."""

from collections.abc import Callable
from datetime import datetime

from goal_contracts import codec
from goal_contracts.codec import Recorded
from goal_contracts.commands import Command
from goal_contracts.events import Event
from goal_contracts.fields import Role
from goal_contracts.replies import Reply
from msgspec import Struct

from services.ledger.domain import Asked

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

    def asked(self, log_position: int) -> Asked:
        """Its circumstances, for the rules; `log_position` is how far the log goes."""
        return Asked(
            organisation_id=self.organisation_id,
            actor=self.actor,
            now=self.now,
            import_id=self.import_id,
            role=self.role,
            units=self.units,
            decided_on=self.decided_on,
            log_position=log_position,
            command_id=self.command_id,
        )

    def recorded(self, event: Event, event_id: str, position: int) -> Recorded:
        """What follows from it, as it will stand in the log."""
        return Recorded(
            position=position,
            event_id=event_id,
            organisation_id=self.organisation_id,
            kind=event.kind,
            goal_id=event.goal_id,
            recorded_at=self.recorded_at,
            known_at=self.now,
            effective_at=codec.effective_at_of(event, self.now),
            actor=self.actor,
            command_id=self.command_id,
            event=event,
            on_behalf_of=self.on_behalf_of,
            correlation_id=self.correlation_id,
            reason=getattr(event, "reason", None),
            provenance=getattr(event, "provenance", None) or self.provenance,
        )


class Waiting(Struct, frozen=True, eq=False):
    """A request, where its reply goes, and when it was taken: the event loop's time, in seconds."""

    request: Request
    reply: SendReply
    taken_at: float
