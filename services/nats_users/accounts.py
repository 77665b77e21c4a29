"""The server's settings that hold users to what they may.

One account for the services, one for each organisation, and on one's own machine one for whoever
runs it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from goal_contracts import subjects
from goal_contracts.client.keys import inbox_prefix
from goal_contracts.subjects import IMPORTED_API

from services.nats_users.permissions import (
    API,
    LEDGER,
    PROJECTIONS,
    May,
    live,
    of_organisation,
    of_user,
)
from services.nats_users.users import Services, User

SERVICES: Final = "GOALS"
LOCAL: Final = "LOCAL"
HEADER: Final = """\
# Who may do what. Written by `goal-ledger nats-users accounts`: change the file of users instead.
# Include it in the server's settings, and reload them: nats-server --signal reload
"""


def settings(
    services: Services,
    organisations: Mapping[str, Mapping[str, User]],
    local: str | None = None,
) -> str:
    """The `accounts` of the server's settings; `local` is the key of who runs it all, if any.

    What comes out depends on what goes in only, so that two of them can be compared.
    """
    exports: list[dict[str, Any]] = []
    accounts: dict[str, Any] = {
        SERVICES: {
            "jetstream": "enabled",
            "users": [
                _user(services.ledger, LEDGER),
                _user(services.projections, PROJECTIONS),
            ],
            "exports": exports,
        }
    }
    for organisation_id, named in sorted(organisations.items()):
        account = f"ORG_{organisation_id}"
        single, streaming = of_organisation(organisation_id, named.values())
        heard = live(organisation_id)
        exports += _exports(account, single, streaming, heard)
        accounts[account] = {
            "imports": _imports(single, streaming, heard),
            "users": [
                _user(user.nkey, of_user(organisation_id, name, user))
                for name, user in sorted(named.items())
            ],
        }
    if local is not None:
        single, streaming, may = _everything(local)
        heard = live("*")
        exports += _exports(LOCAL, single, streaming, heard)
        accounts[LOCAL] = {
            "imports": _imports(single, streaming, heard),
            "users": [_user(local, may)],
        }
    return f"{HEADER}accounts: {json.dumps(accounts, indent=2)}\n"


def _everything(nkey: str) -> tuple[list[str], list[str], May]:
    """Who runs the system asks for all organisations and as any actor; the log is not theirs."""
    single = [
        subjects.command("*", "*", "*"),
        subjects.query("*", "*"),
        f"{API}.STREAM.INFO.{subjects.STREAM}",
        f"{API}.CONSUMER.CREATE.{subjects.STREAM}",
        f"{API}.CONSUMER.CREATE.{subjects.STREAM}.>",
        f"{API}.CONSUMER.INFO.{subjects.STREAM}.*",
        f"{API}.CONSUMER.DELETE.{subjects.STREAM}.*",
        f"$JS.ACK.{subjects.STREAM}.>",
    ]
    streaming = [f"{API}.CONSUMER.MSG.NEXT.{subjects.STREAM}.*"]
    publish = [_imported(subject) for subject in (*single, *streaming)]
    return single, streaming, May(publish, [f"{inbox_prefix(nkey)}.>", *live("*")])


def _user(nkey: str, may: May) -> dict[str, Any]:
    permissions = {
        "publish": {"allow": list(may.publish)},
        "subscribe": {"allow": list(may.subscribe)},
    }
    return {"nkey": nkey, "permissions": permissions}


def _exports(
    account: str, single: Iterable[str], streaming: Iterable[str], heard: Iterable[str]
) -> list[dict[str, Any]]:
    return [
        *({"service": subject, "accounts": [account]} for subject in single),
        *(
            {"service": subject, "accounts": [account], "response_type": "stream"}
            for subject in streaming
        ),
        *({"stream": subject, "accounts": [account]} for subject in heard),
    ]


def _imports(
    single: Iterable[str], streaming: Iterable[str], heard: Iterable[str]
) -> list[Mapping[str, Any]]:
    services = [
        {"service": {"account": SERVICES, "subject": subject}, "to": _imported(subject)}
        for subject in (*single, *streaming)
    ]
    return [*services, *({"stream": {"account": SERVICES, "subject": each}} for each in heard)]


def _imported(subject: str) -> str:
    """Every account has a JetStream of its own under the usual name, so ours has another."""
    return subject.replace(f"{API}.", f"{IMPORTED_API}.", 1)
