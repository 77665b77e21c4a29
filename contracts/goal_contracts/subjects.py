"""Every subject on the wire, written once.

goals.command.<org>.<actor>.<CommandName>     clients ask the ledger
goals.ledger.<org>.<kind>.<id>.<EventName>    what the stream stores
goals.event.<org>.<kind>.<id>.<EventName>     the live tail, after it is stored
goals.query.<org>.<QueryName>                 clients ask the projections
goals.alert.<org>.<owner>                     the projections tell whoever should look at something
"""

STREAM = "GOALS"

IMPORTED_API = "$JS.goals.API"
"""JetStream as an organisation's account sees it; to a client's library, the domain `goals`."""

INBOX_PREFIX = "_INBOX_"
"""Followed by a user's public key: where its replies come, and nobody else's."""

COMMANDS = "goals.command.>"
LEDGER = "goals.ledger.>"
EVENTS = "goals.event.>"
QUERIES = "goals.query.>"
ALERTS = "goals.alert.>"


def command(organisation_id: str, actor: str, name: str) -> str:
    """Where `actor` asks for a command."""
    return f"goals.command.{organisation_id}.{actor}.{name}"


def ledger(organisation_id: str, kind: str, goal_id: str, event: str) -> str:
    """Where the stream stores an event."""
    return f"goals.ledger.{organisation_id}.{kind}.{goal_id}.{event}"


def ledger_of(organisation_id: str) -> str:
    """All that the stream stores of an organisation."""
    return f"goals.ledger.{organisation_id}.>"


def event(organisation_id: str, kind: str, goal_id: str, event: str) -> str:
    """Where a stored event is seen live."""
    return f"goals.event.{organisation_id}.{kind}.{goal_id}.{event}"


def query(organisation_id: str, name: str) -> str:
    """Where a question is asked."""
    return f"goals.query.{organisation_id}.{name}"


def alert(organisation_id: str, owner: str) -> str:
    """Where an owner is told that something needs attention."""
    return f"goals.alert.{organisation_id}.{owner}"


def is_for_replies(subject: str) -> bool:
    """Whether a reply may go there: whoever asks names it, and might name a subject of ours."""
    return bool(subject) and not subject.startswith("goals.")


def parse_command(subject: str) -> tuple[str, str, str]:
    """Organisation, actor and command name; ValueError for any other subject."""
    _, _, organisation_id, actor, name = _tokens(subject, "command", 5)
    return organisation_id, actor, name


def parse_ledger(subject: str) -> tuple[str, str, str, str]:
    """Organisation, kind, id and event name; ValueError for any other subject."""
    _, _, organisation_id, kind, goal_id, name = _tokens(subject, "ledger", 6)
    return organisation_id, kind, goal_id, name


def parse_query(subject: str) -> tuple[str, str]:
    """Organisation and query name; ValueError for any other subject."""
    _, _, organisation_id, name = _tokens(subject, "query", 4)
    return organisation_id, name


def _tokens(subject: str, family: str, count: int) -> list[str]:
    tokens = subject.split(".")
    if len(tokens) != count or tokens[0] != "goals" or tokens[1] != family:
        message = f"not a goals.{family} subject: {subject}"
        raise ValueError(message)
    return tokens
