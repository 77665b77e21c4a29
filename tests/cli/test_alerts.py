"""`alerts`: who should look at what, and the words for it when there is nothing."""

import csv
import io

import msgspec
from goal_contracts.queries import Alert, AlertList, Alerts
from rich.text import Text

from services.cli.alerts import age, drawn
from tests.cli import answers
from tests.cli.answers import at
from tests.cli.running import FakeSystem

BREACH = Alert(
    "kpi_in_breach:kpi/uptime:@390",
    "kpi_in_breach",
    "critical",
    "kpi/uptime",
    "Uptime of the shop",
    "cleo",
    "shop",
    at("2025-08-31"),
    "99.1 % for 2025-08-01 to 2025-08-31 is in breach",
)
LATE = Alert(
    "check_in_late:key_result/kr-2:2025-09-21",
    "check_in_late",
    "notice",
    "key_result/kr-2",
    "Failed payments",
    "ben",
    "shop",
    at("2025-09-30", "20:00"),
    "there is no check-in for 2025-09-21 to 2025-09-27, nor one since",
    "2025-Q3",
    "o-2",
)
ANSWER = AlertList(answers.REFLECTS, (BREACH, LATE))


def test_every_filter_is_asked_for_by_name(nats_url: str) -> None:
    with FakeSystem(nats_url, "shown", answers={"Alerts": lambda _: ANSWER}) as running:
        result = running.goal_ledger(
            "alerts",
            *("--as-of", "2025-09-30", "--known-at", "2025-10-31", "--unit", "shop"),
            *("--cycle", "2025-Q3", "--owner", "ben"),
        )
    assert running.asked == [
        Alerts("2025-09-30", "2025-10-31", "shop", "2025-Q3", "ben", None, 1_000)
    ]
    assert result.exit_code == 0
    assert "1 critical · 1 notice · for 2 owners" in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.startswith("critical"))
    assert "KPI in breach" in row
    assert "30 days" in row
    assert "99.1 % for 2025-08-01 to 2025-08-31 is in breach" in row


def test_all_pages_are_printed_as_one(nats_url: str) -> None:
    def page(query: object) -> AlertList:
        assert isinstance(query, Alerts)
        first = msgspec.structs.replace(ANSWER, alerts=(BREACH,), cursor="more")
        return msgspec.structs.replace(ANSWER, alerts=(LATE,)) if query.cursor else first

    with FakeSystem(nats_url, "shown", answers={"Alerts": page}) as running:
        as_json = running.goal_ledger("alerts", "--format", "json")
        as_csv = running.goal_ledger("alerts", "--format", "csv")
    assert msgspec.json.decode(as_json.stdout, type=AlertList) == ANSWER
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert [row["alert_id"] for row in rows] == [BREACH.alert_id, LATE.alert_id]
    assert rows[1]["objective_id"] == "o-2"


def test_where_nothing_needs_attention_it_says_what_was_looked_at() -> None:
    *_, words = drawn(AlertList(answers.REFLECTS), "acme now", is_wide=False)
    assert str(words).startswith("Nothing needs attention: no check-in is late")


def test_a_wide_terminal_shows_ids_and_instants_too() -> None:
    *_, table = drawn(ANSWER, "acme now", is_wide=True)
    assert [str(column.header) for column in table.columns][-3:] == ["Unit", "Since", "Id"]  # type: ignore[union-attr]  # it is a table
    assert isinstance(drawn(ANSWER, "acme now", is_wide=True)[1], Text)


def test_how_long_it_stands_is_said_in_days_or_hours() -> None:
    now = at("2025-09-30", "12:00")
    assert age(at("2025-09-30", "09:30"), now) == "2 h"
    assert age(at("2025-09-29"), now) == "1 day"
    assert age(at("2025-09-01"), now) == "29 days"
