"""What the model does not judge, each with its reason: the rules say nothing, or leave it open.

Whoever reads a green run of the model reads here what it does not mean. Besides, a run draws no
clock that goes back, but for imports; `MALFORMED` bytes, sizes and load are not for the domain.
"""

from enum import Enum


class Lenient(Enum):
    """One leniency; its text says what is left open, after the rule it belongs to.

    Where a text asks for which reason, that a command is refused is judged nevertheless.
    """

    ALIGNED_TO_CANCELLED = "R9: whether a goal of a cancelled cycle is one that is still pursued."
    ALIGNED_TO_KPI = "R9: for which reason an alignment to a KPI is refused; it is no parent."
    ALL_WEIGHTS_ZERO = (
        "Section 3 wants a sum above 0, but no reason is published for weights that are all 0."
    )
    ANOTHERS_CHECK_IN = (
        "R14, R30: whether a contributor may correct what another said, or a lead outside the unit."
    )
    BACKDATED_FROM_WHEN = (
        "R13: once the cycle is over, whether days are counted back from today or from its end."
    )
    BEFORE_THE_FIRST = (
        "R29: what a position says that was looked at before there is an organisation."
    )
    CANCELLED_REOPENED = "R1: whether a reopened cycle may still be cancelled."
    CARRIED_FROM = "R21: for which reason nothing is carried out of a cycle that never ran."
    CARRIED_HOW = (
        "R21: for which reason a broken carry-over is refused, and whether it is held to R3 and R5."
    )
    CARRIED_ID = "Whether drafting under an id that was carried over is the same creation."
    CARRIED_LATER = "R21: whether a later cycle may begin before the other ends."
    CARRIED_NOWHERE = (
        "R21: which of several reasons comes first when objective or cycle is unknown."
    )
    CARRIED_TWICE = (
        "R21: whether carrying over again, alike, is nothing to do or a goal that has ended."
    )
    COMPUTED_MISSED = "R26, R27: whether a reading that is computed can be missed."
    CORRECTED_AFTER_END = "R14, R19: whether check-ins of what has ended are corrected."
    CREATED_AND_OBJECTED = (
        "Which reason comes first when an id is taken and something else is wrong."
    )
    DAYS_OR_HOURS = "R14, R19: whether a window of days ends with the day or with the hour."
    DRAFTS_COUNT = "R5: whether drafts count, and drafts' key results."
    DRAFT_JUDGED = "R16, R18: for which reason, or whether, a draft is judged."
    DROPPED_BELOW = "R5: whether dropping may leave a published objective with too few."
    EQUAL_WEIGHTS = "R10: whether equal weights are all 1, or may be alike at another number."
    FINISHED_TWICE = "Whether finishing a finished import is nothing to do."
    FIRST_VERSION = "R22: from which day the first version holds, that later ones must come after."
    FORMULA_OVER_RETIRED = "R27: whether a formula may name a retired KPI."
    HANDED_DOWN = "R30: whether what a policy hands down to contributors is bound to their units."
    IMPORTED_EARLIER = (
        "Whether what is nothing to do may come out of the order in which it was known."
    )
    IMPORT_BEGUN_EARLIER = "Whether an import may begin before what is known already."
    LAST_DAY_OF_ALL = (
        "Days at the very ends of the calendar: nothing says that they can be reckoned with."
    )
    LAST_TICK = "R13: whether a period is over with its last instant or after it."
    LOCKED_ELSEWHERE = (
        "R6: the locks while a cycle is judged or reopened, and the first day of a lock."
    )
    MEASURE_HELD_BY = "R8: whether a check-in without value, or one taken back, fixes the measure."
    MISSED_PERIOD = "R26: the grace of a period that the KPI's frequency does not have."
    ODD_NUMBER = "Which reason comes first when a number cannot be kept."
    OLD_FORMULAS = "R27: whether loops are looked for in versions that no longer hold."
    OPENED_BY_IMPORT = (
        "Whether an organisation is opened by an import, that can only begin after it."
    )
    OWNER_BECOMES_TEAM = "R3: whether an id that owns something may become a team."
    PARENT_OVER = (
        "R1, R2: whether a cycle may be laid or begun inside one that is closed or cancelled."
    )
    POINTS_TOUCH = "R4: whether baseline, commit and target of four points may coincide."
    REALIGNED_LATE = (
        "R6: whether and how goals are realigned once the cycle runs; it is not among the moves."
    )
    REASON_OUTSIDE_RUNNING = (
        "R7: whether dropping needs a reason while judged, or lowering of another kind."
    )
    RECHECKED_ON_PUBLISHING = "Whether publishing looks again at what drafting looked at."
    RECOVERY_ENDED = (
        "R24: for which reason a recovery that has ended, or an objective beside it, is refused."
    )
    REDEFINED_UNDER_LINKED = (
        "R8, R22: whether a KPI's unit may change under a key result that follows it."
    )
    RELATED_CHANGED = "R29: whether a goal changed with what was said of it, or with a part of it."
    RELINKED = (
        "R25: whether a key result gets another baseline or target of the same KPI by linking."
    )
    RELINKED_BY_RETARGETING = (
        "R8, R25: for which reason, or whether, retargeting links and unlinks."
    )
    RESCHEDULED_RUNNING = "R2, R6: whether and how a cycle is moved that is no longer planned."
    RETROSPECTIVE_WHEN = "R18: whether people may look back on a cycle that has not run."
    REVIEW_BESIDE = (
        "R24: whether a breach opens a review beside another, after a gap, or of a retired KPI."
    )
    REVIEW_CLOSED_TWICE = "R24: for which reason, or whether, a closed review is closed otherwise."
    REWEIGHTED_LATE = "R6: whether a locked structure holds weights."
    SAME_PARENT_TWICE = "R9: whether one parent that is named twice is two."
    SAME_VALUE = "R23: whether the same value from another numerator is the same."
    UNIT_KEPT = "Whether a goal may be left in a unit that has ended."
    UNSCORED_OBJECTIVE = "R16: whether an objective is judged without any score."
    WEIGHTS_IN_BETWEEN = (
        "R10: whether single changes are refused that break the weights in between."
    )
    WHAT_IS_AN_EDIT = (
        "R29: whether grading, closing, publishing, correcting and bulk commands are edits."
    )
    WHICH_IMPORT = "Which of its reasons refuses a command of another import."
    WHICH_STATE = (
        "Whether the state of a cycle is refused by its own reason or by that of the command."
    )


ADOPTED = (
    "Which role each command takes: R30 only names the roles. `asking.CONTRIBUTOR` and below it.",
    "Units bind owners and leads, contributors and admins not; contributors' commands bind nobody.",
    "What is an edit beyond doubt (R29): `asking.EDITS`; what never is: `asking.FACTS`.",
    "Asking for what is so already is nothing to do, for every command.",
    "Readings that are computed come from the source `formula` and say numerator and denominator.",
    "Of several sources a formula takes the KPI's own, or else the last.",
    "A retired KPI is computed no more, but may still be given another owner or unit.",
    "What a cycle came to is written in steps of 0.01.",
    "In grading structure and words are fixed; in a reopened cycle they are free again.",
    "A draft may be dropped whatever is locked.",
    "No missed reading is due while an import runs, nor later one that ended by that day.",
    "None is due either that ended by the day on which missed readings began to be recorded again.",
)
"""Where the rules are silent and the ledger always does the same, the model holds it to that: a
change of these is found, but that they are right nobody has judged.
"""
