"""One example of every message, as bytes; `python -m goal_contracts.examples` reads them all.

They tell one story: the organisation acme, its quarter 2025-Q3, and an objective about uptime.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from goal_contracts import codec, commands, events, measures, queries, replies
from goal_contracts.policy import Policy

NOW = datetime(2025, 8, 14, 9, 30, tzinfo=UTC)
JULY_END = datetime(2025, 7, 31, 21, 59, 59, 999999, tzinfo=UTC)
Q3 = (date(2025, 7, 1), date(2025, 9, 30))
UPTIME = measures.Metric(unit="%", baseline=Decimal("98.2"), target=Decimal("99.9"))
UPTIME_LOWERED = measures.Metric(unit="%", baseline=Decimal("98.2"), target=Decimal("99.5"))
UPTIME_KPI = measures.KpiLinked(kpi_id="uptime", baseline=Decimal("98.2"), target=Decimal("99.9"))
BANDS = events.KpiBands(
    healthy=events.Band(low=Decimal("99.5")), warning=events.Band(low=Decimal("99.0"))
)
DEFINITION = events.KpiDefinition(
    name="Uptime of the public API",
    unit="%",
    direction="higher",
    frequency="monthly",
    source="status page",
    target=Decimal("99.9"),
    bands=BANDS,
)
OTHER_DEFINITION = msgspec.structs.replace(DEFINITION, source="synthetic probes")

_EVENTS: tuple[events.Event, ...] = (
    events.OrganisationOpened("acme", name="Acme", zone="Europe/Berlin", policy=Policy()),
    events.PolicyChanged(
        "acme",
        policy_was=Policy(),
        policy=Policy(confidence_required=True),
        reason="the board asks how sure we are",
    ),
    events.HistoryImportStarted(
        "acme", import_id="okrs-2024", source="okrs.jsonl", digest="sha256:9f86d081884c7d65"
    ),
    events.HistoryImportFinished("acme", import_id="okrs-2024", outcome="completed"),
    events.UnitDefined("platform", name="Platform", unit_kind="team", parent_id="engineering"),
    events.UnitRenamed("platform", name_was="Platform", name="Platform and Data"),
    events.UnitMoved("platform", parent_id_was="engineering", parent_id="product"),
    events.UnitRetired("platform", reason="merged into Infrastructure"),
    events.CyclePlanned(
        "2025-Q3",
        name="Third quarter 2025",
        cycle_kind="quarterly",
        start_on=Q3[0],
        end_on=Q3[1],
        parent_id="2025",
    ),
    events.CycleRescheduled(
        "offsite",
        start_on_was=date(2025, 9, 1),
        end_on_was=date(2025, 9, 5),
        start_on=date(2025, 9, 8),
        end_on=date(2025, 9, 12),
        reason="the venue was not free",
    ),
    events.CycleActivated("2025-Q3", policy=Policy()),
    events.CycleGradingStarted("2025-Q3"),
    events.CycleClosed(
        "2025-Q3",
        policy=Policy(),
        aspirational_score=Decimal("0.68"),
        committed_met=Decimal("0.75"),
    ),
    events.CycleReopened("2025-Q3", reason="one reading of September was wrong"),
    events.CycleCancelled("2025-Q4", reason="the company was reorganised"),
    events.RetrospectiveRecorded(
        "2025-Q3",
        went_well="Incidents were found by us, not by customers",
        learned="Two key results are enough",
        celebrate="A month without a page at night",
    ),
    events.ObjectiveDrafted(
        "o-reliable",
        cycle_id="2025-Q3",
        unit_id="platform",
        title="Customers can rely on us",
        owner="u-17",
        objective_kind="committed",
        aligned_to=("objective/o-trust",),
    ),
    events.ObjectivePublished("o-reliable"),
    events.ObjectiveReworded(
        "o-reliable",
        title_was="Customers can rely on us",
        title="Customers rely on us without thinking about it",
    ),
    events.ObjectiveReassigned(
        "o-reliable",
        owner_was="u-17",
        owner="u-23",
        unit_id_was="platform",
        unit_id="platform",
        reason="parental leave",
    ),
    events.ObjectiveContributorsChanged("o-reliable", contributors=("u-4", "u-9")),
    events.ObjectiveRealigned(
        "o-reliable",
        aligned_to_was=("objective/o-trust",),
        aligned_to=("key_result/kr-churn",),
        reason="churn is what it serves",
    ),
    events.ObjectiveKindChanged(
        "o-reliable",
        objective_kind_was="committed",
        objective_kind="aspirational",
        reason="the supplier slipped",
    ),
    events.ObjectiveDropped("o-reliable", reason="overtaken by the merger"),
    events.ObjectiveGraded(
        "o-reliable",
        outcome="partial",
        score_computed=Decimal("0.68"),
        score=Decimal("0.7"),
        reason="the last week was fixed after the reading",
    ),
    events.ObjectiveCarriedOver("o-reliable", carried_to="o-reliable-2", cycle_id="2025-Q4"),
    events.KeyResultAdded(
        "kr-uptime",
        objective_id="o-reliable",
        title="Uptime of the public API",
        owner="u-17",
        measure=UPTIME,
    ),
    events.KeyResultReworded(
        "kr-uptime", title_was="Uptime of the public API", title="Uptime of all public APIs"
    ),
    events.KeyResultReassigned("kr-uptime", owner_was="u-17", owner="u-23"),
    events.KeyResultReweighted("kr-uptime", weight_was=Decimal(1), weight=Decimal(2)),
    events.KeyResultRetargeted(
        "kr-uptime",
        measure_was=UPTIME,
        measure=UPTIME_LOWERED,
        lowered=True,
        mid_cycle=True,
        reason="the supplier's outage cannot be made up for",
    ),
    events.KeyResultDropped("kr-uptime", mid_cycle=True, reason="measured twice"),
    events.KeyResultLinkedToKpi("kr-uptime", measure_was=UPTIME, measure=UPTIME_KPI),
    events.KeyResultUnlinkedFromKpi(
        "kr-uptime", measure_was=UPTIME_KPI, measure=UPTIME, reason="the KPI is being retired"
    ),
    events.CheckedIn(
        "kr-uptime",
        check_in_id="w33",
        effective_at=NOW,
        value=Decimal("99.1"),
        confidence=6,
        status="at_risk",
        note="one long outage left its mark",
    ),
    events.CheckInCorrected(
        "kr-uptime",
        check_in_id="w33",
        effective_at=NOW,
        reason="a region was missing",
        value_was=Decimal("99.1"),
        value=Decimal("99.0"),
        confidence_was=6,
        confidence=5,
    ),
    events.CheckInRetracted(
        "kr-uptime", check_in_id="w33", effective_at=NOW, reason="entered for the wrong team"
    ),
    events.KeyResultGraded("kr-uptime", score=Decimal("0.68"), score_computed=Decimal("0.68")),
    events.KeyResultWaived("kr-uptime", reason="nobody could measure it"),
    events.KpiDefined("uptime", unit_id="platform", owner="u-17", definition=DEFINITION),
    events.KpiRedefined(
        "uptime",
        version=2,
        effective_on=date(2025, 10, 1),
        definition_was=DEFINITION,
        definition=OTHER_DEFINITION,
        reason="the status page is filled by hand",
    ),
    events.KpiRetargeted(
        "uptime",
        version=3,
        effective_on=date(2026, 1, 1),
        target_was=Decimal("99.9"),
        target=Decimal("99.95"),
        bands_was=BANDS,
        bands=BANDS,
    ),
    events.KpiReassigned(
        "uptime", owner_was="u-17", owner="u-23", unit_id_was="platform", unit_id="platform"
    ),
    events.KpiRetired("uptime", reason="replaced by latency"),
    events.KpiReadingRecorded(
        "uptime",
        period="2025-07-01/2025-07-31",
        effective_at=JULY_END,
        value=Decimal("99.3"),
        source="status page",
        definition_version=1,
        provenance="uptime.csv#12;sha256=9f86d081884c7d65",
    ),
    events.KpiReadingCorrected(
        "uptime",
        period="2025-07-01/2025-07-31",
        effective_at=JULY_END,
        value_was=Decimal("99.3"),
        value=Decimal("99.1"),
        source="status page",
        definition_version=1,
        reason="an outage was booked on the wrong day",
    ),
    events.KpiReadingRetracted(
        "uptime",
        period="2025-07-01/2025-07-31",
        effective_at=JULY_END,
        value_was=Decimal("99.1"),
        source="status page",
        reason="the page was a test copy",
    ),
    events.KpiReadingMissed(
        "uptime", period="2025-07-01/2025-07-31", effective_at=JULY_END, source="status page"
    ),
    events.KpiHealthChanged(
        "uptime",
        effective_at=JULY_END,
        health_was="healthy",
        health="warning",
        period="2025-07-01/2025-07-31",
    ),
    events.KpiReviewOpened(
        "uptime", review_id="r-7", owner="u-23", due_on=date(2025, 8, 28), reason="in breach"
    ),
    events.KpiReviewClosed(
        "uptime", review_id="r-7", decision="recovery_objective", objective_id="o-recover"
    ),
    events.CommentAdded("key_result/kr-uptime", comment_id="c-1", text="Who runs the probe?"),
)

_COMMANDS: tuple[commands.Command, ...] = (
    commands.OpenOrganisation(name="Acme", zone="Europe/Berlin"),
    commands.ChangePolicy(policy=Policy(confidence_required=True), reason="the board asks"),
    commands.StartHistoryImport(
        import_id="okrs-2024", source="okrs.jsonl", digest="sha256:9f86d081884c7d65"
    ),
    commands.FinishHistoryImport(import_id="okrs-2024"),
    commands.DefineUnit(
        unit_id="platform", name="Platform", unit_kind="team", parent_id="engineering"
    ),
    commands.RenameUnit(unit_id="platform", name="Platform and Data"),
    commands.MoveUnit(unit_id="platform", parent_id="product"),
    commands.RetireUnit(unit_id="platform", reason="merged into Infrastructure"),
    commands.PlanCycle(
        cycle_id="2025-Q3",
        name="Third quarter 2025",
        cycle_kind="quarterly",
        start_on=Q3[0],
        end_on=Q3[1],
        parent_id="2025",
    ),
    commands.RescheduleCycle(
        cycle_id="offsite", start_on=date(2025, 9, 8), end_on=date(2025, 9, 12)
    ),
    commands.ActivateCycle(cycle_id="2025-Q3"),
    commands.StartCycleGrading(cycle_id="2025-Q3"),
    commands.CloseCycle(cycle_id="2025-Q3"),
    commands.ReopenCycle(cycle_id="2025-Q3", reason="one reading of September was wrong"),
    commands.CancelCycle(cycle_id="2025-Q4", reason="the company was reorganised"),
    commands.RecordRetrospective(cycle_id="2025-Q3", learned="Two key results are enough"),
    commands.DraftObjective(
        objective_id="o-reliable",
        cycle_id="2025-Q3",
        unit_id="platform",
        title="Customers can rely on us",
        owner="u-17",
        objective_kind="committed",
    ),
    commands.PublishObjective(objective_id="o-reliable"),
    commands.RewordObjective(
        objective_id="o-reliable", title="Customers rely on us without thinking about it"
    ),
    commands.ReassignObjective(objective_id="o-reliable", owner="u-23", reason="parental leave"),
    commands.ChangeObjectiveContributors(objective_id="o-reliable", contributors=("u-4", "u-9")),
    commands.RealignObjective(objective_id="o-reliable", aligned_to=("key_result/kr-churn",)),
    commands.ChangeObjectiveKind(objective_id="o-reliable", objective_kind="aspirational"),
    commands.DropObjective(objective_id="o-reliable", reason="overtaken by the merger"),
    commands.GradeObjective(objective_id="o-reliable", outcome="partial"),
    commands.CarryOverObjective(
        objective_id="o-reliable",
        carried_to="o-reliable-2",
        cycle_id="2025-Q4",
        key_results=(commands.CarriedKeyResult("kr-uptime", "kr-uptime-2"),),
    ),
    commands.AddKeyResult(
        key_result_id="kr-uptime",
        objective_id="o-reliable",
        title="Uptime of the public API",
        owner="u-17",
        measure=UPTIME,
    ),
    commands.RewordKeyResult(key_result_id="kr-uptime", title="Uptime of all public APIs"),
    commands.ReassignKeyResult(key_result_id="kr-uptime", owner="u-23"),
    commands.ReweightKeyResult(key_result_id="kr-uptime", weight=Decimal(2)),
    commands.RetargetKeyResult(
        key_result_id="kr-uptime",
        measure=UPTIME_LOWERED,
        reason="the supplier's outage cannot be made up for",
    ),
    commands.DropKeyResult(key_result_id="kr-uptime", reason="measured twice"),
    commands.LinkKeyResultToKpi(
        key_result_id="kr-uptime",
        kpi_id="uptime",
        baseline=Decimal("98.2"),
        target=Decimal("99.9"),
    ),
    commands.UnlinkKeyResultFromKpi(
        key_result_id="kr-uptime", measure=UPTIME, reason="the KPI is being retired"
    ),
    commands.CheckIn(
        key_result_id="kr-uptime",
        check_in_id="w33",
        value=Decimal("99.1"),
        confidence=6,
        status="at_risk",
    ),
    commands.CorrectCheckIn(
        key_result_id="kr-uptime",
        check_in_id="w33",
        value=Decimal("99.0"),
        confidence=5,
        reason="a region was missing",
    ),
    commands.RetractCheckIn(
        key_result_id="kr-uptime", check_in_id="w33", reason="entered for the wrong team"
    ),
    commands.RecordCheckIns(
        check_ins=(
            commands.CheckIn("kr-uptime", "w34", value=Decimal("99.2")),
            commands.CheckIn("kr-churn", "w34", value=Decimal("3.1")),
        )
    ),
    commands.GradeKeyResult(key_result_id="kr-uptime"),
    commands.WaiveKeyResult(key_result_id="kr-uptime", reason="nobody could measure it"),
    commands.DefineKpi(kpi_id="uptime", unit_id="platform", owner="u-17", definition=DEFINITION),
    commands.RedefineKpi(
        kpi_id="uptime", definition=OTHER_DEFINITION, effective_on=date(2025, 10, 1)
    ),
    commands.RetargetKpi(
        kpi_id="uptime", effective_on=date(2026, 1, 1), target=Decimal("99.95"), bands=BANDS
    ),
    commands.ReassignKpi(kpi_id="uptime", owner="u-23"),
    commands.RetireKpi(kpi_id="uptime", reason="replaced by latency"),
    commands.RecordReading(kpi_id="uptime", period="2025-07-01/2025-07-31", value=Decimal("99.3")),
    commands.RecordReadings(
        readings=(
            commands.RecordReading("uptime", "2025-08-01/2025-08-31", Decimal("99.6")),
            commands.RecordReading("churn", "2025-08-01/2025-08-31", Decimal("3.1")),
        )
    ),
    commands.CorrectReading(
        kpi_id="uptime",
        period="2025-07-01/2025-07-31",
        value=Decimal("99.1"),
        reason="an outage was booked on the wrong day",
    ),
    commands.CorrectReadings(
        corrections=(
            commands.CorrectReading(
                "churn", "2025-08-01/2025-08-31", Decimal("3.2"), reason="late cancellations"
            ),
        )
    ),
    commands.RetractReading(
        kpi_id="uptime", period="2025-07-01/2025-07-31", reason="the page was a test copy"
    ),
    commands.RecordMissedReading(kpi_id="uptime", period="2025-07-01/2025-07-31"),
    commands.OpenKpiReview(
        kpi_id="uptime", review_id="r-7", owner="u-23", due_on=date(2025, 8, 28)
    ),
    commands.CloseKpiReview(kpi_id="uptime", review_id="r-7", decision="fix"),
    commands.AddComment(goal="key_result/kr-uptime", comment_id="c-1", text="Who runs the probe?"),
)

_REPLIES: tuple[replies.Reply, ...] = (
    replies.Accepted(command_id="c-42", position=1234, events=1),
    replies.Refused(
        command_id="c-42",
        reason=replies.Reason.REASON_REQUIRED,
        rule="R7",
        message="lowering a target in a running cycle needs a reason",
        seen="no reason",
        accepted="a reason of 1 to 4,000 characters",
    ),
)

_QUERIES: tuple[queries.Query, ...] = (
    queries.AsOf(as_of="2025-09-30", cycle="2025-Q3"),
    queries.History(kind="key_result", id="kr-uptime"),
    queries.Readings(kpi="uptime", known_at="2025-08-31"),
    queries.Replay(cycle="2025-Q3", start="2025-07-01", end="2025-07-31"),
    queries.CycleReport(cycle="2025-Q3"),
    queries.ExportView(view="reading"),
    queries.Position(at_least=1234),
    queries.Alerts(as_of="2025-08-31", unit="platform"),
    queries.Insights(cycle="2025-Q3"),
    queries.RollUps(as_of="2025-09-30", cycle="2025-Q3"),
    queries.WeeklyDigest(week="2025-W33", unit="platform"),
    queries.Diff(before="2025-07-01", after="2025-09-30", unit="platform"),
    queries.Blame(kind="key_result", id="kr-uptime", field="measure"),
)

_REFLECTS = queries.Reflects(position=1234, as_of=NOW, known_at=NOW)
_LATE = queries.LateChange(
    position=1200,
    at=NOW,
    actor="u-17",
    change="lowered",
    goal="key_result/kr-uptime",
    objective_id="o-reliable",
    title="Uptime of the public API",
    reason="the supplier's outage cannot be made up for",
    measure_was=UPTIME,
    measure=UPTIME_LOWERED,
)
_RETARGETED = queries.Change(
    position=1200,
    kind="key_result",
    id="kr-uptime",
    event="KeyResultRetargeted",
    field="measure",
    actor="u-17",
    recorded_at=NOW,
    known_at=NOW,
    effective_at=NOW,
    was=msgspec.Raw(codec.encode(UPTIME)),
    now=msgspec.Raw(codec.encode(UPTIME_LOWERED)),
    reason="the supplier's outage cannot be made up for",
)
_KPI = queries.KpiCard(
    kpi_id="uptime",
    unit_id="platform",
    owner="u-17",
    definition=DEFINITION,
    definition_version=1,
    position=801,
    health="breach",
    missed=("2025-05-01/2025-05-31",),
    reviews=(
        queries.ReviewCard(
            review_id="r-7",
            owner="u-23",
            due_on=date(2025, 8, 28),
            opened_at=NOW,
            reason="in breach",
        ),
    ),
)
_ALERT = queries.Alert(
    alert_id="kpi_in_breach:kpi/uptime:@801",
    kind="kpi_in_breach",
    severity="critical",
    goal="kpi/uptime",
    title="Uptime of the public API",
    owner="u-17",
    unit_id="platform",
    since=NOW,
    why="98.2 % for 2025-07-01 to 2025-07-31 is in breach",
)
_TALLY = queries.Tally(
    objectives=1,
    key_results=2,
    healths=(queries.HealthCount("on_track", 0, 1), queries.HealthCount("at_risk", 1, 1)),
    progress=Decimal("0.64"),
)
_KEY_RESULT = queries.KeyResultCard(
    key_result_id="kr-uptime",
    objective_id="o-reliable",
    title="Uptime of the public API",
    owner="u-17",
    measure=UPTIME,
    weight=Decimal(1),
    position=1200,
    added_at=NOW,
    value=Decimal("99.1"),
    value_at=NOW,
    value_origin="entered",
    progress=Decimal("0.529412"),
    progress_origin="computed",
    status="at_risk",
    check_in_timing="on_time",
    health="at_risk",
)
_ANSWERS: tuple[queries.Answer, ...] = (
    queries.Goals(
        reflects=_REFLECTS,
        key_results=(_KEY_RESULT,),
        kpis=(_KPI,),
        comments=(queries.CommentCard(actor="u-4", at=NOW, text="Who runs the probe?"),),
    ),
    queries.Changes(
        reflects=_REFLECTS,
        changes=(
            queries.Change(
                position=1200,
                kind="key_result",
                id="kr-uptime",
                event="KeyResultRetargeted",
                field="measure.target",
                actor="u-17",
                recorded_at=NOW,
                known_at=NOW,
                effective_at=NOW,
                was=msgspec.Raw(b'"99.9"'),
                now=msgspec.Raw(b'"99.5"'),
                reason="the supplier's outage cannot be made up for",
            ),
        ),
    ),
    queries.ReadingSeries(
        reflects=_REFLECTS,
        kpi=_KPI,
        readings=(
            queries.ReadingCard(
                period="2025-07-01/2025-07-31",
                source="status page",
                effective_at=JULY_END,
                position=820,
                known_at=NOW,
                recorded_at=NOW,
                actor="u-17",
                event="recorded",
                value=Decimal("99.3"),
                origin="entered",
                counts=True,
                definition_version=1,
            ),
        ),
    ),
    queries.Events(
        reflects=_REFLECTS,
        events=(queries.ReplayedEvent(position=1, event=msgspec.Raw(b'{"specversion":"1.0"}')),),
    ),
    queries.Report(
        reflects=_REFLECTS,
        cycle=queries.CycleCard(
            cycle_id="2025-Q3",
            name="Third quarter 2025",
            cycle_kind="quarterly",
            start_on=Q3[0],
            end_on=Q3[1],
            state="closed",
            position=1230,
            aspirational_score=Decimal("0.64"),
            score_origin="rolled_up",
            bands=Policy().bands,
            retrospectives=(
                queries.RetrospectiveCard(
                    actor="u-17", at=NOW, celebrate="Nobody was woken up in September"
                ),
            ),
            closings=(
                queries.ClosingCard(
                    position=1230, at=NOW, actor="u-17", aspirational_score=Decimal("0.64")
                ),
            ),
        ),
        late=(_LATE,),
        units=(
            queries.UnitCard(unit_id="platform", name="Platform", unit_kind="team", position=2),
        ),
        objectives=(
            queries.ReportedObjective(
                queries.ObjectiveCard(
                    objective_id="o-reliable",
                    cycle_id="2025-Q3",
                    unit_id="platform",
                    title="Customers can rely on us",
                    owner="u-17",
                    objective_kind="aspirational",
                    state="published",
                    position=1222,
                    outcome="partial",
                    health="partial",
                    score=Decimal("0.64"),
                    score_computed=Decimal("0.68"),
                    score_origin="adjusted",
                    score_band="middle",
                    score_reason="the last outage was ours",
                    advice=(
                        replies.Warned("R5", "the objective has 1 key result; 2 to 5 are usual"),
                    ),
                ),
                (_KEY_RESULT,),
            ),
        ),
        kpis=(_KPI,),
    ),
    queries.ViewPage(position=1234, rows=(msgspec.Raw(b'{"kpi_id":"uptime"}'),)),
    queries.ViewPosition(position=1234, views=("goal_version", "reading")),
    queries.QueryRefused(reason="not_found", message="there is no KPI latency in acme"),
    queries.AlertList(reflects=_REFLECTS, alerts=(_ALERT,)),
    queries.RolledUp(
        reflects=_REFLECTS,
        units=(queries.UnitCard("platform", "Platform", "team", 7, parent_id="company"),),
        roll_ups=(
            queries.RollUp("2025-Q3", _TALLY),
            queries.RollUp("2025-Q3", _TALLY, unit_id="platform", own=_TALLY),
        ),
    ),
    queries.InsightList(
        reflects=_REFLECTS,
        forecasts=(
            queries.Forecast(
                key_result_id="kr-uptime",
                objective_id="o-reliable",
                cycle_id="2025-Q3",
                unit_id="platform",
                owner="u-17",
                title="Uptime of the public API",
                chance="may_miss",
                points=7,
                expected=Decimal("0.7"),
                ends_on=date(2025, 9, 30),
                value=Decimal("99.1"),
                progress=Decimal("0.55"),
                per_day=Decimal("0.0125"),
                forecast=Decimal("99.6"),
                low=Decimal("99.2"),
                high=Decimal("99.9"),
                progress_forecast=Decimal("0.8"),
                progress_low=Decimal("0.6"),
                progress_high=Decimal("0.95"),
            ),
        ),
        untouched=(
            queries.Untouched(
                goal="objective/o-reliable",
                title="Customers can rely on us",
                owner="u-17",
                unit_id="platform",
                cycle_id="2025-Q3",
                days=23,
                limit_days=17,
                touched_at=NOW,
            ),
        ),
        unaligned=(
            queries.Unaligned(
                objective_id="o-reliable",
                title="Customers can rely on us",
                owner="u-17",
                unit_id="platform",
                cycle_id="2025-Q3",
            ),
        ),
        leads=(
            queries.Leads(
                leading="deploys",
                lagging="uptime",
                unit_id="platform",
                relation="unit",
                periods=2,
                frequency="monthly",
                correlation=Decimal("-0.81"),
                pairs=34,
                effective_pairs=Decimal("29.3"),
                chance_alone=Decimal("0.000002"),
            ),
        ),
        pairs_compared=3,
        pairs_too_short=1,
    ),
    queries.Digest(
        reflects=_REFLECTS,
        week="2025-W33",
        start_on=date(2025, 8, 11),
        end_on=date(2025, 8, 17),
        organisation="Acme",
        zone="Europe/Berlin",
        changes=(
            queries.WeekChange(
                position=1201,
                at=NOW,
                actor="u-17",
                event="KeyResultReassigned",
                goal="key_result/kr-uptime",
                title="Uptime of the public API",
                fields=(
                    queries.ChangedField("owner", msgspec.Raw(b'"u-9"'), msgspec.Raw(b'"u-17"')),
                ),
            ),
        ),
        check_ins=(
            queries.WeekCheckIn(
                position=1202,
                at=NOW,
                effective_at=NOW,
                actor="u-17",
                key_result_id="kr-uptime",
                objective_id="o-reliable",
                title="Uptime of the public API",
                measure=UPTIME,
                event="recorded",
                value=Decimal("99.1"),
                status="at_risk",
            ),
        ),
        kpis=(queries.KpiMoved(_KPI, health_was="warning"),),
        said=(
            queries.Said(
                "2025-Q2",
                "Second quarter 2025",
                queries.RetrospectiveCard(actor="u-17", at=NOW, learned="Drop early"),
            ),
        ),
    ),
    queries.Differences(
        reflects_before=queries.Reflects(position=900, as_of=JULY_END, known_at=JULY_END),
        reflects=_REFLECTS,
        late=(_LATE,),
        things=(
            queries.Difference(
                kind="key_result",
                id="kr-uptime",
                title="Uptime of the public API",
                happened=("retargeted",),
                fields=(
                    queries.FieldDifference(
                        field="measure",
                        was=msgspec.Raw(codec.encode(UPTIME)),
                        now=msgspec.Raw(codec.encode(UPTIME_LOWERED)),
                    ),
                ),
                changes=(_RETARGETED,),
                cycle_id="2025-Q3",
                objective_id="o-reliable",
            ),
        ),
    ),
    queries.Blamed(reflects=_REFLECTS, fields=(_RETARGETED,)),
)


def recorded(event: events.Event, position: int = 1) -> codec.Recorded:
    """An example event as the log would hold it."""
    return codec.Recorded(
        position=position,
        event_id=str(UUID(int=(0x0198_0000_0000_7000 << 64) | (0x8000 << 48) | position)),
        organisation_id="acme",
        kind=event.kind,
        goal_id=event.goal_id,
        recorded_at=NOW,
        known_at=NOW,
        effective_at=codec.effective_at_of(event, NOW),
        actor="u-17",
        command_id=f"c-{position}",
        event=event,
        reason=getattr(event, "reason", None),
        provenance=getattr(event, "provenance", None),
    )


def _named(messages: Iterable[msgspec.Struct]) -> dict[str, bytes]:
    return {type(message).__name__: codec.encode(message) for message in messages}


EVENT_EXAMPLES: dict[str, bytes] = {
    codec.event_name(event): codec.encode_event(recorded(event, position))
    for position, event in enumerate(_EVENTS, start=1)
}
COMMAND_EXAMPLES: dict[str, bytes] = {
    type(command).__name__: codec.encode(codec.command_message(command, command_id="c-42"))
    for command in _COMMANDS
}
REPLY_EXAMPLES = _named(_REPLIES)
QUERY_EXAMPLES = _named(_QUERIES)
ANSWER_EXAMPLES = _named(_ANSWERS)
ALERT_EXAMPLES = {"Alert": codec.encode_alert("acme", _ALERT, 1234, NOW)}
EXAMPLES: dict[str, bytes] = {
    **EVENT_EXAMPLES,
    **COMMAND_EXAMPLES,
    **REPLY_EXAMPLES,
    **QUERY_EXAMPLES,
    **ANSWER_EXAMPLES,
    **ALERT_EXAMPLES,
}
"""Every message of the contracts by its name."""


def read_all() -> int:
    """Decode every example as a receiver would; how many there were."""
    for position, (name, payload) in enumerate(EVENT_EXAMPLES.items(), start=1):
        decoded = codec.decode_event(position, payload)
        if codec.encode_event(decoded) != payload or decoded.type != name:
            message = f"{name} does not come back as it was written"
            raise codec.UndecodableEvent(message)
    for payload in COMMAND_EXAMPLES.values():
        codec.decode_command(codec.decode_message(payload))
    for payload in REPLY_EXAMPLES.values():
        codec.decode_reply(payload)
    for name, payload in QUERY_EXAMPLES.items():
        msgspec.json.decode(payload, type=queries.QUERIES[name])
    for payload in ANSWER_EXAMPLES.values():
        msgspec.json.decode(payload, type=queries.Answer)
    for payload in ALERT_EXAMPLES.values():
        codec.decode_alert(payload)
    return len(EXAMPLES)


if __name__ == "__main__":
    print(f"{read_all()} examples read")  # what a person runs this for
