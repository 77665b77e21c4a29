"""`policy show` and `policy set`: the settings that the cycle rules run under."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec
from goal_contracts import codec, reference
from goal_contracts.commands import ChangePolicy
from goal_contracts.policy import Policy
from goal_contracts.queries import AsOf, Goals
from goal_contracts.replies import Accepted, Refused
from goal_contracts.schema import said_below
from msgspec import Struct
from rich.console import RenderableType
from rich.text import Text

from services.cli import goal_tree, options, printing, wording
from services.cli.client import Client
from services.cli.errors import Failed, WrongUsage
from services.cli.options import System

COLUMNS: Final = ("setting", "value", "default", "rule", "says")
CHANGED_COLUMNS: Final = ("setting", "was", "now")
NOTHING: Final = frozenset({"none", "null"})
ID_LENGTH: Final = 40


class Setting(Struct, frozen=True):
    """One setting as people write it; `rule` and `says` are the contracts' own words."""

    setting: str
    value: str
    default: str
    rule: str
    says: str


class ChangedSetting(Struct, frozen=True):
    setting: str
    was: str
    now: str


@click.command(
    "show",
    epilog="Example: goal-ledger policy show --cycle 2025-Q3",
    short_help="The settings as they are.",
)
@click.option(
    "--cycle", type=options.ID_TYPE, metavar="ID", help="The settings that this cycle pinned."
)
@options.output_format
@options.connected
def show(system: System, output_format: str, cycle: str | None) -> None:
    """Show the settings of the organisation, or those that a cycle was activated or closed under.

    Each with the rule it belongs to; one that is not the default is marked.
    """

    async def ask(client: Client) -> Goals:
        return await system.ask(client, AsOf(cycle=cycle, limit=1), Goals)

    goals = system.run(ask)
    pinned = _of_organisation(goals) if cycle is None else _of_cycle(goals, cycle)
    settings = settings_of(pinned)
    match output_format:
        case "json":
            printing.as_json(pinned)
        case "csv":
            printing.as_csv(COLUMNS, map(msgspec.structs.asdict, settings))
        case _:
            asked = f"{system.organisation} policy" + (f" of {cycle}" if cycle else "")
            printing.show(goal_tree.reflects(asked, goals.reflects), "", _table(settings))


@click.command(
    "set",
    epilog="""\b
Example: goal-ledger policy set counts=block key_results_max=4 --reason "Less is more"
Example: goal-ledger policy set structure_lock_days=none bands=0.3,0.7""",
    short_help="Change settings; running cycles keep theirs.",
)
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE…")
@click.option("--reason", metavar="TEXT", help="Why they change; it stays with the change.")
@options.actor
@options.output_format
@options.connected
def change(
    system: System, output_format: str, changes: Sequence[str], reason: str | None, actor: str
) -> None:
    """Change settings of the organisation.

    The others stay as they are. Cycles that are running keep what they pinned when they were
    activated. If somebody else changes the settings meanwhile, nothing is recorded: look again.
    `policy show` lists every KEY; none is no limit, bands are two numbers with a comma between
    them, and reading_grace is yearly:60, with a comma between several.
    """

    async def send(client: Client) -> tuple[Policy, Policy, Accepted | None]:
        goals = await system.ask(client, AsOf(limit=1), Goals)
        was = _of_organisation(goals)
        now = changed(was, changes)
        if now == was:
            return was, now, None
        command = ChangePolicy(now, reason)
        message = codec.command_message(
            command,
            command_id=_command_id(command, goals.reflects.position),
            decided_on=goals.reflects.position,
        )
        reply = await client.send(system.organisation, actor, message)
        if isinstance(reply, Refused):
            accepted = f"; accepted: {reply.accepted}" if reply.accepted else ""
            raise Failed(reply.reason, reply.message + accepted)
        return was, now, reply

    was, now, reply = system.run(send)
    differing = differences(was, now)
    match output_format:
        case "json":
            printing.as_json(differing)
        case "csv":
            printing.as_csv(CHANGED_COLUMNS, map(msgspec.structs.asdict, differing))
        case _:
            printing.show(*told(differing, reply))


def changed(was: Policy, changes: Sequence[str]) -> Policy:
    """The policy with what `KEY=VALUE` says; WrongUsage when it says no setting."""
    fields = {field.name: field.type for field in msgspec.structs.fields(Policy)}
    said: dict[str, Any] = {}
    for text in changes:
        name, equals, value = text.partition("=")
        if not equals:
            raise WrongUsage(f"{text!r} sets nothing; accepted: KEY=VALUE, such as counts=block")
        if name not in fields:
            raise WrongUsage(f"there is no setting {name}; accepted: {', '.join(fields)}")
        if name in said:
            raise WrongUsage(f"{name} is set twice")
        try:
            said[name] = _read(getattr(was, name), value.strip(), fields[name])
        except msgspec.ValidationError as error:
            accepted = reference.accepted_values(fields[name]).replace("`", "")
            raise WrongUsage(f"{name}={value}: {error}; accepted: {accepted}") from error
    return msgspec.structs.replace(was, **said)


def settings_of(of: Policy) -> list[Setting]:
    """Every setting, in the order of the contracts."""
    default, said = Policy(), said_below(Policy)
    found = []
    for name in Policy.__struct_fields__:
        rule, _, says = said[name].replace("None,", "none,").partition(": ")
        value = reference.written(getattr(of, name))
        found.append(
            Setting(name, value, reference.written(getattr(default, name)), rule, says.rstrip("."))
        )
    return found


def differences(was: Policy, now: Policy) -> list[ChangedSetting]:
    return [
        ChangedSetting(name, reference.written(before), reference.written(after))
        for name in Policy.__struct_fields__
        if (before := getattr(was, name)) != (after := getattr(now, name))
    ]


def told(differing: Sequence[ChangedSetting], reply: Accepted | None) -> list[RenderableType]:
    """What changed, at which position, and what does not change by it."""
    if reply is None:
        return ["The settings are like that already; nothing recorded."]
    lines: list[RenderableType] = [
        f"{each.setting}: {each.was} {wording.ARROW} {each.now}" for each in differing
    ]
    return [
        *lines,
        f"Recorded @{reply.position}. Cycles that are running keep what they pinned.",
    ]


def _table(settings: Sequence[Setting]) -> RenderableType:
    table = printing.grid(("Rule", "left"), ("Setting", "left"), ("Value", "fold"), ("", "fold"))
    for each in settings:
        is_default = each.value == each.default
        says = Text(each.says, "dim")
        if not is_default:
            says.append(f" (default {each.default})", "not dim")
        table.add_row(each.rule, each.setting, Text(each.value, "" if is_default else "bold"), says)
    return table


def _of_organisation(goals: Goals) -> Policy:
    if goals.organisation is None or goals.organisation.policy is None:
        raise Failed(
            "not_found", "there is no organisation yet; OpenOrganisation begins its ledger"
        )
    return goals.organisation.policy


def _of_cycle(goals: Goals, cycle_id: str) -> Policy:
    card = next((card for card in goals.cycles if card.cycle_id == cycle_id), None)
    if card is None or card.policy is None:
        state = "there is no such cycle" if card is None else f"it is {card.state}"
        raise Failed("not_found", f"the cycle {cycle_id} has pinned no settings: {state}")
    return card.policy


def _read(was: Any, text: str, of: Any) -> Any:  # noqa: ANN401  # of any type a setting has
    if not text.isascii():
        # No setting is spelled so, and Python would also read the digits of other scripts.
        raise msgspec.ValidationError("not in ASCII")
    if text.casefold() in NOTHING:
        return msgspec.convert(None, of)
    if isinstance(was, tuple):
        return msgspec.convert([part.strip() for part in text.split(",")], of, strict=False)
    if isinstance(was, Struct):
        parts = dict(part.strip().partition(":")[::2] for part in text.split(","))
        unknown = sorted(parts.keys() - set(was.__struct_fields__))
        if unknown:
            raise msgspec.ValidationError(f"{', '.join(unknown)} is none of its parts")
        return msgspec.convert(msgspec.structs.asdict(was) | parts, of, strict=False)
    return msgspec.convert(text, of, strict=False)


def _command_id(command: ChangePolicy, position: int) -> str:
    # The same change decided on the same position is the same command, however often it is sent.
    digest = hashlib.sha256(codec.encode(command)).hexdigest()
    return f"policy-{position}-{digest[:ID_LENGTH]}"
