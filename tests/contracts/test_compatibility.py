"""No release is broken: what may change in a message, and what the gate refuses and why."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from goal_contracts import __version__, compatibility, messages, publish
from goal_contracts.compatibility import Break, Broken, binding, breaks
from goal_contracts.schema import Schema

SCHEMAS = messages.schemas()
EVENT = "events/KeyResultRetargeted.v1.json"
COMMAND = "commands/CheckIn.json"
QUERY = "queries/AsOf.json"
REPLY = "replies/Accepted.json"
ANSWER = "replies/Goals.json"
ALERT = "alerts/Alert.v1.json"


def data(schema: Schema) -> Schema:
    """What is inside the envelope."""
    inner: Schema = schema["properties"]["data"]
    return inner


def said(path: str, before: Schema, after: Schema) -> list[tuple[str, str]]:
    assert all(each.path == path for each in breaks({path: before}, {path: after}))
    return [(each.whom, each.what) for each in breaks({path: before}, {path: after})]


def changed(path: str) -> tuple[Schema, Schema]:
    """A schema as it was released, and a copy to change."""
    return SCHEMAS[path], copy.deepcopy(SCHEMAS[path])


def test_no_release_is_broken_by_what_is_published() -> None:
    found = compatibility.broken_releases(publish.TOP / publish.RELEASES, SCHEMAS | index())
    assert __version__ in found
    assert {release: list(map(str, broken)) for release, broken in found.items() if broken} == {}


def test_a_release_is_never_written_again(tmp_path: Path) -> None:
    shutil.copytree(publish.TOP / publish.SCHEMAS, tmp_path / publish.SCHEMAS)
    assert publish.release(tmp_path) == tmp_path / publish.RELEASES / __version__
    with pytest.raises(FileExistsError):
        publish.release(tmp_path)


@pytest.mark.parametrize("path", SCHEMAS)
def test_what_did_not_change_breaks_nobody(path: str) -> None:
    assert breaks({path: SCHEMAS[path]}, {path: copy.deepcopy(SCHEMAS[path])}) == []


@pytest.mark.parametrize("path", [EVENT, COMMAND])
def test_an_optional_field_may_be_added_to_an_event_and_to_a_command(path: str) -> None:
    before, after = changed(path)
    data(after)["properties"]["since"] = {"type": "string", "minLength": 1}
    assert said(path, before, after) == []


def test_an_optional_field_may_be_added_to_a_query_and_any_field_to_a_reply() -> None:
    before, after = changed(QUERY)
    after["properties"]["since"] = {"type": "string"}
    assert said(QUERY, before, after) == []
    before, after = changed(REPLY)
    after["properties"]["since"] = {"type": "string"}
    after["required"].append("since")
    assert said(REPLY, before, after) == []


def test_a_removed_field_breaks_who_reads_it_or_writes_it() -> None:
    for path, name, whom, what in (
        (EVENT, "lowered", "a reader", ".data.lowered is gone"),
        (COMMAND, "note", "a writer", ".data.note is not taken"),
    ):
        before, after = changed(path)
        del data(after)["properties"][name]
        assert said(path, before, after) == [(whom, what)]
    for path, name, whom, what in (
        (REPLY, "warnings", "a reader", ".warnings is gone"),
        (QUERY, "unit", "a writer", ".unit is not taken"),
    ):
        before, after = changed(path)
        del after["properties"][name]
        assert said(path, before, after) == [(whom, what)]


def test_a_removed_field_is_found_however_deep_it_stood() -> None:
    before, after = changed(ANSWER)
    del after["$defs"]["ReviewCard"]["properties"]["decision"]
    assert said(ANSWER, before, after) == [("a reader", ".kpis[].reviews[].decision is gone")]
    before, after = changed(EVENT)
    del data(after)["$defs"]["Maintain"]["properties"]["counted_by"]
    assert said(EVENT, before, after) == [
        ("a reader", ".data.measure.counted_by is gone"),
        ("a reader", ".data.measure_was.counted_by is gone"),
    ]


def test_a_required_field_may_not_be_added_to_what_others_write_or_what_is_stored() -> None:
    before, after = changed(COMMAND)
    data(after)["properties"]["mood"] = {"type": "string"}
    data(after)["required"].append("mood")
    assert said(COMMAND, before, after) == [("a writer", ".data.mood may not be left out")]
    before, after = changed(EVENT)
    data(after)["properties"]["mood"] = {"type": "string"}
    data(after)["required"].append("mood")
    assert said(EVENT, before, after) == [("what is stored", ".data.mood may not be left out")]


def test_what_is_always_there_may_not_be_left_out_later() -> None:
    before, after = changed(REPLY)
    after["required"].remove("position")
    assert said(REPLY, before, after) == [("a reader", ".position may not be left out")]


def test_a_narrower_type_breaks_who_writes_it_and_what_is_stored() -> None:
    before, after = changed(COMMAND)
    data(after)["properties"]["confidence"] = {"type": "integer", "minimum": 1, "maximum": 10}
    assert said(COMMAND, before, after) == [
        ("a writer", ".data.confidence: less than minimum 1 is not taken"),
        ("a writer", ".data.confidence: null is not taken"),
    ]
    before, after = changed(EVENT)
    data(after)["properties"]["lowered"] = {"type": "boolean", "const": True}
    assert said(EVENT, before, after) == [
        ("what is stored", ".data.lowered: nothing but True is taken"),
    ]


def test_a_wider_type_is_one_that_readers_do_not_know() -> None:
    before, after = changed(EVENT)
    data(after)["properties"]["lowered"] = {"type": ["boolean", "null"]}
    assert said(EVENT, before, after) == [("a reader", ".data.lowered: null is not taken")]
    before, after = changed(COMMAND)
    data(after)["properties"]["note"] = {"type": ["string", "null"]}
    assert said(COMMAND, before, after) == []


@pytest.mark.parametrize(
    ("path", "known", "broken"),
    [
        ("commands/CheckIn.json", ["on_track", "at_risk"], [("a writer", "off_track")]),
        ("commands/CheckIn.json", ["on_track", "at_risk", "off_track", "unsure"], []),
        ("events/CheckedIn.v1.json", ["on_track", "at_risk"], [("what is stored", "off_track")]),
        (
            "events/CheckedIn.v1.json",
            ["on_track", "at_risk", "off_track", "unsure"],
            [("a reader", "unsure")],
        ),
    ],
)
def test_a_closed_list_grows_for_writers_only_and_shrinks_for_nobody_who_writes(
    path: str, known: list[str], broken: list[tuple[str, str]]
) -> None:
    before, after = changed(path)
    status: Schema = {"type": "string", "enum": known}
    if path.startswith("commands"):
        status = {"anyOf": [status, {"type": "null"}]}
    data(after)["properties"]["status"] = status
    expected = [(whom, f".data.status: {value} is not taken") for whom, value in broken]
    assert said(path, before, after) == expected


def test_another_limit_or_pattern_counts_for_the_worse() -> None:
    before, after = changed(COMMAND)
    data(after)["properties"]["note"] |= {"maxLength": 40, "pattern": "^[a-z]*$"}
    assert said(COMMAND, before, after) == [
        ("a writer", ".data.note: more than maxLength 40 is not taken"),
        ("a writer", ".data.note: only what follows the pattern ^[a-z]*$ is taken"),
    ]


def test_a_measure_that_is_no_longer_taken_breaks_a_writer_and_a_new_one_a_reader() -> None:
    command = "commands/AddKeyResult.json"
    before, after = changed(command)
    measures = data(after)["properties"]["measure"]["anyOf"]
    gone = next(each for each in measures if each["$ref"].endswith("/Count"))
    measures.remove(gone)
    assert said(command, before, after) == [
        ("a writer", ".data.measure: kind=count is not taken"),
    ]
    assert said(command, after, before) == []
    event = "events/KeyResultAdded.v1.json"
    before, after = changed(event)
    data(after)["properties"]["measure"]["anyOf"].append({"$ref": "#/$defs/Mood"})
    data(after)["$defs"]["Mood"] = {"type": "object", "properties": {"kind": {"const": "mood"}}}
    assert said(event, before, after) == [("a reader", ".data.measure: kind=mood is not taken")]


def test_what_an_alert_says_may_grow_and_not_shrink() -> None:
    before, after = changed(ALERT)
    data(after)["properties"]["colour"] = {"type": "string"}
    assert said(ALERT, before, after) == []
    assert [whom for whom, _ in said(ALERT, after, before)] == ["a reader"]


def test_a_renamed_message_is_one_that_is_gone() -> None:
    broken: list[tuple[str, Broken]] = [
        (EVENT, "a reader"),
        (REPLY, "a reader"),
        (COMMAND, "a writer"),
    ]
    for path, whom in broken:
        renamed = {path.replace(".json", "Renamed.json"): SCHEMAS[path]}
        assert breaks({path: SCHEMAS[path]}, renamed) == [Break(path, whom, "it is gone")]


def test_a_new_version_of_an_event_takes_the_place_of_one_that_is_turned_into_it() -> None:
    before = {"events/CheckedIn.v1.json": SCHEMAS["events/CheckedIn.v1.json"]}
    after = {"events/CheckedIn.v2.json": SCHEMAS["events/CheckedIn.v1.json"]}
    assert breaks(before, after, {("CheckedIn", 1): dict}) == []
    assert breaks(before, after, {("CheckedIn", 2): dict}) != []


def test_a_message_stays_where_it_is_sent() -> None:
    entry = {"path": COMMAND, "subject": "here"}
    before: dict[str, Any] = {"index.json": [entry], COMMAND: SCHEMAS[COMMAND]}
    after = {**before, "index.json": [{**entry, "subject": "there"}]}
    assert breaks(before, after) == [
        Break(COMMAND, "a writer", "it is sent to there, and was to here"),
    ]


def test_what_nobody_has_said_how_to_compare_is_not_passed_over() -> None:
    before, after = changed(COMMAND)
    data(after)["properties"]["note"]["not"] = {"const": "x"}
    with pytest.raises(ValueError, match="how to compare not"):
        breaks({COMMAND: after}, {COMMAND: before})


@pytest.mark.parametrize(
    ("released", "today", "is_bound"),
    [
        ("0.1.0", "0.1.7", True),
        ("0.1.0", "0.2.0", False),
        ("1.4.0", "1.9.2", True),
        ("1.4.0", "2.0.0", False),
        ("0.9.0", "1.0.0", False),
    ],
)
def test_a_release_binds_until_the_next_one_that_may_break(
    released: str, today: str, is_bound: bool
) -> None:
    assert binding(released, today) == is_bound


def test_an_event_is_bound_by_every_release(tmp_path: Path) -> None:
    before, after = changed(EVENT)
    asked = changed(COMMAND)[1]
    data(after)["required"].append("reason")
    data(asked)["required"].append("note")
    for release in ("0.0.9", __version__):
        write(tmp_path / release / EVENT, before)
        write(tmp_path / release / COMMAND, SCHEMAS[COMMAND])
    found = compatibility.broken_releases(tmp_path, {EVENT: after, COMMAND: asked})
    assert [each.path for each in found["0.0.9"]] == [EVENT]
    assert [each.path for each in found[__version__]] == [COMMAND, EVENT]


def write(path: Path, schema: Schema) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema))


def index() -> dict[str, Any]:
    return {"index.json": publish.index()}
