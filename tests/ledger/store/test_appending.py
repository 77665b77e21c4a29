"""Appending to the log: the expectation lets one win, a group is stored as a whole or not."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from services.ledger.store import log as store_log
from services.ledger.store.log import (
    BATCH_EVENTS_MAX,
    BATCH_ID,
    PAYLOAD_BYTES_MAX,
    Ahead,
    AppendRefused,
    Conflict,
    GoalLog,
    OutcomeUnknown,
    Outgoing,
    connect,
    version_of,
)
from tests.ledger.store.own_stream import (
    event,
    events,
    everything,
    own_log,
    own_settings,
    payloads,
)

pytestmark = pytest.mark.anyio


async def test_a_lone_event_and_a_group_get_the_next_positions(nats_url: str) -> None:
    async with own_log(nats_url) as log:
        assert await log.append(events(log, 1), expected_last=0) == 1
        assert await log.append(events(log, 3, first=2), expected_last=1) == 4
        stored = await everything(log)
        assert [message.position for message in stored] == [1, 2, 3, 4]
        assert [version_of(message) for message in stored] == [1, 2, 3, 4]
        assert [message.payload for message in stored] == [
            f"event {number}".encode() for number in range(1, 5)
        ]


async def test_the_largest_group_and_the_largest_event_fit(nats_url: str) -> None:
    async with own_log(nats_url) as log:
        assert await log.append(events(log, BATCH_EVENTS_MAX), 0) == BATCH_EVENTS_MAX
        largest = event(log, "x" * PAYLOAD_BYTES_MAX)
        assert await log.append([largest, largest], BATCH_EVENTS_MAX) == BATCH_EVENTS_MAX + 2


async def test_what_can_never_be_stored_is_not_sent(nats_url: str) -> None:
    async with own_log(nats_url) as log:
        for impossible in (
            [],
            events(log, BATCH_EVENTS_MAX + 1),
            [event(log, "x" * (PAYLOAD_BYTES_MAX + 1))],
        ):
            with pytest.raises(ValueError, match=r"1 to 1000|at most"):
                await log.append(impossible, 0)
        assert await log.last_position() == 0


@pytest.mark.parametrize("count", [1, 5])
async def test_of_two_who_expect_the_same_position_one_wins(nats_url: str, count: int) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as ours, own_log(nats_url, settings) as theirs:
        outcomes = await asyncio.gather(
            ours.append([event(ours, "ours")] * count, 0),
            theirs.append([event(theirs, "theirs")] * count, 0),
            return_exceptions=True,
        )
        winner = "ours" if outcomes[0] == count else "theirs"
        [loss] = [outcome for outcome in outcomes if outcome != count]
        assert isinstance(loss, Conflict)
        assert loss.actual in {count, None}
        assert await payloads(ours) == [winner] * count


@pytest.mark.parametrize("count", [1, 5])
async def test_a_wrong_expectation_stores_nothing(nats_url: str, count: int) -> None:
    async with own_log(nats_url) as log:
        await log.append(events(log, 3), 0)
        for wrong in (0, 2, 4):
            with pytest.raises(Conflict) as conflict:
                await log.append(events(log, count, first=4), wrong)
            assert conflict.value.actual == 3
        assert await log.last_position() == 3


async def test_a_group_with_one_refused_event_stores_nothing(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_log, "PAYLOAD_BYTES_MAX", 100_000)
    async with own_log(nats_url) as log:
        group = events(log, 5)
        group[2] = event(log, "x" * 70_000, 3)
        with pytest.raises(AppendRefused):
            await log.append(group, 0)
        assert await log.last_position() == 0
        assert await log.append(events(log, 5), 0) == 5


async def test_under_contention_every_acknowledged_group_is_stored_once_and_whole(
    nats_url: str,
) -> None:
    settings = own_settings()
    acknowledged: Counter[str] = Counter()

    async def writer(name: str) -> None:
        async with own_log(nats_url, settings) as log:
            for number in range(10):
                payload = f"{name}-{number}"
                for _ in range(200):
                    last = await log.last_position()
                    try:
                        await log.append([event(log, payload)] * 3, last)
                    except Conflict:
                        continue
                    acknowledged[payload] += 3
                    break

    await asyncio.gather(*(writer(name) for name in "abcd"))
    async with own_log(nats_url, settings) as log:
        stored = await payloads(log)
    assert sum(acknowledged.values()) == 120
    assert Counter(stored) == acknowledged
    groups = [stored[start : start + 3] for start in range(0, len(stored), 3)]
    assert all(len(set(group)) == 1 for group in groups)


async def sent_in_turn(log: GoalLog, group: Sequence[Outgoing], expected_last: int) -> int:
    answered = asyncio.Event()
    sent = log.send(group, expected_last, answered.set, together=False)
    async with asyncio.timeout(10):
        await answered.wait()
    return sent.result()


async def test_events_may_be_sent_in_turn(nats_url: str) -> None:
    async with own_log(nats_url) as log:
        assert await sent_in_turn(log, events(log, 1), 0) == 1
        assert await sent_in_turn(log, events(log, 6, first=2), 1) == 7
        stored = await everything(log)
        assert [version_of(message) for message in stored] == [1, 2, 3, 4, 5, 6, 7]
        assert not any(BATCH_ID in message.headers for message in stored)
        assert await payloads(log) == [f"event {number}" for number in range(1, 8)]


async def test_of_events_sent_in_turn_none_is_stored_after_one_that_is_not(nats_url: str) -> None:
    async with own_log(nats_url) as log:
        await log.append(events(log, 3), 0)
        # The second would stand where it expects to, if it were sent without the first.
        with pytest.raises(Conflict) as conflict:
            await sent_in_turn(log, events(log, 4), 2)
        assert (conflict.value.expected, conflict.value.actual) == (2, 3)
        one, two, three = events(log, 3, first=4)
        # The stream's limit counts the headers, too.
        large = replace(two, payload=b"x" * PAYLOAD_BYTES_MAX, version=10**500)
        with pytest.raises(AppendRefused):
            await sent_in_turn(log, [one, large, three], 3)
        assert await payloads(log) == ["event 1", "event 2", "event 3", "event 4"]


async def committed(
    log: GoalLog, ahead: Ahead, group: Sequence[Outgoing], expected_last: int
) -> int:
    answered = asyncio.Event()
    sent = log.send(group, expected_last, answered.set, ahead=ahead)
    async with asyncio.timeout(10):
        await answered.wait()
    return sent.result()


async def test_most_of_a_group_may_be_sent_before_what_it_stands_on_is_stored(
    nats_url: str,
) -> None:
    async with own_log(nats_url) as log:
        group = events(log, 9, first=4)
        ahead = log.ahead(3)
        ahead.send(group[:4])
        ahead.send(group[:1])
        ahead.send(group[:7])
        assert ahead.count == 6
        assert await log.append(events(log, 3), 0) == 3
        assert await log.last_position() == 3
        assert await committed(log, ahead, group, 3) == 12
        assert await payloads(log) == [f"event {number}" for number in range(1, 13)]


async def test_what_was_sent_ahead_is_nothing_until_its_end_is_sent(nats_url: str) -> None:
    async with own_log(nats_url) as log:
        given_up = log.ahead(0)
        given_up.send([event(log, "given up")] * 5)
        assert await log.append(events(log, 3), 0) == 3
        assert await log.append(events(log, 1, first=4), 3) == 4
        assert await payloads(log) == [f"event {number}" for number in range(1, 5)]


async def test_what_was_sent_ahead_loses_its_place_to_who_is_faster(nats_url: str) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as ours, own_log(nats_url, settings) as theirs:
        ahead = ours.ahead(1)
        group = [event(ours, "ours")] * 5
        ahead.send(group)
        assert await theirs.append([event(theirs, "theirs")] * 4, 0) == 4
        with pytest.raises(Conflict):
            await committed(ours, ahead, group, 1)
        assert await payloads(ours) == ["theirs"] * 4


async def test_of_what_was_sent_ahead_no_part_may_be_lost(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with own_log(nats_url) as log:
        ahead = log.ahead(0)
        group = events(log, 9)
        ahead.send(group[:4])
        with monkeypatch.context() as lost:
            lost.setattr(log.outbox, "put", lambda *_: None)
            ahead.send(group[:7])
        with pytest.raises(AppendRefused):
            await committed(log, ahead, group, 0)
        assert await log.last_position() == 0
        assert await log.append(group, 0) == 9


async def test_where_nobody_takes_appends_the_outcome_is_not_known(nats_url: str) -> None:
    client = await connect(nats_url)
    log = GoalLog(client, "NOWHERE")
    with pytest.raises(OutcomeUnknown, match="nobody listens"):
        await log.append([Outgoing("nowhere.to.be.stored", b"{}", 1)], 0)
    await client.close()
