"""The door for those who watch over a service: /metrics, /healthz, /readyz."""

from collections.abc import Callable
from typing import Final, Protocol

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

PROMETHEUS_TEXT: Final = "text/plain; version=0.0.4"
"""Litestar says the charset itself."""


class Status(Protocol):
    """How a service is now, as a struct; `trouble` says why it is not well, if it is not."""

    @property
    def trouble(self) -> str | None: ...

    @property
    def is_ready(self) -> bool: ...


def watching(numbers: Callable[[], bytes], look: Callable[[], Status]) -> list[HTTPRouteHandler]:
    """The routes; `look` tells how the service is."""

    @get("/metrics", sync_to_thread=False)
    def metrics() -> Response[bytes]:
        return Response(numbers(), media_type=PROMETHEUS_TEXT)

    @get("/healthz", sync_to_thread=False)
    def health() -> Response[Status]:
        now = look()
        return _answer(now, is_good=now.trouble is None)

    @get("/readyz", sync_to_thread=False)
    def readiness() -> Response[Status]:
        now = look()
        return _answer(now, is_good=now.is_ready)

    return [metrics, health, readiness]


def _answer(now: Status, *, is_good: bool) -> Response[Status]:
    return Response(now, status_code=HTTP_200_OK if is_good else HTTP_503_SERVICE_UNAVAILABLE)
