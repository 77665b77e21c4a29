"""`token`: a bearer token for one's own system."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

import click
from goal_contracts.fields import Role

from services.cli import options, settings
from services.cli.errors import Failed

HOURS: Final = 12
HOURS_MAX: Final = 24 * 31
HOUR_S: Final = 3_600


@click.command(
    "token",
    epilog="Example: goal-ledger token --role owner --org acme --actor u-1",
    short_help="A bearer token for the HTTP doors of a local system.",
)
@click.option(
    "--role",
    type=click.Choice(get_args(Role)),
    default="viewer",
    show_default=True,
    help="What its bearer may do.",
)
@click.option(
    "--unit",
    "units",
    multiple=True,
    type=options.ID_TYPE,
    metavar="UNIT",
    help="Where, with the units below; may be there several times; left out, everywhere.",
)
@click.option(
    "--hours",
    type=options.WholeNumber(1, HOURS_MAX),
    default=HOURS,
    show_default=True,
    help="How long it is valid.",
)
@options.organisation
@options.actor
@options.data
def token(
    role: Role,
    units: Sequence[str],
    hours: int,
    organisation: str,
    actor: str,
    data: Path | None,
) -> None:
    """Print a bearer token, signed by the key that `up` made in its data directory.

    Whoever has the token may do what it says until it ends: keep it to yourself.
    """
    from services.cli import local_tokens  # noqa: PLC0415 - no other command needs cryptography

    places = (data,) if data is not None else (settings.DATA, settings.DEMO_DATA)
    for place in places:
        if local_tokens.is_prepared(place):
            made = local_tokens.token(
                place,
                actor=actor,
                organisation_id=organisation,
                role=role,
                units=units,
                valid_s=hours * HOUR_S,
            )
            click.echo(made)
            return
    looked = " or ".join(f"{place}/" for place in places)
    raise Failed("no-key", f"there is no key in {looked}; `goal-ledger up` makes one")
