"""Between our structs and eventsourcing's: nothing is lost, the stored bytes stay."""

from datetime import UTC, datetime

import pytest
from eventsourcing.persistence import (
    MapperDeserialisationError,
    Notification,
    ProgrammingError,
    StoredEvent,
)
from goal_contracts import subjects
from goal_contracts.client.stream import StoredMessage
from goal_contracts.codec import Recorded, encode_event
from goal_contracts.events import CommentAdded

from services.ledger.store.log import VERSION
from services.ledger.store.mapper import GoalEvent, GoalEventMapper, notification, outgoing

AT = datetime(2026, 3, 31, 12, tzinfo=UTC)
COMMENTED = Recorded(
    position=7,
    event_id="0197e0c5-0000-7000-8000-000000000001",
    organisation_id="acme",
    kind="objective",
    goal_id="o-1",
    recorded_at=AT,
    known_at=AT,
    effective_at=AT,
    actor="u-17",
    command_id="c-1",
    event=CommentAdded(goal="objective/o-1", comment_id="n-1", text="well done"),
)
COMMENT = GoalEvent(COMMENTED, 3)


def as_notification(event: GoalEvent) -> Notification:
    stored = GoalEventMapper().to_stored_event(event)
    sent = outgoing(stored)
    message = StoredMessage(
        event.recorded.position, sent.subject, sent.payload, 0, {VERSION: str(sent.version)}
    )
    return notification(message)


def test_an_event_comes_back_from_the_log_as_it_was() -> None:
    assert GoalEventMapper().to_domain_event(as_notification(COMMENT)) == COMMENT


def test_a_stored_event_names_its_goal_its_version_and_its_type() -> None:
    stored = GoalEventMapper().to_stored_event(COMMENT)
    assert stored == StoredEvent(
        originator_id="acme/objective/o-1",
        originator_version=3,
        topic="CommentAdded",
        state=encode_event(COMMENTED),
    )
    assert outgoing(stored).subject == subjects.ledger("acme", "objective", "o-1", "CommentAdded")
    assert outgoing(stored).payload is stored.state


def test_an_event_filed_under_another_goal_or_type_is_not_read() -> None:
    stored = GoalEventMapper().to_stored_event(COMMENT)
    for originator_id, topic in (
        ("acme/objective/o-2", stored.topic),
        (stored.originator_id, "GoalDropped"),
    ):
        misfiled = StoredEvent(originator_id, 3, topic, stored.state)
        with pytest.raises(MapperDeserialisationError, match="filed under"):
            GoalEventMapper().to_domain_event(misfiled)


def test_bytes_that_are_no_event_are_not_read() -> None:
    broken = Notification("acme/objective/o-1", 1, "CommentAdded", b"{}", 9)
    with pytest.raises(MapperDeserialisationError, match="position 9"):
        GoalEventMapper().to_domain_event(broken)


def test_an_originator_is_an_organisation_a_kind_and_an_id() -> None:
    with pytest.raises(ProgrammingError, match="<org>/<kind>/<id>"):
        outgoing(StoredEvent("o-1", 1, "CommentAdded", b"{}"))
