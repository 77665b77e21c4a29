"""What is kept from one question to the next: never less than was known, never too much."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from goal_contracts import events
from goal_contracts.policy import Policy
from goal_contracts.queries import AsOf, Goals, UnitCard

from services.projections.view_store import kept
from services.projections.view_store.goals import Goal
from services.projections.view_store.kept import Kept, KeptBelow, Version
from services.projections.view_store.reader import Reader
from services.projections.view_store.store import ViewStore
from tests.projections import company
from tests.projections.company import at, checked_in
from tests.projections.log import Asker, fill, rows_of
from tests.projections.test_cards import family

AT = datetime(2025, 7, 1, tzinfo=UTC)


def unit(unit_id: str, position: int) -> Version:
    state = UnitCard(unit_id, name=f"{unit_id} at {position}", unit_kind="team", position=position)
    return Version("unit", Goal("", "", unit_id, state), position)


def reads(*versions: Version, asked: list[int]) -> Callable[[int], list[Version]]:
    """Those behind a position, as a database would tell them."""

    def read(after: int) -> list[Version]:
        asked.append(after)
        return [each for each in versions if each.position > after]

    return read


def test_only_what_came_since_is_read_and_a_moment_behind_it_reads_nothing() -> None:
    memory, asked = Kept(), list[int]()
    first, moved, other = unit("a", 3), unit("a", 7), unit("b", 5)
    known = memory.versions("acme", 4, 5, reads(first, other, asked=asked))
    assert known.stood("unit", "a", 4) == first.goal
    assert known.stood("unit", "b", 4) is None
    # The database may have told of more than it was asked for: it is told again.
    known = memory.versions("acme", 6, 9, reads(first, other, moved, asked=asked))
    assert known.all_stood("unit", 9) == [moved.goal, other.goal]
    assert known.all_stood("unit", 6) == [first.goal, other.goal]
    assert known.all_stood("unit", 4) == [first.goal]
    memory.versions("acme", 9, 9, reads(asked=asked))
    assert asked == [0, 5]
    later = memory.versions("acme", 12, 12, reads(asked=asked))
    assert (later.upto, later.count) == (12, 3)


def test_whoever_was_asked_about_longest_ago_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "VERSIONS_MAX", 3)
    memory, asked = Kept(), list[int]()
    two = reads(unit("a", 1), unit("b", 2), asked=asked)
    for organisation_id in ("acme", "umbrella", "umbrella", "acme"):
        memory.versions(organisation_id, 2, 2, two)
    assert asked == [0, 0, 0]


def test_what_an_organisation_knows_last_is_read_again_only_for_a_later_moment() -> None:
    memory, latest = Kept(), [AT, AT, AT + timedelta(days=2)]
    day = timedelta(days=1)
    assert memory.knows_of_later("acme", AT - day, lambda: latest.pop(0))
    assert memory.knows_of_later("acme", AT - day, latest.pop)
    assert not memory.knows_of_later("acme", AT + day, lambda: latest.pop(0))
    assert memory.knows_of_later("acme", AT + day, lambda: latest.pop(0))
    assert latest == []
    assert not memory.knows_of_later("nobody", AT, lambda: None)


def test_a_question_sees_the_units_that_came_after_the_one_before(store: ViewStore) -> None:
    log = company.opened()
    fill(store, log)
    ask = Asker(store)
    before = ask(AsOf(), Goals)
    last = log.add(events.UnitRenamed("sales", name_was="Sales", name="Field"))
    store.write(rows_of([last], store), last.position, last.position)
    names = {unit.unit_id: unit.name for unit in ask(AsOf(), Goals).units}
    assert names == {unit.unit_id: unit.name for unit in before.units} | {"sales": "Field"}
    assert ask(AsOf(as_of=f"@{last.position - 1}"), Goals).units == before.units


def test_what_lies_below_a_closed_cycle_is_looked_up_once(
    store: ViewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = family(Policy(roll_up="both"))
    closed = events.CycleClosed("q3", Policy(roll_up="both"))
    log.add(closed, known_at=at(10, 5))
    log.add(events.CycleReopened("q3", reason="a late number"), known_at=at(10, 8))
    log.add(checked_in("b", "98", at(7, 3), "kr-below"), known_at=at(10, 8))
    log.add(closed, known_at=at(10, 9))
    fill(store, log)
    ask, looked_up, alignments = Asker(store), list[str](), Reader.alignments

    def counted(self: Reader, organisation_id: str, parents: Any, structure: int) -> Any:
        found = alignments(self, organisation_id, refs := list(parents), structure)
        looked_up.extend(refs)
        return found

    def progress(as_of: str) -> Decimal | None:
        query = AsOf(as_of=as_of, unit="company")
        answer = ask(query, Goals)
        assert answer == Asker(store)(query, Goals)
        looked_up.clear()
        assert ask(query, Goals) == answer
        return next(each.progress for each in answer.objectives if each.objective_id == "uptime")

    monkeypatch.setattr(Reader, "alignments", counted)
    assert progress("2025-10-04") == Decimal("0.375")
    assert "objective/uptime" in looked_up  # it runs
    assert progress("2025-10-06") == Decimal("0.375")
    assert looked_up == []
    ask(AsOf(as_of="2025-10-07", unit="company"), Goals)
    assert looked_up == []
    assert progress("2025-10-10") == Decimal("0.125")  # closed anew, it is another moment
    assert looked_up == []


def test_what_lies_below_is_forgotten_of_the_moment_looked_at_longest_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "BELOW_MAX", 3)
    memory = KeptBelow()
    for moment in ("one", "other"):
        memory.at(moment).update({"a": (), "b": (Decimal(1),)})
    assert memory.at("third") == {}
    assert memory.at("other") == {"a": (), "b": (Decimal(1),)}
    assert memory.at("one") == {}
