"""Scottish council indicators: a bulk load with directions, and nothing twice."""

import json
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.running import System

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(300)]

ORGANISATION: Final = "lgbf"
MANIFEST: Final = Path(__file__).resolve().parents[2] / "services/cli/manifests/lgbf.toml"


def test_every_value_is_in_once_and_the_empty_row_is_reported(
    system: System, shared_data: Path
) -> None:
    arguments = (
        *("import", "readings", str(MANIFEST)),
        *("--files", str(shared_data / "lgbf"), "--org", ORGANISATION),
    )
    first = system.try_run(*arguments)
    assert first.returncode == 0, first.stderr
    [empty] = [line for line in first.stderr.splitlines() if "values.csv:35468" in line]
    assert "empty" in empty.lower() or "no value" in empty.lower()

    exported = system.run("export", "events", "--org", ORGANISATION)
    types = Counter(json.loads(line)["event"]["type"] for line in exported.splitlines())
    assert types["goals.KpiReadingRecorded.v1"] == 35_466
    assert types["goals.KpiDefined.v1"] == 3_399
    directions = Counter(
        event["data"]["definition"]["direction"]
        for line in exported.splitlines()
        if (event := json.loads(line)["event"])["type"] == "goals.KpiDefined.v1"
    )
    assert all(directions[each] for each in ("higher", "lower", "range"))

    again = system.run(*arguments)
    assert "nothing recorded" in again
    assert system.run("export", "events", "--org", ORGANISATION) == exported
