"""eventsourcing's own recorders: an originator's version exists once, whoever inserts it."""

from collections.abc import Sequence

from eventsourcing.persistence import ApplicationRecorder, StoredEvent

from tests.benchmarks.peer import NewEvent


class RecorderStore:
    """Both ways are the same to it: its optimism is by originator and version."""

    def __init__(self, recorder: ApplicationRecorder, threads: int) -> None:
        self.THREADS = threads
        self._recorder = recorder

    def append(self, events: Sequence[NewEvent]) -> int:
        positions = self._recorder.insert_events(
            [StoredEvent(event.goal, event.version, event.type, event.payload) for event in events]
        )
        if not positions:
            raise ValueError("the recorder named no positions")
        return positions[-1]

    append_to_goal = append
