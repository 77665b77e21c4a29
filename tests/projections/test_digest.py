"""What a week brought, told at its end, and the same for ever after."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.fields import GoalHealth
from goal_contracts.queries import AsOf, Digest, Goals, WeeklyDigest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.projections.cannot_answer import CannotAnswer
from services.projections.view_store.store import ViewStore
from tests.projections import company
from tests.projections.company import at, checked_in, opened, reading
from tests.projections.log import NOW, Asker, Log, fill
from tests.projections.test_report import LOWER, afterwards, quarter

JULY = "2025-07-01/2025-07-31"
SECOND_WEEK = "2025-W32"  # from Monday, 4 August


def eventful() -> Log:
    """A quarter in which most happens from 4 to 10 August."""
    log = opened()
    log.add(events.ObjectivePublished("uptime"), known_at=at(7, 2))
    log.add(events.ObjectivePublished("deals"), known_at=at(7, 2))
    log.add(checked_in("a", "98.5", at(7, 3)), known_at=at(7, 3))
    log.add(checked_in("b", "99", at(8, 1)), known_at=at(8, 1))
    log.add(reading(JULY, "99"), known_at=at(8, 2))
    log.add(checked_in("c", "99.5", at(8, 5), confidence=8), known_at=at(8, 5))
    log.add(
        events.KeyResultRetargeted(
            "kr", company.PERCENT, LOWER, lowered=True, mid_cycle=True, reason="an outage"
        ),
        known_at=at(8, 6),
        actor="ada",
    )
    log.add(events.KeyResultReassigned("kr", owner_was="ada", owner="eve"), known_at=at(8, 6, 13))
    log.add(
        events.KpiReadingCorrected(
            "kpi",
            period=JULY,
            effective_at=reading(JULY, "99").effective_at,
            value_was=Decimal(99),
            value=Decimal(97),
            source="probe",
            definition_version=1,
            reason="the probe was blind",
        ),
        known_at=at(8, 7),
    )
    log.add(
        events.KpiReviewOpened("kpi", review_id="r", owner="eve", due_on=date(2025, 9, 1)),
        known_at=at(8, 8),
    )
    log.add(events.CommentAdded("kpi/kpi", comment_id="k", text="hm"), known_at=at(8, 8, 13))
    log.add(
        events.RetrospectiveRecorded("q3", learned="two probes", celebrate="no night shifts"),
        known_at=at(8, 9),
    )
    log.add(events.ObjectiveDropped("deals", reason="no market"), known_at=at(8, 12))
    return log


def digest(ask: Asker, week: str | None = SECOND_WEEK, **asked: str) -> Digest:
    return ask(WeeklyDigest(week=week, **asked), Digest)  # type: ignore[arg-type]  # only texts


def test_a_week_that_is_over_is_the_same_bytes_whatever_comes_later(
    store: ViewStore, ask: Asker
) -> None:
    log = quarter()
    fill(store, log)
    query = WeeklyDigest(week="2025-W31")
    before = ask.raw(query, now=at(10, 6))
    fill(store, afterwards(log))
    assert ask.raw(query, now=NOW) == before


def test_late_changes_come_first_and_are_told_once(store: ViewStore, ask: Asker) -> None:
    fill(store, eventful())
    told = digest(ask)
    assert [(each.change, each.goal, each.actor) for each in told.late] == [
        ("lowered", "key_result/kr", "ada")
    ]
    assert [(each.event, each.goal, each.title) for each in told.changes] == [
        ("KeyResultReassigned", "key_result/kr", "Uptime 100 %"),
        ("KpiReviewOpened", "kpi/kpi", "Uptime"),
    ]
    (owner,) = told.changes[0].fields
    assert (owner.field, bytes(owner.was), bytes(owner.now)) == ("owner", b'"ada"', b'"eve"')
    assert [each.change for each in digest(ask, "2025-W33").late] == ["dropped"]


def test_check_ins_readings_and_what_was_said_are_those_of_the_week(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, eventful())
    told = digest(ask)
    assert [(each.value, each.confidence, each.title) for each in told.check_ins] == [
        (Decimal("99.5"), 8, "Uptime 100 %")
    ]
    (kpi,) = told.kpis
    assert [(each.event, each.value, each.reason) for each in kpi.readings] == [
        ("corrected", Decimal(97), "the probe was blind")
    ]
    assert [review.closed_at for review in kpi.kpi.reviews] == [None]
    assert [(each.cycle, each.retrospective.celebrate) for each in told.said] == [
        ("Third quarter", "no night shifts")
    ]
    # The review stays open, so that the week after has to tell it, too.
    after = digest(ask, "2025-W33")
    assert [(each.kpi.kpi_id, each.readings) for each in after.kpis] == [("kpi", ())]
    assert (after.check_ins, after.said) == ((), ())


def test_progress_is_told_with_how_it_was_a_week_before(store: ViewStore, ask: Asker) -> None:
    fill(store, eventful())
    told = digest(ask)
    assert [each.objective.objective_id for each in told.objectives] == ["uptime", "deals"]
    (kr,) = told.objectives[0].key_results
    assert (kr.progress_was, kr.key_result.progress) == (Decimal("0.5"), Decimal(1))
    assert kr.health_was == "pending"
    # What ended is told in the week in which it did, and no longer.
    ended = [each.objective.state for each in digest(ask, "2025-W33").objectives]
    assert ended == ["published", "dropped"]
    assert len(digest(ask, "2025-W34").objectives) == 1


@settings(max_examples=3, deadline=None)
@given(
    days=st.lists(st.integers(2, 80), min_size=1, max_size=12),
    values=st.lists(st.integers(96, 101), min_size=12, max_size=12),
)
def test_each_digest_goes_on_from_where_the_one_before_it_ended(
    tmp_path_factory: pytest.TempPathFactory, days: list[int], values: list[int]
) -> None:
    from tests.projections.log import view_store  # noqa: PLC0415 - a store for each example

    store = view_store(tmp_path_factory.mktemp("chain"))
    try:
        log = opened()
        log.add(events.ObjectivePublished("uptime"), known_at=at(7, 2))
        for place, day in enumerate(sorted(days)):
            when = at(7, 1) + timedelta(days=day)
            log.add(checked_in(f"c-{place}", str(values[place]), when), known_at=when)
        fill(store, log)
        ask = Asker(store)
        was: dict[str, tuple[Decimal | None, GoalHealth]] = {}
        check_ins = 0
        for week in range(27, 40):
            told = digest(ask, f"2025-W{week}")
            check_ins += len(told.check_ins)
            now = {}
            for each in told.objectives:
                objective = each.objective
                before = was.get(objective.objective_id)
                if before is not None:
                    assert (each.progress_was, each.health_was) == before
                now[objective.objective_id] = (objective.progress, objective.health)
            was = now
            stood = ask(AsOf(as_of=told.reflects.as_of.isoformat(), cycle="q3"), Goals)
            assert {
                card.objective_id: (card.progress, card.health) for card in stood.objectives
            }.items() >= now.items()
        assert check_ins == len(days)
    finally:
        store.close()


def test_a_digest_of_a_unit_is_of_that_unit_and_those_below_it(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, eventful())
    sales, everything = digest(ask, unit="sales"), digest(ask, unit="company")
    assert sales.unit is not None
    assert sales.unit.name == "Sales"
    assert [each.objective.objective_id for each in sales.objectives] == ["deals"]
    assert (sales.late, sales.changes, sales.check_ins, sales.kpis) == ((), (), (), ())
    assert everything.objectives == digest(ask).objectives
    assert len(digest(ask, unit="platform").check_ins) == 1


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_the_pages_of_a_digest_are_the_whole(store: ViewStore, ask: Asker, limit: int) -> None:
    fill(store, eventful())
    whole = digest(ask)
    pages = ask.pages(WeeklyDigest(week=SECOND_WEEK, limit=limit))
    assert {(page.reflects, page.week, page.cycles) for page in pages} == {
        (whole.reflects, whole.week, whole.cycles)
    }
    for section in ("late", "changes", "check_ins", "units", "objectives", "kpis", "said"):
        joined = tuple(each for page in pages for each in getattr(page, section))
        assert joined == getattr(whole, section)


def test_without_a_week_it_is_the_one_of_the_moment_up_to_it(store: ViewStore, ask: Asker) -> None:
    fill(store, eventful())
    told = digest(ask, None, as_of="2025-08-05")
    assert (told.week, told.start_on, told.end_on) == (
        SECOND_WEEK, date(2025, 8, 4), date(2025, 8, 10),
    )  # fmt: skip
    assert (len(told.check_ins), told.late) == (1, ())
    running = ask(WeeklyDigest(), Digest, now=at(8, 7))
    assert (running.week, running.reflects.position) == ("2025-W33", len(eventful()))


def test_what_came_to_be_known_later_counts_where_it_is_asked_for(
    store: ViewStore, ask: Asker
) -> None:
    log = eventful()
    log.add(
        events.CheckInCorrected(
            "kr",
            check_in_id="c",
            effective_at=at(8, 5),
            reason="a typo",
            value_was=Decimal("99.5"),
            value=Decimal(98),
        ),
        known_at=at(8, 20),
    )
    fill(store, log)
    then, now = digest(ask), digest(ask, known_at="2025-08-31")
    assert then.objectives[0].objective.progress == Decimal(1)
    assert now.objectives[0].objective.progress == Decimal(0)
    assert [each.event for each in now.check_ins] == ["recorded"]  # made in the week


def test_what_is_known_later_is_no_movement_of_the_week(store: ViewStore, ask: Asker) -> None:
    log = eventful()
    log.add(
        events.CheckInCorrected(
            "kr",
            check_in_id="b",
            effective_at=at(8, 1),
            reason="a typo",
            value_was=Decimal(99),
            value=Decimal("99.5"),
        ),
        known_at=at(8, 20),
    )
    log.add(
        events.KpiReadingCorrected(
            "kpi",
            period=JULY,
            effective_at=reading(JULY, "99").effective_at,
            value_was=Decimal(97),
            value=Decimal(98),
            source="probe",
            definition_version=1,
            reason="the probe was right",
        ),
        known_at=at(8, 20),
    )
    fill(store, log)
    then, now = digest(ask), digest(ask, known_at="2025-08-31")
    # Known by now, the week before had come as far already.
    assert then.objectives[0].progress_was == Decimal("0.5")
    assert now.objectives[0].progress_was == Decimal("0.75")
    query = AsOf(as_of="2025-08-03", known_at="2025-08-31", goal="objective/uptime")
    (before,) = ask(query, Goals).objectives
    assert now.objectives[0].progress_was == before.progress
    # What was said of a reading in the week is told, and counts no more.
    assert [(each.value, each.counts) for each in then.kpis[0].readings] == [(Decimal(97), True)]
    assert [(each.value, each.counts) for each in now.kpis[0].readings] == [(Decimal(97), False)]


def test_what_was_said_while_a_clock_went_back_is_told_in_the_week_in_which_it_came(
    store: ViewStore, ask: Asker
) -> None:
    log = eventful()
    log.add(events.CommentAdded("kpi/kpi", comment_id="l", text="hm"), known_at=at(8, 19))
    log.add(events.RetrospectiveRecorded("q3", learned="a third one"), known_at=at(8, 10))
    fill(store, log)
    told = [
        each.retrospective.learned
        for week in (32, 33, 34)
        for each in digest(ask, f"2025-W{week}").said
    ]
    assert told == ["two probes", "a third one"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (WeeklyDigest(week="2026-W40"), "has not begun"),
        (WeeklyDigest(week="2025-W53"), "is no week"),
        (WeeklyDigest(week="2025-W32", as_of="2025-08-05"), "leave out one"),
        (WeeklyDigest(week="2025-W32", unit="none"), "no unit none"),
        (WeeklyDigest(cursor="x"), "cursor"),
    ],
)
def test_a_week_that_cannot_be_told_is_refused(
    store: ViewStore, ask: Asker, asked: WeeklyDigest, why: str
) -> None:
    fill(store, eventful())
    with pytest.raises(CannotAnswer, match=why):
        ask(asked, Digest)


def test_a_week_before_there_was_anything_is_empty(store: ViewStore, ask: Asker) -> None:
    fill(store, eventful())
    told = digest(ask, "2025-W20")
    assert (told.cycles, told.objectives, told.changes, told.kpis) == ((), (), (), ())
