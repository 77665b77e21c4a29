"""What the ledger answers: accepted at a position, or refused for a reason from a closed list."""

from enum import StrEnum

from msgspec import Struct

from goal_contracts.fields import Id


class Reason(StrEnum):
    """Why a command was refused; RULES says which rule each one guards.

    Below each: what it means, what would be accepted, and an example of what is refused.
    """

    MALFORMED = "malformed"
    """The message, or a list in it, cannot be read as what the contracts say. Accepted: JSON as the
    struct of that name describes it, without unknown fields. Example: `CheckIn` with
    `confidence` 11.
    """

    UNKNOWN_COMMAND = "unknown_command"
    """No command has that name. Accepted: a command of this list. Example: `DeleteObjective`."""

    TOO_LARGE = "too_large"
    """An event, or all events of the command together, would not fit into one commit. Accepted: at
    most 61,440 bytes an event and 1,000 events a command. Example: a grading that crosses the
    bands of 2,000 KPIs at once.
    """

    OVERLOADED = "overloaded"
    """More commands are waiting than the ledger takes in. Accepted: the same command under the same
    id, a little later. Example: 2,000 clients at once.
    """

    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    """A number is not one that can be kept without loss. Accepted: a finite number of at most 28
    digits, at most 18 places either side of the point. Example: a value of `1E+40`.
    """

    NOT_FOUND = "not_found"
    """Something the command names is not there. Accepted: the id of something that exists. Example:
    `PublishObjective` of an id never drafted.
    """

    ID_TAKEN = "id_taken"
    """The id was created with another content. Accepted: an id that nobody has used, or the same
    content as then. Example: `DefineUnit` of `platform` under another name.
    """

    ORGANISATION_UNKNOWN = "organisation_unknown"
    """There is no ledger of that organisation. Accepted: `OpenOrganisation` first. Example: any
    other command to `acme` before that.
    """

    ORGANISATION_EXISTS = "organisation_exists"
    """The organisation's ledger was opened with another name, zone or policy. Accepted: the same
    content as then, or `ChangePolicy`. Example: `OpenOrganisation` of `acme` in another zone.
    """

    ZONE_UNKNOWN = "zone_unknown"
    """There is no such time zone. Accepted: a name of the IANA time zone database. Example:
    `Europe/Atlantis`.
    """

    POLICY_INVALID = "policy_invalid"
    """Two settings contradict each other, or one is outside its bounds. Accepted: settings that
    hold together, as each says. Example: `key_results_min` 6 with `key_results_max` 5.
    """

    UNIT_RETIRED = "unit_retired"
    """The unit has ended. Accepted: a unit that is not retired. Example: `DraftObjective` for a
    team that was merged.
    """

    UNIT_TREE_LOOP = "unit_tree_loop"
    """A unit would stand below itself. Accepted: a parent outside the part of the tree that moves.
    Example: `MoveUnit` of `engineering` below its own team.
    """

    IMPORT_RUNNING = "import_running"
    """History is being imported, and nothing else is taken meanwhile. Accepted: a command of that
    import, or any once it is finished. Example: a live `CheckIn` during an import.
    """

    IMPORT_NOT_RUNNING = "import_not_running"
    """The command belongs to an import that is not running. Accepted: `StartHistoryImport` first.
    Example: a reading with an unknown `import_id`.
    """

    IMPORT_FINISHED = "import_finished"
    """The import has come to its end, and takes nothing more. Accepted: another import, under an id
    of its own. Example: `StartHistoryImport` of what is in already.
    """

    NOT_PERMITTED = "not_permitted"
    """The actor's role, or the units it counts in, does not allow the command. Accepted: the role
    that the message names, in the unit of the goal. Example: `ChangePolicy` by a contributor.
    """

    DECIDED_ON_REQUIRED = "decided_on_required"
    """A person's edit has to say which position it was decided on. Accepted: `decided_on` with the
    position of the answer that was looked at. Example: `RewordObjective` without it under
    `decided_on=required`.
    """

    GOAL_CHANGED_SINCE = "goal_changed_since"
    """The goal has changed after the position the command was decided on. Accepted: a new decision
    on the position that the message names. Example: two people retarget the same key result.
    """

    COUNT_OUT_OF_BOUNDS = "count_out_of_bounds"
    """There would be too few or too many key results, or too many objectives, under `counts=block`.
    Accepted: a number within the bounds of the policy. Example: `PublishObjective` with a single
    key result.
    """

    WEIGHTS_OUT_OF_POLICY = "weights_out_of_policy"
    """The weights of an objective are not as the policy wants them. Accepted: equal weights, or
    weights that come to 100. Example: weights of 50 and 40 under `weights=sum_to_100`.
    """

    EXPLANATION_REQUIRED = "explanation_required"
    """A committed objective was missed, and nobody says why. Accepted: the same command with a
    reason that explains it. Example: `GradeObjective` with the outcome `missed`.
    """

    FORMULA_INVALID = "formula_invalid"
    """A formula names what it cannot be computed from. Accepted: KPIs that exist, each named once,
    and a factor other than 0. Example: a `Ratio` over a KPI that nobody has defined.
    """

    FORMULA_LOOP = "formula_loop"
    """A KPI would be computed from itself, directly or by way of others. Accepted: sources that do
    not lead back to it. Example: `churn` as a `Ratio` with the numerator `churn`.
    """

    COMPUTED_KPI = "computed_kpi"
    """The KPI is computed from others and takes no reading of its own. Accepted: a reading, or a
    correction, of the KPIs it is computed from. Example: `RecordReading` of a `Ratio`.
    """

    KNOWN_AT_OUT_OF_ORDER = "known_at_out_of_order"
    """Imported history does not come in the order in which it was known, or is from the future.
    Accepted: a `known_at` not before the last one, and not after now. Example: May's readings
    after June's.
    """

    CYCLE_MOVE_NOT_ALLOWED = "cycle_move_not_allowed"
    """A cycle does not go from the state it is in to the one asked for. Accepted: planned, active,
    grading, closed; reopened after closed; cancelled before it. Example: `CloseCycle` of an
    active cycle.
    """

    CYCLE_DATES_INVALID = "cycle_dates_invalid"
    """The days are not those of a cycle of that kind. Accepted: the first day before the last, and
    the calendar's own quarter, month or year. Example: a quarterly cycle of two months.
    """

    CYCLE_OUTSIDE_PARENT = "cycle_outside_parent"
    """A cycle does not lie inside its parent. Accepted: days within those of the parent. Example: a
    quarter of 2026 inside the year 2025.
    """

    CYCLE_OVERLAPS = "cycle_overlaps"
    """Another cycle of that kind shares days with it. Accepted: other days, or
    `allow_cycle_overlap=true`. Example: two quarters that both hold July.
    """

    OWNER_IS_TEAM = "owner_is_team"
    """One person has to be accountable, and the owner is another unit. Accepted: the id of a
    person, or `owner_may_be_team=true`. Example: an objective owned by `platform`.
    """

    NOT_MEASURABLE = "not_measurable"
    """The objective has nothing by which it could be judged. Accepted: at least one key result with
    a measure, then `PublishObjective`. Example: `PublishObjective` without a key result.
    """

    MEASURE_INVALID = "measure_invalid"
    """The measure leaves nothing to measure, or does not fit here. Accepted: a baseline other than
    the target, bounds in order, a count from 1 on. Example: a metric from 95 to 95.
    """

    WEIGHT_INVALID = "weight_invalid"
    """A weight is below 0. Accepted: 0 or more. Example: `ReweightKeyResult` with -1."""

    CYCLE_NOT_OPEN = "cycle_not_open"
    """The cycle is in no state in which that may change. Accepted: a cycle in the state that the
    message names. Example: `DraftObjective` in a cycle in grading.
    """

    STRUCTURE_LOCKED = "structure_locked"
    """The days in which goals may be added, dropped or measured otherwise are over. Accepted:
    rewording or reassigning, or the next cycle. Example: `AddKeyResult` on day 31 under
    `structure_lock_days=30`.
    """

    UPDATE_LOCKED = "update_locked"
    """So long after the cycle's end its goals no longer change. Accepted: grading and closing.
    Example: `CheckIn` on the 15th day under `update_lock_days=14`.
    """

    REASON_REQUIRED = "reason_required"
    """What was asked needs a reason; the rule is the one that wants it. Accepted: the same command
    with a reason. Example: `RetargetKeyResult` to a lower target in a running cycle.
    """

    MEASURE_FIXED = "measure_fixed"
    """Kind, unit and direction of a measure stay as they are after the first value. Accepted:
    another baseline or target of the same kind, unit and direction. Example: a metric that
    becomes a milestone after two check-ins.
    """

    ALIGNMENT_LOOP = "alignment_loop"
    """The objective would serve itself, directly or by way of others. Accepted: a parent that does
    not lead back. Example: `RealignObjective` to its own key result.
    """

    ALIGNMENT_OUT_OF_CYCLE = "alignment_out_of_cycle"
    """The parent belongs to a cycle that does not enclose the objective's, or to none. Accepted: a
    parent in the same cycle or one around it. Example: a goal of 2025-Q3 below one of 2025-Q2.
    """

    ALIGNMENT_CLOSED = "alignment_closed"
    """The parent is no longer pursued, or its cycle is closed. Accepted: a parent that is still
    pursued. Example: `RealignObjective` to a dropped objective.
    """

    TOO_MANY_PARENTS = "too_many_parents"
    """The objective would have several parents. Accepted: one parent, or `parents=many`. Example:
    `aligned_to` with two references.
    """

    CHECK_INS_CLOSED = "check_ins_closed"
    """The goal takes no check-ins in this state. Accepted: a published objective in a cycle that is
    active, in grading or reopened. Example: `CheckIn` in a planned cycle.
    """

    VALUE_DOES_NOT_FIT = "value_does_not_fit"
    """The value is none that the measure can have. Accepted: 0 or 1 for a milestone, a whole number
    from 0 on for a count. Example: 2 for a milestone.
    """

    NOTHING_SAID = "nothing_said"
    """A check-in or a retrospective is empty. Accepted: at least one of its fields. Example:
    `CheckIn` without value, confidence, status and note.
    """

    NOTE_REQUIRED = "note_required"
    """A check-in needs a note here. Accepted: a note. Example: `CheckIn` with a value only under
    `note_required=true`.
    """

    CONFIDENCE_REQUIRED = "confidence_required"
    """A check-in needs a confidence here. Accepted: a confidence from 0 to 10. Example: `CheckIn`
    with a value only under `confidence_required=true`.
    """

    EFFECTIVE_IN_FUTURE = "effective_in_future"
    """What is said lies in the future, or its period is not over. Accepted: now or earlier; a
    reading after its period's last day, and that it was missed after its grace. Example: August's
    reading on 30 August.
    """

    EFFECTIVE_OUTSIDE_CYCLE = "effective_outside_cycle"
    """A check-in does not lie inside its cycle. Accepted: an `effective_at` from the cycle's first
    instant to its last. Example: 1 October in 2025-Q3.
    """

    BACKDATED_TOO_FAR = "backdated_too_far"
    """A check-in lies further back than the policy allows. Accepted: an `effective_at` of at most
    `backdating_days_max` days ago. Example: 15 days back, where 14 are allowed.
    """

    NOT_THE_AUTHOR = "not_the_author"
    """Only who made a check-in may correct or retract it here. Accepted: the same command from its
    author. Example: `RetractCheckIn` by another under `correction_by=author`.
    """

    CORRECTION_WINDOW_OVER = "correction_window_over"
    """The check-in was made too long ago to be corrected or retracted. Accepted: within
    `correction_window_days` of making it. Example: `CorrectCheckIn` on the 31st day, where 30
    are allowed.
    """

    ALREADY_RETRACTED = "already_retracted"
    """The check-in or reading was taken back. Accepted: a new one. Example: `CorrectReading` after
    `RetractReading`.
    """

    GRACE_OVER = "grace_over"
    """The cycle is over, and so are the days after it in which check-ins are still taken. Accepted:
    within `grace_days_after_end`, or after `StartCycleGrading`. Example: `CheckIn` on 8 October
    for 2025-Q3.
    """

    NOT_IN_GRADING = "not_in_grading"
    """Judging takes place in grading, or in a reopened cycle. Accepted: `StartCycleGrading` first.
    Example: `GradeKeyResult` in an active cycle.
    """

    SCORE_INVALID = "score_invalid"
    """The score is no score, or none can be computed and none was given. Accepted: 0 to 1 in steps
    of 0.01. Example: 0.655.
    """

    SCORE_NOT_ADJUSTABLE = "score_not_adjustable"
    """Scores are taken as computed here. Accepted: the computed score, or none. Example: 0.8
    instead of 0.7 under `grade_adjustable=false`.
    """

    OWNER_MAY_NOT_GRADE = "owner_may_not_grade"
    """Who is accountable may not judge here. Accepted: the same command from anybody but the owner.
    Example: `GradeKeyResult` by its owner under `grade_by_owner=false`.
    """

    OUTCOME_INVALID = "outcome_invalid"
    """The outcome is no judgement. Accepted: achieved, partial or missed; `DropObjective` and
    `CarryOverObjective` say the others. Example: `GradeObjective` with `dropped`.
    """

    NOT_ALL_SCORED = "not_all_scored"
    """Key results of the cycle are neither scored nor waived. Accepted: `GradeKeyResult` or
    `WaiveKeyResult` for each. Example: `CloseCycle` right after `StartCycleGrading`.
    """

    OUTCOME_MISSING = "outcome_missing"
    """Objectives of the cycle have no outcome yet, or are drafts still. Accepted: `GradeObjective`
    for each; `DropObjective` ends a draft. Example: `CloseCycle` with all key results scored
    only.
    """

    RETROSPECTIVE_MISSING = "retrospective_missing"
    """Nobody has written down what was learned. Accepted: `RecordRetrospective` first, or
    `retrospective_required=false`. Example: `CloseCycle` with everything judged.
    """

    CYCLE_CLOSED = "cycle_closed"
    """The cycle is sealed. Accepted: comments, corrections and `ReopenCycle`. Example:
    `DropObjective` in a closed cycle.
    """

    REOPEN_WINDOW_OVER = "reopen_window_over"
    """The cycle was closed too long ago to be reopened. Accepted: within `reopen_within_days` of
    closing. Example: `ReopenCycle` on the 91st day.
    """

    GOAL_ENDED = "goal_ended"
    """The goal was dropped or carried over and changes no more. Accepted: a goal that is still
    pursued. Example: `RewordObjective` of a dropped one.
    """

    CARRY_OVER_INVALID = "carry_over_invalid"
    """The objective cannot go on that way. Accepted: a published objective that is pursued, a later
    cycle that is planned or active, and its own key results, each once. Example:
    `CarryOverObjective` into the same cycle.
    """

    DEFINITION_INVALID = "definition_invalid"
    """A definition has an empty band, or does not hold from a later day than the one before it.
    Accepted: each band's low at most its high, and a day after the last version's. Example:
    `RetargetKpi` with a healthy band from 99.5 to 99.
    """

    KPI_RETIRED = "kpi_retired"
    """The KPI is no longer watched. Accepted: corrections and comments, or another KPI. Example:
    `RecordReading` after `RetireKpi`.
    """

    PERIOD_INVALID = "period_invalid"
    """The period is not one of days. Accepted: first/last day, both included. Example:
    `2025-08-31/2025-08-01`.
    """

    READING_EXISTS = "reading_exists"
    """There is a reading of that period and source, and it says something else. Accepted: the same
    value, or `CorrectReading`. Example: 99.3 where 99.1 is recorded.
    """

    RESTATEMENT_WINDOW_OVER = "restatement_window_over"
    """The reading's period ended too long ago for it to be corrected or retracted. Accepted: within
    `restatement_window_days` of the period's end. Example: `CorrectReading` of July in December,
    where 90 days are allowed.
    """

    FOLLOWS_KPI = "follows_kpi"
    """The key result follows a KPI and takes no value of its own. Accepted: a reading of the KPI,
    or `UnlinkKeyResultFromKpi` first. Example: `CheckIn` with a value on a linked key result.
    """

    NOT_LINKED = "not_linked"
    """The key result follows no KPI. Accepted: a key result that does, or `LinkKeyResultToKpi`.
    Example: `UnlinkKeyResultFromKpi` of a metric.
    """

    REVIEW_INVALID = "review_invalid"
    """A review is due in the past, is closed already, or its decision does not hold together.
    Accepted: a day from today on; an objective for a recovery, and only for that. Example:
    `CloseKpiReview` with `recovery_objective` and no `objective_id`.
    """


RULES: dict[Reason, str] = {
    Reason.CYCLE_MOVE_NOT_ALLOWED: "R1",
    Reason.CYCLE_DATES_INVALID: "R2",
    Reason.CYCLE_OUTSIDE_PARENT: "R2",
    Reason.CYCLE_OVERLAPS: "R2",
    Reason.OWNER_IS_TEAM: "R3",
    Reason.NOT_MEASURABLE: "R4",
    Reason.MEASURE_INVALID: "R4",
    Reason.WEIGHT_INVALID: "R4",
    Reason.COUNT_OUT_OF_BOUNDS: "R5",
    Reason.CYCLE_NOT_OPEN: "R6",
    Reason.STRUCTURE_LOCKED: "R6",
    Reason.UPDATE_LOCKED: "R6",
    Reason.MEASURE_FIXED: "R8",
    Reason.ALIGNMENT_LOOP: "R9",
    Reason.ALIGNMENT_OUT_OF_CYCLE: "R9",
    Reason.ALIGNMENT_CLOSED: "R9",
    Reason.TOO_MANY_PARENTS: "R9",
    Reason.WEIGHTS_OUT_OF_POLICY: "R10",
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
    Reason.EXPLANATION_REQUIRED: "R17",
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
    Reason.REVIEW_INVALID: "R24",
    Reason.FOLLOWS_KPI: "R25",
    Reason.NOT_LINKED: "R25",
    Reason.FORMULA_INVALID: "R27",
    Reason.FORMULA_LOOP: "R27",
    Reason.COMPUTED_KPI: "R27",
    Reason.DECIDED_ON_REQUIRED: "R29",
    Reason.GOAL_CHANGED_SINCE: "R29",
    Reason.NOT_PERMITTED: "R30",
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


class Warned(Struct, frozen=True):
    """Advice that came with an accepted command: the rule it comes from, and what it says."""

    rule: str
    message: str


class RefusedItem(Struct, frozen=True, omit_defaults=True):
    """An item of a bulk command that was left out, counted from 0."""

    item: int
    reason: Reason
    message: str
    rule: str = ""
    seen: str = ""
    accepted: str = ""


class Accepted(Struct, frozen=True, tag_field="reply", tag="accepted", omit_defaults=True):
    """The command is in the log: `events` of them, the last at `position`.

    With no events there was nothing to do, and `position` is what the ledger had read so far.
    Warnings are advice and nowhere recorded; `refused` are the items that a bulk command asked to
    be decided one by one had to leave out.
    """

    command_id: Id
    position: int
    events: int
    warnings: tuple[Warned, ...] = ()
    refused: tuple[RefusedItem, ...] = ()


class Refused(Struct, frozen=True, tag_field="reply", tag="refused", omit_defaults=True):
    """Nothing was recorded: the reason, the rule it guards, what was seen and what would do."""

    command_id: str
    reason: Reason
    message: str
    rule: str = ""
    seen: str = ""
    accepted: str = ""


Reply = Accepted | Refused
