"""Every benchmark program runs, at its very smallest, and says what it found; no figure counts."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.benchmarks.__main__ import PARTS
from tests.benchmarks.results import Part, Report

FIRST_ROW: Final = {
    "commands": "raw publish",
    "readings": "raw atomic batches, 2 under way",
    "loading": "bare reading",
    "growth": "with 1,500 events",
    "asof": "sqlite: closed cycles, made ahead",
    "feed": "bare reading and decoding",
    "cluster": "raw publish",
    "http": "constant response",
}
PEERS: Final = ("umadb", "postgresql", "sqlite")


def measured(part: str, place: Path) -> tuple[str, Part]:
    """What a run of one part shows, and what it writes down."""
    out = place / "out"
    asked = ["--smallest", "--only", part, "--data", str(place), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *asked],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Of the logs nothing is left.
    assert [each.name for each in place.iterdir()] == ["out"]
    [file] = out.iterdir()
    [found] = msgspec.json.decode(file.read_bytes(), type=Report).parts
    assert found.name == part
    assert all(each.per_s > 0 for row in found.rows for each in row.passes)
    return done.stdout, found


def test_every_part_is_tried() -> None:
    assert {*FIRST_ROW, "peers"} == {*PARTS}


@pytest.mark.parametrize("part", FIRST_ROW)
def test_a_part_measures_and_shows_its_table(part: str, tmp_path: Path) -> None:
    shown, found = measured(part, tmp_path)
    assert found.rows[0].what == FIRST_ROW[part]
    assert FIRST_ROW[part] in shown


def test_every_store_is_measured_or_it_is_said_what_is_missing(tmp_path: Path) -> None:
    shown, found = measured("peers", tmp_path)
    there = {row.what.partition(",")[0] for row in found.rows}
    assert {"goal ledger", "sqlite"} <= there
    for store in PEERS:
        assert store in there or f"{store} is not measured: " in shown
