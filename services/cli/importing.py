"""History as commands: what every import sends, and in which order.

An import is its organisation's opening, StartHistoryImport, its facts in order of `known_at`, and
FinishHistoryImport. Every command's id follows from the import's id and the command's place in it,
so an import that was interrupted is sent again as a whole: the ledger answers what it knows with
its first answer, and goes on where it stopped. Only the start is asked under a new id each time, to
learn whether the import is finished. The import's id follows from the digest of what is imported:
other input is another import.

Each command waits for the answer to the one before. Only of what somebody made known at one moment
several are under way: bulk commands about different readings, and definitions of indicators that
are not computed from others. To them it would make no difference if one had to be asked again and
came after the next.
"""

import asyncio
import contextlib
import hashlib
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Final, Protocol

from goal_contracts.codec import CommandMessage, command_message
from goal_contracts.commands import (
    Command,
    CorrectReadings,
    DefineKpi,
    FinishHistoryImport,
    OpenOrganisation,
    RecordCheckIns,
    RecordReadings,
    StartHistoryImport,
)
from goal_contracts.events import KpiDefinition
from goal_contracts.replies import Accepted, Reason, Refused, Reply
from msgspec import Struct, field
from msgspec.structs import replace

DIGEST_SHOWN: Final = 16
"""How many hex digits of a file's SHA-256 stand in a provenance."""
ATTEMPT_BYTES: Final = 4
INTERRUPTING: Final = frozenset(
    {
        Reason.IMPORT_FINISHED,
        Reason.IMPORT_NOT_RUNNING,
        Reason.IMPORT_RUNNING,
        Reason.ORGANISATION_UNKNOWN,
        Reason.OVERLOADED,
    }
)
"""Refusals that say nothing about the fact: the import is interrupted, and nothing is left out."""
BULKS_UNDER_WAY_MAX: Final = 8
"""So many, and the ledger decides some while others are being written."""
DEFINITIONS_UNDER_WAY_MAX: Final = 256
"""So many, and the ledger writes them in a few groups."""


class Sender(Protocol):
    """Sends one command and waits for the ledger's answer."""

    async def send(self, organisation_id: str, actor: str, message: CommandMessage) -> Reply: ...


class Left(Struct, frozen=True):
    """Something that was left out of an import: where it stands, and why."""

    place: str
    why: str


class Fact(Struct, frozen=True):
    """One command of an import: by whom, known since when, and where it stands.

    A bulk command has a place for each of its items. `group` names what it belongs to, such as a
    revision. `size` is how much of the import is done with its answer.
    """

    actor: str
    command: Command
    known_at: datetime
    places: tuple[str, ...] = ()
    provenance: str | None = None
    group: str = ""
    size: int = 1


class History(Struct, frozen=True):
    """All of an import, ready to be sent.

    `facts` may be made only when they are asked for, and are the same each time; at least one.
    `size` is how much they are together: commands, or rows of files. `left` is what could not be
    mapped, in full once all facts were asked for.
    """

    organisation_id: str
    import_id: str
    source: str
    digest: str
    actor: str
    opening: OpenOrganisation
    facts: Iterable[Fact]
    size: int
    left: Sequence[Left] = ()


class Outcome(Struct):
    """What became of an import.

    `events` are all events of this import, also those an earlier, interrupted run recorded.
    `positions` are, by group, the position of the last event up to the group's end.
    """

    already_imported: bool = False
    events: int = 0
    position: int = 0
    recorded: dict[str, int] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    refused: list[Left] = field(default_factory=list)


class ImportRefused(Exception):
    """The ledger does not take the import, or no longer."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


def import_id_of(
    kind: str, organisation_id: str, digests: Mapping[str, str], settings: bytes
) -> str:
    """The id of an import: the same organisation, settings and files give the same id."""
    whole = hashlib.sha256(f"{organisation_id}\n".encode() + settings)
    for file, digest in sorted(digests.items()):
        whole.update(f"\n{file}\n{digest}".encode())
    return f"{kind}-{whole.hexdigest()[:DIGEST_SHOWN]}"


def messages(history: History, attempt: str) -> Iterator[tuple[Fact, CommandMessage]]:
    """Every command of an import in the order it has to be sent, for the attempt of that name."""
    facts = iter(history.facts)
    first = last = next(facts)
    opening = Fact(history.actor, history.opening, first.known_at, size=0)
    yield _message(history, opening, "open")
    start = StartHistoryImport(history.import_id, history.source, history.digest)
    starting = Fact(history.actor, start, first.known_at, size=0)
    yield _message(history, starting, f"start-{attempt}")
    done = 0
    for number, last in enumerate(chain([first], facts), 1):
        done += last.size
        yield _message(history, last, f"{number:07}")
    finish = FinishHistoryImport(history.import_id)
    rest = history.size - done  # of rows that say nothing
    yield _message(history, Fact(history.actor, finish, last.known_at, size=rest), "finish")


async def send(
    sender: Sender, history: History, progressed: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Send an import in its order; `progressed` hears how much more is done at each answer.

    What the ledger refuses is left out and told; a refused bulk command is sent again in halves, so
    that only the items are left out that cannot be taken. Raises ImportRefused when the ledger does
    not take the import at all.
    """
    commands = messages(history, secrets.token_hex(ATTEMPT_BYTES))
    async with contextlib.aclosing(_answers(sender, history, commands)) as answers:
        return await _heed(answers, sender, history, progressed)


async def _answers(
    sender: Sender, history: History, commands: Iterator[tuple[Fact, CommandMessage]]
) -> AsyncGenerator[tuple[Fact, CommandMessage, Reply], None]:
    """Each command with its answer, in their order; the next ones may be under way already."""
    under_way: deque[tuple[Fact, CommandMessage, asyncio.Task[Reply]]] = deque()
    try:
        for fact, message in commands:
            most = _under_way_max(fact.command)
            while under_way and (len(under_way) >= most or not _is_beside(under_way[-1][0], fact)):
                yield await _first(under_way)
            sending = sender.send(history.organisation_id, fact.actor, message)
            under_way.append((fact, message, asyncio.create_task(sending)))
            await asyncio.sleep(0)  # it is sent, and then the next one is made
        while under_way:
            yield await _first(under_way)
    finally:
        for _, _, task in under_way:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in under_way), return_exceptions=True)


async def _first(
    under_way: deque[tuple[Fact, CommandMessage, asyncio.Task[Reply]]],
) -> tuple[Fact, CommandMessage, Reply]:
    fact, message, task = under_way[0]
    reply = await task
    under_way.popleft()
    return fact, message, reply


def _under_way_max(command: Command) -> int:
    """How many commands of its kind, with it, may be under way."""
    match command:
        case RecordReadings() | CorrectReadings():
            return BULKS_UNDER_WAY_MAX
        case DefineKpi(definition=KpiDefinition(formula=None)):
            return DEFINITIONS_UNDER_WAY_MAX
        case _:
            return 1


def _is_beside(before: Fact, fact: Fact) -> bool:
    """Whether it makes no difference which of them comes first; their kind allows it."""
    return type(before.command) is type(fact.command) and (
        (before.actor, before.known_at, before.group) == (fact.actor, fact.known_at, fact.group)
    )


async def _heed(
    answers: AsyncGenerator[tuple[Fact, CommandMessage, Reply], None],
    sender: Sender,
    history: History,
    progressed: Callable[[int], None],
) -> Outcome:
    outcome = Outcome()
    async for fact, message, reply in answers:
        match fact.command, reply:
            case OpenOrganisation(), Refused(reason=Reason.ORGANISATION_EXISTS):
                pass
            case StartHistoryImport(), Refused(reason=Reason.IMPORT_FINISHED):
                return Outcome(already_imported=True)
            case ((OpenOrganisation() | StartHistoryImport() | FinishHistoryImport()), Refused()):
                raise ImportRefused(reply)
            case _, Refused(reason=reason) if reason in INTERRUPTING:
                raise ImportRefused(reply)
            case RecordReadings() | RecordCheckIns() | CorrectReadings(), Refused():
                suffix = message.id.removeprefix(f"{history.import_id}-")
                await _send_halves(sender, history, fact, suffix, outcome)
            case _, Refused():
                outcome.refused += [Left(place, _why(reply)) for place in fact.places]
            case StartHistoryImport(), Accepted():
                # Taken up again it has no event now, but it had one.
                outcome.events += 1
                outcome.recorded[StartHistoryImport.__name__] = 1
            case _, Accepted():
                _count(outcome, type(fact.command).__name__, reply)
        if fact.group:
            outcome.positions[fact.group] = outcome.position
        progressed(fact.size)
    return outcome


async def _send_halves(
    sender: Sender, history: History, bulk: Fact, suffix: str, outcome: Outcome
) -> None:
    """Send a refused bulk command in halves, down to the items that cannot be taken."""
    for number, half in enumerate(_halves(bulk), 1):
        half_suffix = f"{suffix}-{number}"
        _, message = _message(history, half, half_suffix)
        reply = await sender.send(history.organisation_id, half.actor, message)
        match reply:
            case Accepted():
                _count(outcome, type(half.command).__name__, reply)
            case Refused(reason=reason) if reason in INTERRUPTING:
                raise ImportRefused(reply)
            case Refused() if len(half.places) > 1:
                await _send_halves(sender, history, half, half_suffix, outcome)
            case Refused():
                outcome.refused.append(Left(half.places[0], _why(reply)))


def _halves(bulk: Fact) -> Iterator[Fact]:
    middle = (len(bulk.places) + 1) // 2
    for part in (slice(None, middle), slice(middle, None)):
        if places := bulk.places[part]:
            yield replace(bulk, command=_part(bulk.command, part), places=places)


def _part(command: Command, part: slice) -> Command:
    match command:
        case RecordReadings(readings=items):
            return replace(command, readings=items[part])
        case RecordCheckIns(check_ins=items):
            return replace(command, check_ins=items[part])
        case CorrectReadings(corrections=items):
            return replace(command, corrections=items[part])
        case _:
            raise ValueError(f"{type(command).__name__} holds no items")


def _message(history: History, fact: Fact, suffix: str) -> tuple[Fact, CommandMessage]:
    return fact, command_message(
        fact.command,
        command_id=f"{history.import_id}-{suffix}",
        # The import begins with StartHistoryImport: the opening is not yet part of it.
        import_id=None if isinstance(fact.command, OpenOrganisation) else history.import_id,
        known_at=fact.known_at,
        provenance=fact.provenance,
    )


def _count(outcome: Outcome, command: str, reply: Accepted) -> None:
    outcome.events += reply.events
    outcome.recorded[command] = outcome.recorded.get(command, 0) + reply.events
    if reply.events:
        outcome.position = max(outcome.position, reply.position)


def _why(refused: Refused) -> str:
    rule = f" ({refused.rule})" if refused.rule else ""
    return f"{refused.reason}{rule}: {refused.message}"
