"""Commands in a file: one JSON object per line, each with an id that follows from what it says.

    {"type": "PlanCycle", "data": {…}}
    {"type": "CheckIn", "data": {…}, "actor": "ana", "known_at": "2025-07-14T09:00:00+02:00"}

`id`, `actor`, `organisation`, `import_id`, `known_at`, `provenance`, `on_behalf_of`,
`correlation_id` and `decided_on` may be given. Empty lines, and lines that begin with #, say
nothing. Pure.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from goal_contracts.codec import CommandMessage
from goal_contracts.fields import Id, Instant, Provenance
from msgspec import Raw, Struct

LINE_BYTES_MAX: Final = 1_000_000
DIGEST_LENGTH: Final = 40


class CommandLine(Struct, frozen=True, forbid_unknown_fields=True):
    """One line as written."""

    type: Id
    data: Raw
    id: Id | None = None
    actor: Id | None = None
    organisation: Id | None = None
    import_id: Id | None = None
    known_at: Instant | None = None
    provenance: Provenance | None = None
    on_behalf_of: Id | None = None
    correlation_id: Id | None = None
    decided_on: int | None = None


class Addressed(Struct, frozen=True):
    """A command of a file, ready to be sent; `line` counts from 1."""

    line: int
    organisation: str
    actor: str
    message: CommandMessage


class BadLine(Struct, frozen=True):
    """A line that holds no command, and why."""

    line: int
    why: str


_line: Final = msgspec.json.Decoder(CommandLine)


def read(lines: Iterable[bytes], *, organisation: str, actor: str) -> Iterator[Addressed | BadLine]:
    """The commands of a file; organisation and actor are for lines that name none.

    A line without an id gets one from the organisation and its content, and from how often the
    same content stood above it: so a file that is sent again records nothing again.
    """
    seen: Counter[str] = Counter()
    for number, text in enumerate(lines, start=1):
        content = text.strip()
        if number == 1:
            content = content.removeprefix(b"\xef\xbb\xbf")
        if not content or content.startswith(b"#"):
            continue
        if len(content) > LINE_BYTES_MAX:
            yield BadLine(number, f"longer than {LINE_BYTES_MAX} bytes; make it several commands")
            continue
        try:
            line = _line.decode(content)
            where = line.organisation or organisation
            digest = _digest(where, content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            yield BadLine(number, f'{error}; accepted: {{"type": …, "data": {{…}}}}')
            continue
        seen[digest] += 1
        yield Addressed(
            line=number,
            organisation=where,
            actor=line.actor or actor,
            message=CommandMessage(
                id=line.id or _command_id(digest, seen[digest]),
                type=line.type,
                data=line.data.copy(),
                on_behalf_of=line.on_behalf_of,
                correlation_id=line.correlation_id,
                import_id=line.import_id,
                known_at=line.known_at,
                provenance=line.provenance,
                decided_on=line.decided_on,
            ),
        )


def _digest(organisation: str, content: bytes) -> str:
    # Of what the line says, not of how it is set: blanks and the order of keys do not matter.
    canonical = msgspec.json.encode(msgspec.json.decode(content), order="sorted")
    return hashlib.sha256(organisation.encode() + b"\n" + canonical).hexdigest()


def _command_id(digest: str, occurrence: int) -> str:
    return f"{digest[:DIGEST_LENGTH]}-{occurrence}"
