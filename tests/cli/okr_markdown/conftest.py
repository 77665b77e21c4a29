"""Fixtures of the OKR Markdown tests."""

from tests.real_data import shared_data

__all__ = ["shared_data"]
