"""`export events` and `export views`: what is stored, as NDJSON.

Events come from the stream itself, as stored, with every position checked; views come from the
projections, page by page.
"""

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator
from typing import IO, Final

import click
import msgspec
import nats.errors
from goal_contracts import subjects
from goal_contracts.client import stream
from goal_contracts.client.stream import Pace
from goal_contracts.queries import ExportView, Position, ViewPage, ViewPosition
from msgspec import Raw, Struct

from services.cli import options, printing
from services.cli.client import Client
from services.cli.errors import Failed, Unreachable
from services.cli.options import System

PAGE: Final = 500
TRIES_MAX: Final = 20
TRY_PAUSE_S: Final = 0.25
IN_MEMORY_BYTES_MAX: Final = 32 * 1024 * 1024


class StoredEvent(Struct, frozen=True):
    """A line of `export events`: the CloudEvent is verbatim as it is stored."""

    position: int
    event: Raw


class ViewRow(Struct, frozen=True):
    """A line of `export views`."""

    view: str
    row: Raw


@click.group("export", short_help="The log or the views as NDJSON.")
def export() -> None:
    """Write what is stored to standard output, one JSON object per line."""


@export.command(
    "events",
    epilog="Example: goal-ledger export events > events.ndjson",
    short_help="The events of the log.",
)
@click.option("--all", "everything", is_flag=True, help="Of every organisation on the stream.")
@options.connected
def events(system: System, *, everything: bool) -> None:
    """Write the events of the organisation, as stored, with their positions.

    Each line is {"position": …, "event": …}. They are read from the stream itself, and every
    position of it is checked: if one is missing the export ends with exit code 1.
    """

    async def write(client: Client) -> None:
        out, read, written = sys.stdout.buffer, 0, 0
        async for stored in stored_events(client, system.wait_s):
            read += 1
            organisation = subjects.parse_ledger(stored.subject)[0]
            if everything or organisation == system.organisation:
                line = StoredEvent(stored.position, Raw(stored.payload))
                out.write(msgspec.json.encode(line) + b"\n")
                written += 1
        out.flush()
        if read and not written:
            raise Failed("not_found", f"there is no organisation {system.organisation} in the log")

    system.run(write)


async def stored_events(
    client: Client, wait_s: float
) -> AsyncGenerator[stream.StoredMessage, None]:
    """Every message of the log up to now, in order and without a gap."""
    connection = client.connection
    try:
        last = (
            await stream.stream_info(connection, subjects.STREAM, client.jetstream_api)
        ).state.last_seq
        if last == 0:
            return
        reading = stream.read_stream(
            connection,
            subjects.STREAM,
            after=0,
            until=last,
            pace=Pace(patience_s=wait_s),
            api=client.jetstream_api,
        )
        with printing.progress("Reading the log", last) as advance:
            async with contextlib.aclosing(reading) as batches:
                async for batch in batches:
                    for stored in batch:
                        yield stored
                    advance(len(batch))
    except stream.BrokenLog as error:
        raise Failed("broken-log", f"{error}; restore the stream from a backup") from error
    except (stream.JetStreamError, stream.StreamUnavailable) as error:
        raise Unreachable(f"the log cannot be read: {error}; see that the ledger runs") from error
    except nats.errors.Error as error:
        raise Unreachable(
            f"the log cannot be read: {type(error).__name__}; see that the server runs"
        ) from error


@export.command(
    "views",
    epilog="Example: goal-ledger export views > views.ndjson",
    short_help="Every row of every view.",
)
@options.connected
def views(system: System) -> None:
    """Write all views, row by row in the order of their keys.

    Each line is {"view": …, "row": …}. All of it reflects one position; the same position gives
    the same bytes, also after the views were built anew.
    """

    async def write(client: Client) -> None:
        for _ in range(TRIES_MAX):
            with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES_MAX) as held:
                if await _write_views(system, client, held):
                    held.seek(0)
                    shutil.copyfileobj(held, sys.stdout.buffer)
                    sys.stdout.buffer.flush()
                    return
            await asyncio.sleep(TRY_PAUSE_S)
        raise Failed(
            "moved", f"the views moved on in each of {TRIES_MAX} tries; try when less is written"
        )

    system.run(write)


async def _write_views(system: System, client: Client, out: IO[bytes]) -> bool:
    """Whether all rows were written as of one position."""
    start = await system.ask(client, Position(), ViewPosition)
    with printing.progress("Exporting views", len(start.views)) as advance:
        for view in start.views:
            query = ExportView(view=view, limit=PAGE)
            while True:
                page = await system.ask(client, query, ViewPage)
                if page.position != start.position:
                    return False
                for row in page.rows:
                    out.write(msgspec.json.encode(ViewRow(view, row)) + b"\n")
                if page.cursor is None:
                    break
                query = msgspec.structs.replace(query, cursor=page.cursor)
            advance(1)
    return True
