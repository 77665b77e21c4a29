"""What can go wrong at this door; every message is one line and says how to mend it.

CliError
├── Failed         1   refused, not verified, not found
├── WrongUsage     2   the command was not asked rightly
├── Unreachable    3   no answer from the system
└── Interrupted  130   Ctrl-C
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, ClassVar

import click

from services.embedded.errors import EmbeddedError


class CliError(click.ClickException):
    """`code` is stable and short; the message says what happened and how to mend it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def show(self, file: IO[Any] | None = None) -> None:
        """The one line, on standard error."""
        click.echo(f"{self.code}: {' '.join(self.message.split())}", file=file, err=file is None)


class Failed(CliError):
    exit_code = 1


class WrongUsage(CliError):
    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__("usage", message)


class Unreachable(CliError):
    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__("unreachable", message)


class Interrupted(CliError):
    exit_code = 128 + signal.SIGINT

    def __init__(self) -> None:
        super().__init__("interrupted", "stopped half way; run it again to go on")


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turns click's own errors, and those of the embedded system, into ours."""
    try:
        yield
    except (CliError, click.exceptions.NoArgsIsHelpError):
        raise
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "goal-ledger"
        raise WrongUsage(f"{error.format_message()} (see `{command} --help`)") from error
    except click.ClickException as error:
        raise Failed("failed", error.format_message()) from error
    except EmbeddedError as error:
        raise Failed(error.code, str(error)) from error
    except KeyboardInterrupt as error:
        raise Interrupted from error
