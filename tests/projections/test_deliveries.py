"""What is taken straight out of a connection is what nats-py takes, however the bytes are cut."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.protocol.parser import Parser

from services import deliveries

ACK = b"$JS.ACK.GOALS.consumer.1.{n}.{n}.1700000000000000000.0"
HEAD = b"NATS/1.0\r\nGoal-Version: 1\r\n\r\n"
Told = list[tuple[Any, ...]]


def message(subject: bytes, number: int, reply: bytes, head: bytes, body: bytes) -> bytes:
    words = [b"HMSG" if head else b"MSG", subject, b"%d" % number]
    words += [reply] if reply else []
    words += [b"%d" % len(head)] if head else []
    return b" ".join([*words, b"%d" % len(head + body)]) + b"\r\n" + head + body + b"\r\n"


bodies = st.one_of(
    st.binary(max_size=40),
    # What looks like the protocol is none inside a message.
    st.sampled_from([b"", b"\r\n", b"PING\r\n", b"HMSG a 1 b 1 1\r\n", b"x" * 5_000]),
)
messages = st.builds(
    message,
    st.sampled_from([b"goals.ledger.acme.event.CheckedIn", b"_INBOX.a.b"]),
    st.sampled_from([1, 2, 77]),  # the last is of no subscription any more
    st.sampled_from([b"", ACK]),
    st.sampled_from([b"", HEAD, b"NATS/1.0 100 Idle Heartbeat\r\n\r\n"]),
    bodies,
)
lines = st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b'INFO {"a": 1}\r\n'])


class Heard:
    """A client of which only what its parser asks for is there; `told` is what it was given."""

    def __init__(self) -> None:
        self.told: Told = []
        self.usual = 0
        self._subs = {number: SimpleNamespace(_cb=self._take) for number in (1, 2)}

    async def _take(self, taken: deliveries.Delivery) -> None:
        self.told.append((taken.subject, taken.reply, taken.data))

    async def _process_msg(
        self, number: int, subject: bytes, reply: bytes, data: bytes, _: bytes | None
    ) -> None:
        self.usual += 1
        if number in self._subs:
            self.told.append((subject.decode(), reply.decode(), data))

    async def _process_ping(self) -> None:
        self.told.append(("PING",))

    async def _process_pong(self) -> None:
        self.told.append(("PONG",))

    async def _process_info(self, info: object) -> None:
        self.told.append((info,))


def heard(parts: Sequence[bytes], *, straight: bool) -> Heard:
    found = Heard()
    client = cast("Client", found)
    client._ps = Parser(client)
    if straight:
        deliveries.take_straight(client)

    async def parse() -> None:
        for part in parts:
            await client._ps.parse(part)

    asyncio.run(parse())
    return found


@given(st.lists(st.one_of(messages, messages, lines), max_size=12), st.data())
def test_however_the_bytes_are_cut_the_same_is_taken_in_order(
    sent: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30), "cuts"))
    parts = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert heard(parts, straight=True).told == heard([stream], straight=False).told


def test_byte_by_byte_is_one_way_to_cut_it() -> None:
    stream = (
        message(b"a", 1, ACK, HEAD, b"one")
        + b"PING\r\n"
        + message(b"b", 2, b"", HEAD, b"two")
        + message(b"a", 1, ACK, HEAD, b"three")
    )
    each = [bytes([byte]) for byte in stream]
    found = heard(each, straight=True)
    assert [what[-1] for what in found.told] == [b"one", "PING", b"two", b"three"]
    assert found.usual == 1  # which has no reply subject


def test_a_client_that_reads_in_another_way_is_left_alone() -> None:
    reader = object()
    client = SimpleNamespace(_ps=reader)
    with pytest.raises(deliveries.UnknownClient):
        deliveries.take_straight(cast("Client", client))
    assert client._ps is reader
