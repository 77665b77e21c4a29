"""Nkeys: who holds the seed proves it by a signature; the server knows the public key only.

A seed is a file that only its owner may read. It is never printed and never sent.
"""

import os
import secrets
from pathlib import Path
from typing import Final

import nkeys

SEED_BYTES: Final = 32
OWNER_ONLY: Final = 0o600


class KeyUnusable(Exception):
    """A key file that is no seed of a user, or cannot be read or written; says how to mend it."""


def new_key(file: Path) -> str:
    """Write a new seed into a new file; its public key. FileExistsError if it is there already."""
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(SEED_BYTES), nkeys.PREFIX_BYTE_USER)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(seed + b"\n")
    return _public(seed)


def kept_key(file: Path) -> str:
    """The public key of the seed in a file, which is made if it is missing."""
    try:
        return new_key(file)
    except FileExistsError:
        return public_key(file)


def public_key(file: Path) -> str:
    """The public key of the seed in a file; KeyUnusable if there is none in it."""
    try:
        return _public(file.read_bytes().strip())
    except (OSError, ValueError, nkeys.NkeysError) as error:
        raise KeyUnusable(
            f"{file} holds no seed of a user ({error}): remove it and make a new one"
        ) from error


def inbox_prefix(public: str) -> str:
    """What a user's library has to be told, so that nobody else can listen to its replies."""
    return f"_INBOX_{public}"


def _public(seed: bytes) -> str:
    pair = nkeys.from_seed(bytearray(seed))
    try:
        public: bytes = pair.public_key
    finally:
        pair.wipe()
    return public.decode()
