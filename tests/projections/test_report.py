"""What a cycle came to, and that nothing later repaints a closed one."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from goal_contracts import events
from goal_contracts.measures import Metric
from goal_contracts.policy import Policy
from goal_contracts.queries import AsOf, CycleReport, Goals, Report
from msgspec.structs import replace

from services.projections.cannot_answer import CannotAnswer
from services.projections.view_store.store import ViewStore
from tests.projections import company
from tests.projections.company import at, checked_in, opened, reading
from tests.projections.log import NOW, ORGANISATION, Asker, Log, fill

LOWER = Metric(unit="%", baseline=Decimal(98), target=Decimal(99))
OTHER = Policy(
    bands=(Decimal("0.1"), Decimal("0.2")),
    progress_ceiling=Decimal(2),
    cadence="monthly",
    cadence_grace_days=60,
    roll_up="both",
    counts="block",
    weights="equal",
    mid_cycle_reason="off",
)


def quarter(policy: Policy | None = None) -> Log:
    """A quarter up to its closing, with all that may come late."""
    log = opened()
    if policy is not None:
        log.add(events.CycleActivated("q3", policy=policy))
    log.add(events.ObjectivePublished("uptime"), known_at=at(7, 2))
    log.add(events.ObjectivePublished("deals"), known_at=at(7, 2))
    log.add(checked_in("a", "99.5", at(7, 3)), known_at=at(7, 3))
    log.add(
        events.KeyResultRetargeted(
            "kr", company.PERCENT, LOWER, lowered=True, mid_cycle=True, reason="a supplier's outage"
        ),
        known_at=at(8, 1),
        actor="ada",
    )
    log.add(replace(company.KR, key_result_id="late", mid_cycle=True, reason="asked for"))
    log.add(events.KeyResultDropped("late", mid_cycle=True, reason="not asked for"))
    log.add(events.ObjectiveDropped("deals", reason="no market"), known_at=at(8, 15))
    log.add(
        events.KpiReviewOpened(
            "kpi", review_id="r", owner="eve", due_on=date(2025, 9, 1), reason="in breach"
        ),
        known_at=at(8, 20),
    )
    log.add(events.CycleGradingStarted("q3"), known_at=at(10, 1))
    log.add(
        events.KeyResultGraded("kr", Decimal("0.8"), Decimal(1), reason="mostly luck"),
        known_at=at(10, 2),
    )
    log.add(events.ObjectiveGraded("uptime", "achieved", Decimal("0.8"), Decimal("0.8")))
    log.add(events.RetrospectiveRecorded("q3", celebrate="no night shifts"))
    log.add(events.CycleClosed("q3", policy or Policy(), Decimal("0.8")), known_at=at(10, 5))
    return log


def afterwards(log: Log) -> Log:
    """What may happen once the quarter is closed: other rules, other goals, other units."""
    before = len(log)
    happened = (
        events.PolicyChanged(ORGANISATION, policy_was=Policy(), policy=OTHER),
        events.CycleActivated("q4", policy=OTHER),
        replace(company.UPTIME, objective_id="next", cycle_id="q4", carried_from="uptime"),
        replace(company.KR, key_result_id="kr-next", objective_id="next", weight=Decimal(9)),
        events.ObjectivePublished("next"),
        events.UnitRenamed("platform", name_was="Platform", name="Plumbing"),
        events.UnitMoved("platform", parent_id_was="company", parent_id="sales"),
        events.KpiReviewClosed("kpi", review_id="r", decision="fix"),
        events.KpiReviewOpened("kpi", review_id="r-2", owner="eve", due_on=date(2025, 12, 1)),
        events.KpiReassigned(
            "kpi", owner_was="ada", owner="eve", unit_id_was="platform", unit_id="sales"
        ),
        replace(reading("2025-10-01/2025-10-31", "50"), definition_version=1),
    )
    for event in happened:
        log.add(event)
    return Log(log[before:])


def report(ask: Asker, **asked: str) -> Report:
    return ask(CycleReport(cycle="q3", **asked), Report)  # type: ignore[arg-type]  # only texts


def test_a_report_tells_the_late_changes_with_who_and_why(store: ViewStore, ask: Asker) -> None:
    fill(store, quarter())
    late = report(ask).late
    assert [(each.change, each.goal, each.reason) for each in late] == [
        ("lowered", "key_result/kr", "a supplier's outage"),
        ("added", "key_result/late", "asked for"),
        ("dropped", "key_result/late", "not asked for"),
        ("dropped", "objective/deals", "no market"),
    ]
    lowered = late[0]
    assert (lowered.measure_was, lowered.measure) == (company.PERCENT, LOWER)
    assert (lowered.actor, lowered.at, lowered.title) == ("ada", at(8, 1), "Uptime 100 %")
    assert lowered.objective_id == "uptime"


def test_what_changed_before_the_cycle_began_is_not_late(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(replace(company.DEALS, objective_id="planned", cycle_id="q4"))
    log.add(events.ObjectiveDropped("planned"))
    log.add(events.CycleActivated("q4", policy=Policy()))
    log.add(replace(company.DEALS, objective_id="other", cycle_id="q4"))
    log.add(events.ObjectiveDropped("other"))
    fill(store, log)
    late = ask(CycleReport(cycle="q4"), Report).late
    assert [each.goal for each in late] == ["objective/other"]


def test_linking_to_a_kpi_that_asks_for_less_is_late(store: ViewStore, ask: Asker) -> None:
    log = opened()
    less = replace(company.LINKED, target=Decimal(99))
    log.add(events.KeyResultLinkedToKpi("kr", measure_was=company.PERCENT, measure=company.LINKED))
    log.add(events.KeyResultLinkedToKpi("kr", measure_was=company.PERCENT, measure=less))
    fill(store, log)
    assert [each.position for each in report(ask).late] == [log[-1].position]


def test_a_policy_that_marks_nothing_has_nothing_late(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(events.CycleActivated("q3", policy=Policy(mid_cycle_reason="off")))
    log.add(events.ObjectiveDropped("uptime"))
    fill(store, log)
    assert report(ask).late == ()


def test_a_report_has_units_goals_scores_retrospectives_and_open_reviews(
    store: ViewStore, ask: Asker
) -> None:
    log = quarter()
    fill(store, log)
    told = report(ask)
    assert (told.cycle.state, told.cycle.aspirational_score) == ("closed", Decimal("0.8"))
    assert [each.celebrate for each in told.cycle.retrospectives] == ["no night shifts"]
    assert [unit.unit_id for unit in told.units] == ["company", "platform", "sales"]
    assert [
        (each.objective.objective_id, [card.key_result_id for card in each.key_results])
        for each in told.objectives
    ] == [("uptime", ["kr", "late"]), ("deals", [])]
    uptime, deals = (each.objective for each in told.objectives)
    assert (uptime.outcome, uptime.score, uptime.score_band) == ("achieved", Decimal("0.8"), "high")
    assert (uptime.health, deals.health) == ("achieved", "dropped")
    kr = told.objectives[0].key_results[0]
    assert (kr.score_computed, kr.score_origin) == (Decimal(1), "adjusted")
    assert (kr.score_reason, kr.score_band) == ("mostly luck", "high")
    assert [review.overdue for kpi in told.kpis for review in kpi.reviews] == [True]
    assert told.reflects.position == log[-1].position


def test_units_without_objectives_are_left_out(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(replace(company.UPTIME, objective_id="next", cycle_id="q4"))
    fill(store, log)
    told = ask(CycleReport(cycle="q4"), Report)
    assert [unit.unit_id for unit in told.units] == ["company", "platform"]
    assert told.kpis == ()  # nobody has to look at it


def test_the_report_of_a_closed_cycle_is_the_same_bytes_whatever_comes_later(
    store: ViewStore, ask: Asker
) -> None:
    log = quarter()
    fill(store, log)
    before = ask.raw(CycleReport(cycle="q3"), now=at(10, 6))
    fill(store, afterwards(log))
    assert ask.raw(CycleReport(cycle="q3"), now=NOW) == before
    later = report(ask, as_of="2025-12-31")
    assert [unit.name for unit in later.units] == ["Acme", "Sales", "Plumbing"]
    assert later.kpis[0].reviews[-1].review_id == "r-2"


def test_a_reopened_cycle_is_told_as_it_stands(store: ViewStore, ask: Asker) -> None:
    log = quarter()
    log.add(events.CycleReopened("q3", reason="a late number"), known_at=at(10, 6))
    log.add(events.ObjectiveGraded("uptime", "partial", Decimal("0.8"), Decimal("0.5")))
    fill(store, log)
    assert report(ask).objectives[0].objective.outcome == "partial"
    assert report(ask, as_of="2025-10-05").objectives[0].objective.outcome == "achieved"


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_the_pages_of_a_report_are_the_whole(store: ViewStore, ask: Asker, limit: int) -> None:
    fill(store, quarter())
    whole = report(ask)
    pages = ask.pages(CycleReport(cycle="q3", limit=limit))
    assert {(page.reflects, page.cycle.cycle_id) for page in pages} == {(whole.reflects, "q3")}
    for section in ("late", "units", "objectives", "kpis"):
        joined = tuple(each for page in pages for each in getattr(page, section))
        assert joined == getattr(whole, section)


def test_a_report_of_no_cycle_is_refused(store: ViewStore, ask: Asker) -> None:
    fill(store, opened())
    for query in (CycleReport(cycle="none"), CycleReport(cycle="q3", as_of="2025-06-01")):
        with pytest.raises(CannotAnswer, match="there was no cycle"):
            ask(query, Report)
    with pytest.raises(CannotAnswer, match="cursor"):
        ask(CycleReport(cycle="q3", cursor="x"), Report)


# ------------------------------------------------------------------ R20


def told(ask: Asker) -> dict[str, object]:
    """An answer about the quarter as bytes would show it, but for what it reflects."""
    answer = msgspec.json.decode(ask.raw(AsOf(cycle="q3")))
    del answer["reflects"]
    return {"bytes": msgspec.json.encode(answer), "objectives": answer["objectives"]}


def test_a_closed_cycle_is_the_same_bytes_after_policies_bands_and_weights_change(
    store: ViewStore, ask: Asker
) -> None:
    log = quarter()
    fill(store, log)
    before = told(ask)
    fill(store, afterwards(log))
    assert told(ask) == before


def test_a_closed_cycle_is_shown_under_the_policy_it_closed_under(
    store: ViewStore, ask: Asker
) -> None:
    log = quarter(OTHER)
    log.add(events.PolicyChanged(ORGANISATION, policy_was=OTHER, policy=Policy()))
    fill(store, log)
    answer = ask(AsOf(cycle="q3"), Goals)
    (cycle,) = answer.cycles
    (kr,) = [card for card in answer.key_results if card.key_result_id == "kr"]
    assert cycle.bands == OTHER.bands
    assert kr.progress == Decimal("1.5")  # the ceiling is 2
    assert kr.score_band == "high"


def test_what_lies_below_a_closed_cycle_goes_on_without_it(store: ViewStore, ask: Asker) -> None:
    log = opened()
    log.add(events.CycleActivated("q3", policy=Policy(roll_up="children")))
    log.add(events.CycleActivated("q4", policy=Policy()))
    log.add(replace(company.UPTIME, objective_id="below", cycle_id="q4",
                    aligned_to=("objective/uptime",)))  # fmt: skip
    log.add(replace(company.KR, key_result_id="kr-below", objective_id="below"))
    log.add(events.ObjectivePublished("below"))
    log.add(checked_in("a", "99", at(10, 1), "kr-below"), known_at=at(10, 1))
    fill(store, log)

    def progress() -> Decimal | None:
        cards = ask(AsOf(goal="objective/uptime"), Goals).objectives
        return cards[0].progress

    assert progress() == Decimal("0.5")
    closing = events.CycleClosed("q3", Policy(roll_up="children"))
    fill(store, [log.add(closing, known_at=at(10, 5))])
    fill(store, [log.add(checked_in("b", "100", at(10, 10), "kr-below"), known_at=at(10, 10))])
    assert progress() == Decimal("0.5")
