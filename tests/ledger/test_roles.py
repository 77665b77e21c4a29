"""Roles come from a file, and are looked up where a message becomes a request."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from goal_contracts import codec, subjects
from goal_contracts.commands import DefineUnit
from goal_contracts.replies import Reason, Refused

from services.ledger.handlers import read_request
from services.ledger.request import Request
from services.ledger.roles import Roles, RolesUnreadable, Standing, read_roles
from tests.ledger.on_a_stream import Ledger

NOW = datetime(2025, 8, 14, tzinfo=UTC)
FILE = """
default = "viewer"

[actors.u-17]
role = "owner"
units = ["platform"]
"""


def test_a_file_names_roles_and_units(tmp_path: Path) -> None:
    file = tmp_path / "roles.toml"
    file.write_text(FILE)
    roles = read_roles(file)
    assert roles.of("u-17") == Standing(role="owner", units=("platform",))
    assert roles.of("anybody") == Standing(role="viewer")


def test_without_a_file_everybody_is_an_admin() -> None:
    assert read_roles(None).of("anybody") == Standing(role="admin")


@pytest.mark.parametrize("content", ['default = "king"', "[actors.u-1]\nroles = []", "="])
def test_a_wrong_file_is_named_and_nothing_is_served(tmp_path: Path, content: str) -> None:
    file = tmp_path / "roles.toml"
    file.write_text(content)
    with pytest.raises(RolesUnreadable, match=r"roles\.toml"):
        read_roles(file)
    with pytest.raises(RolesUnreadable, match=r"absent\.toml"):
        read_roles(tmp_path / "absent.toml")


@pytest.mark.anyio
async def test_what_an_actor_may_not_do_is_refused(ledger: Ledger) -> None:
    message = codec.command_message(
        DefineUnit(unit_id="team", name="Team", unit_kind="team"), command_id="c-1"
    )
    request = read_request(
        subjects.command(ledger.organisation_id, "u-17", message.type),
        codec.encode(message),
        NOW,
        Roles(actors={"u-17": Standing(role="contributor")}),
    )
    assert isinstance(request, Request)
    [reply] = await ledger.ask(request.command, role=request.role, units=request.units)
    assert isinstance(reply, Refused)
    assert reply.reason is Reason.NOT_PERMITTED
    assert "contributor" in reply.seen
