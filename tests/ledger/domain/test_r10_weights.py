"""R10: free, equal, or summing to 100; in all of them something weighs something."""

from decimal import Decimal

import pytest
from goal_contracts import events
from goal_contracts.commands import (
    ActivateCycle,
    CarriedKeyResult,
    CarryOverObjective,
    ChangePolicy,
    DropKeyResult,
    PublishObjective,
    ReweightKeyResult,
)
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason

from tests.ledger.domain.scenario import Scenario, add, draft, planned

FREE, EQUAL, TO_100 = Policy(), Policy(weights="equal"), Policy(weights="sum_to_100")
PUBLISH = PublishObjective(objective_id="o")
WHY = "we learned"


def weighed(policy: Policy, *weights: str) -> Scenario:
    """The draft `o` in q1 with kr-1, kr-2 and so on of these weights."""
    key_results = (add(f"kr-{n}", weight=weight) for n, weight in enumerate(weights, start=1))
    return planned(policy).given(draft("o"), *key_results)


def published(policy: Policy, *weights: str) -> Scenario:
    return weighed(policy, *weights).given(PUBLISH)


def reweight(weight: str, key_result_id: str = "kr-1") -> ReweightKeyResult:
    return ReweightKeyResult(key_result_id=key_result_id, weight=Decimal(weight), reason=WHY)


@pytest.mark.parametrize("weights", [("1",), ("0", "0.001"), ("3", "97"), ("250", "0")])
def test_free_weights_are_any_as_long_as_something_counts(weights: tuple[str, ...]) -> None:
    published(FREE, *weights).given(reweight("7"), add("more", weight="0"))


@pytest.mark.parametrize("policy", [FREE, TO_100])
def test_nothing_is_published_whose_weights_are_all_0(policy: Policy) -> None:
    scenario = weighed(policy, "0", "0.00")
    refusal = scenario.when(PUBLISH).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    assert refusal.message == "all weights are 0, so that no key result counts"
    dropped = weighed(policy, "0", "100").given(DropKeyResult(key_result_id="kr-2"))
    dropped.when(PUBLISH).refuses(Reason.WEIGHTS_OUT_OF_POLICY)


@pytest.mark.parametrize("policy", [FREE, EQUAL, TO_100])
def test_no_weight_is_negative(policy: Policy) -> None:
    scenario = weighed(policy, "1")
    scenario.when(add("kr-2", weight="-1")).refuses(Reason.WEIGHT_INVALID)
    scenario.when(reweight("-0.001")).refuses(Reason.WEIGHT_INVALID)
    scenario.given(add("kr-2", weight="1.000"))


@pytest.mark.parametrize("weight", ["0", "0.999", "2"])
def test_where_all_are_equal_each_weighs_1(weight: str) -> None:
    scenario = weighed(EQUAL, "1", "1.0")
    refusal = scenario.when(add("kr-3", weight=weight)).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    assert (refusal.seen, refusal.accepted) == (weight, "1")
    scenario.when(reweight(weight)).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    scenario.given(PUBLISH).when(reweight(weight)).refuses(Reason.WEIGHTS_OUT_OF_POLICY)


def test_drafts_from_before_are_made_equal_before_they_are_published() -> None:
    scenario = weighed(FREE, "1", "2").given(ChangePolicy(policy=EQUAL))
    refusal = scenario.when(PUBLISH).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    assert (refusal.message, refusal.accepted) == (
        "a weight is 2, where all of them are 1",
        "the weight 1 for each",
    )
    scenario.given(reweight("1", "kr-2"), PUBLISH)


@pytest.mark.parametrize("weights", [("100",), ("60", "40"), ("33.3", "33.3", "33.4"), ("1e2",)])
def test_weights_that_come_to_100_are_published(weights: tuple[str, ...]) -> None:
    published(TO_100, *weights)


@pytest.mark.parametrize(
    ("weights", "total"),
    [(("1",), "1"), (("60", "39.999"), "99.999"), (("60", "40.001"), "100.001"), (("3e2",), "300")],
)
def test_weights_that_come_to_anything_else_are_not(weights: tuple[str, ...], total: str) -> None:
    scenario = weighed(TO_100, *weights)
    refusal = scenario.when(PUBLISH).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    assert (refusal.seen, refusal.accepted) == (f"{total} in all", "weights that come to 100")


def test_only_what_is_pursued_comes_to_100() -> None:
    scenario = weighed(TO_100, "100", "50").given(DropKeyResult(key_result_id="kr-2"))
    scenario.given(PUBLISH)


def test_a_draft_may_come_to_anything() -> None:
    weighed(TO_100, "90", "90").given(reweight("120"), add("kr-3", weight="50"))


def test_once_published_nothing_is_added_beyond_100() -> None:
    scenario = published(TO_100, "60", "40").given(reweight("50"))
    refusal = scenario.when(add("kr-3", weight="10.001")).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    assert refusal.seen == "100.001"
    assert refusal.accepted.startswith("10 more at most")
    scenario.given(add("kr-3", weight="10"))
    scenario.when(add("kr-4", weight="0.1")).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    scenario.given(add("kr-4", weight="0"))


def test_once_published_nothing_is_reweighted_beyond_100() -> None:
    scenario = published(TO_100, "60", "40")
    refusal = scenario.when(reweight("60.5")).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    assert refusal.accepted.startswith("0 more at most")
    scenario.given(reweight("20"), reweight("80", "kr-2"))


def test_below_100_is_left_to_advice() -> None:
    (warned,) = published(TO_100, "60", "40", "0").when(reweight("10")).warns("R10")
    assert warned.message == "the weights come to 50, not to 100"
    dropped = published(TO_100, "60", "40", "0").when(DropKeyResult(key_result_id="kr-2"))
    assert dropped.warns("R10")[0].message == "the weights come to 60, not to 100"
    added = published(TO_100, "60", "40").given(reweight("10")).when(add("kr-3", weight="9"))
    assert added.warns("R10")[0].message == "the weights come to 59, not to 100"


def test_what_comes_to_100_again_is_not_warned_about() -> None:
    scenario = published(TO_100, "60", "40").given(reweight("10"))
    scenario.when(reweight("90", "kr-2")).warns()
    weighed(TO_100, "60", "40").when(PUBLISH).warns()


def test_a_draft_is_not_warned_about_while_it_is_worked_on() -> None:
    scenario = weighed(TO_100, "60", "40")
    scenario.when(reweight("10")).warns()
    scenario.when(add("kr-3", weight="7")).warns()


def test_where_nothing_counts_any_more_there_is_advice() -> None:
    (warned,) = published(FREE, "1", "0").when(reweight("0")).warns("R10")
    assert warned.message == "all weights are 0, so that no key result counts"


def test_who_is_above_100_from_before_may_come_down_step_by_step() -> None:
    scenario = published(FREE, "200", "100").given(ChangePolicy(policy=TO_100))
    scenario.given(reweight("150"), add("kr-3", weight="0"))
    refusal = scenario.when(reweight("151")).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    assert refusal.accepted.startswith("0 more at most")


def test_a_running_cycle_keeps_the_weights_it_was_activated_under() -> None:
    scenario = published(FREE, "3", "4")
    scenario.given(ActivateCycle(cycle_id="q1"), ChangePolicy(policy=EQUAL))
    scenario.given(reweight("9"))
    strict = published(EQUAL, "1").given(ActivateCycle(cycle_id="q1"), ChangePolicy(policy=FREE))
    strict.when(reweight("9")).refuses(Reason.WEIGHTS_OUT_OF_POLICY)


def carried(now: Policy, then: Policy, *weights: str) -> list[Decimal]:
    """The weights after an objective of q1 under `now` was carried to q2 under `then`."""
    scenario = published(now, *weights).given(ActivateCycle(cycle_id="q1"))
    scenario.given(ChangePolicy(policy=then))
    ids = [f"kr-{n}" for n in range(1, len(weights) + 1)]
    scenario.given(
        CarryOverObjective(
            objective_id="o",
            carried_to="o-next",
            cycle_id="q2",
            key_results=tuple(CarriedKeyResult(each, f"{each}-next") for each in ids),
        )
    )
    return [each.weight for each in scenario.state.live_key_results("o-next")]


def test_carried_key_results_keep_their_weights_unless_all_are_equal_there() -> None:
    assert carried(FREE, FREE, "3", "0") == [3, 0]
    assert carried(FREE, EQUAL, "3", "0") == [1, 1]
    assert carried(FREE, TO_100, "300", "1") == [300, 1]


def test_a_carried_draft_is_published_once_its_weights_are_right() -> None:
    scenario = published(TO_100, "60", "40").given(ActivateCycle(cycle_id="q1"))
    scenario.given(
        CarryOverObjective(
            objective_id="o",
            carried_to="o-next",
            cycle_id="q2",
            key_results=(CarriedKeyResult("kr-1", "kr-next"),),
        )
    )
    publish = PublishObjective(objective_id="o-next")
    scenario.when(publish).refuses(Reason.WEIGHTS_OUT_OF_POLICY)
    scenario.given(reweight("100", "kr-next"))
    scenario.when(publish).records(events.ObjectivePublished)
