"""What may happen to a KPI: R22 its definition in versions, R24 looking at it in a review.

A KPI has no end date. Each version of its definition holds from a day on, the first from always;
a reading keeps the version in force on the last day of its period.
"""

from datetime import date

from goal_contracts import commands
from goal_contracts.events import (
    Event,
    KpiBands,
    KpiDefined,
    KpiDefinition,
    KpiReassigned,
    KpiRedefined,
    KpiRetargeted,
    KpiRetired,
    KpiReviewClosed,
    KpiReviewOpened,
)
from goal_contracts.replies import Reason, Refusal
from msgspec.structs import replace

from services.ledger.domain.asked import Asked, asked_before
from services.ledger.domain.formula import refuse_unless_computable
from services.ledger.domain.organisation import Kpi, Organisation
from services.ledger.domain.ownership import live_unit, refuse_team_as_owner
from services.ledger.domain.structure import refuse_ended, refuse_without_reason
from services.ledger.domain.times import DAY_LAST, is_day_of_record, local_day


def define(organisation: Organisation, command: commands.DefineKpi) -> tuple[Event, ...]:
    known = organisation.kpis.get(command.kpi_id)
    if known is not None:
        return asked_before(command, known.defined)
    live_unit(organisation, command.unit_id)
    refuse_team_as_owner(organisation, organisation.policy, command.owner)
    _refuse_unless_sound(command.definition)
    refuse_unless_computable(organisation, command.kpi_id, command.definition.formula)
    return (
        KpiDefined(
            kpi_id=command.kpi_id,
            unit_id=command.unit_id,
            owner=command.owner,
            definition=command.definition,
        ),
    )


def redefine(organisation: Organisation, command: commands.RedefineKpi) -> tuple[Event, ...]:
    kpi = organisation.kpi(command.kpi_id)
    was, now = kpi.definition, command.definition
    if now == was:
        return ()
    refuse_retired(kpi)
    _refuse_unless_later(kpi, command.effective_on)
    _refuse_unless_sound(now)
    refuse_unless_computable(organisation, kpi.kpi_id, now.formula)
    if (now.unit, now.direction) != (was.unit, was.direction):
        _refuse_while_followed(organisation, kpi, now)
    return (
        KpiRedefined(
            kpi_id=kpi.kpi_id,
            version=len(kpi.versions) + 1,
            effective_on=command.effective_on,
            definition_was=was,
            definition=now,
            reason=command.reason,
        ),
    )


def retarget(organisation: Organisation, command: commands.RetargetKpi) -> tuple[Event, ...]:
    """What is not given stays: None for the target or the bands leaves them as they are."""
    kpi = organisation.kpi(command.kpi_id)
    was = kpi.definition
    target = was.target if command.target is None else command.target
    bands = was.bands if command.bands is None else command.bands
    if (target, bands) == (was.target, was.bands):
        return ()
    refuse_retired(kpi)
    _refuse_unless_later(kpi, command.effective_on)
    _refuse_unless_sound(replace(was, target=target, bands=bands))
    return (
        KpiRetargeted(
            kpi_id=kpi.kpi_id,
            version=len(kpi.versions) + 1,
            effective_on=command.effective_on,
            target_was=was.target,
            target=target,
            bands_was=was.bands,
            bands=bands,
            reason=command.reason,
        ),
    )


def reassign(organisation: Organisation, command: commands.ReassignKpi) -> tuple[Event, ...]:
    """Also when retired: its readings may still be corrected, and somebody answers for that."""
    kpi = organisation.kpi(command.kpi_id)
    owner = kpi.owner if command.owner is None else command.owner
    unit_id = kpi.unit_id if command.unit_id is None else command.unit_id
    if (owner, unit_id) == (kpi.owner, kpi.unit_id):
        return ()
    if owner != kpi.owner:
        refuse_team_as_owner(organisation, organisation.policy, owner)
    if unit_id != kpi.unit_id:
        live_unit(organisation, unit_id)
    return (
        KpiReassigned(
            kpi_id=kpi.kpi_id,
            owner_was=kpi.owner,
            owner=owner,
            unit_id_was=kpi.unit_id,
            unit_id=unit_id,
            reason=command.reason,
        ),
    )


def retire(organisation: Organisation, command: commands.RetireKpi) -> tuple[Event, ...]:
    """Its readings stay, and stay correctable."""
    kpi = organisation.kpi(command.kpi_id)
    if kpi.retired:
        return ()
    return (KpiRetired(kpi_id=kpi.kpi_id, reason=command.reason),)


def open_review(
    organisation: Organisation, command: commands.OpenKpiReview, asked: Asked
) -> tuple[Event, ...]:
    known = organisation.reviews.get((command.kpi_id, command.review_id))
    if known is not None:
        return asked_before(command, known.opened)
    kpi = live_kpi(organisation, command.kpi_id)
    refuse_team_as_owner(organisation, organisation.policy, command.owner)
    today = local_day(asked.now, organisation.zone)
    if command.due_on < today:
        raise _review_invalid("the review is due in the past", str(command.due_on), f"{today} on")
    return (
        KpiReviewOpened(
            kpi_id=kpi.kpi_id,
            review_id=command.review_id,
            owner=command.owner,
            due_on=command.due_on,
            reason=command.reason,
        ),
    )


def close_review(organisation: Organisation, command: commands.CloseKpiReview) -> tuple[Event, ...]:
    """The decision to accept says why; the one for a recovery objective names it."""
    review = organisation.reviews.get((command.kpi_id, command.review_id))
    if review is None:
        raise Refusal(
            Reason.NOT_FOUND,
            f"there is no review {command.review_id} of the KPI {command.kpi_id}",
            seen=command.review_id,
            accepted="the id of an existing review",
        )
    if review.closed is not None:
        if (command.decision, command.objective_id) == (
            review.closed.decision,
            review.closed.objective_id,
        ):
            return ()
        raise _review_invalid(
            f"the review was closed with {review.closed.decision}",
            command.decision,
            "another review: OpenKpiReview",
        )
    if command.decision == "accept":
        refuse_without_reason(command.reason, "accepting what a KPI shows", "R24")
    if (command.decision == "recovery_objective") != (command.objective_id is not None):
        raise _review_invalid(
            "an objective is named for a recovery, and only for that",
            f"{command.decision}, {command.objective_id or 'no objective'}",
            "recovery_objective with objective_id, or fix or accept without",
        )
    if command.objective_id is not None:
        _refuse_unless_pursued(organisation, command.objective_id)
    return (
        KpiReviewClosed(
            kpi_id=command.kpi_id,
            review_id=command.review_id,
            decision=command.decision,
            objective_id=command.objective_id,
            reason=command.reason,
        ),
    )


def live_kpi(organisation: Organisation, kpi_id: str) -> Kpi:
    """A KPI that is still watched."""
    kpi = organisation.kpi(kpi_id)
    refuse_retired(kpi)
    return kpi


def refuse_retired(kpi: Kpi) -> None:
    if kpi.retired:
        raise Refusal(
            Reason.KPI_RETIRED,
            f"the KPI {kpi.kpi_id} is retired",
            seen="retired",
            accepted="corrections and comments, or another KPI",
        )


def _refuse_unless_pursued(organisation: Organisation, objective_id: str) -> None:
    """What is to bring a KPI back cannot be over already."""
    objective = organisation.objective(objective_id)
    refuse_ended(organisation, objective)
    cycle = organisation.cycle_of(objective)
    if cycle.state in {"closed", "cancelled"}:
        raise _review_invalid(
            f"the cycle {cycle.cycle_id} of the objective {objective_id} is {cycle.state}",
            cycle.state,
            "an objective of a cycle that is neither closed nor cancelled",
        )


def _refuse_unless_later(kpi: Kpi, effective_on: date) -> None:
    latest = kpi.versions[-1]
    if effective_on <= latest.effective_on or not is_day_of_record(effective_on):
        raise _definition_invalid(
            f"version {latest.version} holds from {latest.effective_on} on",
            str(effective_on),
            f"a later day, up to {DAY_LAST}",
        )


def _refuse_unless_sound(definition: KpiDefinition) -> None:
    if definition.bands is not None:
        _refuse_empty_bands(definition.bands)


def _refuse_empty_bands(bands: KpiBands) -> None:
    for name, band in (("healthy", bands.healthy), ("warning", bands.warning)):
        if band.low is not None and band.high is not None and band.low > band.high:
            raise _definition_invalid(
                f"the {name} band is empty", f"{band.low} to {band.high}", "low <= high"
            )


def _refuse_while_followed(organisation: Organisation, kpi: Kpi, now: KpiDefinition) -> None:
    """R8: unit and direction are fixed for a key result as soon as a reading counts for it."""
    for key_result_id in organisation.linked_ids.get(kpi.kpi_id, ()):
        key_result = organisation.key_results[key_result_id]
        cycle = organisation.cycle_of(key_result)
        pursued = (
            not key_result.dropped
            and organisation.objectives[key_result.objective_id].state in {"draft", "published"}
            and cycle.state not in {"closed", "cancelled"}
        )
        if pursued and organisation.readings_inside(kpi.kpi_id, cycle):
            raise Refusal(
                Reason.MEASURE_FIXED,
                f"the key result {key_result_id} follows the KPI {kpi.kpi_id} and has readings",
                seen=f"{now.unit}, {now.direction}",
                accepted=f"{kpi.definition.unit}, {kpi.definition.direction}, or another KPI",
            )


def _definition_invalid(message: str, seen: str, accepted: str) -> Refusal:
    return Refusal(Reason.DEFINITION_INVALID, message, seen=seen, accepted=accepted)


def _review_invalid(message: str, seen: str, accepted: str) -> Refusal:
    return Refusal(Reason.REVIEW_INVALID, message, seen=seen, accepted=accepted)
