"""Claimant counts of Trafford, 13 publications: what was known when, from every door."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from goal_contracts.queries import AsOf, Goals, Readings, ReadingSeries

from tests.journey.doors import NAMES, opened
from tests.running import System

pytestmark = [pytest.mark.anyio, pytest.mark.real_data]

ORGANISATION: Final = "trafford"
MANIFEST: Final = (
    Path(__file__).resolve().parents[2] / "services/cli/manifests/trafford-claimants.toml"
)
JANUARY: Final = "2022-01-01/2022-01-31"
FIRST_KNOWN, LATER_KNOWN = "2022-03-01", "2022-06-01"
COUNT: Final = "Claimant count"


@pytest.fixture(scope="module")
def imported(system: System, shared_data: Path) -> System:
    files = shared_data / "trafford-claimants"
    system.run("import", "readings", str(MANIFEST), "--files", str(files), "--org", ORGANISATION)
    return system


@pytest.fixture(scope="module")
def claimant_count(imported: System) -> str:
    """The id of Trafford's claimant count."""
    [kpi_id] = [
        json.loads(line)["event"]["data"]["kpi_id"]
        for line in imported.run("export", "events", "--org", ORGANISATION).splitlines()
        if (event := json.loads(line)["event"])["type"] == "goals.KpiDefined.v1"
        and COUNT in event["data"]["definition"]["name"]
        and "Trafford" in event["data"]["definition"]["name"]
    ]
    return str(kpi_id)


def test_every_first_value_is_a_reading_and_every_revision_a_correction(imported: System) -> None:
    types = [
        json.loads(line)["event"]["type"]
        for line in imported.run("export", "events", "--org", ORGANISATION).splitlines()
    ]
    assert types.count("goals.KpiReadingRecorded.v1") == 2_618
    assert types.count("goals.KpiReadingCorrected.v1") == 520


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("known_at", "value"), [(FIRST_KNOWN, "4990"), (LATER_KNOWN, "4865")])
async def test_the_value_of_a_month_is_what_was_known_then_at_every_door(
    imported: System, claimant_count: str, known_at: str, value: str, name: str
) -> None:
    async with opened(name, imported) as door:
        question = AsOf(as_of="2022-01-31", known_at=known_at, kpi=claimant_count)
        goals = await door.ask(ORGANISATION, question, Goals)
        series = await door.ask(
            ORGANISATION, Readings(kpi=claimant_count, known_at=known_at), ReadingSeries
        )
    assert goals.kpis[0].reading is not None
    assert goals.kpis[0].reading.value == Decimal(value)
    assert [each.value for each in series.readings if each.period == JANUARY and each.counts] == [
        Decimal(value)
    ]


def test_the_audit_view_shows_both_values_the_second_as_a_correction_of_the_first(
    imported: System, claimant_count: str
) -> None:
    series = imported.json("readings", claimant_count, "--org", ORGANISATION)
    [first, second, *_] = [each for each in series["readings"] if each["period"] == JANUARY]
    assert (first["event"], first["value"]) == ("recorded", "4990")
    assert (second["event"], second["value_was"], second["value"]) == ("corrected", "4990", "4865")
    assert second["corrects"] == first["position"]
    assert "2022-02-25" in first["provenance"]
    assert "2022-05-05" in second["provenance"]


def test_importing_again_records_nothing(imported: System, shared_data: Path) -> None:
    before = imported.run("export", "events", "--org", ORGANISATION)
    files = shared_data / "trafford-claimants"
    said = imported.run(
        "import", "readings", str(MANIFEST), "--files", str(files), "--org", ORGANISATION
    )
    assert "nothing recorded" in said
    assert imported.run("export", "events", "--org", ORGANISATION) == before
