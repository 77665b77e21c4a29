"""The help of every command. `python -m tests.cli.help_texts` writes the texts anew."""

from collections.abc import Iterator
from pathlib import Path

import click

from services.cli.app import app
from tests.cli.running import goal_ledger

FOLDER = Path(__file__).parent / "help"
WIDTH = 80


def commands(group: click.Group = app, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command, groups and the program itself included."""
    yield above
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name)


def help_of(path: tuple[str, ...]) -> str:
    shown = goal_ledger(*path, "--help", terminal_width=WIDTH)
    assert shown.exit_code == 0, shown.stderr
    return shown.stdout


def file_of(path: tuple[str, ...]) -> Path:
    return FOLDER / f"{'-'.join(('goal-ledger', *path))}.txt"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path in commands():
        file_of(path).write_text(help_of(path), encoding="utf-8")
