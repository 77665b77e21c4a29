"""What stands of a series, and how little of it has to be known."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from goal_contracts.measures import Maintain, Measure, Metric
from goal_contracts.policy import Policy
from goal_contracts.queries import CycleCard, KeyResultCard

from services.projections.views import standing
from services.projections.views.course import course_of
from services.projections.views.current import CycleState
from services.projections.views.rows import CheckInRow

CYCLE = CycleCard("q1", "Q1", "quarterly", date(2025, 1, 1), date(2025, 3, 31), "active", 1)
COURSE = course_of(CycleState(CYCLE), Policy(), "UTC")
METRIC = Metric("%", Decimal(0), Decimal(100))
LAST = CheckInRow(
    organisation_id="acme",
    key_result_id="kr",
    effective_at=datetime(2025, 2, 1, tzinfo=UTC),
    first_position=7,
    position=7,
    check_in_id="c",
    event="recorded",
    value=Decimal(5),
    confidence=0,
    status="on_track",
    note="",
    actor="u",
    known_at=datetime(2025, 2, 1, tzinfo=UTC),
    recorded_at=datetime(2025, 2, 1, tzinfo=UTC),
    provenance=None,
)


def says_all(measure: Measure = METRIC, **said: Any) -> bool:
    card = KeyResultCard("kr", "o", "Title", "u", measure, Decimal(1), 2)
    return standing.says_all(LAST._replace(**said), card, COURSE)


def test_the_last_check_in_says_all_there_is_to_show() -> None:
    assert says_all()
    assert says_all(event="corrected", value=Decimal(0), effective_at=COURSE.last)


@pytest.mark.parametrize(
    "said",
    [
        {"event": "retracted"},
        {"value": None},
        {"confidence": None},
        {"status": None},
        {"effective_at": COURSE.last + timedelta(microseconds=1)},
        {"measure": Maintain("%", lower=Decimal(1))},
    ],
)
def test_where_it_leaves_something_to_those_before_they_are_looked_at(
    said: dict[str, Any],
) -> None:
    assert not says_all(**said)
