"""`up`: the whole system in the foreground, on one data directory.

DATA/nats/            the server's streams and its log
DATA/views/           the view database: projections-N.sqlite may be deleted and are built anew
DATA/logs/            a log file for each service
DATA/keys/            what lets the services, and whoever may read it, into the server, and signs
                      this system's own tokens
DATA/server.json      where the system is, while it runs
DATA/lock             who owns the directory
"""

import asyncio
import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import click
from goal_contracts.client.keys import public_key
from msgspec import Struct
from rich.console import RenderableType
from rich.table import Table

from services.cli import logs, options, printing, settings
from services.cli.errors import Unreachable, WrongUsage
from services.cli.settings import RunningServer
from services.embedded import ports
from services.embedded.directory_lock import DirectoryLock
from services.embedded.launch import Launch
from services.embedded.nats_server import Accounts, NatsServer
from services.embedded.supervisor import Child, Supervisor, nats_child, service_child
from services.nats_users import accounts
from services.nats_users.keys import kept_key
from services.nats_users.users import Services, UsersUnusable, read_users

NAME: Final = "goal-ledger"
STANDBYS_MAX: Final = 4

Body = Callable[[RunningServer], Coroutine[Any, Any, None]]

nats_port = options.setting(
    "--nats-port",
    name="nats-port",
    default="0",
    shown="the last one, else any",
    type=options.WholeNumber(0, options.PORT_MAX),
    metavar="PORT",
    help="Where the nats-server listens, on loopback only; 0 is any.",
)


http_port = options.setting(
    "--http-port",
    name="http-port",
    default="0",
    shown="the last ones, else any",
    type=options.WholeNumber(0, options.PORT_MAX),
    metavar="PORT",
    help="The first of the ports where the services are reached over HTTP, on loopback only; "
    "0 is any.",
)


def data_directory(default: Path) -> Callable[[options.Command], options.Command]:
    return options.setting(
        "--data",
        name="data",
        default=str(default),
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Where everything is kept.",
    )


@click.command(
    "up",
    epilog="Example: goal-ledger up --data ledger/ --nats-port 4222",
    short_help="Run the whole system.",
)
@data_directory(settings.DATA)
@nats_port
@options.roles
@options.nats_users
@options.outbox
@click.option(
    "--standbys",
    type=click.IntRange(0, STANDBYS_MAX),
    default=0,
    show_default=True,
    metavar="N",
    help="Ledgers beside the one that writes, ready to take over from it.",
)
@http_port
@options.database
def up(
    data: Path,
    nats_port: int,
    roles: Path | None,
    nats_users: Path | None,
    outbox: Path | None,
    standbys: int,
    http_port: int,
    database: str | None,
) -> None:
    """Run the whole system in the foreground until Ctrl-C: nats-server, ledger, projections.

    What dies is started again, with a limit. A data directory is used by one `up` at a time; other
    commands find the system through it. Over HTTP, on loopback only, the projections have
    --http-port, the ledger the port after it, standbys the ports after that; tokens are made by
    `goal-ledger token`.
    """
    if http_port and http_port + standbys + 1 > options.PORT_MAX:
        raise WrongUsage(f"there are no {standbys + 1} ports after --http-port {http_port}")

    async def wait_for_ever(running: RunningServer) -> None:
        printing.show("", *how_to_ask(data, running))

    run_system(
        data,
        nats_port,
        wait_for_ever,
        roles=roles,
        nats_users=nats_users,
        outbox=outbox,
        standbys=standbys,
        http_port=http_port,
        database=database,
    )


def run_system(
    data: Path,
    port: int,
    body: Body,
    *,
    roles: Path | None = None,
    nats_users: Path | None = None,
    outbox: Path | None = None,
    standbys: int = 0,
    http_port: int = 0,
    database: str | None = None,
) -> None:
    """Starts everything, tells where it is, runs `body`, waits for a signal, stops everything.

    Raises an EmbeddedError when the directory is taken or a part cannot be kept alive.
    """
    logs.configure(warnings_only=True)
    with DirectoryLock(data):
        settings.remove_server_file(data)  # of a run that was killed
        keys = Keys.kept(data / "keys")
        server = NatsServer(data / "nats", port=port, users=_accounts(keys, nats_users))
        ledgers = ("ledger", *(f"ledger-{number}" for number in range(2, standbys + 2)))
        http = _Doors(data, http_port, len(ledgers))
        children = (
            nats_child(server),
            *(
                _service(
                    name,
                    data,
                    partial(_ledger_command, server, keys.ledger, roles, http.options(number)),
                )
                for number, name in enumerate(ledgers, 1)
            ),
            _service(
                "projections",
                data,
                partial(_projections_command, server, keys, outbox, http.options(0)),
                # Not an argument: those of a process are seen by everybody on the machine.
                {f"{settings.PREFIX}DATABASE": database or _embedded_database(data)},
            ),
        )

        async def when_ready() -> None:
            running = RunningServer(
                server.url,
                os.getpid(),
                datetime.now(UTC),
                nkey=str(keys.local.absolute()),
                questions=http.address(0),
                commands=http.address(1),
            )
            settings.write_server_file(data, running)
            printing.show(*_where(data, running, ledgers, http))
            await body(running)

        printing.show(f"Starting on {data}/ …")
        try:
            asyncio.run(Supervisor(children).run(when_ready))
        finally:
            settings.remove_server_file(data)
            server.release()
        printing.show("Stopped.")


class Keys(Struct, frozen=True):
    """The files that let the services into the server, and whoever may read them."""

    ledger: Path
    projections: Path
    local: Path

    @classmethod
    def kept(cls, directory: Path) -> Self:
        """Made at the first start; nobody but their owner may look."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = cls.__struct_fields__
        for name in names:
            kept_key(directory / f"{name}.nk")
        return cls(*(directory / f"{name}.nk" for name in names))


def _accounts(keys: Keys, users: Path | None) -> Accounts:
    services = Services(public_key(keys.ledger), public_key(keys.projections))
    try:
        organisations = {} if users is None else read_users(users).organisations
    except UsersUnusable as error:
        raise WrongUsage(str(error)) from error
    return Accounts(
        accounts.settings(services, organisations, public_key(keys.local)), accounts.SERVICES
    )


def how_to_ask(data: Path, running: RunningServer) -> list[RenderableType]:
    """How another terminal reaches this system."""
    url, key = running.url, data / "keys" / "local.nk"
    return [
        f"Ask it here in another terminal:  {program()} as-of{how_to_find(data, url)}",
        f"or from elsewhere:                {program()} as-of --server {url} --nkey {key}",
        f"or over HTTP, with a token of:    {program()} token{how_to_find(data, url)}",
        "Ctrl-C stops it.",
    ]


def program() -> str:
    """What to type to start this program again: the way it was started, unless its name does."""
    started = sys.argv[0]
    is_named = Path(started).name == NAME
    return started if is_named and shutil.which(NAME) is None else NAME


def how_to_find(data: Path, url: str) -> str:
    """What another command, from the same directory, needs to find this system."""
    try:
        is_found = settings.find_server(None).url == url
    except Unreachable:
        is_found = False
    return "" if is_found else f" --data {data}"


def _service(
    name: str,
    data: Path,
    command: Callable[[], list[str]],
    environment: Mapping[str, str] | None = None,
) -> Child:
    """A service whose command is made anew at each start: the server may have moved."""

    def child(argv: list[str]) -> Child:
        return service_child(
            name,
            argv,
            run_directory=(data / "run").absolute(),
            log_file=(data / "logs" / f"{name}.log").absolute(),
            environment=environment,
        )

    def prepare() -> Launch:
        return child([sys.executable, "-m", "services.cli", *command()]).prepare()

    return dataclasses.replace(child([]), prepare=prepare)


class _Doors:
    """The HTTP ports of this run, kept for the next one, and the key for its tokens."""

    def __init__(self, data: Path, first: int, ledgers: int) -> None:
        from services.cli import local_tokens  # noqa: PLC0415 - questions need no cryptography

        file = data / "http.port"
        remembered = None
        with contextlib.suppress(OSError, ValueError):
            remembered = int(file.read_text())
        self._first = first or ports.free_ports(1 + ledgers, remembered, ports.HTTP_PORTS)
        file.write_text(f"{self._first}\n")
        self._tokens = local_tokens.prepare(data)

    def address(self, number: int) -> str:
        """Of the projections, which are the first, and of the ledgers behind them."""
        return f"http://{ports.HOST}:{self._first + number}"

    def options(self, number: int) -> list[str]:
        """What a service has to be told of its door."""
        return [
            *("--http-port", str(self._first + number), "--http-host", ports.HOST),
            *("--token-keys", self._tokens.keys, "--token-issuer", self._tokens.issuer),
            *("--token-audience", self._tokens.audience),
        ]


def _ledger_command(
    server: NatsServer, nkey: Path, roles: Path | None, door: Sequence[str]
) -> list[str]:
    # Its monitoring address is another one after each start: the ledger looks it up itself.
    command = ["ledger", "--server", server.url, "--monitor", str(server.home)]
    command += ["--nkey", str(nkey.absolute())]
    if roles is not None:
        command += ["--roles", str(roles.absolute())]
    return [*command, *door]


def _projections_command(
    server: NatsServer, keys: Keys, outbox: Path | None, door: Sequence[str]
) -> list[str]:
    nkey = keys.projections.absolute()
    command = ["projections", "--server", server.url, "--nkey", str(nkey), *door]
    return command if outbox is None else [*command, "--outbox", str(outbox.absolute())]


def _embedded_database(data: Path) -> str:
    return settings.embedded_database((data / "views").absolute())


def _where(
    data: Path, running: RunningServer, ledgers: Sequence[str], http: _Doors
) -> list[RenderableType]:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    table.add_row("nats-server", running.url, "", f"log {data / 'nats' / 'nats.log'}")
    does = "judges commands"
    for number, name in enumerate(ledgers, 1):
        log = f"log {data / 'logs' / f'{name}.log'}"
        table.add_row(name, http.address(number), does, log)
        does = "stands by"
    log = f"log {data / 'logs' / 'projections.log'}"
    table.add_row("projections", http.address(0), "answer questions", log)
    return [table]
