"""A mapping on top of another: tried, and then taken over or forgotten."""

import pytest

from services.ledger.domain.overlay import Overlay


def test_what_is_written_stays_above_until_it_is_settled() -> None:
    below = {"a": 1, "b": 2}
    above = Overlay(below)
    above["b"], above["c"] = 20, 30
    assert below == {"a": 1, "b": 2}
    assert dict(above) == {"a": 1, "b": 20, "c": 30}
    above.settle()
    assert below == {"a": 1, "b": 20, "c": 30}


def test_settling_nothing_changes_nothing() -> None:
    below = {"a": 1}
    Overlay(below).settle()
    assert below == {"a": 1}


def test_it_reads_through_as_one_mapping() -> None:
    above = Overlay({"a": 1, "b": 2})
    above["b"], above["c"] = 20, 30
    assert (above["a"], above["b"], above.get("c"), above.get("d"), above.get("d", 4)) == (
        1,
        20,
        30,
        None,
        4,
    )
    assert ("a" in above, "c" in above, "d" in above) == (True, True, False)
    assert (list(above), len(above)) == (["a", "b", "c"], 3)
    with pytest.raises(KeyError):
        above["d"]


def test_what_is_written_over_another_is_counted_once() -> None:
    above = Overlay({"a": 1})
    above["a"], above["b"], above["c"] = 10, 2, 3
    assert len(above) == 3


def test_one_may_lie_on_another_and_later_on_what_lay_below_that() -> None:
    below = {"a": 1}
    middle = Overlay(below)
    top = Overlay(middle)
    middle["b"], top["c"] = 2, 3
    assert dict(top) == {"a": 1, "b": 2, "c": 3}
    middle.settle()
    top.below = below
    assert dict(top) == {"a": 1, "b": 2, "c": 3}
    top.settle()
    assert (below, dict(middle)) == ({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 3})


def test_nothing_is_deleted() -> None:
    with pytest.raises(TypeError, match="stays"):
        del Overlay({"a": 1})["a"]
