"""A state that was written down and read again is the same, and goes on the same."""

from collections.abc import Sequence
from itertools import pairwise
from unittest.mock import patch

import pytest
from goal_contracts.codec import Recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from services.cli import sample
from services.ledger.domain import Organisation, evolve, fold, frozen_state
from services.ledger.domain.answers import Answers
from services.ledger.domain.frozen_state import Thawed, from_blocks, hold, shape, to_blocks
from services.ledger.domain.organisation import Cycle
from tests.cli.in_process_ledger import InProcessLedger
from tests.ledger.domain import commands_drawn as drawn
from tests.ledger.domain.scenario import ORG, company
from tests.ledger.domain.test_evolve import RICH
from tests.ledger.domain.test_properties import EXAMPLES, lived, usual

IN_THE_ORDER_OF_AN_INDEX = {"check_ins", "readings", "missed", "reviews"}


def exact(state: Organisation | None) -> dict[str, str]:
    """Every digit, offset and order, except an order that nobody looks at."""
    if state is None:
        return {}
    fields = {name: getattr(state, name) for name in state.__struct_fields__}
    return {
        name: repr(sorted(each.items()) if name in IN_THE_ORDER_OF_AN_INDEX else each)
        for name, each in fields.items()
    }


def written_and_read(state: Organisation | None) -> Organisation | None:
    organisations = {} if state is None else {ORG: state}
    held = hold(7, organisations, {})
    thawed = from_blocks(7, [*to_blocks(held)])
    held.release()
    return thawed.organisations.get(ORG)


def the_sample() -> list[Recorded]:
    ledger = InProcessLedger()
    for actor, message in sample.messages(ORG):
        ledger.answer(ORG, actor, message)
    return ledger.events


SAMPLE = the_sample()


def test_the_histories_here_fill_every_mapping() -> None:
    states = [fold(None, RICH), fold(None, SAMPLE)]
    for name in (*frozen_state._MAPPINGS, "answers"):
        assert any(getattr(state, name) for state in states), name


@given(cut=st.integers(0, len(RICH)))
def test_folding_all_is_the_same_as_a_snapshot_and_the_rest(cut: int) -> None:
    kept = written_and_read(fold(None, RICH[:cut]))
    assert exact(kept) == exact(fold(None, RICH[:cut]))
    assert exact(fold(kept, RICH[cut:])) == exact(fold(None, RICH))


@given(cut=st.integers(0, len(SAMPLE)))
@settings(usual, max_examples=25)
def test_wherever_the_sample_companys_year_is_cut(cut: int) -> None:
    kept = written_and_read(fold(None, SAMPLE[:cut]))
    assert exact(fold(kept, SAMPLE[cut:])) == exact(fold(None, SAMPLE))


@given(drawn.lives, st.data())
@settings(usual, max_examples=max(EXAMPLES // 10, 5))
def test_whatever_life_an_organisation_had(life: drawn.Life, data: st.DataObject) -> None:
    history = lived(life).history
    cuts = data.draw(st.lists(st.integers(0, len(history)), max_size=4).map(sorted))
    state: Organisation | None = None
    with patch.object(frozen_state, "ENTRIES_MAX", data.draw(st.sampled_from([1, 2, 1_000]))):
        for begin, end in pairwise([0, *cuts, len(history)]):
            state = written_and_read(fold(state, history[begin:end]))
    assert exact(state) == exact(fold(None, history))


def versions(history: Sequence[Recorded]) -> dict[tuple[str, str, str], int]:
    counted: dict[tuple[str, str, str], int] = {}
    for each in history:
        originator = each.organisation_id, each.kind, each.goal_id
        counted[originator] = counted.get(originator, 0) + 1
    return counted


def of_all() -> dict[str, Organisation]:
    rich, small = fold(None, RICH), company().state
    assert rich is not None
    return {"acme": rich, "other": small}


@pytest.mark.parametrize("at_once", [1, 3, 1_000])
def test_all_organisations_and_versions_are_kept(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen_state, "ENTRIES_MAX", at_once)
    counted = versions(RICH)
    held = hold(7, of_all(), counted)
    thawed = from_blocks(held.position, to_blocks(held))
    assert thawed == Thawed(7, of_all(), counted)
    assert [*thawed.organisations] == ["acme", "other"]


def test_what_is_held_stays_as_it_was_while_the_ledger_goes_on() -> None:
    state = fold(None, RICH)
    assert state is not None
    before = exact(fold(None, RICH))
    counted = versions(RICH)
    held = hold(state.position, {ORG: state}, counted)
    blocks = to_blocks(held)
    written = [next(blocks)]
    for each in SAMPLE[1:400]:
        # The rest of another life: the same kinds of things under other ids.
        state = evolve(state, replace(each, position=state.position + 1))
        counted.clear()
    written.extend(blocks)
    thawed = from_blocks(held.position, written)
    assert exact(thawed.organisations[ORG]) == before
    assert thawed.versions == versions(RICH)
    held.release()
    assert exact(written_and_read(state)) == exact(state)


def test_names_that_occur_again_are_one_string() -> None:
    thawed = from_blocks(7, to_blocks(hold(7, of_all(), {})))
    state = thawed.organisations["acme"]
    [key_result_id] = [each for each in state.key_results if each == "kr"]
    assert all(key[0] is key_result_id for key in state.check_ins)
    [kpi_id] = state.kpis
    assert all(key[0] is kpi_id for key in state.readings)


def test_periods_and_sources_that_occur_again_are_one_string() -> None:
    state = written_and_read(fold(None, SAMPLE))
    assert state is not None
    for column in (1, 2):
        names = [key[column] for key in state.readings]
        assert len({id(name) for name in names}) == len(set(names)) < len(names)


def test_a_block_holds_so_many_entries_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_state, "ENTRIES_MAX", 2)
    sizes = set()
    for block in to_blocks(hold(7, of_all(), versions(RICH))):
        head, *values = block.splitlines()
        if json.decode(head)["field"] != "plain":
            sizes.add(len(values))
    assert sizes == {1, 2}


def without_its_last_value(block: bytes) -> bytes:
    return block[: block.rindex(b"\n", 0, -1) + 1]


def test_a_block_that_lacks_a_value_is_not_read() -> None:
    blocks = [*to_blocks(hold(7, of_all(), versions(RICH)))]
    for place, block in enumerate(blocks):
        cut = [*blocks[:place], without_its_last_value(block), *blocks[place + 1 :]]
        with pytest.raises(ValueError, match=r"^zip\(\) argument 2 is shorter than argument"):
            from_blocks(7, cut)


def test_a_block_that_lacks_part_of_a_key_is_not_read() -> None:
    [*blocks, last] = to_blocks(hold(7, of_all(), versions(RICH)))
    head, _, values = last.partition(b"\n")
    damaged = json.decode(head)
    del damaged["columns"][2][-1]
    cut = json.encode(damaged) + b"\n" + values
    with pytest.raises(ValueError, match=r"^zip\(\) argument 3 is shorter than arguments 1-2$"):
        from_blocks(7, [*blocks, without_its_last_value(cut)])


def test_another_shape_is_told_apart() -> None:
    as_it_is = shape()
    assert "0x" not in as_it_is, "the same in every process"
    with patch.dict(frozen_state._MAPPINGS, {"units": Cycle}):
        assert shape() != as_it_is


def test_the_latest_position_of_a_command_is_found_among_its_answers() -> None:
    answers = Answers()
    for position, command_id in enumerate(["c-1", "c-2", "c-2", "c-3"], start=1):
        answers.remember(command_id, position)
    held = answers.hold()
    answers.forget_oldest()
    answers.remember("c-3", 5)
    assert [held.last_position(each) for each in ("c-1", "c-2", "c-3", "c-4")] == [1, 3, 4, None]


def test_where_nothing_was_answered_no_command_is_found() -> None:
    assert Answers().hold().last_position("c-1") is None
