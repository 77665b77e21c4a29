"""`nats-users`: who may connect to the nats-server, and what each of them may do there."""

from pathlib import Path
from typing import Final

import click

from services.cli import printing
from services.cli.errors import WrongUsage
from services.nats_users import accounts as server_accounts
from services.nats_users import keys
from services.nats_users.users import UsersUnusable, read_users

EXAMPLE: Final = """
\b
  [services]
  ledger = "UB…"
  projections = "UD…"
  [organisations.acme.u-17]
  kind = "client"           # commands as u-17, and asks
  nkey = "UA…"
  [organisations.acme.hr-sync]
  kind = "subscriber"       # reads events, and asks
  nkey = "UC…"
  consumers = ["hr-sync"]   # what its consumers are called
  [organisations.acme.importer]
  kind = "operator"         # commands as anybody, reads and asks
  nkey = "UE…"
"""


@click.group("nats-users", short_help="Who may do what on the nats-server.")
def nats_users() -> None:
    """Who may connect to the nats-server, and what each of them may do there.

    Everybody has a key pair (nkey): the secret seed stays in a file with whoever connects, the
    public key goes into a file of users. Of that file the server's settings are made.
    """


@nats_users.command(
    "key",
    epilog="Example: goal-ledger nats-users key hr-sync.nk",
    short_help="Make a key pair.",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def key(file: Path) -> None:
    """Write a new seed into FILE, which only you may read, and print the public key to hand on."""
    try:
        public = keys.new_key(file)
    except FileExistsError as error:
        raise WrongUsage(f"{file} is there already: name another file") from error
    except OSError as error:
        raise WrongUsage(f"{file} cannot be written: {error.strerror}") from error
    click.echo(public)


@nats_users.command(
    "accounts",
    epilog="Example: goal-ledger nats-users accounts users.toml --output accounts.conf",
    short_help="The server's settings, from a file of users.",
    help=f"""Make the accounts of the server's settings from USERS, a TOML file such as

    {EXAMPLE}

    `include` them in the settings of each server and reload it. `goal-ledger up --nats-users USERS`
    does so by itself, and has keys of its own for the services.
    """,
)
@click.argument("users", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write them, instead of printing.",
)
def accounts(users: Path, output: Path | None) -> None:
    try:
        read = read_users(users)
    except UsersUnusable as error:
        raise WrongUsage(str(error)) from error
    if read.services is None:
        raise WrongUsage(f"{users} has no [services]: name the keys of ledger and projections")
    written = server_accounts.settings(read.services, read.organisations)
    if output is None:
        click.echo(written, nl=False)
        return
    try:
        output.write_text(written, encoding="utf-8")
    except OSError as error:
        raise WrongUsage(f"{output} cannot be written: {error.strerror}") from error
    printing.show(f"{output} says who may do what: reload the server's settings.")
