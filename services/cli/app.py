"""`goal-ledger`, the operator's door: its subcommands, and how each of them ends.

Exit codes: 0 done, 1 refused or not verified, 2 wrong usage, 3 unreachable. Every foreseeable
trouble is one line on standard error: code, what happened, how to mend it.
"""

from typing import Any

import click

from services.cli.alerts import alerts
from services.cli.as_of import as_of
from services.cli.command import command
from services.cli.demo import demo
from services.cli.diff import diff
from services.cli.errors import told_in_one_line
from services.cli.export import export
from services.cli.history import history
from services.cli.import_okr_markdown import okr_markdown
from services.cli.import_readings import readings as import_readings
from services.cli.insights import insights
from services.cli.nats_users import nats_users
from services.cli.policy import change as policy_set
from services.cli.policy import show as policy_show
from services.cli.readings import readings
from services.cli.rebuild import rebuild
from services.cli.relay import relay
from services.cli.replay import replay
from services.cli.report import report
from services.cli.service import ledger, projections
from services.cli.token import token
from services.cli.up import up


class Door(click.Group):
    """A group whose errors are one line each, and whose commands stand in the order given."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self.commands)

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


@click.group("import", short_help="Goals and readings from elsewhere.")
def imports() -> None:
    """Bring history from elsewhere into the ledger, with its own dates."""


imports.add_command(import_readings)
imports.add_command(okr_markdown)


@click.group("policy", short_help="The settings of the cycle rules.")
def policies() -> None:
    """Show or change the settings that an organisation's cycle rules run under."""


policies.add_command(policy_show)
policies.add_command(policy_set)
for subcommand in (
    up,
    demo,
    command,
    imports,
    as_of,
    diff,
    readings,
    history,
    replay,
    report,
    alerts,
    insights,
    policies,
    export,
    token,
    ledger,
    projections,
    relay,
    nats_users,
    rebuild,
):
    app.add_command(subcommand)


def main() -> None:
    """The program."""
    app(prog_name="goal-ledger")
