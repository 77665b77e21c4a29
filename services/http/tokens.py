"""Who asks, by a bearer token: a JWT signed by an issuer we trust, and what its claims say.

    iss, aud, exp    whom we trust, us, and until when; nbf if it is there
    sub              the actor, an id
    org              the organisation, or a list of them
    role             viewer, auditor, contributor, owner, unit_lead, admin
    units            where owners and leads act, and the units below; left out, everywhere

The issuer's public keys come from a URL or a file (a JWK set). They are read anew every few
minutes, and when a token names a key nobody has seen; while that fails the last ones hold, for a
day at most. No token is kept or logged: what was found out about one is kept under its digest.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import httpx
import jwt
import msgspec
import structlog
from goal_contracts.fields import Id, Role
from jwt.types import Options
from msgspec import Meta, Struct

from services.http.settings import TokenSettings, is_safe_source

ALGORITHMS: Final = ("EdDSA", "ES256", "RS256")
LEEWAY_S: Final = 30
"""So far may the issuer's clock and ours be apart."""
TOKEN_LENGTH_MAX: Final = 8_192
KEYS_MAX: Final = 32
KEYS_BYTES_MAX: Final = 65_536
KEYS_TIMEOUT_S: Final = 5.0
REFRESH_AFTER_S: Final = 300.0
REFRESH_PAUSE_S: Final = 10.0
"""Between two looks for a key nobody has seen."""
STALE_MAX_S: Final = 86_400.0
KNOWN_MAX: Final = 10_000
ORGANISATIONS_MAX: Final = 100

CHECKED: Final[Options] = {
    "require": ["iss", "aud", "exp", "sub"],
    "enforce_minimum_key_length": True,
    # Against our own clock, below.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}

log = structlog.get_logger()


class Bearer(Struct, frozen=True):
    """Who asks, for which organisations, and what they may do until `ends_at` (s since 1970)."""

    actor: str
    organisations: frozenset[str]
    role: Role
    units: tuple[str, ...]
    ends_at: float


class TokenRefused(Exception):
    """A token that is not accepted; the message says why, and nothing of what is in it."""


class KeysUnavailable(Exception):
    """No token can be judged: there are no keys, or they are too old."""


class _Claims(Struct, frozen=True):
    sub: Id
    exp: float
    org: Id | Annotated[tuple[Id, ...], Meta(min_length=1, max_length=ORGANISATIONS_MAX)]
    role: Role
    nbf: float = 0
    # An empty list would mean nowhere to whoever wrote it, and everywhere to us.
    units: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=100)] | None = None


class Tokens:
    """Judges tokens by the issuer's keys."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._source = urlsplit(settings.keys)
        if not is_safe_source(settings.keys):
            raise ValueError("the issuer's keys come from a file, by https, or from this machine")
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._content = b""
        self._read_at = self._tried_at = -STALE_MAX_S - 1
        self._known: OrderedDict[bytes, Bearer] = OrderedDict()
        self._refreshing = asyncio.Lock()

    async def judge(self, token: str, now: float) -> Bearer:
        """Who bears it; TokenRefused or KeysUnavailable. `now` is in seconds since 1970."""
        if len(token) > TOKEN_LENGTH_MAX:
            raise TokenRefused(f"the token is longer than {TOKEN_LENGTH_MAX} characters")
        if time.monotonic() - self._read_at > STALE_MAX_S:
            await self._refresh_if_due()
            if time.monotonic() - self._read_at > STALE_MAX_S:
                raise KeysUnavailable("the issuer's keys cannot be read")
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and now < known.ends_at + LEEWAY_S:
            return known
        claims = self._verified(token, await self._keys_for(token))
        _refuse_untimely(claims, now)
        bearer = _bearer(claims)
        self._known[digest] = bearer
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return bearer

    async def refresh(self) -> None:
        """Read the issuer's keys; while that fails the old ones hold."""
        self._tried_at = time.monotonic()
        try:
            content = await self._read()
            if content != self._content:
                self._keys = _usable(content)
                self._content = content
                self._known.clear()  # a key that was withdrawn vouches for nobody
                log.info("token_keys_read", source=self._settings.keys, keys=len(self._keys))
        except (OSError, ValueError, httpx.HTTPError, jwt.PyJWTError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}"
            log.warning("token_keys_unreadable", source=self._settings.keys, why=why)
        else:
            self._read_at = self._tried_at

    async def _refresh_if_due(self) -> None:
        async with self._refreshing:
            if time.monotonic() - self._tried_at > REFRESH_PAUSE_S:
                await self.refresh()

    async def _read(self) -> bytes:
        if not self._source.scheme:
            content = await asyncio.to_thread(Path(self._settings.keys).read_bytes)
        else:
            content = b""
            async with (
                httpx.AsyncClient(timeout=KEYS_TIMEOUT_S) as client,
                asyncio.timeout(KEYS_TIMEOUT_S),
                client.stream("GET", self._settings.keys) as answer,
            ):
                answer.raise_for_status()
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > KEYS_BYTES_MAX:
                        break
        if len(content) > KEYS_BYTES_MAX:
            raise ValueError(f"the key set is larger than {KEYS_BYTES_MAX} bytes")
        return content

    async def _keys_for(self, token: str) -> tuple[jwt.PyJWK, ...]:
        """Those with the id that the token names; all of them if it names none."""
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenRefused("it is no JWT") from error
        found = self._named(key_id)
        if not found:
            await self._refresh_if_due()
            found = self._named(key_id)
        return found

    def _named(self, key_id: str | None) -> tuple[jwt.PyJWK, ...]:
        if key_id is None:
            return self._keys
        return tuple(key for key in self._keys if key.key_id == key_id)

    def _verified(self, token: str, keys: tuple[jwt.PyJWK, ...]) -> _Claims:
        for key in keys:
            try:
                claims = jwt.decode(
                    token,
                    key,
                    algorithms=ALGORITHMS,
                    audience=self._settings.audience,
                    issuer=self._settings.issuer,
                    options=CHECKED,
                )
                return msgspec.convert(claims, _Claims)
            except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError):
                continue
            except (jwt.PyJWTError, ValueError, RecursionError) as error:
                # Signed by the issuer, so what is wrong with it may be told.
                raise TokenRefused(f"its claims are not accepted: {error}") from error
        raise TokenRefused("none of the issuer's keys has signed it")


@contextlib.asynccontextmanager
async def judging(settings: TokenSettings) -> AsyncIterator[Tokens]:
    """Tokens can be judged meanwhile; the issuer's keys are kept up to date."""
    tokens = Tokens(settings)
    await tokens.refresh()

    async def keep_fresh() -> None:
        while True:
            await asyncio.sleep(REFRESH_AFTER_S)
            await tokens.refresh()

    keeping = asyncio.create_task(keep_fresh(), name="token_keys")
    try:
        yield tokens
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


def _bearer(claims: _Claims) -> Bearer:
    organisations = (claims.org,) if isinstance(claims.org, str) else claims.org
    return Bearer(
        actor=claims.sub,
        organisations=frozenset(organisations),
        role=claims.role,
        units=claims.units or (),
        ends_at=claims.exp,
    )


def _refuse_untimely(claims: _Claims, now: float) -> None:
    if now >= claims.exp + LEEWAY_S:
        raise TokenRefused("it has expired")
    if now < claims.nbf - LEEWAY_S:
        raise TokenRefused("it is not valid yet")


def _usable(content: bytes) -> tuple[jwt.PyJWK, ...]:
    """The keys of a set that we would verify with; PyJWTError if there are none."""
    keys = jwt.PyJWKSet.from_json(content.decode()).keys
    usable = tuple(
        key
        for key in keys
        if key.algorithm_name in ALGORITHMS and key.public_key_use in {None, "sig"}
    )
    if not usable:
        raise jwt.PyJWKSetError(f"no key for one of {', '.join(ALGORITHMS)}")
    return usable[:KEYS_MAX]
