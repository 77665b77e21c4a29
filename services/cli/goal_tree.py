"""Goals as a tree to look at, and as rows: cycles, units, objectives, key results, then KPIs.

Pure: an answer in, tables and rows out.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from goal_contracts.fields import CheckInTiming, GoalHealth, KpiHealth, Origin
from goal_contracts.queries import (
    CommentCard,
    CycleCard,
    Goals,
    KeyResultCard,
    KpiCard,
    ObjectiveCard,
    Reflects,
    ReviewCard,
    UnitCard,
)
from goal_contracts.replies import Warned
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from services.cli import printing, wording
from services.cli.printing import Row

DEPTH_MAX: Final = 8
"""Deeper alignment is shown, but not drawn further to the right."""
HEALTH_STYLES: Final[dict[GoalHealth, str]] = {
    "on_track": "green",
    "achieved": "green",
    "at_risk": "yellow",
    "partial": "yellow",
    "off_track": "red",
    "missed": "red",
    "outdated": "red",
    "pending": "dim",
}
KPI_STYLES: Final[dict[KpiHealth, str]] = {
    "healthy": "green",
    "warning": "yellow",
    "breach": "red",
    "no_data": "dim",
}
REMINDERS: Final[dict[CheckInTiming, str]] = {"due": "due", "late": "late"}
"""How a check-in stands, where somebody has to do something; whose is overdue, that is outdated."""
TOLD_ORIGINS: Final[frozenset[Origin]] = frozenset(
    {"computed", "rolled_up", "adjusted", "corrected"}
)
"""Where a number comes from, said where it is not simply what somebody entered or imported."""
ENDED: Final = ("dropped", "carried")
MID_CYCLE: Final = " (added mid-cycle)"

COLUMNS: Final = (
    "kind",
    "id",
    "title",
    "cycle",
    "unit",
    "objective",
    "owner",
    "state",
    "measure",
    "value",
    "effective_at",
    "progress",
    "confidence",
    "status",
    "health",
    "timing",
    "score",
    "note",
    "value_origin",
    "progress_origin",
    "score_origin",
    "reviews",
    "advice",
    "position",
)


def rows(goals: Goals) -> Iterator[Row]:
    """One row for each objective, key result and KPI, in the order of the answer."""
    objectives = {card.objective_id: card for card in goals.objectives}
    for objective in goals.objectives:
        yield {
            "kind": "objective",
            "id": objective.objective_id,
            "title": objective.title,
            "cycle": objective.cycle_id,
            "unit": objective.unit_id,
            "owner": objective.owner,
            "state": objective.outcome or objective.state,
            "progress": objective.progress,
            "health": objective.health,
            "score": objective.score,
            "progress_origin": objective.progress_origin,
            "score_origin": objective.score_origin,
            "advice": "; ".join(map(_advice, objective.advice)),
            "position": objective.position,
        }
    for result in goals.key_results:
        parent = objectives.get(result.objective_id)
        yield {
            "kind": "key_result",
            "id": result.key_result_id,
            "title": result.title,
            "cycle": parent.cycle_id if parent else None,
            "unit": parent.unit_id if parent else None,
            "objective": result.objective_id,
            "owner": result.owner,
            "state": _state(result),
            "measure": wording.measure(result.measure),
            "value": result.value,
            "effective_at": result.value_at,
            "progress": result.progress,
            "confidence": result.confidence,
            "status": result.status,
            "health": result.health,
            "timing": result.check_in_timing,
            "score": result.score,
            "note": result.note,
            "value_origin": result.value_origin,
            "progress_origin": result.progress_origin,
            "score_origin": result.score_origin,
            "advice": "; ".join(map(_advice, result.advice)),
            "position": result.position,
        }
    for kpi in goals.kpis:
        yield {
            "kind": "kpi",
            "id": kpi.kpi_id,
            "title": kpi.definition.name,
            "unit": kpi.unit_id,
            "owner": kpi.owner,
            "state": "retired" if kpi.retired else None,
            "measure": kpi.definition.unit,
            "value": kpi.reading.value if kpi.reading else None,
            "effective_at": kpi.reading.effective_at if kpi.reading else None,
            "health": kpi.health,
            "value_origin": kpi.reading.origin if kpi.reading else None,
            "reviews": "; ".join(map(review, _open_reviews(kpi))),
            "position": kpi.position,
        }


def drawn(goals: Goals, asked: str, *, is_wide: bool) -> list[RenderableType]:
    """What the answer reflects, the goals as a tree, the KPIs as a list."""
    parts: list[RenderableType] = [reflects(asked, goals.reflects), ""]
    if goals.objectives or goals.key_results:
        parts += _trees(goals, is_wide=is_wide)
    elif goals.cycles and not goals.kpis:
        parts += [Text(_cycle_words(cycle), "bold underline") for cycle in goals.cycles]
    if goals.kpis:
        parts += [_kpis(goals, is_wide=is_wide), ""]
    parts += map(_comment, goals.comments)
    while parts[-1] == "" and len(parts) > 2:  # noqa: PLR2004 - what it reflects, and a space
        parts.pop()
    if parts[-1] == "":
        parts.append("There was nothing yet.")
    return parts


def reflects(asked: str, of: Reflects) -> Text:
    """`acme as of 2025-09-30 · position @412 · known by 2025-09-30 21:59 UTC`."""
    words = Text(asked, "bold")
    words.append(f" · position @{of.position}", "not bold dim")
    if of.known_at != of.as_of:
        words.append(f" · true by {wording.instant(of.as_of)}", "not bold dim")
    words.append(f" · known by {wording.instant(of.known_at)}", "not bold dim")
    return words


def _trees(goals: Goals, *, is_wide: bool) -> Iterator[RenderableType]:
    """Each cycle with a table of its own; the longer of two that begin together comes first."""
    cycles = {card.cycle_id: card for card in goals.cycles}
    units = {card.unit_id: card for card in goals.units}
    results: dict[str, list[KeyResultCard]] = defaultdict(list)
    for result in goals.key_results:
        results[result.objective_id].append(result)
    groups: dict[str, dict[str, list[ObjectiveCard]]] = defaultdict(lambda: defaultdict(list))
    for objective in goals.objectives:
        groups[objective.cycle_id][objective.unit_id].append(objective)

    def place(cycle_id: str) -> tuple[int, int, str]:
        cycle = cycles.get(cycle_id)
        first, last = (cycle.start_on.toordinal(), cycle.end_on.toordinal()) if cycle else (0, 0)
        return first, -last, cycle_id

    for cycle_id in sorted(groups, key=place):
        cycle = cycles.get(cycle_id)
        table = _table(is_wide=is_wide)
        for unit_id in [*_in_tree_order(units), *(groups[cycle_id].keys() - units.keys())]:
            if unit_id not in groups[cycle_id]:
                continue
            unit = units.get(unit_id)
            table.add_row(Text(unit.name if unit else unit_id, "bold"))
            for objective, depth in _nested(groups[cycle_id][unit_id], results):
                _add_objective(table, objective, depth + 1, is_wide=is_wide)
                for result in results.pop(objective.objective_id, ()):
                    _add_key_result(table, result, depth + 2, is_wide=is_wide)
        yield Text(_cycle_words(cycle) if cycle else cycle_id, "bold underline")
        yield table
        yield ""
    if results:  # their objectives were not asked for
        table = _table(is_wide=is_wide)
        for alone in results.values():
            for result in alone:
                _add_key_result(table, result, 0, is_wide=is_wide)
        yield table
        yield ""


def _table(*, is_wide: bool) -> Table:
    if is_wide:
        return printing.grid(
            ("Goal", "fold"),
            ("Measure", "fold"),
            ("Now", "right"),
            ("Done", "right"),
            ("Status", "fold"),
            ("Owner", "left"),
            ("Id", "left"),
        )
    return printing.grid(
        ("Goal", "fold"),
        ("Measure", "fold", 16),
        ("Now", "right"),
        ("Done", "right"),
        ("Status", "fold", 10),
    )


def _cycle_words(cycle: CycleCard) -> str:
    parts = [cycle.name, f"{cycle.start_on} to {cycle.end_on}", cycle.state]
    if cycle.aspirational_score is not None:
        parts.append(f"score {wording.number(cycle.aspirational_score)}")
    if cycle.committed_met is not None:
        parts.append(f"committed met {wording.percent(cycle.committed_met)}")
    elif cycle.expected_pace is not None and cycle.state == "active":
        parts.append(f"{wording.percent(cycle.expected_pace)} elapsed")
    return " · ".join(parts)


def _in_tree_order(units: dict[str, UnitCard]) -> Iterator[str]:
    below: dict[str | None, list[str]] = defaultdict(list)
    for unit_id, unit in units.items():
        below[unit.parent_id if unit.parent_id in units else None].append(unit_id)
    waiting = sorted(below[None], reverse=True)
    while waiting:
        unit_id = waiting.pop()
        yield unit_id
        waiting += sorted(below[unit_id], reverse=True)


def _nested(
    objectives: list[ObjectiveCard], results: dict[str, list[KeyResultCard]]
) -> Iterator[tuple[ObjectiveCard, int]]:
    """Each objective below the one of this group that it is aligned to, with its depth."""
    here = {objective.objective_id: objective for objective in objectives}
    holder = {
        f"key_result/{result.key_result_id}": objective_id
        for objective_id in here
        for result in results.get(objective_id, ())
    } | {f"objective/{objective_id}": objective_id for objective_id in here}
    below: dict[str | None, list[ObjectiveCard]] = defaultdict(list)
    for objective in objectives:
        parents = (holder.get(reference) for reference in objective.aligned_to)
        below[next((parent for parent in parents if parent), None)].append(objective)
    waiting = [(objective, 0) for objective in reversed(below[None])]
    while waiting:
        objective, depth = waiting.pop()
        yield objective, min(depth, DEPTH_MAX)
        waiting += [(child, depth + 1) for child in reversed(below[objective.objective_id])]


def _add_objective(table: Table, objective: ObjectiveCard, depth: int, *, is_wide: bool) -> None:
    ended = objective.state in ENDED
    title = _title(objective.title, objective.objective_id, objective.owner, is_wide=is_wide)
    if objective.mid_cycle:
        title.append(MID_CYCLE, "dim")
    if ended:
        title.stylize("dim")
    _add(
        table,
        printing.indented(title, depth),
        Text(objective.objective_kind, "dim"),
        "",
        wording.percent(objective.progress),
        Text("dropped", "dim") if objective.state == "dropped" else _objective_status(objective),
        objective.owner,
        objective.objective_id,
        is_wide=is_wide,
    )
    _add_advice(table, objective.advice, depth)


def _objective_status(objective: ObjectiveCard) -> Text:
    if objective.state == "carried" and objective.carried_to:
        return Text(f"carried to {objective.carried_to}", "dim")
    if objective.outcome is not None:
        score = "" if objective.score is None else f" {wording.number(objective.score)}"
        text = Text(f"{objective.outcome}{score}", HEALTH_STYLES.get(objective.outcome, ""))
        return text.append(_from(objective.score_origin), "dim")
    if objective.state != "published":
        return Text(objective.state)
    return Text(wording.spaced(objective.health), HEALTH_STYLES.get(objective.health, ""))


def _add_key_result(table: Table, result: KeyResultCard, depth: int, *, is_wide: bool) -> None:
    title = _title(result.title, result.key_result_id, result.owner, is_wide=is_wide)
    if result.mid_cycle:
        title.append(MID_CYCLE, "dim")
    if result.dropped:
        title.stylize("dim")
    _add(
        table,
        printing.indented(title, depth),
        Text(wording.measure_with_original(result.measure, result.original_measure)),
        _with_origin(wording.value(result.measure, result.value), result.value_origin),
        wording.percent(result.progress),
        _key_result_status(result),
        result.owner,
        result.key_result_id,
        is_wide=is_wide,
    )
    _add_advice(table, result.advice, depth)


def _key_result_status(result: KeyResultCard) -> Text:
    """`on track 7/10 late`: how it is, how sure people are, and whether a check-in is to come."""
    state = _state(result)
    if state is not None:
        return Text(state, "dim").append(_from(result.score_origin))
    parts = [wording.spaced(result.health)]
    if result.confidence is not None:
        parts.append(f"{result.confidence}/10")
    text = Text(" ".join(parts), HEALTH_STYLES.get(result.health, ""))
    reminder = REMINDERS.get(result.check_in_timing)
    return text if reminder is None else text.append(f" {reminder}", "bold")


def _state(result: KeyResultCard) -> str | None:
    if result.dropped:
        return "dropped"
    if result.waived:
        return "waived"
    if result.score is not None:
        return f"scored {wording.number(result.score)}"
    return None


def _kpis(goals: Goals, *, is_wide: bool) -> Table:
    table = printing.grid(
        ("Indicator", "fold"),
        ("Target", "right"),
        ("Value", "right"),
        ("Unit", "fold"),
        ("Period", "left"),
        ("Health", "fold", 9),
        *((("Owner", "left"), ("Id", "left")) if is_wide else ()),
    )
    units = {card.unit_id: card for card in goals.units}
    groups: dict[str, list[KpiCard]] = defaultdict(list)
    for kpi in goals.kpis:
        groups[kpi.unit_id].append(kpi)
    order = {unit_id: at for at, unit_id in enumerate(_in_tree_order(units))}
    for unit_id in sorted(groups, key=lambda unit_id: (order.get(unit_id, len(units)), unit_id)):
        unit = units.get(unit_id)
        table.add_row(Text(unit.name if unit else unit_id, "bold"))
        for kpi in groups[unit_id]:
            title = _title(kpi.definition.name, kpi.kpi_id, kpi.owner, is_wide=is_wide)
            if kpi.retired:
                title.append(" retired", "dim")
            reading = kpi.reading
            _add(
                table,
                printing.indented(title, 1),
                wording.number(kpi.definition.target),
                _with_origin(
                    wording.number(reading.value if reading else None),
                    reading.origin if reading else None,
                ),
                kpi.definition.unit,
                wording.period(reading.period) if reading else wording.NOTHING,
                _kpi_health(kpi),
                kpi.owner,
                kpi.kpi_id,
                is_wide=is_wide,
            )
            for each in _open_reviews(kpi):
                table.add_row(printing.indented(Text(review(each), "red"), 2))
    return table


def review(of: ReviewCard) -> str:
    """`review r-7 by ada, due 2025-08-28, overdue`, or how it ended."""
    words = f"review {of.review_id} by {of.owner}"
    if of.closed_at is None:
        return f"{words}, due {of.due_on}" + (", overdue" if of.overdue else "")
    decision = wording.spaced(of.decision or "closed")
    aim = f" {of.objective_id}" if of.objective_id else ""
    return f"{words}: {decision}{aim}, {wording.day(of.closed_at)}"


def kpi_health(of: KpiHealth) -> Text:
    return Text(wording.spaced(of), KPI_STYLES[of])


def _kpi_health(kpi: KpiCard) -> Text:
    """Without bands nothing is judged."""
    if kpi.definition.bands is None and kpi.health == "no_data":
        return Text("")
    return kpi_health(kpi.health)


def _open_reviews(kpi: KpiCard) -> list[ReviewCard]:
    return [each for each in kpi.reviews if each.closed_at is None]


def _with_origin(value: str, origin: Origin | None) -> Text:
    return Text(value).append(_from(origin).replace(" (", "\n("), "dim")


def _from(origin: Origin | None) -> str:
    """` (corrected)`, or nothing where that is what everybody expects."""
    return f" ({wording.spaced(origin)})" if origin in TOLD_ORIGINS else ""


def _advice(of: Warned) -> str:
    return f"{of.rule}: {of.message}"


def _add_advice(table: Table, advice: tuple[Warned, ...], depth: int) -> None:
    for each in advice:
        table.add_row(printing.indented(Text(f"({_advice(each)})", "italic dim"), depth + 1))


def _comment(of: CommentCard) -> Text:
    return Text(f"{wording.instant(of.at)}  {of.actor}: ", "dim").append(of.text, "not dim")


def _title(words: str, card_id: str, owner: str, *, is_wide: bool) -> Text:
    title = Text(words)
    if not is_wide:
        title.append(f"\n{card_id} · {owner}", "dim")
    return title


def _add(table: Table, *cells: RenderableType, is_wide: bool) -> None:
    table.add_row(*(cells if is_wide else cells[: len(table.columns)]))
