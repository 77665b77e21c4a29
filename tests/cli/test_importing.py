"""What every import has in common: its order, its ids, going on after an interruption."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio.lowlevel
import pytest
from goal_contracts.codec import CommandMessage
from goal_contracts.commands import (
    Command,
    CorrectReading,
    CorrectReadings,
    DefineKpi,
    DefineUnit,
    OpenOrganisation,
    RecordReading,
    RecordReadings,
)
from goal_contracts.events import KpiDefinition, KpiReadingRecorded, Sum
from goal_contracts.fields import ID
from goal_contracts.replies import Reason, Refused, Reply
from msgspec.structs import replace

from services.cli import importing
from services.cli.importing import Fact, History, ImportRefused, Left
from tests.cli.in_process_ledger import InProcessLedger, Interrupted

pytestmark = pytest.mark.anyio

FIRST = datetime(2025, 2, 3, 9, tzinfo=UTC)
LAST = FIRST + timedelta(days=30)
ORDERS = KpiDefinition(
    name="Orders", unit="orders", direction="higher", frequency="weekly", source="Shop"
)


def reading(week: str, value: int) -> RecordReading:
    return RecordReading("orders", week, Decimal(value))


JANUARY = "2025-01-06/2025-01-12"
SOON = "2025-03-03/2025-03-09"


def history(*commands: Command, places: Sequence[tuple[str, ...]] = ()) -> History:
    facts = [
        Fact("ana", DefineUnit("shop", "Shop", "company"), FIRST, ("orders.csv:1",)),
        Fact("ana", DefineKpi("orders", "shop", "ana", ORDERS), FIRST, ("orders.csv:1",)),
    ]
    facts += [
        Fact("ana", command, LAST, place) for command, place in zip(commands, places, strict=True)
    ]
    opening = OpenOrganisation(name="Shop", zone="Europe/Berlin")
    return History("shop", "import-1", "orders.csv", "d1gest", "bo", opening, facts, len(facts))


ONE_BAD = history(
    RecordReadings((reading(JANUARY, 5), reading(SOON, 7), reading("2025-01-13/2025-01-19", 6))),
    places=[("orders.csv:2", "orders.csv:3", "orders.csv:4")],
)


async def test_an_import_is_framed_by_its_opening_its_start_and_its_finish() -> None:
    ledger = InProcessLedger()
    outcome = await importing.send(ledger, history())
    assert [message.type for _, message in ledger.asked] == [
        "OpenOrganisation",
        "StartHistoryImport",
        "DefineUnit",
        "DefineKpi",
        "FinishHistoryImport",
    ]
    assert outcome.events == outcome.position == len(ledger.events) == 5
    assert [recorded.actor for recorded in ledger.events] == ["bo", "bo", "ana", "ana", "bo"]


async def test_every_command_carries_an_id_that_is_one() -> None:
    ledger = InProcessLedger()
    await importing.send(ledger, ONE_BAD)
    assert all(ID.fullmatch(message.id) for _, message in ledger.asked)


async def test_what_a_rule_refuses_of_a_bulk_is_told_by_its_place_and_the_rest_goes_in() -> None:
    ledger = InProcessLedger()
    outcome = await importing.send(ledger, ONE_BAD)
    assert [left.place for left in outcome.refused] == ["orders.csv:3"]
    assert len(ledger.recorded(KpiReadingRecorded)) == 2
    assert outcome.recorded["RecordReadings"] == 2


async def test_a_finished_import_is_not_made_again() -> None:
    ledger = InProcessLedger()
    await importing.send(ledger, ONE_BAD)
    events = len(ledger.events)
    outcome = await importing.send(ledger, ONE_BAD)
    assert outcome.already_imported
    assert outcome.events == 0
    assert len(ledger.events) == events


@pytest.mark.parametrize("lives", range(9))
async def test_an_interrupted_import_goes_on_and_ends_as_an_undisturbed_one(lives: int) -> None:
    undisturbed = InProcessLedger()
    expected = await importing.send(undisturbed, ONE_BAD)
    ledger = InProcessLedger(lives)
    with pytest.raises(Interrupted):
        await importing.send(ledger, ONE_BAD)
    ledger.lives = None
    assert await importing.send(ledger, ONE_BAD) == expected
    assert ledger.story() == undisturbed.story()


async def test_an_organisation_that_is_open_already_is_not_opened_again() -> None:
    ledger = InProcessLedger()
    await importing.send(ledger, history())
    other = history(reading(JANUARY, 5), places=[("orders.csv:2",)])
    later = replace(
        other,
        import_id="import-2",
        digest="another",
        opening=OpenOrganisation(name="Another name"),
        facts=[Fact(fact.actor, fact.command, LAST, fact.places) for fact in other.facts],
    )
    outcome = await importing.send(ledger, later)
    assert outcome.refused == []
    assert outcome.recorded["RecordReading"] == 1


async def test_history_that_is_older_than_the_ledger_is_refused_as_a_whole() -> None:
    ledger = InProcessLedger()
    await importing.send(ledger, history(reading(JANUARY, 5), places=[("orders.csv:2",)]))
    other = replace(history(), import_id="import-2", digest="another")
    with pytest.raises(ImportRefused) as refused:
        await importing.send(ledger, other)
    assert refused.value.refused.reason is Reason.KNOWN_AT_OUT_OF_ORDER


async def test_a_busy_ledger_interrupts_an_import_and_loses_no_fact() -> None:
    class Busy(InProcessLedger):
        def answer(self, organisation_id: str, actor: str, message: CommandMessage) -> Reply:
            if message.type == "RecordReadings":
                return Refused(message.id, Reason.OVERLOADED, "too many are waiting")
            return super().answer(organisation_id, actor, message)

    with pytest.raises(ImportRefused) as refused:
        await importing.send(Busy(), ONE_BAD)
    assert refused.value.refused.reason is Reason.OVERLOADED


async def test_progress_hears_of_every_answer() -> None:
    heard: list[int] = []
    await importing.send(InProcessLedger(), history(), heard.append)
    assert heard == [0, 0, 1, 1, 0]
    assert sum(heard) == history().size


def test_other_input_is_another_import() -> None:
    def made(organisation: str = "shop", digest: str = "d", settings: bytes = b"s") -> str:
        return importing.import_id_of("readings", organisation, {"a.csv": digest}, settings)

    assert made() == made()
    assert len({made(), made("stall"), made(digest="e"), made(settings=b"t")}) == 4


def test_what_was_left_out_says_where_and_why() -> None:
    assert Left("a.csv:7", "value is empty").place == "a.csv:7"


def weeks(count: int) -> list[str]:
    monday = datetime(2024, 1, 1, tzinfo=UTC).date()
    begins = [monday + timedelta(weeks=number) for number in range(count)]
    return [f"{first}/{first + timedelta(days=6)}" for first in begins]


def many_bulks(count: int) -> History:
    """As many bulk commands of one moment, of two readings each; one item is refused."""
    periods = [*weeks(2 * count - 1), SOON]
    bulks = [
        RecordReadings((reading(periods[place], 5), reading(periods[place + 1], 6)))
        for place in range(0, 2 * count, 2)
    ]
    places = [
        (f"orders.csv:{place}", f"orders.csv:{place + 1}") for place in range(0, 2 * count, 2)
    ]
    return history(*bulks, places=places)


class Slow(InProcessLedger):
    """Takes a command at once, and answers after those that were sent with it are taken."""

    def __init__(self, lives: int | None = None) -> None:
        super().__init__(lives)
        self.under_way: list[str] = []
        self.most: dict[str, int] = {}
        self.together: list[int] = []
        """How many were under way, with it, when each command was taken."""

    async def send(self, organisation_id: str, actor: str, message: CommandMessage) -> Reply:
        self.under_way.append(message.type)
        self.together.append(len(self.under_way))
        self.most[message.type] = max(self.most.get(message.type, 0), len(self.under_way))
        try:
            reply = self.answer(organisation_id, actor, message)
            for _ in range(importing.DEFINITIONS_UNDER_WAY_MAX):
                await anyio.lowlevel.checkpoint()
        finally:
            self.under_way.remove(message.type)
        return reply


async def test_only_readings_of_one_moment_are_under_way_together() -> None:
    ledger, one_by_one = Slow(), InProcessLedger()
    imported = many_bulks(3 * importing.BULKS_UNDER_WAY_MAX)
    assert await importing.send(ledger, imported) == await importing.send(one_by_one, imported)
    most = dict(ledger.most)
    assert most.pop("RecordReadings") == importing.BULKS_UNDER_WAY_MAX
    assert set(most.values()) == {1}
    assert [message.id for _, message in ledger.asked if message.type == "RecordReadings"] == [
        message.id for _, message in one_by_one.asked if message.type == "RecordReadings"
    ]


async def test_another_moment_or_another_matter_waits_for_what_is_under_way() -> None:
    ledger = Slow()
    periods = weeks(3)
    correction = CorrectReading("orders", periods[0], Decimal(9), reason="recounted")
    [*definitions, first, second] = history(
        RecordReadings((reading(periods[0], 1),)),
        RecordReadings((reading(periods[1], 2),)),
        places=[("a",), ("b",)],
    ).facts
    later = LAST + timedelta(days=1)
    apart = [
        first,
        replace(second, known_at=later),
        replace(
            second, actor="bo", known_at=later, command=RecordReadings((reading(periods[2], 3),))
        ),
        replace(first, known_at=later, command=CorrectReadings((correction,))),
    ]
    imported = replace(history(), facts=[*definitions, *apart])
    outcome = await importing.send(ledger, imported)
    assert outcome.refused == []
    assert set(ledger.most.values()) == {1}


def defining(*definitions: KpiDefinition) -> History:
    facts = [Fact("ana", DefineUnit("shop", "Shop", "company"), FIRST, ("orders.csv:1",))]
    facts += [
        Fact("ana", DefineKpi(f"kpi-{number}", "shop", "ana", each), FIRST, ("orders.csv:1",))
        for number, each in enumerate(definitions)
    ]
    return replace(history(), facts=facts)


async def test_definitions_of_one_moment_are_under_way_together() -> None:
    ledger, one_by_one = Slow(), InProcessLedger()
    imported = defining(*[ORDERS] * (importing.DEFINITIONS_UNDER_WAY_MAX + 20))
    assert await importing.send(ledger, imported) == await importing.send(one_by_one, imported)
    most = dict(ledger.most)
    assert most.pop("DefineKpi") == importing.DEFINITIONS_UNDER_WAY_MAX
    assert set(most.values()) == {1}
    assert ledger.story() == one_by_one.story()


async def test_what_is_computed_is_defined_after_what_it_is_computed_from() -> None:
    ledger = Slow()
    computed = replace(ORDERS, formula=Sum(("kpi-0", "kpi-1")))
    outcome = await importing.send(ledger, defining(ORDERS, ORDERS, computed, ORDERS))
    assert outcome.refused == []
    assert ledger.together == [1, 1, 1, 1, 2, 1, 2, 1]


@pytest.mark.parametrize("lives", range(4, 14))
async def test_an_import_with_many_under_way_goes_on_after_an_interruption(lives: int) -> None:
    imported = many_bulks(importing.BULKS_UNDER_WAY_MAX)
    undisturbed = InProcessLedger()
    expected = await importing.send(undisturbed, imported)
    ledger = Slow(lives)
    with pytest.raises(Interrupted):
        await importing.send(ledger, imported)
    assert ledger.under_way == []
    ledger.lives = None
    assert await importing.send(ledger, imported) == expected
    assert ledger.story() == undisturbed.story()
