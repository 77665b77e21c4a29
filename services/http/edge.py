"""In front of an application: who asks is found out first, and every answer is told safely.

Everything needs a token but for a few paths by name, however else a path is spelt; the bearer is
`scope["user"]` from here on.
"""

from collections.abc import Callable, Iterable
from typing import Final, cast

from goal_contracts import codec
from goal_contracts.documents import PLACE
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from services.http.problems import MEDIA_TYPE, NoAnswer, headers_of
from services.http.tokens import Bearer, KeysUnavailable, TokenRefused, Tokens

OPEN: Final = frozenset({"/healthz", "/metrics", "/readyz", "/schema", PLACE})
OPEN_BELOW: Final = f"{PLACE}/"
SCHEME: Final = "bearer"
SAFE_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)

Headers = list[tuple[bytes, bytes]]


def guarded(app: ASGIApp, tokens: Tokens | None, clock: Callable[[], float]) -> ASGIApp:
    """The application behind its edge; where no tokens are accepted, only what is open is there."""

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = safe(message["headers"])
            await send(message)

        if scope["method"] == "HEAD":  # the server leaves the body out
            scope = cast("HTTPScope", {**scope, "method": "GET"})
        if scope["path"] not in OPEN and not scope["path"].startswith(OPEN_BELOW):
            try:
                scope["user"] = await _bearer(scope, tokens, clock())
            except NoAnswer as no_answer:
                await _send(no_answer, send_safely)
                return
        await app(scope, receive, send_safely)

    return edge


def safe(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers with those that make an answer safe to look at; what they say themselves stays."""
    told = [*headers]
    if tuple(told[-len(SAFE_HEADERS) :]) == SAFE_HEADERS:  # made safe beforehand
        return told
    said = {name for name, _ in told}
    return [*told, *(header for header in SAFE_HEADERS if header[0] not in said)]


def refuse_other_organisation(bearer: Bearer, organisation_id: str) -> None:
    """A token opens the organisations it names."""
    if organisation_id not in bearer.organisations:
        raise NoAnswer("other_organisation", "the token is for another organisation")


async def _send(no_answer: NoAnswer, send: Send) -> None:
    body = codec.encode(no_answer.problem)
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        **headers_of(no_answer),
    }
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    status = no_answer.problem.status
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _bearer(scope: Scope, tokens: Tokens | None, now: float) -> Bearer:
    if tokens is None:
        raise NoAnswer("not_found", "nothing is served there: no tokens are accepted here")
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = given[0].decode("latin-1").partition(" ") if given else ("", "", "")
    if len(given) != 1 or scheme.lower() != SCHEME or not token.strip():
        raise NoAnswer(
            "no_token", "an Authorization: Bearer token is needed", {"WWW-Authenticate": "Bearer"}
        )
    try:
        return await tokens.judge(token.strip(), now)
    except TokenRefused as refused:
        raise NoAnswer(
            "invalid_token",
            f"the token is not accepted: {refused}",
            {"WWW-Authenticate": 'Bearer error="invalid_token"'},
        ) from refused
    except KeysUnavailable as error:
        raise NoAnswer("keys_unavailable", str(error)) from error
