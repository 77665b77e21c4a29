"""A ledger with an HTTP door, and somebody who asks there."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import msgspec
from goal_contracts import codec
from goal_contracts.commands import Command
from structlog.testing import capture_logs

from services.ledger.app import Settings, serving
from services.ledger.http_document import COMMANDS
from services.ledger.store.log import connect
from tests.issuer import Issuer, bearing


class Ledger:
    """A ledger's HTTP door, and somebody who asks there."""

    def __init__(self, client: httpx.AsyncClient, organisation_id: str, issuer: Issuer) -> None:
        self.client = client
        self.organisation_id = organisation_id
        self.issuer = issuer

    async def post(self, command: Command, command_id: str = "", **claims: Any) -> httpx.Response:
        organisation_id = claims.pop("organisation", self.organisation_id)
        message = codec.command_message(command, command_id=command_id or uuid4().hex)
        body = msgspec.to_builtins(message, builtin_types=(msgspec.Raw,))
        told = {**body, "data": msgspec.json.decode(message.data), "organisation": organisation_id}
        return await self.send(msgspec.json.encode(told), **claims)

    async def send(
        self, body: bytes, media_type: str = "application/json", **claims: Any
    ) -> httpx.Response:
        token = self.issuer.token(self.organisation_id, **claims)
        headers = {**bearing(token), "Content-Type": media_type}
        return await self.client.post(COMMANDS, content=body, headers=headers)


@contextlib.asynccontextmanager
async def a_ledger(settings: Settings, issuer: Issuer) -> AsyncIterator[Ledger]:
    connection = await connect(settings.server_url)
    try:
        with capture_logs() as lines:
            async with serving(connection, settings, stop=lambda: None):
                [address] = [line["address"] for line in lines if line["event"] == "http_listens"]
                async with httpx.AsyncClient(base_url=address) as client:
                    yield Ledger(client, settings.stream.organisations[0], issuer)
    finally:
        await connection.close()
