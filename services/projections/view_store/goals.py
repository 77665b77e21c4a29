"""Things as they stood, whatever they were read from."""

from typing import NamedTuple

from services.projections.views.current import State

Key = tuple[str, str, str]
"""Cycle, objective and id: the order in which things are told."""


class Goal(NamedTuple):
    """A thing as it stood, and where it belongs; '' where it belongs to none."""

    cycle_id: str
    objective_id: str
    goal_id: str
    state: State

    @property
    def key(self) -> Key:
        """Its place in the order."""
        return self[:3]
