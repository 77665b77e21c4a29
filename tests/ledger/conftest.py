"""A writer that runs on a stream of its own."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from goal_contracts.commands import OpenOrganisation
from goal_contracts.policy import Policy
from nats.aio.client import Client

from services.ledger.store.log import GoalLog
from services.ledger.store.streams import StreamSettings, ensure_stream
from tests.ledger.on_a_stream import Ledger, running


@pytest.fixture
async def stream_settings(nats_client: Client) -> StreamSettings:
    organisation_id = f"org-{uuid4().hex[:8]}"
    settings = StreamSettings(
        name=f"GOALS-{organisation_id}", organisations=(organisation_id,), unsafe_sync_allowed=True
    )
    await ensure_stream(nats_client, settings)
    return settings


@pytest.fixture
async def ledger(nats_client: Client, stream_settings: StreamSettings) -> AsyncIterator[Ledger]:
    async with running(GoalLog(nats_client, stream_settings.name), stream_settings) as ledger:
        await ledger.ask(OpenOrganisation(name="Acme", policy=Policy(skip_planning=True)))
        yield ledger
