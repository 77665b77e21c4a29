"""Whatever sequence of commands is sent: the rules hold, refusals leave nothing, history is enough.

PROPERTY_EXAMPLES=1500 makes them look at so many lives instead of a few hundred, and say how many
steps that took; `make properties` does.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import assert_never
from unittest.mock import patch

import pytest
from goal_contracts import codec, commands, events
from goal_contracts.codec import Recorded
from goal_contracts.commands import COMMANDS, Command
from goal_contracts.events import Event
from goal_contracts.policy import Policy
from goal_contracts.replies import Reason, Refusal, RefusedItem
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.ledger.domain import Asked, Organisation, decide, evolve, facts_due, fold, judge
from services.ledger.domain.times import local_day, start_of_day
from tests.ledger.domain import commands_drawn as drawn
from tests.ledger.domain import invariants, overdue, permitted
from tests.ledger.domain.commands_drawn import Circumstances
from tests.ledger.domain.scenario import ORG, day, recorded, snapshot
from tests.ledger.domain.transitions import Onlooker

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "200"))
FORK_AGAIN_EVERY = 8
TAKEN: Counter[str] = Counter()
"""How much all of it came to."""

usual = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(scope="module", autouse=True)
def _how_much_was_looked_at(pytestconfig: pytest.Config) -> Iterator[None]:
    yield
    plugins = pytestconfig.pluginmanager
    reporter, capture = map(plugins.get_plugin, ("terminalreporter", "capturemanager"))
    if "PROPERTY_EXAMPLES" in os.environ and reporter is not None and capture is not None:
        said = ", ".join(f"{count:,} {name}" for name, count in TAKEN.items())
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"\n{said}")


CREATING = (
    commands.OpenOrganisation
    | commands.DefineUnit
    | commands.PlanCycle
    | commands.DraftObjective
    | commands.AddKeyResult
    | commands.CheckIn
    | commands.DefineKpi
    | commands.OpenKpiReview
    | commands.AddComment
)
"""Their ids are the callers', so that creating twice is harmless at any time."""

ONE_DAY = timedelta(days=1)
ANN = Circumstances()
THE_LEDGER = Circumstances(actor="ledger", behind=None)
Outcome = tuple[Event, ...] | Refusal


def outcome_of(state: Organisation | None, command: Command, asked: Asked) -> Outcome:
    try:
        return decide(state, command, asked)
    except Refusal as refusal:
        return refusal


def in_words(outcome: Outcome) -> str:
    """To compare by: a refusal is equal only to itself."""
    return repr(vars(outcome) if isinstance(outcome, Refusal) else outcome)


def through_the_wire(command: Command) -> Command:
    payload = codec.encode(codec.command_message(command, command_id="c"))
    return codec.decode_command(codec.decode_message(payload))


class Ledger:
    """An organisation's life, watched: every command is decided, and what follows is recorded."""

    def __init__(self) -> None:
        self.state: Organisation | None = None
        self.history: list[Recorded] = []
        self.now = day("2025-01-02")
        self.policy_fixed = True
        self.created: list[Command] = []
        self.asked_count = 0
        self._missed: set[tuple[str, str, str]] = set()
        self._onlooker = Onlooker()
        self._state_was = repr(None)
        self._base: Organisation | None = None
        self._base_was = ""
        self._fork: Organisation | None = None
        self._forked_at = 0

    def begin(self, opening: Sequence[tuple[datetime, Command]]) -> None:
        for now, command in opening:
            self.now = now
            self.ask(command, ANN)

    def go_on(self, step: drawn.Step) -> None:
        match step:
            case drawn.Ask(command, circumstances):
                self.ask(command, circumstances)
            case drawn.TimePasses(by):
                self.now += by
                self.due()
            case drawn.UntilMidnight(then):
                self.now = (
                    start_of_day(local_day(self.now, drawn.ZONE) + ONE_DAY, drawn.ZONE) + then
                )
                self.due()
            case drawn.TheCycleEnds(cycle_id, without):
                self.end_cycle(cycle_id, without)
            case drawn.TheLedgerLooks(at_most):
                self.record_due(at_most)
            case drawn.CreateAgain(place, circumstances):
                self.create_again(place, circumstances)
            case drawn.StartAgain(cut):
                self.start_again(cut)
            case _:
                assert_never(step)

    def ask(self, command: Command, circumstances: Circumstances) -> Outcome:
        """Ask once, look at everything that must hold, and ask the same again."""
        TAKEN["commands"] += 1
        command, asked = through_the_wire(command), self._asked(circumstances)
        outcome = self._decide(command, asked)
        if isinstance(outcome, Refusal):
            return outcome
        event(f"{type(command).__name__} is accepted{'' if outcome else ', nothing to do'}")
        TAKEN["accepted"] += 1
        self._happen(outcome, asked)
        if isinstance(command, CREATING):
            self.created.append(command)
        if not _contradicts_itself(command):
            again = self._decide(command, asked)
            assert isinstance(again, Refusal) or not again, f"twice: {in_words(again)}"
        return outcome

    def end_cycle(self, cycle_id: str, without: int) -> None:
        """What it takes in order, so much that chance seldom gets there (R18)."""
        if self.state is None or cycle_id not in self.state.cycles:
            return
        goals = [each for each in self.state.objectives.values() if each.cycle_id == cycle_id]
        measured = [
            key_result_id
            for goal in goals
            for key_result_id in self.state.key_result_ids.get(goal.objective_id, ())
        ]
        ending: list[Command] = [
            commands.CloseCycle(cycle_id),
            commands.RecordRetrospective(cycle_id, celebrate="that it is over"),
            *(commands.GradeObjective(each.objective_id, "missed", reason="-") for each in goals),
            *(commands.GradeKeyResult(key_result_id) for key_result_id in measured),
            commands.StartCycleGrading(cycle_id),
            *(
                commands.DropObjective(goal.objective_id, reason="never begun")
                for goal in goals
                if goal.state == "draft"
            ),
        ]
        del ending[without : without + 1]
        for command in reversed(ending):
            self.ask(command, ANN)

    def due(self) -> tuple[commands.RecordMissedReading, ...]:
        """What time alone has made true (R26)."""
        if self.state is None:
            return ()
        return overdue.check(self.state, self.now, [*facts_due(self.state, self.now)])

    def record_due(self, at_most: int) -> None:
        """Each is recorded, once, and never comes up again; what is left over is due still."""
        due = self.due()
        for command in due[:at_most]:
            followed = self.ask(command, THE_LEDGER)
            assert isinstance(followed, tuple), f"R26: {command}: {in_words(followed)}"
            assert followed, f"R26: {command} was recorded before"
            assert isinstance(followed[0], events.KpiReadingMissed), f"R26: {command}: {followed}"
            fact = command.kpi_id, command.period, str(command.source)
            assert fact not in self._missed, f"R26: {command} twice"
            self._missed.add(fact)
        if len(due) < overdue.MANY:
            assert self.due() == due[at_most:], "R26: what is left over is something else"

    def create_again(self, place: int, circumstances: Circumstances) -> None:
        """Long after, and whatever has become of it: the same creation records nothing."""
        if self.created:
            command = self.created[place % len(self.created)]
            again = self._decide(command, self._asked(circumstances))
            assert again == () or _is_not_judged(again), in_words(again)

    def start_again(self, cut: int) -> None:
        """A restart reads the history, wherever it was cut."""
        begun = fold(None, self.history[:cut])
        assert repr(fold(begun, self.history[cut:])) == repr(self.state)

    def _asked(self, circumstances: Circumstances) -> Asked:
        running = None if self.state is None else self.state.running_import
        claimed = circumstances.import_id
        position = 0 if self.state is None else self.state.position
        behind, ahead = circumstances.behind, circumstances.ahead
        return Asked(
            organisation_id=ORG,
            actor=circumstances.actor,
            now=self.now - circumstances.late,
            import_id=running if claimed == drawn.RUNNING else claimed,
            role=circumstances.role,
            units=circumstances.units,
            decided_on=None if behind is None else position - behind,
            log_position=None if ahead is None else position + ahead,
        )

    def _decide(self, command: Command, asked: Asked) -> Outcome:
        """The same on the state and on its fork, item by item and at once; nobody is changed."""
        outcome = outcome_of(self.state, command, asked)
        if self._fork is not None:
            assert in_words(outcome_of(self._fork, command, asked)) == in_words(outcome)
        permitted.check(self.state, command, asked, outcome, self._onlooker.changed)
        if self.state is not None:
            self._one_by_one(self.state, command, asked, outcome)
        assert repr(self.state) == self._state_was, "a decision changes nothing"
        self.asked_count += 1
        return outcome

    def _one_by_one(
        self, state: Organisation, command: Command, asked: Asked, outcome: Outcome
    ) -> None:
        """Many at once are what they are one by one; one that is refused is left out, or all."""
        if not isinstance(command, BulkCommand):
            return
        late = asked.import_id is not None and asked.now < state.known_at_max
        if late or _is_not_judged(outcome):
            return
        tried, followed, left_out = state.fork(), list[Event](), list[RefusedItem]()
        for place, item in enumerate(_items(command)):
            one = outcome_of(state, item, asked)
            if not (isinstance(one, Refusal) and one.reason == Reason.GOAL_CHANGED_SINCE):
                # What the items before it changed, they changed together with it (R29).
                one = outcome_of(tried, item, replace(asked, decided_on=None))
            if isinstance(one, tuple):
                for each in one:
                    written = recorded(each, tried.position + 1, asked.now, asked.actor)
                    tried = evolve(tried, written)
                followed.extend(one)
            elif command.mode == "per_item":
                said = (one.reason, one.message, one.rule, one.seen, one.accepted)
                left_out.append(RefusedItem(place, *said))
            else:
                assert isinstance(outcome, Refusal)
                assert (outcome.reason, outcome.rule) == (one.reason, one.rule)
                assert outcome.message == f"item {place}: {one.message}"
                return
        assert repr(outcome) == repr(tuple(followed))
        assert judge(state, command, asked).refused == tuple(left_out), "an item is nowhere"

    def _happen(self, happened: Sequence[Event], asked: Asked) -> None:
        command_id = f"c-{self.asked_count}"
        begun = snapshot(self.state)
        for each in happened:
            written = recorded(each, len(self.history) + 1, asked.now, asked.actor, command_id)
            before = snapshot(self.state)
            self.state = evolve(self.state, written)
            self.history.append(written)
            TAKEN["events"] += 1
            if self._fork is not None:
                evolve(self._fork, written)
            if before is None:
                self._onlooker.remember(written)
            else:
                self._onlooker.see(before, written, self.state, asked)
            self.policy_fixed &= not isinstance(each, events.PolicyChanged)
        if happened:
            assert self.state is not None
            self._state_was = repr(self.state)
            if any(each.kind == "kpi" for each in happened):
                self.due()
            if begun is not None:
                self._onlooker.look_back(begun, happened, self.state)
            invariants.check(self.state, policy_fixed=self.policy_fixed)
            assert self.state.answers[command_id] == (len(self.history), len(happened))
            if len(self.history) - self._forked_at >= FORK_AGAIN_EVERY:
                self.fork_again()

    def fork_again(self) -> None:
        """What happened to a fork has left alone what it was forked from."""
        assert self._base is None or repr(self._base) == self._base_was
        self._base = fold(None, self.history)
        self._base_was = repr(self._base)
        assert self._base_was == repr(self.state), "the history tells the state"
        self._fork = None if self._base is None else self._base.fork()
        self._forked_at = len(self.history)


BulkCommand = commands.RecordCheckIns | commands.RecordReadings | commands.CorrectReadings


def _items(command: BulkCommand) -> Sequence[Command]:
    match command:
        case commands.RecordCheckIns():
            return command.check_ins
        case commands.RecordReadings():
            return command.readings
        case _:
            return command.corrections


def _is_not_heard(outcome: Outcome) -> bool:
    """Whether it is refused whatever it asks, because of an import."""
    imports = {Reason.IMPORT_RUNNING, Reason.IMPORT_NOT_RUNNING, Reason.IMPORT_FINISHED}
    return isinstance(outcome, Refusal) and outcome.reason in imports


def _is_not_judged(outcome: Outcome) -> bool:
    """Whether it is refused before anybody looks at what it asks: by whom, or on what."""
    if not isinstance(outcome, Refusal):
        return False
    on_the_future = (outcome.reason, outcome.rule) == (Reason.MALFORMED, "R29")
    return _is_not_heard(outcome) or outcome.reason == Reason.NOT_PERMITTED or on_the_future


def _contradicts_itself(command: Command) -> bool:
    """Corrections that name a reading twice: each of them is a new one, every time."""
    if not isinstance(command, commands.CorrectReadings):
        return False
    named = {(each.kpi_id, each.period) for each in command.corrections}
    return len(named) < len(command.corrections)


def lived(life: drawn.Life) -> Ledger:
    ledger = Ledger()
    note(f"{len(life.opening)} commands of the story, beginning with {life.opening[:1]}")
    TAKEN["lives"] += 1
    ledger.begin(life.opening)
    for step in life.steps:
        note(repr(step))
        TAKEN["steps"] += 1
        ledger.go_on(step)
    ledger.fork_again()
    return ledger


def test_every_command_is_drawn() -> None:
    assert set(drawn.OF_KIND) == set(COMMANDS)


@given(drawn.lives)
@usual
def test_no_sequence_of_commands_breaks_a_rule(life: drawn.Life) -> None:
    lived(life)


@given(drawn.lives, st.data())
@settings(usual, max_examples=EXAMPLES // 10)
def test_folding_is_the_same_however_history_is_cut(life: drawn.Life, data: st.DataObject) -> None:
    ledger = lived(life)
    cuts = data.draw(st.lists(st.integers(0, len(ledger.history)), max_size=4).map(sorted))
    state: Organisation | None = None
    for begin, end in pairwise([0, *cuts, len(ledger.history)]):
        state = fold(state, ledger.history[begin:end])
    assert repr(state) == repr(ledger.state)


OPENED = events.OrganisationOpened(ORG, name="Acme", zone="UTC", policy=Policy())
TALK = events.CommentAdded(goal="kpi/i1", comment_id="n1", text="so far")
STARTED = events.HistoryImportStarted(ORG, import_id="h1", source="okrs", digest="d1")
FINISHED = events.HistoryImportFinished(ORG, import_id="h1", outcome="completed")


@given(
    st.lists(
        st.sampled_from([(TALK,), (TALK, TALK), (TALK,) * 3, (STARTED,), (FINISHED,)]), max_size=30
    ),
    st.integers(1, 5),
)
def test_answers_are_remembered_within_a_window_and_all_of_them_during_an_import(
    followed: Sequence[tuple[Event, ...]], window: int
) -> None:
    state, position, expected, importing = None, 0, list[tuple[str, tuple[int, int]]](), False
    with patch("services.ledger.domain.evolve.ANSWERS_MAX", window):
        for number, happened in enumerate([(OPENED,), *followed]):
            if happened[0] in {STARTED, FINISHED}:
                if importing == (happened[0] is STARTED):
                    continue
                importing = not importing
            for each in happened:
                position += 3  # other organisations write to the same stream
                written = recorded(each, position, day("2025-01-02"), "ann", f"c-{number}")
                state = evolve(state, written)
            expected.append((f"c-{number}", (position, len(happened))))
            if not importing:
                expected = expected[-window:]
            assert state is not None
            assert list(state.answers.items()) == expected
