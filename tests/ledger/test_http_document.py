"""The document says what the ledger's door does: whatever it allows is answered as it says."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from goal_contracts.commands import OpenOrganisation

from services.embedded.nats_server import NatsServer
from services.http.settings import HttpSettings
from services.ledger.app import Settings
from services.ledger.http_document import document
from services.ledger.store.streams import StreamSettings
from tests.asking_anything import bounded, described
from tests.issuer import Issuer, bearing
from tests.ledger.http_ledger import a_ledger
from tests.threaded import in_a_thread

pytestmark = pytest.mark.timeout(1_200)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer") / "jwks.json")


@pytest.fixture(scope="module")
def address(nats_server: NatsServer, issuer: Issuer) -> Iterator[str]:
    """Of a ledger of an organisation that was opened; the command types name it acme."""
    name = f"GOALS-{uuid4().hex[:8]}"
    settings = Settings(
        server_url=nats_server.url,
        monitor_url=nats_server.monitor_url,
        stream=StreamSettings(name=name, organisations=("acme",)),
        http=HttpSettings(tokens=issuer.settings),
    )

    @contextlib.asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        async with a_ledger(settings, issuer) as ledger:
            await ledger.post(OpenOrganisation(name="Acme"))
            yield str(ledger.client.base_url)

    with in_a_thread(serving) as address:
        yield address


@described(document(), is_long=True).parametrize()  # type: ignore[untyped-decorator] # schemathesis has it so
@bounded
def test_whatever_is_sent_is_answered_as_the_document_says(
    case: Any, address: str, issuer: Issuer
) -> None:
    if isinstance(case.body, dict) and case.meta.generation.mode.is_positive:
        case.body |= {"organisation": "acme", "id": uuid4().hex}
    case.call_and_validate(base_url=address, headers=bearing(issuer.token()))
