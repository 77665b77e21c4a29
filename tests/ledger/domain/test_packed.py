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
    assert b"\n" not in packed.packed["x"]


def test_it_is_a_mapping_like_any_other() -> None:
    packed, plain = Packed[str, int](int), dict[str, int]()
    for mapping in (packed, plain):
        mapping.update(one=1, two=2, three=3)
        mapping["one"] = 11
        del mapping["two"]
    assert packed == plain
    assert [*packed] == ["one", "three"]
    assert len(packed) == 2
    assert "one" in packed
    assert "two" not in packed
    assert packed.get("two") is None
    with pytest.raises(KeyError):
        packed["two"]
    assert repr(packed) == "Packed({'one': b'11', 'three': b'3'})"


def test_a_copy_is_changed_apart() -> None:
    packed = Packed[str, int](int)
    packed["one"] = 1
    copy = packed.copy()
    copy["one"] = 2
    assert (packed["one"], copy["one"]) == (1, 2)
