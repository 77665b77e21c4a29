"""The published contracts: a page for people, and the documents for their programs."""

from typing import Any, Final

from goal_contracts import documents
from litestar import Request, Response, get

from services.http.problems import NoAnswer

STYLED: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The page brings its own style, and nothing else."""


@get([documents.PLACE, f"{documents.PLACE}/{{path:path}}"], sync_to_thread=False)
def contracts(request: Request[Any, Any, Any]) -> Response[bytes]:
    """What stands at a path below /contracts; whoever reaches the door may read it."""
    found = documents.served(str(request.path_params.get("path", "")))
    if found is None:
        raise NoAnswer("not_found", "no document is there: schemas/index.json names them all")
    headers = {"content-security-policy": STYLED, "cache-control": "no-cache"}
    return Response(found.content, media_type=found.media_type, headers=headers)
