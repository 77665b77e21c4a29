"""How the projections are, for those who watch over them."""

from msgspec import Struct
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest


class Status(Struct, frozen=True):
    """How far the views have read; `trouble` says why the service is not well.

    `stopped_by` is what the views will not pass over: what is known is still answered.
    """

    position: int
    is_following: bool
    trouble: str | None = None
    stopped_by: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the views follow the log."""
        return self.is_following and self.trouble is None and self.stopped_by is None


class Numbers:
    """What is counted, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._position = Gauge(
            "goal_ledger_views_position", "How far the views have read.", registry=self._registry
        )
        self._ready = Gauge(
            "goal_ledger_views_ready", "1 if the views follow the log.", registry=self._registry
        )

    def text(self, now: Status) -> bytes:
        """As Prometheus reads it."""
        self._position.set(now.position)
        self._ready.set(int(now.is_ready))
        return generate_latest(self._registry)
