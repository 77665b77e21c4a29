"""What a command costs with few events in the log, and with many: it should not matter."""

from contextlib import ExitStack
from typing import Final

from tests.benchmarks import clients, processes
from tests.benchmarks.clients import CommandsAt
from tests.benchmarks.passes import cpu_us, in_turn, per_s, ratio
from tests.benchmarks.results import Part, at_most, rows
from tests.benchmarks.workplace import Workplace

NAME: Final = "growth"
COST_MAX: Final = 1.15


def run(work: Workplace) -> Part:
    """The same check-ins on the short log and on the long one."""
    homes = {
        work.sizes.few_events: work.few_events(),
        work.sizes.many_events: work.many_events(),
    }
    with ExitStack() as held:
        contenders: list[CommandsAt] = []
        for events, home in homes.items():
            work.say(f"starting the ledger on {events:,} events")
            server = held.enter_context(processes.nats_server(home))
            process_id = held.enter_context(processes.ledger(home, server))
            name = f"with {events:,} events"
            contenders.append(CommandsAt(name, server.url, work.company, process_id=process_id))
        measured = in_turn(contenders, [work.sizes.some], work.sizes.pace, work.say)
        grown = [clients.last_position(each.url) for each in contenders]
    few, many = (measured[each.name, work.sizes.some] for each in contenders)
    return Part(
        NAME,
        "the same commands on a short log and on a long one",
        "commands",
        rows(measured),
        [
            at_most("time for a command, many events / few", ratio(few, many, per_s), COST_MAX),
            at_most(
                "the ledger's processor time, many events / few",
                ratio(many, few, cpu_us),
                COST_MAX,
            ),
        ],
        [f"at the end there are {grown[0]:,} and {grown[1]:,} events; {work.clients_said}"],
    )
