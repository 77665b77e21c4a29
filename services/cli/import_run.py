"""Sends an import to the running system and says what became of it."""

from collections.abc import Sequence

from services.cli import importing, printing
from services.cli.client import Client
from services.cli.errors import Failed
from services.cli.importing import History, ImportRefused, Left, Outcome
from services.cli.options import System


def run(system: System, history: History) -> Outcome:
    """Sends all of it, with a bar on a terminal; Failed when the ledger does not take it."""

    async def send(client: Client) -> Outcome:
        with printing.progress(history.source, history.size) as progressed:
            return await importing.send(client, history, progressed)

    try:
        return system.run(send)
    except ImportRefused as refused:
        reply = refused.refused
        accepted = f"; accepted: {reply.accepted}" if reply.accepted else ""
        raise Failed(reply.reason, reply.message + accepted) from refused


def tell_left(left: Sequence[Left]) -> None:
    """One line on standard error for each thing that was left out, and how many they are."""
    for each in left:
        printing.warn(f"{each.place}: {' '.join(each.why.split())}")
    if left:
        printing.warn(f"{len(left)} left out, everything else is in")


def summary(history: History, outcome: Outcome) -> str:
    into = f"{history.source} into {history.organisation_id} as {history.import_id}"
    if outcome.already_imported:
        return f"already imported {into}: nothing recorded"
    return f"imported {into}: {outcome.events} events up to position {outcome.position}"
