"""One webhook and what its answer means."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.relay.queue import Delivery
from services.relay.sending import PAUSES, NotTaken, Outcome, Taken, next_attempt, send
from tests.relay.receiver import SECRET, Receiver

pytestmark = pytest.mark.anyio


def delivery(attempts: int = 0) -> Delivery:
    return Delivery("kpi/a", 7, "0198-e", '{"data":{"title":"Größe"}}'.encode(), attempts)


async def sent(url: str, attempts: int = 0) -> tuple[Outcome, datetime]:
    now = datetime.now(UTC)
    async with httpx.AsyncClient(timeout=2) as client:
        return await send(client, url, SECRET, delivery(attempts), now), now


async def test_it_is_signed_and_carries_the_event_as_it_is_stored() -> None:
    with Receiver() as receiver:
        outcome, _ = await sent(receiver.url)
    assert outcome == Taken()
    assert receiver.taken == [(7, "0198-e", delivery().payload, "application/cloudevents+json")]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 503])
async def test_anything_but_a_yes_is_tried_again(status: int) -> None:
    with Receiver(lambda _heard, _time: status) as receiver:
        outcome, now = await sent(receiver.url)
    assert isinstance(outcome, NotTaken)
    assert outcome.again_at == now + PAUSES[0]
    assert outcome.why.startswith(str(status))


async def test_gone_is_never_tried_again() -> None:
    with Receiver(lambda _heard, _time: 410) as receiver:
        outcome, _ = await sent(receiver.url)
    assert isinstance(outcome, NotTaken)
    assert outcome.again_at is None


async def test_after_the_last_pause_it_is_dead() -> None:
    with Receiver(lambda _heard, _time: 500) as receiver:
        outcome, _ = await sent(receiver.url, attempts=len(PAUSES))
    assert isinstance(outcome, NotTaken)
    assert outcome.again_at is None


@pytest.mark.parametrize(
    ("said", "pause"),
    [
        ("60", timedelta(minutes=1)),
        ("1", PAUSES[0]),
        ("999999999", timedelta(days=1)),
        ("soon", PAUSES[0]),
        ("-5", PAUSES[0]),
        ("Tue, 30 Sep 2025 00:00:00 GMT", PAUSES[0]),
    ],
)
async def test_who_says_when_is_heeded_within_reason(said: str, pause: timedelta) -> None:
    with Receiver(lambda _heard, _time: 503) as receiver:
        receiver.headers = {"retry-after": said}
        outcome, now = await sent(receiver.url)
    assert isinstance(outcome, NotTaken)
    assert outcome.again_at == now + pause


async def test_nobody_there_is_tried_again() -> None:
    outcome, now = await sent("http://127.0.0.1:1/")
    assert isinstance(outcome, NotTaken)
    assert outcome.again_at == now + PAUSES[0]


def test_the_pauses_add_up_to_three_days() -> None:
    now = datetime(2025, 9, 30, tzinfo=UTC)
    assert timedelta(days=2.5) < sum(PAUSES, timedelta()) < timedelta(days=4)
    assert next_attempt(len(PAUSES), now) is None
