"""Whatever is edited: the changes add up to exactly what the document says."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.cli.okr_markdown.history import Revision, replay
from tests.cli.okr_markdown.folding import Folded, Path

CYCLE = "2018-Q4"
MARKS = {"plain": "", "open": "[ ] ", "done": "[x] ", "DONE": "[X] ", "begun": "[~] "}


@dataclass(frozen=True)
class Line:
    text: str
    mark: str
    depth: int


@dataclass(frozen=True)
class Section:
    level: int
    title: str
    lines: tuple[Line, ...]


Sections = tuple[Section, ...]

TEXTS = (
    st.lists(
        st.sampled_from(
            [
                "ship",
                "the",
                "driver",
                "drivers",
                "faster",
                "to users",
                "Docs.",
                "[DR]",
                "[P1]",
                "(WIP)",
            ]
        ),
        min_size=1,
        max_size=5,
    )
    .map(" ".join)
    .map(lambda text: f"we {text}")
)
LINES = st.builds(
    Line,
    text=TEXTS,
    mark=st.sampled_from(sorted(MARKS)),
    depth=st.integers(min_value=0, max_value=3),
)
SECTIONS = st.builds(
    Section,
    level=st.integers(min_value=2, max_value=5),
    title=TEXTS,
    lines=st.lists(LINES, max_size=6).map(tuple),
)


@st.composite
def edited(draw: st.DrawFn, sections: Sections) -> Sections:
    """The sections after some edits: reworded, ticked, moved, added, dropped."""
    after = list(sections)
    for _ in range(draw(st.integers(min_value=0, max_value=4))):
        at = draw(st.integers(min_value=0, max_value=len(after)))
        match draw(st.sampled_from(["add", "drop", "move", "title", "level", "line", "lines"])):
            case "add":
                after.insert(at, draw(SECTIONS))
            case "drop":
                del after[at : at + 1]
            case "move":
                after.extend(after[at : at + 1])
                del after[at : at + 1]
            case change if at < len(after):
                after[at] = draw(changed(after[at], change))
    return tuple(after)


@st.composite
def changed(draw: st.DrawFn, section: Section, change: str) -> Section:
    lines = list(section.lines)
    match change:
        case "title":
            return replace(section, title=draw(TEXTS))
        case "level":
            return replace(section, level=draw(st.integers(min_value=2, max_value=5)))
        case "lines":
            return replace(section, lines=tuple(draw(st.permutations(lines))))
    at = draw(st.integers(min_value=0, max_value=len(lines)))
    until = draw(st.integers(min_value=at, max_value=len(lines)))
    lines[at:until] = draw(st.lists(LINES, max_size=2))
    return replace(section, lines=tuple(lines))


@st.composite
def histories(draw: st.DrawFn) -> list[Sections]:
    sections: Sections = tuple(draw(st.lists(SECTIONS, max_size=5)))
    found = [sections]
    for _ in range(draw(st.integers(min_value=1, max_value=4))):
        sections = draw(edited(sections))
        found.append(sections)
    return found


def rendered(sections: Sections) -> str:
    lines = ["# OKRs 2018 Q4", ""]
    for section in sections:
        lines += [f"{'#' * section.level} {section.title}", ""]
        depth = -1
        for line in section.lines:
            depth = min(line.depth, depth + 1)
            lines.append(f"{'  ' * depth}- {MARKS[line.mark]}{line.text}")
        lines.append("")
    return "\n".join(lines)


def expected(sections: Sections) -> tuple[Counter[Path], Counter[tuple[Path, str, str]]]:
    headings: Counter[Path] = Counter()
    lines: Counter[tuple[Path, str, str]] = Counter()
    above: list[Section] = []
    for section in sections:
        above = [*(each for each in above if each.level < section.level), section]
        path = tuple(each.title for each in above)
        headings[path] += 1
        for line in section.lines:
            mark = {"plain": "open", "DONE": "done"}.get(line.mark, line.mark)
            lines[path, line.text, mark] += 1
    return headings, lines


@given(histories())
def test_the_changes_add_up_to_the_document(history: list[Sections]) -> None:
    revisions = [
        Revision(
            revision=f"r{number}",
            at=datetime(2018, 10, 1, tzinfo=UTC),
            author="author-01",
            documents={"README.md": rendered(sections)},
        )
        for number, sections in enumerate(history)
    ]
    folded = Folded()
    for sections, (_, changes) in zip(history, replay(revisions), strict=True):
        folded.apply(changes)
        headings, lines = expected(sections)
        assert folded.headings_of(CYCLE) == headings
        assert folded.lines_of(CYCLE) == lines
