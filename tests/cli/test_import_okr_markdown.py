"""`import okr-markdown`: what becomes of a revision, by whom, known when, and what is left out."""

import json
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from goal_contracts import codec, commands
from goal_contracts.codec import Recorded
from goal_contracts.commands import Command
from goal_contracts.events import (
    CheckedIn,
    CycleActivated,
    CycleClosed,
    CycleGradingStarted,
    KeyResultAdded,
    KeyResultReworded,
    ObjectiveDrafted,
    ObjectiveReassigned,
    UnitDefined,
)
from goal_contracts.replies import Accepted

from services.cli import importing
from services.cli.errors import WrongUsage
from services.cli.importing import Outcome
from services.cli.okr_markdown.history import Revision
from services.cli.okr_markdown.mapping import MarkdownHistory, history_of
from services.cli.okr_markdown.sources import read
from services.ledger.domain import Organisation, evolve
from tests.cli.in_process_ledger import InProcessLedger
from tests.cli.okr_markdown.judge import Lines, judged, running_quarter
from tests.cli.running import FakeSystem

pytestmark = pytest.mark.anyio

START = """# OKRs 2025 Q2

## Grow the product [WEB]

- [ ] Ten customers
- [x] A price list

### Tell people about it

- [ ] A talk
"""


def revision(name: str, at: str, author: str, **documents: str) -> Revision:
    return Revision(
        revision=name,
        at=datetime.fromisoformat(at).replace(tzinfo=UTC),
        author=author,
        documents={file.replace("_", "-") + ".md": text for file, text in documents.items()},
    )


def history(*revisions: Revision) -> MarkdownHistory:
    return history_of(
        revisions,
        organisation_id="us",
        name="Us",
        zone="Europe/Berlin",
        source="history.jsonl",
        importer="ana",
    )


async def sent(*revisions: Revision) -> tuple[InProcessLedger, Outcome]:
    ledger = InProcessLedger()
    return ledger, await importing.send(ledger, history(*revisions).history)


FIRST = revision("r1", "2025-04-03T09:00", "kim", README=START)


async def test_a_document_becomes_goals_of_its_authors() -> None:
    ledger, outcome = await sent(FIRST)
    assert outcome.refused == []
    assert [each.goal_id for each in ledger.recorded(UnitDefined)] == ["company", "web"]
    objectives = [
        (e.event.title, e.event.owner, e.event.unit_id, e.event.aligned_to, e.event.cycle_id)
        for e in ledger.recorded(ObjectiveDrafted)
        if isinstance(e.event, ObjectiveDrafted)
    ]
    parent = "2025-Q2-grow-the-product"
    assert objectives == [
        ("Grow the product [WEB]", "kim", "web", (), "2025-Q2"),
        ("Tell people about it", "kim", "web", (f"objective/{parent}",), "2025-Q2"),
    ]
    assert len(ledger.recorded(KeyResultAdded)) == 3
    [ticked] = ledger.recorded(CheckedIn)
    assert isinstance(ticked.event, CheckedIn)
    assert ticked.event.value == Decimal(1)
    assert ticked.actor == "kim"
    assert ticked.known_at == ticked.effective_at == FIRST.at
    assert ticked.provenance == "README.md#6;revision=r1"
    assert ledger.organisation is not None
    assert all(o.state == "published" for o in ledger.organisation.objectives.values())


async def test_a_reworded_line_is_a_rewording_by_who_made_it() -> None:
    later = revision(
        "r2", "2025-04-10T09:00", "lou", README=START.replace("Ten customers", "Ten new customers")
    )
    ledger, _ = await sent(FIRST, later)
    [reworded] = ledger.recorded(KeyResultReworded)
    assert isinstance(reworded.event, KeyResultReworded)
    assert (reworded.event.title_was, reworded.event.title) == (
        "Ten customers",
        "Ten new customers",
    )
    assert (reworded.actor, reworded.reason) == ("lou", "revision r2")
    assert reworded.known_at == later.at


async def test_another_tag_is_another_unit() -> None:
    later = revision("r2", "2025-04-10T09:00", "lou", README=START.replace("[WEB]", "[OPS]"))
    ledger, _ = await sent(FIRST, later)
    [reassigned] = ledger.recorded(ObjectiveReassigned)
    assert isinstance(reassigned.event, ObjectiveReassigned)
    assert (reassigned.event.unit_id_was, reassigned.event.unit_id) == ("web", "ops")


async def test_a_quarter_written_early_is_active_from_the_first_revision_in_it() -> None:
    early = revision("r0", "2025-03-28T09:00", "kim", README=START.replace("[x]", "[ ]"))
    ledger, outcome = await sent(early, revision("r2", "2025-04-02T09:00", "kim", README=START))
    assert outcome.refused == []
    [activated] = ledger.recorded(CycleActivated)
    assert activated.known_at.isoformat() == "2025-04-02T09:00:00+00:00"
    assert len(ledger.recorded(CheckedIn)) == 1


async def test_what_is_ticked_after_the_quarter_was_true_at_its_end() -> None:
    ticked = START.replace("[ ] Ten", "[x] Ten")
    late = revision("r2", "2025-08-10T09:00", "lou", README=ticked)
    archived = revision("r3", "2025-08-11T09:00", "lou", **{"2025_Q2": ticked, "README": "# Us\n"})
    mended = revision("r4", "2025-11-11T09:00", "lou", **{"2025_Q2": START})
    ledger, outcome = await sent(FIRST, late, archived, mended)
    assert outcome.refused == []
    assert [each.goal_id for each in ledger.recorded(CycleGradingStarted)] == ["2025-Q2"]
    assert [
        (each.effective_at.isoformat(), getattr(each.event, "value", None))
        for each in ledger.recorded(CheckedIn)[1:]
    ] == [
        ("2025-06-30T21:59:59.999999+00:00", Decimal(1)),
        ("2025-06-30T21:59:59.999999+00:00", Decimal(0)),
    ]


async def test_what_a_rule_refuses_is_told_by_file_and_line_and_the_rest_goes_in() -> None:
    archived = revision("r2", "2025-07-11T09:00", "lou", **{"2025_Q2": START, "README": "# Us\n"})
    grown = START.replace("[ ] Ten", "[x] Ten") + "- [ ] A second talk\n"
    ledger, outcome = await sent(
        FIRST, archived, revision("r3", "2025-07-12T09:00", "lou", **{"2025_Q2": grown})
    )
    [left] = outcome.refused
    assert left.place == "2025-Q2.md:11 in revision r3"
    assert left.why.startswith("cycle_not_open (R6): ")
    assert len(ledger.recorded(CheckedIn)) == 2


async def test_a_date_that_steps_back_counts_as_the_one_before() -> None:
    back = revision("r2", "2025-04-01T09:00", "lou", README=START.replace("[ ] Ten", "[x] Ten"))
    ledger, outcome = await sent(FIRST, back)
    assert outcome.refused == []
    assert ledger.recorded(CheckedIn)[-1].known_at == FIRST.at


async def test_every_revision_has_the_position_up_to_which_the_ledger_has_it() -> None:
    second = revision("r2", "2025-04-10T09:00", "lou", README=START.replace("A talk", "Two talks"))
    ledger, outcome = await sent(FIRST, second)
    assert outcome.positions == {"r1": len(ledger.events) - 2, "r2": len(ledger.events) - 1}


def test_a_source_without_revisions_is_wrong_usage() -> None:
    with pytest.raises(WrongUsage, match="no revision"):
        history()


def test_the_program_prints_the_position_of_each_revision(tmp_path: Path, nats_url: str) -> None:
    again = revision("r2", "2025-04-10T09:00", "lou", NOTES="# Notes\n")
    source = tmp_path / "history.jsonl"
    source.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in (FIRST, again)))
    ledger = InProcessLedger()
    system = FakeSystem(
        nats_url,
        "import-us",
        reply=lambda actor, message: ledger.answer("import-us", actor, message),
    )
    with system:
        first = system.goal_ledger("import", "okr-markdown", str(source), "--format", "json")
        repeated = system.goal_ledger("import", "okr-markdown", str(source))
    assert first.exit_code == 0, first.output
    last = len(ledger.events) - 1
    assert [(row["revision"], row["position"]) for row in json.loads(first.stdout)] == [
        ("r1", last),
        ("r2", last),
    ]
    assert "NOTES.md:1 in revision r2: the document names no quarter" in first.stderr
    assert repeated.exit_code == 0
    assert repeated.stdout.startswith("already imported history.jsonl into import-us")


def test_the_program_names_what_is_no_source(tmp_path: Path, nats_url: str) -> None:
    source = tmp_path / "history.jsonl"
    source.write_text('{"revision": 1}\n')
    with FakeSystem(nats_url, "import-nothing") as system:
        result = system.goal_ledger("import", "okr-markdown", str(source))
        zone = system.goal_ledger("import", "okr-markdown", str(source), "--zone", "Moon/Base")
    assert result.exit_code == 1
    assert "history.jsonl:1: not a revision" in result.stderr
    assert zone.exit_code == 2
    assert "'Moon/Base' is no time zone" in zone.stderr


def lines_of(organisation: Organisation, cycle: str) -> Lines:
    """The goals of a quarter as they stand: heading, text, and whether it is done."""
    lines: Lines = Counter()
    for objective in organisation.objectives_in(cycle):
        for key_result in organisation.live_key_results(objective.objective_id):
            mark = "done" if organisation.counted_value(key_result) == 1 else "open"
            lines[objective.title, key_result.title, mark] += 1
    return lines


def document_of(readme: str) -> Lines:
    """A second reading of the document; what is begun is not done."""
    lines: Lines = Counter()
    for (heading, text, mark), count in judged(readme).items():
        lines[heading, text, "done" if mark == "done" else "open"] += count
    return lines


@pytest.mark.real_data
async def test_at_every_revision_the_ledger_holds_exactly_the_running_document(
    shared_data: Path,
) -> None:
    source = shared_data / "srcd-okrs" / "history.jsonl"
    ledger = InProcessLedger()
    imported = history(*read(source))
    outcome = await importing.send(ledger, imported.history)
    assert outcome.refused == []
    events: list[Recorded] = list(reversed(ledger.events))
    organisation: Organisation | None = None
    documents: dict[str, str | None] = {}
    judged_revisions = 0
    for line in source.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        documents |= row["documents"]
        position = outcome.positions.get(row["revision"], 0)
        while events and events[-1].position <= position:
            organisation = evolve(organisation, events.pop())
        readme = documents.get("README.md")
        if (cycle := running_quarter(readme)) and organisation is not None:
            assert lines_of(organisation, cycle) == document_of(readme or ""), row["revision"]
            judged_revisions += 1
    assert judged_revisions == 63


@pytest.mark.real_data
async def test_importing_the_same_history_again_records_nothing(shared_data: Path) -> None:
    source = shared_data / "srcd-okrs" / "history.jsonl"
    ledger = InProcessLedger()
    await importing.send(ledger, history(*read(source)).history)
    assert (await importing.send(ledger, history(*read(source)).history)).already_imported


class Secretary:
    """Asks what people would ask once their history is in, each command under an id of its own."""

    def __init__(self, ledger: InProcessLedger) -> None:
        self.ledger = ledger
        self.asked = 0

    def __call__(self, command: Command) -> Accepted:
        self.asked += 1
        message = codec.command_message(command, command_id=f"judging-{self.asked}")
        reply = self.ledger.answer("source", "secretary", message)
        assert isinstance(reply, Accepted), reply
        return reply


@pytest.mark.real_data
async def test_a_quarter_is_judged_closed_reopened_closed_again_and_carried_over(
    shared_data: Path,
) -> None:
    quarter, following = "2019-Q1", "2019-Q2"
    ledger = InProcessLedger()
    imported = history(*read(shared_data / "srcd-okrs" / "history.jsonl")).history
    await importing.send(ledger, msgspec.structs.replace(imported, organisation_id="source"))
    organisation, ask = ledger.organisation, Secretary(ledger)
    assert organisation is not None
    objectives = [each for each in organisation.objectives.values() if each.cycle_id == quarter]
    # What nobody finished writing was never promised.
    for objective in objectives:
        if objective.state == "draft":
            ask(commands.DropObjective(objective.objective_id, reason="never finished"))
    published = [each.objective_id for each in objectives if each.state == "published"]
    results = {each: organisation.live_key_results(each) for each in published}
    assert (len(published), sum(map(len, results.values()))) == (21, 59)

    # The first objective of which something is left to do goes on in the next quarter.
    carried = next(
        objective_id
        for objective_id in published
        if not all(organisation.counted_value(each) for each in results[objective_id])
    )
    goes_on = [
        commands.CarriedKeyResult(each.key_result_id, f"next-{number}")
        for number, each in enumerate(results[carried])
        if not organisation.counted_value(each)
    ]
    ask(
        commands.PlanCycle(
            following, following, "quarterly", date(2019, 4, 1), date(2019, 6, 30), activate=False
        )
    )
    ask(commands.CarryOverObjective(carried, "next", following, tuple(goes_on)))

    # All others are judged: what was ticked has been reached, the rest not.
    unjudged = 0
    for objective_id in published:
        if objective_id == carried:
            continue
        for number, each in enumerate(results[objective_id]):
            if number == 0 and unjudged == 0 and len(results[objective_id]) > 1:
                ask(commands.WaiveKeyResult(each.key_result_id, reason="nobody remembers"))
                unjudged += 1
            else:
                ask(commands.GradeKeyResult(each.key_result_id))
        reached = [organisation.counted_value(each) or 0 for each in results[objective_id]]
        outcome = "achieved" if all(reached) else "partial" if any(reached) else "missed"
        ask(commands.GradeObjective(objective_id, outcome))  # type: ignore[arg-type] # one of three
    ask(commands.RecordRetrospective(quarter, learned="Fewer boxes", celebrate="All those ticks"))
    ask(commands.CloseCycle(quarter))
    first = organisation.cycles[quarter]
    assert first.state == "closed"

    ask(commands.ReopenCycle(quarter, reason="one box was ticked too late"))
    again = next(
        each
        for objective_id in published
        if objective_id != carried
        for each in organisation.live_key_results(objective_id)
        if each.score == 0
    )
    ask(
        commands.GradeKeyResult(again.key_result_id, score=Decimal(1), reason="it was done in time")
    )
    ask(commands.GradeObjective(again.objective_id, "achieved"))
    ask(commands.CloseCycle(quarter))

    closings = [each.event for each in ledger.recorded(CycleClosed)]
    assert [each.cycle_id for each in closings if isinstance(each, CycleClosed)] == [quarter] * 2
    before, after = (each.aspirational_score for each in closings if isinstance(each, CycleClosed))
    assert before is not None
    assert after is not None
    assert before < after
    went_on = organisation.objectives["next"]
    assert (went_on.cycle_id, went_on.drafted.carried_from) == (following, carried)
    assert organisation.objectives[carried].state == "carried"
    assert {each.key_result_id for each in organisation.live_key_results("next")} == {
        each.carried_to for each in goes_on
    }
    assert all(
        not organisation.live_check_ins(each.key_result_id)
        for each in organisation.live_key_results("next")
    )
