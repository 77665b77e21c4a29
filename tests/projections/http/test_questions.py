"""Each question has its path; every answer says what it reflects and how long it holds."""

from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from goal_contracts.queries import Goals

from services.projections.http.routes import ROUTES, Route
from tests.projections.http.conftest import BEFORE

pytestmark = pytest.mark.anyio

PARAMETERS: dict[str, dict[str, str]] = {
    "goals": {"as_of": "2025-09-30"},
    "one_goal": {"kind": "key_result", "id": "kr", "as_of": "@20"},
    "history": {"kind": "key_result", "id": "kr"},
    "readings": {"kpi": "kpi"},
    "replay": {"cycle": "q3", "end": "@30"},
    "cycle_report": {"cycle": "q3"},
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
