"""Which unit an event is about."""

from goal_contracts import events
from goal_contracts.client import OfUnit
from goal_contracts.codec import Recorded
from goal_contracts.events import Event
from goal_contracts.examples import NOW, recorded
from goal_contracts.queries import Goals, ObjectiveCard, Reflects, UnitCard


def told(of_unit: OfUnit, *happened: Event) -> list[bool]:
    """Of each event whether it is about the unit."""
    return [of_unit.concerns(as_recorded(event)) for event in happened]


def as_recorded(event: Event) -> Recorded:
    return recorded(event)


def unit(unit_id: str, parent_id: str | None = None) -> events.UnitDefined:
    return events.UnitDefined(unit_id, name=unit_id, unit_kind="team", parent_id=parent_id)


def objective(unit_id: str) -> events.ObjectiveDrafted:
    return events.ObjectiveDrafted(
        "o-1",
        cycle_id="2025-Q3",
        unit_id=unit_id,
        title="Customers can rely on us",
        owner="u-17",
        objective_kind="committed",
    )


def test_a_unit_is_itself_and_what_is_below() -> None:
    of_sales = OfUnit("sales")
    assert told(of_sales, unit("sales"), unit("emea", "sales"), unit("it")) == [True, True, False]
    assert told(of_sales, objective("emea")) == [True]
    assert told(of_sales, events.ObjectivePublished("o-1")) == [True]


def test_what_leaves_a_unit_is_heard_of_once_more() -> None:
    of_sales = OfUnit("sales")
    told(of_sales, unit("sales"), unit("it"), objective("sales"))
    moved = events.ObjectiveReassigned(
        "o-1", owner_was="u-1", owner="u-1", unit_id_was="sales", unit_id="it", reason="moved"
    )
    assert told(of_sales, moved, events.ObjectivePublished("o-1")) == [True, False]


def test_it_goes_on_from_goals_as_they_stood() -> None:
    of_sales = OfUnit("sales")
    of_sales.know(
        Goals(
            reflects=Reflects(position=7, as_of=NOW, known_at=NOW),
            units=(
                UnitCard(unit_id="sales", name="Sales", unit_kind="team", position=1),
                UnitCard(
                    unit_id="emea", name="EMEA", unit_kind="team", position=2, parent_id="sales"
                ),
            ),
            objectives=(
                ObjectiveCard(
                    objective_id="o-1",
                    cycle_id="2025-Q3",
                    unit_id="emea",
                    title="Customers can rely on us",
                    owner="u-17",
                    objective_kind="committed",
                    state="draft",
                    position=3,
                ),
            ),
        )
    )
    assert told(of_sales, events.ObjectivePublished("o-1")) == [True]
