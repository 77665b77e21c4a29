"""What is worth saying about a goal though nothing forbids it: R5 counts, R10 weights, R31 style.

Pure functions from what a goal looks like to what may be said of it; () when there is nothing to
say, or the policy wants nothing said. The ledger answers a command with it, and the views show it
for as long as it holds. A title may be in any language: only plain English cues are known, so
that much goes unsaid, and style is never a reason to refuse.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, assert_never

from goal_contracts.measures import ONE, ZERO, Count, Measure, Milestone
from goal_contracts.policy import Policy
from goal_contracts.replies import Warned

OBJECTIVE_WORDS_MAX: Final = 20
"""An objective that has more of them is hard to remember."""

SUM_OF_WEIGHTS: Final = Decimal(100)
"""What the weights of an objective come to under the policy sum_to_100."""

ACTIVITIES: Final = frozenset(
    {
        "analyse",
        "analyze",
        "arrange",
        "attend",
        "build",
        "complete",
        "conduct",
        "create",
        "define",
        "deliver",
        "deploy",
        "design",
        "develop",
        "document",
        "draft",
        "establish",
        "evaluate",
        "finish",
        "hold",
        "host",
        "implement",
        "install",
        "interview",
        "introduce",
        "investigate",
        "launch",
        "make",
        "migrate",
        "organise",
        "organize",
        "plan",
        "prepare",
        "present",
        "publish",
        "release",
        "research",
        "review",
        "run",
        "schedule",
        "send",
        "set",
        "ship",
        "start",
        "survey",
        "test",
        "train",
        "update",
        "visit",
        "write",
    }
)
"""How a key result begins that says what is done and not what comes of it."""

_NUMBER: Final = re.compile(r"(?<![\w.,/:-])[$€£¥]?\d++(?:[.,]\d++)*+(?:\s?%|[kmx])?+(?![\w/:-])")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_FIRST_WORD: Final = re.compile(r"\W*(\w+)")
_NUMBER_SHOWN_MAX: Final = 20


def on_key_results(policy: Policy, count: int) -> tuple[Warned, ...]:
    """R5: how many key results a published objective has, those dropped left out."""
    bounds = f"{policy.key_results_min} to {policy.key_results_max}"
    if policy.counts == "off" or policy.key_results_min <= count <= policy.key_results_max:
        return ()
    return (Warned("R5", f"the objective has {in_words(count, 'key result')}; {bounds} are usual"),)


def on_objectives(policy: Policy, unit: str, count: int, *, company: bool) -> tuple[Warned, ...]:
    """R5: how many objectives a unit, by its name, pursues in a cycle."""
    most = objectives_max(policy, company=company)
    if policy.counts == "off" or count <= most:
        return ()
    has = f"{unit} has {in_words(count, 'objective')} in this cycle"
    return (Warned("R5", f"{has}; up to {most} keep it in focus"),)


def on_weights(policy: Policy, weights: Sequence[Decimal]) -> tuple[Warned, ...]:
    """R10: the weights of a published objective's key results, those dropped left out."""
    amiss = weights_amiss(policy, weights)
    return (Warned("R10", amiss),) if amiss else ()


def on_objective(policy: Policy, title: str) -> tuple[Warned, ...]:
    """R31: an objective says what for, in few words; how much is for its key results ([S3])."""
    if policy.advice == "off":
        return ()
    said: list[Warned] = []
    number = _first_number(title)
    if number:
        said.append(
            Warned(
                "R31",
                f"the objective names a number ({number}); say what it is for, and let a key"
                " result say how much",
            )
        )
    words = len(title.split())
    if words > OBJECTIVE_WORDS_MAX:
        said.append(
            Warned(
                "R31",
                f"the objective has {words} words; up to {OBJECTIVE_WORDS_MAX} are easier to"
                " remember, and the description has room for the rest",
            )
        )
    return tuple(said)


def on_key_result(policy: Policy, title: str, measure: Measure) -> tuple[Warned, ...]:
    """R31: a key result says what changes, not what is done for it ([S3]).

    Doing something is taken for an activity only where nothing but the doing is measured.
    """
    first = _FIRST_WORD.match(title)
    if policy.advice == "off" or first is None or not isinstance(measure, Milestone | Count):
        return ()
    word = first[1]
    if word.casefold() not in ACTIVITIES:
        return ()
    return (
        Warned(
            "R31",
            f"the key result begins with {word}, so it says what is done; say what will have"
            " changed by it, from what to what",
        ),
    )


def objectives_max(policy: Policy, *, company: bool) -> int:
    """R5: how many objectives the company itself, or any other unit, may have in a cycle."""
    return policy.company_objectives_max if company else policy.unit_objectives_max


def weights_amiss(policy: Policy, weights: Iterable[Decimal]) -> str:
    """R10: what is wrong with the weights of an objective; without key results, nothing is."""
    weighed = tuple(weights)
    if not weighed:
        return ""
    if not any(weighed):
        return "all weights are 0, so that no key result counts"
    match policy.weights:
        case "free":
            return ""
        case "equal":
            other = next((each for each in weighed if each != ONE), None)
            return "" if other is None else f"a weight is {other:f}, where all of them are 1"
        case "sum_to_100":
            total = sum(weighed, ZERO)
            return "" if total == SUM_OF_WEIGHTS else f"the weights come to {total:f}, not to 100"
        case _:
            assert_never(policy.weights)


def in_words(count: int, what: str) -> str:
    """1 key result, 2 key results."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _first_number(title: str) -> str:
    """The first number that is a quantity: neither a year nor part of a name such as Q3 or B2B."""
    found = (each[0] for each in _NUMBER.finditer(title))
    return next((each for each in found if not _YEAR.fullmatch(each)), "")[:_NUMBER_SHOWN_MAX]
