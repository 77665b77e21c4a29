"""Whatever happened: what the views say of a moment is what folding the log up to it says."""

import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from goal_contracts import events
from goal_contracts.codec import Recorded
from goal_contracts.measures import Metric
from goal_contracts.queries import AsOf, Goals
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.projections.views.days import end_of_day
from tests.projections import company
from tests.projections.log import NOW, Asker, Log, fill_in_parts, view_store

BASELINE = 98


class Story:
    """Adds events that may happen, one after another, as the numbers drawn say."""

    def __init__(self) -> None:
        self.log = Log()
        for event in (company.OPENED, company.COMPANY, company.Q3, company.Q3_ACTIVE, company.KPI):
            self.log.add(event)
        self._objectives: list[str] = []
        self._key_results: dict[str, Metric] = {}
        self._check_ins: list[tuple[str, str, datetime]] = []
        self._readings: list[events.KpiReadingRecorded | events.KpiReadingCorrected] = []

    def go_on(self, what: int, which: int, number: int, hours: int) -> None:
        """One more event, known some hours after (or, as clocks do, before) the one before."""
        event = self._next(what, which, number)
        if event is not None:
            self.log.add(event, known_at=self.log[-1].known_at + timedelta(hours=hours))

    def _next(self, what: int, which: int, number: int) -> events.Event | None:
        now = self.log[-1].known_at
        match what:
            case 0:
                self._objectives.append(f"o-{len(self._objectives)}")
                unit_id = "platform" if number % 2 else "company"
                return replace(company.UPTIME, objective_id=self._objectives[-1], unit_id=unit_id)
            case 1 if self._objectives:
                name = f"kr-{len(self._key_results)}"
                self._key_results[name] = Metric("%", Decimal(BASELINE), Decimal(100 + number))
                return replace(
                    company.KR,
                    key_result_id=name,
                    objective_id=_of(self._objectives, which),
                    measure=self._key_results[name],
                    weight=Decimal(number + 1),
                )
            case 2 if self._objectives:
                return events.ObjectiveReworded(
                    _of(self._objectives, which), title_was="?", title=f"title {number}"
                )
            case 3 if self._key_results:
                name = _of(list(self._key_results), which)
                measure = Metric("%", Decimal(BASELINE), Decimal(100 + number))
                was, self._key_results[name] = self._key_results[name], measure
                return events.KeyResultRetargeted(name, measure_was=was, measure=measure)
            case 4 if self._key_results:
                return events.KeyResultDropped(_of(list(self._key_results), which))
            case 5 | 6 | 7 if self._key_results:
                name = _of(list(self._key_results), which)
                check_in = (name, f"c-{len(self.log)}", now - timedelta(hours=number * 5))
                self._check_ins.append(check_in)
                return _checked_in(check_in, number)
            case 8 if self._check_ins:
                name, check_in_id, effective_at = _of(self._check_ins, which)
                return events.CheckInCorrected(
                    name,
                    check_in_id=check_in_id,
                    effective_at=effective_at,
                    reason="wrong",
                    value=Decimal(BASELINE + number),
                )
            case 9 if self._check_ins:
                name, check_in_id, effective_at = self._check_ins.pop(which % len(self._check_ins))
                return events.CheckInRetracted(
                    name, check_in_id=check_in_id, effective_at=effective_at, reason="not so"
                )
            case 10:
                day = (now - timedelta(days=number)).date()
                period = f"{day}/{day}"
                if period in {each.period for each in self._readings}:
                    return None
                self._readings.append(
                    events.KpiReadingRecorded(
                        "kpi",
                        period=period,
                        effective_at=end_of_day(day, "UTC"),
                        value=Decimal(number),
                        source="probe",
                        definition_version=1,
                    )
                )
                return self._readings[-1]
            case 11 if self._readings:
                was = _of(self._readings, which)
                now_said = events.KpiReadingCorrected(
                    "kpi",
                    period=was.period,
                    effective_at=was.effective_at,
                    value_was=was.value,
                    value=was.value + number,
                    source="probe",
                    definition_version=1,
                    reason="revised",
                )
                self._readings[self._readings.index(was)] = now_said
                return now_said
            case _:
                return None


def _of(items: Sequence[Any], which: int) -> Any:
    return items[which % len(items)]


def _checked_in(check_in: tuple[str, str, datetime], number: int) -> events.CheckedIn:
    name, check_in_id, effective_at = check_in
    return events.CheckedIn(
        name,
        check_in_id=check_in_id,
        effective_at=effective_at,
        value=Decimal(BASELINE + number) if number else None,
        confidence=number % 11,
    )


@st.composite
def logs(draw: st.DrawFn) -> Log:
    story = Story()
    steps = st.tuples(st.integers(0, 11), st.integers(0, 9), st.integers(0, 9), st.integers(-3, 30))
    for step in draw(st.lists(steps, min_size=5, max_size=40)):
        story.go_on(*step)
    return story.log


# ------------------------------------------------------------------ the judge: a plain fold


def folded(log: Log, as_of: datetime, known_at: datetime) -> dict[str, Any]:
    """The same by another way: take what may be seen, and let it happen on plain dicts."""
    known = _until(log, known_at)
    structure = _until(known, as_of)
    facts = [recorded for recorded in known if recorded.effective_at <= as_of]
    titles: dict[str, str] = {}
    key_results: dict[str, dict[str, Any]] = {}
    for recorded in structure:
        match recorded.event:
            case events.ObjectiveDrafted(objective_id=name, title=title):
                titles[name] = title
            case events.ObjectiveReworded(objective_id=name, title=title):
                titles[name] = title
            case events.KeyResultAdded() as added:
                key_results[added.key_result_id] = {
                    "objective": added.objective_id,
                    "target": added.measure.target,  # type: ignore[union-attr]  # always a metric
                    "weight": added.weight,
                    "dropped": False,
                }
            case events.KeyResultRetargeted(key_result_id=name, measure=Metric(target=target)):
                key_results[name]["target"] = target
            case events.KeyResultDropped(key_result_id=name):
                key_results[name]["dropped"] = True
    for name, key_result in key_results.items():
        said = _said(facts, name)
        value = next((one.value for one in reversed(said) if one.value is not None), None)
        confidence = next(
            (one.confidence for one in reversed(said) if one.confidence is not None), None
        )
        share = Decimal(0)
        if value is not None:
            share = (value - BASELINE) / (key_result["target"] - BASELINE)
        key_result |= {"value": value, "confidence": confidence, "progress": _held(share)}
    return {
        "objectives": {
            name: (title, _mean([one for one in key_results.values() if one["objective"] == name]))
            for name, title in titles.items()
        },
        "key_results": {
            name: (one["target"], one["dropped"], one["value"], one["confidence"], one["progress"])
            for name, one in key_results.items()
        },
        "kpis": {
            recorded.goal_id: _reading(facts)
            for recorded in known
            if isinstance(recorded.event, events.KpiDefined)
        },
    }


def _until(log: Sequence[Recorded], moment: datetime) -> list[Recorded]:
    seen = []
    for recorded in log:
        if recorded.known_at > moment:
            break
        seen.append(recorded)
    return seen


def _said(facts: Sequence[Recorded], key_result_id: str) -> list[events.CheckedIn]:
    said: dict[str, events.CheckedIn] = {}
    for recorded in facts:
        match recorded.event:
            case events.CheckedIn(key_result_id=name) as made if name == key_result_id:
                said[made.check_in_id] = made
            case events.CheckInCorrected(key_result_id=name) as mended if name == key_result_id:
                said[mended.check_in_id] = replace(
                    said[mended.check_in_id],
                    value=mended.value,
                    confidence=mended.confidence,
                )
            case events.CheckInRetracted(key_result_id=name) as taken if name == key_result_id:
                del said[taken.check_in_id]
    return sorted(said.values(), key=lambda one: one.effective_at)  # stable: then by position


def _reading(facts: Sequence[Recorded]) -> Decimal | None:
    values: dict[str, Decimal] = {}
    ends: dict[str, datetime] = {}
    for recorded in facts:
        match recorded.event:
            case (events.KpiReadingRecorded() | events.KpiReadingCorrected()) as read:
                values[read.period], ends[read.period] = read.value, read.effective_at
    return values[max(ends, key=lambda period: ends[period])] if ends else None


def _held(share: Decimal) -> Decimal:
    return min(max(share, Decimal(0)), Decimal(1)).quantize(Decimal("0.000001"))


def _mean(key_results: list[dict[str, Any]]) -> Decimal | None:
    live = [one for one in key_results if not one["dropped"]]
    if not live:
        return None
    total = sum(one["weight"] * one["progress"] for one in live)
    return Decimal(total / sum(one["weight"] for one in live)).quantize(Decimal("0.000001"))


# ------------------------------------------------------------------ the properties


def shown(pages: Sequence[Goals]) -> dict[str, Any]:
    return {
        "objectives": {
            card.objective_id: (card.title, card.progress)
            for page in pages
            for card in page.objectives
        },
        "key_results": {
            card.key_result_id: (
                card.measure.target,  # type: ignore[union-attr]  # always a metric
                card.dropped,
                card.value,
                card.confidence,
                card.progress,
            )
            for page in pages
            for card in page.key_results
        },
        "kpis": {
            card.kpi_id: None if card.reading is None else card.reading.value
            for page in pages
            for card in page.kpis
        },
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    log=logs(),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    moments=st.lists(
        st.tuples(st.integers(0, 45), st.integers(0, 45), st.integers(-1, 1)),
        min_size=1,
        max_size=5,
    ),
    limit=st.integers(1, 20),
)
def test_as_of_is_the_fold_of_what_was_known_and_effective(
    log: Log, cuts: list[int], moments: list[tuple[int, int, int]], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = view_store(Path(place))
        fill_in_parts(store, log, cuts)
        ask = Asker(store)
        for one, other, nudge in moments:
            as_of = _of(log, one).known_at + timedelta(seconds=nudge)
            known_at = _of(log, other).known_at
            pages = ask.pages(
                AsOf(as_of=as_of.isoformat(), known_at=known_at.isoformat(), limit=limit)
            )
            assert shown(pages) == folded(log, as_of, known_at)
        assert shown(ask.pages(AsOf(limit=limit))) == folded(log, NOW, NOW)
        store.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=logs(), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_every_view_is_the_same_bytes_however_the_log_was_cut(log: Log, cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        whole, parts = view_store(Path(one)), view_store(Path(other))
        fill_in_parts(whole, log, [])
        fill_in_parts(parts, log, cuts)
        assert Asker(whole).export() == Asker(parts).export()
        whole.close()
        parts.close()
