"""The contracts' client in the account of an organisation."""

import contextlib

import pytest
from goal_contracts import codec, subjects
from goal_contracts.client import Client, NotLetIn, NotPermitted, Select, follow
from goal_contracts.client.keys import public_key
from goal_contracts.commands import OpenOrganisation

from services.nats_users.keys import kept_key
from tests.nats_users.conftest import HEARD_WITHIN_S, Place

pytestmark = pytest.mark.anyio


async def test_a_subscriber_follows_its_organisation_under_its_consumers_name(place: Place) -> None:
    async with (
        place.guest("ledger") as ledger,
        await Client.connect(place.server.url, nkey=place.seed("sync")) as client,
    ):
        for organisation_id in ("acme", "other"):
            stored = await ledger.client.request(
                subjects.ledger(organisation_id, "kpi", "uptime", "KpiRetired"),
                organisation_id.encode(),
                timeout=HEARD_WITHIN_S,
            )
            assert b'"seq"' in stored.data
        heard = []
        select = Select(kind="kpi")
        following = follow(client, "acme", consumer="sync-1", select=select, until_now=True)
        async with contextlib.aclosing(following) as batches:
            async for batch in batches:
                heard += [event.payload for event in batch]
        assert heard == [b"acme"]


async def test_another_name_or_organisation_is_not_to_be_had(place: Place) -> None:
    async with await Client.connect(place.server.url, nkey=place.seed("sync")) as client:
        for organisation_id, consumer in (("other", "sync-1"), ("acme", "boss-1")):
            following = follow(client, organisation_id, consumer=consumer, until_now=True)
            with pytest.raises(NotPermitted):
                async with contextlib.aclosing(following) as batches:
                    await anext(batches)


async def test_who_is_not_known_is_told_so(place: Place) -> None:
    kept_key(place.seed("nobody"))
    assert public_key(place.seed("nobody")).startswith("U")
    with pytest.raises(NotLetIn):
        await Client.connect(place.server.url, nkey=place.seed("nobody"))


async def test_a_command_of_another_is_refused_at_once(place: Place) -> None:
    async with await Client.connect(place.server.url, nkey=place.seed("u-17")) as client:
        message = codec.command_message(OpenOrganisation(name="Acme"), command_id="c-1")
        with pytest.raises(NotPermitted):
            await client.send("acme", "u-18", message, wait_s=60)
