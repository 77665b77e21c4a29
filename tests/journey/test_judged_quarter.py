"""A quarter of real goals is judged, closed, reopened, closed again and carried over, live.

Everything goes through the running ledger, and what is told of it comes from the projections.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from goal_contracts import codec, commands
from goal_contracts.commands import Command
from goal_contracts.fields import Outcome
from goal_contracts.queries import AsOf, CycleCard, Goals, KeyResultCard, ObjectiveCard
from goal_contracts.replies import Accepted, Reason, Refused

from services.cli.client import Client
from tests.running import System

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(300)]

ORGANISATION: Final = "src-d-judged"
QUARTER, FOLLOWING = "2019-Q1", "2019-Q2"


class Secretary:
    """Asks what people would ask, each command under an id of its own; looks when all is read."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.position = 0

    async def ask(self, command: Command) -> Accepted | Refused:
        message = codec.command_message(command, command_id=uuid4().hex)
        reply = await self.client.send(ORGANISATION, "secretary", message)
        if isinstance(reply, Accepted):
            self.position = reply.position
        return reply

    async def __call__(self, *asked: Command) -> int:
        """The position after them; all are accepted, and recorded."""
        for command in asked:
            reply = await self.ask(command)
            assert isinstance(reply, Accepted), reply
            assert reply.events, command
        return self.position

    async def look(self, as_of: str | None = None) -> Goals:
        """Everything, once the views have read what was recorded last."""
        question = AsOf(as_of=as_of, at_least=self.position, limit=1_000)
        whole = await self.client.ask(ORGANISATION, question)
        assert isinstance(whole, Goals)
        page = whole
        while page.cursor is not None:
            answer = await self.client.ask(ORGANISATION, AsOf(cursor=page.cursor, limit=1_000))
            assert isinstance(answer, Goals)
            page = answer
            whole = Goals(
                reflects=whole.reflects,
                cycles=whole.cycles + page.cycles,
                objectives=whole.objectives + page.objectives,
                key_results=whole.key_results + page.key_results,
            )
        return whole


def live(system: System, work: Callable[[Secretary], Awaitable[None]]) -> None:
    async def connected() -> None:
        async with await system.connect() as client:
            await work(Secretary(client))

    asyncio.run(connected())


def cycle_of(goals: Goals, cycle_id: str = QUARTER) -> CycleCard:
    return next(each for each in goals.cycles if each.cycle_id == cycle_id)


def objective_of(goals: Goals, objective_id: str) -> ObjectiveCard:
    return next(each for each in goals.objectives if each.objective_id == objective_id)


def results_of(goals: Goals, objective_id: str) -> list[KeyResultCard]:
    found = {
        each.key_result_id: each
        for each in goals.key_results
        if each.objective_id == objective_id and not each.dropped
    }
    return list(found.values())


def is_reached(result: KeyResultCard) -> bool:
    return bool(result.value)


def judgement(results: list[KeyResultCard]) -> Outcome:
    reached = [is_reached(each) for each in results]
    return "achieved" if all(reached) else "partial" if any(reached) else "missed"


def test_a_quarter_is_judged_closed_reopened_closed_again_and_carried_over(
    system: System, shared_data: Path
) -> None:
    history = shared_data / "srcd-okrs" / "history.jsonl"
    zone = ("--zone", "Europe/Madrid")
    system.run("import", "okr-markdown", str(history), "--org", ORGANISATION, *zone)

    def report(*more: str) -> str:
        return system.run("report", "--cycle", QUARTER, "--org", ORGANISATION, *more)

    async def judge(secretary: Secretary) -> None:
        before = await secretary.look()
        mine = [each for each in before.objectives if each.cycle_id == QUARTER]
        for draft in (each for each in mine if each.state == "draft"):
            await secretary(commands.DropObjective(draft.objective_id, reason="never finished"))
        published = [each.objective_id for each in mine if each.state == "published"]
        results = {each: results_of(before, each) for each in published}
        assert (len(published), sum(map(len, results.values()))) == (21, 59)

        refused = await secretary.ask(commands.CloseCycle(QUARTER))
        assert isinstance(refused, Refused)
        assert refused.reason == Reason.NOT_ALL_SCORED

        # The first objective of which something is left to do goes on in the next quarter.
        carried = next(each for each in published if judgement(results[each]) != "achieved")
        goes_on = [each for each in results[carried] if not is_reached(each)]
        await secretary(
            commands.PlanCycle(
                FOLLOWING, FOLLOWING, "quarterly", date(2019, 4, 1), date(2019, 6, 30)
            ),
            commands.CarryOverObjective(
                carried,
                "next",
                FOLLOWING,
                tuple(
                    commands.CarriedKeyResult(each.key_result_id, f"next-{number}")
                    for number, each in enumerate(goes_on)
                ),
            ),
        )
        judged = [each for each in published if each != carried]
        for objective_id in judged:
            for each in results[objective_id]:
                await secretary(commands.GradeKeyResult(each.key_result_id))
            outcome = judgement(results[objective_id])
            await secretary(commands.GradeObjective(objective_id, outcome))
        refused = await secretary.ask(commands.CloseCycle(QUARTER))
        assert isinstance(refused, Refused)
        assert refused.reason == Reason.RETROSPECTIVE_MISSING
        closed_at = await secretary(
            commands.RecordRetrospective(QUARTER, learned="Fewer boxes", celebrate="Those ticks"),
            commands.CloseCycle(QUARTER),
        )
        closed = await secretary.look()
        (first,) = cycle_of(closed).closings
        assert (cycle_of(closed).state, first.position) == ("closed", closed_at)
        first_report = report()

        late = next(
            each
            for objective_id in judged
            for each in results_of(closed, objective_id)
            if each.score == 0
        )
        reason = "it was done in time"
        closed_again_at = await secretary(
            commands.ReopenCycle(QUARTER, reason="one box was ticked too late"),
            commands.GradeKeyResult(late.key_result_id, score=Decimal(1), reason=reason),
            commands.GradeObjective(late.objective_id, "achieved"),
            commands.CloseCycle(QUARTER),
        )
        after = await secretary.look()
        one, two = cycle_of(after).closings
        assert one == first
        assert two.position == closed_again_at
        assert first.aspirational_score is not None
        assert two.aspirational_score is not None
        assert first.aspirational_score < two.aspirational_score

        # The past stands as it stood: before it was judged, and when it was closed first.
        was = await secretary.look(f"@{before.reflects.position}")
        assert cycle_of(was).closings == ()
        assert objective_of(was, carried).state == "published"
        assert all(each.objective_id != "next" for each in was.objectives)
        then = await secretary.look(f"@{closed_at}")
        assert {each.key_result_id: each.score for each in then.key_results}[
            late.key_result_id
        ] == 0
        assert report("--as-of", f"@{closed_at}") == first_report

        went_on = objective_of(after, "next")
        assert (went_on.cycle_id, went_on.carried_from) == (FOLLOWING, carried)
        assert objective_of(after, carried).state == "carried"
        assert len(results_of(after, "next")) == len(goes_on)
        assert all(each.value_at is None for each in results_of(after, "next"))

    live(system, judge)
    told = report()
    told_as_json = report("--format", "json")

    async def go_on(secretary: Secretary) -> None:
        await secretary(
            commands.ReweightKeyResult("next-0", Decimal(3)),
            commands.PublishObjective("next"),
            commands.ActivateCycle(FOLLOWING),
        )

    changes = ("bands=0.2,0.5", "grade_adjustable=false", "progress_ceiling=1.5", "cadence=monthly")
    changed = system.run("policy", "set", *changes, "--org", ORGANISATION, "--reason", "we learned")
    assert "0.2" in changed
    live(system, go_on)
    system.run("policy", "set", "weights=equal", "--org", ORGANISATION)

    assert report() == told
    assert report("--format", "json") == told_as_json
    assert "Fewer boxes" in told
    pinned = system.json("policy", "show", "--cycle", QUARTER, "--org", ORGANISATION)
    assert pinned["bands"] == ["0.4", "0.7"]
    now = system.json("policy", "show", "--cycle", FOLLOWING, "--org", ORGANISATION)
    assert now["bands"] == ["0.2", "0.5"]
