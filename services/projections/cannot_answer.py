"""A question that gets a refusal instead of an answer."""

from typing import Literal

Why = Literal["malformed", "unknown_query", "not_found", "not_yet", "unreadable_log"]


class CannotAnswer(Exception):
    """A question that gets a refusal: why, and what would be answered."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why: Why = why
