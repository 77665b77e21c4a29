"""One OKR document in Markdown, read into objectives and key results.

Pure: text in, a tree out. What may be read, and as what:

- A heading is an objective; a heading below it is an objective aligned to it.
- The document's title (its first heading, when that is its only one of level 1) and a heading that
  says nothing but a quarter (`OKRs 2018 Q4`, `Q1 2018`) are not objectives. The first of them that
  names a quarter names the document's cycle.
- A list item is a key result of the heading it stands under, with a box or without, however deep it
  is nested. `[ ]` is open, `[x]` and `[X]` are done, `[~]` is begun: a box, and not ticked.
- Items that stand under the title, or under no heading, belong to one objective that has the
  title's words, or the file's name where there is no title.
- The text of an item is the source between bullet and box and the end of its first paragraph,
  trimmed, several lines joined by one blank. Nothing in it is rendered or removed.
- `[TAG]` is a unit and `[P0]` to `[P9]` or `[P?]` a priority, unless it is part of a link or code.
- A list item without a box that is nothing but a link leads elsewhere and is no goal.

Everything else is counted as boilerplate when it is known to say nothing (rules, comments, tables
of contents, `**Progress:** 0%`, `[Source page](…)`) and otherwise kept as `Unmapped`.
"""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode
from msgspec import Struct

TEXT_LENGTH_MAX = 1_000
"""Longer goals are reported and left out: no ledger takes them."""
EXCERPT_LENGTH_MAX = 200
NESTING_MAX = 400
"""Markdown blocks inside each other; an item needs three. The parser's own limit is six items."""

QUARTER = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?P<year>20\d\d)[ /_.-]{0,3}(?:Q(?P<q1>[1-4])|(?P<q2>[1-4])Q)"
    r"|(?:Q(?P<q3>[1-4])|(?P<q4>[1-4])Q)[ /_.-]{0,3}(?P<year_after>20\d\d)"
    r")(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_BESIDE_A_QUARTER = re.compile(
    r"\b(?:okrs?|objectives?|key|results?|goals?|and|of|for|the|quarter)\b", re.IGNORECASE
)
_BOX = re.compile(r"\[([ xX~])\](?:\s+|$)")
_TAG = re.compile(r"(?<![\w!])\[(?P<tag>[A-Za-z][\w&/+.-]*|P\?)\](?![\w(:])")
_PRIORITY = re.compile(r"P[0-9?]")
_BOILERPLATE = re.compile(r"(?:\*\*Progress:\*\* [\d/%.]+|\[Source page\]\(\S+\))\s*")
_COMMENT = re.compile(r"\s*<!--.*-->\s*", re.DOTALL)

_MARKDOWN = MarkdownIt("commonmark", {"maxNesting": NESTING_MAX})


class Item(Struct, frozen=True):
    """A list item. `ticked` is None without a box, `depth` 0 unless nested, `line` 1 at the top."""

    text: str
    ticked: bool | None
    depth: int
    line: int
    begun: bool = False
    tags: tuple[str, ...] = ()
    priority: str | None = None


class Objective(Struct, frozen=True):
    """A heading with its items and the headings below it; `level` 0 is a made-up heading."""

    title: str
    level: int
    line: int
    tags: tuple[str, ...] = ()
    priority: str | None = None
    items: tuple[Item, ...] = ()
    children: tuple["Objective", ...] = ()


class Unmapped(Struct, frozen=True):
    """Something that is neither goal nor boilerplate: where it stands, what it says, why not."""

    file: str
    line: int
    text: str
    why: str


class Document(Struct, frozen=True):
    """A document's goals; `cycle` is the quarter its headings name, as `2018-Q3`."""

    cycle: str | None
    title: str | None
    objectives: tuple[Objective, ...]
    unmapped: tuple[Unmapped, ...] = ()
    boilerplate: int = 0

    def walk(self) -> Iterator[Objective]:
        """Every objective, parents before children, as they stand in the document."""
        stack = list(reversed(self.objectives))
        while stack:
            objective = stack.pop()
            yield objective
            stack.extend(reversed(objective.children))

    def has_items(self) -> bool:
        return any(objective.items for objective in self.walk())


def quarter_in(text: str) -> str | None:
    """The first quarter a text names: `OKRs 2018 Q3`, `1Q2018` and `2018-Q3.md` do."""
    found = QUARTER.search(text)
    if found is None:
        return None
    year = found["year"] or found["year_after"]
    return f"{year}-Q{found['q1'] or found['q2'] or found['q3'] or found['q4']}"


def parse(markdown: str, *, file: str) -> Document:
    """Read a document; `file` is its name, for reports."""
    reading = _Reading(file)
    blocks = SyntaxTreeNode(_MARKDOWN.parse(markdown)).children
    headings = [block for block in blocks if block.type == "heading"]
    has_title = [_level(heading) for heading in headings].count(1) == 1 and _level(headings[0]) == 1
    for block in blocks:
        if block.type == "heading":
            reading.heading(block, is_title=has_title and block is headings[0])
        elif block.type in ("bullet_list", "ordered_list"):
            reading.list(block, depth=0)
        else:
            reading.other(block)
    return reading.document()


class _Draft:
    """An objective while it is being read."""

    def __init__(
        self, title: str, level: int, line: int, tags: tuple[str, ...], priority: str | None
    ) -> None:
        self.title, self.level, self.line = title, level, line
        self.tags, self.priority = tags, priority
        self.items: list[Item] = []
        self.children: list[_Draft] = []

    def objective(self) -> Objective:
        return Objective(
            title=self.title,
            level=self.level,
            line=self.line,
            tags=self.tags,
            priority=self.priority,
            items=tuple(self.items),
            children=tuple(child.objective() for child in self.children),
        )


class _Reading:
    """A document while it is being read, block by block."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.title: str | None = None
        self.cycle: str | None = None
        self.roots: list[_Draft] = []
        self.open: list[_Draft] = []
        self.general: _Draft | None = None
        self.general_line = 1
        self.unmapped: list[Unmapped] = []
        self.boilerplate = 0

    def document(self) -> Document:
        return Document(
            cycle=self.cycle,
            title=self.title,
            objectives=tuple(draft.objective() for draft in self.roots),
            unmapped=tuple(self.unmapped),
            boilerplate=self.boilerplate,
        )

    def heading(self, block: SyntaxTreeNode, *, is_title: bool) -> None:
        text, tokens = _inline(block)
        line = _line(block)
        quarter = quarter_in(text)
        if is_title:
            self.title, self.general_line = text or None, line
        is_cycle = quarter is not None and self.cycle in (None, quarter)
        if is_title or (is_cycle and _says_only_a_quarter(text)):
            self.cycle = self.cycle or quarter
            self.open.clear()
            return
        if quarter is not None and _says_only_a_quarter(text):
            self.leave(line, text, f"a second quarter in the document of {self.cycle}")
        if not self.fits(text, line, "a heading"):
            return
        level = _level(block)
        while self.open and self.open[-1].level >= level:
            self.open.pop()
        draft = _Draft(text, level, line, *_tags(tokens))
        (self.open[-1].children if self.open else self.roots).append(draft)
        self.open.append(draft)

    def list(self, block: SyntaxTreeNode, *, depth: int) -> None:
        for item in block.children:
            self.item(item, depth)

    def item(self, item: SyntaxTreeNode, depth: int) -> None:
        blocks = item.children
        if blocks and blocks[0].type in ("paragraph", "heading"):
            self.goal(blocks[0], depth)
            blocks = blocks[1:]
        else:
            self.leave(_line(item), "", "a list item without text")
        for block in blocks:
            if block.type in ("bullet_list", "ordered_list"):
                self.list(block, depth=depth + 1)
            else:
                self.other(block)

    def goal(self, block: SyntaxTreeNode, depth: int) -> None:
        text, tokens = _inline(block)
        line = _line(block)
        box = _BOX.match(text)
        if box is None and (target := _only_link(tokens)) is not None:
            if target.startswith("#"):
                self.boilerplate += 1
            else:
                self.leave(line, text, "a list item that is only a link")
            return
        if box is not None:
            text = text[box.end() :]
        if not self.fits(text, line, "a list item"):
            return
        mark = None if box is None else box[1]
        tags, priority = _tags(tokens, has_box=box is not None)
        self.objective().items.append(
            Item(
                text=text,
                ticked=None if mark is None else mark in "xX",
                depth=depth,
                line=line,
                begun=mark == "~",
                tags=tags,
                priority=priority,
            )
        )

    def objective(self) -> _Draft:
        """The objective that an item here belongs to."""
        if self.open:
            return self.open[-1]
        if self.general is None:
            title = self.title or self.file
            self.general = _Draft(title, 0, self.general_line, (), None)
            self.roots.insert(0, self.general)
        return self.general

    def other(self, block: SyntaxTreeNode) -> None:
        text = _source(block)
        is_comment = block.type == "html_block" and _COMMENT.fullmatch(text)
        if block.type == "hr" or is_comment or _BOILERPLATE.fullmatch(text):
            self.boilerplate += 1
        else:
            what = block.type.replace("_", " ")
            self.leave(_line(block), text, f"a {what} is neither a heading nor a list item")

    def fits(self, text: str, line: int, what: str) -> bool:
        if not text:
            self.leave(line, text, f"{what} without text")
        elif len(text) > TEXT_LENGTH_MAX:
            self.leave(line, text, f"{what} of more than {TEXT_LENGTH_MAX} characters")
        else:
            return True
        return False

    def leave(self, line: int, text: str, why: str) -> None:
        self.unmapped.append(Unmapped(self.file, line, text.strip()[:EXCERPT_LENGTH_MAX], why))


def _level(heading: SyntaxTreeNode) -> int:
    return int(heading.tag.removeprefix("h"))


def _line(block: SyntaxTreeNode) -> int:
    return block.map[0] + 1 if block.map else 1


def _inline(block: SyntaxTreeNode) -> tuple[str, tuple[Token, ...]]:
    """A paragraph's or heading's source on one line, and what it is made of."""
    content = block.children[0]
    tokens = content.token.children if content.token is not None else None
    return " ".join(line.strip() for line in content.content.split("\n")).strip(), tuple(
        tokens or ()
    )


def _source(block: SyntaxTreeNode) -> str:
    if block.type == "paragraph":
        return _inline(block)[0]
    if block.token is not None and block.token.content:
        return block.token.content
    return next((text for child in block.children if (text := _source(child))), "")


def _says_only_a_quarter(text: str) -> bool:
    return not re.search(r"\w", _BESIDE_A_QUARTER.sub("", QUARTER.sub("", text)))


def _tags(
    tokens: tuple[Token, ...], *, has_box: bool = False
) -> tuple[tuple[str, ...], str | None]:
    """The units and the first priority named in brackets outside links and code, each once."""
    tags: dict[str, None] = {}
    priority: str | None = None
    for number, text in enumerate(_texts_outside_links(tokens)):
        box = _BOX.match(text) if has_box and number == 0 else None
        for found in _TAG.finditer(text, box.end() if box else 0):
            tag = found["tag"]
            if _PRIORITY.fullmatch(tag):
                priority = priority or tag
            else:
                tags.setdefault(tag)
    return tuple(tags), priority


def _texts_outside_links(tokens: tuple[Token, ...]) -> Iterator[str]:
    links_open = 0
    for token in tokens:
        if token.type == "link_open":
            links_open += 1
        elif token.type == "link_close":
            links_open -= 1
        elif token.type == "text" and not links_open:
            yield token.content


def _only_link(tokens: tuple[Token, ...]) -> str | None:
    """Where a text leads that is one link and nothing else."""
    kinds = [token.type for token in tokens]
    if kinds[:1] != ["link_open"] or kinds.index("link_close") != len(kinds) - 1:
        return None
    return str(tokens[0].attrGet("href"))
