"""The published data sets beside the project: not ours to commit, so they may be absent."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data nobody here wrote; for tests marked `real_data`."""
    if not SHARED_DATA.is_dir():
        # A clone elsewhere has no such folder beside it.
        pytest.skip(f"the published data sets are not there: {SHARED_DATA}")
    return SHARED_DATA
