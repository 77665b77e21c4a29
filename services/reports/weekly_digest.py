"""What a week brought, as a document: late changes first, then what needs somebody."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from goal_contracts.queries import (
    Digest,
    KeyResultMoved,
    KpiMoved,
    ObjectiveMoved,
    ReadingCard,
    WeekChange,
    WeekCheckIn,
)

from services.reports import told, wording
from services.reports.document import (
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Heading,
    Item,
    Items,
    Mark,
    Note,
    Section,
    Table,
)

CHANGES_MAX: Final = 40
"""More than so many are counted, not told one by one."""
SHORT_MAX: Final = 80
OBJECTIVE_COLUMNS: Final = (
    Column("Goal"),
    Column("Done", is_number=True),
    Column("Moved, points", is_number=True),
    Column("Pace", is_number=True),
    Column("Health"),
)
KPI_COLUMNS: Final = (
    Column("Indicator"),
    Column("Latest", is_number=True),
    Column("Target", is_number=True),
    Column("Health"),
    Column("Read this week"),
)


def document(of: Digest) -> Document:
    """The whole digest; `of` is all pages of the answer as one."""
    said = [(each.cycle, each.retrospective) for each in of.said]
    whose = of.organisation if of.unit is None else f"{of.organisation} · {of.unit.name}"
    return Document(
        kicker=f"{whose} · Weekly digest",
        title=f"Week {of.week[6:]} of {of.week[:4]}",
        subtitle=f"{wording.span(of.start_on, of.end_on)}. {_running(of)}",
        day=wording.local_day(of.reflects.as_of, of.zone),
        figures=tuple(_figures(of)),
        sections=(
            told.late(of.late, of.zone),
            Section("overdue", "Check-ins that are missing", (_overdue(of),)),
            Section("progress", "Progress", tuple(_progress(of))),
            Section("check-ins", "Check-ins", (_check_ins(of),)),
            Section("indicators", "Indicators", (_indicators(of.kpis),)),
            told.open_reviews(each.kpi for each in of.kpis),
            Section("changes", "What else changed", tuple(_changes(of))),
            Section(
                "learned",
                "Looked back on",
                tuple(told.lessons(said, "Nobody wrote a retrospective this week.")),
            ),
            Section(
                "celebrations",
                "To celebrate",
                (told.celebrations(said, "Nobody named anything to celebrate this week."),),
            ),
        ),
        foot=told.foot(of.reflects, of.zone),
    )


def _running(of: Digest) -> str:
    if not of.cycles:
        return "No cycle ran."
    return " ".join(
        f"{cycle.name}: {wording.percent(cycle.expected_pace)} elapsed."
        if cycle.state == "active"
        else f"{cycle.name}: {cycle.state}."
        for cycle in of.cycles
    )


def _figures(of: Digest) -> Iterator[Figure]:
    healths = Counter(each.objective.health for each in of.objectives)
    yield Figure(
        "Objectives on track",
        f"{healths['on_track'] + healths['achieved']} of {len(of.objectives)}",
        ", ".join(
            f"{count} {wording.spaced(health)}"
            for health, count in healths.most_common()
            if health not in {"on_track", "achieved"}
        ),
    )
    moved = Counter(
        "forward" if each.objective.progress > each.progress_was else "back"
        for each in of.objectives
        if each.objective.progress is not None
        and each.progress_was is not None
        and each.objective.progress != each.progress_was
    )
    yield Figure("Moved", str(moved.total()), f"{moved['forward']} forward, {moved['back']} back")
    made = Counter(each.event for each in of.check_ins)
    replaced = made["corrected"] + made["retracted"]
    yield Figure(
        "Check-ins",
        str(made["recorded"]),
        f"{len(list(_outstanding(of)))} missing"
        + (f", {replaced} corrected or retracted" if replaced else ""),
    )
    breaches = [each for each in of.kpis if each.kpi.health == "breach"]
    new = sum(each.health_was != "breach" for each in breaches)
    yield Figure("Indicators in breach", str(len(breaches)), f"{new} since this week")
    yield Figure(
        "Late changes",
        str(len(of.late)),
        ", ".join(f"{n} {change}" for change, n in Counter(e.change for e in of.late).items()),
    )


def _outstanding(of: Digest) -> Iterator[tuple[ObjectiveMoved, KeyResultMoved]]:
    for objective in of.objectives:
        if objective.objective.state == "published":
            for each in objective.key_results:
                if each.key_result.check_in_timing in told.OUTSTANDING:
                    yield objective, each


def _overdue(of: Digest) -> Block:
    rows = tuple(
        (
            Cell(each.key_result.title, note=objective.objective.title),
            Cell(each.key_result.owner),
            Cell(
                "never"
                if each.key_result.value_at is None
                else wording.long_day(wording.local_day(each.key_result.value_at, of.zone))
            ),
            Cell(mark=_timing(each)),
        )
        for objective, each in _outstanding(of)
    )
    if not rows:
        return Note("No check-in is late or overdue.")
    return Table(
        (Column("Key result"), Column("Owner"), Column("Last value"), Column("Check-in")), rows
    )


def _timing(of: KeyResultMoved) -> Mark:
    timing = of.key_result.check_in_timing
    return Mark(timing, "bad" if timing == "overdue" else "warning")


def _progress(of: Digest) -> Iterator[Block]:
    """A table for each cycle: objectives, and below them the key results that moved."""
    by_cycle: dict[str, list[ObjectiveMoved]] = defaultdict(list)
    for each in of.objectives:
        by_cycle[each.objective.cycle_id].append(each)
    units = {unit.unit_id: unit.name for unit in of.units}
    for cycle in of.cycles:
        objectives = by_cycle[cycle.cycle_id]
        if objectives:
            yield Heading(cycle.name)
            yield Table(
                OBJECTIVE_COLUMNS,
                tuple(row for each in objectives for row in _moved(each, units)),
            )
    if not of.objectives:
        yield Note("No objective is pursued in the cycles of this week.")


def _moved(of: ObjectiveMoved, units: dict[str, str]) -> Iterator[tuple[Cell, ...]]:
    card = of.objective
    facts = " · ".join(filter(None, (units.get(card.unit_id, ""), card.owner)))
    yield (
        Cell(card.title, note=facts),
        Cell(wording.percent(card.progress)),
        Cell(wording.points(card.progress, of.progress_was)),
        Cell(wording.percent(card.expected_pace)),
        Cell(mark=told.objective_health(card), note=_was(card.health, of.health_was)),
    )
    for each in of.key_results:
        result = each.key_result
        if result.progress != each.progress_was or result.health != each.health_was:
            yield (
                Cell(result.title, is_below=True),
                Cell(wording.percent(result.progress)),
                Cell(wording.points(result.progress, each.progress_was)),
                Cell(),
                Cell(mark=told.health(result.health), note=_was(result.health, each.health_was)),
            )


def _was(now: str, was: str | None) -> str:
    if was is None:
        return "new"
    return "" if was == now else f"was {wording.spaced(was)}"


def _check_ins(of: Digest) -> Block:
    items = tuple(_check_in(each, of.zone) for each in of.check_ins)
    return Items(items) if items else Note("Nobody checked in.")


def _check_in(of: WeekCheckIn, zone: str) -> Item:
    told_of = [wording.value(of.measure, of.value)] if of.value is not None else []
    if of.confidence is not None:
        told_of.append(f"confidence {of.confidence} of 10")
    if of.event != "recorded":
        told_of.append(of.event)
    told_of.append(f"{of.actor}, {wording.long_day(wording.local_day(of.at, zone))}")
    return Item(
        title=of.title,
        text=" · ".join(told_of),
        quote=of.note,
        mark=None if of.status is None else told.health(of.status),
    )


def _indicators(kpis: Sequence[KpiMoved]) -> Block:
    rows = tuple(_indicator(each) for each in kpis)
    return Table(KPI_COLUMNS, rows) if rows else Note("Nothing was read, and no review is open.")


def _indicator(of: KpiMoved) -> tuple[Cell, ...]:
    kpi, definition = of.kpi, of.kpi.definition
    latest = None if kpi.reading is None else kpi.reading.value
    return (
        Cell(definition.name, note=f"{definition.unit} · {kpi.owner}"),
        Cell(wording.number(latest)),
        Cell(wording.number(definition.target)),
        Cell(mark=told.kpi_health(kpi.health), note=_was(kpi.health, of.health_was)),
        Cell("; ".join(map(_reading, of.readings)) or "nothing"),
    )


def _reading(of: ReadingCard) -> str:
    period = wording.period(of.period)
    match of.event:
        case "recorded":
            return f"{period}: {wording.number(of.value)}"
        case "corrected":
            why = f" ({of.reason})" if of.reason else ""
            was, now = wording.number(of.value_was), wording.number(of.value)
            return f"{period}: corrected from {was} to {now}{why}"
        case "retracted":
            return f"{period}: {wording.number(of.value_was)} retracted"
        case "missed":
            return f"{period}: missed"


def _changes(of: Digest) -> Iterator[Block]:
    if not of.changes:
        yield Note("Nothing else changed.")
        return
    yield Items(tuple(_change(each, of.zone) for each in of.changes[:CHANGES_MAX]))
    rest = Counter(wording.spaced(each.event) for each in of.changes[CHANGES_MAX:])
    if rest:
        yield Note(
            "And more: "
            + ", ".join(f"{event} ({n} times)" for event, n in rest.most_common())
            + "."
        )


def _change(of: WeekChange, zone: str) -> Item:
    fields = "; ".join(filter(None, (_field(each.field, each.was, each.now) for each in of.fields)))
    when = wording.long_day(wording.local_day(of.at, zone))
    return Item(
        title=of.title,
        text=" · ".join(filter(None, (fields, f"{of.actor}, {when}"))),
        quote=of.reason or "",
        mark=Mark(wording.spaced(of.event)),
    )


def _field(field: str, was: msgspec.Raw, now: msgspec.Raw) -> str:
    """`owner ada → ben`; of what is no plain value only that it is another one."""
    old, new = msgspec.json.decode(was), msgspec.json.decode(now)
    if _is_short(old) and _is_short(new):
        return f"{wording.spaced(field)} {_plain(old)} {wording.ARROW} {_plain(new)}"
    return f"{wording.spaced(field)} changed"


def _is_short(value: object) -> bool:
    return value is None or (isinstance(value, str | int | float) and len(str(value)) <= SHORT_MAX)


def _plain(value: object) -> str:
    return wording.NOTHING if value in {None, ""} else str(value)
