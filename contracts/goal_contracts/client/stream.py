"""Reads a JetStream stream from a position on, in batches, and checks that nothing is missing.

Knows nothing of goals: the ledger's store, the projections' feed and subscribers all read with it.
One ephemeral pull consumer on a private inbox, asked again before the last answer has come in full.
A consumer that vanishes (they do not survive a server's restart) is made anew from the last
position that was handed on, with a growing pause. Of a whole stream the positions follow on each
other; of a selection the consumer's own count does.

Errors:

    BrokenLog              never right: stop, and look into it
    └── GapInLog           a position is missing, or the log ends before the position asked for
    StreamUnavailable      the stream could not be read for longer than `Pace.patience_s`
    JetStreamError         the server answered a request with an error
    └── JetStreamBusy      an error that may pass by itself: no leader, no resources, too many
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

API_TIMEOUT_S: Final = 5.0
JETSTREAM_API: Final = "$JS.API"
"""Where JetStream is asked; an account that imports it may have it under another name."""
NANOSECONDS: Final = 1_000_000_000
HEARTBEATS_MISSED: Final = 2.5
SERVER_FAULT: Final = 500
TOO_MANY_REQUESTS: Final = 429
CONSUMER_NOT_FOUND: Final = 10014

# The tokens of a delivery's reply subject, counted from the left; servers with a domain put two
# more in front.
REPLY_TOKENS: Final = 9
REPLY_SEQUENCE: Final = 5
REPLY_COUNT: Final = 6
REPLY_TIME_NS: Final = 7


class StoredMessage(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One message as the stream holds it; its time is the integer the server stored."""

    position: int
    subject: str
    payload: bytes
    stored_at_ns: int
    headers: Mapping[str, str]


class BrokenLog(Exception):
    """The log is not what it must be. Never retried."""


class GapInLog(BrokenLog):
    """Position `expected` is not in the log where it must be; `found` stands there, or nothing."""

    def __init__(self, expected: int, found: int | None) -> None:
        instead = "nothing" if found is None else found
        super().__init__(f"position {expected} is missing from the log: {instead} found instead")
        self.expected = expected
        self.found = found


class StreamUnavailable(Exception):
    """The stream could not be read for longer than is acceptable."""


class JetStreamError(Exception):
    """The server's answer to an API request: `code` as in HTTP, `err_code` precise."""

    def __init__(self, code: int, err_code: int, description: str) -> None:
        super().__init__(f"{err_code} {description}")
        self.code = code
        self.err_code = err_code
        self.description = description


class JetStreamBusy(JetStreamError):
    pass


class ApiFault(msgspec.Struct, frozen=True):
    """The error part of an answer."""

    code: int
    err_code: int = 0
    description: str = ""

    @property
    def may_pass(self) -> bool:
        return self.code >= SERVER_FAULT or self.code == TOO_MANY_REQUESTS


class ApiAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer of the JetStream API may hold."""

    error: ApiFault | None = None


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """Which positions a stream holds; first and last are 0 while it is empty and new."""

    first_seq: int
    last_seq: int
    messages: int


class StreamInfo(ApiAnswer, frozen=True, kw_only=True):
    """A stream's settings as the server has them, its state, and when it was created."""

    created: str = ""
    config: dict[str, object] = {}
    state: StreamState = StreamState(first_seq=0, last_seq=0, messages=0)


class ConsumerInfo(ApiAnswer, frozen=True, kw_only=True):
    """A new consumer: its name, and how many messages lie before it."""

    name: str = ""
    num_pending: int = 0


Answer = TypeVar("Answer", bound=ApiAnswer)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much is asked for at a time, and how long silence is borne."""

    batch_max: int = 2_000
    """Messages per request, and at most in a batch handed on."""
    requests_open: int = 5
    """With 10,000 messages on their way a server that picks them out never waits for a request;
    with 6,000 it did, for a quarter of the time (`make bench`, loading)."""
    heartbeat_s: float = 1.0
    request_expires_s: float = 30.0
    consumer_idle_s: float = 60.0
    """After so long without a request the server drops the consumer."""
    retry_first_s: float = 0.05
    retry_max_s: float = 5.0
    patience_s: float | None = None
    """Give up after so long without a sign of the stream; None: never."""


USUAL_PACE: Final = Pace()


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The messages whose subject fits a pattern, through a consumer of that name.

    The server lets a user make consumers of certain names and patterns only, one at a time: a new
    one takes the place of the one before. `since` is where to begin if no position is known.
    """

    subject: str
    consumer: str
    since: datetime | None = None


async def api_request(
    client: Client,
    operation: str,
    answer: type[Answer],
    request: Mapping[str, object] | None = None,
    *,
    timeout_s: float = API_TIMEOUT_S,
    api: str = JETSTREAM_API,
) -> Answer:
    """One request to the JetStream API, such as STREAM.INFO.<stream>.

    Raises JetStreamError if the server answers with an error, nats.errors.Error if it does not.
    """
    payload = b"" if request is None else msgspec.json.encode(request)
    reply = await client.request(f"{api}.{operation}", payload, timeout=timeout_s)
    decoded = msgspec.json.decode(reply.data, type=answer)
    if decoded.error is not None:
        fault = decoded.error
        kind = JetStreamBusy if fault.may_pass else JetStreamError
        raise kind(fault.code, fault.err_code, fault.description)
    return decoded


async def stream_info(client: Client, stream: str, api: str = JETSTREAM_API) -> StreamInfo:
    """Settings and state, from the stream's leader."""
    return await api_request(client, f"STREAM.INFO.{stream}", StreamInfo, api=api)


async def read_stream(
    client: Client,
    stream: str,
    *,
    after: int,
    until: int | None = None,
    follow: bool = False,
    pace: Pace = USUAL_PACE,
    on_trouble: Callable[[Exception, float], None] | None = None,
    api: str = JETSTREAM_API,
    selection: Selection | None = None,
) -> AsyncGenerator[Sequence[StoredMessage], None]:
    """The messages after a position, in batches, each position once and none left out.

    Ends at `until`, or at the position that was last at the start; with `follow` it goes on with
    what is stored later, until closed. Of a `selection` no `until` is known: it ends with what
    there was at the start. `on_trouble` hears why the consumer is made anew, and in
    how many seconds. Close it (`contextlib.aclosing`) if it is left before its end.

    Raises GapInLog, StreamUnavailable, and JetStreamError for what asking again cannot mend.
    """
    clock = asyncio.get_running_loop().time
    position, pause_s, last_sign_at = after, pace.retry_first_s, clock()
    while follow or until is None or position < until:
        pull = _Pull(client, stream, pace, api, selection)
        try:
            last = await pull.open(position)
            if until is None and not follow:
                until = last
            is_new = True
            while follow or not (pull.is_at_end or position == until):
                batch, found = pull.in_order(await pull.next(), position, until)
                pause_s, last_sign_at = pace.retry_first_s, clock()
                for start in range(0, len(batch), pace.batch_max):
                    part = batch[start : start + pace.batch_max]
                    position = part[-1].position
                    yield part
                last_sign_at = clock()  # the reader's own time is not the stream's silence
                is_new = is_new and not batch
                if found is not None:
                    is_whole_from_start = is_new and selection is None
                    raise _gap(position + 1, found, delivered_from_the_start=is_whole_from_start)
        except (nats.errors.Error, JetStreamBusy, _Lost) as error:
            silent_s = clock() - last_sign_at
            if client.is_closed or (pace.patience_s is not None and silent_s > pace.patience_s):
                raise StreamUnavailable(
                    f"stream {stream} cannot be read after position {position}: {error}"
                ) from error
            if on_trouble is not None:
                on_trouble(error, pause_s)
        else:
            return
        finally:
            await pull.close()
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, pace.retry_max_s)


class _Lost(Exception):
    """The consumer is gone, silent, or has left something out: make a new one."""


def _gap(expected: int, found: int, *, delivered_from_the_start: bool) -> Exception:
    # A connection that broke and came back leaves a hole in a delivery that was under way; only
    # what a new consumer does not begin with is missing from the log.
    if delivered_from_the_start:
        return GapInLog(expected, found)
    return _Lost(f"position {expected} was not delivered")


class _Pull:
    """One consumer's life: opened after a position, asked until it is lost or closed."""

    def __init__(
        self, client: Client, stream: str, pace: Pace, api: str, selection: Selection | None
    ) -> None:
        self._client = client
        self._api = api
        self._selection = selection
        self._delivered = 0
        self._delivered_at_end: int | None = None
        self._stream = stream
        self._pace = pace
        self._inbox = client.new_inbox()
        self._request = msgspec.json.encode(
            {
                "batch": pace.batch_max,
                "expires": _nanoseconds(pace.request_expires_s),
                "idle_heartbeat": _nanoseconds(pace.heartbeat_s),
            }
        )
        self._arrived: list[Msg] = []
        self._wake = asyncio.Event()
        self._outstanding = 0
        self._why_lost: str | None = None
        self._consumer: str | None = None
        self._subscription: Subscription | None = None

    async def open(self, after: int) -> int | None:
        """Makes the consumer; the last position in the stream at this moment.

        None of a selection: whoever sees a part of the stream may not ask about the whole.
        """
        last = await self._last_position(after) if self._selection is None else None
        # No limit on what waits here: never more than was asked for.
        self._subscription = await self._client.subscribe(
            self._inbox, cb=self._take, pending_msgs_limit=0, pending_bytes_limit=0
        )
        config: dict[str, object] = {
            "ack_policy": "none",
            "inactive_threshold": _nanoseconds(self._pace.consumer_idle_s),
            "mem_storage": True,
        }
        operation = f"CONSUMER.CREATE.{self._stream}"
        since = None
        if (selection := self._selection) is not None:
            since = selection.since
            await self._remove(selection.consumer)
            operation += f".{selection.consumer}.{selection.subject}"
            config |= {"name": selection.consumer, "filter_subject": selection.subject}
        if after == 0 and since is not None:
            config |= {"deliver_policy": "by_start_time", "opt_start_time": since.isoformat()}
        else:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": after + 1}
        request = {"stream_name": self._stream, "config": config}
        consumer = await api_request(self._client, operation, ConsumerInfo, request, api=self._api)
        self._consumer = consumer.name
        if self._selection is not None:
            self._delivered_at_end = consumer.num_pending
        return last

    @property
    def is_at_end(self) -> bool:
        """Whether all of a selection was delivered that was there at the start."""
        return self._delivered_at_end is not None and self._delivered >= self._delivered_at_end

    async def _last_position(self, after: int) -> int:
        state = (await stream_info(self._client, self._stream, self._api)).state
        if state.last_seq < after:
            # The consumer would wait in silence until the log has grown as long again.
            raise GapInLog(after, state.last_seq)
        return state.last_seq

    async def _remove(self, consumer: str) -> None:
        """The one of a former life: it would go on from where it is, and for somebody else."""
        try:
            await api_request(
                self._client,
                f"CONSUMER.DELETE.{self._stream}.{consumer}",
                ApiAnswer,
                api=self._api,
            )
        except JetStreamError as error:
            if error.err_code != CONSUMER_NOT_FOUND:
                raise

    async def next(self) -> list[Msg]:
        """What was delivered since the last call; empty after a mere sign of life."""
        self._require_not_lost()
        await self._ask()
        if not self._arrived:
            self._wake.clear()
            try:
                async with asyncio.timeout(self._pace.heartbeat_s * HEARTBEATS_MISSED):
                    await self._wake.wait()
            except TimeoutError:
                raise _Lost("no heartbeat from the consumer") from None
        arrived, self._arrived = self._arrived, []
        delivered: list[Msg] = []
        for message in arrived:
            if message.reply:
                delivered.append(message)
            else:
                self._heed(message.headers or {})
        self._outstanding -= len(delivered)
        if not delivered:
            self._require_not_lost()
        return delivered

    def in_order(
        self, delivered: Sequence[Msg], position: int, until: int | None
    ) -> tuple[list[StoredMessage], int | None]:
        """The messages that follow on `position`, and the first position that does not, if any."""
        in_order: list[StoredMessage] = []
        for message in delivered:
            if until is not None and position >= until:
                break
            tokens = message.reply.split(".")
            shift = 0 if len(tokens) == REPLY_TOKENS else 2
            sequence = int(tokens[REPLY_SEQUENCE + shift])
            self._delivered += 1
            if self._selection is None:
                follows = sequence == position + 1
            else:
                follows = int(tokens[REPLY_COUNT + shift]) == self._delivered
            if not follows:
                return in_order, sequence
            position = sequence
            in_order.append(
                StoredMessage(
                    sequence,
                    message.subject,
                    message.data,
                    int(tokens[REPLY_TIME_NS + shift]),
                    message.headers or {},
                )
            )
        return in_order, None

    async def close(self) -> None:
        """Gives the consumer back; what the server no longer hears it drops by itself."""
        with contextlib.suppress(nats.errors.Error):
            if self._subscription is not None:
                await self._subscription.unsubscribe()
            if self._consumer is not None:
                # The answer is of no use to anyone, but without an address the server does nothing.
                await self._client.publish(
                    f"{self._api}.CONSUMER.DELETE.{self._stream}.{self._consumer}",
                    reply=self._client.new_inbox(),
                )

    async def _ask(self) -> None:
        room = self._pace.batch_max * self._pace.requests_open
        while self._outstanding + self._pace.batch_max <= room:
            await self._client.publish(
                f"{self._api}.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}",
                self._request,
                reply=self._inbox,
            )
            self._outstanding += self._pace.batch_max

    async def _take(self, message: Msg) -> None:
        self._arrived.append(message)
        self._wake.set()

    def _heed(self, status: Mapping[str, str]) -> None:
        match status.get("Status"):
            case "100":  # heartbeat
                pass
            case "408":  # a request has ended, with so many messages not delivered
                self._outstanding -= int(status.get("Nats-Pending-Messages", "0"))
            case code:  # deleted, moved, unknown: what was delivered before it still counts
                self._why_lost = f"{code} {status.get('Description', '').strip()}"

    def _require_not_lost(self) -> None:
        if self._why_lost is not None:
            raise _Lost(self._why_lost)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
