"""From structs to bytes and back: events as CloudEvents 1.0 structured JSON, commands, replies.

An event is read in two steps, the envelope first and the data by its type, so that a type nobody
here knows becomes `Unrecognised` instead of an error. Stored bytes are never written again.
"""

from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from goal_contracts.commands import COMMANDS, Command
from goal_contracts.events import EVENTS, Event
from goal_contracts.fields import Id, Instant, Provenance
from goal_contracts.queries import Alert
from goal_contracts.replies import Reason, Refusal, Reply

CONTENT_TYPE = "application/cloudevents+json"
EVENT_BYTES_MAX = 61_440


class Unrecognised(Struct, frozen=True):
    """An event of a type or version that this release does not know, as it stands."""

    type: str
    data: Raw


class Recorded(Struct, frozen=True, gc=False):
    """One event of the log: what happened, and who, when, why and where it stands.

    `position` is the stream's sequence. `recorded_at` is when the ledger wrote it, `known_at` when
    it was known (earlier for imported history), `effective_at` when it was true in the business.
    """

    position: int
    event_id: str
    organisation_id: str
    kind: str
    goal_id: str
    recorded_at: datetime
    known_at: datetime
    effective_at: datetime
    actor: str
    command_id: str
    event: Event | Unrecognised
    on_behalf_of: str | None = None
    correlation_id: str | None = None
    reason: str | None = None
    provenance: str | None = None

    @property
    def type(self) -> str:
        """The event's name: KeyResultRetargeted."""
        return event_name(self.event)


Data = TypeVar("Data")


class CloudEvent(Struct, Generic[Data], frozen=True, omit_defaults=True, gc=False):
    """The envelope as it is on the wire: CloudEvents 1.0 attributes, our extensions, the data."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: Instant
    datacontenttype: str
    dataschema: str
    actor: str
    commandid: str
    knownat: Instant
    effectiveat: Instant
    data: Data
    onbehalfof: str | None = None
    correlationid: str | None = None
    reason: str | None = None
    provenance: str | None = None


class AlertMessage(Struct, frozen=True):
    """An alert on the wire, as a CloudEvent.

    Source and id name the fact: a receiver that has seen both before has been told already. `time`
    is when it was told, `position` how much of the log had been read then.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: Instant
    datacontenttype: str
    dataschema: str
    position: int
    data: Alert


class CommandMessage(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A command on the wire. Its id makes asking again safe.

    `known_at`, `provenance` and `import_id` belong to imported history: the command is then judged
    as of its own date. `decided_on` is the position the sender had seen: if the goal has changed
    since, the command is refused (R29).
    """

    id: Id
    type: str
    data: Raw
    on_behalf_of: Id | None = None
    correlation_id: Id | None = None
    import_id: Id | None = None
    known_at: Instant | None = None
    provenance: Provenance | None = None
    decided_on: int | None = None


class UndecodableEvent(ValueError):
    """A stored event is not what the contracts say; its position is named."""


_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(CloudEvent[Raw])
_message = msgspec.json.Decoder(CommandMessage)
_reply = msgspec.json.Decoder(Reply)
_alert = msgspec.json.Decoder(AlertMessage)
_events: dict[str, tuple[str, msgspec.json.Decoder[Event]]] = {
    f"goals.{name}.v1": (name, msgspec.json.Decoder(kind)) for name, kind in EVENTS.items()
}
_commands: dict[str, msgspec.json.Decoder[Command]] = {
    name: msgspec.json.Decoder(kind) for name, kind in COMMANDS.items()
}
_SOURCE = "/goals/"


def event_name(event: Event | Unrecognised) -> str:
    """KeyResultRetargeted, also for a type this release does not know."""
    if isinstance(event, Unrecognised):
        return event.type.removeprefix("goals.").rpartition(".v")[0]
    return type(event).__name__


def encode_event(recorded: Recorded) -> bytes:
    """The bytes the stream stores."""
    name = recorded.type
    return _encoder.encode(
        CloudEvent(
            specversion="1.0",
            id=recorded.event_id,
            source=_SOURCE + recorded.organisation_id,
            type=f"goals.{name}.v1",
            subject=f"{recorded.kind}/{recorded.goal_id}",
            time=recorded.recorded_at,
            datacontenttype="application/json",
            dataschema=f"urn:goal-ledger:schema:{name}:v1",
            actor=recorded.actor,
            commandid=recorded.command_id,
            knownat=recorded.known_at,
            effectiveat=recorded.effective_at,
            data=recorded.event,
            onbehalfof=recorded.on_behalf_of,
            correlationid=recorded.correlation_id,
            reason=recorded.reason,
            provenance=recorded.provenance,
        )
    )


def decode_event(position: int, payload: bytes) -> Recorded:
    """One stored event; UndecodableEvent when its envelope or its data is broken."""
    try:
        envelope = _envelope.decode(payload)
        known = _events.get(envelope.type)
        kind, _, goal_id = envelope.subject.partition("/")
        return Recorded(
            position=position,
            event_id=envelope.id,
            organisation_id=envelope.source.removeprefix(_SOURCE),
            kind=kind,
            goal_id=goal_id,
            recorded_at=envelope.time,
            known_at=envelope.knownat,
            effective_at=envelope.effectiveat,
            actor=envelope.actor,
            command_id=envelope.commandid,
            event=known[1].decode(envelope.data)
            if known
            else Unrecognised(type=envelope.type, data=envelope.data.copy()),
            on_behalf_of=envelope.onbehalfof,
            correlation_id=envelope.correlationid,
            reason=envelope.reason,
            provenance=envelope.provenance,
        )
    except (msgspec.MsgspecError, RecursionError) as error:
        message = f"the event at position {position} cannot be read: {error}"
        raise UndecodableEvent(message) from error


def encode(message: Any) -> bytes:  # noqa: ANN401  # any struct of the contracts
    """Any struct of the contracts as JSON."""
    return _encoder.encode(message)


def encode_alert(organisation_id: str, alert: Alert, position: int, now: datetime) -> bytes:
    """The message that tells of an alert."""
    return _encoder.encode(
        AlertMessage(
            specversion="1.0",
            id=alert.alert_id,
            source=_SOURCE + organisation_id,
            type="goals.Alert.v1",
            subject=alert.goal,
            time=now,
            datacontenttype="application/json",
            dataschema="urn:goal-ledger:schema:Alert:v1",
            position=position,
            data=alert,
        )
    )


def decode_alert(payload: bytes) -> AlertMessage:
    """What an owner is told."""
    return _alert.decode(payload)


def command_message(
    command: Command,
    *,
    command_id: str,
    import_id: str | None = None,
    known_at: datetime | None = None,
    provenance: str | None = None,
    on_behalf_of: str | None = None,
    correlation_id: str | None = None,
    decided_on: int | None = None,
) -> CommandMessage:
    """A command ready to be sent under its id."""
    return CommandMessage(
        id=command_id,
        type=type(command).__name__,
        data=Raw(_encoder.encode(command)),
        on_behalf_of=on_behalf_of,
        correlation_id=correlation_id,
        import_id=import_id,
        known_at=known_at,
        provenance=provenance,
        decided_on=decided_on,
    )


def decode_message(payload: bytes) -> CommandMessage:
    """The outer part of a command; Refusal(MALFORMED) when it is not one."""
    try:
        return _message.decode(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Refusal(
            Reason.MALFORMED,
            f"the command message cannot be read: {error}",
            accepted='{"id": …, "type": …, "data": {…}}',
        ) from error


def decode_command(message: CommandMessage) -> Command:
    """The command itself; Refusal(UNKNOWN_COMMAND) or Refusal(MALFORMED) when it is not one."""
    decoder = _commands.get(message.type)
    if decoder is None:
        raise Refusal(
            Reason.UNKNOWN_COMMAND,
            f"there is no command {message.type}",
            seen=message.type,
            accepted="a command of the contracts, such as CheckIn",
        )
    try:
        return decoder.decode(message.data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Refusal(
            Reason.MALFORMED, f"{message.type} cannot be read: {error}", seen=message.type
        ) from error


def decode_reply(payload: bytes) -> Reply:
    """What the ledger answered."""
    reply: Reply = _reply.decode(payload)
    return reply


def effective_at_of(event: Event, known_at: datetime) -> datetime:
    """When it was true in the business: the event's own date where it has one, else when known."""
    at: datetime | UnsetType = getattr(event, "effective_at", UNSET)
    return known_at if isinstance(at, UnsetType) else at
