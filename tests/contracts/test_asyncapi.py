"""The AsyncAPI document: the official parser takes it, and it says what the services do."""

import json
from typing import Any

from goal_contracts import asyncapi, messages, publish, subjects
from goal_contracts.commands import COMMANDS
from goal_contracts.events import EVENTS
from goal_contracts.queries import QUERIES
from jsonschema import Draft7Validator

from services.ledger.store.streams import StreamSettings, declaration
from services.nats_users.permissions import of_user
from services.nats_users.users import User
from tests.node_tools import Node

DOCUMENT = asyncapi.document()
# The parser would have the latest version, 3.1; published is 3.0, which more tools read.
EXPECTED = "asyncapi-latest-version"


def test_the_official_parser_has_nothing_to_say_against_it(node: Node) -> None:
    printed = json.loads(node("asyncapi.mjs", publish.TOP / publish.ASYNCAPI))
    assert [each for each in printed["said"] if each["code"] != EXPECTED] == []
    addressed = [each for each in messages.messages() if each.family != "reply"]
    assert printed["found"] == {
        "channels": len(addressed) + 2,
        "operations": len(addressed) + 1,
        "messages": len(list(messages.messages())),
    }


def test_every_message_is_sent_where_the_subjects_say() -> None:
    channels = DOCUMENT["channels"]
    assert channels["command.CheckIn"]["address"] == subjects.command(
        "{organisation}", "{actor}", "CheckIn"
    )
    assert channels["event.CheckedIn"]["address"] == subjects.event(
        "{organisation}", "key_result", "{id}", "CheckedIn"
    )
    assert channels["event.CommentAdded"]["address"] == subjects.event(
        "{organisation}", "{kind}", "{id}", "CommentAdded"
    )
    assert channels["alert.Alert"]["address"] == subjects.alert("{organisation}", "{owner}")
    assert channels["query.AsOf"]["address"] == subjects.query("{organisation}", "AsOf")
    assert len(channels["ledger"]["messages"]) == len(EVENTS)


def test_every_request_has_its_reply() -> None:
    replies = {
        name: [each["$ref"].rpartition("/")[2] for each in operation["reply"]["messages"]]
        for name, operation in DOCUMENT["operations"].items()
        if operation["action"] == "receive"
    }
    assert set(replies) == {f"command.{name}" for name in COMMANDS} | {
        f"query.{name}" for name in QUERIES
    }
    assert replies["command.CheckIn"] == ["Accepted", "Refused"]
    assert replies["query.History"] == ["Changes", "QueryRefused"]


def test_what_it_says_of_the_stream_is_how_the_ledger_declares_it() -> None:
    said = DOCUMENT["channels"]["ledger"]["x-jetstream"]["stream"]
    declared = declaration(StreamSettings())
    assert {name: declared[name] for name in said} == said


def test_jetstream_is_where_an_organisations_account_has_it() -> None:
    consumers = DOCUMENT["channels"]["ledger"]["x-jetstream"]["consumers"]
    assert consumers["api_prefix"] == subjects.IMPORTED_API
    assert consumers["config"]["filter_subject"] == "goals.ledger.{organisation}.>"


def test_the_requests_it_permits_are_those_the_server_permits_a_subscriber() -> None:
    consumers = DOCUMENT["channels"]["ledger"]["x-jetstream"]["consumers"]
    filled = {
        "{name}": "sync",
        "{filter_subject}": consumers["config"]["filter_subject"].format(organisation="acme"),
    }
    said = set()
    for request in consumers["requests"]:
        for gap, filling in filled.items():
            request = request.replace(gap, filling)  # noqa: PLW2901 - gap by gap
        said.add(f"{consumers['api_prefix']}.{request}")
    user = User("subscriber", "U" * 56, ("sync",))
    may = of_user("acme", "hr", user)
    assert said == {each for each in may.publish if each.startswith(subjects.IMPORTED_API)}
    prefix = DOCUMENT["components"]["securitySchemes"]["nkey"]["x-inbox-prefix"]
    assert f"{prefix.format(public_key=user.nkey)}.>" in may.subscribe


def test_every_example_follows_its_payload_with_the_references_of_the_document() -> None:
    for name, message in DOCUMENT["components"]["messages"].items():
        # A JSON Schema in which the document's own references are found.
        schema: dict[str, Any] = {**message["payload"], "components": DOCUMENT["components"]}
        for example in message["examples"]:
            errors = list(Draft7Validator(schema).iter_errors(example["payload"]))
            assert errors == [], name
