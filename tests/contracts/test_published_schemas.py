"""The published schemas: committed as they are generated, and true of what is on the wire."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from goal_contracts import codec, messages, publish
from goal_contracts.messages import Message
from goal_contracts.queries import QUERIES
from goal_contracts.replies import Refusal
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.node_tools import Node

ALL = {message.path: message for message in messages.messages()}
WRITTEN_BY_OTHERS = [path for path in ALL if ALL[path].family in {"command", "query"}]
# Crawled, so that the schemas inside others are found under their own names.
REGISTRY: Registry[Any] = (
    Registry()
    .with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in messages.schemas().values()
    )
    .crawl()
)
# Something of every JSON type, and text that is almost what is asked for.
STRANGE: tuple[Any, ...] = (
    None,
    True,
    7,
    -1,
    "",
    "two\nlines",
    "x" * 65,
    "x" * 4_001,
    "٩",
    "1_000",
    "2025-02-30",
    "2025-08-14T09:30:00",
    [],
    ["a b"],
    {},
    {"kind": "metric"},
)


def validator(path: str) -> Draft202012Validator:
    return Draft202012Validator(
        messages.schemas()[path],
        format_checker=Draft202012Validator.FORMAT_CHECKER,
        registry=REGISTRY,
    )


def test_the_committed_documents_are_as_the_contracts_say() -> None:
    assert publish.stale(publish.TOP) == [], "run `make contracts`"


def test_a_stale_a_missing_and_a_foreign_document_are_each_named(tmp_path: Path) -> None:
    publish.write(tmp_path)
    assert publish.stale(tmp_path) == []
    (tmp_path / "asyncapi.json").write_text("{}")
    (tmp_path / "schemas/events/CheckedIn.v1.json").unlink()
    (tmp_path / "schemas/events/Undone.v1.json").write_text("{}")
    assert publish.write(tmp_path) == [
        "asyncapi.json",
        "schemas/events/CheckedIn.v1.json",
        "schemas/events/Undone.v1.json",
    ]
    assert publish.stale(tmp_path) == []


@pytest.mark.parametrize("path", ALL)
def test_a_schema_is_sound_and_takes_the_example(path: str) -> None:
    schema = messages.schemas()[path]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["description"]
    validator(path).validate(ALL[path].example_value)


def test_what_was_ever_stored_follows_its_schema() -> None:
    """The events that test_upcasting keeps, which have every optional field."""
    of_type = {
        codec.event_type(message.name, message.version): path for path, message in ALL.items()
    }
    for line in Path(__file__).with_name("stored_events.ndjson").read_bytes().splitlines():
        event = msgspec.json.decode(line)
        validator(of_type[event["type"]]).validate(event)


def test_what_a_cloud_event_names_as_its_data_schema_is_published() -> None:
    for message in ALL.values():
        if message.family in messages.CLOUD_EVENTS:
            event = message.example_value
            assert event["dataschema"] == message.data_schema_id
            data_schema = {"$ref": event["dataschema"]}
            Draft202012Validator(data_schema, registry=REGISTRY).validate(event["data"])


def test_events_alerts_and_replies_are_open_for_later_fields_and_commands_and_queries_are_not() -> (
    None
):
    for path, message in ALL.items():
        for kind in objects(messages.schemas()[path]):
            closed = message.family in {"command", "query"}
            assert kind.get("additionalProperties", True) is not closed, (path, kind["title"])


def test_every_field_of_an_event_an_alert_a_command_and_a_query_says_what_it_is() -> None:
    silent = [
        f"{path}: {kind['title']}.{name}"
        for path, message in ALL.items()
        if message.family != "reply"
        for kind in objects(messages.schemas()[path])
        for name, field in kind["properties"].items()
        if not (field.get("description") or "const" in field)
    ]
    assert silent == [], "say it in goal_contracts/glossary.py"


def test_every_query_has_its_answer() -> None:
    assert len({messages.answer_to(name) for name in QUERIES}) == len(QUERIES)
    with pytest.raises(ValueError, match="Undo"):
        messages.answer_to("Undo")


@pytest.mark.parametrize("path", WRITTEN_BY_OTHERS)
def test_what_a_schema_takes_is_read_and_what_it_refuses_is_refused(path: str) -> None:
    judge = validator(path)
    for where, altered in alterations(ALL[path].example_value):
        said = judge.is_valid(altered)
        assert said == is_read(ALL[path], altered), (where, said)


def test_the_official_javascript_validator_takes_all_of_it(node: Node) -> None:
    printed = node("schemas.mjs", publish.TOP / publish.SCHEMAS)
    assert int(printed) == len(ALL)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object that a schema describes, however deep."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield schema
        for name, each in schema.items():
            if name != "examples":
                yield from objects(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from objects(each)


def alterations(value: Any) -> Iterator[tuple[str, Any]]:
    """A message with one thing in it left out, added, or another than it should be.

    Each thing is replaced by some of what is strange, another by others.
    """
    for number, path in enumerate(list(paths(value))):
        *outer, last = path
        for strange in STRANGE[number % 5 :: 5]:
            altered = copy.deepcopy(value)
            inner = altered
            for key in outer:
                inner = inner[key]
            inner[last] = strange
            yield f"{path} = {strange!r}", altered
        altered = copy.deepcopy(value)
        inner = altered
        for key in outer:
            inner = inner[key]
        if isinstance(inner, dict):
            inner["unheard_of"] = 1
            yield f"{path} and more", altered
            del inner["unheard_of"], inner[last]
            yield f"{path} left out", altered


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield (key,)
        if isinstance(value[key], dict | list):
            for inner in paths(value[key]):
                yield (key, *inner)


def is_read(message: Message, value: Any) -> bool:
    """Whether we take it for what the contracts describe."""
    payload = msgspec.json.encode(value)
    try:
        if message.family == "query":
            msgspec.json.decode(payload, type=message.of)
        else:
            read = codec.decode_message(payload)
            return read.type == message.name and codec.decode_command(read) is not None
    except (msgspec.ValidationError, Refusal):
        return False
    return True
