"""Messages that leave on one connection together, in one write.

nats-py publishes one message at a time: each is a coroutine, a look at its subject and two at the
task that does the sending. For a group of hundreds, its events and then its replies, that is as
much work as deciding it. Here messages are put together, and leave at once where nothing else
waits on the socket.

This, `inbox` and `deliveries` alone reach into nats-py, and look first whether they know what is
there.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

AT_ONCE_BYTES_MAX: Final = 1_048_576
"""More than that is left to nats-py's own task, which waits until the socket takes it."""
REACHED_INTO: Final[Mapping[str, type]] = {
    "_pending": list,
    "_pending_data_size": int,
    "_flush_queue": asyncio.Queue,
    "_transport": object,
    "_disconnected_cb": object,
}
"""What of a client is used that it does not show, as it is once it is connected."""


class Outbox:
    """What is put into it leaves when `send` is called, else at the end of the loop's turn.

    What has not left when the connection breaks never leaves, whatever the connection would do
    with it: behind a stalled socket nats-py 2.16 lets commands wait also while connected, whatever
    `pending_size` says, and sends them on the next connection.
    """

    def __init__(self, client: Client) -> None:
        for name, kind in REACHED_INTO.items():
            if not hasattr(client, name) or not isinstance(getattr(client, name), kind):
                raise UnknownClient(f"this nats-py has no {name} that is {kind.__name__}")
        self._client = client
        self._frames: list[bytes] = []
        self._called_before = client._disconnected_cb  # noqa: SLF001 - see above
        client._disconnected_cb = self._forget  # noqa: SLF001 - see above

    def put(
        self,
        subject: str,
        payload: bytes,
        reply_to: str = "",
        headers: str = "",
    ) -> None:
        """One more message, as it is: nobody looks for spaces or newlines in subject and headers.

        Each header is a line of ASCII, `Name: value` and its end.

        Raises a nats.errors.Error if it cannot leave now: nothing is kept for a later connection.
        """
        client = self._client
        if not client.is_connected:
            raise nats.errors.ConnectionClosedError
        if client.is_draining_pubs:
            raise nats.errors.ConnectionDrainingError
        if len(payload) > client.max_payload:
            raise nats.errors.MaxPayloadError
        if not self._frames:
            asyncio.get_running_loop().call_soon(self.send)
        size = len(payload)
        if headers:
            headers = f"NATS/1.0\r\n{headers}\r\n"
            head = f"HPUB {subject} {reply_to} {len(headers)} {len(headers) + size}\r\n{headers}"
        else:
            head = f"PUB {subject} {reply_to} {size}\r\n"
        self._frames.append(head.encode() + payload + b"\r\n")

    def send(self) -> None:
        """What was put in leaves now, behind what nats-py itself has still to send."""
        frames, self._frames = self._frames, []
        client = self._client
        if not frames or not client.is_connected:
            return
        client.stats["out_msgs"] += len(frames)
        client._pending += frames  # noqa: SLF001 - see above
        client._pending_data_size += sum(map(len, frames))  # noqa: SLF001 - see above
        socket = self._free_socket()
        if socket is not None:
            socket.writelines(client._pending)  # noqa: SLF001 - see above
            self._empty()
        else:
            self._wake_flusher()

    def _free_socket(self) -> asyncio.StreamWriter | None:
        """The socket, unless something waits on it already or it is too much for it."""
        transport = self._client._transport  # noqa: SLF001 - see above
        if (
            self._client.pending_data_size > AT_ONCE_BYTES_MAX
            or not isinstance(transport, TcpTransport)
            or (writer := transport._io_writer) is None  # noqa: SLF001 - see above
            or writer.transport.get_write_buffer_size() > 0
        ):
            return None
        return writer

    def _wake_flusher(self) -> None:
        queue = self._client._flush_queue  # noqa: SLF001 - see above
        if queue is not None and queue.empty():
            queue.put_nowait(asyncio.get_running_loop().create_future())

    def _empty(self) -> None:
        self._client._pending = []  # noqa: SLF001 - see above
        self._client._pending_data_size = 0  # noqa: SLF001 - see above

    async def _forget(self) -> None:
        """The connection broke; subscriptions nats-py renews by itself."""
        self._frames.clear()
        self._empty()
        if self._called_before is not None:
            await self._called_before()


class UnknownClient(Exception):
    """nats-py works otherwise than the release this was written for."""
