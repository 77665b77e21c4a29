"""The ledger without a server: the same decisions on the same state, in this process."""

from datetime import UTC, datetime, timedelta

from goal_contracts import codec
from goal_contracts.codec import CommandMessage, Recorded
from goal_contracts.events import Event
from goal_contracts.replies import Accepted, Refusal, Refused, Reply

from services.ledger.domain import Asked, Organisation, advise, evolve, judge

TODAY = datetime(2026, 11, 2, 9, tzinfo=UTC)
"""When the tests' imports are made."""


class Interrupted(Exception):
    """The ledger went away in the middle."""


class InProcessLedger:
    """Answers like the ledger, and keeps the events; `lives` is how many commands it answers."""

    def __init__(self, lives: int | None = None) -> None:
        self.organisation: Organisation | None = None
        self.events: list[Recorded] = []
        self.asked: list[tuple[str, CommandMessage]] = []
        self.lives = lives

    async def send(self, organisation_id: str, actor: str, message: CommandMessage) -> Reply:
        return self.answer(organisation_id, actor, message)

    def answer(self, organisation_id: str, actor: str, message: CommandMessage) -> Reply:
        if self.lives is not None:
            if self.lives == 0:
                raise Interrupted
            self.lives -= 1
        # Over the wire, like any client.
        message = codec.decode_message(codec.encode(message))
        self.asked.append((actor, message))
        if self.organisation is not None and (first := self.organisation.answers.get(message.id)):
            return Accepted(message.id, *first)
        known_at = message.known_at or TODAY
        try:
            command = codec.decode_command(message)
            asked = Asked(
                organisation_id,
                actor,
                known_at.astimezone(UTC),
                message.import_id,
                decided_on=message.decided_on,
            )
            decided = judge(self.organisation, command, asked)
        except Refusal as refusal:
            return Refused(message.id, refusal.reason, refusal.message, refusal.rule, refusal.seen)
        for event in decided.events:
            recorded = Recorded(
                position=len(self.events) + 1,
                event_id=f"e-{len(self.events) + 1}",
                organisation_id=organisation_id,
                kind=event.kind,
                goal_id=event.goal_id,
                recorded_at=TODAY + timedelta(milliseconds=len(self.events)),
                known_at=asked.now,
                effective_at=codec.effective_at_of(event, asked.now),
                actor=actor,
                command_id=message.id,
                event=event,
                reason=getattr(event, "reason", None),
                provenance=getattr(event, "provenance", None) or message.provenance,
            )
            self.organisation = evolve(self.organisation, recorded)
            self.events.append(recorded)
        assert self.organisation is not None
        return Accepted(
            message.id,
            len(self.events),
            len(decided.events),
            advise(self.organisation, decided.events),
            decided.refused,
        )

    def recorded(self, kind: type[Event]) -> list[Recorded]:
        """Every event of a kind."""
        return [recorded for recorded in self.events if isinstance(recorded.event, kind)]

    def story(self) -> list[tuple[object, ...]]:
        """The events without their ids and recorded times."""
        return [
            (
                each.position,
                each.actor,
                each.known_at,
                each.effective_at,
                each.provenance,
                each.event,
            )
            for each in self.events
        ]
