"""A log that is read apart, by processes that a test can see and send signals."""

import contextlib
import signal
import subprocess
from collections.abc import AsyncGenerator, Sequence

from goal_contracts.client.stream import Pace, StoredMessage

from services.reading_apart import ReadingApart


class Watched(ReadingApart, frozen=True):
    """Remembers its processes, each of which gets a signal when it has read so many batches."""

    processes: list[subprocess.Popen[bytes]] = []  # noqa: RUF012 - msgspec gives each its own
    signalled: signal.Signals | None = None
    after_batches: int = 0

    def start(self, stream: str, after: int, until: int, pace: Pace) -> subprocess.Popen[bytes]:
        process = super().start(stream, after, until, pace)
        self.processes.append(process)
        if self.signalled is not None and self.after_batches == 0:
            process.send_signal(self.signalled)
        return process

    async def read(
        self, stream: str, *, after: int, until: int, pace: Pace
    ) -> AsyncGenerator[Sequence[StoredMessage], None]:
        reading = super().read(stream, after=after, until=until, pace=pace)
        async with contextlib.aclosing(reading) as batches:
            number = 0
            async for batch in batches:
                yield batch
                number += 1
                if self.signalled is not None and number == self.after_batches:
                    self.processes[-1].send_signal(self.signalled)
