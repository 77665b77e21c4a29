"""Which numbers the ledger takes: finite, and short enough to be written out in full.

They are judged before anything else looks at a command: a decimal may also be no number at all,
and with some of those even a comparison fails.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Final, Literal, Union, get_args, get_origin, get_type_hints

from goal_contracts.fields import DIGITS_MAX, EXPONENT_MAX, is_number_of_record
from goal_contracts.replies import Reason, Refusal
from msgspec import Struct

_SURELY_SHORT = 10**EXPONENT_MAX
_WORDS: Final[frozenset[object]] = frozenset({str, NoneType})


def refuse_unless_numbers_of_record(asked_for: Struct, where: str = "") -> None:
    """Every number in a command; Refusal(NUMBER_OUT_OF_RANGE) says where the first bad one is.

    The items of a bulk command are judged each in its turn, like everything else about them.
    """
    for name in _not_only_words(type(asked_for)):
        value = getattr(asked_for, name)
        if value is None:
            continue
        if isinstance(value, Decimal):
            if not is_number_of_record(value):
                raise _out_of_range(value, where + name)
        elif isinstance(value, Struct):
            refuse_unless_numbers_of_record(value, f"{where}{name}.")
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, Decimal) and not is_number_of_record(item):
                    raise _out_of_range(item, f"{where}{name}[{index}]")
        elif (
            isinstance(value, int)
            and abs(value) > _SURELY_SHORT
            and not is_number_of_record(Decimal(value))
        ):
            raise _out_of_range(Decimal(value), where + name)


@cache
def _not_only_words(kind: type[Struct]) -> tuple[str, ...]:
    """Its fields but those that are text: most are, and this is asked of every command."""
    hints = get_type_hints(kind)
    return tuple(name for name in kind.__struct_fields__ if set(_kinds(hints[name])) - _WORDS)


def _kinds(hint: object) -> Iterator[object]:
    """What a field may be: the parts of a union, the types of literals."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        yield from map(type, parts)
    elif get_origin(hint) in {Union, UnionType}:
        for part in parts:
            yield from _kinds(part)
    else:
        yield hint


def _out_of_range(number: Decimal, where: str) -> Refusal:
    return Refusal(
        Reason.NUMBER_OUT_OF_RANGE,
        f"{where} is not a number of record",
        seen=f"{number:.40}",
        accepted=f"a finite number of at most {DIGITS_MAX} digits, "
        f"at most {EXPONENT_MAX} places either side of the point",
    )
