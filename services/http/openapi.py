"""The OpenAPI 3.1 document of a service, made from the very structs that go over the wire.

Litestar would make one from its handlers' signatures, but it writes a decimal as a number and knows
no tagged unions; msgspec describes what it encodes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from goal_contracts.schema import Schema, SchemaWalk
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from services.http.problems import MEDIA_TYPE, REASON_STATUSES, RULE_STATUS, STATUSES, Code, Problem
from services.http.problems import type_of as problem_type

VERSION: Final = "3.1.0"
API_VERSION: Final = "1"
JSON: Final = "application/json"
REF: Final = "#/components/schemas/{}"
MEANINGS: Final[Mapping[Code, str]] = {
    "malformed": "the request is not what this document says",
    "no_token": "there is no bearer token",
    "invalid_token": "the token is not accepted",
    "other_organisation": "the token is for another organisation",
    "not_permitted": "the bearer's role or units do not reach so far",
    "not_found": "what is asked for is not there, or was not yet there at that moment",
    "method_not_allowed": "the path knows other methods",
    "not_yet": "the views have not read so far yet: ask again after Retry-After",
    "too_large": "the body is larger than is taken",
    "media_type": "the body is not application/json",
    "failed": "a fault of ours, which the service's log tells",
    "unreadable_log": "the views cannot be read, or cannot go on to that position",
    "overloaded": "there is more to do than there is room: ask again after Retry-After",
    "keys_unavailable": "the issuer's keys cannot be read",
    "not_the_writer": "another ledger writes: ask that one, or again after Retry-After",
    "outcome_unknown": "no answer in time: ask again with the same id to learn the outcome",
}


class Parameter(Struct, frozen=True):
    """A parameter: where it is, what it may be."""

    name: str
    place: str
    type: Any
    example: str | None = None
    description: str = ""


class Operation(Struct, frozen=True):
    """What may be asked at a path, and what is answered."""

    path: str
    method: str
    name: str
    description: str
    problems: Sequence[Code]
    parameters: Sequence[Parameter] = ()
    body: Callable[[SchemaWalk], Schema] | None = None
    body_examples: Mapping[str, Any] = {}
    answer: Any = None
    answer_media_type: str = JSON
    answer_description: str = "The answer."
    answer_headers: Mapping[str, str] = {}
    not_modified: bool = False
    reasons: bool = False
    """Whether a command can be refused here, with a reason as the code."""


def document(title: str, description: str, operations: Iterable[Operation]) -> bytes:
    """The document, as JSON."""
    walk = SchemaWalk(REF.format, closed=False)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, walk)
    return msgspec.json.encode(
        {
            "openapi": VERSION,
            "info": {
                "title": title,
                "version": API_VERSION,
                "description": description,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "security": [{"bearer": []}],
            "components": {
                "schemas": walk.definitions,
                "securitySchemes": {
                    "bearer": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "Claims: iss, aud, exp, sub (the actor), org (an id or a "
                        "list of them), role, units (ids; left out, everywhere).",
                    }
                },
            },
        }
    )


def described(body: bytes) -> HTTPRouteHandler:
    """Where the document is served; it needs no token."""

    @get("/schema", sync_to_thread=False)
    def schema() -> Response[bytes]:
        return Response(body, media_type="application/vnd.oai.openapi+json;version=3.1")

    return schema


def _operation(operation: Operation, walk: SchemaWalk) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.description.partition("\n")[0],
        "description": operation.description,
        "parameters": [_parameter(each, walk) for each in operation.parameters],
        "responses": _responses(operation, walk),
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {
                JSON: {
                    "schema": operation.body(walk),
                    "examples": {
                        name: {"value": value} for name, value in operation.body_examples.items()
                    },
                }
            },
        }
    return described


def _parameter(parameter: Parameter, walk: SchemaWalk) -> dict[str, Any]:
    schema = _without_null(walk.schema(parameter.type))
    told = {"description": parameter.description} if parameter.description else {}
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "schema": schema,
        **told,
        **({} if parameter.example is None else {"example": parameter.example}),
    }


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parameter that is not there is left out; it has no null."""
    options = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(options) == 1:
        return {**{name: value for name, value in schema.items() if name != "anyOf"}, **options[0]}
    return schema


def _responses(operation: Operation, walk: SchemaWalk) -> dict[str, Any]:
    headers = {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in operation.answer_headers.items()
    }
    schema = {"type": "string"} if operation.answer is None else walk.schema(operation.answer)
    responses: dict[str, Any] = {
        "200": {
            "description": operation.answer_description,
            "headers": headers,
            "content": {operation.answer_media_type: {"schema": schema}},
        }
    }
    if operation.not_modified:
        responses["304"] = {"description": "The answer is the one of If-None-Match."}
    codes: dict[int, dict[str, str]] = {}
    for code in operation.problems:
        codes.setdefault(STATUSES[code], {})[code] = MEANINGS[code]
    if operation.reasons:
        for reason, status in REASON_STATUSES.items():
            codes.setdefault(status, {}).setdefault(reason, "a refusal of the contracts")
        codes[RULE_STATUS] = {"cycle_not_open": "a rule is against it: a refusal of the contracts"}
    for status, meanings in sorted(codes.items()):
        responses[str(status)] = _problem_response(status, meanings, walk)
    return responses


def _problem_response(status: int, meanings: Mapping[str, str], walk: SchemaWalk) -> dict[str, Any]:
    examples = {
        code: {
            "value": {
                "type": problem_type(code),
                "title": HTTPStatus(status).phrase,
                "status": status,
                "detail": meaning,
                "code": code,
            }
        }
        for code, meaning in meanings.items()
    }
    return {
        "description": "; ".join(f"`{code}`: {meaning}" for code, meaning in meanings.items()),
        "content": {MEDIA_TYPE: {"schema": walk.schema(Problem), "examples": examples}},
    }
