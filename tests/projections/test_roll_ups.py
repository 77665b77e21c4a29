"""How the goals of each unit stand in a cycle: counted, averaged, with those of the units below."""

from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from goal_contracts import events
from goal_contracts.measures import Milestone
from goal_contracts.policy import Policy
from goal_contracts.queries import HealthCount, RolledUp, RollUps, Tally
from msgspec.structs import replace

from services.projections import answering
from services.projections.cannot_answer import CannotAnswer
from services.projections.roll_ups import roll_ups_of
from services.projections.view_store.store import ViewStore
from tests.projections import company
from tests.projections.company import at, checked_in
from tests.projections.log import Asker, Log, fill, rows_of, view_store

HALF: Final = Decimal("0.5")
NOW: Final = at(7, 5)


def quarter() -> Log:
    """Two objectives of the platform's, one half way; one of the sales', dropped; a draft."""
    log = Log()
    said = replace(checked_in("c", "99", at(7, 2)), status="at_risk")
    for event in (
        company.OPENED,
        company.COMPANY,
        company.PLATFORM,
        company.SALES,
        company.Q3,
        company.Q4,
        events.CycleActivated("q3", policy=Policy()),
        company.UPTIME,
        company.KR,
        events.ObjectivePublished("uptime"),
        replace(company.UPTIME, objective_id="speed", objective_kind="committed"),
        replace(company.KR, key_result_id="fast", objective_id="speed", measure=Milestone()),
        events.ObjectivePublished("speed"),
        company.DEALS,
        events.ObjectivePublished("deals"),
        replace(company.DEALS, objective_id="draft", unit_id="company"),
        said,
        events.ObjectiveDropped("deals", reason="no market"),
    ):
        log.add(event)
    return log


def asked(store: ViewStore, log: Log, query: RollUps) -> RolledUp:
    fill(store, log)
    return Asker(store)(query, RolledUp, NOW)


def lines(answer: RolledUp) -> dict[tuple[str, str | None], tuple[Tally | None, Tally]]:
    return {(each.cycle_id, each.unit_id): (each.own, each.with_below) for each in answer.roll_ups}


def test_a_unit_has_its_own_goals_and_those_of_the_units_below(store: ViewStore) -> None:
    found = lines(asked(store, quarter(), RollUps()))
    platform = Tally(
        objectives=2,
        key_results=2,
        healths=(HealthCount("at_risk", 1, 1), HealthCount("pending", 1, 1)),
        progress=Decimal("0.25"),
    )
    # A milestone that is not reached is at 0; 99 is half way from 98 to 100.
    assert found["q3", "platform"] == (platform, platform)
    own, with_below = found["q3", "company"]
    assert own == Tally()  # its draft counts nowhere
    assert with_below == found["q3", None][1]
    assert (with_below.objectives, with_below.key_results) == (3, 2)
    # What was dropped is counted, and takes no part in the progress.
    assert with_below.healths[0] == HealthCount("dropped", 1, 0)
    assert with_below.progress == Decimal("0.25")


def test_units_come_each_before_those_below_it_and_a_cycle_without_goals_does_not(
    store: ViewStore,
) -> None:
    answer = asked(store, quarter(), RollUps())
    assert [*lines(answer)] == [
        ("q3", None),
        *(("q3", unit) for unit in ("company", "platform", "sales")),
    ]
    assert [card.cycle_id for card in answer.cycles] == ["q3"]
    assert [card.unit_id for card in answer.units] == ["company", "platform", "sales"]


def test_the_scores_are_those_a_closing_would_record(store: ViewStore) -> None:
    log = quarter()
    for event in (
        events.ObjectiveGraded("uptime", outcome="partial", score=HALF),
        events.ObjectiveGraded("speed", outcome="missed", score=Decimal(0)),
    ):
        log.add(event)
    tally = lines(asked(store, log, RollUps()))["q3", None][1]
    assert (tally.aspirational_score, tally.committed_met) == (HALF, Decimal(0))
    assert {each.health: each.objectives for each in tally.healths if each.objectives} == {
        "partial": 1,
        "missed": 1,
        "dropped": 1,
    }


def test_as_of_a_day_before_it_says_what_stood_then(store: ViewStore) -> None:
    log = quarter()
    found = lines(asked(store, log, RollUps(as_of=f"@{len(log) - 2}")))
    assert found["q3", "platform"][1].progress == 0
    assert found["q3", "sales"][1].healths == (HealthCount("pending", 1, 0),)


def test_with_a_unit_only_it_and_those_below_it_are_told(store: ViewStore) -> None:
    answer = asked(store, quarter(), RollUps(unit="sales", cycle="q3"))
    assert [*lines(answer)] == [("q3", "sales")]
    assert Asker(store)(RollUps(cycle="q4"), RolledUp, NOW).roll_ups == ()
    with pytest.raises(CannotAnswer, match="there was no unit nobody"):
        Asker(store).raw(RollUps(unit="nobody"), NOW)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_follow_on_one_another(store: ViewStore, limit: int) -> None:
    log = quarter()
    for event in (
        replace(company.UPTIME, objective_id="next", cycle_id="q4"),
        events.ObjectivePublished("next"),
    ):
        log.add(event)
    whole = asked(store, log, RollUps())
    pages = Asker(store).pages(RollUps(limit=limit), NOW)
    assert [line for page in pages for line in page.roll_ups] == list(whole.roll_ups)
    assert all(len(page.roll_ups) <= limit for page in pages)
    assert {card.cycle_id for page in pages for card in page.cycles} == {"q3", "q4"}


def closed() -> Log:
    """The quarter over, and one of its key results fed by a KPI."""
    log = quarter()
    july = "2025-07-01/2025-07-31"
    for event in (
        company.KPI,
        replace(company.KR, key_result_id="linked", objective_id="speed", measure=company.LINKED),
        company.reading(july, "99"),
        events.CycleGradingStarted("q3"),
        events.ObjectiveGraded("uptime", outcome="partial", score=HALF),
        events.ObjectiveGraded("speed", outcome="missed", score=Decimal(0)),
        events.CycleClosed("q3", policy=Policy()),
    ):
        log.add(event, known_at=at(10, 5))
    return log


def test_what_a_closed_cycle_came_to_is_not_added_up_again(
    store: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = closed()
    log.add(events.UnitRenamed("sales", name_was="Sales", name="Field"), known_at=at(10, 6))
    fill(store, log)
    ask, added_up = Asker(store), list[str]()
    add_up = roll_ups_of

    def counted(picture: Any, cycle_id: str, *more: Any) -> Any:
        added_up.append(cycle_id)
        return add_up(picture, cycle_id, *more)

    monkeypatch.setattr(answering, "roll_ups_of", counted)
    first = ask(RollUps(as_of=f"@{len(log) - 1}"), RolledUp)
    then = ask(RollUps(as_of=f"@{len(log)}"), RolledUp)
    assert then.roll_ups == first.roll_ups
    assert added_up == ["q3", "q4", "q4"]


def test_a_cycle_that_a_page_ends_in_is_added_up_once(
    store: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, quarter())
    ask, added_up = Asker(store), list[str]()
    add_up = roll_ups_of

    def counted(picture: Any, cycle_id: str, *more: Any) -> Any:
        added_up.append(cycle_id)
        return add_up(picture, cycle_id, *more)

    monkeypatch.setattr(answering, "roll_ups_of", counted)
    assert len(list(ask.pages(RollUps(limit=1), NOW))) == 4
    assert added_up == ["q3", "q4"]
    # Another unit's lines, and those of another moment, are others.
    assert len(list(ask.pages(RollUps(unit="company", limit=2), NOW))) == 2
    assert len(list(ask.pages(RollUps(as_of="@5", limit=1), NOW))) == 1
    assert added_up == ["q3", "q4", "q3", "q4", "q3"]


@pytest.mark.parametrize(
    "event",
    [
        events.KpiReadingCorrected(
            "kpi",
            period="2025-07-01/2025-07-31",
            effective_at=company.reading("2025-07-01/2025-07-31", "99").effective_at,
            value_was=Decimal(99),
            value=Decimal(100),
            source="probe",
            definition_version=1,
            reason="late",
        ),
        events.CheckInCorrected(
            "kr", check_in_id="c", effective_at=at(7, 2), reason="typo", value=Decimal(100)
        ),
        events.UnitMoved("sales", parent_id_was="company", parent_id="platform"),
        events.CycleReopened("q3", reason="one late number"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_changes_a_closed_cycle_afterwards_is_seen(
    store: ViewStore, tmp_path: Path, event: events.Event
) -> None:
    log = closed()
    fill(store, log)
    ask = Asker(store)
    before = ask(RollUps(), RolledUp, at(10, 7))
    last = log.add(event, known_at=at(10, 8))
    store.write(rows_of([last], store), last.position, last.position)
    other = view_store(tmp_path / "other")
    fill(other, log)
    anew = Asker(other)(RollUps(), RolledUp, at(10, 9))
    assert ask(RollUps(), RolledUp, at(10, 9)) == anew
    assert anew.roll_ups != before.roll_ups or isinstance(event, events.CycleReopened)
    assert ask(RollUps(as_of=f"@{len(log) - 1}"), RolledUp).roll_ups == before.roll_ups
    other.close()
