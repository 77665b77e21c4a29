"""What is to be told, and in which order."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.relay.queue import Delivery, Queue

NOW = datetime(2025, 9, 30, 12, tzinfo=UTC)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path / "relay.sqlite")
    yield queue
    queue.close()


def delivery(position: int, goal: str = "kpi/a") -> Delivery:
    return Delivery(goal, position, f"e-{position}", b"{}", attempts=0)


def due(queue: Queue, now: datetime = NOW) -> list[int]:
    return [each.position for each in queue.due("hr", now, 10)]


def test_of_each_goal_one_is_due_at_a_time(queue: Queue) -> None:
    queue.add("hr", [delivery(1), delivery(2), delivery(3, "kpi/b")])
    assert due(queue) == [1, 3]
    queue.told("hr", delivery(1))
    assert due(queue) == [2, 3]
    assert queue.read_up_to("hr") == 3


def test_endpoints_know_nothing_of_each_other(queue: Queue) -> None:
    queue.add("hr", [delivery(1)])
    queue.add("bi", [delivery(1), delivery(2)])
    queue.told("bi", delivery(1))
    assert due(queue) == [1]
    assert queue.read_up_to("hr") == 1


def test_what_was_not_taken_is_due_again_when_its_time_has_come(queue: Queue) -> None:
    queue.add("hr", [delivery(1), delivery(2)])
    queue.failed("hr", delivery(1), "503", NOW + timedelta(seconds=5))
    assert due(queue) == []
    assert due(queue, NOW + timedelta(seconds=5)) == [1]
    [again] = queue.due("hr", NOW + timedelta(seconds=5), 10)
    assert again.attempts == 1


def test_behind_a_dead_letter_its_goal_waits(queue: Queue) -> None:
    queue.add("hr", [delivery(1), delivery(2), delivery(3, "kpi/b")])
    queue.died("hr", delivery(1), "410 Gone")
    assert due(queue) == [3]
    assert [(each.position, each.answer) for each in queue.dead("hr")] == [(1, "410 Gone")]
    assert queue.backlog("hr")[:2] == (2, 1)


def test_a_dead_letter_is_tried_again_or_given_up(queue: Queue) -> None:
    queue.add("hr", [delivery(1), delivery(2)])
    queue.died("hr", delivery(1), "410 Gone")
    assert queue.replay("hr") == 1
    assert due(queue) == [1]
    queue.died("hr", delivery(1), "410 Gone")
    assert not queue.drop("hr", 2)
    assert queue.drop("hr", 1)
    assert due(queue) == [2]


def test_rows_and_position_are_kept_together_or_not_at_all(queue: Queue) -> None:
    queue.add("hr", [delivery(1)])
    with pytest.raises(Exception, match="UNIQUE"):
        queue.add("hr", [delivery(2), delivery(1)])
    assert due(queue) == [1]
    assert queue.read_up_to("hr") == 1
