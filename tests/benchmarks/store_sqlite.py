"""eventsourcing on SQLite: a file, write-ahead log, every commit on disk (synchronous=FULL)."""

from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteDatastore,
)

from tests.benchmarks.store_eventsourcing import RecorderStore


class DurablePool(SQLiteConnectionPool):
    """Its connections, whatever SQLite was built with, wait for the disk."""

    def _create_connection(self) -> SQLiteConnection:
        connection = super()._create_connection()
        connection.cursor().execute("PRAGMA synchronous=FULL")
        return connection


def open_store(file: str) -> RecorderStore:
    """That file, made anew if it is not there."""
    datastore = SQLiteDatastore(file, originator_id_type="text")
    datastore.pool.close()
    datastore.pool = DurablePool(db_name=file)
    recorder = SQLiteApplicationRecorder(datastore)
    recorder.create_table()
    # A file has one writer at a time: a second thread would only wait for the first.
    return RecorderStore(recorder, threads=1)
