"""A view store of one's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.projections.view_store.store import ViewStore
from tests.projections.log import Asker, view_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ViewStore]:
    store = view_store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def ask(store: ViewStore) -> Asker:
    return Asker(store)
