"""A command message becomes a request: decoded once, with its actor and the clock read once."""

import random
from datetime import UTC, datetime
from typing import Final

import structlog
from goal_contracts import codec, commands, fields, subjects
from goal_contracts.replies import Reason, Refusal, Refused

from services.ledger.request import Request
from services.ledger.roles import Roles, Standing
from services.ledger.timekeeper import ACTOR

CLOCK_SKEW_MAX_S: Final = 5.0
EVERYBODY_ADMIN: Final = Roles()

log = structlog.get_logger()

# Seeded by the system. An id has to be another one each time, not a secret.
_random: Final = random.Random()  # noqa: S311 - see above


def clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def new_event_ids(at: datetime, count: int) -> list[str]:
    """As many UUIDv7 (RFC 9562, section 5.7): milliseconds since 1970, then 74 random bits.

    The first is random; those after it count on (section 6.2, method 2), and so stand in order.
    """
    since_1970 = f"{int(at.timestamp() * 1_000):012x}"
    chance = f"{_random.getrandbits(26):07x}"
    variant = "89ab"[int(chance[0])]
    same = f"{since_1970[:8]}-{since_1970[8:]}-7{chance[1:4]}-{variant}{chance[4:]}-"
    # One bit is left out, so that counting on goes nowhere beyond.
    first = _random.getrandbits(47)
    return [f"{same}{number:012x}" for number in range(first, first + count)]


def read_request(
    subject: str, payload: bytes, now: datetime, roles: Roles = EVERYBODY_ADMIN
) -> Request | Refused:
    """The request in a message, or why there is none.

    Organisation and actor are the subject's: the server's permissions make them true. What the
    actor may do is looked up once, here.
    """
    command_id = ""
    try:
        organisation_id, actor, name = subjects.parse_command(subject)
        _require_ids(organisation_id, actor)
        message = codec.decode_message(payload)
        command_id = message.id
        _require_name(message, name)
    except Refusal as refusal:
        return _refused(refusal, command_id, subject=subject)
    return read_command(message, organisation_id, actor, roles.of(actor), now, len(payload))


def read_command(
    message: codec.CommandMessage,
    organisation_id: str,
    actor: str,
    standing: Standing,
    now: datetime,
    size: int,
) -> Request | Refused:
    """The request that a message of somebody is, or why it is none; `size` is in bytes."""
    try:
        _refuse_own_name(actor)
        command = codec.decode_command(message)
        return Request(
            organisation_id=organisation_id,
            actor=actor,
            command=command,
            command_id=message.id,
            now=_judged_at(message, command, now),
            recorded_at=now,
            import_id=message.import_id,
            provenance=message.provenance,
            on_behalf_of=message.on_behalf_of,
            correlation_id=message.correlation_id,
            role=standing.role,
            units=standing.units,
            decided_on=message.decided_on,
            size=size,
        )
    except Refusal as refusal:
        return _refused(refusal, message.id, organisation=organisation_id, actor=actor)


def _refused(refusal: Refusal, command_id: str, **where: str) -> Refused:
    log.info("refused", reason=str(refusal.reason), message=refusal.message, **where)
    return Refused(
        command_id=command_id,
        reason=refusal.reason,
        message=refusal.message,
        seen=refusal.seen,
        accepted=refusal.accepted,
    )


def _require_ids(*tokens: str) -> None:
    for token in tokens:
        if fields.ID.fullmatch(token) is None:
            raise Refusal(
                Reason.MALFORMED,
                f"{token!r} in the subject is no id",
                seen=token,
                accepted=fields.ID_PATTERN,
            )


def _refuse_own_name(actor: str) -> None:
    if actor == ACTOR:
        raise Refusal(
            Reason.NOT_PERMITTED,
            f"{ACTOR} is who the ledger itself is in the record",
            seen=actor,
            accepted="another actor",
        )


def _require_name(message: codec.CommandMessage, name: str) -> None:
    if message.type != name:
        raise Refusal(
            Reason.MALFORMED,
            f"the message says {message.type}, its subject {name}",
            seen=message.type,
            accepted=name,
        )


def _judged_at(message: codec.CommandMessage, command: commands.Command, now: datetime) -> datetime:
    """Live commands are judged as of now, imported ones as of the date they were known."""
    if message.known_at is None:
        if message.import_id is not None and not isinstance(command, commands.FinishHistoryImport):
            raise Refusal(
                Reason.MALFORMED,
                "an imported command says when it was known",
                seen="no known_at",
                accepted="known_at, an instant with its offset",
            )
        return now
    if message.import_id is None and not isinstance(command, commands.OpenOrganisation):
        raise Refusal(
            Reason.MALFORMED,
            "only imported history says when it was known",
            seen="known_at without import_id",
            accepted="no known_at, or the import_id of a running import",
        )
    if (message.known_at - now).total_seconds() > CLOCK_SKEW_MAX_S:
        raise Refusal(
            Reason.KNOWN_AT_OUT_OF_ORDER,
            "nothing can be known in the future",
            seen=message.known_at.isoformat(),
            accepted=f"at most {now.isoformat()}",
        )
    try:
        return message.known_at.astimezone(UTC)
    except OverflowError as error:
        raise Refusal(
            Reason.MALFORMED,
            "known_at lies outside the calendar",
            seen=message.known_at.isoformat(),
            accepted="an instant of the years 1 to 9999 in UTC",
        ) from error
