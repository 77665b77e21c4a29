"""`ledger` and `projections`: one service in the foreground, as a supervisor starts it.

A service's own libraries are imported only when it is run: a question needs none of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import click
import msgspec
import structlog
import uvloop

from services.cli import logs, options, settings
from services.cli.client import Client
from services.cli.errors import CliError, Failed, Unreachable
from services.embedded.nats_server import PortsFile
from services.embedded.readiness import announce_ready
from services.http.settings import HttpSettings

PORTS_FILES: Final = "*.ports"
POLL_INTERVAL_S: Final = 0.02

log = structlog.get_logger(__name__)

server = options.setting(
    "--server",
    name="server",
    required=True,
    metavar="URL",
    help="Where the nats-server is.",
)


@click.command(
    "ledger",
    epilog="Example: goal-ledger ledger --server nats://127.0.0.1:4222 "
    "--monitor http://127.0.0.1:8222",
    short_help="Run the ledger service.",
)
@server
@options.setting(
    "--monitor",
    name="monitor",
    metavar="URL|DIR",
    help="The server's monitoring address, or the directory of its ports file: there the ledger "
    "learns whether each write is on disk before it is acknowledged.",
)
@click.option(
    "--replicas",
    type=click.Choice(["1", "3", "5"]),
    default="1",
    show_default=True,
    help="On how many servers of a cluster each event is kept, at least.",
)
@click.option(
    "--allow-unsafe-sync",
    is_flag=True,
    help="Serve although the server may lose acknowledged writes when power fails.",
)
@options.service_nkey
@options.roles
@options.http_door
@options.wait
def ledger(
    server: str,
    monitor: str | None,
    nkey: Path | None,
    roles: Path | None,
    replicas: str,
    http: HttpSettings | None,
    *,
    allow_unsafe_sync: bool,
    wait_s: float,
) -> None:
    """Run the ledger in the foreground: it judges commands and alone appends to the log.

    It creates the stream if there is none, and refuses to serve when server or stream are set less
    safely than they must be.
    """
    from services.ledger import app  # noqa: PLC0415 - see above

    async def run() -> None:
        address = None if monitor is None else await _monitor_address(monitor, wait_s)
        usual = app.Settings(
            server_url=server,
            monitor_url=address,
            nkey=nkey,
            roles=roles,
            http=http,
        )
        stream = msgspec.structs.replace(
            usual.stream, unsafe_sync_allowed=allow_unsafe_sync, replicas=int(replicas)
        )
        await app.run(msgspec.structs.replace(usual, stream=stream), announce_ready)

    serve("ledger", server, nkey, wait_s, run)


@click.command(
    "projections",
    epilog="Example: goal-ledger projections --server nats://127.0.0.1:4222 --data views/",
    short_help="Run the projections service.",
)
@server
@options.setting(
    "--data",
    name="data",
    default=str(settings.DATA),
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the embedded database is kept, if no other is named; views that are deleted there "
    "are built anew, but what went out goes out once more.",
)
@options.database
@click.option(
    "--alerts/--no-alerts",
    default=True,
    show_default=True,
    help="Tell owners on goals.alert.> what needs their attention, once.",
)
@options.outbox
@options.service_nkey
@options.http_door
@options.wait
def projections(
    server: str,
    data: Path,
    database: str | None,
    outbox: Path | None,
    nkey: Path | None,
    http: HttpSettings | None,
    *,
    alerts: bool,
    wait_s: float,
) -> None:
    """Run the projections in the foreground: they read the log, answer questions, and tell.

    What needs attention is told once, as a message to its owner; reports are written once, when
    they are due.
    """
    from services.projections import app  # noqa: PLC0415 - see above

    address = database or settings.embedded_database(data)
    wanted = app.Settings(
        server_url=server,
        database=address,
        nkey=nkey,
        http=http,
        alerts=alerts,
        reports=outbox,
    )
    serve("projections", server, nkey, wait_s, lambda: app.run(wanted, announce_ready))


async def _monitor_address(place: str, wait_s: float) -> str:
    """As given, or from the ports file of a server that is just starting."""
    if "://" in place:
        return place
    give_up_at = time.monotonic() + wait_s
    while True:
        address = _address_in_ports_file(Path(place))
        if address is not None:
            return address
        if time.monotonic() > give_up_at:
            raise Unreachable(f"no ports file in {place}; name the monitoring address by its URL")
        await asyncio.sleep(POLL_INTERVAL_S)


def _address_in_ports_file(directory: Path) -> str | None:
    for file in directory.glob(PORTS_FILES):
        try:
            return msgspec.json.decode(file.read_bytes(), type=PortsFile).monitoring[0]
        except (OSError, msgspec.MsgspecError):  # it is being written or removed
            return None
    return None


def serve(
    name: str, url: str, nkey: Path | None, wait_s: float, run: Callable[[], Awaitable[None]]
) -> None:
    logs.configure()

    async def serve() -> None:
        # A service comes back to a lost server for ever, but one that never was there is told.
        async with await Client.connect(url, nkey=nkey, wait_s=wait_s, connect_wait_s=wait_s):
            pass
        await run()

    try:
        uvloop.run(serve())
    except CliError:
        raise
    except Exception as error:
        log.exception("service_failed", service=name)
        raise Failed(f"{name}-stopped", f"{type(error).__name__}: {error}") from error
