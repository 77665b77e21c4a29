"""given / when / then for the ledger's decisions: commands before, a command now, what follows.

Each command is decided on the state, and `decide` is seen to leave it alone; each event that
follows goes through the wire form before it is folded; each state is checked against the rules.
"""

from collections.abc import MutableMapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

import pytest
from goal_contracts import commands
from goal_contracts.codec import (
    Recorded,
    command_message,
    decode_command,
    decode_event,
    decode_message,
    effective_at_of,
    encode,
    encode_event,
)
from goal_contracts.commands import (
    ActivateCycle,
    AddKeyResult,
    CloseCycle,
    Command,
    DefineKpi,
    DefineUnit,
    DraftObjective,
    GradeKeyResult,
    GradeObjective,
    OpenOrganisation,
    PlanCycle,
    PublishObjective,
    RecordRetrospective,
    ReopenCycle,
    StartCycleGrading,
)
from goal_contracts.events import Event, KpiDefinition
from goal_contracts.fields import ObjectiveKind
from goal_contracts.measures import Measure, Metric
from goal_contracts.policy import Policy
from goal_contracts.replies import RULES, Reason, Refusal, Warned
from msgspec.structs import replace

from services.ledger.domain import Asked, Organisation, advise, decide, evolve
from services.ledger.domain.answers import Answers
from tests.ledger.domain import invariants

ORG = "acme"
POLICY = Policy()
METRIC = Metric(unit="deals", baseline=Decimal(0), target=Decimal(100))


def day(text: str) -> datetime:
    """Noon of a day, or the instant itself, in UTC."""
    at = datetime.fromisoformat(text)
    return at.replace(hour=12, tzinfo=UTC) if len(text) == len("2025-02-10") else at


class Answer:
    """What the ledger answered: events, and advice that comes with them, or a refusal."""

    def __init__(
        self,
        events: tuple[Event, ...] = (),
        refusal: Refusal | None = None,
        warnings: tuple[Warned, ...] = (),
    ) -> None:
        self.events = events
        self.refusal = refusal
        self.warnings = warnings

    def accepted(self) -> tuple[Event, ...]:
        if self.refusal is not None:
            raise self.refusal
        return self.events

    def records(self, *kinds: type[Event]) -> Any:
        """The only event, or all of several."""
        assert tuple(type(event) for event in self.accepted()) == kinds
        return self.events[0] if len(kinds) == 1 else self.events

    def warns(self, *rules: str) -> tuple[Warned, ...]:
        """The advice, one after the other under these rules; none for none."""
        assert self.accepted()
        assert tuple(each.rule for each in self.warnings) == rules, self.warnings
        return self.warnings

    def does_nothing(self) -> None:
        assert self.accepted() == ()

    def refuses(self, reason: Reason, *, rule: str | None = None) -> Refusal:
        assert self.refusal is not None, f"accepted: {self.events}"
        assert self.refusal.reason == reason, self.refusal
        assert self.refusal.rule == (RULES.get(reason, "") if rule is None else rule)
        for text in (self.refusal.message, self.refusal.seen, self.refusal.accepted):
            assert text
            assert "None" not in text
        return self.refusal


class Scenario:
    """An organisation on its way: its state, its history and the time."""

    def __init__(self) -> None:
        self.organisation: Organisation | None = None
        self.history: list[Recorded] = []
        self.now = day("2025-01-02")
        self.policy_fixed = True

    @property
    def state(self) -> Organisation:
        assert self.organisation is not None
        return self.organisation

    def at(self, moment: str) -> Self:
        self.now = day(moment)
        return self

    def given(self, *steps: Command, by: str = "ann", import_id: str | None = None) -> Self:
        """Commands that are accepted."""
        for step in steps:
            self.when(step, by=by, import_id=import_id).accepted()
        return self

    def when(
        self,
        command: Command,
        *,
        by: str = "ann",
        import_id: str | None = None,
        **circumstances: Any,
    ) -> Answer:
        """Decide one command, and let happen what follows; what else `Asked` says may be given."""
        command = sent(command)
        before = snapshot(self.organisation)
        asked = Asked(
            organisation_id=ORG, actor=by, now=self.now, import_id=import_id, **circumstances
        )
        try:
            events = decide(self.organisation, command, asked)
        except Refusal as refusal:
            assert snapshot(self.organisation) == before
            return Answer(refusal=refusal)
        assert snapshot(self.organisation) == before
        assert not events or repeats(events[0], command)
        self.happen(*events, by=by)
        self.policy_fixed = self.policy_fixed and not isinstance(command, commands.ChangePolicy)
        invariants.check(self.state, policy_fixed=self.policy_fixed)
        return Answer(events, warnings=advise(self.state, events))

    def happen(self, *events: Event, by: str = "ann") -> Self:
        """Record events, each as the stream would give it back."""
        command_id = f"c-{len(self.history)}"
        for event in events:
            written = recorded(event, len(self.history) + 1, self.now, by, command_id)
            self.history.append(written)
            self.organisation = evolve(self.organisation, written)
        return self


def sent(command: Command) -> Command:
    """A command after its way through the wire."""
    message = command_message(command, command_id="c")
    return decode_command(decode_message(encode(message)))


def recorded(
    event: Event, position: int, now: datetime, by: str = "ann", command_id: str = "c"
) -> Recorded:
    """An event after its way through the wire."""
    written = Recorded(
        position=position,
        event_id=f"e-{position}",
        organisation_id=ORG,
        kind=event.kind,
        goal_id=event.goal_id,
        recorded_at=now,
        known_at=now,
        effective_at=effective_at_of(event, now),
        actor=by,
        command_id=command_id,
        event=event,
    )
    read = decode_event(position, encode_event(written))
    assert read == written
    return read


def repeats(event: Event, command: Command) -> bool:
    """Whether the event that answers a command says what was said, where it has a word for it."""
    told = set(command.__struct_fields__).intersection(event.__struct_fields__)
    return all(
        getattr(event, name) == said
        for name in told
        if (said := getattr(command, name)) is not None
    )


def snapshot(organisation: Organisation | None) -> Organisation | None:
    """A copy that no later change reaches: the entries are frozen, so the mappings are enough."""
    if organisation is None:
        return None
    mappings = {
        name: dict(entries)
        for name in organisation.__struct_fields__
        if isinstance(entries := getattr(organisation, name), MutableMapping)
    }
    answers = Answers()
    answers.add(organisation.answers.items())
    return replace(organisation, **{**mappings, "answers": answers})


def decimal(text: str | int | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# ------------------------------------------------------------------------------ where to begin


def company(policy: Policy = POLICY, zone: str = "UTC") -> Scenario:
    """acme: a company `co`, its teams `sales` and `ops`, a person `pat` in sales."""
    return Scenario().given(
        OpenOrganisation(name="Acme", zone=zone, policy=policy),
        DefineUnit(unit_id="co", name="Acme", unit_kind="company"),
        DefineUnit(unit_id="sales", name="Sales", unit_kind="team", parent_id="co"),
        DefineUnit(unit_id="ops", name="Operations", unit_kind="team", parent_id="co"),
        DefineUnit(unit_id="pat", name="Pat", unit_kind="person", parent_id="sales"),
    )


def planned(policy: Policy = POLICY, zone: str = "UTC") -> Scenario:
    """The year 2025 (`y`) with two quarters (`q1`, `q2`), all planned."""
    return company(policy, zone).given(
        plan("y", "annual", "2025-01-01", "2025-12-31"),
        plan("q1", "quarterly", "2025-01-01", "2025-03-31", "y"),
        plan("q2", "quarterly", "2025-04-01", "2025-06-30", "y"),
    )


def drafted(policy: Policy = POLICY, measure: Measure = METRIC, zone: str = "UTC") -> Scenario:
    """In q1 a draft `o` with the key result `kr`."""
    return planned(policy, zone).given(draft("o"), add("kr", measure=measure))


def running(policy: Policy = POLICY, measure: Measure = METRIC, zone: str = "UTC") -> Scenario:
    """On 10 February q1 is active and `o` published."""
    return (
        drafted(policy, measure, zone)
        .given(PublishObjective(objective_id="o"), ActivateCycle(cycle_id="q1"))
        .at("2025-02-10")
    )


def in_grading(policy: Policy = POLICY, measure: Measure = METRIC) -> Scenario:
    """On 2 April q1 is in grading."""
    return running(policy, measure).at("2025-04-02").given(StartCycleGrading(cycle_id="q1"))


def judged(policy: Policy = POLICY) -> Scenario:
    """Everything in q1 is judged, and people looked back."""
    return in_grading(policy).given(
        GradeKeyResult(key_result_id="kr"),
        GradeObjective(objective_id="o", outcome="missed"),
        RecordRetrospective(cycle_id="q1", learned="to begin earlier"),
    )


def closed(policy: Policy = POLICY) -> Scenario:
    return judged(policy).given(CloseCycle(cycle_id="q1"))


def reopened(policy: Policy = POLICY) -> Scenario:
    return closed(policy).given(ReopenCycle(cycle_id="q1", reason="a deal came late"))


# ------------------------------------------------------------------------------ commands in short


def plan(
    cycle_id: str, cycle_kind: Any, start_on: str, end_on: str, parent_id: str | None = None
) -> PlanCycle:
    return PlanCycle(
        cycle_id=cycle_id,
        name=cycle_id.upper(),
        cycle_kind=cycle_kind,
        start_on=day(start_on).date(),
        end_on=day(end_on).date(),
        parent_id=parent_id,
    )


def draft(
    objective_id: str,
    cycle_id: str = "q1",
    *,
    unit_id: str = "sales",
    owner: str = "ann",
    objective_kind: ObjectiveKind = "aspirational",
    aligned_to: tuple[str, ...] = (),
    reason: str | None = None,
) -> DraftObjective:
    return DraftObjective(
        objective_id=objective_id,
        cycle_id=cycle_id,
        unit_id=unit_id,
        title=f"Win with {objective_id}",
        owner=owner,
        objective_kind=objective_kind,
        aligned_to=aligned_to,
        reason=reason,
    )


def add(
    key_result_id: str,
    objective_id: str = "o",
    *,
    measure: Measure = METRIC,
    owner: str = "ann",
    weight: str = "1",
    reason: str | None = None,
) -> AddKeyResult:
    return AddKeyResult(
        key_result_id=key_result_id,
        objective_id=objective_id,
        title=f"Measure {key_result_id}",
        owner=owner,
        measure=measure,
        weight=Decimal(weight),
        reason=reason,
    )


def check_in(
    check_in_id: str = "ci", value: str | int | None = 10, on: str | None = None, **said: Any
) -> commands.CheckIn:
    return commands.CheckIn(
        key_result_id=said.pop("key_result_id", "kr"),
        check_in_id=check_in_id,
        value=decimal(value),
        effective_at=None if on is None else day(on),
        **said,
    )


def definition(**changes: Any) -> KpiDefinition:
    return replace(
        KpiDefinition(
            name="Churn", unit="%", direction="lower", frequency="monthly", source="billing"
        ),
        **changes,
    )


def kpi(kpi_id: str = "churn", **changes: Any) -> DefineKpi:
    return DefineKpi(kpi_id=kpi_id, unit_id="sales", owner="ann", definition=definition(**changes))


def reading(
    period: str = "2025-01-01/2025-01-31", value: str | int = 5, **said: Any
) -> commands.RecordReading:
    return commands.RecordReading(
        kpi_id=said.pop("kpi_id", "churn"), period=period, value=Decimal(value), **said
    )


def raises(reason: Reason) -> Any:
    """For what is asked of a part directly."""
    return pytest.raises(Refusal, match=f"^{reason}:")
