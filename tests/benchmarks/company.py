"""A company to check in on: one active cycle with so many key results, as commands, from a seed.

The same size gives the same commands: nothing in it depends on when it is made but the cycle's
days, which have to enclose today.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Final

from goal_contracts.codec import CommandMessage, command_message
from goal_contracts.commands import (
    ActivateCycle,
    AddKeyResult,
    CheckIn,
    Command,
    DefineKpi,
    DefineUnit,
    DraftObjective,
    OpenOrganisation,
    PlanCycle,
    PublishObjective,
    RecordReading,
    RecordReadings,
)
from goal_contracts.events import KpiDefinition
from goal_contracts.measures import Metric
from goal_contracts.policy import Policy

ORGANISATION: Final = "bench"
ACTOR: Final = "u-17"
CYCLE: Final = "quarter"
COMPANY: Final = "company"
KEY_RESULTS_EACH: Final = 3
OBJECTIVES_EACH: Final = 3
READINGS_FROM: Final = date(1970, 1, 1)
TARGET: Final = Decimal(100)


class Company:
    """So many key results, three to an objective, three objectives to a team; and their KPIs."""

    def __init__(self, key_results: int, kpis: int = 0) -> None:
        self.key_results = [f"kr-{number}" for number in range(key_results)]
        self.kpis = [f"kpi-{number}" for number in range(kpis)]

    def founding(self) -> Iterator[list[Command]]:
        """The commands that make it, in stages; those of a stage may come in any order."""
        today = datetime.now(UTC).date()
        objectives = range(-(-len(self.key_results) // KEY_RESULTS_EACH))
        teams = range(-(-len(objectives) // OBJECTIVES_EACH))
        # A reading that is not there is no matter of this measurement.
        yield [OpenOrganisation("Bench", policy=Policy(missed_readings="off"))]
        yield [DefineUnit(COMPANY, "Company", "company")]
        yield [
            PlanCycle(
                CYCLE,
                "Quarter",
                "custom",
                today - timedelta(days=30),
                today + timedelta(days=60),
            ),
            *(DefineUnit(f"team-{team}", f"Team {team}", "team", COMPANY) for team in teams),
        ]
        yield [
            DraftObjective(
                f"o-{number}",
                CYCLE,
                f"team-{number // OBJECTIVES_EACH}",
                f"Customers come back, part {number}",
                ACTOR,
            )
            for number in objectives
        ]
        yield [
            AddKeyResult(
                key_result,
                f"o-{number // KEY_RESULTS_EACH}",
                f"Repeat orders of segment {number} from 0 % to 100 %",
                ACTOR,
                Metric("%", Decimal(0), TARGET),
            )
            for number, key_result in enumerate(self.key_results)
        ]
        yield [PublishObjective(f"o-{number}") for number in objectives]
        yield [ActivateCycle(CYCLE)]
        yield [
            DefineKpi(
                kpi,
                COMPANY,
                ACTOR,
                KpiDefinition(f"Indicator {kpi}", "points", "higher", "daily", "readings.csv"),
            )
            for kpi in self.kpis
        ]

    def founding_messages(self) -> Iterator[list[CommandMessage]]:
        """The same, ready to be sent."""
        for stage, some in enumerate(self.founding()):
            yield [
                command_message(command, command_id=f"founding-{stage}-{number}")
                for number, command in enumerate(some)
            ]


def check_in(key_result: str, check_in_id: str) -> CheckIn:
    """As a person sends it: value, confidence, status and a line of text."""
    return CheckIn(
        key_result,
        check_in_id,
        value=Decimal("41.5"),
        confidence=7,
        status="on_track",
        note="The second campaign went out on Monday.",
    )


def bulks_of_readings(company: Company, size: int) -> Iterator[RecordReadings]:
    """Readings of all KPIs, day after day, so many to a command, without an end."""
    readings = (
        RecordReading(
            kpi,
            f"{day}/{day}",
            Decimal(number % 1_000) / 10,
            provenance="readings.csv, line 1",
        )
        for number in count()
        for day in [READINGS_FROM + timedelta(days=number)]
        for kpi in company.kpis
    )
    while True:
        yield RecordReadings(tuple(next(readings) for _ in range(size)))
