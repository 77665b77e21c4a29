"""Who asks, when, and whether it was asked before."""

from datetime import datetime

from goal_contracts.commands import Command
from goal_contracts.events import Event
from goal_contracts.fields import Role
from goal_contracts.replies import Reason, Refusal
from msgspec import Struct


class Asked(Struct, frozen=True):
    """A command's circumstances.

    `now` is the moment to judge by: the clock's for a live command, the fact's own date for an
    imported one, which names its import. The role counts in the units and below them, everywhere
    when none is named (R30). `decided_on` is the position the sender had seen (R29), and
    `log_position` how far the log goes that it belongs to; None, no further than the organisation.
    `command_id` is what the answer is remembered under.
    """

    organisation_id: str
    actor: str
    now: datetime
    import_id: str | None = None
    role: Role = "admin"
    units: tuple[str, ...] = ()
    decided_on: int | None = None
    log_position: int | None = None
    command_id: str = ""

    @property
    def log_ends_at(self) -> int:
        return self.log_position or 0


def asked_before(command: Command, event: Event) -> tuple[()]:
    """Nothing to do when the id was created with the same content; else Refusal(ID_TAKEN).

    Callers choose ids so that creating twice is harmless, also after the thing has changed since:
    what counts is what was asked then, so the command is compared with the event of the creation.
    """
    said = set(command.__struct_fields__).intersection(event.__struct_fields__)
    differing = sorted(name for name in said if getattr(command, name) != getattr(event, name))
    if differing:
        raise Refusal(
            Reason.ID_TAKEN,
            f"{event.kind}/{event.goal_id} was created with another {', '.join(differing)}",
            seen=event.goal_id,
            accepted="an id that nobody has used, or the same content as then",
        )
    return ()
