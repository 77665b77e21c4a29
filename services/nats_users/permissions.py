"""What each kind of user may publish and subscribe to; whatever is not named here is refused.

Services share an account of their own with the stream. Everybody else lives in the account of an
organisation, which sees of the services' account only what it imports: there a reply subject, a
wildcard or a consumer cannot reach beyond it. (Inside one account a request to JetStream that names
the log's own subject for the reply would have the server write its answer into the log.)
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

from goal_contracts import subjects
from goal_contracts.client.keys import inbox_prefix
from goal_contracts.subjects import IMPORTED_API, STREAM
from msgspec import Struct

from services.nats_users.users import User

LEASE: Final = "goal-ledger-lease"
SNAPSHOTS: Final = f"{STREAM}-snapshots"
STREAMS_OF_LEDGER: Final = (STREAM, f"KV_{LEASE}", f"OBJ_{SNAPSHOTS}")
API: Final = "$JS.API"
REPLIES: Final = "_R_.>"
"""How the server names the reply subject of a request that came from another account."""
INBOXES: Final = "_INBOX.>"


class May(Struct, frozen=True):
    """Subjects that a user may publish to and subscribe to."""

    publish: Sequence[str]
    subscribe: Sequence[str]


LEDGER: Final = May(
    publish=[
        subjects.LEDGER,
        REPLIES,
        INBOXES,
        f"$KV.{LEASE}.>",
        f"$O.{SNAPSHOTS}.>",
        f"{API}.INFO",
        f"{API}.STREAM.NAMES",
        *(
            f"{API}.STREAM.{verb}.{name}"
            for verb in ("INFO", "CREATE")
            for name in STREAMS_OF_LEDGER
        ),
        *(f"{API}.DIRECT.GET.{name}" for name in STREAMS_OF_LEDGER),
        *(f"{API}.DIRECT.GET.{name}.>" for name in STREAMS_OF_LEDGER),
        *(f"{API}.STREAM.MSG.GET.{name}" for name in STREAMS_OF_LEDGER),
        *(f"{API}.CONSUMER.CREATE.{name}" for name in STREAMS_OF_LEDGER),
        *(f"{API}.CONSUMER.CREATE.{name}.>" for name in STREAMS_OF_LEDGER),
        *(
            f"{API}.CONSUMER.{verb}.{name}.*"
            for verb in ("INFO", "DELETE", "MSG.NEXT")
            for name in STREAMS_OF_LEDGER
        ),
        *(f"$JS.ACK.{name}.>" for name in STREAMS_OF_LEDGER),
        *(f"$JS.FC.{name}.>" for name in STREAMS_OF_LEDGER),
        # A snapshot that is superseded makes room; the log itself is never purged.
        f"{API}.STREAM.PURGE.OBJ_{SNAPSHOTS}",
    ],
    subscribe=[subjects.COMMANDS, INBOXES, f"$JS.EVENT.ADVISORY.STREAM.*.{STREAM}"],
)

PROJECTIONS: Final = May(
    publish=[
        subjects.ALERTS,
        REPLIES,
        INBOXES,
        f"{API}.INFO",
        f"{API}.STREAM.INFO.{STREAM}",
        f"{API}.DIRECT.GET.{STREAM}",
        f"{API}.DIRECT.GET.{STREAM}.>",
        f"{API}.CONSUMER.CREATE.{STREAM}",
        f"{API}.CONSUMER.CREATE.{STREAM}.>",
        *(f"{API}.CONSUMER.{verb}.{STREAM}.*" for verb in ("INFO", "DELETE", "MSG.NEXT")),
        f"$JS.ACK.{STREAM}.>",
    ],
    subscribe=[subjects.QUERIES, INBOXES],
)


def of_user(organisation_id: str, name: str, user: User) -> May:
    """What one user of an organisation may; its replies come to an inbox of its own."""
    inbox = f"{inbox_prefix(user.nkey)}.>"
    asking = subjects.query(organisation_id, "*")
    match user.kind:
        case "client":
            return May(
                [subjects.command(organisation_id, name, "*"), asking],
                [inbox, subjects.alert(organisation_id, name)],
            )
        case "subscriber":
            return May(
                [asking, *_through(IMPORTED_API, organisation_id, user.consumers)],
                [inbox, *live(organisation_id)],
            )
        case "operator":
            return May(
                [
                    subjects.command(organisation_id, "*", "*"),
                    asking,
                    *_through(IMPORTED_API, organisation_id, user.consumers),
                ],
                [inbox, *live(organisation_id)],
            )
        case _:
            assert_never(user.kind)


def live(organisation_id: str) -> tuple[str, ...]:
    """What is heard of an organisation: the tail of its log, and its alerts."""
    return subjects.event(organisation_id, "*", "*", "*"), subjects.alert(organisation_id, "*")


def of_organisation(organisation_id: str, users: Iterable[User]) -> tuple[list[str], list[str]]:
    """The services an organisation's account may use: asked once, and read from again and again."""
    consumers = sorted({consumer for user in users for consumer in user.consumers})
    single = [
        subjects.command(organisation_id, "*", "*"),
        subjects.query(organisation_id, "*"),
    ]
    streaming: list[str] = []
    for subject in _through(API, organisation_id, consumers):
        (streaming if ".MSG.NEXT." in subject else single).append(subject)
    return single, streaming


def _through(api: str, organisation_id: str, consumers: Iterable[str]) -> Iterator[str]:
    """Making, asking, deleting and reading consumers that see this organisation's events only.

    The subject names consumer and filter, and the server refuses a request that says otherwise.
    """
    seen = subjects.ledger(organisation_id, "*", "*", "*")
    for consumer in consumers:
        yield f"{api}.CONSUMER.CREATE.{STREAM}.{consumer}.{seen.removesuffix('.*.*.*')}.>"
        for verb in ("INFO", "DELETE", "MSG.NEXT"):
            yield f"{api}.CONSUMER.{verb}.{STREAM}.{consumer}"
        yield f"$JS.ACK.{STREAM}.{consumer}.>"
