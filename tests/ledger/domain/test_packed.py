"""What is kept packed comes back as it went in, and is a mapping like any other."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from services.ledger.domain.organisation import CheckIn, Said
from services.ledger.domain.packed import Packed

EAST = timezone(timedelta(hours=5, minutes=45))
MADE = CheckIn(
    effective_at=datetime(2025, 2, 10, 12, tzinfo=EAST),
    position=7,
    known_at=datetime(2025, 2, 10, 12, 0, 0, 1, tzinfo=EAST),
    actor="ann",
    value=Decimal("1.50"),
    confidence=None,
    status="at_risk",
    note="two\nlines",
    provenance=None,
    first=Said(Decimal("1E+2"), 10, None, ""),
)


def test_numbers_moments_and_their_offsets_come_back_exactly() -> None:
    packed = Packed[str, CheckIn](CheckIn)
    packed["x"] = MADE
    assert repr(packed["x"]) == repr(MADE)


def test_each_value_is_one_line() -> None:
    packed = Packed[str, CheckIn](CheckIn)
    packed["x"] = MADE
    assert b"\n" not in packed.hold()["x"]


def test_it_is_a_mapping_like_any_other() -> None:
    packed, plain = Packed[str, int](int), dict[str, int]()
    for mapping in (packed, plain):
        mapping.update(one=1, two=2)
        mapping["one"] = 11
    assert packed == plain
    assert [*packed] == ["one", "two"]
    assert len(packed) == 2
    assert "one" in packed
    assert "three" not in packed
    assert packed.get("three") is None
    with pytest.raises(KeyError):
        packed["three"]
    assert repr(packed) == "Packed({'one': b'11', 'two': b'2'})"


def test_what_has_happened_stays() -> None:
    packed = Packed[str, int](int)
    packed["one"] = 1
    with pytest.raises(TypeError, match="stays"):
        del packed["one"]
    assert packed["one"] == 1


def test_while_it_is_held_it_goes_on_and_what_was_held_stays_as_it_was() -> None:
    packed = Packed[str, int](int)
    packed.update(one=1, two=2)
    held = packed.hold()
    packed.update(two=22, three=3)
    assert held == {"one": b"1", "two": b"2"}
    for _ in range(2):
        assert packed == {"one": 1, "two": 22, "three": 3}
        assert [*packed] == ["one", "two", "three"]
        assert len(packed) == 3
        assert "one" in packed
        assert "three" in packed
        assert "four" not in packed
        assert repr(packed) == "Packed({'one': b'1', 'two': b'22', 'three': b'3'})"
        packed.release()


def test_what_is_written_again_while_it_is_held_is_counted_once() -> None:
    packed = Packed[str, int](int)
    packed["one"] = 1
    packed.hold()
    packed.update(one=11, two=2, three=3)
    assert len(packed) == 3


def test_it_is_held_by_one_at_a_time() -> None:
    packed = Packed[str, int](int)
    packed.hold()
    with pytest.raises(RuntimeError, match=r"^it is being held$"):
        packed.hold()
    packed.release()
    assert packed.hold() == {}


def test_what_was_held_can_be_put_back() -> None:
    packed, again = Packed[str, int](int), Packed[str, int](int)
    packed["one"] = 1
    again.put(packed.hold().items())
    again["two"] = 2
    assert again == {"one": 1, "two": 2}
    assert packed == {"one": 1}
