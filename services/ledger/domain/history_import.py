"""History from before the ledger, imported in the order of its own dates.

An imported command is decided as of its own date, so the organisation must stand still meanwhile:
while an import runs, only its own commands are taken (DESIGN.md section 6).
"""

from goal_contracts import commands
from goal_contracts.events import Event, HistoryImportFinished, HistoryImportStarted
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import Asked, asked_before
from services.ledger.domain.organisation import Organisation


def start(
    organisation: Organisation, command: commands.StartHistoryImport, asked: Asked
) -> tuple[Event, ...]:
    """Starting a running import again takes it up where it stopped: nothing to record."""
    known = organisation.imports.get(command.import_id)
    if known is not None:
        if known.finished is not None:
            raise _finished(command.import_id)
        return asked_before(command, known.started)
    if organisation.running_import is not None:
        raise _running(organisation.running_import)
    _refuse_unless_in_order(organisation, asked)
    return (
        HistoryImportStarted(
            organisation_id=organisation.organisation_id,
            import_id=command.import_id,
            source=command.source,
            digest=command.digest,
        ),
    )


def finish(organisation: Organisation, command: commands.FinishHistoryImport) -> tuple[Event, ...]:
    known = organisation.imports.get(command.import_id)
    if known is None:
        raise _not_running(command.import_id)
    if known.finished is not None:
        if known.finished.outcome == command.outcome:
            return ()
        raise _finished(command.import_id)
    return (
        HistoryImportFinished(
            organisation_id=organisation.organisation_id,
            import_id=command.import_id,
            outcome=command.outcome,
        ),
    )


def refuse_unless_admitted(
    organisation: Organisation, command: commands.Command, asked: Asked
) -> None:
    """Which commands are heard at all. Those that start or finish an import judge themselves."""
    if isinstance(
        command,
        commands.OpenOrganisation | commands.StartHistoryImport | commands.FinishHistoryImport,
    ):
        return
    running = organisation.running_import
    if asked.import_id is None:
        if running is not None:
            raise _running(running)
        return
    if asked.import_id == running:
        return
    known = organisation.imports.get(asked.import_id)
    if known is not None and known.finished is not None:
        raise _finished(asked.import_id)
    raise _not_running(asked.import_id)


def refuse_out_of_order(organisation: Organisation, asked: Asked) -> None:
    """Imported events come in order of their dates.

    A command that records nothing may come at any time: an import that was interrupted asks again
    for what is already there.
    """
    if asked.import_id is not None:
        _refuse_unless_in_order(organisation, asked)


def _refuse_unless_in_order(organisation: Organisation, asked: Asked) -> None:
    if asked.now < organisation.known_at_max:
        raise Refusal(
            Reason.KNOWN_AT_OUT_OF_ORDER,
            "history is imported in order, and the ledger already knows something later",
            seen=asked.now.isoformat(),
            accepted=f"known at {organisation.known_at_max.isoformat()} or later",
        )


def _running(import_id: str) -> Refusal:
    return Refusal(
        Reason.IMPORT_RUNNING,
        f"the import {import_id} is running",
        seen=import_id,
        accepted="a command of that import, or any once it is finished",
    )


def _not_running(import_id: str) -> Refusal:
    return Refusal(
        Reason.IMPORT_NOT_RUNNING,
        f"the import {import_id} is not running",
        seen=import_id,
        accepted="a command of a running import: start it first",
    )


def _finished(import_id: str) -> Refusal:
    return Refusal(
        Reason.IMPORT_FINISHED,
        f"the import {import_id} is finished",
        seen=import_id,
        accepted="another import, under an id of its own",
    )
