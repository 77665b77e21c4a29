"""Our ledger's commands beside bare publishes: how much the rules and the ledger cost.

Both wait for the same thing, that an event is on disk. The raw side publishes an event of the
ledger's own, byte for byte, to a stream declared as the ledger declares its own, and expects the
last sequence of the subject.
"""

from contextlib import ExitStack
from typing import Final

from tests.benchmarks import clients, passes, processes
from tests.benchmarks.company import Company
from tests.benchmarks.passes import in_turn, per_s, ratio
from tests.benchmarks.results import Part, at_least, at_most, rows
from tests.benchmarks.workplace import Workplace

NAME: Final = "commands"
OURS: Final = "goal ledger"
RAW: Final = clients.RawPublishes.name


def run(work: Workplace) -> Part:
    """Raw and ours with 1, 64 and 512 clients."""
    some, many = work.sizes.some, work.sizes.many
    company = Company(work.sizes.key_results)
    with ExitStack() as held:
        raw_server = held.enter_context(processes.nats_server(work.place / "raw"))
        processes.declare_stream(raw_server.url)
        server = held.enter_context(processes.nats_server(work.place / "ours"))
        process_id = held.enter_context(processes.ledger(work.place / "ours", server))
        clients.found(server.url, company)
        payload = clients.stored_check_in(server.url, company)
        raw = clients.RawPublishes(raw_server.url, company, payload)
        ours = clients.CommandsAt(OURS, server.url, company, process_id=process_id)
        measured = in_turn([raw, ours], [1, some, many], work.sizes.pace, work.say)
    raw_some = measured[RAW, some]
    return Part(
        NAME,
        "one event each, on disk before the answer",
        "commands",
        rows(measured),
        [
            at_least(
                f"{some} clients: ours / raw", ratio(measured[OURS, some], raw_some, per_s), 0.9
            ),
            at_least(
                f"{many} clients: ours / raw with {some}",
                ratio(measured[OURS, many], raw_some, per_s),
                2,
            ),
            at_most(
                "1 client: median latency, ours / raw",
                ratio(measured[OURS, 1], measured[RAW, 1], passes.p50_ms),
                2,
            ),
        ],
        [f"an event is {len(payload)} bytes; {work.clients_said}"],
    )
