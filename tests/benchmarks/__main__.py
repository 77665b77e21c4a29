"""`make bench`: measures the ledger beside what its server can do, and beside others' stores.

python -m tests.benchmarks --quick --only commands --out results
"""

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click
import msgspec
import structlog
from rich.console import Console

from tests.benchmarks import (
    bench_asof,
    bench_cluster,
    bench_commands,
    bench_feed,
    bench_growth,
    bench_http,
    bench_loading,
    bench_peers,
    bench_readings,
    results,
)
from tests.benchmarks.machine import this_machine
from tests.benchmarks.results import Part, Report
from tests.benchmarks.workplace import SIZES, Workplace

PARTS: Final[Mapping[str, Callable[[Workplace], Part]]] = {
    part.NAME: part.run
    for part in (
        bench_commands,
        bench_peers,
        bench_readings,
        bench_loading,
        bench_growth,
        bench_asof,
        bench_feed,
        bench_cluster,
        bench_http,
    )
}

TABLE_COLUMNS: Final = 100


@click.command()
@click.option("--only", multiple=True, type=click.Choice([*PARTS]), help="Only this part; again.")
@click.option("--quick", "size", flag_value="quick", help="About three minutes, coarse figures.")
@click.option("--smallest", "size", flag_value="smallest", help="Whether it runs; no figures.")
@click.option("--full", "size", flag_value="full", default=True, help="The default.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="On which disk: the logs lie in a new directory in there, until the end.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the figures of all passes as JSON into this directory.",
)
def main(only: tuple[str, ...], size: str, data: Path, out: Path | None) -> None:
    """Measure on this machine, everything with `sync_interval: always`."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console()
    console.width = max(console.width, TABLE_COLUMNS)
    parts: list[Part] = []
    with _place(data.absolute()) as place:
        machine = this_machine(place)
        results.show_machine(console, machine)
        for name in only or PARTS:
            with console.status(name) as status:
                part = PARTS[name](Workplace(place / name, SIZES[size], _say(status.update, name)))
            results.show(console, part)
            parts.append(part)
            if out is not None:
                # After each part, so that a run that is broken off leaves what it has found.
                file = _written(out, Report(machine, size, parts))
    if out is not None:
        console.print(f"all passes: {file}")


@contextlib.contextmanager
def _place(data: Path) -> Iterator[Path]:
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=data) as place:
        yield Path(place)


def _say(update: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda what: update(f"{name}: {what}")


def _written(out: Path, report: Report) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"bench-{report.machine.measured_at:%Y%m%dT%H%M%SZ}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    return file


if __name__ == "__main__":
    main()
