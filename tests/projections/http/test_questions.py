"""Each question has its path; every answer says what it reflects and how long it holds."""

import gzip
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from goal_contracts.client.stream import BrokenLog
from goal_contracts.queries import Goals

from services.http import tokens
from services.http.problems import STATUSES
from services.http.tokens import Bearer
from services.projections.http import application, live
from services.projections.http.answers import FOR_EVER, NOT_KEPT, Outgoing, PastAnswers
from services.projections.http.document import PROBLEMS, document
from services.projections.http.routes import ORGANISATION, ROUTES, Route
from services.projections.queries import Answered
from tests.issuer import Issuer, bearing
from tests.projections.http.conftest import BEFORE, Served
from tests.projections.log import NOW

pytestmark = pytest.mark.anyio

PARAMETERS: dict[str, dict[str, str]] = {
    "goals": {"as_of": "2025-09-30"},
    "one_goal": {"kind": "key_result", "id": "kr", "as_of": "@20"},
    "history": {"kind": "key_result", "id": "kr"},
    "diff": {"before": "@8", "after": "@30", "unit": "platform"},
    "blame": {"kind": "key_result", "id": "kr"},
    "readings": {"kpi": "kpi"},
    "replay": {"cycle": "q3", "end": "@30"},
    "cycle_report": {"cycle": "q3"},
    "weekly_digest": {"as_of": "2025-07-03"},
    "alerts": {"as_of": "2025-07-31", "unit": "platform", "owner": "ada"},
    "insights": {"as_of": "2025-07-31", "cycle": "q3"},
    "roll_ups": {"as_of": "2025-07-31", "unit": "platform"},
    "export_view": {"view": "event"},
    "position": {},
}


def url_of(route: Route, parameters: dict[str, str]) -> str:
    in_path = {name: parameters[name] for name in route.in_path}
    rest = {name: value for name, value in parameters.items() if name not in in_path}
    return f"{BEFORE}{route.path.format(**in_path)}?{urlencode(rest)}"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_every_question_is_answered_at_its_path(
    client: httpx.AsyncClient, route: Route
) -> None:
    answer = await client.get(url_of(route, PARAMETERS[route.name]))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    told: Any = msgspec.json.decode(answer.content, type=route.answer)
    position = getattr(told, "position", None) or told.reflects.position
    assert answer.headers["goal-ledger-position"] == str(position)


async def test_a_question_is_answered_with_what_its_parameters_ask_for(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(f"{BEFORE}/goals/key_result/kr", params={"as_of": "@20"})
    goals = msgspec.json.decode(answer.content, type=Goals)
    assert [each.key_result_id for each in goals.key_results] == ["kr"]
    assert goals.objectives == ()


async def test_the_rest_of_an_answer_is_where_its_link_says(client: httpx.AsyncClient) -> None:
    whole = msgspec.json.decode((await client.get(f"{BEFORE}/goals?as_of=@20")).content, type=Goals)
    url, found = f"{BEFORE}/goals?as_of=@20&limit=2", []
    while url:
        page = await client.get(url)
        found.append(msgspec.json.decode(page.content, type=Goals))
        link = page.links.get("next")
        url = str(page.url.join(link["url"])) if link else ""
    assert len(found) > 3
    for kind in ("units", "cycles", "objectives", "key_results", "kpis"):
        together = sum((getattr(page, kind) for page in found), ())
        assert together == getattr(whole, kind)


# ---------------------------------------------------------------------- how long an answer holds


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ("/goals?as_of=@20", FOR_EVER),
        ("/goals?as_of=2025-07-01", FOR_EVER),
        ("/goals?as_of=2025-07-01&known_at=@20", FOR_EVER),
        ("/kpis/kpi/readings?known_at=@40", FOR_EVER),
        ("/events?end=@9", FOR_EVER),
        ("/events?start=2025-07-01&end=@9", FOR_EVER),
        ("/cycles/q3/report?as_of=@40", FOR_EVER),
        ("/digest?as_of=2025-07-01", FOR_EVER),
        ("/digest?week=2025-W27", NOT_KEPT),
        ("/digest", NOT_KEPT),
        ("/goals", NOT_KEPT),
        ("/goals?as_of=2030-01-01", NOT_KEPT),
        ("/goals?as_of=2025-07-01&known_at=2030-01-01", NOT_KEPT),
        ("/events?start=2025-07-01", NOT_KEPT),
        ("/events?end=2030-01-01", NOT_KEPT),
        ("/cycles/q3/report", NOT_KEPT),
        ("/history/key_result/kr", NOT_KEPT),
        ("/views/event", NOT_KEPT),
        ("/position", NOT_KEPT),
    ],
)
async def test_only_an_answer_about_a_past_that_is_over_holds_for_ever(
    client: httpx.AsyncClient, asked: str, holds: str
) -> None:
    answer = await client.get(BEFORE + asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == holds


async def test_a_day_of_which_nothing_later_is_known_may_still_change(
    served: Served, client: httpx.AsyncClient
) -> None:
    last = served.log[-1].known_at.isoformat().replace("+00:00", "Z")
    before = await client.get(f"{BEFORE}/goals", params={"as_of": last})
    assert before.headers["cache-control"] == NOT_KEPT
    served.happens()
    served.reads()
    after = await client.get(f"{BEFORE}/goals", params={"as_of": last})
    assert after.headers["cache-control"] == FOR_EVER


async def test_a_past_answer_has_the_same_bytes_and_tag_whatever_came_since(
    served: Served, client: httpx.AsyncClient
) -> None:
    asked = f"{BEFORE}/goals?as_of=@20"
    first = await client.get(asked)
    served.happens()
    served.reads()
    again = await client.get(f"{asked}&at_least=0")  # not the one that was kept
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])


async def test_who_has_the_answer_is_told_so_and_who_has_another_is_not(
    client: httpx.AsyncClient,
) -> None:
    asked = f"{BEFORE}/goals?as_of=@20"
    tag = (await client.get(asked)).headers["etag"]
    assert not tag.startswith("W/")
    for _kept in (False, True):
        for told in (tag, f'"other", {tag}', "*", f"W/{tag}"):
            same = await client.get(asked, headers={"If-None-Match": told})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == tag
            assert same.headers["cache-control"] == FOR_EVER
        other = await client.get(asked, headers={"If-None-Match": '"other"'})
        assert other.status_code == 200
    later = await client.get(f"{BEFORE}/goals?as_of=@21", headers={"If-None-Match": tag})
    assert later.status_code == 200


@pytest.mark.parametrize(
    "asked", ["/goals", "/goals?limit=2", "/alerts", "/goals?known_at=2099-01-01"]
)
async def test_an_answer_about_the_present_comes_again_only_with_news(
    served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    first = await client.get(BEFORE + asked)
    tag = first.headers["etag"]
    assert tag.startswith("W/")
    monkeypatch.setattr(served, "now", served.now + timedelta(seconds=1))
    told = {"If-None-Match": tag}
    same = await client.get(BEFORE + asked, headers=told)
    assert (same.status_code, same.content) == (304, b"")
    assert (same.headers["etag"], same.headers["cache-control"]) == (tag, NOT_KEPT)
    assert (await client.get(BEFORE + asked)).content != first.content or "2099" in asked
    served.happens()
    served.reads()
    assert (await client.get(BEFORE + asked, headers=told)).status_code == 200


async def test_an_answer_comes_small_to_who_takes_it_so_under_a_tag_of_its_own(
    client: httpx.AsyncClient,
) -> None:
    asked = f"{BEFORE}/events?end=@30"
    whole = await client.get(asked, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in whole.headers
    for accepted in ("gzip", "br, GZIP;q=0.5"):
        async with client.stream("GET", asked, headers={"Accept-Encoding": accepted}) as small:
            body = b"".join([part async for part in small.aiter_raw()])
            assert small.headers["content-encoding"] == "gzip"
            assert int(small.headers["content-length"]) == len(body) < len(whole.content)
            assert gzip.decompress(body) == whole.content
            assert small.headers["etag"] != whole.headers["etag"]
            assert "Accept-Encoding" in small.headers["vary"]
    refused = await client.get(asked, headers={"Accept-Encoding": "gzip;q=0, br"})
    assert "content-encoding" not in refused.headers


async def test_a_past_answer_that_was_given_is_given_again_without_being_asked_for(
    served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, present = f"{BEFORE}/goals?as_of=@20", f"{BEFORE}/goals"
    first = await client.get(past)
    await client.get(present)
    asked = 0

    async def ask(*_: object) -> Answered:
        nonlocal asked
        asked += 1
        return Answered(b"{}", 1, None, is_final=False)

    monkeypatch.setattr(served.questions, "ask", ask)
    assert (await client.get(past)).content == first.content
    assert asked == 0
    assert (await client.get(present)).content == b"{}"
    assert asked == 1


async def test_an_answer_that_is_kept_is_not_given_to_another_organisation(
    address: str, client: httpx.AsyncClient, issuer: Issuer
) -> None:
    asked = f"{BEFORE}/goals?as_of=@20"
    assert (await client.get(asked)).status_code == 200
    strange = issuer.token("lgbf", exp=NOW.timestamp() + 600)
    async with httpx.AsyncClient(base_url=address) as nobody:
        assert (await nobody.get(asked, headers=bearing(strange))).status_code == 403
        assert (await nobody.get(asked)).status_code == 401


def test_what_is_kept_is_bounded_and_the_last_used_stays() -> None:
    def scope_of(number: int) -> Any:
        return {
            "raw_path": b"/",
            "query_string": b"%04d" % number,
            "user": Bearer("u", frozenset({"acme"}), "viewer", (), 0),
        }

    kept = PastAnswers(bytes_max=100 * 485)
    for number in range(1_000):
        answered = Answered(b"x" * 480, 1, None, is_final=True)
        kept.keep(scope_of(number), Outgoing("acme", answered, {}))
        kept.find(scope_of(0))
    found = [number for number in range(1_000) if kept.find(scope_of(number))]
    assert found[0] == 0
    assert found[1:] == [*range(1_000 - len(found) + 1, 1_000)]
    assert 90 < len(found) <= 100
    kept.keep(scope_of(1), Outgoing("acme", Answered(b"x" * 60_000, 1, None, is_final=True), {}))
    assert not any(kept.find(scope_of(number)) for number in range(1_000))


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ("/goals?as_of=yesterday", 400, "malformed"),
        ("/goals?as_of=2025-02-30", 400, "malformed"),
        ("/goals?asof=2025-01-01", 400, "malformed"),
        ("/goals?limit=0", 400, "malformed"),
        ("/goals?limit=many", 400, "malformed"),
        ("/goals?unit=a&unit=b", 400, "malformed"),
        ("/goals?unit=%ff", 400, "malformed"),
        ("/goals?cursor=1", 400, "malformed"),
        ("/goals/key_result/kr?goal=key_result/kr", 400, "malformed"),
        ("/goals/unit/company", 400, "malformed"),
        ("/goals?" + "&".join(f"p{number}=1" for number in range(40)), 400, "malformed"),
        ("/goals?unit=" + "x" * 5_000, 400, "malformed"),
        ("/history/key_result/none", 404, "not_found"),
        ("/views/none", 404, "not_found"),
        ("/nothing", 404, "not_found"),
        ("/goals?as_of=@5000", 409, "not_yet"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem_with_a_code(
    client: httpx.AsyncClient, asked: str, status: int, code: str
) -> None:
    answer = await client.get(BEFORE + asked)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert problem["type"] == f"urn:goal-ledger:problem:{code}"
    assert len(answer.content) < 1_500
    assert ("retry-after" in answer.headers) == (code == "not_yet")


async def test_no_more_questions_are_taken_than_there_is_room_for(
    served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "AT_ONCE_MAX", 0)
    answer = await client.get(f"{BEFORE}/position")
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    monkeypatch.setattr(live, "STREAMS_MAX", 0)
    answer = await client.get(f"{BEFORE}/events/stream")
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


async def test_a_fault_of_ours_is_told_without_what_it_was(
    served: Served, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object) -> Answered:
        raise ZeroDivisionError("a secret of the house")

    monkeypatch.setattr(served.questions, "ask", ask)
    answer = await client.get(f"{BEFORE}/position")
    assert (answer.status_code, answer.json()["code"]) == (500, "failed")
    assert "secret" not in answer.text


async def test_every_problem_that_the_document_names_can_be_met(
    served: Served, client: httpx.AsyncClient, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> Answered:
        raise ZeroDivisionError

    goals = f"{BEFORE}/goals"
    answers = {
        "malformed": await client.get(f"{goals}?limit=0"),
        "no_token": await client.get(goals, headers={"Authorization": ""}),
        "invalid_token": await client.get(goals, headers=bearing("x.y.z")),
        "other_organisation": await client.get("/api/v1/organisations/lgbf/goals"),
        "not_found": await client.get(f"{goals}?unit=none"),
        "not_yet": await client.get(f"{goals}?as_of=@5000"),
    }
    with monkeypatch.context() as full:
        full.setattr(application, "AT_ONCE_MAX", 0)
        answers["overloaded"] = await client.get(goals)
    with monkeypatch.context() as poisoned:
        poisoned.setattr(served.feed, "stopped_by", BrokenLog("a gap"))
        answers["unreadable_log"] = await client.get(f"{goals}?at_least=5000")
    with monkeypatch.context() as broken:
        broken.setattr(served.questions, "ask", fail)
        answers["failed"] = await client.get(goals)
    with monkeypatch.context() as stale:
        stale.setattr(tokens, "STALE_MAX_S", -1)
        answers["keys_unavailable"] = await client.get(goals)
    assert {*answers} == {*PROBLEMS}
    described = msgspec.json.decode(document())["paths"][f"{ORGANISATION}/goals"]["get"]
    for code, answer in answers.items():
        assert (answer.json()["code"], answer.status_code) == (code, STATUSES[code])  # type: ignore[index] # one of them
        told = described["responses"][str(answer.status_code)]["content"]
        assert code in told["application/problem+json"]["examples"]


# --------------------------------------------------------------------------------- who may ask


@pytest.mark.parametrize(
    "role", ["viewer", "auditor", "contributor", "owner", "unit_lead", "admin"]
)
async def test_every_role_reads_its_organisation_and_no_other(
    address: str, issuer: Issuer, role: str
) -> None:
    token = issuer.token(exp=NOW.timestamp() + 600, role=role)
    async with httpx.AsyncClient(base_url=address, headers=bearing(token)) as client:
        assert (await client.get(f"{BEFORE}/goals")).status_code == 200
        for below in ("goals", "events/stream"):
            other = await client.get(f"/api/v1/organisations/lgbf/{below}")
            assert (other.status_code, other.json()["code"]) == (403, "other_organisation")


async def test_without_a_token_nothing_is_told_but_how_the_service_is(
    address: str, issuer: Issuer
) -> None:
    async with httpx.AsyncClient(base_url=address) as nobody:
        for headers in ({}, {"Authorization": "Basic dTpw"}, {"Authorization": "Bearer"}):
            for path in (
                f"{BEFORE}/goals",
                f"/{BEFORE}/goals",
                f"/nowhere/..{BEFORE}/goals",
                f"{BEFORE}/goals/".replace("/api", "/%61pi"),
                f"{BEFORE}/nothing",
                "/api/",
                "/healthz/",
                "/",
            ):
                answer = await nobody.get(path, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, "no_token")
                assert answer.headers["www-authenticate"] == "Bearer"
        expired = bearing(issuer.token(exp=NOW.timestamp() - 60))
        answer = await nobody.get(f"{BEFORE}/goals", headers=expired)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        twice = [("Authorization", f"Bearer {issuer.token(exp=2e9)}")] * 2
        assert (await nobody.get(f"{BEFORE}/goals", headers=twice)).status_code == 401
        for path in ("/healthz", "/readyz", "/metrics", "/schema"):
            answer = await nobody.get(path)
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await nobody.head("/healthz")).content == b""
        assert (await nobody.post("/healthz")).status_code == 405


async def test_no_other_site_may_ask(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{BEFORE}/goals", headers={"Origin": "https://elsewhere.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_the_contracts_are_there_for_everybody(address: str) -> None:
    async with httpx.AsyncClient(base_url=address) as nobody:
        page = await nobody.get("/contracts")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "style-src 'unsafe-inline'" in page.headers["content-security-policy"]
        assert len(page.headers.get_list("content-security-policy")) == 1
        assert "KeyResultRetargeted" in page.text
        index = (await nobody.get("/contracts/schemas/index.json")).json()
        assert index
        described = await nobody.get("/contracts/asyncapi.json")
        assert described.json()["asyncapi"] == "3.0.0"
        schema = await nobody.get("/contracts/schemas/events/CheckedIn.v1.json")
        assert schema.headers["content-type"] == "application/schema+json"
        for path in ("nothing.json", "schemas/../../codec.py", "%2e%2e/codec.py"):
            answer = await nobody.get(f"/contracts/{path}")
            assert answer.status_code in {401, 404}
            assert answer.headers["content-type"] == "application/problem+json"
