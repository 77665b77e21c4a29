"""Bytes and structs: what is written comes back, and what cannot be read says so."""

import json
import re
from decimal import Decimal

import msgspec
import pytest
from goal_contracts import codec, commands, events, examples, fields, queries, replies, subjects
from goal_contracts.codec import Unrecognised
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal
from hypothesis import example, given
from hypothesis import strategies as st

ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=4)
texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t"), max_size=200
)


def test_every_message_has_an_example_and_every_example_is_read() -> None:
    assert set(examples.EVENT_EXAMPLES) == set(events.EVENTS)
    assert set(examples.COMMAND_EXAMPLES) == set(commands.COMMANDS)
    assert set(examples.QUERY_EXAMPLES) == set(queries.QUERIES)
    assert set(examples.REPLY_EXAMPLES) == {kind.__name__ for kind in replies.Reply.__args__}
    assert set(examples.ANSWER_EXAMPLES) == {kind.__name__ for kind in queries.Answer.__args__}
    assert examples.read_all() == len(examples.EXAMPLES)


@given(
    key_result_id=ids,
    check_in_id=ids,
    value=decimals,
    note=texts,
    actor=ids,
    position=st.integers(1, 2**53),
)
def test_an_event_comes_back_as_it_was_written(
    *, key_result_id: str, check_in_id: str, value: Decimal, note: str, actor: str, position: int
) -> None:
    event = events.CheckedIn(
        key_result_id, check_in_id=check_in_id, effective_at=examples.NOW, value=value, note=note
    )
    recorded = msgspec.structs.replace(examples.recorded(event, position), actor=actor)
    assert codec.decode_event(position, codec.encode_event(recorded)) == recorded


def test_an_event_is_a_cloudevent_with_its_facts_in_the_payload() -> None:
    envelope = json.loads(examples.EVENT_EXAMPLES["KeyResultRetargeted"])
    assert envelope["specversion"] == "1.0"
    assert envelope["type"] == "goals.KeyResultRetargeted.v1"
    assert envelope["source"] == "/goals/acme"
    assert envelope["subject"] == "key_result/kr-uptime"
    assert envelope["reason"] == "the supplier's outage cannot be made up for"
    assert envelope["data"]["measure_was"]["target"] == "99.9"
    assert envelope["data"]["measure"]["target"] == "99.5"
    # CloudEvents 1.0: attribute names are lower-case letters and digits only.
    assert all(name.isalnum() and name == name.lower() for name in envelope)


def test_a_reason_of_several_lines_stands_in_the_data_alone() -> None:
    """CloudEvents 1.0, section 3.1: a String has no control characters."""
    event = events.ObjectiveDropped("o", reason="overtaken\nby the merger")
    payload = codec.encode_event(examples.recorded(event))
    assert "reason" not in json.loads(payload)
    assert codec.decode_event(1, payload).reason == "overtaken\nby the merger"
    # Before, it was written all the same.
    stored = payload.replace(b'"data":', b'"reason":"overtaken\\nby the merger","data":')
    assert codec.decode_event(1, stored) == codec.decode_event(1, payload)


def test_a_policy_is_stored_in_full_so_that_a_new_default_repaints_nothing() -> None:
    pinned = json.loads(examples.EVENT_EXAMPLES["CycleActivated"])["data"]["policy"]
    assert set(pinned) == {field.name for field in msgspec.structs.fields(Policy)}


def test_an_unknown_type_is_unrecognised_and_keeps_its_data() -> None:
    payload = examples.EVENT_EXAMPLES["CheckedIn"].replace(
        b"goals.CheckedIn.v1", b"goals.CheckedIn.v9"
    )
    decoded = codec.decode_event(7, payload)
    assert isinstance(decoded.event, Unrecognised)
    assert decoded.type == "CheckedIn"
    assert json.loads(bytes(decoded.event.data))["check_in_id"] == "w33"


def test_an_optional_field_of_a_later_release_does_not_disturb_a_reader() -> None:
    payload = examples.EVENT_EXAMPLES["ObjectivePublished"].replace(
        b'"data":{', b'"data":{"since_release":"9",'
    )
    assert codec.decode_event(1, payload).type == "ObjectivePublished"


@pytest.mark.parametrize("broken", [b"", b"{}", b"[1]", b"\xff", b'{"specversion":"1.0"}'])
def test_a_broken_event_is_named_by_its_position(broken: bytes) -> None:
    with pytest.raises(codec.UndecodableEvent, match="position 41"):
        codec.decode_event(41, broken)


@pytest.mark.parametrize("written", ["99.1", "-5", "+0.5", ".5", "5.", "1e3", "1E-3"])
def test_a_number_is_written_in_digits(written: str) -> None:
    assert checked_in(f'"{written}"') == Decimal(written)


@pytest.mark.parametrize("written", ["99.1", "-5", "1e3"])
def test_a_number_may_be_one_of_json(written: str) -> None:
    assert checked_in(written) == Decimal(written)


@pytest.mark.parametrize(
    "written", ["٩٩", "९", "１２", "1_000", " 1", "1\\n", "\\u0661", "1,5", ""]
)
def test_other_digits_than_0_to_9_and_what_stands_between_them_are_malformed(written: str) -> None:
    with pytest.raises(Refusal, match=r"Expected.*decimal|Invalid decimal") as refusal:
        checked_in(f'"{written}"')
    assert refusal.value.reason is Reason.MALFORMED


def checked_in(value: str) -> Decimal | None:
    """The value of a check-in, as it is written on the wire."""
    payload = f"""{{"id":"c","type":"CheckIn",
        "data":{{"key_result_id":"k","check_in_id":"c","value":{value}}}}}"""
    command = codec.decode_command(codec.decode_message(payload.encode()))
    assert isinstance(command, commands.CheckIn)
    return command.value


@pytest.mark.parametrize(
    ("command", "data", "where"),
    [
        ("ReweightKeyResult", {"key_result_id": "k", "weight": "٩"}, "$.weight"),
        (
            "RetargetKeyResult",
            {"key_result_id": "k", "measure": {"kind": "maintain", "unit": "%", "upper": "٩"}},
            "$.measure.upper",
        ),
        ("ChangePolicy", {"policy": {"bands": ["0.4", "0._7"]}}, "$.policy.bands[1]"),
        (
            "RecordReadings",
            {
                "readings": [
                    {"kpi_id": "k", "period": "2025-07-01/2025-07-31", "value": value}
                    for value in ("1", "٩")
                ]
            },
            "$.readings[1].value",
        ),
        (
            "RetargetKeyResult",
            {"key_result_id": "k", "measure": {"kind": "milestone", "of": 3}},
            "unknown field `of` - at `$.measure`",
        ),
        (
            "CarryOverObjective",
            {
                "objective_id": "o",
                "carried_to": "p",
                "cycle_id": "q",
                "key_results": [{"key_result_id": "k", "carried_to": "l", "weight": "2"}],
            },
            "unknown field `weight` - at `$.key_results[0]`",
        ),
        (
            "OpenOrganisation",
            {"name": "Acme", "policy": {"parent": "one"}},
            "unknown field `parent`",
        ),
    ],
)
def test_nothing_is_overlooked_however_deep_it_stands_in_a_command(
    command: str, data: object, where: str
) -> None:
    payload = msgspec.json.encode({"id": "c", "type": command, "data": data})
    with pytest.raises(Refusal, match=re.escape(where)) as refusal:
        codec.decode_command(codec.decode_message(payload))
    assert refusal.value.reason is Reason.MALFORMED


@given(text=st.text("0123456789.eE+-_ \t\\\u00a0\u0660\u3000", min_size=1, max_size=6))
@example("1_0")
@example("1_")
@example(" 1")
@example("1 ")
@example("\u0661")
def test_a_decimal_is_written_in_digits_0_to_9_and_nothing_else(text: str) -> None:
    reading = {"kpi_id": "k", "period": "2025-07-01/2025-07-31", "value": text}
    data = {"readings": [reading]}
    payload = msgspec.json.encode({"id": "c", "type": "RecordReadings", "data": data})
    message = codec.decode_message(payload)
    if fields.NUMBER.match(text):
        assert isinstance(codec.decode_command(message), commands.RecordReadings)
    else:
        with pytest.raises(Refusal):
            codec.decode_command(message)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b'{"id":"c","type":"CheckIn"}', Reason.MALFORMED),
        (b'{"id":"a b","type":"CheckIn","data":{}}', Reason.MALFORMED),
        (b'{"id":"c","type":"CheckIn","data":{}}', Reason.MALFORMED),
        (b'{"id":"c","type":"CheckIn","data":{},"extra":1}', Reason.MALFORMED),
        (
            b'{"id":"c","type":"CheckIn","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            Reason.MALFORMED,
        ),
        (b'{"id":"c","type":"Undo","data":{}}', Reason.UNKNOWN_COMMAND),
        (
            b'{"id":"c","type":"PublishObjective","data":{"objective_id":"o","force":true}}',
            Reason.MALFORMED,
        ),
        (b'{"id":"c","type":"PublishObjective","data":{"objective_id":"o/1"}}', Reason.MALFORMED),
    ],
)
def test_a_command_that_cannot_be_read_is_refused_with_a_code(
    payload: bytes, reason: Reason
) -> None:
    with pytest.raises(Refusal) as refusal:
        codec.decode_command(codec.decode_message(payload))
    assert refusal.value.reason is reason


@given(organisation=ids, kind=st.sampled_from(["objective", "kpi"]), goal=ids, name=ids)
def test_a_subject_is_read_back_into_its_parts(
    organisation: str, kind: str, goal: str, name: str
) -> None:
    ledger = subjects.ledger(organisation, kind, goal, name)
    assert subjects.parse_ledger(ledger) == (organisation, kind, goal, name)
    assert subjects.event(organisation, kind, goal, name) == ledger.replace(
        "goals.ledger.", "goals.event.", 1
    )
    assert subjects.parse_command(subjects.command(organisation, goal, name)) == (
        organisation,
        goal,
        name,
    )
    assert subjects.parse_query(subjects.query(organisation, name)) == (organisation, name)


@pytest.mark.parametrize(
    "subject", ["", "goals.command.acme.u", "goals.event.a.b.c", "x.command.a.b.c"]
)
def test_a_foreign_subject_is_not_read(subject: str) -> None:
    with pytest.raises(ValueError, match=r"not a goals\.command subject"):
        subjects.parse_command(subject)
