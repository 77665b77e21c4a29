"""Goals kept as Markdown for a year: as-of each revision is that revision's document."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from goal_contracts.queries import AsOf, Goals

from tests.cli.okr_markdown.judge import judged, running_quarter
from tests.journey.doors import NAMES, opened
from tests.running import System

pytestmark = [pytest.mark.anyio, pytest.mark.real_data, pytest.mark.timeout(300)]

ORGANISATION: Final = "src-d"


class Imported:
    """The system with the history in it, and the position of each revision."""

    def __init__(self, system: System, history: Path) -> None:
        self.system = system
        self.revisions = [json.loads(line) for line in history.read_text().splitlines()]
        rows = json.loads(
            system.run(
                *("import", "okr-markdown", str(history), "--org", ORGANISATION),
                *("--zone", "Europe/Madrid", "--format", "json"),
            )
        )
        self.positions: dict[str, int] = {row["revision"]: row["position"] for row in rows}


@pytest.fixture(scope="module")
def imported(system: System, shared_data: Path) -> Imported:
    return Imported(system, shared_data / "srcd-okrs" / "history.jsonl")


def items_and_ticks(document: str) -> Counter[tuple[str, str, bool]]:
    """Heading, item and tick of every line of a document, as the judge reads it."""
    found: Counter[tuple[str, str, bool]] = Counter()
    for (heading, text, mark), count in judged(document).items():
        found[heading, text, mark == "done"] += count
    return found


def standing(goals: Goals) -> Counter[tuple[str, str, bool]]:
    """Objective title, item and tick of everything not dropped."""
    objectives = {each.objective_id: each for each in goals.objectives}
    return Counter(
        (objective.title, each.title, each.value == 1)
        for each in goals.key_results
        if not each.dropped
        and (objective := objectives[each.objective_id]).state in {"draft", "published"}
    )


@pytest.mark.parametrize("name", NAMES)
async def test_as_of_each_revision_gives_exactly_its_documents_items_and_ticks_at_every_door(
    imported: Imported, name: str
) -> None:
    documents: dict[str, str | None] = {}
    walked = 0
    following: list[dict[str, Any] | None] = [*imported.revisions[1:], None]
    async with opened(name, imported.system) as door:
        for revision, after in zip(imported.revisions, following, strict=True):
            documents.update(revision["documents"])
            readme = documents.get("README.md")
            quarter = running_quarter(readme)
            if readme is None or quarter is None:
                continue
            expected = items_and_ticks(readme)
            # Revisions of one instant are told apart by position; a date shows the last.
            moments = [f"@{imported.positions[revision['revision']]}"]
            if after is None or after["at"] != revision["at"]:
                moments.append(revision["at"])
            for moment in moments:
                question = AsOf(as_of=moment, cycle=quarter)
                goals = await door.ask(ORGANISATION, question, Goals)
                assert standing(goals) == expected, (revision["revision"], moment)
            walked += 1
    assert walked == 63


def test_history_of_a_reworded_key_result_says_who_when_from_and_to(imported: Imported) -> None:
    exported = imported.system.run("export", "events", "--org", ORGANISATION)
    reworded = [
        event
        for line in exported.splitlines()
        if (event := json.loads(line)["event"])["type"] == "goals.KeyResultReworded.v1"
    ]
    assert len(reworded) > 100
    for event in reworded[:: len(reworded) // 5]:
        changes = imported.system.json("history", event["subject"], "--org", ORGANISATION)
        [change] = [
            each
            for each in changes["changes"]
            if each["event"] == "KeyResultReworded"
            and each["field"] == "title"
            and each["known_at"] == event["knownat"]
            and each["now"] == event["data"]["title"]
        ]
        assert change["was"] == event["data"]["title_was"]
        assert change["actor"] == event["actor"]
        assert change["actor"].startswith("author-")
