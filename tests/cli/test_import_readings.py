"""`import readings`: what a manifest may say, what its files become, what is told and left out."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from goal_contracts.commands import DefineKpi, RecordReadings
from goal_contracts.events import (
    Band,
    KpiBands,
    KpiDefined,
    KpiHealthChanged,
    KpiReadingCorrected,
    KpiReadingRecorded,
    KpiReviewOpened,
    Ratio,
    UnitDefined,
)
from goal_contracts.fields import KpiHealth
from msgspec import Struct

from services.cli import importing, printing
from services.cli.csv_readings import files, ids
from services.cli.csv_readings import manifest as manifests
from services.cli.csv_readings.mapping import history_of
from services.cli.csv_readings.periods import Periods
from services.cli.errors import WrongUsage
from services.cli.importing import History, Outcome
from services.ledger.domain import facts_due
from services.ledger.domain.formula import COMPUTED
from tests.cli.in_process_ledger import TODAY, InProcessLedger
from tests.cli.running import FakeSystem, goal_ledger

pytestmark = pytest.mark.anyio

MANIFESTS = Path(manifests.__file__).parents[1] / "manifests"
TOWNS = """
source = "Office of Numbers"
actor = "office"
publications = [
    { file = "2025.csv", published_at = 2025-06-01T09:00:00+01:00 },
    { file = "2024.csv", published_at = 2024-06-01T09:00:00+01:00 },
]

[organisation]
name = "Towns"
zone = "Europe/London"

[unit]
id = "towns"
name = "Towns"

[columns]
period = "month"
value = "value"

[period]
kind = "month-name"

[kpi]
id = ["town", "measure"]
name = "Claimants of {town} ({measure})"
unit = { column = "measure", map = { Count = "persons", Share = "%" } }
direction = "lower"
frequency = "monthly"
"""
FIRST = """town,month,measure,value
Ayr,January 2024,Count,10
Ayr,January 2024,Share,2.5
Ayr,February 2024,Count,12
"""
SECOND = """town,month,measure,value
Ayr,January 2024,Count,11
Ayr,January 2024,Share,2.50
Ayr,March 2025,Count,9
"""


def folder_with(folder: Path, manifest: str = TOWNS, **files: str) -> Path:
    (folder / "towns.toml").write_text(manifest, encoding="utf-8")
    for year, content in ({"y2024": FIRST, "y2025": SECOND} | files).items():
        (folder / f"{year.removeprefix('y')}.csv").write_text(content, encoding="utf-8")
    return folder


def read(folder: Path, name: str = "towns.toml", files: Path | None = None) -> History:
    path = folder / name
    manifest = manifests.load(path)
    return history_of(
        manifest,
        path.read_bytes(),
        files or folder / manifest.root,
        organisation_id="towns",
        importer="ana",
    )


async def sent(history: History) -> tuple[InProcessLedger, Outcome]:
    ledger = InProcessLedger()
    return ledger, await importing.send(ledger, history)


def told(history: History) -> list[str]:
    """What is left out of it, which is known when its facts are."""
    assert [*history.facts]
    return [f"{left.place}: {left.why}" for left in history.left]


async def test_a_first_value_is_a_reading_and_another_one_later_a_correction(
    tmp_path: Path,
) -> None:
    ledger, outcome = await sent(read(folder_with(tmp_path)))
    assert outcome.refused == []
    assert [
        (each.goal_id, each.event.period, each.event.value)
        for each in ledger.recorded(KpiReadingRecorded)
        if isinstance(each.event, KpiReadingRecorded)
    ] == [
        ("ayr-count", "2024-01-01/2024-01-31", Decimal(10)),
        ("ayr-share", "2024-01-01/2024-01-31", Decimal("2.5")),
        ("ayr-count", "2024-02-01/2024-02-29", Decimal(12)),
        ("ayr-count", "2025-03-01/2025-03-31", Decimal(9)),
    ]
    [corrected] = ledger.recorded(KpiReadingCorrected)
    assert isinstance(corrected.event, KpiReadingCorrected)
    assert (corrected.event.value_was, corrected.event.value) == (Decimal(10), Decimal(11))
    assert corrected.reason == "revised by 2025.csv"
    assert corrected.known_at.isoformat() == "2025-06-01T08:00:00+00:00"
    assert re.fullmatch(r"2025\.csv#2;sha256=[0-9a-f]{16}", corrected.provenance or "")


async def test_a_publication_that_says_the_same_records_nothing(tmp_path: Path) -> None:
    same = folder_with(tmp_path, y2025=FIRST.replace("2.5", "2.500"))
    ledger, _ = await sent(read(same))
    assert len(ledger.recorded(KpiReadingRecorded)) == 3
    assert ledger.recorded(KpiReadingCorrected) == []


async def test_a_kpi_is_defined_when_its_first_reading_is_published(tmp_path: Path) -> None:
    files = folder_with(tmp_path, y2025=SECOND + "Oban,March 2025,Share,3\n")
    ledger, _ = await sent(read(files))
    assert [
        (each.goal_id, each.known_at.year, each.event.definition.unit)
        for each in ledger.recorded(KpiDefined)
        if isinstance(each.event, KpiDefined)
    ] == [("ayr-count", 2024, "persons"), ("ayr-share", 2024, "%"), ("oban-share", 2025, "%")]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("Ayr,March 2024,Count,", "value is empty"),
        ("Ayr,March 2024,Count,n/a", "value 'n/a' is no number of record"),
        ("Ayr,March 2024,Count,1e99", "value '1e99' is no number of record"),
        ("Ayr,Spring 2024,Count,3", "month 'Spring 2024' is no period (month-name)"),
        (",March 2024,,3", "the row is empty: it names no KPI"),
        ("Ayr,March 2024,Count", "has 3 cells, and the file 4 columns"),
        ("Ayr,January 2024,Count,11", "line 2 already says what this KPI was in"),
        ("Oban,March 2024,Rate,3", "measure is 'Rate', and the manifest maps only Count, Share"),
    ],
)
def test_a_row_that_cannot_be_mapped_is_told_and_nothing_else_is_lost(
    tmp_path: Path, row: str, why: str
) -> None:
    undisturbed = read(folder_with(tmp_path))
    history = read(folder_with(tmp_path, y2024=f"{FIRST}{row}\n"))
    [line] = told(history)
    assert line.startswith(f"2024.csv:5: {why}")
    assert len([*history.facts]) == len([*undisturbed.facts])


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    first = 'town,month,measure,value\n"Ayr\n(town)",January 2024,Count,10\n\nAyr,never,Count,1\n'
    assert told(read(folder_with(tmp_path, y2024=first)))[0].startswith("2024.csv:5: month")


def test_a_name_over_several_lines_becomes_one_line(tmp_path: Path) -> None:
    first = 'town,month,measure,value\n"Ayr\n\t(town)",January 2024,Count,10\n'
    commands = [fact.command for fact in read(folder_with(tmp_path, y2024=first)).facts]
    names = [each.definition.name for each in commands if isinstance(each, DefineKpi)]
    assert any("Ayr (town)" in name for name in names), names


def test_ids_that_would_be_the_same_are_told_apart(tmp_path: Path) -> None:
    first = FIRST + "AYR,January 2024,Count,7\nÉire,January 2024,Count,1\n"
    commands = [fact.command for fact in read(folder_with(tmp_path, y2024=first)).facts]
    ids = [kpi_id for each in commands if (kpi_id := getattr(each, "kpi_id", None))]
    assert len(ids) == len(set(ids)) == 4
    assert "ayr-share" in ids
    assert "eire-count" in ids
    assert sum(bool(re.fullmatch(r"ayr-count-[0-9a-f]{8}", kpi_id)) for kpi_id in ids) == 2


RATIOS = """
source = "Office of Numbers"
actor = "office"
publications = "publications.json"

[organisation]
name = "Towns"

[unit]
id = "county"
name = "County"
for_each = "town"

[columns]
period = "year"
value = "value"
numerator = "above"
denominator = "below"

[period]
kind = "fiscal-year"
first_month = 4

[kpi]
id = ["code", "town"]
name = "{title}, {town}"
unit = "GBP"
direction = { column = "good", map = { low = "lower", middle = "range" } }
midpoint = { column = "middle" }
frequency = "yearly"

[table]
file = "indicators.csv"
column = "Code"
equals = "code"
"""


async def test_indicators_bring_their_names_directions_and_targets(tmp_path: Path) -> None:
    (tmp_path / "towns.toml").write_text(RATIOS)
    (tmp_path / "publications.json").write_text(
        json.dumps([{"file": "values.csv", "published_at": "2024-06-01T09:00:00Z"}])
    )
    (tmp_path / "indicators.csv").write_text(
        "\ufeffCode,title,good,middle\nC 1,Cost,low,0.1\nC 2,Share,middle,0.5\nC1,Again,low,\n"
    )
    (tmp_path / "values.csv").write_text(
        "code,town,year,value,above,below\n"
        "C1,Ayr,2022-23,2.5,10,4\nC2,Ayr,2019-22,0.4,,\nC3,Ayr,2022-23,1,,\n"
    )
    history = read(tmp_path)
    assert told(history) == [
        "indicators.csv:4: Code 'C1' stands in an earlier row, too",
        "values.csv:4: indicators.csv has no 'C3'",
    ]
    ledger, _ = await sent(history)
    kpis = [each.event for each in ledger.recorded(KpiDefined)]
    assert [
        (kpi.unit_id, kpi.definition.name, kpi.definition.direction, kpi.definition.target)
        for kpi in kpis
        if isinstance(kpi, KpiDefined)
    ] == [
        ("ayr", "Cost, Ayr", "lower", None),
        ("ayr", "Share, Ayr", "range", Decimal("0.5")),
    ]
    assert [each.goal_id for each in ledger.recorded(UnitDefined)] == ["county", "ayr"]
    readings = [
        (each.event.period, each.event.numerator, each.event.denominator)
        for each in ledger.recorded(KpiReadingRecorded)
        if isinstance(each.event, KpiReadingRecorded)
    ]
    assert readings == [
        ("2022-04-01/2023-03-31", Decimal(10), Decimal(4)),
        ("2019-04-01/2022-03-31", None, None),
    ]


BANDED = """
source = "Office of Numbers"
actor = "office"
publications = [{ file = "values.csv", published_at = 2024-06-01T09:00:00Z }]

[organisation]
name = "Towns"

[unit]
id = "county"
name = "County"

[columns]
period = "year"
value = "value"

[period]
kind = "iso"

[kpi]
id = ["code", "town"]
name = "{code}, {town}"
unit = "points"
direction = "lower"
frequency = "yearly"

[kpi.bands]
for_each = "code"
healthy = 0.5
warning = 0.9
"""


def banded(folder: Path, direction: str, middle: str = "") -> KpiBands | None:
    """The bands of ten towns that began with 1 to 10, after a year that only one town has."""
    manifest = BANDED.replace('"lower"', f'"{direction}"').replace("[kpi]", f"[kpi]\n{middle}")
    (folder / "towns.toml").write_text(manifest)
    first = "".join(f"A,t{number},2020,{number}\n" for number in range(1, 11))
    later = "".join(f"A,t{number},2021,{number * 100}\n" for number in range(1, 11))
    (folder / "values.csv").write_text(f"code,town,year,value\n{later}A,t1,2019,70\n{first}")
    commands = [fact.command for fact in read(folder).facts]
    [bands] = {each.definition.bands for each in commands if isinstance(each, DefineKpi)}
    return bands


def test_bands_come_from_the_first_year_that_many_have(tmp_path: Path) -> None:
    five, nine, two = Decimal(5), Decimal(9), Decimal(2)
    assert banded(tmp_path, "lower") == KpiBands(Band(high=five), Band(high=nine))
    assert banded(tmp_path, "higher") == KpiBands(Band(low=Decimal(6)), Band(low=two))


def test_bands_of_a_range_lie_around_its_middle(tmp_path: Path) -> None:
    # From 4 the ten towns are 0, 1, 1, 2, 2, 3, 3, 4, 5 and 6 away.
    assert banded(tmp_path, "range", 'midpoint = "4"') == KpiBands(
        Band(low=Decimal(2), high=Decimal(6)), Band(low=Decimal(-1), high=Decimal(9))
    )
    assert banded(tmp_path, "range") is None


def test_a_few_peers_say_nothing_about_what_is_usual(tmp_path: Path) -> None:
    (tmp_path / "towns.toml").write_text(BANDED)
    rows = "".join(f"A,t{number},2020,{number}\n" for number in range(1, 8))
    (tmp_path / "values.csv").write_text(f"code,town,year,value\n{rows}")
    commands = [fact.command for fact in read(tmp_path).facts]
    assert {each.definition.bands for each in commands if isinstance(each, DefineKpi)} == {None}


@pytest.mark.parametrize("rows", ["", '[rows]\ncolumn = "good"\nonly = ["yes"]\n'])
def test_with_bands_too_a_row_of_an_unknown_indicator_is_told_and_nothing_else_is_lost(
    tmp_path: Path, rows: str
) -> None:
    table = '[table]\nfile = "indicators.csv"\ncolumn = "Code"\nequals = "code"\n'
    (tmp_path / "towns.toml").write_text(f"{BANDED}\n{table}{rows}")
    (tmp_path / "indicators.csv").write_text("Code,good\nA,yes\n")
    (tmp_path / "values.csv").write_text("code,town,year,value\nB,Ayr,2020,1\nA,Ayr,2020,2\n")
    history = read(tmp_path)
    assert told(history) == ["values.csv:2: indicators.csv has no 'B'"]
    [readings] = [each for each in history.facts if isinstance(each.command, RecordReadings)]
    assert readings.places == ("values.csv:3",)


async def test_of_a_ratio_the_parts_are_read_and_the_ledger_computes_it(tmp_path: Path) -> None:
    ratio = """
[rows]
column = "code"
only = ["C1"]

[ratio]
multiplier = "{up}"
divisor = "{down}"
places = 2
numerator = { name = "Above, {town}", unit = "GBP" }
denominator = { name = "Below, {town}", unit = "heads" }
"""
    (tmp_path / "towns.toml").write_text(RATIOS + ratio)
    (tmp_path / "publications.json").write_text(
        json.dumps([{"file": "values.csv", "published_at": "2024-06-01T09:00:00Z"}])
    )
    (tmp_path / "indicators.csv").write_text(
        "Code,title,good,middle,up,down\nC1,Cost,low,,1000.0,0.5\nC2,Share,low,,1,1\n"
    )
    (tmp_path / "values.csv").write_text(
        "code,town,year,value,above,below\n"
        "C1,Ayr,2022-23,4285.71,15,7\nC2,Ayr,2022-23,1,1,1\nC1,Ayr,2021-22,9,,3\n"
    )
    history = read(tmp_path)
    assert told(history) == ["values.csv:4: above or below is empty"]
    ledger, outcome = await sent(history)
    assert outcome.refused == []
    assert [
        (each.goal_id, each.event.value)
        for each in ledger.recorded(KpiReadingRecorded)
        if isinstance(each.event, KpiReadingRecorded)
    ] == [
        ("c1-ayr-numerator", Decimal(15)),
        ("c1-ayr-denominator", Decimal(7)),
        ("c1-ayr", Decimal("4285.71")),
    ]
    [computed] = [e.event for e in ledger.recorded(KpiDefined) if e.goal_id == "c1-ayr"]
    assert isinstance(computed, KpiDefined)
    assert computed.definition.formula == Ratio(
        "c1-ayr-numerator", "c1-ayr-denominator", Decimal(2000)
    )


def test_a_ratio_without_its_columns_is_wrong_usage(tmp_path: Path) -> None:
    part = '{ name = "Part", unit = "GBP" }'
    folder_with(tmp_path, f"{TOWNS}\n[ratio]\nnumerator = {part}\ndenominator = {part}\n")
    with pytest.raises(WrongUsage, match="numerator and denominator"):
        read(tmp_path)


def test_shares_that_are_none_are_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "towns.toml").write_text(BANDED.replace("0.9", "0.4"))
    with pytest.raises(WrongUsage, match="healthy <= warning"):
        read(tmp_path)


async def test_of_what_others_publish_nothing_is_missed(tmp_path: Path) -> None:
    ledger, _ = await sent(read(folder_with(tmp_path)))
    assert ledger.organisation is not None
    assert list(facts_due(ledger.organisation, TODAY)) == []


@pytest.mark.parametrize(
    ("was", "now", "why"),
    [
        ('kind = "month-name"', 'kind = "moon"', "Invalid enum value 'moon'"),
        ('value = "value"', 'value = "number"', "2024.csv has no column number"),
        ("{town}", "{city}", "2024.csv has no column city"),
        ('source = "Office', 'colour = "red"\nsource = "Office', "unknown field `colour`"),
        ("+01:00", "", "published_at"),
        ('"2024.csv"', '"2023.csv"', "2023.csv cannot be read: No such file or directory"),
        ("[organisation]", "[organisation", "towns.toml"),
    ],
)
def test_a_manifest_that_does_not_fit_is_wrong_usage(
    tmp_path: Path, was: str, now: str, why: str
) -> None:
    folder_with(tmp_path, TOWNS.replace(was, now))
    with pytest.raises(WrongUsage, match=re.escape(why)):
        read(tmp_path)


def test_files_without_a_single_reading_are_wrong_usage(tmp_path: Path) -> None:
    header = FIRST.partition("\n")[0] + "\n"
    with pytest.raises(WrongUsage, match="no reading"):
        read(folder_with(tmp_path, y2024=header, y2025=header))


def test_the_manifest_in_the_help_is_a_manifest(tmp_path: Path) -> None:
    example = [
        line.removeprefix("    ")
        for line in (manifests.__doc__ or "").splitlines()
        if line.startswith("    ") or not line
    ]
    (tmp_path / "example.toml").write_text("\n".join(example), encoding="utf-8")
    manifest = manifests.load(tmp_path / "example.toml")
    assert manifest.unit.for_each == "town"
    assert manifest.table is not None
    assert manifest.kpi.bands is not None


@pytest.mark.parametrize(
    ("kind", "text", "period"),
    [
        ("month-name", "January 2019", "2019-01-01/2019-01-31"),
        ("month-name", "feb 2024", "2024-02-01/2024-02-29"),
        ("month-name", "Smarch 2024", None),
        ("fiscal-year", "2010-11", "2010-04-01/2011-03-31"),
        ("fiscal-year", "2010-14", "2010-04-01/2014-03-31"),
        ("fiscal-year", "1999/00", "1999-04-01/2000-03-31"),
        ("fiscal-year", "2010-2012", "2010-04-01/2012-03-31"),
        ("fiscal-year", "2010-10", None),
        ("fiscal-year", "2010-2009", None),
        ("fiscal-year", "9999-00", None),
        ("iso", "2024", "2024-01-01/2024-12-31"),
        ("iso", "2024-02", "2024-02-01/2024-02-29"),
        ("iso", "2024-Q4", "2024-10-01/2024-12-31"),
        ("iso", "2025-W01", "2024-12-30/2025-01-05"),
        ("iso", "2024-02-30", None),
        ("iso", "2024-02-03", "2024-02-03/2024-02-03"),
        ("iso", "2024-02-03/2024-02-09", "2024-02-03/2024-02-09"),
        ("iso", "2024-02-09/2024-02-03", None),
        ("iso", "February", None),
    ],
)
def test_periods_as_people_write_them(kind: str, text: str, period: str | None) -> None:
    periods = Periods(kind=kind, first_month=4)  # type: ignore[arg-type]  # one of the three
    assert periods.read(text) == period


def test_the_program_tells_what_it_did_and_what_it_left_out(tmp_path: Path, nats_url: str) -> None:
    folder_with(tmp_path, y2024=FIRST + "Ayr,March 2024,Count,\n")
    ledger = InProcessLedger()
    manifest = str(tmp_path / "towns.toml")
    system = FakeSystem(
        nats_url,
        "import-towns",
        reply=lambda actor, message: ledger.answer("import-towns", actor, message),
    )
    with system:
        first = system.goal_ledger("import", "readings", manifest, "--actor", "ana")
        again = system.goal_ledger("import", "readings", manifest, "--actor", "ana")
    assert first.exit_code == 0, first.output
    assert first.stderr.splitlines() == [
        "2024.csv:5: value is empty",
        "1 left out, everything else is in",
    ]
    assert f"{len(ledger.events)} events up to position {len(ledger.events)}" in first.stdout
    assert re.search(r"^RecordReadings +4$", first.stdout, re.MULTILINE)
    assert again.exit_code == 0
    assert again.stdout.startswith("already imported Office of Numbers into import-towns")
    assert again.stdout.rstrip().endswith("nothing recorded")


def test_the_program_shows_how_many_rows_of_the_files_are_done(
    tmp_path: Path, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[tuple[str, int, list[int]]] = []

    @contextmanager
    def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
        steps: list[int] = []
        bars.append((what, total, steps))
        yield steps.append

    monkeypatch.setattr(printing, "progress", progress)
    months = [f"{month} {year}" for year in range(1900, 1930) for month in ("May", "June")]
    towns = [f"{town},{month},Count,7" for month in months for town in range(30)]
    first = "\n".join(["town,month,measure,value", *towns, "Ayr,January 2024,Count,", ""])
    folder_with(tmp_path, y2024=first, y2025=SECOND)
    ledger = InProcessLedger()
    system = FakeSystem(
        nats_url,
        "import-rows",
        reply=lambda actor, message: ledger.answer("import-rows", actor, message),
    )
    with system:
        result = system.goal_ledger("import", "readings", str(tmp_path / "towns.toml"))
    assert result.exit_code == 0, result.output
    [(sending, rows, steps)] = bars
    assert sending == "Office of Numbers"
    assert rows == sum(steps) == 1_804
    # With each command those rows that were read for it.
    assert [step for step in steps if step] == [1_000, 801, 3]


def test_the_program_names_a_manifest_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "towns.toml").write_text("nothing = true\n")
    result = goal_ledger("import", "readings", str(tmp_path / "towns.toml"))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


@pytest.mark.real_data
async def test_thirteen_publications_of_claimant_counts(shared_data: Path) -> None:
    files = shared_data / "trafford-claimants"
    history = read(MANIFESTS, "trafford-claimants.toml", files)
    assert history.left == []
    ledger, outcome = await sent(history)
    assert outcome.refused == []
    assert len(ledger.recorded(KpiReadingRecorded)) == 2_618
    corrections = ledger.recorded(KpiReadingCorrected)
    assert len(corrections) == 520
    assert len({(each.goal_id, getattr(each.event, "period", "")) for each in corrections}) == 490
    january = [
        (each.known_at.date().isoformat(), each.event.value)
        for each in ledger.events
        if each.goal_id == "trafford-count"
        and isinstance(each.event, KpiReadingRecorded | KpiReadingCorrected)
        and each.event.period == "2022-01-01/2022-01-31"
    ]
    assert january[:2] == [("2022-02-25", Decimal(4990)), ("2022-05-05", Decimal(4865))]
    assert (await importing.send(ledger, history)).already_imported


@pytest.mark.real_data
async def test_yearly_indicators_of_scottish_councils(shared_data: Path) -> None:
    history = read(MANIFESTS, "lgbf.toml", shared_data / "lgbf")
    assert told(history) == ["values.csv:35468: the row is empty: it names no KPI"]
    ledger, outcome = await sent(history)
    assert outcome.refused == []
    assert len(ledger.recorded(KpiReadingRecorded)) == 35_466
    kpis = [e.event for e in ledger.recorded(KpiDefined) if isinstance(e.event, KpiDefined)]
    assert len(kpis) == 3_399
    directions = Counter(kpi.definition.direction for kpi in kpis)
    assert set(directions) == {"lower", "higher", "range"}
    assert all(
        (k.definition.direction == "range") == (k.definition.target is not None) for k in kpis
    )
    events = len(ledger.events)
    assert (await importing.send(ledger, history)).already_imported
    assert len(ledger.events) == events


@pytest.mark.real_data
async def test_the_worst_indicators_of_a_council_open_reviews(shared_data: Path) -> None:
    ledger, _ = await sent(read(MANIFESTS, "lgbf.toml", shared_data / "lgbf"))
    assert ledger.organisation is not None
    kpis = ledger.organisation.kpis
    judged = [each for each in kpis.values() if each.definition.bands is not None]
    assert len(judged) / len(kpis) > Decimal("0.99")
    # The rule holds for how they began: at least a half is healthy, at most a tenth in breach.
    first: dict[str, KpiHealth] = {}
    for each in ledger.recorded(KpiHealthChanged):
        assert isinstance(each.event, KpiHealthChanged)
        first.setdefault(each.goal_id, each.event.health)
    assert Counter(first.values())["healthy"] > len(first) * 0.4
    assert Counter(first.values())["breach"] < len(first) * 0.2
    reviewed = Counter(kpis[each.goal_id].unit_id for each in ledger.recorded(KpiReviewOpened))
    councils = {each.unit_id for each in kpis.values()}
    assert len(councils) == 32
    assert set(reviewed) == councils
    # Who is in breach now has a review, and nobody without a breach ever got one.
    assert {each.kpi_id for each in judged if each.health == "breach"} <= {
        each.goal_id for each in ledger.recorded(KpiReviewOpened)
    }
    assert all(
        each.reason and "is in breach" in each.reason for each in ledger.recorded(KpiReviewOpened)
    )


PENCE: Final = Decimal("0.005")
INFLATED_AT_MOST: Final = Decimal("1.45")
"""Costs are published in real terms: rounded to pence first, and then inflated to today's money."""
NOT_AS_PUBLISHED: Final = {
    ("CORP-ASSET01", "Eilean Siar", "2017-18"): ("0.7926", "0.797872340"),
    ("CORP-ASSET01", "North Ayrshire", "2019-20"): ("0.9089", "0.910505837"),
    ("CORP03b", "Moray", "2012-13"): ("0.4373", "0.438888889"),
    ("CORP07", "North Ayrshire", "2013-14"): ("0.9475", "0.947568376"),
    ("CORP08", "Moray", "2016-17"): ("0.9016", "0.901688593"),
}
"""Published and computed where the publication contradicts itself: its parts do not make it."""

LAST_DIGIT: Final = "by one in the last digit: the parts are rounded, too"
OTHER_PARTS: Final = "here and there by more than rounding: the parts do not make what is published"
OTHERWISE_PUBLISHED: Final = {
    "CLIM03": (11, LAST_DIGIT),
    "CLIM04": (17, LAST_DIGIT),
    "CLIM05": (57, "2017-18 and 2018-19 do not follow from their parts"),
    "CORP-ASSET02": (2, OTHER_PARTS),
    "CORP01": (17, LAST_DIGIT),
    "CORP03c": (254, "no ratio of its parts: the gap between them"),
    "CORP06a": (33, OTHER_PARTS),
    "CORP06b": (32, OTHER_PARTS),
    "CORP09": (110, OTHER_PARTS),
    "CORP10": (132, OTHER_PARTS),
    "ECON01": (1, "Aberdeen City in 2021-22 only"),
    "ECON12a": (409, "a mean of twelve months, which its parts are not"),
    "ECON12b": (115, "a mean of twelve months, which its parts are not"),
    "ENV05a": (352, "by up to 0.4 %, in every year"),
    "ENV05b": (276, "by up to 0.4 %, in every year"),
    "FINSUS05": (6, OTHER_PARTS),
    "HSN02": (4, OTHER_PARTS),
    "SW02": (16, LAST_DIGIT),
    "SW08": (19, LAST_DIGIT),
}
"""How many differ, of the indicators that are not in the manifest, and how it looks."""


class Compared(Struct, frozen=True):
    """A value as published and as the ledger computed it from its parts."""

    code: str
    council: str
    year: str
    published: Decimal
    computed: Decimal
    is_cost: bool

    @property
    def agrees(self) -> bool:
        """Within the rounding of what was published."""
        _, _, exponent = self.published.as_tuple()
        rounding = Decimal(5).scaleb(int(exponent) - 1)
        if self.is_cost:
            rounding = max(rounding, PENCE * INFLATED_AT_MOST)
        # The ledger rounds, too: to nine decimals.
        return abs(self.published - self.computed) <= rounding + Decimal("5e-10")


async def compared(manifest: str, folder: Path, shared_data: Path) -> list[Compared]:
    """Every value of the manifest's indicators that has both parts."""
    (folder / "towns.toml").write_text(manifest)
    history = read(folder, files=shared_data / "lgbf")
    ledger, outcome = await sent(history)
    assert outcome.refused == []
    computed = {
        (each.goal_id, each.event.period): each.event.value
        for each in ledger.recorded(KpiReadingRecorded)
        if isinstance(each.event, KpiReadingRecorded) and each.event.source == COMPUTED
    }
    settings = manifests.load(folder / "towns.toml")
    assert settings.rows is not None
    table = {
        "".join(row["Code"].split()): row
        for _, row in files.read(shared_data / "lgbf", "indicators.csv").rows()
        if isinstance(row, dict)
    }
    found = []
    for _, row in files.read(shared_data / "lgbf", "values.csv").rows():
        assert isinstance(row, dict)
        code, council, year = row["Code"], row["LocalAuthority"], row["Year"]
        period = settings.period.read(year)
        if code not in settings.rows.only or not row["LA_Numerator_real"] or period is None:
            continue
        value = computed.pop((ids.slug_of(code, council), period))
        published = Decimal(row["LA_IndicatorReal"])
        is_cost = table[code]["MeasureType"] == "Cost"
        found.append(Compared(code, council, year, published, value, is_cost))
    assert computed == {}
    return found


@pytest.mark.real_data
async def test_ratios_computed_from_their_parts_are_as_published(
    tmp_path: Path, shared_data: Path
) -> None:
    manifest = (MANIFESTS / "lgbf-ratios.toml").read_text(encoding="utf-8")
    values = await compared(manifest, tmp_path, shared_data)
    assert len(values) == 4_581
    assert {
        (each.code, each.council, each.year): (str(each.published), str(each.computed))
        for each in values
        if not each.agrees
    } == NOT_AS_PUBLISHED


@pytest.mark.real_data
async def test_every_other_indicator_with_two_parts_is_as_published_or_named_here(
    tmp_path: Path, shared_data: Path
) -> None:
    manifest = (MANIFESTS / "lgbf-ratios.toml").read_text(encoding="utf-8")
    of_the_manifest = manifests.load(MANIFESTS / "lgbf-ratios.toml").rows
    assert of_the_manifest is not None
    others = {
        row["Code"]
        for _, row in files.read(shared_data / "lgbf", "values.csv").rows()
        if isinstance(row, dict) and row["LA_Numerator_real"] and row["LA_Den_Real"]
    } - set(of_the_manifest.only)
    only = re.compile(r"only = \[.*?\n\]", re.DOTALL)
    manifest = only.sub(f"only = {json.dumps(sorted(others))}", manifest)
    manifest = manifest.replace('Percentage = "', '"Other Measurement" = "counted", Percentage = "')
    values = await compared(manifest, tmp_path, shared_data)
    assert len(values) == 12_917
    differing = Counter(each.code for each in values if not each.agrees)
    assert differing == {code: count for code, (count, _) in OTHERWISE_PUBLISHED.items()}
