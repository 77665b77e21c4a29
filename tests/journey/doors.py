"""The doors of a running system, asked alike: each answers a question with all of its pages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol, TypeVar

import httpx
import msgspec
from goal_contracts import codec
from goal_contracts.codec import CommandMessage
from goal_contracts.queries import (
    Answer,
    AsOf,
    Changes,
    CycleReport,
    Goals,
    History,
    Query,
    Readings,
    ReadingSeries,
    Report,
)
from goal_contracts.replies import Reply
from msgspec import Struct

from services.cli import local_tokens
from services.cli.client import Client
from services.projections.http.routes import ORGANISATION, ROUTES
from tests.cli.running import goal_ledger
from tests.issuer import bearing
from tests.running import System

NAMES: Final = ("cli", "nats", "http")
TOKEN_S: Final = 600

A = TypeVar("A", bound=Answer)
_answer: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)


class Door(Protocol):
    """Where one asks."""

    async def ask(self, organisation_id: str, question: Query, kind: type[A]) -> A: ...


@contextlib.asynccontextmanager
async def opened(name: str, system: System) -> AsyncIterator[Door]:
    """The door of that name."""
    match name:
        case "cli":
            yield CommandLine(system)
        case "nats":
            async with await system.connect() as client:
                yield Nats(client)
        case _:
            async with httpx.AsyncClient(timeout=30) as client:
                yield Http(system, client)


class CommandLine:
    """The operator's door, in this process; it joins pages by itself."""

    def __init__(self, system: System) -> None:
        self._data = str(system.data)

    async def ask(self, organisation_id: str, question: Query, kind: type[A]) -> A:
        named = ["--data", self._data, "--org", organisation_id, "--format", "json"]
        told = await asyncio.to_thread(goal_ledger, *_arguments(question), *named)
        assert told.exit_code == 0, told.stderr
        return msgspec.json.decode(told.stdout, type=kind)


class Nats:
    """The services' own door."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, organisation_id: str, question: Query, kind: type[A]) -> A:
        async def page_of(question: Query) -> Any:
            return await self._client.ask(organisation_id, question)

        return await _whole(page_of, question, kind)


class Http:
    """The door for everybody; with commands as well."""

    def __init__(self, system: System, client: httpx.AsyncClient) -> None:
        self._system = system
        self._client = client

    async def ask(self, organisation_id: str, question: Query, kind: type[A]) -> A:
        token = self._token(organisation_id, "reader", "viewer")
        questions = self._system.where["questions"]
        [route, *_] = [each for each in ROUTES if each.question is type(question)]

        async def page_of(question: Query) -> Any:
            fields = msgspec.to_builtins(question)
            in_path = {name: fields.pop(name) for name in route.in_path}
            path = (ORGANISATION + route.path).format(organisation=organisation_id, **in_path)
            answer = await self._client.get(questions + path, params=fields, headers=bearing(token))
            assert answer.status_code == 200, answer.text
            return _answer.decode(answer.content)

        return await _whole(page_of, question, kind)

    async def send(self, organisation_id: str, actor: str, message: CommandMessage) -> Reply:
        """As an importer sends it."""
        body = {"organisation": organisation_id, **msgspec.json.decode(codec.encode(message))}
        answer = await self._client.post(
            f"{self._system.where['commands']}/api/v1/commands",
            json=body,
            headers=bearing(self._token(organisation_id, actor, "admin")),
        )
        assert answer.status_code == 200, answer.text
        return codec.decode_reply(answer.content)

    def _token(self, organisation_id: str, actor: str, role: Any) -> str:
        return local_tokens.token(
            self._system.data,
            actor=actor,
            organisation_id=organisation_id,
            role=role,
            valid_s=TOKEN_S,
        )


async def _whole(page_of: Any, question: Any, kind: type[A]) -> A:
    """All pages as one, without what later ones repeat."""
    page: Any = await page_of(question)
    whole = page
    while page.cursor is not None:
        page = await page_of(msgspec.structs.replace(question, cursor=page.cursor))
        rest = {
            name: _together(getattr(whole, name), getattr(page, name))
            for name in page.__struct_fields__
            if isinstance(getattr(page, name), tuple)
        }
        whole = msgspec.structs.replace(whole, **rest)
    whole = msgspec.structs.replace(whole, cursor=None)
    assert isinstance(whole, kind)
    return whole


def _together(some: tuple[Struct, ...], more: tuple[Struct, ...]) -> tuple[Struct, ...]:
    known = {msgspec.json.encode(each) for each in some}
    return (*some, *(each for each in more if msgspec.json.encode(each) not in known))


def _arguments(question: Query) -> list[str]:
    """How the question is typed."""
    match question:
        case AsOf():
            positional = [question.as_of] if question.as_of else []
            return [
                "as-of",
                *positional,
                *_options(question, "known_at", "unit", "cycle", "goal", "kpi"),
            ]
        case Readings():
            return ["readings", question.kpi, *_options(question, "as_of", "known_at")]
        case History():
            return ["history", f"{question.kind}/{question.id}"]
        case CycleReport():
            return ["report", *_options(question, "cycle", "as_of", "known_at")]
        case _:
            raise AssertionError(f"{question} is not typed in one line")


def _options(question: Query, *names: str) -> list[str]:
    given = ((name, getattr(question, name)) for name in names)
    return [
        word
        for name, value in given
        if value is not None
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]


ASKED: Final[dict[type[Query], type[Answer]]] = {
    AsOf: Goals,
    Readings: ReadingSeries,
    History: Changes,
    CycleReport: Report,
}
"""What all three doors know."""
