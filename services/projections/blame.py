"""Who is behind what a thing shows: the changes that its fields come from.

What people decided is told in full; of check-ins and readings what counts, and what replaced
another check-in. The rest of a history is how a thing came to be as it is, and History tells it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from goal_contracts.measures import KpiLinked
from goal_contracts.queries import Change, KeyResultCard, KpiCard
from msgspec import Raw

from services.projections.as_of import Picture, Vantage
from services.projections.view_store.reader import Goal, Reader
from services.projections.views import standing
from services.projections.views.differences import Card
from services.projections.views.history import DEFINING, FACTS, REPLACING
from services.projections.views.rows import ChangeRow

UNTOLD: Final = ("", "definition_effective_on")
"""What is no field of a thing: that an event changed none, and from when on a definition counts."""
COMMENT: Final = "comments."

Behind = defaultdict[str, list[ChangeRow]]
"""Changes by the thing that shows them, in order."""


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
            return row.position <= self.seen.known and row.effective_at <= self.seen.as_of
        return row.position <= self.seen.structure


def behind(
    reader: Reader, organisation_id: str, kind: str, looks: Sequence[Look], first: int = 1
) -> Behind:
    """What is behind some things at any of some moments, from a position on."""
    goal_ids = {goal_id for look in looks for goal_id in look.things}
    known = max(look.seen.known for look in looks)
    last = known if kind == "kpi" else max(look.seen.structure for look in looks)
    changes = reader.changes
    rows = changes.of_versions(
        # A KPI's definition may have been known long before it counts.
        organisation_id, kind, goal_ids, 1 if kind == "kpi" else first, last
    )  # fmt: skip
    found = _by_thing(rows)
    if kind == "key_result":
        fields = {field for look in looks for field in _sources(look)}
        for row in changes.of_facts(organisation_id, kind, goal_ids, fields, REPLACING, known):
            found[row.goal_id].append(row)
    read: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for look in looks:
        for goal_id, place in _readings(look):
            read[place].add(goal_id)
    for row in changes.at(organisation_id, "kpi", read):
        for goal_id in read[row.goal_id, row.position]:
            found[goal_id].append(row)
    for each in found.values():
        each.sort(key=lambda row: (row.position, row.ordinal))
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
    counting = set(_sources(look)) if look.things else set()
    last = {
        row.field: row
        for version, row in _with_versions(rows)
        if look.sees(row, goal_id, version)
        and (row.event not in REPLACING or row.field in counting)
    }
    return [
        told(row)
        for field, row in sorted(last.items())
        if row.now is not None and field not in UNTOLD and not field.startswith(COMMENT)
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


def _sources(look: Look) -> Iterator[str]:
    """The fields of the check-ins that key results show."""
    for goal_id, shown in look.things.items():
        if isinstance(shown.card, KeyResultCard):
            heard = standing.sources(shown.card, look.picture.heard[goal_id])
            for word, row in heard.items():
                yield f"check_ins.{row.check_in_id}.{word}"


def _readings(look: Look) -> Iterator[tuple[str, tuple[str, int]]]:
    """By thing, the KPI and position of the reading that it shows."""
    for goal_id, shown in look.things.items():
        match shown.card:
            case KpiCard(reading=reading) if reading is not None:
                yield goal_id, (goal_id, reading.position)
            case KeyResultCard(measure=KpiLinked(kpi_id=kpi_id)) as card:
                row = look.picture.followed(card, shown.goal.cycle_id)
                if row is not None:
                    yield goal_id, (kpi_id, row.position)
            case _:
                pass


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


def _by_thing(rows: Iterable[ChangeRow]) -> Behind:
    found: Behind = defaultdict(list)
    for row in rows:
        found[row.goal_id].append(row)
    return found
