"""Which document is which quarter's, and what a revision of it changes."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.okr_markdown.changes import (
    Change,
    CycleSeen,
    KeyResultAdded,
    KeyResultReworded,
    QuarterArchived,
    Ticked,
    UnitSeen,
    Unticked,
)
from services.cli.okr_markdown.document import Unmapped
from services.cli.okr_markdown.history import Revision, quarter_days, quarter_of, replay

Documents = dict[str, str | None]

GOALS = "# OKRs 2018 Q4\n## Ship\n- [ ] one\n- [ ] two\n"
UNDATED = "# Objectives & Key Results\n## Ship\n- [ ] one\n- [ ] two\n"


def history(*documents: Documents, first_on: date = date(2018, 10, 8)) -> list[list[Change]]:
    """The changes of each revision, a day apart."""
    start = datetime.combine(first_on, datetime.min.time(), UTC)
    revisions = [
        Revision(
            revision=f"r{number}",
            at=start + timedelta(days=number),
            author="author-01",
            documents=each,
        )
        for number, each in enumerate(documents)
    ]
    return [list(changes) for _, changes in replay(revisions)]


def kinds(changes: list[Change]) -> list[str]:
    return [type(change).__name__ for change in changes]


def cycles(changes: list[Change]) -> list[str]:
    return [change.cycle for change in changes if isinstance(change, CycleSeen)]


def test_a_heading_names_the_quarter_whatever_the_day() -> None:
    (first,) = history({"README.md": GOALS}, first_on=date(2019, 2, 1))
    assert cycles(first) == ["2018-Q4"]
    assert kinds(first) == ["CycleSeen", "ObjectiveAdded", "KeyResultAdded", "KeyResultAdded"]


def test_a_file_named_after_a_quarter_is_its_archive() -> None:
    (first,) = history({"2018-Q3.md": UNDATED})
    assert first[0] == CycleSeen(file="2018-Q3.md", line=1, cycle="2018-Q3")
    assert first[-1] == QuarterArchived(file="2018-Q3.md", line=1, cycle="2018-Q3")


@pytest.mark.parametrize(
    ("first_on", "cycle"),
    [
        (date(2018, 3, 24), "2018-Q1"),
        (date(2018, 3, 25), "2018-Q2"),
        (date(2018, 4, 1), "2018-Q2"),
        (date(2018, 12, 31), "2019-Q1"),
    ],
)
def test_an_undated_readme_is_of_the_quarter_that_runs_or_begins_in_a_week(
    first_on: date, cycle: str
) -> None:
    (first,) = history({"README.md": UNDATED}, first_on=first_on)
    assert cycles(first) == [cycle]


def test_an_undated_readme_keeps_its_quarter_until_a_heading_names_another() -> None:
    edited = UNDATED.replace("[ ] one", "[x] one")
    after_months: list[Documents] = [{"other.md": "x"}] * 100
    *_, ticked, next_quarter = history(
        {"README.md": UNDATED}, *after_months, {"README.md": edited}, {"README.md": GOALS}
    )
    assert kinds(ticked) == ["Ticked"]
    assert cycles(next_quarter) == []  # 2018-Q4 again: the same quarter, now named
    assert kinds(next_quarter) == ["Unticked"]


def test_a_readme_that_swaps_to_the_next_quarter_drops_nothing() -> None:
    _, swapped = history({"README.md": GOALS}, {"README.md": GOALS.replace("2018 Q4", "2019 Q1")})
    assert cycles(swapped) == ["2019-Q1"]
    assert "KeyResultDropped" not in kinds(swapped)


@pytest.mark.parametrize("emptied", [None, "", "# source{d} OKRs\n- [2018-Q4](2018-Q4.md)\n"])
def test_a_readme_that_lets_its_quarter_go_drops_nothing(emptied: str | None) -> None:
    _, gone, archived = history(
        {"README.md": GOALS},
        {"README.md": emptied},
        {"2018-Q4.md": GOALS.replace("[ ] two", "[x] two")},
    )
    assert "KeyResultDropped" not in kinds(gone)
    assert archived == [
        Ticked(file="2018-Q4.md", line=4, id="2018-Q4-kr-two"),
        QuarterArchived(file="2018-Q4.md", line=1, cycle="2018-Q4"),
    ]


def test_a_quarter_moved_to_its_archive_is_not_doubled() -> None:
    _, moved = history({"README.md": GOALS}, {"2018-Q4.md": GOALS, "README.md": "# OKRs 2019 Q1\n"})
    assert kinds(moved) == ["QuarterArchived", "CycleSeen"]


def test_an_archive_is_not_read_while_the_quarter_still_runs() -> None:
    older = GOALS.replace("one", "one thing")
    _, ticked, written, let_go = history(
        {"README.md": GOALS},
        {"README.md": GOALS.replace("[ ] two", "[x] two")},
        {"2018-Q4.md": older},
        {"README.md": None},
    )
    assert kinds(ticked) == ["Ticked"]
    assert written == [
        Unmapped(
            "2018-Q4.md",
            1,
            "OKRs 2018 Q4",
            "the document is not read while README.md is that of 2018-Q4",
        )
    ]
    assert let_go == [
        KeyResultReworded(
            file="2018-Q4.md", line=3, id="2018-Q4-kr-one", was="one", now="one thing"
        ),
        Unticked(file="2018-Q4.md", line=4, id="2018-Q4-kr-two"),
        QuarterArchived(file="2018-Q4.md", line=1, cycle="2018-Q4"),
    ]


def test_an_edited_archive_changes_its_quarter() -> None:
    _, edited = history(
        {"2018-Q3.md": GOALS, "README.md": GOALS},
        {"2018-Q3.md": GOALS.replace("[ ] one", "[x] one")},
    )
    assert edited == [Ticked(file="2018-Q3.md", line=3, id="2018-Q3-kr-one")]


def test_two_quarters_may_change_in_one_revision() -> None:
    ticked = GOALS.replace("[ ] one", "[x] one")
    _, both = history(
        {"2018-Q3.md": GOALS, "README.md": GOALS}, {"README.md": ticked, "2018-Q3.md": ticked}
    )
    assert [change.id for change in both if isinstance(change, Ticked)] == [
        "2018-Q3-kr-one",
        "2018-Q4-kr-one",
    ]


@pytest.mark.parametrize(
    ("file", "markdown"),
    [
        ("CONTRIBUTING.md", UNDATED),
        ("README.md", "# A program\n## Install\n- [ ] one\n"),
        ("README.md", "# OKRs\n\nProse.\n"),
    ],
)
def test_a_document_that_names_no_quarter_holds_no_goals(file: str, markdown: str) -> None:
    (first,) = history({file: markdown})
    (unmapped,) = first
    assert isinstance(unmapped, Unmapped)
    assert (unmapped.file, unmapped.line) == (file, 1)


def test_what_cannot_be_mapped_is_reported_when_it_appears_and_not_again() -> None:
    with_prose = f"{GOALS}\nProse.\n"
    first, second, third, fourth = history(
        {"README.md": with_prose},
        {"README.md": f"{with_prose}\nMore.\n"},
        {"README.md": GOALS},
        {"README.md": with_prose},
    )
    reported = [
        [change.text for change in changes if isinstance(change, Unmapped)]
        for changes in (first, second, third, fourth)
    ]
    assert reported == [["Prose."], ["More."], [], ["Prose."]]


def test_a_unit_is_seen_once_before_the_goals_that_name_it() -> None:
    first, second = history(
        {"README.md": "# OKRs 2018 Q4\n## Ship [DevRel]\n- one [QA]\n- two [QA]\n"},
        {"README.md": "# OKRs 2018 Q4\n## Ship [DEVREL]\n- one [QA]\n- two [LA]\n"},
    )
    assert [change for change in first if isinstance(change, UnitSeen)] == [
        UnitSeen(file="README.md", line=2, id="devrel", name="DevRel"),
        UnitSeen(file="README.md", line=3, id="qa", name="QA"),
    ]
    assert kinds(first)[:3] == ["CycleSeen", "UnitSeen", "UnitSeen"]
    assert kinds(second) == [
        "UnitSeen",
        "ObjectiveReworded",
        "KeyResultReworded",
        "KeyResultRetagged",
    ]


def test_the_same_history_gives_the_same_ids() -> None:
    documents: list[Documents] = [
        {"README.md": GOALS},
        {"README.md": GOALS.replace("- [ ] one\n", "")},
        {"README.md": GOALS},
    ]
    assert history(*documents) == history(*documents)
    added = [
        change.id
        for changes in history(*documents)
        for change in changes
        if isinstance(change, KeyResultAdded)
    ]
    assert added == ["2018-Q4-kr-one", "2018-Q4-kr-two", "2018-Q4-kr-one-2"]


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_every_day_lies_in_its_quarter(day: date) -> None:
    start_on, end_on = quarter_days(quarter_of(day))
    assert start_on <= day <= end_on
    assert quarter_of(end_on + timedelta(days=1)) != quarter_of(day)
