"""Goals counted and averaged: of a unit, of those below it, of a cycle."""

from collections import Counter
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Final, NamedTuple, get_args

from goal_contracts import measures
from goal_contracts.fields import GoalHealth
from goal_contracts.queries import HealthCount, KeyResultCard, ObjectiveCard, Tally

ORDER: Final[tuple[GoalHealth, ...]] = get_args(GoalHealth)


class Counted(NamedTuple):
    """What an objective that is no draft adds to each tally it counts in."""

    health: GoalHealth
    key_results: tuple[GoalHealth, ...]
    progress: tuple[Decimal | None, ...]
    scores: tuple[Decimal | None, ...]
    met: tuple[Decimal, ...]

    @classmethod
    def of(
        cls, card: ObjectiveCard, key_results: Collection[KeyResultCard], progress: Decimal | None
    ) -> "Counted":
        """An objective with its key results as they stood."""
        worst = measures.worst_status(each.health for each in key_results if not each.dropped)
        # As a cycle's closing does: nobody judged what was dropped or carried over.
        is_aspirational = card.objective_kind == "aspirational"
        is_scored = card.state == "published" and is_aspirational
        is_met = card.state == "published" and not is_aspirational and card.outcome is not None
        return cls(
            health=card.outcome or worst or "pending",
            key_results=tuple(each.health for each in key_results),
            progress=() if card.state == "dropped" else (progress,),
            scores=(card.score,) if is_scored else (),
            met=(Decimal(card.outcome == "achieved"),) if is_met else (),
        )


class Tallied:
    """What was added so far."""

    def __init__(self) -> None:
        self._objectives: Counter[GoalHealth] = Counter()
        self._key_results: Counter[GoalHealth] = Counter()
        self._progress: list[Decimal | None] = []
        self._scores: list[Decimal | None] = []
        self._met: list[Decimal | None] = []

    def add(self, counted: Counted) -> None:
        """An objective."""
        self._objectives[counted.health] += 1
        for health in counted.key_results:
            self._key_results[health] += 1
        self._progress += counted.progress
        self._scores += counted.scores
        self._met += counted.met

    def tally(self) -> Tally:
        """All of it in a few numbers."""
        return Tally(
            objectives=self._objectives.total(),
            key_results=self._key_results.total(),
            healths=tuple(
                HealthCount(health, self._objectives[health], self._key_results[health])
                for health in ORDER
                if self._objectives[health] or self._key_results[health]
            ),
            progress=measures.mean(self._progress),
            aspirational_score=_score(self._scores),
            committed_met=_score(self._met),
        )


def _score(numbers: Iterable[Decimal | None]) -> Decimal | None:
    mean = measures.mean(numbers)
    return None if mean is None else mean.quantize(measures.SCORE_STEP)
