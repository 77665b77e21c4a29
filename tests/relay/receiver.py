"""An endpoint that checks each webhook's signature and answers what a test tells it to."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, NamedTuple, Self

from standardwebhooks import Webhook

SECRET: Final = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class Heard(NamedTuple):
    """A webhook whose signature is right."""

    position: int
    webhook_id: str
    payload: bytes
    content_type: str


Answering = Callable[[Heard, int], int]
"""The status for a webhook that came for the n-th time, counted from 1."""


class Receiver:
    """Listens on loopback meanwhile."""

    def __init__(self, answering: Answering = lambda _heard, _time: 204) -> None:
        self.heard: list[Heard] = []
        self.taken: list[Heard] = []
        self.forged = 0
        self.answering = answering
        self.headers: dict[str, str] = {}
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(receiver.take(payload, dict(self.headers.items())))
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/goals"

    def take(self, payload: bytes, headers: dict[str, str]) -> int:
        named = {name.lower(): value for name, value in headers.items()}
        try:
            Webhook(SECRET).verify(payload, named, json_parse=False)
        except Exception:
            self.forged += 1
            raise
        heard = Heard(
            int(named["goal-ledger-position"]), named["webhook-id"], payload, named["content-type"]
        )
        with self._lock:
            self.heard.append(heard)
            times = sum(each.webhook_id == heard.webhook_id for each in self.heard)
        status = self.answering(heard, times)
        if status < 300:
            with self._lock:
                self.taken.append(heard)
        return status

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
