"""The questions, asked of views that were filled from a log."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest
from goal_contracts import codec, events
from goal_contracts.measures import Maintain
from goal_contracts.policy import Policy
from goal_contracts.queries import (
    AsOf,
    Blame,
    Changes,
    Events,
    ExportView,
    Goals,
    History,
    Insights,
    KeyResultCard,
    Readings,
    ReadingSeries,
    Replay,
    ViewPage,
)

from services.projections.cannot_answer import CannotAnswer
from services.projections.view_store import schema
from services.projections.view_store.store import ViewStore
from services.projections.views.history import TELLING, told_by
from tests.projections import company
from tests.projections.company import at, checked_in, life, opened, reading
from tests.projections.log import NOW, Asker, Log, fill


def key_result(ask: Asker, **asked: str) -> KeyResultCard:
    (card,) = ask(AsOf(goal="key_result/kr", **asked), Goals).key_results  # type: ignore[arg-type]  # only texts
    return card


# ------------------------------------------------------------------ values at a moment


def test_the_check_in_effective_last_counts(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(checked_in("late", "99", at(7, 20), confidence=7), known_at=at(7, 20))
    log.add(checked_in("backdated", "98.5", at(7, 10)), known_at=at(7, 21))
    fill(store, log)
    card = key_result(ask)
    assert (card.value, card.value_at, card.confidence) == (Decimal(99), at(7, 20), 7)
    assert card.progress == Decimal("0.5")
    assert key_result(ask, as_of="2025-07-15", known_at="2025-08-01").value == Decimal("98.5")


def test_of_two_check_ins_effective_together_the_later_recorded_counts(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    log.add(checked_in("first", "99", at(7, 10)), known_at=at(7, 10))
    log.add(checked_in("second", "98", at(7, 10)), known_at=at(7, 11))
    fill(store, log)
    assert key_result(ask).value == Decimal(98)


def test_a_correction_replaces_and_a_retraction_lets_the_one_before_count(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    log.add(checked_in("a", "99", at(7, 10)), known_at=at(7, 10))
    log.add(checked_in("b", "100", at(7, 12)), known_at=at(7, 12))
    log.add(
        events.CheckInCorrected(
            "kr",
            check_in_id="a",
            effective_at=at(7, 10),
            reason="typo",
            value_was=Decimal(99),
            value=Decimal("98.4"),
        ),
        known_at=at(7, 13),
    )
    log.add(
        events.CheckInRetracted("kr", check_in_id="b", effective_at=at(7, 12), reason="not mine"),
        known_at=at(7, 14),
    )
    fill(store, log)
    assert key_result(ask, as_of="2025-07-12").value == Decimal(100)
    assert key_result(ask, as_of="2025-07-13").value == Decimal(100)
    assert key_result(ask, as_of="2025-07-14").value == Decimal("98.4")
    assert key_result(ask, as_of="2025-07-11", known_at="2025-07-12").value == Decimal(99)
    assert key_result(ask, as_of="2025-07-11", known_at="2025-07-13").value == Decimal("98.4")


def test_what_a_check_in_leaves_unsaid_stays_as_said_before(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(checked_in("a", "99", at(7, 10), confidence=3), known_at=at(7, 10))
    log.add(checked_in("b", None, at(7, 12), confidence=9), known_at=at(7, 12))
    fill(store, log)
    card = key_result(ask)
    assert (card.value, card.value_at, card.confidence) == (Decimal(99), at(7, 10), 9)


@pytest.mark.parametrize(
    ("counted_by", "progress"),
    [("check_ins", Decimal("0.666667")), ("time", Decimal("0.681818"))],
)
def test_what_is_maintained_has_the_share_of_check_ins_or_of_time(
    store: ViewStore, ask: Asker, counted_by: str, progress: Decimal
) -> None:
    log = opened()
    band = Maintain(unit="%", lower=Decimal(99), counted_by=counted_by)  # type: ignore[arg-type]  # a literal
    log.add(msgspec.structs.replace(company.KR, key_result_id="band", measure=band))
    start = datetime(2025, 6, 30, 22, tzinfo=UTC)  # midnight in Berlin
    for name, value, days in (("a", "99.5", 5), ("b", "98", 7), ("c", "99", 9)):
        when = start + timedelta(days=days)
        log.add(checked_in(name, value, when, "band"), known_at=when)
    fill(store, log)
    as_of = (start + timedelta(days=22)).isoformat()  # three weeks are over, one without a word
    (card,) = ask(AsOf(goal="key_result/band", as_of=as_of), Goals).key_results
    assert card.progress == progress


def test_a_key_result_linked_to_a_kpi_follows_its_readings_inside_the_cycle(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    log.add(events.KeyResultLinkedToKpi("kr", measure_was=company.PERCENT, measure=company.LINKED))
    fill(store, log)
    assert key_result(ask).value is None
    months = (("2025-06-01/2025-06-30", "97"), ("2025-08-01/2025-08-31", "99"))
    more = Log(log)
    for period, value in (*months, ("2025-10-01/2025-10-31", "50")):
        more.add(reading(period, value), known_at=at(11, 5))
    fill(store, more[len(log) :])
    card = key_result(ask)
    assert (card.value, card.progress) == (Decimal(99), Decimal("0.5"))
    assert key_result(ask, as_of="2025-08-30", known_at="2025-11-30").value is None


def test_progress_is_held_to_the_ceiling_its_cycle_pinned(store: ViewStore, ask: Asker) -> None:
    log = opened()
    generous = Policy(progress_ceiling=Decimal(2))
    log.add(events.PolicyChanged("acme", policy_was=Policy(), policy=generous))
    log.add(checked_in("a", "103", at(7, 10)), known_at=at(7, 10))
    log.add(msgspec.structs.replace(company.UPTIME, objective_id="later", cycle_id="q4"))
    log.add(msgspec.structs.replace(company.KR, key_result_id="kr-4", objective_id="later"))
    log.add(checked_in("a", "103", at(7, 10), "kr-4"))
    fill(store, log)
    cards = {card.key_result_id: card.progress for card in ask(AsOf(), Goals).key_results}
    assert cards == {"kr": Decimal(1), "kr-4": Decimal(2)}


def test_an_objective_is_the_weighted_mean_of_what_was_not_dropped(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    for name, weight in (("kr-2", 3), ("kr-3", 5)):
        log.add(msgspec.structs.replace(company.KR, key_result_id=name, weight=Decimal(weight)))
    log.add(checked_in("a", "99", at(7, 2)), known_at=at(7, 2))
    log.add(checked_in("a", "100", at(7, 2), "kr-3"))
    log.add(events.KeyResultDropped("kr-3", reason="not ours"), known_at=at(7, 5))
    fill(store, log)
    (now,) = ask(AsOf(goal="objective/uptime"), Goals).objectives
    (then,) = ask(AsOf(goal="objective/uptime", as_of="2025-07-04"), Goals).objectives
    assert (now.progress, then.progress) == (Decimal("0.125"), Decimal("0.611111"))
    assert (now.expected_pace, then.expected_pace) == (Decimal(1), Decimal("0.043478"))


# ------------------------------------------------------------------ moments


def test_now_is_the_same_as_the_moment_it_is_asked_at(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(checked_in("a", "99", at(7, 2)), known_at=at(7, 2))
    fill(store, log)
    assert ask.raw(AsOf()) == ask.raw(AsOf(as_of=NOW.isoformat()))


def test_a_position_is_the_moment_everything_up_to_it_was_known(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    for day in (5, 6, 7):
        log.add(checked_in(f"c-{day}", f"99.{day}", at(7, day)), known_at=at(7, day))
    fill(store, log)
    position = log[-2].position
    by_position = ask(AsOf(as_of=f"@{position}"), Goals)
    assert by_position == ask(AsOf(as_of=at(7, 6).isoformat()), Goals)
    assert by_position.reflects.position == position
    assert by_position.key_results[0].value == Decimal("99.6")


def test_a_day_ends_in_the_organisations_zone(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(checked_in("in", "99.1", at(7, 5, 21)), known_at=at(7, 5, 21))
    log.add(checked_in("out", "99.2", at(7, 5, 22)), known_at=at(7, 5, 22))
    fill(store, log)
    answer = ask(AsOf(as_of="2025-07-05"), Goals)
    assert answer.key_results[0].value == Decimal("99.1")
    assert answer.reflects.as_of == at(7, 5, 22) - timedelta(microseconds=1)
    local = ask(AsOf(as_of="2025-07-06T00:00"), Goals)
    assert local.key_results[0].value == Decimal("99.2")


def test_goals_stand_as_they_had_come_to_be_even_as_known_later(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    log.add(
        events.KeyResultReworded("kr", title_was="Uptime 100 %", title="Always up"),
        known_at=at(8, 1),
    )
    fill(store, log)
    assert key_result(ask, as_of="2025-07-15", known_at="2025-09-01").title == "Uptime 100 %"
    assert key_result(ask, as_of="2025-08-15").title == "Always up"


def test_a_date_before_a_late_import_step_is_judged_by_the_running_maximum(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    log.add(checked_in("a", "99", at(7, 2)), known_at=at(7, 10))
    log.add(checked_in("b", "100", at(7, 2)), known_at=at(7, 3))  # a clock that went back
    fill(store, log)
    assert key_result(ask, as_of="2025-07-05").value is None
    assert key_result(ask, as_of="2025-07-10").value == Decimal(100)


@pytest.mark.parametrize("moment", ["2025-02-30", "2025-07-01T25:00", "9999-12-31"])
def test_what_is_no_moment_is_refused(store: ViewStore, ask: Asker, moment: str) -> None:
    fill(store, opened())
    with pytest.raises(CannotAnswer, match="is no moment") as refused:
        ask(AsOf(as_of=moment), Goals)
    assert refused.value.why == "malformed"


# ------------------------------------------------------------------ filters and pages


def ids(goals: Goals) -> dict[str, list[str]]:
    found = {
        "units": [card.unit_id for card in goals.units],
        "cycles": [card.cycle_id for card in goals.cycles],
        "objectives": [card.objective_id for card in goals.objectives],
        "key_results": [card.key_result_id for card in goals.key_results],
        "kpis": [card.kpi_id for card in goals.kpis],
    }
    return {section: cards for section, cards in found.items() if cards}


def test_filters_narrow_what_is_shown(store: ViewStore, ask: Asker) -> None:
    fill(store, opened())
    everything = {
        "units": ["company", "platform", "sales"],
        "cycles": ["q3", "q4"],
        "objectives": ["deals", "uptime"],
        "key_results": ["kr"],
        "kpis": ["kpi"],
    }
    goals = {"objectives": ["uptime"], "key_results": ["kr"]}
    assert ids(ask(AsOf(), Goals)) == everything
    assert ids(ask(AsOf(unit="company"), Goals)) == everything
    assert ids(ask(AsOf(unit="platform"), Goals)) == {
        **goals,
        "units": ["platform"],
        "cycles": ["q3", "q4"],
        "kpis": ["kpi"],
    }
    assert ids(ask(AsOf(unit="sales", cycle="q3"), Goals)) == {
        "cycles": ["q3"],
        "objectives": ["deals"],
    }
    assert ids(ask(AsOf(cycle="q4"), Goals)) == {"cycles": ["q4"]}
    assert ids(ask(AsOf(unit="platform", goal="objective/uptime"), Goals)) == goals
    assert ids(ask(AsOf(unit="sales", goal="objective/uptime"), Goals)) == {}
    assert ids(ask(AsOf(unit="company", goal="key_result/kr"), Goals)) == {"key_results": ["kr"]}
    assert ids(ask(AsOf(unit="sales", goal="key_result/kr"), Goals)) == {}
    assert ids(ask(AsOf(cycle="q4", goal="key_result/kr"), Goals)) == {}
    assert ids(ask(AsOf(cycle="q3", kpi="kpi"), Goals)) == {}
    assert ids(ask(AsOf(goal="objective/uptime"), Goals)) == goals
    assert ids(ask(AsOf(goal="key_result/kr"), Goals)) == {"key_results": ["kr"]}
    assert ids(ask(AsOf(kpi="kpi"), Goals)) == {"kpis": ["kpi"]}
    assert ids(ask(AsOf(goal="kpi/kpi"), Goals)) == {"kpis": ["kpi"]}


def test_a_unit_shows_what_it_carried_at_the_moment(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(
        events.ObjectiveReassigned(
            "uptime", owner_was="ada", owner="bob", unit_id_was="platform", unit_id="sales"
        ),
        known_at=at(8, 1),
    )
    log.add(
        events.UnitMoved("sales", parent_id_was="company", parent_id="platform"),
        known_at=at(9, 1),
    )
    fill(store, log)
    of_platform = AsOf(unit="platform", as_of="2025-07-15")
    assert ids(ask(of_platform, Goals))["key_results"] == ["kr"]
    in_august = msgspec.structs.replace(of_platform, as_of="2025-08-15")
    assert "objectives" not in ids(ask(in_august, Goals))
    in_september = msgspec.structs.replace(of_platform, as_of="2025-09-15")
    assert ids(ask(in_september, Goals))["objectives"] == ["deals", "uptime"]


@pytest.mark.parametrize(
    "query", [AsOf(), AsOf(unit="company"), AsOf(cycle="q3"), AsOf(goal="objective/uptime")]
)
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_are_the_whole_however_they_are_cut(
    store: ViewStore, ask: Asker, limit: int, query: AsOf
) -> None:
    log = opened()
    for name, objective_id in (("kr-2", "uptime"), ("kr-3", "deals"), ("kr-4", "uptime")):
        log.add(msgspec.structs.replace(company.KR, key_result_id=name, objective_id=objective_id))
    fill(store, log)
    whole = ask(query, Goals)
    pages = ask.pages(msgspec.structs.replace(query, limit=limit))
    assert all(page.reflects == whole.reflects for page in pages)
    for section in ("units", "cycles", "objectives", "key_results", "kpis"):
        joined = tuple(card for page in pages for card in getattr(page, section))
        assert joined == getattr(whole, section)


def test_a_cursor_stays_at_the_moment_of_its_first_page(store: ViewStore, ask: Asker) -> None:
    log = opened()
    fill(store, log)
    first = ask(AsOf(limit=8), Goals)
    log.add(events.KpiReassigned("kpi", owner_was="ada", owner="eve", unit_id_was="platform",
                                 unit_id="platform"))  # fmt: skip
    fill(store, log[-1:])
    later = NOW + timedelta(days=1)
    rest = ask(AsOf(limit=8, cursor=first.cursor), Goals, now=later)
    assert rest.reflects == first.reflects
    assert [card.owner for card in rest.kpis] == ["ada"]
    assert [card.owner for card in ask(AsOf(kpi="kpi"), Goals).kpis] == ["eve"]


@pytest.mark.parametrize(
    "cursor", ["", "x", "1.2.3", "1.1.0.0.planet...", f"{2**70}.1.0.0.unit..."]
)
def test_a_cursor_that_is_not_ours_is_refused(store: ViewStore, ask: Asker, cursor: str) -> None:
    fill(store, opened())
    for query in (
        AsOf(cursor=cursor),
        Replay(cursor=cursor),
        History(kind="kpi", id="kpi", cursor=cursor),
        ExportView(view="change", cursor=cursor),
    ):
        with pytest.raises(CannotAnswer, match="cursor"):
            ask(query, Goals)


def test_an_answer_too_large_for_a_message_is_cut(store: ViewStore, ask: Asker) -> None:
    log = opened()
    for number in range(400):
        log.add(
            msgspec.structs.replace(
                company.UPTIME, objective_id=f"o-{number:03}", description="ä" * 4_000
            )
        )
    fill(store, log)
    assert len(ask.raw(AsOf(limit=1_000))) < 1_000_000
    pages = ask.pages(AsOf(limit=1_000))
    assert len(pages) > 3
    assert sum(len(page.objectives) for page in pages) == 402


def test_a_cursor_goes_no_further_than_the_log(store: ViewStore, ask: Asker) -> None:
    fill(store, opened())
    for query in (
        Replay(cursor="12.1.0.0.0"),
        Replay(cursor="900.900.0.0.0"),
        AsOf(cursor="900.1.0.0.unit..."),
        ExportView(view="change", cursor="12.x"),
    ):
        with pytest.raises(CannotAnswer, match="the views have read the log up to 11") as refused:
            ask(query, Goals)
        assert refused.value.why == "not_yet"
    for forged in ("-1.-1.0.0.0", "1.2.0.0.0"):
        with pytest.raises(CannotAnswer, match="not one of ours"):
            ask(Replay(cursor=forged), Events)


@pytest.mark.parametrize(
    ("start", "end"),
    [("2025-08-31", "2025-08-01"), ("@2", "@1"), ("2025-08-01T12:00Z", "2025-08-01T11:59Z")],
)
def test_a_range_that_ends_before_it_begins_is_refused(
    store: ViewStore, ask: Asker, start: str, end: str
) -> None:
    fill(store, opened())
    with pytest.raises(CannotAnswer, match="swap the two") as refused:
        ask(Replay(start=start, end=end), Events)
    assert refused.value.why == "malformed"


@pytest.mark.parametrize(("start", "end"), [("2025-08-01", "2025-08-01"), ("@1", "@1")])
def test_a_range_of_one_day_or_one_event_is_one(
    store: ViewStore, ask: Asker, start: str, end: str
) -> None:
    fill(store, opened())
    assert len(ask(Replay(start=start, end=end), Events).events) <= 1


def test_nothing_is_exported_of_an_organisation_that_is_not_there(
    store: ViewStore, ask: Asker
) -> None:
    with pytest.raises(CannotAnswer):
        ask(ExportView(view="change"), ViewPage)


def test_what_never_was_is_not_found(store: ViewStore, ask: Asker) -> None:
    fill(store, opened())
    for query in (
        AsOf(goal="objective/none"),
        AsOf(cycle="none"),
        AsOf(unit="none"),
        AsOf(kpi="none"),
        Readings(kpi="none"),
        History(kind="unit", id="none"),
        Replay(cycle="none"),
        ExportView(view="none"),
    ):
        with pytest.raises(CannotAnswer) as refused:
            ask(query, Goals)
        assert refused.value.why == "not_found"
    with pytest.raises(CannotAnswer, match="no organisation umbrella"):
        Asker(store, "umbrella")(AsOf(), Goals)


# ------------------------------------------------------------------ readings


def claimants() -> Log:
    log = opened()
    first = reading("2025-07-01/2025-07-31", "4990")
    log.add(first, known_at=at(8, 5), provenance="2025-08.csv")
    log.add(reading("2025-08-01/2025-08-31", "4700"), known_at=at(9, 5))
    log.add(
        events.KpiReadingCorrected(
            "kpi",
            period=first.period,
            effective_at=first.effective_at,
            value_was=Decimal(4990),
            value=Decimal(4865),
            source=first.source,
            definition_version=1,
            reason="revised",
        ),
        known_at=at(10, 5),
    )
    return log


def test_a_late_correction_stands_beside_what_it_corrects(store: ViewStore, ask: Asker) -> None:
    log = claimants()
    fill(store, log)
    series = ask(Readings(kpi="kpi"), ReadingSeries)
    seen = [(card.value, card.event, card.corrects, card.counts) for card in series.readings]
    first = log[-3].position
    assert seen == [
        (Decimal(4990), "recorded", None, False),
        (Decimal(4865), "corrected", first, True),
        (Decimal(4700), "recorded", None, True),
    ]
    assert series.readings[1].value_was == Decimal(4990)
    before = ask(Readings(kpi="kpi", known_at="2025-09-30"), ReadingSeries)
    assert [(card.value, card.counts) for card in before.readings] == [
        (Decimal(4990), True),
        (Decimal(4700), True),
    ]
    assert sum(len(page.readings) for page in ask.pages(Readings(kpi="kpi", limit=1))) == 3


def test_the_same_month_is_told_as_it_was_known(store: ViewStore, ask: Asker) -> None:
    fill(store, claimants())
    for known_at, value in (("2025-09-30", 4990), ("2025-10-31", 4865)):
        answer = ask(AsOf(as_of="2025-08-01", known_at=known_at, kpi="kpi"), Goals)
        (card,) = answer.kpis
        assert card.reading is not None
        assert (card.reading.value, card.reading.period) == (
            Decimal(value),
            "2025-07-01/2025-07-31",
        )


def test_a_kpi_watched_later_still_has_its_older_readings(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(reading("2024-01-01/2024-01-31", "97"))
    fill(store, log)
    (card,) = ask(AsOf(as_of="2024-02-15", known_at="2025-09-01", kpi="kpi"), Goals).kpis
    assert card.reading is not None
    assert card.reading.value == Decimal(97)


def test_of_a_retracted_reading_nothing_counts(store: ViewStore, ask: Asker) -> None:
    log = claimants()
    last = log[-1].event
    assert isinstance(last, events.KpiReadingCorrected)
    log.add(
        events.KpiReadingRetracted(
            "kpi",
            period=last.period,
            effective_at=last.effective_at,
            value_was=last.value,
            source=last.source,
            reason="another borough",
        )
    )
    log.add(
        events.KpiReadingMissed(
            "kpi", period="2025-09-01/2025-09-30", effective_at=at(9, 30), source="probe"
        )
    )
    fill(store, log)
    series = ask(Readings(kpi="kpi"), ReadingSeries)
    assert [(card.event, card.counts) for card in series.readings] == [
        ("recorded", False),
        ("corrected", False),
        ("retracted", False),
        ("recorded", True),
        ("missed", False),
    ]
    assert series.kpi.reading is not None
    assert series.kpi.reading.value == Decimal(4700)


def test_a_definition_is_in_force_from_its_day(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(
        events.KpiRetargeted("kpi", version=2, effective_on=date(2025, 9, 1), target=Decimal(99)),
        known_at=at(8, 1),
    )
    fill(store, log)
    for day, version in (("2025-08-31", 1), ("2025-09-01", 2)):
        (card,) = ask(AsOf(as_of=day, kpi="kpi"), Goals).kpis
        assert card.definition_version == version
        assert card.definition.target == (Decimal(99) if version == 2 else None)


# ------------------------------------------------------------------ history, replay, export


def test_history_says_who_changed_which_field_from_and_to(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(
        events.KeyResultReworded(
            "kr", title_was="Uptime 100 %", title="Always up", reason="clearer"
        ),
        actor="eve",
    )
    log.add(checked_in("c", "99", at(7, 2)), known_at=at(7, 2))
    log.add(events.CommentAdded("key_result/kr", comment_id="k", text="well done"))
    fill(store, log)
    answer = ask(History(kind="key_result", id="kr"), Changes)
    seen = [
        (change.event, change.field, bytes(change.was), bytes(change.now), change.actor)
        for change in answer.changes
    ]
    assert ("KeyResultAdded", "title", b"null", b'"Uptime 100 %"', "u-17") in seen
    assert seen[-3:] == [
        ("KeyResultReworded", "title", b'"Uptime 100 %"', b'"Always up"', "eve"),
        ("CheckedIn", "check_ins.c.value", b"null", b'"99"', "u-17"),
        ("CommentAdded", "comments.k", b"null", b'"well done"', "u-17"),
    ]
    assert answer.changes[-3].reason == "clearer"
    paged = ask.pages(History(kind="key_result", id="kr", limit=2))
    assert tuple(change for page in paged for change in page.changes) == answer.changes


def test_an_event_that_changed_no_field_is_in_the_history_too(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(events.PolicyChanged("acme", policy_was=Policy(), policy=Policy()))
    fill(store, log)
    last = ask(History(kind="organisation", id="acme"), Changes).changes[-1]
    assert (last.event, last.field) == ("PolicyChanged", "")


def test_where_an_older_release_kept_all_changes_the_history_is_the_same(
    store: ViewStore,
) -> None:
    """Its views are asked, too, while those of this release are being made."""
    log = life()
    for day in (20, 9, 9, 31, 15):
        log.add(checked_in(f"c-{day}", "99", at(7, day), confidence=7), known_at=at(8, day))
        log.add(reading(f"2025-07-{day:02}/2025-07-{day:02}", "98"), known_at=at(8, day))
        log.add(events.CommentAdded("key_result/kr", comment_id=f"k-{day}", text="well done"))
    fill(store, log)
    moments = [{}, {"as_of": "2025-08-15"}, {"as_of": "2025-07-16", "known_at": "2025-08-20"}]
    histories: list[Any] = [
        asked(limit=limit, **moment)  # type: ignore[arg-type]  # only texts
        for moment in moments
        for limit in (1, 3, 500)
        for asked in (
            partial(History, kind="key_result", id="kr"),
            partial(History, kind="key_result", id="kr", field="check_ins.c"),
            partial(History, kind="kpi", id="kpi"),
            partial(History, kind="cycle", id="q3", whole=True),
            partial(Replay, cycle="q3"),
            partial(Blame, kind="key_result", id="kr"),
            partial(Insights),
        )
    ]

    def answers() -> list[list[bytes]]:
        ask = Asker(store)  # which remembers nothing
        return [[codec.encode(page) for page in ask.pages(each)] for each in histories]

    of_this_release = answers()
    kept = [
        told_by(each.position, codec.encode_event(each))
        for each in log
        if isinstance(each.event, TELLING)
    ]
    assert len(kept) == 12
    with store.engine.begin() as connection:
        connection.execute(schema.change.insert(), [each._asdict() for each in kept])
    assert answers() == of_this_release


def test_replay_of_a_range_is_the_stored_bytes_in_order(store: ViewStore, ask: Asker) -> None:
    log = opened()
    for day in (2, 3, 4):
        log.add(checked_in(f"c-{day}", "99", at(7, day)), known_at=at(7, day))
    fill(store, log)

    def positions(**asked: str) -> list[int]:
        pages = ask.pages(Replay(limit=2, **asked))  # type: ignore[arg-type]  # only texts
        return [event.position for page in pages for event in page.events]

    everything = [recorded.position for recorded in log]
    assert positions() == everything
    assert positions(start="2025-07-03") == everything[-2:]
    assert positions(end="2025-07-03") == everything[:-1]
    assert positions(start="@3", end="@5") == [3, 4, 5]
    (event,) = ask(Replay(start="@3", end="@3"), Events).events
    assert msgspec.json.decode(event.event)["subject"] == "unit/platform"


def test_replay_of_a_cycle_has_its_goals_and_the_kpis_they_follow(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    log.add(msgspec.structs.replace(company.UPTIME, objective_id="other", cycle_id="q4"))
    unlinked = log.add(reading("2025-06-01/2025-06-30", "97"))
    inside = log.add(reading("2025-07-01/2025-07-31", "99"), known_at=at(8, 5))
    linked = log.add(
        events.KeyResultLinkedToKpi("kr", measure_was=company.PERCENT, measure=company.LINKED)
    )
    fill(store, log)
    seen = {event.position for event in ask(Replay(cycle="q3"), Events).events}
    own = {
        recorded.position for recorded in log if recorded.goal_id in {"q3", "uptime", "deals", "kr"}
    }
    kpi_defined = next(recorded for recorded in log if recorded.goal_id == "kpi")
    assert linked.position in own
    assert seen == own | {inside.position, kpi_defined.position}
    assert unlinked.position not in seen


def test_an_export_is_pinned_to_the_position_of_its_first_page(
    store: ViewStore, ask: Asker
) -> None:
    log = opened()
    fill(store, log)
    first = ask(ExportView(view="goal_version", limit=3), ViewPage)
    log.add(events.UnitRenamed("company", name_was="Acme", name="Acme Corp"))
    fill(store, log[-1:])
    rest = ask(ExportView(view="goal_version", cursor=first.cursor), ViewPage)
    rows = [msgspec.json.decode(row) for row in (*first.rows, *rest.rows)]
    assert {row["position"] for row in rows} == set(range(1, len(log)))
    assert rows[0]["state"]["card"]["name"] == "Third quarter"
