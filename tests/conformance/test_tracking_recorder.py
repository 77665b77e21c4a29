"""eventsourcing's own test cases for what keeps a position beside views, on every database."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from eventsourcing.persistence import TrackingRecorder

# The module, not its classes: a class that stands here would be collected.
from eventsourcing.tests import persistence as shipped

from services.projections.view_store.store import ViewStore
from tests.postgresql import Cluster, empty_database
from tests.projections.log import store_at


class OverViews(shipped.RecorderTestCase):
    """An empty database for each case."""

    database: str

    @pytest.fixture(autouse=True)
    def _store(self, tmp_path: Path, postgresql_clusters: Mapping[str, Cluster]) -> Iterator[None]:
        with empty_database(self.database, tmp_path, postgresql_clusters) as address:
            self.store: ViewStore = store_at(address)
            yield
            self.store.close()

    def create_recorder(self) -> TrackingRecorder:
        return self.store


class TestOnSqlite(OverViews, shipped.TrackingRecorderTestCase):
    database = "sqlite"


class TestOnPostgresql15(OverViews, shipped.TrackingRecorderTestCase):
    database = "postgresql-15"


class TestOnPostgresql18(OverViews, shipped.TrackingRecorderTestCase):
    database = "postgresql-18"
