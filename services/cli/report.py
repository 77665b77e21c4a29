"""`report --cycle ID`: what a cycle came to, as Markdown for people or as JSON for programs."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import click
import msgspec
from goal_contracts.queries import (
    CycleReport,
    KeyResultCard,
    KpiCard,
    LateChange,
    ObjectiveCard,
    Report,
    ReportedObjective,
    RetrospectiveCard,
)

from services.cli import goal_tree, options, printing, wording
from services.cli.client import Client
from services.cli.options import System

PAGE: Final = 300
SAID: Final = (
    ("went_well", "What went well"),
    ("did_not_go_well", "What did not"),
    ("learned", "What we learned"),
)


@click.command(
    "report",
    epilog="""\b
Example: goal-ledger report --cycle 2025-Q3 > 2025-Q3.md
Example: goal-ledger report --cycle 2025-Q3 --as-of 2025-08-31""",
    short_help="What a cycle came to.",
)
@click.option(
    "--cycle", type=options.ID_TYPE, metavar="ID", required=True, help="The cycle to report on."
)
@click.option(
    "--as-of",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="As it stood on this date. Without it: at its closing, or now if it is not closed.",
)
@click.option(
    "--known-at",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="By what was known on this date.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["md", "json"]),
    default="md",
    show_default=True,
    help="How to print.",
)
@options.connected
def report(
    system: System,
    output_format: Literal["md", "json"],
    cycle: str,
    as_of: str | None,
    known_at: str | None,
) -> None:
    """Tell what a cycle came to: late changes first, then scores and outcomes, then lessons.

    A closed cycle is told as it stood when it was closed, so its report stays the same, whatever
    changes later.
    """
    query = CycleReport(cycle=cycle, as_of=as_of, known_at=known_at, limit=PAGE)

    async def ask(client: Client) -> Report:
        return await _whole_report(system, client, query)

    answer = system.run(ask)
    if output_format == "json":
        printing.as_json(answer)
    else:
        click.echo("\n".join(markdown(answer)))


async def _whole_report(system: System, client: Client, query: CycleReport) -> Report:
    """All pages of the answer as one."""
    page = await system.ask(client, query, Report)
    whole = page
    while page.cursor is not None:
        query = msgspec.structs.replace(query, cursor=page.cursor)
        page = await system.ask(client, query, Report)
        whole = msgspec.structs.replace(
            whole,
            late=whole.late + page.late,
            units=whole.units + page.units,
            objectives=whole.objectives + page.objectives,
            kpis=whole.kpis + page.kpis,
        )
    return msgspec.structs.replace(whole, cursor=None)


def markdown(of: Report) -> Iterator[str]:
    """The whole report, line by line."""
    yield from _head(of)
    yield from _late(of.late)
    yield from _goals(of)
    yield from _retrospectives(of.cycle.retrospectives)
    yield from _celebrations(of.cycle.retrospectives)
    yield from _reviews(of.kpis)


def _head(of: Report) -> Iterator[str]:
    cycle = of.cycle
    yield f"# {_plain(cycle.name)}"
    yield ""
    yield f"{cycle.start_on} to {cycle.end_on}, {cycle.state}."
    yield ""
    judged = [each.objective for each in of.objectives]
    outcomes: dict[str, int] = defaultdict(int)
    for objective in judged:
        outcomes[objective.outcome or _ended(objective) or "not judged"] += 1
    if cycle.aspirational_score is not None:
        yield f"- Aspirational objectives: {wording.number(cycle.aspirational_score)} on average"
    if cycle.committed_met is not None:
        yield f"- Committed objectives met: {wording.percent(cycle.committed_met)}"
    if outcomes:
        counted = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        yield f"- {len(judged)} objectives: {counted}"
    for closing in cycle.closings:
        score = wording.number(closing.aspirational_score)
        yield (
            f"- Closed on {wording.day(closing.at)} by {closing.actor}: {score} on average, "
            f"{wording.percent(closing.committed_met)} of the committed ones met"
        )
    yield f"- As of position @{of.reflects.position}, {wording.instant(of.reflects.as_of)}"


def _late(late: Sequence[LateChange]) -> Iterator[str]:
    yield from _heading("Changed while the cycle ran")
    if not late:
        yield "Nothing was added, lowered or dropped."
        return
    for each in late:
        what = ""
        if each.measure_was is not None and each.measure is not None:
            was, now = wording.measure(each.measure_was), wording.measure(each.measure)
            what = f": {was}, now {now}"
        why = f" “{_plain(each.reason)}”" if each.reason else ""
        title = f"**{_plain(each.title)}** ({each.goal})"
        yield f"- {wording.day(each.at)}, {each.actor}: {each.change} {title}{what}.{why}"


def _goals(of: Report) -> Iterator[str]:
    """The objectives of each unit, a unit below the one above it."""
    by_unit: dict[str, list[ReportedObjective]] = defaultdict(list)
    for each in of.objectives:
        by_unit[each.objective.unit_id].append(each)
    for unit in of.units:
        if unit.unit_id not in by_unit:
            continue
        yield from _heading(unit.name)
        for place, each in enumerate(by_unit[unit.unit_id]):
            if place:
                yield ""
            yield from _objective(each)


def _objective(of: ReportedObjective) -> Iterator[str]:
    card = of.objective
    yield f"### {_plain(card.title)}"
    yield ""
    told = [card.objective_kind, f"owner {card.owner}"]
    told.append(_judgement(card) or wording.spaced(card.health))
    if card.mid_cycle:
        told.append("added mid-cycle")
    if card.carried_from:
        told.append(f"carried from {card.carried_from}")
    yield f"{', '.join(told)}."
    if card.score_reason:
        yield ""
        yield f"> {_plain(card.score_reason)}"
    if of.key_results:
        yield ""
        yield "| key result | measure | reached | done | score |"
        yield "| --- | --- | --- | --- | --- |"
        yield from map(_key_result, of.key_results)


def _judgement(card: ObjectiveCard) -> str:
    ended = _ended(card)
    if ended:
        return f"{ended} to {card.carried_to}" if card.carried_to else ended
    if card.outcome is None:
        return ""
    score = "" if card.score is None else f", score {_score(card)}"
    return f"**{card.outcome}**{score}"


def _ended(card: ObjectiveCard) -> str:
    return card.state if card.state in goal_tree.ENDED else ""


def _key_result(card: KeyResultCard) -> str:
    title = card.title + (goal_tree.MID_CYCLE if card.mid_cycle else "")
    measure = wording.measure_with_original(card.measure, card.original_measure)
    reached = wording.value(card.measure, card.value)
    if card.value_origin is not None and card.value_origin in goal_tree.TOLD_ORIGINS:
        reached += f" ({wording.spaced(card.value_origin)})"
    score = "dropped" if card.dropped else "waived" if card.waived else _score(card)
    if card.score_reason:
        score += f": {card.score_reason}"
    cells = (title, measure, reached, wording.percent(card.progress), score)
    return f"| {' | '.join(map(_plain, cells))} |"


def _score(card: ObjectiveCard | KeyResultCard) -> str:
    """`0.7`, or `0.7, computed 0.68` where somebody knew better."""
    if card.score is None:
        return wording.NOTHING
    score = wording.number(card.score)
    if card.score_computed in {None, card.score}:
        return score
    return f"{score}, computed {wording.number(card.score_computed)}"


def _retrospectives(of: Sequence[RetrospectiveCard]) -> Iterator[str]:
    if not any(getattr(each, field) for each in of for field, _ in SAID):
        return
    yield from _heading("Looking back")
    for field, heading in SAID:
        said = [(each.actor, getattr(each, field)) for each in of if getattr(each, field)]
        if said:
            yield f"**{heading}**"
            yield ""
            for actor, text in said:
                yield f"- {_plain(text)} ({actor})"
            yield ""


def _celebrations(of: Sequence[RetrospectiveCard]) -> Iterator[str]:
    celebrated = [each for each in of if each.celebrate]
    if celebrated:
        yield from _heading("To celebrate")
        for each in celebrated:
            yield f"- {_plain(each.celebrate)} ({each.actor})"


def _reviews(kpis: Sequence[KpiCard]) -> Iterator[str]:
    if not kpis:
        return
    yield from _heading("Indicators under review")
    for kpi in kpis:
        for each in kpi.reviews:
            if each.closed_at is None:
                why = f" “{_plain(each.reason)}”" if each.reason else ""
                name = f"**{_plain(kpi.definition.name)}** ({wording.spaced(kpi.health)})"
                yield f"- {name}: {goal_tree.review(each)}.{why}"


def _heading(text: str) -> Iterator[str]:
    yield ""
    yield f"## {_plain(text)}"
    yield ""


def _plain(text: str) -> str:
    """On one line, and nothing of it taken for Markdown."""
    flat = " ".join(text.split())
    return "".join(f"\\{each}" if each in "\\`*_[]<>|#" else each for each in flat)
