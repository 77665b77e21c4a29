"""A writer on a stream of its own, and a way to ask it, for tests of what stands around it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import uuid4

from goal_contracts import codec
from goal_contracts.commands import Command
from goal_contracts.replies import Reply

from services.ledger.handlers import new_event_ids
from services.ledger.request import Request, SendReply
from services.ledger.store.log import GoalLog
from services.ledger.store.snapshots import SnapshotStore
from services.ledger.store.streams import StreamSettings
from services.ledger.writer import Writer

NOW: Final = datetime(2025, 8, 14, 9, 30, tzinfo=UTC)
ANSWER_TIMEOUT_S: Final = 10


class Ledger(NamedTuple):
    """A running writer, and a way to ask it."""

    writer: Writer
    log: GoalLog
    organisation_id: str

    async def ask(
        self, *asked: Command, command_id: str | None = None, **circumstances: Any
    ) -> list[Reply]:
        """The replies, in order; all commands wait at once."""
        replies: list[asyncio.Future[Reply]] = []
        for command in asked:
            reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            replies.append(reply)
            self.writer.submit(*self._asked(command, command_id, reply, circumstances))
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return list(await asyncio.gather(*replies))

    async def events(self) -> list[codec.Recorded]:
        """All that the log holds."""
        found: list[codec.Recorded] = []
        async with contextlib.aclosing(self.log.read()) as batches:
            async for batch in batches:
                found += [codec.decode_event(stored.position, stored.payload) for stored in batch]
        return found

    def _asked(
        self,
        command: Command,
        command_id: str | None,
        reply: asyncio.Future[Reply],
        circumstances: dict[str, Any],
    ) -> tuple[Request, SendReply]:
        request = Request(
            organisation_id=self.organisation_id,
            actor="u-17",
            command=command,
            command_id=command_id or uuid4().hex,
            now=NOW,
            recorded_at=NOW,
            **circumstances,
        )
        return request, reply.set_result


@contextlib.asynccontextmanager
async def running(
    goal_log: GoalLog, settings: StreamSettings, snapshots: SnapshotStore | None = None
) -> AsyncIterator[Ledger]:
    """A writer that has loaded the log and takes commands."""
    writer = Writer(goal_log, new_event_ids, snapshots)
    await writer.load()
    task = asyncio.create_task(writer.run())
    try:
        yield Ledger(writer, goal_log, settings.organisations[0])
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
