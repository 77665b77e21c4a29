"""Insights into data nobody here wrote: of fourteen years next to nothing is said, and rightly."""

import csv
from collections import defaultdict
from itertools import permutations
from pathlib import Path

import pytest

from services.projections.views import leads

COUNCILS = ("Clackmannanshire", "Glasgow City", "Orkney Islands")


@pytest.mark.real_data
def test_of_the_councils_indicators_most_are_too_short_and_hardly_any_leads(
    shared_data: Path,
) -> None:
    values: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    with (shared_data / "lgbf" / "values.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["LocalAuthority"] in COUNCILS and row["LA_IndicatorReal"]:
                year, value = int(row["Year"][:4]), float(row["LA_IndicatorReal"])
                values[row["LocalAuthority"], row["Code"]][year] = value
    changes: dict[str, dict[str, leads.Series]] = defaultdict(dict)
    for (council, code), by_year in values.items():
        changes[council][code] = {
            year: value - by_year[year - 1]
            for year, value in by_year.items()
            if year - 1 in by_year
        }
    assert set(changes) == set(COUNCILS)
    compared = told = short = 0
    for of_council in changes.values():
        for leading, lagging in permutations(of_council.values(), 2):
            if leads.is_long_enough(leading, lagging):
                compared += 1
                told += leads.led(leading, lagging, "yearly") is not None
            else:
                short += 1
    assert short > 20 * compared > 0
    assert told <= 0.01 * compared
