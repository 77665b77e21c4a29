"""The ledger service: one file that wires everything and reads in a minute.

FastStream is the shell: connection, start and stop. The hot command subject is nats-py on
FastStream's own connection, with the command bytes handed to the writer as they come.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path

import nats.errors
import structlog
from faststream import FastStream
from faststream.nats import NatsBroker
from goal_contracts import codec, subjects
from goal_contracts.replies import Refused, Reply
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.http.settings import HttpSettings
from services.ledger.handlers import clock, new_event_ids, read_request
from services.ledger.metrics import Metrics, Status
from services.ledger.roles import Roles, read_roles
from services.ledger.snapshotting import keep_snapshots, save_if_due
from services.ledger.standby import DRAIN_S, Turns
from services.ledger.store.lease import Lease, LeaseSettings, ensure_bucket
from services.ledger.store.log import GoalLog, connect_options
from services.ledger.store.outbox import Outbox
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
from services.reading_apart import ReadingApart

log = structlog.get_logger()


class Settings(Struct, frozen=True):
    """Where the ledger finds its server, how safe that must be, and who may do what."""

    server_url: str
    monitor_url: str | None = None
    stream: StreamSettings = StreamSettings()
    roles: Path | None = None
    lease: LeaseSettings = LeaseSettings()
    nkey: Path | None = None
    http: HttpSettings | None = None


async def run(settings: Settings, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve commands, or stand by, until told to stop; raises what makes serving unsafe."""
    roles = read_roles(settings.roles)
    broker = NatsBroker(
        settings.server_url,
        logger=None,
        graceful_timeout=DRAIN_S,
        **connect_options("ledger", settings.nkey),
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
    """Answer commands on this connection, in turn with other ledgers; ready once the log is loaded.

    `stop` is called when it has to end by itself.

    The value raises, once everything has stopped, what ended the serving.
    """
    stream = settings.stream
    await check_server(client, stream, settings.monitor_url)
    await ensure_stream(client, stream)
    await ensure_bucket(client, settings.lease, stream.replicas)

    standings = roles or Roles()
    apart = ReadingApart(settings.server_url, settings.nkey)
    goal_log = GoalLog(client, stream.name, apart=apart)
    snapshots = SnapshotStore(client, stream.name, stream.replicas)
    failures: list[BaseException] = []
    metrics = Metrics()

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            failures.append(error)
            turns.may_append = False
            stop()
            log.error("ledger_stops", why=f"{type(error).__name__}: {error}")
        turns.is_ready.set()  # what has ended is not waited for

    async def unsafe(differences: tuple[Difference, ...]) -> None:
        if differences:
            raise StreamChanged("; ".join(map(str, differences)))

    def take(writer: Writer, message: Msg) -> None:
        def reply(answer: Reply) -> None:
            _answer(goal_log.outbox, message, answer)

        request = read_request(message.subject, message.data, clock(), standings)
        if isinstance(request, Refused):
            metrics.refused(request.reason)
            reply(request)
        else:
            writer.submit(request, reply)

    def new_writer() -> Writer:
        in_turn_max = IN_TURN_MAX if stream.replicas == 1 else 1
        return Writer(goal_log, new_event_ids, snapshots, in_turn_max=in_turn_max, metrics=metrics)

    def work(writer: Writer) -> Sequence[Coroutine[object, object, None]]:
        return writer.run(), keep_time(writer, clock), keep_snapshots(writer, snapshots)

    lease = Lease(client, settings.lease, stream.name, _holder(), stream.replicas)
    turns = Turns(client, lease, new_writer, take, work)
    taking_turns = asyncio.create_task(turns.run(), name="turns")
    watching = asyncio.create_task(watch_stream_settings(client, stream, unsafe), name="settings")
    for task in (taking_turns, watching):
        task.add_done_callback(ended)

    def raise_failure() -> None:
        if failures:
            raise failures[0]

    def status() -> Status:
        trouble = None
        if failures:
            trouble = f"the ledger has stopped: {failures[0]}"
        elif not client.is_connected:
            trouble = "there is no connection to the nats-server"
        unanswered = turns.writer.unanswered
        return Status(turns.role, turns.position, snapshots.position, unanswered, trouble)

    def entries() -> Mapping[str, int]:
        return turns.writer.entries()

    metrics.show(status, entries)
    doors = contextlib.AsyncExitStack()
    try:
        if settings.http is not None:
            # Only a ledger that has this door needs what serves it.
            from services.http.listening import listening  # noqa: PLC0415 - see above
            from services.http.tokens import judging  # noqa: PLC0415 - see above
            from services.ledger.http import application  # noqa: PLC0415 - see above

            tokens = None
            if settings.http.tokens is not None:
                tokens = await doors.enter_async_context(judging(settings.http.tokens))
            app = application(metrics, status, turns.submit, tokens, clock)
            await doors.enter_async_context(listening(app, settings.http))
        await turns.is_ready.wait()
        raise_failure()
        log.info("ledger_ready", position=turns.position)
        yield raise_failure
    finally:
        # First no new commands, then an answer for each one taken, then the lease, then the end.
        async with doors:
            for task in (taking_turns, watching):
                task.cancel()
            await asyncio.gather(taking_turns, watching, return_exceptions=True)
            if not failures:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_S):
                        await save_if_due(turns.writer, snapshots)
        log.info("ledger_stopped", position=turns.position)


class StreamChanged(Exception):
    """Somebody changed the stream's settings while the ledger was serving."""


def _holder() -> str:
    """Who we are in the lease, for operators to read: machine, process, and which life of it."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


def _answer(outbox: Outbox, message: Msg, answer: Reply) -> None:
    if not subjects.is_for_replies(message.reply):
        return
    try:
        outbox.put(message.reply, codec.encode(answer))
    except nats.errors.Error as error:
        # What was accepted is in the log: the command id makes asking again safe.
        log.warning("reply_lost", why=str(error), command_id=answer.command_id)
