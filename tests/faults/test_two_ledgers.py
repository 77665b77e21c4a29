"""Two ledgers that both write, as if there were no lease: the log lets one win, and no rule breaks.

Both hear every command and both answer; the client takes the first answer.
"""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from services.embedded.nats_server import NatsServer
from tests.faults import ledger_of_its_own
from tests.faults.ledgers import Ledgers
from tests.faults.work import Work
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

CLIENTS: Final = 12
BOTH: Final = (0, 1)


@pytest.fixture
def ledgers(own_nats_server: NatsServer, tmp_path: Path) -> Iterator[Ledgers]:
    ledgers = Ledgers(own_nats_server, tmp_path)
    for number in BOTH:
        program = (sys.executable, "-m", ledger_of_its_own.__name__)
        ledgers.start(program, "--bucket", f"lease-{number}")
    yield ledgers
    ledgers.stop()


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(4, marks=pytest.mark.faults),
        pytest.param(60, marks=pytest.mark.faults_long),
    ],
)
async def test_every_acknowledged_command_is_in_the_log_once_and_no_rule_is_broken(
    seconds: float, ledgers: Ledgers, own_nats_server: NatsServer
) -> None:
    await eventually(
        lambda: all(ledgers.has_logged(each, "ledger_writes") for each in BOTH), timeout_s=30
    )
    work = Work(own_nats_server.url, random.Random(int(seconds)), may_be_overloaded=True)
    await work.prepare()
    until = time.monotonic() + seconds
    await work.go_on_until(lambda: time.monotonic() > until, clients=CLIENTS)

    places = await work.check_the_log()
    # The answer that came first may be "refused" or "nothing to do", from the one of the two that
    # decided earlier in the log than the other: a lease spares the clients this.
    told_otherwise = set(places) - work.with_events
    assert told_otherwise <= set(work.refused) | set(work.accepted)
    assert len(work.with_events) > 20 * seconds

    by_ledger = [ledgers.lines(each) for each in BOTH]
    assert all(any(line["event"] == "accepted" for line in lines) for lines in by_ledger)
    fenced = [line for lines in by_ledger for line in lines if line["event"] == "writer_fenced"]
    assert fenced
    assert all("another writer" in line["why"] for line in fenced)
    # Without a lease one may be late again and again; it gives up, and the other has answered.
    for lines in by_ledger:
        events = {line["event"] for line in lines}
        assert "not_answered" not in events or "writer_gave_up" in events
