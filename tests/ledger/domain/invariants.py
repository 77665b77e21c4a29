"""What no accepted sequence of commands may ever lead to, as one function over a state.

Written from DOMAIN.md and not from the decisions, so that it can judge them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Context, Decimal
from fractions import Fraction
from itertools import combinations

from goal_contracts.events import Formula, KpiDefinition, Sum
from goal_contracts.fields import is_number_of_record
from goal_contracts.measures import (
    Count,
    FourPointMetric,
    KpiLinked,
    Maintain,
    Measure,
    Metric,
    Milestone,
)
from goal_contracts.policy import Policy

from services.ledger.domain.due import watch
from services.ledger.domain.organisation import CheckIn, Cycle, KeyResult, Kpi, Organisation
from services.ledger.domain.times import end_of_day, start_of_day


def check(organisation: Organisation, *, policy_fixed: bool = True) -> None:
    """AssertionError names what is broken.

    Rules that hang on a setting are judged by today's settings, so only where `policy_fixed` says
    that they never changed.
    """
    _imports(organisation)
    _units(organisation)
    _cycles(organisation)
    _objectives(organisation)
    _alignment(organisation)
    _key_results(organisation)
    _check_ins(organisation)
    _judgements(organisation)
    _kpis(organisation)
    _readings(organisation)
    _health(organisation)
    _made_of_others(organisation)
    _computed(organisation)
    _indexes(organisation)
    if policy_fixed:
        _settings(organisation)


def _imports(organisation: Organisation) -> None:
    unfinished = [key for key, each in organisation.imports.items() if each.finished is None]
    running = organisation.running_import
    assert unfinished == ([] if running is None else [running]), "one import runs at most"


def _units(organisation: Organisation) -> None:
    for unit in organisation.units.values():
        seen = {unit.unit_id}
        above = unit.parent_id
        while above is not None:
            assert above not in seen, f"the tree of units loops at {above}"
            seen.add(above)
            above = organisation.units[above].parent_id


def _cycles(organisation: Organisation) -> None:
    for cycle in organisation.cycles.values():
        assert cycle.start_on < cycle.end_on, f"R2: {cycle.cycle_id} has no length"
        if cycle.parent_id is not None and cycle.state != "cancelled":
            parent = organisation.cycles[cycle.parent_id]
            inside = parent.start_on <= cycle.start_on and cycle.end_on <= parent.end_on
            assert inside, f"R2: {cycle.cycle_id} leaves its parent"
        if cycle.state not in {"planned", "cancelled"}:
            assert cycle.policy is not None, f"R20: {cycle.cycle_id} pins no policy"
        if cycle.state in {"closed", "reopened"}:
            assert cycle.closings, f"R19: {cycle.cycle_id} lost the facts of its closing"
        if cycle.state == "closed":
            _closed(organisation, cycle)


def _closed(organisation: Organisation, cycle: Cycle) -> None:
    assert cycle.policy is not None
    looked_back = cycle.retrospectives or not cycle.policy.retrospective_required
    assert looked_back, f"R18: {cycle.cycle_id} closed without a retrospective"
    assert cycle.closings[-1].closed.policy == cycle.policy, "R20: closed under another policy"
    for objective in organisation.objectives.values():
        if objective.cycle_id == cycle.cycle_id:
            assert objective.outcome is not None, f"R18: {objective.objective_id} has no outcome"
            for key_result in _live(organisation, objective.objective_id):
                judged = key_result.score is not None or key_result.waived
                pursued = objective.state == "published"
                assert judged or not pursued, f"R18: {key_result.key_result_id} is not judged"


def _objectives(organisation: Organisation) -> None:
    for objective in organisation.objectives.values():
        name = objective.objective_id
        assert objective.cycle_id in organisation.cycles, f"R3: {name} has no cycle"
        assert objective.unit_id in organisation.units, f"R3: {name} has no unit"
        assert objective.owner, f"R3: {name} has no owner"
        if objective.state == "published":
            assert organisation.key_result_ids.get(name), f"R4: {name} is not measurable"
        if objective.state in {"dropped", "carried"}:
            assert objective.outcome == objective.state, f"R18: {name} ended otherwise"
        if objective.state == "carried":
            assert objective.carried_to is not None
            carried = organisation.objectives[objective.carried_to]
            assert carried.drafted.carried_from == name, f"R21: {name} went nowhere"
            assert carried.cycle_id != objective.cycle_id, f"R21: {name} stayed"


def _parents(organisation: Organisation, objective_id: str) -> Iterator[str]:
    """The objectives that an objective serves, itself or through a key result of theirs."""
    for ref in organisation.objectives[objective_id].aligned_to:
        kind, _, goal_id = ref.partition("/")
        assert kind in {"objective", "key_result"}, f"R9: {objective_id} serves {ref}"
        if kind == "objective":
            yield goal_id
        else:
            yield organisation.key_results[goal_id].objective_id


def _alignment(organisation: Organisation) -> None:
    harmless: set[str] = set()

    def visit(objective_id: str, below: tuple[str, ...]) -> None:
        assert objective_id not in below, f"R9: alignment loops at {objective_id}"
        if objective_id not in harmless:
            cycle_id = organisation.objectives[objective_id].cycle_id
            for parent in _parents(organisation, objective_id):
                around = set(_around(organisation, cycle_id))
                encloses = organisation.objectives[parent].cycle_id in around
                assert encloses, f"R9: {parent} does not enclose {objective_id}"
                visit(parent, (*below, objective_id))
            harmless.add(objective_id)

    for objective_id in organisation.objectives:
        visit(objective_id, ())


def _around(organisation: Organisation, cycle_id: str | None) -> Iterator[str]:
    while cycle_id is not None:
        yield cycle_id
        cycle_id = organisation.cycles[cycle_id].parent_id


def _key_results(organisation: Organisation) -> None:
    for key_result in organisation.key_results.values():
        name = key_result.key_result_id
        assert key_result.objective_id in organisation.objectives, f"{name} measures nothing"
        assert key_result.owner, f"R3: {name} has no owner"
        assert key_result.weight >= 0, f"R10: {name} weighs less than nothing"
        assert is_number_of_record(key_result.weight)
        _measure(organisation, name, key_result.measure)


def _measure(organisation: Organisation, name: str, measure: Measure) -> None:
    for number in (getattr(measure, each) for each in measure.__struct_fields__):
        assert not isinstance(number, Decimal) or is_number_of_record(number), name
    match measure:
        case Metric() | KpiLinked():
            assert measure.baseline != measure.target, f"R4: {name} has nowhere to go"
            if isinstance(measure, KpiLinked):
                assert measure.kpi_id in organisation.kpis, f"R25: {name} follows nothing"
        case FourPointMetric(baseline=b, commit=c, target=t, stretch=s):
            assert b < c <= t < s or b > c >= t > s, f"R4: {name} goes back and forth"
        case Maintain(lower=lower, upper=upper):
            assert (lower, upper) != (None, None), f"R4: {name} maintains nothing"
            assert lower is None or upper is None or lower <= upper, f"R4: {name} has no band"
        case Count(of=of):
            assert of >= 1, f"R4: {name} counts nothing"
        case _:
            pass


def _check_ins(organisation: Organisation) -> None:
    for (key_result_id, check_in_id), check_in in organisation.check_ins.items():
        if check_in.retracted:
            continue
        name = f"{key_result_id}/{check_in_id}"
        key_result = organisation.key_results[key_result_id]
        cycle = _cycle_of(organisation, key_result)
        begin = start_of_day(cycle.start_on, organisation.zone)
        end = end_of_day(cycle.end_on, organisation.zone)
        assert begin <= check_in.effective_at <= end, f"R13: {name} lies outside its cycle"
        assert check_in.effective_at <= check_in.known_at, f"R13: {name} lies in the future"
        assert cycle.policy is not None, f"R11: {name} was made before its cycle was active"
        said = (check_in.value, check_in.confidence, check_in.status, check_in.note)
        assert said != (None, None, None, ""), f"R11: {name} says nothing"
        _value_fits(name, key_result.measure, check_in)


def _value_fits(name: str, measure: Measure, check_in: CheckIn) -> None:
    value = check_in.value
    if value is None:
        return
    assert is_number_of_record(value)
    if isinstance(measure, Milestone):
        assert value in {0, 1}, f"R11: {name} is half done"
    if isinstance(measure, Count):
        assert value >= 0, f"R11: {name} counts below 0"
        assert value == int(value), f"R11: {name} counts in parts"


def _judgements(organisation: Organisation) -> None:
    for objective in organisation.objectives.values():
        state = organisation.cycles[objective.cycle_id].state
        _score(objective.objective_id, state, objective.score, objective.score_computed)
        if objective.outcome in {"achieved", "partial", "missed"}:
            assert objective.state == "published", f"R16: {objective.objective_id} never counted"
    for key_result in organisation.key_results.values():
        state = _cycle_of(organisation, key_result).state
        _score(key_result.key_result_id, state, key_result.score, key_result.score_computed)
        both = key_result.waived and key_result.score is not None
        assert not both, f"R18: {key_result.key_result_id} is waived and scored"


def _score(name: str, state: str, score: Decimal | None, computed: Decimal | None) -> None:
    for number in (score, computed):
        if number is not None:
            assert 0 <= number <= 1, f"R16: the score of {name} leaves 0 to 1"
            assert number % Decimal("0.01") == 0, f"R16: the score of {name} is too fine"
            assert state not in {"planned", "active"}, f"R16: {name} was judged too early"


def _kpis(organisation: Organisation) -> None:
    for kpi in organisation.kpis.values():
        assert kpi.unit_id in organisation.units, f"R3: {kpi.kpi_id} has no unit"
        assert kpi.owner, f"R3: {kpi.kpi_id} has no owner"
        numbers = [each.version for each in kpi.versions]
        assert numbers == list(range(1, len(numbers) + 1)), f"R22: {kpi.kpi_id} lost a version"
        days = [each.effective_on for each in kpi.versions]
        assert days == sorted(set(days)), f"R22: versions of {kpi.kpi_id} are out of order"
        for each in kpi.versions:
            bands = each.definition.bands
            for band in () if bands is None else (bands.healthy, bands.warning):
                sane = band.low is None or band.high is None or band.low <= band.high
                assert sane, f"R22: {kpi.kpi_id} has an empty band"


def _readings(organisation: Organisation) -> None:
    for (kpi_id, period, source), reading in organisation.readings.items():
        name = f"{kpi_id} {period} {source}"
        first, last = (date.fromisoformat(each) for each in period.split("/"))
        assert first <= last, f"R23: {name} runs backwards"
        end = end_of_day(last, organisation.zone)
        assert reading.effective_at == end, f"R23: {name} is not effective at its end"
        assert end <= organisation.known_at_max, f"R13: {name} lies in the future"
        versions = len(organisation.kpis[kpi_id].versions)
        assert 1 <= reading.definition_version <= versions, f"R22: {name} was judged by nothing"
        assert is_number_of_record(reading.value)
    for kpi_id, _, _ in organisation.missed:
        assert kpi_id in organisation.kpis
    for kpi_id, _ in organisation.reviews:
        assert kpi_id in organisation.kpis
    for goal, _ in organisation.comments:
        kind, _, goal_id = goal.partition("/")
        things: dict[str, Iterable[str]] = {
            "objective": organisation.objectives,
            "key_result": organisation.key_results,
            "kpi": organisation.kpis,
        }
        assert goal_id in things[kind], f"{goal} is commented on and does not exist"


def _health(organisation: Organisation) -> None:
    """R24 and R26: what the latest period says, by the bands its reading keeps."""
    for kpi in organisation.kpis.values():
        said: list[tuple[datetime, int, Decimal | None, int]] = [
            (each.effective_at, each.position, each.value, each.definition_version)
            for key, each in organisation.readings.items()
            if key[0] == kpi.kpi_id and not each.retracted
        ]
        said += [
            (each.effective_at, 0, None, 0)
            for key, each in organisation.missed.items()
            if key[0] == kpi.kpi_id
        ]
        _, _, value, version = max(said, default=(None, 0, None, 0))
        health = "no_data"
        bands = None if value is None else kpi.versions[version - 1].definition.bands
        if value is not None and bands is not None:
            health = next(
                (
                    name
                    for name, band in (("healthy", bands.healthy), ("warning", bands.warning))
                    if (band.low is None or value >= band.low)
                    and (band.high is None or value <= band.high)
                ),
                "breach",
            )
        assert kpi.health == health, f"R24: {kpi.kpi_id} is {kpi.health} and reads {health}"
        waiting = [
            review_id
            for (kpi_id, review_id), review in organisation.reviews.items()
            if kpi_id == kpi.kpi_id and review.closed is None and review_id.startswith("breach-")
        ]
        assert len(waiting) <= 1, f"R24: {kpi.kpi_id} is looked at more than once"


def _computed(organisation: Organisation) -> None:
    """R27: what a formula gives for each period, by the version that its reading keeps."""
    for kpi in organisation.kpis.values():
        for period in {key[1] for key in organisation.readings}:
            known = organisation.readings.get((kpi.kpi_id, period, "formula"))
            known = None if known is None or known.retracted else known
            last = date.fromisoformat(period.partition("/")[2])
            number = _in_force(kpi, last) if known is None else known.definition_version
            definition = kpi.versions[number - 1].definition
            if definition.formula is None or (known is None and kpi.retired):
                continue
            expected = _by_formula(organisation, definition, period, last)
            value = None if known is None else known.value
            assert value == expected, f"R27: {kpi.kpi_id} is {value} in {period}, not {expected}"


def _made_of_others(organisation: Organisation) -> None:
    """R27: no formula leads back to where it comes from, in none of its versions."""
    made_of = {
        kpi.kpi_id: {
            each
            for version in kpi.versions
            if (formula := version.definition.formula) is not None
            for each in _inputs(formula)
        }
        for kpi in organisation.kpis.values()
    }
    while made_of:
        given = {kpi_id for kpi_id, inputs in made_of.items() if not inputs & set(made_of)}
        assert given, f"R27: {', '.join(made_of)} are computed from each other"
        made_of = {key: inputs for key, inputs in made_of.items() if key not in given}


def _inputs(formula: Formula) -> tuple[str, ...]:
    inputs = formula.of if isinstance(formula, Sum) else (formula.numerator, formula.denominator)
    assert len(set(inputs)) == len(inputs), f"R27: {formula} names one twice"
    return inputs


def _by_formula(
    organisation: Organisation, definition: KpiDefinition, period: str, last: date
) -> Decimal | None:
    """In fractions, which are exact."""
    formula = definition.formula
    assert formula is not None
    values: list[Fraction] = []
    for kpi_id in _inputs(formula):
        kpi = organisation.kpis[kpi_id]
        its_own = kpi.versions[_in_force(kpi, last) - 1].definition
        source = its_own.source if its_own.formula is None else "formula"
        found = [
            (key[2] == source, each.position, each.value)
            for key, each in organisation.readings.items()
            if key[:2] == (kpi_id, period) and not each.retracted
        ]
        if not found:
            return None
        values.append(Fraction(max(found)[2]))
    if isinstance(formula, Sum):
        exact = sum(values, Fraction(0))
    elif values[1] == 0:
        return None
    else:
        exact = values[0] / values[1] * Fraction(formula.factor)
    places = 6 if definition.places is None else definition.places
    value = Decimal(round(exact * 10**places)).scaleb(-places, Context(prec=200))
    return value if is_number_of_record(value) else None


def _in_force(kpi: Kpi, day: date) -> int:
    return max(each.version for each in kpi.versions if each.effective_on <= day)


def _indexes(organisation: Organisation) -> None:
    for index, belongs in (
        (organisation.objective_ids, _by(organisation.objectives, "cycle_id")),
        (organisation.key_result_ids, _by(organisation.key_results, "objective_id")),
    ):
        assert {key: set(ids) for key, ids in index.items()} == belongs
        assert all(len(ids) == len(set(ids)) for ids in index.values())
    pursued = Counter(
        (each.cycle_id, each.unit_id)
        for each in organisation.objectives.values()
        if each.state in {"draft", "published"}
    )
    assert {unit: count for unit, count in organisation.pursued.items() if count} == pursued
    linked = {
        (key_result.measure.kpi_id, key_result.key_result_id)
        for key_result in organisation.key_results.values()
        if isinstance(key_result.measure, KpiLinked)
    }
    assert {(kpi, each) for kpi, ids in organisation.linked_ids.items() for each in ids} == linked
    check_ins = [(k, each) for k, ids in organisation.check_in_ids.items() for each in ids]
    assert len(check_ins) == len(organisation.check_ins)
    assert set(check_ins) == set(organisation.check_ins)
    readings = [key for keys in organisation.reading_keys.values() for key in keys]
    assert len(readings) == len(organisation.readings)
    assert set(readings) == set(organisation.readings)
    missed = [key for keys in organisation.missed_keys.values() for key in keys]
    assert len(missed) == len(organisation.missed)
    assert set(missed) == set(organisation.missed)
    for keys in organisation.reading_keys.values():
        ends = [organisation.readings[key].effective_at for key in keys]
        assert ends == sorted(ends), "readings are out of order"
    for keys in organisation.missed_keys.values():
        ends = [organisation.missed[key].effective_at for key in keys]
        assert ends == sorted(ends), "missed readings are out of order"
    if organisation.watches_readings:
        afresh = {each.kpi_id: watch(organisation, each) for each in organisation.kpis.values()}
        assert organisation.watches == afresh, "R26: what is awaited follows from what is known"
    days = Counter(each.missed_on.isoformat() for each in organisation.watches.values())
    assert {day: kpis for day, kpis in organisation.watched_days.items() if kpis} == days
    reviews = [(k, each) for k, ids in organisation.review_ids.items() for each in ids]
    assert len(reviews) == len(organisation.reviews)
    assert set(reviews) == set(organisation.reviews)


def _by(things: object, name: str) -> dict[str, set[str]]:
    belongs: dict[str, set[str]] = {}
    for key, thing in things.items():  # type: ignore[attr-defined]  # any mapping of structs
        belongs.setdefault(getattr(thing, name), set()).add(key)
    return belongs


def _settings(organisation: Organisation) -> None:
    """The rules that a setting can lift."""
    policy = organisation.policy
    cycles = [each for each in organisation.cycles.values() if each.state != "cancelled"]
    for cycle in cycles:
        _days_of_kind(cycle, policy.fiscal_year_start_month)
    if not policy.allow_cycle_overlap:
        for one, other in combinations(cycles, 2):
            apart = one.end_on < other.start_on or other.end_on < one.start_on
            same = one.cycle_kind == other.cycle_kind
            assert apart or not same, f"R2: {one.cycle_id} overlaps {other.cycle_id}"
    owned = (organisation.objectives, organisation.key_results, organisation.kpis)
    for things in owned:
        for owner in {thing.owner for thing in things.values()}:
            unit = organisation.units.get(owner)
            team = unit is not None and unit.unit_kind != "person"
            assert policy.owner_may_be_team or not team, f"R3: {owner} is a team"
    _counts_and_weights(organisation, policy)
    for objective in organisation.objectives.values():
        parents = len(objective.aligned_to)
        assert policy.parents == "many" or parents <= 1, f"R9: {objective.objective_id}"


def _counts_and_weights(organisation: Organisation, policy: Policy) -> None:
    """R5 where it blocks, and R10: of what is pursued, and of key results only what counts."""
    pursued: dict[tuple[str, str], int] = {}
    for objective in organisation.objectives.values():
        if objective.state in {"draft", "published"}:
            unit = objective.cycle_id, objective.unit_id
            pursued[unit] = pursued.get(unit, 0) + 1
        weights = [each.weight for each in _live(organisation, objective.objective_id)]
        name = objective.objective_id
        assert policy.weights != "equal" or set(weights) <= {1}, f"R10: {name}: {weights}"
        if objective.state == "published":
            assert policy.weights != "sum_to_100" or sum(weights) <= 100, f"R10: {name}: {weights}"
            sound = policy.key_results_min <= len(weights) <= policy.key_results_max
            assert policy.counts != "block" or sound, f"R5: {name} has {len(weights)} key results"
    for (cycle_id, unit_id), count in pursued.items():
        company = organisation.units[unit_id].unit_kind == "company"
        most = policy.company_objectives_max if company else policy.unit_objectives_max
        assert policy.counts != "block" or count <= most, f"R5: {unit_id} in {cycle_id}: {count}"


def _days_of_kind(cycle: Cycle, fiscal: int) -> None:
    months = {"annual": 12, "quarterly": 3, "monthly": 1, "custom": 0}[cycle.cycle_kind]
    if months:
        assert cycle.start_on.day == 1, f"R2: {cycle.cycle_id} begins within a month"
        assert (cycle.start_on.month - fiscal) % months == 0, f"R2: {cycle.cycle_id} is shifted"
        after = cycle.end_on.toordinal() + 1
        ends = date.fromordinal(after)
        length = (ends.year - cycle.start_on.year) * 12 + ends.month - cycle.start_on.month
        assert (ends.day, length) == (1, months), f"R2: {cycle.cycle_id} has another length"


def _live(organisation: Organisation, objective_id: str) -> list[KeyResult]:
    return [
        each
        for each in organisation.key_results.values()
        if each.objective_id == objective_id and not each.dropped
    ]


def _cycle_of(organisation: Organisation, key_result: KeyResult) -> Cycle:
    objective = organisation.objectives[key_result.objective_id]
    return organisation.cycles[objective.cycle_id]
