"""One webhook, signed as Standard Webhooks has it, and what its answer means.

Source: https://www.standardwebhooks.com (specification 1.0): the headers webhook-id,
webhook-timestamp and webhook-signature; any 2xx is a yes, 410 means never again, and the pauses
between attempts grow over three days.
"""

import contextlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import httpx
from msgspec import Struct
from standardwebhooks import Webhook

from services.relay.queue import Delivery

CONTENT_TYPE: Final = "application/cloudevents+json"
TIMEOUT_S: Final = 15.0
PAUSES: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Between one attempt and the next; after the last of them it is dead."""
PAUSE_MAX: Final = timedelta(days=1)
POSITION_HEADER: Final = "goal-ledger-position"


class Taken(Struct, frozen=True):
    """The endpoint has it."""


class NotTaken(Struct, frozen=True):
    """It has not: why, and when to try again; None, never by itself."""

    why: str
    again_at: datetime | None


Outcome = Taken | NotTaken


async def send(
    client: httpx.AsyncClient, url: str, secret: str, delivery: Delivery, now: datetime
) -> Outcome:
    """Tell an endpoint of an event. The id is the event's: told twice, it can be recognised."""
    signature = Webhook(secret).sign(delivery.event_id, now, delivery.payload.decode())
    headers = {
        "content-type": CONTENT_TYPE,
        "webhook-id": delivery.event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
        POSITION_HEADER: str(delivery.position),
    }
    try:
        # What it answers beside its status is of no interest, and might have no end.
        async with client.stream("POST", url, content=delivery.payload, headers=headers) as answer:
            return _outcome(answer, delivery.attempts, now)
    except httpx.HTTPError as error:
        why = f"{type(error).__name__}: {error}".rstrip(": ")
        return NotTaken(why, next_attempt(delivery.attempts, now))


def next_attempt(attempts: int, now: datetime) -> datetime | None:
    """When to try again after so many attempts before this one; None, not any more."""
    return now + PAUSES[attempts] if attempts < len(PAUSES) else None


def _outcome(answer: httpx.Response, attempts: int, now: datetime) -> Outcome:
    if answer.is_success:
        return Taken()
    why = f"{answer.status_code} {answer.reason_phrase}".strip()
    if answer.status_code == HTTPStatus.GONE:
        return NotTaken(why, None)
    again_at = next_attempt(attempts, now)
    asked_for = _retry_after(answer.headers.get("retry-after"), now)
    if again_at is not None and asked_for is not None:
        again_at = max(again_at, min(asked_for, now + PAUSE_MAX))
    return NotTaken(why, again_at)


def _retry_after(said: str | None, now: datetime) -> datetime | None:
    """Seconds, or a date (RFC 9110, section 10.2.3); what is neither is not heeded."""
    if said is None:
        return None
    with contextlib.suppress(ValueError, OverflowError):
        if said.isascii() and said.isdigit():
            return now + timedelta(seconds=int(said))
        return parsedate_to_datetime(said).astimezone(UTC)
    return None
