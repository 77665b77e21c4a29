"""The ledger's door for those who watch over it: /metrics, /healthz, /readyz.

It runs in the ledger's own event loop, so that it answers exactly as long as the ledger can.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import structlog
import uvicorn
from litestar import Litestar, Response, get
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from services.ledger.metrics import Metrics, Status

PROMETHEUS_TEXT: Final = "text/plain; version=0.0.4"
"""Litestar says the charset itself."""
BACKLOG: Final = 128
REQUESTS_END_WITHIN_S: Final = 1

log = structlog.get_logger()


def application(metrics: Metrics, look: Callable[[], Status]) -> Litestar:
    """What is served; `look` tells how the ledger is."""

    @get("/metrics", sync_to_thread=False)
    def numbers() -> Response[bytes]:
        return Response(metrics.text(), media_type=PROMETHEUS_TEXT)

    @get("/healthz", sync_to_thread=False)
    def health() -> Response[Status]:
        now = look()
        return _answer(now, is_good=now.trouble is None)

    @get("/readyz", sync_to_thread=False)
    def readiness() -> Response[Status]:
        now = look()
        return _answer(now, is_good=now.is_ready)

    # It would set up logging of its own, with a thread.
    return Litestar([numbers, health, readiness], openapi_config=None, logging_config=None)


@contextlib.asynccontextmanager
async def listening(app: Litestar, host: str, port: int) -> AsyncIterator[str]:
    """Serve it meanwhile, at the address that is the value; raises OSError if that is taken."""
    with _listener(host, port) as listener:
        server = _Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
            )
        )
        serving = asyncio.create_task(server.serve([listener]), name="http")
        shown = f"[{host}]" if listener.family == socket.AF_INET6 else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        log.info("http_listens", address=address)
        try:
            yield address
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the service."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(host: str, port: int) -> socket.socket:
    """Listens already, so that nobody is turned away until the server has begun."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _answer(now: Status, *, is_good: bool) -> Response[Status]:
    return Response(now, status_code=HTTP_200_OK if is_good else HTTP_503_SERVICE_UNAVAILABLE)
