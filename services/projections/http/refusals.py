"""A question that cannot be answered, as a problem."""

from services.http.problems import NoAnswer
from services.projections.cannot_answer import CannotAnswer


def no_answer(error: CannotAnswer) -> NoAnswer:
    """The same, with the code that is known here."""
    return NoAnswer("malformed" if error.why == "unknown_query" else error.why, str(error))
