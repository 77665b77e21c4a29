"""The OpenAPI document of the questions, from the table of routes."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from goal_contracts.fields import Id

from services.http import openapi
from services.http.openapi import Operation, Parameter
from services.http.problems import Code
from services.projections.http.live import Listening
from services.projections.http.routes import ORGANISATION, ROUTES, STREAM, Route

DESCRIPTION: Final = (
    "Goals and indicators as they stand and as they stood. Every answer says which position of the "
    "log it reflects. An answer about a past that is over has the same bytes for ever."
)
PROBLEMS: Final[tuple[Code, ...]] = (
    "malformed",
    "no_token",
    "invalid_token",
    "other_organisation",
    "not_found",
    "not_yet",
    "unreadable_log",
    "overloaded",
    "keys_unavailable",
    "failed",
)
HEADERS: Final[Mapping[str, str]] = {
    "ETag": "For If-None-Match: of these very bytes, or a weak one, of all but what time it is.",
    "Cache-Control": "For ever, if the answer is about a past that is over; else ask again.",
    "Goal-Ledger-Position": "The position of the log that the answer reflects.",
    "Link": 'Where the rest of the answer is (rel="next"), if there is more.',
}
SAID: Final[Mapping[str, str]] = {
    "organisation": "The organisation; one of the token's.",
    "as_of": "True by then; alone also known by then.",
    "known_at": "Known by then.",
    "unit": "A unit and those below it.",
    "owner": "Whoever has to look after it.",
    "cycle": "A cycle and what belongs to it.",
    "goal": "A goal or an indicator.",
    "kpi": "An indicator.",
    "start": "The first moment; a day is its beginning.",
    "end": "The last moment.",
    "cursor": "The rest of an answer, as its `cursor` says; the other parameters stay the same.",
    "limit": "How much at once; long answers are cut earlier.",
    "at_least": "Wait, for ten seconds at most, until the views reflect this position.",
    "kind": "The kind of thing.",
    "id": "Its id.",
    "view": "The view's name.",
    "week": "A week of the calendar.",
    "by_week": "Also how it stood at each week's end.",
    "before": "The first moment: what is true by then.",
    "before_known_at": "The first moment: what was known then; without it, as `before`.",
    "after": "The second moment: what is true by then; without it and `after_known_at`, now.",
    "after_known_at": "The second moment: what was known then; without it, as `after`.",
    "field": "Only this field, and what is below it.",
    "whole": "Of a cycle, the history of everything in it.",
}


def document() -> bytes:
    """The document, as JSON."""
    operations = (*map(_asked, ROUTES), _listened())
    return openapi.document("Goal Ledger: questions", DESCRIPTION, operations)


def _asked(route: Route) -> Operation:
    return Operation(
        path=ORGANISATION + route.path,
        method="get",
        name=route.name,
        description=inspect.getdoc(route.question) or "",
        problems=PROBLEMS,
        parameters=(
            *_parameters(route, "path", {"organisation": Id, **route.in_path}),
            *_parameters(route, "query", route.in_query),
            Parameter("If-None-Match", "header", str, description="The ETag of an answer."),
        ),
        answer=route.answer,
        answer_description=inspect.getdoc(route.answer) or "",
        answer_headers=HEADERS,
        not_modified=True,
    )


def _parameters(route: Route, place: str, types: Mapping[str, object]) -> Iterator[Parameter]:
    for name, kind in types.items():
        example = "acme" if name == "organisation" else route.example.get(name)
        yield Parameter(name, place, kind, example, SAID.get(name, ""))


def _listened() -> Operation:
    return Operation(
        path=ORGANISATION + STREAM,
        method="get",
        name="listen",
        description="Events as they are stored, one after the other (server-sent events).\n\n"
        "Each has its position as `id`, its type as `event` and the stored CloudEvent as `data`. A "
        "position without an event is a heartbeat. Without Last-Event-ID it begins now; with it, "
        "behind that position, without a gap.",
        problems=PROBLEMS,
        parameters=(
            Parameter("organisation", "path", Id, "acme", SAID["organisation"]),
            *(
                Parameter(field.name, "query", field.type, None, SAID[field.name])
                for field in msgspec.structs.fields(Listening)
            ),
            Parameter("Last-Event-ID", "header", str, "120", "The last position that was seen."),
        ),
        answer_media_type="text/event-stream",
        answer_description="Events, until one side closes.",
    )
