"""The language of Goal Ledger: every message it stores, takes and answers, and how each is encoded.

Needs msgspec and nothing else, so that a subscriber can install it beside anything.
"""
