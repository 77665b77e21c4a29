"""Ids that last, and the difference between two states of a quarter."""

import re

from hypothesis import given
from hypothesis import strategies as st

from services.cli.okr_markdown.changes import (
    Begun,
    Change,
    KeyResultAdded,
    KeyResultDropped,
    KeyResultRetagged,
    KeyResultReworded,
    ObjectiveAdded,
    ObjectiveDropped,
    ObjectiveRealigned,
    ObjectiveRetagged,
    ObjectiveReworded,
    Ticked,
    Unticked,
)
from services.cli.okr_markdown.document import parse
from services.cli.okr_markdown.goals import Names, difference, identify, unit_id

FILE = "README.md"


def changes(was: str, now: str) -> list[Change]:
    """What happens between two documents of 2018-Q4."""
    names = Names("2018-Q4")
    before = identify((), parse(was, file=FILE), names)
    after = identify(before, parse(now, file=FILE), names)
    return list(difference(before, after, cycle="2018-Q4", file_was=FILE, file=FILE))


def test_an_id_is_readable_and_says_quarter_and_kind() -> None:
    names = Names("2018-Q4")
    assert names.objective("Get gitbase enterprise ready [DR]") == (
        "2018-Q4-get-gitbase-enterprise-ready"
    )
    assert names.key_result("[P1] Audit logs (connections, queries)") == (
        "2018-Q4-kr-audit-logs-connections-queries"
    )


def test_no_id_is_given_twice() -> None:
    names = Names("2018-Q4")
    given = [names.objective(title) for title in ("a", "a 2", "a", "a", "A!", "KR b", "a 2")]
    given += [names.key_result("b"), names.key_result("b")]
    assert given == [
        "2018-Q4-a",
        "2018-Q4-a-2",
        "2018-Q4-a-3",
        "2018-Q4-a-4",
        "2018-Q4-a-5",
        "2018-Q4-kr-b",
        "2018-Q4-a-2-2",
        "2018-Q4-kr-b-2",
        "2018-Q4-kr-b-3",
    ]


@given(st.lists(st.text(max_size=120), max_size=20))
def test_every_text_has_an_id_that_the_ledger_takes(texts: list[str]) -> None:
    names = Names("2018-Q4")
    ids = [make(text) for text in texts for make in (names.objective, names.key_result)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", each) for each in ids)


def test_spellings_of_a_unit_are_one_unit() -> None:
    assert unit_id("Talent") == unit_id("TALENT") == "talent"


def test_new_goals_are_added_parents_first() -> None:
    assert changes("", "# T\n## a [DR]\n### b\n- [ ] one [P1][QA]\n- [x] two\n") == [
        ObjectiveAdded(
            file=FILE,
            line=2,
            id="2018-Q4-a",
            cycle="2018-Q4",
            title="a [DR]",
            parent_id=None,
            units=("dr",),
            priority=None,
        ),
        ObjectiveAdded(
            file=FILE,
            line=3,
            id="2018-Q4-b",
            cycle="2018-Q4",
            title="b",
            parent_id="2018-Q4-a",
            units=(),
            priority=None,
        ),
        KeyResultAdded(
            file=FILE,
            line=4,
            id="2018-Q4-kr-one",
            objective_id="2018-Q4-b",
            text="one [P1][QA]",
            units=("qa",),
            priority="P1",
            moved_from=None,
        ),
        KeyResultAdded(
            file=FILE,
            line=5,
            id="2018-Q4-kr-two",
            objective_id="2018-Q4-b",
            text="two",
            units=(),
            priority=None,
            moved_from=None,
        ),
        Ticked(file=FILE, line=5, id="2018-Q4-kr-two"),
    ]


def test_the_same_document_changes_nothing() -> None:
    document = "# T\n## a\n- [ ] one\n- [x] one\n## a\n- one\n"
    assert changes(document, document) == []


def test_moving_lines_about_under_their_heading_changes_nothing() -> None:
    assert changes("# T\n## a\n- one\n- two\n## b\n", "# T\n## b\n## a\n\n* two\n  * one\n") == []


def test_a_reworded_line_is_one_rewording() -> None:
    assert changes("# T\n## a\n- [ ] Ship the driver\n", "# T\n## a\n- [ ] Ship the drivers\n") == [
        KeyResultReworded(
            file=FILE,
            line=3,
            id="2018-Q4-kr-ship-the-driver",
            was="Ship the driver",
            now="Ship the drivers",
        )
    ]


def test_another_unit_in_a_line_is_a_rewording_and_a_retagging() -> None:
    name = "2018-Q4-kr-ship-it"
    assert changes("# T\n## a\n- Ship it [DR]\n", "# T\n## a\n- Ship it [QA]\n") == [
        KeyResultReworded(file=FILE, line=3, id=name, was="Ship it [DR]", now="Ship it [QA]"),
        KeyResultRetagged(file=FILE, line=3, id=name, units_was=("dr",), units=("qa",)),
    ]


def test_boxes_are_ticked_begun_and_unticked() -> None:
    was = "# T\n## a\n- [ ] one\n- [x] two\n- [ ] three\n- [~] four\n- [x] five\n- six\n"
    now = "# T\n## a\n- [x] one\n- [ ] two\n- [~] three\n- [ ] four\n- five\n- [ ] six\n"
    assert changes(was, now) == [
        Ticked(file=FILE, line=3, id="2018-Q4-kr-one"),
        Unticked(file=FILE, line=4, id="2018-Q4-kr-two"),
        Begun(file=FILE, line=5, id="2018-Q4-kr-three"),
        Unticked(file=FILE, line=6, id="2018-Q4-kr-four"),
        Unticked(file=FILE, line=7, id="2018-Q4-kr-five"),
    ]


def test_a_renamed_objective_keeps_its_key_results() -> None:
    was = "# T\n## Get it ready\n- one\n- two\n"
    assert changes(was, "# T\n## Get it ready to sell [DR]\n- one\n- two\n") == [
        ObjectiveReworded(
            file=FILE,
            line=2,
            id="2018-Q4-get-it-ready",
            was="Get it ready",
            now="Get it ready to sell [DR]",
        ),
        ObjectiveRetagged(
            file=FILE, line=2, id="2018-Q4-get-it-ready", units_was=(), units=("dr",)
        ),
    ]


def test_an_objective_below_another_heading_is_realigned() -> None:
    assert changes("# T\n## a\n## b\n### c\n- one\n", "# T\n## a\n### c\n- one\n## b\n") == [
        ObjectiveRealigned(
            file=FILE, line=3, id="2018-Q4-c", parent_was="2018-Q4-b", parent_id="2018-Q4-a"
        )
    ]


def test_objectives_that_change_places_are_never_aligned_in_a_loop() -> None:
    assert changes("# T\n## a\n### b\n", "# T\n## b\n### a\n") == [
        ObjectiveRealigned(
            file=FILE, line=2, id="2018-Q4-b", parent_was="2018-Q4-a", parent_id=None
        ),
        ObjectiveRealigned(
            file=FILE, line=3, id="2018-Q4-a", parent_was=None, parent_id="2018-Q4-b"
        ),
    ]


def test_what_is_dropped_goes_last_and_children_before_parents() -> None:
    assert changes("# T\n## a\n- one\n### b\n- two\n## c\n- three\n", "# T\n## c\n") == [
        KeyResultDropped(file=FILE, line=3, id="2018-Q4-kr-one", moved_to=None),
        KeyResultDropped(file=FILE, line=5, id="2018-Q4-kr-two", moved_to=None),
        KeyResultDropped(file=FILE, line=7, id="2018-Q4-kr-three", moved_to=None),
        ObjectiveDropped(file=FILE, line=4, id="2018-Q4-b"),
        ObjectiveDropped(file=FILE, line=2, id="2018-Q4-a"),
    ]


def test_a_line_under_another_heading_is_a_new_key_result_that_knows_the_old() -> None:
    was, now = "# T\n## a\n- [x] one\n## b\n", "# T\n## a\n## b\n- [x] [P1] one\n"
    assert changes(was, now) == [
        KeyResultAdded(
            file=FILE,
            line=4,
            id="2018-Q4-kr-one-2",
            objective_id="2018-Q4-b",
            text="[P1] one",
            units=(),
            priority="P1",
            moved_from="2018-Q4-kr-one",
        ),
        Ticked(file=FILE, line=4, id="2018-Q4-kr-one-2"),
        KeyResultDropped(file=FILE, line=3, id="2018-Q4-kr-one", moved_to="2018-Q4-kr-one-2"),
    ]
