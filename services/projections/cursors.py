"""Where the rest of an answer begins: a moment, so that all pages reflect the same, and a place."""

from typing import Final

from services.projections.as_of import Vantage
from services.projections.cannot_answer import CannotAnswer
from services.projections.view_store import schema
from services.projections.view_store.reader import POSITION_MAX

CURSOR_MOMENT: Final = 4
"""So many parts of a cursor say from where it is looked."""
NOT_OUR_CURSOR: Final = "the cursor is not one of ours: ask again without it"


def cursor_of(seen: Vantage, *key: str | int) -> str:
    """What to go on from: a vantage, and the place where the page ended."""
    moment = (
        seen.known,
        seen.structure,
        schema.microseconds(seen.as_of),
        schema.microseconds(seen.known_at),
    )
    return ".".join(map(str, (*moment, *key)))


def resumed(cursor: str, last: int, key_length: int) -> tuple[Vantage, list[str]]:
    """The vantage of the pages before, and the key they ended with."""
    parts = cursor.split(".")
    if len(parts) != CURSOR_MOMENT + key_length:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR)
    known, structure, by, at = map(whole_number, parts[:CURSOR_MOMENT])
    try:
        seen = Vantage(known, structure, schema.instant(by), schema.instant(at))
    except OverflowError as error:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR) from error
    if not 0 <= structure <= known:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR)
    refuse_beyond(last, known)
    return seen, parts[CURSOR_MOMENT:]


def refuse_beyond(last: int, position: int) -> None:
    """Nobody can have seen more than there is; after a rebuild it may be there a little later."""
    if position > last:
        raise CannotAnswer(
            "not_yet",
            f"the cursor goes on from position {position}, and the views have read the log up to "
            f"{last}: ask again, or without it",
        )


def whole_number(text: str) -> int:
    """A part of a cursor that is a number."""
    try:
        number = int(text)
    except ValueError as error:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR) from error
    if abs(number) > POSITION_MAX:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR)
    return number
