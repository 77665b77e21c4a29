"""What goes out by itself: when it is due, and once, whatever happens in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock
from uuid import uuid4

import msgspec
import pytest
from goal_contracts import codec, events, messages, subjects
from goal_contracts.codec import AlertMessage
from goal_contracts.policy import Policy
from jsonschema import Draft202012Validator
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.projections import queries
from services.projections.feed import Feed
from services.projections.outbox import CONTENT_TYPE, MESSAGE_ID, Outbox
from services.projections.queries import Questions
from services.projections.view_store import service_schema
from services.projections.view_store.engines import open_sqlite
from services.projections.view_store.sent import TAKEN_FOR, Sent
from services.projections.view_store.store import StoreUnavailable, ViewStore
from services.projections.views.due import week_due
from tests.projections.company import at
from tests.projections.log import Log, append, make_stream, store_at
from tests.projections.test_alerts import pursued, said
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

ALERT_SCHEMA: Final = Draft202012Validator(
    messages.schemas()["alerts/Alert.v1.json"],
    format_checker=Draft202012Validator.FORMAT_CHECKER,
)
MINUTE: Final = timedelta(minutes=1)


class Place:
    """A stream, its views, and somebody who hears the alerts of its organisation."""

    def __init__(self, client: Client, stream: str, organisation_id: str, home: Path) -> None:
        self.client, self.stream, self.organisation_id = client, stream, organisation_id
        self.home = home
        self.heard: list[AlertMessage] = []
        self.ids: list[str] = []
        self.store = self._open()
        self.service = open_sqlite(home / "service.sqlite", waits_for_disk=True)
        service_schema.metadata.create_all(self.service)
        self.log = Log()
        self._feed: Feed | None = None
        self._following: asyncio.Task[None] | None = None

    def _open(self) -> ViewStore:
        return store_at(f"sqlite:///{self.home / 'views.sqlite'}", self.stream)

    async def listen(self) -> None:
        async def take(message: Msg) -> None:
            self.heard.append(codec.decode_alert(message.data))
            headers = message.headers or {}
            assert headers[CONTENT_TYPE] == codec.CONTENT_TYPE
            ALERT_SCHEMA.validate(msgspec.json.decode(message.data))
            self.ids.append(headers[MESSAGE_ID])

        await self.client.subscribe(subjects.alert(self.organisation_id, "*"), cb=take)

    async def happens(self, log: Log) -> None:
        """What is new in a log, as this organisation's."""
        for recorded in log[len(self.log) :]:
            event = recorded.event
            if isinstance(event, events.OrganisationEvent):
                event = replace(event, organisation_id=self.organisation_id)
            ours = replace(
                recorded,
                organisation_id=self.organisation_id,
                event=event,
                goal_id=event.goal_id
                if isinstance(event, events.OrganisationEvent)
                else recorded.goal_id,
            )
            await append(self.client, ours)
            self.log.append(ours)

    def outbox(self, sent: Sent | None = None, **more: Any) -> Outbox:
        """One that has just started."""
        if self._feed is None:
            self._feed = Feed(self.client, self.stream, self.store)
            self._following = asyncio.create_task(self._feed.run())
        return Outbox(
            self.client,
            self.stream,
            self._feed,
            Questions(self._feed, self.store.engine),
            sent or Sent(self.service),
            alerts=more.get("alerts", True),
            reports=more.get("reports"),
        )

    async def restart(self, *, anew: bool = False) -> None:
        """The service starts again on what it kept, or with its views to be read anew."""
        await self.stop()
        for file in self.home.glob("views.sqlite*") if anew else ():
            file.unlink()
        self.store = self._open()

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        self._feed = self._following = None
        self.store.close()

    def told(self) -> list[str]:
        return [each.id for each in self.heard]


@pytest.fixture
async def place(nats_client: Client, tmp_path: Path) -> AsyncIterator[Place]:
    organisation_id = f"o-{uuid4().hex[:8]}"
    stream = await make_stream(nats_client, organisation_id)
    place = Place(nats_client, stream, organisation_id, tmp_path)
    await place.listen()
    try:
        yield place
    finally:
        await place.stop()
        place.service.dispose()


# ------------------------------------------------------------------ alerts


async def test_an_alert_is_told_once_to_its_owner_and_says_what_it_is_of(place: Place) -> None:
    await place.happens(pursued())
    outbox = place.outbox()
    assert await outbox.send_what_is_due(at(7, 7)) == 0
    assert await outbox.send_what_is_due(at(7, 8)) == 1
    assert await outbox.send_what_is_due(at(7, 9)) == 0
    assert await eventually(lambda: len(place.heard) == 1)
    (message,) = place.heard
    assert message.id == "check_in_late:key_result/kr:2025-07-01"
    assert message.source == f"/goals/{place.organisation_id}"
    assert (message.subject, message.data.owner) == ("key_result/kr", "ada")
    assert (message.position, message.time) == (len(place.log), at(7, 8))
    assert place.ids == [f"{place.organisation_id} {message.id}"]


async def test_alerts_are_looked_for_with_rests_until_the_service_stops(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest, rests = Mock(), Mock()
    rests.return_value = rest
    monkeypatch.setattr(queries, "rests", rests)
    await place.happens(pursued())
    outbox = place.outbox()
    await outbox.send_what_is_due(at(7, 8))
    assert rest.called
    (wait,) = rests.call_args.args
    assert not wait(0.001)
    outbox._questions.close()
    assert wait(60)  # at once


async def test_another_fact_is_told_beside_it(place: Place) -> None:
    await place.happens(pursued())
    outbox = place.outbox()
    await outbox.send_what_is_due(at(7, 8))
    await outbox.send_what_is_due(at(7, 12))
    assert await eventually(lambda: len(place.heard) == 3)
    assert [each.partition(":")[0] for each in place.told()] == [
        "check_in_late",
        "behind_pace",
        "check_in_overdue",
    ]


async def test_neither_a_start_nor_a_rebuild_tells_anything_again(place: Place) -> None:
    await place.happens(pursued())
    assert await place.outbox().send_what_is_due(at(7, 8)) == 1
    await place.restart()
    assert await place.outbox().send_what_is_due(at(7, 9)) == 0
    await place.restart(anew=True)
    assert place.store.position() == 0  # it is read anew
    assert await place.outbox().send_what_is_due(at(7, 9)) == 0
    assert await eventually(lambda: len(place.heard) == 1)


class ForgetsOnce(Sent):
    """A service that dies after it sent and before it remembers."""

    def remember(self, *asked: Any) -> None:
        raise StoreUnavailable("killed")


async def test_who_dies_between_sending_and_remembering_tells_once_more_under_the_same_id(
    place: Place,
) -> None:
    await place.happens(pursued())
    now = at(7, 8)
    with pytest.raises(StoreUnavailable):
        await place.outbox(ForgetsOnce(place.service)).send_what_is_due(now)
    await place.restart()
    assert await place.outbox().send_what_is_due(now + TAKEN_FOR - MINUTE) == 0
    assert await place.outbox().send_what_is_due(now + TAKEN_FOR) == 1
    assert await place.outbox().send_what_is_due(now + 2 * TAKEN_FOR) == 0
    assert await eventually(lambda: len(place.heard) == 2)
    assert len(set(place.told())) == len(set(place.ids)) == 1


async def test_of_two_services_at_once_one_tells(place: Place) -> None:
    await place.happens(pursued())
    one, other = place.outbox(), place.outbox()
    went_out = await asyncio.gather(
        one.send_what_is_due(at(7, 8)), other.send_what_is_due(at(7, 8))
    )
    assert sorted(went_out) == [0, 1]
    assert await eventually(lambda: len(place.heard) == 1)


async def test_views_that_are_behind_the_log_raise_no_false_alarm(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.projections.outbox.CATCH_UP_S", 0.05)
    log = pursued()
    await place.happens(log)
    outbox = place.outbox()
    feed = place._feed
    assert feed is not None
    assert await feed.reaches(len(log), 5)
    await place.stop()  # the check-in comes when nobody reads
    log.add(said("a", at(7, 6)), known_at=at(7, 6))
    await place.happens(log)
    assert await outbox.send_what_is_due(at(7, 9)) == 0
    await place.restart()
    assert await place.outbox().send_what_is_due(at(7, 9)) == 0
    assert place.heard == []


async def test_while_history_is_imported_nobody_is_told(place: Place) -> None:
    log = pursued()
    log.add(events.HistoryImportStarted("acme", "i", "s", "d"))
    await place.happens(log)
    assert await place.outbox().send_what_is_due(at(7, 9)) == 0
    log.add(events.HistoryImportFinished("acme", "i", "completed"))
    await place.happens(log)
    assert await place.outbox().send_what_is_due(at(7, 9)) == 1


# ------------------------------------------------------------------ reports


@pytest.mark.parametrize(
    ("now", "week"),
    [
        # Monday, 7 July 2025, at seven in Berlin is five o'clock UTC.
        (datetime(2025, 7, 7, 4, 59, 59, tzinfo=UTC), "2025-W26"),
        (datetime(2025, 7, 7, 5, 0, tzinfo=UTC), "2025-W27"),
        (datetime(2025, 7, 13, 23, 0, tzinfo=UTC), "2025-W27"),
        # In winter it is six, and the year's first days belong to a week of the year before.
        (datetime(2027, 1, 4, 5, 59, tzinfo=UTC), "2026-W52"),
        (datetime(2027, 1, 4, 6, 0, tzinfo=UTC), "2026-W53"),
        # The clock goes back on Sunday, 26 October: its week is over an hour later than usual.
        (datetime(2025, 10, 27, 5, 30, tzinfo=UTC), "2025-W42"),
        (datetime(2025, 10, 27, 6, 0, tzinfo=UTC), "2025-W43"),
    ],
)
async def test_a_weeks_digest_is_due_on_monday_at_seven_where_the_organisation_is(
    now: datetime, week: str
) -> None:
    assert week_due(now, "Europe/Berlin").name == week


async def test_a_digest_is_written_once_and_the_next_one_a_week_later(
    place: Place, tmp_path: Path
) -> None:
    await place.happens(pursued())
    outbox = place.outbox(alerts=False, reports=tmp_path / "out")
    written = tmp_path / "out" / place.organisation_id
    assert await outbox.send_what_is_due(datetime(2025, 7, 6, tzinfo=UTC)) == 0
    assert await outbox.send_what_is_due(datetime(2025, 7, 7, 6, tzinfo=UTC)) == 1
    assert sorted(written.iterdir()) == [
        written / f"week-2025-W27.{output_format}" for output_format in ("html", "md", "pdf")
    ]
    assert "Acme" in (written / "week-2025-W27.md").read_text()
    assert (written / "week-2025-W27.pdf").read_bytes().startswith(b"%PDF")
    (written / "week-2025-W27.md").unlink()  # whoever took it has it
    await place.restart()
    outbox = place.outbox(alerts=False, reports=tmp_path / "out")
    assert await outbox.send_what_is_due(datetime(2025, 7, 8, tzinfo=UTC)) == 0
    assert not (written / "week-2025-W27.md").exists()
    assert await outbox.send_what_is_due(datetime(2025, 7, 14, 6, tzinfo=UTC)) == 1
    assert (written / "week-2025-W28.md").exists()


async def test_a_closed_cycle_is_reported_once_for_each_closing(
    place: Place, tmp_path: Path
) -> None:
    log = pursued()
    log.add(events.KeyResultWaived("kr", reason="no data"), known_at=at(10, 2))
    log.add(events.ObjectiveGraded("uptime", outcome="missed"))
    await place.happens(log)
    outbox = place.outbox(alerts=False, reports=tmp_path)
    written = tmp_path / place.organisation_id

    def cycles() -> list[str]:
        return sorted(file.name for file in written.glob("cycle-*.md"))

    await outbox.send_what_is_due(at(10, 3))
    assert cycles() == []
    log.add(events.CycleClosed("q3", policy=Policy()), known_at=at(10, 4))
    await place.happens(log)
    await outbox.send_what_is_due(at(10, 5))
    await outbox.send_what_is_due(at(10, 5))
    first = f"cycle-q3-{len(log)}.md"
    assert cycles() == [first]
    assert "Third quarter" in (written / first).read_text()
    log.add(events.CycleReopened("q3", reason="one late number"), known_at=at(10, 6))
    log.add(events.CycleClosed("q3", policy=Policy()), known_at=at(10, 7))
    await place.happens(log)
    await outbox.send_what_is_due(at(10, 8))
    assert cycles() == sorted([first, f"cycle-q3-{len(log)}.md"])


async def test_a_service_that_starts_late_does_not_tell_of_closings_long_ago(
    place: Place, tmp_path: Path
) -> None:
    log = pursued()
    log.add(events.CycleClosed("q3", policy=Policy()), known_at=at(10, 4))
    await place.happens(log)
    outbox = place.outbox(alerts=False, reports=tmp_path)
    await outbox.send_what_is_due(datetime(2026, 1, 7, tzinfo=UTC))
    assert list((tmp_path / place.organisation_id).glob("cycle-*")) == []
