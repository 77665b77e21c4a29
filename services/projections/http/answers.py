"""Answers as they go out: with their tag, how long they hold, and small where that is asked for.

An answer about a past that is over holds for ever. Its bytes are kept, the last used of them, so
that asking again costs what HTTP costs. An answer about the present has a weak tag, which stays
the same until something happens or a day's end changes what is told: whoever asks from time to
time gets the bytes only when there is news in them.
"""

import gzip
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

from goal_contracts import codec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from services.http.edge import Headers, safe
from services.projections.queries import Answered
from services.projections.view_store.schema import microseconds

KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
GZIP_FROM_BYTES: Final = 1_000
GZIP_LEVEL: Final = 5
FOR_EVER: Final = "private, max-age=31536000, immutable"
NOT_KEPT: Final = "private, no-cache"
POSITION_HEADER: Final = "goal-ledger-position"
WEAK: Final = "W/"


class Coded(Struct, frozen=True):
    """An answer in one coding, ready to be sent: its tag, its bytes, and the headers of either end.

    `headers` go with the bytes, `unchanged` to who has them already. Both are safe as they are.
    """

    tag: str
    body: bytes
    headers: Headers
    unchanged: Headers


class Outgoing:
    """An answer in both its codings, each with its tag."""

    def __init__(self, organisation_id: str, answered: Answered, asked: Mapping[str, str]) -> None:
        """`asked` are the parameters of the question, for the link to the rest of it."""
        self.organisation_id = organisation_id
        body, gzipped = answered.body, _gzipped(answered.body)
        self.bytes_held = len(body) + len(gzipped or b"")
        headers: Headers = [
            (b"cache-control", (FOR_EVER if answered.is_final else NOT_KEPT).encode()),
            (b"vary", b"Accept-Encoding, Authorization"),
            (POSITION_HEADER.encode(), str(answered.position).encode()),
        ]
        if answered.cursor is not None:
            rest = urlencode({**asked, "cursor": answered.cursor})
            headers.append((b"link", f'<?{rest}>; rel="next"'.encode()))
        mark = "" if answered.is_final else WEAK
        digest = sha256(_without_the_time(answered)).hexdigest()[:32]
        self._whole = _coded(f'{mark}"{digest}"', body, headers)
        self._small = self._whole
        if gzipped is not None:
            coding = (b"content-encoding", b"gzip")
            self._small = _coded(f'{mark}"{digest}-gzip"', gzipped, headers, coding)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it as the request's headers want it: whole or small, or not again."""
        given = dict(scope["headers"])
        accepted, known = given.get(b"accept-encoding"), given.get(b"if-none-match")
        coded = self._small if accepted and _accepts_gzip(accepted) else self._whole
        status, headers, body = 200, coded.headers, coded.body
        if known and _matches(known, coded.tag):
            status, headers, body = 304, coded.unchanged, b""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class PastAnswers:
    """The final answers that were used last, by the path and the parameters that asked for them."""

    def __init__(self, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[tuple[bytes, bytes], Outgoing] = OrderedDict()

    def keep(self, scope: Scope, answer: Outgoing) -> None:
        key = _key(scope)
        replaced = self._kept.pop(key, None)
        self._bytes -= _held(key, replaced) if replaced else 0
        self._kept[key] = answer
        self._bytes += _held(key, answer)
        while self._bytes > self._bytes_max:
            oldest, dropped = self._kept.popitem(last=False)
            self._bytes -= _held(oldest, dropped)

    def find(self, scope: Scope) -> Outgoing | None:
        """The answer that was given to this very request, if its bearer may have it."""
        key = _key(scope)
        answer = self._kept.get(key)
        if answer is None or answer.organisation_id not in scope["user"].organisations:
            return None
        self._kept.move_to_end(key)
        return answer


def answering_the_past(app: ASGIApp, kept: PastAnswers) -> ASGIApp:
    """The application, with answers that are kept given before it is reached."""

    async def ask(scope: Scope, receive: Receive, send: Send) -> None:
        is_question = scope["type"] == ScopeType.HTTP and scope["method"] == "GET"
        answer = kept.find(scope) if is_question else None
        await (app if answer is None else answer)(scope, receive, send)

    return ask


def _key(scope: Scope) -> tuple[bytes, bytes]:
    return scope["raw_path"], scope["query_string"]


def _held(key: Iterable[bytes], answer: Outgoing) -> int:
    return answer.bytes_held + sum(map(len, key))


def _coded(tag: str, body: bytes, headers: Headers, *of_coding: tuple[bytes, bytes]) -> Coded:
    unchanged = [(b"etag", tag.encode()), *headers]
    of_body = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *of_coding,
    ]
    return Coded(tag, body, safe([*unchanged, *of_body]), safe(unchanged))


def _without_the_time(answered: Answered) -> bytes:
    """The body but for the moment that goes on, which its cursor holds as well."""
    if answered.told_at is None:
        return answered.body
    of_cursor = str(microseconds(answered.told_at)).encode()
    return answered.body.replace(codec.encode(answered.told_at), b"").replace(of_cursor, b"")


def _gzipped(body: bytes) -> bytes | None:
    if len(body) < GZIP_FROM_BYTES:
        return None
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


def _accepts_gzip(accepted: bytes) -> bool:
    """Whether gzip is named, and not with a weight of nothing (RFC 9110, section 12.5.3)."""
    for each in accepted.lower().split(b","):
        coding, _, weight = each.replace(b" ", b"").partition(b";")
        if coding == b"gzip":
            return weight.rstrip(b"0").rstrip(b".") != b"q="
    return False


def _matches(asked: bytes, tag: str) -> bool:
    """Whether a tag is among those of If-None-Match; weakly compared, as it is to be."""
    given = (each.strip().removeprefix(WEAK) for each in asked.decode("latin-1").split(","))
    return any(each in {tag.removeprefix(WEAK), "*"} for each in given)
