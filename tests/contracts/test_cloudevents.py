"""Events and alerts are CloudEvents 1.0: the official SDKs read them, byte for byte."""

import json

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from goal_contracts import codec, examples
from goal_contracts.events import EVENTS

from tests.node_tools import Node

HEADERS = {"content-type": codec.CONTENT_TYPE}


@pytest.mark.parametrize("name", EVENTS)
def test_the_official_python_sdk_reads_an_event(name: str) -> None:
    stored = examples.EVENT_EXAMPLES[name]
    read = from_http_event(HTTPMessage(headers=HEADERS, body=stored))
    ours = codec.decode_event(1, stored)
    assert read.get_specversion() == "1.0"
    assert read.get_id() == ours.event_id
    assert read.get_type() == codec.event_type(name, 1)
    assert read.get_subject() == f"{ours.kind}/{ours.goal_id}"
    assert read.get_time() == ours.recorded_at
    assert read.get_dataschema() == codec.event_schema(name, 1)
    assert read.get_extension("actor") == ours.actor
    assert read.get_data() == json.loads(codec.encode(ours.event))


def test_the_official_python_sdk_reads_an_alert() -> None:
    told = examples.ALERT_EXAMPLES[codec.ALERT]
    read = from_http_event(HTTPMessage(headers=HEADERS, body=told))
    ours = codec.decode_alert(told)
    assert read.get_id() == ours.data.alert_id
    assert read.get_type() == codec.event_type(codec.ALERT, codec.ALERT_VERSION)
    assert read.get_subject() == ours.data.goal
    assert read.get_extension("position") == ours.position
    assert read.get_data() == json.loads(codec.encode(ours.data))


def test_the_official_javascript_sdk_reads_every_event_and_alert(node: Node) -> None:
    stored = [*examples.EVENT_EXAMPLES.values(), *examples.ALERT_EXAMPLES.values()]
    printed = node("cloudevents.mjs", codec.CONTENT_TYPE, given=b"\n".join(stored))
    for line, event in zip(printed.splitlines(), stored, strict=True):
        read, written = json.loads(line), json.loads(event)
        # The SDK writes moments with milliseconds, JavaScript's own way.
        del read["time"], written["time"]
        assert read == written
