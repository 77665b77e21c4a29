"""The options that many commands share, written once, and what they add up to.

A command that talks to a running system is decorated with `connected` and gets a `system: System`.
"""

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, get_args

import click
from goal_contracts.client import WAIT_S
from goal_contracts.fields import ID, GoalRef, Kind
from goal_contracts.queries import Moment, Query, QueryRefused

from services.cli import settings
from services.cli.client import Client
from services.cli.errors import Failed, WrongUsage
from services.http.settings import HttpSettings, TokenSettings, is_safe_source

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Command = Callable[..., Any]

KINDS: Final = get_args(Kind)
PORT_MAX: Final = 65_535


class Spelled(click.ParamType[str, object]):
    """A text that has to match a pattern; `accepted` says which texts do."""

    def __init__(self, name: str, pattern: re.Pattern[str], accepted: str) -> None:
        self.name = name
        self._pattern = pattern
        self._accepted = accepted

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        text = str(value)
        if not self._pattern.fullmatch(text):
            self.fail(f"{text!r} is no {self.name}; accepted: {self._accepted}", param, ctx)
        return text


def _plain(value: Any) -> Any:  # noqa: ANN401 - what it gets it gives back
    """Python would also read the digits of other scripts; here they are no number."""
    if isinstance(value, str) and not value.isascii():
        raise click.BadParameter(f"{value!r} is no number; accepted: the digits 0 to 9")
    return value


class WholeNumber(click.IntRange):
    """A whole number in ASCII digits, within bounds."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        return int(super().convert(_plain(value), param, ctx))


class Number(click.FloatRange):
    """A number in ASCII digits, within bounds."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        return float(super().convert(_plain(value), param, ctx))


MOMENT_TYPE: Final = Spelled(
    "date",
    re.compile(get_args(Moment)[1].pattern),
    "2025-09-30 (its end), 2025-09-30T12:00:00+02:00, or a position such as @120",
)
ID_TYPE: Final = Spelled("id", ID, "1 to 64 of A-Z a-z 0-9 _ -")
GOAL_TYPE: Final = Spelled(
    "goal", re.compile(get_args(GoalRef)[1].pattern), "objective/ID, key_result/ID or kpi/ID"
)
SUBJECT_TYPE: Final = Spelled(
    "subject",
    re.compile(rf"({'|'.join(KINDS)})/{ID.pattern}"),
    ", ".join(f"{kind}/ID" for kind in KINDS),
)


@dataclass(frozen=True)
class System:
    """The running system a command talks to, and the organisation it asks about."""

    organisation: str
    server: str | None
    data: Path | None
    wait_s: float
    nkey: Path | None = None

    def connect(self) -> Awaitable[Client]:
        """To the server as named, or as the running `up` on the data directory says.

        A key that is not named is the one of that `up`, if it is the server's.
        """
        if self.server is None:
            running = settings.find_server(self.data)
            url, nkey = running.url, self.nkey or running.key
        else:
            url, nkey = self.server, self.nkey or settings.find_key(self.server, self.data)
        return Client.connect(url, nkey=nkey, wait_s=self.wait_s)

    def run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Does the work with a client that is connected, and closes it."""

        async def connected() -> T:
            async with await self.connect() as client:
                return await work(client)

        return asyncio.run(connected())

    async def ask(self, client: Client, query: Query, expected: type[T]) -> T:
        """One answer; Failed or WrongUsage when the question was refused."""
        answer = await client.ask(self.organisation, query)
        if isinstance(answer, expected):
            return answer
        if isinstance(answer, QueryRefused):
            if answer.reason in {"malformed", "unknown_query"}:
                raise WrongUsage(answer.message)
            raise Failed(answer.reason, answer.message)
        raise Failed("unexpected", f"the projections answered with {type(answer).__name__}")


def setting(
    *flags: str,
    name: str,
    help: str,  # noqa: A002 - as click calls it
    default: str | None = None,
    shown: str | None = None,
    **more: Any,  # noqa: ANN401 - whatever click.option takes
) -> Callable[[Command], Command]:
    """An option that is also read from GOAL_LEDGER_<NAME> and from goal-ledger.toml.

    `shown` tells the default where it is not a plain text.
    """
    if name not in settings.SETTINGS:
        raise ValueError(f"{name} would be refused in {settings.FILE}: add it to SETTINGS")

    def from_file() -> str | None:
        found = settings.from_file(name)
        return default if found is None else found

    tells = shown or default
    return click.option(
        *flags,
        envvar=settings.PREFIX + name.upper().replace("-", "_"),
        default=from_file,
        show_default=False,
        help=f"{help}  [default: {tells}]" if tells else help,
        **more,
    )


roles = setting(
    "--roles",
    name="roles",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Who may do what, as TOML; without it everybody may do everything.",
)

http_port = setting(
    "--http-port",
    name="http-port",
    type=WholeNumber(0, PORT_MAX),
    metavar="PORT",
    help="Where it is reached over HTTP; 0 is any, which its log tells; left out, nowhere.",
)
http_host = setting(
    "--http-host",
    name="http-host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="On which of this machine's addresses; beyond loopback put something with TLS in front.",
)
token_keys = setting(
    "--token-keys",
    name="token-keys",
    metavar="URL|FILE",
    help="The keys (a JWK set) of who issues bearer tokens; left out, no API is served, and only "
    "/metrics, /healthz and /readyz are there.",
)
token_issuer = setting(
    "--token-issuer",
    name="token-issuer",
    metavar="NAME",
    help="The `iss` of the tokens.",
)
token_audience = setting(
    "--token-audience",
    name="token-audience",
    default="goal-ledger",
    metavar="NAME",
    help="The `aud` of the tokens.",
)

database = setting(
    "--database",
    name="database",
    shown="an SQLite file among the data",
    metavar="URL",
    help="Where the views are kept: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE. "
    "An address with a password is better said by the variable, which nobody else sees.",
)

organisation = setting(
    "--org",
    "organisation",
    name="org",
    default=settings.ORGANISATION,
    type=ID_TYPE,
    help="The organisation.",
)
server = setting(
    "--server",
    name="server",
    shown="what `up` wrote to its data directory",
    metavar="URL",
    help="Where the system's nats-server is.",
)
data = setting(
    "--data",
    name="data",
    shown=f"{settings.DATA}/, then {settings.DEMO_DATA}/",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The data directory of a running `up`.",
)
wait = setting(
    "--wait",
    "wait_s",
    name="wait",
    default=f"{WAIT_S:g}",
    type=Number(min=0.1, max=3_600),
    metavar="SECONDS",
    help="How long to wait for an answer.",
)
nkey = setting(
    "--nkey",
    name="nkey",
    shown="with --server none, else what `up` wrote to its data directory",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file with the seed that lets one in.",
)
service_nkey = setting(
    "--nkey",
    name="nkey",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file with the seed that lets the service in, where the server asks for one.",
)
outbox = setting(
    "--outbox",
    name="outbox",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the digest of each week and the report of each closed cycle are written when they "
    "are due; left out, nowhere.",
)
nats_users = setting(
    "--nats-users",
    name="nats-users",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Who else may connect to the nats-server, as TOML: see `goal-ledger nats-users --help`.",
)
actor = setting(
    "--actor",
    name="actor",
    shown="who runs this",
    type=ID_TYPE,
    callback=lambda _ctx, _param, value: value or settings.default_actor(),
    help="Who asks.",
)
output_format = setting(
    "--format",
    "output_format",
    name="format",
    default="table",
    type=click.Choice(["table", "json", "csv"]),
    help="How to print.",
)


as_of = click.option(
    "--as-of",
    type=MOMENT_TYPE,
    metavar="DATE",
    help="As it stood on this date. Without it: as it stands now.",
)
known_at = click.option(
    "--known-at",
    type=MOMENT_TYPE,
    metavar="DATE",
    help="By what was known on this date.",
)
unit_and_below = click.option(
    "--unit", type=ID_TYPE, metavar="ID", help="Only this unit and those below it."
)


def http_door(command: Callable[P, R]) -> Command:
    """Adds how a service is reached over HTTP, and hands it on as `http`."""

    @http_port
    @http_host
    @token_keys
    @token_issuer
    @token_audience
    @functools.wraps(command)
    def with_door(
        *args: object,
        http_port: int | None,
        http_host: str,
        token_keys: str | None,
        token_issuer: str | None,
        token_audience: str,
        **kwargs: object,
    ) -> R:
        if (token_keys is None) != (token_issuer is None):
            raise WrongUsage("--token-keys and --token-issuer belong together: name both")
        tokens, http = None, None
        if token_keys is not None and token_issuer is not None:
            tokens = TokenSettings(token_keys, token_issuer, token_audience)
            if not is_safe_source(token_keys):
                raise WrongUsage("--token-keys: name a file, or a URL with https")
        if http_port is not None:
            http = HttpSettings(http_host, http_port, tokens)
        return command(*args, http=http, **kwargs)  # type: ignore[arg-type] # it asks for one

    return with_door


def connected(command: Callable[P, R]) -> Command:
    """Adds --org, --server, --data, --nkey and --wait, and hands them on as `system`."""

    @organisation
    @server
    @data
    @nkey
    @wait
    @functools.wraps(command)
    def with_system(
        *args: object,
        organisation: str,
        server: str | None,
        data: Path | None,
        nkey: Path | None,
        wait_s: float,
        **kwargs: object,
    ) -> R:
        system = System(
            organisation=organisation, server=server, data=data, wait_s=wait_s, nkey=nkey
        )
        return command(*args, system=system, **kwargs)  # type: ignore[arg-type] # it asks for one

    return with_system
