"""An issuer of tokens for tests: its keys, and tokens with any claims."""

import json
import time
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from services.http.settings import TokenSettings

NAME: Final = "https://issuer.example"
ALGORITHMS: Final[dict[str, Any]] = {
    "EdDSA": jwt.algorithms.OKPAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "RS256": jwt.algorithms.RSAAlgorithm,
}


class Issuer:
    """Signs what it is told to; its key set is the file `keys`."""

    def __init__(self, keys: Path, algorithm: str = "EdDSA", key_id: str = "k-1") -> None:
        self.keys = keys
        self.algorithm = algorithm
        self.key_id = key_id
        self.private = _private_key(algorithm)
        self.publish(self.public())

    @property
    def settings(self) -> TokenSettings:
        return TokenSettings(keys=str(self.keys), issuer=NAME)

    def public(self) -> dict[str, Any]:
        """The public key as a JWK."""
        jwk = ALGORITHMS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        return {**jwk, "kid": self.key_id, "alg": self.algorithm, "use": "sig"}

    def publish(self, *keys: dict[str, Any]) -> None:
        self.keys.write_text(json.dumps({"keys": keys}))

    def token(self, organisation: str | list[str] = "acme", /, **claims: Any) -> str:
        """Of an admin, unless told otherwise; a claim that is None is left out."""
        usual = {
            "iss": NAME,
            "aud": "goal-ledger",
            "exp": time.time() + 600,
            "sub": "u-17",
            "org": organisation,
            "role": "admin",
        }
        told = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(told, self.private, self.algorithm, headers={"kid": self.key_id})


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _private_key(algorithm: str) -> Any:
    match algorithm:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
