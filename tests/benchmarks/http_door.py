"""The projections' HTTP door on the sample company, and beside it one that says always the same.

python -m tests.benchmarks.http_door DIRECTORY: prints where both are and a token, serves until its
standard input ends.
"""

import asyncio
import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

import msgspec
import structlog
import uvloop
from goal_contracts.queries import AsOf
from litestar.types import ASGIApp, Receive, Scope, Send
from nats.aio.client import Client

from services.cli import sample
from services.http.listening import listening
from services.http.settings import HttpSettings
from services.http.tokens import judging
from services.projections.feed import Feed
from services.projections.http.application import application
from services.projections.http.live import LiveEvents
from services.projections.metrics import Status
from services.projections.queries import Questions
from tests.cli.in_process_ledger import InProcessLedger
from tests.issuer import Issuer
from tests.projections.log import STREAM, fill, view_store

ORGANISATION: Final = sample.ORGANISATION
QUESTION: Final = AsOf(as_of="2025-09-30", limit=20)
PATH: Final = f"/api/v1/organisations/{ORGANISATION}/goals?as_of=2025-09-30&limit=20"


class Serving(msgspec.Struct, frozen=True):
    """Where to ask."""

    process_id: int
    door: str
    constant: str
    token: str


def constant(body: bytes) -> ASGIApp:
    """What HTTP itself costs: the same bytes for whatever is asked."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return answer


async def serve(directory: Path) -> None:
    ledger = InProcessLedger()
    for actor, message in sample.messages():
        ledger.answer(ORGANISATION, actor, message)
    store = view_store(directory)
    fill(store, ledger.events)
    feed = Feed(cast("Client", None), STREAM, store)
    questions = Questions(feed, store.engine)
    issuer = Issuer(directory / "jwks.json")

    def now() -> datetime:
        return datetime.now(UTC)

    def status() -> Status:
        return Status(feed.position, feed.position, 1, is_outdated=False, has_caught_up=True)

    # The answer's own bytes, so that both send as much.
    body = (await questions.ask(ORGANISATION, QUESTION, now())).body
    async with judging(issuer.settings) as tokens:
        live = LiveEvents(feed, questions, now)
        app = application(questions, live, tokens, lambda: b"", status, now)
        async with (
            listening(app, HttpSettings()) as door,
            listening(constant(body), HttpSettings()) as same,
        ):
            token = issuer.token(ORGANISATION, exp=time.time() + 86_400)
            where = Serving(os.getpid(), door, same, token)
            print(msgspec.json.encode(where).decode(), flush=True)
            await asyncio.to_thread(sys.stdin.read)
    questions.close()
    store.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    uvloop.run(serve(Path(sys.argv[1])))
