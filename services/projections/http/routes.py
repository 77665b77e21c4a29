"""Which path asks which question: a new question is one line of this table.

What of a question is not in its path is a parameter of the same name.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from goal_contracts.fields import Id
from goal_contracts.queries import (
    AlertList,
    Alerts,
    AsOf,
    Blame,
    Blamed,
    Changes,
    CycleReport,
    Diff,
    Differences,
    Digest,
    Events,
    ExportView,
    Goals,
    History,
    InsightList,
    Insights,
    Position,
    Query,
    Readings,
    ReadingSeries,
    Replay,
    Report,
    RolledUp,
    RollUps,
    ViewPage,
    ViewPosition,
    WeeklyDigest,
)
from msgspec import Struct

ORGANISATION: Final = "/api/v1/organisations/{organisation}"
STREAM: Final = "/events/stream"


class Route(Struct, frozen=True):
    """A path below the organisation's, its name, the question it asks and what is answered.

    `example` is a question worth asking, as its path's and its other parameters. Where `joined`
    names a field, that is the path's kind and id as a reference.
    """

    path: str
    name: str
    question: type[Query]
    answer: type[Struct]
    example: Mapping[str, str]
    joined: str | None = None

    @property
    def in_path(self) -> Mapping[str, Any]:
        """The parameters in the path, with their types."""
        named = re.findall(r"\{(\w+)\}", self.path)
        if self.joined is not None:
            return {"kind": Literal["objective", "key_result", "kpi"], "id": Id}
        types = {field.name: field.type for field in msgspec.structs.fields(self.question)}
        return {name: types[name] for name in named}

    @property
    def in_query(self) -> Mapping[str, Any]:
        """All other parameters, with their types."""
        return {
            field.name: field.type
            for field in msgspec.structs.fields(self.question)
            if field.name not in self.in_path and field.name != self.joined
        }

    def read(self, in_path: Mapping[str, str], in_query: Mapping[str, str]) -> Query:
        """The question that is asked; msgspec.ValidationError if it is none."""
        for name in in_query:
            if name not in self.in_query:
                raise msgspec.ValidationError(f"there is no parameter of that name: {name[:64]}")
        fields = {**in_path, **in_query}
        if self.joined is not None:
            fields[self.joined] = f"{fields.pop('kind')}/{fields.pop('id')}"
        return msgspec.convert(fields, self.question, strict=False)


ROUTES: Final = (
    Route("/goals", "goals", AsOf, Goals, {"as_of": "2025-09-30", "unit": "platform"}),
    Route(
        "/goals/{kind}/{id}",
        "one_goal",
        AsOf,
        Goals,
        {"kind": "key_result", "id": "kr-1", "as_of": "@120"},
        joined="goal",
    ),
    Route(
        "/history/{kind}/{id}", "history", History, Changes, {"kind": "key_result", "id": "kr-1"}
    ),
    Route("/diff", "diff", Diff, Differences, {"before": "2025-07-01", "after": "2025-09-30"}),
    Route("/blame/{kind}/{id}", "blame", Blame, Blamed, {"kind": "key_result", "id": "kr-1"}),
    Route("/kpis/{kpi}/readings", "readings", Readings, ReadingSeries, {"kpi": "uptime"}),
    Route("/events", "replay", Replay, Events, {"cycle": "2025-q3", "start": "2025-07-01"}),
    Route("/cycles/{cycle}/report", "cycle_report", CycleReport, Report, {"cycle": "2025-q3"}),
    Route("/digest", "weekly_digest", WeeklyDigest, Digest, {"as_of": "2025-09-30"}),
    Route("/alerts", "alerts", Alerts, AlertList, {"as_of": "2025-08-31", "owner": "u-17"}),
    Route("/insights", "insights", Insights, InsightList, {"cycle": "2025-q3"}),
    Route("/roll-ups", "roll_ups", RollUps, RolledUp, {"as_of": "2025-09-30", "cycle": "2025-q3"}),
    Route("/views/{view}", "export_view", ExportView, ViewPage, {"view": "goal_version"}),
    Route("/position", "position", Position, ViewPosition, {}),
)
