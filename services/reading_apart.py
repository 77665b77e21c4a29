"""A long log is read by a process of its own, which hands on what it reads as it is.

Reading takes as long as what a ledger or the projections do with it, and threads of one process
take turns. Of all that can go wrong nothing is told: the process ends, whoever reads goes on
himself from where it was, and meets the same. It ends with its parent, too, as what it was to be
told with is closed.

    python -m services.reading_apart URL STREAM AFTER UNTIL BATCH_MAX [NKEY]
"""

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final, cast

import msgspec
import nats
import nats.errors
import structlog
import uvloop
from goal_contracts.client.stream import (
    BrokenLog,
    JetStreamError,
    Pace,
    StoredMessage,
    StreamUnavailable,
    read_stream,
)
from nats.aio.client import Client

from services.deliveries import UnknownClient, take_straight

FAR_BEHIND: Final = 30_000
"""Events, for which it pays to start a process that reads them."""
TURN_S: Final = 0.0005
"""So long a thread computes at a time while others wait, when a long log is read in, and in the
projections at all times."""
CONNECT_WAIT_S: Final = 5
SILENCE_MAX_S: Final = 15.0
"""What says nothing for so long will not say anything."""
LENGTH_BYTES: Final = 8
ENDS: Final = (BrokenLog, JetStreamError, StreamUnavailable, nats.errors.Error, OSError)
"""What ends the process: the server, the log, or whom it reads for is not there or not in order."""

log = structlog.get_logger()

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[StoredMessage])


class ReadingApart(msgspec.Struct, frozen=True):
    """Where such a process finds the log, and what lets it in."""

    url: str
    nkey: Path | None = None

    async def read(
        self, stream: str, *, after: int, until: int, pace: Pace
    ) -> AsyncGenerator[Sequence[StoredMessage], None]:
        """The messages behind a position, in order, as far as it came; see read_stream.

        They come without headers, which nobody asks for who reads much.

        Close it (`contextlib.aclosing`) if it is left before its end.
        """
        run_in_thread = asyncio.get_running_loop().run_in_executor
        try:
            process = self.start(stream, after, until, pace)
        except OSError:  # there are too many, or too much memory is taken
            return
        with process, ThreadPoolExecutor(1, thread_name_prefix="reading apart") as thread:
            try:
                # While a batch is looked at, the next is taken out of the pipe.
                coming = run_in_thread(thread, _received, process)
                while (batch := await asyncio.wait_for(coming, SILENCE_MAX_S)) is not None:
                    coming = run_in_thread(thread, _received, process)
                    yield batch
            except TimeoutError:
                return
            finally:
                process.kill()

    def start(self, stream: str, after: int, until: int, pace: Pace) -> subprocess.Popen[bytes]:
        """The process, out of reach of a terminal's Ctrl-C."""
        where = (self.url, stream, str(after), str(until), str(pace.batch_max))
        key = () if self.nkey is None else (str(self.nkey),)
        return subprocess.Popen(
            [sys.executable, "-m", __name__, *where, *key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )


async def read_far(
    client: Client,
    stream: str,
    apart: ReadingApart | None,
    *,
    after: int,
    last: int,
    follow: bool,
    pace: Pace,
    on_trouble: Callable[[Exception, float], None] | None = None,
) -> AsyncGenerator[Sequence[StoredMessage], None]:
    """The messages behind a position as read_stream has them, which reads what is left to read.

    If it is far to `last`, where the log is known to go, they are read `apart` up to there.
    """
    if apart is not None and last - after > FAR_BEHIND:
        log.info("reading_apart", after=after, until=last)
        reading = apart.read(stream, after=after, until=last, pace=pace)
        async with contextlib.aclosing(reading) as batches:
            with in_haste():
                async for batch in batches:
                    after = batch[-1].position
                    yield batch
        log.info("reading_apart_ended", after=after, until=last)
    reading = read_stream(
        client, stream, after=after, follow=follow, pace=pace, on_trouble=on_trouble
    )
    async with contextlib.aclosing(reading) as batches:
        async for batch in batches:
            yield batch


@contextlib.contextmanager
def in_haste() -> Iterator[None]:
    """While a long log is read in: short turns, and no look for garbage, of which it leaves none.

    Storing takes a turn after each statement; where turns are long it waits longer than it works.
    What is so already when it begins is left so.
    """
    turn_s, looks_for_garbage = sys.getswitchinterval(), gc.isenabled()
    takes_long_turns = turn_s > 2 * TURN_S
    if takes_long_turns:
        sys.setswitchinterval(TURN_S)
    gc.disable()
    try:
        yield
    finally:
        if looks_for_garbage:
            gc.freeze()  # to look through all that came at once would hold everybody up
            gc.enable()
        if takes_long_turns:
            sys.setswitchinterval(turn_s)


def _received(process: subprocess.Popen[bytes]) -> list[StoredMessage] | None:
    """The next batch; None when there is no more, or no more in full."""
    pipe = cast("IO[bytes]", process.stdout)
    length = int.from_bytes(pipe.read(LENGTH_BYTES))
    batch = pipe.read(length)
    return _decoder.decode(batch) if length and len(batch) == length else None


async def _read(
    url: str, stream: str, after: int, until: int, pace: Pace, nkey: str | None
) -> None:
    out = sys.stdout.buffer
    client = await nats.connect(
        url,
        name="reading apart",
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=0,
        connect_timeout=CONNECT_WAIT_S,
        nkeys_seed=nkey,
    )
    with contextlib.suppress(UnknownClient):  # then it takes longer
        take_straight(client)
    reading = read_stream(client, stream, after=after, until=until, pace=pace)
    async with client, contextlib.aclosing(reading) as batches:
        async for batch in batches:
            await asyncio.to_thread(_hand_on, out, _encoder.encode(batch))


def _hand_on(out: IO[bytes], batch: bytes) -> None:
    out.write(len(batch).to_bytes(LENGTH_BYTES) + batch)
    out.flush()


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # there is nothing to read but the end
    os._exit(1)


def main() -> None:
    """Ends before `until` if the log cannot be read."""
    url, stream, after, until, batch_max, *nkey = sys.argv[1:]
    gc.disable()  # what is read is handed on and gone, and in no circle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pace = Pace(batch_max=int(batch_max), patience_s=0)
    with contextlib.suppress(*ENDS):
        uvloop.run(_read(url, stream, int(after), int(until), pace, nkey[0] if nkey else None))


if __name__ == "__main__":
    main()
