"""What is different at one moment from how it was at another, and who is behind it."""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from goal_contracts import codec
from goal_contracts.differences import applied
from goal_contracts.queries import AsOf, Diff
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.projections.log import Asker, Log, view_store
from tests.projections.test_as_of import _of, fill_in_parts, logs
from tests.projections.whole import whole


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    log=logs(),
    moments=st.lists(
        st.tuples(*[st.integers(0, 45)] * 4, st.integers(-1, 1)), min_size=1, max_size=5
    ),
    limit=st.integers(1, 20),
)
def test_smoke(log: Log, moments: list[Any], limit: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = view_store(Path(place))
        fill_in_parts(store, log, [])
        ask = Asker(store)
        for a, b, c, d, nudge in moments:
            one, two, three, four = (
                (_of(log, each).known_at + timedelta(seconds=nudge)).isoformat()
                for each in (a, b, c, d)
            )
            before = whole(ask.pages(AsOf(as_of=one, known_at=two, limit=limit)))
            after = whole(ask.pages(AsOf(as_of=three, known_at=four, limit=limit)))
            diff = ask.pages(
                Diff(before=one, before_known_at=two, after=three, after_known_at=four, limit=limit)
            )
            assert codec.encode(applied(before, diff)) == codec.encode(after)
        store.close()
