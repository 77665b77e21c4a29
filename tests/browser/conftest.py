"""What every test with a browser may use."""

from tests.browser.chromium import chromium

__all__ = ["chromium"]
