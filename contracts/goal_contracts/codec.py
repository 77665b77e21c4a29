"""From structs to bytes and back: events as CloudEvents 1.0 structured JSON, commands, replies.

An event is read in two steps, the envelope first and the data by its type, so that a type nobody
here knows becomes `Unrecognised` instead of an error. Stored bytes are never written again; data of
an older version is turned into today's as it is read (`upcasting`).
"""

import inspect
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Generic, NamedTuple, TypeGuard, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Raw, Struct

from goal_contracts.commands import COMMANDS, Command
from goal_contracts.events import EVENTS, Event
from goal_contracts.fields import LINE, NUMBER, Id, Instant, Provenance
from goal_contracts.queries import Alert
from goal_contracts.replies import Reason, Refusal, Reply
from goal_contracts.upcasting import UPCASTERS, upcast, version_of

CONTENT_TYPE = "application/cloudevents+json"
EVENT_BYTES_MAX = 61_440
SCHEMA_BASE = "urn:goal-ledger:schema:"
ALERT = "Alert"
ALERT_VERSION = 1
"""What the names of all schemas begin with: `dataschema`, and the `$id` of those published."""


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
    """The version of CloudEvents."""
    id: str
    """The event's own id, a UUID that sorts by time."""
    source: str
    """The organisation: /goals/ and its id."""
    type: str
    """What happened, and the version of its data."""
    subject: str
    """What it happened to: kind and id."""
    time: Instant
    """When the ledger wrote it down."""
    datacontenttype: str
    """How the data is written."""
    dataschema: str
    """The name of the schema that the data follows."""
    actor: str
    """Who did it: an opaque id."""
    commandid: str
    """The command it followed from, by the id its sender chose."""
    knownat: Instant
    """When it was known: for imported history the source's date, else the same as `time`."""
    effectiveat: Instant
    """When it was true in the business."""
    data: Data
    """What happened, in the words of the business."""
    onbehalfof: str | None = None
    """Whom the actor acted for."""
    correlationid: str | None = None
    """What the sender of the command ties together with it."""
    reason: str | None = None
    """Why, in the words of who did it, if it is one line; the data has it in any case."""
    provenance: str | None = None
    """Where an imported fact stands: file, row and digest."""


class AlertMessage(Struct, frozen=True):
    """An alert on the wire, as a CloudEvent.

    Source and id name the fact: a receiver that has seen both before has been told already.
    """

    specversion: str
    """The version of CloudEvents."""
    id: str
    """The alert's own id, made of the fact it rests on."""
    source: str
    """The organisation: /goals/ and its id."""
    type: str
    """That it is an alert, and the version of its data."""
    subject: str
    """What needs attention: kind and id."""
    time: Instant
    """When it was told."""
    datacontenttype: str
    """How the data is written."""
    dataschema: str
    """The name of the schema that the data follows."""
    position: int
    """How much of the log had been read then."""
    data: Alert
    """What needs attention, for whom and since when."""


class CommandMessage(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A command on the wire. Its id makes asking again safe.

    `known_at`, `provenance` and `import_id` belong to imported history: the command is then judged
    as of its own date. `decided_on` is the position the sender had seen: if the goal has changed
    since, the command is refused (R29).
    """

    id: Id
    """Chosen by the sender: the same command sent again under it gets the first answer."""
    type: str
    """The name of the command."""
    data: Raw
    """The command itself."""
    on_behalf_of: Id | None = None
    """Whom the actor acts for."""
    correlation_id: Id | None = None
    """What the sender ties together with it; the events carry it."""
    import_id: Id | None = None
    """The running import it belongs to."""
    known_at: Instant | None = None
    """When it was known, for imported history: it is judged as of then."""
    provenance: Provenance | None = None
    """Where an imported fact stands: file, row and digest."""
    decided_on: int | None = None
    """The position the sender had seen; the goal has changed since, it is refused (R29)."""


class UndecodableEvent(ValueError):
    """A stored event is not what the contracts say; its position is named."""


_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(CloudEvent[Raw])
_message = msgspec.json.Decoder(CommandMessage)
_reply = msgspec.json.Decoder(Reply)
_alert = msgspec.json.Decoder(AlertMessage)
_VERSIONS: dict[str, int] = {name: version_of(name) for name in EVENTS}
_commands: dict[str, msgspec.json.Decoder[Command]] = {
    name: msgspec.json.Decoder(kind) for name, kind in COMMANDS.items()
}
_SOURCE = "/goals/"


def event_type(name: str, version: int) -> str:
    """The type of an event in its envelope: goals.KeyResultRetargeted.v1."""
    return f"goals.{name}.v{version}"


def event_schema(name: str, version: int) -> str:
    """The name of the schema of an event's data, which its envelope tells in `dataschema`."""
    return f"{SCHEMA_BASE}{name}:v{version}"


_TYPES: dict[str, tuple[str, str]] = {
    name: (event_type(name, version), event_schema(name, version))
    for name, version in _VERSIONS.items()
}
_decoders: dict[str, msgspec.json.Decoder[Event]] = {
    name: msgspec.json.Decoder(kind) for name, kind in EVENTS.items()
}
_events: dict[str, msgspec.json.Decoder[Event]] = {
    _TYPES[name][0]: decoder for name, decoder in _decoders.items()
}


def event_name(event: Event | Unrecognised) -> str:
    """KeyResultRetargeted, also for a type this release does not know."""
    if isinstance(event, Unrecognised):
        return event.type.removeprefix("goals.").rpartition(".v")[0]
    return type(event).__name__


def encode_event(recorded: Recorded) -> bytes:
    """The bytes the stream stores."""
    type_, schema = _TYPES[recorded.type]
    reason = recorded.reason
    if reason is not None and not LINE.match(reason):
        reason = None
    # In the order of its fields: finding each by its name takes longer than the encoding.
    return _encoder.encode(
        CloudEvent(
            "1.0",
            recorded.event_id,
            _SOURCE + recorded.organisation_id,
            type_,
            f"{recorded.kind}/{recorded.goal_id}",
            recorded.recorded_at,
            "application/json",
            schema,
            recorded.actor,
            recorded.command_id,
            recorded.known_at,
            recorded.effective_at,
            recorded.event,
            recorded.on_behalf_of,
            recorded.correlation_id,
            reason,
            recorded.provenance,
        )
    )


def decode_event(position: int, payload: bytes) -> Recorded:
    """One stored event; UndecodableEvent when its envelope or its data is broken."""
    try:
        envelope = _envelope.decode(payload)
        known = _events.get(envelope.type)
        kind, _, goal_id = envelope.subject.partition("/")
        event = known.decode(envelope.data) if known else _older_or_unrecognised(envelope)
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
            event=event,
            on_behalf_of=envelope.onbehalfof,
            correlation_id=envelope.correlationid,
            reason=envelope.reason or _reason_of_lines(event),
            provenance=envelope.provenance,
        )
    except (msgspec.MsgspecError, RecursionError, LookupError) as error:
        message = f"the event at position {position} cannot be read: {error}"
        raise UndecodableEvent(message) from error


def _reason_of_lines(event: Event | Unrecognised) -> str | None:
    """A reason of several lines, which no CloudEvents attribute has; the data has it alone."""
    reason: str | None = getattr(event, "reason", None)
    return None if reason is None or LINE.match(reason) else reason


def _older_or_unrecognised(envelope: CloudEvent[Raw]) -> Event | Unrecognised:
    name, _, version = envelope.type.removeprefix("goals.").rpartition(".v")
    if name in _decoders and version.isdecimal() and (name, int(version)) in UPCASTERS:
        data = upcast(name, int(version), msgspec.json.decode(envelope.data, type=dict[str, Any]))
        return _decoders[name].decode(_encoder.encode(data))
    return Unrecognised(type=envelope.type, data=envelope.data.copy())


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
            type=event_type(ALERT, ALERT_VERSION),
            subject=alert.goal,
            time=now,
            datacontenttype="application/json",
            dataschema=event_schema(ALERT, ALERT_VERSION),
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
        command = decoder.decode(message.data)
        if not _is_surely_plain(type(command), bytes(message.data)):
            overlooked = _overlooked(command, msgspec.json.decode(message.data))
            if overlooked is not None:
                raise msgspec.ValidationError(f"{overlooked[1]} - at `${overlooked[0]}`")
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Refusal(
            Reason.MALFORMED, f"{message.type} cannot be read: {error}", seen=message.type
        ) from error
    return command


class _LookedInto(NamedTuple):
    """What of a struct is looked at once more; `known` is empty where its decoder does it.

    It is closed where that is so however deep.
    """

    decimals: tuple[str, ...]
    inner: tuple[str, ...]
    known: frozenset[str]
    is_closed: bool


_UNDERSCORED = re.compile(rb'_[-+.0-9eE]*"')
"""From the last underscore of a number to its end; in most names a letter follows."""


def _is_surely_plain(kind: type[Struct], written: bytes) -> bool:
    """Whether nothing can have been overlooked, found out without reading all of it once more.

    What Python takes for a decimal beyond our own has a digit of another script in it, an
    underscore, or a space at one end; and text without a backslash stands in JSON as it is.
    """
    looked = _looked_into(kind)
    if not looked.decimals and not looked.inner:
        return True
    return (
        looked.is_closed
        and written.isascii()
        and b"\\" not in written
        and b'" ' not in written
        and b' "' not in written
        and _UNDERSCORED.search(written) is None
    )


def _overlooked(value: Struct, written: dict[str, Any]) -> tuple[str, str] | None:
    """Where something stands that the decoder takes without a word, and what; None, nowhere.

    That is a decimal in other digits than 0 to 9, or with spaces or underscores in it, and a field
    nobody knows inside what commands have in common with events, which stay open for later fields.
    """
    decimals, inner, known, _ = _looked_into(type(value))
    if known and not written.keys() <= known:
        return "", f"Object contains unknown field `{min(written.keys() - known)}`"
    for name in decimals:
        if not _is_plain(getattr(value, name), written.get(name)):
            return f".{name}", "Expected a decimal in digits 0 to 9"
    for name in inner:
        each = getattr(value, name)
        found = _overlooked_within(each, written[name]) if each and name in written else None
        if found is not None:
            return f".{name}{found[0]}", found[1]
    return None


def _overlooked_within(value: object, written: Any) -> tuple[str, str] | None:  # noqa: ANN401  # JSON
    if isinstance(value, Struct):
        return _overlooked(value, written)
    if isinstance(value, tuple):
        for index, (item, each) in enumerate(zip(value, written, strict=True)):
            found = _overlooked_within(item, each)
            if found is not None:
                return f"[{index}]{found[0]}", found[1]
    elif not _is_plain(value, written):
        return "", "Expected a decimal in digits 0 to 9"
    return None


def _is_plain(value: object, written: object) -> bool:
    """Whether a decimal is written as it should be; what is no finite number is refused as such."""
    return (
        not isinstance(written, str)
        or NUMBER.match(written) is not None
        or not (isinstance(value, Decimal) and value.is_finite())
    )


@cache
def _looked_into(kind: type[Struct]) -> _LookedInto:
    hints = get_type_hints(kind)
    names = kind.__struct_fields__
    decimals = [name for name in names if hints[name] in {Decimal, Decimal | None}]
    config = kind.__struct_config__
    parts = {name: [*filter(_holds, _parts(hints[name]))] for name in names if name not in decimals}
    structs = {each for several in parts.values() for each in several if issubclass(each, Struct)}
    return _LookedInto(
        decimals=tuple(decimals),
        inner=tuple(name for name, several in parts.items() if several),
        known=frozenset()
        if config.forbid_unknown_fields
        else frozenset({*kind.__struct_encode_fields__, config.tag_field or ""}),
        is_closed=config.forbid_unknown_fields
        and all(_looked_into(each).is_closed for each in structs),
    )


def _holds(part: object) -> TypeGuard[type[Decimal | Struct]]:
    return inspect.isclass(part) and issubclass(part, Decimal | Struct)


def _parts(hint: object) -> Iterator[object]:
    """What a field's value may be made of, however deep."""
    inner = get_args(hint)
    if not inner:
        yield hint
    for each in inner:
        yield from _parts(each)


def decode_reply(payload: bytes) -> Reply:
    """What the ledger answered."""
    reply: Reply = _reply.decode(payload)
    return reply


def effective_at_of(event: Event, known_at: datetime) -> datetime:
    """When it was true in the business: the event's own date where it has one, else when known."""
    at: datetime | None = getattr(event, "effective_at", None)
    return known_at if at is None else at
