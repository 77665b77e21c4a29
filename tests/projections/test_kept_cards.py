"""The cards of a cycle, kept as they are told: never longer than they are true."""

from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.events import Event
from goal_contracts.measures import Milestone
from goal_contracts.policy import Policy
from goal_contracts.queries import AsOf, Diff, Differences, Goals, RolledUp, RollUps
from msgspec.structs import replace

from services.projections import kept_cards
from services.projections.as_of import Picture
from services.projections.view_store import kept
from services.projections.view_store.goals import Key
from services.projections.view_store.kept import Cards, KeptResults, Range
from services.projections.view_store.reader import FIRST
from services.projections.view_store.store import ViewStore
from tests.projections import company
from tests.projections.company import at, checked_in
from tests.projections.log import NOW, ORGANISATION, Asker, Log, fill, rows_of
from tests.projections.test_cards import family
from tests.projections.whole import whole

JULY = "2025-07-01/2025-07-31"
AUGUST = "2025-08-01/2025-08-31"
POLICY = Policy(roll_up="both")


def closed() -> Log:
    """A quarter over, with objectives below its own, and a key result fed by a KPI."""
    log = family(POLICY)
    linked = replace(company.KR, key_result_id="linked", measure=company.LINKED)
    for event in (
        linked,
        replace(company.KR, key_result_id="step", objective_id="below", measure=Milestone()),
        replace(company.UPTIME, objective_id="next", cycle_id="q4"),
        company.reading(JULY, "99"),
        checked_in("d", "99", at(7, 3)),
    ):
        log.add(event)
    log.add(events.CycleGradingStarted("q3"), known_at=at(10, 5))
    log.add(events.ObjectiveGraded("uptime", outcome="partial", score=Decimal("0.5")))
    log.add(events.CycleClosed("q3", policy=POLICY))
    return log


def corrected_reading(value: str, period: str = JULY) -> Event:
    said = company.reading(period, "99")
    return events.KpiReadingCorrected(
        "kpi",
        period=period,
        effective_at=said.effective_at,
        value_was=said.value,
        value=Decimal(value),
        source="probe",
        definition_version=1,
        reason="late",
    )


def retracted_reading() -> Event:
    said = company.reading(JULY, "99")
    return events.KpiReadingRetracted(
        "kpi", JULY, said.effective_at, said.value, "probe", reason="not ours"
    )


REOPENED = events.CycleReopened("q3", reason="one late number")
CLOSED_ANEW = events.CycleClosed("q3", policy=POLICY)
CHANGES: dict[str, list[Event]] = {
    "reading corrected": [corrected_reading("100")],
    "reading retracted": [retracted_reading()],
    "reading of another month": [company.reading(AUGUST, "98.5")],
    "reading after the cycle": [company.reading("2025-10-01/2025-10-31", "98.5")],
    "check-in corrected": [
        events.CheckInCorrected(
            "kr", check_in_id="d", effective_at=at(7, 3), reason="typo", value=Decimal(100)
        )
    ],
    "check-in retracted": [
        events.CheckInRetracted("kr", check_in_id="d", effective_at=at(7, 3), reason="no")
    ],
    "check-in below corrected": [
        events.CheckInCorrected(
            "kr-below", check_in_id="a", effective_at=at(7, 2), reason="typo", value=Decimal(99)
        )
    ],
    "reopened": [REOPENED],
    "reopened and closed": [
        REOPENED,
        events.ObjectiveReworded("uptime", title_was="Never down", title="Always up"),
        events.ObjectiveRealigned("through", aligned_to_was=("key_result/kr",)),
        CLOSED_ANEW,
    ],
    "closed under another policy": [
        REOPENED,
        events.CycleClosed("q3", policy=replace(POLICY, roll_up="key_results")),
    ],
    "policy": [
        events.PolicyChanged(
            ORGANISATION, policy_was=POLICY, policy=replace(POLICY, roll_up="children")
        )
    ],
    "retrospective": [events.RetrospectiveRecorded("q3", learned="to stop")],
    "unit renamed": [events.UnitRenamed("sales", name_was="Sales", name="Field")],
    "unit moved": [events.UnitMoved("sales", parent_id_was="company", parent_id="platform")],
    "unit retired": [events.UnitRetired("platform")],
    "definition": [
        events.KpiRetargeted("kpi", version=2, effective_on=at(8, 1).date(), target=Decimal(99))
    ],
    "reading missed": [
        events.KpiReadingMissed(
            "kpi", AUGUST, company.reading(AUGUST, "99").effective_at, source="probe"
        )
    ],
    "reading missed and come": [
        events.KpiReadingMissed(
            "kpi", AUGUST, company.reading(AUGUST, "99").effective_at, source="probe"
        ),
        company.reading(AUGUST, "98.5"),
    ],
    "kpi reassigned": [
        events.KpiReassigned(
            "kpi", owner_was="ada", owner="eve", unit_id_was="platform", unit_id="company"
        )
    ],
    "kpi retired": [events.KpiRetired("kpi")],
    "kpi reviewed": [
        events.KpiReviewOpened("kpi", review_id="r", owner="ada", due_on=at(11, 20).date())
    ],
    "another kpi": [replace(company.KPI, kpi_id="a")],
    "next cycle": [
        events.CycleActivated("q4", policy=POLICY),
        events.ObjectivePublished("next"),
        events.ObjectiveReworded("next", title_was="Never down", title="Always up"),
    ],
}
UNCHANGED = {"reading after the cycle", "policy", "unit renamed", "unit moved", "unit retired"}
UNCHANGED |= {"retrospective", "definition", "next cycle", "kpi reassigned", "kpi retired"}
UNCHANGED |= {"kpi reviewed", "another kpi", "reading missed"}
"""After these the goals of the closed cycle are as before."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cycle of each objective whose card was made, together with its key results'."""
    cycles, make = list[str](), Picture.objectives_with_key_results

    def counted(self: Picture, goals: Any) -> Any:
        cycles.extend(goal.cycle_id for goal in goals)
        return make(self, goals)

    monkeypatch.setattr(Picture, "objectives_with_key_results", counted)
    return cycles


def everything(as_of: str | None = None, known_at: str | None = None, **more: Any) -> AsOf:
    return AsOf(as_of=as_of, known_at=known_at, limit=more.pop("limit", 1_000), **more)


OF_GOALS = (
    AsOf(unit="company", limit=1_000),
    AsOf(unit="platform", limit=1_000),
    AsOf(unit="sales", cycle="q3", limit=1_000),
    AsOf(goal="objective/uptime"),
    AsOf(goal="objective/through"),
    AsOf(goal="objective/next"),
    AsOf(goal="key_result/kr"),
    AsOf(goal="key_result/linked"),
)
"""Questions about some goals, which take what is kept and make nothing that is not asked for."""


def of_q3(answer: Goals) -> list[Any]:
    """The cards of its goals."""
    return [
        *(each for each in answer.objectives if each.cycle_id == "q3"),
        *(each for each in answer.key_results if each.objective_id != "next"),
    ]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_after_a_cycle_was_closed_is_seen_from_then_on(
    store: ViewStore, change: str
) -> None:
    log = closed()
    fill(store, log)
    ask, now = Asker(store), at(11, 30)
    before = ask(everything(), Goals, at(10, 7))
    closing = len(log)
    for event in CHANGES[change]:
        last = log.add(event, known_at=at(11, 15))
        store.write(rows_of([last], store), last.position, last.position)
    after = ask.raw(everything(), now)
    assert after == Asker(store).raw(everything(), now)
    changed = ask(everything(), Goals, now)
    assert (of_q3(before) == of_q3(changed)) == (change in UNCHANGED)
    for as_of in (
        f"@{closing - 1}",
        f"@{closing}",
        "2025-10-04",
        "2025-10-06",
        "2025-11-16",
        "2025-11-25",
    ):
        for known_at in (None, f"@{closing}", f"@{closing + 1}", f"@{len(log)}"):
            query = everything(as_of, known_at)
            assert ask.raw(query, now) == Asker(store).raw(query, now)
            first = everything(as_of, known_at, limit=2)
            anew = [ask.pages(first, now), Asker(store).pages(first, now)]
            assert anew[0] == anew[1]
            assert whole(anew[0]) == ask(query, Goals, now)
            for some in OF_GOALS:
                query = replace(some, as_of=as_of, known_at=known_at)
                anew = [who.pages(replace(query, limit=1), now) for who in (ask, Asker(store))]
                assert anew[0] == anew[1]
                assert ask.raw(query, now) == Asker(store).raw(query, now)
    for unit in ("company", "platform", "sales"):
        for since in (f"@{closing}", "2025-11-14", "2025-09-01"):
            diff = Diff(before=since, after=f"@{len(log)}", unit=unit, limit=1_000)
            for two in (diff, replace(diff, before=diff.after, after=diff.before)):
                told = ask(two, Differences, now)
                assert told == Asker(store)(two, Differences, now)
                pages = ask.pages(replace(two, limit=1), now)
                assert [each for page in pages for each in page.things] == list(told.things)


def test_the_cards_of_a_closed_cycle_are_made_once(store: ViewStore, made: list[str]) -> None:
    log = closed()
    log.add(events.UnitRenamed("sales", name_was="Sales", name="Field"), known_at=at(11, 1))
    fill(store, log)
    ask = Asker(store)
    first = ask(everything(f"@{len(log) - 1}"), Goals)
    assert {cycle for cycle in made if cycle == "q3"}
    made.clear()
    then = ask(everything(f"@{len(log)}"), Goals)
    assert made == ["q4"]
    assert of_q3(then) == of_q3(first)
    made.clear()
    assert of_q3(ask(everything("2025-12-01", cycle="q3"), Goals)) == of_q3(first)
    assert made == []
    # Before the closing it is another cycle.
    ask(everything(f"@{len(log) - 2}"), Goals)
    assert "q3" in made


def test_roll_ups_of_a_closed_cycle_are_made_of_its_cards(
    store: ViewStore, made: list[str]
) -> None:
    log = closed()
    log.add(events.UnitMoved("sales", parent_id_was="company", parent_id="platform"))
    fill(store, log)
    for as_of in (f"@{len(log) - 1}", f"@{len(log)}"):
        ask = Asker(store)
        ask(everything(as_of), Goals)
        made.clear()
        told = ask(RollUps(as_of=as_of), RolledUp)
        assert made == []
        assert told == Asker(store)(RollUps(as_of=as_of), RolledUp)
        made.clear()
        ask(everything(as_of, cycle="q3"), Goals)
        assert made == []
    # Another tree adds up the same cards.
    assert ask(RollUps(as_of=f"@{len(log) - 1}"), RolledUp).roll_ups != told.roll_ups
    assert made == []


def test_cards_are_kept_ahead_as_long_as_there_is_room(
    store: ViewStore, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, closed())
    ask, other = Asker(store), Asker(store)
    assert ask.keeps_ahead(NOW)
    assert set(made) == {"q3"}
    assert not ask.keeps_ahead(NOW)
    made.clear()
    told = ask.raw(everything())
    assert made == ["q4"]
    assert told == other.raw(everything())
    monkeypatch.setattr(kept, "CARDS_BYTES_MAX", 1)
    assert not Asker(store).keeps_ahead(NOW)


def test_the_cards_of_a_running_cycle_are_kept_for_the_pages_to_come(
    store: ViewStore, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_cards, "ALL_FROM", 2)
    fill(store, family(POLICY))
    ask = Asker(store)
    pages = ask.pages(everything("2025-08-01", limit=2))
    assert len(pages) > 4
    assert len(made) == len(set(whole(pages).objectives))
    made.clear()
    ask.pages(everything("2025-08-02", limit=2))
    assert len(made) == len(set(whole(pages).objectives))


def test_the_card_of_a_kpi_is_made_once_for_each_reading(
    store: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = closed()
    log.add(replace(company.KPI, kpi_id="other"))
    fill(store, log)
    made, make = list[str](), Picture.kpis

    def counted(self: Picture, goals: Any, missed: Any = None) -> Any:
        made.extend(goal.goal_id for goal in goals)
        return make(self, goals, missed)

    monkeypatch.setattr(Picture, "kpis", counted)
    ask = Asker(store)
    first = ask(everything("2025-10-07"), Goals).kpis
    assert made == ["kpi", "other"]
    assert ask(everything("2025-11-07"), Goals).kpis == first
    assert made == ["kpi", "other"]
    assert ask(everything("2025-08-07"), Goals).kpis == first[:1]
    assert made == ["kpi", "other"]
    assert ask(everything("2025-07-01T20:00:00Z"), Goals).kpis[0].reading is None
    assert made == ["kpi", "other", "kpi"]


@pytest.mark.parametrize(("name", "most"), [("ALL_FROM", 1_001), ("ALL_MAX", 0)])
def test_few_goals_and_those_of_a_huge_cycle_are_made_page_by_page(
    store: ViewStore, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    fill(store, closed())
    ask = Asker(store)
    expected = ask.raw(everything())
    monkeypatch.setattr(kept_cards, name, most)
    asked = list[str]()
    monkeypatch.setattr(kept_cards.CardsOfCycles, "_made_of", lambda *_: asked.append("all"))
    other = Asker(store)
    assert other.raw(everything()) == expected
    assert whole(other.pages(everything(limit=1))) == ask(everything(), Goals)
    assert asked == []


def test_cards_are_told_from_any_place_in_their_order() -> None:
    keys = [("q", "", name) for name in "bdf"]
    cards = Cards(keys, [b'{"b":1}', b'{"d":22}', b'{"f":333}'])

    def told(after: Key, at_most: int, within: list[Range] | None = None) -> list[Any]:
        run, has_more = cards.told(after, at_most, within)
        return [*((run.length, run.last[2], bytes(run.told)) if run else ()), has_more]

    assert told(FIRST, 2) == [2, "d", b'{"b":1},{"d":22}', True]
    assert told(("q", "", "c"), 9) == [2, "f", b'{"d":22},{"f":333}', False]
    assert told(("q", "", "f"), 9) == [False]
    assert told(FIRST, 0) == [True]
    assert told(("q", "", "f"), 0) == [False]
    assert Cards([], []).told(FIRST, 9) == (None, False)

    def only(first: str, end: str) -> Range:
        return ("q", "", first), ("q", "", end)

    apart = [only("a", "c"), only("c", "d"), only("f", "g")]
    assert told(FIRST, 9, apart) == [2, "f", b'{"b":1},{"f":333}', False]
    assert told(FIRST, 1, apart) == [1, "b", b'{"b":1}', True]
    assert told(("q", "", "b"), 1, apart) == [1, "f", b'{"f":333}', False]
    assert told(FIRST, 9, []) == [False]


def test_who_asks_of_some_goals_takes_the_cards_that_are_kept(
    store: ViewStore, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = closed()
    fill(store, log)
    ask = Asker(store)
    told = [ask.raw(query) for query in OF_GOALS]
    assert "q3" in made
    assert ask.keeps_ahead(NOW)
    counted, tell = list[str](), Picture.key_results

    def key_results(self: Picture, goals: Any) -> Any:
        counted.extend(goal.cycle_id for goal in goals)
        return tell(self, goals)

    monkeypatch.setattr(Picture, "key_results", key_results)
    made.clear()
    assert [ask.raw(query) for query in OF_GOALS] == told
    assert set(made) | set(counted) <= {"q4"}
    # What comes now is not known to change nothing: who asks of some goals does not wait for that.
    last = log.add(events.UnitRenamed("sales", name_was="Sales", name="Field"))
    store.write(rows_of([last], store), last.position, last.position)
    made.clear()
    ask.raw(OF_GOALS[0])
    assert "q3" in made
    ask(everything(), Goals)
    made.clear()
    ask.raw(OF_GOALS[0])
    assert made == ["q4"]


def test_of_what_was_worked_out_what_was_looked_at_longest_ago_goes_first() -> None:
    results = KeptResults[list[int]](4)
    results.put("one", [1, 2])
    results.put("two", [3])
    assert results.get("one") == [1, 2]
    results.put("three", [4, 5])
    assert results.get("two") is None
    assert results.get("one") == [1, 2]
    results.put("one", [6])
    results.put("four", [7])
    assert [results.get(name) for name in ("one", "three", "four")] == [[6], [4, 5], [7]]
    results.put("more than there is room for", [0] * 5)
    assert [results.get(name) for name in ("one", "more than there is room for")] == [[6], None]
