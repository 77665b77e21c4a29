"""Where a service is reached over HTTP, and whose tokens it accepts."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

HOST: Final = "127.0.0.1"
AUDIENCE: Final = "goal-ledger"


class TokenSettings(Struct, frozen=True):
    """Whose tokens are accepted; `keys` is the URL or the file of the issuer's JWK set."""

    keys: str
    issuer: str
    audience: str = AUDIENCE


class HttpSettings(Struct, frozen=True):
    """On which of this machine's addresses; port 0 is any. Without tokens there is no API."""

    host: str = HOST
    port: int = 0
    tokens: TokenSettings | None = None


def is_safe_source(keys: str) -> bool:
    """Whether nobody on the way can put other keys there: a file, https, or this machine."""
    source = urlsplit(keys)
    return source.scheme in {"", "https"} or (
        source.scheme == "http" and _is_loopback(source.hostname or "")
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
