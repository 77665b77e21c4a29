"""What a ledger counts and measures of itself, for Prometheus to read.

The writer decides thousands of commands a second, so it counts a group at once, on children that
were looked up beforehand. What can be seen at any time (role, position, size) is looked at only
when somebody asks.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, get_args

import prometheus_client
from goal_contracts.replies import Accepted, Reason, Reply
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

LedgerRole = Literal["loading", "standby", "writer"]

SECONDS: Final = tuple(0.0005 * 2**power for power in range(15))
"""From half a millisecond, which is a fast disk's fsync, to eight seconds."""
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000)
SNAPSHOT_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

# When a series began is of no use to us, and doubles what is sent.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # it is so published


class Status(Struct, frozen=True):
    """How a ledger is now; `trouble` says why it is not well, if it is not."""

    role: LedgerRole
    position: int
    snapshot_position: int
    unanswered: int
    trouble: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it takes commands, or could at once: all of the log is in its memory."""
        return self.trouble is None and self.role != "loading"


class Metrics:
    """The counts of one ledger, in a registry of their own; they outlive its turns and writers."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        commands = Counter(
            "goal_ledger_commands_total",
            "Commands by what became of them: not_answered is a fault or an outcome that is not "
            "known; whoever asked asks again.",
            ["outcome"],
            registry=registry,
        )
        self._accepted = commands.labels("accepted")
        self._refused = commands.labels("refused")
        self._not_answered = commands.labels("not_answered")
        refusals = Counter(
            "goal_ledger_refusals_total",
            "Refused commands by the reason in their reply.",
            ["reason"],
            registry=registry,
        )
        self._refusals = {reason: refusals.labels(reason.value) for reason in Reason}
        self._events = Counter(
            "goal_ledger_events_total", "Events that this ledger has appended.", registry=registry
        )
        self._group_commands = Histogram(
            "goal_ledger_group_commands",
            "Commands in a group; a group is decided, appended and answered together.",
            buckets=SIZES,
            registry=registry,
        )
        self._group_events = Histogram(
            "goal_ledger_group_events",
            "Events in a group that has any.",
            buckets=SIZES,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "goal_ledger_commit_seconds",
            "From when a group's events are sent until the writer sees that they are on disk.",
            buckets=SECONDS,
            registry=registry,
        )
        self._queue_seconds = Histogram(
            "goal_ledger_queue_seconds",
            "How long the oldest command of each group had waited when the group was sent: one "
            "sample a group, of its worst. To the millisecond.",
            buckets=SECONDS,
            registry=registry,
        )
        self._fencings = Counter(
            "goal_ledger_fencings_total",
            "Groups that the log refused because another ledger had appended first; their commands "
            "were decided again.",
            registry=registry,
        )
        self._append_failures = Counter(
            "goal_ledger_append_failures_total",
            "Groups whose append failed otherwise, or that got no answer in time; their commands "
            "were decided again.",
            registry=registry,
        )
        self._turns = Counter(
            "goal_ledger_turns_total",
            "How often this ledger has begun to take commands.",
            registry=registry,
        )
        self._snapshot_seconds = Histogram(
            "goal_ledger_snapshot_seconds",
            "How long it took to write down the state, while the ledger went on.",
            buckets=SNAPSHOT_SECONDS,
            registry=registry,
        )
        self._snapshot_bytes = Gauge(
            "goal_ledger_snapshot_bytes",
            "Size of the latest snapshot that this ledger wrote; 0 if it wrote none.",
            registry=registry,
        )
        self._snapshot_failures = Counter(
            "goal_ledger_snapshot_failures_total",
            "Snapshots that could not be written; the log has everything, so only a start suffers.",
            registry=registry,
        )

    def committed(self, commands: int, events: int, *, queued_s: float, took_s: float) -> None:
        """A group is on disk; without events there was nothing to put there."""
        self._group_commands.observe(commands)
        self._queue_seconds.observe(queued_s)
        if events:
            self._group_events.observe(events)
            self._commit_seconds.observe(took_s)
            self._events.inc(events)

    def answered(self, decided: Sequence[tuple[object, Reply | None]]) -> None:
        """So many commands have their reply, each the last of its pair; None is none."""
        accepted = not_answered = 0
        reasons: dict[Reason, int] = {}
        for _, reply in decided:
            if isinstance(reply, Accepted):
                accepted += 1
            elif reply is None:
                not_answered += 1
            else:
                reasons[reply.reason] = reasons.get(reply.reason, 0) + 1
        if accepted:
            self._accepted.inc(accepted)
        if not_answered:
            self._not_answered.inc(not_answered)
        for reason, count in reasons.items():
            self.refused(reason, count)

    def refused(self, reason: Reason, count: int = 1) -> None:
        self._refused.inc(count)
        self._refusals[reason].inc(count)

    def fenced(self) -> None:
        self._fencings.inc()

    def append_failed(self) -> None:
        self._append_failures.inc()

    def turn_begun(self) -> None:
        self._turns.inc()

    def snapshot_written(self, seconds: float, size: int) -> None:
        self._snapshot_seconds.observe(seconds)
        self._snapshot_bytes.set(size)

    def snapshot_failed(self) -> None:
        self._snapshot_failures.inc()

    def show(self, look: Callable[[], Status], entries: Callable[[], Mapping[str, int]]) -> None:
        """From now on also what a look at the ledger tells, each time somebody asks."""
        self._registry.register(_Looking(look, entries))

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return prometheus_client.generate_latest(self._registry)


class _Looking(Collector):
    """Gauges of what is, made when they are asked for."""

    def __init__(
        self, look: Callable[[], Status], entries: Callable[[], Mapping[str, int]]
    ) -> None:
        self._look = look
        self._entries = entries

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is looked at for their names: they are nobody else's."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = self._look()
        yield _labelled(
            "goal_ledger_role",
            "1 for what this ledger is at the moment, 0 for what it is not.",
            "role",
            {role: int(role == now.role) for role in get_args(LedgerRole)},
        )
        yield GaugeMetricFamily(
            "goal_ledger_healthy",
            "1 while its tasks run and it is connected to the server, else 0, as /healthz says.",
            value=int(now.trouble is None),
        )
        yield GaugeMetricFamily(
            "goal_ledger_position",
            "How far this ledger has read or written the log.",
            value=now.position,
        )
        yield GaugeMetricFamily(
            "goal_ledger_snapshot_position",
            "The position of the latest snapshot that it read or wrote; 0 if there was none.",
            value=now.snapshot_position,
        )
        yield GaugeMetricFamily(
            "goal_ledger_unanswered_commands",
            "Commands that were taken and have no reply yet.",
            value=now.unanswered,
        )
        yield _labelled(
            "goal_ledger_state_entries",
            "What is in memory, of all organisations together.",
            "kind",
            self._entries(),
        )


def _labelled(name: str, tells: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, tells, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
