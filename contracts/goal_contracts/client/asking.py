"""Asks the ledger and the projections, again and again until there is an answer or time is up.

A question is asked again freely. A command is asked again under its own id, so it is recorded once
however often it is asked, and a lost reply hides no outcome: while one ledger takes over from
another nobody listens, or the one that did is gone with the question, and both are a pause. When
time is up the error says whether the command can have reached a ledger. Nothing is buffered while
the connection is down: what was not sent is not sent later behind the caller's back.
"""

import asyncio
import re
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import nats
import nats.errors
from nats.aio.client import Client as Connection

from goal_contracts import codec, subjects
from goal_contracts.client.keys import identity
from goal_contracts.client.stream import JETSTREAM_API
from goal_contracts.codec import CommandMessage
from goal_contracts.queries import Answer, Query
from goal_contracts.replies import Reason, Refused, Reply

WAIT_S: Final = 30.0
CONNECT_WAIT_S: Final = 5.0
COMMAND_ASK_S: Final = 1.0
"""At first; a ledger that has much to do is given longer each time."""
QUESTION_ASK_S: Final = 12.0
"""A little more than the projections themselves wait for a position."""
LONGEST_ASK_S: Final = 12.0
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 0.25
OVERLOADED_PAUSE_S: Final = 1.0
RECONNECT_PAUSE_S: Final = 0.1
REFUSAL: Final = re.compile(r'permissions violation for publish to "([^"]+)"')
"""As the server words it, in small letters: nats-py gives no more than the words."""
REFUSALS_KEPT_MAX: Final = 100

_answer: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)


class Unreachable(Exception):
    """No answer in time; of a command it says whether it can have reached a ledger."""


class NotLetIn(Unreachable):
    """The server does not know who connects."""


class NotPermitted(Unreachable):
    """The server lets this user not do that; nothing has reached anybody."""


class Client:
    """One connection. It comes back by itself; each call says how long it waits for that.

    `jetstream_api` is where the log is read: whoever has a key has it from the services' account.
    """

    def __init__(self, wait_s: float = WAIT_S, jetstream_api: str = JETSTREAM_API) -> None:
        self.connection = Connection()
        self.jetstream_api = jetstream_api
        self._wait_s = wait_s
        self._asking: set[asyncio.Timeout] = set()
        self._refused: deque[str] = deque(maxlen=REFUSALS_KEPT_MAX)

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        nkey: Path | None = None,
        wait_s: float = WAIT_S,
        connect_wait_s: float = CONNECT_WAIT_S,
    ) -> Self:
        """Connects, or raises Unreachable after `connect_wait_s`; `wait_s` bounds each call.

        `nkey` is the file with the seed of who connects; KeyUnusable if there is none in it.
        """
        client = cls(wait_s, JETSTREAM_API if nkey is None else subjects.IMPORTED_API)
        who = identity(nkey)
        why: list[Exception] = []

        async def note(error: Exception) -> None:
            # A server that lets nobody in says so once and may only hang up the next time.
            if not any(map(_lets_nobody_in, why)):
                why[:] = [error]
            await client._heed(error)

        try:
            async with asyncio.timeout(min(connect_wait_s, wait_s)):
                await client.connection.connect(
                    url,
                    name="goal-ledger",
                    pending_size=0,  # a command that is not sent now is never sent later
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_PAUSE_S,  # type: ignore[arg-type] # it only sleeps
                    disconnected_cb=client._ask_anew,
                    error_cb=note,
                    **who,
                )
        except (TimeoutError, OSError, ValueError, nats.errors.Error) as error:
            await client.close()
            told = why[-1] if why else error
            if _lets_nobody_in(told):
                raise NotLetIn(
                    f"the server at {url} does not let us in: name the file with your seed"
                ) from error
            raise Unreachable(f"no server answers at {url} ({_words(told)})") from error
        return client

    async def send(
        self,
        organisation_id: str,
        actor: str,
        message: CommandMessage,
        *,
        wait_s: float | None = None,
    ) -> Reply:
        """The ledger's reply; Unreachable if there is none in time.

        Then the outcome is unknown, unless the error says that no ledger was reached: ask again
        with the same message to learn it. A ledger that has too much to do says so, and is asked
        again here.
        """
        subject = subjects.command(organisation_id, actor, message.type)
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + (self._wait_s if wait_s is None else wait_s)
        asked_before = False
        while True:
            try:
                payload = await self._ask(
                    subject, codec.encode(message), "ledger", COMMAND_ASK_S, give_up_at - clock()
                )
            except _NoAnswer as error:
                raise error.for_command(message.id, asked_before=asked_before) from error
            except nats.errors.MaxPayloadError:
                size = len(message.data)
                return Refused(
                    command_id=message.id,
                    reason=Reason.TOO_LARGE,
                    message=f"{message.type} is too large to be sent: {size} bytes",
                    seen=str(size),
                    accepted=f"at most {self.connection.max_payload} bytes",
                )
            reply = codec.decode_reply(payload)
            is_overloaded = isinstance(reply, Refused) and reply.reason is Reason.OVERLOADED
            if not is_overloaded or clock() + OVERLOADED_PAUSE_S > give_up_at:
                return reply
            asked_before = True
            await asyncio.sleep(OVERLOADED_PAUSE_S)

    async def ask(
        self, organisation_id: str, query: Query, *, wait_s: float | None = None
    ) -> Answer:
        """The projections' answer, a QueryRefused too; Unreachable if there is none in time."""
        subject = subjects.query(organisation_id, type(query).__name__)
        wait_s = self._wait_s if wait_s is None else wait_s
        payload = codec.encode(query)
        return _answer.decode(
            await self._ask(subject, payload, "projections", QUESTION_ASK_S, wait_s)
        )

    async def close(self) -> None:
        await self.connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _ask(
        self, subject: str, payload: bytes, who: str, ask_s: float, wait_s: float
    ) -> bytes:
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + wait_s
        pause_s = FIRST_PAUSE_S
        may_have_arrived = False
        while True:
            try:
                return await self._ask_once(subject, payload, min(ask_s, give_up_at - clock()))
            except TimeoutError as error:  # nats.errors.TimeoutError is one, too
                self.refuse_what_is_not_permitted(subject)
                ask_s = min(ask_s * 2, LONGEST_ASK_S)
                may_have_arrived = True
                why: Exception = error
            except (nats.errors.NoRespondersError, nats.errors.OutboundBufferLimitError) as error:
                why = error
            except nats.errors.ConnectionClosedError as error:
                raise _NoAnswer(
                    f"the server closed the connection ({_words(error)})",
                    "check that it lets you in, then ask again",
                    may_have_arrived=may_have_arrived,
                ) from error
            if clock() + pause_s >= give_up_at:
                raise _NoAnswer(
                    f"the {who} gave no answer within {wait_s:.3g} s ({_words(why)})",
                    "see that the system runs, then ask again",
                    may_have_arrived=may_have_arrived,
                ) from why
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _ask_once(self, subject: str, payload: bytes, ask_s: float) -> bytes:
        async with asyncio.timeout(ask_s) as limit:
            self._asking.add(limit)
            try:
                reply = await self.connection.request(subject, payload, timeout=ask_s + 1)
            finally:
                self._asking.discard(limit)
        return reply.data

    def refuse_what_is_not_permitted(self, subject: str) -> None:
        """NotPermitted if the server has refused to this user to publish there."""
        if subject.lower() in self._refused:
            raise NotPermitted(f"the server does not let this user publish to {subject}")

    async def _heed(self, error: Exception) -> None:
        refused = REFUSAL.search(str(error).lower())
        if refused is not None:
            self._refused.append(refused[1])
            await self._ask_anew()

    async def _ask_anew(self) -> None:
        # What is under way on a lost connection will never be answered: do not wait it out.
        for limit in self._asking:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())


class _NoAnswer(Unreachable):
    """Nothing came back in time; only what reached nobody has certainly had no effect."""

    def __init__(self, what: str, mend: str, *, may_have_arrived: bool) -> None:
        super().__init__(f"{what}; {mend}")
        self._what = what
        self._mend = mend
        self._may_have_arrived = may_have_arrived

    def for_command(self, command_id: str, *, asked_before: bool) -> Unreachable:
        """The same with what is known of a command's outcome."""
        if self._may_have_arrived or asked_before:
            outcome = f"it is unknown whether command {command_id} was recorded"
            return Unreachable(f"{self._what}, {outcome}; {self._mend} with the same id")
        outcome = f"command {command_id} reached no ledger"
        return Unreachable(f"{self._what}, {outcome}; {self._mend}")


def _lets_nobody_in(error: Exception) -> bool:
    return "authorization violation" in str(error).lower()


def _words(error: Exception) -> str:
    match error:
        case nats.errors.NoRespondersError():
            return "nobody listens there"
        case nats.errors.OutboundBufferLimitError():
            return "the connection is down"
        case TimeoutError():
            return "no reply in time"
        case ConnectionRefusedError():
            return "connection refused"
        case _:
            said = " ".join(str(error).split()).removeprefix("nats: ")
            return said or type(error).__name__
