"""The file of users, the keys, and the settings that come of them."""

import stat
import subprocess
from pathlib import Path

import pytest
from goal_contracts.client.keys import public_key

from services.embedded.nats_server import find_binary
from services.nats_users.users import UsersUnusable, read_users
from tests.cli.running import goal_ledger

INFRA = Path(__file__).resolve().parents[2] / "infra" / "nats"
ONE, OTHER = "U" + "A" * 55, "U" + "B" * 55


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "users.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense = 1", "unknown field"),
        ('[organisations.acme.u-17]\nkind = "king"\nnkey = "x"', "king"),
        (f'[organisations.acme."a.b"]\nkind = "client"\nnkey = "{ONE}"', "at `key` in"),
        (f'[organisations.acme.u-17]\nkind = "client"\nnkey = "S{ONE[1:]}"', r"nkey`"),
        (
            (
                f'[organisations.acme.a]\nkind = "client"\nnkey = "{ONE}"\n'
                f'[organisations.acme.b]\nkind = "client"\nnkey = "{ONE}"'
            ),
            "a of acme and b of acme have the same nkey",
        ),
        (
            f'[organisations.acme.a]\nkind = "client"\nnkey = "{ONE}"\nconsumers = ["x"]',
            "make it a subscriber",
        ),
        (
            (
                f'[organisations.acme.a]\nkind = "subscriber"\nnkey = "{ONE}"\nconsumers = ["x"]\n'
                f'[organisations.other.b]\nkind = "subscriber"\nnkey = "{OTHER}"\nconsumers = ["x"]'
            ),
            "a of acme and b of other both have the consumer x",
        ),
    ],
)
def test_a_file_of_users_that_cannot_be_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsersUnusable, match=told):
        read_users(written(tmp_path, text))


def test_a_seed_is_its_owners_only_and_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "u-17.nk"
    public = goal_ledger("nats-users", "key", str(file)).stdout.strip()
    assert public == public_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = goal_ledger("nats-users", "key", str(file))
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert public_key(file) == public


def test_what_is_no_seed_is_told(tmp_path: Path) -> None:
    file = tmp_path / "u-17.nk"
    file.write_text("nonsense")
    told = goal_ledger("as-of", "--server", "nats://127.0.0.1:1", "--nkey", str(file))
    assert told.exit_code == 2
    assert "holds no seed" in told.stderr


def test_the_example_is_what_the_generator_makes_of_its_users() -> None:
    made = goal_ledger("nats-users", "accounts", str(INFRA / "users.toml")).stdout
    assert made == (INFRA / "accounts.conf").read_text()


def test_the_server_takes_the_example(tmp_path: Path) -> None:
    settings = tmp_path / "nats.conf"
    settings.write_text((INFRA / "accounts.conf").read_text())
    checked = subprocess.run(
        [find_binary(), "-t", "-c", str(settings)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_without_the_keys_of_the_services_there_are_no_settings(tmp_path: Path) -> None:
    told = goal_ledger("nats-users", "accounts", str(written(tmp_path, "")))
    assert told.exit_code == 2
    assert "[services]" in told.stderr
