"""`relay`: events as signed webhooks, and what became of them."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct
from rich.console import RenderableType

from services.cli import options, printing, settings
from services.cli.errors import Failed, WrongUsage
from services.cli.service import serve, server
from services.embedded.readiness import announce_ready
from services.relay import app
from services.relay.endpoints import EndpointsUnusable, Known, read_endpoints
from services.relay.queue import Queue

QUEUE: Final = "relay.sqlite"

endpoints_file = click.argument(
    "file", metavar="ENDPOINTS", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
data = options.setting(
    "--data",
    name="data",
    default=str(settings.DATA),
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where it keeps what is still to be told.",
)


class Letter(Struct, frozen=True):
    """An event that an endpoint has not taken."""

    position: int
    goal: str
    attempts: int
    answer: str


class Told(Struct, frozen=True):
    """How far an endpoint is told."""

    endpoint: str
    url: str
    read_up_to: int
    waiting: int
    dead: tuple[Letter, ...]


@click.group(
    short_help="Events for services without NATS, as signed webhooks.",
    epilog="""\b
ENDPOINTS is a TOML file:
  [endpoints.hr]
  url = "https://hr.example/goals"
  organisation = "acme"
  secret_file = "hr.secret"   # whsec_ and at least 24 bytes in base64
  kind = "objective"          # left out, everything; event = "..." for one type""",
)
def relay() -> None:
    """Tell services without NATS of events, by webhooks as Standard Webhooks has them.

    Each event is told at least once, under an id that stays the same, and those of one goal one
    after the other. What is not taken is tried again over three days; then it is a dead letter and
    its goal waits until you `replay` or `drop` it.
    """


@relay.command(
    "run",
    epilog="Example: goal-ledger relay run endpoints.toml --server nats://127.0.0.1:4222",
    short_help="Run the relay service.",
)
@endpoints_file
@server
@data
@options.service_nkey
@options.wait
def run(file: Path, server: str, data: Path, nkey: Path | None, wait_s: float) -> None:
    """Run the relay in the foreground: it reads the log and tells the endpoints of ENDPOINTS."""
    wanted = app.Settings(server, data / QUEUE, _read(file), nkey)
    serve("relay", server, nkey, wait_s, lambda: app.run(wanted, announce_ready))


@relay.command(
    "show",
    epilog="Example: goal-ledger relay show endpoints.toml",
    short_help="What waits and what is dead.",
)
@endpoints_file
@data
@options.output_format
def show(file: Path, data: Path, output_format: str) -> None:
    """Show for each endpoint how much waits, and every dead letter with the last answer."""
    with contextlib.closing(Queue(data / QUEUE)) as queue:
        told = [_told(queue, endpoint) for endpoint in _read(file)]
    match output_format:
        case "json":
            printing.as_json(told)
        case "csv":
            letters = [
                {"endpoint": each.endpoint, **msgspec.to_builtins(letter)}
                for each in told
                for letter in each.dead
            ]
            printing.as_csv(("endpoint", *Letter.__struct_fields__), letters)
        case _:
            printing.show(*_shown(told))


@relay.command(
    "replay",
    epilog="Example: goal-ledger relay replay endpoints.toml hr",
    short_help="Try all dead letters again.",
)
@endpoints_file
@click.argument("endpoint")
@data
def replay(file: Path, endpoint: str, data: Path) -> None:
    """Try every dead letter of ENDPOINT again, from the first attempt on."""
    _require(file, endpoint)
    with contextlib.closing(Queue(data / QUEUE)) as queue:
        revived = queue.replay(endpoint)
    printing.show(f"{revived} dead letters of {endpoint} are due again.")


@relay.command(
    "drop",
    epilog="Example: goal-ledger relay drop endpoints.toml hr 1234",
    short_help="Give up one dead letter.",
)
@endpoints_file
@click.argument("endpoint")
@click.argument("position", type=options.WholeNumber(1))
@data
def drop(file: Path, endpoint: str, position: int, data: Path) -> None:
    """Never tell ENDPOINT of the event at POSITION, so that the events after it go on."""
    _require(file, endpoint)
    with contextlib.closing(Queue(data / QUEUE)) as queue:
        is_dropped = queue.drop(endpoint, position)
    if not is_dropped:
        raise Failed("not-found", f"{endpoint} has no dead letter of position {position}")
    printing.show(f"{endpoint} will not be told of @{position}.")


def _told(queue: Queue, endpoint: Known) -> Told:
    backlog = queue.backlog(endpoint.name)
    dead = tuple(
        Letter(each.position, each.goal, each.attempts, each.answer or "")
        for each in queue.dead(endpoint.name)
    )
    return Told(endpoint.name, endpoint.to.url, backlog.read_up_to, backlog.waiting, dead)


def _shown(told: Sequence[Told]) -> Iterator[RenderableType]:
    endpoints = printing.grid(
        ("Endpoint", "left"), ("Read up to", "right"), ("Waiting", "right"), ("Dead", "right")
    )
    letters = printing.grid(
        ("Dead letter", "left"), ("Goal", "fold"), ("Attempts", "right"), ("Last answer", "fold")
    )
    for each in told:
        endpoints.add_row(
            each.endpoint, f"@{each.read_up_to}", str(each.waiting), str(len(each.dead))
        )
        for letter in each.dead:
            named = f"{each.endpoint} @{letter.position}"
            letters.add_row(named, letter.goal, str(letter.attempts), letter.answer)
    yield endpoints
    if letters.rows:
        yield from ("", letters, "", "`relay replay` tries them again, `relay drop` gives one up.")


def _read(file: Path) -> list[Known]:
    try:
        return read_endpoints(file)
    except EndpointsUnusable as error:
        raise WrongUsage(str(error)) from error


def _require(file: Path, endpoint: str) -> None:
    names = [each.name for each in _read(file)]
    if endpoint not in names:
        raise WrongUsage(f"{file} names no endpoint {endpoint}: {', '.join(names)}")
