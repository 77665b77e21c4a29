"""A small company for tests: a unit tree, two quarters, objectives, key results, and KPIs."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from goal_contracts import events
from goal_contracts.events import KpiDefinition
from goal_contracts.measures import KpiLinked, Metric
from goal_contracts.policy import Policy
from msgspec.structs import replace

from services.projections.views.days import end_of_day
from tests.projections.log import ORGANISATION, Log

OPENED: Final = events.OrganisationOpened(
    ORGANISATION, name="Acme", zone="Europe/Berlin", policy=Policy()
)
COMPANY: Final = events.UnitDefined("company", name="Acme", unit_kind="company")
PLATFORM: Final = events.UnitDefined(
    "platform", name="Platform", unit_kind="team", parent_id="company"
)
SALES: Final = events.UnitDefined("sales", name="Sales", unit_kind="team", parent_id="company")
Q3: Final = events.CyclePlanned(
    "q3",
    name="Third quarter",
    cycle_kind="quarterly",
    start_on=date(2025, 7, 1),
    end_on=date(2025, 9, 30),
)
Q4: Final = events.CyclePlanned(
    "q4",
    name="Fourth quarter",
    cycle_kind="quarterly",
    start_on=date(2025, 10, 1),
    end_on=date(2025, 12, 31),
)
Q3_ACTIVE: Final = events.CycleActivated("q3", policy=Policy())
UPTIME: Final = events.ObjectiveDrafted(
    "uptime", cycle_id="q3", unit_id="platform", title="Never down", owner="ada"
)
DEALS: Final = events.ObjectiveDrafted(
    "deals", cycle_id="q3", unit_id="sales", title="More deals", owner="bob"
)
PERCENT: Final = Metric(unit="%", baseline=Decimal(98), target=Decimal(100))
KR: Final = events.KeyResultAdded(
    "kr", objective_id="uptime", title="Uptime 100 %", owner="ada", measure=PERCENT
)
DEFINITION: Final = KpiDefinition(
    name="Uptime", unit="%", direction="higher", frequency="monthly", source="probe"
)
KPI: Final = events.KpiDefined("kpi", unit_id="platform", owner="ada", definition=DEFINITION)
LINKED: Final = KpiLinked(kpi_id="kpi", baseline=Decimal(98), target=Decimal(100))


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2025, month, day, hour, tzinfo=UTC)


def checked_in(
    check_in_id: str, value: str | None, effective_at: datetime, kr: str = "kr", **said: int
) -> events.CheckedIn:
    return events.CheckedIn(
        kr,
        check_in_id=check_in_id,
        effective_at=effective_at,
        value=None if value is None else Decimal(value),
        confidence=said.get("confidence"),
    )


def reading(period: str, value: str, source: str = "probe") -> events.KpiReadingRecorded:
    return events.KpiReadingRecorded(
        "kpi",
        period=period,
        effective_at=end_of_day(date.fromisoformat(period.partition("/")[2]), OPENED.zone),
        value=Decimal(value),
        source=source,
        definition_version=1,
    )


def opened() -> Log:
    """The company and its quarter under way, all on the first of July."""
    log = Log()
    for event in (OPENED, COMPANY, PLATFORM, SALES, Q3, Q4, Q3_ACTIVE, UPTIME, DEALS, KR, KPI):
        log.add(event)
    return log


def life() -> Log:
    """Every event there is, in an order that may happen."""
    log = opened()
    lower = Metric(unit="%", baseline=Decimal(98), target=Decimal(99))
    june, july = "2025-06-01/2025-06-30", "2025-07-01/2025-07-31"
    end = end_of_day(date(2025, 7, 31), "Europe/Berlin")
    for event in (
        events.PolicyChanged(ORGANISATION, policy_was=Policy(), policy=Policy(note_required=True)),
        events.HistoryImportStarted(ORGANISATION, import_id="i", source="s", digest="d"),
        events.HistoryImportFinished(ORGANISATION, import_id="i", outcome="completed"),
        events.UnitRenamed("sales", name_was="Sales", name="Field"),
        events.UnitMoved("sales", parent_id_was="company", parent_id="platform"),
        events.UnitRetired("sales"),
        events.CycleRescheduled(
            "q4",
            start_on_was=date(2025, 10, 1),
            end_on_was=date(2025, 12, 31),
            start_on=date(2025, 10, 1),
            end_on=date(2025, 12, 20),
        ),
        events.CycleCancelled("q4", reason="merged"),
        events.ObjectivePublished("uptime"),
        events.ObjectiveReworded("uptime", title_was="Never down", title="Always up"),
        events.ObjectiveReassigned(
            "uptime", owner_was="ada", owner="eve", unit_id_was="platform", unit_id="company"
        ),
        events.ObjectiveContributorsChanged("uptime", contributors=("bob",)),
        events.ObjectiveRealigned("uptime", aligned_to=("objective/deals",)),
        events.ObjectiveKindChanged(
            "uptime", objective_kind_was="aspirational", objective_kind="committed"
        ),
        events.KeyResultReworded("kr", title_was="Uptime 100 %", title="Up"),
        events.KeyResultReassigned("kr", owner_was="ada", owner="eve"),
        events.KeyResultReweighted("kr", weight_was=Decimal(1), weight=Decimal(0)),
        events.KeyResultRetargeted(
            "kr", measure_was=PERCENT, measure=lower, lowered=True, mid_cycle=True
        ),
        events.KeyResultLinkedToKpi("kr", measure_was=lower, measure=LINKED),
        events.KeyResultUnlinkedFromKpi("kr", measure_was=LINKED, measure=lower, reason="by hand"),
        checked_in("c", "0", at(7, 2)),
        events.CheckInCorrected(
            "kr", check_in_id="c", effective_at=at(7, 2), reason="typo", value_was=Decimal(0)
        ),
        events.CheckInRetracted("kr", check_in_id="c", effective_at=at(7, 2), reason="no"),
        events.KeyResultWaived("kr", reason="no data"),
        events.KeyResultGraded("kr", score=Decimal("0.5")),
        events.KeyResultDropped("kr"),
        events.ObjectiveGraded("uptime", outcome="partial", score=Decimal("0.5")),
        events.ObjectiveCarriedOver("uptime", carried_to="next", cycle_id="q4"),
        events.ObjectiveDropped("deals"),
        events.KpiRedefined(
            "kpi",
            version=2,
            effective_on=date(2025, 8, 1),
            definition_was=DEFINITION,
            definition=replace(DEFINITION, source="log"),
        ),
        events.KpiRetargeted("kpi", version=3, effective_on=date(2025, 9, 1), target=Decimal(99)),
        events.KpiReassigned(
            "kpi", owner_was="ada", owner="eve", unit_id_was="platform", unit_id="company"
        ),
        reading(july, "99"),
        events.KpiReadingCorrected(
            "kpi",
            period=july,
            effective_at=end,
            value_was=Decimal(99),
            value=Decimal(98),
            source="probe",
            definition_version=1,
            reason="late",
        ),
        events.KpiReadingRetracted(
            "kpi",
            period=july,
            effective_at=end,
            value_was=Decimal(98),
            source="probe",
            reason="not ours",
        ),
        events.KpiReadingMissed("kpi", period=june, effective_at=at(6, 30), source="probe"),
        events.KpiHealthChanged(
            "kpi", effective_at=end, health_was="no_data", health="breach", period=july
        ),
        events.KpiReviewOpened("kpi", review_id="r", owner="ada", due_on=date(2025, 9, 1)),
        events.KpiReviewClosed(
            "kpi", review_id="r", decision="recovery_objective", objective_id="uptime"
        ),
        events.KpiRetired("kpi"),
        events.CycleGradingStarted("q3"),
        events.RetrospectiveRecorded("q3", went_well="all of it"),
        events.CycleClosed("q3", policy=Policy(), aspirational_score=Decimal("0.5")),
        events.CycleReopened("q3", reason="one late number"),
        events.CommentAdded("kpi/kpi", comment_id="k", text="hm"),
    ):
        log.add(event)
    return log
