"""Changes put together again, strictly: a change that does not fit the state is an error."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from services.cli.okr_markdown.changes import (
    Begun,
    Change,
    CycleSeen,
    KeyResultAdded,
    KeyResultDropped,
    KeyResultRetagged,
    KeyResultReworded,
    ObjectiveAdded,
    ObjectiveDropped,
    ObjectiveRealigned,
    ObjectiveRetagged,
    ObjectiveReworded,
    QuarterArchived,
    Ticked,
    UnitSeen,
    Unticked,
)
from services.cli.okr_markdown.document import Unmapped

Path = tuple[str, ...]


@dataclass
class Heading:
    cycle: str
    title: str
    parent_id: str | None
    units: tuple[str, ...]


@dataclass
class Line:
    objective_id: str
    text: str
    units: tuple[str, ...]
    mark: str = "open"


@dataclass
class Folded:
    """What the changes so far add up to."""

    cycles: set[str] = field(default_factory=set)
    archived: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    headings: dict[str, Heading] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            assert change.line >= 1
            self._apply(change)

    def _apply(self, change: Change) -> None:
        match change:
            case CycleSeen():
                assert change.cycle not in self.cycles
                self.cycles.add(change.cycle)
            case QuarterArchived():
                assert change.cycle in self.cycles - self.archived
                self.archived.add(change.cycle)
            case UnitSeen():
                assert change.id not in self.units
                self.units.add(change.id)
            case ObjectiveAdded():
                self._new_id(change.id)
                assert change.cycle in self.cycles
                assert self.units.issuperset(change.units)
                self.headings[change.id] = Heading(
                    change.cycle, change.title, change.parent_id, change.units
                )
                self.path(change.id)
            case ObjectiveReworded():
                assert self.headings[change.id].title == change.was != change.now
                self.headings[change.id].title = change.now
            case ObjectiveRealigned():
                assert self.headings[change.id].parent_id == change.parent_was != change.parent_id
                self.headings[change.id].parent_id = change.parent_id
                self.path(change.id)
            case ObjectiveRetagged():
                assert self.headings[change.id].units == change.units_was != change.units
                assert self.units.issuperset(change.units)
                self.headings[change.id].units = change.units
            case ObjectiveDropped():
                assert change.id not in {each.parent_id for each in self.headings.values()}
                assert change.id not in {each.objective_id for each in self.lines.values()}
                del self.headings[change.id]
            case KeyResultAdded():
                self._new_id(change.id)
                assert change.objective_id in self.headings
                assert self.units.issuperset(change.units)
                assert change.moved_from is None or change.moved_from in self.lines
                self.lines[change.id] = Line(change.objective_id, change.text, change.units)
            case KeyResultReworded():
                assert self.lines[change.id].text == change.was != change.now
                self.lines[change.id].text = change.now
            case KeyResultRetagged():
                assert self.lines[change.id].units == change.units_was != change.units
                self.lines[change.id].units = change.units
            case KeyResultDropped():
                assert change.moved_to is None or change.moved_to in self.lines
                del self.lines[change.id]
            case Ticked():
                self._mark(change.id, "done")
            case Begun():
                self._mark(change.id, "begun")
            case Unticked():
                self._mark(change.id, "open")
            case Unmapped():
                pass
            case _:
                assert_never(change)

    def _mark(self, key_result_id: str, mark: str) -> None:
        assert self.lines[key_result_id].mark != mark
        self.lines[key_result_id].mark = mark

    def _new_id(self, goal_id: str) -> None:
        assert goal_id not in self.ids
        self.ids.add(goal_id)

    def path(self, objective_id: str) -> Path:
        """The titles from the outermost heading down; a loop or a lost parent is an error."""
        titles: list[str] = []
        above: str | None = objective_id
        while above is not None:
            assert len(titles) <= len(self.headings), "a loop"
            titles.append(self.headings[above].title)
            above = self.headings[above].parent_id
        return tuple(reversed(titles))

    def headings_of(self, cycle: str) -> Counter[Path]:
        return Counter(
            self.path(name) for name, heading in self.headings.items() if heading.cycle == cycle
        )

    def lines_of(self, cycle: str) -> Counter[tuple[Path, str, str]]:
        return Counter(
            (self.path(line.objective_id), line.text, line.mark)
            for line in self.lines.values()
            if self.headings[line.objective_id].cycle == cycle
        )
