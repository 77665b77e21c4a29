"""What cards say beside their numbers: where these come from, health, advice, and what is open."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.events import Band, KpiBands
from goal_contracts.measures import FourPointMetric, Milestone
from goal_contracts.policy import Policy
from goal_contracts.queries import (
    AsOf,
    ClosingCard,
    CommentCard,
    Goals,
    KeyResultCard,
    KpiCard,
    ObjectiveCard,
    Readings,
    ReadingSeries,
)
from msgspec.structs import replace

from services.projections.view_store.store import ViewStore
from services.projections.views.days import end_of_day
from tests.projections import company
from tests.projections.company import at, checked_in, opened, reading
from tests.projections.log import ORGANISATION, START, Asker, Log, fill

PUBLISHED = events.ObjectivePublished("uptime")
JULY = "2025-07-01/2025-07-31"


def running(policy: Policy | None = None) -> Log:
    """The company with its objective published, perhaps under a policy of its own."""
    if policy is None:
        log = opened()
    else:
        log = Log()
        for recorded in opened():
            event = recorded.event
            assert isinstance(event, events.Event)
            log.add(replace(event, policy=policy) if "policy" in event.__struct_fields__ else event)
    log.add(PUBLISHED)
    return log


def corrected(value: str, was: str, effective_at: datetime) -> events.CheckInCorrected:
    return events.CheckInCorrected(
        "kr",
        check_in_id="a",
        effective_at=effective_at,
        reason="typo",
        value_was=Decimal(was),
        value=Decimal(value),
    )


def stated(check_in_id: str, status: str, effective_at: datetime) -> events.CheckedIn:
    return replace(checked_in(check_in_id, "99", effective_at), status=status)


def key_result(ask: Asker, goal_id: str = "kr", as_of: str | None = None) -> KeyResultCard:
    (card,) = ask(AsOf(goal=f"key_result/{goal_id}", as_of=as_of), Goals).key_results
    return card


def objective(ask: Asker, goal_id: str = "uptime", as_of: str | None = None) -> ObjectiveCard:
    (card,) = ask(AsOf(goal=f"objective/{goal_id}", as_of=as_of), Goals).objectives
    return card


def kpi(ask: Asker, as_of: str | None = None, known_at: str | None = None) -> KpiCard:
    (card,) = ask(AsOf(kpi="kpi", as_of=as_of, known_at=known_at), Goals).kpis
    return card


# ------------------------------------------------------------------ R28: where numbers come from


def test_a_value_that_was_checked_in_is_entered_and_its_progress_computed(
    store: ViewStore, ask: Asker
) -> None:
    log = running()
    log.add(checked_in("a", "99", at(7, 10), confidence=7), known_at=at(7, 10))
    fill(store, log)
    card = key_result(ask)
    assert (card.value_origin, card.confidence_origin) == ("entered", "entered")
    assert card.progress_origin == "computed"
    assert objective(ask).progress_origin == "rolled_up"


def test_where_there_is_no_number_there_is_no_origin(store: ViewStore, ask: Asker) -> None:
    fill(store, running())
    card = key_result(ask)
    assert (card.value_origin, card.confidence_origin, card.score_origin) == (None, None, None)
    assert objective(ask, "deals").progress_origin is None


@pytest.mark.parametrize("provenance", [None, "okrs.md#3"])
def test_a_value_known_before_it_was_recorded_is_imported(
    store: ViewStore, ask: Asker, provenance: str | None
) -> None:
    log = running()
    known_at = at(7, 10) if provenance else START - timedelta(days=1)
    log.add(checked_in("a", "99", at(7, 1, 0)), known_at=known_at, provenance=provenance)
    fill(store, log)
    assert key_result(ask).value_origin == "imported"


def test_a_correction_that_counts_shows(store: ViewStore, ask: Asker) -> None:
    log = running()
    log.add(checked_in("a", "99", at(7, 10)), known_at=at(7, 10))
    log.add(corrected("98", "99", at(7, 10)), known_at=at(7, 12))
    log.add(checked_in("b", "99.5", at(7, 20)), known_at=at(7, 20))
    fill(store, log)
    origins = [
        key_result(ask, as_of=day).value_origin
        for day in ("2025-07-11", "2025-07-12", "2025-07-20")
    ]
    assert origins == ["entered", "corrected", "entered"]


def test_a_reading_says_whether_it_was_imported_corrected_or_computed(
    store: ViewStore, ask: Asker
) -> None:
    log = running()
    log.add(reading(JULY, "99"), known_at=at(8, 1), provenance="uptime.csv#12")
    log.add(reading("2025-08-01/2025-08-31", "98"), known_at=at(9, 1))
    log.add(
        events.KpiReadingCorrected(
            "kpi",
            period="2025-08-01/2025-08-31",
            effective_at=end_of_day(date(2025, 8, 31), "Europe/Berlin"),
            value_was=Decimal(98),
            value=Decimal(97),
            source="probe",
            definition_version=1,
            reason="late",
        ),
        known_at=at(9, 2),
    )
    log.add(reading("2025-09-01/2025-09-30", "1", source="formula"), known_at=at(10, 1))
    fill(store, log)
    series = ask(Readings(kpi="kpi"), ReadingSeries)
    assert [card.origin for card in series.readings] == [
        "imported",
        "entered",
        "corrected",
        "computed",
    ]
    assert series.kpi.reading is not None
    assert series.kpi.reading.origin == "computed"


def test_a_score_is_computed_adjusted_or_entered(store: ViewStore, ask: Asker) -> None:
    log = running()
    half, whole = Decimal("0.5"), Decimal(1)
    seen: list[tuple[str | None, str | None]] = []
    for score, computed in ((half, half), (whole, half), (half, None)):
        graded = events.KeyResultGraded("kr", score, score_computed=computed, reason="so it was")
        judged = events.ObjectiveGraded("uptime", "partial", computed, score, reason="so it was")
        more = [log.add(graded), log.add(judged)]
        fill(store, log if not seen else more)
        card, above = key_result(ask), objective(ask)
        seen.append((card.score_origin, above.score_origin))
        assert (card.score_reason, above.score_reason) == ("so it was", "so it was")
    assert seen == [("computed", "rolled_up"), ("adjusted", "adjusted"), ("entered", "entered")]
    waived = log.add(events.KeyResultWaived("kr", reason="no data"))
    fill(store, [waived])
    assert (key_result(ask).score_origin, key_result(ask).score_reason) == (None, "no data")


def test_a_four_point_metric_says_which_expectation_it_has_come_up_to(
    store: ViewStore, ask: Asker
) -> None:
    log = running()
    points = FourPointMetric("%", *map(Decimal, (0, 30, 70, 100)))
    log.add(replace(company.KR, key_result_id="four", measure=points))
    fill(store, log)
    assert key_result(ask, "four").reached is None
    fill(store, [log.add(checked_in("a", "70", at(7, 10), "four"), known_at=at(7, 10))])
    assert key_result(ask, "four").reached == "target"


# ------------------------------------------------------------------ R12: timing and health


def test_a_check_in_is_due_then_late_then_overdue(store: ViewStore, ask: Asker) -> None:
    log = running()
    log.add(stated("a", "on_track", at(7, 3)), known_at=at(7, 3))
    fill(store, log)
    seen = {
        day: (card.check_in_timing, card.health)
        for day in ("2025-07-02", "2025-07-05", "2025-07-08", "2025-07-15", "2025-07-17")
        for card in [key_result(ask, as_of=day)]
    }
    assert seen == {
        "2025-07-02": ("pending", "pending"),
        "2025-07-05": ("on_time", "on_track"),
        "2025-07-08": ("due", "on_track"),
        "2025-07-15": ("late", "on_track"),
        "2025-07-17": ("late", "on_track"),
    }
    assert key_result(ask, as_of="2025-07-18").health == "outdated"
    assert objective(ask, as_of="2025-07-18").health == "outdated"


def test_the_day_of_a_check_in_is_the_organisations(store: ViewStore, ask: Asker) -> None:
    log = running()
    log.add(stated("a", "on_track", at(7, 7, 22)), known_at=at(7, 7, 22))  # the eighth in Berlin
    fill(store, log)
    assert key_result(ask, as_of="2025-07-07T23:59").check_in_timing == "pending"
    assert key_result(ask, as_of="2025-07-08").check_in_timing == "on_time"


def test_a_retracted_check_in_was_none(store: ViewStore, ask: Asker) -> None:
    log = running()
    log.add(stated("a", "on_track", at(7, 3)), known_at=at(7, 3))
    log.add(
        events.CheckInRetracted("kr", check_in_id="a", effective_at=at(7, 3), reason="no"),
        known_at=at(7, 4),
    )
    fill(store, log)
    card = key_result(ask, as_of="2025-07-05")
    assert (card.check_in_timing, card.health) == ("pending", "pending")


def test_the_cadence_and_its_grace_are_those_the_cycle_pinned(store: ViewStore, ask: Asker) -> None:
    log = running(Policy(cadence="monthly", cadence_grace_days=0))
    weekly = Policy(cadence="weekly")
    log.add(events.PolicyChanged(ORGANISATION, policy_was=Policy(), policy=weekly))
    fill(store, log)
    assert key_result(ask, as_of="2025-07-31").check_in_timing == "pending"
    assert key_result(ask, as_of="2025-08-01").check_in_timing == "overdue"


def test_what_was_over_before_a_key_result_was_added_is_not_asked_for(
    store: ViewStore, ask: Asker
) -> None:
    log = running()
    log.add(replace(company.KR, key_result_id="new"), known_at=at(8, 13))
    fill(store, log)
    assert key_result(ask, "new", "2025-08-18").check_in_timing == "pending"
    assert key_result(ask, "new", "2025-08-23").check_in_timing == "overdue"
    assert key_result(ask, "kr", "2025-08-18").check_in_timing == "overdue"


def test_nothing_is_due_for_a_draft_or_before_the_cycle_runs(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(replace(company.UPTIME, objective_id="later", cycle_id="q4"))
    log.add(replace(company.KR, key_result_id="kr-4", objective_id="later"))
    log.add(events.ObjectivePublished("later"))
    fill(store, log)
    assert key_result(ask).check_in_timing == "pending"
    assert key_result(ask, "kr-4").check_in_timing == "pending"


def test_an_objective_has_the_worst_health_of_its_key_results(store: ViewStore, ask: Asker) -> None:
    log = running()
    log.add(replace(company.KR, key_result_id="kr-2"))
    log.add(replace(company.KR, key_result_id="kr-3"))
    log.add(stated("a", "on_track", at(7, 3)), known_at=at(7, 3))
    log.add(replace(stated("a", "at_risk", at(7, 3)), key_result_id="kr-2"))
    log.add(replace(stated("a", "off_track", at(7, 3)), key_result_id="kr-3"))
    log.add(events.KeyResultDropped("kr-3", reason="not ours"), known_at=at(7, 4))
    fill(store, log)
    assert objective(ask, as_of="2025-07-03").health == "off_track"
    assert objective(ask, as_of="2025-07-04").health == "at_risk"
    assert key_result(ask, "kr-3", "2025-07-04").health == "dropped"
    assert key_result(ask, "kr-3", "2025-07-04").check_in_timing == "ended"


def test_silence_is_never_green(store: ViewStore, ask: Asker) -> None:
    log = running()
    log.add(replace(company.KR, key_result_id="kr-2"))
    log.add(stated("a", "on_track", at(7, 3)), known_at=at(7, 3))
    fill(store, log)
    assert objective(ask, as_of="2025-07-03").health == "pending"
    assert objective(ask, "deals", "2025-07-03").health == "pending"


def test_an_outcome_comes_before_everything(store: ViewStore, ask: Asker) -> None:
    log = running()
    log.add(stated("a", "on_track", at(7, 3)), known_at=at(7, 3))
    log.add(events.ObjectiveGraded("uptime", "missed"), known_at=at(10, 2))
    fill(store, log)
    assert objective(ask, as_of="2025-10-01").health == "outdated"
    assert objective(ask).health == "missed"
    assert (key_result(ask).check_in_timing, key_result(ask).health) == ("ended", "missed")


# ------------------------------------------------------------------ roll-ups


def family(policy: Policy) -> Log:
    """An objective with a key result at one half, and two below it, one through the key result."""
    log = running(policy)
    below = replace(company.DEALS, aligned_to=("objective/uptime",), objective_id="below")
    log.add(below)
    log.add(replace(below, objective_id="through", aligned_to=("key_result/kr",)))
    log.add(replace(below, objective_id="draft"))
    log.add(replace(below, objective_id="dropped"))
    for name, value in (("below", "100"), ("through", "98"), ("draft", "100"), ("dropped", "100")):
        log.add(replace(company.KR, key_result_id=f"kr-{name}", objective_id=name))
        log.add(checked_in("a", value, at(7, 2), f"kr-{name}"))
    for name in ("below", "through", "dropped"):
        log.add(events.ObjectivePublished(name))
    log.add(events.ObjectiveDropped("dropped"))
    log.add(checked_in("a", "98.5", at(7, 2)))
    return log


@pytest.mark.parametrize(
    ("roll_up", "progress"), [("key_results", "0.25"), ("children", "0.5"), ("both", "0.375")]
)
def test_an_objective_rolls_up_what_its_cycle_pinned(
    store: ViewStore, ask: Asker, roll_up: str, progress: str
) -> None:
    log = family(Policy(roll_up=roll_up))  # type: ignore[arg-type]  # a literal
    log.add(events.PolicyChanged(ORGANISATION, policy_was=Policy(), policy=Policy()))
    fill(store, log)
    assert objective(ask).progress == Decimal(progress)


def test_a_child_counts_from_when_it_was_aligned_until_it_serves_another(
    store: ViewStore, ask: Asker
) -> None:
    log = family(Policy(roll_up="children"))
    log.add(
        events.ObjectiveRealigned("through", aligned_to_was=("key_result/kr",)), known_at=at(8, 1)
    )
    log.add(events.ObjectiveRealigned("through", aligned_to=("objective/uptime",)),
            known_at=at(9, 1))  # fmt: skip
    fill(store, log)
    seen = [
        objective(ask, as_of=day).progress for day in ("2025-07-31", "2025-08-01", "2025-09-01")
    ]
    assert seen == [Decimal("0.5"), Decimal(1), Decimal("0.5")]


def test_grandchildren_count_through_their_parents(store: ViewStore, ask: Asker) -> None:
    log = family(Policy(roll_up="children"))
    log.add(replace(company.UPTIME, objective_id="leaf", aligned_to=("objective/through",)))
    log.add(events.ObjectivePublished("leaf"), known_at=at(8, 1))
    log.add(replace(company.KR, key_result_id="kr-leaf", objective_id="leaf"))
    log.add(checked_in("a", "98.5", at(8, 2), "kr-leaf"), known_at=at(8, 2))
    fill(store, log)
    names = ("leaf", "through", "below", "uptime")
    progress = [objective(ask, name).progress for name in names]
    assert progress == [Decimal(each) for each in ("0.25", "0.25", "1", "0.625")]


def test_a_loop_in_the_log_ends(store: ViewStore, ask: Asker) -> None:
    log = family(Policy(roll_up="both"))
    log.add(events.ObjectiveRealigned("uptime", aligned_to=("objective/below",)))
    fill(store, log)
    assert objective(ask).progress is not None


# ------------------------------------------------------------------ KPIs


BANDS = KpiBands(healthy=Band(low=Decimal(99)), warning=Band(low=Decimal(98)))


def judged() -> Log:
    log = running()
    definition = replace(company.DEFINITION, bands=BANDS)
    log.add(
        events.KpiRedefined(
            "kpi", 2, date(2025, 1, 1), definition_was=company.DEFINITION, definition=definition
        )
    )
    return log


def in_version(version: int, period: str, value: str) -> events.KpiReadingRecorded:
    return replace(reading(period, value), definition_version=version)


def test_a_kpi_has_the_health_of_the_reading_that_counts(store: ViewStore, ask: Asker) -> None:
    log = judged()
    log.add(in_version(1, "2025-06-01/2025-06-30", "99"), known_at=at(7, 2))
    log.add(in_version(2, JULY, "98"), known_at=at(8, 2))
    log.add(in_version(2, "2025-08-01/2025-08-31", "97.9"), known_at=at(9, 2))
    log.add(
        events.KpiReadingMissed(
            "kpi",
            period="2025-09-01/2025-09-30",
            effective_at=end_of_day(date(2025, 9, 30), "Europe/Berlin"),
            source="probe",
        ),
        known_at=at(10, 11),
    )
    fill(store, log)
    seen = [
        kpi(ask, day, "2025-12-01").health
        for day in ("2025-05-31", "2025-07-01", "2025-08-01", "2025-09-15", "2025-10-01")
    ]
    # The first reading was judged by a definition without bands.
    assert seen == ["no_data", "no_data", "warning", "breach", "no_data"]
    assert kpi(ask, "2025-10-01", "2025-10-01").health == "breach"


def test_health_follows_a_correction_also_in_hindsight(store: ViewStore, ask: Asker) -> None:
    log = judged()
    log.add(in_version(2, JULY, "97"), known_at=at(8, 2))
    log.add(in_version(2, "2025-08-01/2025-08-31", "99"), known_at=at(9, 2))
    log.add(
        events.KpiReadingCorrected(
            "kpi",
            period=JULY,
            effective_at=end_of_day(date(2025, 7, 31), "Europe/Berlin"),
            value_was=Decimal(97),
            value=Decimal(99),
            source="probe",
            definition_version=2,
            reason="double counted",
        ),
        known_at=at(9, 10),
    )
    fill(store, log)
    assert kpi(ask, "2025-08-15", "2025-08-15").health == "breach"
    assert kpi(ask, "2025-08-15", "2025-09-15").health == "healthy"


def test_missed_periods_are_named_until_a_reading_comes(store: ViewStore, ask: Asker) -> None:
    log = running()
    for month, days in ((7, 31), (8, 31)):
        last = date(2025, month, days)
        log.add(
            events.KpiReadingMissed(
                "kpi",
                period=f"2025-{month:02}-01/{last}",
                effective_at=end_of_day(last, "Europe/Berlin"),
                source="probe",
            ),
            known_at=at(month + 1, 11),
        )
    log.add(reading(JULY, "99"), known_at=at(9, 20))
    fill(store, log)
    assert kpi(ask, "2025-09-15").missed == (JULY, "2025-08-01/2025-08-31")
    assert kpi(ask, "2025-09-20").missed == ("2025-08-01/2025-08-31",)
    assert kpi(ask, "2025-08-31", "2025-09-15").missed == (JULY, "2025-08-01/2025-08-31")


def test_a_review_is_open_then_overdue_then_decided(store: ViewStore, ask: Asker) -> None:
    log = running()
    opening = events.KpiReviewOpened(
        "kpi", review_id="r", owner="eve", due_on=date(2025, 8, 14), reason="in breach"
    )
    log.add(opening, known_at=at(8, 1))
    log.add(
        events.KpiReviewClosed(
            "kpi",
            review_id="r",
            decision="recovery_objective",
            objective_id="uptime",
            reason="more than a fix",
        ),
        known_at=at(9, 1),
    )
    fill(store, log)
    assert kpi(ask, "2025-07-31").reviews == ()
    (review,) = kpi(ask, "2025-08-14").reviews
    assert (review.owner, review.due_on, review.reason) == ("eve", date(2025, 8, 14), "in breach")
    assert (review.opened_at, review.overdue, review.closed_at) == (at(8, 1), False, None)
    assert kpi(ask, "2025-08-15").reviews == (replace(review, overdue=True),)
    assert kpi(ask, "2025-09-02").reviews == (
        replace(
            review,
            closed_at=at(9, 1),
            decision="recovery_objective",
            objective_id="uptime",
            decision_reason="more than a fix",
        ),
    )


# ------------------------------------------------------------------ advice


def rules(card: ObjectiveCard | KeyResultCard) -> list[str]:
    return [warned.rule for warned in card.advice]


def test_advice_is_shown_for_as_long_as_it_holds(store: ViewStore, ask: Asker) -> None:
    log = running()
    log.add(replace(company.KR, key_result_id="kr-2", title="Launch it", measure=Milestone()),
            known_at=at(8, 1))  # fmt: skip
    log.add(
        events.ObjectiveReworded("uptime", title_was="Never down", title="Down 3 times at most"),
        known_at=at(9, 1),
    )
    fill(store, log)
    assert rules(objective(ask, as_of="2025-07-15")) == ["R5"]
    assert rules(objective(ask, as_of="2025-08-15")) == []
    assert rules(objective(ask, as_of="2025-09-15")) == ["R31"]
    assert rules(key_result(ask, "kr-2")) == ["R31"]
    assert rules(key_result(ask)) == []


def test_too_many_objectives_of_a_unit_show_on_each_of_them(store: ViewStore, ask: Asker) -> None:
    log = opened()
    for number in range(3):
        log.add(replace(company.UPTIME, objective_id=f"o-{number}"))
    fill(store, log)
    assert [rules(objective(ask, name)) for name in ("uptime", "o-2", "deals")] == [
        ["R5"],
        ["R5"],
        [],
    ]
    fill(store, [log.add(events.ObjectiveDropped("o-0"))])
    assert rules(objective(ask)) == []


def test_a_policy_that_wants_no_advice_gets_none(store: ViewStore, ask: Asker) -> None:
    log = running(Policy(counts="off", advice="off"))
    log.add(events.ObjectiveReworded("uptime", title_was="Never down", title="Down 3 times"))
    fill(store, log)
    assert objective(ask).advice == ()


def test_weights_that_do_not_add_up_are_advised_on(store: ViewStore, ask: Asker) -> None:
    log = running(Policy(weights="sum_to_100", counts="off"))
    fill(store, log)
    assert rules(objective(ask)) == ["R10"]


def test_what_has_ended_is_not_advised_on(store: ViewStore, ask: Asker) -> None:
    log = running()
    log.add(events.ObjectiveDropped("uptime"))
    fill(store, log)
    assert objective(ask).advice == ()


# ------------------------------------------------------------------ closings and comments


def test_a_reopened_cycle_keeps_the_facts_of_its_closing(store: ViewStore, ask: Asker) -> None:
    log = running()
    first = log.add(
        events.CycleClosed("q3", Policy(), Decimal("0.5"), Decimal(1)),
        known_at=at(10, 5),
        actor="eve",
    )
    log.add(events.CycleReopened("q3", reason="a late number"), known_at=at(10, 6))
    second = log.add(events.CycleClosed("q3", Policy()), known_at=at(10, 7))
    fill(store, log)
    (reopened,) = ask(AsOf(cycle="q3", as_of="2025-10-06"), Goals).cycles
    kept = ClosingCard(first.position, at(10, 5), "eve", Decimal("0.5"), Decimal(1))
    assert (reopened.state, reopened.closings) == ("reopened", (kept,))
    assert reopened.score_origin == "rolled_up"
    (closed,) = ask(AsOf(cycle="q3"), Goals).cycles
    assert closed.closings == (kept, ClosingCard(second.position, at(10, 7), "u-17"))
    assert closed.score_origin is None


def test_comments_come_with_the_one_goal_that_is_asked_for(store: ViewStore, ask: Asker) -> None:
    log = running()
    said = events.CommentAdded("objective/uptime", comment_id="k-1", text="Who runs it?")
    log.add(said, known_at=at(7, 10), actor="eve")
    log.add(replace(said, comment_id="k-2", text="I do"), known_at=at(7, 11))
    log.add(replace(said, goal="key_result/kr"))
    fill(store, log)
    first = CommentCard("eve", at(7, 10), "Who runs it?")
    last = CommentCard("u-17", at(7, 11), "I do")
    assert ask(AsOf(goal="objective/uptime"), Goals).comments == (first, last)
    assert ask(AsOf(goal="objective/uptime", limit=1), Goals).comments == (last,)
    assert ask(AsOf(goal="objective/uptime", as_of="2025-07-10"), Goals).comments == (first,)
    pages = ask.pages(AsOf(goal="objective/uptime", limit=1))
    assert [len(page.comments) for page in pages] == [1, 0]
    assert ask(AsOf(cycle="q3"), Goals).comments == ()
