"""Changes of goals in, the facts of an import out.

| what a document says | what becomes of it |
| --- | --- |
| a quarter | a cycle: active from its first day on, in grading once its document is archived |
| a heading | an objective, published with its first key result; the heading above is its parent |
| a list item | a key result, measured by a milestone |
| a box | `[x]` a check-in of 1, `[~]` or `[ ]` after another mark a check-in of 0 |
| `[TAG]` | a team; it carries the objectives that name it first, and those below without a tag |
| other words, another place | a rewording, a realignment: `matching` says by which rules |
| a line less | dropped |

The revision's author is the actor, and the owner of what they wrote first; its date is `known_at`;
its id is the reason. A date before the one of an earlier revision counts as that one's: `known_at`
never steps back. A check-in is effective when it was known, or, when the quarter was over by then,
at the end of the quarter's last day.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Final, assert_never
from zoneinfo import ZoneInfo

import msgspec
from goal_contracts.commands import (
    ActivateCycle,
    AddKeyResult,
    CheckIn,
    Command,
    DefineUnit,
    DraftObjective,
    DropKeyResult,
    DropObjective,
    OpenOrganisation,
    PlanCycle,
    PublishObjective,
    RealignObjective,
    ReassignObjective,
    RewordKeyResult,
    RewordObjective,
    StartCycleGrading,
)
from goal_contracts.measures import Milestone
from goal_contracts.policy import Policy
from msgspec import Struct

from services.cli.errors import WrongUsage
from services.cli.importing import Fact, History, Left, import_id_of
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
from services.cli.okr_markdown.history import Revision, quarter_days, replay

COMPANY: Final = "company"
PROVENANCE_LENGTH_MAX: Final = 500
A_YEAR: Final = 366

POLICY: Final = Policy(
    # A quarter is often written down when it already runs.
    skip_planning=True,
    # A document says who wrote it, not who is a person: an author may sign as a team.
    owner_may_be_team=True,
    # Every change has a reason: the revision that made it.
    mid_cycle_reason="required",
    # A quarter's document is ticked until it is archived, weeks after the quarter: what is ticked
    # then was done by the quarter's end. (An archive is ticked in grading, which has no grace.)
    grace_days_after_end=A_YEAR,
)


class MarkdownHistory(Struct, frozen=True):
    """An import, and the revisions it is made of; a revision's id is the group of its facts."""

    history: History
    revisions: tuple[Revision, ...]


def history_of(
    revisions: Iterable[Revision],
    *,
    organisation_id: str,
    name: str,
    zone: str,
    source: str,
    importer: str,
) -> MarkdownHistory:
    """All that the revisions tell, ready to be sent."""
    read = tuple(revisions)
    digest = _digest(read)
    opening = OpenOrganisation(name=name, zone=zone, policy=POLICY)
    mapping = _Mapping(ZoneInfo(zone))
    for revision, changes in replay(read):
        if not mapping.facts:
            company = DefineUnit(COMPANY, name, "company")
            mapping.facts.append(
                Fact(importer, company, revision.at, (source,), source, revision.revision)
            )
        mapping.revision(revision, changes)
    if not read:
        raise WrongUsage(f"{source} holds no revision of a Markdown document")
    history = History(
        organisation_id=organisation_id,
        import_id=import_id_of(
            "okr-markdown", organisation_id, {source: digest}, msgspec.json.encode(opening)
        ),
        source=source,
        digest=digest,
        actor=importer,
        opening=opening,
        facts=mapping.facts,
        size=len(mapping.facts),
        left=mapping.left,
    )
    return MarkdownHistory(history, read)


class _Mapping:
    """What is known while the revisions are read, one after the other."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.facts: list[Fact] = []
        self.left: list[Left] = []
        self.planned: dict[str, CycleSeen] = {}
        self.cycle_of: dict[str, str] = {}
        self.unit_of: dict[str, str] = {}
        self.published: set[str] = set()
        self.check_ins = 0
        self.known_at: datetime | None = None

    def revision(self, revision: Revision, changes: Sequence[Change]) -> None:
        at = self.known_at = max(self.known_at or revision.at, revision.at)
        ask = self._asker(revision, at)
        today = at.astimezone(self.zone).date()
        for cycle, seen in sorted(self.planned.items()):
            if quarter_days(cycle)[0] <= today:
                ask(seen, ActivateCycle(cycle))
                del self.planned[cycle]
        for change in changes:
            if isinstance(change, Unmapped):
                place = _place(revision, change.file, change.line)
                self.left.append(Left(place, f"{change.why}: {change.text!r}"))
            else:
                for command in self.commands(change, revision, at):
                    ask(change, command)

    def commands(self, change: Change, revision: Revision, at: datetime) -> Iterable[Command]:
        reason = f"revision {revision.revision}"
        match change:
            case CycleSeen(cycle=cycle):
                start_on, end_on = quarter_days(cycle)
                runs = start_on <= at.astimezone(self.zone).date()
                if not runs:
                    self.planned[cycle] = change
                name = cycle.replace("-", " ")
                yield PlanCycle(cycle, name, "quarterly", start_on, end_on, activate=runs)
            case QuarterArchived(cycle=cycle):
                yield StartCycleGrading(cycle)
            case UnitSeen(id=unit_id, name=name):
                if unit_id != COMPANY:
                    yield DefineUnit(unit_id, name, "team", COMPANY)
            case ObjectiveAdded():
                yield self.draft(change, revision.author, reason)
            case ObjectiveReworded(id=objective_id, now=title):
                yield RewordObjective(objective_id, title, reason=reason)
            case ObjectiveRealigned(id=objective_id, parent_id=parent_id):
                yield RealignObjective(objective_id, _aligned(parent_id), reason)
            case ObjectiveRetagged(id=objective_id, units=units):
                unit_id = units[0] if units else COMPANY
                if self.unit_of[objective_id] != unit_id:
                    self.unit_of[objective_id] = unit_id
                    yield ReassignObjective(objective_id, unit_id=unit_id, reason=reason)
            case ObjectiveDropped(id=objective_id):
                yield DropObjective(objective_id, reason)
            case KeyResultAdded():
                yield from self.add(change, revision.author, reason)
            case KeyResultReworded(id=key_result_id, now=title):
                yield RewordKeyResult(key_result_id, title, reason)
            case KeyResultRetagged():
                # A key result belongs to its objective's unit; its own tags stand in its words.
                pass
            case KeyResultDropped(id=key_result_id, moved_to=moved_to):
                moved = f", moved to key_result/{moved_to}" if moved_to else ""
                yield DropKeyResult(key_result_id, reason + moved)
            case Ticked(id=key_result_id):
                yield self.check_in(key_result_id, 1, "", at)
            case Begun(id=key_result_id):
                yield self.check_in(key_result_id, 0, "begun", at)
            case Unticked(id=key_result_id):
                yield self.check_in(key_result_id, 0, "open again", at)
            case Unmapped():
                pass
            case _:
                assert_never(change)

    def draft(self, added: ObjectiveAdded, author: str, reason: str) -> Command:
        inherited = self.unit_of[added.parent_id] if added.parent_id else COMPANY
        unit_id = added.units[0] if added.units else inherited
        self.unit_of[added.id] = unit_id
        self.cycle_of[added.id] = added.cycle
        return DraftObjective(
            objective_id=added.id,
            cycle_id=added.cycle,
            unit_id=unit_id,
            title=added.title,
            owner=author,
            aligned_to=_aligned(added.parent_id),
            reason=reason,
        )

    def add(self, added: KeyResultAdded, author: str, reason: str) -> Iterable[Command]:
        self.cycle_of[added.id] = self.cycle_of[added.objective_id]
        moved = f", moved from key_result/{added.moved_from}" if added.moved_from else ""
        yield AddKeyResult(
            key_result_id=added.id,
            objective_id=added.objective_id,
            title=added.text,
            owner=author,
            measure=Milestone(),
            reason=reason + moved,
        )
        if added.objective_id not in self.published:
            self.published.add(added.objective_id)
            yield PublishObjective(added.objective_id)

    def check_in(self, key_result_id: str, value: int, note: str, at: datetime) -> Command:
        self.check_ins += 1
        _, end_on = quarter_days(self.cycle_of[key_result_id])
        midnight = datetime.combine(end_on + timedelta(days=1), time(), self.zone)
        return CheckIn(
            key_result_id=key_result_id,
            check_in_id=f"box-{self.check_ins:05}",
            value=Decimal(value),
            note=note,
            effective_at=min(at, midnight.astimezone(at.tzinfo) - timedelta(microseconds=1)),
        )

    def _asker(self, revision: Revision, at: datetime) -> Callable[[Change, Command], None]:
        def ask(change: Change, command: Command) -> None:
            provenance = f"{change.file}#{change.line};revision={revision.revision}"
            self.facts.append(
                Fact(
                    revision.author,
                    command,
                    at,
                    (_place(revision, change.file, change.line),),
                    provenance[-PROVENANCE_LENGTH_MAX:],
                    revision.revision,
                )
            )

        return ask


def _aligned(parent_id: str | None) -> tuple[str, ...]:
    return (f"objective/{parent_id}",) if parent_id else ()


def _place(revision: Revision, file: str, line: int) -> str:
    return f"{file}:{line} in revision {revision.revision}"


def _digest(revisions: Iterable[Revision]) -> str:
    whole = hashlib.sha256()
    for revision in revisions:
        whole.update(msgspec.json.encode(revision, order="sorted") + b"\n")
    return whole.hexdigest()
