"""The AsyncAPI 3.0 document: every subject, who sends and who answers there, and what is on it.

From our side: we receive commands and questions and reply to them, and send events and alerts.
Its schemas are those of `messages`, with one set of definitions for what we write and one, closed,
for what others write.
"""

import re
from typing import Any, Final, get_args

from goal_contracts import __version__, codec, subjects
from goal_contracts.fields import Kind
from goal_contracts.messages import (
    CLOUD_EVENTS,
    GOAL_KINDS,
    Family,
    Message,
    answer_to,
    is_written_by_others,
    messages,
    payload,
)
from goal_contracts.schema import Schema, SchemaWalk

Part = dict[str, Any]
JSON: Final = "application/json"

STREAM: Final[Part] = {
    "name": subjects.STREAM,
    "subjects": [subjects.LEDGER],
    "retention": "limits",
    "storage": "file",
    "discard": "new",
    "max_msgs": -1,
    "max_bytes": -1,
    "max_age": 0,
    "max_msg_size": codec.EVENT_BYTES_MAX,
    "deny_delete": True,
    "deny_purge": True,
    "allow_direct": True,
    "republish": {"src": subjects.LEDGER, "dest": subjects.EVENTS},
}
"""What a reader may rely on of the stream, in the server's own words; it is never trimmed."""

_CONSUMERS: Final[Part] = {
    "kind": "pull",
    "api_prefix": subjects.IMPORTED_API,
    "requests": [
        f"CONSUMER.CREATE.{subjects.STREAM}.{{name}}.{{filter_subject}}",
        f"CONSUMER.INFO.{subjects.STREAM}.{{name}}",
        f"CONSUMER.DELETE.{subjects.STREAM}.{{name}}",
        f"CONSUMER.MSG.NEXT.{subjects.STREAM}.{{name}}",
    ],
    "permitted": "of JetStream's API these requests, below the prefix, and no other: tell a library"
    " that wants to look at the account or the stream first not to. What is not permitted gets no"
    " answer, but the server says so on the connection",
    "name": "one that the server's settings name for the user (who runs `up` may take any), for one"
    " reader at a time: delete the consumer of a former life before you make yours",
    "config": {
        "filter_subject": subjects.LEDGER.removesuffix(">") + "{organisation}.>",
        "ack_policy": "none",
    },
    "narrower": "a `filter_subject` may be narrower than that one; `filter_subjects` is not taken",
    "start": {
        "beginning": {"deliver_policy": "all"},
        "position": {"deliver_policy": "by_start_sequence", "opt_start_seq": "{position + 1}"},
        "date": {"deliver_policy": "by_start_time", "opt_start_time": "{date-time}"},
    },
    "date": "events stored at that instant or later, by the server's clock: a moment after their"
    " `time`. It is neither `knownat` nor `effectiveat`: history is stored when it is imported",
    "payload": "a CloudEvent in structured JSON, in one line",
    "position": "the stream sequence of a message; keep that of the last event together with what"
    " you make of it, and begin after it",
    "order": "positions go up: for one organisation, and over all of them, it is the order in which"
    " things happened",
    "delivery": "under `ack_policy` none each message is sent once: what was under way when a"
    " connection broke does not come again. A consumer counts what it delivers, from 1: when its"
    " count leaves one out, when it is silent without heartbeats, or when it is gone (a restart of"
    " the server is enough), make it anew after the last position kept",
    "acknowledged": "`ack_policy` explicit is permitted, too, to readers that keep no position: at"
    " least once, and what is sent again comes out of order",
    "gaps": "positions between two events of an organisation belong to others; the stream itself"
    " leaves none out",
}

_SECURITY: Final[Part] = {
    "nkey": {
        "type": "asymmetricEncryption",
        "description": "An nkey (Ed25519) of NATS: the seed stays with the client, the public key "
        "is in the server's settings, which make the actor of a command true and keep "
        "organisations apart. They say of each key whether it is a client's (commands as itself, "
        "questions), a subscriber's (events, questions) or an operator's (all of it for its "
        "organisation); nothing else has to be named to connect. Replies and what is pulled come "
        "to inboxes below `_INBOX_` and the public key: tell the client's library that prefix, no "
        "other is permitted.",
        "x-inbox-prefix": f"{subjects.INBOX_PREFIX}{{public_key}}",
    },
}

_TRAITS: Final[Part] = {
    "event": {
        "contentType": codec.CONTENT_TYPE,
        "correlationId": {
            "description": "What the sender of the command ties together with it, if anything.",
            "location": "$message.payload#/correlationid",
        },
        "tags": [{"name": "event"}],
    },
    "alert": {"contentType": codec.CONTENT_TYPE, "tags": [{"name": "alert"}]},
    "command": {
        "contentType": JSON,
        "correlationId": {
            "description": "The command's own id; the events and the reply carry it.",
            "location": "$message.payload#/id",
        },
        "tags": [{"name": "command"}],
    },
    "query": {"contentType": JSON, "tags": [{"name": "query"}]},
    "reply": {"contentType": JSON, "tags": [{"name": "reply"}]},
}
"""What all messages of a family have in common."""

HEADERS: Final[Part] = {
    "type": "object",
    "description": "The content type, and in the live tail what the server says of the stored one.",
    "properties": {
        "content-type": {"const": codec.CONTENT_TYPE},
        "Nats-Stream": {"type": "string", "description": "The stream it is stored in."},
        "Nats-Subject": {"type": "string", "description": "The subject it is stored under."},
        "Nats-Sequence": {
            "type": "string",
            "pattern": "^[1-9][0-9]*$",
            "description": "Its position: the stream sequence.",
        },
        "Nats-Last-Sequence": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "The position of the one before it under the same subject; 0, none.",
        },
        "Nats-Time-Stamp": {"type": "string", "description": "When the server stored it."},
    },
}

_ALERT_HEADERS: Final[Part] = {
    "type": "object",
    "description": "The content type, and what tells the same alert from another.",
    "properties": {
        "content-type": {"const": codec.CONTENT_TYPE},
        "Nats-Msg-Id": {
            "type": "string",
            "description": "Organisation and alert: a stream that keeps alerts drops one that comes"
            " again.",
        },
    },
}

_PARAMETERS: Final[Part] = {
    "organisation": {"description": "The organisation's id.", "examples": ["acme"]},
    "actor": {"description": "Who asks: each only under its own id.", "examples": ["u-17"]},
    "kind": {"description": "The kind of thing it happened to.", "enum": list(get_args(Kind))},
    "id": {"description": "The thing's id.", "examples": ["kr-uptime"]},
    "owner": {"description": "Who should look: each may hear its own.", "examples": ["u-17"]},
    "event": {"description": "The event's name.", "examples": ["KeyResultRetargeted"]},
}

_DESCRIPTION: Final = """\
Goals and indicators as a ledger: every change is one immutable event.

Ask for a change on a command's subject, and the reply says whether it is accepted, with the
position of its last event, or refused, with the reason. Events are stored in a JetStream stream and
sent on once they are. Questions are answered from views that follow the stream.

A published event is frozen: an optional field may be added to it, so leave aside what you do not
know; anything else is a new version of its type. A field left out has its default. Numbers of
record are decimals, written as text.
"""


def document() -> Part:
    """The whole document."""
    ours = SchemaWalk("#/components/schemas/{}".format, closed=False)
    theirs = SchemaWalk("#/components/schemas/asked.{}".format, closed=True)
    all_messages = tuple(messages())
    described = {
        key(message): _message(message, theirs if is_written_by_others(message) else ours)
        for message in all_messages
    }
    asked = {f"asked.{name}": schema for name, schema in theirs.definitions.items()}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:goal-ledger",
        "info": _info(),
        "defaultContentType": JSON,
        "servers": {"nats": _server()},
        "channels": _channels(all_messages),
        "operations": _operations(all_messages),
        "components": {
            "messages": described,
            "messageTraits": _TRAITS,
            "schemas": dict(sorted((ours.definitions | asked).items())),
            "securitySchemes": _SECURITY,
        },
    }


def key(message: Message) -> str:
    """The name of a message in the document: of its kind, as an event and a reply may share one."""
    return f"{message.family}.{message.name}"


def _info() -> Part:
    return {
        "title": "Goal Ledger",
        "version": __version__,
        "description": _DESCRIPTION,
        "contact": {"name": "Goal Ledger"},
        "license": {
            "name": "Apache-2.0",
            "url": "https://www.apache.org/licenses/LICENSE-2.0",
        },
        "tags": [{"name": name} for name in _TRAITS],
    }


def _server() -> Part:
    return {
        "host": "{host}:{port}",
        "protocol": "nats",
        "description": "The NATS server, or any of a cluster, with JetStream.",
        "variables": {
            "host": {"default": "localhost", "description": "Where the server is."},
            "port": {"default": "4222", "description": "Where it takes clients."},
        },
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SECURITY],
    }


def _message(message: Message, walk: SchemaWalk) -> Part:
    body: Schema = payload(message, walk)
    described: Part = {
        "name": message.name,
        "title": message.name,
        "summary": message.said.partition("\n\n")[0],
        "payload": body,
        "examples": [{"name": message.name, "payload": message.example_value}],
        "traits": [{"$ref": f"#/components/messageTraits/{message.family}"}],
        "x-json-schema": f"schemas/{message.path}",
    }
    headers = {"event": HEADERS, "alert": _ALERT_HEADERS}.get(message.family)
    return described | ({"headers": headers} if headers else {})


def _named(message: Message) -> Part:
    return {message.name: {"$ref": f"#/components/messages/{key(message)}"}}


def _of(all_messages: tuple[Message, ...], family: Family) -> Part:
    named: Part = {}
    for message in all_messages:
        if message.family == family:
            named |= _named(message)
    return named


def _channels(all_messages: tuple[Message, ...]) -> Part:
    replies = _of(all_messages, "reply")
    channels: Part = {
        "ledger": {
            "address": subjects.ledger("{organisation}", "{kind}", "{id}", "{event}"),
            "title": "What is stored",
            "description": f"The stream {subjects.STREAM}. Only the ledger may publish here.",
            "parameters": {
                name: _PARAMETERS[name] for name in ("organisation", "kind", "id", "event")
            },
            "messages": _of(all_messages, "event"),
            "x-jetstream": {"stream": STREAM, "consumers": _CONSUMERS},
        },
        "reply": {
            "address": None,
            "title": "The reply to a request",
            "description": "The inbox that the client names when it asks, as NATS does it.",
            "messages": replies,
        },
    }
    for message in all_messages:
        if message.family != "reply":
            channels[key(message)] = _channel(message)
    return channels


def _channel(message: Message) -> Part:
    parameters = {name: _PARAMETERS[name] for name in re.findall(r"{(\w+)}", message.subject)}
    if "kind" in parameters:
        parameters["kind"] = {**parameters["kind"], "enum": list(GOAL_KINDS)}
    return {
        "address": message.subject,
        "title": message.name,
        "description": message.said,
        "parameters": parameters,
        "messages": _named(message),
    }


def _operations(all_messages: tuple[Message, ...]) -> Part:
    operations: Part = {
        "record": {
            "action": "send",
            "channel": {"$ref": "#/channels/ledger"},
            "title": "Record what happened",
            "summary": "The one append that makes it true; all of a command's events, or none.",
        }
    }
    for message in all_messages:
        if message.family != "reply":
            operations[key(message)] = _operation(message)
    return operations


def _operation(message: Message) -> Part:
    channel = f"#/channels/{key(message)}"
    operation: Part = {
        "action": "send" if message.family in CLOUD_EVENTS else "receive",
        "channel": {"$ref": channel},
        "title": message.name,
        "summary": message.said.partition("\n\n")[0],
        "tags": [{"name": message.family}],
        "messages": [{"$ref": f"{channel}/messages/{message.name}"}],
    }
    if message.family == "command":
        operation["reply"] = _reply("Accepted", "Refused")
    if message.family == "query":
        operation["reply"] = _reply(answer_to(message.name), "QueryRefused")
    return operation


def _reply(*names: str) -> Part:
    return {
        "channel": {"$ref": "#/channels/reply"},
        "messages": [{"$ref": f"#/channels/reply/messages/{name}"} for name in names],
    }
