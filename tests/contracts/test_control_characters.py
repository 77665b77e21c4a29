"""What people write is shown to others: no character in it may steer their screen."""

import msgspec
import pytest
from goal_contracts import codec, fields
from goal_contracts.commands import AddComment, DefineUnit, DraftObjective
from goal_contracts.replies import Reason, Refusal

LINES = (fields.Title, fields.Name, fields.UnitOfMeasure, fields.Source, fields.Provenance)
TEXTS = (fields.Text, fields.Reasoning)
CONTROL = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("where", ["{}a", "a{}b", "a{}"])
def test_a_line_has_no_control_characters(kind: object, where: str) -> None:
    for character in CONTROL:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(where.format(character), kind)
    assert msgspec.convert("Größe – 大 🚲", kind) == "Größe – 大 🚲"


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("where", ["{}a", "a{}b", "a{}"])
def test_a_long_text_has_newlines_and_tabs_and_no_other_control_characters(
    kind: object, where: str
) -> None:
    for character in CONTROL:
        if character in "\n\t":
            assert msgspec.convert(where.format(character), kind) == where.format(character)
        else:
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert(where.format(character), kind)


@pytest.mark.parametrize(
    "command",
    [
        DefineUnit(unit_id="team", name="Te\x1b[31mam", unit_kind="team"),
        DefineUnit(unit_id="team\n", name="Team", unit_kind="team"),
        DraftObjective("o", "q1", "team", "Win\x00", "ann", "aspirational"),
        AddComment("objective/o\n", "c", "fine"),
        AddComment("objective/o", "c", "so\x07far"),
    ],
)
def test_a_command_with_one_is_malformed(command: DefineUnit | DraftObjective | AddComment) -> None:
    message = codec.decode_message(codec.encode(codec.command_message(command, command_id="c")))
    with pytest.raises(Refusal, match="regex") as refused:
        codec.decode_command(message)
    assert refused.value.reason == Reason.MALFORMED


@pytest.mark.parametrize(
    ("kind", "spelled"),
    [
        (fields.Id, "k"),
        (fields.Period, "2025-01-01/2025-01-31"),
        (fields.GoalRef, "kpi/k"),
    ],
)
def test_no_newline_follows_what_is_spelled(kind: object, spelled: str) -> None:
    assert _is(spelled, kind)
    assert not _is(f"{spelled}\n", kind)


def test_the_digits_of_a_period_are_those_of_the_calendar() -> None:
    assert not _is("٢٠٢٥-01-01/2025-01-31", fields.Period)


def _is(text: str, kind: object) -> bool:
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True
