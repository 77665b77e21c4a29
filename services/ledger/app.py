"""The ledger service: one file that wires everything and reads in a minute.

FastStream is the shell: connection, start and stop. The hot command subject is nats-py on
FastStream's own connection, with the command bytes handed to the writer as they come.
"""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import nats.errors
import structlog
from faststream import FastStream
from faststream.nats import NatsBroker
from goal_contracts import codec, subjects
from goal_contracts.replies import Refused, Reply
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.ledger.handlers import clock, new_event_id, read_request
from services.ledger.roles import Roles, read_roles
from services.ledger.snapshotting import keep_snapshots, save_if_due
from services.ledger.store.log import GoalLog, connect_options
from services.ledger.store.snapshots import SnapshotStore
from services.ledger.store.streams import (
    Difference,
    StreamSettings,
    check_server,
    ensure_stream,
    watch_stream_settings,
)
from services.ledger.timekeeper import keep_time
from services.ledger.writer import IN_TURN_MAX, Writer

QUEUE: Final = "ledger"
DRAIN_S: Final = 10.0

log = structlog.get_logger()


class Settings(Struct, frozen=True):
    """Where the ledger finds its server, how safe that must be, and who may do what."""

    server_url: str
    monitor_url: str | None = None
    stream: StreamSettings = StreamSettings()
    roles: Path | None = None


async def run(settings: Settings, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve commands until told to stop; raises what makes serving unsafe."""
    roles = read_roles(settings.roles)
    broker = NatsBroker(
        settings.server_url, logger=None, graceful_timeout=DRAIN_S, **connect_options("ledger")
    )

    app = FastStream(broker, logger=None)
    held = contextlib.AsyncExitStack()
    served: list[Callable[[], None]] = []

    # Hooks, not a lifespan: FastStream closes the connection before a lifespan's end, and the
    # commands that were taken have to be answered before that.
    @app.after_startup
    async def start() -> None:
        served.append(
            await held.enter_async_context(serving(broker.connection, settings, app.exit, roles))
        )
        on_ready()

    @app.on_shutdown
    async def stop() -> None:
        await held.aclose()

    try:
        await app.run()
    finally:
        # FastStream leaves the connection open when its start fails or it is cancelled.
        with contextlib.suppress(nats.errors.Error):
            await broker.stop()
    for raise_failure in served:
        raise_failure()


@contextlib.asynccontextmanager
async def serving(
    client: Client, settings: Settings, stop: Callable[[], None], roles: Roles | None = None
) -> AsyncIterator[Callable[[], None]]:
    """Answer commands on this connection; `stop` is called when it has to end by itself.

    The value raises, once everything has stopped, what ended the serving.
    """
    await check_server(client, settings.stream, settings.monitor_url)
    await ensure_stream(client, settings.stream)
    snapshots = SnapshotStore(client, settings.stream.name, settings.stream.replicas)
    writer = Writer(
        GoalLog(client, settings.stream.name),
        new_event_id,
        snapshots,
        in_turn_max=IN_TURN_MAX if settings.stream.replicas == 1 else 1,
    )
    await writer.load()
    # What was loaded stays: the garbage collector need not look through it again and again.
    gc.freeze()
    log.info("ledger_loaded", stream=settings.stream.name, position=writer.position)

    standings = roles or Roles()
    failures: list[BaseException] = []

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            failures.append(error)
            stop()
            log.error("ledger_stops", why=f"{type(error).__name__}: {error}")

    async def unsafe(differences: tuple[Difference, ...]) -> None:
        if differences:
            raise StreamChanged("; ".join(map(str, differences)))

    tasks = [
        asyncio.create_task(writer.run(), name="writer"),
        asyncio.create_task(keep_time(writer, clock), name="time"),
        asyncio.create_task(keep_snapshots(writer, snapshots), name="snapshots"),
        asyncio.create_task(
            watch_stream_settings(client, settings.stream, unsafe), name="stream settings"
        ),
    ]
    for task in tasks:
        task.add_done_callback(ended)

    async def take(message: Msg) -> None:
        async def reply(answer: Reply) -> None:
            await _answer(client, message, answer)

        request = read_request(message.subject, message.data, clock(), standings)
        if isinstance(request, Refused):
            await reply(request)
        else:
            await writer.submit(request, reply)

    commands = await client.subscribe(subjects.COMMANDS, queue=QUEUE, cb=take)
    # The server knows of the subscription before anyone is told that commands are taken.
    await client.flush()
    log.info("ledger_ready", position=writer.position, subject=subjects.COMMANDS)

    def raise_failure() -> None:
        if failures:
            raise failures[0]

    try:
        yield raise_failure
    finally:
        # First no new commands, then an answer for each one taken, then the end.
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            await commands.drain()
            if not failures:
                await writer.drain(DRAIN_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not failures:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await save_if_due(writer, snapshots)
        log.info("ledger_stopped", position=writer.position)


class StreamChanged(Exception):
    """Somebody changed the stream's settings while the ledger was serving."""


async def _answer(client: Client, message: Msg, answer: Reply) -> None:
    if not message.reply:
        return
    try:
        await client.publish(message.reply, codec.encode(answer))
    except nats.errors.Error as error:
        # What was accepted is in the log: the command id makes asking again safe.
        log.warning("reply_lost", why=str(error), command_id=answer.command_id)
