"""`command FILE`: each command is sent in order, each reply is printed, nothing stops the rest."""

import csv
import io
from pathlib import Path

import msgspec
from goal_contracts.codec import CommandMessage
from goal_contracts.replies import Accepted, Reason, Refused, RefusedItem, Reply, Warned

from tests.cli.running import FakeSystem

FILE = """\
# The third quarter
{"type": "ActivateCycle", "data": {"cycle_id": "2025-Q3"}, "actor": "ada"}
{"type": "CloseCycle", "data": {"cycle_id": "2025-Q2"}}
not a command
{"type": "RecordCheckIns", "data": {"check_ins": []}}
{"type": "RenameUnit", "data": {"unit_id": "shop", "name": "Shop"}}
"""


def reply(_actor: str, command: CommandMessage) -> Reply:
    match command.type:
        case "CloseCycle":
            return Refused(
                command.id,
                Reason.CYCLE_MOVE_NOT_ALLOWED,
                "2025-Q2 is active",
                rule="R1",
                seen="active",
                accepted="a cycle in grading",
            )
        case "RecordCheckIns":
            return Accepted(command.id, position=9, events=3)
        case "RenameUnit":
            return Accepted(command.id, position=9, events=0)
        case _:
            return Accepted(command.id, position=6, events=1)


def test_each_reply_is_printed_with_its_line(nats_url: str, tmp_path: Path) -> None:
    file = tmp_path / "changes.ndjson"
    file.write_text(FILE)
    with FakeSystem(nats_url, "sending", reply=reply) as running:
        result = running.goal_ledger("command", str(file), "--actor", "ben")
    assert result.stdout.splitlines() == [
        "    2  ActivateCycle  accepted @6",
        (
            "    3  CloseCycle  refused cycle_move_not_allowed (R1): 2025-Q2 is active; "
            "accepted: a cycle in grading"
        ),
        "    5  RecordCheckIns  accepted @7 to @9",
        "    6  RenameUnit  accepted, nothing to do (@9)",
    ]
    assert result.stderr.startswith(f"malformed: {file}:4: ")
    assert result.stderr.count("\n") == 1
    assert result.exit_code == 1
    assert [actor for actor, _ in running.sent] == ["ada", "ben", "ben", "ben"]


def test_standard_input_is_read_and_all_accepted_is_exit_code_0(nats_url: str) -> None:
    with FakeSystem(nats_url, "sending", reply=reply) as running:
        result = running.goal_ledger("command", "-", input=FILE.splitlines()[1])
    assert result.exit_code == 0
    assert result.stderr == ""


def test_sent_again_it_carries_the_same_ids(nats_url: str) -> None:
    with FakeSystem(nats_url, "sending", reply=reply) as running:
        for _ in range(2):
            running.goal_ledger("command", "-", input=FILE)
    ids = [command.id for _, command in running.sent]
    assert ids[:4] == ids[4:]
    assert len(set(ids)) == 4


def test_replies_for_programs(nats_url: str) -> None:
    with FakeSystem(nats_url, "sending", reply=reply) as running:
        as_json = running.goal_ledger("command", "-", "--format", "json", input=FILE)
        as_csv = running.goal_ledger("command", "-", "--format", "csv", input=FILE)
    decoded = [msgspec.json.decode(line) for line in as_json.stdout.splitlines()]
    assert [line["reply"] for line in decoded] == ["accepted", "refused", "accepted", "accepted"]
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert [row["line"] for row in rows] == ["2", "3", "5", "6"]
    assert rows[1]["reason"] == "cycle_move_not_allowed"


def test_no_answer_ends_it_as_unreachable(nats_url: str) -> None:
    with FakeSystem(nats_url, "silent") as running:
        result = running.goal_ledger("command", "-", "--wait", "0.3", input=FILE)
    assert result.exit_code == 3
    assert result.stderr.startswith("unreachable: the ledger gave no answer within ")


BULK = """\
{"type": "PublishObjective", "data": {"objective_id": "o-1"}, "decided_on": 7}
{"type": "RecordCheckIns", "data": {"check_ins": [], "mode": "per_item"}}
"""


def with_advice(_actor: str, command: CommandMessage) -> Reply:
    if command.type == "PublishObjective":
        advice = Warned("R5", "the objective has 1 key result; 2 to 5 are usual")
        return Accepted(command.id, position=8, events=1, warnings=(advice,))
    left_out = RefusedItem(
        1, Reason.VALUE_DOES_NOT_FIT, "2 is no milestone", rule="R11", accepted="0 or 1"
    )
    return Accepted(command.id, position=10, events=2, refused=(left_out,))


def test_warnings_and_items_left_out_stand_below_their_reply(nats_url: str) -> None:
    with FakeSystem(nats_url, "sending", reply=with_advice) as running:
        result = running.goal_ledger("command", "-", input=BULK)
    assert result.stdout.splitlines() == [
        "    1  PublishObjective  accepted @8",
        "        warning (R5): the objective has 1 key result; 2 to 5 are usual",
        "    2  RecordCheckIns  accepted @9 to @10",
        ("        item 1 left out value_does_not_fit (R11): 2 is no milestone; accepted: 0 or 1"),
    ]
    # What was left out is not in the ledger: nobody should take it for done.
    assert result.exit_code == 1


def test_a_warning_alone_is_no_failure(nats_url: str) -> None:
    with FakeSystem(nats_url, "sending", reply=with_advice) as running:
        result = running.goal_ledger("command", "-", input=BULK.splitlines()[0])
    assert result.exit_code == 0
    assert running.sent[0][1].decided_on == 7


def test_programs_read_warnings_and_items_too(nats_url: str) -> None:
    with FakeSystem(nats_url, "sending", reply=with_advice) as running:
        as_json = running.goal_ledger("command", "-", "--format", "json", input=BULK)
        as_csv = running.goal_ledger("command", "-", "--format", "csv", input=BULK)
    published, recorded = map(msgspec.json.decode, as_json.stdout.splitlines())
    assert published["warnings"][0]["rule"] == "R5"
    assert recorded["left_out"][0]["item"] == 1
    first, second = csv.DictReader(io.StringIO(as_csv.stdout))
    assert first["warnings"] == "(R5): the objective has 1 key result; 2 to 5 are usual"
    assert second["left_out"].startswith("1: value_does_not_fit (R11): 2 is no milestone")
