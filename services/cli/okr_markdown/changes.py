"""What may happen to goals between two revisions of their documents.

Every change says where it stands: the file and its line, of the old document for what was dropped,
of the new one otherwise. Each follows those it needs: an objective comes after its parent, a key
result after its objective, and what is dropped goes last, children first. Realignments in their
order never make a loop on the way.
"""

from msgspec import Struct

from services.cli.okr_markdown.document import Unmapped


class Located(Struct, frozen=True, kw_only=True, tag=True):
    """What every change has in common."""

    file: str
    line: int


class CycleSeen(Located, frozen=True, kw_only=True):
    """The first document of a quarter appeared; `cycle` is its id, as `2018-Q3`."""

    cycle: str


class QuarterArchived(Located, frozen=True, kw_only=True):
    """From now on a quarter is read from the file that is named after it."""

    cycle: str


class UnitSeen(Located, frozen=True, kw_only=True):
    """The first `[TAG]` of a unit; other spellings of it have the same id."""

    id: str
    name: str


class ObjectiveAdded(Located, frozen=True, kw_only=True):
    """`title` is as written, tags and all; `units` are the ids of its tags, in order."""

    id: str
    cycle: str
    title: str
    parent_id: str | None
    units: tuple[str, ...]
    priority: str | None


class ObjectiveReworded(Located, frozen=True, kw_only=True):
    id: str
    was: str
    now: str


class ObjectiveRealigned(Located, frozen=True, kw_only=True):
    id: str
    parent_was: str | None
    parent_id: str | None


class ObjectiveRetagged(Located, frozen=True, kw_only=True):
    id: str
    units_was: tuple[str, ...]
    units: tuple[str, ...]


class ObjectiveDropped(Located, frozen=True, kw_only=True):
    id: str


class KeyResultAdded(Located, frozen=True, kw_only=True):
    """An open key result; a `Ticked` follows if it came ticked.

    `moved_from` is the key result of the same words that this revision drops elsewhere.
    """

    id: str
    objective_id: str
    text: str
    units: tuple[str, ...]
    priority: str | None
    moved_from: str | None


class KeyResultReworded(Located, frozen=True, kw_only=True):
    id: str
    was: str
    now: str


class KeyResultRetagged(Located, frozen=True, kw_only=True):
    id: str
    units_was: tuple[str, ...]
    units: tuple[str, ...]


class KeyResultDropped(Located, frozen=True, kw_only=True):
    """`moved_to` is the key result of the same words that this revision adds elsewhere."""

    id: str
    moved_to: str | None


class Ticked(Located, frozen=True, kw_only=True):
    """The box is `[x]` now."""

    id: str


class Begun(Located, frozen=True, kw_only=True):
    """The box is `[~]` now: neither open nor done."""

    id: str


class Unticked(Located, frozen=True, kw_only=True):
    """The box is `[ ]` now, or gone, and was done or begun."""

    id: str


Change = (
    CycleSeen
    | QuarterArchived
    | UnitSeen
    | ObjectiveAdded
    | ObjectiveReworded
    | ObjectiveRealigned
    | ObjectiveRetagged
    | ObjectiveDropped
    | KeyResultAdded
    | KeyResultReworded
    | KeyResultRetagged
    | KeyResultDropped
    | Ticked
    | Begun
    | Unticked
    | Unmapped
)
