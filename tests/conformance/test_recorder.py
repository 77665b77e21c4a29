"""eventsourcing's own recorder test cases, over the JetStream recorder.

Every case that is shipped for aggregate and application recorders runs as it is, and so does the
one that asks whether two groups inserted at once keep apart. Nothing is overridden but what the
cases leave to the recorder under test:

- an originator's id is "<org>/<kind>/<id>", as the log's subjects need it, where the cases take a
  bare UUID by default (`new_originator_id`);
- each case has a stream of its own, because its notification ids must start at 1.

`optional_test_insert_subscribe` is run, too: subscriptions are offered.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest

# The module, not its classes: a class that stands here would be collected.
from eventsourcing.tests import persistence as shipped

from services.ledger.store.recorder import (
    AsyncJetStreamRecorder,
    EventLoopThread,
    JetStreamAggregateRecorder,
    JetStreamRecorder,
)
from tests.ledger.store.own_stream import own_log, own_settings


class OverJetStream(shipped.RecorderTestCase):
    """A stream of its own for each case; the connection lives in a thread beside it."""

    @pytest.fixture(autouse=True)
    def _stream(self, nats_url: str) -> Iterator[None]:
        settings = own_settings()
        self.organisation = settings.organisations[0]
        with EventLoopThread() as loop_thread:
            self.loop: asyncio.AbstractEventLoop = loop_thread.loop
            opened = AsyncExitStack()
            log = loop_thread.run(opened.enter_async_context(own_log(nats_url, settings)))
            self.recorder = AsyncJetStreamRecorder(log)
            yield
            loop_thread.run(opened.aclose())

    def new_originator_id(self) -> str:
        return f"{self.organisation}/objective/{uuid4()}"


class TestAggregateRecorder(OverJetStream, shipped.AggregateRecorderTestCase):
    def create_recorder(self) -> JetStreamAggregateRecorder:
        return JetStreamAggregateRecorder(self.recorder, self.loop)


class TestApplicationRecorder(
    OverJetStream, shipped.ApplicationRecorderTestCase[JetStreamRecorder]
):
    def create_recorder(self) -> JetStreamRecorder:
        return JetStreamRecorder(self.recorder, self.loop)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestGroupsKeepApart(OverJetStream, shipped.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> JetStreamRecorder:
        return JetStreamRecorder(self.recorder, self.loop)


def test_no_shipped_case_is_overridden() -> None:
    for ours in (TestAggregateRecorder, TestApplicationRecorder, TestGroupsKeepApart):
        inherited: dict[str, Any] = {
            name: method
            for base in ours.__mro__
            if base.__module__ == shipped.__name__
            for name, method in vars(base).items()
            if name.startswith("test")
        }
        assert inherited
        assert not inherited.keys() & vars(ours).keys()
