"""Where a setting comes from: a flag, then GOAL_LEDGER_*, then goal-ledger.toml, then a default.

Also where a running system is found: `up` writes server.json into its data directory.
"""

import getpass
import os
import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from services.cli.errors import Unreachable, WrongUsage

FILE: Final = "goal-ledger.toml"
PREFIX: Final = "GOAL_LEDGER_"
ORGANISATION: Final = "acme"
DATA: Final = Path(".goal-ledger")
DEMO_DATA: Final = Path(".goal-ledger-demo")
SERVER_FILE: Final = "server.json"
DATABASE_FILE: Final = "projections.sqlite"
ACTOR_LENGTH_MAX: Final = 64
SETTINGS: Final = (
    "org",
    "server",
    "monitor",
    "data",
    "database",
    "actor",
    "format",
    "wait",
    "nats-port",
    "nats-users",
    "http-host",
    "http-port",
    "token-keys",
    "token-issuer",
    "token-audience",
    "nkey",
    "outbox",
    "roles",
)


class RunningServer(Struct, frozen=True):
    """What a running `up` says of itself in server.json; `nkey` is the file that lets one in."""

    url: str
    pid: int
    started_at: datetime
    nkey: str | None = None
    questions: str | None = None
    """Where the projections are reached over HTTP; then where the first ledger is."""
    commands: str | None = None

    @property
    def key(self) -> Path | None:
        """The file, if there is one."""
        return None if self.nkey is None else Path(self.nkey)


def from_file(name: str) -> str | None:
    """A setting of goal-ledger.toml in the working directory, as the text a flag would have."""
    try:
        content = tomllib.loads(Path(FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongUsage(f"{FILE} cannot be read: {error}; mend or remove it") from error
    for key, value in content.items():
        if key not in SETTINGS:
            raise WrongUsage(f"{FILE} has no setting {key!r}; accepted: {', '.join(SETTINGS)}")
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise WrongUsage(f"{FILE}: {key} must be a text or a number")
    return str(content[name]) if name in content else None


def default_actor() -> str:
    """The system's name for who runs this, in the letters an id may have."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:ACTOR_LENGTH_MAX].strip("-") or "unknown"


def find_server(data: Path | None) -> RunningServer:
    """The system that runs on a data directory; Unreachable if none does."""
    return find_system(data)[1]


def find_system(data: Path | None) -> tuple[Path, RunningServer]:
    """The data directory of a system that runs, and the system; Unreachable if none does."""
    places = (data,) if data is not None else (DATA, DEMO_DATA)
    for place in places:
        running = read_server_file(place)
        if running is not None and _is_alive(running.pid):
            return place, running
    looked = " or ".join(f"{place}/" for place in places)
    raise Unreachable(
        f"no system runs on {looked}; start one with `goal-ledger up`, "
        "or name its server with --server nats://HOST:PORT"
    )


def find_key(url: str, data: Path | None) -> Path | None:
    """The key of the system that runs on a data directory, if its server is the one named."""
    try:
        running = find_server(data)
    except Unreachable:
        return None
    return running.key if running.url == url else None


def database_file(directory: Path) -> Path:
    """The embedded database that is kept there."""
    return directory / DATABASE_FILE


def embedded_database(directory: Path) -> str:
    """The address of the database that is a file there."""
    return f"sqlite:///{database_file(directory)}"


def read_server_file(data: Path) -> RunningServer | None:
    """What `up` wrote there last, if anything."""
    try:
        return msgspec.json.decode((data / SERVER_FILE).read_bytes(), type=RunningServer)
    except (OSError, msgspec.MsgspecError):
        return None


def write_server_file(data: Path, running: RunningServer) -> None:
    """All at once: a reader sees the whole file or none."""
    unfinished = data / f"{SERVER_FILE}.{running.pid}"
    unfinished.write_bytes(msgspec.json.encode(running) + b"\n")
    unfinished.replace(data / SERVER_FILE)


def remove_server_file(data: Path) -> None:
    (data / SERVER_FILE).unlink(missing_ok=True)


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
