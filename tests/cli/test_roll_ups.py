"""`roll-ups`: a line for each unit in each cycle, below the one it belongs to."""

import csv
import io
from decimal import Decimal

import msgspec
from goal_contracts.queries import HealthCount, RolledUp, RollUp, RollUps, Tally

from services.cli.roll_ups import NOTHING, drawn
from tests.cli import answers
from tests.cli.running import FakeSystem

ALL = Tally(
    objectives=3,
    key_results=4,
    healths=(HealthCount("dropped", 1, 0), HealthCount("on_track", 2, 4)),
    progress=Decimal("0.852166"),
    aspirational_score=Decimal("0.71"),
)
NONE = Tally()
WHOLE = RollUp("2025-Q3", ALL)
COMPANY = RollUp("2025-Q3", ALL, "acme", NONE)
SHOP = RollUp("2025-Q3", ALL, "shop", ALL)
YEAR = RollUp("2025", Tally(1, 1, (HealthCount("outdated", 1, 1),), Decimal("0.5")), "acme")
ANSWER = RolledUp(
    answers.REFLECTS, answers.GOALS.cycles, answers.GOALS.units, (WHOLE, COMPANY, SHOP, YEAR)
)


def test_every_filter_is_asked_for_by_name(nats_url: str) -> None:
    with FakeSystem(nats_url, "shown", answers={"RollUps": lambda _: ANSWER}) as running:
        result = running.goal_ledger(
            "roll-ups",
            *("--as-of", "2025-09-30", "--known-at", "2025-10-31"),
            *("--unit", "shop", "--cycle", "2025-Q3"),
        )
    assert running.asked == [RollUps("2025-09-30", "2025-10-31", "shop", "2025-Q3", None, 1_000)]
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    everything, company, shop, year = (
        next(line for line in lines if line.strip().startswith(name))
        for name in ("Everything", "Acme ", "Web shop", "2025 (active)")
    )
    assert everything.split()[1:5] == ["3", "4", "85", "%"]
    assert "1 dropped, 2 on track" in company
    assert shop.startswith("  Web shop")
    assert "71 %" in shop
    assert lines.index(year) > lines.index(shop)


def test_all_pages_are_printed_as_one(nats_url: str) -> None:
    def page(query: object) -> RolledUp:
        assert isinstance(query, RollUps)
        if query.cursor is None:
            first = {"cycles": ANSWER.cycles[:1], "roll_ups": (WHOLE, COMPANY), "cursor": "more"}
            return msgspec.structs.replace(ANSWER, **first)
        return msgspec.structs.replace(ANSWER, roll_ups=(SHOP, YEAR))

    with FakeSystem(nats_url, "shown", answers={"RollUps": page}) as running:
        as_json = running.goal_ledger("roll-ups", "--format", "json")
        as_csv = running.goal_ledger("roll-ups", "--format", "csv")
    assert msgspec.json.decode(as_json.stdout, type=RolledUp) == ANSWER
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert [(row["unit_id"], row["reach"]) for row in rows] == [
        ("", "with_below"),
        *(("acme", "with_below"), ("acme", "own")),
        *(("shop", "with_below"), ("shop", "own")),
        ("acme", "with_below"),
    ]
    assert rows[0]["healths"] == "1 dropped, 2 on track"
    assert rows[0]["progress"] == "0.852166"


def test_where_nothing_counts_it_says_so() -> None:
    assert drawn(RolledUp(answers.REFLECTS), "acme now")[-1] == NOTHING
