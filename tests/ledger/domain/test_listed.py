"""A long list of ids is what the same tuple would be."""

import pytest

from services.ledger.domain.listed import PAGE, Listed


@pytest.mark.parametrize("length", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 1])
def test_it_is_what_the_same_tuple_would_be(length: int) -> None:
    ids = tuple(f"o-{number}" for number in range(length))
    grown = Listed()
    for each in ids:
        grown = grown.and_one(each)
    for listed in (grown, Listed(ids)):
        assert listed == ids
        assert [*listed] == [*ids]
        assert len(listed) == length
        assert repr(listed) == repr(ids)
        assert hash(listed) == hash(ids)
        assert listed[1:3] == ids[1:3]
        assert ("o-0" in listed) == ("o-0" in ids)
    assert grown == Listed(ids)
    assert grown.and_one("more") == (*ids, "more")
    assert Listed(ids).and_one("more") == (*ids, "more")


def test_what_is_added_to_it_leaves_it_as_it_was() -> None:
    for length in (3, PAGE):
        listed = Listed(map(str, range(length)))
        one, other = listed.and_one("one"), listed.and_one("other")
        assert len(listed) == length
        assert (one[-1], other[-1]) == ("one", "other")
        assert one != other


def test_it_is_not_equal_to_what_is_no_sequence_of_ids() -> None:
    assert Listed(["o-1"]) != ["o-1"]
