"""The application: each question of the table at its path, live events, and the watchers' door."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from litestar import Litestar, Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from services.http.edge import guarded, refuse_other_organisation
from services.http.openapi import described
from services.http.problems import NoAnswer, tell
from services.http.published import contracts
from services.http.tokens import Bearer, Tokens
from services.http.watching import Status, watching
from services.projections.cannot_answer import CannotAnswer
from services.projections.http.answers import Outgoing, PastAnswers, answering_the_past
from services.projections.http.document import document
from services.projections.http.live import Listening, LiveEvents
from services.projections.http.refusals import no_answer
from services.projections.http.routes import ORGANISATION, ROUTES, STREAM, Route
from services.projections.queries import Questions

AT_ONCE_MAX: Final = 256
"""Questions taken and not yet answered; then there is no room."""
PARAMETERS_MAX: Final = 32
PARAMETERS_BYTES_MAX: Final = 4_096
"""Of a request, all together."""

Asked = Request[Bearer, Any, Any]


def application(
    questions: Questions,
    live: LiveEvents,
    tokens: Tokens | None,
    numbers: Callable[[], bytes],
    look: Callable[[], Status],
    clock: Callable[[], datetime],
) -> ASGIApp:
    """What is served; `look` tells how the service is, `numbers` what it counts."""
    past = PastAnswers()
    door = _Door(questions, past, clock)
    api = [described(document()), *(_asking(route, door) for route in ROUTES), _listening(live)]
    app = Litestar(
        [*watching(numbers, look), contracts, *(api if tokens is not None else ())],
        exception_handlers={Exception: tell},
        openapi_config=None,
        # It would set up logging of its own, with a thread.
        logging_config=None,
    )
    return guarded(answering_the_past(app, past), tokens, lambda: clock().timestamp())


class _Door:
    """The questions as they come in."""

    def __init__(
        self, questions: Questions, past: PastAnswers, clock: Callable[[], datetime]
    ) -> None:
        self._questions = questions
        self._past = past
        self._clock = clock
        self._under_way = 0

    async def ask(self, route: Route, request: Asked) -> Outgoing:
        """The answer to a request, or NoAnswer."""
        organisation_id, in_path = _in_path(request)
        given = _parameters(request)
        try:
            query = route.read(in_path, given)
        except msgspec.ValidationError as error:
            raise NoAnswer("malformed", str(error)) from error
        if self._under_way >= AT_ONCE_MAX:
            raise NoAnswer("overloaded", f"{self._under_way} questions are being answered")
        self._under_way += 1
        try:
            answered = await self._questions.ask(organisation_id, query, self._clock())
        except CannotAnswer as error:
            raise no_answer(error) from error
        finally:
            self._under_way -= 1
        # Making it small takes a while, and nobody else has to wait for that.
        outgoing = await asyncio.to_thread(Outgoing, organisation_id, answered, given)
        if answered.is_final:
            self._past.keep(request.scope, outgoing)
        return outgoing


def _asking(route: Route, door: _Door) -> HTTPRouteHandler:
    @get(_path(route.path))
    async def answer(request: Asked) -> ASGIApp:
        return await door.ask(route, request)

    return answer


def _listening(live: LiveEvents) -> HTTPRouteHandler:
    @get(_path(STREAM))
    async def stream(request: Asked) -> ASGIApp:
        organisation_id, _ = _in_path(request)
        try:
            listening = msgspec.convert(_parameters(request), Listening)
        except msgspec.ValidationError as error:
            raise NoAnswer("malformed", str(error)) from error
        seen = request.headers.get("last-event-id")
        return await live.listen(request.user, organisation_id, listening, seen)

    return stream


def _path(below: str) -> str:
    """A path as Litestar writes it."""
    return re.sub(r"\{(\w+)\}", r"{\1:str}", ORGANISATION + below)


def _in_path(request: Asked) -> tuple[str, Mapping[str, str]]:
    """The organisation, which must be one of the token's, and the rest."""
    organisation_id = str(request.path_params["organisation"])
    refuse_other_organisation(request.user, organisation_id)
    rest = {name: str(value) for name, value in request.path_params.items()}
    del rest["organisation"]
    return organisation_id, rest


def _parameters(request: Asked) -> dict[str, str]:
    """Each is there once."""
    asked: bytes = request.scope["query_string"]
    if len(asked) > PARAMETERS_BYTES_MAX:
        raise NoAnswer("malformed", f"the parameters are more than {PARAMETERS_BYTES_MAX} bytes")
    try:
        pairs = parse_qsl(
            asked.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError as error:
        raise NoAnswer("malformed", "the parameters cannot be read") from error
    given = dict(pairs)
    if len(given) < len(pairs):
        raise NoAnswer("malformed", "a parameter is there twice")
    return given
