"""Who may do what on the nats-server, as the server itself sees it."""

import itertools
from typing import Any, Final

import msgspec
import nats.errors
import pytest
from goal_contracts import codec, subjects
from goal_contracts.client.flushing import flushed
from goal_contracts.client.keys import inbox_prefix, public_key
from goal_contracts.client.stream import Pace
from goal_contracts.commands import OpenOrganisation
from goal_contracts.subjects import IMPORTED_API
from nats.aio.msg import Msg

from services.ledger.handlers import clock, read_request
from services.nats_users import keys
from services.reading_apart import ReadingApart
from tests.nats_users.conftest import EVERYBODY, HEARD_WITHIN_S, Guest, Place, heard, last_position

pytestmark = pytest.mark.anyio

FORGED: Final = subjects.ledger("acme", "objective", "o-1", "ObjectiveDropped")
FAKE: Final = subjects.event("acme", "objective", "o-1", "ObjectiveDropped")
CHANGES: Final = (
    "STREAM.UPDATE.GOALS",
    "STREAM.DELETE.GOALS",
    "STREAM.PURGE.GOALS",
    "STREAM.RESTORE.GOALS",
    "STREAM.MSG.DELETE.GOALS",
    "STREAM.PEER.REMOVE.GOALS",
    "CONSUMER.DURABLE.CREATE.GOALS.sync-1",
)
PUBLISHES: Final = {
    # who: what they may, what they may not
    "ledger": (
        [FORGED, "$JS.API.STREAM.INFO.GOALS"],
        [FAKE, "goals.command.acme.u-17.CheckIn", "goals.query.acme.AsOf"],
    ),
    "projections": (
        ["$JS.API.CONSUMER.CREATE.GOALS", "goals.alert.acme.u-17"],
        [FORGED, FAKE, "goals.command.acme.u-17.CheckIn", "$JS.API.STREAM.CREATE.GOALS"],
    ),
    "u-17": (
        ["goals.command.acme.u-17.CheckIn", "goals.query.acme.AsOf"],
        [
            FORGED,
            FAKE,
            "goals.command.acme.u-18.CheckIn",
            "goals.command.other.u-17.CheckIn",
            "goals.query.other.AsOf",
            "goals.alert.acme.u-18",
            f"{IMPORTED_API}.CONSUMER.CREATE.GOALS.sync-1.goals.ledger.acme.>",
            f"{IMPORTED_API}.CONSUMER.MSG.NEXT.GOALS.sync-1",
            "_R_.anything",
        ],
    ),
    "sync": (
        [
            "goals.query.acme.AsOf",
            f"{IMPORTED_API}.CONSUMER.CREATE.GOALS.sync-1.goals.ledger.acme.>",
            f"{IMPORTED_API}.CONSUMER.CREATE.GOALS.sync-2.goals.ledger.acme.kpi.>",
            f"{IMPORTED_API}.CONSUMER.MSG.NEXT.GOALS.sync-1",
        ],
        [
            FORGED,
            FAKE,
            "goals.command.acme.sync.CheckIn",
            "goals.query.other.AsOf",
            f"{IMPORTED_API}.CONSUMER.CREATE.GOALS.sync-1.goals.ledger.other.>",
            f"{IMPORTED_API}.CONSUMER.CREATE.GOALS.sync-1.goals.ledger.>",
            f"{IMPORTED_API}.CONSUMER.CREATE.GOALS.boss-1.goals.ledger.acme.>",
            f"{IMPORTED_API}.CONSUMER.MSG.NEXT.GOALS.boss-1",
            f"{IMPORTED_API}.CONSUMER.DELETE.GOALS.boss-1",
            f"{IMPORTED_API}.STREAM.INFO.GOALS",  # it names the goals of all organisations
            f"{IMPORTED_API}.DIRECT.GET.GOALS",
        ],
    ),
    "boss": (
        ["goals.command.acme.u-18.CheckIn", f"{IMPORTED_API}.CONSUMER.MSG.NEXT.GOALS.boss-1"],
        [FORGED, FAKE, "goals.command.other.u-18.CheckIn"],
    ),
    "spy": (
        ["goals.command.other.spy.CheckIn"],
        [
            FORGED,
            FAKE,
            "goals.command.acme.spy.CheckIn",
            f"{IMPORTED_API}.CONSUMER.CREATE.GOALS.spy-1.goals.ledger.acme.>",
            f"{IMPORTED_API}.CONSUMER.MSG.NEXT.GOALS.sync-1",
        ],
    ),
    "local": (
        ["goals.command.acme.anybody.CheckIn", f"{IMPORTED_API}.STREAM.INFO.GOALS"],
        [FORGED, FAKE],
    ),
}
SUBSCRIBES: Final = {
    "ledger": (["goals.command.>", "_INBOX.>"], ["goals.query.>", "goals.event.>"]),
    "projections": (["goals.query.>"], ["goals.command.>", "goals.event.>", "goals.ledger.>"]),
    "u-17": (
        ["goals.alert.acme.u-17"],
        ["goals.alert.acme.*", "goals.command.>", "goals.event.acme.>", "_INBOX.>", ">"],
    ),
    "sync": (
        [
            "goals.alert.acme.*",
            "goals.event.acme.*.*.*",
            "goals.event.acme.kpi.*.KpiReadingRecorded",
        ],
        ["goals.event.>", "goals.event.other.>", "goals.command.acme.>", "_INBOX.>", ">"],
    ),
    "boss": (["goals.event.acme.*.*.*"], ["goals.event.other.>", "goals.query.acme.>"]),
    "spy": (
        ["goals.event.other.*.*.*"],
        ["goals.event.acme.*.*.*", "goals.event.*.*.*.*", "goals.alert.acme.*"],
    ),
    "local": (["goals.event.*.*.*.*"], ["goals.command.>", "goals.query.>", "_INBOX.>"]),
}


@pytest.mark.parametrize("name", PUBLISHES)
async def test_everybody_publishes_what_is_theirs_and_nothing_else(place: Place, name: str) -> None:
    may, may_not = PUBLISHES[name]
    async with place.guest(name) as guest:
        assert [subject for subject in may if not await guest.may_publish(subject)] == []
        assert [subject for subject in may_not if await guest.may_publish(subject)] == []


@pytest.mark.parametrize("name", SUBSCRIBES)
async def test_everybody_hears_what_is_theirs_and_nothing_else(place: Place, name: str) -> None:
    may, may_not = SUBSCRIBES[name]
    async with place.guest(name) as guest:
        assert [subject for subject in may if not await guest.may_subscribe(subject)] == []
        assert [subject for subject in may_not if await guest.may_subscribe(subject)] == []


@pytest.mark.parametrize("name", EVERYBODY)
async def test_nobody_changes_the_stream(place: Place, name: str) -> None:
    async with place.guest(name) as guest:
        for api, change in itertools.product(("$JS.API", IMPORTED_API), CHANGES):
            assert not await guest.may_publish(f"{api}.{change}"), change


async def test_nobody_hears_the_replies_to_another(place: Place) -> None:
    async with place.guest("u-17") as guest:
        other = inbox_prefix(public_key(place.seed("u-18")))
        assert not await guest.may_subscribe(f"{other}.>")


async def test_without_a_known_key_nobody_gets_in(place: Place) -> None:
    stranger = Guest("stranger")
    keys.kept_key(place.seed("stranger"))
    with pytest.raises(nats.errors.Error, match="Authorization"):
        await stranger.connect(place.server, place.seed("stranger"))
    await stranger.client.close()


async def test_no_reply_gets_into_the_log(place: Place) -> None:
    """A reply subject is the sender's to choose, and the server answers there."""
    async with place.guest("ledger") as ledger:

        async def answer(message: Msg) -> None:
            await message.respond(b"an answer")

        await ledger.client.subscribe(subjects.COMMANDS, cb=answer)
        await flushed(ledger.client)
        before = await last_position(ledger)
        for name, (may, _) in PUBLISHES.items():
            if name in {"ledger", "projections"}:
                continue
            async with place.guest(name) as guest:
                for subject in may:
                    await guest.client.publish(subject, b"{}", reply=FORGED)
                await flushed(guest.client)
        assert await last_position(ledger) == before


async def test_what_stands_in_the_log_is_no_command(place: Place) -> None:
    """A consumer may be told to deliver anywhere: what arrives as a command is none."""
    stored = codec.encode({"specversion": "1.0", "id": "1", "type": "CheckIn", "data": {}})
    refused = read_request(subjects.command("acme", "u-18", "CheckIn"), stored, clock())
    assert getattr(refused, "reason", None) == "malformed"


@pytest.mark.parametrize("subject", [FORGED, FAKE, "goals.command.acme.u-18.CheckIn"])
def test_nothing_of_ours_is_a_place_for_replies(subject: str) -> None:
    """Also where one account is for all, and no account is between the sender and the log."""
    assert not subjects.is_for_replies(subject)
    assert subjects.is_for_replies("_INBOX.x.1")
    assert not subjects.is_for_replies("")


async def create_consumer(guest: Guest, name: str, seen: str, /, **config: object) -> Any:
    request = {"stream_name": "GOALS", "config": {"name": name, **config}}
    answer = await guest.client.request(
        f"{IMPORTED_API}.CONSUMER.CREATE.GOALS.{name}.{seen}",
        msgspec.json.encode(request),
        timeout=HEARD_WITHIN_S,
    )
    return msgspec.json.decode(answer.data)


async def test_a_subscriber_reads_the_events_of_its_organisation_only(place: Place) -> None:
    async with place.guest("sync") as guest:
        seen = "goals.ledger.acme.>"
        made = await create_consumer(
            guest, "sync-1", seen, filter_subject=seen, durable_name="sync-1", ack_policy="explicit"
        )
        assert "error" not in made
        arrived: list[Msg] = []

        async def take(message: Msg) -> None:
            arrived.append(message)

        inbox = guest.client.new_inbox()
        await guest.client.subscribe(inbox, cb=take)
        request = {"batch": 1_000, "no_wait": True}
        await guest.client.publish(
            f"{IMPORTED_API}.CONSUMER.MSG.NEXT.GOALS.sync-1",
            msgspec.json.encode(request),
            reply=inbox,
        )
        assert await heard(arrived, made["num_pending"])
        events = [each for each in arrived if each.reply]
        assert {each.subject.split(".")[2] for each in events} == {"acme"}
        assert await guest.may_publish(events[0].reply, b"+ACK")


@pytest.mark.parametrize(
    "config",
    [
        {"filter_subject": "goals.ledger.other.>"},
        {"filter_subject": "goals.ledger.>"},
        {"filter_subjects": ["goals.ledger.acme.>", "goals.ledger.other.>"]},
        {},
    ],
    ids=str,
)
async def test_a_consumer_shows_what_its_subject_says_or_is_refused(
    place: Place, config: dict[str, object]
) -> None:
    async with place.guest("sync") as guest:
        made = await create_consumer(guest, "sync-2", "goals.ledger.acme.>", **config)
        assert "error" in made


async def test_what_is_heard_live_is_in_the_log(place: Place) -> None:
    """Not what was refused, and not what a consumer delivers to a subject of its own choice."""
    async with (
        place.guest("ledger") as ledger,
        place.guest("sync") as guest,
        place.guest("boss") as rogue,
    ):
        arrived: list[Msg] = []

        async def take(message: Msg) -> None:
            arrived.append(message)

        await guest.client.subscribe(subjects.event("acme", "*", "*", "*"), cb=take)
        await flushed(guest.client)
        seen = "goals.ledger.acme.>"
        await create_consumer(
            rogue, "boss-1", seen, filter_subject=seen, deliver_subject=FAKE, ack_policy="none"
        )
        wrong = {"Nats-Expected-Last-Sequence": "0"}
        unit = subjects.ledger("acme", "unit", "team", "UnitDefined")
        refused = await ledger.client.request(unit, b"refused", headers=wrong)
        assert b'"error"' in refused.data
        stored = await ledger.client.request(unit, b"stored")
        position = msgspec.json.decode(stored.data)["seq"]
        assert await heard(arrived, 1)
        assert [(each.data, (each.headers or {}).get("Nats-Sequence")) for each in arrived] == [
            (b"stored", str(position))
        ]


async def test_a_command_reaches_the_ledger_with_its_actor_and_the_reply_the_client(
    place: Place,
) -> None:
    async with place.guest("ledger") as ledger, place.guest("u-17") as guest:

        async def answer(message: Msg) -> None:
            await message.respond(message.subject.encode())

        await ledger.client.subscribe(subjects.COMMANDS, cb=answer)
        await flushed(ledger.client)
        subject = subjects.command("acme", "u-17", "OpenOrganisation")
        message = codec.command_message(OpenOrganisation(name="Acme"), command_id="c-1")
        reply = await guest.client.request(subject, codec.encode(message), timeout=HEARD_WITHIN_S)
        assert reply.data == subject.encode()


@pytest.mark.parametrize(("name", "read"), [("projections", [1, 2]), ("sync", [])])
async def test_who_reads_a_log_apart_is_let_in_by_the_key_of_the_projections(
    place: Place, name: str, read: list[int]
) -> None:
    apart = ReadingApart(place.server.url, place.seed(name))
    reading = apart.read(subjects.STREAM, after=0, until=2, pace=Pace())
    assert [message.position async for batch in reading for message in batch] == read
