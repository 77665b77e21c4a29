"""Several organisations in one stream, with the same ids: none sees anything of another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from goal_contracts.queries import (
    QUERIES,
    Alerts,
    AsOf,
    Blame,
    CycleReport,
    Diff,
    ExportView,
    Goals,
    History,
    Insights,
    Position,
    Query,
    Readings,
    Replay,
    RollUps,
    ViewPage,
    WeeklyDigest,
)
from msgspec.structs import replace

from services.projections.cannot_answer import CannotAnswer
from services.projections.view_store import schema
from services.projections.view_store.store import ViewStore
from tests.projections.company import life
from tests.projections.log import ORGANISATION, Asker, Log, rows_of, view_store

OTHER: Final = "umbrella"


def both() -> Log:
    """The same life twice, in turns; the other one is further in what it calls things."""
    log = Log()
    for recorded in life():
        for organisation_id in (OTHER, ORGANISATION):
            event: Any = recorded.event
            if recorded.kind == "organisation":
                event = replace(event, organisation_id=organisation_id)
            if organisation_id == OTHER and hasattr(event, "title"):
                event = replace(event, title=f"{event.title} of {OTHER}")
            log.add(
                event,
                known_at=recorded.known_at,
                organisation_id=organisation_id,
                actor=f"{organisation_id}-1",
            )
    return log


@pytest.fixture
def together(store: ViewStore) -> ViewStore:
    log = both()
    store.write(rows_of(log, store), 1, len(log))
    return store


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ViewStore]:
    """The same stream, but of the other organisation nothing is kept."""
    store = view_store(tmp_path / "alone")
    log = both()
    own = [each for each in log if each.organisation_id == ORGANISATION]
    store.write(rows_of(own, store), 1, len(log))
    yield store
    store.close()


def questions() -> Iterator[Query]:
    """Every kind of question, at positions of the one, of the other, and now."""
    for moment in (None, "2025-07-02", "@21", "@22", "@60"):
        yield AsOf(as_of=moment, limit=3)
        yield AsOf(as_of=moment, unit="company", limit=2)
        yield AsOf(as_of="2025-07-03", known_at=moment, goal="key_result/kr")
        yield Readings(kpi="kpi", as_of=moment, limit=1)
        yield CycleReport(cycle="q3", as_of=moment, limit=1)
        yield WeeklyDigest(as_of=moment, limit=2)
        yield Alerts(as_of=moment, limit=2)
        yield Insights(as_of=moment, limit=2)
        yield RollUps(as_of=moment, limit=2)
        yield Replay(as_of=moment, limit=4)
        yield Replay(cycle="q3", end=moment, limit=4)
        yield History(kind="cycle", id="q3", whole=True, as_of=moment, limit=5)
        yield Diff(before="@8", after=moment, limit=2)
        yield Diff(before="@8", after=moment, unit="platform", limit=2)
        for kind in ("unit", "cycle", "objective", "key_result", "kpi"):
            name = {"unit": "sales", "cycle": "q3", "objective": "uptime", "key_result": "kr"}
            thing: dict[str, Any] = {"kind": kind, "id": name.get(kind, "kpi"), "as_of": moment}
            yield History(**thing, limit=3)
            yield Blame(**thing, limit=3)
    for view in schema.VIEWS:
        yield ExportView(view=view, limit=5)
    yield Position()


def test_an_organisation_is_answered_as_if_it_were_alone(
    together: ViewStore, alone: ViewStore
) -> None:
    asked = set[type[Any]]()
    ask, ask_alone = Asker(together), Asker(alone)
    for query in questions():
        assert all_pages(ask, query) == all_pages(ask_alone, query), query
        asked.add(type(query))
    assert asked == set(QUERIES.values())


def test_a_cursor_of_another_organisation_opens_nothing_of_it(
    together: ViewStore, alone: ViewStore
) -> None:
    ask, ask_alone, ask_other = Asker(together), Asker(alone), Asker(together, OTHER)
    for query in questions():
        if isinstance(query, Position):
            continue
        for page in all_pages(ask_other, query)[:-1]:
            going_on = replace(query, cursor=msgspec.json.decode(page)["cursor"])
            assert all_pages(ask, going_on) == all_pages(ask_alone, going_on), going_on


def test_a_goal_of_another_organisation_is_not_found(store: ViewStore) -> None:
    log = both()
    own = [each for each in log if each.kind in {"organisation", "unit"}]
    theirs = [each for each in log if each.organisation_id == OTHER]
    kept = sorted({*own, *theirs}, key=lambda each: each.position)
    store.write(rows_of(kept, store), 1, len(log))
    assert Asker(store, OTHER)(AsOf(goal="objective/uptime"), Goals).objectives
    for query in (
        AsOf(goal="objective/uptime"),
        AsOf(cycle="q3"),
        Readings(kpi="kpi"),
        CycleReport(cycle="q3"),
        Replay(cycle="q3"),
        History(kind="key_result", id="kr"),
        Blame(kind="key_result", id="kr"),
        Diff(before="@1", before_known_at="2025-12-31", goal="objective/uptime"),
    ):
        with pytest.raises(CannotAnswer) as refused:
            Asker(store).raw(query)
        assert refused.value.why in {"not_found", "malformed"}


def test_no_exported_row_is_of_another_organisation(together: ViewStore) -> None:
    for view in schema.VIEWS:
        for page in Asker(together).pages(ExportView(view=view, limit=50)):
            assert isinstance(page, ViewPage)
            rows = [msgspec.json.decode(row) for row in page.rows]
            assert {row["organisation_id"] for row in rows} <= {ORGANISATION}


def all_pages(ask: Asker, query: Any) -> list[bytes]:
    """As they come over the wire; a refusal is a page."""
    pages = []
    while True:
        try:
            pages.append(ask.raw(query))
        except CannotAnswer as refused:
            return [*pages, f"{refused.why}: {refused}".encode()]
        cursor = msgspec.json.decode(pages[-1]).get("cursor")
        if cursor is None:
            return pages
        query = replace(query, cursor=cursor)
