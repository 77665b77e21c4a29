"""What a request gets beside its command: the ids of the events that may follow from it."""

from datetime import UTC, datetime
from uuid import RFC_4122, UUID

from services.ledger.handlers import new_event_ids

AT = datetime(2025, 9, 30, 12, 0, 0, 123_456, tzinfo=UTC)


def test_the_ids_of_a_command_are_uuids_of_version_7_and_of_its_millisecond() -> None:
    ids = [UUID(each) for each in new_event_ids(AT, 1_000)]
    assert {(each.version, each.variant) for each in ids} == {(7, RFC_4122)}
    assert {each.int >> 80 for each in ids} == {1_759_233_600_123}


def test_the_ids_of_a_command_stand_in_the_order_of_its_events() -> None:
    ids = new_event_ids(AT, 1_000)
    assert len(set(ids)) == 1_000
    assert ids == sorted(ids)


def test_two_commands_of_the_same_moment_have_ids_of_their_own() -> None:
    assert {*new_event_ids(AT, 1_000)}.isdisjoint(new_event_ids(AT, 1_000))
