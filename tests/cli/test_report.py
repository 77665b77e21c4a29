"""`report`: a cycle told in Markdown, late changes first, and nothing of it lost on the way."""

from decimal import Decimal

import msgspec
import pytest
from goal_contracts.measures import Metric
from goal_contracts.queries import (
    Answer,
    ClosingCard,
    CycleReport,
    LateChange,
    Query,
    QueryRefused,
    Report,
    ReportedObjective,
    RetrospectiveCard,
)

from services.cli.report import markdown
from tests.cli import answers
from tests.cli.answers import at
from tests.cli.running import FakeSystem

GOALS = answers.GOALS
CYCLE = msgspec.structs.replace(
    GOALS.cycles[0],
    state="closed",
    aspirational_score=Decimal("0.71"),
    committed_met=Decimal("0.5"),
    closings=(ClosingCard(500, at("2025-10-13"), "lena", Decimal("0.69"), Decimal("0.5")),),
    retrospectives=(
        RetrospectiveCard(
            "lena",
            at("2025-10-09"),
            went_well="The second provider",
            learned="A date is not a [plan]",
            celebrate="Nobody paid twice",
        ),
    ),
)
GRADED = msgspec.structs.replace(
    GOALS.objectives[1],
    outcome="partial",
    score=Decimal("0.8"),
    score_computed=Decimal("0.71"),
    score_origin="adjusted",
    score_reason="The last week was fixed after the reading",
)
REPORT = Report(
    reflects=answers.REFLECTS,
    cycle=CYCLE,
    late=(
        LateChange(
            214,
            at("2025-08-14"),
            "ada",
            "lowered",
            "key_result/kr-2",
            "o-2",
            "Failed payments",
            reason="The provider moved",
            measure_was=answers.ERRORS_WERE,
            measure=answers.ERRORS,
        ),
    ),
    units=GOALS.units,
    objectives=(
        ReportedObjective(GRADED, GOALS.key_results[1:3]),
        ReportedObjective(GOALS.objectives[3], GOALS.key_results[4:]),
    ),
    kpis=GOALS.kpis,
)


def told(of: Report = REPORT) -> list[str]:
    return list(markdown(of))


def test_late_changes_come_before_everything_that_was_reached() -> None:
    headings = [line for line in told() if line.startswith("#")]
    assert headings == [
        "# Q3 2025",
        "## Changed while the cycle ran",
        "## Web shop",
        "### Make the checkout reliable",
        "### Sell gift cards",
        "## Looking back",
        "## To celebrate",
        "## Indicators under review",
    ]


def test_a_lowered_target_says_from_what_to_what_and_why() -> None:
    assert (
        "- 2025-08-14, ada: lowered **Failed payments** (key_result/kr-2): 2.1 → 0.5 %, "
        "now 2.1 → 0.9 %. “The provider moved”"
    ) in told()


def test_scores_and_outcomes_say_where_they_come_from() -> None:
    lines = told()
    assert "- Aspirational objectives: 0.71 on average" in lines
    assert "- Committed objectives met: 50 %" in lines
    assert "- 2 objectives: 1 partial, 1 dropped" in lines
    assert any(line.startswith("- Closed on 2025-10-13 by lena: 0.69 on average") for line in lines)
    assert "committed, owner ben, **partial**, score 0.8, computed 0.71." in lines
    assert "> The last week was fixed after the reading" in lines
    row = next(line for line in lines if line.startswith("| Failed payments"))
    assert "| 2.1 → 0.9 % (was 0.5) | 1.25 (corrected) | 71 % |" in row
    dropped = next(line for line in lines if line.startswith("| Gift cards sold"))
    assert dropped.endswith("| dropped |")


def test_people_are_quoted_and_their_words_are_no_markdown() -> None:
    lines = told()
    assert "- A date is not a \\[plan\\] (lena)" in lines
    assert lines[lines.index("## To celebrate") + 2] == "- Nobody paid twice (lena)"


def test_open_reviews_are_named_and_decided_ones_are_not() -> None:
    reviews = told()[told().index("## Indicators under review") + 2 :]
    assert reviews == [
        "- **Uptime of the shop** (healthy): review probe by ben, due 2025-09-20, overdue."
    ]


def test_a_cycle_of_which_there_is_little_to_tell_is_told_shortly() -> None:
    lines = told(Report(answers.REFLECTS, GOALS.cycles[0]))
    assert "Nothing was added, lowered or dropped." in lines
    assert not any(line.startswith("## Looking back") for line in lines)


def test_a_table_stays_a_table_whatever_stands_in_it() -> None:
    card = msgspec.structs.replace(
        GOALS.key_results[1],
        title="a | b\nc",
        measure=Metric(unit="|", baseline=Decimal(0), target=Decimal(1)),
        original_measure=None,
    )
    (row,) = [
        line
        for line in told(
            msgspec.structs.replace(REPORT, objectives=(ReportedObjective(GRADED, (card,)),))
        )
        if line.startswith("| a ")
    ]
    assert row.replace("\\|", "").count("|") == 6
    assert "\n" not in row


def test_all_pages_become_one_report(nats_url: str) -> None:
    first, second = (
        msgspec.structs.replace(REPORT, kpis=(), objectives=REPORT.objectives[:1], cursor="next"),
        msgspec.structs.replace(REPORT, late=(), units=(), objectives=REPORT.objectives[1:]),
    )

    def page(query: Query) -> Answer:
        assert isinstance(query, CycleReport)
        return first if query.cursor is None else second

    with FakeSystem(nats_url, "reported", answers={"CycleReport": page}) as running:
        as_json = running.goal_ledger("report", "--cycle", "2025-Q3", "--format", "json")
        as_text = running.goal_ledger("report", "--cycle", "2025-Q3", "--as-of", "2025-09-30")
    assert msgspec.json.decode(as_json.stdout, type=Report) == REPORT
    assert as_text.stdout.splitlines() == told()
    assert running.asked[0] == CycleReport(cycle="2025-Q3")
    assert running.asked[2] == CycleReport(cycle="2025-Q3", as_of="2025-09-30")


@pytest.mark.parametrize("more", [[], ["--cycle", "2024"]])
def test_a_report_is_of_a_cycle_there_is(nats_url: str, more: list[str]) -> None:
    refused = QueryRefused("not_found", "there was no cycle 2024")
    with FakeSystem(nats_url, "reported", answers={"CycleReport": lambda _: refused}) as running:
        result = running.goal_ledger("report", *more)
    assert (result.exit_code, result.stderr.count("\n")) == (1 if more else 2, 1)
