"""Where rows and lines go: a terminal gets colour and its own width, a pipe plain text in full.

Rows are printed as a table, as JSON or as CSV; errors and progress go to standard error.
"""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final, TextIO

import click
import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

PLAIN_WIDTH: Final = 4_000
"""Wide enough that nothing is cut or wrapped where nobody looks at a terminal."""
WIDE: Final = 120
"""From so many columns on a table has room for ids and owners beside the rest."""

Row = Mapping[str, Any]


def console(stream: TextIO | None = None) -> Console:
    """Of standard output as it is now (a test may have replaced it)."""
    out = stream or sys.stdout
    if out.isatty():
        return Console(file=out, highlight=False, soft_wrap=False)
    return Console(file=out, highlight=False, width=PLAIN_WIDTH, color_system=None)


def is_wide() -> bool:
    return console().width >= WIDE


def show(*parts: RenderableType) -> None:
    """Prints; without a terminal no line ends in blanks."""
    out = console()
    if out.is_terminal:
        out.print(*parts, sep="\n")
        return
    with out.capture() as capture:
        out.print(Group(*parts))
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def warn(line: str) -> None:
    click.echo(line, err=True)


def grid(*columns: tuple[str, str] | tuple[str, str, int]) -> Table:
    """A table without lines; each column is a heading and "left", "right" or "fold".

    Only a column that folds is broken into lines: when it is wider than its third part, or when the
    terminal is too narrow.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    for heading, how, *width_max in columns:
        table.add_column(
            heading,
            justify="right" if how == "right" else "left",
            no_wrap=how != "fold",
            overflow="fold",
            max_width=width_max[0] if width_max else None,
        )
    return table


def indented(text: RenderableType, depth: int) -> RenderableType:
    """Keeps its indentation on each line it is broken into."""
    return Padding(text, (0, 0, 0, 2 * depth)) if depth else text


def as_json(answer: Any) -> None:  # noqa: ANN401 - any struct
    click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2))


def as_json_lines(rows: Iterable[Any]) -> None:
    for row in rows:
        click.echo(msgspec.json.encode(row))


def as_csv(columns: Sequence[str], rows: Iterable[Row], *, heading: bool = True) -> None:
    """RFC 4180 with plain line ends; what is not known is empty."""
    writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
    if heading:
        writer.writeheader()
    for row in rows:
        writer.writerow({column: _cell(value) for column, value in row.items()})


def json_cell(raw: msgspec.Raw | None) -> str | None:
    """JSON as a cell of its own: a text without its quotes, nothing where there is nothing."""
    value = None if raw is None else msgspec.json.decode(raw)
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal that standard error is; nothing at all where it is not one.

    What it gives is told how many more are done.
    """
    if not sys.stderr.isatty():
        yield lambda _more: None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)


def _cell(value: Any) -> str:  # noqa: ANN401 - any field of a row
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode().strip('"')
