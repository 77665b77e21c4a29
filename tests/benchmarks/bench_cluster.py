"""Our ledger's commands beside bare publishes, in a cluster of three servers on this machine.

Three replicas, so every event is on the disks of at least two servers before it is acknowledged;
here the three share one disk and the same cores. Clients, ledger and stream leader are at the same
server on both sides.
"""

from contextlib import ExitStack
from typing import Final

from tests import cluster
from tests.benchmarks import clients, processes
from tests.benchmarks.company import Company
from tests.benchmarks.passes import in_turn, p50_ms, per_s, ratio
from tests.benchmarks.results import Check, Part, rows
from tests.benchmarks.workplace import Workplace

NAME: Final = "cluster"
OURS: Final = "goal ledger, R3"


def run(work: Workplace) -> Part:
    """Raw and ours with 1, 64 and 512 clients, each in a cluster of its own."""
    some, many = work.sizes.some, work.sizes.many
    company = Company(work.sizes.key_results)
    with ExitStack() as held:
        raw_cluster = held.enter_context(cluster.started(work.place / "raw")).first
        ours_cluster = held.enter_context(cluster.started(work.place / "ours")).first
        process_id = held.enter_context(
            processes.ledger(work.place / "ours", ours_cluster, replicas=cluster.REPLICAS)
        )
        clients.found(ours_cluster.url, company)
        payload = clients.stored_check_in(ours_cluster.url, company)
        raw = clients.RawPublishes(raw_cluster.url, company, payload)
        ours = clients.CommandsAt(OURS, ours_cluster.url, company, process_id=process_id)
        measured = in_turn([raw, ours], [1, some, many], work.sizes.pace, work.say)
    raw_some = measured[raw.name, some]
    return Part(
        NAME,
        "three servers, three replicas",
        "commands",
        rows(measured),
        [
            Check(f"{some} clients: ours / raw", ratio(measured[OURS, some], raw_some, per_s)),
            Check(
                f"{many} clients: ours / raw with {some}",
                ratio(measured[OURS, many], raw_some, per_s),
            ),
            Check(
                "1 client: median latency, ours / raw",
                ratio(measured[OURS, 1], measured[raw.name, 1], p50_ms),
            ),
        ],
        [work.clients_said],
    )
