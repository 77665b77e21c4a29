"""The published documents as something to be served: a path below /contracts, and what is there."""

from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from goal_contracts import page
from goal_contracts.messages import messages

PLACE: Final = "/contracts"


class Served(NamedTuple):
    """What is sent for a path, and its media type."""

    content: bytes
    media_type: str


def served(path: str, place: str = PLACE) -> Served | None:
    """What stands at a path below the place where the documents are served; None, nothing.

    "" is the page for people; "asyncapi.json"; "schemas/index.json", where every schema is named
    with its `$id` and its path below "schemas/".
    """
    path = path.strip("/")
    if not path:
        return Served(_page(place), "text/html")
    media_type = _media_types().get(path)
    if media_type is None:
        return None
    content = files(__package__).joinpath(*path.split("/")).read_bytes()
    return Served(content, media_type)


@cache
def _page(place: str) -> bytes:
    return page.html(place).encode()


@cache
def _media_types() -> dict[str, str]:
    """Every path there is; no other reaches a file."""
    schemas = {f"schemas/{message.path}": "application/schema+json" for message in messages()}
    return {
        "asyncapi.json": "application/vnd.aai.asyncapi+json;version=3.0.0",
        "schemas/index.json": "application/json",
        **schemas,
    }
