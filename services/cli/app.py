"""`goal-ledger`, the operator's door: its subcommands, and how each of them ends.

Exit codes: 0 done, 1 refused or not verified, 2 wrong usage, 3 unreachable. Every foreseeable
trouble is one line on standard error: code, what happened, how to mend it.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import click

from services.cli.errors import told_in_one_line

COMMANDS: Final[Mapping[str, str]] = {
    "up": "services.cli.up:up",
    "demo": "services.cli.demo:demo",
    "command": "services.cli.command:command",
    "import": "services.cli.app:imports",
    "as-of": "services.cli.as_of:as_of",
    "diff": "services.cli.diff:diff",
    "readings": "services.cli.readings:readings",
    "history": "services.cli.history:history",
    "replay": "services.cli.replay:replay",
    "report": "services.cli.report:report",
    "roll-ups": "services.cli.roll_ups:roll_ups",
    "alerts": "services.cli.alerts:alerts",
    "insights": "services.cli.insights:insights",
    "policy": "services.cli.app:policies",
    "export": "services.cli.export:export",
    "token": "services.cli.token:token",
    "ledger": "services.cli.service:ledger",
    "projections": "services.cli.service:projections",
    "relay": "services.cli.relay:relay",
    "nats-users": "services.cli.nats_users:nats_users",
    "rebuild": "services.cli.rebuild:rebuild",
}
"""By the word on the command line: the module that has the command, and its name there."""
IMPORTS: Final[Mapping[str, str]] = {
    "readings": "services.cli.import_readings:readings",
    "okr-markdown": "services.cli.import_okr_markdown:okr_markdown",
}
POLICIES: Final[Mapping[str, str]] = {
    "show": "services.cli.policy:show",
    "set": "services.cli.policy:change",
}


class Door(click.Group):
    """A group whose errors are one line each, and whose commands stand in the order given.

    A command is imported when it is asked for: all of them together take as long as many a command.
    """

    def __init__(self, *, found_in: Mapping[str, str], **more: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(**more)
        self._found_in = found_in

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self._found_in)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        where = self._found_in.get(name)
        if where is None:
            return None
        module, _, attribute = where.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - as click declares it
    ) -> click.Context:
        with told_in_one_line():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click declares it
        with told_in_one_line():
            return super().invoke(ctx)


@click.group(
    cls=Door,
    found_in=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Settings come from flags, then GOAL_LEDGER_* variables, then goal-ledger.toml in this directory.
DATE is a day (its end in the organisation's zone), an instant, or a position @N of the log.
Exit codes: 0 done, 1 refused or not verified, 2 wrong usage, 3 unreachable.

\b
Example: goal-ledger demo
Example: goal-ledger as-of 2025-09-30""",
)
@click.version_option(package_name="goal-ledger", message="goal-ledger %(version)s")
def app() -> None:
    """Goals and indicators as a ledger: who changed what, when and why, and how it stood then."""


@click.group("import", cls=Door, found_in=IMPORTS, short_help="Goals and readings from elsewhere.")
def imports() -> None:
    """Bring history from elsewhere into the ledger, with its own dates."""


@click.group("policy", cls=Door, found_in=POLICIES, short_help="The settings of the cycle rules.")
def policies() -> None:
    """Show or change the settings that an organisation's cycle rules run under."""


def main() -> None:
    """The program."""
    app(prog_name="goal-ledger")
