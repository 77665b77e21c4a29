"""What the model expects of one command: objections, or what follows from it.

The order in which the ledger looks at a command is nobody's rule. So the model gathers every
objection that holds: the command is refused exactly if there is one, and for one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import ANY

from goal_contracts.events import Event
from goal_contracts.replies import Reason, Refusal

from tests.ledger.domain.model.leniencies import Lenient

Events = tuple[Event, ...]


@dataclass
class Verdict:
    """`musts` hold; `mays` may, each for a leniency.

    `follows` are the events in order, `extras` those after them in any order. `idle`: the same is
    so already, and doing nothing is right whatever else there is to object.
    """

    musts: set[Reason] = field(default_factory=set)
    mays: dict[Reason, Lenient] = field(default_factory=dict)
    any_reason: Lenient | None = None
    follows: tuple[Any, ...] = ()
    extras: tuple[Any, ...] = ()
    maybe_extras: dict[Lenient, Any] = field(default_factory=dict)
    idle: bool = False
    may_be_idle: Lenient | None = None

    def no(self, reason: Reason, when: object = True) -> None:
        """An objection that holds."""
        if when:
            self.musts.add(reason)

    def perhaps(self, reason: Reason, lenient: Lenient, when: object = True) -> None:
        """An objection that the rules leave open."""
        if when:
            self.mays.setdefault(reason, lenient)

    def perhaps_refused(self, lenient: Lenient, when: object = True) -> None:
        """It may be refused, for whatever reason."""
        if when:
            self.any_reason = lenient

    def may_follow(self, event: Any, lenient: Lenient) -> None:
        """What the rules leave open whether it follows, too."""
        self.maybe_extras[lenient] = event

    def then(self, *events: Any) -> "Verdict":
        """What is recorded if nothing is objected."""
        self.follows = events
        return self

    def nothing(self) -> "Verdict":
        """It is so already."""
        self.idle = True
        return self

    @property
    def accepts(self) -> bool:
        """Whether something is sure to be recorded."""
        open_ = self.mays or self.any_reason is not None or self.idle
        return bool(self.follows) and not self.musts and not open_

    def differs(self, outcome: Events | Refusal) -> str:
        """How an outcome contradicts it; empty, not at all."""
        if isinstance(outcome, Refusal):
            return self._differs_refused(outcome)
        if not outcome and (self.idle or self.may_be_idle is not None):
            return ""
        if self.musts:
            return f"accepted {outcome}, though {self._reasons()}"
        if self.idle:
            return f"recorded {outcome}, though it is so already"
        return self._differs_recorded(outcome)

    def _differs_refused(self, refusal: Refusal) -> str:
        if refusal.reason in self.musts or refusal.reason in self.mays:
            return ""
        if self.any_reason is not None:
            return ""
        return f"refused {refusal} (rule {refusal.rule}), but {self._reasons() or 'no objection'}"

    def _differs_recorded(self, outcome: Events) -> str:
        main, others = outcome[: len(self.follows)], outcome[len(self.follows) :]
        if not _alike(self.follows, main):
            return f"recorded\n  {main}, not\n  {self.follows}"
        if not _same(self.extras, others, [*self.maybe_extras.values()]):
            return f"beside {main} recorded\n  {others}, not\n  {self.extras}"
        return ""

    def _reasons(self) -> str:
        return ", ".join([*sorted(self.musts), *(f"perhaps {each}" for each in self.mays)])


def _alike(expected: Sequence[Any], seen: Sequence[Any]) -> bool:
    """Equal but for what is ANY, whichever side of the comparison that is on."""
    return len(expected) == len(seen) and all(map(alike, expected, seen))


def alike(expected: Any, seen: Any) -> bool:
    """One event is the other, or nobody can say."""
    if expected is ANY:
        return True
    if type(expected) is not type(seen):
        return False
    return all(
        getattr(expected, name) == getattr(seen, name) for name in expected.__struct_fields__
    )


def _same(expected: Sequence[Any], seen: Sequence[Any], others: Sequence[Any]) -> bool:
    """The same events in whatever order, and besides them only what may follow, too."""
    left = list(seen)
    for each in expected:
        found = next((at for at, other in enumerate(left) if alike(each, other)), None)
        if found is None:
            return False
        del left[found]
    return all(any(alike(other, each) for other in others) for each in left)
