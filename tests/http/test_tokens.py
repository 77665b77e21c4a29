"""A token is believed if an issuer we trust has signed it for us, now, and its claims are whole."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final, cast

import jwt
import msgspec
import pytest
from structlog.testing import capture_logs

from services.http import tokens as judged
from services.http.settings import TokenSettings, is_safe_source
from services.http.tokens import Bearer, KeysUnavailable, TokenRefused, Tokens, judging
from tests.issuer import ALGORITHMS, NAME, Issuer

pytestmark = pytest.mark.anyio

PHRASE: Final = "a-secret-that-is-long-enough-for-the-library-to-take"


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "jwks.json")


async def judge(issuer: Issuer, token: str, now: float | None = None) -> Bearer:
    async with judging(issuer.settings) as tokens:
        return await tokens.judge(token, time.time() if now is None else now)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_claims_say_who_asks_and_what_they_may(tmp_path: Path, algorithm: str) -> None:
    issuer = Issuer(tmp_path / "jwks.json", algorithm)
    token = issuer.token(["acme", "lgbf"], sub="u-4", role="owner", units=["platform"], exp=2e9)
    assert await judge(issuer, token) == Bearer(
        actor="u-4",
        organisations=frozenset({"acme", "lgbf"}),
        role="owner",
        units=("platform",),
        ends_at=2e9,
    )


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://somebody.else"},
        {"iss": None},
        {"aud": "another-service"},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1_000},
        {"nbf": 4e9},
        {"sub": None},
        {"sub": "not an id"},
        {"sub": 17},
        {"org": None},
        {"org": []},
        {"org": "not an id"},
        {"org": "*"},
        {"org": [f"o-{number}" for number in range(101)]},
        {"role": None},
        {"role": "root"},
        {"units": []},
        {"units": "platform"},
    ],
    ids=str,
)
async def test_a_token_whose_claims_are_not_whole_is_refused(
    issuer: Issuer, claims: dict[str, Any]
) -> None:
    organisation = claims.pop("org") if "org" in claims else "acme"
    with pytest.raises(TokenRefused):
        await judge(issuer, issuer.token(organisation, **claims))


async def test_clocks_may_be_half_a_minute_apart(issuer: Issuer) -> None:
    token = issuer.token(exp=1_000, nbf=500)
    async with judging(issuer.settings) as tokens:
        for now in (471.0, 999.0, 1_029.0):
            assert (await tokens.judge(token, now)).actor == "u-17"
        for now in (1_030.0, 1e9):
            with pytest.raises(TokenRefused, match="expired"):
                await tokens.judge(token, now)
    with pytest.raises(TokenRefused, match="not valid yet"):
        await judge(issuer, token, 469)


async def test_only_the_issuer_can_have_signed_it(issuer: Issuer, tmp_path: Path) -> None:
    another = Issuer(tmp_path / "other.json")
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    public = issuer.public()["x"]
    header, payload, signature = issuer.token(role="viewer").split(".")
    forged = {**claims, "role": "admin"}
    told = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    for token in (
        another.token(),
        jwt.encode(claims, cast("Any", None), "none"),
        jwt.encode(claims, PHRASE, "HS256", headers={"kid": "k-1"}),
        jwt.encode(claims, public, "HS256", headers={"kid": "k-1"}),
        f"{header}.{told}.{signature}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        "not.a.token",
        "",
        "ü.ü.ü",
        "x" * 8_193,
    ):
        with pytest.raises(TokenRefused):
            await judge(issuer, token)


async def test_a_key_that_is_no_signing_key_of_ours_vouches_for_nobody(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "jwks.json")
    secret = base64.urlsafe_b64encode(PHRASE.encode()).decode()
    symmetric = {"kty": "oct", "k": secret, "kid": "k-1", "alg": "HS256"}
    for keys in ([symmetric], [{**issuer.public(), "use": "enc"}], []):
        issuer.publish(*keys)
        with pytest.raises(KeysUnavailable):
            await judge(issuer, issuer.token())


async def test_a_new_key_is_known_once_a_token_names_it_and_a_withdrawn_one_no_longer(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "REFRESH_PAUSE_S", 0)
    following = Issuer(tmp_path / "next.json", key_id="k-2")
    old, new = issuer.token(), following.token()
    async with judging(issuer.settings) as tokens:
        await tokens.judge(old, time.time())
        with pytest.raises(TokenRefused, match="none of the issuer's keys"):
            await tokens.judge(new, time.time())
        issuer.publish(following.public())
        await tokens.judge(new, time.time())
        with pytest.raises(TokenRefused):
            await tokens.judge(old, time.time())


async def test_keys_are_not_looked_for_again_at_once(issuer: Issuer, tmp_path: Path) -> None:
    strange = Issuer(tmp_path / "next.json", key_id="k-2")
    async with judging(issuer.settings) as tokens:
        issuer.publish(strange.public())
        for _ in range(3):
            with pytest.raises(TokenRefused):
                await tokens.judge(strange.token(), time.time())


async def test_while_keys_cannot_be_read_the_last_ones_hold_for_a_day(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with judging(issuer.settings) as tokens:
        issuer.keys.write_text("{")
        await tokens.refresh()
        await tokens.judge(issuer.token(), time.time())
        monkeypatch.setattr(judged, "STALE_MAX_S", -1)
        with pytest.raises(KeysUnavailable):
            await tokens.judge(issuer.token(), time.time())


async def test_keys_that_come_later_are_read_then(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "REFRESH_PAUSE_S", 0)
    issuer.keys.unlink()
    async with judging(issuer.settings) as tokens:
        with pytest.raises(KeysUnavailable):
            await tokens.judge(issuer.token(), time.time())
        issuer.publish(issuer.public())
        await tokens.judge(issuer.token(), time.time())


@contextmanager
def serving(status: int, body: bytes, headers: dict[str, str] | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks.json"
        finally:
            server.shutdown()
            thread.join()


async def test_keys_are_read_from_a_url(issuer: Issuer) -> None:
    with serving(200, issuer.keys.read_bytes()) as url:
        async with judging(TokenSettings(url, NAME)) as tokens:
            await tokens.judge(issuer.token(), time.time())


async def test_a_key_set_that_is_elsewhere_or_too_large_is_not_taken(issuer: Issuer) -> None:
    keys = issuer.keys.read_bytes()
    with serving(200, keys) as url:
        for status, body, headers in (
            (302, b"", {"Location": url}),
            (200, keys + b" " * judged.KEYS_BYTES_MAX, {}),
            (500, keys, {}),
        ):
            with serving(status, body, headers) as asked:
                async with judging(TokenSettings(asked, NAME)) as tokens:
                    with pytest.raises(KeysUnavailable):
                        await tokens.judge(issuer.token(), time.time())


def test_keys_do_not_come_in_the_clear_from_another_machine() -> None:
    assert is_safe_source("keys.json")
    assert is_safe_source("https://issuer.example/jwks")
    assert is_safe_source("http://[::1]:8000/jwks")
    assert not is_safe_source("http://issuer.example/jwks")
    assert not is_safe_source("ftp://127.0.0.1/jwks")
    with pytest.raises(ValueError, match="https"):
        Tokens(TokenSettings("http://issuer.example/jwks", NAME))


async def test_no_token_and_no_claim_of_one_that_was_not_signed_is_logged_or_kept(
    issuer: Issuer, tmp_path: Path
) -> None:
    forged = Issuer(tmp_path / "other.json").token(sub="somebody-special")
    async with judging(issuer.settings) as tokens:
        with capture_logs() as lines:
            await tokens.judge(issuer.token(), time.time())
            with pytest.raises(TokenRefused) as refused:
                await tokens.judge(forged, time.time())
        told = f"{lines}{refused.value}"
        assert forged.split(".")[2] not in told
        assert "somebody-special" not in told
        assert issuer.token() not in repr(vars(tokens))


async def test_many_tokens_at_once_are_judged_by_the_keys_read_once(issuer: Issuer) -> None:
    async with judging(issuer.settings) as tokens:
        some = [issuer.token(sub=f"u-{number}") for number in range(50)]
        bearers = await asyncio.gather(*(tokens.judge(each, time.time()) for each in some))
    assert [each.actor for each in bearers] == [f"u-{number}" for number in range(50)]
    assert all(isinstance(each, msgspec.Struct) for each in bearers)
