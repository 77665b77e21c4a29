"""Tokens for one's own system: `up` makes a key in its data directory, and signs with nothing else.

DATA/keys/tokens.pem          the key; only its owner may read it
DATA/keys/tokens.jwks.json    its public half, as the services read it
"""

import os
import stat
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from goal_contracts.fields import Role

from services.cli.errors import Failed
from services.http.settings import AUDIENCE, TokenSettings

ISSUER: Final = "urn:goal-ledger:local"
ALGORITHM: Final = "EdDSA"
ONLY_THE_OWNER: Final = 0o600
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def prepare(data: Path) -> TokenSettings:
    """Make the key if there is none yet; what the services have to know of it."""
    keys = _folder(data)
    private = keys / "tokens.pem"
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not private.exists():
        made = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        unfinished = keys / f"tokens.pem.{os.getpid()}"
        unfinished.unlink(missing_ok=True)
        with os.fdopen(
            os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, ONLY_THE_OWNER), "wb"
        ) as file:
            file.write(made)
        unfinished.replace(private)
    key = _read(private)
    public = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwk = {**public, "kid": _key_id(key), "alg": ALGORITHM, "use": "sig"}
    jwks = keys / "tokens.jwks.json"
    jwks.write_bytes(msgspec.json.encode({"keys": [jwk]}))
    return TokenSettings(keys=str(jwks.absolute()), issuer=ISSUER)


def is_prepared(data: Path) -> bool:
    """Whether there is a key to sign with."""
    return (_folder(data) / "tokens.pem").exists()


def token(
    data: Path,
    *,
    actor: str,
    organisation_id: str,
    role: Role,
    units: Sequence[str] = (),
    valid_s: float,
) -> str:
    """A token that the services on that directory accept."""
    key = _read(_folder(data) / "tokens.pem")
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + int(valid_s),
        "sub": actor,
        "org": organisation_id,
        "role": role,
        **({"units": list(units)} if units else {}),
    }
    return jwt.encode(claims, key, ALGORITHM, headers={"kid": _key_id(key)})


def _folder(data: Path) -> Path:
    return data / "keys"


def _read(private: Path) -> Ed25519PrivateKey:
    try:
        with private.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & OTHERS:
                raise Failed(
                    "key-not-private", f"others may read {private}: chmod 600 it, or delete it"
                )
            key = serialization.load_pem_private_key(file.read(), password=None)
    except (OSError, ValueError) as error:
        raise Failed("key-unreadable", f"{private} cannot be read ({error}); delete it") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Failed("key-unreadable", f"{private} is no Ed25519 key; delete it")
    return key


def _key_id(key: Ed25519PrivateKey) -> str:
    return sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]
