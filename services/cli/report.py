"""`report`: a cycle or a week told for people to read, in the format they want it in."""

import re
import sys
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

import click
import msgspec
from goal_contracts.queries import CycleReport, Digest, Report, Week, WeeklyDigest
from msgspec.structs import replace
from rich.markdown import Markdown

from services.cli import options, printing
from services.cli.client import Client
from services.cli.errors import WrongUsage
from services.cli.options import Spelled, System
from services.reports.rendering import Format as Rendered
from services.reports.rendering import render_cycle_report, render_digest

Format = Literal["table", "json"] | Rendered
Told = TypeVar("Told", Report, Digest)

PAGE: Final = 300
JOINED: Final = ("late", "changes", "check_ins", "units", "objectives", "kpis", "series", "said")
"""What of an answer is cut into pages, where the answer has it."""
WEEK_TYPE: Final = Spelled("week", re.compile(get_args(Week)[1].pattern), "an ISO week, 2025-W27")


@click.command(
    "report",
    epilog="""\b
Example: goal-ledger report --cycle 2025-Q3
Example: goal-ledger report --cycle 2025-Q3 --format pdf --output 2025-Q3.pdf
Example: goal-ledger report --week 2025-W33 --unit shop --format html > week.html""",
    short_help="What a cycle came to, or a week brought.",
)
@click.option("--cycle", type=options.ID_TYPE, metavar="ID", help="The cycle to report on.")
@click.option(
    "--week",
    type=WEEK_TYPE,
    metavar="WEEK",
    help="The week to tell, such as 2025-W33, as it stood at its end.",
)
@click.option("--digest", is_flag=True, help="The week of --as-of up to it, or the one that runs.")
@click.option(
    "--unit", type=options.ID_TYPE, metavar="ID", help="A week of this unit and those below."
)
@click.option(
    "--as-of",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="As it stood on this date. Without it a cycle is told as at its closing, or now if it is "
    "not closed.",
)
@click.option(
    "--known-at",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="By what was known on this date.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "md", "html", "pdf"]),
    default="table",
    show_default=True,
    help="How to print: html is one file with its charts inside, and needs nothing else.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Where to write it; without it to standard output.",
)
@options.connected
def report(
    system: System,
    output_format: Format,
    output: Path | None,
    *,
    cycle: str | None,
    week: str | None,
    digest: bool,
    unit: str | None,
    as_of: str | None,
    known_at: str | None,
) -> None:
    """Tell what a cycle came to, or what a week brought: late changes come first.

    A closed cycle is told as it stood when it was closed, a week as it stood at its end, so the
    report stays the same, whatever changes later.
    """
    if output_format == "pdf" and output is None and is_for_people():
        raise WrongUsage("a PDF is not for a terminal: name a file with --output FILE")
    if (cycle is not None) + (week is not None) + digest != 1:
        raise WrongUsage("name what to tell: one of --cycle ID, --week 2025-W33 or --digest")
    if cycle is not None and unit is not None:
        raise WrongUsage("--unit is for a week; the report of a cycle is of all its units")
    query: CycleReport | WeeklyDigest
    if cycle is not None:
        query = CycleReport(cycle=cycle, as_of=as_of, known_at=known_at, by_week=True, limit=PAGE)
    else:
        query = WeeklyDigest(week=week, as_of=as_of, known_at=known_at, unit=unit, limit=PAGE)

    async def ask(client: Client) -> Report | Digest:
        if isinstance(query, CycleReport):
            return await _whole(system, client, query, Report)
        return await _whole(system, client, query, Digest)

    written = _written(system.run(ask), output_format)
    if output is not None:
        output.write_bytes(written)
    elif output_format == "table" and is_for_people():
        printing.show(Markdown(written.decode()))
    else:
        click.echo(written, nl=False)


def is_for_people() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


async def _whole(
    system: System, client: Client, query: CycleReport | WeeklyDigest, kind: type[Told]
) -> Told:
    """All pages of the answer as one."""
    page = await system.ask(client, query, kind)
    pages = [page]
    while page.cursor is not None:
        page = await system.ask(client, replace(query, cursor=page.cursor), kind)
        pages.append(page)
    joined = {
        name: tuple(each for page in pages for each in getattr(page, name))
        for name in JOINED
        if hasattr(page, name)
    }
    return replace(pages[0], cursor=None, **joined)


def _written(told: Report | Digest, output_format: Format) -> bytes:
    match output_format:
        case "json":
            return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"
        case "table":
            rendered: Rendered = "md"
        case _:
            rendered = output_format
    if isinstance(told, Report):
        return render_cycle_report(told, rendered)
    return render_digest(told, rendered)
