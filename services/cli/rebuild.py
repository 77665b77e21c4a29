"""`rebuild`: the views made from the log anew, while the old ones go on answering."""

import asyncio
from pathlib import Path
from typing import Final

import click

from services.cli import logs, options, printing, settings
from services.cli.client import Client
from services.cli.errors import Failed, WrongUsage

VIEWS: Final = "views"
"""Where `up` keeps the embedded database, in its data directory."""


@click.command(
    "rebuild",
    epilog="Example: goal-ledger rebuild --data ledger/",
    short_help="Make the views from the log anew.",
)
@options.server
@options.data
@options.database
@options.service_nkey
def rebuild(server: str | None, data: Path | None, database: str | None, nkey: Path | None) -> None:
    """Make all views from the log anew, beside those that answer; then they give way.

    Where the code that makes them is the same, every view is compared, row by row, with what it was
    up to the same position: a view that differs is named, and the exit code is 1. The new one
    answers all the same, for the log is right.

    The projections need not run, and need not be stopped. Killed half way and run again it goes on.
    A new release does the same by itself when it starts; tables are migrated at every start.
    """
    from services.projections import app  # noqa: PLC0415 - its libraries are needed only here

    place, url = data, server
    if url is None:
        place, running = settings.find_system(data)
        url, nkey = running.url, nkey or _kept_key(place)
    if database is None:
        if place is None:
            raise WrongUsage("say where the views are: --data DIR or --database URL")
        database = settings.embedded_database(place / VIEWS)
        if not settings.database_file(place / VIEWS).exists():
            raise WrongUsage(f"there are no views in {place / VIEWS}/: name them by --database URL")
    logs.configure(warnings_only=True)
    wanted = app.Settings(server_url=url, database=database, nkey=nkey)

    asyncio.run(_answers(url, nkey))
    try:
        with printing.progress("Reading the log", None) as advance:
            rebuilt = asyncio.run(app.rebuild(wanted, advance))
    except app.CANNOT_REBUILD as error:
        raise Failed("not-rebuilt", f"{error}; what answered before goes on") from error
    printing.show(
        f"Generation {rebuilt.generation} of the views answers, up to @{rebuilt.position}."
    )
    if rebuilt.differences:
        for difference in rebuilt.differences:
            printing.warn(str(difference))
        raise Failed(
            "views-differed", f"{len(rebuilt.differences)} views were not what the log says"
        )
    if rebuilt.compared_at is not None:
        printing.show(f"Every view is what it was, compared up to @{rebuilt.compared_at}.")


def _kept_key(data: Path) -> Path | None:
    """What lets the projections in, where `up` runs."""
    key = data / "keys" / "projections.nk"
    return key if key.exists() else None


async def _answers(url: str, nkey: Path | None) -> None:
    """A server that goes away is waited for; one that never was there is told."""
    async with await Client.connect(url, nkey=nkey):
        pass
