"""Goals counted and averaged: of a unit, of those below it, of a cycle."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, get_args

from goal_contracts import measures
from goal_contracts.fields import GoalHealth
from goal_contracts.queries import HealthCount, KeyResultCard, ObjectiveCard, Tally

ORDER: Final[tuple[GoalHealth, ...]] = get_args(GoalHealth)


class Tallied:
    """What was added so far."""

    def __init__(self) -> None:
        self._objectives: Counter[GoalHealth] = Counter()
        self._key_results: Counter[GoalHealth] = Counter()
        self._progress: list[Decimal | None] = []
        self._scores: list[Decimal | None] = []
        self._met: list[Decimal | None] = []

    def add(
        self, card: ObjectiveCard, key_results: Iterable[KeyResultCard], progress: Decimal | None
    ) -> None:
        """An objective that is no draft, with its key results as they stood."""
        healths = [(each.health, each.dropped) for each in key_results]
        worst = measures.worst_status(health for health, dropped in healths if not dropped)
        self._objectives[card.outcome or worst or "pending"] += 1
        self._key_results.update(health for health, _ in healths)
        if card.state != "dropped":
            self._progress.append(progress)
        # As a cycle's closing does: nobody judged what was dropped or carried over.
        if card.state == "published":
            if card.objective_kind == "aspirational":
                self._scores.append(card.score)
            elif card.outcome is not None:
                self._met.append(Decimal(card.outcome == "achieved"))

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
