"""The OpenAPI document of the commands, from the contracts."""

import inspect
from typing import Any, Final

import msgspec
from goal_contracts.codec import CommandMessage
from goal_contracts.commands import COMMANDS as BY_NAME
from goal_contracts.examples import COMMAND_EXAMPLES
from goal_contracts.fields import Id
from goal_contracts.replies import Accepted
from goal_contracts.schema import Schema, SchemaWalk

from services.http import openapi
from services.http.openapi import Operation
from services.http.problems import Code

COMMANDS: Final = "/api/v1/commands"
DESCRIPTION: Final = (
    "Commands to the ledger. Each has an id of the sender's choice; sent again under it, it is "
    "answered as it was the first time and recorded once."
)
PROBLEMS: Final[tuple[Code, ...]] = (
    "malformed",
    "no_token",
    "invalid_token",
    "other_organisation",
    "not_permitted",
    "too_large",
    "media_type",
    "failed",
    "overloaded",
    "keys_unavailable",
    "not_the_writer",
    "outcome_unknown",
)


def document() -> bytes:
    """The document, as JSON."""
    command = Operation(
        path=COMMANDS,
        method="post",
        name="command",
        description="Ask the ledger for something.\n\nThe actor is the token's; what it may ask "
        "for, the token's role and units say.",
        problems=PROBLEMS,
        body=_body,
        body_examples={name: _example(message) for name, message in COMMAND_EXAMPLES.items()},
        answer=Accepted,
        answer_description=inspect.getdoc(Accepted) or "",
        reasons=True,
    )
    return openapi.document("Goal Ledger: commands", DESCRIPTION, [command])


def _body(walk: SchemaWalk) -> Schema:
    """The message with the organisation, once for each command."""
    envelope = {field.name: field for field in msgspec.structs.fields(CommandMessage)}
    around = {
        name: walk.schema(field.type)
        for name, field in envelope.items()
        if name not in {"type", "data"}
    }
    return {
        "oneOf": [
            {
                "type": "object",
                "title": name,
                "description": inspect.getdoc(kind),
                "properties": {
                    "organisation": walk.schema(Id),
                    **around,
                    "type": {"const": name},
                    "data": walk.schema(kind),
                },
                "required": ["organisation", "id", "type", "data"],
                "additionalProperties": False,
            }
            for name, kind in BY_NAME.items()
        ]
    }


def _example(message: bytes) -> dict[str, Any]:
    return {"organisation": "acme", **msgspec.json.decode(message, type=dict[str, Any])}
