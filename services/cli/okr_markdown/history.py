"""Revisions of OKR documents in, changes of goals out.

Pure. Which document is which quarter's, in this order:

1. A file named after a quarter (`2018-Q3.md`) is that quarter's archive.
2. A document whose headings name a quarter is that quarter's.
3. A `README.md` that names no quarter, but whose title speaks of OKRs, objectives or goals and that
   holds key results, keeps the quarter it had. If it had none, it is that of the quarter it first
   appears in, or of the next one when that begins within `EARLY_DAYS_MAX` days.
4. Every other document holds no goals. It is reported once, not line by line.

A quarter is read from one document at a time: `README.md`, else another running document, else its
archive. So an archive that is written while the quarter still runs changes nothing until the
running document lets the quarter go. A quarter that no document holds stays as it last was:
emptying or removing a document drops nothing, deleting a line from it does.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from msgspec import Struct

from services.cli.okr_markdown.changes import Change, CycleSeen, QuarterArchived, UnitSeen
from services.cli.okr_markdown.document import Document, Unmapped, parse, quarter_in
from services.cli.okr_markdown.goals import Goals, Names, difference, identify, unit_id

RUNNING_FILE = "README.md"
EARLY_DAYS_MAX = 7
ABOUT_GOALS = re.compile(r"\b(?:okrs?|objectives?|key results?|goals?)\b", re.IGNORECASE)
MONTHS_A_QUARTER = 3
QUARTERS_A_YEAR = 4


class Revision(Struct, frozen=True):
    """One revision of some documents, by an author.

    `at` is when it became part of the history, `authored_at` when it was written, where that is
    known. `documents` holds the files that changed: the whole Markdown, or None for a deleted one.
    """

    revision: str
    at: datetime
    author: str
    documents: dict[str, str | None]
    authored_at: datetime | None = None


def replay(revisions: Iterable[Revision]) -> Iterator[tuple[Revision, tuple[Change, ...]]]:
    """Each revision, in order, with what it changed."""
    history = _History()
    for revision in revisions:
        yield revision, tuple(history.changes(revision))


def quarter_of(day: date) -> str:
    return f"{day.year}-Q{(day.month - 1) // MONTHS_A_QUARTER + 1}"


def quarter_days(cycle: str) -> tuple[date, date]:
    """The first and the last day of a quarter such as `2018-Q3`."""
    year, quarter = int(cycle[:4]), int(cycle[-1])
    start_on = date(year, (quarter - 1) * MONTHS_A_QUARTER + 1, 1)
    after = (
        date(year + 1, 1, 1)
        if quarter == QUARTERS_A_YEAR
        else date(year, quarter * MONTHS_A_QUARTER + 1, 1)
    )
    return start_on, after - timedelta(days=1)


class _Quarter:
    """A quarter's goals as they stand, and the document they were last read from."""

    def __init__(self, cycle: str) -> None:
        self.cycle = cycle
        self.names = Names(cycle)
        self.goals: Goals = ()
        self.file: str | None = None
        self.document: Document | None = None
        self.is_archived = False


class _History:
    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.cycles: dict[str, str] = {}
        self.quarters: dict[str, _Quarter] = {}
        self.units: set[str] = set()
        self.reported: dict[str, set[tuple[str, str]]] = {}

    def changes(self, revision: Revision) -> Iterator[Change]:
        for file, markdown in revision.documents.items():
            self.take(file, markdown, revision.at.date())
        leading = self.leading()
        for cycle in sorted(leading):
            yield from self.read(cycle, leading[cycle])
        for file in sorted(revision.documents):
            yield from self.unmapped(file, leading)

    def take(self, file: str, markdown: str | None, day: date) -> None:
        """Keep a document's new text, and which quarter it is of."""
        if markdown is None:
            self.documents.pop(file, None)
            self.cycles.pop(file, None)
            return
        document = self.documents[file] = parse(markdown, file=file)
        cycle = _named_quarter(file, document)
        if cycle is None and _is_running(file, document):
            cycle = self.cycles.get(file) or quarter_of(day + timedelta(days=EARLY_DAYS_MAX))
        if cycle is None:
            self.cycles.pop(file, None)
        else:
            self.cycles[file] = cycle

    def leading(self) -> dict[str, str]:
        """The file each quarter is read from."""
        files: dict[str, str] = {}
        ranked = sorted(
            self.cycles, key=lambda file: (file != RUNNING_FILE, _is_archive(file), file)
        )
        for file in ranked:
            files.setdefault(self.cycles[file], file)
        return files

    def read(self, cycle: str, file: str) -> Iterator[Change]:
        """What a quarter's document changed, if it is another one or says something else."""
        document = self.documents[file]
        if (quarter := self.quarters.get(cycle)) is None:
            quarter = self.quarters[cycle] = _Quarter(cycle)
            yield CycleSeen(file=file, line=1, cycle=cycle)
        if quarter.file != file or quarter.document is not document:
            yield from self.new_units(file, document)
            now = identify(quarter.goals, document, quarter.names)
            yield from difference(
                quarter.goals, now, cycle=cycle, file_was=quarter.file or file, file=file
            )
            quarter.goals, quarter.file, quarter.document = now, file, document
        if _is_archive(file) and not quarter.is_archived:
            quarter.is_archived = True
            yield QuarterArchived(file=file, line=1, cycle=cycle)

    def new_units(self, file: str, document: Document) -> Iterator[Change]:
        for objective in document.walk():
            tagged = [(objective.line, tag) for tag in objective.tags]
            tagged += [(item.line, tag) for item in objective.items for tag in item.tags]
            for line, tag in tagged:
                if (known := unit_id(tag)) not in self.units:
                    self.units.add(known)
                    yield UnitSeen(file=file, line=line, id=known, name=tag)

    def unmapped(self, file: str, leading: dict[str, str]) -> Iterator[Unmapped]:
        """What of a changed document could not be mapped and was not said of its last version."""
        if (document := self.documents.get(file)) is None:
            self.reported.pop(file, None)
            return
        cycle = self.cycles.get(file)
        left: tuple[Unmapped, ...]
        what = document.title or ""
        if cycle is None:
            left = (Unmapped(file, 1, what, "the document names no quarter: no goals in it"),)
        elif leading[cycle] != file:
            why = f"the document is not read while {leading[cycle]} is that of {cycle}"
            left = (Unmapped(file, 1, what, why),)
        else:
            left = document.unmapped
        before = self.reported.get(file, set())
        self.reported[file] = {(each.text, each.why) for each in left}
        yield from (each for each in left if (each.text, each.why) not in before)


def _named_quarter(file: str, document: Document) -> str | None:
    """The quarter a document is of by its file's name or its headings, if it says anything."""
    named = quarter_in(file) if _is_archive(file) and document.objectives else None
    return named or document.cycle


def _is_archive(file: str) -> bool:
    name = file.rpartition("/")[2].rpartition(".")[0]
    return quarter_in(name) is not None


def _is_running(file: str, document: Document) -> bool:
    return (
        file == RUNNING_FILE
        and ABOUT_GOALS.search(document.title or "") is not None
        and document.has_items()
    )
