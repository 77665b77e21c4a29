"""68 revisions of a company's own documents: the changes add up to what each of them says."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from services.cli.okr_markdown.changes import (
    KeyResultReworded,
    ObjectiveReworded,
    QuarterArchived,
)
from services.cli.okr_markdown.document import Unmapped
from services.cli.okr_markdown.history import replay
from services.cli.okr_markdown.sources import read
from tests.cli.okr_markdown.folding import Folded
from tests.cli.okr_markdown.judge import Lines, judged, running_quarter

pytestmark = pytest.mark.real_data


def lines_of(folded: Folded, cycle: str) -> Lines:
    return Counter(
        {(path[-1], text, mark): n for (path, text, mark), n in folded.lines_of(cycle).items()}
    )


@pytest.fixture
def source(shared_data: Path) -> Path:
    return shared_data / "srcd-okrs" / "history.jsonl"


def test_every_running_quarter_is_exactly_its_document(source: Path) -> None:
    documents: dict[str, str | None] = {}
    folded = Folded()
    judged_revisions = []
    with source.open(encoding="utf-8") as lines:
        for line, (revision, changes) in zip(lines, replay(read(source)), strict=True):
            folded.apply(changes)
            documents |= json.loads(line)["documents"]
            if cycle := running_quarter(documents.get("README.md")):
                assert lines_of(folded, cycle) == judged(documents["README.md"] or "")
                judged_revisions.append(revision.revision)
    assert len(judged_revisions) == 63
    for file in ("2018-Q1.md", "2018-Q2.md", "2018-Q3.md", "2018-Q4.md", "2019-Q1.md"):
        assert lines_of(folded, file.removesuffix(".md")) == judged(documents[file] or "")


def test_a_line_reworded_several_times_stays_one_key_result(source: Path) -> None:
    rewordings = [
        change
        for _, changes in replay(read(source))
        for change in changes
        if isinstance(change, KeyResultReworded)
        and change.id == "2018-Q4-kr-usage-of-caches-for-uast-and-others"
    ]
    assert [change.now for change in rewordings] == [
        "Usage of persistent caches for UAST and others",
        "Speed getting UAST, possibly with the usage of persistent caches for UAST and others",
        "Speed up retrieving UASTs",
        "Usage of caches for UAST and others, precalculated in packfiles",
        "Use precomputed UASTs",
    ]
    assert all(before.now == after.was for before, after in pairwise(rewordings))


def test_the_figures_of_the_whole_history(source: Path) -> None:
    changes = [change for _, changes in replay(read(source)) for change in changes]
    counts = Counter(type(change).__name__ for change in changes)
    assert counts == {
        "CycleSeen": 5,
        "QuarterArchived": 5,
        "UnitSeen": 11,
        "ObjectiveAdded": 153,
        "ObjectiveReworded": 15,
        "ObjectiveRealigned": 14,
        "ObjectiveRetagged": 10,
        "ObjectiveDropped": 17,
        "KeyResultAdded": 1106,
        "KeyResultReworded": 170,
        "KeyResultRetagged": 9,
        "KeyResultDropped": 500,
        "Ticked": 57,
        "Unticked": 33,
        "Begun": 6,
        "Unmapped": 10,
    }
    assert {(each.file, each.line) for each in changes if isinstance(each, Unmapped)} == {
        ("README.md", 1),
        ("README.md", 3),
        ("README.md", 5),
        ("README.md", 60),
        ("2018-Q1.md", 5),
        ("2018-Q1.md", 28),
        ("2018-Q2.md", 5),
        ("2019-Q1.md", 1),
    }


def test_quarters_are_archived_in_order(source: Path) -> None:
    archived = [
        (revision.revision, change.cycle)
        for revision, changes in replay(read(source))
        for change in changes
        if isinstance(change, QuarterArchived)
    ]
    assert archived == [
        ("045cdf64c4f5", "2018-Q1"),
        ("01d9661b78fc", "2018-Q2"),
        ("19dfe08c1ecd", "2018-Q3"),
        ("a19143adf9e6", "2018-Q4"),
        ("b1430cdd16b2", "2019-Q1"),
    ]


def test_an_objective_that_is_struck_through_and_back_is_one_objective(source: Path) -> None:
    titles = [
        change.now
        for _, changes in replay(read(source))
        for change in changes
        if isinstance(change, ObjectiveReworded)
        and change.id == "2018-Q4-release-a-new-version-of-pga"
    ]
    assert titles == [
        "~~Release a new version of PGA [INFRA][APPS]~~",
        "Release a new version of PGA [INFRA][APPS]",
        "~~Release a new version of PGA [INFRA][APPS]~~",
    ]
