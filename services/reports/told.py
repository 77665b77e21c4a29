"""What both reports tell in the same way: health, late changes, indicators, reviews, lessons."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from goal_contracts.fields import CheckInTiming, GoalHealth, KpiHealth, Origin
from goal_contracts.queries import (
    KeyResultCard,
    KpiCard,
    LateChange,
    LateKind,
    ObjectiveCard,
    Reflects,
    RetrospectiveCard,
    ReviewCard,
)

from services.reports import wording
from services.reports.document import Block, Heading, Item, Items, Mark, Note, Section, Tone

TONES: Final[dict[GoalHealth, Tone]] = {
    "achieved": "good",
    "on_track": "good",
    "partial": "warning",
    "at_risk": "warning",
    "missed": "bad",
    "off_track": "bad",
    "outdated": "bad",
    "dropped": "neutral",
    "carried": "neutral",
    "pending": "neutral",
}
KPI_TONES: Final[dict[KpiHealth, Tone]] = {
    "healthy": "good",
    "warning": "warning",
    "breach": "bad",
    "no_data": "neutral",
}
TOLD_ORIGINS: Final[frozenset[Origin]] = frozenset(
    {"computed", "rolled_up", "adjusted", "corrected"}
)
"""Where a number comes from, said where it is not simply what somebody entered or imported."""
OUTSTANDING: Final[frozenset[CheckInTiming]] = frozenset({"late", "overdue"})
LATE: Final[dict[LateKind, Mark]] = {
    "added": Mark("added", "neutral"),
    "lowered": Mark("lowered", "warning"),
    "dropped": Mark("dropped", "bad"),
}
LESSONS: Final = (
    ("went_well", "What went well"),
    ("did_not_go_well", "What did not"),
    ("learned", "What we learned"),
)


def health(of: GoalHealth) -> Mark:
    return Mark(wording.spaced(of), TONES[of])


def objective_health(card: ObjectiveCard) -> Mark:
    """Its outcome or health; one that ended or never began has none, whatever its key results."""
    if card.outcome is None and card.state != "published":
        return Mark(card.state)
    return health(card.health)


def kpi_health(of: KpiHealth) -> Mark:
    return Mark(wording.spaced(of), KPI_TONES[of])


def score(card: ObjectiveCard | KeyResultCard) -> str:
    """`0.70`, or `0.70, computed 0.68` where somebody knew better."""
    if card.score is None:
        return ""
    if card.score_computed is None or card.score_computed == card.score:
        return f"{card.score:.2f}"
    return f"{card.score:.2f}, computed {card.score_computed:.2f}"


def late(changes: Sequence[LateChange], zone: str) -> Section:
    """What was added, lowered or dropped while a cycle ran; it comes before everything else."""
    return Section(
        anchor="late-changes",
        heading="Changed while the cycle ran",
        blocks=(
            Items(tuple(_late(each, zone) for each in changes))
            if changes
            else Note("Nothing was added, lowered or dropped."),
        ),
    )


def _late(change: LateChange, zone: str) -> Item:
    what = ""
    if change.measure_was is not None and change.measure is not None:
        what = f"{wording.measure(change.measure_was)}, now {wording.measure(change.measure)}. "
    kind, _, goal_id = change.goal.partition("/")
    when = wording.long_day(wording.local_day(change.at, zone))
    return Item(
        title=change.title,
        text=f"{what}{wording.sentence(wording.spaced(kind))} {goal_id}, {when}, {change.actor}",
        quote=change.reason or "",
        mark=LATE[change.change],
    )


def lessons(said: Sequence[tuple[str, RetrospectiveCard]], nobody: str) -> Iterator[Block]:
    """What people look back on, each with the cycle it is about where that has to be said."""
    found = False
    for field, heading in LESSONS:
        items = [
            Item(title="", quote=text, by=_by(each.actor, cycle))
            for cycle, each in said
            if (text := getattr(each, field))
        ]
        if items:
            found = True
            yield Heading(heading)
            yield Items(tuple(items))
    if not found:
        yield Note(nobody)


def celebrations(said: Sequence[tuple[str, RetrospectiveCard]], nothing: str) -> Block:
    items = tuple(
        Item(title="", quote=each.celebrate, by=_by(each.actor, cycle))
        for cycle, each in said
        if each.celebrate
    )
    return Items(items) if items else Note(nothing)


def _by(actor: str, cycle: str) -> str:
    return f"{actor}, on {cycle}" if cycle else actor


def open_reviews(kpis: Iterable[KpiCard]) -> Section:
    """The KPIs that somebody still has to look at."""
    items = tuple(
        Item(
            title=kpi.definition.name,
            text=_review(each),
            quote=each.reason or "",
            mark=kpi_health(kpi.health),
        )
        for kpi in kpis
        for each in kpi.reviews
        if each.closed_at is None
    )
    return Section(
        anchor="reviews",
        heading="Indicators under review",
        blocks=(Items(items) if items else Note("No review is open."),),
    )


def _review(of: ReviewCard) -> str:
    overdue = ", overdue" if of.overdue else ""
    return f"Review {of.review_id} by {of.owner}, due {wording.long_day(of.due_on)}{overdue}"


def foot(of: Reflects, zone: str) -> tuple[str, ...]:
    """What the report reflects, and that it may be asked for again."""
    known = ""
    if of.known_at != of.as_of:
        known = f", of what was known by {wording.local_instant(of.known_at, zone)}"
    return (
        f"As it stood on {wording.local_instant(of.as_of, zone)}{known}.",
        f"Position @{of.position} of the ledger: asked again there, the report is the same.",
    )


def owners(card: ObjectiveCard) -> str:
    with_them = f" with {', '.join(card.contributors)}" if card.contributors else ""
    return f"owner {card.owner}{with_them}"
