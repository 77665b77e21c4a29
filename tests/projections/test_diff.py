"""What is different at one moment from how it was at another, and who is behind it."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from goal_contracts import events
from goal_contracts.measures import Metric
from goal_contracts.queries import (
    AsOf,
    Blame,
    Blamed,
    Change,
    Changes,
    Diff,
    Difference,
    Differences,
    Events,
    Goals,
    History,
    Replay,
)

from services.projections.cannot_answer import CannotAnswer
from services.projections.view_store.store import ViewStore
from tests.projections import company
from tests.projections.company import at, checked_in, opened, reading
from tests.projections.log import Asker, Log, fill

LOWER = Metric(unit="%", baseline=Decimal(98), target=Decimal(99))


def summer() -> Log:
    """What happened from July to September, with a target that was lowered late."""
    log = opened()
    log.add(events.ObjectivePublished("uptime"), known_at=at(7, 2))
    log.add(checked_in("a", "98.5", at(7, 10), confidence=3), known_at=at(7, 10))
    log.add(
        events.KeyResultRetargeted(
            "kr", company.PERCENT, LOWER, lowered=True, mid_cycle=True, reason="an outage"
        ),
        known_at=at(8, 1),
        actor="eve",
    )
    log.add(
        events.ObjectiveReworded("uptime", title_was="Never down", title="Always up"),
        known_at=at(8, 2),
        actor="bob",
    )
    log.add(checked_in("b", "98.8", at(8, 20)), known_at=at(8, 21), actor="cleo")
    log.add(
        events.ObjectiveReassigned(
            "deals", owner_was="bob", owner="ada", unit_id_was="sales", unit_id="platform"
        ),
        known_at=at(9, 1),
    )
    log.add(reading("2025-07-01/2025-07-31", "99"), known_at=at(8, 5), provenance="july.csv:3")
    return log


def thing(differences: Differences, kind: str, name: str) -> Difference:
    (found,) = [each for each in differences.things if (each.kind, each.id) == (kind, name)]
    return found


def fields(difference: Difference) -> dict[str, tuple[Any, Any]]:
    return {
        each.field: (msgspec.json.decode(each.was), msgspec.json.decode(each.now))
        for each in difference.fields
    }


def test_a_late_change_comes_first_on_a_page_of_its_own(store: ViewStore, ask: Asker) -> None:
    fill(store, summer())
    pages = ask.pages(Diff(before="2025-07-05", after="2025-09-30", limit=1))
    (late,) = pages[0].late
    assert (late.goal, late.change, late.reason, late.actor) == (
        "key_result/kr",
        "lowered",
        "an outage",
        "eve",
    )
    assert pages[0].things == ()
    assert [each.id for page in pages for each in page.things] == [
        "q3",
        "deals",
        "uptime",
        "kr",
        "kpi",
    ]


def test_what_happened_is_said_field_by_field_with_who_when_and_why(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, summer())
    differences = ask(Diff(before="2025-07-15", after="2025-09-30"), Differences)
    key_result = thing(differences, "key_result", "kr")
    assert key_result.happened == ("retargeted", "progressed")
    said = fields(key_result)
    assert (said["value"], said["progress"]) == (("98.5", "98.8"), ("0.250000", "0.800000"))
    assert [measure["target"] for measure in said["measure"]] == ["100", "99"]
    assert [(each.field, each.actor, each.reason) for each in key_result.changes] == [
        ("measure", "eve", "an outage"),
        ("original_measure", "eve", "an outage"),
        ("check_ins.b.value", "cleo", None),
    ]
    objective = thing(differences, "objective", "uptime")
    assert "reworded" in objective.happened
    assert fields(objective)["title"] == ("Never down", "Always up")
    kpi = thing(differences, "kpi", "kpi")
    assert kpi.happened == ("progressed",)
    assert [(each.field, each.provenance) for each in kpi.changes] == [
        ("readings.2025-07-01/2025-07-31.value", "july.csv:3")
    ]


def test_where_only_time_passed_nothing_is_said_to_have_happened(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, opened())
    differences = ask(Diff(before="2025-07-05", after="2025-07-06"), Differences)
    cycle = thing(differences, "cycle", "q3")
    assert (cycle.happened, cycle.changes) == ((), ())
    assert set(fields(cycle)) == {"expected_pace"}


def test_what_comes_into_a_unit_entered_it_and_what_goes_has_left(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, summer())
    moments = {"before": "2025-08-31", "after": "2025-09-30"}
    (entered,) = [
        each
        for each in ask(Diff(**moments, unit="platform"), Differences).things  # type: ignore[arg-type]  # texts
        if each.id == "deals"
    ]
    assert entered.happened == ("entered",)
    assert ("owner", b'"bob"', b'"ada"') in [
        (each.field, bytes(each.was), bytes(each.now)) for each in entered.changes
    ]
    left = thing(ask(Diff(**moments, unit="sales"), Differences), "objective", "deals")  # type: ignore[arg-type]  # texts
    assert left.happened == ("left",)
    assert fields(left)["title"] == ("More deals", None)


def test_backwards_what_was_done_is_undone(store: ViewStore, ask: Asker) -> None:
    fill(store, summer())
    back = ask(Diff(before="2025-09-30", after="@8"), Differences)
    assert back.late == ()
    assert thing(back, "key_result", "kr").happened == ("removed",)
    objective = thing(back, "objective", "uptime")
    assert fields(objective)["title"] == ("Always up", "Never down")
    assert [(each.event, each.field) for each in objective.undone] == [
        ("ObjectivePublished", "state"),
        ("ObjectiveReworded", "title"),
    ]
    assert objective.changes == ()


def test_the_same_day_known_later_shows_what_was_corrected_since(
    store: ViewStore, ask: Asker
) -> None:
    log = summer()
    log.add(
        events.CheckInCorrected(
            "kr",
            check_in_id="a",
            effective_at=at(7, 10),
            value_was=Decimal("98.5"),
            value=Decimal("98.1"),
            confidence_was=3,
            confidence=3,
            reason="a typo",
        ),
        known_at=at(10, 1),
    )
    fill(store, log)
    day = "2025-07-31"
    found = ask(Diff(before=day, after=day, after_known_at="2025-10-02"), Differences)
    key_result = thing(found, "key_result", "kr")
    assert fields(key_result) == {
        "value": ("98.5", "98.1"),
        "value_origin": ("entered", "corrected"),
        "progress": ("0.250000", "0.050000"),
        "confidence_origin": ("entered", "corrected"),
    }
    assert [each.reason for each in key_result.changes] == ["a typo"]
    assert thing(found, "objective", "uptime").changes == ()
    assert thing(found, "kpi", "kpi").happened == ("progressed",)  # its reading came late, too
    assert len(found.things) == 3


@pytest.mark.parametrize("cursor", ["", "x", "1.1.0.0", "1.1.0.0.1.1.0.0.planet...", "a.b"])
def test_a_cursor_of_something_else_is_refused(store: ViewStore, ask: Asker, cursor: str) -> None:
    fill(store, opened())
    with pytest.raises(CannotAnswer, match="cursor"):
        ask(Diff(before="@1", cursor=cursor), Differences)


def test_what_neither_moment_knew_is_not_found(store: ViewStore, ask: Asker) -> None:
    fill(store, opened())
    with pytest.raises(CannotAnswer, match="no objective none"):
        ask(Diff(before="@1", goal="objective/none"), Differences)
    assert ask(Diff(before="@1", goal="objective/uptime"), Differences).things[0].happened == (
        "added",
    )


# ------------------------------------------------------------------ who is behind it


def blamed(ask: Asker, **asked: Any) -> dict[str, Change]:
    answer = ask(Blame(**{"kind": "key_result", "id": "kr", **asked}), Blamed)
    return {change.field: change for change in answer.fields}


def test_blame_names_who_set_each_field_last(store: ViewStore, ask: Asker) -> None:
    fill(store, summer())
    now = blamed(ask)
    assert {field: change.actor for field, change in now.items()} == {
        "check_ins.a.confidence": "u-17",
        "check_ins.b.value": "cleo",
        "measure": "eve",
        "objective_id": "u-17",
        "original_measure": "eve",
        "owner": "u-17",
        "title": "u-17",
        "weight": "u-17",
    }
    assert now["measure"].reason == "an outage"
    then = blamed(ask, as_of="2025-07-31")
    assert (then["measure"].actor, "check_ins.a.value" in then) == ("u-17", True)
    assert blamed(ask, field="check_ins").keys() == {"check_ins.a.confidence", "check_ins.b.value"}


def test_history_is_of_one_field_and_as_both_times_see_it(store: ViewStore, ask: Asker) -> None:
    fill(store, summer())

    def told(**asked: Any) -> list[tuple[str, str]]:
        query = History(**{"kind": "key_result", "id": "kr", **asked})
        return [(each.event, each.field) for each in ask(query, Changes).changes]

    assert told(field="measure") == [
        ("KeyResultAdded", "measure"),
        ("KeyResultRetargeted", "measure"),
    ]
    assert told(field="measure", as_of="2025-07-31", known_at="2025-12-31") == [
        ("KeyResultAdded", "measure")
    ]
    assert told(field="check_ins.b", as_of="2025-08-20") == []
    assert told(field="check_ins.b", as_of="2025-08-20", known_at="2025-08-21") == [
        ("CheckedIn", "check_ins.b.value")
    ]


def test_the_whole_history_of_a_cycle_is_in_the_order_of_the_log(
    store: ViewStore, ask: Asker
) -> None:
    log = summer()
    fill(store, log)
    pages = ask.pages(History(kind="cycle", id="q3", whole=True, limit=3))
    changes = [change for page in pages for change in page.changes]
    assert [each.position for each in changes] == sorted(each.position for each in changes)
    assert {(each.kind, each.id) for each in changes} == {
        ("cycle", "q3"),
        ("objective", "uptime"),
        ("objective", "deals"),
        ("key_result", "kr"),
    }
    with pytest.raises(CannotAnswer, match="whole is asked of a cycle"):
        ask(History(kind="kpi", id="kpi", whole=True), Changes)


def test_a_replay_tells_what_both_times_see(store: ViewStore, ask: Asker) -> None:
    log = summer()
    fill(store, log)

    def replayed(**asked: str) -> list[int]:
        return [each.position for each in ask(Replay(**asked), Events).events]  # type: ignore[arg-type]  # texts

    check_in = next(each for each in log if getattr(each.event, "check_in_id", "") == "b")
    before = [each.position for each in log if each.known_at <= at(8, 20)]
    assert check_in.position not in before
    assert check_in.position not in replayed(as_of="2025-08-20")
    assert check_in.position in replayed(as_of="2025-08-20", known_at="2025-08-21")
    assert check_in.position not in replayed(as_of="2025-08-19", known_at="2025-08-21")
    assert replayed(as_of="2025-12-01", known_at="2025-12-01", end="@12") == list(range(1, 13))


def test_the_state_after_an_event_is_how_it_stood_at_its_position(
    store: ViewStore, ask: Asker
) -> None:
    log = summer()
    fill(store, log)
    targets = [
        ask(AsOf(as_of=f"@{each.position}", goal="key_result/kr"), Goals).key_results[0].measure
        for each in log
        if each.kind == "key_result"
    ]
    assert targets == [company.PERCENT, company.PERCENT, LOWER, LOWER]
