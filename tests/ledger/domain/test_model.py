"""One life after the other, every step of it foretold by a model that never looks at the ledger.

The model is written from the rules and the published contracts alone; `model/leniencies.py` says
what it leaves open. Each command is foretold: refused, for which reasons, or accepted, with which
events; so is advice (R31), what is due (R26), and how goals stand with their check-ins (R12).

PROPERTY_EXAMPLES=1500 looks at so many lives instead of a few, and says how many steps that took;
`make properties` does.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from goal_contracts import cadence, commands
from goal_contracts.commands import COMMANDS, Command
from goal_contracts.events import Event
from goal_contracts.replies import Refusal
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from msgspec.structs import replace

from services.ledger.domain import (
    Asked,
    Decided,
    Organisation,
    advise,
    decide,
    evolve,
    facts_due,
    judge,
)
from tests.ledger.domain import commands_drawn as drawn
from tests.ledger.domain.commands_drawn import Circumstances
from tests.ledger.domain.model import advice, many, rhythm
from tests.ledger.domain.model.asking import THE_LEDGER
from tests.ledger.domain.model.expect import expect
from tests.ledger.domain.model.indicators import calendar, days_of, surely_due
from tests.ledger.domain.model.verdict import Verdict
from tests.ledger.domain.model.world import ONE_DAY, KeyResult, World
from tests.ledger.domain.scenario import ORG, day, recorded

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "40"))
ENOUGH_FOR_EVERY_COMMAND = 300
STEPS = 50
TRIES = 6
DUE_AT_ONCE = 100
"""With fewer facts due than that, the ledger gave all of them."""

TAKEN: Counter[str] = Counter()
"""How much all of it came to."""
ACCEPTED: Counter[str] = Counter()
"""How often something was recorded, by the name of the command."""

OUTWARD = (*advice.NUMBERED, *advice.ACTIVITY)
"""Titles about which there is something to say (R31)."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "organisation": (
        "OpenOrganisation",
        "ChangePolicy",
        "StartHistoryImport",
        "FinishHistoryImport",
    ),
    "units": ("DefineUnit", "RenameUnit", "MoveUnit", "RetireUnit"),
    "cycles": (
        "PlanCycle",
        "RescheduleCycle",
        "ActivateCycle",
        "StartCycleGrading",
        "CloseCycle",
        "ReopenCycle",
        "CancelCycle",
        "RecordRetrospective",
    ),
    "objectives": (
        "DraftObjective",
        "PublishObjective",
        "RewordObjective",
        "ReassignObjective",
        "ChangeObjectiveContributors",
        "RealignObjective",
        "ChangeObjectiveKind",
        "DropObjective",
        "CarryOverObjective",
    ),
    "key_results": (
        "AddKeyResult",
        "RewordKeyResult",
        "ReassignKeyResult",
        "ReweightKeyResult",
        "RetargetKeyResult",
        "DropKeyResult",
        "LinkKeyResultToKpi",
        "UnlinkKeyResultFromKpi",
    ),
    "check_ins": ("CheckIn", "CheckIn", "CorrectCheckIn", "RetractCheckIn", "RecordCheckIns"),
    "judging": ("GradeObjective", "GradeKeyResult", "WaiveKeyResult"),
    "indicators": (
        "DefineKpi",
        "RedefineKpi",
        "RetargetKpi",
        "ReassignKpi",
        "RetireKpi",
        "OpenKpiReview",
        "CloseKpiReview",
    ),
    "readings": (
        "RecordReading",
        "RecordReading",
        "RecordReadings",
        "CorrectReading",
        "CorrectReadings",
        "RetractReading",
        "RecordMissedReading",
    ),
    "comments": ("AddComment",),
}

Outcome = tuple[Event, ...] | Refusal
seeds = st.binary(min_size=drawn.SEED_BYTES, max_size=drawn.SEED_BYTES).map(
    lambda drawn_bytes: int.from_bytes(drawn_bytes, "big")
)
"""Of bytes and not integers, of which small ones would be drawn again and again."""


@pytest.fixture(scope="module", autouse=True)
def _how_much_was_looked_at(pytestconfig: pytest.Config) -> Iterator[None]:
    yield
    plugins = pytestconfig.pluginmanager
    reporter, capture = map(plugins.get_plugin, ("terminalreporter", "capturemanager"))
    if "PROPERTY_EXAMPLES" in os.environ and reporter is not None and capture is not None:
        said = ", ".join(f"{count:,} {name}" for name, count in TAKEN.items())
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"\n{said}")


class Life(RuleBasedStateMachine):
    """An organisation's life, foretold: the ledger's state beside the model's world."""

    def __init__(self) -> None:
        super().__init__()
        self.state: Organisation | None = None
        self.world = World()
        self.now = day("2025-01-02")
        self.said: list[Command] = []
        TAKEN["lives"] += 1

    @initialize(seed=seeds, length=st.sampled_from(drawn.LENGTHS))
    def a_story(self, seed: int, length: int) -> None:
        policy = replace(drawn.policies(Random(seed)), fiscal_year_start_month=1)
        for at, command in drawn.STORY[:length]:
            self.now = datetime.fromisoformat(at)
            self.ask(drawn._under(policy, command), Circumstances())

    # --------------------------------------------------------------------- a command of a family

    @rule(seed=seeds)
    def organisation(self, seed: int) -> None:
        self.one_of("organisation", seed)

    @rule(seed=seeds)
    def units(self, seed: int) -> None:
        self.one_of("units", seed)

    @rule(seed=seeds)
    def cycles(self, seed: int) -> None:
        self.one_of("cycles", seed)

    @rule(seed=seeds)
    def objectives(self, seed: int) -> None:
        self.one_of("objectives", seed)

    @rule(seed=seeds)
    def key_results(self, seed: int) -> None:
        self.one_of("key_results", seed)

    @rule(seed=seeds)
    def check_ins(self, seed: int) -> None:
        self.one_of("check_ins", seed)

    @rule(seed=seeds)
    def judging(self, seed: int) -> None:
        self.one_of("judging", seed)

    @rule(seed=seeds)
    def indicators(self, seed: int) -> None:
        self.one_of("indicators", seed)

    @rule(seed=seeds)
    def readings(self, seed: int) -> None:
        self.one_of("readings", seed)

    @rule(seed=seeds)
    def comments(self, seed: int) -> None:
        self.one_of("comments", seed)

    def one_of(self, family: str, seed: int) -> None:
        """Of several commands of a kind mostly one that goes, or else the first."""
        TAKEN["steps"] += 1
        random = Random(seed)
        kind = random.choice(FAMILIES[family])
        draws = [self._drawn(kind, random) for _ in range(TRIES)]
        chosen = draws[0]
        if random.randrange(4):
            chosen = next((each for each in draws if self._goes(*each)), chosen)
        self.ask(*chosen)

    def _drawn(self, kind: str, random: Random) -> tuple[Command, Circumstances]:
        command: Any = drawn.OF_KIND[kind](random)
        if getattr(command, "title", None) is not None and not random.randrange(3):
            command = replace(command, title=random.choice(OUTWARD))
        if getattr(command, "reason", None) is not None and not random.randrange(4):
            command = replace(command, reason=None)
        return command, self._circumstances(random)

    def _circumstances(self, random: Random) -> Circumstances:
        """Who asks; the clock of live commands does not go back."""
        told = drawn.circumstances(random)
        claimed = self.world.running if told.import_id == drawn.RUNNING else told.import_id
        return told if claimed is not None else replace(told, late=timedelta())

    def _goes(self, command: Command, circumstances: Circumstances) -> bool:
        asked = self._asked(circumstances)
        items = many.items_of(command) if type(command) in many.BULK else (command,)
        return all(expect(self.world, item, asked).accepts for item in items)

    # ------------------------------------------------------------------------ what else goes on

    @rule(seed=seeds)
    def something_is_asked_again(self, seed: int) -> None:
        TAKEN["steps"] += 1
        random = Random(seed)
        if self.said:
            self.ask(random.choice(self.said), self._circumstances(random))

    @rule(by=st.sampled_from((drawn.TICK, *(timedelta(days=each) for each in (1, 3, 8, 91)))))
    def time_passes(self, by: timedelta) -> None:
        TAKEN["steps"] += 1
        self.now += by
        self.stands()

    @rule(then=st.sampled_from((-drawn.TICK, timedelta(), drawn.TICK)))
    def midnight_comes(self, then: timedelta) -> None:
        TAKEN["steps"] += 1
        self.now = self.world.begin_of(self.world.today(self.now) + ONE_DAY) + then
        self.stands()

    @rule(cycle_id=st.sampled_from(("q1", "q1", "x")), without=st.integers(0, 11))
    def a_cycle_ends(self, cycle_id: str, without: int) -> None:
        """What it takes in order, but for one thing: so much that chance seldom gets there."""
        TAKEN["steps"] += 1
        goals = [
            goal_id
            for goal_id, goal in self.world.objectives.items()
            if goal.made.cycle_id == cycle_id
        ]
        ending: list[Command] = [
            *(
                commands.DropObjective(each, reason="never begun")
                for each in goals
                if self.world.objectives[each].state == "draft"
            ),
            commands.StartCycleGrading(cycle_id),
            *(
                commands.GradeKeyResult(key_result_id)
                for each in goals
                for key_result_id in self.world.measured_by(each)
            ),
            *(commands.GradeObjective(each, "missed", reason="-") for each in goals),
            commands.RecordRetrospective(cycle_id, celebrate="that it is over"),
            commands.CloseCycle(cycle_id),
        ]
        del ending[-1 - without : len(ending) - without]
        for command in ending:
            self.ask(command, Circumstances())

    @rule(at_most=st.integers(1, 5))
    def the_ledger_looks(self, at_most: int) -> None:
        """R26: all that is due beyond doubt is found, and whatever is found can be recorded."""
        TAKEN["steps"] += 1
        if self.state is None:
            return
        due: list[Any] = [command for _, command in facts_due(self.state, self.now)]
        if self.world.running is None and len(due) < DUE_AT_ONCE:
            missing = surely_due(self.world, self.now) - {
                (each.kpi_id, each.period) for each in due
            }
            if missing:
                self.found(f"R26: {missing} is due, and not among {due}")
        for command in due[:at_most]:
            self._is_due(command)
            followed = self.ask(command, Circumstances(actor=THE_LEDGER, behind=None))
            if isinstance(followed, Refusal) or not followed:
                self.found(f"R26: {command} was due, but {followed!r}")

    def _is_due(self, command: commands.RecordMissedReading) -> None:
        """Where all periods were the calendar's, so is the one that is due."""
        kpi, days = self.world.kpis[command.kpi_id], days_of(command.period)
        assert days is not None
        frequency = kpi.definition.frequency
        known = [days_of(period) for period, _ in (*kpi.readings, *kpi.missed)]
        regular = all(each and each == calendar(frequency, each[0]) for each in known)
        if regular and len(kpi.versions) == 1 and days != calendar(frequency, days[0]):
            self.found(f"R26: {command} is for no period of {frequency}")

    # ------------------------------------------------------------------------------- foretelling

    def _asked(self, told: Circumstances) -> Asked:
        position = self.world.position
        claimed = self.world.running if told.import_id == drawn.RUNNING else told.import_id
        return Asked(
            organisation_id=ORG,
            actor=told.actor,
            now=self.now - told.late,
            import_id=claimed,
            role=told.role,
            units=told.units,
            decided_on=None if told.behind is None else max(position - told.behind, 0),
            log_position=None if told.ahead is None else position + told.ahead,
        )

    def ask(self, command: Command, circumstances: Circumstances) -> Outcome:
        """Foretell a command, let the ledger decide it, and let both see what happened."""
        asked = self._asked(circumstances)
        note(f"{command}\n  {asked}")
        TAKEN["commands"] += 1
        self.said.append(command)
        outcome, differs = self._decided(command, asked)
        if differs:
            self.found(f"{type(command).__name__}: {differs}\n   {command}\n   {asked}")
        if isinstance(outcome, tuple) and outcome:
            TAKEN["accepted"] += 1
            ACCEPTED[type(command).__name__] += 1
            self._happen(outcome, asked)
        return outcome

    def _decided(self, command: Command, asked: Asked) -> tuple[Outcome, str]:
        """What the ledger makes of it, and how that is not what the model foretold."""
        in_bulk = type(command) in many.BULK
        foretold = Verdict() if in_bulk else expect(self.world, command, asked)
        try:
            events_ = decide(self.state, command, asked)
        except Refusal as refusal:
            if in_bulk:
                return refusal, many.differs(self.world, command, asked, refusal)
            return refusal, foretold.differs(refusal)
        if not in_bulk:
            return events_, foretold.differs(events_)
        assert self.state is not None
        decided: Decided = judge(self.state, command, asked)
        assert decided.events == events_
        return events_, many.differs(self.world, command, asked, decided)

    def _happen(self, happened: Sequence[Event], asked: Asked) -> None:
        command_id = f"c-{TAKEN['commands']}"
        for each in happened:
            TAKEN["events"] += 1
            written = recorded(each, self.world.position + 1, asked.now, asked.actor, command_id)
            self.state = evolve(self.state, written)
            self.world.tell(each, written.position, asked.now, asked.actor)
        assert self.state is not None
        wrong = advice.differs(self.world, happened, advise(self.state, happened))
        if wrong:
            self.found(wrong)

    def stands(self) -> None:
        """R12: how every key result stands with its check-ins today."""
        for goal in self.world.key_results.values():
            self._stands(goal)

    def _stands(self, goal: KeyResult) -> None:
        objective = self.world.objective_of(goal)
        cycle, today = self.world.cycle_of(objective), self.world.today(self.now)
        policy = self.world.policy_of(cycle)
        cut = rhythm.cut(cycle.start, cycle.end, policy.cadence)
        if cadence.periods(cycle.start, cycle.end, policy.cadence) != tuple(cut):
            self.found(f"R12: {cycle} is not cut into {cut}")
        kept = [each for each in goal.said.values() if not each.retracted]
        days = [self.world.today(each.made.effective_at) for each in kept]
        days = [each for each in days if each <= today]
        statuses = (None, *(each.status for each in kept))
        grace = policy.cadence_grace_days
        for since in (cycle.start, objective.drafted_on):
            seen = cadence.timing(cut, days, today, grace, since)
            foretold = rhythm.standing(cut, days, today, grace, since)
            if seen != foretold:
                self.found(f"R12: {seen}, not {foretold}: {cut} {days} {today} {grace} {since}")
            for status in statuses:
                outcome: Any = objective.outcome
                health = cadence.health(outcome, seen, status)
                if health != rhythm.health(outcome, seen, status):
                    self.found(f"R12: {health}, for {outcome}, {seen}, {status}")

    def found(self, what: str) -> None:
        raise AssertionError(what)


def test_every_command_belongs_to_a_family() -> None:
    assert {name for names in FAMILIES.values() for name in names} == set(COMMANDS)


@pytest.mark.timeout(0)
def test_the_ledger_does_what_the_rules_foretell() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    if EXAMPLES >= ENOUGH_FOR_EVERY_COMMAND:
        assert not set(COMMANDS) - set(ACCEPTED), "a command was never accepted"
