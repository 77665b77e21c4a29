"""The language of Goal Ledger: every message it stores, takes and answers, and how each is encoded.

Needs msgspec and nothing else, so that a subscriber can install it beside anything.
"""

__version__ = "0.1.0"
"""Of the contracts as a whole; events have versions of their own."""
