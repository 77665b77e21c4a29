"""`import okr-markdown SOURCE`: goals kept as Markdown, revision by revision."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import RenderableType

from services.cli import import_run, options, printing, wording
from services.cli.errors import Failed, WrongUsage
from services.cli.importing import Outcome
from services.cli.okr_markdown.mapping import MarkdownHistory, history_of
from services.cli.okr_markdown.sources import SourceUnreadable, read
from services.cli.options import System
from services.cli.printing import Row

COLUMNS: Final = ("revision", "at", "author", "position")


@click.command(
    "okr-markdown",
    epilog="Example: goal-ledger import okr-markdown --org our-goals okrs/",
    short_help="Goals kept as Markdown.",
)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="The organisation's name.  [default: its id]")
@click.option("--zone", default="UTC", show_default=True, help="The organisation's time zone.")
@options.output_format
@options.actor
@options.connected
def okr_markdown(
    system: System, source: Path, name: str | None, zone: str, output_format: str, actor: str
) -> None:
    """Import goals kept as Markdown, with who changed them when.

    SOURCE is a git repository, or a file with one revision a line as JSON: {"revision": …, "at": …,
    "author": …, "documents": {"README.md": "# Goals …"}}. Headings are objectives, list items key
    results, ticked boxes check-ins, [TAG]s teams, and each quarter is a cycle.

    Prints for each revision the position up to which the ledger has it: `as-of @POSITION` shows the
    goals as they stood in that revision. What is no goal is told by file and line.
    """
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise WrongUsage(f"{zone!r} is no time zone; accepted: Europe/Madrid, UTC, …") from error
    try:
        read_history = history_of(
            read(source),
            organisation_id=system.organisation,
            name=name or system.organisation,
            zone=zone,
            source=source.resolve().name,
            importer=actor,
        )
    except SourceUnreadable as error:
        raise Failed("source_unreadable", str(error)) from error
    history = read_history.history
    outcome = import_run.run(system, history)
    import_run.tell_left([*history.left, *outcome.refused])
    summary = import_run.summary(history, outcome)
    match output_format:
        case "json":
            printing.warn(summary)
            printing.as_json(list(rows(read_history, outcome)))
        case "csv":
            printing.warn(summary)
            printing.as_csv(COLUMNS, rows(read_history, outcome))
        case _:
            printing.show(summary, *drawn(read_history, outcome))


def rows(history: MarkdownHistory, outcome: Outcome) -> Iterator[Row]:
    """Each revision with the position up to which the ledger has it; none if it was in before."""
    if outcome.already_imported:
        return
    position = 0
    for revision in history.revisions:
        position = outcome.positions.get(revision.revision, position)
        yield {
            "revision": revision.revision,
            "at": revision.at,
            "author": revision.author,
            "position": position,
        }


def drawn(history: MarkdownHistory, outcome: Outcome) -> list[RenderableType]:
    table = printing.grid(
        ("Revision", "left"), ("Known", "left"), ("By", "left"), ("Position", "right")
    )
    for row in rows(history, outcome):
        known = wording.instant(row["at"])
        table.add_row(row["revision"], known, row["author"], f"@{row['position']}")
    return [table] if table.row_count else []
