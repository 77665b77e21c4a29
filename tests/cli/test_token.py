"""A local system signs its own tokens, with a key that nobody else may read."""

import stat
import time
from pathlib import Path

import jwt
import pytest

from services.cli import local_tokens
from services.http.tokens import Bearer, TokenRefused, judging
from tests.cli.running import goal_ledger

pytestmark = pytest.mark.anyio


async def test_a_token_says_what_was_asked_for_and_the_services_believe_it(tmp_path: Path) -> None:
    settings = local_tokens.prepare(tmp_path)
    told = goal_ledger(
        *("token", "--role", "owner", "--org", "lgbf", "--actor", "u-1", "--unit", "platform"),
        *("--unit", "sales", "--hours", "2", "--data", str(tmp_path)),
    )
    assert (told.exit_code, told.stderr) == (0, "")
    async with judging(settings) as tokens:
        bearer = await tokens.judge(told.stdout.strip(), time.time())
    assert bearer == Bearer(
        actor="u-1",
        organisations=frozenset({"lgbf"}),
        role="owner",
        units=("platform", "sales"),
        ends_at=bearer.ends_at,
    )
    assert 7_100 < bearer.ends_at - time.time() <= 7_200


async def test_without_more_words_it_is_a_viewers_for_half_a_day(tmp_path: Path) -> None:
    local_tokens.prepare(tmp_path)
    token = goal_ledger("token", "--data", str(tmp_path)).stdout.strip()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["role"], claims["org"]) == ("viewer", "acme")
    assert claims["exp"] - claims["iat"] == 12 * 3_600
    assert "units" not in claims


async def test_the_key_stays_the_same_and_is_its_owners_alone(tmp_path: Path) -> None:
    local_tokens.prepare(tmp_path)
    private = tmp_path / "keys" / "tokens.pem"
    key = private.read_bytes()
    local_tokens.prepare(tmp_path)
    assert private.read_bytes() == key
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
    assert key.splitlines()[1] not in (tmp_path / "keys" / "tokens.jwks.json").read_bytes()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
async def test_a_key_that_others_may_read_signs_nothing(tmp_path: Path, mode: int) -> None:
    local_tokens.prepare(tmp_path)
    (tmp_path / "keys" / "tokens.pem").chmod(mode)
    told = goal_ledger("token", "--data", str(tmp_path))
    assert told.exit_code == 1
    assert told.stderr.startswith("key-not-private: ")
    assert told.stdout == ""


async def test_one_systems_token_opens_no_other(tmp_path: Path) -> None:
    local_tokens.prepare(tmp_path / "one")
    other = local_tokens.prepare(tmp_path / "other")
    token = goal_ledger("token", "--data", str(tmp_path / "one")).stdout.strip()
    async with judging(other) as tokens:
        with pytest.raises(TokenRefused):
            await tokens.judge(token, time.time())


async def test_where_there_is_no_key_it_says_who_makes_one(tmp_path: Path) -> None:
    told = goal_ledger("token", "--data", str(tmp_path))
    assert told.exit_code == 1
    assert told.stderr == f"no-key: there is no key in {tmp_path}/; `goal-ledger up` makes one\n"


@pytest.mark.parametrize("wrong", [("--role", "root"), ("--hours", "0"), ("--unit", "a b")])
async def test_what_no_token_can_say_is_told(tmp_path: Path, wrong: tuple[str, str]) -> None:
    local_tokens.prepare(tmp_path)
    assert goal_ledger("token", *wrong, "--data", str(tmp_path)).exit_code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ("--token-keys", "keys.json"),
        ("--token-issuer", "me"),
        ("--token-keys", "http://issuer.example/jwks", "--token-issuer", "me"),
    ],
)
@pytest.mark.parametrize("service", ["ledger", "projections"])
async def test_a_service_is_told_of_tokens_whole_or_not_at_all(
    service: str, wrong: tuple[str, ...]
) -> None:
    told = goal_ledger(service, "--server", "nats://127.0.0.1:1", *wrong)
    assert told.exit_code == 2
    assert "--token-keys" in told.stderr
