"""The reference of commands, events, refusal reasons and policy settings, as Markdown.

    python -m goal_contracts.reference README.md     writes it anew between the README's two marks
    python -m goal_contracts.reference               prints it

What is said of each is its own docstring, read from the source; examples are those of `examples`.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from goal_contracts import codec, commands, events, examples
from goal_contracts.policy import Policy, ReadingGrace
from goal_contracts.replies import RULES, Reason
from goal_contracts.schema import said_below

BEGIN: Final = "<!-- reference: python -m goal_contracts.reference README.md -->"
END: Final = "<!-- end of the reference -->"

_FOLLOWING: Final = (
    "KpiReadingRecorded",
    "KpiReadingCorrected",
    "KpiReadingRetracted",
    "KpiHealthChanged",
    "KpiReviewOpened",
)
"""What may follow from a value: readings computed from it, a band crossed, a breach reviewed."""


def _and_following(*own: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*own, *_FOLLOWING)))


LEADS_TO: Final[dict[str, tuple[str, ...]]] = {
    "OpenOrganisation": ("OrganisationOpened",),
    "ChangePolicy": ("PolicyChanged",),
    "StartHistoryImport": ("HistoryImportStarted",),
    "FinishHistoryImport": ("HistoryImportFinished",),
    "DefineUnit": ("UnitDefined",),
    "RenameUnit": ("UnitRenamed",),
    "MoveUnit": ("UnitMoved",),
    "RetireUnit": ("UnitRetired",),
    "PlanCycle": ("CyclePlanned", "CycleActivated"),
    "RescheduleCycle": ("CycleRescheduled",),
    "ActivateCycle": ("CycleActivated",),
    "StartCycleGrading": ("CycleGradingStarted",),
    "CloseCycle": ("CycleClosed",),
    "ReopenCycle": ("CycleReopened",),
    "CancelCycle": ("CycleCancelled",),
    "RecordRetrospective": ("RetrospectiveRecorded",),
    "DraftObjective": ("ObjectiveDrafted",),
    "PublishObjective": ("ObjectivePublished",),
    "RewordObjective": ("ObjectiveReworded",),
    "ReassignObjective": ("ObjectiveReassigned",),
    "ChangeObjectiveContributors": ("ObjectiveContributorsChanged",),
    "RealignObjective": ("ObjectiveRealigned",),
    "ChangeObjectiveKind": ("ObjectiveKindChanged",),
    "DropObjective": ("ObjectiveDropped",),
    "GradeObjective": ("ObjectiveGraded",),
    "CarryOverObjective": ("ObjectiveCarriedOver", "ObjectiveDrafted", "KeyResultAdded"),
    "AddKeyResult": ("KeyResultAdded",),
    "RewordKeyResult": ("KeyResultReworded",),
    "ReassignKeyResult": ("KeyResultReassigned",),
    "ReweightKeyResult": ("KeyResultReweighted",),
    "RetargetKeyResult": ("KeyResultRetargeted",),
    "DropKeyResult": ("KeyResultDropped",),
    "LinkKeyResultToKpi": ("KeyResultLinkedToKpi",),
    "UnlinkKeyResultFromKpi": ("KeyResultUnlinkedFromKpi",),
    "CheckIn": ("CheckedIn",),
    "CorrectCheckIn": ("CheckInCorrected",),
    "RetractCheckIn": ("CheckInRetracted",),
    "RecordCheckIns": ("CheckedIn",),
    "GradeKeyResult": ("KeyResultGraded",),
    "WaiveKeyResult": ("KeyResultWaived",),
    "DefineKpi": _and_following("KpiDefined"),
    "RedefineKpi": _and_following("KpiRedefined"),
    "RetargetKpi": ("KpiRetargeted",),
    "ReassignKpi": ("KpiReassigned",),
    "RetireKpi": ("KpiRetired",),
    "RecordReading": _and_following("KpiReadingRecorded"),
    "RecordReadings": _and_following("KpiReadingRecorded"),
    "CorrectReading": _and_following("KpiReadingCorrected"),
    "CorrectReadings": _and_following("KpiReadingCorrected"),
    "RetractReading": _and_following("KpiReadingRetracted"),
    "RecordMissedReading": ("KpiReadingMissed", "KpiHealthChanged"),
    "OpenKpiReview": ("KpiReviewOpened",),
    "CloseKpiReview": ("KpiReviewClosed",),
    "AddComment": ("CommentAdded",),
}
"""The events that may follow from each command, the first of them its own."""

OTHER_SETTINGS: Final = Policy(
    skip_planning=True,
    allow_cycle_overlap=True,
    fiscal_year_start_month=4,
    owner_may_be_team=True,
    counts="block",
    key_results_min=1,
    key_results_max=4,
    company_objectives_max=3,
    unit_objectives_max=5,
    structure_lock_days=30,
    update_lock_days=14,
    mid_cycle_reason="optional",
    parents="many",
    weights="sum_to_100",
    note_required=True,
    confidence_required=True,
    cadence="monthly",
    cadence_grace_days=5,
    backdating_days_max=30,
    correction_by="author",
    correction_window_days=30,
    grace_days_after_end=10,
    grade_adjustable=False,
    grade_by_owner=False,
    waived_by="admin",
    retrospective_required=False,
    reopened_by="unit_lead",
    reopen_within_days=365,
    carry_over_baseline="original",
    restatement_window_days=90,
    breach_runs=2,
    review_due_days=30,
    missed_readings="off",
    reading_grace=ReadingGrace(daily=2, weekly=5, monthly=20, quarterly=30, yearly=90),
    decided_on="required",
    advice="off",
    roll_up="both",
    progress_ceiling=Decimal("1.5"),
    bands=(Decimal("0.3"), Decimal("0.8")),
)
"""An example of each setting: every one is another than the default."""


def markdown() -> str:
    """The whole reference."""
    return "\n".join((*_commands(), "", *_events(), "", *_reasons(), "", *_settings()))


def placed(readme: str) -> str:
    """A README with the reference between its two marks; ValueError without them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{after}"


def _commands() -> Iterator[str]:
    yield "### Commands"
    yield ""
    yield "Each with the events it may lead to, what it needs and may carry, and an example."
    for name, command in commands.COMMANDS.items():
        fields = msgspec.structs.fields(command)
        needed = [f"`{each.name}`" for each in fields if each.required]
        optional = [f"`{each.name}`" for each in fields if not each.required]
        yield ""
        yield f"#### {name}"
        yield ""
        yield _on_one_line(inspect.getdoc(command))
        yield ""
        yield f"- leads to {_listed(LEADS_TO[name])}"
        yield f"- needs {', '.join(needed)}"
        if optional:
            yield f"- may carry {', '.join(optional)}"
        yield ""
        yield from _fenced(examples.COMMAND_EXAMPLES[name])


def _events() -> Iterator[str]:
    yield "### Events"
    yield ""
    yield "Each with the commands it may follow from, and its data as an example."
    for name, event in events.EVENTS.items():
        causes = [command for command, leads_to in LEADS_TO.items() if name in leads_to]
        stored = codec.decode_event(1, examples.EVENT_EXAMPLES[name])
        yield ""
        yield f"#### {name}"
        yield ""
        yield _on_one_line(inspect.getdoc(event))
        yield ""
        yield f"- may follow from {_listed(causes)}"
        yield ""
        yield from _fenced(codec.encode(stored.event))


def _reasons() -> Iterator[str]:
    yield "### Refusal reasons"
    yield ""
    yield "| reason | rule | what it means | what would be accepted | example of what is refused |"
    yield "| --- | --- | --- | --- | --- |"
    said = said_below(Reason)
    for reason in Reason:
        meaning, accepted, example = _parts(said.get(reason.name, ""), reason)
        yield f"| `{reason}` | {RULES.get(reason, '')} | {meaning} | {accepted} | {example} |"


def _settings() -> Iterator[str]:
    yield "### Policy settings"
    yield ""
    yield "As `goal-ledger policy set` takes them."
    yield ""
    yield "| setting | rule | what it says | accepted | default | example |"
    yield "| --- | --- | --- | --- | --- | --- |"
    said = said_below(Policy)
    default = Policy()
    for field in msgspec.structs.fields(Policy):
        rule, _, text = said.get(field.name, "").removesuffix(".").partition(": ")
        text = text.replace("None,", "`none`,")
        example = written(getattr(OTHER_SETTINGS, field.name))
        yield (
            f"| `{field.name}` | {rule} | {text} | {accepted_values(field.type)} "
            f"| `{written(getattr(default, field.name))}` | `{field.name}={example}` |"
        )


def written(value: object) -> str:
    """A setting's value as people write it: JSON, a text without its quotes, nothing is none."""
    match value:
        case None:
            return "none"
        case str():
            return value
        case Decimal():
            return f"{value:f}"
        case tuple():
            return ",".join(written(each) for each in value)
        case msgspec.Struct():
            pairs = msgspec.structs.asdict(value).items()
            return ",".join(f"{name}:{written(each)}" for name, each in pairs)
        case _:
            return msgspec.json.encode(value).decode()


def accepted_values(of: object) -> str:
    """What a setting of a type may be, in words."""
    if get_origin(of) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(of))
    parts = get_args(of)
    meta = next((each for each in parts if isinstance(each, Meta)), None)
    if meta is not None and meta.ge is not None:
        return f"{meta.ge:,} to {meta.le:,}"
    if meta is not None and meta.description is not None:
        return meta.description
    if type(None) in parts:
        return f"{accepted_values(parts[0])}, or `none`"
    if of is bool:
        return "`true`, `false`"
    if inspect.isclass(of) and issubclass(of, msgspec.Struct):
        return f"days for each of {', '.join(of.__struct_fields__)}"
    return "two numbers a and b, 0 < a < b < 1"


def _parts(text: str, reason: Reason) -> tuple[str, str, str]:
    found = re.fullmatch(r"(.+?) Accepted: (.+?) Example: (.+)", text)
    if found is None:
        raise ValueError(f"the docstring of {reason.name} says not all three things")
    meaning, accepted, example = (part.rstrip(".") for part in found.groups())
    return meaning, accepted, example


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}](#{name.lower()})" for name in names)


def _fenced(message: bytes) -> Iterator[str]:
    yield "```json"
    yield message.decode()
    yield "```"


def _on_one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def main(arguments: list[str]) -> None:
    """Prints the reference, or writes it into the README that is named."""
    if not arguments:
        sys.stdout.write(f"{markdown()}\n")
        return
    readme = Path(arguments[0])
    readme.write_text(placed(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
