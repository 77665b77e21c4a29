"""All pages of an answer as one."""

from collections.abc import Sequence

from goal_contracts.queries import Goals
from msgspec.structs import replace

SECTIONS = ("units", "cycles", "objectives", "key_results", "kpis", "comments")


def whole(pages: Sequence[Goals]) -> Goals:
    """An answer to AsOf."""
    parts = {
        section: tuple(card for page in pages for card in getattr(page, section))
        for section in SECTIONS
    }
    return replace(pages[0], **parts, cursor=None)
