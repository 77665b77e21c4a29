"""A cycle and a week of a small company, as the projections would answer."""

from datetime import date
from decimal import Decimal
from typing import TypeVar

import msgspec
from goal_contracts import codec
from goal_contracts.queries import (
    ChangedField,
    ClosingCard,
    CoursePoint,
    Digest,
    KeyResultMoved,
    KpiMoved,
    KpiSeries,
    LateChange,
    ObjectiveMoved,
    Report,
    ReportedObjective,
    RetrospectiveCard,
    Said,
    SeriesPoint,
    WeekChange,
    WeekCheckIn,
    WeekEnd,
)
from msgspec.structs import replace

from tests.cli import answers
from tests.cli.answers import at, raw

GOALS = answers.GOALS
Told = TypeVar("Told", bound=Report | Digest)
ZONE = "Europe/Berlin"
RETROSPECTIVE = RetrospectiveCard(
    "lena",
    at("2025-10-09"),
    went_well="The second provider",
    learned="A date is not a [plan]",
    celebrate="Nobody paid twice",
)
CYCLE = replace(
    GOALS.cycles[0],
    state="closed",
    aspirational_score=Decimal("0.71"),
    committed_met=Decimal("0.5"),
    bands=(Decimal("0.4"), Decimal("0.7")),
    closings=(ClosingCard(500, at("2025-10-13"), "lena", Decimal("0.69"), Decimal("0.5")),),
    retrospectives=(RETROSPECTIVE,),
)
GRADED = replace(
    GOALS.objectives[1],
    outcome="partial",
    health="partial",
    score=Decimal("0.8"),
    score_computed=Decimal("0.71"),
    score_origin="adjusted",
    score_reason="The last week was fixed after the reading",
)
LATE = LateChange(
    214,
    at("2025-08-14"),
    "ada",
    "lowered",
    "key_result/kr-2",
    "o-2",
    "Failed payments",
    reason="The provider moved",
    measure_was=answers.ERRORS_WERE,
    measure=answers.ERRORS,
)
BANDS = GOALS.kpis[0].definition.bands
SERIES = KpiSeries(
    GOALS.kpis[0],
    (
        SeriesPoint(
            "2025-07-01/2025-07-31", at("2025-07-31"), Decimal("99.1"), Decimal("99.97"),
            "breach", Decimal("99.9"), BANDS,
        ),
        SeriesPoint("2025-08-01/2025-08-31", at("2025-08-31")),
        SeriesPoint(
            "2025-09-01/2025-09-30", at("2025-09-30"), Decimal("99.95"), None, "healthy",
            Decimal("99.9"), BANDS,
        ),
    ),
)  # fmt: skip
WEEKS = tuple(
    WeekEnd(day, at(day.isoformat()), pace)
    for day, pace in (
        (date(2025, 7, 7), Decimal("0.076087")),
        (date(2025, 7, 14), Decimal("0.152174")),
        (date(2025, 7, 21), Decimal("0.228261")),
    )
)
NOWHERE = (CoursePoint(), CoursePoint(Decimal(0)), CoursePoint(Decimal(0)))
WENT = (
    CoursePoint(Decimal(0), None),
    CoursePoint(Decimal("0.4"), Decimal("1.62"), "at_risk"),
    CoursePoint(Decimal("0.708333"), Decimal("1.25"), "on_track"),
)
REPORT = Report(
    reflects=answers.REFLECTS,
    cycle=CYCLE,
    late=(LATE,),
    units=GOALS.units,
    objectives=(
        ReportedObjective(GRADED, GOALS.key_results[1:3], WENT, (WENT, NOWHERE)),
        ReportedObjective(GOALS.objectives[3], GOALS.key_results[4:], NOWHERE, (NOWHERE,)),
    ),
    kpis=GOALS.kpis,
    organisation="Acme",
    zone=ZONE,
    weeks=WEEKS,
    series=(SERIES,),
)
EMPTY_REPORT = Report(answers.REFLECTS, GOALS.cycles[0], organisation="Acme", zone=ZONE)

DIGEST = Digest(
    reflects=answers.REFLECTS,
    week="2025-W38",
    start_on=date(2025, 9, 15),
    end_on=date(2025, 9, 21),
    organisation="Acme",
    zone=ZONE,
    cycles=GOALS.cycles,
    late=(LATE,),
    changes=(
        WeekChange(
            401, at("2025-09-16"), "ada", "KeyResultReassigned", "key_result/kr-2",
            "Failed payments", fields=(ChangedField("owner", raw("cleo"), raw("ben")),),
        ),
        WeekChange(
            402, at("2025-09-17"), "ada", "KpiRedefined", "kpi/uptime", "Uptime of the shop",
            reason="A new probe",
            fields=(ChangedField("definition", raw({"source": "a"}), raw({"source": "b"})),),
        ),
    ),
    check_ins=(
        WeekCheckIn(
            403, at("2025-09-20"), at("2025-09-20"), "ben", "kr-2", "o-2", "Failed payments",
            answers.ERRORS, "corrected", Decimal("1.25"), 7, "on_track", "Two days *without* any",
        ),
    ),
    units=GOALS.units,
    objectives=(
        ObjectiveMoved(
            GOALS.objectives[1],
            Decimal("0.5"),
            "at_risk",
            (
                KeyResultMoved(GOALS.key_results[1], Decimal("0.4"), "at_risk"),
                KeyResultMoved(GOALS.key_results[2], Decimal(1), "pending"),
            ),
        ),
        ObjectiveMoved(GOALS.objectives[0], key_results=(KeyResultMoved(GOALS.key_results[0]),)),
    ),
    kpis=(KpiMoved(GOALS.kpis[0], "breach", answers.SERIES.readings[1:]),),
    said=(Said("2025-Q2", "Q2 2025", RETROSPECTIVE),),
)  # fmt: skip
EMPTY_DIGEST = Digest(
    answers.REFLECTS, "2025-W38", date(2025, 9, 15), date(2025, 9, 21), "Acme", ZONE
)


def with_words(answer: Told, words: str) -> Told:
    """The same answer with other words wherever people may write what they like."""
    free = {"title", "name", "note", "reason", "owner", "actor", "went_well", "learned", "cycle",
            "celebrate", "score_reason", "organisation", "unit"}  # fmt: skip

    def changed(value: object, key: str = "") -> object:
        match value:
            case dict():
                return {name: changed(each, name) for name, each in value.items()}
            case list():
                return [changed(each) for each in value]
            case str() if key in free:
                return words
            case _:
                return value

    told = changed(msgspec.json.decode(codec.encode(answer)))
    return msgspec.json.decode(msgspec.json.encode(told), type=type(answer))
