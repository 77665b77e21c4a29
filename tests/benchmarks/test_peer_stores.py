"""A peer's store looks whether somebody was faster: without that it would not do the same job."""

from pathlib import Path

import pytest
from eventsourcing.persistence import IntegrityError

from tests.benchmarks.peer import NewEvent
from tests.benchmarks.store_sqlite import open_store

OPENED = NewEvent("organisation/bench", 1, "OrganisationOpened", b"{}")


def test_an_event_that_somebody_else_has_stored_is_refused(tmp_path: Path) -> None:
    file = str(tmp_path / "events.sqlite")
    ours, theirs = open_store(file), open_store(file)
    assert theirs.append([OPENED]) == 1
    with pytest.raises(IntegrityError):
        ours.append([OPENED])
    with pytest.raises(IntegrityError):
        ours.append_to_goal([OPENED])


def test_a_group_is_stored_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "events.sqlite"))
    store.append([OPENED])
    with pytest.raises(IntegrityError):
        store.append([OPENED._replace(version=2), OPENED])
    assert store.append([OPENED._replace(version=2)]) == 2
