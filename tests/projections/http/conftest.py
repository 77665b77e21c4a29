"""The application on a view store of a small company, served in the test's own event loop."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx
import pytest
from goal_contracts.events import CommentAdded
from nats.aio.client import Client

from services.http.listening import listening
from services.http.settings import HttpSettings
from services.http.tokens import judging
from services.projections.feed import Feed
from services.projections.http.application import application
from services.projections.http.live import LiveEvents
from services.projections.metrics import Metrics, Status
from services.projections.queries import Questions
from services.projections.view_store.store import ViewStore
from tests.issuer import Issuer, bearing
from tests.projections.company import life
from tests.projections.log import NOW, STREAM, Log, fill, view_store

BEFORE = "/api/v1/organisations/acme"


class Served:
    """The projections without a log: events are put into the views by hand."""

    def __init__(self, store: ViewStore, log: Log) -> None:
        self.store = store
        self.log = log
        self.now = NOW
        self.feed = Feed(cast("Client", None), STREAM, store)
        self.questions = Questions(self.feed, store.engine)
        self.live = LiveEvents(self.feed, self.questions, lambda: self.now)

    def happens(self) -> None:
        """One more event in the log, which the views have not read yet."""
        self.log.add(CommentAdded("kpi/kpi", comment_id=f"k-{len(self.log)}", text="hm"))

    def reads(self, count: int | None = None) -> None:
        """The views read that many more events, or all there are."""
        start = self.feed.position
        end = len(self.log) if count is None else start + count
        fill(self.store, self.log[start:end])
        self.feed.position = end
        self.feed._wake()

    def status(self) -> Status:
        at = self.feed.position
        return Status(at, at, 1, is_outdated=False, has_caught_up=True)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer") / "jwks.json")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Shared by the tests of a module, which add events and take none away."""
    store = view_store(tmp_path_factory.mktemp("views"))
    served = Served(store, life())
    served.reads()
    yield served
    store.close()


@contextlib.asynccontextmanager
async def serving(served: Served, issuer: Issuer) -> AsyncIterator[str]:
    """The address where it is served."""
    metrics = Metrics()
    async with judging(issuer.settings) as tokens:
        app = application(
            served.questions,
            served.live,
            tokens,
            metrics.text,
            served.status,
            lambda: served.now,
        )
        async with listening(app, HttpSettings()) as address:
            yield address
            served.live.close()
    served.questions.close()


@pytest.fixture(scope="module")
async def address(served: Served, issuer: Issuer) -> AsyncIterator[str]:
    async with serving(served, issuer) as address:
        yield address


@pytest.fixture(scope="module")
async def client(address: str, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a token for the company."""
    token = issuer.token(exp=NOW.timestamp() + 600)
    async with httpx.AsyncClient(base_url=address, headers=bearing(token)) as client:
        yield client
