"""Who is told what.

[endpoints.hr]
url = "https://hr.example/goals"
organisation = "acme"
secret_file = "hr.secret"     # whsec_…, as Standard Webhooks has it
kind = "objective"            # left out, everything
"""

import base64
import binascii
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from goal_contracts.fields import Id, Kind
from msgspec import Meta, Struct

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
SECRET_BYTES_MIN: Final = 24
LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}


class EndpointsUnusable(Exception):
    """The file of endpoints cannot be read, or says what cannot be; how to mend it."""


class Endpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """Where an organisation's events go, and which of them; signed with the secret in a file."""

    url: Annotated[str, Meta(max_length=2_000)]
    organisation: Id
    secret_file: str
    kind: Kind | None = None
    event: str | None = None
    consumer: Id | None = None
    """The name that the server lets the relay give to its consumer; left out, the endpoint's."""


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    endpoints: dict[Id, Endpoint]


class Known(Struct, frozen=True):
    """An endpoint by its name, with its secret."""

    name: str
    to: Endpoint
    secret: str


def read_endpoints(file: Path) -> list[Known]:
    """The endpoints a file names; EndpointsUnusable says what is wrong with it."""
    try:
        read = msgspec.toml.decode(file.read_bytes(), type=_File)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise EndpointsUnusable(f"{file} cannot be used: {error}") from error
    return [
        Known(name, endpoint, _secret(file, name, endpoint))
        for name, endpoint in sorted(read.endpoints.items())
        if _has_usable_url(file, name, endpoint)
    ]


def _has_usable_url(file: Path, name: str, endpoint: Endpoint) -> bool:
    url = urlsplit(endpoint.url)
    is_safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)
    if not is_safe or not url.hostname or url.username is not None:
        raise EndpointsUnusable(
            f"{file}: {name} has the url {endpoint.url}: give https://HOST/…, without a password "
            "(http only on this machine)"
        )
    return True


def _secret(file: Path, name: str, endpoint: Endpoint) -> str:
    place = file.parent / endpoint.secret_file
    try:
        secret = place.read_text(encoding="ascii").strip()
        decoded = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise EndpointsUnusable(f"{file}: the secret of {name} in {place}: {error}") from error
    if not secret.startswith(SECRET_PREFIX) or len(decoded) < SECRET_BYTES_MIN:
        raise EndpointsUnusable(
            f"{file}: the secret of {name} in {place} must be {SECRET_PREFIX} and then at least "
            f"{SECRET_BYTES_MIN} bytes in base64"
        )
    return secret
