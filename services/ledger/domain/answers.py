"""What commands were answered, the oldest first: the last position and the number of their events.

A plain dict keeps the order, too, but would look for its oldest through all that it forgot before;
an OrderedDict would take as long for every copy.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

Answer: TypeAlias = tuple[int, int]


class HeldAnswers(NamedTuple):
    """In their order; two lists are made much faster than a copy of a dict that has forgotten."""

    ids: list[str]
    answers: list[Answer]

    def last_position(self, command_id: str) -> int | None:
        """Where a command's events end; the latest commands are found fastest."""
        places = range(len(self.ids) - 1, -1, -1)
        return next(
            (self.answers[each][0] for each in places if self.ids[each] == command_id), None
        )


class Answers(dict[str, Answer]):
    """By the command's id; to be changed by `remember` and `forget_oldest` only."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        super().__init__()
        self._ids = deque[str]()

    def remember(self, command_id: str, position: int) -> None:
        """One more event of a command, at its position."""
        known = self.get(command_id)
        if known is None:
            self._ids.append(command_id)
            self[command_id] = position, 1
        else:
            self[command_id] = position, known[1] + 1

    def forget_oldest(self) -> None:
        del self[self._ids.popleft()]

    def hold(self) -> "HeldAnswers":
        """As they are now, whatever is remembered and forgotten afterwards."""
        return HeldAnswers([*self._ids], [*self.values()])

    def add(self, answers: Iterable[tuple[str, Answer]]) -> None:
        """Later ones, as they were remembered elsewhere."""
        for command_id, answer in answers:
            self._ids.append(command_id)
            self[command_id] = answer
