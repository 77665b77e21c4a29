"""Serves an application in the service's own event loop, on a socket that already listens.

So it answers exactly as long as the service can. What is bounded: connections, the head of a
request (64 KiB, by h11), a body (by the application), and how long the end waits for answers.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

import structlog
import uvicorn
from litestar.types import ASGIApp

from services.http.settings import HttpSettings

BACKLOG: Final = 128
CONNECTIONS_MAX: Final = 1_024
REQUESTS_END_WITHIN_S: Final = 1
TAKEN_WITHIN_S: Final = 60
"""A connection whose other end takes nothing for so long is gone."""

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def listening(app: ASGIApp, settings: HttpSettings) -> AsyncIterator[str]:
    """Serve it meanwhile, at the address that is the value; raises OSError if that is taken."""
    host = settings.host
    with _listener(host, settings.port) as listener:
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
                limit_concurrency=CONNECTIONS_MAX,
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
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # on Linux; who takes nothing does not stay for ever
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKEN_WITHIN_S * 1_000)
    return listener
