"""Who may do what: the role and the units of each actor (R30), from a file.

    default = "viewer"              # of everybody who is not named; "admin" if this is left out

    [actors.u-17]
    role = "owner"
    units = ["platform"]            # and the units below them; left out, all units

Without a file everybody is an admin, which is right for one person's laptop only.
"""

from pathlib import Path

import msgspec
from goal_contracts.fields import Id, Role
from msgspec import Struct


class Standing(Struct, frozen=True, forbid_unknown_fields=True):
    """What an actor is, and where; no units means everywhere."""

    role: Role = "admin"
    units: tuple[Id, ...] = ()


class Roles(Struct, frozen=True, forbid_unknown_fields=True):
    """The standing of every actor."""

    default: Role = "admin"
    actors: dict[Id, Standing] = {}

    def of(self, actor: str) -> Standing:
        """What this actor is."""
        return self.actors.get(actor) or Standing(role=self.default)


class RolesUnreadable(Exception):
    """The file of roles is not there or not what it must be: nothing is served."""


def read_roles(file: Path | None) -> Roles:
    """The roles in a file; RolesUnreadable names the file and what is wrong with it."""
    if file is None:
        return Roles()
    try:
        return msgspec.toml.decode(file.read_bytes(), type=Roles)
    except (OSError, msgspec.MsgspecError) as error:
        raise RolesUnreadable(f"{file}: {error}") from error
