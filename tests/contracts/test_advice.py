"""What is said of goals though nothing forbids it, and what is not."""

from decimal import Decimal

import pytest
from goal_contracts.advice import (
    OBJECTIVE_WORDS_MAX,
    in_words,
    on_key_result,
    on_key_results,
    on_objective,
    on_objectives,
    on_weights,
)
from goal_contracts.measures import (
    Baseline,
    Count,
    FourPointMetric,
    KpiLinked,
    Maintain,
    Measure,
    Metric,
    Milestone,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Warned

D = Decimal
POLICY = Policy()
QUIET = Policy(advice="off", counts="off")
BLOCK = Policy(counts="block")
DONE = Milestone()
TALKS = Count(unit="talks", of=12)


def test_one_is_one_and_the_rest_are_many() -> None:
    assert [in_words(each, "key result") for each in (0, 1, 2)] == [
        "0 key results",
        "1 key result",
        "2 key results",
    ]


@pytest.mark.parametrize("policy", [POLICY, BLOCK])
def test_outside_2_to_5_key_results_something_is_said(policy: Policy) -> None:
    assert [count for count in range(8) if on_key_results(policy, count)] == [0, 1, 6, 7]
    assert on_key_results(policy, 1) == (
        Warned("R5", "the objective has 1 key result; 2 to 5 are usual"),
    )
    assert not on_key_results(QUIET, 7)


@pytest.mark.parametrize("policy", [POLICY, BLOCK])
def test_above_5_objectives_of_the_company_and_3_of_others_something_is_said(
    policy: Policy,
) -> None:
    counts = range(8)
    assert [n for n in counts if on_objectives(policy, "Acme", n, company=True)] == [6, 7]
    assert [n for n in counts if on_objectives(policy, "Ops", n, company=False)] == [4, 5, 6, 7]
    assert on_objectives(policy, "Ops", 4, company=False) == (
        Warned("R5", "Ops has 4 objectives in this cycle; up to 3 keep it in focus"),
    )
    assert not on_objectives(QUIET, "Ops", 9, company=False)


@pytest.mark.parametrize(
    ("setting", "weights", "said"),
    [
        ("free", ["3", "0"], ""),
        ("free", ["0", "0"], "all weights are 0, so that no key result counts"),
        ("free", [], ""),
        ("equal", ["1", "1.0"], ""),
        ("equal", ["1", "2.50"], "a weight is 2.50, where all of them are 1"),
        ("equal", ["0"], "all weights are 0, so that no key result counts"),
        ("sum_to_100", ["60", "40"], ""),
        ("sum_to_100", ["60", "39.9"], "the weights come to 99.9, not to 100"),
        ("sum_to_100", ["1e2", "1"], "the weights come to 101, not to 100"),
        ("sum_to_100", [], ""),
    ],
)
def test_weights_that_the_policy_would_not_publish_are_named(
    setting: str, weights: list[str], said: str
) -> None:
    policy = Policy(weights=setting)  # type: ignore[arg-type]  # one of the three
    warned = on_weights(policy, [D(each) for each in weights])
    assert warned == ((Warned("R10", said),) if said else ())


@pytest.mark.parametrize(
    ("title", "number"),
    [
        ("Win 3 large customers", "3"),
        ("Reach 1,500 users", "1,500"),
        ("Grow by 20%", "20%"),
        ("Grow by 20 % and more", "20 %"),
        ("Earn €5m abroad", "€5m"),
        ("Earn 5k a day", "5k"),
        ("Be 10x faster", "10x"),
        ("Halve it to 0.5.", "0.5"),
        ("Reach $2000", "$2000"),
        ("2025: 7 new shops", "7"),
        ("赢得 3 个客户", "3"),
    ],
)
def test_a_number_belongs_into_a_key_result(title: str, number: str) -> None:
    (warned,) = on_objective(POLICY, title)
    assert warned.rule == "R31"
    assert f"names a number ({number});" in warned.message
    assert not on_objective(QUIET, title)


@pytest.mark.parametrize(
    "title",
    [
        "Customers rely on us",
        "A calm Q3 for everybody",
        "Ready for 2026",
        "Win in B2B and 5G",
        "Support around the clock, 24/7",
        "A 3-year plan everybody knows",
        "Life after COVID-19",
        "Version v2.1 delights",
        "顧客に信頼される",
    ],
)
def test_years_and_names_are_no_quantities(title: str) -> None:
    assert on_objective(POLICY, title) == ()


def test_a_number_without_an_end_is_shown_in_part() -> None:
    (warned,) = on_objective(POLICY, "9" * 1_000)
    assert f"({'9' * 20});" in warned.message


def test_an_objective_is_short_enough_to_be_remembered() -> None:
    assert on_objective(POLICY, " ".join(["word"] * OBJECTIVE_WORDS_MAX)) == ()
    long = " ".join(["word"] * (OBJECTIVE_WORDS_MAX + 1))
    (warned,) = on_objective(POLICY, long)
    assert warned.message.startswith("the objective has 21 words; up to 20 are easier")
    assert len(on_objective(POLICY, f"7 {long}")) == 2
    assert not on_objective(QUIET, long)


@pytest.mark.parametrize("measure", [DONE, TALKS])
@pytest.mark.parametrize(
    ("title", "word"),
    [("Launch the shop", "Launch"), ("HOLD talks", "HOLD"), ("«Build» a team", "Build")],
)
def test_what_begins_with_a_doing_and_measures_only_that_is_an_activity(
    title: str, word: str, measure: Measure
) -> None:
    (warned,) = on_key_result(POLICY, title, measure)
    assert warned.rule == "R31"
    assert f"begins with {word}," in warned.message
    assert not on_key_result(QUIET, title, measure)


@pytest.mark.parametrize(
    "measure",
    [
        Metric(unit="%", baseline=D(0), target=D(1)),
        FourPointMetric(unit="%", baseline=D(0), commit=D(1), target=D(2), stretch=D(3)),
        Maintain(unit="%", lower=D(1)),
        Baseline(unit="%"),
        KpiLinked(kpi_id="churn", baseline=D(2), target=D(1)),
    ],
)
def test_where_a_change_is_measured_nothing_is_said(measure: Measure) -> None:
    assert on_key_result(POLICY, "Launch the shop", measure) == ()


@pytest.mark.parametrize(
    "title",
    ["Customers launch faster", "Launching is easy", "Certified", "开发新产品", "—", "Ship's"],
)
def test_other_beginnings_say_nothing_but_the_first_word_counts(title: str) -> None:
    assert bool(on_key_result(POLICY, title, DONE)) == title.startswith("Ship")
