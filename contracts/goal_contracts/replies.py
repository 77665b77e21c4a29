"""What the ledger answers: accepted at a position, or refused for a reason from a closed list."""

from enum import StrEnum

from msgspec import Struct

from goal_contracts.fields import Id


class Reason(StrEnum):
    """Why a command was refused; RULES says which rule each one guards."""

    MALFORMED = "malformed"
    UNKNOWN_COMMAND = "unknown_command"
    TOO_LARGE = "too_large"
    OVERLOADED = "overloaded"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    NOT_FOUND = "not_found"
    ID_TAKEN = "id_taken"
    ORGANISATION_UNKNOWN = "organisation_unknown"
    ORGANISATION_EXISTS = "organisation_exists"
    ZONE_UNKNOWN = "zone_unknown"
    POLICY_INVALID = "policy_invalid"
    UNIT_RETIRED = "unit_retired"
    UNIT_TREE_LOOP = "unit_tree_loop"
    IMPORT_RUNNING = "import_running"
    IMPORT_NOT_RUNNING = "import_not_running"
    IMPORT_FINISHED = "import_finished"
    KNOWN_AT_OUT_OF_ORDER = "known_at_out_of_order"
    CYCLE_MOVE_NOT_ALLOWED = "cycle_move_not_allowed"
    CYCLE_DATES_INVALID = "cycle_dates_invalid"
    CYCLE_OUTSIDE_PARENT = "cycle_outside_parent"
    CYCLE_OVERLAPS = "cycle_overlaps"
    OWNER_IS_TEAM = "owner_is_team"
    NOT_MEASURABLE = "not_measurable"
    MEASURE_INVALID = "measure_invalid"
    WEIGHT_INVALID = "weight_invalid"
    CYCLE_NOT_OPEN = "cycle_not_open"
    STRUCTURE_LOCKED = "structure_locked"
    UPDATE_LOCKED = "update_locked"
    REASON_REQUIRED = "reason_required"
    MEASURE_FIXED = "measure_fixed"
    ALIGNMENT_LOOP = "alignment_loop"
    ALIGNMENT_OUT_OF_CYCLE = "alignment_out_of_cycle"
    ALIGNMENT_CLOSED = "alignment_closed"
    TOO_MANY_PARENTS = "too_many_parents"
    CHECK_INS_CLOSED = "check_ins_closed"
    VALUE_DOES_NOT_FIT = "value_does_not_fit"
    NOTHING_SAID = "nothing_said"
    NOTE_REQUIRED = "note_required"
    CONFIDENCE_REQUIRED = "confidence_required"
    EFFECTIVE_IN_FUTURE = "effective_in_future"
    EFFECTIVE_OUTSIDE_CYCLE = "effective_outside_cycle"
    BACKDATED_TOO_FAR = "backdated_too_far"
    NOT_THE_AUTHOR = "not_the_author"
    CORRECTION_WINDOW_OVER = "correction_window_over"
    ALREADY_RETRACTED = "already_retracted"
    GRACE_OVER = "grace_over"
    NOT_IN_GRADING = "not_in_grading"
    SCORE_INVALID = "score_invalid"
    SCORE_NOT_ADJUSTABLE = "score_not_adjustable"
    OWNER_MAY_NOT_GRADE = "owner_may_not_grade"
    OUTCOME_INVALID = "outcome_invalid"
    NOT_ALL_SCORED = "not_all_scored"
    OUTCOME_MISSING = "outcome_missing"
    RETROSPECTIVE_MISSING = "retrospective_missing"
    CYCLE_CLOSED = "cycle_closed"
    REOPEN_WINDOW_OVER = "reopen_window_over"
    GOAL_ENDED = "goal_ended"
    CARRY_OVER_INVALID = "carry_over_invalid"
    DEFINITION_INVALID = "definition_invalid"
    KPI_RETIRED = "kpi_retired"
    PERIOD_INVALID = "period_invalid"
    READING_EXISTS = "reading_exists"
    RESTATEMENT_WINDOW_OVER = "restatement_window_over"
    FOLLOWS_KPI = "follows_kpi"
    NOT_LINKED = "not_linked"
    REVIEW_INVALID = "review_invalid"


RULES: dict[Reason, str] = {
    Reason.CYCLE_MOVE_NOT_ALLOWED: "R1",
    Reason.CYCLE_DATES_INVALID: "R2",
    Reason.CYCLE_OUTSIDE_PARENT: "R2",
    Reason.CYCLE_OVERLAPS: "R2",
    Reason.OWNER_IS_TEAM: "R3",
    Reason.NOT_MEASURABLE: "R4",
    Reason.MEASURE_INVALID: "R4",
    Reason.WEIGHT_INVALID: "R4",
    Reason.CYCLE_NOT_OPEN: "R6",
    Reason.STRUCTURE_LOCKED: "R6",
    Reason.UPDATE_LOCKED: "R6",
    Reason.MEASURE_FIXED: "R8",
    Reason.ALIGNMENT_LOOP: "R9",
    Reason.ALIGNMENT_OUT_OF_CYCLE: "R9",
    Reason.ALIGNMENT_CLOSED: "R9",
    Reason.TOO_MANY_PARENTS: "R9",
    Reason.CHECK_INS_CLOSED: "R11",
    Reason.VALUE_DOES_NOT_FIT: "R11",
    Reason.NOTHING_SAID: "R11",
    Reason.NOTE_REQUIRED: "R11",
    Reason.CONFIDENCE_REQUIRED: "R11",
    Reason.EFFECTIVE_IN_FUTURE: "R13",
    Reason.EFFECTIVE_OUTSIDE_CYCLE: "R13",
    Reason.BACKDATED_TOO_FAR: "R13",
    Reason.NOT_THE_AUTHOR: "R14",
    Reason.CORRECTION_WINDOW_OVER: "R14",
    Reason.ALREADY_RETRACTED: "R14",
    Reason.GRACE_OVER: "R15",
    Reason.NOT_IN_GRADING: "R16",
    Reason.SCORE_INVALID: "R16",
    Reason.SCORE_NOT_ADJUSTABLE: "R16",
    Reason.OWNER_MAY_NOT_GRADE: "R16",
    Reason.OUTCOME_INVALID: "R18",
    Reason.NOT_ALL_SCORED: "R18",
    Reason.OUTCOME_MISSING: "R18",
    Reason.RETROSPECTIVE_MISSING: "R18",
    Reason.CYCLE_CLOSED: "R19",
    Reason.REOPEN_WINDOW_OVER: "R19",
    Reason.CARRY_OVER_INVALID: "R21",
    Reason.DEFINITION_INVALID: "R22",
    Reason.KPI_RETIRED: "R22",
    Reason.PERIOD_INVALID: "R23",
    Reason.READING_EXISTS: "R23",
    Reason.RESTATEMENT_WINDOW_OVER: "R23",
    Reason.FOLLOWS_KPI: "R25",
    Reason.NOT_LINKED: "R25",
}
"""The rule a reason guards; REASON_REQUIRED guards several and is refused with the rule named."""


class Refusal(Exception):  # the domain's word; it is an answer, not an error
    """A command cannot be accepted: the reason, the value seen and what would be accepted."""

    def __init__(
        self, reason: Reason, message: str, *, seen: str = "", accepted: str = "", rule: str = ""
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.rule = rule or RULES.get(reason, "")
        self.message = message
        self.seen = seen
        self.accepted = accepted


class Accepted(Struct, frozen=True, tag_field="reply", tag="accepted"):
    """The command is in the log: `events` of them, the last at `position`.

    With no events there was nothing to do, and `position` is what the ledger had read so far.
    """

    command_id: Id
    position: int
    events: int


class Refused(Struct, frozen=True, tag_field="reply", tag="refused", omit_defaults=True):
    """Nothing was recorded: the reason, the rule it guards, what was seen and what would do."""

    command_id: str
    reason: Reason
    message: str
    rule: str = ""
    seen: str = ""
    accepted: str = ""


Reply = Accepted | Refused
