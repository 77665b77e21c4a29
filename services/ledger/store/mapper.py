"""Between our structs, eventsourcing's stored events, and the messages of the log.

The originator of an event is the goal it is about, "<org>/<kind>/<id>"; its topic is the event's
name, the last token of the subject; its state is the CloudEvents message exactly as stored.
"""

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    JSONTranscoder,
    Mapper,
    MapperDeserialisationError,
    Notification,
    ProgrammingError,
    StoredEvent,
)
from goal_contracts import subjects
from goal_contracts.client.stream import StoredMessage
from goal_contracts.codec import Recorded, UndecodableEvent, decode_event, encode_event
from msgspec import Struct

from services.ledger.store.log import Outgoing, version_of


class GoalEvent(Struct, frozen=True):
    """An event and which of its goal's it is, from 1: what eventsourcing calls a domain event."""

    recorded: Recorded
    originator_version: int

    @property
    def originator_id(self) -> str:
        return f"{self.recorded.organisation_id}/{self.recorded.kind}/{self.recorded.goal_id}"


class GoalEventMapper(Mapper[str]):
    """Takes structs, where the stock mapper takes objects with a `__dict__`."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        if not isinstance(domain_event, GoalEvent):
            raise ProgrammingError(f"not a GoalEvent: {type(domain_event).__name__}")
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=domain_event.recorded.type,
            state=encode_event(domain_event.recorded),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> GoalEvent:
        """Its position is 0 unless it came as a Notification."""
        position = stored_event.id if isinstance(stored_event, Notification) else 0
        try:
            recorded = decode_event(position, stored_event.state)
        except UndecodableEvent as error:
            raise MapperDeserialisationError(str(error)) from error
        event = GoalEvent(recorded, stored_event.originator_version)
        said = (event.originator_id, recorded.type)
        if said != (stored_event.originator_id, stored_event.topic):
            raise MapperDeserialisationError(
                f"position {position} is filed under {stored_event.originator_id} "
                f"{stored_event.topic} and says it is {' '.join(said)}"
            )
        return event


def outgoing(stored_event: StoredEvent) -> Outgoing:
    """As the log takes it."""
    match str(stored_event.originator_id).split("/"):
        case organisation_id, kind, goal_id:
            subject = subjects.ledger(organisation_id, kind, goal_id, stored_event.topic)
        case _:
            raise ProgrammingError(f"not <org>/<kind>/<id>: {stored_event.originator_id}")
    return Outgoing(subject, stored_event.state, stored_event.originator_version)


def notification(message: StoredMessage) -> Notification:
    """As eventsourcing takes it."""
    organisation_id, kind, goal_id, topic = subjects.parse_ledger(message.subject)
    return Notification(
        originator_id=f"{organisation_id}/{kind}/{goal_id}",
        originator_version=version_of(message),
        topic=topic,
        state=message.payload,
        id=message.position,
    )
