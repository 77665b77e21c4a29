"""A small company's goals, as the projections would answer: for tests of what people see."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
from goal_contracts.events import Band, KpiBands, KpiDefinition
from goal_contracts.measures import Count, Metric, Milestone
from goal_contracts.queries import (
    Blamed,
    Change,
    Changes,
    CycleCard,
    Difference,
    Differences,
    FieldDifference,
    Goals,
    KeyResultCard,
    KpiCard,
    LateChange,
    ObjectiveCard,
    ReadingCard,
    ReadingSeries,
    Reflects,
    ReviewCard,
    UnitCard,
)
from goal_contracts.replies import Warned


def at(day: str, time: str = "09:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


REFLECTS = Reflects(
    position=412, as_of=at("2025-09-30", "21:59"), known_at=at("2025-09-30", "21:59")
)
ERRORS_WERE = Metric(unit="%", baseline=Decimal("2.10"), target=Decimal("0.5"))
ERRORS = Metric(unit="%", baseline=Decimal("2.10"), target=Decimal("0.9"))

REVIEWS = (
    ReviewCard(
        "breach-2025-07-31", "cleo", date(2025, 8, 26), at("2025-08-12"),
        reason="the reading is in breach", closed_at=at("2025-08-20"),
        decision="recovery_objective", objective_id="o-3", decision_reason="The probe was blind",
    ),
    ReviewCard("probe", "ben", date(2025, 9, 20), at("2025-09-01"), overdue=True),
)  # fmt: skip

GOALS = Goals(
    reflects=REFLECTS,
    units=(
        UnitCard("acme", "Acme", "company", 2),
        UnitCard("shop", "Web shop", "team", 3, parent_id="acme"),
    ),
    cycles=(
        CycleCard(
            "2025-Q3",
            "Q3 2025",
            "quarterly",
            date(2025, 7, 1),
            date(2025, 9, 30),
            "active",
            9,
            parent_id="2025",
            expected_pace=Decimal("0.989"),
        ),
        CycleCard(
            "2025",
            "2025",
            "annual",
            date(2025, 1, 1),
            date(2025, 12, 31),
            "active",
            8,
            expected_pace=Decimal("0.75"),
        ),
    ),
    objectives=(
        ObjectiveCard(
            "o-1", "2025", "acme", "Be the shop people trust", "ada", "aspirational", "published",
            20, progress=Decimal("0.5"), health="outdated",
        ),
        ObjectiveCard(
            "o-2", "2025-Q3", "shop", "Make the checkout reliable", "ben", "committed",
            "published", 21, aligned_to=("objective/o-1",), progress=Decimal("0.708333"),
            health="on_track",
        ),
        ObjectiveCard(
            "o-3", "2025-Q3", "shop", "Hear of trouble before our customers do", "cleo",
            "aspirational", "published", 30, aligned_to=("key_result/kr-2",), mid_cycle=True,
            progress=Decimal("0.996"),
        ),
        ObjectiveCard(
            "o-4", "2025-Q3", "shop", "Sell gift cards", "ben", "aspirational", "dropped", 25,
        ),
    ),
    key_results=(
        KeyResultCard(
            "kr-1", "o-1", "Shops abroad that use our checkout", "ada",
            Count(unit="shops", of=10), Decimal(1), 22, value=Decimal(5),
            value_at=at("2025-09-01"), progress=Decimal("0.5"), confidence=6, status="at_risk",
            health="outdated", check_in_timing="overdue",
        ),
        KeyResultCard(
            "kr-2", "o-2", "Failed payments among all payments, measured over a week", "ben",
            ERRORS, Decimal(2), 400, original_measure=ERRORS_WERE, value=Decimal("1.25"),
            value_at=at("2025-09-20"), progress=Decimal("0.708333"), confidence=7,
            status="on_track", health="on_track", check_in_timing="late",
            value_origin="corrected", progress_origin="computed",
        ),
        KeyResultCard(
            "kr-3", "o-2", "A second payment provider is live", "cleo", Milestone(), Decimal(1), 26,
            value=Decimal(1), value_at=at("2025-09-12"), progress=Decimal(1),
        ),
        KeyResultCard(
            "kr-4", "o-3", "Alerts that nobody needed to act on", "cleo",
            Metric(unit="per week", baseline=Decimal(40), target=Decimal(10)), Decimal(1), 31,
            progress=Decimal(0), status="off_track", health="off_track",
            advice=(Warned("R10", "all weights are 0, so that no key result counts"),),
        ),
        KeyResultCard(
            "kr-5", "o-4", "Gift cards sold", "ben", Count(unit="cards", of=500), Decimal(1), 27,
            dropped=True,
        ),
    ),
    kpis=(
        KpiCard(
            "uptime", "shop", "cleo",
            KpiDefinition(
                name="Uptime of the shop", unit="%", direction="higher", frequency="monthly",
                source="probe", target=Decimal("99.9"),
                bands=KpiBands(Band(low=Decimal("99.9")), Band(low=Decimal("99.5"))),
            ),
            1, 40, health="healthy", reviews=REVIEWS,
            reading=ReadingCard(
                "2025-08-01/2025-08-31", "probe", at("2025-08-31", "21:59"), 390,
                at("2025-09-01"), at("2025-09-01"), "cleo", "recorded", value=Decimal("99.95"),
                counts=True,
            ),
        ),
    ),
)  # fmt: skip

SERIES = ReadingSeries(
    reflects=REFLECTS,
    kpi=GOALS.kpis[0],
    readings=(
        ReadingCard(
            "2025-07-01/2025-07-31", "probe", at("2025-07-31", "21:59"), 300, at("2025-08-01"),
            at("2025-08-01"), "cleo", "recorded", value=Decimal("99.97"), definition_version=1,
        ),
        ReadingCard(
            "2025-07-01/2025-07-31", "probe", at("2025-07-31", "21:59"), 350, at("2025-08-12"),
            at("2025-08-12"), "ben", "corrected", value=Decimal("99.1"),
            value_was=Decimal("99.97"), corrects=300, counts=True, definition_version=1,
            reason="The probe itself was down for a day", provenance="uptime.csv:8",
        ),
        ReadingCard(
            "2025-08-01/2025-08-31", "probe", at("2025-08-31", "21:59"), 390, at("2025-09-01"),
            at("2025-09-01"), "cleo", "recorded", value=Decimal("99.95"), counts=True,
            definition_version=1,
        ),
    ),
)  # fmt: skip

CHANGES = Changes(
    reflects=REFLECTS,
    changes=(
        Change(
            26, "key_result", "kr-2", "KeyResultAdded", "title", "ben", at("2025-07-02"),
            at("2025-07-02"), at("2025-07-02"),
            now=raw("Failed payments among all payments, measured over a week"),
        ),
        Change(
            26, "key_result", "kr-2", "KeyResultAdded", "measure", "ben", at("2025-07-02"),
            at("2025-07-02"), at("2025-07-02"), now=raw(ERRORS_WERE),
        ),
        Change(
            214, "key_result", "kr-2", "KeyResultRetargeted", "measure", "ada",
            at("2025-08-14", "10:12"), at("2025-08-14", "10:12"), at("2025-08-14", "10:12"),
            was=raw(ERRORS_WERE), now=raw(ERRORS),
            reason="The provider moved its new interface to next year",
        ),
        Change(
            400, "key_result", "kr-2", "CheckInCorrected", "check_ins.c-7.value", "ben",
            at("2025-09-22"), at("2025-09-22"), at("2025-09-20"), was=raw("1.4"), now=raw("1.25"),
            provenance="okrs.md:17",
        ),
    ),
)  # fmt: skip

BLAMED = Blamed(reflects=REFLECTS, fields=(CHANGES.changes[2],))

DIFFERENCES = Differences(
    reflects_before=Reflects(20, at("2025-07-01", "21:59"), at("2025-07-01", "21:59")),
    reflects=REFLECTS,
    late=(
        LateChange(
            214, at("2025-08-14", "10:12"), "ada", "lowered", "key_result/kr-2", "o-2",
            "Failed payments", "The provider moved its new interface to next year",
            ERRORS_WERE, ERRORS,
        ),
    ),
    things=(
        Difference(
            "cycle", "2025-Q3", "Q3 2025",
            fields=(FieldDifference("expected_pace", raw("0.1"), raw("0.989")),),
        ),
        Difference(
            "objective", "o-4", "Sell gift cards", ("added",),
            fields=(FieldDifference("title", now=raw("Sell gift cards")),),
            changes=(
                Change(
                    25, "objective", "o-4", "ObjectiveDrafted", "title", "ben", at("2025-07-02"),
                    at("2025-07-02"), at("2025-07-02"), now=raw("Sell gift cards"),
                ),
            ),
            cycle_id="2025-Q3",
        ),
        Difference(
            "key_result", "kr-2", "Failed payments", ("retargeted", "progressed"),
            fields=(
                FieldDifference("measure", raw(ERRORS_WERE), raw(ERRORS)),
                FieldDifference("value", raw("1.4"), raw("1.25")),
                FieldDifference("progress", raw("0.45"), raw("0.708333")),
                ),
            changes=CHANGES.changes[2:],
            cycle_id="2025-Q3",
            objective_id="o-2",
        ),
    ),
)  # fmt: skip
