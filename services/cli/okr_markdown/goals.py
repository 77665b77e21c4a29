"""A quarter's goals under their lasting ids, and the difference between two states of them.

Pure. An id is made once, when a goal first appears, from the quarter and the goal's words:
`2018-Q4-get-gitbase-enterprise-ready`, `2018-Q4-kr-audit-logs-connections-queries`. A second goal
with the same words gets `-2`, and so on, also after the first was dropped: no id is used twice. The
same history gives the same ids.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from services.cli.okr_markdown.changes import (
    Begun,
    Change,
    KeyResultAdded,
    KeyResultDropped,
    KeyResultRetagged,
    KeyResultReworded,
    ObjectiveAdded,
    ObjectiveDropped,
    ObjectiveRealigned,
    ObjectiveRetagged,
    ObjectiveReworded,
    Ticked,
    Unticked,
)
from services.cli.okr_markdown.document import Document, Item, Objective
from services.cli.okr_markdown.matching import (
    Title,
    pair_items,
    pair_moved,
    pair_objectives,
    words,
)

ID_LENGTH_MAX = 64
ORDINAL_LENGTH_MAX = 6


class KeyResult(Struct, frozen=True):
    id: str
    objective_id: str
    text: str
    mark: Literal["open", "begun", "done"]
    line: int
    units: tuple[str, ...]
    priority: str | None


class Goal(Struct, frozen=True):
    """An objective; `path` are the words of its headings, outermost first."""

    id: str
    title: str
    parent_id: str | None
    line: int
    units: tuple[str, ...]
    priority: str | None
    path: tuple[str, ...]
    key_results: tuple[KeyResult, ...]


Goals = tuple[Goal, ...]
"""In document order, so that parents come before their children."""


class Names:
    """The ids given out in one quarter."""

    def __init__(self, cycle: str) -> None:
        self._cycle = cycle
        self._last: dict[str, int] = {}

    def objective(self, title: str) -> str:
        return self._unused(f"{self._cycle}-", title)

    def key_result(self, text: str) -> str:
        return self._unused(f"{self._cycle}-kr-", text)

    def _unused(self, prefix: str, text: str) -> str:
        room = ID_LENGTH_MAX - len(prefix) - ORDINAL_LENGTH_MAX
        name = prefix + (slug(words(text), room) or "goal")
        candidate = name
        while candidate in self._last:
            self._last[name] += 1
            candidate = f"{name}-{self._last[name]}"
        self._last[candidate] = 1
        return candidate


def slug(text: str, length_max: int) -> str:
    """Lower-case letters, digits and hyphens, cut after a whole word where there is one."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    whole = "-".join(re.findall(r"[a-z0-9]+", plain))
    if len(whole) <= length_max:
        return whole
    return whole[: length_max + 1].rpartition("-")[0] or whole[:length_max]


def unit_id(tag: str) -> str:
    return slug(tag, ID_LENGTH_MAX) or "unit"


def identify(was: Goals, document: Document, names: Names) -> Goals:
    """The document's goals: under the ids they had before, new ones under new ids."""
    found = _flatten(document)
    pairing = pair_objectives(
        [Title(goal.path, _words_of(goal.key_results)) for goal in was],
        [Title(path, _words_of(each.items)) for each, _, path in found],
    )
    now: list[Goal] = []
    for index, (objective, parent, path) in enumerate(found):
        before = was[pairing[index]] if index in pairing else None
        goal_id = before.id if before else names.objective(objective.title)
        now.append(
            Goal(
                id=goal_id,
                title=objective.title,
                parent_id=None if parent is None else now[parent].id,
                line=objective.line,
                units=_unit_ids(objective.tags),
                priority=objective.priority,
                path=path,
                key_results=_identify_items(
                    goal_id, before.key_results if before else (), objective.items, names
                ),
            )
        )
    return tuple(now)


def difference(
    was: Goals, now: Goals, *, cycle: str, file_was: str, file: str
) -> tuple[Change, ...]:
    """What happened between two states of a quarter's goals."""
    changes: list[Change] = []
    goals_was = {goal.id: goal for goal in was}
    for goal in now:
        changes += _objective_changes(goals_was.get(goal.id), goal, cycle, file)
    results_was = {result.id: result for goal in was for result in goal.key_results}
    results = {result.id: result for goal in now for result in goal.key_results}
    added = [result for result in results.values() if result.id not in results_was]
    dropped = [result for result in results_was.values() if result.id not in results]
    moved = pair_moved([result.text for result in dropped], [result.text for result in added])
    moved_from = {added[new].id: dropped[old].id for new, old in moved.items()}
    moved_to = {old: new for new, old in moved_from.items()}
    for result in results.values():
        if (before := results_was.get(result.id)) is None:
            changes += _added(result, moved_from.get(result.id), file)
        else:
            changes += _key_result_changes(before, result, file)
    changes += [
        KeyResultDropped(
            file=file_was, line=result.line, id=result.id, moved_to=moved_to.get(result.id)
        )
        for result in dropped
    ]
    kept = {goal.id for goal in now}
    changes += [
        ObjectiveDropped(file=file_was, line=goal.line, id=goal.id)
        for goal in reversed(was)
        if goal.id not in kept
    ]
    return tuple(changes)


def _flatten(
    document: Document,
) -> list[tuple[Objective, int | None, tuple[str, ...]]]:
    """Every objective with the index of its parent and the words of its headings."""
    found: list[tuple[Objective, int | None, tuple[str, ...]]] = []

    def visit(objectives: Sequence[Objective], parent: int | None, path: tuple[str, ...]) -> None:
        for objective in objectives:
            index, below = len(found), (*path, words(objective.title))
            found.append((objective, parent, below))
            visit(objective.children, index, below)

    visit(document.objectives, None, ())
    return found


def _words_of(items: Sequence[KeyResult] | Sequence[Item]) -> frozenset[str]:
    return frozenset(words(item.text) for item in items)


def _identify_items(
    objective_id: str, was: Sequence[KeyResult], items: Sequence[Item], names: Names
) -> tuple[KeyResult, ...]:
    pairing = pair_items([result.text for result in was], [item.text for item in items])
    return tuple(
        KeyResult(
            id=was[pairing[index]].id if index in pairing else names.key_result(item.text),
            objective_id=objective_id,
            text=item.text,
            mark="done" if item.ticked else "begun" if item.begun else "open",
            line=item.line,
            units=_unit_ids(item.tags),
            priority=item.priority,
        )
        for index, item in enumerate(items)
    )


def _objective_changes(was: Goal | None, now: Goal, cycle: str, file: str) -> list[Change]:
    if was is None:
        return [
            ObjectiveAdded(
                file=file,
                line=now.line,
                id=now.id,
                cycle=cycle,
                title=now.title,
                parent_id=now.parent_id,
                units=now.units,
                priority=now.priority,
            )
        ]
    changes: list[Change] = []
    if was.parent_id != now.parent_id:
        changes.append(
            ObjectiveRealigned(
                file=file,
                line=now.line,
                id=now.id,
                parent_was=was.parent_id,
                parent_id=now.parent_id,
            )
        )
    if was.title != now.title:
        changes.append(
            ObjectiveReworded(file=file, line=now.line, id=now.id, was=was.title, now=now.title)
        )
    if was.units != now.units:
        changes.append(
            ObjectiveRetagged(
                file=file, line=now.line, id=now.id, units_was=was.units, units=now.units
            )
        )
    return changes


def _added(result: KeyResult, moved_from: str | None, file: str) -> list[Change]:
    added = KeyResultAdded(
        file=file,
        line=result.line,
        id=result.id,
        objective_id=result.objective_id,
        text=result.text,
        units=result.units,
        priority=result.priority,
        moved_from=moved_from,
    )
    return [added] if result.mark == "open" else [added, _marked(result, file)]


def _key_result_changes(was: KeyResult, now: KeyResult, file: str) -> list[Change]:
    changes: list[Change] = []
    if was.text != now.text:
        changes.append(
            KeyResultReworded(file=file, line=now.line, id=now.id, was=was.text, now=now.text)
        )
    if was.units != now.units:
        changes.append(
            KeyResultRetagged(
                file=file, line=now.line, id=now.id, units_was=was.units, units=now.units
            )
        )
    if was.mark != now.mark:
        changes.append(_marked(now, file))
    return changes


def _marked(result: KeyResult, file: str) -> Change:
    match result.mark:
        case "done":
            return Ticked(file=file, line=result.line, id=result.id)
        case "begun":
            return Begun(file=file, line=result.line, id=result.id)
        case "open":
            return Unticked(file=file, line=result.line, id=result.id)


def _unit_ids(tags: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(unit_id(tag) for tag in tags))
