"""Commands, questions and events over NATS: `pip install goal-contracts[client]`.

    async with await Client.connect("nats://127.0.0.1:4222") as client:
        reply = await client.send("acme", "u-17", command_message(command, command_id="c-1"))
        answer = await client.ask("acme", AsOf(as_of="2025-09-30"))
        async for batch in follow(client, "acme", after=position):
            for event in batch:
                ...  # event.position, event.decode()

asking         one answer to each command and question, whatever happens on the way
subscribing    events from a position or a date on, then live, without a gap or a double
units          which unit an event is about
stream         the pull loop below it
flushing       when the server knows what was sent
keys           who connects
"""

from goal_contracts.client.asking import (
    CONNECT_WAIT_S,
    WAIT_S,
    Client,
    NotLetIn,
    NotPermitted,
    Unreachable,
)
from goal_contracts.client.keys import KeyUnusable
from goal_contracts.client.stream import BrokenLog, GapInLog, JetStreamError, StreamUnavailable
from goal_contracts.client.subscribing import Select, follow, live
from goal_contracts.client.units import OfUnit
from goal_contracts.heard import Heard

__all__ = [
    "CONNECT_WAIT_S",
    "WAIT_S",
    "BrokenLog",
    "Client",
    "GapInLog",
    "Heard",
    "JetStreamError",
    "KeyUnusable",
    "NotLetIn",
    "NotPermitted",
    "OfUnit",
    "Select",
    "StreamUnavailable",
    "Unreachable",
    "follow",
    "live",
]
