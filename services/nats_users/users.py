"""Who connects to the nats-server: the services, and the people and programs of organisations.

[services]
ledger = "UB7…"
projections = "UDK…"

[organisations.acme.u-17]
kind = "client"
nkey = "UAX…"

[organisations.acme.hr-sync]
kind = "subscriber"
nkey = "UC2…"
consumers = ["hr-sync", "hr-sync-test"]
"""

from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from goal_contracts.fields import Id
from msgspec import Meta, Struct

PublicKey = Annotated[str, Meta(pattern=r"^U[A-Z2-7]{55}$(?!\n)")]
Kind = Literal["client", "subscriber", "operator"]
KINDS = get_args(Kind)


class UsersUnusable(Exception):
    """The file of users cannot be read, or says what cannot be; how to mend it."""


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """One user of an organisation, called as its key in the file says.

    client       commands under its own name as the actor, asks questions
    subscriber   reads events, live and stored, those through consumers of these names; asks
                 questions
    operator     commands under any actor (imports), and all that a subscriber may
    """

    kind: Kind
    nkey: PublicKey
    consumers: tuple[Id, ...] = ()


class Services(Struct, frozen=True, forbid_unknown_fields=True):
    """The public keys of the services."""

    ledger: PublicKey
    projections: PublicKey


class Users(Struct, frozen=True, forbid_unknown_fields=True):
    """Everybody who may connect. Nobody else may.

    Who runs the services by `up` names none: it has keys of its own for them.
    """

    services: Services | None = None
    organisations: dict[Id, dict[Id, User]] = {}


def read_users(file: Path) -> Users:
    """The users a file names; UsersUnusable says what is wrong with it."""
    try:
        users = msgspec.toml.decode(file.read_bytes(), type=Users)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError, ValueError) as error:
        raise UsersUnusable(f"{file} cannot be used: {error}") from error
    _refuse_shared_keys(file, users)
    for organisation_id, named in users.organisations.items():
        for name, user in named.items():
            if user.consumers and user.kind == "client":
                raise UsersUnusable(
                    f"{file}: {name} of {organisation_id} is a client and has consumers: "
                    "make it a subscriber, or leave them out"
                )
    _refuse_shared_consumers(file, users)
    return users


def _refuse_shared_keys(file: Path, users: Users) -> None:
    holders: dict[str, str] = {}
    named = []
    if (services := users.services) is not None:
        named += [("ledger", services.ledger), ("projections", services.projections)]
    for organisation_id, of_it in users.organisations.items():
        named += [(f"{name} of {organisation_id}", user.nkey) for name, user in of_it.items()]
    for holder, nkey in named:
        if nkey in holders:
            raise UsersUnusable(f"{file}: {holders[nkey]} and {holder} have the same nkey")
        holders[nkey] = holder


def _refuse_shared_consumers(file: Path, users: Users) -> None:
    """Whoever may name a consumer may read from it, whatever it was made for."""
    holders: dict[str, str] = {}
    for organisation_id, of_it in users.organisations.items():
        for name, user in of_it.items():
            for consumer in user.consumers:
                holder = f"{name} of {organisation_id}"
                if consumer in holders:
                    raise UsersUnusable(
                        f"{file}: {holders[consumer]} and {holder} both have the consumer "
                        f"{consumer}: give each another name"
                    )
                holders[consumer] = holder
