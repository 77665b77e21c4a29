"""The reference in the contracts' README: nothing is missing from it, nothing in it is stale."""

import re
from pathlib import Path

import msgspec
import pytest
from goal_contracts import codec, commands, events, reference, replies
from goal_contracts.commands import OpenOrganisation
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refused
from goal_contracts.schema import said_below

from services.cli import sample
from tests.cli.in_process_ledger import InProcessLedger

README = Path(reference.__file__).parents[1] / "README.md"


def test_the_readme_is_as_the_contracts_say() -> None:
    readme = README.read_text(encoding="utf-8")
    assert readme == reference.placed(readme), (
        "run `python -m goal_contracts.reference README.md` in contracts/"
    )


def test_every_command_event_reason_and_setting_has_its_place_with_an_example() -> None:
    written = reference.markdown()
    headed = set(re.findall(r"^#### (\w+)$", written, re.MULTILINE))
    assert headed == {*commands.COMMANDS, *events.EVENTS}
    listed = re.findall(r"^\| `(\w+)` \|", written, re.MULTILINE)
    assert listed == [*Reason, *Policy.__struct_fields__]
    assert written.count("```json\n") == len(headed)
    for row in re.findall(r"^\| `.*$", written, re.MULTILINE):
        *cells, last = [cell.strip() for cell in row.strip("| ").split(" | ")]
        assert len(cells) in {4, 5}, row
        assert last, row


def test_every_reason_and_setting_says_below_it_what_it_is() -> None:
    assert set(said_below(Reason)) == {reason.name for reason in Reason}
    said = said_below(Policy)
    assert set(said) == set(Policy.__struct_fields__)
    assert all(re.match(r"(R\d+|Measures): ", text) for text in said.values())


def test_every_command_and_event_says_what_it_is() -> None:
    for kind in (*commands.COMMANDS.values(), *events.EVENTS.values()):
        assert kind.__doc__, kind.__name__


def test_every_rule_with_a_reason_of_its_own_is_named() -> None:
    assert set(replies.RULES) <= set(Reason)
    assert all(re.fullmatch(r"R\d+", rule) for rule in replies.RULES.values())


def test_the_example_of_every_setting_is_another_than_its_default_and_may_be_set() -> None:
    default, other = Policy(), reference.OTHER_SETTINGS
    for name in Policy.__struct_fields__:
        assert getattr(default, name) != getattr(other, name), name
    assert msgspec.json.decode(codec.encode(other), type=Policy) == other
    ledger = InProcessLedger()
    opening = codec.command_message(OpenOrganisation("Acme", policy=other), command_id="c-1")
    assert not isinstance(ledger.answer("acme", "ada", opening), Refused)


def test_every_command_leads_to_events_there_are_and_every_event_has_a_cause() -> None:
    assert set(reference.LEADS_TO) == set(commands.COMMANDS)
    assert {event for leads_to in reference.LEADS_TO.values() for event in leads_to} == set(
        events.EVENTS
    )


def test_the_commands_of_a_year_lead_to_no_other_events_than_the_reference_says() -> None:
    ledger = InProcessLedger()
    for actor, message in sample.messages():
        before = len(ledger.events)
        ledger.answer(sample.ORGANISATION, actor, message)
        happened = {each.type for each in ledger.events[before:]}
        assert happened <= set(reference.LEADS_TO[message.type]), message.type


def test_a_readme_without_its_marks_is_told() -> None:
    with pytest.raises(ValueError, match="end of the reference"):
        reference.placed("# Nothing here")


def test_a_reason_that_does_not_say_what_would_be_accepted_is_told() -> None:
    with pytest.raises(ValueError, match="NOT_FOUND"):
        reference._parts("It is not there.", Reason.NOT_FOUND)
