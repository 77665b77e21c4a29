"""What needs somebody's attention: when it begins, when it ends, and that it is one fact."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Final
from unittest.mock import Mock

import pytest
from goal_contracts import events
from goal_contracts.events import Band, KpiBands
from goal_contracts.measures import Count, Maintain, Milestone
from goal_contracts.policy import Policy
from goal_contracts.queries import Alert, AlertList, Alerts
from msgspec.structs import replace

from services.projections import answering, rests
from services.projections.alerts import alerts_of
from services.projections.answering import Asked
from services.projections.cannot_answer import CannotAnswer
from services.projections.view_store import reader as view_reader
from services.projections.view_store.store import ViewStore
from services.projections.views.days import end_of_day
from tests.projections import company
from tests.projections.company import at, reading
from tests.projections.log import Asker, Log, fill

BERLIN: Final = company.OPENED.zone
BANDS: Final = KpiBands(healthy=Band(low=Decimal(99)), warning=Band(low=Decimal(95)))
JUDGED: Final = replace(company.DEFINITION, bands=BANDS)


def pursued(policy: Policy | None = None, measure: Any = company.PERCENT) -> Log:
    """The quarter runs, its one objective is published, on the first of July."""
    log = Log()
    for event in (
        company.OPENED,
        company.COMPANY,
        company.PLATFORM,
        company.SALES,
        company.Q3,
        events.CycleActivated("q3", policy=policy or Policy()),
        company.UPTIME,
        replace(company.KR, measure=measure),
        events.ObjectivePublished("uptime"),
    ):
        log.add(event)
    return log


def watched() -> Log:
    """The KPI is watched since July, with nothing else around."""
    log = Log()
    for event in (company.OPENED, company.COMPANY, company.PLATFORM):
        log.add(event)
    log.add(replace(company.KPI, definition=JUDGED))
    return log


def said(check_in_id: str, effective_at: datetime, **fields: Any) -> events.CheckedIn:
    return events.CheckedIn("kr", check_in_id, effective_at, **fields)


def alerts(ask: Asker, as_of: str | datetime, **more: Any) -> list[Alert]:
    moment = as_of if isinstance(as_of, str) else as_of.isoformat()
    return list(ask(Alerts(as_of=moment, **more), AlertList).alerts)


def kinds(ask: Asker, as_of: str | datetime, **more: Any) -> list[str]:
    return [each.kind for each in alerts(ask, as_of, **more)]


def one(ask: Asker, kind: str, as_of: str | datetime, **more: Any) -> Alert:
    (alert,) = [each for each in alerts(ask, as_of, **more) if each.kind == kind]
    return alert


# ------------------------------------------------------------------ check-ins


def test_a_check_in_is_late_from_the_day_after_its_period_and_overdue_after_the_grace(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, pursued())
    # The first week of the quarter ends on 7 July in Berlin, which is two hours ahead of UTC.
    assert kinds(ask, "2025-07-07T21:59:59Z") == []
    late = one(ask, "check_in_late", "2025-07-07T22:00:00Z")
    assert late.since == datetime(2025, 7, 7, 22, tzinfo=UTC)
    assert (late.severity, late.owner, late.unit_id) == ("notice", "ada", "platform")
    assert late.why == (
        "there is no check-in for 2025-07-01 to 2025-07-07, nor one since; "
        "it is overdue after 2025-07-10"
    )
    assert kinds(ask, "2025-07-10T21:59:59Z") == ["check_in_late"]
    overdue = one(ask, "check_in_overdue", "2025-07-10T22:00:00Z")
    assert overdue.since == datetime(2025, 7, 10, 22, tzinfo=UTC)
    assert overdue.severity == "warning"
    assert late.alert_id != overdue.alert_id


def test_a_day_with_25_hours_ends_when_it_ends_there(store: ViewStore, ask: Asker) -> None:
    log = pursued()
    for event in (
        company.Q4,
        events.CycleActivated("q4", policy=Policy()),
        replace(company.UPTIME, objective_id="next", cycle_id="q4"),
        replace(company.KR, key_result_id="kr-next", objective_id="next", measure=Milestone()),
        events.ObjectivePublished("next"),
    ):
        log.add(event)
    log.add(replace(said("a", at(10, 22)), key_result_id="kr-next"), known_at=at(10, 22))
    fill(store, log)
    # Winter time began on the 26th: midnight of the 28th is 23:00 UTC, not 22:00 any more.
    assert kinds(ask, "2025-10-28T22:30:00Z", cycle="q4") == []
    assert kinds(ask, "2025-10-28T23:00:00Z", cycle="q4") == []  # that week's is there
    late = one(ask, "check_in_late", "2025-11-04T23:00:00Z", cycle="q4")
    assert late.since == datetime(2025, 11, 4, 23, tzinfo=UTC)


def test_the_same_period_is_one_fact_however_long_it_stands(store: ViewStore, ask: Asker) -> None:
    log = pursued()
    fill(store, log)
    ids = {one(ask, "check_in_overdue", f"2025-07-{day}").alert_id for day in (11, 14, 20, 30)}
    assert ids == {"check_in_overdue:key_result/kr:2025-07-01"}


def test_a_check_in_ends_the_alert_and_the_next_period_without_one_is_another(
    store: ViewStore, ask: Asker
) -> None:
    log = pursued(measure=Milestone())
    log.add(said("a", at(7, 12)), known_at=at(7, 12))
    fill(store, log)
    assert kinds(ask, at(7, 12, 11)) == ["check_in_overdue"]
    assert kinds(ask, at(7, 12)) == []
    late = one(ask, "check_in_late", at(7, 22))
    assert late.alert_id == "check_in_late:key_result/kr:2025-07-15"


def test_a_check_in_that_became_known_later_counts_only_for_who_knows_it(
    store: ViewStore, ask: Asker
) -> None:
    log = pursued()
    log.add(said("a", at(7, 5)), known_at=at(7, 14))
    fill(store, log)
    assert kinds(ask, "2025-07-09") == ["check_in_late"]
    assert kinds(ask, "2025-07-09", known_at="2025-07-20") == []


def test_of_a_goal_that_came_later_only_what_ended_since_is_asked(
    store: ViewStore, ask: Asker
) -> None:
    log = pursued()
    log.add(replace(company.KR, key_result_id="late", mid_cycle=True), known_at=at(7, 9))
    fill(store, log)
    asked = [each for each in alerts(ask, "2025-07-16") if each.goal == "key_result/late"]
    assert [each.alert_id for each in asked] == ["check_in_late:key_result/late:2025-07-08"]


# ------------------------------------------------------------------ pace


def test_nobody_is_behind_before_the_first_check_in_would_be_overdue(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, pursued())
    assert "behind_pace" not in kinds(ask, "2025-07-10T21:59:59.999999Z")
    # The day's first instant is one of it.
    for moment in "2025-07-10T22:00:00Z", at(7, 11):
        behind = one(ask, "behind_pace", moment)
        assert behind.since == datetime(2025, 7, 10, 22, tzinfo=UTC)
    assert behind.severity == "critical"
    assert behind.why == "0 % reached where the pace expects 12 %"


def test_behind_is_below_the_high_band_of_the_pace_and_grave_below_the_low_one(
    store: ViewStore, ask: Asker
) -> None:
    log = pursued(measure=Count(unit="customers", of=100))
    log.add(said("a", at(7, 3), value=Decimal(28)), known_at=at(7, 3))
    fill(store, log)
    start = datetime(2025, 6, 30, 22, tzinfo=UTC)
    # 28 % is what 0.7 of the pace asks for after 40 % of 92 days, and 0.4 of it after 70 %.
    falls_behind, grave = start + timedelta(days=36.8), start + timedelta(days=64.4)
    assert "behind_pace" not in kinds(ask, falls_behind)
    behind = one(ask, "behind_pace", falls_behind + timedelta(seconds=1))
    assert (behind.severity, behind.since) == ("warning", falls_behind)
    assert one(ask, "behind_pace", grave).alert_id == behind.alert_id
    graver = one(ask, "behind_pace", grave + timedelta(seconds=1))
    assert (graver.severity, graver.since) == ("critical", falls_behind)
    assert graver.alert_id != behind.alert_id


def test_who_catches_up_and_falls_behind_again_is_told_again(store: ViewStore, ask: Asker) -> None:
    log = pursued(measure=Count(unit="customers", of=100))
    log.add(said("a", at(8, 1), value=Decimal(50)), known_at=at(8, 1))
    fill(store, log)
    first = one(ask, "behind_pace", "2025-07-20")
    assert "behind_pace" not in kinds(ask, "2025-08-10")
    again = one(ask, "behind_pace", "2025-09-10")
    assert first.since < at(8, 1) < again.since
    assert first.alert_id != again.alert_id


def test_after_the_end_no_pace_is_asked_for(store: ViewStore, ask: Asker) -> None:
    fill(store, pursued())
    assert "behind_pace" in kinds(ask, "2025-09-30T21:59:59Z")
    assert "behind_pace" not in kinds(ask, "2025-09-30T22:00:00Z")


@pytest.mark.parametrize("measure", [Milestone(), Maintain(unit="%", lower=Decimal(99))])
def test_what_does_not_grow_with_time_is_never_behind(
    store: ViewStore, ask: Asker, measure: Any
) -> None:
    fill(store, pursued(measure=measure))
    assert kinds(ask, "2025-08-31") == ["check_in_overdue"]


def test_a_key_result_that_follows_a_kpi_is_as_far_as_its_readings(
    store: ViewStore, ask: Asker
) -> None:
    log = pursued(measure=company.LINKED)
    log.add(company.KPI)
    log.add(reading("2025-07-01/2025-07-31", "100"), known_at=at(8, 3))
    fill(store, log)
    assert "behind_pace" in kinds(ask, "2025-07-30")
    assert "behind_pace" not in kinds(ask, "2025-08-04")


def test_the_cycles_own_bands_judge_the_pace(store: ViewStore, ask: Asker) -> None:
    lenient = Policy(bands=(Decimal(0), Decimal("0.01")))
    log = pursued(lenient, Count(unit="customers", of=100))
    log.add(said("a", at(7, 3), value=Decimal(1)), known_at=at(7, 3))
    fill(store, log)
    assert "behind_pace" not in kinds(ask, "2025-09-29")


# ------------------------------------------------------------------ what people said


def test_low_confidence_stands_since_it_was_first_said(store: ViewStore, ask: Asker) -> None:
    log = pursued(measure=Milestone())
    for day, confidence in ((3, 4), (10, 3), (17, 1), (24, 6)):
        log.add(said(f"c-{day}", at(7, day), confidence=confidence), known_at=at(7, day))
    fill(store, log)
    assert kinds(ask, "2025-07-09") == []
    low = one(ask, "low_confidence", at(7, 10))
    later = one(ask, "low_confidence", at(7, 20))
    assert low.alert_id == later.alert_id
    assert low.since == later.since == at(7, 10)
    assert later.why == "u-17 is 1 of 10 confident that it will land"
    assert kinds(ask, "2025-07-24") == []


def test_off_track_is_graver_than_at_risk_and_another_fact(store: ViewStore, ask: Asker) -> None:
    log = pursued(measure=Milestone())
    for day, status in ((3, "at_risk"), (5, None), (9, "off_track"), (16, "on_track")):
        log.add(said(f"c-{day}", at(7, day), status=status, note="n"), known_at=at(7, day))
    fill(store, log)
    risk = one(ask, "at_risk", at(7, 8))
    assert (risk.severity, risk.since) == ("warning", at(7, 3))
    off = one(ask, "off_track", at(7, 12))
    assert (off.severity, off.since) == ("critical", at(7, 9))
    assert kinds(ask, at(7, 17)) == []


def test_what_people_wrote_in_their_own_words_is_not_repeated(store: ViewStore, ask: Asker) -> None:
    log = pursued()
    log.add(said("a", at(7, 3), status="off_track", confidence=0, note="secret"))
    fill(store, log)
    assert b"secret" not in ask.raw(Alerts(as_of="2025-07-20"))


def test_a_correction_ends_what_the_first_word_began(store: ViewStore, ask: Asker) -> None:
    log = pursued(measure=Milestone())
    log.add(said("a", at(7, 3), status="off_track"), known_at=at(7, 3))
    log.add(
        events.CheckInCorrected("kr", "a", at(7, 3), "typo", status="on_track"), known_at=at(7, 5)
    )
    fill(store, log)
    assert kinds(ask, "2025-07-04") == ["off_track"]
    assert kinds(ask, "2025-07-04", known_at="2025-07-06") == []


# ------------------------------------------------------------------ KPIs


def test_a_kpi_in_breach_stands_since_the_first_of_the_readings_in_a_row(
    store: ViewStore, ask: Asker
) -> None:
    log = watched()
    for month, value in ((5, "99.5"), (6, "94"), (7, "93")):
        last = (date(2025, month + 1, 1) - timedelta(days=1)).day
        log.add(
            reading(f"2025-{month:02}-01/2025-{month:02}-{last}", value),
            known_at=at(month + 3, 1),
        )
    fill(store, log)
    assert kinds(ask, "2025-08-31", known_at="2025-08-15") == []
    breach = one(ask, "kpi_in_breach", "2025-10-02")
    assert breach.since == end_of_day(date(2025, 6, 30), BERLIN)
    assert breach.why == "93 % for 2025-07-01 to 2025-07-31 is in breach, 2 readings in a row"
    assert (breach.owner, breach.unit_id, breach.severity) == ("ada", "platform", "critical")
    before = one(ask, "kpi_in_breach", "2025-07-15", known_at="2025-09-02")
    assert before.alert_id == breach.alert_id


def test_where_the_last_reading_was_taken_back_the_one_before_counts(
    store: ViewStore, ask: Asker
) -> None:
    log = watched()
    july = reading("2025-07-01/2025-07-31", "99.9")
    log.add(reading("2025-06-01/2025-06-30", "90"), known_at=at(7, 5))
    log.add(july, known_at=at(8, 5))
    log.add(
        events.KpiReadingRetracted(
            "kpi", july.period, july.effective_at, july.value, july.source, "not ours"
        ),
        known_at=at(8, 10),
    )
    fill(store, log)
    assert kinds(ask, "2025-08-09") == []
    assert one(ask, "kpi_in_breach", "2025-08-11").since == end_of_day(date(2025, 6, 30), BERLIN)


def test_a_reading_that_was_missed_hides_how_the_kpi_stands_until_it_comes(
    store: ViewStore, ask: Asker
) -> None:
    log = watched()
    log.add(reading("2025-06-01/2025-06-30", "90"), known_at=at(7, 5))
    july = events.KpiReadingMissed(
        "kpi", "2025-07-01/2025-07-31", end_of_day(date(2025, 7, 31), BERLIN), "probe"
    )
    log.add(july, known_at=at(8, 11))
    log.add(reading("2025-07-01/2025-07-31", "99.9"), known_at=at(8, 20))
    fill(store, log)
    assert kinds(ask, "2025-08-10") == ["kpi_in_breach"]
    missed = one(ask, "reading_missed", "2025-08-12")
    assert missed.alert_id == "reading_missed:kpi/kpi:@6"
    assert missed.since == july.effective_at
    assert kinds(ask, "2025-08-12") == ["reading_missed"]
    assert kinds(ask, "2025-08-21") == []


def test_a_review_is_overdue_once_its_day_is_over_where_people_work(
    store: ViewStore, ask: Asker
) -> None:
    log = watched()
    log.add(
        events.KpiReviewOpened("kpi", "r", owner="eve", due_on=date(2025, 8, 28), reason="breach"),
        known_at=at(8, 14),
    )
    log.add(events.KpiReviewClosed("kpi", "r", decision="fix"), known_at=at(9, 9))
    fill(store, log)
    opened = one(ask, "review_open", "2025-08-28T21:59:59Z")
    assert (opened.owner, opened.severity, opened.since) == ("eve", "notice", at(8, 14))
    overdue = one(ask, "review_overdue", "2025-08-28T22:00:00Z")
    assert overdue.since == datetime(2025, 8, 28, 22, tzinfo=UTC)
    assert overdue.alert_id == "review_overdue:kpi/kpi:r"
    assert kinds(ask, "2025-09-10") == []


# ------------------------------------------------------------------ what ends it all


@pytest.mark.parametrize(
    "ending",
    [
        events.KeyResultDropped("kr"),
        events.KeyResultWaived("kr", reason="no data"),
        events.KeyResultGraded("kr", score=Decimal(0)),
        events.ObjectiveDropped("uptime"),
        events.ObjectiveGraded("uptime", outcome="missed"),
        events.CycleCancelled("q3", reason="merged"),
        events.CycleClosed("q3", policy=Policy()),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_is_judged_or_over_needs_no_attention(
    store: ViewStore, ask: Asker, ending: events.Event
) -> None:
    log = pursued()
    log.add(said("a", at(7, 3), confidence=0, status="off_track"))
    log.add(ending, known_at=at(8, 1))
    fill(store, log)
    assert set(kinds(ask, "2025-07-31")) == {
        "check_in_overdue",
        "behind_pace",
        "low_confidence",
        "off_track",
    }
    assert kinds(ask, "2025-08-02") == []


def test_a_kpi_that_is_retired_needs_no_attention(store: ViewStore, ask: Asker) -> None:
    log = watched()
    log.add(reading("2025-06-01/2025-06-30", "90"), known_at=at(7, 5))
    log.add(events.KpiReviewOpened("kpi", "r", owner="eve", due_on=date(2025, 7, 28)))
    log.add(events.KpiRetired("kpi"), known_at=at(8, 1))
    fill(store, log)
    assert set(kinds(ask, "2025-07-31")) == {"kpi_in_breach", "review_overdue"}
    assert kinds(ask, "2025-08-02") == []


def test_nothing_is_asked_of_a_goal_that_is_not_published_or_a_cycle_that_is_planned(
    store: ViewStore, ask: Asker
) -> None:
    log = company.opened()  # the objective is a draft
    fill(store, log)
    assert kinds(ask, "2025-08-31") == []


# ------------------------------------------------------------------ whose they are


def many() -> Log:
    log = pursued()
    log.add(replace(company.KPI, definition=JUDGED))
    log.add(reading("2025-06-01/2025-06-30", "90"), known_at=at(7, 5))
    log.add(company.DEALS)
    log.add(replace(company.KR, key_result_id="sold", objective_id="deals", owner="bob"))
    log.add(events.ObjectivePublished("deals"))
    return log


def test_alerts_are_of_the_unit_and_all_below_it_of_a_cycle_or_of_one_owner(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, many())
    day = "2025-08-01"
    everything = alerts(ask, day)
    assert alerts(ask, day, unit="company") == everything
    assert {each.goal for each in alerts(ask, day, unit="sales")} == {"key_result/sold"}
    assert {each.goal for each in alerts(ask, day, owner="ada")} == {"key_result/kr", "kpi/kpi"}
    assert {each.goal for each in alerts(ask, day, cycle="q3")} == {
        "key_result/kr",
        "key_result/sold",
    }
    with pytest.raises(CannotAnswer, match="there was no unit nowhere"):
        alerts(ask, day, unit="nowhere")


def test_the_gravest_come_first_then_the_oldest_and_pages_lose_nothing(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, many())
    everything = alerts(ask, "2025-08-01")
    gravity = ["critical", "warning", "notice"]
    order = [(gravity.index(each.severity), each.since, each.alert_id) for each in everything]
    assert order == sorted(order)
    assert len({each.alert_id for each in everything}) == len(everything) == 5
    pages = ask.pages(Alerts(as_of="2025-08-01", limit=2))
    assert [each for page in pages for each in page.alerts] == everything
    assert len(pages) == 3


def test_all_pages_are_cut_from_one_piece_of_work(
    store: ViewStore, ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, many())
    worked_out = Mock(side_effect=alerts_of)
    monkeypatch.setattr(answering, "alerts_of", worked_out)
    assert len(ask.pages(Alerts(as_of="2025-08-01", limit=2))) == 3
    assert worked_out.call_count == 1
    ask.pages(Alerts(as_of="2025-08-01", limit=2, unit="sales"))
    assert worked_out.call_count == 2


def test_who_is_waited_for_takes_no_rest_and_whoever_is_not_one_after_each_piece_of_work(
    store: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = many()
    fill(store, log)
    clock, slept = count(step=1.5), list[float]()
    monkeypatch.setattr(rests, "time", Mock(perf_counter=clock.__next__))
    with view_reader.reading(store.engine) as reader:
        asked = Alerts(as_of="2025-08-01")
        told = Asked(reader, company.OPENED.organisation_id, at(8, 1), len(log)).answer(asked, 100)
        assert slept == []
        rested = Asked(
            reader, company.OPENED.organisation_id, at(8, 1), len(log), rests.rests(slept.append)
        ).answer(asked, 100)
    assert rested == told
    # After what runs, the check-ins of some of it, and some KPIs.
    assert slept == [1.5 * rests.TIMES] * 3


def test_the_same_moment_has_the_same_bytes_whatever_came_later(
    store: ViewStore, ask: Asker
) -> None:
    log = many()
    fill(store, log)
    asked = Alerts(as_of=f"@{len(log)}")
    before = ask.raw(asked)
    more = Log(log)
    more.add(said("a", at(7, 6), status="on_track"), known_at=at(9, 1))
    more.add(events.KpiRetired("kpi"))
    fill(store, more[len(log) :])
    assert ask.raw(asked) == before
