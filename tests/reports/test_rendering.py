"""Reports as people get them: the same bytes each time, and no word in them taken for markup."""

import time
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Final

import pypdf
import pytest
from goal_contracts.queries import Digest, Report
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace

from services.reports.rendering import FORMATS, Format, render_cycle_report, render_digest
from tests.reports.answered import DIGEST, EMPTY_DIGEST, EMPTY_REPORT, REPORT, with_words

SNAPSHOTS: Final = Path(__file__).parent / "snapshots"
HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></svg></title><b>",
    "]]> <!-- -->",
    "{{ 7 * 7 }} {% raw %}",
    '#eval("1+1") #import "x": *',
    "$x^2$ = *bold* _it_ @label <label> `raw`",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "| a | b |",
    "# a heading",
    "1. first",
    "- - -",
    "> quoted",
    "~~gone~~ &amp; &#60; \\",
    "http://evil.example/ www.evil.example",
)
WITHOUT_CHARTS: Final = replace(REPORT, weeks=(), series=())


def rendered(answer: Report | Digest, output_format: Format) -> bytes:
    if isinstance(answer, Report):
        return render_cycle_report(answer, output_format)
    return render_digest(answer, output_format)


class Page(HTMLParser):
    """The tags of a page with the names of their attributes, and the text between them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def tokens(of: bytes) -> list[str]:
    """What a reader of Markdown makes of it, but for the text."""
    read = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(of.decode())
    inner = [child for token in read for child in token.children or ()]
    return [token.type for token in (*read, *inner) if token.type != "text"]


def pdf_text(of: bytes) -> str:
    return "".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(of)).pages)


# ------------------------------------------------------------------ what people read


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("cycle-report", REPORT),
        ("empty-cycle-report", EMPTY_REPORT),
        ("digest", DIGEST),
        ("empty-digest", EMPTY_DIGEST),
    ],
)
def test_the_markdown_is_as_committed(name: str, answer: Report | Digest) -> None:
    assert rendered(answer, "md").decode() == (SNAPSHOTS / f"{name}.md").read_text("utf-8")


@pytest.mark.parametrize("answer", [REPORT, DIGEST])
def test_late_changes_come_before_everything_that_was_reached(answer: Report | Digest) -> None:
    text = rendered(answer, "md").decode()
    assert text.index("Changed while the cycle ran") < text.index("Make the checkout reliable")
    page = Page(rendered(answer, "html")).text
    assert page.index("The provider moved") < page.index("Make the checkout reliable")


def test_every_format_tells_the_same() -> None:
    page = Page(render_cycle_report(REPORT, "html")).text
    pdf = " ".join(pdf_text(render_cycle_report(REPORT, "pdf")).split())
    for words in (
        "2.1 → 0.9 % (was 0.5)",
        "1.25 (corrected)",
        "score 0.80, computed 0.71",
        "The last week was fixed after the reading",
        "Nobody paid twice",
        "Review probe by ben, due 20 September 2025, overdue",
        "Closed on 13 October 2025 by lena",
    ):
        assert words in page
        assert words in pdf


def test_behind_each_chart_are_its_numbers() -> None:
    page = render_cycle_report(REPORT, "html").decode()
    charts = page.count('role="img"')
    assert charts == sum(len(each.key_results) for each in REPORT.objectives) + 1
    assert page.count("<details>") == page.count("<desc>") == charts
    text = Page(page.encode()).text
    assert "corrected from 99.97" in text
    assert "missed" in text
    pdf = pdf_text(render_cycle_report(REPORT, "pdf"))
    assert "The numbers behind the charts" in pdf


def test_health_is_told_by_a_word_and_a_shape_not_by_colour_alone() -> None:
    page = Page(render_cycle_report(REPORT, "html"))
    for shown in ("▲ partial", "○ dropped", "● healthy"):
        assert shown in page.text


# ------------------------------------------------------------------ the same bytes


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("answer", [REPORT, DIGEST])
def test_the_same_answer_gives_the_same_bytes(
    answer: Report | Digest, output_format: Format
) -> None:
    first = rendered(answer, output_format)
    rendered(with_words(answer, "other words"), output_format)  # leaves nothing behind
    assert rendered(answer, output_format) == first


def test_a_page_needs_nothing_else() -> None:
    page = Page(render_cycle_report(REPORT, "html"))
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    attributes = {name for _, names in page.tags for name in names}
    assert not attributes & {"src", "srcset", "action", "data"}
    assert not {name for name in attributes if name.startswith("on")}
    assert "url(" not in render_cycle_report(REPORT, "html").decode().replace("url(#", "")


def test_no_two_things_on_a_page_have_the_same_id() -> None:
    page = render_cycle_report(REPORT, "html").decode()
    ids = [part.partition('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


# ------------------------------------------------------------------ hostile words


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("answer", [REPORT, DIGEST])
def test_hostile_words_are_no_markup(answer: Report | Digest, words: str) -> None:
    harmless = with_words(answer, "words")
    hostile = with_words(answer, words)
    page, plain = Page(rendered(hostile, "html")), Page(rendered(harmless, "html"))
    assert page.tags == plain.tags
    assert words in page.text
    assert tokens(rendered(hostile, "md")) == tokens(rendered(harmless, "md"))


@settings(max_examples=40, deadline=None)
@given(words=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40))
def test_no_words_at_all_are_markup(words: str) -> None:
    harmless, hostile = with_words(WITHOUT_CHARTS, "words"), with_words(WITHOUT_CHARTS, words)
    assert Page(rendered(hostile, "html")).tags == Page(rendered(harmless, "html")).tags
    assert tokens(rendered(hostile, "md")) == tokens(rendered(harmless, "md"))


def test_hostile_words_come_into_a_pdf_as_they_are() -> None:
    words = " ".join(HOSTILE)
    answer = replace(WITHOUT_CHARTS, late=(replace(REPORT.late[0], title="t", reason=words),))
    pdf = "".join(pdf_text(render_cycle_report(answer, "pdf")).split())
    for each in HOSTILE:
        assert "".join(each.split()) in pdf


# ------------------------------------------------------------------ paper


def test_a_pdf_has_its_fonts_bookmarks_page_numbers_and_date() -> None:
    read = pypdf.PdfReader(BytesIO(render_cycle_report(REPORT, "pdf")))
    assert read.metadata is not None
    assert str(read.metadata.title).startswith("Q3 2025")
    assert str(read.metadata.creation_date).startswith("2025-09-30 00:00:00")
    headings = [each.title for each in read.outline if isinstance(each, pypdf.generic.Destination)]
    assert headings == ["Q3 2025"]
    assert f"1 of {len(read.pages)}" in read.pages[0].extract_text()
    fonts = [
        descriptor
        for page in read.pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]  # a page's own
        for descendant in font["/DescendantFonts"]
        for descriptor in [descendant["/FontDescriptor"]]
    ]
    assert fonts
    assert all({"/FontFile2", "/FontFile3"} & set(font) for font in fonts)


# ------------------------------------------------------------------ much to tell


def grown(report: Report, objectives: int) -> Report:
    return replace(report, objectives=report.objectives[:1] * objectives)


def test_a_report_of_many_goals_is_told_in_numbers_within_bounds() -> None:
    started = time.perf_counter()
    page = render_cycle_report(grown(REPORT, 1_000), "html")
    assert b'role="img"' not in page
    assert len(page) < 4_000_000
    assert time.perf_counter() - started < 20


def test_a_report_grows_by_its_goals_alone() -> None:
    sizes = [len(render_cycle_report(grown(REPORT, count), "md")) for count in (10, 20, 30)]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0]


def test_long_titles_are_told_in_full() -> None:
    title = ("A very long title " * 40).strip()
    first = REPORT.objectives[0]
    longer = replace(
        first,
        objective=replace(first.objective, title=title),
        key_results=tuple(replace(each, title=title) for each in first.key_results),
    )
    answer = replace(WITHOUT_CHARTS, objectives=(longer,))
    assert Page(render_cycle_report(answer, "html")).text.count(title) == 3
    assert "".join(pdf_text(render_cycle_report(answer, "pdf")).split()).count("Averylong") == 120


def test_letters_that_the_fonts_of_the_libraries_lack_do_no_harm() -> None:
    answer = with_words(WITHOUT_CHARTS, "顧客の信頼 🚲")
    assert rendered(answer, "pdf").startswith(b"%PDF")
