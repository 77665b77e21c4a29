"""What a run found: rows of figures, requirements met or not, as tables and as JSON."""

import statistics
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from tests.benchmarks.machine import Machine
from tests.benchmarks.passes import Measured, Pass

DECIMALS_BELOW: Final = 100


class Row(Struct, frozen=True):
    """One contender under one load, with every pass."""

    what: str
    clients: int | None
    passes: Sequence[Pass]


class Check(Struct, frozen=True):
    """A ratio beside what is required of it; nothing may be."""

    what: str
    ratio: float
    required: str | None = None
    met: bool | None = None


class Part(Struct, frozen=True):
    """One measurement; `notes` say what is missing and what else a reader has to know."""

    name: str
    title: str
    unit: str
    rows: Sequence[Row]
    checks: Sequence[Check] = ()
    notes: Sequence[str] = ()


class Report(Struct, frozen=True):
    """One run on one machine."""

    machine: Machine
    size: str
    parts: Sequence[Part]


def rows(measured: Measured) -> list[Row]:
    """A row for each contender and number of clients, the numbers together."""
    order = sorted(measured, key=lambda which: which[1])
    return [Row(name, clients, measured[name, clients]) for name, clients in order]


def at_least(what: str, ratio: float, required: float) -> Check:
    """A requirement that is met from a ratio on."""
    return Check(what, ratio, f"at least {required:g}", ratio >= required)


def at_most(what: str, ratio: float, required: float) -> Check:
    """A requirement that is met up to a ratio."""
    return Check(what, ratio, f"at most {required:g}", ratio <= required)


def show_machine(console: Console, machine: Machine) -> None:
    """Where it was measured."""
    console.print(
        f"{machine.measured_at:%Y-%m-%d %H:%M} UTC · {machine.cpu} · {machine.cores} cores · "
        f"{machine.memory_gib:g} GiB · {machine.system} · Python {machine.python} · "
        f"nats-server {machine.nats_server} · nats-py {machine.nats_py} · {machine.filesystem}, "
        f"fsync of 512 B {machine.fsync_p50_ms:.2f} ms (p99 {machine.fsync_p99_ms:.2f}) · "
        f"sync_interval always · load before {machine.load_before:.1f}",
        highlight=False,
    )


def show(console: Console, part: Part) -> None:
    """The table of one part, its requirements below."""
    table = Table(title=f"{part.name}: {part.title}", title_justify="left")
    table.add_column("what", no_wrap=True)
    for heading in ("clients", f"{part.unit}/s", "min-max", "p50 ms", "p99 ms", "CPU µs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in part.rows:
        rates = [each.per_s for each in row.passes]
        table.add_row(
            row.what,
            "" if row.clients is None else str(row.clients),
            f"{statistics.median(rates):,.0f}",
            f"{min(rates):,.0f}-{max(rates):,.0f}",
            _median([each.p50_ms for each in row.passes]),
            _median([each.p99_ms for each in row.passes]),
            _median([each.cpu_us for each in row.passes]),
        )
    if part.rows:
        console.print(table, highlight=False)
    for check in part.checks:
        required = f", required {check.required}: " if check.required else ""
        verdict = {True: "met", False: "NOT MET", None: ""}[check.met]
        console.print(f"  {check.what}: {check.ratio:.2f}{required}{verdict}", highlight=False)
    for note in part.notes:
        console.print(f"  {note}", highlight=False)


def _median(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    middle = statistics.median(known)
    return f"{middle:.0f}" if middle >= DECIMALS_BELOW else f"{middle:.2f}"
