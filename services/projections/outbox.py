"""What goes out by itself: alerts as messages, reports as files, each of them once.

Nothing goes out before the views have caught up with the log, nor while history is imported: what
is only half read would raise false alarms. What was sent is remembered (see view_store.sent): a
start, a rebuild or another service beside this one sends nothing again.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import nats.errors
import structlog
from goal_contracts import codec, subjects
from goal_contracts.queries import (
    Alert,
    AlertList,
    Alerts,
    CycleReport,
    Digest,
    Report,
    WeeklyDigest,
)
from nats.aio.client import Client

from services.projections.feed import Feed
from services.projections.queries import CannotAnswer, Questions
from services.projections.view_store.reader import Reader, reading
from services.projections.view_store.sent import Sent
from services.projections.view_store.store import StoreUnavailable
from services.projections.views import due
from services.projections.views.current import CycleState, OrganisationState
from services.projections.views.days import end_of_day
from services.reports.rendering import FORMATS, render_cycle_report, render_digest
from services.stream_reader import JetStreamError, stream_info

LOOK_EVERY_S: Final = 300.0
CATCH_UP_S: Final = 10.0
FLUSH_S: Final = 10
POSITION_MAX: Final = 2**63 - 1
MESSAGE_ID: Final = "Nats-Msg-Id"
"""By this header a stream that keeps alerts drops one that comes again."""

log = structlog.get_logger()
