"""The sample company: a year of a maker of cargo bikes, as commands that a person can read.

The files beside this one are in the order of their names, one command a line, each with the moment
it was known. They are loaded as imported history, through the real command path: so the year has
the dates it is written with, and every event says by which line it came.
"""

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from goal_contracts import codec
from goal_contracts.codec import CommandMessage
from goal_contracts.commands import OpenOrganisation, RecordReadings

from services.cli import command_file, importing
from services.cli.command_file import BadLine
from services.cli.importing import DIGEST_SHOWN, Fact, History

ORGANISATION: Final = "acme"
IMPORT: Final = "sample-2025"
SOURCE: Final = "the sample company"
LOADED_BY: Final = "sample"


def history(organisation_id: str = ORGANISATION) -> History:
    """The whole year, ready to be sent by `importing.send`."""
    opening: OpenOrganisation | None = None
    facts: list[Fact] = []
    digest = hashlib.sha256()
    for name, content in _files():
        digest.update(content)
        for fact in _facts(name, content, organisation_id):
            if isinstance(fact.command, OpenOrganisation):
                opening = fact.command
            else:
                facts.append(fact)
    if opening is None:
        raise ValueError("the sample company does not begin with OpenOrganisation")
    return History(
        organisation_id=organisation_id,
        import_id=IMPORT,
        source=SOURCE,
        digest=digest.hexdigest()[:DIGEST_SHOWN],
        actor=LOADED_BY,
        opening=opening,
        facts=facts,
        size=len(facts),
    )


def messages(
    organisation_id: str = ORGANISATION, attempt: str = "1"
) -> Iterator[tuple[str, CommandMessage]]:
    """Every command with who asks it, from the opening to the import's finish."""
    for fact, message in importing.messages(history(organisation_id), attempt):
        yield fact.actor, message


def _files() -> Iterator[tuple[str, bytes]]:
    folder = files(__name__)
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".ndjson"):
            yield file.name, file.read_bytes()


def _facts(name: str, content: bytes, organisation_id: str) -> Iterator[Fact]:
    lines = content.splitlines()
    for line in command_file.read(lines, organisation=organisation_id, actor=LOADED_BY):
        if isinstance(line, BadLine):
            raise ValueError(f"{name}:{line.line}: {line.why}")  # noqa: TRY004  # it is no type error
        message = line.message
        if message.known_at is None:
            raise ValueError(f"{name}:{line.line}: the command does not say when it was known")
        command = codec.decode_command(message)
        items = len(command.readings) if isinstance(command, RecordReadings) else 1
        place = f"{name}:{line.line}"
        yield Fact(
            line.actor, command, message.known_at, (place,) * items, f"{name}#{line.line}", name
        )
