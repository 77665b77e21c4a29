"""A command over HTTP is judged as over NATS; who asks, and what they may, is in the token."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from goal_contracts import codec
from goal_contracts.client.stream import stream_info
from goal_contracts.commands import (
    DefineUnit,
    DraftObjective,
    OpenOrganisation,
    RenameUnit,
)
from goal_contracts.replies import Reason
from nats.aio.client import Client
from structlog.testing import capture_logs

from services.embedded.nats_server import NatsServer
from services.http import problems, tokens
from services.http.settings import HttpSettings
from services.ledger import http as door
from services.ledger import writer
from services.ledger.app import Settings
from services.ledger.http_document import COMMANDS
from services.ledger.store.lease import LeaseSettings
from services.ledger.store.streams import StreamSettings
from tests.issuer import Issuer, bearing
from tests.ledger.http_ledger import Ledger, a_ledger

pytestmark = pytest.mark.anyio


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "jwks.json")


@pytest.fixture
def settings(nats_server: NatsServer, issuer: Issuer) -> Settings:
    organisation_id = f"org-{uuid4().hex[:8]}"
    return Settings(
        server_url=nats_server.url,
        monitor_url=nats_server.monitor_url,
        stream=StreamSettings(name=f"GOALS-{organisation_id}", organisations=(organisation_id,)),
        lease=LeaseSettings(hold_s=10, take_after_s=60),
        http=HttpSettings(tokens=issuer.settings),
    )


@pytest.fixture
async def ledger(settings: Settings, issuer: Issuer) -> AsyncIterator[Ledger]:
    async with a_ledger(settings, issuer) as ledger:
        assert (await ledger.post(OpenOrganisation(name="Acme"))).status_code == 200
        yield ledger


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told["status"] == answer.status_code
    return answer.status_code, told["code"]


async def test_a_command_is_accepted_and_in_the_log_under_its_bearer(
    ledger: Ledger, settings: Settings, nats_client: Client
) -> None:
    answer = await ledger.post(DefineUnit("team", "Team", "team"), "c-1", sub="u-9")
    assert answer.status_code == 200
    assert answer.json() == {"reply": "accepted", "command_id": "c-1", "position": 2, "events": 1}
    stored = await nats_client.jetstream().get_msg(settings.stream.name, 2)
    recorded = codec.decode_event(2, stored.data or b"")
    assert (recorded.actor, recorded.command_id, recorded.type) == ("u-9", "c-1", "UnitDefined")


async def test_a_command_sent_again_is_answered_as_it_was(
    ledger: Ledger, settings: Settings, nats_client: Client
) -> None:
    unit = DefineUnit("team", "Team", "team")
    answers = [await ledger.post(unit, "c-1") for _ in range(3)]
    assert [each.json()["position"] for each in answers] == [2, 2, 2]
    assert (await stream_info(nats_client, settings.stream.name)).state.last_seq == 2


async def test_a_refusal_tells_its_reason_and_what_would_be_accepted(ledger: Ledger) -> None:
    await ledger.post(DefineUnit("team", "Team", "team"))
    answer = await ledger.post(DefineUnit("team", "Other", "team"), "c-2")
    assert problem(answer) == (409, Reason.ID_TAKEN)
    assert answer.json()["command_id"] == "c-2"
    assert answer.json()["accepted"]
    answer = await ledger.post(DraftObjective("o", "none", "team", "Title", "ada"))
    assert problem(answer) == (404, Reason.NOT_FOUND)


async def test_a_role_does_in_its_units_what_it_may_and_nothing_else(ledger: Ledger) -> None:
    for unit_id in ("team", "other"):
        assert (await ledger.post(DefineUnit(unit_id, unit_id, "team"))).status_code == 200
    for role, units, status in (
        ("viewer", None, 403),
        ("auditor", None, 403),
        ("contributor", None, 403),
        ("owner", None, 403),
        ("unit_lead", None, 200),
        ("unit_lead", ["team"], 200),
        ("unit_lead", ["other"], 403),
        ("admin", None, 200),
    ):
        renamed = RenameUnit("team", f"Of {role} in {units}")
        answer = await ledger.post(renamed, role=role, units=units)
        assert answer.status_code == status, answer.text
        if status == 403:
            assert problem(answer) == (403, Reason.NOT_PERMITTED)
            assert answer.json()["rule"] == "R30"


async def test_a_token_opens_the_organisations_it_names(ledger: Ledger) -> None:
    answer = await ledger.post(DefineUnit("team", "Team", "team"), organisation="another")
    assert problem(answer) == (403, "other_organisation")


async def test_the_ledger_itself_is_nobody_over_http(ledger: Ledger) -> None:
    answer = await ledger.post(DefineUnit("team", "Team", "team"), sub="ledger")
    assert problem(answer) == (403, Reason.NOT_PERMITTED)


async def test_what_is_no_command_is_a_problem(ledger: Ledger) -> None:
    for body, status, code in [
        (b"", 400, "malformed"),
        (b"{", 400, "malformed"),
        (b"[" * 100_000, 400, "malformed"),
        (b'{"id":"c","type":"DefineUnit","data":{}}', 400, "malformed"),
        (b'{"organisation":"ORG","id":"c","type":"DefineUnit","data":{}}', 400, "malformed"),
        (b'{"organisation":"ORG","id":"c","type":"Undo","data":{}}', 400, "unknown_command"),
        (b'{"organisation":"ORG","id":"c","type":"Undo","data":{},"x":1}', 400, "malformed"),
        (b"x" * (door.BODY_BYTES_MAX + 1), 413, "too_large"),
    ]:
        answer = await ledger.send(body.replace(b"ORG", ledger.organisation_id.encode()))
        assert problem(answer) == (status, code), body[:80]
        assert len(answer.content) < 1_500


async def test_a_command_comes_as_json(ledger: Ledger) -> None:
    assert problem(await ledger.send(b"{}", "text/plain")) == (415, "media_type")
    accepted = await ledger.send(b"{}", "application/json; charset=utf-8")
    assert problem(accepted) == (400, "malformed")


async def test_who_has_no_token_asks_for_nothing(ledger: Ledger) -> None:
    answer = await ledger.client.post(COMMANDS, content=b"{}")
    assert problem(answer) == (401, "no_token")
    answer = await ledger.client.get(COMMANDS, headers=bearing(ledger.issuer.token()))
    assert problem(answer) == (405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]


async def test_an_overloaded_ledger_says_when_to_ask_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(writer, "WAITING_MAX", 0)
        answer = await ledger.post(DefineUnit("team", "Team", "team"))
        assert problem(answer) == (503, Reason.OVERLOADED)
        assert answer.headers["retry-after"] == "1"
    monkeypatch.setattr(door, "AT_ONCE_MAX", 0)
    answer = await ledger.post(DefineUnit("team", "Team", "team"))
    assert problem(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"


async def test_where_no_answer_comes_in_time_the_outcome_is_unknown(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = asyncio.Event()
    append = writer.Writer._append

    async def late(self: Any, *group: Any) -> Any:
        await held.wait()
        return await append(self, *group)

    unit = DefineUnit("team", "Team", "team")
    with monkeypatch.context() as stuck:
        stuck.setattr(door, "ANSWERED_WITHIN_S", 0.2)
        stuck.setattr(writer.Writer, "_append", late)
        answer = await ledger.post(unit, "c-1")
        assert problem(answer) == (504, "outcome_unknown")
        assert "same id" in answer.json()["detail"]
        held.set()
    again = await ledger.post(unit, "c-1")
    assert again.json() == {"reply": "accepted", "command_id": "c-1", "position": 2, "events": 1}


async def test_a_standby_sends_to_the_writer(
    ledger: Ledger, settings: Settings, issuer: Issuer
) -> None:
    async with a_ledger(settings, issuer) as standby:
        answer = await standby.post(DefineUnit("team", "Team", "team"))
        assert problem(answer) == (503, "not_the_writer")
        assert answer.headers["retry-after"] == "1"
    assert (await ledger.post(DefineUnit("team", "Team", "team"))).json()["position"] == 2


async def test_what_goes_wrong_before_a_command_is_read_is_a_problem_too(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = DefineUnit("team", "Team", "team")
    answer = await ledger.client.post(COMMANDS, content=b"{}", headers=bearing("x.y.z"))
    assert problem(answer) == (401, "invalid_token")
    with monkeypatch.context() as stale:
        stale.setattr(tokens, "STALE_MAX_S", -1)
        assert problem(await ledger.post(unit)) == (503, "keys_unavailable")

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret of the house")

    with monkeypatch.context() as broken:
        broken.setattr(writer.Writer, "submit", fail)
        answer = await ledger.post(unit)
        assert problem(answer) == (500, "failed")
        assert "secret" not in answer.text


async def test_many_are_answered_at_once(ledger: Ledger) -> None:
    units = [DefineUnit(f"u-{number}", "Unit", "team") for number in range(100)]
    answers = await asyncio.gather(*(ledger.post(each) for each in units))
    assert sorted(each.json()["position"] for each in answers) == [*range(2, 102)]


def test_every_reason_has_a_status_that_says_whose_turn_it_is() -> None:
    statuses = {
        reason: problems.REASON_STATUSES.get(reason, problems.RULE_STATUS) for reason in Reason
    }
    assert {reason for reason, status in statuses.items() if status >= 500} == {Reason.OVERLOADED}
    assert all(
        statuses[reason] == problems.RULE_STATUS for reason in Reason if reason.startswith("cycle_")
    )


async def test_no_token_is_logged(ledger: Ledger) -> None:
    token = ledger.issuer.token(ledger.organisation_id)
    with capture_logs() as lines:
        for given in (token, f"{token}x"):
            await ledger.client.post(COMMANDS, content=b"{}", headers=bearing(given))
        await ledger.post(DefineUnit("team", "Team", "team"))
    assert lines
    assert "eyJ" not in repr(lines)
