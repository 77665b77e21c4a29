"""A long list is what the same tuple would be, and is not copied to add one more."""

import pytest

from services.ledger.domain.listed import Listed


@pytest.mark.parametrize("length", [0, 1, 2, 70])
def test_it_is_what_the_same_tuple_would_be(length: int) -> None:
    ids = tuple(f"o-{number}" for number in range(length))
    grown = Listed[str]()
    for each in ids:
        grown = grown.and_one(each)
    for listed in (grown, Listed(ids)):
        assert listed == ids
        assert [*listed] == [*ids]
        assert [*reversed(listed)] == [*reversed(ids)]
        assert len(listed) == length
        assert repr(listed) == repr(ids)
        assert hash(listed) == hash(ids)
        assert listed[1:3] == ids[1:3]
        assert ("o-0" in listed) == ("o-0" in ids)
    assert grown == Listed(ids)
    assert grown.and_one("more") == (*ids, "more")
    assert Listed(ids).and_one("more") == (*ids, "more")


@pytest.mark.parametrize("length", [0, 3])
def test_what_is_added_to_it_leaves_it_as_it_was(length: int) -> None:
    ids = tuple(map(str, range(length)))
    listed = Listed(ids)
    one = listed.and_one("one")
    other = listed.and_one("other")
    further = one.and_one("further")
    assert listed == ids
    assert one == (*ids, "one")
    assert other == (*ids, "other")
    assert further == (*ids, "one", "further")


def test_the_last_is_its_own_whatever_follows_it_elsewhere() -> None:
    listed = Listed(("a", "b"))
    longer = listed.and_one("c")
    assert listed.last == "b"
    assert longer.last == "c"
    with pytest.raises(IndexError, match=r"^nothing is listed$"):
        _ = Listed[str]().last


def test_nothing_that_was_added_to_it_is_found_in_it() -> None:
    listed = Listed(["o-0", "o-1"])
    listed.and_one("more")
    assert (listed[-1], listed[1], listed[:], listed[-1:]) == (
        "o-1",
        "o-1",
        ("o-0", "o-1"),
        ("o-1",),
    )
    assert [*reversed(listed)] == ["o-1", "o-0"]
    for place in (2, -3):
        with pytest.raises(IndexError):
            listed[place]


def test_it_is_not_equal_to_what_is_no_sequence_of_ids() -> None:
    assert Listed(["o-1"]) != ["o-1"]
