"""Who is behind what a thing shows: the changes that its fields come from.

What people decided is told in full; of check-ins and readings what counts, and what replaced
another check-in. The rest of a history is how a thing came to be as it is, and History tells it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

import msgspec
from goal_contracts.queries import Change, KeyResultCard, KpiCard, ReadingCard
from msgspec import Raw

from services.projections.as_of import Picture, Vantage
from services.projections.view_store.goals import Goal
from services.projections.view_store.reader import Reader
from services.projections.views import standing
from services.projections.views.differences import Card
from services.projections.views.history import DEFINING, FACTS
from services.projections.views.rows import ChangeRow, CheckInRow

UNTOLD: Final = ("", "definition_effective_on")
"""What is no field of a thing: that an event changed none, and from when on a definition counts."""
CHECK_INS: Final = "check_ins."

Behind = defaultdict[str, list[ChangeRow]]
"""Changes by the thing that shows them, in order."""


class Fact(Protocol):
    """What was said, with a date of its own."""

    @property
    def position(self) -> int: ...
    @property
    def effective_at(self) -> datetime: ...


class Shown(NamedTuple):
    """A thing at a moment."""

    goal: Goal
    card: Card


class Look(NamedTuple):
    """Some things of a kind as one moment shows them, by id."""

    seen: Vantage
    picture: Picture
    things: Mapping[str, Shown]

    def only(self, goal_ids: Collection[str]) -> "Look":
        """The same, but fewer things."""
        return self._replace(
            things={key: shown for key, shown in self.things.items() if key in goal_ids}
        )

    def sees(self, row: ChangeRow, goal_id: str, version: int | None) -> bool:
        """Whether the moment sees a change; one of a KPI's definition by the version it made."""
        if version is not None:
            shown = self.things.get(goal_id)
            return (
                shown is not None
                and isinstance(shown.card, KpiCard)
                and version <= shown.card.definition_version
            )
        if row.event in FACTS:
            return _knows(self.seen, row)
        return row.position <= self.seen.structure


def behind(
    reader: Reader, organisation_id: str, kind: str, looks: Sequence[Look], first: int = 1
) -> Behind:
    """What is behind some things at any of some moments, from a position on."""
    goal_ids = {goal_id for look in looks for goal_id in look.things}
    if kind == "kpi":
        # What it measures may have been known long before it counts.
        first, last = 1, max(look.seen.known for look in looks)
    else:
        last = max(look.seen.structure for look in looks)
    found: Behind = defaultdict(list)
    for row in reader.changes.of_versions(organisation_id, kind, goal_ids, first, last):
        found[row.goal_id].append(row)
    facts: defaultdict[int, set[str]] = defaultdict(set)
    for look in looks:
        others = [each.seen for each in looks if each is not look]
        for goal_id, fact in _facts(look):
            # What every moment sees is behind no difference.
            if not others or not all(_knows(seen, fact) for seen in others):
                facts[fact.position].add(goal_id)
    for row in reader.changes.of_positions(organisation_id, facts):
        for goal_id in facts[row.position]:
            found[goal_id].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row.place)
    return found


def seen_only_by(
    look: Look, other: Look, goal_id: str, rows: Sequence[ChangeRow]
) -> tuple[Change, ...]:
    """Of the changes behind a thing those that one moment sees and another does not."""
    return tuple(
        told(row)
        for version, row in _with_versions(rows)
        if look.sees(row, goal_id, version) and not other.sees(row, goal_id, version)
    )


def blamed(look: Look, goal_id: str, rows: Sequence[ChangeRow]) -> list[Change]:
    """Of each field that has a value the change that set it, in the order of the fields."""
    counting = _sources(look, goal_id) if goal_id in look.things else {}
    last = {
        row.field: row
        for version, row in _with_versions(rows)
        if look.sees(row, goal_id, version)
        and (row.field in counting or not row.field.startswith(CHECK_INS))
    }
    return [
        told(row)
        for field, row in sorted(last.items())
        if row.now is not None and field not in UNTOLD
    ]


def told(row: ChangeRow) -> Change:
    """A change as it is shown."""
    return Change(
        position=row.position,
        kind=row.kind,
        id=row.goal_id,
        event=row.event,
        field=row.field,
        actor=row.actor,
        recorded_at=row.recorded_at,
        known_at=row.known_at,
        effective_at=row.effective_at,
        was=Raw(row.was or b"null"),
        now=Raw(row.now or b"null"),
        reason=row.reason,
        provenance=row.provenance,
        on_behalf_of=row.on_behalf_of,
    )


def _sources(look: Look, goal_id: str) -> dict[str, CheckInRow]:
    """The fields of the check-ins that a key result shows."""
    card = look.things[goal_id].card
    if not isinstance(card, KeyResultCard):
        return {}
    heard = standing.standing(look.picture.heard([goal_id])[goal_id])
    return {
        f"check_ins.{row.check_in_id}.{word}": row
        for word, row in standing.sources(card, heard).items()
    }


def _facts(look: Look) -> Iterator[tuple[str, Fact]]:
    """By thing, what it shows that was said, and what replaced anything said of it."""
    key_results = [
        key for key, shown in look.things.items() if isinstance(shown.card, KeyResultCard)
    ]
    heard = look.picture.heard(key_results)
    for goal_id, shown in look.things.items():
        match shown.card:
            case KpiCard(reading=ReadingCard() as reading):
                yield goal_id, reading
            case KeyResultCard() as card:
                counting = {row.first_position for row in _sources(look, goal_id).values()}
                for row in heard[goal_id]:
                    if row.first_position in counting or row.event != "recorded":
                        yield goal_id, row
                followed = look.picture.followed(card, shown.goal.cycle_id)
                if followed is not None:
                    yield goal_id, followed
            case _:
                pass


def _knows(seen: Vantage, fact: Fact) -> bool:
    return fact.position <= seen.known and fact.effective_at <= seen.as_of


def _with_versions(rows: Iterable[ChangeRow]) -> Iterator[tuple[int | None, ChangeRow]]:
    """Changes, each with the version of a KPI's definition that its event made, if it made one."""
    rows = list(rows)
    versions = {
        row.position: msgspec.json.decode(row.now or b"0", type=int)
        for row in rows
        if row.event in DEFINING and row.field == "definition_version"
    }
    for row in rows:
        yield versions.get(row.position), row
