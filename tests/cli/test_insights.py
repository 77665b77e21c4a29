"""`insights`: the worst first, the interval beside the number, and why there is nothing."""

import csv
import io
from datetime import date
from decimal import Decimal

import msgspec
from goal_contracts.queries import Forecast, InsightList, Insights, Leads, Unaligned, Untouched

from tests.cli import answers
from tests.cli.answers import at
from tests.cli.running import FakeSystem

LANDS = Forecast(
    "kr-1",
    "o-1",
    "2025-Q3",
    "shop",
    "ada",
    "Shops abroad",
    "lands",
    9,
    Decimal("0.7"),
    date(2025, 9, 30),
    value=Decimal(8),
    progress=Decimal("0.8"),
    forecast=Decimal("10.123456"),
    low=Decimal("9.5"),
    high=Decimal("10.8"),
    progress_forecast=Decimal(1),
    progress_low=Decimal("0.95"),
    progress_high=Decimal(1),
)
EARLY = msgspec.structs.replace(
    LANDS,
    key_result_id="kr-2",
    title="Gift cards",
    chance="too_early",
    points=2,
    why="2 days with a value, 4 are needed",
    forecast=None,
)
MISSES = msgspec.structs.replace(LANDS, key_result_id="kr-3", title="Orders", chance="will_miss")
ANSWER = InsightList(
    answers.REFLECTS,
    forecasts=(LANDS, EARLY, MISSES),
    untouched=(
        Untouched(
            "objective/o-1", "Be trusted", "ada", "shop", "2025-Q3", 23, 17, at("2025-09-07")
        ),
    ),
    unaligned=(
        Unaligned("o-2", "Sell more", "ben", "shop", "2025-Q3"),
        Unaligned("o-3", "Sell less", "ben", "shop", "2025-Q3", ("objective/o-9",)),
    ),
    leads=(
        Leads(
            *("visits", "orders", "shop", "unit", 2, "monthly", Decimal("-0.81"), 34),
            *(Decimal("29.3"), Decimal("0.000002")),
        ),
    ),
    pairs_compared=1,
)


def printed(nats_url: str, answer: InsightList, *arguments: str) -> tuple[str, list[object]]:
    with FakeSystem(nats_url, "shown", answers={"Insights": lambda _: answer}) as running:
        result = running.goal_ledger("insights", *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout, list(running.asked)


def test_the_worst_forecast_comes_first_with_its_interval(nats_url: str) -> None:
    out, asked = printed(nats_url, ANSWER, "--as-of", "2025-09-30", "--unit", "shop")
    assert asked == [Insights("2025-09-30", None, "shop", None, None, 300)]
    lines = out.splitlines()
    order = [line.split("  ")[0] for line in lines if line.startswith(("will", "lands", "too"))]
    assert order == ["will miss", "lands", "too early"]
    row = next(line for line in lines if line.startswith("lands"))
    assert "10.12" in row
    assert "10.123" not in row
    assert "100 % (95 to 100 %)" in row
    assert "2 days with a value, 4 are needed" in out


def test_what_nobody_looks_at_and_what_moved_first_is_told_in_words(nats_url: str) -> None:
    out, _ = printed(nats_url, ANSWER)
    assert "23 days" in out
    assert "objective/o-9, which has ended" in out
    row = next(line for line in out.splitlines() if line.startswith("visits"))
    assert row.split() == ["visits", "2", "months", "orders", "-0.81", "34", "0.000002"]


def test_programs_get_the_answer_itself_or_a_row_for_each_insight(nats_url: str) -> None:
    as_json, _ = printed(nats_url, ANSWER, "--format", "json")
    assert msgspec.json.decode(as_json, type=InsightList) == ANSWER
    as_csv, _ = printed(nats_url, ANSWER, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(as_csv)))
    assert [row["insight"] for row in rows] == [
        *["forecast"] * 3,
        "untouched",
        *["unaligned"] * 2,
        "leads",
    ]
    assert (rows[0]["goal"], rows[0]["low"]) == ("key_result/kr-1", "9.5")
    assert (rows[6]["goal"], rows[6]["leads"]) == ("kpi/visits", "kpi/orders")


def test_where_there_is_nothing_to_tell_it_says_why(nats_url: str) -> None:
    out, _ = printed(nats_url, InsightList(answers.REFLECTS))
    assert "Nothing to forecast: no cycle is active" in out
    assert "No goal that is pursued was left alone for long." in out
    assert "Every objective below the company serves one that is pursued." in out
    assert "No pair to compare: it takes a KPI marked leading and one marked lagging" in out
    short = InsightList(answers.REFLECTS, pairs_compared=1, pairs_too_short=6)
    out, _ = printed(nats_url, short)
    assert "of 7 pairs of a leading and a lagging KPI 6 have fewer than 12 common changes" in out
