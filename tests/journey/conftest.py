"""One whole system, started as a process of its own, for all journeys of a run."""

from collections.abc import Iterator

import pytest

from tests.running import System, running


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Shared: each journey has an organisation of its own."""
    with running(tmp_path_factory.mktemp("system")) as system:
        yield system
