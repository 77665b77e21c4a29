"""Which unit an event is about: no subject says it, but the events before it do."""

from goal_contracts import events
from goal_contracts.codec import Recorded
from goal_contracts.queries import Goals


class OfUnit:
    """Tells of one event after the other whether it is about a unit or one below it.

    It has to hear of all of them from the organisation's first event on, or from right after what
    `know` was told.
    """

    def __init__(self, unit_id: str) -> None:
        self._unit_id = unit_id
        self._parents: dict[str, str | None] = {}
        self._units: dict[str, str] = {}
        self._objectives: dict[str, str] = {}

    def know(self, goals: Goals) -> None:
        """Goals as they stood at the position after which the events are heard; page by page."""
        self._parents |= {unit.unit_id: unit.parent_id for unit in goals.units}
        for objective in goals.objectives:
            self._units[f"objective/{objective.objective_id}"] = objective.unit_id
        for key_result in goals.key_results:
            self._objectives[key_result.key_result_id] = key_result.objective_id
        for kpi in goals.kpis:
            self._units[f"kpi/{kpi.kpi_id}"] = kpi.unit_id

    def concerns(self, recorded: Recorded) -> bool:
        """Whether it is about the unit or one below it, before the event or after it."""
        before = self._is_below(self._unit_of(recorded))
        self._learn(recorded)
        return before or self._is_below(self._unit_of(recorded))

    def _learn(self, recorded: Recorded) -> None:
        match recorded.event:
            case events.UnitDefined(unit_id=unit_id, parent_id=parent_id):
                self._parents[unit_id] = parent_id
            case events.UnitMoved(unit_id=unit_id, parent_id=parent_id):
                self._parents[unit_id] = parent_id
            case (
                events.ObjectiveDrafted(unit_id=unit_id)
                | events.ObjectiveReassigned(unit_id=unit_id)
            ):
                self._units[f"objective/{recorded.goal_id}"] = unit_id
            case events.KeyResultAdded(key_result_id=key_result_id, objective_id=objective_id):
                self._objectives[key_result_id] = objective_id
            case events.KpiDefined(unit_id=unit_id) | events.KpiReassigned(unit_id=unit_id):
                self._units[f"kpi/{recorded.goal_id}"] = unit_id
            case _:
                pass

    def _unit_of(self, recorded: Recorded) -> str | None:
        match recorded.kind:
            case "unit":
                return recorded.goal_id
            case "key_result":
                objective_id = self._objectives.get(recorded.goal_id)
                return self._units.get(f"objective/{objective_id}")
            case "objective" | "kpi":
                return self._units.get(f"{recorded.kind}/{recorded.goal_id}")
            case _:
                return None

    def _is_below(self, unit_id: str | None) -> bool:
        seen: set[str] = set()
        while unit_id is not None and unit_id not in seen:
            if unit_id == self._unit_id:
                return True
            seen.add(unit_id)
            unit_id = self._parents.get(unit_id)
        return False
