"""The document says what the door does: whatever it allows is answered as it says."""

from collections.abc import Iterator
from typing import Any

import pytest
from goal_contracts.queries import QUERIES

from services.projections import queries
from services.projections.http.document import SAID, document
from services.projections.http.routes import ROUTES
from tests.asking_anything import bounded, described
from tests.issuer import Issuer, bearing
from tests.projections.http.conftest import Served, serving
from tests.projections.log import NOW
from tests.threaded import in_a_thread

pytestmark = pytest.mark.timeout(1_200)


@pytest.fixture(scope="module")
def door(served: Served, issuer: Issuer) -> Iterator[str]:
    """Its address; there a stream ends at once, and nobody waits for a position."""
    with (
        pytest.MonkeyPatch.context() as quick,
        in_a_thread(lambda: serving(served, issuer)) as address,
    ):
        quick.setattr(queries, "AT_LEAST_WAIT_S", 0)
        served.live.close()
        yield address


@described(document(), organisation="acme", cycle="q3", kpi="kpi").parametrize()  # type: ignore[untyped-decorator] # schemathesis has it so
@bounded
def test_whatever_is_asked_is_answered_as_the_document_says(
    case: Any, door: str, issuer: Issuer
) -> None:
    headers = bearing(issuer.token(exp=NOW.timestamp() + 600))
    case.call_and_validate(base_url=door, headers=headers)


def test_every_question_of_the_contracts_has_a_path_and_every_parameter_says_what_it_is() -> None:
    asked = {route.question for route in ROUTES}
    assert [name for name, question in QUERIES.items() if question not in asked] == []
    named = {name for route in ROUTES for name in (*route.in_path, *route.in_query)}
    assert sorted(named - {*SAID}) == []
