"""The tree of units: companies, departments, teams and people."""

from goal_contracts import commands
from goal_contracts.events import Event, UnitDefined, UnitMoved, UnitRenamed, UnitRetired
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import asked_before
from services.ledger.domain.organisation import Organisation, Unit
from services.ledger.domain.ownership import live_unit, refuse_unit_that_owns


def define(organisation: Organisation, command: commands.DefineUnit) -> tuple[Event, ...]:
    known = organisation.units.get(command.unit_id)
    if known is not None:
        return asked_before(command, known.defined)
    if command.parent_id is not None:
        live_unit(organisation, command.parent_id)
    if command.unit_kind != "person":
        refuse_unit_that_owns(organisation, command.unit_id)
    return (
        UnitDefined(
            unit_id=command.unit_id,
            name=command.name,
            unit_kind=command.unit_kind,
            parent_id=command.parent_id,
        ),
    )


def rename(organisation: Organisation, command: commands.RenameUnit) -> tuple[Event, ...]:
    unit = organisation.unit(command.unit_id)
    if command.name == unit.name:
        return ()
    live_unit(organisation, unit.unit_id)
    return (UnitRenamed(unit_id=unit.unit_id, name_was=unit.name, name=command.name),)


def move(organisation: Organisation, command: commands.MoveUnit) -> tuple[Event, ...]:
    unit = organisation.unit(command.unit_id)
    if command.parent_id == unit.parent_id:
        return ()
    live_unit(organisation, unit.unit_id)
    if command.parent_id is not None:
        _refuse_loop(organisation, unit, live_unit(organisation, command.parent_id))
    return (
        UnitMoved(unit_id=unit.unit_id, parent_id_was=unit.parent_id, parent_id=command.parent_id),
    )


def retire(organisation: Organisation, command: commands.RetireUnit) -> tuple[Event, ...]:
    """Its goals and the units below it stay as they are; it takes no new ones."""
    unit = organisation.unit(command.unit_id)
    if unit.retired:
        return ()
    return (UnitRetired(unit_id=unit.unit_id, reason=command.reason),)


def _refuse_loop(organisation: Organisation, unit: Unit, parent: Unit) -> None:
    above: Unit | None = parent
    while above is not None:
        if above.unit_id == unit.unit_id:
            raise Refusal(
                Reason.UNIT_TREE_LOOP,
                f"{parent.unit_id} is {unit.unit_id} itself or stands below it",
                seen=parent.unit_id,
                accepted="a unit outside the part of the tree that moves",
            )
        above = None if above.parent_id is None else organisation.units[above.parent_id]
