"""What time alone makes true is recorded by the ledger itself, as commands of its own.

Each has an id that follows from the fact, so it is recorded once however often it is noticed,
whatever restarts and however many ledgers run.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from goal_contracts.fields import LEDGER_ACTOR
from goal_contracts.replies import Reply

from services.ledger.request import Request
from services.ledger.writer import Writer

ACTOR: Final = LEDGER_ACTOR
LOOK_EVERY_S: Final = 60.0
ANSWER_WAIT_S: Final = 30.0


async def keep_time(
    writer: Writer, clock: Callable[[], datetime], *, every_s: float = LOOK_EVERY_S
) -> None:
    """Look for facts that are due, at once and every `every_s` seconds, until cancelled."""
    while True:
        await record_what_is_due(writer, clock())
        await asyncio.sleep(every_s)


async def record_what_is_due(writer: Writer, now: datetime) -> int:
    """Submit what is due at `now` and wait, bounded, for the answers; how many facts there were.

    What got no answer is noticed again the next time, under the same id.
    """
    answered: list[asyncio.Future[Reply]] = []
    for organisation_id, command_id, command in writer.facts_due(now):
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        request = Request(
            organisation_id=organisation_id,
            actor=ACTOR,
            command=command,
            command_id=command_id,
            now=now,
            recorded_at=now,
        )
        writer.submit(request, future.set_result)
        answered.append(future)
        # What many organisations have due at once holds up nobody else's commands.
        await asyncio.sleep(0)
    if answered:
        await asyncio.wait(answered, timeout=ANSWER_WAIT_S)
    return len(answered)
