"""What went out by itself is taken by one and sent once, on every database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import pytest

from services.projections.view_store.generations import Generations
from services.projections.view_store.sent import ITEMS_MAX, TAKEN_FOR, Sent

NOW: Final = datetime(2025, 7, 8, 9, tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)
MANY: Final = {f"alert {number}" for number in range(2 * ITEMS_MAX + 1)}


@pytest.fixture
def sent(database: str) -> Iterator[Sent]:
    generations = Generations(database)
    yield Sent(generations.service)
    generations.close()


def test_what_is_sent_is_never_taken_again(sent: Sent) -> None:
    assert sent.take("acme", MANY, NOW) == MANY
    sent.remember("acme", MANY - {"alert 0"}, NOW)
    assert sent.take("acme", MANY, NOW + TAKEN_FOR) == {"alert 0"}


def test_what_is_taken_and_not_known_as_sent_may_be_taken_after_a_while(sent: Sent) -> None:
    assert sent.take("acme", ["a"], NOW) == {"a"}
    assert sent.take("acme", ["a", "b"], NOW + TAKEN_FOR - TICK) == {"b"}
    assert sent.take("acme", ["a", "b"], NOW + TAKEN_FOR) == {"a"}
    assert sent.take("acme", ["a"], NOW + TAKEN_FOR + TICK) == set()


def test_what_one_organisation_was_sent_is_new_to_another(sent: Sent) -> None:
    sent.take("acme", ["a"], NOW)
    sent.remember("acme", ["a"], NOW)
    assert sent.take("umbrella", ["a"], NOW) == {"a"}
    sent.remember("acme", ["a"], NOW)
    assert sent.take("umbrella", ["a"], NOW + TAKEN_FOR) == {"a"}


def test_of_several_at_once_one_takes_each(sent: Sent) -> None:
    with ThreadPoolExecutor(4) as several:
        taken = list(several.map(partial(sent.take, "acme", now=NOW), [MANY] * 4))
    assert sum(map(len, taken)) == len(MANY)
    assert set[str]().union(*taken) == MANY
