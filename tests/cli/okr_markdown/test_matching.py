"""Which line is which line of the document before."""

import pytest

from services.cli.okr_markdown.matching import Title, pair_items, pair_moved, pair_objectives, words


@pytest.mark.parametrize(
    "text",
    [
        "Ship the driver",
        "[P1] Ship the driver [DR][ENG]",
        "~~Ship the driver [DR]~~",
        "ship **the** _driver_.",
        "Ship the driver ([link](https://example.org/1))",
        "Ship [the driver](https://example.org/1) ([#14](https://example.org/14))",
    ],
)
def test_words_are_what_a_text_says(text: str) -> None:
    assert words(text) == "ship the driver"


def test_a_text_without_words_is_compared_as_it_is() -> None:
    assert words("[P1]") == "[p1]"


def test_identical_lines_are_paired_in_order() -> None:
    assert pair_items(["a", "b", "a"], ["a", "a", "b"]) == {0: 0, 1: 2, 2: 1}


def test_a_line_that_moved_within_its_heading_is_the_same() -> None:
    assert pair_items(["build it", "sell it", "ship it"], ["ship it", "build it", "sell it"]) == {
        0: 2,
        1: 0,
        2: 1,
    }


def test_another_priority_does_not_make_another_line() -> None:
    assert pair_items(["[P1] Parallelized queries"], ["Parallelized queries [P2]"]) == {0: 0}


def test_lines_with_the_same_words_keep_their_own_brackets() -> None:
    was = ["[P0] Facilitate tasks", "Facilitate tasks"]
    assert pair_items(was, [f"{text} ([#1](u))" for text in reversed(was)]) == {0: 1, 1: 0}


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("gitbase-web SSO (protocol TBD)", "gitbase-web SSO (protocol compatible with Google)"),
        ("C# driver", "C# driver (WIP: _started_)"),
        ("Deploy services with HA", "Deploy services with HA: PostgreSQL, RabbitMQ, etcd"),
        ("Deprecate v1", "Deprecate UAST v1."),
    ],
)
def test_a_line_with_most_of_its_words_is_reworded(was: str, now: str) -> None:
    assert pair_items(["first", was, "last"], [now, "first", "last"]) == {0: 1, 1: 0, 2: 2}


def test_the_most_alike_are_paired_first() -> None:
    was = ["gitbase-web SSO (protocol TBD)", "bblfsh-web SSO (protocol TBD)"]
    now = ["bblfsh-web SSO (protocol open)", "gitbase-web SSO (protocol open)"]
    assert pair_items(was, now) == {0: 1, 1: 0}


def test_a_line_that_takes_anothers_place_and_subject_is_reworded() -> None:
    was = ["Support updates", "Usage of caches for UAST and others, precalculated in packfiles"]
    assert pair_items(was, ["Support updates", "Use precomputed UASTs"]) == {0: 0, 1: 1}


def test_a_line_that_takes_anothers_place_but_not_its_subject_is_another() -> None:
    was = ["Support updates", "Key results pending an internal meeting"]
    now = ["Support updates", "Improve performance to single second responses on most queries"]
    assert pair_items(was, now) == {0: 0}


def test_a_line_elsewhere_on_the_same_subject_is_another() -> None:
    was = ["Support updates", "Release it", "Usage of caches for UAST, precalculated in packfiles"]
    assert pair_items(was, ["Support updates", "Use precomputed UASTs", "Release it"]) == {
        0: 0,
        2: 1,
    }


def test_one_line_is_never_two() -> None:
    was = ["Finish the migration for all clients (JVM, Python, Go)"]
    now = ["Finish the migration for all clients:", "Finish the migration for all clients"]
    assert pair_items(was, now) == {0: 0}


def test_a_line_under_another_heading_is_found_by_its_words() -> None:
    assert pair_moved(["[P0] ship it", "sell it"], ["buy it", "ship it ([#1](u))"]) == {1: 0}


def test_an_objective_is_recognised_by_its_headings_first() -> None:
    was = [Title(("a",)), Title(("a", "goals")), Title(("b",)), Title(("b", "goals"))]
    now = [Title(("b",)), Title(("b", "goals")), Title(("a",)), Title(("a", "goals"))]
    assert pair_objectives(was, now) == {0: 2, 1: 3, 2: 0, 3: 1}


def test_an_objective_below_another_heading_is_the_same() -> None:
    was = [Title(("a",)), Title(("b",)), Title(("b", "ship it"))]
    now = [Title(("a",)), Title(("a", "ship it")), Title(("b",))]
    assert pair_objectives(was, now) == {0: 0, 1: 2, 2: 1}


def test_an_objective_with_most_of_its_words_is_reworded() -> None:
    was = [Title(("stable and performant borges",))]
    assert pair_objectives(was, [Title(("stable and performing borges",))]) == {0: 0}


def test_an_objective_with_other_words_and_the_same_items_is_reworded() -> None:
    results = frozenset({"one", "two", "three"})
    was = [Title(("get the product ready",), results)]
    assert pair_objectives(was, [Title(("make the product sellable",), results)]) == {0: 0}


def test_an_objective_with_other_words_and_other_items_is_another() -> None:
    was = [Title(("get the product ready",), frozenset({"one"}))]
    now = [Title(("get the people ready",), frozenset({"two"}))]
    assert pair_objectives(was, now) == {}
