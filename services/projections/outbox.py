"""What goes out by itself: alerts as messages, reports as files, each of them once.

Nothing goes out before the views have caught up with the log, nor while history is imported: what
is only half read would raise false alarms. What was sent is remembered (see view_store.sent): a
start, a rebuild or another service beside this one sends nothing again.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, assert_never

import nats.errors
import structlog
from goal_contracts import codec, subjects
from goal_contracts.client.stream import JetStreamError, stream_info
from goal_contracts.queries import (
    Alert,
    AlertList,
    Alerts,
    CycleReport,
    Digest,
    Report,
    WeeklyDigest,
)
from msgspec import Struct
from nats.aio.client import Client

from services.projections.feed import Feed
from services.projections.queries import Questions
from services.projections.succession import NothingAnswers, Views
from services.projections.view_store.reader import reading
from services.projections.view_store.sent import Sent
from services.projections.view_store.store import StoreUnavailable
from services.projections.views import due
from services.projections.views.current import CycleState, OrganisationState
from services.projections.views.days import end_of_day
from services.reports.rendering import FORMATS, Format, render_cycle_report, render_digest

LOOK_EVERY_S: Final = 300.0
CATCH_UP_S: Final = 10.0
FLUSH_S: Final = 10
CONTENT_TYPE: Final = "content-type"
MESSAGE_ID: Final = "Nats-Msg-Id"
"""By this header a stream that keeps alerts drops one that comes again."""
POSITION_MAX: Final = 2**63 - 1
PASSING: Final = (
    JetStreamError,
    nats.errors.Error,
    NothingAnswers,
    StoreUnavailable,
    TimeoutError,
    OSError,
)
"""What is over by the next look, or is seen to be when the log says so often enough."""

log = structlog.get_logger()


class ReportDue(Struct, frozen=True):
    """A report that is due: its name, for files and for what is remembered, and what it answers."""

    name: str
    asks: WeeklyDigest | CycleReport


class Outbox:
    """Sends what is due. `reports` is the directory where they go; without one, none are made."""

    def __init__(
        self,
        client: Client,
        stream: str,
        views: Feed | Views,
        questions: Questions,
        sent: Sent,
        *,
        alerts: bool,
        reports: Path | None,
    ) -> None:
        self._client = client
        self._stream = stream
        self._views = views
        self._questions = questions
        self._sent = sent
        self._alerts = alerts
        self._reports = reports

    async def run(self, clock: Callable[[], datetime]) -> None:
        """Look for what is due, at once and from time to time, until cancelled."""
        while True:
            try:
                await self.send_what_is_due(clock())
            except PASSING as error:
                log.warning("outbox_waits", why=f"{type(error).__name__}: {error}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def send_what_is_due(self, now: datetime) -> int:
        """How many alerts and reports went out; none while the views are behind the log."""
        last = (await stream_info(self._client, self._stream)).state.last_seq
        if not await self._views.reaches(last, CATCH_UP_S) or self._views.is_outdated:
            return 0
        went_out = 0
        for organisation_id, organisation in (await asyncio.to_thread(self._organisations)).items():
            if organisation.import_id is None:
                if self._alerts:
                    went_out += await self._send_alerts(organisation_id, now)
                if self._reports is not None:
                    directory = self._reports / organisation_id
                    went_out += await self._write_reports(
                        directory, organisation_id, organisation.zone, now
                    )
        return went_out

    # ------------------------------------------------------------------ alerts

    async def _send_alerts(self, organisation_id: str, now: datetime) -> int:
        answer = await asyncio.to_thread(
            self._questions.in_full, organisation_id, Alerts(), AlertList, now
        )
        alerts = {f"alert {alert.alert_id}": alert for alert in answer.alerts}
        taken = await asyncio.to_thread(self._sent.take, organisation_id, alerts.keys(), now)
        if not taken:
            return 0
        for item, alert in alerts.items():
            if item in taken:
                await self._publish(organisation_id, alert, answer.reflects.position, now)
        await self._client.flush(FLUSH_S)
        await asyncio.to_thread(self._sent.remember, organisation_id, taken, now)
        log.info("alerts_sent", organisation=organisation_id, alerts=len(taken))
        return len(taken)

    async def _publish(
        self, organisation_id: str, alert: Alert, position: int, now: datetime
    ) -> None:
        await self._client.publish(
            subjects.alert(organisation_id, alert.owner),
            codec.encode_alert(organisation_id, alert, position, now),
            headers={
                CONTENT_TYPE: codec.CONTENT_TYPE,
                MESSAGE_ID: f"{organisation_id} {alert.alert_id}",
            },
        )

    # ------------------------------------------------------------------ reports

    async def _write_reports(
        self, directory: Path, organisation_id: str, zone: str, now: datetime
    ) -> int:
        reports = await asyncio.to_thread(self._reports_due, organisation_id, zone, now)
        by_item = {f"report {report.name}": report for report in reports}
        taken = await asyncio.to_thread(self._sent.take, organisation_id, by_item.keys(), now)
        for item in sorted(taken):
            await asyncio.to_thread(self._write, directory, organisation_id, by_item[item], now)
            await asyncio.to_thread(self._sent.remember, organisation_id, [item], now)
            log.info("report_written", organisation=organisation_id, report=by_item[item].name)
        return len(taken)

    def _reports_due(self, organisation_id: str, zone: str, now: datetime) -> list[ReportDue]:
        week = due.week_due(now, zone)
        with reading(self._questions.engine) as reader:
            was_there = reader.position_known_at(organisation_id, end_of_day(week.last_day, zone))
            cycles = [
                goal.state
                for goal in reader.goals(organisation_id, "cycle", POSITION_MAX)
                if isinstance(goal.state, CycleState)
            ]
        found = [ReportDue(f"week-{week.name}", WeeklyDigest(week=week.name))] if was_there else []
        return found + [
            ReportDue(
                f"cycle-{closing.cycle_id}-{closing.position}",
                CycleReport(cycle=closing.cycle_id, as_of=f"@{closing.position}", by_week=True),
            )
            for closing in due.closings_due(cycles, now)
        ]

    def _write(
        self, directory: Path, organisation_id: str, report: ReportDue, now: datetime
    ) -> None:
        """One file in each format; whatever was there under that name says the same."""
        directory.mkdir(parents=True, exist_ok=True)
        for output_format, content in self._rendered(organisation_id, report, now):
            file = directory / f"{report.name}.{output_format}"
            beside = file.with_name(f".{file.name}.new")
            with beside.open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(file)

    def _rendered(
        self, organisation_id: str, report: ReportDue, now: datetime
    ) -> Iterator[tuple[Format, bytes]]:
        match report.asks:
            case WeeklyDigest() as asks:
                digest = self._questions.in_full(organisation_id, asks, Digest, now)
                for output_format in FORMATS:
                    yield output_format, render_digest(digest, output_format)
            case CycleReport() as asks:
                answer = self._questions.in_full(organisation_id, asks, Report, now)
                for output_format in FORMATS:
                    yield output_format, render_cycle_report(answer, output_format)
            case _:
                assert_never(report.asks)

    # ------------------------------------------------------------------ whose

    def _organisations(self) -> Mapping[str, OrganisationState]:
        with reading(self._questions.engine) as reader:
            return {
                organisation_id: state
                for organisation_id in reader.organisations()
                for state in reader.states(
                    organisation_id, "organisation", [organisation_id], POSITION_MAX
                ).values()
                if isinstance(state, OrganisationState)
            }
