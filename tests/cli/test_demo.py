"""The demo shows what is in the ledger, whatever the sample company says."""

from datetime import UTC, date, datetime

import msgspec
from goal_contracts.codec import Recorded
from goal_contracts.events import Event, KeyResultRetargeted, OrganisationOpened
from goal_contracts.policy import Policy
from rich.console import Console, Group

from services.cli import demo
from services.cli.demo import find_lowered
from tests.cli import answers
from tests.cli.answers import at


def recorded(position: int, event: Event, known_at: datetime) -> Recorded:
    return Recorded(
        position=position,
        event_id=f"e-{position}",
        organisation_id="acme",
        kind=event.kind,
        goal_id=event.goal_id,
        recorded_at=known_at,
        known_at=known_at,
        effective_at=known_at,
        actor="ada",
        command_id=f"c-{position}",
        event=event,
    )


OPENED = OrganisationOpened("acme", name="Acme", zone="Europe/Berlin", policy=Policy())
LOWERED = KeyResultRetargeted(
    "kr-2", measure_was=answers.ERRORS_WERE, measure=answers.ERRORS, lowered=True, mid_cycle=True
)
RAISED = msgspec.structs.replace(LOWERED, lowered=False)
LATE = datetime(2025, 8, 14, 22, 30, tzinfo=UTC)
LOG = [
    recorded(1, OPENED, at("2025-01-01")),
    recorded(200, RAISED, at("2025-08-01")),
    recorded(214, LOWERED, LATE),
]


def test_the_days_around_a_lowered_target_are_the_organisations_own() -> None:
    found = find_lowered(LOG)
    assert found is not None
    assert (found.goal, found.event.position) == ("key_result/kr-2", 214)
    assert (found.day_before, found.day) == (date(2025, 8, 14), date(2025, 8, 15))


def test_a_ledger_without_a_lowered_target_has_none_to_show() -> None:
    assert find_lowered(LOG[:2]) is None
    assert find_lowered([]) is None


def test_two_days_are_shown_side_by_side_with_who_when_and_why() -> None:
    found = find_lowered(LOG)
    assert found is not None
    before, after = (
        msgspec.structs.replace(
            answers.GOALS,
            key_results=(msgspec.structs.replace(answers.GOALS.key_results[1], measure=measure),),
        )
        for measure in (answers.ERRORS_WERE, answers.ERRORS)
    )
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(Group(*demo.two_days(found, before, after, answers.CHANGES)))
    shown = " ".join(capture.get().split())
    assert "2025-08-14 2.1 → 0.5 % 1.25 71 % @412" in shown
    assert "2025-08-15 2.1 → 0.9 % 1.25 71 % @412" in shown
    assert "ada key result retargeted @214 measure target 0.5 → 0.9 % why The provider" in shown
