"""R23: one reading per KPI, period and source; whoever has another value corrects it (R14).

A reading is effective at the end of its period's last day in the organisation's zone. What follows
from it is for `consequences` to say; here it is entered, never computed.
"""

from datetime import date, datetime

from goal_contracts import commands
from goal_contracts.events import (
    Event,
    KpiReadingCorrected,
    KpiReadingMissed,
    KpiReadingRecorded,
    KpiReadingRetracted,
)
from goal_contracts.fields import Source
from goal_contracts.replies import Reason, Refusal

from services.ledger.domain.asked import Asked
from services.ledger.domain.formula import refuse_computed
from services.ledger.domain.kpi import refuse_retired
from services.ledger.domain.organisation import Kpi, KpiVersion, Organisation, Reading
from services.ledger.domain.structure import refuse_without_reason
from services.ledger.domain.times import days_later, days_of_period, end_of_day, local_day


def record(
    organisation: Organisation, command: commands.RecordReading, asked: Asked
) -> tuple[Event, ...]:
    """The same value again records nothing; one that was missed or retracted is recorded anew."""
    kpi, last_day, version, source = _judged_by(organisation, command)
    refuse_computed(kpi, version.definition)
    known = organisation.readings.get((kpi.kpi_id, command.period, source))
    if known is not None and not known.retracted:
        if _says(command) == _holds(known):
            return ()
        raise _exists(command.period, source, str(command.value), known)
    refuse_retired(kpi)
    return (
        KpiReadingRecorded(
            kpi_id=kpi.kpi_id,
            period=command.period,
            effective_at=_effective_at(organisation, command.period, last_day, asked.now),
            value=command.value,
            source=source,
            definition_version=version.version,
            numerator=command.numerator,
            denominator=command.denominator,
            provenance=command.provenance,
        ),
    )


def correct(
    organisation: Organisation, command: commands.CorrectReading, asked: Asked
) -> tuple[Event, ...]:
    """The value before stays in the record; the version it is judged by stays, too (R22)."""
    kpi, last_day, version, source = _judged_by(organisation, command)
    known = _recorded(organisation, kpi, command.period, source, version)
    if known.retracted:
        raise Refusal(
            Reason.ALREADY_RETRACTED,
            f"the reading {command.period} from {source} was retracted",
            seen=command.period,
            accepted="RecordReading",
        )
    if _says(command) == _holds(known):
        return ()
    _refuse_after_restatement(organisation, last_day, asked.now)
    reason = refuse_without_reason(command.reason, "correcting a reading", "R14")
    return (
        KpiReadingCorrected(
            kpi_id=kpi.kpi_id,
            period=command.period,
            effective_at=known.effective_at,
            value_was=known.value,
            value=command.value,
            source=source,
            definition_version=known.definition_version,
            reason=reason,
            numerator_was=known.numerator,
            numerator=command.numerator,
            denominator_was=known.denominator,
            denominator=command.denominator,
            provenance=command.provenance,
        ),
    )


def retract(
    organisation: Organisation, command: commands.RetractReading, asked: Asked
) -> tuple[Event, ...]:
    kpi, last_day, version, source = _judged_by(organisation, command)
    known = _recorded(organisation, kpi, command.period, source, version)
    if known.retracted:
        return ()
    _refuse_after_restatement(organisation, last_day, asked.now)
    reason = refuse_without_reason(command.reason, "retracting a reading", "R14")
    return (
        KpiReadingRetracted(
            kpi_id=kpi.kpi_id,
            period=command.period,
            effective_at=known.effective_at,
            value_was=known.value,
            source=source,
            reason=reason,
        ),
    )


def record_missed(
    organisation: Organisation, command: commands.RecordMissedReading, asked: Asked
) -> tuple[Event, ...]:
    """R26: only a period that is over, with its grace, and has no reading was missed."""
    kpi, last_day, version, source = _judged_by(organisation, command)
    refuse_computed(kpi, version.definition)
    key = kpi.kpi_id, command.period, source
    known = organisation.readings.get(key)
    if known is not None and not known.retracted:
        raise _exists(command.period, source, "missed", known)
    if key in organisation.missed:
        return ()
    refuse_retired(kpi)
    effective_at = _effective_at(organisation, command.period, last_day, asked.now)
    grace = organisation.policy.reading_grace.days(version.definition.frequency)
    _refuse_within_grace(organisation, command.period, days_later(last_day, grace), asked.now)
    return (
        KpiReadingMissed(
            kpi_id=kpi.kpi_id, period=command.period, effective_at=effective_at, source=source
        ),
    )


ReadingCommand = (
    commands.RecordReading
    | commands.CorrectReading
    | commands.RetractReading
    | commands.RecordMissedReading
)


def _judged_by(
    organisation: Organisation, command: ReadingCommand
) -> tuple[Kpi, date, KpiVersion, Source]:
    """KPI, last day of the period, version in force on it, and the source, by default its own."""
    kpi = organisation.kpi(command.kpi_id)
    _, last_day = days_of_period(command.period)
    version = kpi.version_on(last_day)
    return kpi, last_day, version, command.source or version.definition.source


def _recorded(
    organisation: Organisation, kpi: Kpi, period: str, source: Source, version: KpiVersion
) -> Reading:
    """What is corrected keeps its version, and with that whether it was computed (R27)."""
    known = organisation.readings.get((kpi.kpi_id, period, source))
    if known is not None:
        version = kpi.version(known.definition_version)
    refuse_computed(kpi, version.definition)
    if known is None:
        raise Refusal(
            Reason.NOT_FOUND,
            f"the KPI {kpi.kpi_id} has no reading {period} from {source}",
            seen=f"{period}, {source}",
            accepted="the period and source of a recorded reading",
        )
    return known


def _says(command: commands.RecordReading | commands.CorrectReading) -> tuple[object, ...]:
    return command.value, command.numerator, command.denominator


def _holds(known: Reading) -> tuple[object, ...]:
    return known.value, known.numerator, known.denominator


def _exists(period: str, source: Source, seen: str, known: Reading) -> Refusal:
    return Refusal(
        Reason.READING_EXISTS,
        f"there is a reading {period} from {source}, and it says {known.value}",
        seen=seen,
        accepted=f"{known.value}, or CorrectReading",
    )


def _effective_at(
    organisation: Organisation, period: str, last_day: date, now: datetime
) -> datetime:
    """R13: a period counts once it is over, never before."""
    effective_at = end_of_day(last_day, organisation.zone)
    if effective_at > now:
        raise Refusal(
            Reason.EFFECTIVE_IN_FUTURE,
            f"the period {period} is not over",
            seen=period,
            accepted=f"at {effective_at.isoformat()} or later",
        )
    return effective_at


def _refuse_within_grace(
    organisation: Organisation, period: str, last_of_grace: date, now: datetime
) -> None:
    """R26: as long as a reading may still come, nobody can say that it did not."""
    if local_day(now, organisation.zone) <= last_of_grace:
        raise Refusal(
            Reason.EFFECTIVE_IN_FUTURE,
            f"the reading {period} may still come",
            seen=now.isoformat(),
            accepted=f"after {last_of_grace}",
            rule="R26",
        )


def _refuse_after_restatement(organisation: Organisation, last_day: date, now: datetime) -> None:
    days = organisation.policy.restatement_window_days
    if days is None:
        return
    until = days_later(last_day, days)
    if now > end_of_day(until, organisation.zone):
        raise Refusal(
            Reason.RESTATEMENT_WINDOW_OVER,
            f"readings may be restated for {days} days after their period",
            seen=now.isoformat(),
            accepted=f"until the end of {until}",
        )
