"""What an answer says that is none: problem+json (RFC 9457), with a code from a closed list.

Whatever of a request is repeated in it is cut: nobody can have long texts of theirs sent by us.
"""

import http
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
import structlog
from goal_contracts import codec
from goal_contracts.replies import Reason, Refused
from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import Struct

MEDIA_TYPE: Final = "application/problem+json"
TEXT_LENGTH_MAX: Final = 500
RETRY_AFTER_S: Final = 1

Code = Literal[
    "malformed",
    "no_token",
    "invalid_token",
    "other_organisation",
    "not_permitted",
    "not_found",
    "method_not_allowed",
    "not_yet",
    "too_large",
    "media_type",
    "failed",
    "unreadable_log",
    "overloaded",
    "keys_unavailable",
    "not_the_writer",
    "outcome_unknown",
]
"""What is wrong with a request, or with us; a refused command has its reason as the code."""

STATUSES: Final[Mapping[Code, int]] = {
    "malformed": 400,
    "no_token": 401,
    "invalid_token": 401,
    "other_organisation": 403,
    "not_permitted": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_yet": 409,
    "too_large": 413,
    "media_type": 415,
    "failed": 500,
    "unreadable_log": 503,
    "overloaded": 503,
    "keys_unavailable": 503,
    "not_the_writer": 503,
    "outcome_unknown": 504,
}
REASON_STATUSES: Final[Mapping[Reason, int]] = {
    Reason.MALFORMED: 400,
    Reason.UNKNOWN_COMMAND: 400,
    Reason.NOT_PERMITTED: 403,
    Reason.NOT_FOUND: 404,
    Reason.ORGANISATION_UNKNOWN: 404,
    Reason.ID_TAKEN: 409,
    Reason.ORGANISATION_EXISTS: 409,
    Reason.GOAL_CHANGED_SINCE: 409,
    Reason.TOO_LARGE: 413,
    Reason.OVERLOADED: 503,
}
RULE_STATUS: Final = 422
"""Every other reason: the command was understood, and a rule is against it."""
ASKED_AGAIN: Final = frozenset({"not_yet", "overloaded", "keys_unavailable", "not_the_writer"})
"""With these comes after how long to ask again."""

log = structlog.get_logger()


class Problem(Struct, frozen=True, omit_defaults=True):
    """Why there is no answer; `code` is for programs, `detail` for people.

    A refused command has its id, the rule it is against, what was seen and what would be accepted.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    command_id: str = ""
    rule: str = ""
    seen: str = ""
    accepted: str = ""


class NoAnswer(Exception):
    """There is a problem instead of an answer."""

    def __init__(self, code: Code, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.problem = _problem(STATUSES[code], code, detail)
        self.headers = headers or {}


class CommandRefused(NoAnswer):
    """The ledger refused a command: its reason is the code."""

    def __init__(self, reply: Refused) -> None:
        Exception.__init__(self, f"{reply.reason}: {reply.message}")
        self.headers = {}
        self.problem = msgspec.structs.replace(
            _problem(REASON_STATUSES.get(reply.reason, RULE_STATUS), reply.reason, reply.message),
            command_id=_cut(reply.command_id),
            rule=reply.rule,
            seen=_cut(reply.seen),
            accepted=_cut(reply.accepted),
        )


def type_of(code: str) -> str:
    """The URI of a kind of problem."""
    return f"urn:goal-ledger:problem:{code}"


def headers_of(no_answer: NoAnswer) -> dict[str, str]:
    """What goes out with a problem."""
    is_asked_again = no_answer.problem.code in ASKED_AGAIN
    more = {"Retry-After": str(RETRY_AFTER_S)} if is_asked_again else {}
    return {"Cache-Control": "no-store", **more, **no_answer.headers}


def tell(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Every exception of a handler as a problem; what nobody foresaw is in the log alone."""
    match error:
        case NoAnswer():
            no_answer = error
        case HTTPException():
            code = _CODES.get(error.status_code, "malformed")
            no_answer = NoAnswer(code, _DETAILS.get(code, error.detail), error.headers)
        case _:
            log.error("request_failed", exc_info=error)
            no_answer = NoAnswer("failed", "the service's log says why")
    return Response(
        codec.encode(no_answer.problem),
        status_code=no_answer.problem.status,
        media_type=MEDIA_TYPE,
        headers=headers_of(no_answer),
    )


_CODES: Final[Mapping[int, Code]] = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "media_type",
    500: "failed",
}
_DETAILS: Final[Mapping[Code, str]] = {
    "not_found": "nothing is served there: the paths are in /schema",
    "method_not_allowed": "the methods of this path are in /schema",
}


def _problem(status: int, code: str, detail: str) -> Problem:
    title = http.HTTPStatus(status).phrase
    return Problem(type=type_of(code), title=title, status=status, detail=_cut(detail), code=code)


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LENGTH_MAX else f"{text[:TEXT_LENGTH_MAX]}…"
