"""A connection to a nats-server on which one delivered message is lost on the way."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import BinaryIO, Final
from urllib.parse import urlsplit

DELIVERED: Final = b" $JS.ACK."
"""In the line that announces a message which a consumer delivers."""
CHUNK: Final = 65_536


class Lossy:
    """Passes on what both sides say, but for the one delivered message of that number."""

    def __init__(self, server: str, lost: int) -> None:
        self._server, self._lost, self._delivered = urlsplit(server), lost, 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self._listening.getsockname()[1]}"
        self.has_lost = threading.Event()

    def serve(self) -> None:
        """Until the listening socket is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection((self._server.hostname, self._server.port))
                threading.Thread(target=_copy, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client), daemon=True).start()

    def close(self) -> None:
        # Closing alone does not wake who waits in accept.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _pass_on(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, server.makefile("rb") as said:
            for line in said:
                frame = line + _payload(line, said)
                if DELIVERED in line:
                    self._delivered += 1
                    if self._delivered == self._lost:
                        self.has_lost.set()
                        continue
                client.sendall(frame)


def _payload(line: bytes, said: BinaryIO) -> bytes:
    """What follows on the line of a message; its length is the line's last word."""
    if not line.startswith((b"MSG ", b"HMSG ")):
        return b""
    return said.read(int(line.split()[-1]) + len(b"\r\n"))


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError), source, target:
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)


@contextlib.contextmanager
def lossy(server: str, *, lost: int) -> Iterator[Lossy]:
    """In front of a server; `lost` counts over all connections, from 1."""
    proxy = Lossy(server, lost)
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.close()
