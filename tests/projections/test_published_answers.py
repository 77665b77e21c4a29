"""What the views answer is what the published schemas of the replies promise."""

import json

import pytest
from goal_contracts import codec, messages, queries
from goal_contracts.queries import (
    AsOf,
    CycleReport,
    ExportView,
    History,
    Query,
    Readings,
    Replay,
    WeeklyDigest,
)
from jsonschema import Draft202012Validator

from services.projections.view_store.store import ViewStore
from tests.projections import company
from tests.projections.log import ORGANISATION, Asker, fill

VALIDATORS = {
    schema["properties"]["reply"]["const"]: Draft202012Validator(
        schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    for message in messages.messages()
    if message.of in queries.Answer.__args__
    for schema in [messages.schema_of(message)]
}
ASKED: list[Query] = [
    AsOf(),
    AsOf(goal="kpi/kpi"),
    AsOf(as_of="2025-07-02", known_at="2025-12-31"),
    *(AsOf(as_of=f"@{position}") for position in range(1, len(company.life()), 5)),
    History(kind="organisation", id=ORGANISATION),
    History(kind="objective", id="uptime"),
    History(kind="key_result", id="kr"),
    History(kind="kpi", id="kpi"),
    Readings(kpi="kpi"),
    Replay(cycle="q3"),
    Replay(),
    CycleReport(cycle="q3"),
    CycleReport(cycle="q3", by_week=True),
    *(WeeklyDigest(week=f"2025-W{week}") for week in (26, 27, 28)),
    ExportView(view="goal_version"),
]


@pytest.fixture
def filled(store: ViewStore) -> ViewStore:
    fill(store, company.life())
    return store


def test_every_answer_follows_its_schema(filled: ViewStore, ask: Asker) -> None:
    seen = set()
    for query in ASKED:
        answer = json.loads(ask.raw(query))
        VALIDATORS[answer["reply"]].validate(answer)
        seen.add(answer["reply"])
    assert seen == {"goals", "changes", "readings", "events", "report", "view", "digest"}


def test_what_is_stored_follows_the_schemas_of_events() -> None:
    """Every event there is, with the fields that a life gives it."""
    schemas = messages.schemas()
    for recorded in company.life():
        stored = json.loads(codec.encode_event(recorded))
        # The log of these tests counts its events; the ledger gives them ids.
        stored["id"] = "01980000-0000-7000-8000-000000000001"
        path = f"events/{recorded.type}.v1.json"
        Draft202012Validator(
            schemas[path], format_checker=Draft202012Validator.FORMAT_CHECKER
        ).validate(stored)
