"""New key pairs. A seed is a file that only its owner may read; it is never printed or sent."""

import os
import secrets
from pathlib import Path
from typing import Final

import nkeys
from goal_contracts.client.keys import public_key, public_of

SEED_BYTES: Final = 32
OWNER_ONLY: Final = 0o600


def new_key(file: Path) -> str:
    """Write a new seed into a new file; its public key. FileExistsError if it is there already."""
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(SEED_BYTES), nkeys.PREFIX_BYTE_USER)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(seed + b"\n")
    return public_of(seed)


def kept_key(file: Path) -> str:
    """The public key of the seed in a file, which is made if it is missing."""
    try:
        return new_key(file)
    except FileExistsError:
        return public_key(file)
