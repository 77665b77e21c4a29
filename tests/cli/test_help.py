"""What people read when they ask for help is reviewed like code: the texts are in help/."""

import pytest

from tests.cli.help_texts import FOLDER, commands, file_of, help_of

PATHS = list(commands())
GROUPS = {(), ("import",), ("export",), ("policy",), ("nats-users",), ("relay",)}


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_the_help_of_every_command_is_as_committed(path: tuple[str, ...]) -> None:
    assert help_of(path) == file_of(path).read_text(encoding="utf-8")


def test_no_help_is_kept_of_a_command_that_is_gone() -> None:
    assert set(FOLDER.iterdir()) == {file_of(path) for path in PATHS}


@pytest.mark.parametrize("path", [path for path in PATHS if path not in GROUPS], ids=" ".join)
def test_every_command_shows_an_example_of_itself(path: tuple[str, ...]) -> None:
    assert f"Example: goal-ledger {' '.join(path)}" in help_of(path)
