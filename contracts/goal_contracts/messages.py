"""Every message of the contracts with its JSON Schema 2020-12, one by one.

An event's schema is that of the whole envelope. Within it the schema of the data is a resource of
its own: its `$id` is what the envelope names in `dataschema`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, Literal

from msgspec import Struct

from goal_contracts import examples, subjects
from goal_contracts.codec import (
    ALERT,
    ALERT_VERSION,
    SCHEMA_BASE,
    AlertMessage,
    CloudEvent,
    CommandMessage,
    event_schema,
    event_type,
)
from goal_contracts.commands import COMMANDS
from goal_contracts.events import EVENTS
from goal_contracts.queries import QUERIES, Alert, Answer
from goal_contracts.replies import Reply
from goal_contracts.schema import Schema, SchemaWalk, said_of
from goal_contracts.upcasting import version_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
GOAL_KINDS: Final = ("objective", "key_result", "kpi")
"""What a comment may be about: the one event that happens to things of several kinds."""
Family = Literal["event", "alert", "command", "query", "reply"]
CLOUD_EVENTS: Final[Mapping[Family, type[Struct]]] = {"event": CloudEvent, "alert": AlertMessage}
"""What is sent as a CloudEvent, with its envelope."""


class Message(Struct, frozen=True):
    """One message: its name, which kind it is, what it says, and an example of it.

    `version` is a CloudEvent's, else 0. `of` is the struct of its data, or of all of it.
    """

    family: Family
    name: str
    version: int
    of: type[Struct]
    example: bytes

    @property
    def path(self) -> str:
        """Where its schema stands among the schemas: events/CheckedIn.v1.json."""
        folder = {"query": "queries", "reply": "replies"}.get(self.family, f"{self.family}s")
        version = f".v{self.version}" if self.version else ""
        return f"{folder}/{self.name}{version}.json"

    @property
    def schema_id(self) -> str:
        """The name of its schema: a URN, so that it stays the same wherever the schema is kept."""
        version = f":v{self.version}" if self.version else ""
        return f"{SCHEMA_BASE}{self.name}{version}:{self.family}"

    @property
    def data_schema_id(self) -> str:
        """The name of the schema of a CloudEvent's data."""
        return event_schema(self.name, self.version)

    @property
    def kind(self) -> str:
        """The kind of thing that an event happens to; "" where there are several."""
        kind = getattr(self.of, "kind", None)
        return kind if isinstance(kind, str) else ""

    @property
    def subject(self) -> str:
        """Where it is sent, with the names of what is to be filled in; "" for a reply."""
        match self.family:
            case "event":
                return subjects.event("{organisation}", self.kind or "{kind}", "{id}", self.name)
            case "alert":
                return subjects.alert("{organisation}", "{owner}")
            case "command":
                return subjects.command("{organisation}", "{actor}", self.name)
            case "query":
                return subjects.query("{organisation}", self.name)
            case "reply":
                return ""

    @property
    def said(self) -> str:
        """What it is, in its own docstring's words."""
        return said_of(self.of)

    @property
    def example_value(self) -> Any:  # noqa: ANN401  # JSON
        """The example as JSON has it."""
        return json.loads(self.example)


def messages() -> Iterator[Message]:
    """All of them: events, alerts, commands, queries, and the replies to either."""
    for name, event in EVENTS.items():
        yield Message("event", name, version_of(name), event, examples.EVENT_EXAMPLES[name])
    yield Message("alert", ALERT, ALERT_VERSION, Alert, examples.ALERT_EXAMPLES[ALERT])
    for name, command in COMMANDS.items():
        yield Message("command", name, 0, command, examples.COMMAND_EXAMPLES[name])
    for name, query in QUERIES.items():
        yield Message("query", name, 0, query, examples.QUERY_EXAMPLES[name])
    for reply in Reply.__args__:
        name = reply.__name__
        yield Message("reply", name, 0, reply, examples.REPLY_EXAMPLES[name])
    for answer in Answer.__args__:
        name = answer.__name__
        yield Message("reply", name, 0, answer, examples.ANSWER_EXAMPLES[name])


def answer_to(query: str) -> str:
    """The name of the answer to a query, as that answer's docstring says it; ValueError without."""
    for answer in Answer.__args__:
        if re.match(rf"The answer to {query}\b", said_of(answer)):
            return str(answer.__name__)
    raise ValueError(f"no answer says of itself that it is the answer to {query}")


def schema_of(message: Message) -> Schema:
    """The JSON Schema of a message, complete in itself."""
    walk = SchemaWalk("#/$defs/{}".format, closed=is_written_by_others(message))
    body = payload(message, walk)
    head: Schema = {"$schema": DIALECT, "$id": message.schema_id}
    tail: Schema = {"examples": [message.example_value]}
    if message.family in CLOUD_EVENTS:
        # References inside a resource are looked up in it, so its definitions stand there, too.
        data = {"$id": message.data_schema_id, **body["properties"]["data"]}
        body["properties"]["data"] = _with_definitions(data, walk)
        return {**head, **body, **tail}
    return {**head, **_with_definitions(body, walk), **tail}


def is_written_by_others(message: Message) -> bool:
    """Whether others write it and we read it, and so no field may be overlooked."""
    return message.family in {"command", "query"}


def payload(message: Message, walk: SchemaWalk) -> Schema:
    """What is on the wire, as JSON Schema without its definitions: `walk` has them."""
    match message.family:
        case "event" | "alert":
            return _envelope(message, walk)
        case "command":
            return _asked(message, walk)
        case _:
            return walk.message(message.of)


def _with_definitions(schema: Schema, walk: SchemaWalk) -> Schema:
    return (
        {**schema, "$defs": dict(sorted(walk.definitions.items()))} if walk.definitions else schema
    )


def _envelope(message: Message, walk: SchemaWalk) -> Schema:
    schema = walk.message(CLOUD_EVENTS[message.family])
    schema["title"] = message.name
    schema["description"] = message.said
    kind = message.kind or f"({'|'.join(GOAL_KINDS)})"
    ids: Schema = {"format": "uuid"} if message.family == "event" else {"minLength": 1}
    for name, narrower in {
        "specversion": {"const": "1.0"},
        "id": ids,
        "source": {"pattern": "^/goals/[A-Za-z0-9_-]{1,64}$"},
        "type": {"const": event_type(message.name, message.version)},
        "subject": {"pattern": f"^{kind}/[A-Za-z0-9_-]{{1,64}}$"},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"const": message.data_schema_id},
    }.items():
        schema["properties"][name] |= narrower
    said = schema["properties"]["data"]["description"]
    schema["properties"]["data"] = {**walk.message(message.of), "description": said}
    return schema


def _asked(message: Message, walk: SchemaWalk) -> Schema:
    schema = walk.message(CommandMessage)
    schema["title"] = message.name
    schema["description"] = message.said
    schema["properties"]["type"] |= {"const": message.name}
    said = schema["properties"]["data"]["description"]
    schema["properties"]["data"] = {**walk.message(message.of), "description": said}
    return schema


@cache
def schemas() -> dict[str, Schema]:
    """Every message's schema by its path."""
    return {message.path: schema_of(message) for message in messages()}
