"""R27: KPIs that are computed from others', one reading for each period that all of them have.

A computed reading is kept like any other, under a source of its own: it is corrected when what it
is made of is corrected, and it keeps the version of the definition by which it was first computed.
"""

from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import reduce
from graphlib import TopologicalSorter

from goal_contracts.events import (
    Event,
    Formula,
    KpiDefinition,
    KpiReadingCorrected,
    KpiReadingRecorded,
    KpiReadingRetracted,
    Ratio,
)
from goal_contracts.fields import is_number_of_record
from goal_contracts.replies import Reason, Refusal
from msgspec import Struct

from services.ledger.domain.organisation import Kpi, Organisation, Reading, inputs_of
from services.ledger.domain.times import days_of_period, end_of_day

COMPUTED = "formula"
"""The source of computed readings."""

PLACES = 6
"""To how many decimals is rounded where the definition does not say."""

# Wide enough that only the last step rounds: products and quotients of numbers of record.
_EXACTLY = Context(prec=200, rounding=ROUND_HALF_EVEN)


class Computed(Struct, frozen=True):
    """What a formula gives for a period; a ratio's two parts are kept beside it."""

    value: Decimal
    numerator: Decimal | None = None
    denominator: Decimal | None = None


def refuse_unless_computable(
    organisation: Organisation, kpi_id: str, formula: Formula | None
) -> None:
    """A formula names each of its KPIs once, all of them exist, and none depends on this one."""
    inputs = inputs_of(formula)
    if isinstance(formula, Ratio) and not formula.factor:
        raise _invalid("a ratio times 0 is always 0", "0", "any other factor")
    if len(set(inputs)) < len(inputs):
        raise _invalid("a KPI is named twice", ", ".join(inputs), "each KPI once")
    follow = {kpi_id, *dependents_of(organisation, kpi_id)}
    for each in inputs:
        if each in follow:
            raise Refusal(
                Reason.FORMULA_LOOP,
                f"the KPI {each} is {kpi_id} itself or has been computed from it",
                seen=each,
                accepted="KPIs that in no version of their definition depend on this one",
            )
        if each not in organisation.kpis:
            raise _invalid(f"there is no KPI {each}", each, "ids of existing KPIs")


def refuse_computed(kpi: Kpi, definition: KpiDefinition) -> None:
    """What a formula gives is neither entered nor corrected by hand."""
    if definition.formula is not None:
        inputs = ", ".join(inputs_of(definition.formula))
        raise Refusal(
            Reason.COMPUTED_KPI,
            f"the readings of the KPI {kpi.kpi_id} are computed",
            seen=kpi.kpi_id,
            accepted=f"readings of what it is computed from: {inputs}",
        )


def dependents_of(organisation: Organisation, kpi_id: str) -> tuple[str, ...]:
    """All KPIs that are computed from one, also at second hand: each after what it is made of."""
    made_of: dict[str, list[str]] = {}
    ahead = [kpi_id]
    while ahead:
        source_id = ahead.pop()
        for each in organisation.dependent_ids.get(source_id, ()):
            if each not in made_of:
                made_of[each] = []
                ahead.append(each)
            made_of[each].append(source_id)
    return tuple(each for each in TopologicalSorter(made_of).static_order() if each != kpi_id)


def made_of(kpi: Kpi) -> frozenset[str]:
    """The KPIs that any version of a definition names."""
    return frozenset(
        each for version in kpi.versions for each in inputs_of(version.definition.formula)
    )


def complete_periods(organisation: Organisation, formula: Formula | None) -> set[str]:
    """The periods for which every KPI in a formula has a reading."""
    inputs = inputs_of(formula)
    if not inputs:
        return set()
    return set.intersection(*(periods_of(organisation, each) for each in inputs))


def periods_of(organisation: Organisation, kpi_id: str) -> set[str]:
    """The periods of which a KPI has a reading from any source."""
    keys = organisation.reading_keys.get(kpi_id, ())
    return {key[1] for key in keys if not organisation.readings[key].retracted}


def recompute(
    organisation: Organisation, kpi_id: str, period: str, cause: str
) -> tuple[Event, ...]:
    """What changes about one computed reading after a change to the KPI `cause`.

    A retired KPI takes no new readings; those it has are kept right.
    """
    kpi = organisation.kpis[kpi_id]
    _, last_day = days_of_period(period)
    known = organisation.readings.get((kpi_id, period, COMPUTED))
    if known is not None and known.retracted:
        known = None
    version = kpi.version_on(last_day) if known is None else kpi.version(known.definition_version)
    if version.definition.formula is None:
        return ()
    now = compute(organisation, version.definition, period)
    if known is not None:
        return _restated(kpi_id, period, known, now, f"recomputed: {cause} {period}")
    if now is None or kpi.retired:
        return ()
    return (
        KpiReadingRecorded(
            kpi_id=kpi_id,
            period=period,
            effective_at=end_of_day(last_day, organisation.zone),
            value=now.value,
            source=COMPUTED,
            definition_version=version.version,
            numerator=now.numerator,
            denominator=now.denominator,
        ),
    )


def _restated(
    kpi_id: str, period: str, known: Reading, now: Computed | None, reason: str
) -> tuple[Event, ...]:
    if now is None:
        return (
            KpiReadingRetracted(
                kpi_id=kpi_id,
                period=period,
                effective_at=known.effective_at,
                value_was=known.value,
                source=COMPUTED,
                reason=reason,
            ),
        )
    if now == Computed(known.value, known.numerator, known.denominator):
        return ()
    return (
        KpiReadingCorrected(
            kpi_id=kpi_id,
            period=period,
            effective_at=known.effective_at,
            value_was=known.value,
            value=now.value,
            source=COMPUTED,
            definition_version=known.definition_version,
            reason=reason,
            numerator_was=known.numerator,
            numerator=now.numerator,
            denominator_was=known.denominator,
            denominator=now.denominator,
        ),
    )


def compute(organisation: Organisation, definition: KpiDefinition, period: str) -> Computed | None:
    """None as long as an input is missing, and where there is no number: nothing is over 0."""
    _, last_day = days_of_period(period)
    formula = definition.formula
    found = [_counting(organisation, each, period, last_day) for each in inputs_of(formula)]
    values = [each.value for each in found if each is not None]
    if len(values) < len(found):
        return None
    if isinstance(formula, Ratio):
        numerator, denominator = values
        if not denominator:
            return None
        product = _EXACTLY.multiply(numerator, formula.factor)
        value = _rounded(_EXACTLY.divide(product, denominator), definition.places)
        return None if value is None else Computed(value, numerator, denominator)
    value = _rounded(reduce(_EXACTLY.add, values), definition.places)
    return None if value is None else Computed(value)


def _rounded(value: Decimal, places: int | None) -> Decimal | None:
    """Half to even; None where it is longer than a number of record, and no -0."""
    step = Decimal(1).scaleb(-(PLACES if places is None else places))
    rounded = _EXACTLY.plus(value.quantize(step, context=_EXACTLY))
    return rounded if is_number_of_record(rounded) else None


def _counting(
    organisation: Organisation, kpi_id: str, period: str, last_day: date
) -> Reading | None:
    """Of several sources the KPI's own counts; where it has none, the one recorded last."""
    definition = organisation.kpis[kpi_id].version_on(last_day).definition
    source = definition.source if definition.formula is None else COMPUTED
    own = organisation.readings.get((kpi_id, period, source))
    if own is not None and not own.retracted:
        return own
    others = organisation.readings_of(kpi_id, period)
    return max(others, key=lambda each: each.position, default=None)


def _invalid(message: str, seen: str, accepted: str) -> Refusal:
    return Refusal(Reason.FORMULA_INVALID, message, seen=seen, accepted=accepted)
