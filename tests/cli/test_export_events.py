"""`export events` reads the stream itself: verbatim, in order, and never across a gap."""

import asyncio
from collections.abc import Sequence

import nats
import pytest
from click.testing import Result
from goal_contracts import codec, subjects
from goal_contracts.client.stream import StreamInfo, api_request
from goal_contracts.codec import Recorded
from goal_contracts.events import UnitRenamed

from services.embedded.nats_server import NatsServer
from tests.cli.answers import at
from tests.cli.running import goal_ledger


def event(position: int, organisation: str) -> Recorded:
    moment = at("2025-08-14")
    return Recorded(
        position=position,
        event_id=f"e-{position}",
        organisation_id=organisation,
        kind="unit",
        goal_id="shop",
        recorded_at=moment,
        known_at=moment,
        effective_at=moment,
        actor="ada",
        command_id=f"c-{position}",
        event=UnitRenamed(unit_id="shop", name_was="Shop", name=f"Web shöp {position}"),
    )


LOG = [event(1, "acme"), event(2, "other"), event(3, "acme")]


def store(server: NatsServer, log: Sequence[Recorded], *, lost: int | None = None) -> None:
    """Writes a log, and loses a position of it as no ledger's stream would allow."""

    async def write() -> None:
        client = await nats.connect(server.url)
        config = {"name": subjects.STREAM, "subjects": [subjects.LEDGER]}
        await api_request(client, f"STREAM.CREATE.{subjects.STREAM}", StreamInfo, config)
        for recorded in log:
            subject = subjects.ledger(recorded.organisation_id, "unit", "shop", recorded.type)
            await client.request(subject, codec.encode_event(recorded), timeout=5)
        if lost is not None:
            delete = f"STREAM.MSG.DELETE.{subjects.STREAM}"
            await api_request(client, delete, StreamInfo, {"seq": lost})
        await client.close()

    asyncio.run(write())


def export(server: NatsServer, *more: str) -> Result:
    return goal_ledger("export", "events", "--server", server.url, "--wait", "5", *more)


def line(recorded: Recorded) -> bytes:
    stored = codec.encode_event(recorded)
    return b'{"position":%d,"event":%b}' % (recorded.position, stored)


@pytest.mark.parametrize(("more", "positions"), [((), (1, 3)), (("--all",), (1, 2, 3))])
def test_each_event_is_written_as_it_is_stored(
    own_nats_server: NatsServer, more: tuple[str, ...], positions: tuple[int, ...]
) -> None:
    store(own_nats_server, LOG)
    result = export(own_nats_server, *more)
    assert result.exit_code == 0
    assert result.stdout_bytes.splitlines() == [line(LOG[position - 1]) for position in positions]


def test_a_missing_position_ends_the_export(own_nats_server: NatsServer) -> None:
    store(own_nats_server, LOG, lost=2)
    result = export(own_nats_server)
    assert result.exit_code == 1
    assert result.stderr.startswith("broken-log: position 2 is missing from the log")


def test_an_empty_log_is_exported_as_nothing(own_nats_server: NatsServer) -> None:
    store(own_nats_server, [])
    result = export(own_nats_server)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_a_server_without_a_log_is_unreachable(own_nats_server: NatsServer) -> None:
    result = export(own_nats_server)
    assert result.exit_code == 3
    assert result.stderr.startswith("unreachable: the log cannot be read: ")


def test_an_organisation_that_is_not_there_is_an_error(own_nats_server: NatsServer) -> None:
    store(own_nats_server, LOG)
    result = export(own_nats_server, "--org", "nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("not_found: there is no organisation nobody")
