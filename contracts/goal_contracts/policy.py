"""The settings an organisation chooses for its cycle rules; the rule each belongs to is named."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from goal_contracts.fields import Frequency, Role

Days = Annotated[int, Meta(ge=0, le=3_660)]


class ReadingGrace(Struct, frozen=True):
    """How many days after its period's end a reading may still come before it is missed (R26)."""

    daily: Days = 1
    weekly: Days = 3
    monthly: Days = 10
    quarterly: Days = 20
    yearly: Days = 60

    def days(self, frequency: Frequency) -> int:
        """The grace of one frequency."""
        days: int = getattr(self, frequency)
        return days


class Policy(Struct, frozen=True):
    """All settings of one organisation, always written out in full.

    A default that changes in a later release must not repaint what a cycle was activated or
    closed under (R20), so the stored form never leaves a setting out.
    """

    skip_planning: bool = False
    """R1: a cycle may begin without having been planned before."""
    allow_cycle_overlap: bool = False
    """R2: cycles of one kind may overlap."""
    fiscal_year_start_month: Annotated[int, Meta(ge=1, le=12)] = 1
    """R2: the month in which annual and quarterly cycles begin to count."""
    owner_may_be_team: bool = False
    """R3: a unit that is not a person may be the accountable owner."""
    counts: Literal["off", "warn", "block"] = "warn"
    """R5: what happens outside the numbers below."""
    key_results_min: Annotated[int, Meta(ge=1, le=100)] = 2
    """R5: the fewest key results of a published objective."""
    key_results_max: Annotated[int, Meta(ge=1, le=100)] = 5
    """R5: the most key results of an objective."""
    company_objectives_max: Annotated[int, Meta(ge=1, le=1_000)] = 5
    """R5: the most objectives of the company itself in a cycle."""
    unit_objectives_max: Annotated[int, Meta(ge=1, le=1_000)] = 3
    """R5: the most objectives of any other unit in a cycle."""
    structure_lock_days: Days | None = None
    """R6: so many days after a cycle's start its structure is locked; None, never."""
    update_lock_days: Days | None = None
    """R6: so many days after a cycle's end nothing but grading is possible; None, never."""
    mid_cycle_reason: Literal["off", "optional", "required"] = "required"
    """R7: whether lowering, dropping or adding in a running cycle needs a reason; off, unmarked."""
    parents: Literal["one", "many"] = "one"
    """R9: how many parents an objective may align to."""
    weights: Literal["free", "equal", "sum_to_100"] = "free"
    """R10: what weights the key results of an objective may have."""
    note_required: bool = False
    """R11: a check-in needs a note."""
    confidence_required: bool = False
    """R11: a check-in needs a confidence."""
    cadence: Literal["weekly", "biweekly", "monthly"] = "weekly"
    """R12: how often a check-in is due."""
    cadence_grace_days: Days = 3
    """R12: how long a check-in that is due may be late before it is overdue."""
    backdating_days_max: Days = 14
    """R13: how far back a check-in's effective date may lie."""
    correction_by: Literal["anyone", "author"] = "anyone"
    """R14: who may correct or retract a check-in."""
    correction_window_days: Days | None = None
    """R14: how long a check-in may be corrected or retracted; None, always."""
    grace_days_after_end: Days = 7
    """R15: how long after a cycle's end check-ins effective inside it are still taken."""
    grade_adjustable: bool = True
    """R16: a computed score may be adjusted, with a reason."""
    grade_by_owner: bool = True
    """R16: the owner of a goal may grade it."""
    waived_by: Role = "unit_lead"
    """R18: who may leave a key result out of the judging."""
    retrospective_required: bool = True
    """R18: a cycle needs a retrospective before it closes."""
    reopened_by: Role = "admin"
    """R19: who may reopen a closed cycle."""
    reopen_within_days: Days = 90
    """R19: how long after closing a cycle may be reopened."""
    carry_over_baseline: Literal["last_value", "original"] = "last_value"
    """R21: where a carried key result starts from."""
    restatement_window_days: Days | None = None
    """R23: how long after its period a reading may be corrected or retracted; None, always."""
    breach_runs: Annotated[int, Meta(ge=1, le=100)] = 1
    """R24: how many readings in breach, one after the other, open a review."""
    review_due_days: Days = 14
    """R24: how many days a review that opens by itself has."""
    missed_readings: Literal["off", "record"] = "record"
    """R26: whether a reading that does not come is recorded as missed."""
    reading_grace: ReadingGrace = ReadingGrace()
    """R26: how long a reading may still come after its period."""
    decided_on: Literal["optional", "required"] = "optional"
    """R29: whether a person's edit has to say on which position it was decided."""
    advice: Literal["off", "warn"] = "warn"
    """R31: whether the writing of goals is commented on."""
    roll_up: Literal["key_results", "children", "both"] = "key_results"
    """Measures: what an objective's progress is made of; children would be counted twice."""
    progress_ceiling: Annotated[Decimal, Meta(description="1 to 2")] = Decimal(1)
    """Measures: what progress is held to, 1 up to 2."""
    bands: tuple[Decimal, Decimal] = (Decimal("0.4"), Decimal("0.7"))
    """Measures: where the middle and the high band of a score begin."""
