"""Messages are taken out of what a server sends in the turn in which it comes, with little work.

nats-py looks at each with several patterns, reads its headers, and hands it to the task of its
subscription through a queue: where a whole log is read, two thirds of the work. Here those with a
reply subject, as JetStream delivers them, go straight to who takes them; everything else goes
nats-py's own way.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from nats.aio.client import Client
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

DELIVERY: Final = b"HMSG "
DELIVERY_FIELDS: Final = 5
LINE_END: Final = b"\r\n"


class UnknownClient(Exception):
    """This nats-py is not the one that is reached into."""


class Delivery(NamedTuple):
    """What is taken of a message: no headers."""

    subject: str
    reply: str
    data: bytes
    headers: None = None


def take_straight(client: Client) -> None:
    """From now on, as long as this connection lasts."""
    parser = getattr(client, "_ps", None)
    if not isinstance(parser, Parser) or parser.buf or parser.state != AWAITING_CONTROL_LINE:
        raise UnknownClient("this nats-py reads in another way")
    client._ps = _Straight(client)  # noqa: SLF001 - see above


class _Straight(Parser):
    """In the place of nats-py's parser, which gets line by line what is no delivery."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._client = client
        self._rest = b""
        """What has not come in full."""

    async def parse(self, data: bytes = b"") -> None:
        data = self._rest + data
        at = 0
        while at < len(data):
            if self.state != AWAITING_CONTROL_LINE:
                # A message that goes the usual way is given what it lacks, and no more.
                end = at + self.needed + len(LINE_END) - len(self.buf)
                await super().parse(data[at:end])
                at = end
                continue
            line_end = data.find(LINE_END, at)
            if line_end < 0:
                break
            body = line_end + len(LINE_END)
            fields = data[at + len(DELIVERY) : line_end].split(b" ")
            if not data.startswith(DELIVERY, at) or len(fields) != DELIVERY_FIELDS:
                await super().parse(data[at:body])
                at = body
                continue
            subject, number, reply, head, size = fields
            end = body + int(size)
            if len(data) < end + len(LINE_END):
                break
            if take := self._takes(int(number)):
                await take(Delivery(subject.decode(), reply.decode(), data[body + int(head) : end]))
            at = end + len(LINE_END)
        self._rest = data[at:]

    def _takes(self, number: int) -> Callable[[Delivery], Awaitable[None]] | None:
        """Who takes what comes for a subscription; None, it is over."""
        subscription: Any = self._client._subs.get(number)  # noqa: SLF001 - see above
        return None if subscription is None else subscription._cb  # noqa: SLF001 - see above
