"""`import readings MANIFEST.toml`: KPI readings from CSV files."""

import gc
from pathlib import Path
from typing import Final

import click
from rich.console import RenderableType

from services.cli import import_run, options, printing
from services.cli.csv_readings import manifest as manifests
from services.cli.csv_readings.mapping import history_of
from services.cli.importing import Outcome
from services.cli.options import System

GARBAGE_THRESHOLDS: Final = (50_000, 50, 1_000)
"""What is read of the files stays: looking through it for garbage took a quarter of the mapping."""
_HELP = f"""Import KPI readings from CSV files, as MANIFEST says.

What a publication says first is recorded as known on its date; what a later one says differently
becomes a correction. Rows that cannot be mapped are told by file and line, and everything else is
imported. Interrupted, run it again: it goes on. Finished, it records nothing again.

\b
{(manifests.__doc__ or "").replace(chr(10) * 2, f"{chr(10)}{chr(10)}{chr(8)}{chr(10)}")}
"""


@click.command(
    "readings",
    help=_HELP,
    epilog="Example: goal-ledger import readings --org towns towns.toml --files ~/downloads",
    short_help="KPI readings from CSV files.",
)
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--files",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the files lie, if not where the manifest's root says.",
)
@options.actor
@options.connected
def readings(system: System, manifest: Path, files: Path | None, actor: str) -> None:
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    settings = manifests.load(manifest)
    history = history_of(
        settings,
        manifest.read_bytes(),
        files or manifest.parent / settings.root,
        organisation_id=system.organisation,
        importer=actor,
    )
    outcome = import_run.run(system, history)
    import_run.tell_left([*history.left, *outcome.refused])
    printing.show(import_run.summary(history, outcome), *_recorded(outcome))


def _recorded(outcome: Outcome) -> list[RenderableType]:
    if not outcome.recorded:
        return []
    table = printing.grid(("Command", "left"), ("Events", "right"))
    for command, events in outcome.recorded.items():
        table.add_row(command, str(events))
    return [table]
