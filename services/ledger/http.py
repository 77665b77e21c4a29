"""The ledger's HTTP door: commands, for who has a token, and how the ledger is.

A command takes the same way as over NATS: read once, judged by the single writer, answered once its
events are on disk. Who asks, and what they may do, is in the token.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from goal_contracts.codec import CommandMessage
from goal_contracts.fields import Id
from goal_contracts.replies import Accepted, Refused, Reply
from litestar import Litestar, Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from services.http.edge import guarded, refuse_other_organisation
from services.http.openapi import described
from services.http.problems import CommandRefused, NoAnswer, tell
from services.http.tokens import Bearer, Tokens
from services.http.watching import watching
from services.ledger.handlers import read_command
from services.ledger.http_document import COMMANDS, document
from services.ledger.metrics import Metrics, Status
from services.ledger.request import Request as CommandRequest
from services.ledger.request import SendReply
from services.ledger.roles import Standing

BODY_BYTES_MAX: Final = 1_048_576
"""As much as a message over NATS."""
AT_ONCE_MAX: Final = 512
"""Commands taken over HTTP and not yet answered."""
ANSWERED_WITHIN_S: Final = 30.0
JSON: Final = "application/json"

Submit = Callable[[CommandRequest, SendReply], Awaitable[bool]]
"""Hands a request to the writer; False if another ledger writes."""


class PostedCommand(CommandMessage, frozen=True, kw_only=True):
    """A command as over NATS, and the organisation it is for; the actor is the bearer."""

    organisation: Id


def application(
    metrics: Metrics,
    look: Callable[[], Status],
    submit: Submit,
    tokens: Tokens | None,
    clock: Callable[[], datetime],
) -> ASGIApp:
    """What is served; `look` tells how the ledger is, `submit` takes commands to its writer."""
    door = _Door(metrics, submit, clock)
    api = [described(document()), _posting(door)] if tokens is not None else []
    app = Litestar(
        [*watching(metrics.text, look), *api],
        exception_handlers={Exception: tell},
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=None,
        # It would set up logging of its own, with a thread.
        logging_config=None,
    )
    return guarded(app, tokens, lambda: clock().timestamp())


class _Door:
    """The commands as they come in."""

    def __init__(self, metrics: Metrics, submit: Submit, clock: Callable[[], datetime]) -> None:
        self._metrics = metrics
        self._submit = submit
        self._clock = clock
        self._under_way = 0

    async def take(self, bearer: Bearer, body: bytes) -> Accepted:
        """The ledger's answer; NoAnswer if it refuses, or gives none in time."""
        posted = _posted(body)
        refuse_other_organisation(bearer, posted.organisation)
        standing = Standing(role=bearer.role, units=bearer.units)
        request = read_command(
            posted, posted.organisation, bearer.actor, standing, self._clock(), len(body)
        )
        if isinstance(request, Refused):
            self._metrics.refused(request.reason)
            raise CommandRefused(request)
        if self._under_way >= AT_ONCE_MAX:
            raise NoAnswer("overloaded", f"{self._under_way} commands are being answered")
        self._under_way += 1
        try:
            reply = await self._reply_to(request)
        finally:
            self._under_way -= 1
        if isinstance(reply, Refused):
            raise CommandRefused(reply)
        return reply

    async def _reply_to(self, request: CommandRequest) -> Reply:
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def reply(answer: Reply) -> None:
            if not answered.done():  # nobody waits any more
                answered.set_result(answer)

        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                if not await self._submit(request, reply):
                    raise NoAnswer("not_the_writer", "another ledger writes, or will in a moment")
                return await answered
        except TimeoutError as error:
            raise NoAnswer(
                "outcome_unknown",
                f"no answer within {ANSWERED_WITHIN_S:g} s: it is unknown whether the command was "
                "recorded; ask again with the same id",
            ) from error


def _posting(door: _Door) -> HTTPRouteHandler:
    @post(COMMANDS, status_code=200)
    async def take(request: Request[Bearer, Any, Any]) -> Response[Accepted]:
        media_type, _, _ = request.headers.get("content-type", "").partition(";")
        if media_type.strip().lower() != JSON:
            raise NoAnswer("media_type", f"a command comes as {JSON}")
        accepted = await door.take(request.user, await request.body())
        return Response(accepted, headers={"Cache-Control": "no-store"})

    return take


def _posted(body: bytes) -> PostedCommand:
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise NoAnswer("malformed", f"the command cannot be read: {error}") from error


_decoder: Final = msgspec.json.Decoder(PostedCommand)
