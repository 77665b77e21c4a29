"""The contracts' client, whose troubles are told as this door tells them."""

from pathlib import Path
from typing import Self

from goal_contracts import client as contracts_client
from goal_contracts.client import CONNECT_WAIT_S, WAIT_S
from goal_contracts.codec import CommandMessage
from goal_contracts.queries import Answer, Query
from goal_contracts.replies import Reply

from services.cli.errors import Unreachable, WrongUsage


class Client(contracts_client.Client):
    """One connection; Unreachable and WrongUsage say how to mend it at the command line."""

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        nkey: Path | None = None,
        wait_s: float = WAIT_S,
        connect_wait_s: float = CONNECT_WAIT_S,
    ) -> Self:
        try:
            return await super().connect(
                url, nkey=nkey, wait_s=wait_s, connect_wait_s=connect_wait_s
            )
        except contracts_client.KeyUnusable as error:
            raise WrongUsage(str(error)) from error
        except contracts_client.NotLetIn as error:
            raise Unreachable(f"{error}, --nkey FILE") from error
        except contracts_client.Unreachable as error:
            raise Unreachable(
                f"{error}; start one with `goal-ledger up`, or name one with "
                "--server nats://HOST:PORT"
            ) from error

    async def send(
        self,
        organisation_id: str,
        actor: str,
        message: CommandMessage,
        *,
        wait_s: float | None = None,
    ) -> Reply:
        try:
            return await super().send(organisation_id, actor, message, wait_s=wait_s)
        except contracts_client.Unreachable as error:
            raise Unreachable(str(error)) from error

    async def ask(
        self, organisation_id: str, query: Query, *, wait_s: float | None = None
    ) -> Answer:
        try:
            return await super().ask(organisation_id, query, wait_s=wait_s)
        except contracts_client.Unreachable as error:
            raise Unreachable(str(error)) from error
