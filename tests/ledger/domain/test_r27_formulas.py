"""R27: KPIs computed from others, kept right when these are, and never in a loop."""

from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    CorrectReading,
    DefineKpi,
    RecordMissedReading,
    RecordReadings,
    RedefineKpi,
    RetireKpi,
    RetractReading,
)
from goal_contracts.events import (
    Band,
    Formula,
    KpiBands,
    KpiReadingCorrected,
    KpiReadingRecorded,
    KpiReadingRetracted,
    Ratio,
    Sum,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import POLICY, Scenario, company, day, definition, kpi, reading

JANUARY, FEBRUARY = "2025-01-01/2025-01-31", "2025-02-01/2025-02-28"
PERCENT = Ratio(numerator="lost", denominator="all", factor=Decimal(100))


def computed(kpi_id: str = "share", formula: Formula = PERCENT, **changes: Any) -> DefineKpi:
    return kpi(kpi_id, formula=formula, **changes)


def sources(policy: Policy = POLICY) -> Scenario:
    return company(policy).given(kpi("lost"), kpi("all")).at("2025-08-15")


def watched(policy: Policy = POLICY, **changes: Any) -> Scenario:
    return sources(policy).given(computed(**changes))


def lost(value: str | int, period: str = JANUARY, **said: Any) -> Any:
    return reading(period, value, kpi_id="lost", **said)


def base(value: str | int, period: str = JANUARY, **said: Any) -> Any:
    return reading(period, value, kpi_id="all", **said)


def correct(kpi_id: str, value: str | int, **said: Any) -> CorrectReading:
    said = {"period": JANUARY, "reason": "restated"} | said
    return CorrectReading(kpi_id=kpi_id, value=Decimal(value), **said)


def retract(kpi_id: str, period: str = JANUARY) -> RetractReading:
    return RetractReading(kpi_id=kpi_id, period=period, reason="another team's")


def redefine(kpi_id: str, on: str = "2025-01-01", **changes: Any) -> RedefineKpi:
    return RedefineKpi(kpi_id=kpi_id, definition=definition(**changes), effective_on=day(on).date())


def value(scenario: Scenario, kpi_id: str = "share", period: str = JANUARY) -> Decimal | None:
    found = scenario.state.readings.get((kpi_id, period, "formula"))
    return None if found is None or found.retracted else found.value


# ------------------------------------------------------------------------------- what is a formula


@pytest.mark.parametrize(
    "formula",
    [
        Ratio(numerator="lost", denominator="all", factor=Decimal(0)),
        Ratio(numerator="lost", denominator="lost"),
        Ratio(numerator="lost", denominator="none"),
        Sum(of=("lost", "none")),
        Sum(of=("lost", "lost")),
    ],
)
def test_a_formula_makes_sense(formula: Formula) -> None:
    sources().when(computed(formula=formula)).refuses(Reason.FORMULA_INVALID)
    changed = redefine("share", formula=formula)
    sources().given(kpi("share")).when(changed).refuses(Reason.FORMULA_INVALID)


def test_a_factor_may_be_negative_and_a_sum_have_one_part() -> None:
    turned = Ratio(numerator="lost", denominator="all", factor=Decimal(-1))
    scenario = sources().given(computed(formula=turned), computed("same", Sum(of=("lost",))))
    scenario.given(lost(5), base(10))
    assert value(scenario) == Decimal("-0.5")
    assert value(scenario, "same") == 5


def test_a_kpi_is_not_computed_from_itself() -> None:
    own = Sum(of=("share", "all"))
    sources().when(computed(formula=own)).refuses(Reason.FORMULA_LOOP)
    watched().when(redefine("share", formula=own)).refuses(Reason.FORMULA_LOOP)


def test_a_redefinition_closes_no_loop() -> None:
    scenario = watched().given(computed("double", Sum(of=("share",))))
    back = redefine("lost", formula=Sum(of=("double", "all")))
    scenario.when(back).refuses(Reason.FORMULA_LOOP)
    scenario.when(redefine("all", formula=Sum(of=("share",)))).refuses(Reason.FORMULA_LOOP)
    scenario.given(redefine("lost", formula=Sum(of=("all",))))


def test_an_earlier_version_counts_for_a_loop_too() -> None:
    scenario = watched().given(redefine("share"))
    scenario.when(redefine("lost", formula=Sum(of=("share",)))).refuses(Reason.FORMULA_LOOP)


def test_what_is_computed_is_not_entered() -> None:
    scenario = watched().given(lost(5), base(100))
    for command in (
        reading(kpi_id="share"),
        reading(kpi_id="share", source="formula"),
        correct("share", 6),
        correct("share", 6, source="formula"),
        correct("share", 6, period=FEBRUARY),
        retract("share"),
        RetractReading(kpi_id="share", period=JANUARY, source="formula", reason="no"),
        RecordMissedReading(kpi_id="share", period=FEBRUARY),
    ):
        refusal = scenario.when(command).refuses(Reason.COMPUTED_KPI)
        assert "lost, all" in refusal.accepted
    assert value(scenario) == 5


# ---------------------------------------------------------------------------- what is computed when


def test_a_ratio_is_computed_once_both_its_readings_are_there() -> None:
    scenario = watched()
    scenario.when(lost(5)).records(KpiReadingRecorded)
    _, made = scenario.when(base(80)).records(KpiReadingRecorded, KpiReadingRecorded)
    assert (made.kpi_id, made.period, made.source) == ("share", JANUARY, "formula")
    assert (made.value, made.numerator, made.denominator) == (Decimal("6.25"), 5, 80)
    assert (made.definition_version, made.effective_at.day) == (1, 31)


def test_only_the_very_same_period_counts() -> None:
    watched().given(lost(5)).when(base(80, "2025-01-02/2025-01-31")).records(KpiReadingRecorded)


def test_a_sum_has_no_parts() -> None:
    scenario = watched(formula=Sum(of=("lost", "all"))).given(lost("0.1"))
    _, made = scenario.when(base("0.2")).records(KpiReadingRecorded, KpiReadingRecorded)
    assert (made.value, made.numerator, made.denominator) == (Decimal("0.3"), None, None)


@pytest.mark.parametrize(
    ("parts", "places", "expected"),
    [
        (("1", "3"), None, "0.333333"),
        (("2", "3"), None, "0.666667"),
        (("1", "8"), 2, "0.12"),
        (("3", "8"), 2, "0.38"),
        (("5", "2"), 0, "2"),
        (("7", "2"), 0, "4"),
        (("-1", "8"), 2, "-0.12"),
        (("1", "3"), 12, "0.333333333333"),
        (("-1", "1000000000"), None, "0.000000"),
        (("125000000000000000000000001", "1000000000000000000000000000"), 2, "0.13"),
    ],
)
def test_a_value_is_rounded_half_to_even(
    parts: tuple[str, str], places: int | None, expected: str
) -> None:
    ratio = Ratio(numerator="lost", denominator="all")
    scenario = watched(formula=ratio, places=places).given(lost(parts[0]), base(parts[1]))
    assert str(value(scenario)) == expected


def test_nothing_is_over_zero() -> None:
    scenario = watched().given(lost(5))
    scenario.when(base(0)).records(KpiReadingRecorded)
    scenario.given(correct("all", 10))
    assert value(scenario) == 50
    _, gone = scenario.when(correct("all", 0)).records(KpiReadingCorrected, KpiReadingRetracted)
    assert (gone.value_was, gone.source) == (50, "formula")
    assert gone.reason == f"recomputed: all {JANUARY}"


def test_what_is_longer_than_a_number_of_record_is_no_value() -> None:
    ratio = Ratio(numerator="lost", denominator="all")
    scenario = watched(formula=ratio).given(lost("1e18"))
    scenario.when(base("1e-18")).records(KpiReadingRecorded)
    scenario.given(correct("all", "0.01"))
    assert value(scenario) == Decimal("1e20")
    total = watched(formula=Sum(of=("lost", "all"))).given(base(1))
    total.when(lost("1" + "0" * 22)).records(KpiReadingRecorded)
    assert value(total) is None


def test_correcting_a_source_corrects_what_is_computed() -> None:
    scenario = watched().given(lost(5), base(80))
    _, corrected = scenario.when(correct("lost", 10)).records(
        KpiReadingCorrected, KpiReadingCorrected
    )
    assert corrected.kpi_id == "share"
    assert (corrected.value_was, corrected.value) == (Decimal("6.25"), Decimal("12.5"))
    assert (corrected.numerator_was, corrected.numerator) == (5, 10)
    assert (corrected.denominator_was, corrected.denominator) == (80, 80)
    assert corrected.reason == f"recomputed: lost {JANUARY}"


def test_the_parts_are_kept_right_where_the_value_stays() -> None:
    scenario = watched(places=0).given(lost(5), base(80))
    _, corrected = scenario.when(correct("all", 81)).records(
        KpiReadingCorrected, KpiReadingCorrected
    )
    assert (corrected.value_was, corrected.value, corrected.denominator) == (6, 6, 81)


def test_where_nothing_changes_nothing_is_recorded() -> None:
    scenario = watched(formula=Sum(of=("lost", "all")), places=0).given(lost(5), base(80))
    scenario.when(correct("all", "80.4")).records(KpiReadingCorrected)


def test_retracting_a_source_retracts_what_is_computed() -> None:
    scenario = watched().given(lost(5), base(80))
    _, gone = scenario.when(retract("all")).records(KpiReadingRetracted, KpiReadingRetracted)
    assert (gone.kpi_id, gone.source) == ("share", "formula")
    _, again = scenario.when(base(50)).records(KpiReadingRecorded, KpiReadingRecorded)
    assert again.value == 10


def test_a_recomputation_knows_no_restatement_window() -> None:
    scenario = watched(Policy(restatement_window_days=10)).given(lost(5, source="survey"), base(80))
    assert value(scenario) == Decimal("6.25")
    scenario.when(lost(8)).records(KpiReadingRecorded, KpiReadingCorrected)


def test_of_several_sources_the_kpis_own_counts_else_the_last_recorded() -> None:
    scenario = watched().given(base(100), lost(1, source="survey"))
    assert value(scenario) == 1
    scenario.given(lost(2, source="warehouse"))
    assert value(scenario) == 2
    scenario.given(lost(3))
    assert value(scenario) == 3
    scenario.when(lost(4, source="estimate")).records(KpiReadingRecorded)
    scenario.given(retract("lost"))
    assert value(scenario) == 4


def test_another_source_of_its_own_changes_what_counts() -> None:
    scenario = watched().given(base(100), lost(1, source="survey"), lost(3))
    assert value(scenario) == 3
    _, corrected = scenario.when(redefine("lost", source="survey")).records(
        events.KpiRedefined, KpiReadingCorrected
    )
    assert (corrected.value, corrected.reason) == (1, f"recomputed: lost {JANUARY}")


def test_what_is_computed_from_the_computed_follows_in_order() -> None:
    scenario = watched().given(
        computed("rest", Sum(of=("share",))),
        computed("total", Sum(of=("rest", "share", "lost"))),
    )
    scenario.given(lost(5))
    made = scenario.when(base(50)).accepted()
    assert [each.goal_id for each in made] == ["all", "share", "rest", "total"]
    assert value(scenario, "total") == 25
    corrected = scenario.when(correct("lost", 10)).accepted()
    assert [each.goal_id for each in corrected] == ["lost", "share", "rest", "total"]
    assert value(scenario, "total") == 50
    gone = scenario.when(retract("all")).accepted()
    assert [type(each) for each in gone] == [KpiReadingRetracted] * 4


def test_many_at_once_are_computed_one_after_the_other() -> None:
    many = RecordReadings(readings=(lost(5), base(10), lost(6, FEBRUARY), base(10, FEBRUARY)))
    made = watched().when(many).accepted()
    assert [each.goal_id for each in made] == ["lost", "all", "share", "lost", "all", "share"]


def test_what_is_computed_is_judged() -> None:
    bands = KpiBands(healthy=Band(high=Decimal(3)), warning=Band(high=Decimal(5)))
    scenario = watched(bands=bands).given(lost(5))
    _, _, changed, opened = scenario.when(base(80)).records(
        KpiReadingRecorded,
        KpiReadingRecorded,
        events.KpiHealthChanged,
        events.KpiReviewOpened,
    )
    assert (changed.kpi_id, changed.health) == ("share", "breach")
    assert opened.review_id == "breach-2025-01-31"
    better = scenario.when(correct("lost", 1)).accepted()
    assert isinstance(better[-1], events.KpiHealthChanged)


# ------------------------------------------------------------------------------ from when it holds


def test_what_is_there_already_is_computed_at_once() -> None:
    scenario = sources().given(base(10, FEBRUARY), lost(1, FEBRUARY), lost(5), base(10))
    scenario.given(lost(9, "2025-03-01/2025-03-31"))
    _, first, second = scenario.when(computed()).records(
        events.KpiDefined, KpiReadingRecorded, KpiReadingRecorded
    )
    assert [(each.period, each.value) for each in (first, second)] == [
        (JANUARY, 50),
        (FEBRUARY, 10),
    ]
    scenario.when(computed()).does_nothing()


def test_what_is_computed_at_once_comes_in_the_order_in_which_the_periods_end() -> None:
    quarter = "2025-01-01/2025-03-31"
    scenario = sources().given(
        lost(5, quarter), base(10, quarter), lost(1, FEBRUARY), base(10, FEBRUARY)
    )
    _, first, second = scenario.when(computed()).accepted()
    assert isinstance(first, KpiReadingRecorded)
    assert isinstance(second, KpiReadingRecorded)
    assert (first.period, second.period) == (FEBRUARY, quarter)


def test_what_is_computed_at_once_is_judged_once() -> None:
    bands = KpiBands(healthy=Band(high=Decimal(10)), warning=Band(high=Decimal(20)))
    scenario = sources().given(lost(5), base(10), lost(1, FEBRUARY), base(10, FEBRUARY))
    changed = scenario.when(computed(bands=bands)).accepted()[3:]
    assert [(type(each), each.goal_id) for each in changed] == [(events.KpiHealthChanged, "share")]


def days(count: int) -> list[str]:
    first = day("2020-01-01").date().toordinal()
    some = (str(day("2020-01-01").date().fromordinal(first + each)) for each in range(count))
    return [f"{each}/{each}" for each in some]


@pytest.mark.parametrize(("count", "fits"), [(900, True), (901, False)])
def test_so_many_readings_are_computed_at_once(count: int, fits: bool) -> None:
    scenario = sources()
    for begin in range(0, count, 500):
        some = days(count)[begin : begin + 500]
        many = tuple(lost(1, each) for each in some) + tuple(base(2, each) for each in some)
        scenario.given(RecordReadings(readings=many))
    answer = scenario.when(computed())
    if fits:
        assert len(answer.accepted()) == 901
    else:
        refusal = answer.refuses(Reason.TOO_LARGE, rule="R27")
        assert "define it before" in refusal.accepted


def test_a_new_formula_holds_from_its_day() -> None:
    scenario = watched().given(lost(5), base(10), lost(1, FEBRUARY))
    total = redefine("share", "2025-02-01", formula=Sum(of=("lost", "all")))
    scenario.when(total).records(events.KpiRedefined)
    scenario.given(base(10, FEBRUARY))
    assert value(scenario, period=FEBRUARY) == 11
    scenario.given(correct("lost", 6))
    assert value(scenario) == 60


def test_a_reading_keeps_the_formula_it_was_computed_by() -> None:
    scenario = watched().given(lost(5), base(10))
    total = redefine("share", "2025-01-01", formula=Sum(of=("lost", "all")))
    scenario.when(total).records(events.KpiRedefined)
    scenario.given(correct("lost", 6))
    assert value(scenario) == 60
    scenario.given(retract("lost"), lost(5))
    assert value(scenario) == 15


def test_a_kpi_that_becomes_computed_is_computed_from_that_day() -> None:
    scenario = sources().given(kpi("share"), reading(kpi_id="share", value=49))
    scenario.given(lost(5), base(10), lost(1, FEBRUARY), base(10, FEBRUARY))
    becomes = redefine("share", "2025-02-28", formula=PERCENT)
    _, made = scenario.when(becomes).records(events.KpiRedefined, KpiReadingRecorded)
    assert (made.period, made.value) == (FEBRUARY, 10)
    scenario.when(correct("share", 50)).records(KpiReadingCorrected)
    scenario.when(correct("share", 9, period=FEBRUARY)).refuses(Reason.COMPUTED_KPI)


def test_a_kpi_that_is_computed_no_longer_is_entered_from_that_day() -> None:
    scenario = watched().given(lost(5), base(10), redefine("share", "2025-02-01"))
    scenario.given(lost(1, FEBRUARY), base(10, FEBRUARY))
    assert value(scenario, period=FEBRUARY) is None
    scenario.given(reading(FEBRUARY, 11, kpi_id="share"))
    scenario.given(correct("lost", 6))
    assert value(scenario) == 60


def test_a_source_that_becomes_computed_counts_as_it_is_computed() -> None:
    scenario = watched().given(kpi("part"), lost(5), base(10), reading(kpi_id="part", value=2))
    made = scenario.when(redefine("lost", formula=Sum(of=("part",)))).accepted()
    assert [each.goal_id for each in made] == ["lost", "lost", "share"]
    assert value(scenario) == 20


def test_a_retired_source_keeps_what_was_computed() -> None:
    scenario = watched().given(lost(5), base(10), RetireKpi(kpi_id="lost"))
    assert value(scenario) == 50
    scenario.given(correct("lost", 6))
    assert value(scenario) == 60


def test_a_retired_computed_kpi_takes_nothing_new_and_is_kept_right() -> None:
    scenario = watched().given(lost(5), base(10), RetireKpi(kpi_id="share"), lost(1, FEBRUARY))
    scenario.when(base(10, FEBRUARY)).records(KpiReadingRecorded)
    scenario.given(correct("lost", 6))
    assert value(scenario) == 60


def test_a_kpi_is_noted_once_with_each_of_its_sources() -> None:
    scenario = watched().given(redefine("share", formula=PERCENT, name="Share"))
    assert scenario.state.dependent_ids == {"lost": ("share",), "all": ("share",)}


def test_a_factor_of_0_is_seen() -> None:
    nothing = Ratio(numerator="lost", denominator="all", factor=Decimal(0))
    refusal = sources().when(computed(formula=nothing)).refuses(Reason.FORMULA_INVALID)
    assert refusal.seen == "0"
