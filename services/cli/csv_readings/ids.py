"""Ids for what published tables name with words."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

ID_LENGTH_MAX: Final = 64
DISTINCTION_LENGTH: Final = 8

Key = tuple[str, ...]
"""The words that tell one thing from another."""


def ids_of(keys: Iterable[Key]) -> dict[Key, str]:
    """An id for each key; keys that would get the same one are told apart by their digest."""
    slugs = {key: slug_of(*key) for key in keys}
    times: dict[str, int] = {}
    for slug in slugs.values():
        times[slug] = times.get(slug, 0) + 1
    return {key: id_of(key, distinct=times[slug] > 1) for key, slug in slugs.items()}


def id_of(key: Key, *, distinct: bool) -> str:
    """The id of a key; a `distinct` one has its digest in it."""
    slug = slug_of(*key)
    if not distinct and 0 < len(slug) <= ID_LENGTH_MAX:
        return slug
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:DISTINCTION_LENGTH]
    return f"{slug[: ID_LENGTH_MAX - DISTINCTION_LENGTH - 1]}-{digest}".lstrip("-")


def slug_of(*parts: str) -> str:
    """Lower-case letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", "-".join(parts).casefold()).encode("ascii", "ignore")
    return "-".join(re.findall(r"[a-z0-9]+", plain.decode()))
