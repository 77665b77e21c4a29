"""The arithmetic of section 3, over fractions: nothing of goal_contracts.measures is used."""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from goal_contracts import measures as m
from goal_contracts.fields import DIGITS_MAX, is_number_of_record
from goal_contracts.policy import Policy

from tests.ledger.domain.model.rhythm import cut
from tests.ledger.domain.model.world import KeyResult, Objective, World


def rounded(number: Fraction, places: int) -> Decimal:
    """Half to even, from the exact number."""
    return Decimal(round(number * 10**places)).scaleb(-places)


def steps(number: Decimal, step: str) -> Decimal:
    return number.quantize(Decimal(step), ROUND_HALF_EVEN)


def hundredths(number: Decimal | None) -> Decimal | None:
    """As a score is written."""
    return None if number is None else steps(number, "0.01")


def mean(parts: Iterable[tuple[Decimal, Decimal | None]]) -> Decimal | None:
    """Weighted, over those that have a number, in millionths."""
    there = [(Fraction(weight), Fraction(number)) for weight, number in parts if number is not None]
    total = sum(weight for weight, _ in there)
    if not there or total == 0:
        return None
    return rounded(Fraction(sum(weight * number for weight, number in there)) / total, 6)


def _held(share: Fraction) -> Decimal:
    """From 0 to 1, in millionths first and then in hundredths: a score is taken from progress."""
    return steps(rounded(min(max(share, Fraction(0)), Fraction(1)), 6), "0.01")


def counting_value(world: World, goal: KeyResult, now: datetime) -> Decimal | None:
    """The value that counts at a moment: section 3."""
    if isinstance(goal.measure, m.KpiLinked):
        cycle = world.cycle_of(world.objective_of(goal))
        inside = [
            each
            for each in world.kpis[goal.measure.kpi_id].counting()
            if world.begin_of(cycle.start) <= each.effective_at <= world.end_of(cycle.end)
            and each.effective_at <= now
        ]
        return inside[-1].value if inside else None
    values = said_values(goal, now)
    return values[-1][1] if values else None


def said_values(goal: KeyResult, now: datetime) -> list[tuple[datetime, Decimal]]:
    """Check-ins with a value, not taken back, in the order in which they count."""
    said = [
        (each.made.effective_at, each.place, each.value)
        for each in goal.said.values()
        if not each.retracted and each.value is not None and each.made.effective_at <= now
    ]
    return [(at, value) for at, _, value in sorted(said, key=lambda each: each[:2])]


def score(world: World, goal: KeyResult, now: datetime, policy: Policy) -> Decimal | None:
    """The computed score of a key result; None where nothing is due yet."""
    measure = goal.measure
    if isinstance(measure, m.Maintain):
        return _maintained(world, goal, measure, now, policy)
    value = counting_value(world, goal, now)
    if value is None:
        return Decimal(0)
    number = Fraction(value)
    match measure:
        case m.Metric() | m.KpiLinked():
            begin = Fraction(measure.baseline)
            return _held((number - begin) / (Fraction(measure.target) - begin))
        case m.FourPointMetric():
            begin = Fraction(measure.baseline)
            return _held((number - begin) / (Fraction(measure.stretch) - begin))
        case m.Count():
            return _held(number / measure.of)
        case m.Milestone():
            return Decimal(1) if value == 1 else Decimal(0)
        case _:
            return Decimal(1)


def _inside(measure: m.Maintain, value: Decimal) -> bool:
    above = measure.lower is None or measure.lower <= value
    return above and (measure.upper is None or value <= measure.upper)


def _maintained(
    world: World, goal: KeyResult, measure: m.Maintain, now: datetime, policy: Policy
) -> Decimal | None:
    """Met check-ins over due ones, or the share of the elapsed cycle inside the band."""
    cycle = world.cycle_of(world.objective_of(goal))
    values = said_values(goal, now)
    if measure.counted_by == "check_ins":
        today = world.today(now)
        over = [each for each in cut(cycle.start, cycle.end, policy.cadence) if each[1] < today]
        if not over:
            return None
        met = 0
        for first, last in over:
            within = [
                value for at, value in values if world.begin_of(first) <= at <= world.end_of(last)
            ]
            met += bool(within) and _inside(measure, within[-1])
        return _held(Fraction(met, len(over)))
    begin, end = world.begin_of(cycle.start), world.end_of(cycle.end)
    until = min(now, end)
    elapsed = until.timestamp() - begin.timestamp()
    if elapsed <= 0:
        return None
    spent = 0.0
    for at, (since, value) in enumerate(values):
        then = values[at + 1][0] if at + 1 < len(values) else until
        if _inside(measure, value):
            spent += max(0.0, min(then, until).timestamp() - max(since, begin).timestamp())
    return _held(Fraction(spent) / Fraction(elapsed))


def objective_score(world: World, objective: Objective) -> Decimal | None:
    """The weighted mean of the scored key results, in hundredths."""
    goals = world.measured_by(objective.made.objective_id).values()
    return hundredths(mean((each.weight, each.score) for each in goals))


def direction(measure: m.Measure) -> tuple[str, str, int, bool, bool]:
    """What R8 holds fast: kind, unit, and which way is better."""
    kind = type(measure).__name__
    unit = getattr(measure, "unit", "")
    match measure:
        case m.Metric():
            return kind, unit, 1 if measure.target > measure.baseline else -1, False, False
        case m.FourPointMetric():
            return kind, unit, 1 if measure.stretch > measure.baseline else -1, False, False
        case m.Maintain():
            return kind, unit, 0, measure.lower is None, measure.upper is None
        case m.KpiLinked():
            return kind, measure.kpi_id, 0, False, False
        case _:
            return kind, unit, 0, False, False


def is_sound(measure: m.Measure) -> bool:
    """R4: something is left to measure."""
    match measure:
        case m.Metric() | m.KpiLinked():
            return measure.baseline != measure.target
        case m.FourPointMetric():
            points = [measure.baseline, measure.commit, measure.target, measure.stretch]
            ordered = points in (sorted(points), sorted(points, reverse=True))
            return ordered and measure.target != measure.stretch
        case m.Maintain():
            if measure.lower is None or measure.upper is None:
                return not (measure.lower is None and measure.upper is None)
            return measure.lower <= measure.upper
        case m.Count():
            return measure.of >= 1
        case _:
            return True


def asks_less(was: m.Measure, now: m.Measure) -> bool | None:
    """R7: whether a new measure asks for less; None where it is a matter of opinion."""
    if type(was) is not type(now):
        return None
    if isinstance(was, m.Count) and isinstance(now, m.Count):
        return now.of < was.of
    if isinstance(was, m.Metric | m.KpiLinked) and isinstance(now, m.Metric | m.KpiLinked):
        if was.baseline != now.baseline or direction(was) != direction(now):
            return None
        rises = was.target > was.baseline
        return now.target < was.target if rises else now.target > was.target
    return None


def fits(measure: m.Measure, value: Decimal) -> bool:
    """R11: whether a measure can have the value."""
    match measure:
        case m.Milestone():
            return value in {Decimal(0), Decimal(1)}
        case m.Count():
            return value >= 0 and value == value.to_integral_value()
        case _:
            return True


def unkeepable(told: object) -> bool:
    """Whether a number in it, however deep, cannot be kept without loss."""
    if isinstance(told, int):
        return len(str(abs(told))) > DIGITS_MAX
    if isinstance(told, Decimal):
        return not is_number_of_record(told)
    if isinstance(told, tuple):
        return any(map(unkeepable, told))
    fields: tuple[str, ...] = getattr(told, "__struct_fields__", ())
    return any(unkeepable(getattr(told, name)) for name in fields)
