"""What the numbers say beyond themselves, and that they say nothing where there is nothing."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import pytest
from goal_contracts import events
from goal_contracts.events import KpiDefinition, Ratio
from goal_contracts.fields import LEDGER_ACTOR, Frequency
from goal_contracts.measures import Count, FourPointMetric, Metric, Milestone
from goal_contracts.policy import Policy
from goal_contracts.queries import Forecast, InsightList, Insights
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.projections.view_store.reader import reading
from services.projections.view_store.store import ViewStore
from services.projections.views import leads
from services.projections.views.days import end_of_day
from services.projections.views.forecast import reached_at, trend_of
from services.projections.views.leads import changes_of, led
from tests.projections import company
from tests.projections.company import at
from tests.projections.log import Asker, Log, fill
from tests.projections.test_alerts import pursued

START: Final = datetime(2025, 6, 30, 22, tzinfo=UTC)
"""The quarter's first instant, in Berlin."""
CUSTOMERS: Final = Count(unit="customers", of=100)


def insights(ask: Asker, as_of: str | datetime, **more: Any) -> InsightList:
    moment = as_of if isinstance(as_of, str) else as_of.isoformat()
    return ask(Insights(as_of=moment, **more), InsightList)


def forecast(ask: Asker, as_of: str | datetime, **more: Any) -> Forecast:
    (found,) = insights(ask, as_of, **more).forecasts
    return found


def check_ins(log: Log, values: Sequence[float | Decimal], every_days: int = 7) -> Log:
    """A value from time to time, at noon."""
    for place, value in enumerate(values):
        moment = START + timedelta(days=every_days * place, hours=14)
        said = events.CheckedIn("kr", f"c-{place}", moment, value=Decimal(str(value)))
        log.add(said, known_at=moment)
    return log


# ------------------------------------------------------------------ the robust line


@given(
    slope=st.floats(-50, 50),
    height=st.floats(-1_000, 1_000),
    days=st.lists(st.integers(0, 90), min_size=4, max_size=30, unique=True),
)
def test_a_straight_line_is_found_and_goes_on_straight(
    slope: float, height: float, days: list[int]
) -> None:
    points = [(float(day), height + slope * day) for day in sorted(days)]
    assert trend_of(points) == pytest.approx((slope, slope, slope), abs=1e-6)
    end = height + slope * 100
    assert reached_at(points, 100.0) == pytest.approx((end, end, end), abs=1e-3)


@settings(deadline=None)
@given(
    slope=st.floats(-5, 5),
    count=st.integers(8, 20),
    which=st.integers(0, 7),
    error=st.floats(-1e6, 1e6),
    seed=st.integers(0, 1_000),
)
def test_one_outlier_moves_it_no_further_than_the_others_let_it(
    slope: float, count: int, which: int, error: float, seed: int
) -> None:
    noise = random.Random(seed)
    points = [(7.0 * week, slope * 7 * week + noise.uniform(-1, 1)) for week in range(count)]
    day, value = points[which]
    points[which] = day, value + error
    # Without the outlier no two points are further apart than 2 in height, and 7 days or more.
    assert trend_of(points).slope == pytest.approx(slope, abs=2 / 7)


@pytest.mark.parametrize("count", [4, 5, 8, 13, 30])
def test_in_nine_of_ten_cases_the_interval_holds_the_slope_and_the_end(count: int) -> None:
    noise, held_slope, held_end, cases = random.Random(count), 0, 0, 400
    for _ in range(cases):
        slope = noise.uniform(-2, 2)
        points = [(7.0 * week, slope * 7 * week + noise.gauss(0, 5)) for week in range(count)]
        end = points[-1][0] * 1.5
        held_slope += trend_of(points).low <= slope <= trend_of(points).high
        reached = reached_at(points, end)
        held_end += reached.low <= slope * end + noise.gauss(0, 5) <= reached.high
    assert held_slope >= 0.87 * cases
    assert held_end >= 0.87 * cases


def test_the_interval_is_the_one_sen_gives() -> None:
    # Eight points: 28 slopes, Var S = 8*7*21/18 = 65.33, and 1.645 times its root is 13.3, so the
    # interval is from the 7th slope to the 22nd.
    points = [(float(day), float(day + day % 3)) for day in range(8)]
    slopes = sorted(
        (later - value) / (then - day)
        for place, (day, value) in enumerate(points)
        for then, later in points[place + 1 :]
    )
    assert trend_of(points).low == slopes[6]
    assert trend_of(points).high == slopes[21]


# ------------------------------------------------------------------ the forecast


def test_a_planted_trend_is_carried_to_the_end_of_the_cycle(store: ViewStore, ask: Asker) -> None:
    log = check_ins(pursued(measure=CUSTOMERS), [5, 12, 19, 26, 33, 40])
    fill(store, log)
    found = forecast(ask, "2025-08-10")
    # One a day; the quarter has 92 days, the first value was 14 hours into it.
    assert found.per_day == Decimal(1)
    assert found.forecast is not None
    assert found.low is not None
    assert found.high is not None
    assert found.forecast == pytest.approx(Decimal("96.416667"), abs=Decimal("0.0001"))
    assert found.low <= found.forecast <= found.high
    assert (found.value, found.progress) == (Decimal(40), Decimal("0.4"))
    assert (found.points, found.ends_on) == (6, date(2025, 9, 30))
    assert (found.expected, found.chance) == (Decimal("0.7"), "lands")


@pytest.mark.parametrize(
    ("values", "chance"),
    [
        ([10, 20, 30, 40, 50], "lands"),
        ([4, 14, 12, 26, 36], "may_miss"),
        ([1, 2, 3, 4, 5], "will_miss"),
    ],
)
def test_it_lands_if_even_the_worst_end_does_and_will_miss_if_not_even_the_best_does(
    store: ViewStore, ask: Asker, values: list[float], chance: str
) -> None:
    log = check_ins(pursued(measure=CUSTOMERS), values)
    log.add(events.ObjectiveKindChanged("uptime", "aspirational", "committed"), known_at=at(7, 30))
    fill(store, log)
    found = forecast(ask, "2025-08-10")
    assert (found.expected, found.chance) == (Decimal(1), chance)


def test_what_is_to_fall_is_judged_the_other_way_round(store: ViewStore, ask: Asker) -> None:
    errors = Metric(unit="errors", baseline=Decimal(100), target=Decimal(0))
    fill(store, check_ins(pursued(measure=errors), [95, 88, 81, 74, 67]))
    found = forecast(ask, "2025-08-10")
    assert found.per_day == Decimal(-1)
    assert found.progress_low is not None
    assert found.progress_high is not None
    assert found.progress_low <= found.progress_high
    assert found.chance == "lands"


def test_there_is_no_less_than_nothing_of_what_is_counted(store: ViewStore, ask: Asker) -> None:
    fill(store, check_ins(pursued(measure=CUSTOMERS), [20, 16, 12, 8, 4]))
    found = forecast(ask, "2025-08-10")
    assert [found.forecast, found.low, found.progress_forecast] == [Decimal(0)] * 3


def test_of_a_metric_with_four_points_the_target_is_expected(store: ViewStore, ask: Asker) -> None:
    points = FourPointMetric("x", Decimal(0), Decimal(3), Decimal(7), Decimal(10))
    log = check_ins(pursued(measure=points), [1, 2, 3, 4])
    log.add(events.ObjectiveKindChanged("uptime", "aspirational", "committed"))
    fill(store, log)
    assert forecast(ask, "2025-08-10").expected == Decimal("0.7")


def test_under_four_days_with_a_value_it_is_too_early(store: ViewStore, ask: Asker) -> None:
    log = check_ins(pursued(measure=CUSTOMERS), [5, 12, 19, 26])
    log.add(events.CheckedIn("kr", "same-day", at(7, 1, 13), value=Decimal(6)))
    fill(store, log)
    early = forecast(ask, "2025-07-16")
    assert (early.chance, early.points) == ("too_early", 3)
    assert early.why == "3 days with a value, 4 are needed"
    assert early.forecast is None
    assert forecast(ask, "2025-07-23").chance != "too_early"


def test_a_few_days_say_nothing_of_a_whole_quarter(store: ViewStore, ask: Asker) -> None:
    fill(store, check_ins(pursued(measure=CUSTOMERS), [1, 2, 3, 4, 5], every_days=1))
    early = forecast(ask, "2025-07-10")
    assert (early.chance, early.why) == (
        "too_early",
        "values of 4 days tell too little of 87 more",
    )


def test_a_forecast_knows_only_what_was_known(store: ViewStore, ask: Asker) -> None:
    log = check_ins(pursued(measure=CUSTOMERS), [5, 12, 19, 26, 33])
    log.add(
        events.CheckInCorrected("kr", "c-4", START + timedelta(days=28, hours=14), "typo", value=9),  # type: ignore[arg-type]  # a whole number
        known_at=at(8, 20),
    )
    fill(store, log)
    then, since = forecast(ask, "2025-08-01"), forecast(ask, "2025-08-01", known_at="2025-08-31")
    assert (then.value, since.value) == (Decimal(33), Decimal(9))
    assert then.high is not None
    assert since.low is not None
    assert since.low < then.high


def test_what_is_judged_or_cannot_grow_is_not_forecast(store: ViewStore, ask: Asker) -> None:
    log = check_ins(pursued(measure=Milestone()), [0, 0, 0, 0, 0])
    fill(store, log)
    assert insights(ask, "2025-08-10").forecasts == ()
    assert insights(ask, "2025-10-02").forecasts == ()


def test_of_a_kpi_the_readings_before_the_cycle_help(store: ViewStore, ask: Asker) -> None:
    log = pursued(measure=replace(company.LINKED, baseline=Decimal(0), target=Decimal(20)))
    log.add(company.KPI)
    for month in (4, 5, 6, 7):
        last = (date(2025, month + 1, 1) - timedelta(days=1)).day
        log.add(
            company.reading(f"2025-{month:02}-01/2025-{month:02}-{last}", str(2 * month)),
            known_at=at(8, 2),
        )
    fill(store, log)
    found = forecast(ask, "2025-08-03")
    assert (found.points, found.value) == (4, Decimal(14))
    assert found.forecast == pytest.approx(Decimal(18), abs=Decimal("0.2"))


# ------------------------------------------------------------------ what nobody looks at


def test_a_goal_is_untouched_after_two_periods_of_the_cadence_and_the_grace(
    store: ViewStore, ask: Asker
) -> None:
    log = check_ins(pursued(), [98])
    fill(store, log)
    touched = log[8].known_at  # it was published, which came after that check-in
    assert insights(ask, touched + timedelta(days=18, seconds=-1)).untouched == ()
    (found,) = insights(ask, touched + timedelta(days=18)).untouched
    assert (found.goal, found.owner, found.days, found.limit_days) == (
        "objective/uptime",
        "ada",
        18,
        17,
    )
    assert found.touched_at == touched


def test_a_key_result_left_alone_beside_others_is_told_by_itself(
    store: ViewStore, ask: Asker
) -> None:
    log = pursued()
    log.add(replace(company.KR, key_result_id="alone"))
    check_ins(log, [98, 98, 98, 98])
    fill(store, log)
    (found,) = insights(ask, "2025-07-23").untouched
    assert found.goal == "key_result/alone"


def test_a_comment_is_a_touch_and_what_the_ledger_records_itself_is_none(
    store: ViewStore, ask: Asker
) -> None:
    log = pursued(measure=company.LINKED)
    log.add(company.KPI)
    missed = events.KpiReadingMissed("kpi", "2025-06-01/2025-06-30", at(6, 30), "probe")
    log.add(missed, known_at=at(7, 18), actor=LEDGER_ACTOR)
    log.add(events.CommentAdded("key_result/kr", "k", "soon"), known_at=at(7, 25))
    fill(store, log)
    assert [each.goal for each in insights(ask, at(7, 24)).untouched] == ["objective/uptime"]
    assert insights(ask, at(7, 26)).untouched == ()


def test_an_objective_that_serves_nothing_is_told_but_for_the_companys(
    store: ViewStore, ask: Asker
) -> None:
    log = pursued()
    top = replace(company.UPTIME, objective_id="top", unit_id="company")
    for event in (
        top,
        events.ObjectivePublished("top"),
        replace(company.DEALS, aligned_to=("objective/top",)),
        events.ObjectivePublished("deals"),
    ):
        log.add(event)
    log.add(events.ObjectiveDropped("top"), known_at=at(7, 20))
    fill(store, log)
    assert [each.objective_id for each in insights(ask, at(7, 19)).unaligned] == ["uptime"]
    deals, uptime = insights(ask, at(7, 21)).unaligned
    assert (deals.objective_id, deals.ended) == ("deals", ("objective/top",))
    assert (uptime.objective_id, uptime.ended) == ("uptime", ())


# ------------------------------------------------------------------ leading and lagging


def series(values: Sequence[float]) -> leads.Series:
    return {place: later - value for place, (value, later) in enumerate(pairwise(values), 1)}


def walk(noise: random.Random, length: int) -> list[float]:
    values = [0.0]
    for _ in range(length - 1):
        values.append(values[-1] + noise.gauss(0, 1))
    return values


@pytest.mark.parametrize("shift", [1, 2, 3, 6])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_lead_is_found_with_its_shift(shift: int, sign: int) -> None:
    noise = random.Random(shift)
    first = walk(noise, 48)
    second = [0.0] * shift + [sign * value + noise.gauss(0, 0.2) for value in first[:-shift]]
    found = led(series(first), series(second), "monthly")
    assert found is not None
    assert found.periods == shift
    assert found.correlation * sign > Decimal("0.8")
    assert found.chance_alone < Decimal("0.001")
    # The other way round nothing moved before.
    assert led(series(second), series(first), "monthly") is None


def test_what_moves_at_the_same_time_leads_nothing() -> None:
    noise = random.Random(7)
    first = walk(noise, 60)
    second = [value + noise.gauss(0, 0.1) for value in first]
    assert led(series(first), series(second), "monthly") is None


@pytest.mark.parametrize("length", [16, 36, 120])
def test_of_noise_next_to_nothing_is_said(length: int) -> None:
    noise, told = random.Random(length), 0
    for _ in range(150):
        walks = led(series(walk(noise, length)), series(walk(noise, length)), "monthly")
        plain = [[noise.gauss(0, 1) for _ in range(length)] for _ in range(2)]
        told += (walks is not None) + (
            led(series(plain[0]), series(plain[1]), "monthly") is not None
        )
    assert told <= 1


def test_one_outlier_makes_no_lead() -> None:
    noise = random.Random(3)
    first, second = walk(noise, 30), walk(noise, 30)
    first[10] += 1_000
    second[11] += 1_000
    assert led(series(first), series(second), "monthly") is None


def test_under_twelve_pairs_nothing_is_compared() -> None:
    first = walk(random.Random(1), 13)
    second = [0.0, *first[:-1]]
    assert not leads.is_long_enough(series(first), series(second))
    assert led(series(first), series(second), "monthly") is None
    first = walk(random.Random(1), 14)
    assert leads.is_long_enough(series(first), series([0.0, *first[:-1]]))


def test_a_kpi_that_never_changes_leads_nothing() -> None:
    assert led(series([1.0] * 40), series(walk(random.Random(2), 40)), "monthly") is None


@pytest.mark.parametrize(
    ("frequency", "ends"),
    [
        ("daily", ["2025-02-28", "2025-03-01"]),
        ("weekly", ["2024-12-29", "2025-01-05"]),
        ("monthly", ["2024-12-31", "2025-01-31"]),
        ("quarterly", ["2024-12-31", "2025-03-31"]),
        ("yearly", ["2024-03-31", "2025-03-31"]),
    ],
)
def test_a_period_and_the_next_one_make_a_change(
    store: ViewStore, frequency: Frequency, ends: list[str]
) -> None:
    log = company.opened()
    for place, end in enumerate(ends):
        log.add(company.reading(f"{end}/{end}", str(place * 3)))
    fill(store, log)
    with reading(store.engine) as reader:
        rows = reader.readings("acme", "kpi", len(log), at(12, 1))
    assert list(changes_of(rows, frequency).values()) == [3.0]


def kpis(store: ViewStore, *, unit_of_leading: str = "platform", formula: Any = None) -> Log:
    """Three years of months: the leading KPI moves, two months later the lagging one does."""
    noise = random.Random(11)
    first = walk(noise, 36)
    second = [0.0, 0.0, *(value + noise.gauss(0, 0.1) for value in first[:-2])]
    log = Log()
    for event in (company.OPENED, company.COMPANY, company.PLATFORM, company.SALES):
        log.add(event)
    definition = KpiDefinition("K", "x", "higher", "monthly", "probe")
    log.add(
        events.KpiDefined("deploys", unit_of_leading, "ada", replace(definition, timing="leading"))
    )
    log.add(events.KpiDefined("uptime", "platform", "ada", replace(definition, formula=formula)))
    for kpi_id, values in (("deploys", first), ("uptime", second)):
        for month, value in enumerate(values):
            start = date(2022 + month // 12, month % 12 + 1, 1)
            last = (start + timedelta(days=31)).replace(day=1) - timedelta(days=1)
            log.add(
                events.KpiReadingRecorded(
                    kpi_id,
                    period=f"{start}/{last}",
                    effective_at=end_of_day(last, company.OPENED.zone),
                    value=Decimal(f"{value:.6f}"),
                    source="probe",
                    definition_version=1,
                )
            )
    fill(store, log)
    return log


def test_a_leading_kpi_beside_a_lagging_one_is_told_with_how_sure_that_is(
    store: ViewStore, ask: Asker
) -> None:
    kpis(store)
    answer = insights(ask, "2025-12-31")
    (found,) = answer.leads
    assert (found.leading, found.lagging, found.periods) == ("deploys", "uptime", 2)
    assert (found.relation, found.frequency, found.pairs) == ("unit", "monthly", 33)
    assert found.effective_pairs <= found.pairs
    assert (answer.pairs_compared, answer.pairs_too_short) == (1, 0)
    assert insights(ask, "2025-12-31", unit="sales").leads == ()


def test_what_is_not_long_enough_yet_is_counted_and_not_judged(
    store: ViewStore, ask: Asker
) -> None:
    kpis(store)
    early = insights(ask, "2023-01-31", known_at="2025-12-31")
    assert (early.leads, early.pairs_compared, early.pairs_too_short) == ((), 0, 1)


def test_units_apart_are_compared_only_where_a_formula_joins_them(
    store: ViewStore, ask: Asker
) -> None:
    kpis(store, unit_of_leading="sales")
    assert insights(ask, "2025-12-31").pairs_compared == 0


def test_a_source_in_another_unit_may_lead_what_is_computed_from_it(
    store: ViewStore, ask: Asker
) -> None:
    kpis(store, unit_of_leading="sales", formula=Ratio("deploys", "other"))
    (found,) = insights(ask, "2025-12-31").leads
    assert (found.leading, found.relation) == ("deploys", "formula")


# ------------------------------------------------------------------ the answer


def test_pages_lose_nothing_and_the_same_moment_has_the_same_bytes(
    store: ViewStore, ask: Asker
) -> None:
    log = check_ins(pursued(measure=CUSTOMERS), [5, 12, 19, 26, 33])
    for number in range(5):
        log.add(replace(company.KR, key_result_id=f"more-{number}", measure=CUSTOMERS))
    fill(store, log)
    whole = insights(ask, "2025-08-31")
    assert len(whole.forecasts) == 6
    assert len(whole.unaligned) == 1
    pages = ask.pages(Insights(as_of="2025-08-31", limit=2))
    for part in ("forecasts", "untouched", "unaligned", "leads"):
        assert [each for page in pages for each in getattr(page, part)] == [*getattr(whole, part)]
    asked = Insights(as_of=f"@{len(log)}")
    before = ask.raw(asked)
    later = Log(log)
    later.add(events.CheckedIn("kr", "late", at(7, 20), value=Decimal(1)), known_at=at(9, 1))
    fill(store, later[len(log) :])
    assert ask.raw(asked) == before


def test_a_cycle_has_no_kpis_and_a_policy_with_months_more_patience(
    store: ViewStore, ask: Asker
) -> None:
    fill(store, pursued(Policy(cadence="monthly", cadence_grace_days=5)))
    assert insights(ask, at(9, 5), cycle="q3").untouched == ()
    (found,) = insights(ask, at(9, 8), cycle="q3").untouched
    assert found.limit_days == 67
