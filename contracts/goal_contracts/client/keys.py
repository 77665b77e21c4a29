"""Nkeys: who holds the seed proves it by a signature; the server knows the public key only."""

from pathlib import Path
from typing import TypedDict

import nkeys

from goal_contracts.subjects import INBOX_PREFIX


class KeyUnusable(Exception):
    """A key file that is no seed of a user, or cannot be read; says how to mend it."""


class Identity(TypedDict, total=False):
    """Who connects, as nats-py is told: with replies that nobody else can listen to."""

    nkeys_seed: str
    inbox_prefix: str


def identity(nkey: Path | None) -> Identity:
    """The holder of the seed in a file; KeyUnusable if there is none in it. No file, nobody."""
    if nkey is None:
        return {}
    return {"nkeys_seed": str(nkey), "inbox_prefix": inbox_prefix(public_key(nkey))}


def public_key(file: Path) -> str:
    """The public key of the seed in a file; KeyUnusable if there is none in it."""
    try:
        return public_of(file.read_bytes().strip())
    except (OSError, ValueError, nkeys.NkeysError) as error:
        raise KeyUnusable(
            f"{file} holds no seed of a user ({error}): remove it and make a new one"
        ) from error


def public_of(seed: bytes) -> str:
    """The public key of a seed."""
    pair = nkeys.from_seed(bytearray(seed))
    try:
        public: bytes = pair.public_key
    finally:
        pair.wipe()
    return public.decode()


def inbox_prefix(public: str) -> str:
    """What a user's library has to be told, so that nobody else can listen to its replies."""
    return f"{INBOX_PREFIX}{public}"
