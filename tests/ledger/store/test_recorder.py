"""The recorder: an originator's version exists once, whoever writes and whatever gets lost."""

import asyncio

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent

from services.embedded.nats_server import NatsServer
from services.ledger.store.log import GoalLog, OutcomeUnknown, Outgoing
from services.ledger.store.recorder import AsyncJetStreamRecorder
from tests.ledger.store.own_stream import own_log, own_settings
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


def stored_event(log: GoalLog, version: int, goal: str = "g-1", state: str = "{}") -> StoredEvent:
    return StoredEvent(
        f"{log.stream.lower()}/objective/{goal}", version, "ObjectiveSet", state.encode()
    )


async def test_two_recorders_on_one_log_store_a_version_once(nats_url: str) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as one, own_log(nats_url, settings) as other:
        recorders = [AsyncJetStreamRecorder(one), AsyncJetStreamRecorder(other)]
        for version in range(1, 11):
            outcomes = await asyncio.gather(
                *(
                    recorder.insert_events([stored_event(one, version, state=f"by {number}")])
                    for number, recorder in enumerate(recorders)
                ),
                return_exceptions=True,
            )
            assert {type(outcome) for outcome in outcomes} == {list, IntegrityError}
        assert await one.last_position() == 10
        assert await recorders[0].select_events(
            stored_event(one, 1).originator_id
        ) == await recorders[1].select_events(stored_event(one, 1).originator_id)


async def test_two_recorders_writing_of_different_goals_both_get_through(nats_url: str) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as one, own_log(nats_url, settings) as other:
        recorders = [AsyncJetStreamRecorder(one), AsyncJetStreamRecorder(other)]
        positions = await asyncio.gather(
            *(
                recorder.insert_events([stored_event(one, version, goal=f"g-{number}")])
                for number, recorder in enumerate(recorders)
                for version in range(1, 11)
            )
        )
        assert sorted(position for [position] in positions) == list(range(1, 21))


async def test_a_lost_acknowledgement_stores_an_event_once(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with own_log(nats_url) as log:
        recorder = AsyncJetStreamRecorder(log)
        append = log.append

        async def unacknowledged(events: list[Outgoing], expected_last: int) -> int:
            monkeypatch.setattr(log, "append", append)
            await append(events, expected_last)
            raise OutcomeUnknown("lost")

        monkeypatch.setattr(log, "append", unacknowledged)
        assert await recorder.insert_events([stored_event(log, 1), stored_event(log, 2)]) == [1, 2]
        assert await recorder.max_notification_id() == 2
        assert await recorder.insert_events([stored_event(log, 3)]) == [3]


async def test_a_log_out_of_reach_is_an_operational_error(own_nats_server: NatsServer) -> None:
    async with own_log(own_nats_server.url) as log:
        recorder = AsyncJetStreamRecorder(log)
        own_nats_server.kill()
        await eventually(lambda: not log.client.is_connected)
        with pytest.raises(OperationalError):
            await recorder.max_notification_id()
