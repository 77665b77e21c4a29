"""`report`: a cycle or a week in the format that is asked for, and nothing lost on the way."""

from pathlib import Path

import msgspec
import pytest
from goal_contracts import codec
from goal_contracts.queries import (
    Answer,
    CycleReport,
    Query,
    QueryRefused,
    Report,
    WeeklyDigest,
)
from msgspec.structs import replace

from services.reports.rendering import render_cycle_report, render_digest
from tests.cli.running import FakeSystem
from tests.reports.answered import DIGEST, REPORT


def in_pages(query: Query) -> Answer:
    """The report and the digest, each cut in two."""
    if isinstance(query, CycleReport):
        if query.cursor is None:
            return replace(
                REPORT, kpis=(), series=(), objectives=REPORT.objectives[:1], cursor="next"
            )
        return replace(REPORT, late=(), units=(), objectives=REPORT.objectives[1:])
    assert isinstance(query, WeeklyDigest)
    if query.cursor is None:
        return replace(DIGEST, kpis=(), said=(), objectives=(), cursor="next")
    return replace(DIGEST, late=(), changes=(), check_ins=(), units=())


@pytest.fixture
def running(nats_url: str) -> FakeSystem:
    return FakeSystem(
        nats_url, "reported", answers={"CycleReport": in_pages, "WeeklyDigest": in_pages}
    )


def test_all_pages_become_one_report(running: FakeSystem) -> None:
    with running:
        as_json = running.goal_ledger("report", "--cycle", "2025-Q3", "--format", "json")
        as_text = running.goal_ledger("report", "--cycle", "2025-Q3", "--as-of", "2025-09-30")
    assert msgspec.json.decode(as_json.stdout, type=Report) == REPORT
    assert as_text.stdout == render_cycle_report(REPORT, "md").decode()
    assert running.asked[0] == CycleReport(cycle="2025-Q3", by_week=True)
    assert running.asked[2] == CycleReport(cycle="2025-Q3", as_of="2025-09-30", by_week=True)


def test_all_pages_become_one_digest(running: FakeSystem) -> None:
    with running:
        as_json = running.goal_ledger("report", "--week", "2025-W38", "--format", "json")
        as_text = running.goal_ledger("report", "--digest", "--unit", "shop", "--format", "md")
    assert msgspec.json.decode(as_json.stdout) == msgspec.json.decode(codec.encode(DIGEST))
    assert as_text.stdout == render_digest(DIGEST, "md").decode()
    assert running.asked[0] == WeeklyDigest(week="2025-W38")
    assert running.asked[2] == WeeklyDigest(unit="shop")


def test_a_page_and_a_pdf_go_into_a_file(running: FakeSystem, tmp_path: Path) -> None:
    page, pdf = tmp_path / "q3.html", tmp_path / "w38.pdf"
    with running:
        told = running.goal_ledger(
            "report", "--cycle", "2025-Q3", "--format", "html", "--output", str(page)
        )
        running.goal_ledger("report", "--week", "2025-W38", "--format", "pdf", "--output", str(pdf))
    assert told.stdout == ""
    assert page.read_bytes() == render_cycle_report(REPORT, "html")
    assert pdf.read_bytes() == render_digest(DIGEST, "pdf")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ((), "one of --cycle ID, --week 2025-W33 or --digest"),
        (("--cycle", "2025-Q3", "--digest"), "one of --cycle"),
        (("--cycle", "2025-Q3", "--unit", "shop"), "--unit is for a week"),
        (("--week", "33"), "no week"),
    ],
)
def test_what_to_tell_is_named_once(running: FakeSystem, asked: tuple[str, ...], told: str) -> None:
    with running:
        result = running.goal_ledger("report", *asked)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert told in result.stderr


def test_a_pdf_is_not_for_a_terminal(running: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.cli.report.is_for_people", lambda: True)
    with running:
        result = running.goal_ledger("report", "--cycle", "2025-Q3", "--format", "pdf")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--output FILE" in result.stderr
    assert running.asked == []


def test_a_terminal_gets_the_report_drawn(
    running: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.report.is_for_people", lambda: True)
    with running:
        result = running.goal_ledger("report", "--cycle", "2025-Q3")
    assert "Nobody paid twice" in result.stdout
    assert "## " not in result.stdout


def test_a_report_is_of_a_cycle_there_is(nats_url: str) -> None:
    refused = QueryRefused("not_found", "there was no cycle 2024")
    with FakeSystem(nats_url, "reported", answers={"CycleReport": lambda _: refused}) as running:
        result = running.goal_ledger("report", "--cycle", "2024")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
