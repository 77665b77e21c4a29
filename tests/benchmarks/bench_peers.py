"""Our ledger's commands beside the same job on other stores, each in two ways (see peer.py)."""

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, get_args

from tests.benchmarks import clients, processes
from tests.benchmarks.company import Company
from tests.benchmarks.passes import Contender, Pace, Pass, blocking_loops, in_turn, per_s, ratio
from tests.benchmarks.peer import NewEvent, Store, Way
from tests.benchmarks.processes import NotInstalled
from tests.benchmarks.results import Check, Part, rows
from tests.benchmarks.workplace import Workplace

NAME: Final = "peers"
OURS: Final = "goal ledger"
PEER: Final = (sys.executable, "-m", "tests.benchmarks.peer")


def run(work: Workplace) -> Part:
    """Ours and every peer that can run here, with 64 and 512 clients; UmaDB's bare appends."""
    company = Company(work.sizes.key_results)
    levels = work.sizes.some, work.sizes.many
    notes = [work.clients_said]
    with ExitStack() as held:
        server = held.enter_context(processes.nats_server(work.place / "ours"))
        process_id = held.enter_context(processes.ledger(work.place / "ours", server))
        clients.found(server.url, company)
        payload = clients.stored_check_in(server.url, company)
        contenders: list[Contender] = [
            clients.CommandsAt(OURS, server.url, company, process_id=process_id)
        ]
        for store, started in STARTED.items():
            for way in get_args(Way):
                try:
                    place = work.place / f"{store}-{way}"
                    contenders.append(
                        held.enter_context(_peer(place, store, started, way, company))
                    )
                except NotInstalled as missing:
                    notes.append(f"{store} is not measured: {missing}")
                    break
        measured = dict(in_turn(contenders, levels, work.sizes.pace, work.say))
        with suppress(NotInstalled):  # said above
            bare = BareAppends(held.enter_context(processes.umadb(work.place / "bare")), payload)
            measured |= in_turn(
                [bare], [1, work.sizes.some, work.sizes.many // 2], work.sizes.pace, work.say
            )
    checks = [
        Check(
            f"{level} clients: ours / {contender.name}",
            ratio(measured[OURS, level], measured[contender.name, level], per_s),
        )
        for level in levels
        for contender in contenders[1:]
    ]
    return Part(NAME, "the same job on other stores", "commands", rows(measured), checks, notes)


class BareAppends:
    """UmaDB's conditional append alone, from threads: no door, no rules, an event like ours."""

    name = "umadb, bare appends"

    def __init__(self, url: str, payload: bytes) -> None:
        self._store: Store = importlib.import_module("tests.benchmarks.store_umadb").open_store(url)
        self._payload = payload
        self._goals = itertools.count()

    def measure(self, clients: int, pace: Pace) -> Pass:
        return blocking_loops([self._client() for _ in range(clients)], pace)

    def _client(self) -> Callable[[], int]:
        goal = f"key_result/{next(self._goals)}"
        versions = itertools.count(1)

        def step() -> int:
            event = NewEvent(goal, next(versions), "CheckedIn", self._payload)
            self._store.append_to_goal([event])
            return 1

        return step


@contextmanager
def _peer(
    place: Path,
    store: str,
    started: Callable[[Path], AbstractContextManager[str]],
    way: Way,
    company: Company,
) -> Iterator[Contender]:
    """A store, a peer on it, and a server for its door: all of its own, the company founded."""
    with (
        started(place) as address,
        processes.nats_server(place / "door") as door,
        processes.service(
            place,
            "peer",
            [*PEER, "--server", door.url, "--store", store, "--at", address, "--way", way],
        ) as process_id,
    ):
        clients.found(door.url, company)
        yield clients.CommandsAt(f"{store}, {way}", door.url, company, process_id=process_id)


@contextmanager
def _sqlite(place: Path) -> Iterator[str]:
    place.mkdir(parents=True)
    yield str(place / "events.sqlite")


@contextmanager
def _postgresql(place: Path) -> Iterator[str]:
    if find_spec("psycopg_pool") is None:
        raise NotInstalled(f"the package psycopg_pool is absent; {processes.HOW_TO_INSTALL}")
    with processes.postgresql(place) as port:
        yield port


STARTED: Final[Mapping[str, Callable[[Path], AbstractContextManager[str]]]] = {
    "umadb": processes.umadb,
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}
"""How each store comes to life in a directory; the value of the context is its address."""
