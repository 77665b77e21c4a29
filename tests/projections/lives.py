"""Logs of several organisations in one stream, as the ledger's own rules make them.

Each organisation lives a life drawn from every command: backdated check-ins, corrections,
retractions, reopened cycles, clocks that go back. Some begin with an import, so that what is known
early was recorded late. All use the same few ids.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final, Literal, assert_never

from goal_contracts import codec, commands
from goal_contracts.codec import Recorded
from goal_contracts.commands import Command
from goal_contracts.replies import Refusal
from hypothesis import strategies as st
from msgspec.structs import replace

from services.ledger.domain import Asked, Organisation, decide, evolve, facts_due
from services.ledger.domain.times import local_day, start_of_day
from tests.ledger.domain import commands_drawn as drawn
from tests.ledger.domain.commands_drawn import Circumstances
from tests.ledger.domain.scenario import day

ORGANISATIONS: Final = ("acme", "umbrella")
WRITTEN: Final = day("2025-04-05")
"""When what was imported was recorded."""
ONE_DAY: Final = timedelta(days=1)
ANN: Final = Circumstances()
LINE_MAX: Final = 400
TICK: Final = timedelta(microseconds=1)
RollUp = Literal["key_results", "children", "both"]


class Lived(list[Recorded]):
    """What the stream holds; a failure shows it line by line."""

    def __repr__(self) -> str:
        return "\n".join(
            f"@{each.position} {each.organisation_id} {each.kind}/{each.goal_id} "
            f"known {each.known_at} true {each.effective_at} {each.event!r}"[:LINE_MAX]
            for each in self
        )


class Company:
    """One of the organisations on its way; what happens to it goes into the common log."""

    def __init__(self, log: list[Recorded], organisation_id: str) -> None:
        self._log = log
        self._organisation_id = organisation_id
        self._state: Organisation | None = None
        self._now = day("2025-01-02")
        self._asked = 0

    def live(self, life: drawn.Life, roll_up: RollUp, *, imported: bool) -> Iterator[None]:
        """One thing after the other, whenever it is its turn."""
        for number, (now, command) in enumerate(life.opening):
            self._now = now
            asked: Command = command
            if isinstance(command, commands.OpenOrganisation):
                asked = replace(command, policy=replace(command.policy, roll_up=roll_up))
            self.ask(asked)
            if number == 0 and imported:
                self.ask(commands.StartHistoryImport("h1", source="okrs", digest="d1"))
            yield
        half = len(life.steps) // 2
        for number, step in enumerate(life.steps):
            if number == half and imported:
                self.ask(commands.FinishHistoryImport("h1"))
                self._now = max(self._now, WRITTEN)
            self._go_on(step)
            yield

    def _go_on(self, step: drawn.Step) -> None:
        match step:
            case drawn.Ask(command, circumstances):
                self.ask(command, circumstances)
            case drawn.TimePasses(by):
                self._now += by
            case drawn.UntilMidnight(then):
                today = local_day(self._now, drawn.ZONE)
                self._now = start_of_day(today + ONE_DAY, drawn.ZONE) + then
            case drawn.TheCycleEnds(cycle_id, without):
                self._end_cycle(cycle_id, without)
            case drawn.TheLedgerLooks(at_most):
                due = [] if self._state is None else [*facts_due(self._state, self._now)]
                for _, command in due[:at_most]:
                    self.ask(command, Circumstances(actor="ledger", behind=None))
            case drawn.CreateAgain() | drawn.StartAgain():
                pass  # nothing comes of it
            case _:
                assert_never(step)

    def _end_cycle(self, cycle_id: str, without: int) -> None:
        if self._state is None:
            return
        goals = [each for each in self._state.objectives.values() if each.cycle_id == cycle_id]
        ending: list[Command] = [
            *(
                commands.DropObjective(each.objective_id, reason="never begun")
                for each in goals
                if each.state == "draft"
            ),
            commands.StartCycleGrading(cycle_id),
            *(
                commands.GradeKeyResult(key_result_id)
                for goal in goals
                for key_result_id in self._state.key_result_ids.get(goal.objective_id, ())
            ),
            *(commands.GradeObjective(each.objective_id, "missed", reason="-") for each in goals),
            commands.RecordRetrospective(cycle_id, celebrate="that it is over"),
            commands.CloseCycle(cycle_id),
        ]
        del ending[without : without + 1]
        for command in ending:
            self.ask(command)

    def ask(self, command: Command, circumstances: Circumstances = ANN) -> None:
        """What follows is recorded; a refusal leaves nothing."""
        running = None if self._state is None else self._state.running_import
        asked = Asked(
            organisation_id=self._organisation_id,
            actor=circumstances.actor,
            now=self._now - circumstances.late,
            import_id=running,
            role=circumstances.role,
            units=circumstances.units,
        )
        try:
            happened = decide(self._state, command, asked)
        except Refusal:
            return
        self._asked += 1
        is_imported = running is not None
        for event in happened:
            position = len(self._log) + 1
            recorded = Recorded(
                position=position,
                event_id=f"e-{position}",
                organisation_id=self._organisation_id,
                kind=event.kind,
                goal_id=event.goal_id,
                recorded_at=max(WRITTEN, asked.now) if is_imported else asked.now,
                known_at=asked.now,
                effective_at=codec.effective_at_of(event, asked.now),
                actor=asked.actor,
                command_id=f"{self._organisation_id}-{self._asked}",
                event=event,
                reason=getattr(event, "reason", None),
                provenance=getattr(event, "provenance", None)
                or (f"okrs.md:{position}" if is_imported else None),
            )
            stored = codec.decode_event(position, codec.encode_event(recorded))
            self._log.append(stored)
            self._state = evolve(self._state, stored)


def _log(lives: Sequence[tuple[drawn.Life, RollUp, bool]], turns: Random) -> Lived:
    log = Lived()
    going_on = [
        Company(log, name).live(life, roll_up, imported=imported)
        for name, (life, roll_up, imported) in zip(ORGANISATIONS, lives, strict=True)
    ]
    while going_on:
        one = turns.choice(going_on)
        if next(one, going_on) is going_on:
            going_on.remove(one)
    return log


_a_life = st.tuples(
    drawn.lives, st.sampled_from(["key_results", "children", "both"]), st.booleans()
)
logs = st.builds(
    _log, st.tuples(*[_a_life] * len(ORGANISATIONS)), st.randoms(use_true_random=False)
).filter(lambda log: {each.organisation_id for each in log} == set(ORGANISATIONS))
"""In the order of one stream, its positions common to all."""


def moment(log: Sequence[Recorded], organisation_id: str, random: Random) -> str:
    """A moment around something that happened to an organisation, as people write it."""
    own = [each for each in log if each.organisation_id == organisation_id]
    one = random.choice(own)
    at: datetime = random.choice([one.known_at, one.known_at, one.effective_at])
    match random.randrange(4):
        case 0:
            return f"@{random.randint(own[0].position, log[-1].position)}"
        case 1:
            return str(local_day(at, drawn.ZONE))
        case 2:
            return local_text(at)
        case _:
            return (at + random.choice([-TICK, timedelta(), TICK])).isoformat()


def local_text(at: datetime) -> str:
    """An instant by a clock that says no offset: the organisation's."""
    return at.replace(tzinfo=None).isoformat()
