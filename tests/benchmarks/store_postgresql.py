"""eventsourcing on PostgreSQL, with its own recorder as it comes."""

from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from tests.benchmarks.processes import POSTGRESQL_DATABASE, POSTGRESQL_USER
from tests.benchmarks.store_eventsourcing import RecorderStore

CONNECTIONS = 16
"""Its recorder locks the whole table for each insert: more only wait."""


def open_store(port: str) -> RecorderStore:
    """The server on that port of this machine."""
    datastore = PostgresDatastore(
        POSTGRESQL_DATABASE,
        "127.0.0.1",
        port,
        POSTGRESQL_USER,
        "not asked for",
        pool_size=CONNECTIONS,
        originator_id_type="text",
    )
    recorder = PostgresApplicationRecorder(datastore)
    recorder.create_table()
    return RecorderStore(recorder, CONNECTIONS)
