"""The settings an organisation chooses for its cycle rules; the rule each belongs to is named."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

Days = Annotated[int, Meta(ge=0, le=3_660)]


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
    structure_lock_days: Days | None = None
    """R6: so many days after a cycle's start its structure is locked; None, never."""
    update_lock_days: Days | None = None
    """R6: so many days after a cycle's end nothing but grading is possible; None, never."""
    mid_cycle_reason: Literal["off", "optional", "required"] = "required"
    """R7: whether lowering, dropping or adding in a running cycle needs a reason; off, unmarked."""
    parents: Literal["one", "many"] = "one"
    """R9: how many parents an objective may align to."""
    note_required: bool = False
    """R11: a check-in needs a note."""
    confidence_required: bool = False
    """R11: a check-in needs a confidence."""
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
    retrospective_required: bool = True
    """R18: a cycle needs a retrospective before it closes."""
    reopen_within_days: Days = 90
    """R19: how long after closing a cycle may be reopened."""
    carry_over_baseline: Literal["last_value", "original"] = "last_value"
    """R21: where a carried key result starts from."""
    restatement_window_days: Days | None = None
    """R23: how long after its period a reading may be corrected or retracted; None, always."""
    progress_ceiling: Annotated[Decimal, Meta(description="1 to 2")] = Decimal(1)
    """Section 3: what progress is held to, 1 up to 2."""
    bands: tuple[Decimal, Decimal] = (Decimal("0.4"), Decimal("0.7"))
    """Section 3: where the middle and the high band of a score begin."""
