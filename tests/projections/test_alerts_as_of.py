"""Whatever happened: the alerts of a moment are what folding the log up to it says."""

import tempfile
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from goal_contracts import events
from goal_contracts.codec import Recorded
from goal_contracts.measures import Count
from goal_contracts.policy import Policy
from goal_contracts.queries import Alerts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.projections.views.days import end_of_day
from tests.projections import company
from tests.projections.log import Asker, Log, fill, view_store
from tests.projections.test_alerts import JUDGED

BERLIN: Final = ZoneInfo(company.OPENED.zone)
FIRST, LAST = date(2025, 7, 1), date(2025, 9, 30)
STATUSES: Final = (None, "on_track", "at_risk", "off_track")


class Story:
    """Adds events that may happen, one after another, as the numbers drawn say."""

    def __init__(self) -> None:
        self.log = Log()
        for event in (
            company.OPENED,
            company.COMPANY,
            company.PLATFORM,
            company.Q3,
            events.CycleActivated("q3", policy=Policy()),
            company.UPTIME,
            events.ObjectivePublished("uptime"),
            replace(company.KPI, definition=JUDGED),
        ):
            self.log.add(event)
        self._key_results: list[str] = []
        self._check_ins: list[tuple[str, str, datetime]] = []
        self._readings: dict[str, Decimal] = {}
        self._reviews: list[str] = []

    def go_on(self, what: int, which: int, number: int, hours: int) -> None:
        event = self._next(what, which, number)
        if event is not None:
            self.log.add(event, known_at=self.log[-1].known_at + timedelta(hours=hours))

    def _next(self, what: int, which: int, number: int) -> events.Event | None:
        now = self.log[-1].known_at
        match what:
            case 0:
                self._key_results.append(f"kr-{len(self.log)}")
                return replace(
                    company.KR,
                    key_result_id=self._key_results[-1],
                    measure=Count(unit="x", of=10 + number),
                )
            case 1 | 2 | 3 | 4 if self._key_results:
                name = self._key_results[which % len(self._key_results)]
                check_in = name, f"c-{len(self.log)}", now - timedelta(hours=number * 9)
                self._check_ins.append(check_in)
                return events.CheckedIn(*check_in, **_said(which, number))
            case 5 if self._check_ins:
                name, check_in_id, effective_at = self._check_ins[which % len(self._check_ins)]
                said = _said(which + 1, number)
                return events.CheckInCorrected(name, check_in_id, effective_at, "wrong", **said)
            case 6 if self._check_ins:
                taken = self._check_ins.pop(which % len(self._check_ins))
                return events.CheckInRetracted(*taken, reason="not so")
            case 7 if self._key_results:
                name = self._key_results.pop(which % len(self._key_results))
                self._check_ins = [each for each in self._check_ins if each[0] != name]
                return events.KeyResultDropped(name)
            case 8:
                period, effective_at = _period(now, number)
                if period in self._readings:
                    return None
                self._readings[period] = Decimal(90 + 2 * which)
                return events.KpiReadingRecorded(
                    "kpi", period, effective_at, self._readings[period], "probe", 1
                )
            case 9 if len(self._reviews) <= which:
                self._reviews.append(f"r-{len(self.log)}")
                due_on = now.date() + timedelta(days=number)
                return events.KpiReviewOpened("kpi", self._reviews[-1], "eve", due_on)
            case 10 if self._reviews:
                review_id = self._reviews.pop(which % len(self._reviews))
                return events.KpiReviewClosed("kpi", review_id, decision="fix")
            case 11:
                period, effective_at = _period(now, number)
                if period in self._readings:
                    return None
                return events.KpiReadingMissed("kpi", period, effective_at, "probe")
            case _:
                return None


def _said(which: int, number: int) -> dict[str, Any]:
    return {
        "value": Decimal(number) if which % 3 else None,
        "confidence": number if which % 2 else None,
        "status": STATUSES[which % 4],
    }


def _period(now: datetime, number: int) -> tuple[str, datetime]:
    day = (now - timedelta(days=number)).date()
    return f"{day}/{day}", end_of_day(day, company.OPENED.zone)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    story = Story()
    what = st.sampled_from([0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 9, 10, 11])
    steps = st.tuples(what, st.integers(0, 9), st.integers(0, 9), st.integers(-3, 70))
    for step in [(0, 0, 0, 1), *draw(st.lists(steps, min_size=15, max_size=40))]:
        story.go_on(*step)
    return story.log


# ------------------------------------------------------------------ the judge: a plain fold

Told = set[tuple[str, str, str]]


def judged(log: Log, as_of: datetime, known_at: datetime) -> Told:
    """Kind, severity and goal of each alert, by another way: plain dicts, day by day."""
    known = _until(log, known_at)
    structure = _until(known, as_of)
    facts = [each for each in known if each.effective_at <= as_of]
    told: Told = set()
    if not any(isinstance(each.event, events.ObjectivePublished) for each in structure):
        return told | _of_kpi(known, structure, facts, as_of)
    dropped = {
        each.goal_id for each in structure if isinstance(each.event, events.KeyResultDropped)
    }
    for recorded in structure:
        added = recorded.event
        if isinstance(added, events.KeyResultAdded) and added.key_result_id not in dropped:
            told |= _of_key_result(added, recorded.known_at, facts, as_of)
    return told | _of_kpi(known, structure, facts, as_of)


def _of_key_result(
    added: events.KeyResultAdded, begun: datetime, facts: Sequence[Recorded], as_of: datetime
) -> Told:
    goal = f"key_result/{added.key_result_id}"
    begun_on, today = begun.astimezone(BERLIN).date(), as_of.astimezone(BERLIN).date()
    stands: dict[str, tuple[datetime, int, Any]] = {}
    for each in facts:
        match each.event:
            case events.CheckedIn() as said if said.key_result_id == added.key_result_id:
                stands[said.check_in_id] = said.effective_at, each.position, said
            case events.CheckInCorrected() as said if said.check_in_id in stands:
                at, position, _ = stands[said.check_in_id]
                stands[said.check_in_id] = at, position, said
            case events.CheckInRetracted() as said:
                stands.pop(said.check_in_id, None)
    in_turn = sorted(stands.values(), key=lambda each: each[:2])
    said_on = {at.astimezone(BERLIN).date() for at, _, _ in in_turn}
    told: Told = set()

    first = FIRST
    while first <= LAST:
        last = min(first + timedelta(days=6), LAST)
        if begun_on <= last < today and not any(first <= day <= LAST for day in said_on):
            is_late = today <= last + timedelta(days=3)
            kind, severity = ("late", "notice") if is_late else ("overdue", "warning")
            told.add((f"check_in_{kind}", severity, goal))
            break
        first = last + timedelta(days=1)

    values = [said.value for _, _, said in in_turn if said.value is not None]
    assert isinstance(added.measure, Count)
    share = min(Decimal(values[-1] if values else 0) / added.measure.of, Decimal(1))
    start, end = (end_of_day(day, "Europe/Berlin") for day in (date(2025, 6, 30), LAST))
    pace = Decimal((as_of - start) / (end - start))
    first_due = next(
        FIRST + timedelta(days=7 * week + 6)
        for week in range(14)
        if FIRST + timedelta(days=7 * week + 6) >= begun_on
    )
    if today > min(first_due, LAST) + timedelta(days=3) and as_of <= end:
        if share < Decimal("0.4") * pace:
            told.add(("behind_pace", "critical", goal))
        elif share < Decimal("0.7") * pace:
            told.add(("behind_pace", "warning", goal))

    sure = [said.confidence for _, _, said in in_turn if said.confidence is not None]
    if sure and sure[-1] < 4:
        told.add(("low_confidence", "warning", goal))
    status = next((said.status for _, _, said in reversed(in_turn) if said.status), None)
    if status in {"at_risk", "off_track"}:
        told.add((status, "critical" if status == "off_track" else "warning", goal))
    return told


def _of_kpi(
    known: Sequence[Recorded],
    structure: Sequence[Recorded],
    facts: Sequence[Recorded],
    as_of: datetime,
) -> Told:
    if not any(isinstance(each.event, events.KpiDefined) for each in known):
        return set()
    told: Told = set()
    today = as_of.astimezone(BERLIN).date()
    open_reviews: dict[str, date] = {}
    for each in structure:
        match each.event:
            case events.KpiReviewOpened(review_id=review_id, due_on=due_on):
                open_reviews[review_id] = due_on
            case events.KpiReviewClosed(review_id=review_id):
                open_reviews.pop(review_id)
    for due_on in open_reviews.values():
        is_overdue = today > due_on
        told.add(
            ("review_overdue", "critical", "kpi/kpi")
            if is_overdue
            else ("review_open", "notice", "kpi/kpi")
        )
    values: dict[str, tuple[datetime, Decimal]] = {}
    missed: dict[str, datetime] = {}
    for each in facts:
        match each.event:
            case events.KpiReadingRecorded() as read:
                values[read.period] = read.effective_at, read.value
            case events.KpiReadingMissed(period=period, effective_at=at):
                missed[period] = at
    still_missed = [at for period, at in missed.items() if period not in values]
    if still_missed:
        told.add(("reading_missed", "warning", "kpi/kpi"))
    if values:
        at, value = max(values.values())
        if value < 95 and not any(each > at for each in still_missed):
            told.add(("kpi_in_breach", "critical", "kpi/kpi"))
    return told


def _until(log: Sequence[Recorded], moment: datetime) -> list[Recorded]:
    seen = []
    for recorded in log:
        if recorded.known_at > moment:
            break
        seen.append(recorded)
    return seen


LATER: Final = st.one_of(st.just(-1), st.integers(8, 45))
"""A place in the log, and often its end."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    log=logs(),
    moments=st.lists(st.tuples(LATER, LATER, st.integers(-30, 300)), min_size=2, max_size=6),
    limit=st.integers(1, 20),
)
def test_alerts_as_of_are_the_fold_of_what_was_known_and_effective(
    log: Log, moments: list[tuple[int, int, int]], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = view_store(Path(place))
        fill(store, log)
        ask = Asker(store)
        for one, other, hours in moments:
            as_of = log[one % len(log)].known_at + timedelta(hours=hours)
            known_at = max(log[other % len(log)].known_at, log[5].known_at)
            pages = ask.pages(
                Alerts(as_of=as_of.isoformat(), known_at=known_at.isoformat(), limit=limit)
            )
            found = [each for page in pages for each in page.alerts]
            told = {(each.kind, each.severity, each.goal) for each in found}
            assert told == judged(log, as_of, known_at)
            assert len({each.alert_id for each in found}) == len(found)
            assert all(each.since <= as_of for each in found)
        store.close()
