"""What the projections count and measure of themselves, for Prometheus to read.

What can be seen at any time (positions, lag, generation) is looked at only when somebody asks.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import prometheus_client
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

SECONDS: Final = tuple(0.0005 * 2**power for power in range(15))
"""From half a millisecond to eight seconds."""

# When a series began is of no use to us, and doubles what is sent.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # it is so published


class Poisoned(Struct, frozen=True):
    """The event that the views will not go past: where, of what type, and why not."""

    position: int
    event_type: str
    why: str


class Status(Struct, frozen=True):
    """How the projections are now; `trouble` says why they do not follow the log, if they do not.

    `log_position` is how far the log was known to go when it was last looked at. While
    `is_outdated`, an older release's views answer, or none (`generation` 0) if they cannot be read,
    and those of this release are being built.
    """

    position: int
    log_position: int
    generation: int
    is_outdated: bool
    has_caught_up: bool
    trouble: str | None = None
    stopped_by: Poisoned | None = None

    @property
    def lag_events(self) -> int:
        """So many events of the log are not in the views that answer."""
        return max(self.log_position - self.position, 0)

    @property
    def is_ready(self) -> bool:
        """Whether questions are answered from all of the log, or all an older release had."""
        is_whole = self.has_caught_up or (self.is_outdated and self.generation > 0)
        return self.trouble is None and is_whole


class Metrics:
    """The counts of one service, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._events = Counter(
            "goal_ledger_views_events_total",
            "Events that were projected and stored, those of a generation being built included.",
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "goal_ledger_views_batch_seconds",
            "How long a batch of events took to be projected and stored with its position.",
            buckets=SECONDS,
            registry=registry,
        )
        self._waits = Counter(
            "goal_ledger_views_waits_total",
            "How often log or database could not be reached and were tried again.",
            registry=registry,
        )
        self._take_overs = Counter(
            "goal_ledger_views_take_overs_total",
            "Generations of the views that have begun to answer in place of another.",
            registry=registry,
        )

    def advanced(self, events: int, took_s: float) -> None:
        """A batch is stored."""
        self._events.inc(events)
        self._batch_seconds.observe(took_s)

    def waited(self) -> None:
        self._waits.inc()

    def taken_over(self) -> None:
        self._take_overs.inc()

    def show(self, look: Callable[[], Status]) -> None:
        """From now on also what a look at the projections tells, each time somebody asks."""
        self._registry.register(_Looking(look))

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return prometheus_client.generate_latest(self._registry)


class _Looking(Collector):
    """Gauges of what is, made when they are asked for."""

    def __init__(self, look: Callable[[], Status]) -> None:
        self._look = look

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is looked at for their names: they are nobody else's."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = self._look()
        for name, tells, value in (
            ("position", "How far into the log the views that answer reflect it.", now.position),
            ("log_position", "How far the log was known to go at the last look.", now.log_position),
            ("lag_events", "Events of the log that are not yet in these views.", now.lag_events),
            ("generation", "The number of the generation that answers.", now.generation),
            (
                "outdated",
                "1 while an older release's views answer and new ones are being built, else 0.",
                int(now.is_outdated),
            ),
            (
                "healthy",
                "1 while nothing keeps the views from following the log, else 0.",
                int(now.trouble is None),
            ),
            (
                "poisoned_position",
                "The position of the event that the views will not go past; 0 if there is none.",
                0 if now.stopped_by is None else now.stopped_by.position,
            ),
        ):
            yield GaugeMetricFamily(f"goal_ledger_views_{name}", tells, value=value)
