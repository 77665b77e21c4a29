"""What commands were answered, the oldest first: the last position and the number of their events.

A plain dict keeps the order, too, but would look for its oldest through all that it forgot before;
an OrderedDict takes fifty times as long to copy.
"""

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

Answer: TypeAlias = tuple[int, int]


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

    def add(self, answers: Iterable[tuple[str, Answer]]) -> None:
        """Later ones, as they were remembered elsewhere."""
        for command_id, answer in answers:
            self._ids.append(command_id)
            self[command_id] = answer
