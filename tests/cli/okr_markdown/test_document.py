"""What a line of Markdown is read as."""

from collections.abc import Iterator

import pytest

from services.cli.okr_markdown.document import (
    TEXT_LENGTH_MAX,
    Document,
    Item,
    Objective,
    Unmapped,
    parse,
    quarter_in,
)


def read(*lines: str) -> Document:
    return parse("\n".join(lines), file="README.md")


def items(document: Document) -> list[Item]:
    return [item for objective in document.walk() for item in objective.items]


def outline(objectives: tuple[Objective, ...], depth: int = 0) -> Iterator[str]:
    for objective in objectives:
        yield "  " * depth + objective.title
        yield from outline(objective.children, depth + 1)


def left(document: Document) -> list[tuple[int, str, str]]:
    return [(each.line, each.text, each.why) for each in document.unmapped]


@pytest.mark.parametrize(
    "text",
    ["OKRs 2018 Q3", "Q3 2018", "3Q2018", "2018-Q3.md", "2018-3Q", "q3/2018", "Goals of 2018Q3"],
)
def test_a_quarter_is_recognised_however_it_is_written(text: str) -> None:
    assert quarter_in(text) == "2018-Q3"


@pytest.mark.parametrize("text", ["Q3", "2018", "FAQ3 2018", "Q5 2018", "12018 Q3", "Q3 20189"])
def test_half_a_quarter_is_none(text: str) -> None:
    assert quarter_in(text) is None


def test_the_title_names_the_cycle_and_is_no_objective() -> None:
    document = read("# OKRs 2018 Q4", "## Ship it", "- one")
    assert document.cycle == "2018-Q4"
    assert [objective.title for objective in document.walk()] == ["Ship it"]


def test_a_heading_that_is_only_a_quarter_names_the_cycle_below_a_title() -> None:
    document = read("# Objectives and Key Results", "## Q1 2018", "### Ship it", "- one")
    assert document.cycle == "2018-Q1"
    assert document.title == "Objectives and Key Results"
    assert [objective.title for objective in document.walk()] == ["Ship it"]


def test_a_heading_that_says_more_than_a_quarter_is_an_objective() -> None:
    document = read("# OKRs", "## Prepare Q3 2018", "- one")
    assert document.cycle is None
    assert [objective.title for objective in document.walk()] == ["Prepare Q3 2018"]


def test_a_second_quarter_is_an_objective_and_reported() -> None:
    document = read("# OKRs", "## Q1 2018", "## Q2 2018", "- one")
    assert document.cycle == "2018-Q1"
    assert [objective.title for objective in document.walk()] == ["Q2 2018"]
    assert left(document) == [(3, "Q2 2018", "a second quarter in the document of 2018-Q1")]


def test_several_headings_of_level_one_are_objectives() -> None:
    document = read("# Ship it", "- one", "# Sell it", "- two")
    assert document.title is None
    assert list(outline(document.objectives)) == ["Ship it", "Sell it"]


def test_headings_nest_by_level_and_a_skipped_level_does_not_matter() -> None:
    document = read("# T", "#### deep", "## a", "#### a1", "### a2", "#### a21", "## b")
    assert list(outline(document.objectives)) == ["deep", "a", "  a1", "  a2", "    a21", "b"]


def test_list_items_are_key_results_with_a_box_or_without() -> None:
    document = read("# T", "## a", "- plain", "* [ ] open", "+ [x] done", "1. [X] also done")
    assert [(item.text, item.ticked) for item in items(document)] == [
        ("plain", None),
        ("open", False),
        ("done", True),
        ("also done", True),
    ]


def test_a_box_that_is_neither_open_nor_done_is_begun_and_not_ticked() -> None:
    (item,) = items(read("# T", "## a", "- [~] half way"))
    assert (item.text, item.ticked, item.begun) == ("half way", False, True)


def test_what_only_looks_like_a_box_stays_text() -> None:
    document = read("# T", "## a", "- [ ]close", "- [y] no", "- []empty")
    assert [(item.text, item.ticked) for item in items(document)] == [
        ("[ ]close", None),
        ("[y] no", None),
        ("[]empty", None),
    ]


def test_a_nested_item_is_a_key_result_of_the_same_heading() -> None:
    document = read("# T", "## a", "- one", "  - [ ] two", "\t* three", "- four")
    (objective,) = document.objectives
    assert [(item.text, item.depth) for item in objective.items] == [
        ("one", 0),
        ("two", 1),
        ("three", 2),
        ("four", 0),
    ]


def test_lists_may_nest_as_deep_as_they_like() -> None:
    document = read("# T", "## a", *(f"{'  ' * depth}- item {depth}" for depth in range(40)))
    assert [item.depth for item in items(document)] == list(range(40))


def test_a_text_is_kept_as_it_is_written() -> None:
    text = r"**bold** ~~gone~~ `code` a &amp; b \* [link](https://example.org) [DR]  <br> &"
    (item,) = items(read("# T", "## a", f"-   [ ]  {text}  "))
    assert item.text == text


def test_the_lines_of_one_item_are_joined_by_one_blank() -> None:
    (item,) = items(read("# T", "## a", "- [ ] one", "      two  ", "three"))
    assert (item.text, item.line) == ("one two three", 3)


def test_lines_are_counted_from_one() -> None:
    document = read("# T", "", "## a", "", "- one", "- two", "", "### b", "- three")
    assert [objective.line for objective in document.walk()] == [3, 8]
    assert [item.line for item in items(document)] == [5, 6, 9]


def test_brackets_are_units_and_one_may_be_a_priority() -> None:
    (item,) = items(read("# T", "## a", "- [ ] [P1] ship it [INFRA][DevRel] now [P2]"))
    assert (item.tags, item.priority) == (("INFRA", "DevRel"), "P1")
    (item,) = items(read("# T", "## a", "- [x] [P?] ship it [INFRA] [INFRA]"))
    assert (item.tags, item.priority) == (("INFRA",), "P?")


def test_a_heading_has_units_and_a_priority_too() -> None:
    (objective,) = read("# T", "## [P1] Ship it [DR]", "- one").objectives
    assert (objective.title, objective.tags, objective.priority) == (
        "[P1] Ship it [DR]",
        ("DR",),
        "P1",
    )


def test_links_code_and_endings_are_no_units() -> None:
    document = read(
        "# T",
        "## analyzer[s]",
        "- see [here](https://example.org) and [a [DR] b](https://example.org)",
        "- run `[DR]` ![DR](x.png)",
        "- [ ] [x] two boxes",
    )
    assert document.objectives[0].tags == ()
    assert [item.tags for item in items(document)] == [(), (), ("x",)]


def test_a_table_of_contents_holds_no_goals() -> None:
    document = read("# T", "- [Ship it](#ship-it)", "  - [[P1] Fast](#fast)", "", "## Ship it")
    assert items(document) == []
    assert (document.boilerplate, document.unmapped) == (2, ())


def test_an_item_that_is_only_a_link_elsewhere_is_reported() -> None:
    link = "[2018-1Q](https://example.org/2018-Q1.md)"
    document = read("# T", "## Before", f"- {link}", f"- [ ] {link}", f"- {link} read")
    assert [item.text for item in items(document)] == [link, f"{link} read"]
    assert left(document) == [(3, link, "a list item that is only a link")]


def test_known_boilerplate_is_counted_and_not_reported() -> None:
    document = read(
        "# T",
        "**Progress:** 0/2",
        "",
        "___",
        "## a",
        "[Source page](https://example.org/1)",
        "",
        "**Progress:** 10%",
        "",
        "<!-- a comment -->",
    )
    assert (document.boilerplate, document.unmapped) == (5, ())


def test_prose_tables_and_code_are_reported_by_line() -> None:
    document = read("# T", "", "some", "prose", "", "## a", "> quoted", "", "```", "code", "```")
    assert left(document) == [
        (3, "some prose", "a paragraph is neither a heading nor a list item"),
        (7, "quoted", "a blockquote is neither a heading nor a list item"),
        (9, "code", "a fence is neither a heading nor a list item"),
    ]


def test_an_item_without_text_is_reported_and_those_below_it_are_read() -> None:
    document = read("# T", "## a", "- one", "- ", "  - two", "- [ ]")
    assert [item.text for item in items(document)] == ["one", "two"]
    assert [line for line, _, why in left(document) if why == "a list item without text"] == [4, 6]


def test_a_second_paragraph_of_an_item_is_reported() -> None:
    document = read("# T", "## a", "- one", "", "  more of it")
    assert [item.text for item in items(document)] == ["one"]
    assert [(line, text) for line, text, _ in left(document)] == [(5, "more of it")]


def test_a_text_longer_than_a_ledger_takes_is_reported() -> None:
    document = read("# T", "## a", f"- {'x' * TEXT_LENGTH_MAX}", f"- {'y' * (TEXT_LENGTH_MAX + 1)}")
    assert [item.text[0] for item in items(document)] == ["x"]
    assert [line for line, _, _ in left(document)] == [4]


def test_items_under_the_title_belong_to_an_objective_of_its_words() -> None:
    document = read("# OKRs 2018 Q4", "- one", "## Ship it", "- two")
    assert [(each.title, each.level, each.line) for each in document.objectives] == [
        ("OKRs 2018 Q4", 0, 1),
        ("Ship it", 2, 3),
    ]


def test_items_under_no_heading_belong_to_an_objective_named_after_the_file() -> None:
    document = read("- one", "- two")
    assert [(each.title, len(each.items)) for each in document.objectives] == [("README.md", 2)]


def test_an_empty_document_holds_nothing() -> None:
    assert read("") == Document(cycle=None, title=None, objectives=())


def test_a_report_names_the_file() -> None:
    (unmapped,) = parse("prose", file="2018-Q1.md").unmapped
    assert unmapped == Unmapped(
        "2018-Q1.md", 1, "prose", "a paragraph is neither a heading nor a list item"
    )
