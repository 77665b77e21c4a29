"""What a big ledger costs in memory and in time: python tests/benchmarks/bench_memory.py [EVENTS].

EVENTS is how much history follows on the goals; 1,000,000 unless given.
"""

import gc
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from goal_contracts import codec

from services.ledger.domain import Organisation, evolve
from tests.benchmarks.big_ledger import Size, payloads

MIB = 2**20
AT_ONCE = 10_000
USUAL_HISTORY = 1_000_000


def resident() -> int:
    """Bytes of this process in memory."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(each for each in status.splitlines() if each.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def load(
    organisation: Organisation | None, stored: Iterable[tuple[int, bytes]]
) -> tuple[Organisation, float, float]:
    """The state, and the seconds that decoding and evolving took of it."""
    decoding = evolving = 0.0
    for batch in _batches(stored):
        begin = time.perf_counter()
        recorded = [codec.decode_event(position, payload) for position, payload in batch]
        between = time.perf_counter()
        for each in recorded:
            organisation = evolve(organisation, each)
        evolving += time.perf_counter() - between
        decoding += between - begin
    assert organisation is not None
    return organisation, decoding, evolving


def _batches(stored: Iterable[tuple[int, bytes]]) -> Iterable[list[tuple[int, bytes]]]:
    batch: list[tuple[int, bytes]] = []
    for each in stored:
        batch.append(each)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    yield batch


def main() -> None:
    history = int(sys.argv[1]) if len(sys.argv) > 1 else USUAL_HISTORY
    size, before = Size(), resident()
    stored = payloads(size, history)
    organisation: Organisation | None = None
    for name, count in (("the goals", size.goals), ("the history", history)):
        organisation, decoding, evolving = load(organisation, (next(stored) for _ in range(count)))
        gc.collect()
        now = resident()
        each = (now - before) / max(count, 1)
        print(
            f"{name}: {count:,} events, {(now - before) / MIB:.0f} MiB, {each:.0f} bytes each; "
            f"decode {decoding / count * 1e6:.2f} us, evolve {evolving / count * 1e6:.2f} us"
        )
        before = now
    print(f"resident: {resident() / MIB:.0f} MiB")


if __name__ == "__main__":
    main()
