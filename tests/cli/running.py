"""A running system that answers what a test tells it to, and the program run against it."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import msgspec
import nats
from click.testing import CliRunner, Result
from goal_contracts import codec, subjects
from goal_contracts.client.flushing import flushed
from goal_contracts.codec import CommandMessage
from goal_contracts.queries import QUERIES, Answer, Query
from goal_contracts.replies import Reply
from nats.aio.client import Client as Connection
from nats.aio.msg import Msg

from services.cli.app import app

Answering = Callable[[Query], Answer]
Replying = Callable[[str, CommandMessage], Reply]


class FakeSystem:
    """Answers the questions and commands of one organisation, from a thread of its own."""

    def __init__(
        self,
        url: str,
        organisation: str,
        *,
        answers: Mapping[str, Answering] | None = None,
        reply: Replying | None = None,
    ) -> None:
        self.url = url
        self.organisation = organisation
        self.asked: list[Query] = []
        self.sent: list[tuple[str, CommandMessage]] = []
        self._answers = answers or {}
        self._reply = reply
        self._ready: Future[Connection] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def goal_ledger(self, *arguments: str, **more: Any) -> Result:
        """Runs the program against this system."""
        named = ["--server", self.url, "--org", self.organisation, "--wait", "5"]
        return goal_ledger(*arguments, *named, **more)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        closing = asyncio.run_coroutine_threadsafe(self._ready.result().close(), self._loop)
        closing.result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_forever()

    async def _serve(self) -> None:
        connection = await nats.connect(self.url)
        await connection.subscribe(subjects.query(self.organisation, "*"), cb=self._answer)
        await connection.subscribe(subjects.command(self.organisation, "*", "*"), cb=self._take)
        await flushed(connection)
        self._ready.set_result(connection)

    async def _answer(self, message: Msg) -> None:
        _, name = subjects.parse_query(message.subject)
        query = msgspec.json.decode(message.data, type=QUERIES[name])
        self.asked.append(query)
        await message.respond(codec.encode(self._answers[name](query)))

    async def _take(self, message: Msg) -> None:
        _, actor, _ = subjects.parse_command(message.subject)
        command = codec.decode_message(message.data)
        self.sent.append((actor, command))
        if self._reply is not None:
            await message.respond(codec.encode(self._reply(actor, command)))


def goal_ledger(*arguments: str, **more: Any) -> Result:
    """Runs the program; in a test nothing is a terminal."""
    return CliRunner().invoke(app, arguments, prog_name="goal-ledger", **more)
