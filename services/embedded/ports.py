"""Ports of this machine that are free, below the range from which the kernel gives them out.

That range begins at 32768 on Linux and 49152 on macOS; in it any outgoing connection might sit on
a child's port just while the child restarts.
"""

import random
import socket
from typing import Final

from services.embedded.errors import NoFreePort

HOST: Final = "127.0.0.1"
SERVER_PORTS: Final = range(20_000, 30_000)
HTTP_PORTS: Final = range(30_000, 32_000)
"""Of their own, as they are chosen before anybody listens."""
PORT_TRIES_MAX: Final = 50


def free_ports(count: int, remembered: int | None, within: range) -> int:
    """The first of so many free ports in a row: those of the last time if they still are."""
    if remembered is not None and _are_free(remembered, count):
        return remembered
    for port in random.sample(within[: 1 - count or None], PORT_TRIES_MAX):
        if _are_free(port, count):
            return port
    raise NoFreePort(f"no free port found in {within.start}-{within.stop - 1}; name one")


def _are_free(first: int, count: int) -> bool:
    return all(_is_free(port) for port in range(first, first + count))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as a server does
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return True
