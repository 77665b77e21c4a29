"""One pass: so many clients, each in a closed loop, for a while; and what several passes say.

The contenders are measured in turn, pass after pass, so that whatever else the machine does falls
on all of them. What is compared is measured one right after the other: a ratio is the median of
the ratios of the passes.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Final, Protocol

from msgspec import Struct

Step = Callable[[], Awaitable[int]]
"""Does one thing, returns once it is acknowledged, and says how many it was."""

MILLISECONDS: Final = 1_000


class Pace(Struct, frozen=True):
    """How long a pass is; what ends before the warm-up does is not counted."""

    warm_up_s: float
    window_s: float
    passes: int


class Pass(Struct, frozen=True):
    """What one pass did; latencies only where single requests were measured."""

    per_s: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_us: float | None = None
    """Processor time of the one who answered, for each."""


class Contender(Protocol):
    """What can be measured with any number of clients."""

    @property
    def name(self) -> str: ...

    def measure(self, clients: int, pace: Pace) -> Pass:
        """One pass; raises if anything is not acknowledged."""
        ...


Measured = Mapping[tuple[str, int], Sequence[Pass]]
"""The passes of each contender with each number of clients."""


async def closed_loops(steps: Sequence[Step], pace: Pace) -> Pass:
    """Every client does its step again and again, the next one when the last is acknowledged."""
    window = _Window(pace)

    async def loop(step: Step) -> None:
        while (started := perf_counter()) < window.end:
            window.note(started, await step())

    async with asyncio.TaskGroup() as clients:
        for step in steps:
            clients.create_task(loop(step))
    return window.summed_up()


def blocking_loops(steps: Sequence[Callable[[], int]], pace: Pace) -> Pass:
    """The same where a step blocks: every client is a thread."""
    window = _Window(pace)

    def loop(step: Callable[[], int]) -> None:
        while (started := perf_counter()) < window.end:
            window.note(started, step())

    with ThreadPoolExecutor(len(steps)) as threads:
        for ended in [threads.submit(loop, step) for step in steps]:
            ended.result()
    return window.summed_up()


class _Window:
    """What is acknowledged between the warm-up's end and the end, at least one thing."""

    def __init__(self, pace: Pace) -> None:
        self._begin = perf_counter() + pace.warm_up_s
        self.end = self._begin + pace.window_s
        self._closed_at = self.end
        self._acknowledged: list[tuple[float, int]] = []

    def note(self, started: float, count: int) -> None:
        finished = perf_counter()
        if finished < self._begin or (finished >= self.end and self._acknowledged):
            return
        # On a slow machine the first may come after the window: then that is its end.
        self._closed_at = max(self._closed_at, finished)
        self._acknowledged.append((finished - started, count))

    def summed_up(self) -> Pass:
        latencies = [latency for latency, _ in self._acknowledged]
        return Pass(
            sum(count for _, count in self._acknowledged) / (self._closed_at - self._begin),
            statistics.median(latencies) * MILLISECONDS,
            quantile(latencies, 0.99) * MILLISECONDS,
        )


def in_turn(
    contenders: Sequence[Contender],
    clients: Sequence[int],
    pace: Pace,
    say: Callable[[str], None],
) -> Measured:
    """All contenders with each number of clients, one after the other, pass after pass."""
    measured: dict[tuple[str, int], list[Pass]] = {}
    for number in range(1, pace.passes + 1):
        for count in clients:
            for contender in contenders:
                say(f"pass {number} of {pace.passes}: {contender.name}, {count} clients")
                measured.setdefault((contender.name, count), []).append(
                    contender.measure(count, pace)
                )
    return measured


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; no interpolation."""
    in_order = sorted(values)
    return in_order[min(len(in_order) - 1, int(share * len(in_order)))]


def ratio(
    above: Sequence[Pass], below: Sequence[Pass], of: Callable[[Pass], float | None]
) -> float:
    """The median of the ratios, pass by pass."""
    pairs = [(of(one), of(other)) for one, other in zip(above, below, strict=True)]
    return statistics.median(one / other for one, other in pairs if one and other)


def per_s(measured: Pass) -> float:
    """For `ratio`: how many a second."""
    return measured.per_s


def cpu_us(measured: Pass) -> float | None:
    """For `ratio`: processor time of the one who answered."""
    return measured.cpu_us


def p50_ms(measured: Pass) -> float | None:
    """For `ratio`: the median latency."""
    return measured.p50_ms
