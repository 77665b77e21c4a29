"""The log itself: appending with an expectation, reading with a check, on one NATS connection.

A publish that failed must not reach the stream later on, when the connection is back: connections
are opened with `connect_options`, which buffer nothing, nothing is published unless connected, and
what still waits to be sent when the connection breaks is forgotten. What was sent and not answered
has an unknown outcome; `GoalLog.settle` finds it out.

Errors of an append:

    AppendFailed
    ├── Conflict          the log does not end where it was expected to: nothing was stored
    ├── AppendRefused     the server refused: nothing was stored
    └── OutcomeUnknown    not acknowledged: stored, not stored, or about to be
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, TypedDict

import msgspec
import nats
import nats.errors
from goal_contracts import codec
from goal_contracts.client.stream import (
    USUAL_PACE,
    ApiAnswer,
    ApiFault,
    GapInLog,
    JetStreamBusy,
    JetStreamError,
    Pace,
    StoredMessage,
    StreamUnavailable,
    api_request,
    read_stream,
    stream_info,
)
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.nuid import NUID

from services.ledger.store.inbox import listen
from services.ledger.store.outbox import Outbox
from services.ledger.store.streams import MESSAGE_BYTES_MAX
from services.reading_apart import ReadingApart, read_far

BATCH_EVENTS_MAX: Final = 1_000
# The stream's limit counts the headers as well.
HEADER_BYTES_MAX: Final = 440
PAYLOAD_BYTES_MAX: Final = MESSAGE_BYTES_MAX - HEADER_BYTES_MAX
ACK_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 10.0
SETTLE_ATTEMPTS_MAX: Final = 8
SETTLE_PAUSE_FIRST_S: Final = 0.05
SETTLE_PAUSE_MAX_S: Final = 2.0
GET_AT_ONCE_MAX: Final = 64

# By it a subscriber knows the payload for a whole CloudEvent, and not for the data of one.
CONTENT_TYPE: Final = "content-type"
VERSION: Final = "Goal-Version"
EXPECTED_LAST: Final = "Nats-Expected-Last-Sequence"
BATCH_ID: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
BATCH_COMMIT: Final = "Nats-Batch-Commit"
_SAME: Final = f"{CONTENT_TYPE}: {codec.CONTENT_TYPE}\r\n"

# The second comes from a replicated stream while another append is under way.
WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
NO_MESSAGE_FOUND: Final = 10037


class Outgoing(Struct, frozen=True, gc=False):
    """One event on its way to the log; `version` counts its originator's events from 1."""

    subject: str
    payload: bytes
    version: int


class AppendFailed(Exception):
    """An append that was not acknowledged."""


class Conflict(AppendFailed):
    """The log ends elsewhere than expected; `actual` is None where the server does not say."""

    def __init__(self, expected: int, actual: int | None = None) -> None:
        at = "elsewhere" if actual is None else f"at {actual}"
        super().__init__(f"the log was expected to end at {expected} and ends {at}")
        self.expected = expected
        self.actual = actual


class AppendRefused(AppendFailed):
    """The server refused it for another reason than its place."""

    def __init__(self, err_code: int, description: str) -> None:
        super().__init__(f"{err_code} {description}")
        self.err_code = err_code


class OutcomeUnknown(AppendFailed):
    pass


# While an earlier attempt may still arrive, not even a refusal says that nothing will be stored.
INCONCLUSIVE: Final = (OutcomeUnknown, AppendRefused)


class ConnectOptions(TypedDict):
    """Options that `nats.connect` and FastStream's `NatsBroker` both take."""

    name: str
    pending_size: int
    allow_reconnect: bool
    max_reconnect_attempts: int
    reconnect_time_wait: int
    connect_timeout: int
    ping_interval: int
    max_outstanding_pings: int
    nkeys_seed: str | None


def connect_options(name: str = "goal-ledger", nkey: Path | None = None) -> ConnectOptions:
    """How the ledger connects: buffers nothing while disconnected, comes back for ever.

    `nkey` is the file with the seed that lets it in, where the server asks for one.

    A first connection is tried for ever, too: put a limit around it (`connect` has one).
    """
    return {
        "name": name,
        "pending_size": 0,
        "allow_reconnect": True,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 1,
        "connect_timeout": 2,
        "ping_interval": 10,
        "max_outstanding_pings": 2,
        "nkeys_seed": None if nkey is None else str(nkey),
    }


async def connect(
    url: str, *, name: str = "goal-ledger", timeout_s: float = CONNECT_TIMEOUT_S
) -> Client:
    """A connection to append on; TimeoutError if the server is not there in time."""
    async with asyncio.timeout(timeout_s):
        return await nats.connect(url, **connect_options(name))


class GoalLog:
    """The stream's events in their one order, by position, from 1 without gaps.

    Several may append at once: the expectation lets one win. One object appends one group after
    another; the caller sees to that.
    """

    PASSING_FAULTS: ClassVar[tuple[type[Exception], ...]] = (
        OutcomeUnknown,
        StreamUnavailable,
        JetStreamBusy,
        nats.errors.Error,
    )
    """What asking again later may mend, from any of the methods."""

    def __init__(
        self,
        client: Client,
        stream: str,
        *,
        pace: Pace = USUAL_PACE,
        ack_timeout_s: float = ACK_TIMEOUT_S,
        apart: ReadingApart | None = None,
    ) -> None:
        """What is far behind its end, the log is read `apart`, and then without headers."""
        self.client = client
        self.outbox = Outbox(client)
        self.stream = stream
        self._pace = pace
        self._apart = apart
        self._ack_timeout_s = ack_timeout_s
        self._acks: _Acks | None = None

    async def append(self, events: Sequence[Outgoing], expected_last: int) -> int:
        """Stores all of them, or none, right after position `expected_last`; the last position.

        One to 1,000 events. Raises an AppendFailed; ValueError for what can never be stored.
        """
        await self.open()
        answered = asyncio.Event()
        sent = self.send(events, expected_last, answered.set)
        await answered.wait()
        return sent.result()

    async def open(self) -> None:
        """Listen for acknowledgements: before the first `send` or `ahead`."""
        if self._acks is None:
            acks = _Acks(self.client)
            await acks.open()
            self._acks = acks

    def send(
        self,
        events: Sequence[Outgoing],
        expected_last: int,
        answered: Callable[[], None],
        *,
        together: bool = True,
        ahead: "Ahead | None" = None,
    ) -> "Sent":
        """The same without waiting: `answered` is called once the outcome is there.

        What was sent `ahead` of a group is a beginning of `events`, and is not sent again.

        With `together` false each is sent when the one before is stored: after a failure a
        beginning of them may be stored, and a few cost less this way than as a batch. (Not all at
        once: if another writer takes the place of the first, the second would find its own.)
        """
        _require_storable(events)
        acks = self._opened
        if ahead is None:
            parts = [events] if together else [[event] for event in events]
            sent = Sent(self.outbox, acks.new_address(), parts, expected_last, answered)
        else:
            sent = Sent(
                self.outbox, ahead.reply_to, [events], expected_last, answered, ahead=ahead.count
            )
        sent.go_on()
        if not sent.is_done:
            acks.wait_for(sent, self._ack_timeout_s)
        return sent

    def ahead(self, expected_last: int) -> "Ahead":
        """The beginning of a batch whose end waits until position `expected_last` is stored."""
        return Ahead(self.outbox, self._opened.new_address(), expected_last)

    async def settle(self, events: Sequence[Outgoing], expected_last: int) -> int:
        """What became of an append whose outcome is unknown: the last position it has.

        If the place is still empty it appends them again, with the same expectation: the first and
        the second cannot both be stored. Events are told apart by their bytes, which hold an id.
        Raises Conflict if others have the place, and so these events will never be stored;
        OutcomeUnknown if the log stays out of reach.
        """
        pause_s = SETTLE_PAUSE_FIRST_S
        for _ in range(SETTLE_ATTEMPTS_MAX):
            with contextlib.suppress(nats.errors.Error, JetStreamBusy, *INCONCLUSIVE):
                last = await self.last_position()
                if last > expected_last:
                    return await self._settled(events, expected_last, last)
                try:
                    return await self.append(events, expected_last)
                except Conflict:  # somebody was faster: these very events, or others
                    continue
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, SETTLE_PAUSE_MAX_S)
        raise OutcomeUnknown(f"the log is out of reach after position {expected_last}")

    async def last_position(self) -> int:
        """0 while the log is empty; from the stream's leader."""
        return (await stream_info(self.client, self.stream)).state.last_seq

    async def read(
        self,
        after: int = 0,
        until: int | None = None,
        *,
        follow: bool = False,
        on_trouble: Callable[[Exception, float], None] | None = None,
    ) -> AsyncGenerator[Sequence[StoredMessage], None]:
        """The events after a position, in batches, as `read_stream` has them."""
        where = self.client, self.stream
        if until is None:
            last = 0 if self._apart is None else await self._last_if_known()
            reading = read_far(
                *where,
                self._apart,
                after=after,
                last=last,
                follow=follow,
                pace=self._pace,
                on_trouble=on_trouble,
            )
        else:
            reading = read_stream(
                *where, after=after, until=until, pace=self._pace, on_trouble=on_trouble
            )
        async with contextlib.aclosing(reading) as batches:
            async for batch in batches:
                yield batch

    async def get(self, positions: Sequence[int]) -> list[StoredMessage]:
        """The events at these positions, from the stream's leader; GapInLog if one is missing."""
        found: list[StoredMessage] = []
        for start in range(0, len(positions), GET_AT_ONCE_MAX):
            some = positions[start : start + GET_AT_ONCE_MAX]
            found += await asyncio.gather(*map(self._get_one, some))
        return found

    async def _last_if_known(self) -> int:
        """0 if nobody can say now: who reads the log waits for it."""
        try:
            return await self.last_position()
        except (nats.errors.Error, JetStreamError):
            return 0

    @property
    def _opened(self) -> "_Acks":
        if self._acks is None:
            raise RuntimeError("nobody listens for acknowledgements yet: open it first")
        return self._acks

    async def _settled(self, events: Sequence[Outgoing], expected_last: int, last: int) -> int:
        [stored] = await self.get([expected_last + 1])
        # All or nothing: where the first is, the others are.
        if (stored.subject, stored.payload) != (events[0].subject, events[0].payload):
            raise Conflict(expected_last, last)
        return expected_last + len(events)

    async def _get_one(self, position: int) -> StoredMessage:
        try:
            answer = await api_request(
                self.client, f"STREAM.MSG.GET.{self.stream}", _StoredAnswer, {"seq": position}
            )
        except JetStreamError as error:
            if error.err_code == NO_MESSAGE_FOUND:
                raise GapInLog(position, None) from error
            raise
        stored = answer.message
        return StoredMessage(
            stored.seq, stored.subject, stored.data, _unix_ns(stored.time), _headers(stored.hdrs)
        )


def version_of(message: StoredMessage) -> int:
    """Which of its originator's events it is, from 1."""
    return int(message.headers[VERSION])


class _Ack(ApiAnswer, frozen=True, kw_only=True):
    seq: int = 0


_ack: Final = msgspec.json.Decoder(_Ack)


class Ahead:
    """The beginning of a batch, on its way while the append before it is.

    Its last event commits it, so it may be given up at any time: the server forgets a batch that
    nobody commits within 10 s. It is not committed either if any part of it was lost.
    """

    def __init__(self, outbox: Outbox, reply_to: str, expected_last: int) -> None:
        self.reply_to = reply_to
        self.count = 0
        """How many events were sent."""
        self._outbox = outbox
        self._expected_last = expected_last

    def send(self, events: Sequence[Outgoing]) -> None:
        """Of the events that there are so far all but the last; a nats.errors.Error if it cannot.

        After an error this is of no use any more.
        """
        batch_id = _batch_id(self.reply_to)
        for number in range(self.count + 1, len(events)):
            event = events[number - 1]
            headers = _headers_in(batch_id, event, number, self._expected_last)
            self._outbox.put(event.subject, event.payload, "", headers)
        self.count = max(self.count, len(events) - 1)
        self._outbox.send()


class Sent:
    """An append that is under way, part after part, and how it ended."""

    def __init__(
        self,
        outbox: Outbox,
        reply_to: str,
        parts: Sequence[Sequence[Outgoing]],
        expected_last: int,
        answered: Callable[[], None],
        *,
        ahead: int = 0,
    ) -> None:
        self.reply_to = reply_to
        self.is_done = False
        self.is_stored = False
        self._ahead = ahead
        self._outbox = outbox
        self._parts = deque(parts)
        self._last = expected_last
        self._answered = answered
        self._timer: asyncio.TimerHandle | None = None
        self._error: Exception | None = None

    def result(self) -> int:
        """The last position; raises an AppendFailed."""
        if self._error is not None:
            raise self._error
        return self._last

    def go_on(self) -> None:
        """Send the next part."""
        events = self._parts[0]
        batch_id = _batch_id(self.reply_to) if len(events) > 1 else None
        try:
            for number in range(self._ahead + 1, len(events)):
                event = events[number - 1]
                headers = _headers_in(batch_id, event, number, self._last)
                self._outbox.put(event.subject, event.payload, "", headers)
            event = events[-1]
            headers = _headers_in(batch_id, event, len(events), self._last)
            if batch_id is not None:  # without its last message, which commits it, it is nothing
                headers += f"{BATCH_COMMIT}: 1\r\n"
            self._outbox.put(event.subject, event.payload, self.reply_to, headers)
        except (nats.errors.ConnectionClosedError, nats.errors.ConnectionDrainingError) as error:
            self.fail(OutcomeUnknown(f"not sent: {error}"))
        self._outbox.send()

    def heed(self, message: Msg) -> None:
        """The acknowledgement of a part, or the word that nobody takes appends."""
        if not message.data:
            self.fail(OutcomeUnknown(f"no acknowledgement after {self._last}: nobody listens"))
            return
        ack = _ack.decode(message.data)
        expected = self._last + len(self._parts[0])
        if ack.error is not None:
            self.fail(_why_refused(ack.error, self._last))
        elif ack.seq != expected:
            self.fail(GapInLog(expected, ack.seq))
        else:
            self._last = expected
            self._parts.popleft()
            if self._parts:
                self.go_on()
            else:
                self.is_stored = True
                self._end()

    def fail(self, error: Exception) -> None:
        if not self.is_done:
            self._error = error
            self._end()

    def fail_after(self, timeout_s: float) -> None:
        error = OutcomeUnknown(f"no acknowledgement after {self._last} in {timeout_s} s")
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self.fail, error)

    def _end(self) -> None:
        self.is_done = True
        if self._timer is not None:
            self._timer.cancel()
        answered = self._answered
        del self._answered  # it may know who has this one, and only the garbage collector would see
        answered()


class _Acks:
    """The private inbox on which the server acknowledges, and what is waited for there.

    Not `Client.request`: that is two futures and a timer for each, and a turn of the loop more.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._own_name = NUID().next().decode()
        self._count = 0
        self._under_way: dict[str, Sent] = {}

    async def open(self) -> None:
        await listen(self._client, f"{self._inbox}.*", self._take)

    def new_address(self) -> str:
        """Where to acknowledge; its end names a batch as well, once and among all writers."""
        self._count += 1
        return f"{self._inbox}.{self._own_name}-{self._count}"

    def wait_for(self, sent: Sent, timeout_s: float) -> None:
        # What timed out is looked for no longer.
        self._under_way = {key: each for key, each in self._under_way.items() if not each.is_done}
        self._under_way[sent.reply_to] = sent
        sent.fail_after(timeout_s)

    def _take(self, message: Msg) -> None:
        sent = self._under_way.get(message.subject)
        if sent is not None and not sent.is_done:
            sent.heed(message)


class _Stored(Struct, frozen=True, kw_only=True):
    subject: str
    seq: int
    time: str
    data: bytes = b""
    hdrs: bytes = b""


class _StoredAnswer(ApiAnswer, frozen=True, kw_only=True):
    message: _Stored = _Stored(subject="", seq=0, time="")


def _batch_id(reply_to: str) -> str:
    return reply_to.rpartition(".")[2]


def _headers_in(batch_id: str | None, event: Outgoing, number: int, expected_last: int) -> str:
    """What the server is told of the event with that number in its group, as lines."""
    lines = f"{_SAME}{VERSION}: {event.version}\r\n"
    if number == 1:
        lines += f"{EXPECTED_LAST}: {expected_last}\r\n"
    if batch_id is not None:
        lines += f"{BATCH_ID}: {batch_id}\r\n{BATCH_SEQUENCE}: {number}\r\n"
    return lines


def _require_storable(events: Sequence[Outgoing]) -> None:
    if not 1 <= len(events) <= BATCH_EVENTS_MAX:
        raise ValueError(f"{len(events)} events; one append holds 1 to {BATCH_EVENTS_MAX}")
    for event in events:
        if len(event.payload) > PAYLOAD_BYTES_MAX:
            raise ValueError(
                f"{event.subject} has {len(event.payload)} bytes; at most {PAYLOAD_BYTES_MAX}"
            )


def _why_refused(fault: ApiFault, expected_last: int) -> AppendFailed:
    if fault.err_code in WRONG_LAST_SEQUENCE:
        _, _, actual = fault.description.rpartition(": ")
        return Conflict(expected_last, int(actual) if actual.isdecimal() else None)
    if fault.may_pass:
        return OutcomeUnknown(f"{fault.err_code} {fault.description}")
    return AppendRefused(fault.err_code, fault.description)


def _unix_ns(time: str) -> int:
    """RFC 3339 in UTC with up to nine decimals, as an integer."""
    seconds, _, decimals = time.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(seconds + "+00:00").timestamp()) * 10**9 + int(
        decimals.ljust(9, "0")
    )


def _headers(raw: bytes) -> dict[str, str]:
    lines = raw.decode().split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name: value.strip() for name, _, value in pairs}
