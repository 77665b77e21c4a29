"""`command FILE`: sends commands, prints each reply."""

from typing import Any, BinaryIO, Final

import click
from goal_contracts.replies import Accepted, Refused, RefusedItem, Reply, Warned
from rich.console import RenderableType
from rich.text import Text

from services.cli import command_file, options, printing
from services.cli.client import Client
from services.cli.command_file import Addressed, BadLine
from services.cli.options import System
from services.cli.printing import Row

COLUMNS: Final = (
    "line",
    "type",
    "command_id",
    "reply",
    "position",
    "events",
    "reason",
    "rule",
    "message",
    "seen",
    "accepted",
    "warnings",
    "left_out",
)
INDENT: Final = 4
"""Under a reply, in steps of two blanks."""


@click.command(
    "command",
    epilog="""\b
Example: goal-ledger command changes.ndjson
Example: goal-ledger command --actor ana - < changes.ndjson""",
    short_help="Send commands from a file, print each reply.",
)
@click.argument("file", type=click.File("rb"))
@options.actor
@options.output_format
@options.connected
def command(system: System, output_format: str, file: BinaryIO, actor: str) -> None:
    """Send the commands of FILE in order and print each reply; - reads standard input.

    One JSON object per line: {"type": …, "data": {…}}, and if wanted "id", "actor",
    "organisation", "import_id", "known_at", "provenance", "decided_on" (the position it was decided
    on). A line without an id gets one from its content, so the same file sent again records
    nothing again. A refused command, an item that was left out and a line that cannot be read do
    not stop the rest; the exit code is then 1. Warnings are advice, and stop nothing.
    """
    printer = _Printer(output_format)
    name = getattr(file, "name", "<stdin>")

    async def send(client: Client) -> bool:
        all_accepted = True
        lines = command_file.read(file, organisation=system.organisation, actor=actor)
        for line in lines:
            if isinstance(line, BadLine):
                printing.warn(f"malformed: {name}:{line.line}: {line.why}")
                all_accepted = False
                continue
            reply = await client.send(line.organisation, line.actor, line.message)
            printer.show(line, reply)
            all_accepted = all_accepted and isinstance(reply, Accepted) and not reply.refused
        return all_accepted

    if not system.run(send):
        raise click.exceptions.Exit(1)


class _Printer:
    """Prints each reply as it comes."""

    def __init__(self, output_format: str) -> None:
        self._format = output_format
        self._is_first = True

    def show(self, line: Addressed, reply: Reply) -> None:
        match self._format:
            case "json":
                printing.as_json_lines([row(line, reply)])
            case "csv":
                printing.as_csv(COLUMNS, [_flat(row(line, reply))], heading=self._is_first)
                self._is_first = False
            case _:
                printing.show(words(line, reply), *beside(reply))


def row(line: Addressed, reply: Reply) -> Row:
    """One reply with the line it answers."""
    common: dict[str, Any] = {
        "line": line.line,
        "type": line.message.type,
        "command_id": line.message.id,
    }
    match reply:
        case Accepted():
            return common | {
                "reply": "accepted",
                "position": reply.position,
                "events": reply.events,
                "warnings": reply.warnings,
                "left_out": reply.refused,
            }
        case Refused():
            return common | {
                "reply": "refused",
                "reason": str(reply.reason),
                "rule": reply.rule or None,
                "message": reply.message,
                "seen": reply.seen or None,
                "accepted": reply.accepted or None,
            }


def words(line: Addressed, reply: Reply) -> Text:
    """`12 CheckIn accepted @214`, or refused with the reason and what would be accepted."""
    text = Text(f"{line.line:>5}  ", "dim").append(line.message.type, "not dim bold")
    match reply:
        case Accepted(events=0):
            return text.append(f"  accepted, nothing to do (@{reply.position})", "not dim")
        case Accepted(events=1):
            return text.append("  accepted", "not dim green").append(f" @{reply.position}")
        case Accepted():
            first = reply.position - reply.events + 1
            return text.append("  accepted", "not dim green").append(
                f" @{first} to @{reply.position}"
            )
        case Refused():
            text.append("  refused", "not dim red")
            return text.append(f" {_why(reply)}", "not dim")


def beside(reply: Reply) -> list[RenderableType]:
    """A line for each warning, and for each item that a bulk command had to leave out."""
    if isinstance(reply, Refused):
        return []
    warnings = (Text("warning ", "yellow").append(_advice(each), "none") for each in reply.warnings)
    left_out = (
        Text(f"item {each.item} left out ", "red").append(_why(each), "none")
        for each in reply.refused
    )
    return [printing.indented(each, INDENT) for each in (*warnings, *left_out)]


def _flat(of: Row) -> Row:
    """The row with its lists as text, one thing after the other."""
    return {
        **of,
        "warnings": "; ".join(_advice(each) for each in of.get("warnings", ())),
        "left_out": "; ".join(f"{each.item}: {_why(each)}" for each in of.get("left_out", ())),
    }


def _advice(warned: Warned) -> str:
    return f"({warned.rule}): {warned.message}"


def _why(refused: Refused | RefusedItem) -> str:
    rule = f" ({refused.rule})" if refused.rule else ""
    accepted = f"; accepted: {refused.accepted}" if refused.accepted else ""
    return f"{refused.reason}{rule}: {refused.message}{accepted}"
